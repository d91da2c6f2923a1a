{#
  Rows whose text is no timestamp: a wrong form, or a day the month does not have. It casts nothing
  that could fail, so that the bad rows are listed instead of ending the query.
#}
{% test castable_timestamp(model, column_name) %}
{%- set text = 'cast(' ~ column_name ~ ' as varchar(64))' %}
{%- set form = '^[0-9][0-9][0-9][0-9]-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[ T]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]+)?(Z|[+-][0-9][0-9](:?[0-9][0-9])?)?$' %}
{%- set year = 'cast(substring(' ~ text ~ ', 1, 4) as integer)' %}
{%- set month = 'substring(' ~ text ~ ', 6, 2)' %}
select {{ column_name }} as not_a_timestamp
from {{ model }}
where {{ column_name }} is not null
  and case
        when {{ text }} !~ '{{ form }}' then 1
        when cast(substring({{ text }}, 9, 2) as integer) > case
            when {{ month }} in ('04', '06', '09', '11') then 30
            when {{ month }} <> '02' then 31
            when mod({{ year }}, 400) = 0 or (mod({{ year }}, 4) = 0 and mod({{ year }}, 100) <> 0) then 29
            else 28
        end then 1
        else 0
      end = 1
{% endtest %}
