-- Text is compared byte by byte: BINARY is the collation of every column here. Times are milliseconds since 1970.
-- The names are prefixed, so that the tables may live in a file beside those of the service.

create table api_key_schema (
    version integer primary key
) strict;

create table api_keys (
    id text not null primary key,
    organization text not null,
    kind text not null,
    owner text not null,
    name text not null,
    labels text not null,
    hash text not null,
    tag blob not null,
    pepper_id integer,
    scopes text not null,
    created_by text not null,
    created_via_key text,
    created_at integer not null,
    expires_at integer,
    revoked_at integer,
    revoked_by text,
    replaces text,
    version integer not null default 1
) strict, without rowid;

-- One index for each way to list keys. The id, which ends the order of lists, is part of each index by itself.
create index api_keys_by_organization on api_keys (organization, created_at);
create index api_keys_by_owner on api_keys (organization, kind, owner, created_at);
create index api_keys_by_creator on api_keys (organization, created_by, created_at);
create index api_keys_by_created_via_key on api_keys (organization, created_via_key, created_at) where created_via_key is not null;
create index api_keys_by_predecessor on api_keys (replaces) where replaces is not null;

-- An owner without a row is active, as is one whose times are all null.
create table api_key_owners (
    organization text not null,
    kind text not null,
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
    change blob not null
) strict;

insert into api_key_head (only_row, position, change) values (1, 0, zeroblob(16));

-- Which keys and owners changed, in commit order. A row names a key or an owner.
create table api_key_log (
    position integer primary key,
    change blob not null,
    key_id text,
    organization text,
    owner_kind text,
    owner text
) strict;

-- The log is written here and nowhere else, so that plain SQL in anybody's transaction is noticed like the rest.
-- Revocation is logged in both directions. A new key is no change: nobody can know it from before. A new name, label or
-- hash is none either: the key means the same.
create trigger api_keys_updated
after update of id, organization, kind, owner, scopes, expires_at, revoked_at, revoked_by on api_keys
when old.id is not new.id or old.organization is not new.organization or old.kind is not new.kind
    or old.owner is not new.owner or old.scopes is not new.scopes or old.expires_at is not new.expires_at
    or old.revoked_at is not new.revoked_at or old.revoked_by is not new.revoked_by
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
    update api_key_head set position = position + 1, change = randomblob(16);
    insert into api_key_log (position, change, key_id) select position, change, old.id from api_key_head;
end;

-- `insert or replace` deletes without a word, unless recursive triggers are on.
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

-- Results of changes, for whoever repeats one. An outcome is a letter: w written, u unchanged.
create table api_key_changes (
    id blob not null primary key,
    at integer not null,
    dedupe text unique,
    effects text not null
) strict, without rowid;

create index api_key_changes_by_time on api_key_changes (at);

-- `autoincrement`, so that a number is never used again, even if the last events are forgotten. Lines of attempts are
-- apart from all other events in each index: millions of them neither hide nor slow down the rest.
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
    is_attempt integer not null generated always as (substr(action, 1, 8) = 'attempt.') virtual
) strict;

create index api_key_events_by_organization on api_key_events (organization, is_attempt);
create index api_key_events_by_key on api_key_events (key_id, is_attempt) where key_id is not null;
create index api_key_events_by_owner on api_key_events (organization, owner_kind, owner, is_attempt);
create index api_key_events_by_actor on api_key_events (organization, actor, is_attempt);
create index api_key_events_by_time on api_key_events (is_attempt, at);

-- The empty `key_id` is that of refusals which name no key.
create table api_key_usage (
    key_id text not null,
    outcome text not null,
    source text not null,
    count integer not null,
    first_at integer not null,
    last_at integer not null,
    primary key (key_id, outcome, source)
) strict, without rowid;

create table api_key_usage_writers (
    writer blob not null primary key,
    sequence integer not null
) strict, without rowid;

create table api_key_meta (
    name text not null primary key,
    value blob not null
) strict, without rowid;

-- What nodes tell each other about this store, such as how much of the audit trail was deleted when. It is not copied.
create table api_key_notes (
    name text not null primary key,
    value blob not null
) strict, without rowid;

-- Two rows on pages of their own, by which a file is known to lack its write-ahead log, or to lie below another one's.
create table api_key_file_mark (
    only_row integer primary key check (only_row = 1),
    mark blob not null
) strict;

create table api_key_log_mark (
    only_row integer primary key check (only_row = 1),
    mark blob not null,
    is_whole integer not null,
    beside text
) strict;

insert into api_key_file_mark (only_row, mark) values (1, zeroblob(16));
insert into api_key_log_mark (only_row, mark, is_whole) values (1, zeroblob(16), 1);
