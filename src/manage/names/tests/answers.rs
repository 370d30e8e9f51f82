//! Every answer, with a directory that knows all ids, and without a directory.

use std::collections::BTreeSet;

use serde_json::Value;

use super::fake::{Fake, How, called};
use crate::{
    Actor, IssueKey, OrganizationId, Owner, TeamId, UserId,
    manage::{
        AuditQuery, InventoryQuery, ListKeys, Names, Rights, Rules, TeamRole,
        fixture::{Bench, person, principal, system, team_id, user, user_id},
        names::Mentions,
        sentences as sentences_of_manage,
        tests::world::{examples_by, world},
    },
    record::KeyRow,
};

/// Answers of reads. Each carries the names of the people and teams in it.
const CARRY_NAMES: [&str; 12] = [
    "BlastRadius",
    "EventPage",
    "Explanation",
    "Exposure",
    "InventoryPage",
    "InventorySummary",
    "KeyMatches",
    "KeyPage",
    "LeakReport",
    "OwnerInfo",
    "Preview",
    "Rotation",
];

/// Answers without names: a single key, the parts of pages, and the answers of changes.
const CARRY_NONE: [&str; 18] = [
    "AuditEntry",
    "CallCheck",
    "EndedRotation",
    "Event",
    "ExposedKey",
    "InventoryEntry",
    "KeyInfo",
    "KeyMatch",
    "KnownKey",
    "OwnerSummary",
    "PauseChanged",
    "PresentedKey",
    "PreviewNote",
    "Problem",
    "Revoked",
    "StoppingKey",
    "ActorTeam",
    "Traced",
];

/// The ids of people and teams in an answer, such as `user alice`, outside of its names.
fn ids(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    find_ids(value, &mut found);
    found
}

fn find_ids(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            let text = |name: &str| members.get(name).and_then(Value::as_str);
            let of_kind = |kind: Option<&str>| kind.filter(|kind| ["team", "user"].contains(kind)).map(str::to_owned);
            let owner = of_kind(text("kind")).zip(text("id")).filter(|_| members.len() == 2);
            let argument = of_kind(text("type")).zip(text("value"));
            let person = text("user").map(|id| ("user".to_owned(), id));
            found.extend([owner, argument, person].into_iter().flatten().map(|(kind, id)| format!("{kind} {id}")));
            let others = members.iter().filter(|(name, _)| *name != "names" && *name != "text");
            others.for_each(|(_, value)| find_ids(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| find_ids(value, found)),
        Value::String(text) => found.extend(text.strip_prefix("user:").map(|id| format!("user {id}"))),
        _ => {}
    }
}

/// The ids in the names of an answer.
fn named(answer: &Value) -> BTreeSet<String> {
    let of = |kind: &str, member: &str| {
        let known = answer["names"][member].as_object().unwrap();
        known.keys().map(|id| format!("{kind} {id}")).collect::<BTreeSet<_>>()
    };
    &of("user", "users") | &of("team", "teams")
}

/// Sentences that mention people and teams: the text, and the ids.
fn sentences(value: &Value, found: &mut Vec<(String, BTreeSet<String>)>) {
    match value {
        Value::Object(members) => {
            if let (Some(arguments), Some(text)) = (members.get("arguments"), members.get("text")) {
                let ids = ids(arguments).into_iter().map(|id| id.split_once(' ').unwrap().1.to_owned()).collect();
                found.push((text.as_str().unwrap().to_owned(), ids));
            }
            members.values().for_each(|value| sentences(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| sentences(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn what_a_read_answers_names_everybody_in_it_and_nobody_else() {
    let answers = examples_by(&Fake::that(How::Lies).rules()).await.of;
    let mut carry = BTreeSet::new();
    for (name, answers) in answers {
        for answer in answers {
            if answer["names"].is_object() {
                carry.insert(name);
                assert_eq!(named(&answer), ids(&answer), "{name}: {answer:#}");
            } else if !ids(&answer).is_empty() {
                assert!(CARRY_NONE.contains(&name), "{name} speaks of people, and does not name them: {answer:#}");
            }
        }
    }
    assert_eq!(carry.into_iter().collect::<Vec<_>>(), CARRY_NAMES);
}

#[tokio::test]
async fn no_sentence_says_an_id_where_there_is_a_name() {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for answers in examples_by(&Fake::default().rules()).await.of.into_values() {
        answers.iter().for_each(|answer| sentences(answer, &mut with));
    }
    for answers in examples_by(&Rules::default()).await.of.into_values() {
        answers.iter().for_each(|answer| sentences(answer, &mut without));
    }
    let speaks_of_somebody =
        |said: &[(String, BTreeSet<String>)]| said.iter().filter(|(_, ids)| !ids.is_empty()).count();
    assert!(speaks_of_somebody(&with) > 10);
    assert_eq!(speaks_of_somebody(&with), speaks_of_somebody(&without));
    for (text, ids) in &with {
        for id in ids {
            assert!(text.contains(&called(id)) && !text.contains(id.as_str()), "{text}");
        }
    }
    for (text, ids) in &without {
        for id in ids {
            assert!(text.contains(id.as_str()) && !text.contains(&called(id)), "{text}");
        }
    }
}

/// Each sentence of the catalogue, also those that no example contains.
#[test]
fn every_sentence_there_is_can_say_names() {
    let names = Names::none().with_user(user_id("alice"), called("alice")).with_team(team_id("blue"), called("blue"));
    let mut named = 0;
    for sentence in sentences_of_manage() {
        let mut speaks_of = Mentions::default();
        speaks_of.sentence(&sentence);
        let ids = speaks_of.users.iter().map(UserId::as_str).chain(speaks_of.teams.iter().map(TeamId::as_str));
        for id in ids {
            named += 1;
            let (with, without) = (sentence.naming(&names).to_string(), sentence.to_string());
            assert!(with.contains(&called(id)) && !with.contains(id), "{with}");
            assert!(without.contains(id), "{without}");
        }
    }
    assert!(named > 25, "{named}");
}

#[tokio::test]
async fn answers_are_the_same_except_for_names_and_how_sentences_name_people() {
    fn without_names(mut value: Value) -> Value {
        fn strip(value: &mut Value) {
            match value {
                Value::Object(members) => {
                    members.remove("names");
                    if members.contains_key("arguments") {
                        members.remove("text");
                    }
                    members.values_mut().for_each(strip);
                }
                Value::Array(values) => values.iter_mut().for_each(strip),
                _ => {}
            }
        }
        strip(&mut value);
        value
    }
    let named = examples_by(&Fake::default().rules()).await.of;
    let unnamed = examples_by(&Rules::default()).await.of;
    for (name, answers) in named {
        let (one, other): (Vec<_>, Vec<_>) = (
            answers.into_iter().map(without_names).collect(),
            unnamed[name].iter().cloned().map(without_names).collect(),
        );
        assert_eq!(one, other, "{name}");
    }
}

/// Each read asks one question, for the organization, with each id once and in order.
#[tokio::test]
async fn each_read_asks_once() {
    let fake = Fake::default();
    let bench = world(&fake.rules()).await;
    let (manager, system) = (&bench.manager, &system());
    let (old, new) = ("OldOldOldOldOldOldOl".parse().unwrap(), "NewNewNewNewNewNewNe".parse().unwrap());
    let since = bench.now();
    let once = |call: &str| {
        let questions = fake.questions();
        assert_eq!(questions.len(), 1, "{call}: {questions:?}");
        let question = &questions[0];
        assert_eq!(question.of.as_str(), "default");
        assert!(question.users.is_sorted_by(|one, next| one < next), "{call}: {question:?}");
        assert!(question.teams.is_sorted_by(|one, next| one < next), "{call}: {question:?}");
        assert!(!question.users.is_empty() || !question.teams.is_empty(), "{call}");
    };
    manager.list(ListKeys::all(), system).await.unwrap();
    once("list");
    manager.inventory(InventoryQuery::all(), system).await.unwrap();
    once("inventory");
    manager.inventory_summary(InventoryQuery::all(), system).await.unwrap();
    once("inventory_summary");
    let format = crate::manage::ExportFormat::Csv;
    manager.export_inventory(InventoryQuery::all(), format, &mut std::io::sink(), system).await.unwrap();
    once("export_inventory");
    manager.events(AuditQuery::all(), system).await.unwrap();
    once("events");
    manager.rotation(&new, system).await.unwrap();
    once("rotation");
    manager.leak_report(&old, since, system).await.unwrap();
    once("leak_report");
    manager.explain(&old, system).await.unwrap();
    once("explain");
    manager.owner(&user("alice"), system).await.unwrap();
    once("owner");
    manager.blast_radius(&user_id("alice"), system).await.unwrap();
    once("blast_radius");
    manager.exposure(&user_id("alice"), system).await.unwrap();
    once("exposure");
    manager.identify("team.OldOldOldOldOldOldOl.", system).await.unwrap();
    once("identify");
    manager.preview(&IssueKey::team(team_id("engineering")), system).await.unwrap();
    once("preview");
    let key = manager.find(&old, system).await.unwrap();
    assert_eq!(fake.questions(), []);
    let names = manager.names_of([&key]).await;
    once("names_of");
    assert_eq!(names.of_owner(&key.owner).map(str::to_owned), Some(called("engineering")));
    // An answer without people or teams asks no question.
    manager.list(ListKeys::of(user("nobody")), system).await.unwrap();
    manager.usage(&old, 1, system).await.unwrap();
    manager.advise(&old, system).await.unwrap();
    assert_eq!((fake.questions(), manager.names_of([]).await), (vec![], Names::none()));
}

#[tokio::test]
async fn changes_ask_for_no_names() {
    let fake = Fake::default();
    let bench = world(&fake.rules()).await;
    let (manager, system) = (&bench.manager, &system());
    let issued = manager.issue(IssueKey::team(team_id("blue")), system).await.unwrap().info().id;
    manager.rename(&issued, "CI pipeline", system).await.unwrap();
    manager.finish_rotation_anyway(&"NewNewNewNewNewNewNe".parse().unwrap(), system).await.unwrap();
    manager.revoke(&issued, system).await.unwrap();
    manager.close(&user("alice"), system).await.unwrap();
    assert_eq!(fake.questions(), []);
}

#[tokio::test]
async fn a_large_page_asks_for_a_thousand_ids_at_a_time() {
    let fake = Fake::default();
    let bench = fake.bench();
    for number in 0..700 {
        let id = format!("{number:020}");
        bench
            .plant_row(KeyRow {
                lineage: id.clone(),
                id,
                owner: format!("t{number}"),
                created_by: format!("user:u{number}"),
                ..KeyRow::example()
            })
            .await;
    }
    let page = bench.manager.list(ListKeys::all().limit(1_000), &system()).await.unwrap();
    let questions = fake.questions();
    let sizes: Vec<_> = questions.iter().map(|asked| asked.users.len() + asked.teams.len()).collect();
    assert_eq!(sizes, [1_000, 400]);
    for key in &page.keys {
        assert!(page.names.of_owner(&key.owner).is_some() && page.names.of_actor(&key.created_by).is_some());
    }
    // An export asks once for each piece of 500 keys.
    let format = crate::manage::ExportFormat::Csv;
    bench.manager.export_inventory(InventoryQuery::all(), format, &mut std::io::sink(), &system()).await.unwrap();
    let sizes: Vec<_> = fake.questions().iter().map(|asked| asked.users.len() + asked.teams.len()).collect();
    assert_eq!(sizes, [1_000, 400]);
    // A summary reads pages of a thousand keys, and asks about each person only once.
    bench.manager.inventory_summary(InventoryQuery::all(), &system()).await.unwrap();
    let mut asked: Vec<_> = fake.questions().into_iter().flat_map(|asked| asked.users).collect();
    let count = asked.len();
    asked.dedup();
    assert_eq!((count, asked.len()), (700, 700));
}

#[tokio::test]
async fn organizations_are_apart() {
    let fake = Fake::default();
    let bench = world(&fake.rules()).await;
    let acme = bench.manager.for_organization("acme".parse().unwrap());
    let key = bench.manager.find(&"OldOldOldOldOldOldOl".parse().unwrap(), &system()).await.unwrap();
    assert_eq!(acme.names_of([&key]).await, Names::none());
    assert!(acme.list(ListKeys::all(), &system()).await.unwrap().names.is_empty());
    assert_eq!(fake.questions(), []);
    let issued = acme.issue(IssueKey::user(user_id("alice")), &system()).await.unwrap().info().clone();
    assert_eq!(bench.manager.names_of([&issued]).await, Names::none());
    acme.list(ListKeys::all(), &system()).await.unwrap();
    acme.names_of([&key, &issued]).await;
    let questions = fake.questions();
    assert_eq!(questions.len(), 2);
    for asked in questions {
        assert_eq!((asked.of.as_str(), &asked.users[..], &asked.teams[..]), ("acme", &[user_id("alice")][..], &[][..]));
    }
}

/// Only actors that may know of the owner get names. A preview answers others too.
#[tokio::test]
async fn a_preview_names_nobody_to_an_actor_that_may_not_know_of_them() {
    let fake = Fake::default();
    let bench = fake.bench();
    let alice = user("alice");
    let own = bench.plant("fakefakefakefakefake", &alice, "keys:read").await;
    let key = Actor::key(&principal(&alice, "keys:read"), Rights::none());
    for owner in [user("bob"), Owner::Team(team_id("blue"))] {
        let preview = bench.manager.preview(&IssueKey::of(owner.clone()), &key).await.unwrap();
        assert!(!preview.can_be_issued() && preview.names.is_empty(), "{owner}");
    }
    assert_eq!(fake.questions(), []);
    // An actor that may know of the owner gets the name.
    let preview = bench.manager.preview(&IssueKey::of(alice.clone()), &person("alice")).await.unwrap();
    assert_eq!(preview.names.of_owner(&alice).map(str::to_owned), Some(called("alice")));
    fake.questions();
    // A call that finds nothing asks no question.
    bench.manager.find(&own, &person("mallory")).await.unwrap_err();
    bench.manager.explain(&own, &person("mallory")).await.unwrap_err();
    bench.manager.owner(&alice, &person("mallory")).await.unwrap_err();
    bench.manager.exposure(&user_id("alice"), &person("mallory")).await.unwrap_err();
    assert!(bench.manager.list(ListKeys::all(), &person("mallory")).await.unwrap().names.is_empty());
    assert_eq!(fake.questions(), []);
}

#[tokio::test]
async fn the_head_of_a_page_names_who_asks_and_their_teams() {
    let fake = Fake::default();
    let bench = fake.bench();
    let rights = Rights::none().team(team_id("blue"), TeamRole::Admin);
    let alice = Actor::user(user_id("alice"), rights.clone());
    let names = bench.manager.names_for(&alice).await;
    assert_eq!(names.of_user(&user_id("alice")).map(str::to_owned), Some(called("alice")));
    assert_eq!(names.of_team(&team_id("blue")).map(str::to_owned), Some(called("blue")));
    let key = Actor::key(&principal(&Owner::Team(team_id("red")), "agents:read"), rights.clone());
    assert!(bench.manager.names_for(&key).await.is_empty(), "a key that manages no keys is shown no page");
    let key = Actor::key(&principal(&Owner::Team(team_id("red")), "keys:read"), rights.clone());
    let names = bench.manager.names_for(&key).await;
    assert_eq!((names.of_team(&team_id("red")).is_some(), names.of_team(&team_id("blue"))), (true, None));
    fake.questions();
    let acme = bench.manager.for_organization("acme".parse().unwrap());
    let elsewhere = bench.manager.actor(user_id("alice"), rights);
    assert_eq!(elsewhere.organization().map(OrganizationId::as_str), Some("default"));
    for actor in [&elsewhere, &alice, &system()] {
        assert!(acme.names_for(actor).await.is_empty(), "{actor:?}");
    }
    assert!(bench.manager.names_for(&system()).await.is_empty());
    assert_eq!(fake.questions(), []);
}

#[tokio::test]
async fn manager_of_no_organization_names_nobody() {
    let fake = Fake::default();
    let bench = Bench::with_rules(Rules { several_organizations: true, ..fake.rules() });
    let default = bench.manager.for_organization(OrganizationId::single());
    let key = default.issue(IssueKey::user(user_id("alice")), &system()).await.unwrap().info().clone();
    assert!(bench.manager.names_of([&key]).await.is_empty());
    assert!(bench.manager.names_for(&person("alice")).await.is_empty());
    assert_eq!(fake.questions(), []);
    assert!(!default.names_of([&key]).await.is_empty());
}
