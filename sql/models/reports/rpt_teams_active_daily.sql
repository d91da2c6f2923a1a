-- Teams with an event on a day, for every day from the first event to the last. An event that
-- spans midnight counts on each day it touches; one that ends at midnight sharp does not touch the
-- day that begins then. Days are those of UTC.
with events as (
    select
        team_id,
        cast(starts_at as date) as first_day,
        case
            when ends_at > starts_at and ends_at = date_trunc('day', ends_at) then cast(ends_at as date) - 1
            else cast(ends_at as date)
        end as last_day
    from {{ ref('stg_events') }}
),
days as (
    {{ date_spine('select min(first_day) as first_day, max(last_day) as last_day from events') }}
),
-- The days of each length of event that occurs, so that all large joins are by equality.
lengths as (
    select spans.span, numbers.n
    from (select distinct last_day - first_day as span from events) as spans
    inner join ({{ numbers() }}) as numbers on numbers.n <= spans.span
),
touched as (
    select distinct cast(events.first_day + lengths.n as date) as date_day, events.team_id
    from events
    inner join lengths on lengths.span = events.last_day - events.first_day
)
select days.date_day, count(touched.team_id) as active_teams
from days
left join touched on touched.date_day = days.date_day
group by days.date_day
