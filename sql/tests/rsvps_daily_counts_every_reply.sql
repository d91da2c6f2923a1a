-- The report against a direct count: any day and status that differs.
select coalesce(report.rsvp_day, direct.rsvp_day) as rsvp_day, report.rsvps as reported, direct.rsvps as counted
from {{ ref('rbt_event_rsvps_daily') }} as report
full outer join (
    select cast(created_at as date) as rsvp_day, rsvp_status, count(*) as rsvps
    from {{ ref('stg_event_rsvps') }} group by 1, 2
) as direct on direct.rsvp_day = report.rsvp_day and direct.rsvp_status = report.rsvp_status
where report.rsvps is null or direct.rsvps is null or report.rsvps <> direct.rsvps
