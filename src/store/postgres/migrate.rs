use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, Row, error::SqlState};

use super::{
    blockers::{Aside, Limits},
    connect_error::PostgresError,
    exposure::refuse_exposed,
    schema::{migrations, refuse_standby, value},
    session::{ask, begin, pid_of},
    settings::PostgresSettings,
    sql::{Sql, qualified},
};

/// How often to try while other nodes migrate, too: each object that one of them makes lets the others fail once.
const ATTEMPTS: usize = 5;

/// The current role, and what exists. The role knows the tables' owner if that is the role itself, a role of which it
/// is a member (not as a superuser), the owner of the database, or a superuser.
pub(super) const FACTS: &str = "\
    select home.oid is not null, \
        exists (select 1 from pg_catalog.pg_class where relnamespace {=} home.oid and relname {=} 'api_key_schema'), \
        pg_catalog.has_database_privilege(pg_catalog.current_database(), 'create'), \
        coalesce(pg_catalog.has_schema_privilege(home.oid, 'create'), false), \
        pg_catalog.quote_ident(current_user), pg_catalog.quote_ident(keeper.rolname), \
        coalesce(keeper.rolname {=} current_user or keeper.rolsuper \
            or keeper.oid {=} (select datdba from pg_catalog.pg_database where datname {=} pg_catalog.current_database()) \
            or not asks.rolsuper and pg_catalog.pg_has_role(keeper.oid, 'member'), true) \
    from (values ($1)) as asked (schema) \
    left join pg_catalog.pg_namespace home on home.nspname {=} asked.schema \
    left join pg_catalog.pg_class tables on tables.relnamespace {=} home.oid and tables.relname {=} 'api_keys' \
    left join pg_catalog.pg_roles keeper on keeper.oid {=} tables.relowner \
    left join pg_catalog.pg_roles asks on asks.rolname {=} current_user";

struct SchemaState {
    has_schema: bool,
    has_version: bool,
    may_make_schema: bool,
    may_make_tables: bool,
    role: String,
    keeper: Option<String>,
    knows_keeper: bool,
}

/// Brings the tables up to date.
pub(super) async fn migrate(client: &Client, aside: &Aside, settings: &PostgresSettings) -> Result<(), PostgresError> {
    timeout(settings.connect_timeout, refuse_standby(client)).await.map_err(PostgresError::unavailable)??;
    let migration = Migration { client, aside, settings, sql: &Sql::new(&settings.schema) };
    // If the connection goes silent half-way, it is given up, and the transaction with it.
    timeout(settings.migration_timeout, migration.run()).await.map_err(PostgresError::late_migration)?
}

struct Migration<'a> {
    client: &'a Client,
    aside: &'a Aside,
    settings: &'a PostgresSettings,
    sql: &'a Sql,
}

impl Migration<'_> {
    async fn run(&self) -> Result<(), PostgresError> {
        let mut attempt = 1;
        loop {
            match self.attempt().await {
                Err(Stopped::Overtaken(_)) if attempt < ATTEMPTS => attempt += 1,
                Err(Stopped::Overtaken(error)) => return Err(PostgresError::refused_migration(error)),
                Err(Stopped::Failed(error)) => return Err(error),
                Ok(()) => return Ok(()),
            }
        }
    }

    /// Migrates in one transaction. It takes no advisory lock, because any role could block that. If two nodes make the
    /// same table, one waits for the other, fails, and finds the table made when it tries again.
    async fn attempt(&self) -> Result<(), Stopped> {
        let unavailable = |error| Stopped::Failed(PostgresError::unavailable(error));
        let answers = self.client.simple_query(&begin(self.lock_limit())).await.map_err(unavailable)?;
        let pid = pid_of(&answers);
        let migrated = self.migrate_to_newest(pid).await;
        let end = if migrated.is_ok() { "commit" } else { "rollback" };
        let ended = self.client.batch_execute(end).await;
        migrated.and(ended.map_err(unavailable))
    }

    async fn migrate_to_newest(&self, pid: Option<i32>) -> Result<(), Stopped> {
        let schema = &self.settings.schema;
        let facts = self.watched(pid, self.facts()).await?;
        refuse_exposed(self.client, schema).await?;
        facts.refuse_other_keeper(schema)?;
        let found: i32 = if facts.has_version {
            let rows = self.watched(pid, ask(self.client, &self.sql.version, &[])).await?;
            value(&rows).map_err(PostgresError::refused_migration)?.unwrap_or(0)
        } else {
            0
        };
        for (version, migration) in (1..).zip(migrations(schema)).filter(|(version, _)| *version > found) {
            // Only if there is something to do: a role without these rights may migrate what is up to date.
            facts.refuse_without_rights(schema)?;
            self.watched(pid, self.client.batch_execute(&migration)).await?;
            self.watched(pid, ask(self.client, &self.sql.record_version, &[&version])).await?;
        }
        Ok(())
    }

    async fn facts(&self) -> Result<SchemaState, tokio_postgres::Error> {
        let asked = (&self.settings.schema as _, tokio_postgres::types::Type::TEXT);
        let rows = self.client.query_typed(&qualified(FACTS, ""), &[asked]).await?;
        rows.first().map_or_else(|| Ok(SchemaState::none()), SchemaState::of)
    }

    async fn watched<T>(
        &self,
        pid: Option<i32>,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Stopped> {
        let limit = self.lock_limit();
        let limits = Limits { patience: limit / 8, answer: self.settings.migration_timeout };
        match self.aside.watch(|| pid, limits, answer).await {
            (Ok(Ok(answer)), _) => Ok(answer),
            (Ok(Err(error)), holders) => Err(Stopped::of(error, holders)),
            (Err(late), _) => Err(PostgresError::unavailable(late).into()),
        }
    }

    fn lock_limit(&self) -> Duration {
        self.settings.migration_timeout / 4
    }
}

/// Why an attempt did not bring the tables up to date.
enum Stopped {
    Failed(PostgresError),
    /// Another node that did the same was faster.
    Overtaken(tokio_postgres::Error),
}

impl Stopped {
    fn of(error: tokio_postgres::Error, holders: Option<String>) -> Self {
        match error.code() {
            Some(
                &SqlState::UNIQUE_VIOLATION
                | &SqlState::DUPLICATE_SCHEMA
                | &SqlState::DUPLICATE_TABLE
                | &SqlState::DUPLICATE_OBJECT
                | &SqlState::DUPLICATE_FUNCTION
                | &SqlState::DUPLICATE_COLUMN
                | &SqlState::T_R_DEADLOCK_DETECTED
                | &SqlState::T_R_SERIALIZATION_FAILURE,
            ) => Self::Overtaken(error),
            Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                let holders = holders.unwrap_or_else(|| "see `pg_stat_activity` and `pg_locks`".to_owned());
                PostgresError::locked(&holders, error).into()
            }
            _ => PostgresError::refused_migration(error).into(),
        }
    }
}

impl From<PostgresError> for Stopped {
    fn from(error: PostgresError) -> Self {
        Self::Failed(error)
    }
}

impl SchemaState {
    const fn none() -> Self {
        Self {
            has_schema: false,
            has_version: false,
            may_make_schema: false,
            may_make_tables: false,
            role: String::new(),
            keeper: None,
            knows_keeper: false,
        }
    }

    fn of(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            has_schema: row.try_get(0)?,
            has_version: row.try_get(1)?,
            may_make_schema: row.try_get(2)?,
            may_make_tables: row.try_get(3)?,
            role: row.try_get(4)?,
            keeper: row.try_get(5)?,
            knows_keeper: row.try_get(6)?,
        })
    }

    /// Refuses tables that an unknown role made, if this role could have made them: the unknown role would control the
    /// keys.
    fn refuse_other_keeper(&self, schema: &str) -> Result<(), PostgresError> {
        match &self.keeper {
            Some(keeper) if !self.knows_keeper && (self.may_make_schema || self.may_make_tables) => {
                Err(PostgresError::other_keeper(schema, keeper))
            }
            _ => Ok(()),
        }
    }

    fn refuse_without_rights(&self, schema: &str) -> Result<(), PostgresError> {
        let role = &self.role;
        let mend = match self.has_schema {
            false if !self.may_make_schema => format!("create schema \"{schema}\" authorization {role}"),
            true if !self.may_make_tables => format!("alter schema \"{schema}\" owner to {role}"),
            _ => return Ok(()),
        };
        Err(PostgresError::no_right_to_migrate(role, &mend))
    }
}
