//! Opens the store, and says who acts.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use tower_api_keys::{
    Actor, ApiKeys, KeyManager,
    auth::{Addresses, Freshness},
    hash::{Pepper, PepperId, Peppers},
    key::{InvalidBrand, KeyFormat},
    store::{
        AnyStore, PostgresErrorKind, PostgresSettings, PostgresStore, SqliteOpenError, SqliteOpenErrorKind, SqliteStore,
    },
};
use zeroize::Zeroizing;

use crate::{
    arguments::Global,
    commands::reconcile::Lists,
    failure::{Failure, sentence},
};

/// Where the keys are. It may hold a password, so nothing prints it.
pub(crate) enum Address {
    Postgres(Zeroizing<String>),
    Sqlite(PathBuf),
}

/// A store that is open.
pub(crate) enum Store {
    Postgres(PostgresStore),
    Sqlite(SqliteStore),
}

/// What a command needs beside the options of all commands.
#[derive(Default)]
pub(crate) struct Setup {
    /// It runs until it is interrupted.
    pub(crate) for_long: bool,
    /// Which users and teams there are.
    pub(crate) lists: Option<Lists>,
    /// It serves several organizations, whichever one an option names.
    pub(crate) has_organizations: bool,
    /// How it checks keys, if it does.
    pub(crate) checks: Checks,
}

/// How a node checks the keys of requests.
#[derive(Default)]
pub(crate) struct Checks {
    pub(crate) freshness: Freshness,
    /// None: addresses are only written down here.
    pub(crate) addresses: Option<Addresses>,
}

/// An open store with what manages its keys.
pub(crate) struct Session {
    pub(crate) keys: ApiKeys<AnyStore>,
    pub(crate) manager: KeyManager,
    pub(crate) actor: Actor,
    pub(crate) store: Store,
}

impl Address {
    /// Of the text that `--store` was given.
    ///
    /// # Errors
    /// If there is none, or if it cannot be read.
    pub(crate) fn of(store: Option<&str>) -> Result<Self, Failure> {
        match store {
            None => Err(Failure::usage("Which store? Give its file or URL with --store, or set APIKEYS_STORE.")),
            Some("-") => {
                let mut text = Zeroizing::new(String::new());
                let read = io::stdin().take(64 * 1024).read_to_string(&mut text);
                read.map_err(|error| {
                    Failure::usage("The store cannot be read from standard input.").because_of(&error)
                })?;
                Self::parse(text.trim())
            }
            Some(text) => Self::parse(text),
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(Zeroizing::new(text.to_owned())));
        }
        if text.is_empty() || text.contains("://") {
            let said = "The store is neither a file nor a URL that begins with postgres://.";
            return Err(Failure::usage(said));
        }
        Ok(Self::Sqlite(PathBuf::from(text)))
    }

    /// Opens what is there. Nothing is made.
    ///
    /// # Errors
    /// If it cannot be opened, with what to do.
    pub(crate) async fn open(&self, global: &Global) -> Result<Store, Failure> {
        match self {
            Self::Sqlite(path) if !path.exists() => Err(Failure::unavailable(format!(
                "There is no file `{}`: check its name, or make it with `apikeys init`.",
                path.display()
            ))),
            Self::Sqlite(path) => Self::open_file(path).await,
            Self::Postgres(url) => {
                let store = PostgresStore::connect_with(url, settings(global)?).await.map_err(|error| {
                    let mut said = sentence(&error);
                    if error.kind() == PostgresErrorKind::Schema {
                        said.push_str(" From here, `apikeys migrate` does that.");
                    }
                    Failure::unavailable(said).because_of(&error)
                })?;
                Ok(Store::Postgres(store))
            }
        }
    }

    /// Makes the store if there is none, and brings its tables up to date.
    ///
    /// # Errors
    /// If that is not possible, with what to do.
    pub(crate) async fn migrate(&self, global: &Global) -> Result<Store, Failure> {
        match self {
            Self::Sqlite(path) => Self::open_file(path).await,
            Self::Postgres(url) => {
                let migrated = PostgresStore::migrate_with(url, settings(global)?).await;
                migrated.map_err(|error| Failure::unavailable(sentence(&error)).because_of(&error))?;
                self.open(global).await
            }
        }
    }

    /// Opens what is there, for this process alone if that is possible.
    ///
    /// # Errors
    /// As for [`open`](Self::open), and if another process has the file open.
    pub(crate) async fn open_alone(&self, global: &Global) -> Result<Store, Failure> {
        match self {
            Self::Sqlite(path) if path.exists() => Self::opened(path, SqliteStore::open_exclusive(path).await),
            Self::Sqlite(_) => self.open(global).await,
            Self::Postgres(_) => Err(Failure::usage("--exclusive is for an SQLite file.")),
        }
    }

    async fn open_file(path: &Path) -> Result<Store, Failure> {
        Self::opened(path, SqliteStore::open(path).await)
    }

    fn opened(path: &Path, opened: Result<SqliteStore, SqliteOpenError>) -> Result<Store, Failure> {
        opened.map(Store::Sqlite).map_err(|error| match error.kind() {
            SqliteOpenErrorKind::InUse => Failure::unavailable(format!(
                "`{}` is open exclusively in another process: stop it, or manage the keys through its routes.",
                path.display()
            )),
            _ => Failure::unavailable(sentence(&error)).because_of(&error),
        })
    }
}

fn settings(global: &Global) -> Result<PostgresSettings, Failure> {
    let mut settings = PostgresSettings::new().with_schema(&global.schema);
    if global.behind_pooler {
        settings = settings.behind_pooler();
    }
    if let Some(path) = &global.root_certificates {
        let read = fs::read_to_string(path);
        let pem = read.map_err(|error| unreadable("The root certificates", path).because_of(&error))?;
        settings = settings.with_root_certificates(pem);
    }
    Ok(settings)
}

fn unreadable(what: &str, path: &Path) -> Failure {
    Failure::usage(format!("{what} cannot be read from `{}`.", path.display()))
}

impl Store {
    fn erased(&self) -> AnyStore {
        match self {
            Self::Postgres(store) => AnyStore::new(store.clone()),
            Self::Sqlite(store) => AnyStore::new(store.clone()),
        }
    }
}

impl Session {
    /// Over a store that is open.
    ///
    /// # Errors
    /// If an option does not fit it.
    pub(crate) async fn over(store: Store, global: &Global, setup: Setup) -> Result<Self, Failure> {
        let actor = Actor::system(label(global)).map_err(|error| Failure::option("--as", &error))?;
        let mut builder = ApiKeys::builder(store.erased())
            .format(format(global)?)
            .peppers(peppers(global)?)
            // What a service keeps for longer than by default must not be deleted by a command that runs for long.
            .keep_usage_days(400);
        let Checks { freshness, addresses } = setup.checks;
        // Without addresses of its own it only writes networks down: other nodes know from where requests come.
        builder = builder.freshness(freshness).addresses(addresses.unwrap_or_else(Addresses::given));
        if setup.for_long {
            // Each end is announced once, and has to reach the sink of the service, which is not here.
            builder = builder.warn_of_ends([]);
        }
        if let Some(lists) = setup.lists {
            builder = builder.directory(lists);
        }
        if setup.has_organizations || global.organization.is_some() {
            builder = builder.several_organizations();
        }
        if let Some(freshness) = global.node_freshness {
            builder = builder.freshness_of_other_nodes(freshness);
        }
        let built = builder.build().await;
        let keys = built.map_err(|error| Failure::unavailable(sentence(&error)).because_of(&error))?;
        let manager = match &global.organization {
            Some(organization) => keys.manager_for(organization.clone()),
            None => keys.manager(),
        };
        Ok(Self { keys, manager, actor, store })
    }

    /// Writes what is still to be written. The store is closed when this returns.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn close(self) -> Result<(), Failure> {
        self.keys.shutdown().await.map_err(|error| Failure::store(&error))
    }
}

fn format(global: &Global) -> Result<KeyFormat, Failure> {
    let wrong = |error: InvalidBrand| Failure::option("--brand or --accept-brand", &error);
    let mut format = match &global.brand {
        Some(brand) => KeyFormat::branded(brand).map_err(wrong)?,
        None => KeyFormat::unbranded(),
    };
    for brand in &global.accept_brand {
        format = format.accepting(brand).map_err(wrong)?;
    }
    Ok(if global.accept_unbranded { format.accepting_unbranded() } else { format })
}

/// The peppers, each from its file.
fn peppers(global: &Global) -> Result<Peppers, Failure> {
    let mut peppers = Peppers::none();
    for (id, path) in &global.pepper {
        let what = format!("Pepper {id}");
        let read = private_text(path).map_err(|error| unreadable(&what, path).because_of(&error))?;
        let pepper = Pepper::from_base64(read.trim()).map_err(|error| {
            Failure::usage(format!("{what} in `{}` is not usable.", path.display())).because_of(&error)
        })?;
        peppers = peppers.with(PepperId::new(*id), pepper);
    }
    match global.current_pepper {
        Some(id) => peppers.current(PepperId::new(id)).map_err(|error| Failure::option("--current-pepper", &error)),
        None => Ok(peppers),
    }
}

/// The text of a file that nobody else may read.
fn private_text(path: &Path) -> io::Result<Zeroizing<String>> {
    let mut file = fs::File::open(path)?;
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::mode(&file.metadata()?) & 0o077 != 0 {
        let text = format!("other users may read it: run `chmod 600 {}`", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    let mut text = Zeroizing::new(String::with_capacity(1024));
    io::Read::by_ref(&mut file).take(1024).read_to_string(&mut text)?;
    Ok(text)
}

/// What the trail calls the person at the terminal. A person who can open the store is its operator.
fn label(global: &Global) -> String {
    if let Some(label) = &global.acting_as {
        return label.clone();
    }
    let user = ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let user = user.filter(|user| !user.is_empty()).unwrap_or_else(|| "unknown".to_owned());
    let label = format!("command line: {user}@{}", host());
    // A machine may have a longer name than a label.
    label.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(128).collect()
}

fn host() -> String {
    #[cfg(unix)]
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let host = std::env::var("COMPUTERNAME").unwrap_or_else(|_| "unknown".to_owned());
    host
}
