select
    id as team_id,
    name as team_name,
    {{ as_timestamp('created_at') }} as created_at,
    {{ as_timestamp('archived_at') }} as archived_at
from {{ source('club', 'teams') }}
