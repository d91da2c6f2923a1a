-- How many replies of each kind there were, day by day.
select
    rsvp_day,
    sum(case when rsvp_status = 'yes' then rsvps else 0 end) as yes,
    sum(case when rsvp_status = 'maybe' then rsvps else 0 end) as maybe,
    sum(case when rsvp_status = 'no' then rsvps else 0 end) as no,
    sum(rsvps) as rsvps
from {{ ref('rbt_event_rsvps_daily') }}
group by rsvp_day
order by rsvp_day
