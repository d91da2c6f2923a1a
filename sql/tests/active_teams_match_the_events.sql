-- Each day against a running count: a team's overlapping events are one stretch of days, which adds
-- the team on its first day and takes it away on the day after its last. And no day missing.
with spans as (
    select distinct
        team_id,
        cast(starts_at as date) as first_day,
        cast(ends_at as date) + case
            when ends_at > cast(cast(ends_at as date) as timestamp) or ends_at <= starts_at then 1
            else 0
        end as gone_day
    from {{ ref('stg_events') }}
),
marked as (
    select
        team_id, first_day, gone_day,
        case when first_day <= max(gone_day) over (
            partition by team_id order by first_day, gone_day rows between unbounded preceding and 1 preceding
        ) then 0 else 1 end as begins
    from spans
    where gone_day > first_day
),
numbered as (
    select
        team_id, first_day, gone_day,
        sum(begins) over (
            partition by team_id order by first_day, gone_day rows between unbounded preceding and current row
        ) as stretch
    from marked
),
stretches as (
    select team_id, stretch, min(first_day) as first_day, max(gone_day) as gone_day
    from numbered
    group by team_id, stretch
),
changes as (
    select date_day, sum(change) as change
    from (
        select first_day as date_day, 1 as change from stretches
        union all
        select gone_day, -1 from stretches
        union all
        select date_day, 0 from {{ ref('rpt_teams_active_daily') }}
    ) as each_change
    group by date_day
),
counted as (
    select date_day, sum(change) over (order by date_day rows between unbounded preceding and current row) as teams
    from changes
)
select report.date_day, report.active_teams, counted.teams as counted
from {{ ref('rpt_teams_active_daily') }} as report
inner join counted on counted.date_day = report.date_day
where report.active_teams <> counted.teams
union all
select direct.first_day, report.days, direct.gone_day - direct.first_day
from (
    select min(date_day) as first_day, max(date_day) + 1 as gone_day, count(*) as days
    from {{ ref('rpt_teams_active_daily') }}
) as report
cross join (select min(first_day) as first_day, max(gone_day) as gone_day from spans) as direct
where report.days <> direct.gone_day - direct.first_day
   or report.first_day <> direct.first_day
   or report.gone_day <> direct.gone_day
