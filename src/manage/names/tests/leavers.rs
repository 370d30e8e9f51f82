//! People who have left, without a change in the store.

use super::fake::{Fake, How, called};
use crate::{
    IssueKey, Owner, Suspension,
    manage::{
        ExportFormat, InventoryQuery, KeyFlag, NoteKind, Severity,
        fixture::{Bench, system, team, user, user_id},
    },
    record::KeyRow,
    store::OwnerChange,
};

fn row(letter: char) -> KeyRow {
    let id = letter.to_string().repeat(20);
    KeyRow { lineage: id.clone(), id, name: "CI pipeline".into(), ..KeyRow::example() }
}

/// Keys that alice created: for a team, for herself, for bob, and a dead one. Also one by bob, one by a key, and one by
/// the system.
async fn planted(fake: &Fake) -> Bench {
    let bench = fake.bench();
    let personal = |letter, owner: &str| KeyRow { kind: "user".into(), owner: owner.into(), ..row(letter) };
    let by = |letter, created_by: &str| KeyRow { created_by: created_by.into(), ..row(letter) };
    for row in [
        row('A'),
        personal('B', "alice"),
        personal('C', "bob"),
        KeyRow { revoked_at: Some(1_772_366_400_000), revoked_by: Some("user:alice".into()), ..row('D') },
        by('E', "user:bob"),
        by('F', "key:AAAAAAAAAAAAAAAAAAAA"),
        by('G', "system:alice"),
    ] {
        bench.plant_row(row).await;
    }
    bench
}

/// The keys and their flags, in one line.
async fn flagged(bench: &Bench, query: InventoryQuery) -> String {
    let page = bench.manager.inventory(query, &system()).await.unwrap();
    let about = [KeyFlag::CreatorInactive, KeyFlag::OwnerInactive, KeyFlag::OwnerLeft, KeyFlag::OwnerUnknown];
    let lines = page.entries.iter().map(|entry| {
        let flags: Vec<_> = entry.flags.iter().filter(|flag| about.contains(flag)).map(|flag| flag.as_str()).collect();
        format!("{}:{}", &entry.key.id.as_str()[..1], flags.join("+"))
    });
    lines.collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn keys_of_a_leaver_are_flagged_though_nobody_closed_them() {
    let fake = Fake::default().without("alice");
    let bench = planted(&fake).await;
    let expected = "A:creator_inactive B:owner_left C:creator_inactive D: E: F: G:";
    assert_eq!(flagged(&bench, InventoryQuery::all()).await, expected);
    let without = planted(&Fake::default()).await;
    assert_eq!(flagged(&without, InventoryQuery::all()).await, "A: B: C: D: E: F: G:");
}

#[tokio::test]
async fn a_leaver_who_was_suspended_or_closed_is_told_of_once() {
    for (change, of_own) in [
        (OwnerChange::Suspend(Suspension::Admin), "owner_inactive"),
        (OwnerChange::Suspend(Suspension::Plan), "owner_inactive"),
        (OwnerChange::Close, "owner_inactive"),
    ] {
        for fake in [Fake::default().without("alice"), Fake::default()] {
            let bench = planted(&fake).await;
            bench.change_owner(&user("alice"), change).await;
            let expected = format!("A:creator_inactive B:{of_own} C:creator_inactive D: E: F: G:");
            assert_eq!(flagged(&bench, InventoryQuery::all()).await, expected, "{change:?}");
        }
    }
}

#[tokio::test]
async fn keys_of_an_owner_whom_the_directory_does_not_know_are_flagged() {
    let fake = Fake::default().not_knowing("bob").not_knowing("engineering");
    let bench = planted(&fake).await;
    let unknown = "owner_unknown";
    let expected = format!("A:{unknown} B: C:{unknown} D: E:{unknown} F:{unknown} G:{unknown}");
    assert_eq!(flagged(&bench, InventoryQuery::all()).await, expected);
    let asked = InventoryQuery::all().flagged([KeyFlag::OwnerUnknown]);
    assert_eq!(flagged(&bench, asked.clone()).await, expected.replace("B: ", "").replace("D: ", ""));
    // An owner that is already stopped gets only that flag.
    bench.change_owner(&user("bob"), OwnerChange::Suspend(Suspension::Admin)).await;
    bench.change_owner(&team("engineering"), OwnerChange::Close).await;
    assert_eq!(flagged(&bench, asked.clone()).await, "");
    assert_eq!(flagged(&bench, InventoryQuery::of(user("bob"))).await, "C:owner_inactive");
    // No answer is not the same as unknown.
    let bench = planted(&fake).await;
    fake.be(How::Fails);
    assert_eq!(flagged(&bench, InventoryQuery::all()).await, "A: B: C: D: E: F: G:");
    assert_eq!(flagged(&bench, asked).await, "");
}

/// The key is accepted, with a note why that needs attention.
#[tokio::test]
async fn an_explanation_says_that_the_directory_does_not_have_the_owner() {
    let fake = Fake::default().without("alice").not_knowing("bob").not_knowing("engineering");
    let bench = planted(&fake).await;
    let notes = async |letter: char| {
        let id = letter.to_string().repeat(20).parse().unwrap();
        let explanation = bench.manager.explain(&id, &system()).await.unwrap();
        for note in &explanation.notes {
            assert!(explanation.to_string().contains(&note.to_string()), "{explanation}");
        }
        explanation.notes.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let alice = called("alice");
    let left = format!("{alice} has left, but the account is not closed, so its keys still work. Close the account.");
    let unknown = |kind, id| {
        format!(
            "The {kind} {id} is missing in the directory of users and teams, but is not closed, so its keys still work. \
             If the {kind} no longer exists, close it."
        )
    };
    assert_eq!(notes('B').await, [left]);
    let made_by = format!(
        "{alice} created it for bob and has seen the full key. bob can rotate it to get a key that {alice} has not seen."
    );
    assert_eq!(notes('C').await, [made_by, unknown("user", "bob")]);
    assert_eq!(notes('A').await, [unknown("team", "engineering")]);
    // A dead key is refused in any case, so it has no note.
    assert_eq!(notes('D').await, [""; 0]);
    fake.be(How::Fails);
    assert_eq!(notes('B').await, [""; 0]);
    fake.be(How::Answers);
    bench.change_owner(&user("alice"), OwnerChange::Close).await;
    assert_eq!(notes('B').await, [""; 0]);
}

#[tokio::test]
async fn a_preview_warns_of_a_key_for_an_unknown_owner() {
    let fake = Fake::default().not_knowing("alice").not_knowing("engineering");
    let bench = planted(&fake).await;
    for (owner, who) in
        [(user("alice"), Some("user alice")), (team("engineering"), Some("team engineering")), (user("bob"), None)]
    {
        let preview = bench.manager.preview(&IssueKey::of(owner), &system()).await.unwrap();
        let notes = preview.notes.iter().filter(|note| note.kind == NoteKind::OwnerUnknown);
        let said: Vec<_> = notes.map(|note| (note.severity, note.to_string())).collect();
        let says = |who: &str| {
            let (kind, _) = who.split_once(' ').unwrap();
            format!(
                "The {who} is missing in the directory of users and teams, but is not closed, so its keys still work. If \
                 the {kind} no longer exists, close it."
            )
        };
        assert_eq!(said, who.map(|who| (Severity::Warning, says(who))).into_iter().collect::<Vec<_>>());
        assert!(preview.can_be_issued(), "the system may");
    }
}

#[tokio::test]
async fn a_team_of_the_same_id_has_not_left() {
    let fake = Fake::default().without("engineering");
    let bench = planted(&fake).await;
    assert_eq!(flagged(&bench, InventoryQuery::of(team("engineering"))).await, "A: D: E: F: G:");
}

#[tokio::test]
async fn filter_summary_and_pages_agree() {
    let fake = Fake::default().without("alice").without("bob");
    let bench = planted(&fake).await;
    fake.questions();
    let by = |flag| InventoryQuery::all().flagged([flag]);
    assert_eq!(
        flagged(&bench, by(KeyFlag::CreatorInactive)).await,
        "A:creator_inactive C:creator_inactive+owner_left E:creator_inactive"
    );
    assert_eq!(fake.questions().len(), 1, "one question, whatever the filter");
    assert_eq!(flagged(&bench, by(KeyFlag::OwnerLeft)).await, "B:owner_left C:creator_inactive+owner_left");
    // The pages add up to the same result.
    let mut paged = Vec::new();
    let mut query = by(KeyFlag::CreatorInactive).limit(1);
    loop {
        let page = bench.manager.inventory(query, &system()).await.unwrap();
        paged.extend(page.entries.iter().map(|entry| entry.key.id.as_str()[..1].to_owned()));
        let Some(next) = page.next else { break };
        query = by(KeyFlag::CreatorInactive).limit(1).after(next);
    }
    assert_eq!(paged.concat(), "ACE");
    for query in [InventoryQuery::all(), by(KeyFlag::CreatorInactive), by(KeyFlag::OwnerLeft)] {
        let entries = bench.manager.inventory(query.clone(), &system()).await.unwrap().entries;
        let summary = bench.manager.inventory_summary(query, &system()).await.unwrap();
        for flag in KeyFlag::ALL {
            for owner in &summary.owners {
                let of_owner = entries.iter().filter(|entry| entry.key.owner == owner.owner);
                let expected = of_owner.filter(|entry| entry.flags.contains(&flag)).count() as u64;
                assert_eq!(owner.flagged(flag), expected, "{flag} of {}", owner.owner);
            }
        }
        let named: Vec<_> = summary.owners.iter().map(|of| summary.names.of_owner(&of.owner).is_some()).collect();
        assert!(!named.is_empty() && named.iter().all(|named| *named), "{summary:?}");
    }
}

#[tokio::test]
async fn a_page_that_reads_often_asks_about_each_person_once() {
    let fake = Fake::default().without("zoe");
    let bench = fake.bench();
    for number in 0..300 {
        let id = format!("{number:020}");
        bench.plant_row(KeyRow { lineage: id.clone(), id, ..KeyRow::example() }).await;
    }
    let last = KeyRow { created_by: "user:zoe".into(), created_at: 1_772_366_500_000, ..row('Z') };
    bench.plant_row(last).await;
    let query = InventoryQuery::all().flagged([KeyFlag::CreatorInactive]).limit(10);
    let page = bench.manager.inventory(query, &system()).await.unwrap();
    assert_eq!(page.entries.len(), 1);
    let asked: Vec<_> = fake.questions().into_iter().map(|asked| (asked.users, asked.teams.len())).collect();
    assert_eq!(asked, [(vec![user_id("alice")], 1), (vec![user_id("zoe")], 0)]);
    // Names of skipped keys are not returned.
    assert!(page.names.of_user(&user_id("alice")).is_none() && page.names.has_left(&user_id("zoe")));
}

#[tokio::test]
async fn an_export_says_names_and_who_has_left() {
    let fake = Fake::default().without("alice");
    let bench = planted(&fake).await;
    let exported = async |format| {
        let mut text = Vec::new();
        bench.manager.export_inventory(InventoryQuery::all(), format, &mut text, &system()).await.unwrap();
        text
    };
    let table = exported(ExportFormat::Csv).await;
    let mut reader = csv::Reader::from_reader(&*table);
    let head = reader.headers().unwrap().clone();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    let cell = |row: usize, name: &str| rows[row][head.iter().position(|column| column == name).unwrap()].to_owned();
    assert_eq!(cell(0, "owner_name"), called("engineering"));
    assert_eq!((cell(0, "created_by_name"), cell(0, "creator_left")), (called("alice"), "true".into()));
    assert_eq!(cell(0, "flags"), "creator_inactive");
    assert_eq!((cell(3, "revoked_by_name"), cell(0, "revoked_by_name")), (called("alice"), String::new()));
    assert_eq!((cell(4, "created_by_name"), cell(4, "creator_left")), (called("bob"), "false".into()));
    assert_eq!((cell(6, "created_by_name"), cell(6, "creator_left")), (String::new(), String::new()));

    let lines = String::from_utf8(exported(ExportFormat::JsonLines).await).unwrap();
    let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        lines[0]["names"],
        serde_json::json!({
            "users": {"alice": {"name": called("alice"), "left": true, "unknown": false}},
            "teams": {"engineering": {"name": called("engineering"), "unknown": false}},
            "complete": true,
        })
    );
    assert_eq!(lines[2]["names"]["users"].as_object().unwrap().len(), 2);

    fake.be(How::Fails);
    let table = String::from_utf8(exported(ExportFormat::Csv).await).unwrap();
    assert!(!table.contains('~') && !table.contains("creator_inactive") && !table.contains("true"), "{table}");
}

#[tokio::test]
async fn a_blast_radius_says_that_a_leaver_was_not_closed() {
    let fake = Fake::default().without("alice").without("zoe");
    let bench = planted(&fake).await;
    let radius = async || bench.manager.blast_radius(&user_id("alice"), &system()).await.unwrap();
    let alice = called("alice");
    let goes_on = format!("2 keys that {alice} created for others are not affected and keep working.");
    assert_eq!(
        radius().await.to_string(),
        format!(
            "{alice} has left, but the account is not closed, so 1 personal key still works. Of these, 0 were used in the \
             last 30 days, and 0 seem to be used by services or other people. {goes_on}"
        )
    );
    let zoe = called("zoe");
    assert_eq!(
        bench.manager.blast_radius(&user_id("zoe"), &system()).await.unwrap().to_string(),
        format!("{zoe} has left and has no active personal key. {zoe} created no keys for others that keep working.")
    );
    bench.change_owner(&user("alice"), OwnerChange::Suspend(Suspension::Admin)).await;
    let refused = format!(
        "{alice} has left, and the account is suspended or closed, so 1 personal key no longer works. {goes_on}"
    );
    assert_eq!(radius().await.to_string(), refused);
    bench.change_owner(&user("alice"), OwnerChange::Close).await;
    assert_eq!(radius().await.to_string(), refused);
    assert!(radius().await.names.has_left(&user_id("alice")));
    // If the directory does not answer, the person may still leave one day.
    fake.be(How::Fails);
    let unknown = radius().await;
    assert!(!unknown.names.is_complete() && unknown.to_string().starts_with("If alice leaves, 1 personal key stops"));
}

#[tokio::test]
async fn an_exposure_of_a_leaver_does_not_wait_for_the_day() {
    let said = async |fake: &Fake| {
        let bench = planted(fake).await;
        bench.manager.exposure(&user_id("alice"), &system()).await.unwrap().to_string()
    };
    let alice = called("alice");
    assert_eq!(
        said(&Fake::default().without("alice")).await,
        format!("{alice} has left and has seen 3 active keys in full. Rotate or revoke them.")
    );
    assert_eq!(
        said(&Fake::default()).await,
        format!("{alice} has seen 3 active keys in full. When {alice} leaves, rotate or revoke them.")
    );
}

#[tokio::test]
async fn a_preview_warns_of_a_key_for_a_leaver() {
    let fake = Fake::default().without("alice").without("engineering");
    let bench = planted(&fake).await;
    let note = async |owner: Owner| {
        let preview = bench.manager.preview(&IssueKey::of(owner), &system()).await.unwrap();
        let note = preview.notes.iter().find(|note| note.kind == NoteKind::OwnerLeft);
        (preview.can_be_issued(), note.map(|note| (note.severity, note.to_string())))
    };
    let said = format!(
        "{} has left, but the account is not closed, so its keys still work. Close the account.",
        called("alice")
    );
    assert_eq!(note(user("alice")).await, (true, Some((Severity::Warning, said))));
    for other in [user("bob"), team("engineering")] {
        assert_eq!(note(other).await, (true, None));
    }
    // The reason why no key can be issued comes instead.
    bench.change_owner(&user("alice"), OwnerChange::Suspend(Suspension::Plan)).await;
    assert_eq!(note(user("alice")).await, (false, None));
    bench.change_owner(&user("alice"), OwnerChange::Close).await;
    assert_eq!(note(user("alice")).await, (false, None));
}

/// An incomplete list of leavers is not taken for complete.
#[tokio::test]
async fn an_inventory_says_that_the_directory_did_not_say_who_has_left() {
    let fake = Fake::default().without("alice");
    let bench = planted(&fake).await;
    let left = || InventoryQuery::all().flagged([KeyFlag::CreatorInactive, KeyFlag::OwnerLeft]);
    let told = async |query: InventoryQuery| {
        let page = bench.manager.inventory(query.clone(), &system()).await.unwrap();
        let summary = bench.manager.inventory_summary(query.clone(), &system()).await.unwrap();
        let mut text = Vec::new();
        let export = bench.manager.export_inventory(query, ExportFormat::Csv, &mut text, &system()).await.unwrap();
        let text = String::from_utf8(text).unwrap();
        let flagged = page.entries.iter().filter(|entry| !entry.flags.is_empty()).count();
        assert_eq!(page.entries.len() as u64, export.keys);
        let complete = [page.names.is_complete(), summary.names.is_complete(), export.names_complete];
        (
            page.entries.len(),
            flagged,
            complete,
            text.lines().filter(|line| line.rsplit(',').nth(8) == Some("false")).count(),
        )
    };
    assert_eq!(told(InventoryQuery::all()).await, (7, 3, [true; 3], 0));
    assert_eq!(told(left()).await, (3, 3, [true; 3], 0));
    fake.be(How::Fails);
    assert_eq!(told(InventoryQuery::all()).await, (7, 0, [false; 3], 7));
    assert_eq!(told(left()).await, (0, 0, [false; 3], 0));
    // A key without a person to ask about is complete, even if the page is not.
    let lines = async |query: InventoryQuery| {
        let mut text = Vec::new();
        let format = ExportFormat::JsonLines;
        bench.manager.export_inventory(query, format, &mut text, &system()).await.unwrap();
        let lines = String::from_utf8(text).unwrap();
        lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()).collect::<Vec<_>>()
    };
    assert!(lines(InventoryQuery::all()).await.iter().all(|line| line["names"]["complete"] == false));
    // Without a directory, no name is missing.
    let bench = Bench::new();
    bench.plant_row(row('A')).await;
    let page = bench.manager.inventory(left(), &system()).await.unwrap();
    assert!(page.entries.is_empty() && page.names.is_complete());
    let mut text = Vec::new();
    let format = ExportFormat::Csv;
    let export = bench.manager.export_inventory(InventoryQuery::all(), format, &mut text, &system()).await.unwrap();
    // Whether the owner has left is unknown, which is not the same as "no".
    assert!(
        export.names_complete
            && String::from_utf8(text).unwrap().ends_with(",,,,,true,,,,,AAAAAAAAAAAAAAAAAAAA,,false,\r\n")
    );
}

/// Ids without an answer are asked about again. The sums stay those of an incomplete answer.
#[tokio::test]
async fn a_summary_asks_again_about_those_it_was_not_told_of() {
    let fake = Fake::default().without("alice");
    let bench = fake.bench();
    for number in 0..1_100 {
        let id = format!("{number:020}");
        bench.plant_row(KeyRow { lineage: id.clone(), id, ..KeyRow::example() }).await;
    }
    let summary = async || bench.manager.inventory_summary(InventoryQuery::all(), &system()).await.unwrap();
    fake.be(How::FailsOnce);
    let late = summary().await;
    assert_eq!((late.owners[0].flagged(KeyFlag::CreatorInactive), late.names.is_complete()), (100, false));
    assert_eq!(late.names.of_owner(&team("engineering")).map(str::to_owned), Some(called("engineering")));
    assert_eq!(fake.questions().len(), 2);
    let whole = summary().await;
    assert_eq!((whole.owners[0].flagged(KeyFlag::CreatorInactive), whole.names.is_complete()), (1_100, true));
    assert_eq!(fake.questions().len(), 1);
}
