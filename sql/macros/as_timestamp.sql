{# An instant exported as text, `2024-05-03 17:45:00+00`, as a timestamp in UTC. #}
{% macro as_timestamp(column_name) -%}
cast(cast({{ column_name }} as timestamp with time zone) at time zone 'UTC' as timestamp)
{%- endmacro %}
