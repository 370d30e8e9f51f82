//! An example of every answer.

use std::{any, collections::BTreeMap, convert::Infallible, io, time::Duration};

use serde::Serialize;
use serde_json::Value;

use super::kinds::every_kind;
use crate::{
    Actor, IssueKey, OrganizationId, TeamId, TeamRef, UserId,
    key::KeyId,
    manage::{
        Advice, AnyDirectory, Attempts, AuditQuery, BlastRadius, CallVerdict, ChangeOrganization, ChangeOwner,
        CountedUntil, Decision, Denial, DenialReason, Directory, EditKey, Effect, Erase, ExportFormat, ExposureReason,
        InvalidInput, InventoryQuery, KeyAction, KeyFlag, KeyInfo, KeyMatches, KeyState, KeyUse, KnownKey,
        KnownKeyProblem, ListKeys, ManageError, ManageErrorKind, MatchConfidence, Misconfiguration, NameAdvice,
        NamedTeam, Names, NextStep, NoteKind, PauseKey, PlanChange, Presence, PresentedKey, PresentedOutcome, Problem,
        Quota, Recommendation, Reconcile, RevokeKey, RevokeMany, RevokeManyError, RevokedMany, Rights, RotationStage,
        RotationVerdict, Rules, Severity, Staleness, TeamRole, Weight,
        fixture::{Bench, team_id, time, user, user_id},
    },
    record::{KeyRow, Labels, Suspension},
    sentence::Sentence,
    store::{Ledger, OwnerChange, Pseudonym},
    usage::{Outcome, UsageBatch, UsageDayRow, UsageDetail, UsageRow},
};

/// Every answer is JSON, with a schema.
#[cfg(feature = "schemars")]
pub(super) trait Answer: Serialize + schemars::JsonSchema {}
#[cfg(feature = "schemars")]
impl<T: Serialize + schemars::JsonSchema> Answer for T {}
#[cfg(not(feature = "schemars"))]
pub(super) trait Answer: Serialize {}
#[cfg(not(feature = "schemars"))]
impl<T: Serialize> Answer for T {}

/// Examples by the name of their type.
#[derive(Default)]
pub(in crate::manage) struct Examples {
    pub(in crate::manage) of: BTreeMap<&'static str, Vec<Value>>,
    #[cfg(feature = "schemars")]
    pub(super) schemas: BTreeMap<&'static str, Value>,
}

impl Examples {
    fn add<T: Answer>(&mut self, answer: &T) {
        let name = any::type_name::<T>().split('<').next().unwrap().rsplit("::").next().unwrap();
        self.of.entry(name).or_default().push(serde_json::to_value(answer).unwrap());
        #[cfg(feature = "schemars")]
        self.schemas.entry(name).or_insert_with(|| {
            let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
            settings.into_generator().into_root_schema_for::<T>().to_value()
        });
    }

    fn add_all<T: Answer>(&mut self, answers: impl IntoIterator<Item = T>) {
        for answer in answers {
            self.add(&answer);
        }
    }
}

const OLD: &str = "OldOldOldOldOldOldOl";
const NEW: &str = "NewNewNewNewNewNewNe";
const LAPTOP: &str = "LaptopLaptopLaptopLa";
const PAUSED: &str = "PausedPausedPausedPa";
const BROKEN: &str = "BrokenBrokenBrokenBr";

fn row(id: &str) -> KeyRow {
    KeyRow { id: id.into(), lineage: id.into(), ..KeyRow::example() }
}

/// Keys in every state, used and leaked.
pub(in crate::manage) async fn world(rules: &Rules) -> Bench {
    let bench = Bench::with_rules(rules.clone());
    let minute = 60_000;
    let made = KeyRow::example().created_at;
    bench.plant_row(row(OLD)).await;
    let new = KeyRow { replaces: Some(OLD.into()), lineage: OLD.into(), created_at: made + minute, ..row(NEW) };
    bench.plant_row(new).await;
    let laptop = KeyRow {
        kind: "user".into(),
        owner: "alice".into(),
        name: "key1".into(),
        labels: "{}".into(),
        scopes: "agents:read keys:rotate".into(),
        expires_at: Some(made + 400 * 24 * 3_600_000),
        created_via_key: Some(OLD.into()),
        created_by: format!("key:{OLD}"),
        ..row(LAPTOP)
    };
    bench.plant_row(laptop).await;
    let paused = KeyRow {
        kind: "user".into(),
        owner: "alice".into(),
        name: String::new(),
        paused_at: Some(made),
        paused_by: Some("user:olga".into()),
        ..row(PAUSED)
    };
    bench.plant_row(paused).await;
    bench.plant_row(KeyRow { scopes: "\u{7f}".into(), ..row(BROKEN) }).await;
    let seen = |key: &str, outcome: &str, source: &str, count, days: i64| UsageRow {
        key: Some(key.into()),
        outcome: outcome.into(),
        count,
        first_at: made,
        last_at: made + days * 24 * 3_600_000,
        ..UsageRow::seen_from(source)
    };
    let rows = vec![
        seen(OLD, "success", "api/GitHub-Actions@203.0.113.0/24", 31, 30),
        seen(OLD, "wrong_team", "api/GitHub-Actions@203.0.113.0/24", 1, 30),
        seen(NEW, "success", "api/curl", 2, 1),
        seen(LAPTOP, "success", "api/curl", 31, 30),
        seen(LAPTOP, "key_revoked", "api/curl", 2, 31),
        seen(LAPTOP, "malformed_key.truncated", "api/curl", 1, 31),
    ];
    let days = UsageDayRow::sums(&rows);
    bench.store.inner.record_usage(&UsageBatch { writer: [1; 16], sequence: 1, rows, days }).await.unwrap();
    bench.clock.advance(std::time::Duration::from_secs(31 * 24 * 3_600));
    bench
}

fn id(text: &str) -> KeyId {
    KeyId::new(text).unwrap()
}

fn olga() -> Actor {
    Actor::user(user_id("olga"), Rights::none().org_admin())
}

fn alice() -> Actor {
    Actor::user(user_id("alice"), Rights::none().team(team_id("engineering"), TeamRole::Member))
}

/// Each answer of a manager, and every other type that serializes. Answers with names also have an example with names.
pub(super) async fn examples() -> Examples {
    let mut all = examples_by(&Rules::default()).await;
    let mut named = Examples::default();
    let people = Names::none().with_user(user_id("alice"), "Alice Jones").with_left(user_id("alice"));
    let people = people.with_user(user_id("olga"), "Olga Mann").with_left(user_id("bob"));
    let people = people.with_unknown(user_id("carol"));
    let names = people.with_team(team_id("engineering"), "Engineering").with_unknown(team_id("red"));
    all.add(&names);
    all.add(&Names::none().complete_if(false));
    let blue = NamedTeam::new(team_id("blue"));
    all.add_all([blue.clone().with_name("Blue"), blue]);
    let minute = Duration::from_secs(60);
    all.add_all([Staleness::default(), Staleness::of(minute, None), Staleness::of(minute, Some(minute))]);
    let rules = Rules { directory: AnyDirectory::new(Telling(names)), ..Rules::default() };
    reads(&mut named, &rules).await;
    advice(&mut named, &rules).await;
    reconciled(&mut all).await;
    erased(&mut all).await;
    for (name, answers) in named.of {
        let is_named = |answer: &Value| answer["names"]["users"].as_object().is_some_and(|users| !users.is_empty());
        // One answer of each type is enough.
        let answer = answers.into_iter().find(is_named);
        all.of.entry(name).or_default().extend(answer);
    }
    all
}

/// The same, without examples that are only about names.
pub(in crate::manage) async fn examples_by(rules: &Rules) -> Examples {
    let mut all = Examples::default();
    reads(&mut all, rules).await;
    advice(&mut all, rules).await;
    changes(&mut all, rules).await;
    refusals(&mut all, rules).await;
    words(&mut all);
    all
}

/// A directory that always gives the same answer.
struct Telling(Names);

impl Directory for Telling {
    type Error = Infallible;

    async fn has_team(&self, _: &TeamRef) -> Result<bool, Infallible> {
        Ok(true)
    }

    async fn names(&self, _: &OrganizationId, _: &[UserId], _: &[TeamId]) -> Result<Names, Infallible> {
        Ok(self.0.clone())
    }
}

pub(in crate::manage) async fn reads(all: &mut Examples, rules: &Rules) {
    let bench = world(rules).await;
    let (manager, olga, alice) = (&bench.manager, &olga(), &alice());
    for key in [OLD, LAPTOP, PAUSED] {
        all.add(&manager.find(&id(key), olga).await.unwrap());
    }
    // A key whose usage is not visible to every actor.
    all.add(&manager.find(&id(OLD), alice).await.unwrap());
    let page = manager.list(ListKeys::all().limit(1), olga).await.unwrap();
    all.add(&page);
    all.add(&page.next.unwrap());
    all.add(&manager.list(ListKeys::all(), olga).await.unwrap());
    let usage = manager.usage(&id(LAPTOP), 2, olga).await.unwrap();
    all.add(&usage.totals);
    all.add(&usage.lineage);
    all.add(&manager.usage(&id(NEW), 0, olga).await.unwrap().lineage);
    all.add(&usage.detail.counts[0]);
    all.add(&usage.detail.by_outcome()[0]);
    all.add(&usage.detail);
    assert!(usage.days.iter().any(|day| day.failures > 0));
    all.add_all(usage.days.clone());
    all.add(&usage.days[0].day);
    all.add(&usage.counted);
    all.add(&usage);
    let until = |text| Some(time(text));
    all.add(&CountedUntil {
        until: until("2026-03-02T00:00:10Z"),
        days_until: until("2026-03-02T00:00:00Z"),
        dropped: 3,
        failing_since: until("2026-03-02T00:00:20Z"),
    });
    all.add(&UsageDetail::default());
    all.add(&manager.refusals_without_key(&Actor::system("test").unwrap()).await.unwrap());

    let page = manager.inventory(InventoryQuery::all(), olga).await.unwrap();
    all.add(&page.entries[0].attempts_since_death);
    all.add_all(page.entries.clone());
    all.add(&page);
    all.add(&manager.inventory(InventoryQuery::all().limit(1), olga).await.unwrap());
    let summary = manager.inventory_summary(InventoryQuery::all(), olga).await.unwrap();
    all.add(&summary.owners[0]);
    all.add(&summary);
    all.add(&manager.export_inventory(InventoryQuery::all(), ExportFormat::Csv, &mut io::sink(), olga).await.unwrap());
    all.add(&manager.export_trail(AuditQuery::all(), ExportFormat::Csv, &mut io::sink(), olga).await.unwrap());
    all.add(&Attempts::default());

    for actor in [olga, alice] {
        let abilities = manager.abilities(&manager.find(&id(OLD), actor).await.unwrap(), actor).unwrap();
        all.add_all(abilities.iter());
        all.add(&abilities);
    }
    let hidden = manager.find(&id(LAPTOP), olga).await.unwrap();
    let stranger = Actor::user(user_id("mallory"), Rights::none());
    all.add_all(manager.abilities(&hidden, &stranger).unwrap().of(KeyAction::See));
    all.add_all(alice.teams());
    let plan_only = Rights::none().team_keys_included_for(team_id("engineering"));
    all.add_all(Actor::user(user_id("mallory"), plan_only).teams());
    let manages = Rights::none().may_manage_keys(team_id("engineering"));
    all.add_all(Actor::user(user_id("mallory"), manages).teams());
    all.add(&manager.owner(&user("alice"), olga).await.unwrap());

    let rotation = manager.rotation(&id(NEW), olga).await.unwrap();
    all.add(&rotation.new_key_seen.unwrap());
    all.add(&rotation);

    let found = manager.identify(&format!("team.{OLD}."), olga).await.unwrap();
    all.add(&found.keys[0]);
    all.add(&found);
    all.add(&KeyMatches::default());
    let traced = manager.trace(&format!("team.{OLD}."), &Actor::system("test").unwrap()).await.unwrap();
    all.add(&traced.unwrap());
    let report = manager.leak_report(&id(OLD), time("2026-03-02T00:00:00Z"), olga).await.unwrap();
    all.add(&report.sources[0]);
    all.add(&report);
    all.add(&manager.leak_report(&id(LAPTOP), time("2026-03-02T00:00:00Z"), olga).await.unwrap());
}

pub(in crate::manage) async fn advice(all: &mut Examples, rules: &Rules) {
    let bench = world(rules).await;
    let (manager, olga, alice) = (&bench.manager, &olga(), &alice());
    for key in [OLD, NEW, LAPTOP, PAUSED] {
        let advice: Advice = manager.advise(&id(key), olga).await.unwrap();
        all.add_all(advice.cadence);
        all.add_all(advice.evidence.clone());
        all.add(&advice);
    }
    let radius: BlastRadius = manager.blast_radius(&UserId::new("alice").unwrap(), olga).await.unwrap();
    all.add(&radius.stops[0]);
    all.add(&radius);
    all.add(&manager.blast_radius(&UserId::new("nobody").unwrap(), olga).await.unwrap());
    let exposure = manager.exposure(&UserId::new("alice").unwrap(), olga).await.unwrap();
    all.add(&exposure.keys[0]);
    all.add(&exposure);
    all.add(&manager.exposure(&UserId::new("nobody").unwrap(), olga).await.unwrap());
    let made_with = ExposureReason::MadeWith(id(OLD));
    all.add_all([ExposureReason::Holds, ExposureReason::Issued, made_with, ExposureReason::Rotated]);

    let request = IssueKey::user(user_id("alice"))
        .named("deploy")
        .labelled("installed", "ci.example.com")
        .scopes("agents:read".parse().unwrap())
        .expires_at(time("2026-04-02T00:00:00Z"));
    let preview = manager.preview(&request, alice).await.unwrap();
    all.add(&preview.notes[0]);
    all.add(&preview);
    let denied = IssueKey::team(team_id("engineering")).labelled("No", "no").idempotency_key("");
    all.add(&manager.preview(&denied, alice).await.unwrap());

    bench.change_owner(&user("alice"), OwnerChange::Suspend(Suspension::Admin)).await;
    for key in [OLD, LAPTOP, PAUSED, BROKEN] {
        let explanation = manager.explain(&id(key), olga).await.unwrap();
        all.add(&explanation.checks[0]);
        all.add(&explanation);
    }
}

async fn changes(all: &mut Examples, rules: &Rules) {
    let bench = world(rules).await;
    let (manager, system) = (&bench.manager, &Actor::system("test").unwrap());
    manager.rename(&id(LAPTOP), "Laptop of Alice", system).await.unwrap();
    manager.narrow_scopes(&id(LAPTOP), "agents:read".parse().unwrap(), system).await.unwrap();
    let edit = EditKey::of(id(LAPTOP))
        .labels(Labels::new([("ticket", "OPS-1234")]).unwrap())
        .expires_at(time("2026-04-15T00:00:00Z"));
    all.add(&manager.edit(edit, system).await.unwrap());
    all.add(&manager.finish_rotation_anyway(&id(NEW), system).await.unwrap());
    all.add(&manager.rotation(&id(NEW), system).await.unwrap());
    let revoked = manager.revoke(RevokeKey::of(id(PAUSED)).because("laptop stolen"), system).await.unwrap();
    all.add(&revoked);
    all.add_all(PresentedOutcome::ALL.map(PresentedKey::from));
    all.add(&PresentedKey { key: Some(revoked.into_info()), ..PresentedOutcome::Revoked.into() });
    all.add(&manager.suspend(&user("alice"), Suspension::Admin, system).await.unwrap());
    all.add(&manager.owner(&user("alice"), system).await.unwrap());
    let look = ChangeOwner::of(user("alice")).dry_run();
    all.add(&manager.close(look.clone(), system).await.unwrap());
    all.add(&manager.reinstate(look, Suspension::Admin, system).await.unwrap());
    manager.suspend(&user("carol"), Suspension::Plan, system).await.unwrap();
    all.add(&manager.reinstate(&user("carol"), Suspension::Plan, system).await.unwrap());
    all.add(&manager.close(&user("bob"), system).await.unwrap());
    let organization = manager.organization().clone();
    all.add(&manager.suspend_organization(organization.clone(), Suspension::Admin, system).await.unwrap());
    all.add(&manager.reinstate_organization(organization.clone(), Suspension::Admin, system).await.unwrap());
    let look = ChangeOrganization::of(organization).dry_run();
    all.add(&manager.close_organization(look, system).await.unwrap());
    all.add(&manager.plan_changed(PlanChange::team_keys_not_included().dry_run(), system).await.unwrap());
    let many = RevokeMany::of(user_id("alice")).because("laptop stolen");
    all.add(&manager.revoke_many(many.clone().dry_run(), system).await.unwrap());
    all.add(&manager.revoke_many(many, system).await.unwrap());
    all.add(&RevokedMany::default());
    let pause = PauseKey::of(id(NEW)).because("laptop stolen");
    all.add(&manager.pause(pause, system).await.unwrap());

    let other = Bench::new();
    let known = other.plant_row(KeyRow { imported_from: Some("configuration".into()), ..KeyRow::example() }).await;
    let known = KeyInfo { usage: None, counted: None, ..other.manager.find(&known, system).await.unwrap() };
    all.add_all([Effect::Changed, Effect::Unchanged].map(|effect| KnownKey::new(known.clone(), effect)));

    manager.export_trail(AuditQuery::all(), ExportFormat::Csv, &mut io::sink(), system).await.unwrap();
    let inventory = InventoryQuery::of(team_id("engineering"));
    manager.export_inventory(inventory, ExportFormat::JsonLines, &mut io::sink(), system).await.unwrap();
    let page = manager.events(AuditQuery::all().limit(1), system).await.unwrap();
    assert!(page.next.is_some());
    all.add(&page);
    let page = manager.events(AuditQuery::all().of(user("alice")), system).await.unwrap();
    all.add(&page.entries[0]);
    let page = manager.events(AuditQuery::all(), system).await.unwrap();
    let mut entries: Vec<_> =
        page.entries.into_iter().filter(|entry| entry.event.action.as_str() != "planted").collect();
    for entry in &mut entries {
        entry.event.sequence = 1;
    }
    for entry in &entries {
        let told = serde_json::to_value(&entry.event).unwrap();
        let is_named = |side: &str| told[side].is_null() || told[side].get("text").is_none();
        assert!(is_named("before") && is_named("after"), "`name_of` says nothing of this action: {told:#}");
    }
    all.add_all(entries.iter().map(|entry| entry.event.clone()));
}

/// The erasure of a person who created keys and has one.
async fn erased(all: &mut Examples) {
    let bench = world(&Rules::default()).await;
    let (manager, system) = (&bench.manager, &crate::manage::fixture::system());
    manager.close(&user("alice"), system).await.unwrap();
    bench.clock.advance(std::time::Duration::from_secs(60));
    all.add(&manager.erase(Erase::owner(user("alice")).dry_run(), system).await.unwrap());
    let under: Pseudonym = "erased-alicealicealicealiceag".parse().unwrap();
    all.add(&manager.erase(Erase::owner(user("alice")).under(under), system).await.unwrap());
}

/// Bob has left, red is unknown, and the directory does not answer about dora.
async fn reconciled(all: &mut Examples) {
    let names = Names::none().with_user(user_id("bob"), "Bob Brown").with_left(user_id("bob"));
    let here = (0..20).fold(names, |names, number| names.with_known(user_id(&format!("user-{number:02}"))));
    let here = here.with_known(user_id("alice")).with_known(team_id("engineering")).with_unknown(team_id("red"));
    for names in [here.clone().with_known(user_id("dora")), here] {
        let bench = world(&Rules { directory: AnyDirectory::new(Telling(names)), ..Rules::default() }).await;
        let of = |number| user(&format!("user-{number:02}"));
        let owners =
            [user("bob"), crate::manage::fixture::team("red"), user("dora")].into_iter().chain((0..20).map(of));
        for (number, owner) in owners.enumerate() {
            bench.plant(&format!("{number:020}"), &owner, "*").await;
        }
        bench.change_owner(&user("bob"), OwnerChange::Suspend(Suspension::Admin)).await;
        let report = bench.manager.reconcile(Reconcile::report(), &olga()).await.unwrap();
        all.add_all(report.missing.clone());
        all.add(&report);
        if report.is_complete() {
            let close = Reconcile::close([user("bob"), of(1)]);
            all.add(&bench.manager.reconcile(close, &olga()).await.unwrap());
        }
    }
}

async fn refusals(all: &mut Examples, rules: &Rules) {
    let bench = world(rules).await;
    let (manager, alice) = (&bench.manager, &alice());
    let error = manager.revoke(&id(OLD), alice).await.unwrap_err();
    all.add(&Problem::from(&error));
    let made = manager.find(&id(OLD), alice).await.unwrap();
    let again = ManageError::new(ManageErrorKind::IdempotencyKeyUsed).with_replayed(Some(made));
    all.add(&Problem::from(&again));
    for kind in every_kind() {
        all.add(&Problem::from(kind));
    }
    all.add_all(DenialReason::examples().into_iter().map(Denial::from));
    let reason = DenialReason::InsufficientScope(crate::ManagingScope::Rotate);
    all.add_all([Decision::Allow, Decision::Deny(reason), Decision::Hide]);
    all.add_all([Quota::IssuesPerHour(1), Quota::LiveKeys(20)]);
    all.add(&manager.revoke_many(RevokeMany::of(team_id("engineering")), alice).await.unwrap_err());
    let so_far = RevokedMany { matched: 60, revoked: 50, ..RevokedMany::default() };
    all.add(&RevokeManyError::new(ManageError::new(ManageErrorKind::OutcomeUnknown), so_far));
}

fn words(all: &mut Examples) {
    let since = time("2026-03-01T12:00:00Z");
    let verdicts = [
        RotationVerdict::NewKeyPaused,
        RotationVerdict::NotStarted,
        RotationVerdict::QuietSince(since),
        RotationVerdict::SafeToFinish,
        RotationVerdict::StillUsedBy(1),
    ];
    all.add_all(verdicts);
    all.add_all(CallVerdict::ALL);
    all.add_all([Effect::Changed, Effect::Unchanged]);
    all.add_all(InvalidInput::ALL);
    all.add_all(KeyAction::ALL);
    all.add_all(KeyFlag::ALL);
    all.add_all(KeyState::ALL);
    all.add_all(KeyUse::ALL);
    all.add_all(KnownKeyProblem::ALL);
    all.add_all(MatchConfidence::ALL);
    all.add_all(Misconfiguration::ALL);
    all.add_all(NameAdvice::ALL);
    all.add_all(NextStep::ALL);
    all.add_all(NoteKind::ALL);
    all.add_all(PresentedOutcome::ALL);
    all.add_all(Recommendation::ALL);
    all.add_all(RotationStage::ALL);
    all.add_all(Presence::ALL);
    all.add_all(Severity::ALL);
    all.add_all(TeamRole::ALL);
    all.add_all(Weight::ALL);
    all.add_all(crate::manage::CheckKind::ALL);
    all.add_all(crate::manage::CheckResult::ALL);
    all.add_all(crate::manage::EvidenceKind::ALL);
    all.add_all([Outcome::Accepted, Outcome::Refused(crate::RefusalCode::KeyRevoked)]);
    let sentence: Sentence = RotationVerdict::StillUsedBy(1).sentence();
    all.add(&sentence);
}
