-- The tables of keys, in the schema "api_keys". Another one is put in by replacing "api_keys", with its quotes. Run this in
-- one transaction. Text is compared byte by byte, and sorted so: collation "C". Times are milliseconds since 1970.

-- PostgreSQL looks for a bare function, operator or type in all schemas of the path and takes the one that fits best, be it
-- a stranger's. Here, and in each function below for itself, there is only its own. The path before is put back at the end.
select pg_catalog.set_config('api_keys.path', pg_catalog.current_setting('search_path'), true);
set local search_path to pg_catalog, pg_temp;

-- A role that may create in the schema, or that owns it, can replace what keys are checked with. Where the schema is made
-- here, default privileges are all that can give it such a right, and it is taken back.
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
    labels text collate "C" not null,
    hash text collate "C" not null,
    tag bytea not null,
    pepper_id bigint,
    scopes text collate "C" not null,
    created_by text collate "C" not null,
    created_via_key text collate "C",
    created_at bigint not null,
    expires_at bigint,
    revoked_at bigint,
    revoked_by text collate "C",
    replaces text collate "C",
    version bigint not null default 1
);

-- One index for each way to list keys, in the order of lists.
create index api_keys_by_organization on "api_keys".api_keys (organization, created_at, id);
create index api_keys_by_owner on "api_keys".api_keys (organization, kind, owner, created_at, id);
create index api_keys_by_creator on "api_keys".api_keys (organization, created_by, created_at, id);
create index api_keys_by_created_via_key on "api_keys".api_keys (organization, created_via_key, created_at, id)
    where created_via_key is not null;
create index api_keys_by_predecessor on "api_keys".api_keys (replaces) where replaces is not null;

-- An owner without a row is active, as is one whose times are all null.
create table "api_keys".api_key_owners (
    organization text collate "C" not null,
    kind text collate "C" not null,
    id text collate "C" not null,
    suspended_at bigint,
    plan_suspended_at bigint,
    closed_at bigint,
    primary key (organization, kind, id)
);

-- The end of the change log: how many changes there were, and a random id of the last one. Whoever changes something
-- that is logged holds this row until the commit, so that positions are in commit order.
create table "api_keys".api_key_head (
    only_row boolean primary key default true check (only_row),
    position bigint not null,
    change bytea not null
);

insert into "api_keys".api_key_head (position, change) values (0, decode(repeat('00', 16), 'hex'));

-- Updated once for each change: room on its page keeps the updates off the index, and vacuum has little to do.
alter table "api_keys".api_key_head
    set (fillfactor = 10, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

-- Which keys and owners changed, in commit order. A row names a key or an owner.
create table "api_keys".api_key_log (
    position bigint primary key,
    change bytea not null,
    key_id text collate "C",
    organization text collate "C",
    owner_kind text collate "C",
    owner text collate "C"
);

-- The log is written here and nowhere else, so that plain SQL in anybody's transaction is noticed like the rest: once for
-- each statement, with the rights of whoever made these functions, so that a role which may change keys need not be able to
-- write the log. A statement that changes more than a thousand moves the head and names nothing: that is further than
-- readers follow, and they begin anew.
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

-- Of new keys one is named for all: nobody can know them from before. But a server that lost the statement, as one that was
-- restored, then shows another log than the one that nodes know.
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

-- Revocation is logged in both directions. A new name, label or hash is no change: the key means the same.
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
                select id, organization, kind, owner, scopes, expires_at, revoked_at, revoked_by from old_rows
                except all
                select id, organization, kind, owner, scopes, expires_at, revoked_at, revoked_by from new_rows
            )
            union all
            (
                select id, organization, kind, owner, scopes, expires_at, revoked_at, revoked_by from new_rows
                except all
                select id, organization, kind, owner, scopes, expires_at, revoked_at, revoked_by from old_rows
            )
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
    return null;
end
$$;

create trigger api_keys_inserted after insert on "api_keys".api_keys
referencing new table as new_rows for each statement execute function "api_keys".api_keys_inserted();

create trigger api_keys_updated after update on "api_keys".api_keys
referencing old table as old_rows new table as new_rows for each statement execute function "api_keys".api_keys_updated();

create trigger api_keys_deleted after delete on "api_keys".api_keys
referencing old table as old_rows for each statement execute function "api_keys".api_keys_deleted();

-- The same for owners. One without a row is active, as is one whose times are all null.
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

-- `truncate` has no such tables. The head moves further than readers follow.
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

-- Wakes nodes that listen: the channel is the whole database's, so the schema is named. It shortens the delay of bounded
-- freshness, and proves nothing.
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

-- Suspends and reinstates an owner inside a transaction of the service's own. `suspension` is 'admin' or 'plan'. Both
-- return whether that changed anything; neither touches an owner that is closed. There is no audit event: the service's
-- own transaction knows who did it.
create function "api_keys".api_key_suspend_owner(organization text, kind text, id text, suspension text, at bigint)
returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    changed integer;
begin
    if (kind in ('user', 'team') and suspension in ('admin', 'plan') and at between 0 and 253402300799999)
        is not true
    then
        raise exception 'an owner is a user or a team, a suspension admin or plan, and a time milliseconds since 1970';
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
    return changed > 0;
end
$$;

create function "api_keys".api_key_reinstate_owner(organization text, kind text, id text, suspension text)
returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    changed integer;
begin
    if (kind in ('user', 'team') and suspension in ('admin', 'plan')) is not true then
        raise exception 'an owner is a user or a team, and a suspension is admin or plan';
    end if;
    perform 1 from "api_keys".api_key_head for update;
    update "api_keys".api_key_owners o set
        suspended_at = case when $4 = 'admin' then null else o.suspended_at end,
        plan_suspended_at = case when $4 = 'plan' then null else o.plan_suspended_at end
    where o.organization = $1 and o.kind = $2 and o.id = $3 and o.closed_at is null
        and case when $4 = 'admin' then o.suspended_at else o.plan_suspended_at end is not null;
    get diagnostics changed = row_count;
    return changed > 0;
end
$$;

-- Results of changes, for whoever repeats one. An outcome is a letter: w written, u unchanged.
create table "api_keys".api_key_changes (
    id bytea not null primary key,
    at bigint not null,
    dedupe text collate "C" unique,
    effects text collate "C" not null
);

create index api_key_changes_by_time on "api_keys".api_key_changes (at);

-- Lines of attempts are apart from all other events in each index: millions of them neither hide nor slow down the rest.
create table "api_keys".api_key_events (
    sequence bigint generated always as identity primary key,
    organization text collate "C" not null,
    at bigint not null,
    actor text collate "C" not null,
    action text collate "C" not null,
    key_id text collate "C",
    owner_kind text collate "C" not null,
    owner text collate "C" not null,
    before text collate "C",
    after text collate "C",
    source text collate "C",
    is_attempt boolean not null generated always as (left(action, 8) = 'attempt.') stored
);

-- Each index has the number in a way of its own, and events are asked for in the order of just that. The server takes lines
-- of attempts for mixed with the rest, and would look for the few events of a busy key along the primary key, or along all
-- those of its organization, if these were in the same order.
create index api_key_events_by_organization on "api_keys".api_key_events (organization, is_attempt, (sequence + 0));
create index api_key_events_by_key on "api_keys".api_key_events (key_id, is_attempt, (sequence - 0))
    where key_id is not null;
create index api_key_events_by_owner on "api_keys".api_key_events
    (organization, owner_kind, owner, is_attempt, (0 + sequence));
create index api_key_events_by_actor on "api_keys".api_key_events (organization, actor, is_attempt, (sequence * 1));
create index api_key_events_by_time on "api_keys".api_key_events (is_attempt, at);

-- The empty `key_id` is that of refusals which name no key.
create table "api_keys".api_key_usage (
    key_id text collate "C" not null,
    outcome text collate "C" not null,
    source text collate "C" not null,
    count bigint not null,
    first_at bigint not null,
    last_at bigint not null,
    primary key (key_id, outcome, source)
) with (fillfactor = 70);

create table "api_keys".api_key_usage_writers (
    writer bytea not null primary key,
    sequence bigint not null
);

create table "api_keys".api_key_meta (
    name text collate "C" not null primary key,
    value bytea not null
);

-- What nodes tell each other about this store, such as how much of the audit trail was deleted when. It is not copied.
create table "api_keys".api_key_notes (
    name text collate "C" not null primary key,
    value bytea not null
);

-- The triggers fire whatever the session says it is. Nobody else may call the functions that write the log, or put
-- triggers on the tables, which would run with the rights of the role that owns them, or refer to the tables, whose nodes
-- would then fire the triggers of others. Default privileges may say otherwise.
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
            and p.proname <> all (array['api_key_suspend_owner', 'api_key_reinstate_owner'])
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
