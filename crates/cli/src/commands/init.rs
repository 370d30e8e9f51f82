use clap::Args;
use tower_api_keys::{manage::ListKeys, store::PostgresStore};

use crate::{
    arguments::Global,
    exit::Exit,
    failure::{Failure, sentence},
    open::{Address, Session, Setup},
    output::Screen,
};

/// Make the store if there is none, and say what is in it
#[derive(Args)]
pub(crate) struct Init {}

/// Bring the tables up to date, or print the SQL that does it
#[derive(Args)]
pub(crate) struct Migrate {
    /// Print the SQL for PostgreSQL, and change nothing
    #[arg(long)]
    print: bool,
}

impl Init {
    pub(super) async fn run(&self, global: &Global, screen: &mut Screen) -> Result<Exit, Failure> {
        let store = Address::of(global.store.as_deref())?.migrate(global).await?;
        let session = Session::over(store, global, Setup::default()).await?;
        let found = session.manager.list(ListKeys::all().limit(1), &session.actor).await;
        session.close().await?;
        if screen.is_json() {
            return screen
                .document(&serde_json::json!({ "is_ready": true, "has_keys": !found?.keys.is_empty() }))
                .map(|()| Exit::Done);
        }
        screen.line(match found?.keys.is_empty() {
            true => "The store is ready, and has no keys yet. Make the first one with `apikeys create`.",
            false => "The store is ready, and has keys. See them with `apikeys list`.",
        })?;
        Ok(Exit::Done)
    }
}

impl Migrate {
    /// Whether it may change something.
    pub(crate) const fn changes(&self) -> bool {
        !self.print
    }

    pub(super) async fn run(&self, global: &Global, screen: &mut Screen) -> Result<Exit, Failure> {
        if self.print {
            return print(global, screen);
        }
        drop(Address::of(global.store.as_deref())?.migrate(global).await?);
        if screen.is_json() {
            screen.document(&serde_json::json!({ "is_ready": true }))?;
        } else {
            screen.line("The tables are up to date.")?;
        }
        Ok(Exit::Done)
    }
}

/// Prints the migrations so that `psql` can run them on an empty schema, or a person the last of them.
fn print(global: &Global, screen: &mut Screen) -> Result<Exit, Failure> {
    if let Some(Ok(Address::Sqlite(_))) = global.store.as_deref().map(Address::parse) {
        let text = "An SQLite file is brought up to date whenever it is opened: there is no SQL to print.";
        return Err(Failure::usage(text));
    }
    let migrations = PostgresStore::migrations(&global.schema).map_err(|error| Failure::usage(sentence(&error)))?;
    for (number, sql) in (1_u32..).zip(migrations) {
        let schema = &global.schema;
        screen.text(&format!(
            "-- Migration {number}: leave it out if \"{schema}\".api_key_schema has this number.\nbegin;\n{}\n\
             insert into \"{schema}\".api_key_schema (version) values ({number});\ncommit;\n",
            sql.trim_end()
        ))?;
    }
    Ok(Exit::Done)
}
