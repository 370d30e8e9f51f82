//! Whether untrusted roles could replace the data or code that keys are checked with.

use tokio_postgres::{Client, Row, types::Type};

use super::{
    connect_error::PostgresError,
    session::ask,
    sql::{Query, qualified},
};

/// How many statements an error names at most.
const MOST: usize = 8;

/// Lists what untrusted roles can do, with the statement that ends it, one row each. Trusted are: the role that owns
/// the tables, or the current role if there are no tables yet; superusers; and roles that may become one of these.
///
/// - A role that owns the schema, or may create in it, can drop a table or add a function next to one of ours.
/// - A trigger is code that runs as the role whose statement fired it; on the tables of the change log, as their owner.
///   The same is true of code that its condition calls. Our own functions are checked as functions, so that no
///   suggested statement drops one of our triggers.
/// - A foreign key to a table can delete rows of another table. The triggers there run as the role that deleted the
///   referenced rows: nodes do that when they prune. No node deletes from `api_keys` or `api_key_owners`, and services
///   refer to them, so these two are allowed.
/// - A right that another role granted cannot be revoked by the owner: the other role has to do it. If that role is not
///   trusted, it loses its own right, and everything that depends on it.
pub(super) const EXPOSURES: &str = "\
    with recursive home as (\
        select oid, nspname, nspowner, nspacl from pg_catalog.pg_namespace where nspname {=} $1\
    ), tables as (\
        select c.oid, c.relname, c.relowner, c.relacl from pg_catalog.pg_class c join home on c.relnamespace {=} home.oid \
        where pg_catalog.left(c.relname::pg_catalog.text, 7) {=} 'api_key' and c.relkind {=} any ('{r,p,v,m,S,f}')\
    ), keeper as (\
        select r.oid, r.rolname from pg_catalog.pg_roles r where r.oid {=} coalesce(\
            (select relowner from tables where relname {=} 'api_keys'), \
            (select oid from pg_catalog.pg_roles where rolname {=} current_user))\
    ), trusted (oid) as (\
        select r.oid from pg_catalog.pg_roles r where r.rolsuper or r.oid {=} (select oid from keeper) \
        union select m.member from pg_catalog.pg_auth_members m join trusted on m.roleid {=} trusted.oid\
    ), grants (place, role, can, what, owner, grantor, is_grantable) as (\
        select 2, a.grantee, pg_catalog.format('may create in the schema %I', home.nspname), \
            pg_catalog.format('create on schema %I', home.nspname), home.nspowner, a.grantor, a.is_grantable \
        from home cross join lateral pg_catalog.aclexplode(home.nspacl) a where a.privilege_type {=} 'CREATE' \
        union all \
        select 5, a.grantee, pg_catalog.format('may put triggers on %I.%I', home.nspname, t.relname), \
            pg_catalog.format('trigger on %I.%I', home.nspname, t.relname), t.relowner, a.grantor, a.is_grantable \
        from home cross join tables t cross join lateral pg_catalog.aclexplode(t.relacl) a \
        where a.privilege_type {=} 'TRIGGER' \
        union all \
        select 5, a.grantee, pg_catalog.format('may refer to %I.%I', home.nspname, t.relname), \
            pg_catalog.format('references on %I.%I', home.nspname, t.relname), t.relowner, a.grantor, a.is_grantable \
        from home cross join tables t cross join lateral pg_catalog.aclexplode(t.relacl) a \
        where a.privilege_type {=} 'REFERENCES' and not t.relname {=} any (array['api_keys', 'api_key_owners'])\
    ), calls (part, class, called) as (\
        select oid, 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid, tgfoid from pg_catalog.pg_trigger \
        union select objid, refclassid, refobjid from pg_catalog.pg_depend \
        where classid {=} 'pg_catalog.pg_trigger'::pg_catalog.regclass\
    ), exposures (place, role, can, mend) as (\
        select 1, home.nspowner, pg_catalog.format('owns the schema %I', home.nspname), \
            pg_catalog.format('alter schema %I owner to %I', home.nspname, keeper.rolname) from home cross join keeper \
        union all \
        select place, role, can, pg_catalog.concat(\
            case when grantor {<>} owner then pg_catalog.format('set role %s; ', grantor::pg_catalog.regrole) end, \
            'revoke ', what, ' from ', case when role {=} 0 then 'public' else role::pg_catalog.regrole::pg_catalog.text end, \
            case when is_grantable then ' cascade' end, \
            case when grantor {<>} owner then '; reset role' end) \
        from grants where role {<>} owner \
            and (grantor {=} owner or exists (select 1 from trusted where trusted.oid {=} grantor)) \
        union all \
        select 3, t.relowner, pg_catalog.format('owns %I.%I, and may have given it defaults, rules or checks that call code \
            of its own, so look at it first', home.nspname, t.relname), \
            pg_catalog.format('alter table %I.%I owner to %I', home.nspname, t.relname, keeper.rolname) \
        from home cross join tables t cross join keeper \
        union all \
        select 4, p.proowner, pg_catalog.format('owns the function %s, and may have changed what it does, so read it \
            first', f.name), pg_catalog.format('alter function %s owner to %I', f.name, keeper.rolname) \
        from pg_catalog.pg_proc p join home on p.pronamespace {=} home.oid cross join keeper \
        cross join lateral (select pg_catalog.format('%I.%I(%s)', home.nspname, p.proname, \
            pg_catalog.pg_get_function_identity_arguments(p.oid))) f (name) \
        where pg_catalog.left(p.proname::pg_catalog.text, 7) {=} 'api_key' \
        union all \
        select 6, code.owner, pg_catalog.format('has a trigger on %I.%I', home.nspname, t.relname), \
            pg_catalog.format('drop trigger %I on %I.%I', g.tgname, home.nspname, t.relname) \
        from home cross join tables t join pg_catalog.pg_trigger g on g.tgrelid {=} t.oid \
        join calls on calls.part {=} g.oid cross join lateral (\
            select p.proowner from pg_catalog.pg_proc p \
            where calls.class {=} 'pg_catalog.pg_proc'::pg_catalog.regclass and p.oid {=} calls.called \
                and not (p.pronamespace {=} home.oid and pg_catalog.left(p.proname::pg_catalog.text, 7) {=} 'api_key') \
            union all select o.oprowner from pg_catalog.pg_operator o \
            where calls.class {=} 'pg_catalog.pg_operator'::pg_catalog.regclass and o.oid {=} calls.called \
            union all select y.typowner from pg_catalog.pg_type y \
            where calls.class {=} 'pg_catalog.pg_type'::pg_catalog.regclass and y.oid {=} calls.called\
        ) code (owner) where not g.tgisinternal \
        union all \
        select 7, c.relowner, pg_catalog.format('refers to %I.%I', home.nspname, t.relname), \
            pg_catalog.format('alter table %I.%I drop constraint %I', n.nspname, c.relname, f.conname) \
        from home cross join tables t join pg_catalog.pg_constraint f on f.confrelid {=} t.oid and f.contype {=} 'f' \
        join pg_catalog.pg_class c on c.oid {=} f.conrelid join pg_catalog.pg_namespace n on n.oid {=} c.relnamespace \
        where not t.relname {=} any (array['api_keys', 'api_key_owners'])\
    ) \
    select pg_catalog.format(case when e.role {=} 0 then 'every role %s' else 'the role %2$I %1$s' end, e.can, r.rolname), \
        e.mend \
    from exposures e left join pg_catalog.pg_roles r on r.oid {=} e.role \
    where not exists (select 1 from trusted where trusted.oid {=} e.role) order by e.place, 1, 2";

/// # Errors
/// Exposed if untrusted roles can replace what keys are checked with: it says how, and which statements end it.
pub(super) async fn refuse_exposed(client: &Client, schema: &str) -> Result<(), PostgresError> {
    let query = Query { text: qualified(EXPOSURES, ""), types: &[Type::TEXT] };
    let exposures = ask(client, &query, &[&schema]).await.map_err(PostgresError::unavailable)?;
    if exposures.is_empty() {
        return Ok(());
    }
    let column = |row: &Row, place: usize| row.try_get::<_, String>(place).map_err(PostgresError::unavailable);
    let mut said = Vec::new();
    for row in exposures.iter().take(MOST) {
        said.push(format!("{}: run `{}`", column(row, 0)?, column(row, 1)?));
    }
    if exposures.len() > MOST {
        said.push(format!("and {} more of the kind", exposures.len() - MOST));
    }
    Err(PostgresError::exposed(&said.join("; ")))
}
