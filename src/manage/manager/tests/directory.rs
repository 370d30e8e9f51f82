//! The directory decides which teams an organization has.

use std::{
    convert::Infallible,
    future::pending,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{
    Actor, IssueKey, KeyManager, OrganizationId, TeamRef,
    manage::{
        AnyDirectory, Decision, DefaultPolicy, Directory, KeyAction, ManageErrorKind, Misconfiguration, Policy, Rights,
        RotateKey, Rules, Target, TeamRole, fixture::*,
    },
};

fn acme() -> OrganizationId {
    OrganizationId::new("acme").unwrap()
}

/// A directory with only the team `blue` of acme. It counts the questions.
#[derive(Clone, Default)]
struct BlueOfAcme(Arc<AtomicUsize>);

impl Directory for BlueOfAcme {
    type Error = Infallible;

    async fn has_team(&self, team: &TeamRef) -> Result<bool, Infallible> {
        self.0.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        Ok(*team == TeamRef::new(acme(), team_id("blue")))
    }
}

#[derive(Clone, Copy, Debug)]
enum Broken {
    Fails,
    Hangs,
    Panics,
    PanicsAtOnce,
}

impl Directory for Broken {
    type Error = io::Error;

    #[allow(clippy::manual_async_fn, reason = "panics before there is a future")]
    fn has_team(&self, _: &TeamRef) -> impl Future<Output = io::Result<bool>> + Send {
        let how = *self;
        assert!(!matches!(how, Self::PanicsAtOnce), "the directory's own");
        async move {
            match how {
                Self::Fails => Err(io::Error::other("directory down")),
                Self::Hangs => pending().await,
                Self::Panics | Self::PanicsAtOnce => panic!("the directory's own"),
            }
        }
    }
}

fn with(directory: impl Directory) -> (Bench, KeyManager) {
    let bench = Bench::with_rules(Rules { directory: AnyDirectory::new(directory), ..Rules::default() });
    let manager = bench.manager.for_organization(acme());
    (bench, manager)
}

/// An org admin with a plan for every team that a form names, as in services without plans.
fn org_admin(manager: &KeyManager) -> Actor {
    let rights = Rights::none().org_admin().team_keys_included_for(team_id("blue"));
    manager.actor(user_id("olga"), rights.team_keys_included_for(team_id("red")))
}

#[tokio::test]
async fn a_key_is_made_for_teams_of_the_organization_only() {
    let (_bench, manager) = with(BlueOfAcme::default());
    let by_role = |team: &str| {
        let rights = Rights::none().team(team_id(team), TeamRole::Owner).team_keys_included_for(team_id(team));
        manager.actor(user_id("tom"), rights)
    };
    for (actor, name, expected) in [
        (org_admin(&manager), "blue", true),
        (org_admin(&manager), "red", false),
        (by_role("blue"), "blue", true),
        (by_role("red"), "red", false),
    ] {
        let (owner, request) = (team(name), IssueKey::team(team_id(name)));
        let can = manager.can(&actor, KeyAction::Issue, &Target::new_key(&owner)).await.unwrap();
        assert_eq!(can, if expected { Decision::Allow } else { Decision::Hide }, "{name}");
        let preview = manager.preview(&request, &actor).await.map_err(|error| error.kind());
        assert_eq!(preview.map(|_| ()), if expected { Ok(()) } else { Err(ManageErrorKind::NotFound) }, "{name}");
        let issued = manager.issue(request, &actor).await.map_err(|error| error.kind());
        assert_eq!(issued.map(|_| ()), if expected { Ok(()) } else { Err(ManageErrorKind::NotFound) }, "{name}");
    }
    assert_eq!(manager.teams_to_issue_for(&org_admin(&manager)).await.unwrap(), [team_id("blue")]);
}

#[tokio::test]
async fn a_personal_key_becomes_one_of_a_team_of_the_organization_only() {
    let (_bench, manager) = with(BlueOfAcme::default());
    let rights = Rights::none().team(team_id("red"), TeamRole::Admin).team_keys_included_for(team_id("red"));
    let alice = manager
        .actor(user_id("alice"), rights.team(team_id("blue"), TeamRole::Admin).team_keys_included_for(team_id("blue")));
    let old = manager.issue(IssueKey::user(user_id("alice")), &alice).await.unwrap().info().id;
    let into = async |team: &str| {
        let request = RotateKey::of(old).into_team(team_id(team));
        manager.begin_rotation(request, &alice).await.map(|_| ()).map_err(|error| error.kind())
    };
    assert_eq!(into("red").await, Err(ManageErrorKind::NotFound));
    assert_eq!(into("blue").await, Ok(()));
}

/// The same id in another organization is not found either.
#[tokio::test]
async fn a_directory_is_asked_about_pairs() {
    let (bench, _) = with(BlueOfAcme::default());
    for id in ["default", "evil"] {
        let manager = bench.manager.for_organization(OrganizationId::new(id).unwrap());
        let error = manager.issue(IssueKey::team(team_id("blue")), &org_admin(&manager)).await.unwrap_err();
        assert_eq!(error.kind(), ManageErrorKind::NotFound, "{id}");
    }
}

#[tokio::test]
async fn a_directory_is_asked_only_where_it_decides() {
    let directory = BlueOfAcme::default();
    let (_bench, manager) = with(directory.clone());
    let _ = manager.issue(IssueKey::team(team_id("red")), &system()).await.unwrap();
    let _ = manager.issue(IssueKey::user(user_id("olga")), &org_admin(&manager)).await.unwrap();
    // The policy has already denied it.
    let bob = manager.actor(user_id("bob"), Rights::none());
    manager.issue(IssueKey::team(team_id("blue")), &bob).await.unwrap_err();
    let (owner, red) = (team("blue"), team("red"));
    manager.can(&org_admin(&manager), KeyAction::Revoke, &Target::Owner(&red)).await.unwrap();
    manager.can(&bob, KeyAction::Issue, &Target::new_key(&owner)).await.unwrap();
    assert_eq!(directory.0.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_cannot_be_asked_grants_nothing() {
    for how in [Broken::Fails, Broken::Hangs, Broken::Panics, Broken::PanicsAtOnce] {
        let (bench, manager) = with(how);
        let (actor, blue) = (org_admin(&manager), team("blue"));
        let request = || IssueKey::team(team_id("blue"));
        let kinds = [
            manager.issue(request(), &actor).await.map(|_| ()),
            manager.preview(&request(), &actor).await.map(|_| ()),
            manager.can(&actor, KeyAction::Issue, &Target::new_key(&blue)).await.map(|_| ()),
            manager.teams_to_issue_for(&actor).await.map(|_| ()),
        ]
        .map(|answer| answer.map_err(|error| error.kind()));
        assert_eq!(kinds, [Err(ManageErrorKind::DirectoryUnavailable); 4], "{how:?}");
        assert_eq!(bench.store.applies(), 0);
    }
}

/// A policy that allows everything.
#[derive(Debug)]
struct Anything;

impl Policy for Anything {
    fn decide(&self, _: &Actor, _: KeyAction, _: &Target<'_>) -> Decision {
        Decision::Allow
    }
}

#[tokio::test]
async fn without_a_directory_rights_vouch_for_the_teams_they_name() {
    let bench = Bench::with_policy(Anything);
    let manager = bench.manager.for_organization(acme());
    let rights = Rights::none().org_admin().team_keys_included_for(team_id("blue"));
    let olga = manager.actor(user_id("olga"), rights.clone());
    let _ = manager.issue(IssueKey::team(team_id("blue")), &olga).await.unwrap();
    let error = manager.issue(IssueKey::team(team_id("red")), &olga).await.unwrap_err();
    assert_eq!(error.kind(), ManageErrorKind::NotFound);
    // In a service with a single organization, every team belongs to it.
    let olga = bench.manager.actor(user_id("olga"), rights);
    let _ = bench.manager.issue(IssueKey::team(team_id("red")), &olga).await.unwrap();
    assert_eq!(
        DefaultPolicy.decide(&olga, KeyAction::Issue, &Target::new_key(&team("blue"))),
        Decision::Allow,
        "and the table lets an admin of the organization do the same"
    );
}

#[tokio::test]
async fn a_manager_makes_actors_of_its_own_organization() {
    let bench = Bench::new();
    let manager = bench.manager.for_organization(acme());
    let alice = manager.actor(user_id("alice"), Rights::none());
    assert_eq!(alice.organization(), Some(&acme()));
    let _ = manager.issue(IssueKey::user(user_id("alice")), &alice).await.unwrap();
    let forgotten = Actor::user(user_id("alice"), Rights::none());
    let error = manager.issue(IssueKey::user(user_id("alice")), &forgotten).await.unwrap_err();
    let nowhere = Misconfiguration::ActorWithoutOrganization;
    assert_eq!(error.kind(), ManageErrorKind::Misconfigured(nowhere));
    let elsewhere = forgotten.with_organization("globex".parse().unwrap());
    let error = manager.issue(IssueKey::user(user_id("alice")), &elsewhere).await.unwrap_err();
    assert_eq!(error.kind(), ManageErrorKind::NotFound);
}
