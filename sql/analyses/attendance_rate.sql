-- The share of replies with a known attendance that attended, over the last days of the data:
-- "today" is the day of the last event with a known attendance, so that the answer does not depend on the clock.
with attended as (
    select cast(events.starts_at as date) as event_day, rsvps.attended
    from {{ ref('stg_event_rsvps') }} as rsvps
    inner join {{ ref('stg_events') }} as events on events.event_id = rsvps.event_id
    where rsvps.attended is not null
)
select
    count(*) as replies,
    sum(attended) as attended,
    round(cast(sum(attended) as numeric(18, 4)) / nullif(count(*), 0), 4) as attendance_rate
from attended
where event_day > (select max(event_day) from attended) - {{ var('attendance_days') | int }}
