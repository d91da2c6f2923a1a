select
    id as event_id,
    team_id,
    title,
    kind as event_kind,
    {{ as_timestamp('starts_at') }} as starts_at,
    {{ as_timestamp('ends_at') }} as ends_at,
    cast(latitude as double precision) as latitude,
    cast(longitude as double precision) as longitude,
    {{ as_timestamp('created_at') }} as created_at,
    {{ as_timestamp('updated_at') }} as updated_at
from {{ source('club', 'events') }}
