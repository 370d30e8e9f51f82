//! How long an answer waits for names, and which answers lose names if a directory hangs.

use std::time::Duration;

use tokio::time::Instant;

use super::fake::{Fake, How};
use crate::{
    Actor, KeyManager,
    manage::{
        ExportFormat, InventoryQuery, KeyFlag, ListKeys, NamedTeam, Rights, Rules,
        fixture::{Bench, system, team, team_id, user, user_id},
    },
    record::KeyRow,
};

/// Plants keys by this number of people, one each.
async fn plant(bench: &Bench, count: usize) {
    for number in 0..count {
        let id = format!("{number:020}");
        let created_by = format!("user:u{number}");
        bench.plant_row(KeyRow { lineage: id.clone(), id, created_by, ..KeyRow::example() }).await;
    }
}

/// The answer, and after how many hundredths of a second it came. A timer may be a millisecond late.
async fn timed<T>(answer: impl Future<Output = T>) -> (T, u128) {
    let begun = Instant::now();
    let answer = answer.await;
    (answer, begun.elapsed().as_millis() / 10)
}

#[tokio::test(start_paused = true)]
async fn one_customer_takes_names_from_no_other() {
    let fake = Fake::default();
    let bench = Bench::with_rules(Rules { several_organizations: true, ..fake.rules() });
    let [acme, bolt] = ["acme", "bolt"].map(|id| bench.manager.for_organization(id.parse().unwrap()));
    for (letter, organization) in [("A", "acme"), ("B", "bolt")] {
        let (id, organization) = (letter.repeat(20), organization.into());
        bench.plant_row(KeyRow { lineage: id.clone(), id, organization, ..KeyRow::example() }).await;
    }
    fake.be(How::HangsFor("acme"));
    let read = async |manager: &KeyManager| {
        let (page, time) = timed(manager.list(ListKeys::all(), &system())).await;
        let page = page.unwrap();
        assert_eq!((page.keys.len(), page.names.is_complete()), (1, !page.names.is_empty()));
        (page.names.is_complete(), time)
    };
    assert_eq!((read(&acme).await, read(&bolt).await), ((false, 50), (true, 0)));
    // An answer for the other organization does not end the pause.
    assert_eq!((read(&acme).await, read(&bolt).await), ((false, 0), (true, 0)));
}

#[tokio::test(start_paused = true)]
async fn lists_that_hang_take_no_names_away() {
    let fake = Fake::that(How::HangsAtLists).with_teams([NamedTeam::new(team_id("t-1"))]);
    let bench = fake.bench();
    let olga = Actor::user(user_id("olga"), Rights::none().org_admin().team_keys_included());
    let choose = async || timed(bench.manager.teams_to_issue_for(&olga)).await;
    let (teams, time) = choose().await;
    assert_eq!((teams.unwrap(), time), (vec![], 50));
    let (teams, time) = choose().await;
    assert_eq!((teams.unwrap(), time, fake.asked_for_teams()), (vec![], 0, (1, 0)));
    assert!(!bench.manager.owner(&user("alice"), &system()).await.unwrap().names.is_empty());
}

/// A list of teams and the names of the teams share one time limit.
#[tokio::test(start_paused = true)]
async fn a_select_list_waits_half_a_second_in_all() {
    let fake = Fake::that(How::Takes(Duration::from_millis(300))).with_teams([NamedTeam::new(team_id("t-1"))]);
    let bench = fake.bench();
    let (teams, time) = timed(bench.manager.teams_to_issue_for(&system())).await;
    assert_eq!((teams.unwrap(), time), (vec![NamedTeam::new(team_id("t-1"))], 50));
    // The directory did not hang, so it is asked again.
    assert!(!bench.manager.owner(&user("alice"), &system()).await.unwrap().names.is_empty());
}

/// A page of many reads, each with other people.
#[tokio::test(start_paused = true)]
async fn a_page_waits_half_a_second_however_often_it_asks() {
    let fake = Fake::that(How::Takes(Duration::from_millis(200)));
    let bench = fake.bench();
    plant(&bench, 2_000).await;
    let query = InventoryQuery::all().flagged([KeyFlag::CreatorInactive]).limit(10);
    let (page, time) = timed(bench.manager.inventory(query, &system())).await;
    let page = page.unwrap();
    assert_eq!((page.entries.len(), page.next, page.names.is_complete(), time), (0, None, false, 50));
    // Two questions were answered, one was given up, and no time was left for the rest.
    assert_eq!(fake.questions().len(), 3);
    // A large page, which is several questions, also waits half a second.
    fake.be(How::Takes(Duration::from_millis(300)));
    let (page, time) = timed(bench.manager.list(ListKeys::all().limit(1_000), &system())).await;
    assert_eq!((page.unwrap().names.is_complete(), time, fake.questions().len()), (false, 50, 2));
}

#[tokio::test(start_paused = true)]
async fn a_summary_waits_half_a_second_for_each_five_thousand_keys() {
    let fake = Fake::that(How::Takes(Duration::from_millis(400)));
    let bench = fake.bench();
    plant(&bench, 5_500).await;
    let (summary, time) = timed(bench.manager.inventory_summary(InventoryQuery::all(), &system())).await;
    let summary = summary.unwrap();
    assert_eq!((summary.owners[0].live, summary.names.is_complete(), time), (5_500, false, 90));
    // For 5,000 keys, one answer came in time and one was given up. For the rest, one more came.
    assert_eq!(fake.questions().len(), 3);
    assert!(summary.names.of_owner(&team("engineering")).is_some());
    let (mut nowhere, system) = (std::io::sink(), system());
    let export = bench.manager.export_inventory(InventoryQuery::all(), ExportFormat::Csv, &mut nowhere, &system);
    let (export, time) = timed(export).await;
    assert_eq!((export.unwrap().names_complete, time), (true, 11 * 40));
}

/// However many reads it needs, unless the filter depends on leavers.
#[tokio::test]
async fn a_page_that_asks_for_nobody_who_left_is_one_question() {
    let fake = Fake::default();
    let bench = fake.bench();
    plant(&bench, 600).await;
    for number in [1, 2, 3] {
        let id = format!("Broken{number:014}");
        bench
            .plant_row(KeyRow { lineage: id.clone(), id, scopes: "\u{7f}".into(), created_at: 0, ..KeyRow::example() })
            .await;
    }
    let last = KeyRow {
        id: "Z".repeat(20),
        lineage: "Z".repeat(20),
        name: String::new(),
        created_by: "user:zoe".into(),
        ..KeyRow::example()
    };
    bench.plant_row(KeyRow { created_at: last.created_at + 1, ..last }).await;
    let page = bench.manager.inventory(InventoryQuery::all().limit(10), &system()).await.unwrap();
    assert_eq!((page.entries.len(), page.unreadable.len(), fake.questions().len()), (10, 3, 1));
    let unnamed = InventoryQuery::all().flagged([KeyFlag::Unnamed]).limit(10);
    let page = bench.manager.inventory(unnamed, &system()).await.unwrap();
    let questions = fake.questions();
    assert_eq!((page.entries.len(), questions.len()), (1, 1));
    // No other person has to be asked about.
    assert_eq!((&questions[0].users, &questions[0].teams), (&vec![user_id("zoe")], &vec![team_id("engineering")]));
}

/// If a piece needs more than one question, each row reports on its own people.
#[tokio::test(start_paused = true)]
async fn rows_of_an_export_tell_whom_nobody_answered_about() {
    let fake = Fake::that(How::Takes(Duration::from_millis(300)));
    let bench = fake.bench();
    for number in 0..400 {
        let id = format!("{number:020}");
        let row = KeyRow { lineage: id.clone(), id, owner: format!("t{number}"), ..KeyRow::example() };
        let [created_by, revoked_by] = ["a", "b"].map(|of| format!("user:{of}{number}"));
        let (revoked_at, revoked_by) = (Some(row.created_at + 1), Some(revoked_by));
        bench.plant_row(KeyRow { created_by, revoked_at, revoked_by, ..row }).await;
    }
    let mut text = Vec::new();
    let (query, format) = (InventoryQuery::all(), ExportFormat::Csv);
    let export = bench.manager.export_inventory(query, format, &mut text, &system()).await.unwrap();
    // All 800 people and half of the teams were in the first question.
    let text = String::from_utf8(text).unwrap();
    let rows = |complete: &str| text.lines().filter(|line| line.rsplit(',').nth(8) == Some(complete)).count();
    assert_eq!((export.keys, export.names_complete, rows("true"), rows("false")), (400, false, 200, 200));
    assert_eq!(text.matches(",false,~").count(), 400, "all who made a key were answered about");
}
