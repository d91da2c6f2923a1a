-- Members who replied in a week: new ones for the first time ever, returning ones again. A member
-- is a membership, as the data has no person behind it. Weeks begin on Monday.
with weeks as (
    select distinct membership_id, cast(date_trunc('week', created_at) as date) as week
    from {{ ref('stg_event_rsvps') }}
    where membership_id is not null
),
firsts as (
    select membership_id, min(week) as first_week from weeks group by membership_id
)
select
    weeks.week,
    sum(case when weeks.week = firsts.first_week then 1 else 0 end) as new_members,
    sum(case when weeks.week > firsts.first_week then 1 else 0 end) as returning_members
from weeks
inner join firsts on firsts.membership_id = weeks.membership_id
group by weeks.week
