use minijinja::context;

use super::*;

fn jinja(files: &[(&str, &str, &str)]) -> Jinja {
    let files: Vec<_> = files
        .iter()
        .map(|(package, path, text)| MacroFile {
            package: (*package).into(),
            path: (*path).into(),
            text: (*text).into(),
        })
        .collect();
    let mut errors = Vec::new();
    let jinja = Jinja::new("club", &files, &mut errors);
    assert_eq!(errors, []);
    jinja
}

fn render(text: &str) -> String {
    jinja(&[]).render("club", "models/a.sql", text, context! {}).unwrap_or_else(|error| format!("ERROR {error}"))
}

#[test]
fn python_lists_and_dicts_are_mutable() {
    for (text, want) in [
        ("{% set l=[] %}{% do l.append(1) %}{% do l.append(2) %}{{ l|length }}", "2"),
        ("{% set l=[1] %}{% do l.extend([2,3]) %}{{ l|join(',') }}", "1,2,3"),
        ("{% set l=[1,2] %}{% do l.insert(0,9) %}{% do l.remove(1) %}{{ l.pop() }}{{ l }}", "2[9]"),
        ("{% set d={} %}{% do d.update({'a':1}) %}{{ d }}", "{'a': 1}"),
        ("{% set d={'a':1} %}{{ d.pop('a') }}{{ d }}", "1{}"),
        ("{% set d={} %}{% for x in [1,2] %}{% do d.update({x: x*2}) %}{% endfor %}{{ d[2] }}", "4"),
        (
            "{{ [1,2][1:] }}{{ [3,1]|sort }}{{ {'a':[1]}.a[0] }}{{ [1]+[2] }}{{ 1 in [1] }}{{ [] or 'e' }}",
            "[2][1, 3]1[1, 2]Truee",
        ),
        ("{% set l=[] %}{% do l.append(1) if true %}{{ l|length }}", "1"),
        ("{% set y = ['a','b']|map('upper')|list %}{% do y.append('c') %}{{ y }}", "['A', 'B', 'c']"),
    ] {
        assert_eq!(render(text), want, "{text}");
    }
}

#[test]
fn macros_take_varargs_kwargs_callers_and_return_values() {
    for (text, want) in [
        ("{% macro m(a) %}{{a}}{{ varargs|join(',') }}{% endmacro %}{{ m(1,2,3) }}", "12,3"),
        ("{% macro m(a) %}{{a}}{{ kwargs.b }}{{ kwargs.get('c','-') }}{% endmacro %}{{ m(1,b=2) }}", "12-"),
        ("{% macro m() %}a{{ return(5) }}b{% endmacro %}{{ m() + 1 }}", "6"),
        (
            "{% macro m(x) %}{% for i in x %}{% if i==2 %}{{ return([i]) }}{% endif %}{% endfor %}{% endmacro %}{% set r=m([1,2,3]) %}{{ r[0]+1 }}",
            "3",
        ),
        (
            "{% macro a() %}<{{ caller() }}>{% endmacro %}{% macro b() %}{% call a() %}{{ caller() }}{% endcall %}{% endmacro %}{% call b() %}z{% endcall %}",
            "<z>",
        ),
        ("{% macro m() %}[{{ caller(1) }}]{% endmacro %}{% call(v) m() %}x{{v}}{% endcall %}", "[x1]"),
        ("{% macro f(n) %}{% if n>0 %}{{ n }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(3) }}", "321"),
        ("{{ +1 }}{% if true: %}y{% endif %}", "1y"),
        ("{{ 'a.b.c'.rsplit('.', 1) }}", "['a.b', 'c']"),
    ] {
        assert_eq!(render(text), want, "{text}");
    }
}

#[test]
fn macros_of_other_files_and_packages_are_found_and_see_each_other() {
    let jinja = jinja(&[
        ("club", "macros/a.sql", "\n{% macro cents(x) -%}\n{{ shared(x) }} / 100{%- endmacro %}\n"),
        ("club", "macros/b.sql", "{% macro shared(x) %}{{ dbt_utils.wrap() }}({{ x }}){% endmacro %}"),
        ("dbt_utils", "dbt_packages/u.sql", "{% macro wrap() %}{{ return('w') }}{% endmacro %}"),
    ]);
    let text = "select {{ cents('amount') }}, {{ club.shared(1) }}";
    assert_eq!(jinja.render("club", "models/a.sql", text, context! {}).unwrap(), "select w(amount) / 100, w(1)");
}

#[test]
fn an_error_names_the_line_of_the_file_that_made_it() {
    let jinja = jinja(&[("club", "macros/a.sql", "\n\n{% macro broken() %}\n\n{{ missing_thing() }}{% endmacro %}")]);
    let error = jinja.render("club", "models/a.sql", "select\n\n{{ broken() }}", context! {}).unwrap_err();
    assert_eq!(error.place.to_string(), "macros/a.sql:5");
    assert!(error.message.contains("missing_thing"), "{error}");
    let error = jinja.render("club", "models/a.sql", "select\n{% set x = [1] %}\n{% if %}", context! {}).unwrap_err();
    assert_eq!(error.place.to_string(), "models/a.sql:3");
    let error = jinja.render("club", "models/a.sql", "a\n{% materialization x, default %}", context! {}).unwrap_err();
    assert_eq!(error.to_string(), "models/a.sql:2: `{% materialization %}` blocks are not supported");
}

#[test]
fn a_lone_expression_keeps_its_type() {
    let jinja = jinja(&[("club", "macros/a.sql", "{% macro five() %}{{ return(5) }}{% endmacro %}")]);
    let value = |text| jinja.evaluate("club", "dbt_project.yml", text, context! {on => true}).unwrap();
    assert_eq!(value("{{ five() }}"), Value::from(5));
    assert_eq!(value("{{ on }}"), Value::from(true));
    assert_eq!(value("a{{ five() }}"), Value::from("a5"));
}

#[test]
fn generic_tests_become_macros_and_raw_blocks_stay() {
    let jinja = jinja(&[(
        "club",
        "macros/t.sql",
        "{% test positive(model, column_name) %}select {{ column_name }}{% endtest %}",
    )]);
    assert_eq!(jinja.generic_tests().collect::<Vec<_>>(), ["positive"]);
    let text = "{% raw %}{{ [1] }}{% endraw %}{{ test_positive('m', column_name='c') }}";
    assert_eq!(jinja.render("club", "a.sql", text, context! {}).unwrap(), "{{ [1] }}select c");
}
