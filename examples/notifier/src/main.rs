//! Posts every event of the keys to a URL. Run it beside your service, as one process or several.
//!
//! ```text
//! DATABASE_URL=postgres://… NOTIFIER_URL=https://… NOTIFIER_SECRET=whsec_… cargo run -p notifier
//! ```

use std::{env, error::Error, path::PathBuf};

use notifier::{DeadLetters, Endpoint, Secret, run};
use tower_api_keys::{
    feed::Feed,
    store::{AnyStore, PostgresStore, SqliteStore},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let setting = |name: &str| env::var(name).map_err(|error| format!("{name}: {error}"));
    let database = setting("DATABASE_URL")?;
    let store = match database.starts_with("postgres") {
        true => AnyStore::new(PostgresStore::connect(&database).await?),
        false => AnyStore::new(SqliteStore::open(&database).await?),
    };
    let endpoint = Endpoint::new(&setting("NOTIFIER_URL")?, Secret::new(&setting("NOTIFIER_SECRET")?)?)?;
    let dead_letters = setting("NOTIFIER_DEAD_LETTERS").unwrap_or_else(|_| "dead_letters.jsonl".to_owned());
    run(Feed::over(store, "notifier")?, &endpoint, &DeadLetters::at(PathBuf::from(dead_letters))).await
}
