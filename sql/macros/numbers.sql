{# The numbers from 0 to 9,999 as `n`. #}
{% macro numbers() -%}
select a.d + 10 * b.d + 100 * c.d + 1000 * e.d as n
from {% for name in ['a', 'b', 'c', 'e'] -%}
(select 0 as d{% for d in range(1, 10) %} union all select {{ d }}{% endfor %}) as {{ name }}
{%- if not loop.last %} cross join {% endif %}{% endfor %}
{%- endmacro %}
