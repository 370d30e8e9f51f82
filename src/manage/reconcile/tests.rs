//! Missing owners, which of them may be closed, and directories that fail, lie, forget or answer in part.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    future::pending,
    io,
    sync::{Arc, Mutex},
};

use proptest::prelude::*;

use super::{Reconcile, Reconciled};
use crate::{
    Actor, KeyKind, OrganizationId, Owner, Rights, Suspension, TeamId, TeamRef, UserId,
    audit::EventRow,
    manage::{
        AnyDirectory, DefaultPolicy, DenialReason, Directory, KeyAction, ManageError, ManageErrorKind,
        Misconfiguration, Names, Policy, Presence, Rules, Target, TeamRole,
        fixture::{Bench, Fault, person, principal, system, team, team_id, user, user_id},
    },
    record::KeyRow,
    store::OwnerChange,
};

/// What a directory answers about one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Left,
    Nothing,
    Unknown,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum How {
    #[default]
    Answers,
    /// It has lost all ids, and reports them as unknown.
    KnowsNobody,
    /// It returns the names that it has, and nothing about the others.
    NamesOnly,
    /// It has lost all ids, and answers nothing.
    SaysNothing,
    /// It answers only about the first five hundred.
    Truncates,
    Fails,
    Hangs,
    Panics,
}

/// Knows all ids, with the named exceptions.
#[derive(Clone, Default)]
struct Roll(Arc<State>);

#[derive(Default)]
struct State {
    says: Mutex<BTreeMap<Owner, Says>>,
    how: Mutex<How>,
    /// How it changes right before each of the next questions.
    then: Mutex<VecDeque<Option<How>>>,
    /// The owners that it was asked about, for each question.
    asked: Mutex<Vec<(OrganizationId, Vec<Owner>)>>,
}

impl Roll {
    fn says(&self, owner: &Owner, says: Says) {
        self.0.says.lock().unwrap().insert(owner.clone(), says);
    }

    fn with(self, owner: &Owner, says: Says) -> Self {
        self.says(owner, says);
        self
    }

    fn has_again(&self, owner: &Owner) {
        self.0.says.lock().unwrap().remove(owner);
    }

    fn be(&self, how: How) {
        *self.0.how.lock().unwrap() = how;
    }

    /// Changes to this right before its second question from now.
    fn be_next(&self, how: How) {
        self.0.then.lock().unwrap().extend([None, Some(how)]);
    }

    fn asked(&self) -> Vec<(OrganizationId, Vec<Owner>)> {
        std::mem::take(&mut *self.0.asked.lock().unwrap())
    }

    fn rules(&self) -> Rules {
        Rules { directory: AnyDirectory::new(self.clone()), ..Rules::default() }
    }

    fn bench(&self) -> Bench {
        Bench::with_rules(self.rules())
    }
}

impl Directory for Roll {
    type Error = io::Error;

    async fn has_team(&self, _: &TeamRef) -> io::Result<bool> {
        Ok(true)
    }

    async fn names(&self, of: &OrganizationId, users: &[UserId], teams: &[TeamId]) -> io::Result<Names> {
        let users = users.iter().cloned().map(Owner::User);
        let owners: Vec<Owner> = users.chain(teams.iter().cloned().map(Owner::Team)).collect();
        self.0.asked.lock().unwrap().push((of.clone(), owners.clone()));
        if let Some(how) = self.0.then.lock().unwrap().pop_front().flatten() {
            self.be(how);
        }
        let how = *self.0.how.lock().unwrap();
        match how {
            How::Fails => return Err(io::Error::other("directory down")),
            How::Hangs => pending().await,
            How::Panics => panic!("the directory's own"),
            How::SaysNothing => return Ok(Names::none()),
            _ => {}
        }
        let most = if how == How::Truncates { 500 } else { usize::MAX };
        let says = self.0.says.lock().unwrap();
        Ok(owners.into_iter().take(most).fold(Names::none(), |names, owner| match (how, says.get(&owner), &owner) {
            (How::KnowsNobody, ..) => names.with_unknown(owner),
            (How::NamesOnly, Some(_), _) | (_, Some(Says::Nothing), _) => names,
            (_, Some(Says::Left), Owner::User(user)) => names.with_left(user.clone()),
            (_, Some(_), _) => names.with_unknown(owner),
            (_, None, _) => names.with_known(owner),
        }))
    }
}

fn org_admin() -> Actor {
    Actor::user(user_id("olga"), Rights::none().org_admin())
}

/// A live key of this owner.
async fn plant(bench: &Bench, owner: &Owner) {
    static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    bench.plant(&format!("{number:020}"), owner, "*").await;
}

async fn plant_dead(bench: &Bench, id: char, owner: &Owner, row: KeyRow) {
    let id = id.to_string().repeat(20);
    let (kind, name) = (owner.kind().as_str().into(), owner.id().into());
    bench.plant_row(KeyRow { lineage: id.clone(), id, kind, owner: name, ..row }).await;
}

/// Twenty people with one key each, so that one or two missing are not many.
async fn twenty(roll: &Roll) -> Bench {
    let bench = roll.bench();
    for number in 0..20 {
        plant(&bench, &user(&format!("user-{number:02}"))).await;
    }
    bench
}

async fn ask(bench: &Bench, request: Reconcile) -> Result<Reconciled, ManageErrorKind> {
    bench.manager.reconcile(request, &system()).await.map_err(|error| error.kind())
}

fn missing(report: &Reconciled) -> Vec<(Owner, Presence, u64)> {
    report.missing.iter().map(|missing| (missing.owner.clone(), missing.presence, missing.live_keys)).collect()
}

/// The owners that were closed, read from the trail.
async fn closed(bench: &Bench) -> Vec<String> {
    let told = |event: EventRow| (event.action == "owner.closed").then_some(event.owner);
    bench.events().await.into_iter().filter_map(told).collect()
}

#[tokio::test]
async fn one_of_a_thousand_owners_is_named_within_one_run() {
    let (roll, gone) = (Roll::default(), user("user-0617"));
    roll.says(&gone, Says::Unknown);
    let bench = roll.bench();
    for number in 0..1_000 {
        plant(&bench, &user(&format!("user-{number:04}"))).await;
    }
    let report = ask(&bench, Reconcile::report()).await.unwrap();
    assert_eq!((report.owners, missing(&report)), (1_000, vec![(gone, Presence::Unknown, 1)]));
    assert!(report.is_complete() && !report.is_many() && report.closed.is_empty());
    assert_eq!(closed(&bench).await, [""; 0], "a report changes nothing");
}

#[tokio::test]
async fn left_unknown_and_unanswered_are_three_things() {
    let (left, unknown, silent) = (user("anna"), team("blue"), user("carol"));
    let roll = Roll::default().with(&left, Says::Left).with(&unknown, Says::Unknown).with(&silent, Says::Nothing);
    let bench = roll.bench();
    for owner in [&left, &left, &unknown, &silent, &user("dora")] {
        plant(&bench, owner).await;
    }
    let report = ask(&bench, Reconcile::report()).await.unwrap();
    assert_eq!(report.owners, 4);
    assert_eq!(missing(&report), [(left.clone(), Presence::Left, 2), (unknown.clone(), Presence::Unknown, 1)]);
    assert_eq!((&report.unanswered, report.is_complete()), (&vec![silent.clone()], false));
    assert!(report.names.has_left(&user_id("anna")) && report.names.is_unknown(&unknown));
    assert_eq!(
        report.to_string(),
        "2 of 4 users and teams with active keys are not in the directory. For 1 other user or team, the directory did not say \
         whether it exists. It was not closed."
    );
    // If one of them is in doubt, no owner is closed, even with `even_if_many`.
    let doubt = ManageErrorKind::DirectoryIncomplete { unanswered: 1 };
    for request in
        [report.closing(), report.closing().even_if_many(), Reconcile::close([silent.clone()]).even_if_many()]
    {
        assert_eq!(ask(&bench, request).await, Err(doubt));
    }
    assert_eq!(closed(&bench).await, [""; 0]);
}

#[tokio::test]
async fn who_has_no_live_key_is_nobodys_concern() {
    let (revoked, expired, done) = (user("anna"), user("bob"), user("carol"));
    let roll = Roll::default();
    let bench = roll.bench();
    for owner in [&revoked, &expired, &done] {
        roll.says(owner, Says::Unknown);
    }
    let dead = KeyRow { revoked_at: Some(1_772_366_400_000), revoked_by: Some("system:x".into()), ..KeyRow::example() };
    plant_dead(&bench, 'A', &revoked, dead).await;
    let over = KeyRow { expires_at: Some(bench.now().as_millis()), ..KeyRow::example() };
    plant_dead(&bench, 'B', &expired, over).await;
    plant(&bench, &done).await;
    bench.change_owner(&done, OwnerChange::Close).await;
    let report = ask(&bench, Reconcile::report()).await.unwrap();
    assert_eq!((report.owners, missing(&report), report.is_many()), (0, vec![], false));
    assert_eq!(roll.asked(), [], "nobody to ask about");
    // These are not closed, which is no error.
    let named = Reconcile::close([revoked.clone(), expired.clone(), done.clone()]);
    assert_eq!(ask(&bench, named).await.unwrap().kept, [revoked, expired, done]);
    assert_eq!(closed(&bench).await, [""; 0]);
}

#[tokio::test]
async fn who_is_suspended_is_missing_all_the_same() {
    let roll = Roll::default().with(&user("anna"), Says::Left);
    let bench = roll.bench();
    plant(&bench, &user("anna")).await;
    bench.change_owner(&user("anna"), OwnerChange::Suspend(Suspension::Admin)).await;
    let report = ask(&bench, Reconcile::report()).await.unwrap();
    assert!(report.missing[0].status.has(Suspension::Admin) && report.missing[0].live_keys == 1);
    let done = ask(&bench, report.closing().even_if_many()).await.unwrap();
    assert_eq!(done.closed, [user("anna")]);
}

#[tokio::test]
async fn those_that_were_read_in_a_report_are_closed_with_an_event_each() {
    let (first, second) = (user("user-03"), user("user-11"));
    let roll = Roll::default().with(&first, Says::Left).with(&second, Says::Unknown);
    let bench = twenty(&roll).await;
    let report = ask(&bench, Reconcile::report()).await.unwrap();
    bench.renew_lease();
    let done = bench.manager.reconcile(report.closing(), &org_admin()).await.unwrap();
    assert_eq!((&done.closed, &done.kept), (&vec![first.clone(), second.clone()], &vec![]));
    assert!(!bench.has_lease(), "this node sees its own change at once");
    let events = bench.events().await;
    let told = events.iter().map(|event| (&*event.action, &*event.owner, &*event.actor));
    assert!(told.eq([("owner.closed", "user-03", "user:olga"), ("owner.closed", "user-11", "user:olga")]));
    // The same event as of `close`.
    bench.manager.close(&user("user-05"), &org_admin()).await.unwrap();
    let by_hand = bench.events().await.pop().unwrap();
    let alike = EventRow { sequence: events[0].sequence, owner: "user-03".into(), ..by_hand };
    assert_eq!(alike, events[0]);
    // They are no longer missing.
    let report = ask(&bench, report.closing()).await.unwrap();
    assert_eq!((report.owners, report.missing.len()), (17, 0));
    assert_eq!((report.closed, report.kept), (vec![], vec![first, second]));
}

#[tokio::test]
async fn only_those_that_are_named_are_closed() {
    let (named, other) = (user("user-03"), user("user-11"));
    let roll = Roll::default().with(&named, Says::Left).with(&other, Says::Left);
    let bench = twenty(&roll).await;
    let here = user("user-07");
    let done = ask(&bench, Reconcile::close([named.clone(), here.clone(), user("misspelt")])).await.unwrap();
    assert_eq!((done.closed, done.kept), (vec![named], vec![user("misspelt"), here]));
    assert_eq!(done.missing.len(), 2);
    assert_eq!(closed(&bench).await, ["user-03"]);
    // If no owner is named, no owner is closed.
    assert_eq!(ask(&bench, Reconcile::close([])).await.unwrap().closed, []);
}

#[tokio::test]
async fn a_directory_that_suddenly_knows_nobody_closes_nobody() {
    let gone = user("user-03");
    let roll = Roll::default().with(&gone, Says::Left);
    let bench = twenty(&roll).await;
    let report = ask(&bench, Reconcile::report()).await.unwrap();
    let doubt = |unanswered| Err(ManageErrorKind::DirectoryIncomplete { unanswered });
    for (how, expected) in [
        (How::KnowsNobody, Err(ManageErrorKind::TooManyMissing { missing: 20, owners: 20 })),
        (How::SaysNothing, doubt(20)),
        (How::NamesOnly, doubt(1)),
        (How::Fails, Err(ManageErrorKind::DirectoryUnavailable)),
        (How::Panics, Err(ManageErrorKind::DirectoryUnavailable)),
    ] {
        roll.be(how);
        for request in [report.closing(), Reconcile::close([gone.clone(), user("user-04")])] {
            assert_eq!(ask(&bench, request).await.map(|done| done.closed), expected.clone(), "{how:?}");
        }
        // The result of a report.
        let told = ask(&bench, Reconcile::report()).await;
        match how {
            How::KnowsNobody => assert!(told.unwrap().is_many()),
            How::SaysNothing => assert_eq!(told.unwrap().unanswered.len(), 20),
            How::NamesOnly => assert_eq!(told.unwrap().unanswered, std::slice::from_ref(&gone)),
            _ => assert_eq!(told, Err(ManageErrorKind::DirectoryUnavailable)),
        }
    }
    assert_eq!(closed(&bench).await, [""; 0]);
    // A caller that knows that it is right can confirm it.
    roll.be(How::KnowsNobody);
    let done = ask(&bench, Reconcile::close([gone.clone()]).even_if_many()).await.unwrap();
    assert_eq!((done.closed, closed(&bench).await), (vec![gone], vec!["user-03".into()]));
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_hangs_is_an_error_in_the_time_of_a_store() {
    let roll = Roll::default();
    let bench = twenty(&roll).await;
    roll.be(How::Hangs);
    let begun = tokio::time::Instant::now();
    assert_eq!(ask(&bench, Reconcile::report()).await, Err(ManageErrorKind::DirectoryUnavailable));
    assert_eq!(begun.elapsed().as_secs(), 5);
}

#[tokio::test]
async fn an_answer_that_was_cut_off_closes_nobody() {
    let roll = Roll::default().with(&user("user-0003"), Says::Left);
    let bench = roll.bench();
    for number in 0..1_200 {
        plant(&bench, &user(&format!("user-{number:04}"))).await;
    }
    roll.be(How::Truncates);
    let report = ask(&bench, Reconcile::report()).await.unwrap();
    assert_eq!((report.owners, report.missing.len(), report.unanswered.len()), (1_200, 1, 500));
    let doubt = Err(ManageErrorKind::DirectoryIncomplete { unanswered: 500 });
    assert_eq!(ask(&bench, report.closing().even_if_many()).await, doubt);
    let sizes: Vec<_> = roll.asked().into_iter().map(|(_, owners)| owners.len()).collect();
    assert_eq!(sizes, [1_000, 200, 1_000, 200]);
}

#[tokio::test]
async fn each_is_asked_about_once_more_right_before_it_is_closed() {
    let (first, second) = (user("user-03"), user("user-11"));
    for (becomes, expected) in [
        (How::Fails, Err(ManageErrorKind::DirectoryUnavailable)),
        (How::SaysNothing, Err(ManageErrorKind::DirectoryIncomplete { unanswered: 2 })),
        (How::Answers, Ok(vec![first.clone(), second.clone()])),
    ] {
        let roll = Roll::default().with(&first, Says::Left).with(&second, Says::Unknown);
        let bench = twenty(&roll).await;
        roll.be_next(becomes);
        let done = ask(&bench, Reconcile::close([first.clone(), second.clone()])).await;
        assert_eq!(done.map(|done| done.closed), expected);
        assert_eq!(closed(&bench).await.len(), if becomes == How::Answers { 2 } else { 0 }, "{becomes:?}");
        let asked: Vec<_> = roll.asked().into_iter().map(|(_, owners)| owners.len()).collect();
        assert_eq!(asked, [20, 2]);
    }
}

#[tokio::test]
async fn who_came_back_meanwhile_is_not_closed() {
    let (gone, back) = (user("user-03"), user("user-11"));
    let roll = Roll::default().with(&gone, Says::Left).with(&back, Says::Left);
    let bench = twenty(&roll).await;
    let report = ask(&bench, Reconcile::report()).await.unwrap();
    assert_eq!(report.missing.len(), 2);
    roll.has_again(&back);
    let done = ask(&bench, report.closing()).await.unwrap();
    assert_eq!((done.closed, done.kept), (vec![gone], vec![back]));
}

#[tokio::test]
async fn many_are_more_than_a_tenth_or_everybody() {
    for (owners, gone, is_many) in
        [(1, 1, true), (2, 1, false), (2, 2, true), (9, 2, true), (20, 2, false), (20, 3, true), (29, 2, false)]
    {
        let roll = Roll::default();
        let bench = roll.bench();
        for number in 0..owners {
            let owner = team(&format!("team-{number:02}"));
            plant(&bench, &owner).await;
            if number < gone {
                roll.says(&owner, Says::Unknown);
            }
        }
        let report = ask(&bench, Reconcile::report()).await.unwrap();
        assert_eq!((report.missing.len(), report.is_many()), (gone, is_many), "{gone} of {owners}");
        let (missing, owners) = (gone as u64, owners as u64);
        let done = ask(&bench, report.closing()).await;
        if is_many {
            assert_eq!(done, Err(ManageErrorKind::TooManyMissing { missing, owners }));
            assert_eq!(closed(&bench).await, [""; 0]);
            let done = ask(&bench, report.closing().even_if_many()).await.unwrap();
            assert_eq!(done.closed.len(), gone);
        } else {
            assert_eq!(done.unwrap().closed.len(), gone);
        }
    }
}

#[tokio::test]
async fn a_directory_of_people_alone_is_asked_about_people() {
    let (anna, blue) = (user("anna"), team("blue"));
    let roll = Roll::default().with(&anna, Says::Left).with(&blue, Says::Nothing);
    let bench = twenty(&roll).await;
    plant(&bench, &anna).await;
    plant(&bench, &blue).await;
    let people = ask(&bench, Reconcile::report().of_kind(KeyKind::User)).await.unwrap();
    assert_eq!((people.owners, people.is_complete()), (21, true));
    assert_eq!(ask(&bench, people.closing()).await.unwrap().closed, std::slice::from_ref(&anna));
    let teams = ask(&bench, Reconcile::report().of_kind(KeyKind::Team)).await.unwrap();
    assert_eq!((teams.owners, teams.unanswered), (1, vec![blue]));
    // An owner of another kind than requested is not closed.
    let other = Reconcile::close([anna.clone()]).of_kind(KeyKind::Team);
    assert_eq!(ask(&bench, other).await, Err(ManageErrorKind::DirectoryIncomplete { unanswered: 1 }));
    roll.has_again(&team("blue"));
    let other = Reconcile::close([anna.clone()]).of_kind(KeyKind::Team);
    assert_eq!(ask(&bench, other).await.unwrap().kept, [anna]);
}

#[tokio::test]
async fn a_user_and_a_team_of_one_id_are_two() {
    let roll = Roll::default().with(&user("blue"), Says::Unknown);
    let bench = twenty(&roll).await;
    plant(&bench, &user("blue")).await;
    plant(&bench, &team("blue")).await;
    let report = ask(&bench, Reconcile::report()).await.unwrap();
    assert_eq!(missing(&report), [(user("blue"), Presence::Unknown, 1)]);
    ask(&bench, report.closing()).await.unwrap();
    assert!(bench.manager.owner(&team("blue"), &system()).await.unwrap().status.is_active());
}

#[tokio::test]
async fn organizations_are_apart() {
    let roll = Roll::default().with(&user("anna"), Says::Unknown);
    let bench = twenty(&roll).await;
    let acme = OrganizationId::new("acme").unwrap();
    for (letter, organization) in [('A', "acme"), ('B', "default")] {
        let row = KeyRow { organization: organization.into(), ..KeyRow::example() };
        plant_dead(&bench, letter, &user("anna"), row).await;
    }
    let manager = bench.manager.for_organization(acme.clone());
    let report = manager.reconcile(Reconcile::report(), &system()).await.unwrap();
    assert_eq!((report.owners, roll.asked()), (1, vec![(acme, vec![user("anna")])]));
    let done = manager.reconcile(report.closing().even_if_many(), &system()).await.unwrap();
    assert_eq!(done.closed, [user("anna")]);
    assert!(bench.manager.owner(&user("anna"), &system()).await.unwrap().status.is_active());
    // An admin of another organization finds nothing.
    let foreign = org_admin().with_organization(OrganizationId::new("globex").unwrap());
    let error = manager.reconcile(Reconcile::report(), &foreign).await.unwrap_err();
    assert_eq!(error.kind(), ManageErrorKind::NotFound);
}

#[tokio::test]
async fn admins_of_the_organization_and_the_system_may_and_nobody_else() {
    let gone = user("user-03");
    let team_owner = Rights::none().team(team_id("engineering"), TeamRole::Owner).team_keys_included();
    for (actor, expected) in [
        (system(), None),
        (org_admin(), None),
        (person("user-03"), Some(DenialReason::InsufficientRole)),
        (Actor::user(user_id("tom"), team_owner), Some(DenialReason::InsufficientRole)),
        (
            Actor::key(&principal(&user("olga"), "* keys:manage"), Rights::none().org_admin()),
            Some(DenialReason::NotForKeys),
        ),
    ] {
        let roll = Roll::default().with(&gone, Says::Left);
        let bench = twenty(&roll).await;
        bench.plant(crate::manage::fixture::ACTING, &user("olga"), "* keys:manage").await;
        for request in [Reconcile::report(), Reconcile::close([gone.clone()])] {
            let told = bench.manager.reconcile(request.clone(), &actor).await.map(drop).map_err(|error| error.kind());
            let denied = expected.map(|reason| ManageErrorKind::Denied(reason.into()));
            assert_eq!(told, denied.map_or(Ok(()), Err), "{actor:?} {request:?}");
        }
        assert_eq!(closed(&bench).await.len(), usize::from(expected.is_none()), "{actor:?}");
        if expected.is_some() {
            assert_eq!(roll.asked(), [], "{actor:?} asks nobody about anybody");
        }
    }
}

/// The default policy, except that one owner may not be closed and another one is hidden.
#[derive(Debug)]
struct Spared;

impl Policy for Spared {
    fn decide(&self, actor: &Actor, action: KeyAction, target: &Target<'_>) -> crate::manage::Decision {
        match (action, target.owner()) {
            (KeyAction::Close, Some(owner)) if *owner == user("spared") => {
                crate::manage::Decision::Deny(DenialReason::InsufficientRole)
            }
            (_, Some(owner)) if *owner == user("hidden") => crate::manage::Decision::Hide,
            _ => DefaultPolicy.decide(actor, action, target),
        }
    }
}

#[tokio::test]
async fn whom_the_actor_may_not_close_is_left_out() {
    let roll = Roll::default();
    let bench = Bench::with_policy_and_rules(Spared, roll.rules());
    for owner in [user("spared"), user("hidden"), user("gone")] {
        plant(&bench, &owner).await;
        roll.says(&owner, Says::Unknown);
    }
    let report = ask(&bench, Reconcile::report()).await.unwrap();
    assert_eq!((report.owners, missing(&report)), (1, vec![(user("gone"), Presence::Unknown, 1)]));
    assert_eq!(roll.asked(), [(OrganizationId::single(), vec![user("gone")])]);
    let close = |owner: &str| Reconcile::close([user(owner), user("gone")]).even_if_many();
    let denied = ManageErrorKind::Denied(DenialReason::InsufficientRole.into());
    assert_eq!(ask(&bench, close("spared")).await, Err(denied));
    assert_eq!(ask(&bench, close("hidden")).await, Err(ManageErrorKind::NotFound));
    assert_eq!(closed(&bench).await, [""; 0]);
}

#[tokio::test]
async fn an_admin_who_is_missing_goes_last() {
    let roll = Roll::default().with(&user("olga"), Says::Left);
    let bench = roll.bench();
    let mut all: Vec<Owner> = (0..60).map(|number| user(&format!("user-{number:02}"))).collect();
    all.insert(0, user("olga"));
    for owner in &all {
        plant(&bench, owner).await;
        roll.says(owner, Says::Left);
    }
    let request = Reconcile::close(all.clone()).even_if_many();
    let done = bench.manager.reconcile(request, &org_admin()).await.unwrap();
    assert_eq!(done.closed.len(), 61);
    assert_eq!(closed(&bench).await.last().map(String::as_str), Some("olga"));
    let error = bench.manager.reconcile(Reconcile::report(), &org_admin()).await.unwrap_err();
    assert_eq!(error.kind(), ManageErrorKind::Denied(DenialReason::ActorClosed.into()));
}

#[tokio::test]
async fn without_a_directory_that_is_said() {
    let bench = Bench::new();
    plant(&bench, &user("anna")).await;
    let nobody = ManageErrorKind::Misconfigured(Misconfiguration::NoDirectory);
    assert_eq!(ask(&bench, Reconcile::report()).await, Err(nobody));
    assert_eq!(ask(&bench, Reconcile::close([user("anna")])).await, Err(nobody));
    assert_eq!(closed(&bench).await, [""; 0]);
}

#[tokio::test]
async fn what_was_closed_before_an_error_stays_closed_and_asking_again_goes_on() {
    let roll = Roll::default();
    let bench = roll.bench();
    for number in 0..120 {
        let owner = user(&format!("user-{number:03}"));
        plant(&bench, &owner).await;
        roll.says(&owner, Says::Left);
    }
    let report = ask(&bench, Reconcile::report()).await.unwrap();
    bench.store.fail([Fault::Works, Fault::Unavailable]);
    let closing = || report.closing().even_if_many();
    assert_eq!(ask(&bench, closing()).await, Err(ManageErrorKind::StoreUnavailable));
    assert_eq!(closed(&bench).await.len(), 50);
    let done = ask(&bench, closing()).await.unwrap();
    assert_eq!((done.closed.len(), done.kept.len()), (70, 50));
    let all: BTreeSet<_> = closed(&bench).await.into_iter().collect();
    assert_eq!((all.len(), closed(&bench).await.len()), (120, 120), "one event each");
}

#[tokio::test]
async fn somebody_who_was_quicker_closed_it() {
    let gone = user("user-03");
    let roll = Roll::default().with(&gone, Says::Left);
    let bench = twenty(&roll).await;
    let by_hand = crate::manage::fixture::plain_change(
        "quicker",
        crate::store::Write::Owner(
            crate::owner::OwnerRef { organization: OrganizationId::single(), owner: gone.clone() },
            OwnerChange::Close,
        ),
    );
    bench.store.quicker.lock().unwrap().push_back(by_hand);
    let done = ask(&bench, Reconcile::close([gone.clone()])).await.unwrap();
    assert_eq!((done.closed, done.kept), (vec![], vec![gone]));
    assert_eq!(closed(&bench).await, [""; 0]);
}

#[tokio::test]
async fn keys_whose_owner_cannot_be_read_are_counted() {
    let roll = Roll::default();
    let bench = twenty(&roll).await;
    plant_dead(&bench, 'A', &user("anna"), KeyRow { scopes: "\u{7f}".into(), ..KeyRow::example() }).await;
    let nobodys = KeyRow { kind: "robot".into(), id: "B".repeat(20), lineage: "B".repeat(20), ..KeyRow::example() };
    bench.plant_row(nobodys).await;
    let report = ask(&bench, Reconcile::report()).await.unwrap();
    // The owner of the first key can be read, even if the rest of the key cannot.
    assert_eq!((report.owners, report.unreadable, report.is_complete()), (21, 1, false));
    bench.store.fail_lists();
    assert_eq!(ask(&bench, Reconcile::report()).await, Err(ManageErrorKind::CorruptRecord));
}

/// After any error before the closing, no owner is closed.
#[tokio::test]
async fn errors_of_the_store_close_nobody() {
    let gone = user("user-03");
    for fault in [Fault::Unavailable, Fault::Panics] {
        let roll = Roll::default().with(&gone, Says::Left);
        let bench = twenty(&roll).await;
        bench.store.list_faults.lock().unwrap().push_back(fault);
        let told: Result<Reconciled, ManageError> =
            bench.manager.reconcile(Reconcile::close([gone.clone()]), &system()).await;
        assert_eq!(told.unwrap_err().kind(), ManageErrorKind::StoreUnavailable);
        assert_eq!(closed(&bench).await, [""; 0]);
    }
}

#[derive(Clone, Copy, Debug)]
struct Person {
    says: Option<Says>,
    live_keys: usize,
    is_named: bool,
}

fn person_of_any_kind() -> impl Strategy<Value = Person> {
    let says = prop_oneof![
        12 => Just(None),
        2 => Just(Some(Says::Left)),
        2 => Just(Some(Says::Unknown)),
        1 => Just(Some(Says::Nothing)),
    ];
    (says, 0..3_usize, any::<bool>()).prop_map(|(says, live_keys, is_named)| Person { says, live_keys, is_named })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// An owner that exists, is in doubt or is not named is never closed. All others are closed, unless the request is
    /// refused.
    #[test]
    fn nobody_is_closed_who_is_not_missing_and_named(
        people in prop::collection::vec(person_of_any_kind(), 1..30),
        even_if_many in any::<bool>(),
    ) {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
            let roll = Roll::default();
            let bench = roll.bench();
            let name = |number: usize| user(&format!("user-{number:02}"));
            let (mut named, mut expected) = (Vec::new(), Vec::new());
            let (mut owners, mut gone, mut silent) = (0, 0, 0);
            for (number, person) in people.iter().enumerate() {
                person.says.iter().for_each(|says| roll.says(&name(number), *says));
                for _ in 0..person.live_keys {
                    plant(&bench, &name(number)).await;
                }
                named.extend(person.is_named.then(|| name(number)));
                if person.live_keys > 0 {
                    owners += 1;
                    let is_gone = matches!(person.says, Some(Says::Left | Says::Unknown));
                    gone += u64::from(is_gone);
                    silent += u64::from(person.says == Some(Says::Nothing));
                    expected.extend((is_gone && person.is_named).then(|| name(number).id().to_owned()));
                }
            }
            let request = Reconcile::close(named);
            let told = ask(&bench, if even_if_many { request.even_if_many() } else { request }).await;
            let is_many = gone * 10 > owners && (gone > 1 || owners == 1);
            let refused = if silent > 0 {
                Some(ManageErrorKind::DirectoryIncomplete { unanswered: silent })
            } else {
                (is_many && !even_if_many).then_some(ManageErrorKind::TooManyMissing { missing: gone, owners })
            };
            match refused {
                Some(kind) => {
                    assert_eq!(told, Err(kind));
                    assert_eq!(closed(&bench).await, [""; 0]);
                }
                None => {
                    let told: Vec<_> = told.unwrap().closed.iter().map(|owner| owner.id().to_owned()).collect();
                    assert_eq!((&told, closed(&bench).await), (&expected, expected.clone()));
                }
            }
        });
    }
}
