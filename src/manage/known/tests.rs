//! A start that asks for a key whose text is known beforehand, and what it finds.

use std::{error::Error, time::Duration};

use base64ct::{Base64UrlUnpadded, Encoding};
use proptest::{collection::vec, prelude::*};

use super::{IssueKnownKey, KnownKeyProblem};
use crate::{
    Actor, IssueKey, KeyKind, Networks, Owner, Timestamp,
    key::{KeyFormat, PlaintextKey},
    manage::{
        DenialReason, EditKey, InvalidInput, KnownKey, ManageError, ManageErrorKind, Quota, Rights, RotateKey, Rules,
        TeamRole,
        fixture::{
            ACTING, Bench, Fault, START, person, plain_change, principal, scopes, system, team, team_id, time, user,
            user_id,
        },
        quota::Quotas,
    },
    record::{KeyRow, Labels, Suspension},
    store::{DeadKeys, Effect, KeyStore, Prune, Write},
};

const LATER: &str = "2026-06-01T00:00:00Z";

/// A configuration: a text, and the request for its key.
struct Configured {
    text: PlaintextKey,
    request: IssueKey,
}

impl Configured {
    fn new() -> Self {
        Self::of(team("blue"))
    }

    fn of(owner: Owner) -> Self {
        let text = KeyFormat::unbranded().generate(owner.kind()).unwrap();
        Self { text, request: IssueKey::of(owner).named("compose").scopes(scopes("read write")) }
    }

    /// The same text with another request.
    fn with(&self, change: impl FnOnce(IssueKey) -> IssueKey) -> Self {
        Self { text: copy(&self.text), request: change(self.request.clone()) }
    }

    fn request(&self) -> IssueKnownKey {
        self.request.clone().with_text(copy(&self.text))
    }

    async fn start(&self, bench: &Bench) -> Result<KnownKey, ManageError> {
        bench.manager.issue_known(self.request(), &system()).await
    }

    /// Asserts that a start finds the key, and writes nothing.
    async fn is_found(&self, bench: &Bench) -> KnownKey {
        let before = bench.all().await;
        let found = self.start(bench).await.unwrap();
        assert_eq!((found.effect(), found.info().id), (Effect::Unchanged, self.text.id()));
        assert_eq!(bench.all().await, before, "something was written");
        found
    }

    /// Asserts that a start is refused and writes nothing. Returns the reason.
    async fn refusal(&self, bench: &Bench) -> ManageErrorKind {
        let before = bench.all().await;
        let error = self.start(bench).await.unwrap_err();
        assert_eq!(bench.all().await, before, "something was written");
        assert_hidden(&self.text, &told(&error));
        error.kind()
    }
}

fn copy(text: &PlaintextKey) -> PlaintextKey {
    KeyFormat::unbranded().parse(text.expose_secret().as_bytes()).unwrap().to_plaintext()
}

/// Everything that an error says, to people and to programs.
fn told(error: &ManageError) -> String {
    let problem = serde_json::to_string(&crate::manage::Problem::from(error)).unwrap();
    let mut told = format!("{error} {error:?} {problem}");
    let mut cause = error.source();
    while let Some(error) = cause {
        told = format!("{told} {error} {error:?}");
        cause = error.source();
    }
    told
}

/// Asserts that this holds no run of 8 characters of the secret.
fn assert_hidden(text: &PlaintextKey, told: &str) {
    let secret = text.expose_secret().rsplit('.').next().unwrap();
    for part in secret.as_bytes().windows(8) {
        let part = std::str::from_utf8(part).unwrap();
        assert!(!told.contains(part), "{part} of the secret is in {told}");
    }
}

const fn known(problem: KnownKeyProblem) -> ManageErrorKind {
    ManageErrorKind::KnownKey(problem)
}

const fn invalid(what: InvalidInput) -> ManageErrorKind {
    ManageErrorKind::Invalid(what)
}

/// Another secret with the same id.
fn other_secret(text: &PlaintextKey) -> PlaintextKey {
    let format = KeyFormat::unbranded();
    let other = format.generate(text.kind()).unwrap();
    let (_, secret) = other.expose_secret().rsplit_once('.').unwrap();
    let covered = format!("{}{}.{}", format.prefix(text.kind()), text.id(), &secret[..44]);
    let bytes = crc32fast::hash(covered.as_bytes()).to_be_bytes();
    let checksum = Base64UrlUnpadded::encode_string(&bytes[1..]);
    format.parse(format!("{covered}{checksum}").as_bytes()).unwrap().to_plaintext()
}

#[tokio::test]
async fn the_first_start_makes_the_key_and_the_others_find_it() {
    let (bench, configured) = (Bench::new(), Configured::new());
    let made = configured.start(&bench).await.unwrap();
    assert_eq!((made.effect(), made.info().id), (Effect::Changed, configured.text.id()));
    assert!(made.info().known_beforehand);
    let row = bench.row(&configured.text.id()).await;
    assert_eq!(row.imported_from.as_deref(), Some("configuration"));
    assert_eq!((row.scopes.as_str(), row.owner.as_str(), row.lineage == row.id), ("read write", "blue", true));
    let events = bench.events().await;
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].action.as_str(), events[0].actor.as_str()), ("key.issued", "system:test"));
    assert!(events[0].after.as_deref().unwrap().ends_with(r#""known_beforehand":true}"#), "{events:?}");

    bench.clock.advance(Duration::from_secs(3_600));
    let applies = bench.store.applies();
    let found = configured.is_found(&bench).await;
    assert_eq!(found.info(), made.info());
    assert_eq!(bench.store.applies(), applies, "not even tried");
    let mut later = bench.manager.find(&configured.text.id(), &system()).await.unwrap();
    (later.usage, later.counted, later.predecessor_is_live) = (None, None, None);
    assert_eq!(&later, made.info());
}

#[tokio::test]
async fn a_key_made_at_random_is_not_known_beforehand() {
    let bench = Bench::new();
    let issued = bench.manager.issue(IssueKey::team(team_id("blue")), &system()).await.unwrap();
    assert!(!issued.info().known_beforehand);
    // Not even if the text is configured later.
    let configured = Configured { text: issued.into_plaintext(), request: IssueKey::team(team_id("blue")) };
    assert!(!configured.is_found(&bench).await.info().known_beforehand);
}

#[tokio::test]
async fn a_difference_is_named_and_nothing_is_changed() {
    let bench = Bench::with_rules(Rules { finds_addresses: true, ..Rules::default() });
    let office = || Networks::new(["10.0.0.0/8"]).unwrap();
    let first = Configured::new().with(|request| request.networks(office()).limits("60").expires_at(time(LATER)));
    first.start(&bench).await.unwrap();
    let to = |owner: Owner| IssueKey::of(owner).scopes(scopes("read write")).networks(office()).limits("60");
    for (configured, problem, field) in [
        (first.with(|_| to(team("red")).expires_at(time(LATER))), KnownKeyProblem::OtherOwner, "owner"),
        (first.with(|request| request.scopes(scopes("read"))), KnownKeyProblem::OtherScopes, "scopes"),
        (first.with(|request| request.scopes(scopes("admin read write"))), KnownKeyProblem::OtherScopes, "scopes"),
        (first.with(|_| IssueKey::of(team("blue"))), KnownKeyProblem::OtherScopes, "scopes"),
        (
            first.with(|request| request.networks(Networks::new(["10.0.0.0/9"]).unwrap())),
            KnownKeyProblem::OtherNetworks,
            "networks",
        ),
        (
            first.with(|_| IssueKey::of(team("blue")).scopes(scopes("read write")).limits("60")),
            KnownKeyProblem::OtherNetworks,
            "networks",
        ),
        (first.with(|request| request.limits("61")), KnownKeyProblem::OtherLimits, "limits"),
        (
            first.with(|_| IssueKey::of(team("blue")).scopes(scopes("read write")).networks(office())),
            KnownKeyProblem::OtherLimits,
            "limits",
        ),
        (
            first.with(|request| request.expires_at(time("2026-05-01T00:00:00Z"))),
            KnownKeyProblem::OtherExpiry,
            "expires_at",
        ),
        (
            first.with(|request| request.expires_at(time("2026-07-01T00:00:00Z"))),
            KnownKeyProblem::OtherExpiry,
            "expires_at",
        ),
    ] {
        assert_eq!(configured.refusal(&bench).await, known(problem));
        let error = configured.start(&bench).await.unwrap_err();
        assert_eq!(
            (error.code(), error.kind().reason(), error.field()),
            ("known_key", Some(problem.as_str()), Some(field))
        );
        assert_eq!(error.status(), http::StatusCode::CONFLICT);
    }
    first.is_found(&bench).await;
    // A configuration without an expiry finds the key too.
    first.with(|_| to(team("blue"))).is_found(&bench).await;
}

#[tokio::test]
async fn a_restart_takes_nothing_back_that_people_did() {
    let (bench, configured) = (Bench::new(), Configured::new());
    let id = configured.start(&bench).await.unwrap().info().id;
    let labels = Labels::new([("ticket", "OPS-1")]).unwrap();
    bench.manager.edit(EditKey::of(id).named("staging").labels(labels), &system()).await.unwrap();
    let found = configured.is_found(&bench).await;
    assert_eq!((found.info().name.as_str(), found.info().version), ("staging", 3));
    assert_eq!(found.info().labels.value("ticket"), Some("OPS-1"));

    bench.manager.expire_at(&id, time(LATER), &system()).await.unwrap();
    assert_eq!(configured.is_found(&bench).await.info().expires_at, Some(time(LATER)));
    let asked = configured.with(|request| request.expires_at(time("2026-09-01T00:00:00Z")));
    assert_eq!(asked.refusal(&bench).await, known(KnownKeyProblem::OtherExpiry));

    bench.manager.narrow_scopes(&id, scopes("read"), &system()).await.unwrap();
    assert_eq!(configured.refusal(&bench).await, known(KnownKeyProblem::OtherScopes));
    configured.with(|request| request.scopes(scopes("read"))).is_found(&bench).await;
}

#[tokio::test]
async fn no_restart_brings_a_key_back() {
    let start = async || {
        let (bench, configured) = (Bench::new(), Configured::new());
        configured.start(&bench).await.unwrap();
        (bench, configured)
    };
    let (bench, configured) = start().await;
    bench.manager.revoke(&configured.text.id(), &system()).await.unwrap();
    assert_eq!(configured.refusal(&bench).await, known(KnownKeyProblem::Revoked));
    purge(&bench).await;
    assert_eq!(configured.refusal(&bench).await, known(KnownKeyProblem::Purged));
    // With any other request.
    let other = configured.with(|_| IssueKey::of(team("red")));
    assert_eq!(other.refusal(&bench).await, known(KnownKeyProblem::Purged));

    let (bench, configured) = start().await;
    bench.manager.expire_at(&configured.text.id(), time(LATER), &system()).await.unwrap();
    wait_until(&bench, time(LATER));
    assert_eq!(configured.refusal(&bench).await, known(KnownKeyProblem::Expired));

    let (bench, configured) = start().await;
    bench.manager.pause(&configured.text.id(), &system()).await.unwrap();
    assert_eq!(configured.refusal(&bench).await, known(KnownKeyProblem::Paused));
    bench.manager.resume(&configured.text.id(), &system()).await.unwrap();
    configured.is_found(&bench).await;

    let (bench, configured) = start().await;
    for (suspension, kind) in
        [(Suspension::Admin, ManageErrorKind::OwnerSuspended), (Suspension::Plan, ManageErrorKind::OwnerPlanSuspended)]
    {
        bench.manager.suspend(&team("blue"), suspension, &system()).await.unwrap();
        assert_eq!(configured.refusal(&bench).await, kind);
        bench.manager.reinstate(&team("blue"), suspension, &system()).await.unwrap();
        configured.is_found(&bench).await;
    }
    bench.manager.close(&team("blue"), &system()).await.unwrap();
    assert_eq!(configured.refusal(&bench).await, ManageErrorKind::OwnerClosed);
}

#[tokio::test]
async fn no_key_is_made_for_a_suspended_owner() {
    let (bench, configured) = (Bench::new(), Configured::new());
    bench.manager.suspend(&team("blue"), Suspension::Admin, &system()).await.unwrap();
    assert_eq!(configured.refusal(&bench).await, ManageErrorKind::OwnerSuspended);
    bench.manager.reinstate(&team("blue"), Suspension::Admin, &system()).await.unwrap();
    assert_eq!(configured.start(&bench).await.unwrap().effect(), Effect::Changed);
}

fn wait_until(bench: &Bench, at: Timestamp) {
    bench.clock.advance(Duration::from_millis((at.as_millis() - bench.now().as_millis()).try_into().unwrap()));
}

/// Purges all dead keys.
async fn purge(bench: &Bench) {
    bench.clock.advance(Duration::from_millis(1));
    let keys = DeadKeys { ended_before: bench.now(), most: 9, at: bench.now() };
    let prune = Prune { keys: Some(keys), ..Prune::default() };
    assert_eq!(bench.store.inner.prune(&prune).await.unwrap().keys, 1);
}

#[tokio::test]
async fn a_rotation_is_told_of_once_it_has_ended_the_key() {
    let configured = Configured::new().with(|request| request.expires_at(time("2026-09-01T00:00:00Z")));
    let begin = async |configured: &Configured, grace: Option<&str>| {
        let bench = Bench::new();
        let id = configured.start(&bench).await.unwrap().info().id;
        bench.clock.advance(Duration::from_secs(60));
        let rotate = grace.map_or(RotateKey::of(id), |at| RotateKey::of(id).old_key_ends_at(time(at)));
        let new = bench.manager.begin_rotation(rotate, &system()).await.unwrap();
        bench.clock.advance(Duration::from_secs(60));
        (bench, id, new.into_plaintext())
    };
    let rotated = known(KnownKeyProblem::Rotated);

    // Both texts are accepted. An end of grace is not part of the configuration.
    for grace in [None, Some(LATER)] {
        let (bench, _, new) = begin(&configured, grace).await;
        configured.is_found(&bench).await;
        bench.manager.finish_rotation_anyway(&new.id(), &system()).await.unwrap();
        assert_eq!(configured.refusal(&bench).await, rotated, "{grace:?}");
        // The text of the new key replaces the old one in the configuration.
        let next = Configured { text: copy(&new), request: configured.request.clone() };
        assert!(!next.is_found(&bench).await.info().known_beforehand);
        // Also after the new key has ended, the rotation is the reason why the old key ended.
        bench.clock.advance(Duration::from_secs(60));
        bench.manager.revoke(&new.id(), &system()).await.unwrap();
        assert_eq!(configured.refusal(&bench).await, rotated, "{grace:?}");
    }
    let (bench, _, _new) = begin(&configured, Some(LATER)).await;
    wait_until(&bench, time(LATER));
    assert_eq!(configured.refusal(&bench).await, rotated, "the grace is over");

    let (bench, id, new) = begin(&configured, Some(LATER)).await;
    bench.manager.abort_rotation(&new.id(), &system()).await.unwrap();
    configured.is_found(&bench).await;
    bench.clock.advance(Duration::from_secs(60));
    bench.manager.revoke(&id, &system()).await.unwrap();
    assert_eq!(configured.refusal(&bench).await, known(KnownKeyProblem::Revoked), "the rotation came to nothing");

    let (bench, ..) = begin(&configured, None).await;
    bench.manager.revoke_many(crate::manage::RevokeMany::of(team_id("blue")), &system()).await.unwrap();
    assert_eq!(configured.refusal(&bench).await, known(KnownKeyProblem::Revoked), "both at once");
}

#[tokio::test]
async fn another_secret_under_the_id_is_told_nothing_but_that() {
    let bench = Bench::new();
    let configured = Configured::new();
    let id = configured.start(&bench).await.unwrap().info().id;
    let guesses: Vec<Configured> = ["blue", "red"]
        .map(|of| Configured { text: other_secret(&configured.text), request: IssueKey::of(team(of)) })
        .into();
    let mut answers = Vec::new();
    for _ in 0..2 {
        for guess in &guesses {
            assert_eq!(guess.refusal(&bench).await, known(KnownKeyProblem::OtherKey));
            answers.push(told(&guess.start(&bench).await.unwrap_err()));
        }
        // The error does not even show that the key is dead.
        bench.manager.revoke(&id, &system()).await.unwrap();
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:#?}");
}

#[tokio::test]
async fn a_tag_that_fits_is_no_proof() {
    let (bench, configured) = (Bench::new(), Configured::new());
    configured.start(&bench).await.unwrap();
    let other = Configured::new();
    let stranger = Configured { text: other_secret(&other.text), request: other.request.clone() };
    let made = stranger.start(&bench).await.unwrap().info().id;
    assert_eq!(made, other.text.id());
    // The row of one key with the tag of the other, as if one of 4.3 billion guesses had that tag.
    let hasher = crate::hash::Hasher::new(
        crate::hash::HasherConfig::new().with_params(crate::hash::Argon2Params::MACHINE_SECRET).with_threads(1),
    );
    let tag = hasher.unwrap().hash(other.text.expose_secret()).await.unwrap().tag().to_bytes();
    let row = KeyRow { tag, ..bench.row(&made).await };
    let bench = Bench::new();
    bench.plant_row(row).await;
    assert_eq!(other.refusal(&bench).await, known(KnownKeyProblem::OtherKey));
}

#[tokio::test]
async fn the_id_of_a_key_of_another_organization_is_taken() {
    let bench = Bench::new();
    let configured = Configured::new();
    let acme = bench.manager.for_organization("acme".parse().unwrap());
    acme.issue_known(configured.request(), &system()).await.unwrap();
    for text in [copy(&configured.text), other_secret(&configured.text)] {
        let here = Configured { text, request: configured.request.clone() };
        assert_eq!(here.refusal(&bench).await, known(KnownKeyProblem::OtherKey));
    }
}

#[tokio::test]
async fn a_text_that_cannot_be_is_refused() {
    let bench = Bench::new();
    let with = |text, owner| Configured { text, request: IssueKey::of(owner) };
    let branded = KeyFormat::branded("acme").unwrap();
    let request = IssueKey::of(team("blue")).with_text(branded.generate(KeyKind::Team).unwrap());
    let error = bench.manager.issue_known(request, &system()).await.unwrap_err();
    assert_eq!((error.kind(), error.field()), (invalid(InvalidInput::TextNotAccepted), Some("text")));

    let personal = KeyFormat::unbranded().generate(KeyKind::User).unwrap();
    let wrong = with(copy(&personal), team("blue"));
    assert_eq!(wrong.refusal(&bench).await, invalid(InvalidInput::TextOfOtherKind));
    let wrong = with(KeyFormat::unbranded().generate(KeyKind::Team).unwrap(), user("alice"));
    assert_eq!(wrong.refusal(&bench).await, invalid(InvalidInput::TextOfOtherKind));

    for documented in [
        "user.AAECAwQFBgcICQoLDA0O.Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PVhAZ",
        "team.__79_Pv6-fj39vX08_Lx.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gI2ut",
    ] {
        let text = KeyFormat::unbranded().parse(documented.as_bytes());
        let Ok(text) = text.map(|text| text.to_plaintext()) else { continue };
        let owner = if documented.starts_with("user") { user("alice") } else { team("blue") };
        assert_eq!(with(text, owner).refusal(&bench).await, invalid(InvalidInput::TextGuessable));
    }

    let past = Configured::new().with(|request| request.expires_at(time(START)));
    assert_eq!(past.refusal(&bench).await, invalid(InvalidInput::ExpiryPast));
    let named = Configured::new().with(|request| request.named("two\nlines"));
    assert_eq!(named.refusal(&bench).await, invalid(InvalidInput::Name));
    let pasted = Configured::new();
    let named = pasted.with(|request| request.named(pasted.text.expose_secret()));
    assert_eq!(named.refusal(&bench).await, invalid(InvalidInput::Name));
}

#[tokio::test]
async fn a_text_of_an_accepted_brand_is_accepted() {
    let keys = crate::ApiKeys::builder(crate::store::MemoryStore::new())
        .format(KeyFormat::branded("globex").unwrap().accepting("acme").unwrap());
    let keys = keys.params(crate::hash::Argon2Params::MACHINE_SECRET).build().await.unwrap();
    let text = KeyFormat::branded("acme").unwrap().generate(KeyKind::Team).unwrap();
    let shown = text.expose_secret().to_owned();
    keys.manager().issue_known(IssueKey::of(team("blue")).with_text(text), &system()).await.unwrap();
    keys.authenticator().authenticate(&shown).await.unwrap();
}

/// The text is read, and the key is looked up, only if the actor is allowed to.
#[tokio::test]
async fn nobody_but_the_system_chooses_a_text() {
    let bench = Bench::new();
    let there = Configured::new();
    there.start(&bench).await.unwrap();
    let guessable = "team.AAECAwQFBgcICQoLDA0O.Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PK1q7";
    let guessable = KeyFormat::unbranded().parse(guessable.as_bytes()).unwrap().to_plaintext();
    let texts = [copy(&there.text), other_secret(&there.text), guessable, Configured::of(user("alice")).text];
    bench.plant(ACTING, &team("blue"), "* keys:manage").await;
    let rights = |role| Rights::none().team(team_id("blue"), role).team_keys_included();
    let denied = |reason: DenialReason| ManageErrorKind::Denied(reason.into());
    for (actor, expected) in [
        (
            Actor::user(user_id("olga"), Rights::none().org_admin().team_keys_included()),
            denied(DenialReason::SystemOnly),
        ),
        (Actor::user(user_id("alice"), rights(TeamRole::Owner)), denied(DenialReason::SystemOnly)),
        (Actor::user(user_id("alice"), rights(TeamRole::Member)), denied(DenialReason::InsufficientRole)),
        (person("bob"), ManageErrorKind::NotFound),
        (
            Actor::key(&principal(&team("blue"), "* keys:manage"), rights(TeamRole::Admin)),
            denied(DenialReason::ScopesTooWide),
        ),
    ] {
        let mut answers = Vec::new();
        for text in &texts {
            let before = bench.all().await;
            let request = IssueKey::of(team("blue")).scopes(scopes("read keys:read")).with_text(copy(text));
            let error = bench.manager.issue_known(request, &actor).await.unwrap_err();
            assert_eq!(error.kind(), expected, "{actor:?}");
            answers.push(told(&error));
            assert_eq!(bench.all().await, before);
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:#?}");
    }
}

#[tokio::test]
async fn a_start_that_was_not_the_quickest_finds_the_key() {
    for quota in [None, Some(1)] {
        let quotas = Quotas { live_keys_of_team: quota, ..Quotas::default() };
        let (bench, elsewhere) = (Bench::with_rules(Rules { quotas, ..Rules::default() }), Bench::new());
        let configured = Configured::new();
        configured.start(&elsewhere).await.unwrap();
        let row = elsewhere.row(&configured.text.id()).await;
        bench.store.quicker.lock().unwrap().push_back(plain_change("quicker", Write::Insert(row.clone())));
        let found = configured.start(&bench).await.unwrap();
        assert_eq!((found.effect(), bench.events().await.len()), (Effect::Unchanged, 0), "{quota:?}");

        // The same, with a key that differs from the configuration.
        let bench = Bench::new();
        let row = KeyRow { scopes: "read".into(), ..row };
        bench.store.quicker.lock().unwrap().push_back(plain_change("quicker", Write::Insert(row)));
        assert_eq!(configured.start(&bench).await.unwrap_err().kind(), known(KnownKeyProblem::OtherScopes));
    }
}

#[tokio::test]
async fn quotas_hold_for_a_key_that_is_made_and_not_for_one_that_is_there() {
    let quotas = Quotas { live_keys_of_team: Some(1), ..Quotas::default() };
    let bench = Bench::with_rules(Rules { quotas, ..Rules::default() });
    let configured = Configured::new();
    configured.start(&bench).await.unwrap();
    configured.is_found(&bench).await;
    let full = ManageErrorKind::QuotaReached(Quota::LiveKeys(1));
    assert_eq!(Configured::new().refusal(&bench).await, full);
}

/// A longest life that is set later applies only to new keys.
#[tokio::test]
async fn a_longest_life_holds_for_a_key_that_is_made_and_not_for_one_that_is_there() {
    let day = Duration::from_secs(86_400);
    let mut rules = Rules::default();
    rules.lifetimes.of_team = Some(day);
    let (bench, free) = (Bench::with_rules(rules), Bench::new());
    let configured = Configured::new();
    let made = configured.start(&bench).await.unwrap();
    assert_eq!(made.info().expires_at, Some(bench.now().saturating_add(day)));
    bench.clock.advance(Duration::from_secs(3_600));
    configured.is_found(&bench).await;

    let long = Configured::new().with(|request| request.expires_at(time(LATER)));
    assert_eq!(long.refusal(&bench).await, invalid(InvalidInput::ExpiryTooLate));
    long.start(&free).await.unwrap();
    bench.plant_row(free.row(&long.text.id()).await).await;
    long.is_found(&bench).await;
}

#[tokio::test]
async fn a_doubt_is_an_error_and_the_next_start_resolves_it() {
    for (fault, kind) in
        [(Fault::Unavailable, ManageErrorKind::StoreUnavailable), (Fault::Refused, ManageErrorKind::StoreRefused)]
    {
        let (bench, configured) = (Bench::new(), Configured::new());
        bench.store.fail([fault]);
        assert_eq!(configured.start(&bench).await.unwrap_err().kind(), kind);
        assert_eq!(configured.start(&bench).await.unwrap().effect(), Effect::Changed);
    }
    let (bench, configured) = (Bench::new(), Configured::new());
    bench.store.find_faults.lock().unwrap().push_back(Fault::Unavailable);
    assert_eq!(configured.refusal(&bench).await, ManageErrorKind::StoreUnavailable);
    bench
        .plant_row(KeyRow { id: configured.text.id().to_string(), scopes: "\u{7f}".into(), ..KeyRow::example() })
        .await;
    assert_eq!(configured.refusal(&bench).await, ManageErrorKind::CorruptRecord);

    // The outcome is unknown, though the key was written. The hash takes real time, and the pauses between the attempts
    // take none.
    let (bench, configured) = (Bench::new(), Configured::new());
    bench.store.fail([Fault::DoesAndLosesTheAnswer, Fault::LosesTheAnswer, Fault::LosesTheAnswer]);
    let pause = async {
        while bench.store.applies() == 0 {
            tokio::task::yield_now().await;
        }
        tokio::time::pause();
    };
    let (told, ()) = tokio::join!(configured.start(&bench), pause);
    assert_eq!(told.unwrap_err().kind(), ManageErrorKind::OutcomeUnknown);
    tokio::time::resume();
    configured.is_found(&bench).await;
    assert_eq!(bench.events().await.len(), 1);
}

#[tokio::test]
async fn a_node_without_the_pepper_of_the_key_says_so() {
    let (bench, configured) = (Bench::new(), Configured::new());
    let id = configured.text.id().to_string();
    bench.plant_row(KeyRow { id, owner: "blue".into(), pepper_id: Some(7), ..KeyRow::example() }).await;
    assert_eq!(configured.refusal(&bench).await, ManageErrorKind::PepperMissing);
}

#[tokio::test]
async fn the_text_is_in_nothing_that_is_said_or_stored() {
    let (bench, configured) = (Bench::new(), Configured::new());
    let made = configured.start(&bench).await.unwrap();
    let found = configured.is_found(&bench).await;
    let json = serde_json::to_string(&[&made, &found]).unwrap();
    let (rows, request) = (bench.all().await, configured.request());
    let seen = format!("{made:?} {found:?} {json} {rows:?} {request:?} {:?}", bench.manager);
    assert_hidden(&configured.text, &seen);
    assert!(format!("{request:?}").contains(&configured.text.redacted()));
}

/// A change of the key, or a start with a configuration.
#[derive(Clone, Copy, Debug)]
enum Step {
    Start { scopes: usize, ends: Option<u64>, owner: &'static str },
    Rename,
    Narrow,
    Expire(u64),
    Pause,
    Resume,
    Revoke,
    Suspend,
    Reinstate,
    Purge,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let ends = || prop_oneof![Just(None), Just(Some(40)), Just(Some(80))];
    let owner = prop_oneof![5 => Just("blue"), 1 => Just("red")];
    prop_oneof![
        8 => (0..2_usize, ends(), owner).prop_map(|(scopes, ends, owner)| Step::Start { scopes, ends, owner }),
        1 => Just(Step::Rename),
        1 => Just(Step::Narrow),
        1 => (20..100_u64).prop_map(Step::Expire),
        1 => Just(Step::Pause),
        1 => Just(Step::Resume),
        1 => Just(Step::Revoke),
        1 => Just(Step::Suspend),
        1 => Just(Step::Reinstate),
        1 => Just(Step::Purge),
        2 => (1..30_u64).prop_map(Step::Wait),
    ]
}

/// The simplest model of the key.
#[derive(Clone, Copy, Debug)]
struct ModelKey {
    owner: &'static str,
    scopes: usize,
    ends: Option<u64>,
    revoked: bool,
    paused: bool,
}

#[derive(Default)]
struct Model {
    key: Option<ModelKey>,
    is_purged: bool,
    is_suspended: bool,
    now: u64,
}

impl Model {
    fn is_live(&self) -> bool {
        self.key.is_some_and(|key| !key.revoked && key.ends.is_none_or(|end| self.now < end))
    }

    /// The result of a start.
    fn start(&mut self, scopes: usize, ends: Option<u64>, owner: &'static str) -> Result<Effect, ManageErrorKind> {
        let is_suspended = self.is_suspended && owner == "blue";
        let Some(key) = self.key else {
            return match ends {
                Some(end) if self.now >= end => Err(invalid(InvalidInput::ExpiryPast)),
                _ if is_suspended => Err(ManageErrorKind::OwnerSuspended),
                _ if self.is_purged => Err(known(KnownKeyProblem::Purged)),
                _ => {
                    self.key = Some(ModelKey { owner, scopes, ends, revoked: false, paused: false });
                    Ok(Effect::Changed)
                }
            };
        };
        let problem = match key {
            _ if key.owner != owner => KnownKeyProblem::OtherOwner,
            _ if key.revoked => KnownKeyProblem::Revoked,
            _ if !self.is_live() => KnownKeyProblem::Expired,
            _ if key.paused => KnownKeyProblem::Paused,
            _ if is_suspended => return Err(ManageErrorKind::OwnerSuspended),
            _ if key.scopes != scopes => KnownKeyProblem::OtherScopes,
            _ if ends.is_some() && key.ends != ends => KnownKeyProblem::OtherExpiry,
            _ => return Ok(Effect::Unchanged),
        };
        Err(known(problem))
    }
}

async fn play(steps: Vec<Step>) {
    let (bench, text) = (Bench::new(), Configured::new().text);
    let (id, manager) = (text.id(), &bench.manager);
    let at = |millis: u64| time(START).saturating_add(Duration::from_millis(millis));
    let scopes_of = |which: usize| scopes(["read", "read write"][which]);
    let mut model = Model::default();
    for step in steps {
        let is_live = model.is_live();
        match step {
            Step::Start { scopes, ends, owner } => {
                let request = IssueKey::of(team(owner)).scopes(scopes_of(scopes));
                let request = ends.map_or(request.clone(), |end| request.expires_at(at(end)));
                let events = bench.events().await.len();
                let told = manager.issue_known(request.with_text(copy(&text)), &system()).await;
                let told = told.map(|known| known.effect()).map_err(|error| error.kind());
                assert_eq!(told, model.start(scopes, ends, owner), "{step:?} at {}", model.now);
                assert_eq!(bench.events().await.len() - events, usize::from(told == Ok(Effect::Changed)));
            }
            Step::Rename => drop(manager.rename(&id, "renamed", &system()).await),
            Step::Narrow => {
                if manager.narrow_scopes(&id, scopes_of(0), &system()).await.is_ok() {
                    model.key.iter_mut().for_each(|key| key.scopes = 0);
                }
            }
            Step::Expire(end) => {
                if manager.expire_at(&id, at(end), &system()).await.is_ok() {
                    model.key.iter_mut().for_each(|key| key.ends = Some(end));
                }
            }
            Step::Pause => {
                if manager.pause(&id, &system()).await.is_ok() {
                    model.key.iter_mut().for_each(|key| key.paused = true);
                }
            }
            Step::Resume => {
                if manager.resume(&id, &system()).await.is_ok() {
                    model.key.iter_mut().for_each(|key| key.paused = false);
                }
            }
            Step::Revoke => {
                drop(manager.revoke(&id, &system()).await);
                model.key.iter_mut().for_each(|key| key.revoked = true);
            }
            Step::Suspend => {
                manager.suspend(&team("blue"), Suspension::Admin, &system()).await.unwrap();
                model.is_suspended = true;
            }
            Step::Reinstate => {
                manager.reinstate(&team("blue"), Suspension::Admin, &system()).await.unwrap();
                model.is_suspended = false;
            }
            Step::Purge => {
                let keys = DeadKeys { ended_before: bench.now(), most: 9, at: bench.now() };
                let prune = Prune { keys: Some(keys), ..Prune::default() };
                if bench.store.inner.prune(&prune).await.unwrap().keys > 0 {
                    assert!(!is_live);
                    (model.key, model.is_purged) = (None, true);
                }
            }
            Step::Wait(millis) => {
                bench.clock.advance(Duration::from_millis(millis));
                model.now += millis;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_happened_before_a_start_answers_like_the_model(steps in vec(step(), 1..30)) {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(play(steps));
    }
}
