select
    id as rsvp_id,
    event_id,
    membership_id,
    status as rsvp_status,
    -- A boolean arrives as text or as itself; both compare with these literals.
    case when attended = 'true' then 1 when attended = 'false' then 0 end as attended,
    {{ as_timestamp('created_at') }} as created_at,
    {{ as_timestamp('updated_at') }} as updated_at
from {{ source('club', 'event_rsvps') }}
