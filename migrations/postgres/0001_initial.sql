-- The tables of keys, in the schema "api_keys". For another schema, replace "api_keys", with its quotes. Run this in
-- one transaction. Text is compared and sorted byte by byte: collation "C". Times are rounded to milliseconds, and lie
-- between 1970 and 9999.

-- PostgreSQL looks for a bare function, operator or type in all schemas of the path and takes the one that fits best,
-- even an attacker's. So this script, and each function below, uses a path of only the server's own schemas. The
-- earlier path is restored at the end.
select pg_catalog.set_config('api_keys.path', pg_catalog.current_setting('search_path'), true);
set local search_path to pg_catalog, pg_temp;

-- A role that may create in the schema, or that owns it, can replace what keys are checked with. If the schema is made
-- here, only default privileges can give a role such a right, and it is revoked.
do $$
declare
    this text := '"api_keys"';
    is_new boolean := to_regnamespace(this) is null;
    other record;
begin
    if is_new then
        create schema "api_keys";
    end if;
    for other in
        select coalesce(quote_ident(role.rolname), 'public') as name, grants.grantee = nspowner as owns
        from pg_namespace cross join lateral aclexplode(coalesce(nspacl, acldefault('n', nspowner))) grants
        left join pg_roles role on role.oid = grants.grantee
        where pg_namespace.oid = this::regnamespace and grants.privilege_type = 'CREATE'
            and not coalesce(role.rolsuper, false)
            and (grants.grantee = 0 or not pg_has_role(grants.grantee, current_user, 'member'))
    loop
        if is_new then
            execute format('revoke create on schema %s from %s', this, other.name);
        else
            raise exception 'others can create in the schema %, and replace what keys are checked with: run `%`', this,
                case
                    when other.owns then format('alter schema %s owner to %I', this, current_user)
                    else format('revoke create on schema %s from %s', this, other.name)
                end;
        end if;
    end loop;
end
$$;

create table "api_keys".api_key_schema (
    version integer primary key
);

create table "api_keys".api_keys (
    id text collate "C" not null primary key,
    organization text collate "C" not null,
    kind text collate "C" not null,
    owner text collate "C" not null,
    name text collate "C" not null,
    labels jsonb not null,
    hash text collate "C" not null,
    tag bytea not null,
    pepper_id bigint,
    proof bytea,
    scopes text[] collate "C" not null,
    allowed_networks text[] collate "C",
    limits text collate "C",
    created_by text collate "C" not null,
    created_via_key text collate "C",
    imported_from text collate "C",
    responsible text collate "C",
    created_at timestamptz(3) not null,
    expires_at timestamptz(3),
    revoked_at timestamptz(3),
    revoked_by text collate "C",
    paused_at timestamptz(3),
    paused_by text collate "C",
    replaces text collate "C",
    lineage text collate "C" not null,
    predecessor_expires_at timestamptz(3),
    grace_ends_at timestamptz(3),
    warned_end timestamptz(3),
    warned_before_ms bigint,
    version bigint not null default 1,
    rehashes bigint not null default 0,
    constraint api_keys_times_are_between_1970_and_9999 check (
        least(created_at, expires_at, revoked_at, paused_at, predecessor_expires_at, grace_ends_at, warned_end)
            >= '1970-01-01Z'
        and greatest(created_at, expires_at, revoked_at, paused_at, predecessor_expires_at, grace_ends_at, warned_end)
            < '10000-01-01Z'
    )
);

comment on table "api_keys".api_keys is 'API keys, live and dead. To end keys at once: update api_keys set revoked_at = now() where ...';
comment on column "api_keys".api_keys.id is 'The public middle part of the key''s text';
comment on column "api_keys".api_keys.organization is 'The customer it belongs to; default in a service with only one';
comment on column "api_keys".api_keys.kind is 'user (personal) or team';
comment on column "api_keys".api_keys.owner is 'The id of the user or team whose permissions it carries';
comment on column "api_keys".api_keys.name is 'What people call it; may be empty';
comment on column "api_keys".api_keys.labels is 'An object of strings';
comment on column "api_keys".api_keys.hash is 'Argon2id, as a PHC string. The text itself is stored nowhere';
comment on column "api_keys".api_keys.tag is 'Four bytes that turn wrong texts away before the hash is computed';
comment on column "api_keys".api_keys.pepper_id is 'The pepper that the hash was made with';
comment on column "api_keys".api_keys.proof is 'Proves the text to a node that knows the pepper, if proofs are stored';
comment on column "api_keys".api_keys.scopes is 'What it may do; * is everything that its owner may';
comment on column "api_keys".api_keys.allowed_networks is 'Where the key may be used from, as addresses with prefix lengths; null: from anywhere';
comment on column "api_keys".api_keys.limits is 'What the service said that it may consume; this library does not enforce it';
comment on column "api_keys".api_keys.created_by is 'user:<id>, key:<id> or system:<name>';
comment on column "api_keys".api_keys.created_via_key is 'The key that it was made with';
comment on column "api_keys".api_keys.imported_from is 'configuration if its text was known before it was made, else null';
comment on column "api_keys".api_keys.responsible is 'Who is told about it, in the service''s own words';
comment on column "api_keys".api_keys.expires_at is 'The first moment at which it is refused';
comment on column "api_keys".api_keys.revoked_at is 'When it was ended. This library never takes that back';
comment on column "api_keys".api_keys.revoked_by is 'As created_by; null if plain SQL did it';
comment on column "api_keys".api_keys.paused_at is 'Since when it is refused, until this is null again';
comment on column "api_keys".api_keys.paused_by is 'As created_by; null if plain SQL did it';
comment on column "api_keys".api_keys.replaces is 'The key that it succeeds in a rotation';
comment on column "api_keys".api_keys.lineage is 'The first key of its chain of rotations, itself if there was none';
comment on column "api_keys".api_keys.predecessor_expires_at is 'The expiry of the key that it succeeds before the rotation';
comment on column "api_keys".api_keys.grace_ends_at is 'The expiry that the rotation gave the key that it succeeds';
comment on column "api_keys".api_keys.warned_end is 'Of which expiry it was told that it comes';
comment on column "api_keys".api_keys.warned_before_ms is 'How many milliseconds before that expiry it was told last';
comment on column "api_keys".api_keys.version is 'One more with each update by this library';
comment on column "api_keys".api_keys.rehashes is 'One more with each new hash that this library writes of the same text: a hash that is replaced otherwise is a change, which all nodes look at';

-- What is left of keys that were purged, or deleted by plain SQL, so that their ids are never used again. A trigger
-- writes it when a key is deleted.
create table "api_keys".api_key_tombstones (
    id text collate "C" not null primary key,
    organization text collate "C" not null,
    lineage text collate "C" not null,
    created_via_key text collate "C",
    revoked_at timestamptz(3),
    expires_at timestamptz(3)
);

comment on table "api_keys".api_key_tombstones is 'What is left of keys that were purged or deleted: their ids are never used again';

-- One index for each way to list keys, in the order of lists. The index of kinds has the kind in an expression of its
-- own: otherwise, without statistics, the server would use it to list the keys of one owner, and read those of all
-- owners.
create index api_keys_by_organization on "api_keys".api_keys (organization, created_at, id);
create index api_keys_by_kind on "api_keys".api_keys (organization, (kind || ''), created_at, id);
create index api_keys_by_owner on "api_keys".api_keys (organization, kind, owner, created_at, id);
create index api_keys_by_creator on "api_keys".api_keys (organization, created_by, created_at, id);
create index api_keys_by_created_via_key on "api_keys".api_keys (organization, created_via_key, created_at, id)
    where created_via_key is not null;
create index api_keys_by_lineage on "api_keys".api_keys (organization, lineage, created_at, id);
-- Keys without an end come last.
create index api_keys_by_end on "api_keys".api_keys (organization, coalesce(expires_at, 'infinity'), id);
create index api_keys_by_kind_and_end on "api_keys".api_keys
    (organization, (kind || '' || ''), coalesce(expires_at, 'infinity'), id);
create index api_keys_by_owner_and_end on "api_keys".api_keys
    (organization, (owner || ''), kind, coalesce(expires_at, 'infinity'), id);
create index api_keys_by_untold_end on "api_keys".api_keys (expires_at, id)
    where revoked_at is null and expires_at is not null
        and (warned_end is null or warned_end <> expires_at or warned_before_ms is null or warned_before_ms <> 0);
create index api_keys_by_predecessor on "api_keys".api_keys (replaces) where replaces is not null;
-- When a key ended or will end, by revocation or expiry.
create index api_keys_by_death on "api_keys".api_keys (least(revoked_at, expires_at))
    where least(revoked_at, expires_at) is not null;

-- An owner without a row is active, as is one whose times are all null.
create table "api_keys".api_key_owners (
    organization text collate "C" not null,
    kind text collate "C" not null,
    id text collate "C" not null,
    suspended_at timestamptz(3),
    plan_suspended_at timestamptz(3),
    closed_at timestamptz(3),
    primary key (organization, kind, id),
    constraint api_key_owners_times_are_between_1970_and_9999 check (
        least(suspended_at, plan_suspended_at, closed_at) >= '1970-01-01Z'
        and greatest(suspended_at, plan_suspended_at, closed_at) < '10000-01-01Z'
    ),
    constraint api_key_owners_only_organizations_have_no_id check ((kind = 'organization') = (id = ''))
);

comment on table "api_keys".api_key_owners is 'Users, teams and organizations whose keys are or were refused. One without a row is active, as is one whose times are all null';
comment on column "api_keys".api_key_owners.kind is 'user, team, or organization for all keys of the organization';
comment on column "api_keys".api_key_owners.id is 'The id of the user or team; empty for the organization';
comment on column "api_keys".api_key_owners.suspended_at is 'Since when an admin has suspended it';
comment on column "api_keys".api_key_owners.plan_suspended_at is 'Since when the plan does not include its keys';
comment on column "api_keys".api_key_owners.closed_at is 'When it was closed, which is final';

-- The end of the change log: how many changes there were, and a random id of the last one. Each transaction that
-- changes something logged locks this row until its commit, so that positions are in commit order.
create table "api_keys".api_key_head (
    only_row boolean primary key default true check (only_row),
    position bigint not null,
    change bytea not null,
    lease_ms integer not null default 0,
    wait_ms integer not null default 0 check (wait_ms >= lease_ms)
);

comment on column "api_keys".api_key_head.lease_ms is 'Reserved, 0: for how long a node may go by a read of the log';
comment on column "api_keys".api_key_head.wait_ms is 'Reserved, 0: for how long a change waits';

insert into "api_keys".api_key_head (position, change) values (0, decode(repeat('00', 16), 'hex'));

-- Updated once for each change: with free space on its page, the updates do not touch the index, and vacuum has little
-- to do.
alter table "api_keys".api_key_head
    set (fillfactor = 10, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

-- Which keys and statuses changed, in commit order. A row names a key, or an owner or an organization as above.
create table "api_keys".api_key_log (
    position bigint primary key,
    change bytea not null,
    key_id text collate "C",
    organization text collate "C",
    owner_kind text collate "C",
    owner text collate "C"
);

-- The log is written only here, so that plain SQL in any transaction is noticed, too. The triggers fire once for each
-- statement, with the rights of the role that made these functions: a role that changes keys needs no right to write
-- the log. A statement that changes more than 1,000 rows moves the head and names nothing: that is further than readers
-- follow, so they start over.
create function "api_keys".api_key_log_move(steps bigint) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
    update "api_keys".api_key_head set position = position + steps, change = uuid_send(gen_random_uuid())
    returning position - steps;
$$;

create function "api_keys".api_key_log_keys(ids text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    steps bigint := coalesce(array_length(ids, 1), 0);
    before bigint;
begin
    if steps = 0 then
        return;
    end if;
    before := "api_keys".api_key_log_move(steps);
    if steps <= 1000 then
        insert into "api_keys".api_key_log (position, change, key_id)
            select before + place, h.change, id
            from "api_keys".api_key_head h, unnest(ids) with ordinality as named (id, place);
    end if;
end
$$;

-- One of the new keys is named for all: no node can know them from before. The row is needed for a server that lost the
-- statement, for example after a restore: then its log differs from the one that nodes know.
create function "api_keys".api_keys_inserted() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
begin
    perform "api_keys".api_key_log_keys(array(select min(id) from new_rows having count(*) > 0));
    return null;
end
$$;

-- Revocation is logged in both directions. A new name or label is not logged: the key means the same. Nor is a hash of
-- the same text, which this library counts in `rehashes`. A hash that was replaced in any other way is logged.
create function "api_keys".api_keys_updated() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
begin
    perform "api_keys".api_key_log_keys(array(
        select distinct id from (
            (
                select id, organization, kind, owner, scopes, allowed_networks, limits, expires_at, revoked_at, revoked_by,
                    paused_at, paused_by from old_rows
                except all
                select id, organization, kind, owner, scopes, allowed_networks, limits, expires_at, revoked_at, revoked_by,
                    paused_at, paused_by from new_rows
            )
            union all
            (
                select id, organization, kind, owner, scopes, allowed_networks, limits, expires_at, revoked_at, revoked_by,
                    paused_at, paused_by from new_rows
                except all
                select id, organization, kind, owner, scopes, allowed_networks, limits, expires_at, revoked_at, revoked_by,
                    paused_at, paused_by from old_rows
            )
            union all
            select o.id, null, null, null, null, null, null, null, null, null, null, null
            from old_rows o join new_rows n on n.id = o.id and n.rehashes = o.rehashes
            where (n.hash, n.tag, n.pepper_id, n.proof) is distinct from (o.hash, o.tag, o.pepper_id, o.proof)
        ) changed
    ));
    return null;
end
$$;

create function "api_keys".api_keys_deleted() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
begin
    perform "api_keys".api_key_log_keys(array(select id from old_rows));
    insert into "api_keys".api_key_tombstones (id, organization, lineage, created_via_key, revoked_at, expires_at)
        select id, organization, lineage, created_via_key, revoked_at, expires_at from old_rows
        on conflict (id) do nothing;
    return null;
end
$$;

-- Purges those of these keys that ended before a time, and more than a day ago by the clock of this server. Returns the
-- purged ids. Nodes may call this, and cannot delete other keys.
create function "api_keys".api_key_purge(ids text[], ended_before timestamptz) returns setof text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return query delete from "api_keys".api_keys k
    where k.id = any (ids) and least(k.revoked_at, k.expires_at) < least(ended_before, now() - interval '1 day')
    returning k.id;
end
$$;

create trigger api_keys_inserted after insert on "api_keys".api_keys
referencing new table as new_rows for each statement execute function "api_keys".api_keys_inserted();

create trigger api_keys_updated after update on "api_keys".api_keys
referencing old table as old_rows new table as new_rows for each statement execute function "api_keys".api_keys_updated();

create trigger api_keys_deleted after delete on "api_keys".api_keys
referencing old table as old_rows for each statement execute function "api_keys".api_keys_deleted();

-- The same for owners. An owner without a row is active, as is one whose times are all null.
create function "api_keys".api_key_log_owners(organizations text[], kinds text[], ids text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    steps bigint := coalesce(array_length(ids, 1), 0);
    before bigint;
begin
    if steps = 0 then
        return;
    end if;
    before := "api_keys".api_key_log_move(steps);
    if steps <= 1000 then
        insert into "api_keys".api_key_log (position, change, organization, owner_kind, owner)
            select before + place, h.change, organization, kind, id
            from "api_keys".api_key_head h,
                unnest(organizations, kinds, ids) with ordinality as named (organization, kind, id, place);
    end if;
end
$$;

create function "api_keys".api_key_owners_inserted() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
begin
    perform "api_keys".api_key_log_owners(array_agg(organization), array_agg(kind), array_agg(id)) from new_rows
    where suspended_at is not null or plan_suspended_at is not null or closed_at is not null;
    return null;
end
$$;

create function "api_keys".api_key_owners_updated() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
begin
    perform "api_keys".api_key_log_owners(array_agg(organization), array_agg(kind), array_agg(id)) from (
        select organization, kind, id from (
            (select * from old_rows except all select * from new_rows)
            union all
            (select * from new_rows except all select * from old_rows)
        ) differing
        group by organization, kind, id
    ) changed;
    return null;
end
$$;

create function "api_keys".api_key_owners_deleted() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
begin
    perform "api_keys".api_key_log_owners(array_agg(organization), array_agg(kind), array_agg(id)) from old_rows
    where suspended_at is not null or plan_suspended_at is not null or closed_at is not null;
    return null;
end
$$;

create trigger api_key_owners_inserted after insert on "api_keys".api_key_owners
referencing new table as new_rows for each statement execute function "api_keys".api_key_owners_inserted();

create trigger api_key_owners_updated after update on "api_keys".api_key_owners
referencing old table as old_rows new table as new_rows for each statement execute function "api_keys".api_key_owners_updated();

create trigger api_key_owners_deleted after delete on "api_keys".api_key_owners
referencing old table as old_rows for each statement execute function "api_keys".api_key_owners_deleted();

-- `truncate` has no transition tables. The head moves further than readers follow.
create function "api_keys".api_keys_truncated() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform "api_keys".api_key_log_move(1001);
    return null;
end
$$;

create trigger api_keys_truncated
after truncate on "api_keys".api_keys for each statement execute function "api_keys".api_keys_truncated();

create trigger api_key_owners_truncated
after truncate on "api_keys".api_key_owners for each statement execute function "api_keys".api_keys_truncated();

-- Wakes nodes that listen. The channel belongs to the whole database, so the message names the schema. It shortens the
-- delay of bounded freshness, and proves nothing.
create function "api_keys".api_key_head_moved() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform pg_notify('api_keys', new.position || ' ' || tg_table_schema);
    return null;
end
$$;

create trigger api_key_head_moved
after update on "api_keys".api_key_head for each row
execute function "api_keys".api_key_head_moved();

-- Suspend, reinstate and close an owner inside a transaction of the service's own. `suspension` is 'admin' or 'plan'.
-- `actor` is the actor as in the events; the default is the role of the session. An id of more than 128 bytes, or with
-- a blank at either end, is refused, because no node could read it. Each function returns whether it changed anything;
-- then it has written an event. A close is final: the other two do not change a closed owner.
create function "api_keys".api_key_suspend_owner(organization text, kind text, id text, suspension text,
    at timestamptz default now(), actor text default 'system:' || session_user::text)
returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    changed integer;
begin
    if (kind in ('user', 'team', 'organization') and suspension in ('admin', 'plan') and at is not null) is not true then
        raise exception 'an owner is a user, a team or an organization, and a suspension is admin or plan';
    end if;
    if (octet_length(organization) between 1 and 128 and octet_length(id) <= 128 and (id = '') = (kind = 'organization')
        and organization !~ '^ | $|[[:cntrl:]]' and id !~ '^ | $|[[:cntrl:]]') is not true then
        raise exception 'an id has 1 to 128 bytes and no blank at either end; of an organization as a whole it is empty';
    end if;
    if (actor ~ '^(key:[A-Za-z0-9_-]{20}|(user|system):(?! )[^[:cntrl:]]+(?<! ))$'
        and octet_length(actor) <= position(':' in actor) + 128) is not true then
        raise exception 'an actor is user:<id>, key:<id> or system:<name>';
    end if;
    perform 1 from "api_keys".api_key_head for update;
    insert into "api_keys".api_key_owners as o (organization, kind, id, suspended_at, plan_suspended_at)
    values ($1, $2, $3, case when $4 = 'admin' then $5 end, case when $4 = 'plan' then $5 end)
    on conflict on constraint api_key_owners_pkey do update set
        suspended_at = coalesce(o.suspended_at, excluded.suspended_at),
        plan_suspended_at = coalesce(o.plan_suspended_at, excluded.plan_suspended_at)
    where o.closed_at is null
        and ((excluded.suspended_at is not null and o.suspended_at is null)
            or (excluded.plan_suspended_at is not null and o.plan_suspended_at is null));
    get diagnostics changed = row_count;
    if changed > 0 then
        insert into "api_keys".api_key_events (organization, at, actor, action, owner_kind, owner, after)
        values ($1, $5, $6, case when $2 = 'organization' then 'organization.suspended' else 'owner.suspended' end, $2, $3, $4);
    end if;
    return changed > 0;
end
$$;

create function "api_keys".api_key_reinstate_owner(organization text, kind text, id text, suspension text,
    at timestamptz default now(), actor text default 'system:' || session_user::text)
returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    changed integer;
begin
    if (kind in ('user', 'team', 'organization') and suspension in ('admin', 'plan') and at is not null) is not true then
        raise exception 'an owner is a user, a team or an organization, and a suspension is admin or plan';
    end if;
    if (octet_length(organization) between 1 and 128 and octet_length(id) <= 128 and (id = '') = (kind = 'organization')
        and organization !~ '^ | $|[[:cntrl:]]' and id !~ '^ | $|[[:cntrl:]]') is not true then
        raise exception 'an id has 1 to 128 bytes and no blank at either end; of an organization as a whole it is empty';
    end if;
    if (actor ~ '^(key:[A-Za-z0-9_-]{20}|(user|system):(?! )[^[:cntrl:]]+(?<! ))$'
        and octet_length(actor) <= position(':' in actor) + 128) is not true then
        raise exception 'an actor is user:<id>, key:<id> or system:<name>';
    end if;
    perform 1 from "api_keys".api_key_head for update;
    update "api_keys".api_key_owners o set
        suspended_at = case when $4 = 'admin' then null else o.suspended_at end,
        plan_suspended_at = case when $4 = 'plan' then null else o.plan_suspended_at end
    where o.organization = $1 and o.kind = $2 and o.id = $3 and o.closed_at is null
        and case when $4 = 'admin' then o.suspended_at else o.plan_suspended_at end is not null;
    get diagnostics changed = row_count;
    if changed > 0 then
        insert into "api_keys".api_key_events (organization, at, actor, action, owner_kind, owner, before)
        values ($1, $5, $6, case when $2 = 'organization' then 'organization.reinstated' else 'owner.reinstated' end, $2, $3, $4);
    end if;
    return changed > 0;
end
$$;

create function "api_keys".api_key_close_owner(organization text, kind text, id text, at timestamptz default now(),
    actor text default 'system:' || session_user::text)
returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    changed integer;
begin
    if (kind in ('user', 'team', 'organization') and at is not null) is not true then
        raise exception 'an owner is a user, a team or an organization';
    end if;
    if (octet_length(organization) between 1 and 128 and octet_length(id) <= 128 and (id = '') = (kind = 'organization')
        and organization !~ '^ | $|[[:cntrl:]]' and id !~ '^ | $|[[:cntrl:]]') is not true then
        raise exception 'an id has 1 to 128 bytes and no blank at either end; of an organization as a whole it is empty';
    end if;
    if (actor ~ '^(key:[A-Za-z0-9_-]{20}|(user|system):(?! )[^[:cntrl:]]+(?<! ))$'
        and octet_length(actor) <= position(':' in actor) + 128) is not true then
        raise exception 'an actor is user:<id>, key:<id> or system:<name>';
    end if;
    perform 1 from "api_keys".api_key_head for update;
    insert into "api_keys".api_key_owners as o (organization, kind, id, closed_at) values ($1, $2, $3, $4)
    on conflict on constraint api_key_owners_pkey do update set closed_at = excluded.closed_at where o.closed_at is null;
    get diagnostics changed = row_count;
    if changed > 0 then
        insert into "api_keys".api_key_events (organization, at, actor, action, owner_kind, owner)
        values ($1, $4, $5, case when $2 = 'organization' then 'organization.closed' else 'owner.closed' end, $2, $3);
    end if;
    return changed > 0;
end
$$;

-- Results of changes, for repeats of them. An effect is a letter: w changed, u unchanged. A request with an idempotency
-- key has a digest, and the key that it made.
create table "api_keys".api_key_changes (
    id bytea not null primary key,
    at timestamptz(3) not null,
    idempotency_key text collate "C" unique,
    request_digest bytea,
    key_id text collate "C",
    effects text collate "C" not null,
    check ((idempotency_key is null) = (request_digest is null))
);

create index api_key_changes_by_time on "api_keys".api_key_changes (at);

-- Each index keeps the access log apart from all other events: millions of its entries neither hide nor slow down the
-- others.
create table "api_keys".api_key_events (
    sequence bigint generated always as identity primary key,
    organization text collate "C" not null,
    at timestamptz(3) not null,
    actor text collate "C" not null,
    action text collate "C" not null,
    key_id text collate "C",
    owner_kind text collate "C" not null,
    owner text collate "C" not null,
    before text collate "C",
    after text collate "C",
    source text collate "C",
    audience text collate "C" not null default 'subject',
    is_attempt boolean not null generated always as (left(action, 8) = 'attempt.') stored
);

comment on table "api_keys".api_key_events is 'The audit trail and, where action begins with attempt., the access log';
comment on column "api_keys".api_key_events.actor is 'user:<id>, key:<id> or system:<name>';
comment on column "api_keys".api_key_events.before is 'What was there before, if something changed';
comment on column "api_keys".api_key_events.after is 'What is there since, if something changed';
comment on column "api_keys".api_key_events.source is 'From where it was asked, if the service says';
comment on column "api_keys".api_key_events.audience is 'Who may read it: subject (who may read the trail of the key or owner), or organization (only who may read all of it)';

-- Each index has the number in an expression of its own, and a query orders by the expression of the index it needs.
-- The server assumes that the access log is mixed evenly with other events. If all indexes had the same order, it would
-- look for the few events of a busy key along the primary key, or along all those of its organization.
create index api_key_events_by_organization on "api_keys".api_key_events (organization, is_attempt, (sequence + 0));
create index api_key_events_by_key on "api_keys".api_key_events (key_id, is_attempt, (sequence - 0))
    where key_id is not null;
create index api_key_events_by_owner on "api_keys".api_key_events
    (organization, owner_kind, owner, is_attempt, (0 + sequence));
create index api_key_events_by_actor on "api_keys".api_key_events (organization, actor, is_attempt, (sequence * 1));
create index api_key_events_by_place on "api_keys".api_key_events ((1 * sequence)) where not is_attempt;
create index api_key_events_by_time on "api_keys".api_key_events (is_attempt, at);

-- A sequence is not in commit order: a reader that follows the events by number would miss an event that was numbered
-- first and committed last. So each transaction that writes an event locks the row that orders the change log until its
-- commit, plain SQL in any transaction, too. This library holds that lock already.
create function "api_keys".api_key_events_in_order() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform 1 from "api_keys".api_key_head for update;
    return null;
end
$$;

create trigger api_key_events_in_order before insert on "api_keys".api_key_events
for each statement execute function "api_keys".api_key_events_in_order();

-- Refusals that name no key have an empty `key_id`, and the organization that they concern, if there is one. Unknown
-- parts of a source are empty.
create table "api_keys".api_key_usage (
    key_id text collate "C" not null,
    organization text collate "C" not null check (key_id = '' or organization = ''),
    outcome text collate "C" not null,
    label text collate "C" not null,
    client text collate "C" not null,
    network text collate "C" not null,
    count bigint not null,
    first_at timestamptz(3) not null,
    last_at timestamptz(3) not null,
    primary key (key_id, organization, outcome, label, client, network)
) with (fillfactor = 70);

-- In UTC. Refusals that name no key have no days.
create table "api_keys".api_key_usage_days (
    key_id text collate "C" not null,
    day date not null check (day between '1970-01-01' and '9999-12-31'),
    accepted bigint not null,
    refused bigint not null,
    primary key (key_id, day)
) with (fillfactor = 70);
create index api_key_usage_days_by_day on "api_keys".api_key_usage_days (day);

create table "api_keys".api_key_usage_writers (
    writer bytea not null primary key,
    sequence bigint not null
);

create table "api_keys".api_key_meta (
    name text collate "C" not null primary key,
    value bytea not null
);

-- Notes that nodes leave each other about this store, such as how much of the audit trail was deleted when. Not copied.
create table "api_keys".api_key_notes (
    name text collate "C" not null primary key,
    value bytea not null
);

-- Erases a user, a team or an organization that is closed: its keys, their usage, its status, and its name everywhere
-- in the same organization. Events keep their time, their action and the key that they name, under the pseudonym.
-- Returns false, and does nothing, if it is not closed. A role that may call this can remove names from the trail, but
-- not add any. The caller writes the event, and holds the lock of the head.
create function "api_keys".api_key_erase(of text, kind text, id text, pseudonym text) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    actor_name text := case when $2 = 'user' then 'user:' || $3 end;
    called text[] := array[$3, $2 || ':' || $3];
    theirs text[];
begin
    if ($4 ~ '^erased-[A-Za-z0-9_-]{22}$') is not true then
        raise exception 'a pseudonym is erased- and 22 random characters';
    end if;
    perform 1 from "api_keys".api_key_head for update;
    if not exists (
        select 1 from "api_keys".api_key_owners o
        where o.organization = $1 and o.kind = $2 and o.id = $3 and o.closed_at is not null
    ) then
        return false;
    end if;
    if $2 = 'organization' then
        theirs := array(
            select k.id from "api_keys".api_keys k where k.organization = $1
            union select t.id from "api_keys".api_key_tombstones t where t.organization = $1
            union select e.key_id from "api_keys".api_key_events e where e.organization = $1 and e.key_id is not null
        );
        delete from "api_keys".api_key_usage where key_id = any (theirs) or key_id = '' and organization = $1;
        update "api_keys".api_key_changes set idempotency_key = null, request_digest = null
            where idempotency_key is not null and key_id = any (theirs);
        update "api_keys".api_key_events set organization = $4,
            actor = case when left(actor, 5) = 'user:' then 'user:' || $4 else actor end,
            owner = case when owner = '' then '' else $4 end, before = null, after = null, source = null
            where organization = $1;
        delete from "api_keys".api_keys where organization = $1;
        delete from "api_keys".api_key_owners where organization = $1;
        update "api_keys".api_key_log set organization = $4, owner = case when owner = '' then '' else $4 end
            where organization = $1;
        update "api_keys".api_key_tombstones set organization = $4 where organization = $1;
    else
        theirs := array(
            select k.id from "api_keys".api_keys k where k.organization = $1 and k.kind = $2 and k.owner = $3
            union select e.key_id from "api_keys".api_key_events e
            where e.organization = $1 and e.owner_kind = $2 and e.owner = $3 and e.key_id is not null
        );
        delete from "api_keys".api_key_usage where key_id = any (theirs);
        update "api_keys".api_key_changes set idempotency_key = null, request_digest = null
            where idempotency_key is not null and (key_id = any (theirs) or key_id = any (array(
                select k.id from "api_keys".api_keys k where k.organization = $1 and k.created_by = actor_name)));
        update "api_keys".api_key_events set before = null, after = null, source = null
            where organization = $1 and actor = any (array(select 'key:' || of_key from unnest(theirs) of_key));
        update "api_keys".api_key_events set actor = 'user:' || $4, before = null, after = null, source = null
            where organization = $1 and actor = actor_name;
        update "api_keys".api_key_events set owner = $4, before = null, after = null, source = null
            where organization = $1 and owner_kind = $2 and owner = $3;
        update "api_keys".api_key_events set before = null, after = null
            where organization = $1 and (
                action = 'key.responsible_set' and (before = any (called) or after = any (called))
                or exists (
                    select 1 from unnest(called) name, lateral (select '"responsible":' || to_json(name)) of (part)
                    where strpos(before, part) > 0 or strpos(after, part) > 0
                )
            );
        -- Before the next statement, so that the log has each of these keys once.
        delete from "api_keys".api_keys k where k.organization = $1 and k.kind = $2 and k.owner = $3;
        update "api_keys".api_keys set
            created_by = case when created_by = actor_name then 'user:' || $4 else created_by end,
            revoked_by = case when revoked_by = actor_name then 'user:' || $4 else revoked_by end,
            paused_by = case when paused_by = actor_name then 'user:' || $4 else paused_by end,
            responsible = case when responsible = any (called) then null else responsible end
            where organization = $1 and (actor_name in (created_by, revoked_by, paused_by) or responsible = any (called));
        delete from "api_keys".api_key_owners o where o.organization = $1 and o.kind = $2 and o.id = $3;
        update "api_keys".api_key_log set owner = $4 where organization = $1 and owner_kind = $2 and owner = $3;
    end if;
    delete from "api_keys".api_key_usage_days where key_id = any (theirs);
    return true;
end
$$;

-- The triggers fire with any `session_replication_role`. Default privileges may give other roles rights, so those are
-- revoked: to call the functions that write the log; to create triggers on the tables, which would run with the rights
-- of the role that owns them; and to refer to the tables, so that nodes would fire the triggers of others.
do $$
declare
    this text := '"api_keys"';
    statement text;
begin
    for statement in
        select format('revoke execute on function %s from %s', p.oid::regprocedure,
            coalesce(quote_ident(role.rolname), 'public'))
        from pg_proc p cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) grants
        left join pg_roles role on role.oid = grants.grantee
        where p.pronamespace = this::regnamespace and p.proname like 'api\_key%'
            and p.proname <> all (array['api_key_suspend_owner', 'api_key_reinstate_owner', 'api_key_close_owner'])
            and grants.grantee <> p.proowner
        union all
        select format('revoke trigger, references on %s from %s', c.oid::regclass,
            coalesce(quote_ident(role.rolname), 'public'))
        from pg_class c cross join lateral aclexplode(c.relacl) grants
        left join pg_roles role on role.oid = grants.grantee
        where c.relnamespace = this::regnamespace and c.relname like 'api\_key%'
            and grants.privilege_type in ('TRIGGER', 'REFERENCES') and grants.grantee <> c.relowner
        union all
        select format('alter table %s enable always trigger %I', tgrelid::regclass, tgname)
        from pg_trigger join pg_class on pg_class.oid = tgrelid
        where relnamespace = this::regnamespace and tgname like 'api\_key%' and not tgisinternal
    loop
        execute statement;
    end loop;
end
$$;

select pg_catalog.set_config('search_path', pg_catalog.current_setting('api_keys.path'), true);
