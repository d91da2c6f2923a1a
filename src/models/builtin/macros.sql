{# The macros every project may call. A project's own macro of the same name takes precedence. #}
{% test not_null(model, column_name) %}
select * from {{ model }} where {{ column_name }} is null
{% endtest %}
{% test unique(model, column_name) %}
select {{ column_name }} as unique_field, count(*) as n_records
from {{ model }} where {{ column_name }} is not null
group by {{ column_name }} having count(*) > 1
{% endtest %}
{% test accepted_values(model, column_name, values, quote=true) %}
select {{ column_name }} as value_field, count(*) as n_records
from {{ model }}
where {{ column_name }} not in (
{%- for value in values %}{% if quote %}'{{ value | string | replace("'", "''") }}'{% else %}{{ value }}{% endif %}{% if not loop.last %}, {% endif %}{% endfor -%}
)
group by {{ column_name }}
{% endtest %}
{% test relationships(model, column_name, to, field) %}
select child.{{ column_name }} as from_field
from {{ model }} as child
left join (select {{ field }} as to_field from {{ to }}) as parent on child.{{ column_name }} = parent.to_field
where child.{{ column_name }} is not null and parent.to_field is null
{% endtest %}
{% macro type_string() %}{{ return('varchar(65535)' if target.type == 'redshift' else 'text') }}{% endmacro %}
{% macro type_timestamp() %}{{ return('timestamp') }}{% endmacro %}
{% macro type_int() %}{{ return('integer') }}{% endmacro %}
{% macro type_bigint() %}{{ return('bigint') }}{% endmacro %}
{% macro type_float() %}{{ return('double precision') }}{% endmacro %}
{% macro type_numeric() %}{{ return('numeric(28,6)') }}{% endmacro %}
{% macro type_boolean() %}{{ return('boolean') }}{% endmacro %}
{% macro current_timestamp() %}{{ return('getdate()' if target.type == 'redshift' else 'now()') }}{% endmacro %}
{% macro date_trunc(datepart, date) %}date_trunc('{{ datepart }}', {{ date }}){% endmacro %}
{% macro dateadd(datepart, interval, from_date_or_timestamp) %}
{%- if target.type == 'redshift' -%}
dateadd({{ datepart }}, {{ interval }}, {{ from_date_or_timestamp }})
{%- else -%}
({{ from_date_or_timestamp }} + (interval '1 {{ datepart }}' * ({{ interval }})))
{%- endif -%}
{% endmacro %}
{% macro datediff(first_date, second_date, datepart) %}
{%- if target.type == 'redshift' -%}
datediff({{ datepart }}, {{ first_date }}, {{ second_date }})
{%- elif datepart == 'day' -%}
(({{ second_date }})::date - ({{ first_date }})::date)
{%- elif datepart == 'month' -%}
((extract(year from ({{ second_date }})::date) - extract(year from ({{ first_date }})::date)) * 12 + extract(month from ({{ second_date }})::date) - extract(month from ({{ first_date }})::date))::integer
{%- elif datepart == 'year' -%}
(extract(year from ({{ second_date }})::date) - extract(year from ({{ first_date }})::date))::integer
{%- elif datepart in ('hour', 'minute', 'second') -%}
{%- set seconds = {'hour': 3600, 'minute': 60, 'second': 1}[datepart] -%}
(extract(epoch from date_trunc('{{ datepart }}', ({{ second_date }})::timestamp) - date_trunc('{{ datepart }}', ({{ first_date }})::timestamp)) / {{ seconds }})::bigint
{%- else -%}
{{ exceptions.raise_compiler_error("datediff by `" ~ datepart ~ "` is not supported on PostgreSQL") }}
{%- endif -%}
{% endmacro %}
{% macro concat(fields) %}{{ fields | join(' || ') }}{% endmacro %}
{% macro safe_cast(field, type) %}cast({{ field }} as {{ type }}){% endmacro %}
{% macro cast(field, type) %}cast({{ field }} as {{ type }}){% endmacro %}
{% macro hash(field) %}md5(cast({{ field }} as {{ type_string() }})){% endmacro %}
{% macro length(expression) %}length({{ expression }}){% endmacro %}
{% macro replace(field, old_chars, new_chars) %}replace({{ field }}, {{ old_chars }}, {{ new_chars }}){% endmacro %}
{% macro split_part(string_text, delimiter_text, part_number) %}split_part({{ string_text }}, {{ delimiter_text }}, {{ part_number }}){% endmacro %}
{% macro any_value(expression) %}max({{ expression }}){% endmacro %}
{% macro bool_or(expression) %}bool_or({{ expression }}){% endmacro %}
{% macro except() %}except{% endmacro %}
{% macro intersect() %}intersect{% endmacro %}
{% macro string_literal(value) %}'{{ value }}'{% endmacro %}
{% macro escape_single_quotes(expression) %}{{ expression | replace("'", "''") }}{% endmacro %}
