use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tower_api_keys::{
    Timestamp,
    manage::{AuditQuery, ListKeys, ManageError},
    store::Liveness,
};

use super::{reconcile::ListFiles, soon};
use crate::{
    arguments::Global,
    exit::Exit,
    failure::Failure,
    open::{Address, Session, Setup, Store},
    output::{Now, Screen, Style, counted, length, listed},
};

/// A clock that differs by less than this is no trouble.
const CLOSE: Duration = Duration::from_secs(5);

/// Refusals without a key are news for this long.
const NEWS: Duration = Duration::from_secs(7 * 86_400);

/// Check the store and its service: each line is `ok`, or says what to do
#[derive(Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    lists: ListFiles,
}

/// One line.
#[derive(Serialize)]
struct Finding {
    check: &'static str,
    /// None if it could not be checked.
    is_ok: Option<bool>,
    text: String,
}

impl Finding {
    fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, is_ok: Some(true), text: text.into() }
    }

    fn to_do(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, is_ok: Some(false), text: text.into() }
    }

    fn not_checked(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, is_ok: None, text: text.into() }
    }

    fn failed(check: &'static str, failure: &Failure) -> Self {
        Self::to_do(check, failure.lines().join(" "))
    }
}

/// Shows the lines, and remembers whether there is something to do.
struct Report<'a> {
    screen: &'a mut Screen,
    to_do: bool,
}

impl Report<'_> {
    fn add(&mut self, finding: &Finding) -> Result<(), Failure> {
        self.to_do |= finding.is_ok == Some(false);
        if self.screen.is_json() {
            return self.screen.document(finding);
        }
        let (mark, style) = match finding.is_ok {
            Some(true) => ("ok", Style::Good),
            Some(false) => ("TO DO", Style::Bad),
            None => ("?", Style::Plain),
        };
        self.screen.styled(style, format!("{:<11}{mark:<7}{}", finding.check, finding.text))
    }
}

impl Doctor {
    pub(super) async fn run(&self, global: &Global, screen: &mut Screen) -> Result<Exit, Failure> {
        let lists = self.lists.read()?;
        let address = Address::of(global.store.as_deref())?;
        let mut report = Report { screen, to_do: false };
        let store = match address.open(global).await {
            Ok(store) => store,
            Err(failure) => {
                report.add(&Finding::failed("schema", &failure))?;
                return Ok(Exit::No);
            }
        };
        report.add(&Finding::ok("schema", "The tables are there, and this program can use their version."))?;
        report.add(&grants(&store).await)?;
        let knows_owners = lists.as_ref().map(super::reconcile::Lists::report);
        let session = match Session::over(store, global, Setup { lists, ..Setup::default() }).await {
            Ok(session) => session,
            Err(failure) => {
                report.add(&Finding::failed("peppers", &failure))?;
                return Ok(Exit::No);
            }
        };
        report.add(&Finding::ok("peppers", "The peppers given here are those that new keys need."))?;
        report.add(&clocks(&session).await)?;
        report.add(&freshness(&session))?;
        report.add(&records(&session).await)?;
        report.add(&refusals(&session).await)?;
        let owners = match knows_owners {
            Some(request) => owners(request, &session).await,
            None => {
                let text = "Give the ids of all users and teams that there are: --users FILE, --teams FILE.";
                Finding::not_checked("owners", text)
            }
        };
        report.add(&owners)?;
        let to_do = report.to_do;
        session.close().await?;
        Ok(Exit::found(to_do))
    }
}

/// Whether others can change how keys are checked, and whether this role has the rights of a node.
async fn grants(store: &Store) -> Finding {
    match store {
        Store::Sqlite(_) => Finding::ok("grants", "You may write to the file, and not every user of this machine may."),
        Store::Postgres(store) => match store.missing_grants().await {
            Ok(missing) if missing.is_empty() => {
                let text = "No other role can change how keys are checked, and this role has the rights of a node.";
                Finding::ok("grants", text)
            }
            Ok(missing) => Finding::to_do("grants", format!("Run as the owner of the tables: {};", missing.join("; "))),
            Err(error) => Finding::failed("grants", &Failure::store(&error)),
        },
    }
}

/// Whether the clock here agrees with that of the database server, and with those that wrote the newest event.
async fn clocks(session: &Session) -> Finding {
    if let Store::Postgres(store) = &session.store {
        let before = Now::read().0;
        let server = match store.server_time().await {
            Ok(time) => time,
            Err(error) => return Finding::failed("clocks", &Failure::store(&error)),
        };
        let (early, late) = (ahead(before, server), ahead(server, Now::read().0));
        if let Some(apart) = early.max(late) {
            return Finding::to_do(
                "clocks",
                format!(
                    "This clock and that of the database server are {apart} apart: compare both with a time server."
                ),
            );
        }
    }
    let newest = match session.manager.events(AuditQuery::all().limit(1), &session.actor).await {
        Ok(page) => page.entries.into_iter().next().map(|entry| entry.event.at),
        Err(error) => return failed("clocks", error),
    };
    match newest.and_then(|newest| ahead(newest, Now::read().0)) {
        Some(ahead) => Finding::to_do(
            "clocks",
            format!(
                "The newest event is {ahead} in the future: compare this clock and those of all servers with a time server."
            ),
        ),
        None => Finding::ok("clocks", "This clock agrees with the store, and no event is in the future."),
    }
}

/// How far one time is after another, if that is too far.
fn ahead(one: Timestamp, other: Timestamp) -> Option<String> {
    let ahead = u64::try_from(one.as_millis() - other.as_millis()).ok().map(Duration::from_millis)?;
    (ahead > CLOSE).then(|| length(ahead))
}

fn freshness(session: &Session) -> Finding {
    if session.manager.staleness().is_of_all_nodes {
        return Finding::ok("freshness", soon(session));
    }
    let text = "Say how current the records on your servers are: --node-freshness strict, or their bound, such as 2s.";
    Finding::not_checked("freshness", text)
}

/// Whether all live keys can be read.
async fn records(session: &Session) -> Finding {
    let (mut after, mut unreadable, mut live) = (None, Vec::new(), 0_u64);
    loop {
        let mut query = ListKeys::all().liveness(Liveness::Live).limit(1_000);
        if let Some(cursor) = after {
            query = query.after(cursor);
        }
        let page = match session.manager.list(query, &session.actor).await {
            Ok(page) => page,
            Err(error) => return failed("records", error),
        };
        live += page.keys.len() as u64;
        unreadable.extend(page.unreadable);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if unreadable.is_empty() {
        return Finding::ok("records", format!("{} can be read.", counted(live, "live key", "live keys")));
    }
    let which = listed(unreadable.iter().map(ToString::to_string));
    Finding::to_do(
        "records",
        format!("The stored data of {which} is damaged: restore it from a backup, or replace the keys."),
    )
}

async fn refusals(session: &Session) -> Finding {
    let since = Now::read().0.saturating_sub(NEWS);
    let refusals = match session.manager.refusals_without_key(&session.actor).await {
        Ok(refusals) => refusals,
        Err(error) => return failed("refusals", error),
    };
    let new = refusals.detail.counts.iter().filter(|count| count.last_at >= since).count();
    if new == 0 {
        return Finding::ok("refusals", "No request was refused without a key in the last 7 days.");
    }
    let text = format!(
        "Requests without a key that this service knows came from {} in the last 7 days: read them with `apikeys refusals`.",
        counted(new as u64, "source", "sources")
    );
    Finding::to_do("refusals", text)
}

async fn owners(request: tower_api_keys::manage::Reconcile, session: &Session) -> Finding {
    let found = match session.manager.reconcile(request, &session.actor).await {
        Ok(found) => found,
        Err(error) => return failed("owners", error),
    };
    if found.missing.is_empty() {
        return Finding::ok(
            "owners",
            format!("All {} of live keys are in your lists.", counted(found.owners, "owner", "owners")),
        );
    }
    let which = listed(found.missing.iter().map(|missing| missing.owner.to_string()));
    Finding::to_do("owners", format!("Your lists do not have {which}: close them with `apikeys reconcile --close`."))
}

fn failed(check: &'static str, error: ManageError) -> Finding {
    Finding::failed(check, &Failure::from(error))
}
