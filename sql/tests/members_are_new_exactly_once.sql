-- The sum of new members is the number of members, and each week's total that of a direct count.
select report.week, report.new_members + report.returning_members as reported, direct.members as counted
from {{ ref('rpt_members_weekly') }} as report
inner join (
    select cast(date_trunc('week', created_at) as date) as week, count(distinct membership_id) as members
    from {{ ref('stg_event_rsvps') }} where membership_id is not null group by 1
) as direct on direct.week = report.week
where report.new_members + report.returning_members <> direct.members
union all
select null, report.members, direct.members
from (select sum(new_members) as members from {{ ref('rpt_members_weekly') }}) as report
cross join (select count(distinct membership_id) as members from {{ ref('stg_event_rsvps') }}) as direct
where report.members <> direct.members
