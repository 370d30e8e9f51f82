use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tower_api_keys::store::{
    SqliteBackupErrorKind,
    transfer::{self, CopyError, CopyErrorKind, Cursor, PortableStore, Progress},
};

use super::working;
use crate::{
    arguments::Global,
    exit::Exit,
    failure::{Failure, sentence},
    open::{Address, Store},
    output::{Screen, counted},
};

/// Write a complete copy of an SQLite file, also while it is in use
#[derive(Args)]
pub(crate) struct Backup {
    /// The new file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Copy all keys, owners, counts and events from one store into another
#[derive(Args)]
pub(crate) struct Copy {
    /// The store to copy; `-` reads it from standard input
    #[arg(value_name = "FROM", env = "APIKEYS_COPY_FROM", hide_env_values = true)]
    from: String,
    /// The store to copy into, which has its tables and is not in use; `-` reads it from standard input
    #[arg(value_name = "TO", env = "APIKEYS_COPY_TO", hide_env_values = true)]
    to: String,
    /// Continue where a copy stopped: it said so
    #[arg(long, value_name = "PLACE")]
    starting_at: Option<Cursor>,
}

impl Backup {
    pub(super) async fn run(&self, global: &Global, screen: &mut Screen) -> Result<Exit, Failure> {
        let store = match Address::of(global.store.as_deref())? {
            address @ Address::Sqlite(_) => address.open(global).await?,
            Address::Postgres(_) => {
                let text = "Only an SQLite file is backed up from here: use `pg_dump --schema` for PostgreSQL.";
                return Err(Failure::usage(text));
            }
        };
        let Store::Sqlite(file) = &store else {
            return Err(Failure::usage("Only an SQLite file is backed up from here."));
        };
        let written = working("Writing the backup", file.backup_to(&self.file), screen).await;
        let bytes = written.map_err(|error| {
            let failure = match error.kind() {
                SqliteBackupErrorKind::AlreadyExists => Failure::refused(sentence(&error)),
                _ => Failure::unavailable(sentence(&error)),
            };
            failure.because_of(&error).not("backed up")
        })?;
        if screen.is_json() {
            screen.document(&serde_json::json!({ "file": self.file, "bytes": bytes }))?;
        } else {
            let file = self.file.display();
            screen.line(format!("Written: `{file}`, {}. Peppers are not in it.", counted(bytes, "byte", "bytes")))?;
        }
        Ok(Exit::Done)
    }
}

/// How much was copied.
#[derive(Serialize)]
struct Copied {
    meta: u64,
    owners: u64,
    keys: u64,
    tombstones: u64,
    usage: u64,
    usage_days: u64,
    events: u64,
    written: u64,
}

impl From<transfer::Copied> for Copied {
    fn from(copied: transfer::Copied) -> Self {
        let transfer::Copied { meta, owners, keys, tombstones, usage, usage_days, events, written, .. } = copied;
        Self { meta, owners, keys, tombstones, usage, usage_days, events, written }
    }
}

impl Copy {
    pub(super) async fn run(&self, global: &Global, screen: &mut Screen) -> Result<Exit, Failure> {
        if self.from == "-" && self.to == "-" {
            return Err(Failure::usage("Only one of the two stores can be read from standard input."));
        }
        let (from, to) = (Address::of(Some(&self.from))?, Address::of(Some(&self.to))?);
        if matches!((&from, &to), (Address::Sqlite(from), Address::Sqlite(to)) if from == to) {
            return Err(Failure::usage("Both stores are the same file."));
        }
        let (from, to) = (from.open(global).await?, to.open(global).await?);
        let start = self.starting_at.clone().unwrap_or(Cursor::START);
        let copied = match (&from, &to) {
            (Store::Sqlite(from), Store::Sqlite(to)) => copy(from, to, start, screen).await,
            (Store::Sqlite(from), Store::Postgres(to)) => copy(from, to, start, screen).await,
            (Store::Postgres(from), Store::Sqlite(to)) => copy(from, to, start, screen).await,
            (Store::Postgres(from), Store::Postgres(to)) => copy(from, to, start, screen).await,
        };
        let copied = copied.map_err(|error| stopped(&error))?;
        let (rows, written) = (copied.rows(), copied.written);
        if screen.is_json() {
            screen.document(&Copied::from(copied))?;
        } else {
            let [keys, events] = [copied.keys, copied.events];
            screen.line(format!(
                "Copied: {}, {} and other data. {} of {rows} rows are new in the target.",
                counted(keys, "key", "keys"),
                counted(events, "event", "events"),
                written
            ))?;
        }
        Ok(Exit::Done)
    }
}

async fn copy<S: PortableStore, T: PortableStore>(
    from: &S,
    to: &T,
    start: Cursor,
    screen: &mut Screen,
) -> Result<transfer::Copied, CopyError> {
    let tell =
        |progress: &Progress| screen.progress(&format!("{} copied", counted(progress.copied.rows(), "row", "rows")));
    transfer::copy(from, to).starting_at(start).on_progress(tell).await
}

fn stopped(error: &CopyError) -> Failure {
    let place = error.cursor();
    let again = format!(" To continue, repeat the command with --starting-at '{place}'.");
    match error.kind() {
        CopyErrorKind::Conflict => Failure::refused(sentence(error)),
        _ => Failure::unavailable(sentence(error)).with(again),
    }
    .because_of(error)
    .not("all copied")
}
