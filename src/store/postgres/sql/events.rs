//! The statements that read events: one text for all indexes and both orders.

use tokio_postgres::types::Type;

/// Events in the order of an index, as for keys. Each index has the number in an expression of its own, so that only
/// one index has this order.
macro_rules! events {
    ($number:literal, $after:literal, $order:literal $(, $indexed:literal)*) => {
        concat!(
            "select sequence, organization, at, actor, action, key_id, owner_kind, owner, before, after, source, audience \
             from {s}.api_key_events where organization {=} $1 and is_attempt {=} $12 and ", $number, " ", $after, " $2",
            $(" and ", $indexed,)*
            " and ($3 is null or key_id {=} $3) \
             and ($4 is null or owner_kind {=} $4) and ($5 is null or owner {=} $5) \
             and ($6 is null or actor {=} $6) and ($7 is null or action {=} $7) \
             and ($8 is null or source {=} $8) \
             and ($9 is null or at {>=} $9) and ($10 is null or at {<} $10) \
             order by ", $number, " ", $order, " limit $11"
        )
    };
}

pub(super) const EVENTS: &[Type] = &[
    Type::TEXT,
    Type::INT8,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMPTZ,
    Type::INT8,
    Type::BOOL,
];

pub(super) use events;
