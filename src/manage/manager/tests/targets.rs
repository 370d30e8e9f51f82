//! What the default policy says of every action on every kind of target.

use std::collections::BTreeMap;

use crate::{
    Actor,
    key::KeyId,
    manage::{
        Decision, DefaultPolicy, DenialReason, KeyAction, PausedBy, Policy, Rights, Target, TeamRole,
        fixture::{ACTING, person, scopes, system, team, team_id, user, user_id},
    },
    record::ActorId,
};

/// Five answers for each kind of target: for the system, an admin of the organization, an admin of the team, a member
/// of the team, and the person who owns the key and is in no team. `+` is allowed, `r` denied for the role, `o` denied
/// because the key is another person's, `s` denied because only the system may, `-` hidden.
const TABLE: &str = "
                 | their key | team's key | new for them | new for team | organization | team  | person
audit            | ++--+     | +++r-      | -----        | -----        | ++rrr        | +++r- | ++--+
close            | -----     | -----      | -----        | -----        | +ssss        | ++rr- | ++--r
erase            | -----     | -----      | -----        | -----        | +ssss        | +sss- | +s--s
expire           | +o--+     | +++r-      | -----        | -----        | -----        | ----- | -----
issue            | -----     | -----      | +o--+        | +++r-        | -----        | ----- | -----
narrow           | +o--+     | +++r-      | -----        | -----        | -----        | ----- | -----
pause            | ++--+     | +++r-      | -----        | -----        | -----        | ----- | -----
reinstate        | -----     | -----      | -----        | -----        | +ssss        | ++rr- | ++--r
relabel          | +o--+     | +++r-      | -----        | -----        | -----        | ----- | -----
rename           | +o--+     | +++r-      | -----        | -----        | -----        | ----- | -----
resume           | ++--+     | +++r-      | -----        | -----        | -----        | ----- | -----
revoke           | ++--+     | +++r-      | -----        | -----        | ++rrr        | +++r- | ++--+
rotate           | +o--+     | +++r-      | -----        | -----        | -----        | ----- | -----
see              | ++--+     | ++++-      | -----        | -----        | ++rrr        | ++++- | ++--+
see_blast_radius | -----     | -----      | -----        | -----        | -----        | ----- | ++--+
see_exposure     | -----     | -----      | -----        | -----        | ++rrr        | +++r- | +++-r
see_usage        | ++--+     | +++r-      | -----        | -----        | ++rrr        | +++r- | ++--+
suspend          | -----     | -----      | -----        | -----        | ++rrr        | ++rr- | ++--r
";

/// The next action in the order of the table. A new action does not compile until it is added here.
const fn next(action: KeyAction) -> Option<KeyAction> {
    use KeyAction as A;
    Some(match action {
        A::Audit => A::Close,
        A::Close => A::Erase,
        A::Erase => A::Expire,
        A::Expire => A::Issue,
        A::Issue => A::Narrow,
        A::Narrow => A::Pause,
        A::Pause => A::Reinstate,
        A::Reinstate => A::Relabel,
        A::Relabel => A::Rename,
        A::Rename => A::Resume,
        A::Resume => A::Revoke,
        A::Revoke => A::Rotate,
        A::Rotate => A::See,
        A::See => A::SeeBlastRadius,
        A::SeeBlastRadius => A::SeeExposure,
        A::SeeExposure => A::SeeUsage,
        A::SeeUsage => A::Suspend,
        A::Suspend => return None,
    })
}

#[test]
fn table_of_rights_answers_every_action_on_every_kind_of_target() {
    let of_blue = |role| Rights::none().team(team_id("blue"), role).team_keys_included();
    let actors = [
        system(),
        Actor::user(user_id("root"), Rights::none().org_admin().team_keys_included_for(team_id("blue"))),
        Actor::user(user_id("ada"), of_blue(TeamRole::Admin)),
        Actor::user(user_id("mo"), of_blue(TeamRole::Member)),
        person("alice"),
    ];
    let (alice, blue, scopes) = (user("alice"), team("blue"), scopes("*"));
    let (id, created_by) = (KeyId::new(ACTING).unwrap(), ActorId::User(user_id("ada")));
    let key = |owner| Target::Key {
        id: &id,
        owner,
        created_by: &created_by,
        created_via_key: None,
        paused: PausedBy::Nobody,
    };
    let new_key = |owner| Target::NewKey { owner, scopes: &scopes, expires_at: None };
    let targets = [
        key(&alice),
        key(&blue),
        new_key(&alice),
        new_key(&blue),
        Target::Organization,
        Target::Owner(&blue),
        Target::Owner(&alice),
    ];
    let answer = |actor: &Actor, action, target: &Target<'_>| match DefaultPolicy.decide(actor, action, target) {
        Decision::Allow => '+',
        Decision::Deny(DenialReason::InsufficientRole) => 'r',
        Decision::Deny(DenialReason::NotYourKey) => 'o',
        Decision::Deny(DenialReason::SystemOnly) => 's',
        Decision::Deny(_) => '?',
        Decision::Hide => '-',
    };
    let answers = std::iter::successors(Some(KeyAction::Audit), |action| next(*action)).map(|action| {
        let cells = targets.map(|target| actors.each_ref().map(|actor| answer(actor, action, &target)));
        (action.as_str().to_owned(), cells.map(String::from_iter).to_vec())
    });
    let written = TABLE.lines().skip(2).map(|line| {
        let mut cells = line.split('|').map(|cell| cell.trim().to_owned());
        (cells.next().unwrap(), cells.collect::<Vec<_>>())
    });
    assert_eq!(answers.collect::<BTreeMap<_, _>>(), written.collect());
}

#[test]
fn a_pause_is_ended_by_its_author_and_by_admins() {
    let actors = [
        ("system", system()),
        ("org admin", Actor::user(user_id("root"), Rights::none().org_admin())),
        ("team admin", Actor::user(user_id("ada"), Rights::none().team(team_id("blue"), TeamRole::Admin))),
        ("member", Actor::user(user_id("mo"), Rights::none().team(team_id("blue"), TeamRole::Member))),
        ("self", person("alice")),
        ("other", person("bob")),
    ];
    let (alice, blue) = (user("alice"), team("blue"));
    let (id, by_alice) = (KeyId::new(ACTING).unwrap(), ActorId::User(user_id("alice")));
    let (by_root, by_key) = (ActorId::User(user_id("root")), ActorId::Key(id));
    let pauses = [
        PausedBy::Nobody,
        PausedBy::Actor(&by_alice),
        PausedBy::Actor(&by_root),
        PausedBy::Actor(&by_key),
        PausedBy::Unknown,
    ];
    for (who, actor) in &actors {
        for (owner, expected) in [
            (
                &alice,
                match *who {
                    "system" | "org admin" => "+++++",
                    "self" => "++rrr",
                    _ => "-----",
                },
            ),
            (
                &blue,
                match *who {
                    "system" | "org admin" | "team admin" => "+++++",
                    "member" => "rrrrr",
                    _ => "-----",
                },
            ),
        ] {
            let answers = pauses.map(|paused| {
                let target = Target::Key { id: &id, owner, created_by: &by_alice, created_via_key: None, paused };
                match DefaultPolicy.decide(actor, KeyAction::Resume, &target) {
                    Decision::Allow => '+',
                    Decision::Deny(DenialReason::InsufficientRole) => 'r',
                    Decision::Deny(_) => '?',
                    Decision::Hide => '-',
                }
            });
            assert_eq!(String::from_iter(answers), expected, "{who} {owner:?}");
        }
    }
}
