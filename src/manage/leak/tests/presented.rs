use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use base64ct::{Base64UrlUnpadded, Encoding};
use futures_util::future::join_all;

use crate::{
    Actor, ApiKeys, IssueKey, OrganizationId,
    audit::Event,
    hash::{Argon2Params, Hasher, HasherConfig},
    key::{KeyFormat, PlaintextKey},
    manage::{
        InvalidInput, ManageErrorKind, PresentedKey, PresentedOutcome, Presenter, Rights, Stop,
        fixture::{Bench, Fault, system, team_id, time, user, user_id},
    },
    record::{KeyRow, Suspension},
    store::{EventQuery, Ledger, MemoryStore, OwnerChange},
    usage::Source,
};

fn acme() -> OrganizationId {
    OrganizationId::new("acme").unwrap()
}

fn source() -> Source {
    Source::new("found-keys").unwrap()
}

async fn issued(bench: &Bench, organization: OrganizationId) -> PlaintextKey {
    let manager = bench.manager.for_organization(organization);
    manager.issue(IssueKey::user(user_id("alice")), &system()).await.unwrap().into_plaintext()
}

async fn presented(bench: &Bench, texts: &[&str]) -> Vec<PresentedKey> {
    let answers = bench.manager.stop_presented(texts, Stop::Revoke, &Presenter::Unknown(source())).await.unwrap();
    assert_eq!(answers.len(), texts.len());
    answers
}

async fn outcome(bench: &Bench, text: &str) -> PresentedOutcome {
    presented(bench, &[text]).await.remove(0).outcome
}

/// A well-formed text with the same id and another secret.
fn forged(key: &PlaintextKey, prefix: &str) -> String {
    let other = KeyFormat::unbranded().generate(key.kind()).unwrap();
    let text = format!("{prefix}.{}.{}", key.id(), &other.expose_secret()[26..70]);
    let checksum = crc32fast::hash(text.as_bytes()).to_be_bytes();
    format!("{text}{}", Base64UrlUnpadded::encode_string(&checksum[1..]))
}

#[tokio::test]
async fn each_text_has_its_own_answer_in_its_place() {
    let bench = Bench::new();
    let (ours, theirs, dead) =
        (issued(&bench, OrganizationId::single()).await, issued(&bench, acme()).await, issued(&bench, acme()).await);
    bench.manager.for_organization(acme()).revoke(&dead.id(), &system()).await.unwrap();
    let unknown = KeyFormat::unbranded().generate(ours.kind()).unwrap();
    let good = issued(&bench, acme()).await;
    let (wrong, padded) = (forged(&good, "user"), format!("  {}\r\n", ours.expose_secret()));
    let cut = &good.expose_secret()[..70];
    let texts = [
        padded.as_str(),
        theirs.expose_secret(),
        ours.expose_secret(),
        dead.expose_secret(),
        unknown.expose_secret(),
        &wrong,
        cut,
        "",
        "ghp_0123456789",
    ];
    let answers = presented(&bench, &texts).await;
    use PresentedOutcome::{AlreadyRevoked, NotAKey, OtherSecret, Revoked, Unknown};
    let expected = [Revoked, Revoked, Revoked, AlreadyRevoked, Unknown, OtherSecret, NotAKey, NotAKey, NotAKey];
    assert_eq!(answers.iter().map(|answer| answer.outcome).collect::<Vec<_>>(), expected);
    let ids: Vec<_> = answers.iter().map(|answer| answer.key.as_ref().map(|key| key.id)).collect();
    let told = [Some(ours.id()), Some(theirs.id()), Some(ours.id()), Some(dead.id())];
    assert_eq!((&ids[..4], &ids[4..]), (&told[..], &[None; 5][..]), "only of what was proved anything is told");
    assert!(bench.row(&good.id()).await.revoked_at.is_none());
    // A second time: nothing is revoked twice.
    let again = presented(&bench, &[ours.expose_secret()]).await.remove(0);
    assert_eq!(again.outcome, AlreadyRevoked);
    let by = again.key.unwrap().revoked_by.map(|by| by.to_string());
    assert_eq!(by.as_deref(), Some("system:presented"));
}

#[tokio::test]
async fn an_event_says_that_it_was_presented_and_from_where_and_nothing_of_the_text() {
    let bench = Bench::new();
    let key = issued(&bench, acme()).await;
    presented(&bench, &[key.expose_secret(), &forged(&key, "user"), key.expose_secret()]).await;
    let query = EventQuery { limit: 1_000, ..EventQuery::all(acme()) };
    let events = bench.store.inner.events(&query).await.unwrap().rows;
    let revoked: Vec<_> = events.iter().filter(|event| event.action == "key.revoked").collect();
    assert_eq!(revoked.len(), 1);
    assert_eq!((revoked[0].actor.as_str(), revoked[0].source.as_deref()), ("system:presented", Some("found-keys")));
    assert!(!format!("{events:?}").contains(&key.expose_secret()[26..34]));
    let row = bench.row(&key.id()).await;
    assert_eq!((row.revoked_at, row.revoked_by.as_deref()), (Some(bench.now().as_millis()), Some("system:presented")));
}

#[tokio::test]
async fn the_trail_says_who_presented_it_to_its_own_organization_only() {
    let bench = Bench::new();
    let (ours, theirs) = (issued(&bench, OrganizationId::single()).await, issued(&bench, acme()).await);
    let (paused, long) =
        (issued(&bench, OrganizationId::single()).await, issued(&bench, OrganizationId::single()).await);
    // Even a suspended person: the text is the permission.
    bench.change_owner(&user("bob"), OwnerChange::Suspend(Suspension::Admin)).await;
    let console = Source::new("console").unwrap().with_client("curl").unwrap();
    let actor = |name: &str| Actor::user(user_id(name), Rights::none());
    let bob = actor("bob").with_source(console);
    let texts = [ours.expose_secret(), theirs.expose_secret()];
    let answers = bench.manager.revoke_presented(&texts, &bob).await.unwrap();
    assert!(answers.iter().all(|answer| answer.outcome == PresentedOutcome::Revoked), "{answers:?}");
    let answers = bench.manager.pause_presented(&[paused.expose_secret()], &actor("bob")).await.unwrap();
    assert_eq!(answers[0].outcome, PresentedOutcome::Paused);
    bench.manager.pause_presented(&[long.expose_secret()], &system()).await.unwrap();
    let sources = async |organization: OrganizationId| {
        let query = EventQuery { limit: 1_000, ..EventQuery::all(organization) };
        let events = bench.store.inner.events(&query).await.unwrap().rows;
        let stopped = events.into_iter().filter(|event| event.actor == "system:presented");
        stopped.map(|event| (event.action, event.source)).collect::<Vec<(String, _)>>()
    };
    let expected = |told: &[(&str, Option<&str>)]| {
        told.iter().map(|(action, source)| ((*action).to_owned(), source.map(Into::into))).collect::<Vec<_>>()
    };
    assert_eq!(
        sources(OrganizationId::single()).await,
        expected(&[
            ("key.revoked", Some("console/bob")),
            ("key.paused", Some("bob")),
            ("key.paused", Some("system:test")),
        ])
    );
    assert_eq!(sources(acme()).await, expected(&[("key.revoked", Some("console"))]));
}

#[tokio::test]
async fn whatever_stands_against_a_key_it_can_be_ended() {
    let later = time("2026-03-02T12:00:00Z");
    for what in ["expired", "owner suspended", "owner closed", "paused"] {
        let bench = Bench::new();
        let request = IssueKey::user(user_id("alice")).expires_at(later);
        let key = bench.manager.issue(request, &system()).await.unwrap().into_plaintext();
        match what {
            "expired" => bench.clock.advance(Duration::from_secs(2 * 86_400)),
            "owner suspended" => bench.change_owner(&user("alice"), OwnerChange::Suspend(Suspension::Admin)).await,
            "owner closed" => bench.change_owner(&user("alice"), OwnerChange::Close).await,
            _ => {
                // Values that only plain SQL can write.
                let row = KeyRow { paused_at: Some(bench.now().as_millis()), ..bench.row(&key.id()).await };
                let other = Bench::new();
                other.plant_row(row).await;
                assert_eq!(outcome(&other, key.expose_secret()).await, PresentedOutcome::Revoked, "{what}");
                continue;
            }
        }
        assert_eq!(outcome(&bench, key.expose_secret()).await, PresentedOutcome::Revoked, "{what}");
        assert!(bench.row(&key.id()).await.revoked_at.is_some(), "{what}");
    }
}

#[tokio::test]
async fn wrong_secrets_and_dead_keys_cost_no_hash_and_no_change() {
    let hasher = Hasher::new(HasherConfig::new().with_params(Argon2Params::MACHINE_SECRET).with_threads(1)).unwrap();
    let bench = Bench::with_hasher(hasher.clone());
    let key = issued(&bench, acme()).await;
    let (before, applies) = (hasher.runs(), bench.store.applies());
    for prefix in ["user", "team"] {
        assert_eq!(outcome(&bench, &forged(&key, prefix)).await, PresentedOutcome::OtherSecret);
    }
    assert_eq!(outcome(&bench, &key.expose_secret().replacen("user", "team", 1)).await, PresentedOutcome::NotAKey);
    assert_eq!((hasher.runs(), bench.store.applies()), (before, applies));
    assert_eq!(outcome(&bench, key.expose_secret()).await, PresentedOutcome::Revoked);
    let (after, applies) = (hasher.runs(), bench.store.applies());
    assert!(after <= before + 1);
    hasher.forget_answers();
    assert_eq!(outcome(&bench, key.expose_secret()).await, PresentedOutcome::AlreadyRevoked);
    assert_eq!((hasher.runs(), bench.store.applies()), (after, applies));
}

#[tokio::test]
async fn a_thousand_texts_are_taken_and_not_one_more() {
    let bench = Bench::new();
    let key = issued(&bench, acme()).await;
    let mut texts = vec!["no key"; 999];
    texts.push(key.expose_secret());
    let answers = presented(&bench, &texts).await;
    assert_eq!(answers[999].outcome, PresentedOutcome::Revoked);
    texts.push("no key");
    let error = bench.manager.stop_presented(&texts, Stop::Revoke, &Presenter::Unknown(source())).await.unwrap_err();
    assert_eq!(error.kind(), ManageErrorKind::Invalid(InvalidInput::Texts));
    assert_eq!(presented(&bench, &[]).await, []);
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_asked_once_for_all_texts() {
    let bench = Bench::new();
    let keys = [issued(&bench, acme()).await, issued(&bench, acme()).await, issued(&bench, acme()).await];
    let texts = keys.each_ref().map(PlaintextKey::expose_secret);
    bench.store.find_faults.lock().unwrap().extend([Fault::Works, Fault::Unavailable]);
    let outcomes = presented(&bench, &texts).await.into_iter().map(|answer| answer.outcome).collect::<Vec<_>>();
    assert_eq!(outcomes, [PresentedOutcome::Revoked, PresentedOutcome::TryAgain, PresentedOutcome::TryAgain]);
    assert!(bench.row(&keys[1].id()).await.revoked_at.is_none());
    // A change that was not made is reported as not made.
    for fault in [Fault::Unavailable, Fault::Refused] {
        bench.store.fail([fault]);
        assert_eq!(outcome(&bench, texts[1]).await, PresentedOutcome::TryAgain, "{fault:?}");
        assert!(bench.row(&keys[1].id()).await.revoked_at.is_none());
    }
    // A change whose answer was lost is repeated until its outcome is known.
    bench.store.fail([Fault::DoesAndLosesTheAnswer]);
    assert_eq!(outcome(&bench, texts[1]).await, PresentedOutcome::Revoked);
    let broken = KeyRow { hash: "broken".into(), ..bench.row(&keys[2].id()).await };
    let other = Bench::new();
    other.plant_row(broken).await;
    assert_eq!(outcome(&other, texts[2]).await, PresentedOutcome::Unreadable);
}

#[tokio::test]
async fn sinks_are_told_and_requests_are_refused_at_once() {
    let events = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&events);
    let told = move |all: &[Event]| {
        told.lock().unwrap().extend(all.iter().map(|event| format!("{} {}", event.action, event.actor)));
    };
    let builder = ApiKeys::builder(MemoryStore::new()).params(Argon2Params::MACHINE_SECRET).event_sink(told);
    let keys = builder.build().await.unwrap();
    let manager = keys.manager_for(acme());
    let issued = manager.issue(IssueKey::team(team_id("blue")), &system()).await.unwrap();
    let text = issued.plaintext().expose_secret();
    let authenticator = keys.authenticator();
    authenticator.authenticate(text).await.unwrap();
    let answers = keys.revoke_presented(&[text], source()).await.unwrap();
    assert_eq!(answers[0].outcome, PresentedOutcome::Revoked);
    assert!(authenticator.authenticate(text).await.is_err());
    assert_eq!(events.lock().unwrap().last().map(String::as_str), Some("key.revoked system:presented"));
}

/// However many callers present keys at once, only one of their runs is in the queue at a time.
#[tokio::test]
async fn those_who_present_keys_hold_up_nobody_by_more_than_one_run() {
    let hasher = Hasher::new(HasherConfig::new().with_params(Argon2Params::MACHINE_SECRET).with_threads(1)).unwrap();
    let bench = Bench::with_hasher(hasher.clone());
    let mut keys = Vec::new();
    for _ in 0..40 {
        keys.push(issued(&bench, acme()).await);
    }
    hasher.forget_answers();
    let texts: Vec<_> = keys.iter().map(PlaintextKey::expose_secret).collect();
    let most = async {
        let mut most = 0;
        for _ in 0..10_000 {
            most = most.max(hasher.queued());
            tokio::task::yield_now().await;
        }
        most
    };
    let calls = join_all(texts.iter().map(|text| presented(&bench, std::slice::from_ref(text))));
    let (answers, most) = futures_util::join!(calls, most);
    assert!(most <= 1, "{most} runs were queued");
    let count = |outcome| answers.iter().flatten().filter(|answer| answer.outcome == outcome).count();
    let (revoked, again) = (count(PresentedOutcome::Revoked), count(PresentedOutcome::TryAgain));
    // One runs and 15 wait for it. A caller that comes when the first is done gets its place.
    assert!(revoked >= 16 && revoked + again == 40, "{revoked} were revoked, {again} told to come again");
    // The refused callers try again, all in one call.
    let answers = presented(&bench, &texts).await;
    assert!(answers.iter().all(|answer| answer.key.as_ref().is_some_and(|key| key.revoked_at.is_some())));
}

#[tokio::test]
async fn a_holder_of_the_text_may_pause_instead_and_not_resume() {
    use PresentedOutcome::{AlreadyPaused, AlreadyRevoked, NotAKey, OtherSecret, Paused, Unknown};
    let bench = Bench::new();
    let (good, bad) = (issued(&bench, acme()).await, issued(&bench, acme()).await);
    presented(&bench, &[bad.expose_secret()]).await;
    let stranger = issued(&Bench::new(), acme()).await;
    let texts = [
        good.expose_secret(),
        &forged(&good, "user"),
        bad.expose_secret(),
        stranger.expose_secret(),
        "ghp_something_else",
    ];
    let pause = async |texts: &[&str]| {
        let answers = bench.manager.stop_presented(texts, Stop::Pause, &Presenter::Unknown(source())).await.unwrap();
        answers.into_iter().map(|answer| answer.outcome).collect::<Vec<_>>()
    };
    assert_eq!(pause(&texts).await, [Paused, OtherSecret, AlreadyRevoked, Unknown, NotAKey]);
    assert_eq!(pause(&texts[..1]).await, [AlreadyPaused]);
    let row = bench.row(&good.id()).await;
    assert_eq!((row.paused_at, row.paused_by.as_deref()), (Some(bench.now().as_millis()), Some("system:presented")));
    assert!(row.revoked_at.is_none());
    let manager = bench.manager.for_organization(acme());
    let alice = crate::Actor::user(user_id("alice"), crate::manage::Rights::none()).with_organization(acme());
    let refused = manager.resume(&good.id(), &alice).await.unwrap_err().kind();
    assert_eq!(refused, ManageErrorKind::Denied(crate::manage::DenialReason::InsufficientRole.into()));
    // Paused or not, the key can still be revoked.
    assert_eq!(presented(&bench, &[good.expose_secret()]).await[0].outcome, PresentedOutcome::Revoked);
    let events = bench.store.inner.events(&EventQuery { limit: 1_000, ..EventQuery::all(acme()) }).await.unwrap().rows;
    let paused: Vec<_> = events.iter().filter(|event| event.action == "key.paused").collect();
    assert_eq!(paused.len(), 1);
    assert_eq!((paused[0].actor.as_str(), paused[0].source.as_deref()), ("system:presented", Some("found-keys")));
}
