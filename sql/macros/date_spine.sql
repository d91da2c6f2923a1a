{# One row per day from the first to the last date, as `date_day`. `dates` is a query with `first_day` and `last_day`. #}
{% macro date_spine(dates) %}
select cast(bounds.first_day + numbers.n as date) as date_day
from ({{ dates }}) as bounds
cross join (
    select a.d + 10 * b.d + 100 * c.d + 1000 * e.d as n
    from {% for name in ['a', 'b', 'c', 'e'] -%}
    (select 0 as d{% for d in range(1, 10) %} union all select {{ d }}{% endfor %}) as {{ name }}
    {%- if not loop.last %} cross join {% endif %}{% endfor %}
) as numbers
where numbers.n <= bounds.last_day - bounds.first_day
{% endmacro %}
