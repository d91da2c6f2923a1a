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
)
select days.date_day, count(distinct events.team_id) as active_teams
from days
left join events on days.date_day between events.first_day and events.last_day
group by days.date_day
