-- Events hosted per region. Boxes overlap at borders: the lowest priority number wins. An event
-- without coordinates is `unknown`, one outside every box `elsewhere`.
with located as (
    select events.event_id, min(regions.priority) as priority
    from {{ ref('stg_events') }} as events
    inner join {{ ref('regions') }} as regions
        on events.latitude >= regions.south and events.latitude < regions.north
        and events.longitude >= regions.west and events.longitude < regions.east
    group by events.event_id
)
select
    case
        when events.latitude is null or events.longitude is null then 'unknown'
        else coalesce(regions.region, 'elsewhere')
    end as region,
    count(*) as events,
    count(distinct events.team_id) as teams
from {{ ref('stg_events') }} as events
left join located on located.event_id = events.event_id
left join {{ ref('regions') }} as regions on regions.priority = located.priority
group by 1
