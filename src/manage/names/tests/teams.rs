//! Tests of a select list of teams.

use std::time::Duration;

use super::fake::{Fake, How, called};
use crate::{
    Actor, IssueKey, KeyManager, TeamId,
    manage::{
        Decision, KeyAction, ManageErrorKind, NamedTeam, Rights, Target, TeamRole,
        fixture::{Bench, principal, system, team_id, user, user_id},
    },
    owner::Owner,
    record::NamePart,
};

fn named(id: &str, name: &str) -> NamedTeam {
    NamedTeam::new(team_id(id)).with_name(name)
}

/// A directory with three teams, one of them without a name.
fn three() -> Fake {
    Fake::default().with_teams([named("t-1", "Zebra"), named("t-2", "Apple"), NamedTeam::new(team_id("t-3"))])
}

fn org_admin() -> Actor {
    Actor::user(user_id("olga"), Rights::none().org_admin().team_keys_included())
}

fn ids(teams: &[NamedTeam]) -> Vec<&str> {
    teams.iter().map(|team| team.id().as_str()).collect()
}

async fn can_issue(manager: &KeyManager, actor: &Actor, team: TeamId) -> bool {
    let owner = Owner::Team(team);
    manager.can(actor, KeyAction::Issue, &Target::new_key(&owner)).await.unwrap() == Decision::Allow
}

#[tokio::test]
async fn an_admin_chooses_from_all_teams_by_name() {
    let fake = three();
    let bench = fake.bench();
    for actor in [org_admin(), system()] {
        let teams = bench.manager.teams_to_issue_for(&actor).await.unwrap();
        let labels: Vec<_> = teams.iter().map(|team| team.label().to_owned()).collect();
        assert_eq!(
            (ids(&teams), labels),
            (vec!["t-2", "t-1", "t-3"], vec!["Apple".into(), "Zebra".into(), called("t-3")])
        );
        // One list, and one question for the name that was missing.
        assert_eq!(fake.asked_for_teams(), (1, 0));
        let questions = fake.questions();
        assert_eq!((questions.len(), &questions[0].teams), (1, &vec![team_id("t-3")]));
    }
}

#[tokio::test]
async fn the_list_agrees_with_what_an_actor_can_do() {
    let fake = three();
    let bench = fake.bench();
    let owner_of = |team: &str| Rights::none().team(team_id(team), TeamRole::Owner);
    let key_scopes = "keys:issue";
    bench.plant("fakefakefakefakefake", &user("olga"), key_scopes).await;
    for actor in [
        org_admin(),
        system(),
        Actor::user(user_id("olga"), Rights::none().org_admin()),
        Actor::user(user_id("olga"), Rights::none().org_admin().team_keys_included_for(team_id("t-1"))),
        Actor::user(user_id("olga"), Rights::none().org_admin().team_keys_included_for(team_id("elsewhere"))),
        Actor::user(user_id("tom"), owner_of("t-1").team_keys_included()),
        Actor::user(user_id("tom"), owner_of("elsewhere").team_keys_included()),
        Actor::user(user_id("tom"), Rights::none().team(team_id("t-1"), TeamRole::Member).team_keys_included()),
        Actor::user(user_id("mallory"), Rights::none().team_keys_included()),
        Actor::key(&principal(&user("olga"), key_scopes), Rights::none().org_admin().team_keys_included()),
        Actor::key(&principal(&user("olga"), "keys:read"), Rights::none().org_admin().team_keys_included()),
    ] {
        let teams = bench.manager.teams_to_issue_for(&actor).await.unwrap();
        let mut listed = ids(&teams);
        listed.sort_unstable();
        let mut expected = Vec::new();
        for team in ["elsewhere", "t-1", "t-2", "t-3"] {
            // The system may name any team. The list has only the existing ones.
            if can_issue(&bench.manager, &actor, team_id(team)).await && !(actor.is_system() && team == "elsewhere") {
                expected.push(team);
            }
        }
        assert_eq!(listed, expected, "{actor:?}");
    }
}

#[tokio::test]
async fn who_is_no_admin_is_asked_about_their_own_teams_and_told_no_others() {
    let fake = three();
    let bench = fake.bench();
    let rights = Rights::none().team(team_id("t-1"), TeamRole::Admin).team(team_id("t-9"), TeamRole::Admin);
    let tom = Actor::user(user_id("tom"), rights.team_keys_included());
    let teams = bench.manager.teams_to_issue_for(&tom).await.unwrap();
    assert_eq!(teams, [team_id("t-1")]);
    assert_eq!(teams[0].name().map(str::to_owned), Some(called("t-1")));
    assert_eq!(fake.asked_for_teams(), (0, 2));
    assert_eq!(fake.questions().len(), 1);
}

#[tokio::test]
async fn a_part_of_the_name_finds_teams() {
    let fake = three();
    let bench = fake.bench();
    let find = async |part: &str, actor: &Actor| {
        let found = bench.manager.find_teams_to_issue_for(&NamePart::new(part).unwrap(), actor).await.unwrap();
        found.iter().map(|team| team.id().as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(find("APP", &org_admin()).await, ["t-2"]);
    assert_eq!(find("", &org_admin()).await, ["t-2", "t-1", "t-3"]);
    assert_eq!(find("nothing", &org_admin()).await, [""; 0]);
    let rights = Rights::none().team(team_id("t-1"), TeamRole::Admin).team(team_id("t-3"), TeamRole::Admin);
    let tom = Actor::user(user_id("tom"), rights.team_keys_included());
    assert_eq!(find("3-t", &tom).await, ["t-3"], "by the name that the directory says");
    assert_eq!(find("Apple", &tom).await, [""; 0], "a team of others is not told");
    fake.be(How::Fails);
    assert_eq!(find("t-1", &tom).await, ["t-1"], "by the id, where there is no name");
}

#[tokio::test]
async fn an_organization_with_ten_thousand_teams_is_cut_off_and_searched() {
    let many = (0..10_000).map(|number| named(&format!("t{number:05}"), &format!("Team {number:05}")));
    for how in [How::Answers, How::Lies] {
        let fake = Fake::that(how).with_teams(many.clone());
        let bench = fake.bench();
        let teams = bench.manager.teams_to_issue_for(&org_admin()).await.unwrap();
        assert_eq!((teams.len(), teams[0].label(), fake.asked_for_teams()), (1_000, "Team 00000", (1, 0)));
        let part = NamePart::new("09999").unwrap();
        assert_eq!(bench.manager.find_teams_to_issue_for(&part, &org_admin()).await.unwrap(), [team_id("t09999")]);
        // A team that the rights name is in the list, even if the directory's list ended before it.
        let far = Rights::none().org_admin().team_keys_included().team(team_id("t09999"), TeamRole::Member);
        let teams = bench.manager.teams_to_issue_for(&Actor::user(user_id("olga"), far)).await.unwrap();
        assert_eq!((teams.len(), teams.last().unwrap().id()), (1_001, &team_id("t09999")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_does_not_list_leaves_the_teams_that_rights_name() {
    let rights = Rights::none().org_admin().team_keys_included_for(team_id("t-1"));
    let olga = Actor::user(user_id("olga"), rights);
    let late = How::Takes(Duration::from_millis(501));
    for how in [How::Fails, How::Hangs, How::Panics, How::PanicsAtOnce, late] {
        let fake = three();
        fake.be(how);
        let bench = fake.bench();
        let teams = bench.manager.teams_to_issue_for(&olga).await.unwrap();
        assert_eq!((ids(&teams), teams[0].name()), (vec!["t-1"], None), "{how:?}");
        assert!(bench.manager.teams_to_issue_for(&org_admin()).await.unwrap().is_empty(), "{how:?}");
    }
    // No directory gives the same result as a failing one: only named teams are listed.
    let bench = Bench::new();
    assert_eq!(bench.manager.teams_to_issue_for(&olga).await.unwrap(), [team_id("t-1")]);
    assert!(bench.manager.teams_to_issue_for(&org_admin()).await.unwrap().is_empty());
}

/// The list is only a hint. The rights are checked again when a key is issued.
#[tokio::test]
async fn a_team_that_is_listed_and_not_there_gets_no_key() {
    use crate::manage::{AnyDirectory, Directory, Rules};

    struct Generous;

    impl Directory for Generous {
        type Error = std::convert::Infallible;

        async fn has_team(&self, _: &crate::TeamRef) -> Result<bool, Self::Error> {
            Ok(false)
        }

        async fn teams(
            &self,
            _: &crate::OrganizationId,
            _: Option<&NamePart>,
            _: usize,
        ) -> Result<Option<Vec<NamedTeam>>, Self::Error> {
            Ok(Some(vec![named("rivals", "Rivals"), named("rivals", "Rivals again")]))
        }
    }

    let bench = Bench::with_rules(Rules { directory: AnyDirectory::new(Generous), ..Rules::default() });
    assert_eq!(bench.manager.teams_to_issue_for(&org_admin()).await.unwrap(), [team_id("rivals")]);
    let error = bench.manager.issue(IssueKey::team(team_id("rivals")), &org_admin()).await.unwrap_err();
    assert_eq!(error.kind(), ManageErrorKind::NotFound);
}
