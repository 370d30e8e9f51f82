//! A team key leaked: how to find out which key, how to see what was done with it, and how to end it. On every store.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tower_api_keys::{
    Actor, ApiKeys, IssueKey, Owner, Scopes,
    audit::{Action, Event},
    auth::AuthErrorKind,
    key::{KeyId, PlaintextKey},
    manage::{AuditQuery, ListKeys, ManageErrorKind, MatchConfidence, RevokeMany, Rights, RotateKey, TeamRole},
    record::{ActorId, Suspension},
    store::{Ledger, Liveness, MemoryStore, SqliteStore},
    usage::Source,
};

use crate::support::{cheap, clock, hooked::Hooked, noon, secrets, system, team, user};

async fn issue<S: Ledger>(keys: &ApiKeys<S>, request: IssueKey, actor: &Actor) -> PlaintextKey {
    let key = keys.manager().issue(request, actor).await.unwrap().into_plaintext();
    secrets::remember(key.expose_secret());
    key
}

async fn is_refused<S: Ledger>(keys: &ApiKeys<S>, key: &PlaintextKey) -> bool {
    match keys.authenticator().authenticate(key.expose_secret()).await {
        Ok(_) => false,
        Err(error) => error.kind() == AuthErrorKind::Revoked,
    }
}

/// From the paste to the end of the key and of all keys that it created, and what the trail says about it.
async fn a_leak_is_answered<S: Ledger>(store: S) {
    secrets::capture_log();
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = {
        let told = Arc::clone(&told);
        move |events: &[Event]| told.lock().unwrap().extend(events.iter().map(|event| event.action.to_string()))
    };
    let clock = clock();
    // Denials are written in one event at the end, however long the test takes.
    let builder = ApiKeys::builder(store).hasher(cheap()).usage_interval(Duration::from_secs(86_400));
    let keys = builder.clock(clock.clone()).event_sink(sink).build().await.unwrap();
    let (manager, setup) = (keys.manager(), system());

    // A job of the team creates keys. One of them is for another owner.
    let scopes: Scopes = "keys:manage agents:read".parse().unwrap();
    let job = issue(&keys, IssueKey::team(team("blue")).named("rotation job").scopes(scopes), &setup).await;
    let principal = keys.authenticator().authenticate(job.expose_secret()).await.unwrap();
    let rights = Rights::none().team_keys_included_for(team("blue"));
    let acting = Actor::key(&principal, rights).with_source(Source::new("job").unwrap());
    let narrow: Scopes = "agents:read".parse().unwrap();
    let mut made = Vec::new();
    for _ in 0..60 {
        made.push(issue(&keys, IssueKey::team(team("blue")).scopes(narrow.clone()), &acting).await);
    }
    let bystander = issue(&keys, IssueKey::team(team("blue")), &setup).await;
    keys.flush_usage().await.unwrap();

    // Which key is it?
    let org_admin = Actor::user(user("olga"), Rights::none().org_admin());
    for (pasted, evidence) in [
        (format!("x-api-key: {}", job.expose_secret()), MatchConfidence::WholeKey),
        (job.expose_secret()[..40].to_owned(), MatchConfidence::IdAndSecret),
        (job.redacted(), MatchConfidence::Id),
        (job.expose_secret()[..15].to_owned(), MatchConfidence::Beginning),
        (format!("…{}…", &job.id().as_str()[5..17]), MatchConfidence::Part),
    ] {
        let found = manager.identify(&pasted, &org_admin).await.unwrap();
        let seen: Vec<_> = found.keys.iter().map(|found| (found.key.id, found.evidence)).collect();
        assert_eq!(seen, [(job.id(), evidence)]);
        assert!(!format!("{found:?} {found}").contains(&job.expose_secret()[40..]));
        let nothing = manager.identify(&pasted, &Actor::user(user("eve"), Rights::none())).await.unwrap();
        assert!(nothing.keys.is_empty());
    }

    // What was done with the key?
    let report = manager.leak_report(&job.id(), noon(), &org_admin).await.unwrap();
    assert_eq!((report.sources.len(), report.sources[0].accepted, report.sources[0].is_new), (1, 1, true));
    assert_eq!((report.changes.len(), report.made.len()), (60, 60));

    // A person without a right to the key tries often.
    let eve = Actor::user(user("eve"), Rights::none());
    for _ in 0..1_000 {
        let kind = manager.revoke(&job.id(), &eve).await.unwrap_err().kind();
        assert_eq!(kind, ManageErrorKind::NotFound);
    }

    // Ends the key and all that it created.
    let request = RevokeMany::key_and_made(job.id()).because(format!("pasted: {}", job.expose_secret()));
    let report = manager.revoke_many(request.clone().dry_run(), &org_admin).await.unwrap();
    assert_eq!(report.to_string(), "61 of 61 keys would be revoked.");
    assert!(!is_refused(&keys, &job).await);
    let report = manager.revoke_many(request.clone(), &org_admin).await.unwrap();
    assert_eq!((report.matched, report.revoked, report.left), (61, 61, 0));
    assert!(is_refused(&keys, &job).await && is_refused(&keys, &made[0]).await && is_refused(&keys, &made[59]).await);
    assert!(!is_refused(&keys, &bystander).await);
    let again = manager.revoke_many(request, &org_admin).await.unwrap();
    assert_eq!((again.revoked, again.already_dead), (0, 61));

    // The key is still used. The trail shows all of it.
    keys.shutdown().await.unwrap();
    let report = manager.leak_report(&job.id(), noon(), &org_admin).await.unwrap();
    assert_eq!(report.tried_since_death.iter().map(|count| count.count).sum::<i64>(), 1);
    let of = async |query: AuditQuery| manager.events(query.limit(1_000), &org_admin).await.unwrap().entries;
    let revoked = of(AuditQuery::all().action(Action::KEY_REVOKED)).await;
    assert_eq!(revoked.len(), 61);
    let reason = format!("pasted: {}", job.redacted());
    assert!(revoked.iter().all(|entry| entry.event.after.as_ref() == Some(&reason)));
    let issued = of(AuditQuery::all().source(Source::new("job").unwrap())).await;
    assert_eq!(issued.len(), 60);
    assert!(issued.iter().all(|entry| entry.acting_key == Some(job.id())));
    assert!(issued.iter().all(|entry| entry.on_behalf_of == Some(Owner::Team(team("blue")))));
    let denied = of(AuditQuery::all().action(Action::MANAGE_DENIED).of_key(job.id())).await;
    let said: Vec<_> = denied.iter().filter_map(|entry| entry.event.after.as_deref()).collect();
    assert_eq!(said, [r#"{"action":"revoke","reason":"hidden","count":1000}"#]);
    // The pages add up to the same events, in both directions.
    for newest_first in [true, false] {
        let query = if newest_first { AuditQuery::all() } else { AuditQuery::all().oldest_first() };
        let (mut all, mut next) = (Vec::new(), None);
        loop {
            let query = query.clone().limit(50);
            let query = next.map_or(query.clone(), |next| query.after(next));
            let page = manager.events(query, &org_admin).await.unwrap();
            all.extend(page.entries);
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        if newest_first {
            all.reverse();
        }
        assert_eq!(all, of(AuditQuery::all().oldest_first()).await);
    }
    let told = told.lock().unwrap();
    let count = |action: &str| told.iter().filter(|told| *told == action).count();
    assert_eq!((count("key.issued"), count("key.revoked"), count("manage.denied")), (62, 61, 1));
}

#[tokio::test]
async fn a_leak_is_answered_in_memory() {
    a_leak_is_answered(MemoryStore::new()).await;
}

#[tokio::test]
async fn a_leak_is_answered_on_sqlite() {
    let folder = secrets::scratch();
    a_leak_is_answered(SqliteStore::open(folder.path().join("keys.db")).await.unwrap()).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_leak_is_answered_on_postgres() {
    use tower_api_keys::store::{PostgresSettings, PostgresStore};

    let server = crate::postgres::server::Server::start();
    PostgresStore::migrate(&server.url(), "keys").await.unwrap();
    let settings = PostgresSettings::new().with_schema("keys");
    a_leak_is_answered(PostgresStore::connect_with(&server.url(), settings).await.unwrap()).await;
}

/// The keys that alice, whose account was taken over, had or created: herself, with her keys, and with keys that she
/// created.
struct TakenOver {
    keys: ApiKeys<MemoryStore>,
    made_with_a_key: [PlaintextKey; 3],
}

impl TakenOver {
    async fn begin() -> Self {
        let keys = ApiKeys::builder(MemoryStore::new()).hasher(cheap()).clock(clock()).build().await.unwrap();
        let rights = Rights::none().team(team("blue"), TeamRole::Admin).team_keys_included();
        let alice = Actor::user(user("alice"), rights.clone());
        let managing: Scopes = "* keys:manage".parse().unwrap();
        let personal = issue(&keys, IssueKey::user(user("alice")).scopes(managing.clone()), &alice).await;
        let teams = issue(&keys, IssueKey::team(team("blue")).scopes(managing), &alice).await;
        let with_personal = Self::acting(&keys, &personal, &rights).await;
        let with_teams = Self::acting(&keys, &teams, &rights).await;
        let made = issue(&keys, IssueKey::team(team("blue")), &with_personal).await;
        // One of them also manages keys. It rotated itself.
        let rotated = keys.manager().begin_rotation(RotateKey::of(teams.id()), &with_teams).await.unwrap();
        let rotated = rotated.into_plaintext();
        secrets::remember(rotated.expose_secret());
        let with_rotated = Self::acting(&keys, &rotated, &rights).await;
        let made_later = issue(&keys, IssueKey::team(team("blue")), &with_rotated).await;
        Self { keys, made_with_a_key: [made, rotated, made_later] }
    }

    async fn acting(keys: &ApiKeys<MemoryStore>, key: &PlaintextKey, rights: &Rights) -> Actor {
        let principal = keys.authenticator().authenticate(key.expose_secret()).await.unwrap();
        Actor::key(&principal, rights.clone())
    }

    async fn revoke_many(&self, request: RevokeMany) {
        assert!(self.keys.manager().revoke_many(request, &system()).await.unwrap().is_complete());
    }

    async fn live(&self) -> Vec<KeyId> {
        let live = ListKeys::all().liveness(Liveness::Live);
        let mut ids: Vec<_> =
            self.keys.manager().list(live, &system()).await.unwrap().keys.iter().map(|key| key.id).collect();
        ids.sort();
        ids
    }
}

#[tokio::test]
async fn all_that_a_taken_over_account_made_ends_with_its_exposure() {
    let world = TakenOver::begin().await;
    let manager = world.keys.manager();
    manager.suspend(&user("alice").into(), Suspension::Admin, &system()).await.unwrap();
    world.revoke_many(RevokeMany::of(user("alice"))).await;
    world.revoke_many(RevokeMany::created_by(ActorId::User(user("alice")))).await;
    let mut left: Vec<_> = world.made_with_a_key.iter().map(PlaintextKey::id).collect();
    left.sort();
    assert_eq!(world.live().await, left, "what was made with her keys was made by those");

    let exposed = manager.exposure(&user("alice"), &system()).await.unwrap().keys;
    world.revoke_many(RevokeMany::keys(exposed.iter().map(|exposed| exposed.key.id))).await;
    assert_eq!(world.live().await, []);
}

#[tokio::test]
async fn the_sink_is_told_of_what_checking_keys_reports() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = {
        let told = Arc::clone(&told);
        move |events: &[Event]| told.lock().unwrap().extend(events.iter().map(|event| event.action.to_string()))
    };
    let store = Hooked::new(MemoryStore::new());
    let hooks = Arc::clone(&store.hooks);
    let keys = ApiKeys::builder(store).hasher(cheap()).clock(clock()).event_sink(sink).build().await.unwrap();
    let key = issue(&keys, IssueKey::team(team("blue")), &system()).await;
    hooks.alter(|found| found.key.hash = "$argon2id$v=19$m=4294967295,t=1,p=1$AAAA$AAAA".into());
    for _ in 0..3 {
        keys.authenticator().authenticate(key.expose_secret()).await.unwrap_err();
    }
    // Tasks of this single-threaded runtime write it. Let them run now.
    tokio::task::yield_now().await;
    assert_eq!(*told.lock().unwrap(), ["key.issued", "key.unreadable"]);
}
