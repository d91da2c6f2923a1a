select report.events, direct.events as counted
from (select sum(events) as events from {{ ref('rpt_events_per_region') }}) as report
cross join (select count(*) as events from {{ ref('stg_events') }}) as direct
where report.events <> direct.events
