//! Every statement, built once for each store. No name in it depends on a session's search path.
//!
//! `{s}` is the schema, and `{=}` is `operator(pg_catalog.=)`; the same for the other operators. PostgreSQL looks for a
//! bare function or operator in all schemas of the path and takes the one that fits best: an attacker's overload in a
//! schema of that path would run as the node.

mod events;
mod grants;
mod list;

use events::{EVENTS, events};
use grants::MISSING_GRANTS;
use list::{LIST, around, columns, conditions, kind, list, list_of_owners, owner, owners, sorted, time};
use tokio_postgres::types::Type;

use super::{
    key_rows::{KEYS, given_key_columns, read_key_columns},
    portable_sql,
};
use crate::record::key_columns;

/// A statement and the types of its parameters. With known types, a query needs no round trip to find them.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) text: String,
    pub(super) types: &'static [Type],
}

/// Columns of a key `k` and of the statuses of its owner `o` and its organization `g`, as `found_key` reads them.
macro_rules! found_columns {
    () => {
        concat!(
            read_key_columns!(),
            ", o.suspended_at, o.plan_suspended_at, o.closed_at, g.suspended_at, g.plan_suspended_at, g.closed_at"
        )
    };
}

/// The owner `o` and the organization `g` of a key `k`.
macro_rules! owner_and_organization {
    () => {
        "left join {s}.api_key_owners o \
            on o.organization {=} k.organization and o.kind {=} k.kind and o.id {=} k.owner \
         left join {s}.api_key_owners g \
            on g.organization {=} k.organization and g.kind {=} 'organization' and g.id {=} '' "
    };
}

/// The statement with its schema and its operators filled in.
pub(super) fn qualified(text: &str, schema: &str) -> String {
    const OPERATORS: [&str; 10] = ["=", "<>", "<", "<=", ">", ">=", "+", "-", "*", "||"];
    OPERATORS.iter().fold(text.replace("{s}", schema), |text, operator| {
        text.replace(&format!("{{{operator}}}"), &format!("operator(pg_catalog.{operator})"))
    })
}

/// `$1, $2, …`: all parameters of a statement, to replace `{all}`.
fn parameters(count: usize) -> String {
    (1..=count).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
}

macro_rules! statements {
    ($($name:ident: $types:expr, $text:expr;)*) => {
        /// The statements of one schema.
        #[derive(Debug)]
        pub(super) struct Sql {
            $(pub(super) $name: Query,)*
        }

        impl Sql {
            /// `schema` is quoted here; [`Settings`](super::settings::PostgresSettings) has checked it.
            pub(super) fn new(schema: &str) -> Self {
                let schema = format!("\"{schema}\"");
                Self { $($name: {
                    const TYPES: &[Type] = $types;
                    Query { text: qualified(&$text.replace("{all}", &parameters(TYPES.len())), &schema), types: TYPES }
                },)* }
            }

            #[cfg(test)]
            fn all(&self) -> Vec<(&'static str, &str)> {
                vec![$((stringify!($name), self.$name.text.as_str())),*]
            }
        }
    };
}

statements! {
    // Always a row, so that a standby shows even if there is no key.
    find: &[Type::TEXT], concat!(
        "select ", found_columns!(), ", pg_catalog.pg_is_in_recovery() from (values ($1)) asked (id) \
         left join {s}.api_keys k on k.id {=} asked.id ", owner_and_organization!()
    );
    // Asked first: usually nothing changed, and this takes the server two thirds of the time of the next statement.
    head: &[], "select position, change, pg_catalog.pg_is_in_recovery() from {s}.api_key_head";
    // One statement, so one snapshot, for the head, the rows after the reader's place, and whether that place exists.
    changes_since: &[Type::INT8, Type::BYTEA], "\
        select h.position, h.change, pg_catalog.pg_is_in_recovery(), \
            exists (select 1 from {s}.api_key_log p where p.position {=} $1 and p.change {=} $2), \
            l.key_id, l.organization, l.owner_kind, l.owner, l.position \
        from {s}.api_key_head h left join lateral (\
            select * from {s}.api_key_log where position {>} $1 and position {<=} h.position and h.position {-} $1 {<=} 1000\
        ) l on true order by l.position";
    // A commit reaches the disk, and a synchronous standby if there is one, even if the database's default differs.
    lock_head: &[], "\
        select position, \
            case when pg_catalog.current_setting('synchronous_commit') {=} any (array['off', 'local', 'remote_write']) \
                then pg_catalog.set_config('synchronous_commit', 'on', true) end \
        from {s}.api_key_head for update";
    applied: &[Type::BYTEA], "select effects from {s}.api_key_changes where id {=} $1";
    done_under: &[Type::TEXT], "select key_id, request_digest from {s}.api_key_changes where idempotency_key {=} $1";
    remember: &[Type::BYTEA, Type::TIMESTAMPTZ, Type::TEXT, Type::BYTEA, Type::TEXT, Type::TEXT], "\
        insert into {s}.api_key_changes (id, at, idempotency_key, request_digest, key_id, effects) values ({all})";
    is_live: &[Type::TEXT, Type::TIMESTAMPTZ], "\
        select exists (select 1 from {s}.api_keys \
            where id {=} $1 and revoked_at is null and (expires_at is null or $2 {<} expires_at))";
    // Plain SQL may write microseconds, which this crate does not read.
    has_rights: &[Type::TEXT, Type::TEXT, Type::TIMESTAMPTZ, Type::TEXT], "\
        select exists (select 1 from {s}.api_keys where id {=} $1 and paused_at is null \
            and pg_catalog.array_to_string(scopes, ' ') {=} $2 \
            and (pg_catalog.array_to_string(allowed_networks, ' ') {=} $4 or allowed_networks is null and $4 is null) \
            and (pg_catalog.date_trunc('milliseconds', expires_at) {=} $3 or expires_at is null and $3 is null))";
    has_version: &[Type::TEXT, Type::INT8], "\
        select exists (select 1 from {s}.api_keys where id {=} $1 and version {=} $2)";
    has_live_successor: &[Type::TEXT, Type::TIMESTAMPTZ], "\
        select exists (select 1 from {s}.api_keys \
            where replaces {=} $1 and revoked_at is null and (expires_at is null or $2 {<} expires_at))";
    // Whether there are fewer keys than the limit; it reads no more of them than it needs.
    issued_below: &[
        Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT, Type::TIMESTAMPTZ, Type::TIMESTAMPTZ, Type::INT8,
    ], "\
        select pg_catalog.count(*) {<} $7 from (\
            select 1 from {s}.api_keys where organization {=} $1 and created_by {=} $4 \
                and created_at {>=} $5 and created_at {<=} $6 \
            union all select 1 from {s}.api_keys maker join {s}.api_keys made on made.organization {=} $1 \
                and made.created_via_key {=} maker.id and made.created_at {>=} $5 and made.created_at {<=} $6 \
                and made.created_by {<>} $4 \
            where maker.organization {=} $1 and maker.kind {=} $2 and maker.owner {=} $3 limit $7) made";
    live_keys_below: &[Type::TEXT, Type::TEXT, Type::TEXT, Type::TIMESTAMPTZ, Type::INT8], "\
        select pg_catalog.count(*) {<} $5 from (select 1 from {s}.api_keys \
            where organization {=} $1 and kind {=} $2 and owner {=} $3 \
                and revoked_at is null and (expires_at is null or $4 {<} expires_at) limit $5) live";
    status: &[Type::TEXT, Type::TEXT, Type::TEXT], "\
        select suspended_at, plan_suspended_at, closed_at from {s}.api_key_owners \
        where organization {=} $1 and kind {=} $2 and id {=} $3";
    statuses: &[Type::TEXT, Type::TEXT, Type::TEXT], "\
        select suspended_at, plan_suspended_at, closed_at, kind {=} 'organization' from {s}.api_key_owners \
        where organization {=} $1 and (kind {=} $2 and id {=} $3 or kind {=} 'organization' and id {=} '')";
    state: &[Type::TEXT, Type::TEXT],
        "select revoked_at is not null, version, paused_at is not null from {s}.api_keys where organization {=} $1 and id {=} $2";
    update: &[Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT, Type::TIMESTAMPTZ, Type::TEXT, Type::TEXT], "\
        update {s}.api_keys set name = $3, labels = $4::pg_catalog.jsonb, \
            scopes = pg_catalog.string_to_array($5, ' '), expires_at = $6, \
            allowed_networks = pg_catalog.string_to_array($7, ' '), responsible = $8, version = version {+} 1 \
        where organization {=} $1 and id {=} $2";
    pause: &[Type::TEXT, Type::TEXT, Type::TIMESTAMPTZ, Type::TEXT], "\
        update {s}.api_keys set paused_at = $3, paused_by = $4, version = version {+} 1 \
        where organization {=} $1 and id {=} $2 and revoked_at is null and paused_at is null";
    resume: &[Type::TEXT, Type::TEXT, Type::TIMESTAMPTZ, Type::TEXT], "\
        update {s}.api_keys set paused_at = null, paused_by = null, version = version {+} 1 \
        where organization {=} $1 and id {=} $2 and revoked_at is null and paused_at {=} $3 \
            and (paused_by {=} $4 or paused_by is null and $4 is null)";
    revoke: &[Type::TEXT, Type::TEXT, Type::TIMESTAMPTZ, Type::TEXT], "\
        update {s}.api_keys set revoked_at = $3, revoked_by = $4 \
        where organization {=} $1 and id {=} $2 and revoked_at is null";
    revoke_all: &[Type::TEXT, Type::TEXT_ARRAY, Type::TIMESTAMPTZ, Type::TEXT], "\
        update {s}.api_keys set revoked_at = $3, revoked_by = $4 \
        where organization {=} $1 and id {=} any($2) and revoked_at is null returning id";
    warn_of_end: &[Type::TEXT, Type::TEXT, Type::TIMESTAMPTZ, Type::INT8], "\
        update {s}.api_keys set warned_end = $3, warned_before_ms = $4 \
        where organization {=} $1 and id {=} $2 and revoked_at is null and expires_at {=} $3 \
            and (warned_end is null or warned_end {<>} $3 or warned_before_ms is null or warned_before_ms {>} $4)";
    // By the index of keys whose end is not fully announced; the condition has to be word for word that of the index.
    ending: &[Type::TIMESTAMPTZ, Type::TIMESTAMPTZ, Type::INT8, Type::INT8], concat!(
        "select ", read_key_columns!(), " from {s}.api_keys k \
         where k.revoked_at is null and k.expires_at is not null \
            and (k.warned_end is null or k.warned_end {<>} k.expires_at \
                or k.warned_before_ms is null or k.warned_before_ms {<>} 0) \
            and k.expires_at {>} $1 and k.expires_at {<=} $2 \
            and (k.warned_end is null or k.warned_end {<>} k.expires_at \
                or k.warned_before_ms is null or k.warned_before_ms {>} $3) \
         order by k.expires_at, k.id limit $4"
    );
    set_status: &[
        Type::TEXT, Type::TEXT, Type::TEXT, Type::TIMESTAMPTZ, Type::TIMESTAMPTZ, Type::TIMESTAMPTZ,
    ], "\
        insert into {s}.api_key_owners (organization, kind, id, suspended_at, plan_suspended_at, closed_at) \
        values ($1, $2, $3, $4, $5, $6) on conflict (organization, kind, id) do update \
        set suspended_at = excluded.suspended_at, plan_suspended_at = excluded.plan_suspended_at, \
            closed_at = excluded.closed_at";
    insert_events: &[
        Type::TEXT_ARRAY, Type::TIMESTAMPTZ_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY,
        Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY,
    ], "\
        insert into {s}.api_key_events \
            (organization, at, actor, action, key_id, owner_kind, owner, before, after, source, audience) \
        select organization, at, actor, action, key_id, owner_kind, owner, before, after, source, audience \
        from unnest({all}) with ordinality as e \
            (organization, at, actor, action, key_id, owner_kind, owner, before, after, source, audience, place) \
        order by place";
    rehash: &[Type::TEXT, Type::TEXT, Type::TEXT, Type::BYTEA, Type::INT8, Type::BYTEA], "\
        update {s}.api_keys set hash = $3, tag = $4, pepper_id = $5, proof = $6, rehashes = rehashes {+} 1 \
        where id {=} $1 and hash {=} $2 and revoked_at is null";
    list: LIST, list!(created, "asc", "{s}.api_keys");
    list_of_kind: LIST, list!(created, "asc", "{s}.api_keys", "(k.kind {||} '') {=} $2");
    list_of_owner: LIST, list!(created, "asc", "{s}.api_keys", "k.kind {=} ($15)[1]", "k.owner {=} ($16)[1]");
    list_of_creator: LIST, list!(created, "asc", "{s}.api_keys", "k.created_by {=} $4");
    list_of_created_via_key: LIST, list!(created, "asc", "{s}.api_keys", "k.created_via_key {=} $5", owners!());
    list_of_lineage: LIST, list!(created, "asc", "{s}.api_keys", "k.lineage {=} $24", owners!());
    list_of_owners: LIST, list_of_owners!(created, "asc");
    // The only ones that are sorted: a key has few successors, and a query names few keys.
    list_of_predecessor: LIST, list!(created, "asc", "(select * from {s}.api_keys where replaces {=} $12 offset 0)", owners!());
    list_of_keys: LIST, list!(created, "asc", "(select * from {s}.api_keys where id {=} any($3) offset 0)", owners!());
    latest: LIST, list!(created, "desc", "{s}.api_keys");
    latest_of_kind: LIST, list!(created, "desc", "{s}.api_keys", "(k.kind {||} '') {=} $2");
    latest_of_owner: LIST, list!(created, "desc", "{s}.api_keys", "k.kind {=} ($15)[1]", "k.owner {=} ($16)[1]");
    latest_of_creator: LIST, list!(created, "desc", "{s}.api_keys", "k.created_by {=} $4");
    latest_of_created_via_key: LIST, list!(created, "desc", "{s}.api_keys", "k.created_via_key {=} $5", owners!());
    latest_of_lineage: LIST, list!(created, "desc", "{s}.api_keys", "k.lineage {=} $24", owners!());
    latest_of_owners: LIST, list_of_owners!(created, "desc");
    latest_of_predecessor: LIST, list!(created, "desc", "(select * from {s}.api_keys where replaces {=} $12 offset 0)", owners!());
    latest_of_keys: LIST, list!(created, "desc", "(select * from {s}.api_keys where id {=} any($3) offset 0)", owners!());
    // By an index of ends, or sorted if few keys are left. The text keeps the planner from reading all ends to find the
    // keys of one creator.
    soonest: LIST, list!(end, "asc", "{s}.api_keys");
    soonest_of_kind: LIST, list!(end, "asc", "{s}.api_keys", "(k.kind {||} '' {||} '') {=} $2");
    soonest_of_owner: LIST, list!(end, "asc", "{s}.api_keys", "k.kind {=} ($15)[1]", "(k.owner {||} '') {=} ($16)[1]");
    soonest_of_creator: LIST, sorted!("organization {=} $1 and created_by {=} $4");
    soonest_of_created_via_key: LIST, sorted!("organization {=} $1 and created_via_key {=} $5", owners!());
    soonest_of_lineage: LIST, sorted!("organization {=} $1 and lineage {=} $24", owners!());
    soonest_of_owners: LIST, list_of_owners!(end, "asc");
    soonest_of_predecessor: LIST, sorted!("replaces {=} $12", owners!());
    soonest_of_keys: LIST, sorted!("id {=} any($3)", owners!());
    events: EVENTS, events!("sequence {+} 0", "{>}", "asc");
    events_of_key: EVENTS, events!("sequence {-} 0", "{>}", "asc", "key_id {=} $3");
    events_of_owner: EVENTS, events!("0 {+} sequence", "{>}", "asc", "owner_kind {=} $4", "owner {=} $5");
    events_of_actor: EVENTS, events!("sequence {*} 1", "{>}", "asc", "actor {=} $6");
    latest_events: EVENTS, events!("sequence {+} 0", "{<}", "desc");
    latest_events_of_key: EVENTS, events!("sequence {-} 0", "{<}", "desc", "key_id {=} $3");
    latest_events_of_owner: EVENTS, events!("0 {+} sequence", "{<}", "desc", "owner_kind {=} $4", "owner {=} $5");
    latest_events_of_actor: EVENTS, events!("sequence {*} 1", "{<}", "desc", "actor {=} $6");
    feed: &[Type::INT8, Type::INT8], "\
        select sequence, organization, at, actor, action, key_id, owner_kind, owner, before, after, source, audience \
        from {s}.api_key_events where not is_attempt and 1 {*} sequence {>} $1 order by 1 {*} sequence limit $2";
    // One statement, so that the sequence and the counts are written together or not at all. In the order of keys, so
    // that two such statements lock rows in the same order.
    record_usage: &[
        Type::BYTEA, Type::INT8, Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY,
        Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::INT8_ARRAY, Type::TIMESTAMPTZ_ARRAY, Type::TIMESTAMPTZ_ARRAY,
        Type::TEXT_ARRAY, Type::DATE_ARRAY, Type::INT8_ARRAY, Type::INT8_ARRAY,
    ], "\
        with next as (\
            insert into {s}.api_key_usage_writers as w (writer, sequence) values ($1, $2) \
            on conflict (writer) do update set sequence = excluded.sequence where excluded.sequence {>} w.sequence \
            returning 1\
        ), days as (\
            insert into {s}.api_key_usage_days as d (key_id, day, accepted, refused) \
            select key_id, day, accepted, refused from unnest($12, $13, $14, $15) as b (key_id, day, accepted, refused) \
            where exists (select 1 from next) order by key_id, day \
            on conflict (key_id, day) do update set accepted = d.accepted {+} excluded.accepted, \
                refused = d.refused {+} excluded.refused\
        ) \
        insert into {s}.api_key_usage as u \
            (key_id, organization, outcome, label, client, network, count, first_at, last_at) \
        select key_id, organization, outcome, label, client, network, pg_catalog.sum(count)::bigint, \
            pg_catalog.min(first_at), pg_catalog.max(last_at) \
        from unnest($3, $4, $5, $6, $7, $8, $9, $10, $11) \
            as b (key_id, organization, outcome, label, client, network, count, first_at, last_at) \
        where exists (select 1 from next) \
        group by key_id, organization, outcome, label, client, network \
        order by key_id, organization, outcome, label, client, network \
        on conflict (key_id, organization, outcome, label, client, network) do update \
        set count = u.count {+} excluded.count, \
            first_at = least(u.first_at, excluded.first_at), last_at = greatest(u.last_at, excluded.last_at)";
    usage: &[Type::TEXT_ARRAY], "\
        select u.key_id, u.organization, u.outcome, u.label, u.client, u.network, u.count, u.first_at, u.last_at \
        from (select distinct pg_catalog.unnest($1)) k (id) \
        cross join lateral (select * from {s}.api_key_usage where key_id {=} k.id offset 0) u \
        order by u.key_id, u.organization, u.outcome, u.label, u.client, u.network";
    usage_without_key: &[Type::TEXT_ARRAY], "\
        select u.key_id, u.organization, u.outcome, u.label, u.client, u.network, u.count, u.first_at, u.last_at \
        from (select distinct pg_catalog.unnest($1)) o (id) cross join lateral (\
            select * from {s}.api_key_usage where key_id {=} '' and organization {=} o.id offset 0\
        ) u order by u.organization, u.outcome, u.label, u.client, u.network";
    usage_days: &[Type::TEXT_ARRAY, Type::DATE, Type::DATE], "\
        select d.key_id, d.day, d.accepted, d.refused from (select distinct pg_catalog.unnest($1)) k (id) \
        cross join lateral (\
            select * from {s}.api_key_usage_days where key_id {=} k.id and day {>=} $2 and day {<} $3 offset 0\
        ) d order by d.key_id, d.day";
    meta: &[Type::TEXT], "select value from {s}.api_key_meta where name {=} $1";
    put_meta: &[Type::TEXT, Type::BYTEA],
        "insert into {s}.api_key_meta (name, value) values ($1, $2) on conflict (name) do nothing";
    note: &[Type::TEXT], "select value from {s}.api_key_notes where name {=} $1";
    put_note: &[Type::TEXT, Type::BYTEA, Type::BYTEA], "\
        insert into {s}.api_key_notes as n (name, value) values ($1, $3) \
        on conflict (name) do update set value = excluded.value where n.value {=} $2";
    replace_note: &[Type::TEXT, Type::BYTEA, Type::BYTEA],
        "update {s}.api_key_notes set value = $3 where name {=} $1 and value {=} $2";
    trail: &[Type::BOOL, Type::TIMESTAMPTZ], "\
        select pg_catalog.count(*), pg_catalog.count(*) filter (where at {<} $2), pg_catalog.max(at) \
            from {s}.api_key_events where is_attempt {=} $1";
    // A limited number at a time: others that wait for one of these rows, or for the disk, do not wait long.
    prune_events: &[Type::TIMESTAMPTZ, Type::INT8, Type::INT8], "\
        delete from {s}.api_key_events where sequence {=} any \
            (select sequence from {s}.api_key_events where not is_attempt and at {<} $1 \
                and ($3 is null or sequence {<=} $3) order by at limit least($2, 10000))";
    prune_attempts: &[Type::TIMESTAMPTZ, Type::INT8], "\
        delete from {s}.api_key_events where sequence {=} any \
            (select sequence from {s}.api_key_events where is_attempt and at {<} $1 order by at limit least($2, 10000))";
    // The last rows are known by their positions.
    prune_log: &[Type::INT8], "\
        delete from {s}.api_key_log where position {=} any (select position from {s}.api_key_log \
            where position {<=} ((select position from {s}.api_key_head) {-} $1) order by position limit 10000)";
    prune_changes: &[Type::TIMESTAMPTZ], "\
        delete from {s}.api_key_changes where id {=} any \
            (select id from {s}.api_key_changes where at {<} $1 limit 10000)";
    // The next keys that were used, and whether the store still has each. One step in the index for each of them.
    used_keys: &[Type::TEXT], "\
        with recursive used (id, place) as (\
            (select key_id, 1 from {s}.api_key_usage where key_id {>} $1 order by key_id limit 1) \
            union all \
            (select n.key_id, used.place {+} 1 from used cross join lateral (\
                select key_id from {s}.api_key_usage where key_id {>} used.id order by key_id limit 1\
            ) n where used.place {<} 1000)\
        ) select id, exists (select 1 from {s}.api_keys k where k.id {=} used.id) from used order by place";
    ended_keys: &[Type::TIMESTAMPTZ], "\
        select pg_catalog.count(*), pg_catalog.count(*) filter (where least(revoked_at, expires_at) {<} $1) \
        from {s}.api_keys where least(revoked_at, expires_at) is not null";
    // A key stays if another key replaces it or is replaced by it and has not ended before the time, or was made with
    // it.
    dead_keys: &[Type::TIMESTAMPTZ, Type::INT8], concat!(
        "select ", read_key_columns!(), " from {s}.api_keys k where least(k.revoked_at, k.expires_at) {<} $1 \
         and not exists (select 1 from {s}.api_keys n where n.replaces {=} k.id \
             and (least(n.revoked_at, n.expires_at) {<} $1) is not true) \
         and not exists (select 1 from {s}.api_keys p where p.id {=} k.replaces \
             and (least(p.revoked_at, p.expires_at) {<} $1) is not true) \
         and not exists (select 1 from {s}.api_keys m where m.organization {=} k.organization \
             and m.created_via_key {=} k.id) \
         order by least(k.revoked_at, k.expires_at), k.id limit $2"
    );
    // A trigger writes the tombstones.
    purge_keys: &[Type::TEXT_ARRAY, Type::TIMESTAMPTZ], "select id from {s}.api_key_purge($1, $2) as purged (id)";
    erase: &[Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT], "select {s}.api_key_erase({all})";
    forget_usage: &[Type::TEXT_ARRAY], "\
        delete from {s}.api_key_usage where key_id {=} any($1) \
            and not exists (select 1 from {s}.api_keys k where k.id {=} key_id)";
    forget_usage_days: &[Type::TEXT_ARRAY], "\
        delete from {s}.api_key_usage_days where key_id {=} any($1) \
            and not exists (select 1 from {s}.api_keys k where k.id {=} key_id)";
    prune_days: &[Type::DATE], "\
        delete from {s}.api_key_usage_days where ctid {=} any \
            (select ctid from {s}.api_key_usage_days where day {<} $1 limit 10000)";
    // Statements that move whole tables.
    export_meta: portable_sql::PLACE_BY_TEXT, portable_sql::EXPORT_META;
    export_owners: portable_sql::PLACE_BY_WORDS, portable_sql::EXPORT_OWNERS;
    export_keys: portable_sql::PLACE_BY_TEXT, portable_sql::EXPORT_KEYS;
    export_usage: portable_sql::PLACE_OF_USAGE, portable_sql::EXPORT_USAGE;
    export_usage_days: portable_sql::PLACE_BY_DAY, portable_sql::EXPORT_USAGE_DAYS;
    export_events: portable_sql::PLACE_BY_NUMBER, portable_sql::EXPORT_EVENTS;
    import_meta: portable_sql::META, portable_sql::IMPORT_META;
    differing_meta: portable_sql::META, portable_sql::DIFFERING_META;
    import_owners: portable_sql::OWNERS, portable_sql::IMPORT_OWNERS;
    differing_owners: portable_sql::OWNERS, portable_sql::DIFFERING_OWNERS;
    export_tombstones: portable_sql::PLACE_BY_TEXT, portable_sql::EXPORT_TOMBSTONES;
    // No key is inserted under the id of a purged key.
    insert_keys: KEYS, concat!(
        "insert into {s}.api_keys (", key_columns!(), ") select ", given_key_columns!(),
        " from unnest({all}) as k (", key_columns!(), ") \
         where not exists (select 1 from {s}.api_key_tombstones t where t.id {=} k.id) on conflict (id) do nothing"
    );
    differing_keys: KEYS, concat!(
        "select id from (select ", given_key_columns!(), " from unnest({all}) as k (", key_columns!(), ") \
         except select ", key_columns!(), " from {s}.api_keys where id {=} any (select pg_catalog.unnest($2))\
         ) as different order by id limit 1"
    );
    import_tombstones: portable_sql::TOMBSTONES, portable_sql::IMPORT_TOMBSTONES;
    differing_tombstones: portable_sql::TOMBSTONES, portable_sql::DIFFERING_TOMBSTONES;
    import_usage_days: portable_sql::USAGE_DAYS, portable_sql::IMPORT_USAGE_DAYS;
    differing_usage_days: portable_sql::USAGE_DAYS, portable_sql::DIFFERING_USAGE_DAYS;
    import_usage: portable_sql::USAGE, portable_sql::IMPORT_USAGE;
    differing_usage: portable_sql::USAGE, portable_sql::DIFFERING_USAGE;
    import_events: portable_sql::EVENTS, portable_sql::IMPORT_EVENTS;
    differing_events: portable_sql::EVENTS, portable_sql::DIFFERING_EVENTS;
    // The sequence never goes back: no number is given twice.
    number_events_above: &[Type::INT8], "\
        select pg_catalog.setval(name, greatest($1, pg_catalog.pg_sequence_last_value(name), 1)) \
        from (select pg_catalog.pg_get_serial_sequence('{s}.api_key_events', 'sequence')::pg_catalog.regclass) as s (name)";
    missing_grants: &[], MISSING_GRANTS;
    server_time: &[], "select pg_catalog.clock_timestamp()";
    version: &[], "select coalesce(pg_catalog.max(version), 0) from {s}.api_key_schema";
    record_version: &[Type::INT4], "insert into {s}.api_key_schema (version) values ($1)";
}

#[cfg(test)]
mod tests;
