-- Each day against the events that overlap it, counted without the spine; and no day missing.
select report.date_day, report.active_teams, count(distinct events.team_id) as counted
from {{ ref('rpt_teams_active_daily') }} as report
left join {{ ref('stg_events') }} as events
    on events.starts_at < cast(report.date_day + 1 as timestamp)
    and (events.ends_at > cast(report.date_day as timestamp)
         or events.starts_at >= cast(report.date_day as timestamp))
group by report.date_day, report.active_teams
having report.active_teams <> count(distinct events.team_id)
union all
select min(date_day), count(*), max(date_day) - min(date_day) + 1
from {{ ref('rpt_teams_active_daily') }}
having count(*) <> max(date_day) - min(date_day) + 1
