select
    id as membership_id,
    team_id,
    role as membership_role,
    state as membership_state,
    {{ as_timestamp('joined_at') }} as joined_at,
    {{ as_timestamp('updated_at') }} as updated_at
from {{ source('club', 'memberships') }}
