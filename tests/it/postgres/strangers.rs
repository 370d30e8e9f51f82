//! Objects that other roles create on the search path run neither as the owner of the tables nor as a node. If other
//! roles could replace what keys are checked with, a migration and a connection are refused.

use tokio_postgres::{Client, NoTls};
use tower_api_keys::{
    auth::AuthErrorKind,
    store::{PostgresErrorKind, PostgresSettings, PostgresStore, transfer::copy},
};
use tower_api_keys_conformance::{check_pair, check_store};

use super::{check, known_key, pools::pool_at, revoke, roles::grant, server::Server, settings};

/// Reports that hostile code ran, even if its transaction is rolled back; then fails that transaction.
const TRAP: &str = "\
    create sequence public.caught; grant all on sequence public.caught to public; \
    create function public.trap() returns void language plpgsql as $$ \
    begin perform pg_catalog.nextval('public.caught'); raise exception 'a stranger''s code ran'; end $$;";

/// For each function and operator of the server over the column types of keys, a decoy with the same name and types.
/// For those that take any type, one decoy for each type. Also domains with the names of types.
const DECOYS: &str = r#"
do $$
declare
    types oid[] := array['text', 'bytea', 'bigint', 'integer', 'boolean', 'text[]', 'bytea[]', 'bigint[]', 'name', 'uuid',
        'regclass', 'oid', '"char"', 'timestamptz', 'numeric', 'integer[]']::regtype[]::oid[];
    anything oid[] := array['anyelement', 'anyarray', 'anycompatible', 'anycompatiblearray', '"any"']::regtype[]::oid[];
    kind oid;
    made text;
    f record;
    arguments text;
begin
    for f in
        select p.oid, p.proname, p.proargtypes::oid[] as types, p.prokind, p.proretset,
            format_type(case when p.prorettype = any (anything) then 'text'::regtype else p.prorettype end, null) as result
        from pg_proc p
        where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind in ('f', 'a') and p.pronargs <= 4
            and p.proargtypes::oid[] <@ (types || anything)
            and p.prorettype::regtype::text not in ('internal', 'cstring', 'record', 'trigger', 'event_trigger')
    loop
        foreach kind in array case when f.types && anything then types else array['text'::regtype::oid] end loop
            select string_agg(format_type(case
                    when given.type = any (array['anyarray', 'anycompatiblearray']::regtype[]::oid[])
                        then coalesce(nullif((select typarray from pg_type where oid = kind), 0), 'text[]'::regtype)
                    when given.type = any (anything) then kind else given.type end, null), ', ' order by given.place)
            into arguments
            from unnest(f.types) with ordinality as given (type, place);
            begin
                execute format('create function public.%I(%s) returns %s language plpgsql as $b$ begin '
                    'perform public.trap(); return%s; end $b$', f.proname, coalesce(arguments, ''),
                    case when f.proretset then 'setof ' else '' end || f.result, case when f.proretset then '' else ' null' end);
            exception when others then null;
            end;
        end loop;
    end loop;
    for f in
        select o.oprname, format_type(o.oprleft, null) as l, format_type(o.oprright, null) as r,
            format_type(o.oprresult, null) as result, o.oid
        from pg_operator o
        where o.oprnamespace = 'pg_catalog'::regnamespace and o.oprkind = 'b' and o.oprleft = any (types)
            and o.oprright = any (types)
    loop
        made := format('operator_%s', f.oid);
        execute format('create function public.%I(a %s, b %s) returns %s language plpgsql as $b$ begin '
            'perform public.trap(); return null; end $b$', made, f.l, f.r, f.result);
        execute format('create operator public.%s (leftarg = %s, rightarg = %s, function = public.%I)',
            f.oprname, f.l, f.r, made);
    end loop;
end
$$;
create domain public.text as pg_catalog.text check (public.trap() is null);
create domain public.bytea as pg_catalog.bytea check (public.trap() is null);
create domain public.regclass as pg_catalog.regclass check (public.trap() is null);
create table public.pg_class (trap integer);
create table public.pg_namespace (trap integer);
create table public.pg_roles (trap integer);
create table public.pg_stat_activity (trap integer);
create table public.api_keys (trap integer);
create table public.api_key_head (trap integer);
grant all on all tables in schema public to public;
"#;

/// A server whose sessions, except those of `admin`, look for names in another role's schema first.
async fn hostile() -> Server {
    let server = Server::start();
    let admin = server.client().await;
    admin.batch_execute(TRAP).await.unwrap();
    admin.batch_execute("set search_path = pg_catalog").await.unwrap();
    admin.batch_execute(DECOYS).await.unwrap();
    let roles = "create role keys_owner login; create role stranger login; \
                 grant create on database postgres to keys_owner; grant create, usage on schema public to public; \
                 alter database postgres set search_path = public, pg_catalog; \
                 alter role admin set search_path = pg_catalog";
    admin.batch_execute(roles).await.unwrap();
    server
}

async fn is_caught(server: &Server) -> bool {
    let row = server.client().await.query_one("select is_called from public.caught", &[]).await.unwrap();
    row.get(0)
}

fn url_as(server: &Server, role: &str) -> String {
    server.url().replace("admin", role)
}

async fn client_as(server: &Server, role: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(&url_as(server, role), NoTls).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    client
}

async fn migrate_as(server: &Server, role: &str) -> Result<(), (PostgresErrorKind, String)> {
    said(PostgresStore::migrate(&url_as(server, role), "keys").await)
}

async fn connect_as(server: &Server, role: &str) -> Result<PostgresStore, (PostgresErrorKind, String)> {
    said(PostgresStore::connect_with(&url_as(server, role), settings()).await)
}

fn said<T>(done: Result<T, tower_api_keys::store::PostgresError>) -> Result<T, (PostgresErrorKind, String)> {
    done.map_err(|error| (error.kind(), error.to_string()))
}

#[tokio::test]
async fn the_decoys_are_called_by_statements_that_do_not_mind() {
    let server = hostile().await;
    for careless in [
        "select array_length(array['a'::pg_catalog.text], 1)",
        "select 1 where 'a'::pg_catalog.text = 'b'::pg_catalog.text",
        "select max(n) from (values (1)) as v (n)",
        "select '1'::text",
    ] {
        server.client().await.batch_execute("select setval('public.caught', 1, false)").await.unwrap();
        let refused = client_as(&server, "stranger").await.batch_execute(careless).await;
        assert!(refused.is_err() && is_caught(&server).await, "{careless}");
    }
}

#[tokio::test]
async fn no_code_of_a_stranger_s_runs_whatever_the_search_path() {
    let server = hostile().await;
    migrate_as(&server, "keys_owner").await.unwrap();
    grant(&server).await;
    let direct = connect_as(&server, "keys_node").await.unwrap();
    let pooled = PostgresStore::connect_with(&url_as(&server, "keys_node"), settings().behind_pooler()).await.unwrap();
    let pool = pool_at(&url_as(&server, "keys_node"), 4);
    let theirs = PostgresStore::from_pool(pool, settings()).await.unwrap();
    check_store(&theirs).await.into_result().unwrap();
    check_pair(&direct, &pooled).await.into_result().unwrap();
    // What only the owner does: create all tables, and the function that services call.
    PostgresStore::migrate(&url_as(&server, "keys_owner"), "other").await.unwrap();
    let target = PostgresSettings::new().with_schema("other");
    let target = PostgresStore::connect_with(&url_as(&server, "keys_owner"), target).await.unwrap();
    copy(&connect_as(&server, "keys_owner").await.unwrap(), &target).await.unwrap();
    let node = client_as(&server, "keys_node").await;
    for call in
        ["suspend_owner('default', 'team', 'sales', 'plan')", "reinstate_owner('default', 'team', 'sales', 'plan')"]
    {
        node.batch_execute(&format!("select keys.api_key_{call}")).await.unwrap();
    }
    assert!(!is_caught(&server).await);
}

/// A function that does what only the owner may, if the owner ever runs it.
const THEFT: &str = "(ids pg_catalog.text[], dimension pg_catalog.int4) returns pg_catalog.int4 language plpgsql as $$ \
    begin update keys.api_keys set name = 'changed by a stranger'; return 1; end $$";

#[tokio::test]
async fn a_function_beside_the_tables_does_not_run_as_their_owner() {
    let server = Server::start();
    PostgresStore::migrate(&server.url(), "keys").await.unwrap();
    grant(&server).await;
    let admin = server.client().await;
    let store = connect_as(&server, "keys_node").await.unwrap();
    let keys = super::node_of(store, tower_api_keys::auth::Freshness::Strict).await;
    let key = known_key(&keys).await;
    admin.batch_execute("create role stranger login; grant create on schema keys, public to public").await.unwrap();
    admin.batch_execute("alter database postgres set search_path = keys, public").await.unwrap();
    admin.batch_execute("grant usage on schema keys to stranger").await.unwrap();
    let stranger = client_as(&server, "stranger").await;
    for schema in ["keys", "public"] {
        stranger.batch_execute(&format!("create function {schema}.array_length{THEFT}")).await.unwrap();
    }
    revoke(&keys, &key).await;
    assert_eq!(check(&keys, &key).await, Err(AuthErrorKind::Revoked));
    let name = admin.query_one("select name from keys.api_keys", &[]).await.unwrap();
    assert_eq!(name.get::<_, String>(0), "CI deploy");
}

/// A statement that exposes the tables, the text of the error, and the statement that the error recommends.
const EXPOSURES: [(&str, &str, &str); 14] = [
    ("grant create on schema keys to public", "every role may create", "revoke create on schema keys from public"),
    (
        "grant create on schema keys to \"Str\"\"anger\"",
        "the role \"Str\"\"anger\" may create",
        "revoke create on schema keys from \"Str\"\"anger\"",
    ),
    (
        "grant create on schema keys to developers",
        "the role developers may",
        "revoke create on schema keys from developers",
    ),
    ("alter schema keys owner to developers", "the role developers owns", "alter schema keys owner to keys_owner"),
    (
        "grant all on all tables in schema keys to developers",
        "the role developers may put triggers on keys.api_key_log",
        "revoke trigger on keys.api_key_log from developers",
    ),
    (
        "alter table keys.api_key_usage owner to developers",
        "the role developers owns keys.api_key_usage",
        "alter table keys.api_key_usage owner to keys_owner",
    ),
    (
        // The schema is in the search path here, but perhaps not in that of the person who reads the error.
        "alter database postgres set search_path = keys; alter function keys.api_keys_truncated() owner to developers",
        "the role developers owns the function keys.api_keys_truncated()",
        "alter function keys.api_keys_truncated() owner to keys_owner",
    ),
    (
        "create function public.theirs() returns trigger language plpgsql as 'begin return null; end'; \
         alter function public.theirs() owner to developers; \
         create trigger \"by them\" after insert on keys.api_key_log execute function public.theirs()",
        "the role developers has a trigger on keys.api_key_log",
        "drop trigger \"by them\" on keys.api_key_log",
    ),
    // The trigger runs a function of the server itself, with a condition.
    (
        "create function public.theirs(bigint) returns boolean language plpgsql as 'begin return false; end'; \
         alter function public.theirs(bigint) owner to developers; \
         create trigger \"by them\" before update on keys.api_key_head for each row when (public.theirs(new.position)) \
            execute function suppress_redundant_updates_trigger()",
        "the role developers has a trigger on keys.api_key_head",
        "drop trigger \"by them\" on keys.api_key_head",
    ),
    (
        "create operator public.<<< (leftarg = bigint, rightarg = bigint, function = int8lt); \
         alter operator public.<<< (bigint, bigint) owner to developers; \
         create trigger \"by them\" before update on keys.api_key_head for each row \
            when (new.position operator(public.<<<) old.position) execute function suppress_redundant_updates_trigger()",
        "the role developers has a trigger on keys.api_key_head",
        "drop trigger \"by them\" on keys.api_key_head",
    ),
    // If a node deletes a row there, rows of a table of theirs are deleted too. The triggers of that table then run as
    // the node.
    (
        "grant references on keys.api_key_log to developers",
        "the role developers may refer to keys.api_key_log",
        "revoke references on keys.api_key_log from developers",
    ),
    (
        "create table public.theirs (at bigint constraint \"by them\" references keys.api_key_log on delete cascade); \
         alter table public.theirs owner to developers",
        "the role developers refers to keys.api_key_log",
        "alter table public.theirs drop constraint \"by them\"",
    ),
    // A right that was granted to another role.
    (
        "grant create on schema keys to developers with grant option; set role developers; \
         grant create on schema keys to \"Str\"\"anger\"; reset role",
        "the role developers may create",
        "revoke create on schema keys from developers cascade",
    ),
    (
        "alter schema keys owner to dba; grant usage, create on schema keys to keys_owner with grant option; \
         set role keys_owner; grant create on schema keys to developers; reset role",
        "the role developers may create",
        "set role keys_owner; revoke create on schema keys from developers; reset role",
    ),
];

/// A server with tables of the role `keys_owner`, a node's rights, and roles that have nothing to do with keys.
async fn owned() -> (Server, Client) {
    let server = Server::start();
    let admin = server.client().await;
    let roles = "create role keys_owner login; grant create on database postgres to keys_owner; \
                 create role developers; create role \"Str\"\"anger\"; create role dba superuser";
    admin.batch_execute(roles).await.unwrap();
    migrate_as(&server, "keys_owner").await.unwrap();
    grant(&server).await;
    (server, admin)
}

#[tokio::test]
async fn tables_that_others_could_replace_are_refused_until_the_statement_in_the_error_was_run() {
    for (exposes, complaint, mend) in EXPOSURES {
        let (server, admin) = owned().await;
        admin.batch_execute(exposes).await.unwrap();
        for refused in [
            connect_as(&server, "keys_node").await.map(drop),
            connect_as(&server, "admin").await.map(drop),
            migrate_as(&server, "keys_owner").await,
        ] {
            let (kind, said) = refused.expect_err(exposes);
            assert_eq!(kind, PostgresErrorKind::Exposed, "{exposes}");
            assert!(said.contains(complaint) && said.contains(&format!("`{mend}`")), "{exposes}: {said}");
        }
        // One statement after the other, as the errors name them.
        for _ in 0..4 {
            let Err((_, said)) = connect_as(&server, "keys_node").await.map(drop) else { break };
            for statement in said.split('`').skip(1).step_by(2) {
                admin.batch_execute(statement).await.unwrap();
            }
        }
        connect_as(&server, "keys_node").await.unwrap();
        migrate_as(&server, "keys_owner").await.unwrap();
        assert_eq!(triggers(&admin).await, TRIGGERS, "a trigger of ours is gone");
    }
}

/// The number of triggers that the migrations create.
const TRIGGERS: i64 = 10;

async fn triggers(admin: &Client) -> i64 {
    let count = "select count(*) from pg_trigger t join pg_class c on c.oid = t.tgrelid \
                 where c.relnamespace = 'keys'::regnamespace and not tgisinternal";
    admin.query_one(count, &[]).await.unwrap().get(0)
}

/// A node prunes the log, and a table that refers to the log loses rows with it.
#[tokio::test]
async fn a_table_that_refers_to_keys_is_no_exposure_and_one_that_refers_to_the_log_is() {
    let (server, admin) = owned().await;
    let refers = |to: &str| {
        format!(
            "grant references on keys.{to} to developers; grant usage on schema keys to developers; \
             grant create, usage on schema public to developers; \
             set role developers; create table public.of_{to} (id text references keys.{to} on delete cascade); reset role"
        )
    };
    admin.batch_execute(&refers("api_keys")).await.unwrap();
    connect_as(&server, "keys_node").await.unwrap();
    migrate_as(&server, "keys_owner").await.unwrap();
    admin.batch_execute(&refers("api_key_meta")).await.unwrap();
    let (kind, said) = connect_as(&server, "keys_node").await.map(drop).unwrap_err();
    assert_eq!(kind, PostgresErrorKind::Exposed);
    assert!(said.contains("`alter table public.of_api_key_meta drop constraint of_api_key_meta_id_fkey`"), "{said}");
}

#[tokio::test]
async fn roles_that_have_the_owner_s_rights_anyway_may_have_them_in_the_schema() {
    let (server, admin) = owned().await;
    let harmless = "create role deputy; grant keys_owner to deputy; create role under_deputy; \
                    grant deputy to under_deputy; grant create on schema keys to deputy, under_deputy, dba; \
                    grant trigger on keys.api_keys to deputy; alter table keys.api_key_meta owner to dba";
    admin.batch_execute(harmless).await.unwrap();
    connect_as(&server, "keys_node").await.unwrap();
    migrate_as(&server, "keys_owner").await.unwrap();
    // A group that has the owner as a member may have other members too.
    admin
        .batch_execute("create role keepers; grant keepers to keys_owner; grant create on schema keys to keepers")
        .await
        .unwrap();
    let (_, said) = connect_as(&server, "keys_node").await.map(drop).unwrap_err();
    assert!(said.contains("keepers"), "{said}");
}

#[tokio::test]
async fn a_schema_that_a_stranger_made_first_is_refused() {
    let server = Server::start();
    let admin = server.client().await;
    let roles = "create role keys_owner login; create role squatter login; \
                 grant create on database postgres to keys_owner, squatter";
    admin.batch_execute(roles).await.unwrap();
    let squatter = client_as(&server, "squatter").await;
    squatter.batch_execute("create schema keys; grant create, usage on schema keys to public").await.unwrap();
    let (kind, said) = migrate_as(&server, "keys_owner").await.unwrap_err();
    assert_eq!(kind, PostgresErrorKind::Exposed);
    assert!(said.contains("the role squatter owns the schema keys"), "{said}");
    assert!(said.contains("`alter schema keys owner to keys_owner`"), "{said}");
    // Also if the schema has all tables already, so that nothing seems left to do.
    squatter.batch_execute("revoke create on schema keys from public").await.unwrap();
    migrate_as(&server, "squatter").await.unwrap();
    for role in ["keys_owner", "admin"] {
        let (kind, said) = migrate_as(&server, role).await.unwrap_err();
        assert_eq!(kind, PostgresErrorKind::Exposed, "{role}");
        assert!(said.contains("belong to the role squatter"), "{said}");
    }
}

#[tokio::test]
async fn tables_that_a_stranger_made_first_are_refused() {
    let server = Server::start();
    let admin = server.client().await;
    let before = "create role keys_owner login; create role squatter login; create schema keys authorization keys_owner; \
                  create table keys.api_key_log (position bigint); alter table keys.api_key_log owner to squatter";
    admin.batch_execute(before).await.unwrap();
    let (kind, said) = migrate_as(&server, "keys_owner").await.unwrap_err();
    assert_eq!(kind, PostgresErrorKind::Exposed);
    assert!(said.contains("the role squatter owns keys.api_key_log"), "{said}");
}

#[tokio::test]
async fn a_role_that_may_not_make_the_tables_is_told_what_to_run() {
    let server = Server::start();
    let admin = server.client().await;
    admin.batch_execute("create role \"keys owner\" login").await.unwrap();
    let mends =
        ["create schema \"keys\" authorization \"keys owner\"", "alter schema \"keys\" owner to \"keys owner\""];
    for (before, mend) in [("drop schema if exists keys cascade", mends[0]), ("create schema keys", mends[1])] {
        admin.batch_execute("drop schema if exists keys cascade").await.unwrap();
        admin.batch_execute(before).await.unwrap();
        let (kind, said) = migrate_as(&server, "keys%20owner").await.unwrap_err();
        assert_eq!(kind, PostgresErrorKind::Schema);
        assert!(said.contains(mend), "{said}");
        admin.batch_execute(mend).await.unwrap();
        migrate_as(&server, "keys%20owner").await.unwrap();
    }
}

#[tokio::test]
async fn the_migrations_refuse_an_open_schema_in_other_tools_too_and_leave_their_search_path() {
    let server = Server::start();
    let admin = server.client().await;
    let roles = "create role keys_owner login; create role developers; create schema keys authorization keys_owner; \
                 grant create on schema keys to developers";
    admin.batch_execute(roles).await.unwrap();
    let tool = client_as(&server, "keys_owner").await;
    let migrations = PostgresStore::migrations("keys").unwrap();
    let all = format!("set search_path = theirs, public; begin; {}", migrations.join(";"));
    let refused = tool.batch_execute(&all).await.unwrap_err();
    let said = refused.as_db_error().unwrap().message().to_owned();
    assert!(said.contains("`revoke create on schema \"keys\" from developers`"), "{said}");
    tool.batch_execute("rollback; revoke create on schema keys from developers").await.unwrap();
    tool.batch_execute(&all).await.unwrap();
    let path = tool.query_one("select current_setting('search_path')", &[]).await.unwrap();
    assert_eq!(path.get::<_, String>(0), "theirs, public");
    tool.batch_execute("insert into keys.api_key_schema (version) values (1); commit").await.unwrap();
    connect_as(&server, "keys_owner").await.unwrap();
    assert!(PostgresStore::migrations("public").is_err());
}

#[tokio::test]
async fn every_function_looks_names_up_in_the_server_s_own_schema_and_every_trigger_fires_always() {
    let (_server, admin) = owned().await;
    let open = "select p.proname::text from pg_proc p where p.pronamespace = 'keys'::regnamespace \
                and not ('search_path=pg_catalog, pg_temp' = any (p.proconfig)) is not false";
    let open: Vec<String> = admin.query(open, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(open, Vec::<String>::new());
    let quiet = "select count(*) filter (where tgenabled <> 'A'), count(*) from pg_trigger t \
                 join pg_class c on c.oid = t.tgrelid where c.relnamespace = 'keys'::regnamespace and not tgisinternal";
    let quiet = admin.query_one(quiet, &[]).await.unwrap();
    assert_eq!((quiet.get::<_, i64>(0), quiet.get::<_, i64>(1)), (0, TRIGGERS));
    let callable = "select p.proname::text from pg_proc p where p.pronamespace = 'keys'::regnamespace \
                    and has_function_privilege('developers', p.oid, 'execute') order by 1";
    let callable: Vec<String> = admin.query(callable, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(callable, ["api_key_close_owner", "api_key_reinstate_owner", "api_key_suspend_owner"]);
}

#[tokio::test]
async fn default_privileges_give_nobody_a_hand_in_new_tables() {
    let server = Server::start();
    let admin = server.client().await;
    let generous = "create role developers login; create role keys_owner login; \
                    grant create on database postgres to keys_owner; \
                    alter default privileges for role keys_owner grant all on schemas to developers; \
                    alter default privileges for role keys_owner grant all on tables to developers; \
                    alter default privileges for role keys_owner grant all on functions to developers";
    admin.batch_execute(generous).await.unwrap();
    migrate_as(&server, "keys_owner").await.unwrap();
    connect_as(&server, "keys_owner").await.unwrap();
    let developer = client_as(&server, "developers").await;
    for statement in [
        "create table keys.theirs (a integer)",
        "create temp table bait (like keys.api_keys); \
         create trigger t after delete on pg_temp.bait execute function keys.api_keys_truncated()",
        "create function pg_temp.theirs() returns trigger language plpgsql as 'begin return null; end'; \
         create trigger t after insert on keys.api_key_log execute function pg_temp.theirs()",
    ] {
        let error = developer.batch_execute(statement).await.expect_err(statement);
        assert_eq!(
            error.code(),
            Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE),
            "{statement}: {error}"
        );
    }
}
