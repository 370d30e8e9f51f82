//! For the tests in a browser, and only with `--test-states`: what cannot be reached with a mouse. A store that goes
//! away, a record that nobody can read, a directory that is down, a hundred teams, and hours that pass.

use std::{
    collections::HashMap,
    error::Error,
    future::Future,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::{Path, Query},
    http::StatusCode,
    routing::post,
};
use tower_api_keys::{
    Clock, KeyId, OrganizationId, SystemClock, TeamId, TeamRef, Timestamp, UserId,
    audit::EventRow,
    hash::Argon2Params,
    manage::{Directory, NamedTeam, Names},
    record::NamePart,
    store::{AuditedWrite, Change, ChangeId, KeyReader, KeyStore, KeyUpdate, MemoryStore, StoreError, Write},
};

use crate::{Service, accounts::Accounts, settings};

/// A store in front of another one, each call of which a fake may answer itself.
#[path = "../../../tests/it/support/wrapped.rs"]
#[allow(dead_code, reason = "shared with the tests of the library, which use more of it")]
mod wrapped;

use wrapped::{Fake, Wrapped};

type Store = Arc<Wrapped<Sometimes>>;

/// A store that answers a number of calls and then goes away.
struct Sometimes {
    store: MemoryStore,
    answers_left: AtomicI64,
}

impl Fake for Sometimes {
    type Store = MemoryStore;

    fn store(&self) -> &MemoryStore {
        &self.store
    }

    async fn around<T: Send>(
        &self,
        _: &'static str,
        pass_on: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        if self.answers_left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(StoreError::unavailable("10.1.2.3 is down"));
        }
        pass_on.await
    }
}

/// The tables, if they are there, and so many more teams of acme.
struct SometimesNamed {
    accounts: Arc<Accounts>,
    down: Arc<AtomicBool>,
    more_teams: Arc<AtomicUsize>,
}

impl SometimesNamed {
    fn ask(&self) -> io::Result<&Accounts> {
        if self.down.load(Ordering::SeqCst) {
            Err(io::Error::other("the directory is down"))
        } else {
            Ok(&self.accounts)
        }
    }

    fn more_teams(&self, of: &OrganizationId) -> impl Iterator<Item = NamedTeam> {
        let count = if of.as_str() == "acme" { self.more_teams.load(Ordering::SeqCst) } else { 0 };
        (1..=count)
            .filter_map(|n| Some(NamedTeam::new(TeamId::new(format!("more-{n}")).ok()?).with_name(format!("Team {n}"))))
    }
}

impl Directory for SometimesNamed {
    type Error = io::Error;

    async fn has_team(&self, team: &TeamRef) -> io::Result<bool> {
        let is_more = self.more_teams(&team.organization).any(|more| *more.id() == team.team);
        Ok(self.ask()?.has_team(team).await.map_err(io::Error::other)? || is_more)
    }

    async fn names(&self, of: &OrganizationId, users: &[UserId], teams: &[TeamId]) -> io::Result<Names> {
        let names = self.ask()?.names(of, users, teams).await.map_err(io::Error::other)?;
        let more = self.more_teams(of).filter(|more| teams.contains(more.id()));
        Ok(more.fold(names, |names, more| names.with_team(more.id().clone(), more.label())))
    }

    async fn teams(
        &self,
        of: &OrganizationId,
        like: Option<&NamePart>,
        most: usize,
    ) -> io::Result<Option<Vec<NamedTeam>>> {
        let found = Directory::teams(self.ask()?, of, like, most).await.map_err(io::Error::other)?;
        let more = self.more_teams(of).filter(|team| like.is_none_or(|part| part.is_in(team.label())));
        Ok(found.map(|teams| teams.into_iter().chain(more).take(most).collect()))
    }
}

/// The clock of the machine, and the hours that a test let pass.
#[derive(Debug, Default)]
struct Ahead {
    clock: SystemClock,
    seconds: AtomicU64,
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        self.clock.now().saturating_add(Duration::from_secs(self.seconds.load(Ordering::SeqCst)))
    }
}

/// What the tests change.
struct States {
    store: Store,
    names_down: Arc<AtomicBool>,
    more_teams: Arc<AtomicUsize>,
    clock: Arc<Ahead>,
    service: Service<Store>,
}

/// The service, and `POST /test-states/{what}`.
pub async fn app(address: SocketAddr) -> Result<Router, Box<dyn Error>> {
    let accounts = Arc::new(Accounts::default());
    let (names_down, more_teams) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let clock = Arc::new(Ahead::default());
    let directory = SometimesNamed {
        accounts: Arc::clone(&accounts),
        down: Arc::clone(&names_down),
        more_teams: Arc::clone(&more_teams),
    };
    let store: Store =
        Arc::new(Wrapped(Sometimes { store: MemoryStore::new(), answers_left: AtomicI64::new(i64::MAX) }));
    let settings = settings(Arc::clone(&store), &accounts)?
        .directory(directory)
        .clock(clock.clone())
        // Keys that are made by the hundred.
        .params(Argon2Params::MACHINE_SECRET)
        // Nothing is written unless a test asks for it.
        .usage_interval(Duration::from_secs(86_400));
    let service = Service::new(settings, accounts, address).await?;
    let app = service.app.clone();
    let states = Arc::new(States { store, names_down, more_teams, clock, service });
    let change = move |Path(what): Path<String>, Query(with): Query<HashMap<String, String>>| {
        let states = Arc::clone(&states);
        async move { states.change(&what, &with).await.map_err(|error| (StatusCode::BAD_REQUEST, error.to_string())) }
    };
    Ok(app.route("/test-states/{what}", post(change)))
}

impl States {
    async fn change(&self, what: &str, with: &HashMap<String, String>) -> Result<(), Box<dyn Error + Send + Sync>> {
        let number = |name: &str| with.get(name).map(|number| number.parse::<u32>()).transpose();
        match what {
            // It answers so many calls more; without a number, all.
            "store" => {
                let left = number("answers")?.map_or(i64::MAX, i64::from);
                self.store.answers_left.store(left, Ordering::SeqCst);
            }
            "names" => self.names_down.store(with.contains_key("down"), Ordering::SeqCst),
            "teams" => {
                let count = number("count")?.ok_or("the count is missing")?;
                self.more_teams.store(count.try_into()?, Ordering::SeqCst);
            }
            "later" => {
                let seconds = number("seconds")?.ok_or("seconds are missing")?;
                self.clock.seconds.fetch_add(seconds.into(), Ordering::SeqCst);
            }
            "jobs" => {
                self.service.jobs.run(&self.service.api).await;
                self.service.keys.flush_usage().await?;
            }
            "flush" => self.service.keys.flush_usage().await?,
            // The store is away at the moment when counts are written.
            "uncounted" => {
                let left = self.store.answers_left.swap(0, Ordering::SeqCst);
                let written = self.service.keys.flush_usage().await;
                self.store.answers_left.store(left, Ordering::SeqCst);
                if written.is_ok() {
                    return Err("there was nothing to write".into());
                }
            }
            "damage" => self.damage(KeyId::new(with.get("key").ok_or("the key is missing")?)?).await?,
            _ => return Err("there is no such state".into()),
        }
        Ok(())
    }

    /// Makes the stored record of a key of acme unreadable.
    async fn damage(&self, id: KeyId) -> Result<(), Box<dyn Error + Send + Sync>> {
        let organization = OrganizationId::new("acme")?;
        let found = self.store.find(&id).await?.ok_or("there is no such key")?;
        let write = Write::Update(KeyUpdate {
            organization: organization.clone(),
            id,
            expected_version: found.key.version,
            name: String::new(),
            labels: "{}".into(),
            scopes: " ".into(),
            allowed_networks: None,
            responsible: None,
            expires_at: None,
        });
        let event =
            EventRow { action: "elsewhere".into(), organization: organization.to_string(), ..EventRow::example() };
        let writes = vec![AuditedWrite { write, event }];
        let at = self.clock.now();
        let change = Change { id: ChangeId::from_bytes([7; 16]), at, writes, guards: vec![], idempotency: None };
        self.store.apply(&change).await?;
        Ok(())
    }
}
