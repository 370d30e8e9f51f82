use std::io;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use serde_json::Value;

use super::{bench, call, id, row};
use crate::{
    Actor, Clock, IssueKey,
    manage::{
        DenialReason, ExportError, ExportFormat, InventoryColumn, InventoryQuery, KeyFlag, ManageError,
        ManageErrorKind, Rights,
        fixture::{Bench, person, system, team_id, user, user_id},
    },
    record::{KeyRow, Suspension},
    store::OwnerChange,
};

async fn exported(bench: &Bench, format: ExportFormat) -> String {
    let mut out = Vec::new();
    bench.manager.export_inventory(InventoryQuery::all(), format, &mut out, &system()).await.unwrap();
    String::from_utf8(out).unwrap()
}

/// The cells of a line with the names of their columns, without empty ones.
fn cells(table: &str, line: usize) -> Vec<(String, String)> {
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let names = reader.headers().unwrap().clone();
    let record = reader.records().nth(line).unwrap().unwrap();
    names.iter().zip(&record).filter(|(_, cell)| !cell.is_empty()).map(|(n, c)| (n.to_owned(), c.to_owned())).collect()
}

#[tokio::test]
async fn a_table_says_all_of_a_key() {
    let bench = bench();
    let dead = KeyRow {
        name: "=Monday, \"cron\"".into(),
        created_via_key: Some(id('M').to_string()),
        expires_at: Some(1_780_000_000_000),
        revoked_at: Some(1_775_000_000_000),
        revoked_by: Some("user:olga".into()),
        replaces: Some(id('Z').to_string()),
        ..row('A')
    };
    bench.plant_row(dead).await;
    bench.plant_row(KeyRow { replaces: Some(id('C').to_string()), ..row('B') }).await;
    bench.plant_row(row('C')).await;
    call(&bench, &id('A'), "success", "intake/acme", 190).await;
    call(&bench, &id('A'), "key_revoked", "intake/acme", 2).await;
    bench.change_owner(&user("alice"), OwnerChange::Suspend(Suspension::Admin)).await;
    let table = exported(&bench, ExportFormat::Csv).await;
    let expected = [
        ("id", "AAAAAAAAAAAAAAAAAAAA"),
        ("kind", "team"),
        ("owner", "engineering"),
        ("name", "'=Monday, \"cron\""),
        ("state", "revoked"),
        ("owner_status", "active"),
        ("flags", "tried_since_death"),
        ("created_at", "2026-03-01T12:00:00Z"),
        ("age_days", "200"),
        ("created_by", "user:alice"),
        ("creator_status", "suspended"),
        ("created_via_key", "MMMMMMMMMMMMMMMMMMMM"),
        ("last_success_at", "2026-03-11T12:00:00Z"),
        ("successes", "1"),
        ("last_failure_at", "2026-09-15T12:00:00Z"),
        ("failures", "1"),
        ("attempts_since_death", "1"),
        ("last_attempt_since_death_at", "2026-09-15T12:00:00Z"),
        ("sources", "[\"intake/acme\"]"),
        ("labels", "{\"ticket\":\"OPS-1234\"}"),
        ("scopes", "*"),
        ("expires_at", "2026-05-28T20:26:40Z"),
        ("revoked_at", "2026-03-31T23:33:20Z"),
        ("revoked_by", "user:olga"),
        ("replaces", "ZZZZZZZZZZZZZZZZZZZZ"),
        ("version", "1"),
        ("organization", "default"),
        ("asked_at", "2026-09-17T12:00:00Z"),
        ("names_complete", "true"),
        ("lineage", "AAAAAAAAAAAAAAAAAAAA"),
        ("rotated_at", "2026-03-01T12:00:00Z"),
        ("known_beforehand", "false"),
    ];
    assert_eq!(cells(&table, 0), expected.map(|(name, cell)| (name.to_owned(), cell.to_owned())));
    let successor = ("successor".to_owned(), id('B').to_string());
    assert!(cells(&table, 2).contains(&successor) && !cells(&table, 1).contains(&successor));
    let flags = "creator_inactive never_used rotation_unfinished".to_owned();
    assert!(cells(&table, 2).contains(&("flags".to_owned(), flags)));
}

#[tokio::test]
async fn a_line_of_json_is_an_entry_with_names() {
    let bench = bench();
    bench.plant_row(row('A')).await;
    let lines = exported(&bench, ExportFormat::JsonLines).await;
    let page = bench.manager.inventory(InventoryQuery::all(), &system()).await.unwrap();
    let entry = serde_json::to_string(&page.entries[0]).unwrap();
    let names = serde_json::to_string(&page.names).unwrap();
    assert_eq!(lines, format!("{},\"names\":{names}}}\n", entry.strip_suffix('}').unwrap()));
    let entry: Value = serde_json::from_str(&lines).unwrap();
    assert_eq!((&entry["flags"][0]["flag"], &entry["key"]["name"]), (&"never_used".into(), &"CI pipeline".into()));
    assert_eq!(entry["asked_at"], bench.clock.now().to_string());
}

#[tokio::test]
async fn states_are_live_revoked_or_expired_whichever_came_first() {
    let bench = bench();
    let (early, late) = (Some(1_773_000_000_000), Some(1_774_000_000_000));
    for (letter, revoked_at, expires_at) in [
        ('A', None, None),
        ('B', early, None),
        ('C', None, early),
        ('D', early, late),
        ('E', late, early),
        ('F', None, Some(1_900_000_000_000)),
        ('G', early, Some(1_900_000_000_000)),
    ] {
        bench.plant_row(KeyRow { revoked_at, expires_at, ..row(letter) }).await;
    }
    let table = exported(&bench, ExportFormat::Csv).await;
    let states: Vec<String> = (0..7).map(|line| cells(&table, line)[4].1.clone()).collect();
    assert_eq!(states, ["live", "revoked", "expired", "revoked", "expired", "live", "revoked"]);
}

#[tokio::test]
async fn an_empty_export_has_its_names_only() {
    let bench = bench();
    assert_eq!(exported(&bench, ExportFormat::Csv).await.lines().count(), 1);
    assert_eq!(exported(&bench, ExportFormat::JsonLines).await, "");
}

#[tokio::test]
async fn an_export_is_all_pages_whatever_the_limit() {
    let bench = bench();
    for number in 0..1_203 {
        bench.plant_row(KeyRow { id: format!("{number:020}"), ..row('A') }).await;
    }
    bench.plant_row(KeyRow { id: "zz".repeat(10), hash: "broken".into(), ..row('A') }).await;
    let query = InventoryQuery::all().limit(7).flagged([KeyFlag::NeverUsed]);
    for (format, more) in [(ExportFormat::Csv, 1), (ExportFormat::JsonLines, 0)] {
        let mut out = Vec::new();
        let told = bench.manager.export_inventory(query.clone(), format, &mut out, &system()).await.unwrap();
        assert_eq!((told.keys, told.unreadable), (1_203, 1));
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), 1_203 + more);
    }
}

#[tokio::test]
async fn no_hash_tag_or_secret_is_in_an_export() {
    let bench = bench();
    let issued = bench.manager.issue(IssueKey::team(team_id("blue")).named("CI pipeline"), &system()).await.unwrap();
    let row = bench.row(&issued.info().id).await;
    let text = issued.plaintext().expose_secret();
    let hash: Vec<&str> = row.hash.rsplit('$').take(2).collect();
    let tag: String = row.tag.iter().map(|byte| format!("{byte:02x}")).collect();
    for format in [ExportFormat::Csv, ExportFormat::JsonLines] {
        let out = exported(&bench, format).await;
        assert!(out.contains(issued.info().id.as_str()));
        // Every run of eight characters of the secret, its hash and its salt.
        for secret in [&text[26..], hash[0], hash[1]] {
            for piece in secret.as_bytes().windows(8) {
                assert!(!out.contains(std::str::from_utf8(piece).unwrap()), "{format:?}");
            }
        }
        assert!(!out.contains("argon2") && !out.contains("hash\"") && !out.to_lowercase().contains(&tag), "{format:?}");
    }
    assert!(!InventoryColumn::ALL.iter().any(|column| ["hash", "tag", "pepper"].contains(&column.as_str())));
}

/// A writer that accepts some bytes and then fails.
struct Full(usize);

impl io::Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_writer_that_is_full_ends_the_export() {
    let bench = bench();
    bench.plant_row(row('A')).await;
    for room in [0, 10, 500] {
        let (query, mut full) = (InventoryQuery::all(), Full(room));
        match bench.manager.export_inventory(query, ExportFormat::Csv, &mut full, &system()).await {
            Err(ExportError::Write(error)) => assert_eq!(error.kind(), io::ErrorKind::StorageFull),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn any_writer_will_do() {
    let bench = bench();
    let mut out = Vec::new();
    let writer: &mut (dyn io::Write + Send) = &mut out;
    bench.manager.export_inventory(InventoryQuery::all(), ExportFormat::Csv, writer, &system()).await.unwrap();
    assert!(!out.is_empty());
}

const FORMATS: [ExportFormat; 2] = [ExportFormat::Csv, ExportFormat::JsonLines];

/// The pieces of a stream, and the error that ended it, if any.
async fn pieces(bench: &Bench, format: ExportFormat, actor: &Actor) -> (Vec<Bytes>, Option<ManageErrorKind>) {
    let all: Vec<_> = bench.manager.inventory_pieces(InventoryQuery::all(), format, actor).collect().await;
    let errors: Vec<_> = all.iter().filter_map(|piece| piece.as_ref().err().map(ManageError::kind)).collect();
    assert!(errors.len() <= 1 && all.iter().rev().skip(1).all(Result::is_ok), "an error is the last item");
    (all.into_iter().filter_map(Result::ok).collect(), errors.first().copied())
}

#[tokio::test]
async fn pieces_are_the_text_that_a_writer_gets_500_keys_each() {
    let bench = bench();
    for number in 0..1_203 {
        for format in FORMATS.into_iter().filter(|_| [0, 1, 499, 500, 501, 1_000, 1_001].contains(&number)) {
            let (pieces, error) = pieces(&bench, format, &system()).await;
            assert_eq!(
                (pieces.len(), error),
                ((number / 500_usize) + usize::from(number % 500 > 0 || number == 0), None)
            );
            assert_eq!(pieces.concat(), exported(&bench, format).await.into_bytes(), "{number} {format:?}");
        }
        bench.plant_row(KeyRow { id: format!("{number:020}"), ..row('A') }).await;
    }
}

#[tokio::test]
async fn nothing_is_read_before_it_is_asked_for() {
    let bench = bench();
    for number in 0..1_203 {
        bench.plant_row(KeyRow { id: format!("{number:020}"), ..row('A') }).await;
    }
    // Each page is two reads: the keys, and their usage.
    let reads = || bench.store.reads() / 2;
    let before = reads();
    let mut pieces = Box::pin(bench.manager.inventory_pieces(InventoryQuery::all(), ExportFormat::Csv, &system()));
    assert_eq!(reads(), before);
    for asked in 1..=3 {
        pieces.try_next().await.unwrap().unwrap();
        assert_eq!(reads(), before + asked);
    }
    assert!(pieces.next().await.is_none() && reads() == before + 3);
}

#[tokio::test]
async fn an_export_that_breaks_off_ends_with_an_error_and_without_the_end_of_a_line() {
    for format in FORMATS {
        for whole in 0..3 {
            let bench = bench();
            for number in 0..1_203 {
                bench.plant_row(KeyRow { id: format!("{number:020}"), ..row('A') }).await;
            }
            let mut pieces = Box::pin(bench.manager.inventory_pieces(InventoryQuery::all(), format, &system()));
            let mut text = Vec::new();
            for _ in 0..whole {
                text.extend(pieces.try_next().await.unwrap().unwrap());
            }
            bench.store.fail_lists();
            assert_eq!(pieces.next().await.unwrap().unwrap_err().kind(), ManageErrorKind::CorruptRecord);
            assert!(pieces.next().await.is_none(), "nothing comes behind an error");
            assert!(!text.ends_with(b"\n") && !text.ends_with(b"\r"), "{format:?} {whole}");
            // Each line in the text is complete.
            let lines = String::from_utf8(text).unwrap().lines().count();
            assert_eq!(lines, whole * 500 + usize::from(format == ExportFormat::Csv && whole > 0));
        }
    }
}

#[tokio::test]
async fn an_actor_that_may_no_longer_act_gets_no_more_pieces() {
    let bench = bench();
    for number in 0..501 {
        bench.plant_row(KeyRow { id: format!("{number:020}"), ..row('A') }).await;
    }
    let root = Actor::user(user_id("root"), Rights::none().org_admin());
    let mut pieces = Box::pin(bench.manager.inventory_pieces(InventoryQuery::all(), ExportFormat::Csv, &root));
    assert!(pieces.next().await.unwrap().is_ok());
    bench.change_owner(&user("root"), OwnerChange::Suspend(Suspension::Admin)).await;
    let denied = ManageErrorKind::Denied(DenialReason::ActorSuspended.into());
    assert_eq!(pieces.next().await.unwrap().unwrap_err().kind(), denied);
    // For an actor without rights the first item is the error, without a read of keys.
    let eve = InventoryQuery::of(user("alice"));
    let first = bench.manager.inventory_pieces(eve, ExportFormat::Csv, &person("eve"));
    assert_eq!(Box::pin(first).next().await.unwrap().unwrap_err().kind(), ManageErrorKind::NotFound);
}

#[tokio::test]
async fn an_export_that_is_dropped_half_way_reads_no_more() {
    let bench = bench();
    bench.plant_row(row('A')).await;
    let pieces = bench.manager.inventory_pieces(InventoryQuery::all(), ExportFormat::JsonLines, &system());
    let mut pieces = Box::pin(pieces);
    drop(pieces.next().now_or_never());
    drop(pieces);
    assert_eq!(exported(&bench, ExportFormat::JsonLines).await.lines().count(), 1);
}
