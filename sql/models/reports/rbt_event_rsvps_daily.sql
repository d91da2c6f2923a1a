{{ config(materialized='incremental', unique_key='rsvp_day_status', incremental_strategy='delete+insert') }}
-- One row per day on which replies were given, and status. A run reads the last loaded day again,
-- because more replies of that day may have arrived since, and `rsvps_lookback_days` days before it.
select
    cast(created_at as date) || '/' || rsvp_status as rsvp_day_status,
    cast(created_at as date) as rsvp_day,
    rsvp_status,
    count(*) as rsvps,
    count(distinct event_id) as events
from {{ ref('stg_event_rsvps') }}
{% if is_incremental() %}
where cast(created_at as date) >= (
    select max(rsvp_day) - {{ var('rsvps_lookback_days') | int }} from {{ this }}
)
{% endif %}
group by cast(created_at as date), rsvp_status
