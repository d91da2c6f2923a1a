{#
  One row per day from the first to the last date, as `date_day`; at most 10,000 days. `dates` is a
  query with `first_day` and `last_day`.
#}
{% macro date_spine(dates) %}
select cast(bounds.first_day + numbers.n as date) as date_day
from ({{ dates }}) as bounds
cross join ({{ numbers() }}) as numbers
where numbers.n <= bounds.last_day - bounds.first_day
{% endmacro %}
