//! Every action by every kind of actor, for personal and team keys, on every plan, at home and abroad.

use super::fixture::{ACTING, Bench, person, scopes, system, team, team_id, time, user, user_id};
use crate::{
    Actor, IssueKey, KeyManager, OrganizationId, Owner,
    key::KeyId,
    manage::{DenialReason, KeyPage, ListKeys, ManageError, ManageErrorKind, Plan, Rights, TeamRole},
    record::{Hold, Labels},
    store::{KeyStore, OwnerChange},
};

/// The target belongs to the user `alice` or to the team `blue`; `alice` made both and is in no team.
///
/// Actors:
/// - `alice`, and `bob`, who has nothing to do with either;
/// - `member`, `admin`, `owner` of the team `blue`, and `red`, who owns another team;
/// - `org`, an admin of the organization who says the plan of `blue`, and `unsaid`, one who does not;
/// - `system`;
/// - a key with `keys:manage` of alice, the member, the admin, `org` (`k-…`), of team `blue` and of team `red`;
/// - keys with all scopes, but without that one named, of alice (`all-alice`) and of team `blue` (`all-blue`).
///
/// Answers: `yes`; `usage` and `bare` for a key that is seen with and without its usage; `-` for not found; `role`,
/// `plan`, `yours` and `scope` for the reason of a denial.
const TABLE: &str = "
             | plan | alice bob member admin owner red | org   unsaid system | k-alice k-member k-admin k-org k-blue k-red | all-alice all-blue
user issue   | any  | yes   -   -      -     -     -   | yours yours  yes    | yes     -        -       yours -      -     | scope     scope
user rename  | any  | yes   -   -      -     -     -   | yours yours  yes    | yes     -        -       yours -      -     | scope     scope
user relabel | any  | yes   -   -      -     -     -   | yours yours  yes    | yes     -        -       yours -      -     | scope     scope
user narrow  | any  | yes   -   -      -     -     -   | yours yours  yes    | yes     -        -       yours -      -     | scope     scope
user expire  | any  | yes   -   -      -     -     -   | yours yours  yes    | yes     -        -       yours -      -     | scope     scope
user revoke  | any  | yes   -   -      -     -     -   | yes   yes    yes    | yes     -        -       yes   -      -     | scope     scope
user find    | any  | usage -   -      -     -     -   | usage usage  usage  | usage   -        -       usage -      -     | scope     scope
user list    | any  | usage -   -      -     -     -   | usage usage  usage  | usage   -        -       usage -      -     | scope     scope
user unused  | any  | usage -   -      -     -     -   | usage usage  usage  | usage   -        -       usage -      -     | scope     scope
user hold    | any  | role  -   -      -     -     -   | yes   yes    yes    | role    -        -       yes   -      -     | scope     scope
user lift    | any  | role  -   -      -     -     -   | yes   yes    yes    | role    -        -       yes   -      -     | scope     scope
user close   | any  | role  -   -      -     -     -   | yes   yes    yes    | role    -        -       yes   -      -     | scope     scope
team issue   | high | -     -   role   yes   yes   -   | yes   plan   yes    | -       role     yes     yes   yes    -     | scope     scope
team issue   | low  | -     -   role   plan  plan  -   | plan  plan   yes    | -       role     plan    plan  plan   -     | scope     scope
team rename  | any  | -     -   role   yes   yes   -   | yes   yes    yes    | -       role     yes     yes   yes    -     | scope     scope
team relabel | any  | -     -   role   yes   yes   -   | yes   yes    yes    | -       role     yes     yes   yes    -     | scope     scope
team narrow  | any  | -     -   role   yes   yes   -   | yes   yes    yes    | -       role     yes     yes   yes    -     | scope     scope
team expire  | any  | -     -   role   yes   yes   -   | yes   yes    yes    | -       role     yes     yes   yes    -     | scope     scope
team revoke  | any  | -     -   role   yes   yes   -   | yes   yes    yes    | -       role     yes     yes   yes    -     | scope     scope
team find    | any  | -     -   bare   usage usage -   | usage usage  usage  | -       bare     usage   usage usage  -     | scope     scope
team list    | any  | -     -   bare   usage usage -   | usage usage  usage  | -       bare     usage   usage usage  -     | scope     scope
team unused  | any  | -     -   role   usage usage -   | usage usage  usage  | -       role     usage   usage usage  -     | scope     scope
team hold    | any  | -     -   role   role  role  -   | yes   yes    yes    | -       role     role    yes   role   -     | scope     scope
team lift    | any  | -     -   role   role  role  -   | yes   yes    yes    | -       role     role    yes   role   -     | scope     scope
team close   | any  | -     -   role   role  role  -   | yes   yes    yes    | -       role     role    yes   role   -     | scope     scope
";

/// The key that is acted upon.
const TARGET: &str = "AAAAAAAAAAAAAAAAAAAA";

struct Cell {
    /// `user` or `team`.
    whose: &'static str,
    action: &'static str,
    actor: &'static str,
    plan: Plan,
    expected: &'static str,
}

impl Cell {
    fn owner(&self) -> Owner {
        if self.whose == "user" { user("alice") } else { team("blue") }
    }

    fn is_change(&self) -> bool {
        !["find", "list", "unused"].contains(&self.action)
    }

    fn names_a_key(&self) -> bool {
        ["rename", "relabel", "narrow", "expire", "revoke", "find"].contains(&self.action)
    }
}

fn cells() -> Vec<Cell> {
    let mut lines = TABLE.trim_matches('\n').lines();
    let actors: Vec<&str> = lines.next().unwrap().split_whitespace().filter(|word| *word != "|").skip(1).collect();
    let mut cells = Vec::new();
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().filter(|word| *word != "|").collect();
        let plans: &[Plan] = match words[2] {
            "any" => &[Plan::Free, Plan::Team, Plan::Business, Plan::Enterprise],
            "high" => &[Plan::Business, Plan::Enterprise],
            "low" => &[Plan::Free, Plan::Team],
            other => panic!("{other}"),
        };
        assert_eq!(words.len(), actors.len() + 3, "{line}");
        for (&actor, &expected) in actors.iter().zip(&words[3..]) {
            for &plan in plans {
                cells.push(Cell { whose: words[0], action: words[1], actor, plan, expected });
            }
        }
    }
    cells
}

/// Who acts, and the owner and scopes of the key they act with, if they do.
fn actor(name: &str, plan: Plan, organization: &OrganizationId) -> (Actor, Option<(Owner, &'static str)>) {
    let rights = |name| match name {
        "member" => Rights::none().team(team_id("blue"), TeamRole::Member, plan),
        "admin" => Rights::none().team(team_id("blue"), TeamRole::Admin, plan),
        "owner" => Rights::none().team(team_id("blue"), TeamRole::Owner, plan),
        "red" => Rights::none().team(team_id("red"), TeamRole::Owner, plan),
        "org" => Rights::none().org_admin().team_plan(team_id("blue"), plan),
        "unsaid" => Rights::none().org_admin(),
        _ => Rights::none(),
    };
    let (owner, with, rights) = match name {
        "system" => return (system(), None),
        "all-alice" => (user("alice"), "*", Rights::none().org_admin()),
        "all-blue" => (team("blue"), "*", Rights::none().team_plan(team_id("blue"), plan)),
        // More rights than a team's key has use for: all but the plan of its own team are ignored.
        "k-blue" => (
            team("blue"),
            "* keys:manage",
            Rights::none().org_admin().team_plan(team_id("blue"), plan).team(team_id("red"), TeamRole::Owner, plan),
        ),
        "k-red" => {
            (team("red"), "* keys:manage", Rights::none().org_admin().team(team_id("blue"), TeamRole::Owner, plan))
        }
        name => match name.strip_prefix("k-") {
            Some(name) => (user(name), "* keys:manage", rights(name)),
            None => {
                return (Actor::user(user_id(name), rights(name)).in_organization(organization.clone()), None);
            }
        },
    };
    let principal = match &owner {
        Owner::User(user) => crate::Principal::fake().user(user.as_str()),
        Owner::Team(team) => crate::Principal::fake().team(team.as_str()),
    };
    let principal = principal.unwrap().scopes(scopes(with)).organization(organization.clone()).build();
    (Actor::key(&principal, rights), Some((owner, with)))
}

fn answer<T>(result: Result<T, ManageError>, good: impl FnOnce(T) -> &'static str) -> String {
    match result.map_err(|error| error.kind()) {
        Ok(value) => good(value).into(),
        Err(ManageErrorKind::NotFound) => "-".into(),
        Err(ManageErrorKind::Denied(denial)) => match denial.reason() {
            DenialReason::InsufficientRole => "role".into(),
            DenialReason::InsufficientScope => "scope".into(),
            DenialReason::NotYourKey => "yours".into(),
            DenialReason::PlanRequired => "plan".into(),
            other => format!("{other:?}"),
        },
        Err(other) => format!("{other:?}"),
    }
}

async fn act<S: KeyStore>(manager: &KeyManager<S>, cell: &Cell, actor: &Actor) -> String {
    let id = KeyId::new(TARGET).unwrap();
    let owner = cell.owner();
    let seen = |usage: Option<_>| if usage.is_some() { "usage" } else { "bare" };
    let listed = |page: KeyPage| match page.keys.iter().find(|key| key.id == id) {
        Some(key) => seen(key.usage),
        None => "nothing",
    };
    match cell.action {
        "issue" => answer(manager.issue(IssueKey::of(owner), actor).await, |_| "yes"),
        "rename" => answer(manager.rename(&id, "Monday cron", actor).await, |_| "yes"),
        "relabel" => {
            let labels = Labels::new([("ticket", "OPS-1")]).unwrap();
            answer(manager.relabel(&id, labels, actor).await, |_| "yes")
        }
        "narrow" => answer(manager.narrow_scopes(&id, scopes("read"), actor).await, |_| "yes"),
        "expire" => answer(manager.expire_at(&id, time("2027-01-01T00:00:00Z"), actor).await, |_| "yes"),
        "revoke" => answer(manager.revoke(&id, actor).await, |_| "yes"),
        "find" => answer(manager.find(&id, actor).await, |key| seen(key.usage)),
        "list" => answer(manager.list(ListKeys::of(owner), actor).await, listed),
        "unused" => {
            let query = ListKeys::of(owner).unused_since(time("2027-01-01T00:00:00Z"));
            answer(manager.list(query, actor).await, listed)
        }
        "hold" => answer(manager.hold(&owner, Hold::Plan, actor).await, |_| "yes"),
        "lift" => answer(manager.lift(&owner, Hold::Suspended, actor).await, |_| "yes"),
        "close" => answer(manager.close(&owner, actor).await, |_| "yes"),
        other => panic!("{other}"),
    }
}

/// Acts in a store that holds the target, and the key that acts if one does.
async fn play(cell: &Cell, manager_of: &OrganizationId, actor_of: &OrganizationId) -> (String, usize, bool) {
    let bench = Bench::new();
    let target = bench.plant(TARGET, &cell.owner(), "*").await;
    bench.use_once(&target).await;
    let (actor, acting) = actor(cell.actor, cell.plan, actor_of);
    if let Some((owner, scopes)) = acting {
        bench.plant(ACTING, &owner, scopes).await;
    }
    if cell.action == "lift" {
        bench.change_owner(&cell.owner(), OwnerChange::Hold(Hold::Suspended)).await;
    }
    let before = bench.all().await;
    let manager = bench.manager.for_organization(manager_of.clone());
    let answer = act(&manager, cell, &actor).await;
    let after = bench.all().await;
    (answer, after.1.len() - before.1.len(), before == after)
}

fn describe(cell: &Cell) -> String {
    format!("{} {} by {} on {:?}", cell.whose, cell.action, cell.actor, cell.plan)
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn table_of_rights_holds_in_every_cell() {
    let home = OrganizationId::single();
    let mut wrong = Vec::new();
    for cell in cells() {
        let (answer, events, untouched) = play(&cell, &home, &home).await;
        if answer != cell.expected {
            wrong.push(format!("{}: {answer}, not {}", describe(&cell), cell.expected));
        }
        let changes = cell.is_change() && cell.expected == "yes";
        if events != usize::from(changes) || untouched == changes {
            wrong.push(format!("{}: {events} events, untouched: {untouched}", describe(&cell)));
        }
    }
    assert_none(&wrong);
}

#[tokio::test]
async fn table_of_rights_is_not_found_for_an_actor_of_another_organization() {
    let (home, abroad) = (OrganizationId::single(), OrganizationId::new("globex").unwrap());
    let mut wrong = Vec::new();
    // The system belongs to no organization: it acts in that of the manager it is given to.
    for cell in cells().into_iter().filter(|cell| cell.actor != "system") {
        let (answer, _, untouched) = play(&cell, &home, &abroad).await;
        if answer != "-" || !untouched {
            wrong.push(format!("{}: {answer}, untouched: {untouched}", describe(&cell)));
        }
    }
    assert_none(&wrong);
}

#[tokio::test]
async fn table_of_rights_is_not_found_for_a_key_of_another_organization() {
    let abroad = OrganizationId::new("globex").unwrap();
    let mut wrong = Vec::new();
    for cell in cells().into_iter().filter(Cell::names_a_key) {
        let (answer, _, untouched) = play(&cell, &abroad, &abroad).await;
        let expected = if cell.expected == "scope" { "scope" } else { "-" };
        if answer != expected || !untouched {
            wrong.push(format!("{}: {answer}, untouched: {untouched}", describe(&cell)));
        }
    }
    assert_none(&wrong);
}

#[tokio::test]
async fn table_of_rights_changes_nothing_abroad_for_owners_of_the_same_name() {
    let abroad = OrganizationId::new("globex").unwrap();
    let mut wrong = Vec::new();
    for cell in cells().into_iter().filter(|cell| !cell.names_a_key()) {
        let (answer, _, untouched) = play(&cell, &abroad, &abroad).await;
        if !untouched || answer == "usage" || answer == "bare" {
            wrong.push(format!("{}: {answer}, untouched: {untouched}", describe(&cell)));
        }
    }
    assert_none(&wrong);
}

#[tokio::test]
async fn table_of_rights_makes_hidden_and_absent_look_the_same() {
    let bench = Bench::new();
    let hidden = bench.plant(TARGET, &team("blue"), "*").await;
    let absent = KeyId::new("BBBBBBBBBBBBBBBBBBBB").unwrap();
    let bob = person("bob");
    let told = |error: ManageError| format!("{error} {error:?}");
    let hidden = bench.manager.find(&hidden, &bob).await.map_err(told).unwrap_err();
    let absent = bench.manager.find(&absent, &bob).await.map_err(told).unwrap_err();
    assert_eq!(hidden, absent);
}

#[test]
fn table_of_rights_has_every_action_and_actor_on_every_plan() {
    let (owners, actions, actors, plans) = (2, 12, 17, 4);
    assert_eq!(cells().len(), owners * actions * actors * plans);
}
