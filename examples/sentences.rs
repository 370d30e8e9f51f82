//! Prints every sentence that people read: what an answer of the manager says, what a refused caller is told, and the errors
//! of settings and of opening a store, each of which this program makes happen.
//!
//! ```text
//! cargo run --example sentences --all-features
//! ```
//!
//! The output is also the page `docs/sentences.md`, for a reviewer who reads all of it. A test compares the two; this writes
//! the page again:
//!
//! ```text
//! cargo run --example sentences --all-features > docs/sentences.md
//! ```
//!
//! PostgreSQL's errors that need a server are in one file, `src/store/postgres/connect_error.rs`.

use std::{
    env,
    error::Error,
    fmt::Display,
    fs,
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use http::HeaderName;
use tower_api_keys::{
    ApiKeys, ApiKeysBuilder, KeyId, Networks, Scope, SetupError, TeamId, Timestamp,
    auth::Freshness,
    hash::{Argon2Params, HasherConfig, Pepper, PepperId, Peppers},
    key::KeyFormat,
    manage::sentences,
    middleware::KeyHeaders,
    record::{KeyName, Labels, Responsible},
    store::{MemoryStore, PostgresSettings, PostgresStore, SqliteStore},
};

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut page = Page(String::from(
        "# Sentences

Everything that this crate says to people, with an example in each place. It is printed by
`cargo run --example sentences --all-features`. What a refused caller is told is on a page of its own, with status and
headers: [Refusals](refusals.md).
",
    ));
    answers(&mut page);
    settings(&mut page).await?;
    stores(&mut page).await?;
    io::stdout().write_all(page.0.as_bytes())?;
    Ok(())
}

struct Page(String);

impl Page {
    fn heading(&mut self, title: &str, text: &str) {
        self.0 += &format!("\n## {title}\n\n{text}\n\n");
    }

    fn line(&mut self, of: &str, said: &impl Display) {
        self.0 += &format!("- `{of}`: {said}\n");
    }

    /// Adds the error of what has to fail.
    fn failed<T>(&mut self, of: &str, result: Result<T, impl Error>) -> Result<(), String> {
        let Err(error) = result else { return Err(format!("`{of}` did not fail")) };
        self.line(of, &error);
        Ok(())
    }
}

fn answers(page: &mut Page) {
    page.heading("Answers of the manager", "Denials, notes, flags, verdicts, evidence and errors, by their ids.");
    let mut group = String::new();
    for sentence in sentences() {
        let (of, _) = sentence.id().split_once('.').unwrap_or((sentence.id(), ""));
        if of != group {
            page.0 += &format!("{}### {of}\n\n", if group.is_empty() { "" } else { "\n" });
            group = of.to_owned();
        }
        page.line(sentence.id(), &sentence);
    }
}

async fn settings(page: &mut Page) -> Result<(), Box<dyn Error>> {
    page.heading(
        "Errors of settings",
        "What is wrong with a setting or a name, at the start of a service or where it is used.",
    );
    type Wrong = fn(ApiKeysBuilder<MemoryStore>) -> ApiKeysBuilder<MemoryStore>;
    let wrong: [(&str, Wrong); 21] = [
        ("brand", |keys| keys.brand("Not A Brand")),
        ("cache_capacity", |keys| keys.cache_capacity(0)),
        ("max_concurrent_lookups", |keys| keys.max_concurrent_lookups(0, HOUR)),
        ("max_concurrent_lookups, wait", |keys| keys.max_concurrent_lookups(1, 2 * HOUR)),
        ("answer_timeout", |keys| keys.answer_timeout(Duration::ZERO)),
        ("store_timeout", |keys| keys.store_timeout(Duration::ZERO)),
        ("coalescing", |keys| keys.coalescing(HOUR)),
        ("freshness", |keys| keys.freshness(Freshness::Bounded(Duration::ZERO))),
        ("freshness_of_other_nodes", |keys| keys.freshness_of_other_nodes(Freshness::Bounded(2 * HOUR))),
        ("usage_interval", |keys| keys.usage_interval(Duration::ZERO)),
        ("keep_events", |keys| keys.keep_events(HOUR)),
        ("keep_access_log", |keys| keys.keep_access_log(Duration::ZERO)),
        ("keep_dead_keys", |keys| keys.keep_dead_keys(HOUR)),
        ("keep_usage_days", |keys| keys.keep_usage_days(0)),
        ("warn_of_ends", |keys| keys.warn_of_ends([400 * 24 * HOUR])),
        ("longest_life_of_user_keys", |keys| keys.longest_life_of_user_keys(Duration::ZERO)),
        ("rotation_due_after", |keys| keys.rotation_due_after(Duration::ZERO)),
        ("hasher, threads", |keys| keys.hasher(HasherConfig::new().with_threads(0))),
        ("hasher, queue", |keys| keys.hasher(HasherConfig::new().with_queue(0))),
        ("hasher, check wait", |keys| keys.hasher(HasherConfig::new().with_check_wait(Duration::ZERO))),
        ("stored_proofs", |keys| keys.stored_proofs()),
    ];
    for (of, set) in wrong {
        page.failed(of, set(ApiKeys::builder(MemoryStore::new())).build().await)?;
    }
    for (of, error) in peppers().await? {
        page.line(of, &error);
    }
    page.failed("Pepper::from_base64", Pepper::from_base64("secret"))?;
    page.failed("Peppers::current", Peppers::new().current(PepperId::new(7)))?;
    page.failed("Argon2Params::new", Argon2Params::new(1, 1))?;
    page.failed("KeyFormat::with_foreign_prefix", KeyFormat::unbranded().with_foreign_prefix("x", "Example"))?;
    page.failed("KeyFormat::with_foreign_prefix, issuer", KeyFormat::unbranded().with_foreign_prefix("exk_", ""))?;
    page.failed("KeyHeaders::only", KeyHeaders::only(HeaderName::from_static("content-type")))?;
    let keys = ApiKeys::new(MemoryStore::new())?;
    page.failed("ApiKeyLayer::realm", keys.layer().realm("\""))?;
    page.failed("KeyId::new", KeyId::new("x"))?;
    page.failed("TeamId::new", TeamId::new(""))?;
    page.failed("Scope::new", Scope::new("a b"))?;
    page.failed("KeyName::new", KeyName::new("\n"))?;
    page.failed("Responsible::new", Responsible::new(""))?;
    page.failed("Labels::new", Labels::new([("A", "b")]))?;
    page.failed("Networks::new", Networks::new(["203.0.113.7/24"]))?;
    page.failed("Timestamp", "yesterday".parse::<Timestamp>())?;
    page.failed("feed", keys.feed("A feed"))?;
    Ok(())
}

/// A node with other peppers than the one that made the keys.
async fn peppers() -> Result<[(&'static str, SetupError); 2], Box<dyn Error>> {
    let store = Arc::new(MemoryStore::new());
    let node = |peppers| ApiKeys::builder(store.clone()).peppers(peppers).build();
    let id = PepperId::new(1);
    node(Peppers::new().with(id, Pepper::from_bytes([1; 32])).current(id)?).await?;
    let other = node(Peppers::new().with(id, Pepper::from_bytes([2; 32])).current(id)?).await;
    let none = node(Peppers::none()).await;
    match (other, none) {
        (Err(other), Err(none)) => Ok([("peppers, another one", other), ("peppers, none", none)]),
        _ => Err("a wrong pepper was accepted".into()),
    }
}

async fn stores(page: &mut Page) -> Result<(), Box<dyn Error>> {
    page.heading("Errors of opening a store", "What is wrong with a database file or a server, when a service starts.");
    let folder = tempfile::tempdir()?;
    env::set_current_dir(&folder)?;
    page.failed("no folder", SqliteStore::open("missing/keys.db").await)?;
    fs::write("notes.txt", "These are my notes. ".repeat(100))?;
    page.failed("no database", SqliteStore::open("notes.txt").await)?;
    rusqlite::Connection::open("other.db")?.execute_batch("create table api_keys (id text)")?;
    page.failed("a table of another program", SqliteStore::open("other.db").await)?;

    let store = SqliteStore::open_exclusive("keys.db").await?;
    page.failed("in use", SqliteStore::open("keys.db").await)?;
    page.failed("a backup onto a file", store.backup_to("notes.txt").await)?;
    page.failed("a backup into no folder", store.backup_to("missing/backup.db").await)?;
    store.backup_to("backup.db").await?;
    drop(store);
    fs::hard_link("backup.db", "second.db")?;
    page.failed("two names", SqliteStore::open("backup.db").await)?;
    fs::remove_file("second.db")?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions("backup.db", fs::Permissions::from_mode(0o666))?;
        page.failed("writable by others", SqliteStore::open("backup.db").await)?;
        fs::set_permissions("backup.db", fs::Permissions::from_mode(0o600))?;
    }
    rusqlite::Connection::open("backup.db")?.execute_batch("insert into api_key_schema (version) values (99)")?;
    page.failed("too new", SqliteStore::open("backup.db").await)?;

    let url = "host=127.0.0.1 port=1 user=keys";
    let pg = PostgresSettings::new;
    page.failed("no server", PostgresStore::connect(url).await)?;
    page.failed("url", PostgresStore::connect("host=10.0.0.5 user=keys").await)?;
    for (of, settings) in [
        ("schema", pg().with_schema("Not A Schema")),
        ("schema, public", pg().with_schema("public")),
        ("pool_size", pg().with_pool_size(0)),
        ("connect_timeout", pg().with_connect_timeout(Duration::ZERO)),
        ("answer_timeout", pg().with_answer_timeout(Duration::ZERO)),
        ("change_timeout", pg().with_change_timeout(Duration::ZERO)),
        ("migration_timeout", pg().with_migration_timeout(Duration::ZERO)),
    ] {
        page.failed(of, PostgresStore::connect_with(url, settings).await)?;
    }
    env::set_current_dir(env::temp_dir())?;
    page.0 = page.0.replace(&format!("{}/", folder.path().canonicalize()?.display()), "");
    Ok(())
}
