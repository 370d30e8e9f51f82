-- Text is compared byte by byte: BINARY is the collation of every column here. Times are milliseconds since 1970.
-- All names have a prefix, so that the tables can share a file with those of the service.

create table api_key_schema (
    version integer primary key
) strict;

-- Columns that are reserved are null in this version.
create table api_keys (
    id text not null primary key,
    organization text not null,
    kind text not null, -- user or team
    owner text not null,
    name text not null,
    labels text not null, -- a JSON object of strings
    hash text not null,
    tag blob not null,
    pepper_id integer,
    proof blob, -- proves the text to a node that knows the pepper
    scopes text not null, -- with blanks between them
    allowed_networks text, -- from where it may be used, with blanks between them; null: from anywhere
    limits text, -- in the service's own words; this library does not enforce them
    created_by text not null,
    created_via_key text,
    imported_from text, -- configuration if its text was known before it was made
    responsible text, -- whom to inform about it, in the service's own words
    created_at integer not null,
    expires_at integer,
    revoked_at integer,
    revoked_by text,
    paused_at integer,
    paused_by text,
    replaces text, -- the key it succeeds in a rotation
    lineage text not null, -- the first key of its chain of rotations
    predecessor_expires_at integer, -- the expiry of that key before the rotation
    grace_ends_at integer, -- the expiry that the rotation gave that key
    warned_end integer, -- the expiry that was announced last
    warned_before_ms integer, -- how many milliseconds before that expiry it was announced last
    version integer not null default 1,
    end_or_never integer not null generated always as (ifnull(expires_at, 9223372036854775807)) virtual, -- for indexes; copies of rows name the other columns
    rehashes integer not null default 0 -- how often this library replaced the hash with another one of the same text
) strict, without rowid;

-- One index for each way to list keys. The id, which is last in the order of lists, is part of each index
-- automatically.
create index api_keys_by_organization on api_keys (organization, created_at);
create index api_keys_by_kind on api_keys (organization, kind, created_at);
create index api_keys_by_owner on api_keys (organization, kind, owner, created_at);
create index api_keys_by_creator on api_keys (organization, created_by, created_at);
create index api_keys_by_created_via_key on api_keys (organization, created_via_key, created_at) where created_via_key is not null;
create index api_keys_by_lineage on api_keys (organization, lineage, created_at);
-- Keys without an end come last.
create index api_keys_by_end on api_keys (organization, end_or_never);
create index api_keys_by_kind_and_end on api_keys (organization, kind, end_or_never);
create index api_keys_by_owner_and_end on api_keys (organization, kind, owner, end_or_never);
create index api_keys_by_untold_end on api_keys (expires_at)
    where revoked_at is null and expires_at is not null and (warned_end is not expires_at or warned_before_ms is not 0);
create index api_keys_by_predecessor on api_keys (replaces) where replaces is not null;
-- When a key ended or will end, by revocation or expiry.
create index api_keys_by_death
    on api_keys (min(ifnull(revoked_at, 9223372036854775807), ifnull(expires_at, 9223372036854775807)))
    where revoked_at is not null or expires_at is not null;

-- What is left of keys that were purged, or deleted by plain SQL, so that their ids are never used again. A trigger
-- writes it when a key is deleted.
create table api_key_tombstones (
    id text not null primary key,
    organization text not null,
    lineage text not null,
    created_via_key text,
    revoked_at integer,
    expires_at integer
) strict, without rowid;

-- Users, teams and whole organizations. An owner without a row is active, as is one whose times are all null. The row
-- of an organization has the kind `organization` and an empty id, and applies to all its keys.
create table api_key_owners (
    organization text not null,
    kind text not null, -- user, team or organization
    id text not null,
    suspended_at integer,
    plan_suspended_at integer,
    closed_at integer,
    primary key (organization, kind, id)
) strict, without rowid;

-- The end of the change log: how many changes there were, and a random id of the last one.
create table api_key_head (
    only_row integer primary key check (only_row = 1),
    position integer not null,
    change blob not null,
    lease_ms integer not null default 0, -- reserved
    wait_ms integer not null default 0 check (wait_ms >= lease_ms) -- reserved
) strict;

insert into api_key_head (only_row, position, change) values (1, 0, zeroblob(16));

-- Which keys and statuses changed, in commit order. A row names a key, or an owner or an organization as above.
create table api_key_log (
    position integer primary key,
    change blob not null,
    key_id text,
    organization text,
    owner_kind text,
    owner text
) strict;

-- The log is written only here, so that plain SQL in any transaction is noticed, too. Revocation is logged in both
-- directions. A new key is not logged: no process can know it from before. A new name or label is not logged: the key
-- means the same. Nor is a hash of the same text, which this library counts in `rehashes`. A hash that was replaced in
-- any other way is logged.
create trigger api_keys_updated
after update of id, organization, kind, owner, scopes, allowed_networks, limits, expires_at,
    revoked_at, revoked_by, paused_at, paused_by, hash, tag, pepper_id, proof on api_keys
when old.id is not new.id or old.organization is not new.organization or old.kind is not new.kind
    or old.owner is not new.owner or old.scopes is not new.scopes or old.allowed_networks is not new.allowed_networks
    or old.limits is not new.limits or old.expires_at is not new.expires_at or old.revoked_at is not new.revoked_at
    or old.revoked_by is not new.revoked_by or old.paused_at is not new.paused_at
    or old.paused_by is not new.paused_by
    or old.rehashes is new.rehashes and (old.hash is not new.hash or old.tag is not new.tag
        or old.pepper_id is not new.pepper_id or old.proof is not new.proof)
begin
    update api_key_head set position = position + 1, change = randomblob(16);
    insert into api_key_log (position, change, key_id) select position, change, old.id from api_key_head;
end;

create trigger api_keys_renumbered
after update of id on api_keys
when old.id is not new.id
begin
    update api_key_head set position = position + 1, change = randomblob(16);
    insert into api_key_log (position, change, key_id) select position, change, new.id from api_key_head;
end;

create trigger api_keys_deleted
after delete on api_keys
begin
    insert into api_key_tombstones (id, organization, lineage, created_via_key, revoked_at, expires_at)
        values (old.id, old.organization, old.lineage, old.created_via_key, old.revoked_at, old.expires_at)
        on conflict (id) do nothing;
    update api_key_head set position = position + 1, change = randomblob(16);
    insert into api_key_log (position, change, key_id) select position, change, old.id from api_key_head;
end;

-- `insert or replace` fires no delete trigger, unless recursive triggers are on.
create trigger api_keys_replaced
before insert on api_keys
when exists (select 1 from api_keys where id = new.id)
begin
    update api_key_head set position = position + 1, change = randomblob(16);
    insert into api_key_log (position, change, key_id) select position, change, new.id from api_key_head;
end;

create trigger api_key_owners_inserted
after insert on api_key_owners
when new.suspended_at is not null or new.plan_suspended_at is not null or new.closed_at is not null
begin
    update api_key_head set position = position + 1, change = randomblob(16);
    insert into api_key_log (position, change, organization, owner_kind, owner)
        select position, change, new.organization, new.kind, new.id from api_key_head;
end;

create trigger api_key_owners_replaced
before insert on api_key_owners
when exists (
    select 1 from api_key_owners
    where organization = new.organization and kind = new.kind and id = new.id
        and (suspended_at is not null or plan_suspended_at is not null or closed_at is not null)
)
begin
    update api_key_head set position = position + 1, change = randomblob(16);
    insert into api_key_log (position, change, organization, owner_kind, owner)
        select position, change, new.organization, new.kind, new.id from api_key_head;
end;

create trigger api_key_owners_updated
after update of organization, kind, id, suspended_at, plan_suspended_at, closed_at on api_key_owners
when old.organization is not new.organization or old.kind is not new.kind or old.id is not new.id
    or old.suspended_at is not new.suspended_at or old.plan_suspended_at is not new.plan_suspended_at
    or old.closed_at is not new.closed_at
begin
    update api_key_head set position = position + 1, change = randomblob(16);
    insert into api_key_log (position, change, organization, owner_kind, owner)
        select position, change, old.organization, old.kind, old.id from api_key_head;
end;

create trigger api_key_owners_renumbered
after update of organization, kind, id on api_key_owners
when old.organization is not new.organization or old.kind is not new.kind or old.id is not new.id
begin
    update api_key_head set position = position + 1, change = randomblob(16);
    insert into api_key_log (position, change, organization, owner_kind, owner)
        select position, change, new.organization, new.kind, new.id from api_key_head;
end;

create trigger api_key_owners_deleted
after delete on api_key_owners
when old.suspended_at is not null or old.plan_suspended_at is not null or old.closed_at is not null
begin
    update api_key_head set position = position + 1, change = randomblob(16);
    insert into api_key_log (position, change, organization, owner_kind, owner)
        select position, change, old.organization, old.kind, old.id from api_key_head;
end;

-- Results of changes, for repeats of them. An effect is a letter: w changed, u unchanged. A request with an idempotency
-- key has a digest, and the key that it made.
create table api_key_changes (
    id blob not null primary key,
    at integer not null,
    idempotency_key text unique,
    request_digest blob,
    key_id text,
    effects text not null,
    check ((idempotency_key is null) = (request_digest is null))
) strict, without rowid;

create index api_key_changes_by_time on api_key_changes (at);

-- `autoincrement`, so that a number is never used again, even if the last events are deleted. Each index keeps the
-- access log apart from all other events: millions of its entries neither hide nor slow down the others.
create table api_key_events (
    sequence integer primary key autoincrement,
    organization text not null,
    at integer not null,
    actor text not null,
    action text not null,
    key_id text,
    owner_kind text not null,
    owner text not null,
    before text,
    after text,
    source text,
    audience text not null default 'subject', -- who may read it: subject, or organization for readers of the whole trail
    is_attempt integer not null generated always as (substr(action, 1, 8) = 'attempt.') virtual
) strict;

create index api_key_events_by_organization on api_key_events (organization, is_attempt);
create index api_key_events_by_key on api_key_events (key_id, is_attempt) where key_id is not null;
create index api_key_events_by_owner on api_key_events (organization, owner_kind, owner, is_attempt);
create index api_key_events_by_actor on api_key_events (organization, actor, is_attempt);
-- For readers that follow all events in their order.
create index api_key_events_by_place on api_key_events (is_attempt);
create index api_key_events_by_time on api_key_events (is_attempt, at);

-- Refusals that name no key have an empty `key_id`, and the organization that they concern, if there is one. Unknown
-- parts of a source are empty.
create table api_key_usage (
    key_id text not null,
    organization text not null check (key_id = '' or organization = ''),
    outcome text not null,
    label text not null,
    client text not null,
    network text not null,
    count integer not null,
    first_at integer not null,
    last_at integer not null,
    primary key (key_id, organization, outcome, label, client, network)
) strict, without rowid;

-- A day is a number of days since 1970-01-01, in UTC. Refusals that name no key have no days.
create table api_key_usage_days (
    key_id text not null,
    day integer not null,
    accepted integer not null,
    refused integer not null,
    primary key (key_id, day)
) strict, without rowid;
create index api_key_usage_days_by_day on api_key_usage_days (day);

create table api_key_usage_writers (
    writer blob not null primary key,
    sequence integer not null
) strict, without rowid;

create table api_key_meta (
    name text not null primary key,
    value blob not null
) strict, without rowid;

-- Notes that processes leave each other about this store, such as how much of the audit trail was deleted when. Not
-- copied.
create table api_key_notes (
    name text not null primary key,
    value blob not null
) strict, without rowid;

-- Two rows on pages of their own. They show that a file lacks its write-ahead log, or has the log of another file.
create table api_key_file_mark (
    only_row integer primary key check (only_row = 1),
    mark blob not null,
    -- How many marks there were: a file with fewer is an older copy.
    number integer not null
) strict;

create table api_key_log_mark (
    only_row integer primary key check (only_row = 1),
    mark blob not null,
    is_whole integer not null,
    beside text,
    -- Whether the marks are in the file, and not only in the log.
    is_in_file integer not null default 0
) strict;

insert into api_key_file_mark (only_row, mark, number) values (1, zeroblob(16), 0);
insert into api_key_log_mark (only_row, mark, is_whole) values (1, zeroblob(16), 1);

-- Keys in a form for people to read: times as text in UTC.
create view api_keys_readable as
select id, organization, kind, owner, name, labels, scopes, limits, created_by, created_via_key, replaces, lineage,
    strftime('%Y-%m-%d %H:%M:%f', created_at / 1000.0, 'unixepoch') as created_at,
    strftime('%Y-%m-%d %H:%M:%f', expires_at / 1000.0, 'unixepoch') as expires_at,
    strftime('%Y-%m-%d %H:%M:%f', revoked_at / 1000.0, 'unixepoch') as revoked_at, revoked_by,
    strftime('%Y-%m-%d %H:%M:%f', paused_at / 1000.0, 'unixepoch') as paused_at, paused_by,
    strftime('%Y-%m-%d %H:%M:%f', grace_ends_at / 1000.0, 'unixepoch') as grace_ends_at
from api_keys;
