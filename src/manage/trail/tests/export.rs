use futures_util::{StreamExt, TryStreamExt};

use crate::{
    Actor, Owner,
    audit::{Action, EventRow},
    key::KeyId,
    manage::{
        AuditQuery, ExportError, ExportFormat, InventoryQuery, ListKeys, ManageError, ManageErrorKind, Rights,
        TeamRole, TrailColumn,
        fixture::{Bench, Fault, person, system, team, team_id, user, user_id},
    },
    store::Ledger,
};

const BLUE: &str = "BBBBBBBBBBBBBBBBBBBB";
const RED: &str = "RRRRRRRRRRRRRRRRRRRR";

fn olga() -> Actor {
    Actor::user(user_id("olga"), Rights::none().org_admin())
}

fn auditor() -> Actor {
    Actor::user(user_id("ada"), Rights::none().auditor())
}

fn admin_of_blue() -> Actor {
    Actor::user(user_id("adam"), Rights::none().team(team_id("blue"), TeamRole::Admin))
}

async fn bench() -> Bench {
    let bench = Bench::new();
    bench.plant(BLUE, &team("blue"), "*").await;
    bench.plant(RED, &team("red"), "*").await;
    bench
}

/// The answer for an actor, and the exported text.
async fn exported(bench: &Bench, query: AuditQuery, format: ExportFormat, actor: &Actor) -> (u64, String) {
    let mut out = Vec::new();
    let told = bench.manager.export_trail(query, format, &mut out, actor).await.unwrap();
    assert!(told.names_complete);
    (told.events, String::from_utf8(out).unwrap())
}

/// The export events: the action, and the owner.
async fn told(bench: &Bench) -> Vec<(String, String)> {
    let is_export = |event: &EventRow| event.action.ends_with(".exported");
    let said = |event: EventRow| (event.action, format!("{} {}", event.owner_kind, event.owner));
    bench.events().await.into_iter().filter(is_export).map(said).collect()
}

#[tokio::test]
async fn a_line_of_json_is_an_entry_with_names_and_the_last_is_the_export_itself() {
    let bench = bench().await;
    bench.manager.rename(&KeyId::new(BLUE).unwrap(), "CI", &olga()).await.unwrap();
    let query = || AuditQuery::all().oldest_first();
    let (events, lines) = exported(&bench, query(), ExportFormat::JsonLines, &olga()).await;
    let page = bench.manager.events(query(), &olga()).await.unwrap();
    assert_eq!((events, page.entries.len()), (4, 4));
    for (line, entry) in lines.lines().zip(&page.entries) {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        let names = line.as_object_mut().unwrap().remove("names").unwrap();
        assert_eq!(line, serde_json::to_value(entry).unwrap());
        assert_eq!(names["complete"], true);
    }
    let last = page.entries[3].event.clone();
    assert_eq!(
        (last.action, last.after.as_deref()),
        (Action::TRAIL_EXPORTED, Some(r#"{"attempts":false,"format":"jsonl"}"#))
    );
}

#[tokio::test]
async fn a_table_has_these_columns_and_no_formulas() {
    let bench = bench().await;
    bench.manager.rename(&KeyId::new(BLUE).unwrap(), "=1+1", &olga()).await.unwrap();
    let query = AuditQuery::all().action(Action::KEY_RENAMED);
    let (events, table) = exported(&bench, query, ExportFormat::Csv, &olga()).await;
    assert_eq!(events, 1);
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let names = reader.headers().unwrap().iter().collect::<Vec<_>>().join(",");
    assert_eq!(
        names,
        "sequence,at,actor,action,subject,key,owner_kind,owner,before,after,source,audience,acting_key,\
         on_behalf_of_kind,on_behalf_of,organization,actor_name,owner_name,on_behalf_of_name,names_complete"
    );
    let row = reader.records().next().unwrap().unwrap();
    let cell = |column: TrailColumn| &row[TrailColumn::ALL.iter().position(|one| *one == column).unwrap()];
    assert_eq!((cell(TrailColumn::After), cell(TrailColumn::Actor)), ("'=1+1", "user:olga"));
    assert_eq!((cell(TrailColumn::Key), cell(TrailColumn::Owner), cell(TrailColumn::Subject)), (BLUE, "blue", "key"));
    assert_eq!((cell(TrailColumn::ActingKey), cell(TrailColumn::NamesComplete)), ("", "true"));
}

#[tokio::test]
async fn what_the_trail_cannot_be_told_of_is_not_exported() {
    for fault in [Fault::Unavailable, Fault::Refused] {
        let bench = bench().await;
        let fail = || bench.store.append_faults.lock().unwrap().push_back(fault);
        let before = bench.all().await;
        let mut out = Vec::new();
        let is_read = |error: ExportError| matches!(error, ExportError::Read(_));
        fail();
        let error = bench.manager.export_trail(AuditQuery::all(), ExportFormat::Csv, &mut out, &olga()).await;
        assert!(is_read(error.unwrap_err()));
        fail();
        let error = bench.manager.export_inventory(InventoryQuery::all(), ExportFormat::Csv, &mut out, &olga()).await;
        assert!(is_read(error.unwrap_err()));
        fail();
        let pieces: Vec<_> = bench.manager.trail_pieces(AuditQuery::all(), ExportFormat::Csv, &olga()).collect().await;
        assert!(matches!(pieces.as_slice(), [Err(_)]));
        fail();
        let pieces: Vec<_> =
            bench.manager.inventory_pieces(InventoryQuery::all(), ExportFormat::Csv, &olga()).collect().await;
        assert!(matches!(pieces.as_slice(), [Err(_)]));
        assert!(out.is_empty());
        assert_eq!(bench.all().await, before);
        assert!(bench.store.append_faults.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_export_stands_with_everybody_whom_it_is_about() {
    let bench = bench().await;
    let inventory = async |query: InventoryQuery, actor: &Actor| {
        bench.manager.export_inventory(query, ExportFormat::Csv, &mut Vec::new(), actor).await.unwrap();
    };
    inventory(InventoryQuery::all(), &auditor()).await;
    inventory(InventoryQuery::all(), &admin_of_blue()).await;
    inventory(InventoryQuery::of(team_id("blue")), &olga()).await;
    inventory(InventoryQuery::matching(ListKeys::of_any(["red", "red"].map(team_id))), &system()).await;
    inventory(InventoryQuery::matching(ListKeys::of_any(Vec::<Owner>::new())), &olga()).await;
    inventory(InventoryQuery::matching(ListKeys::of_any(Vec::<Owner>::new())), &system()).await;
    let trail = async |query: AuditQuery, actor: &Actor| {
        exported(&bench, query, ExportFormat::Csv, actor).await;
    };
    trail(AuditQuery::all(), &system()).await;
    trail(AuditQuery::all().of(team_id("red")), &auditor()).await;
    trail(AuditQuery::all().of_key(KeyId::new(BLUE).unwrap()), &admin_of_blue()).await;
    let expected = [
        ("inventory", "organization "),
        ("inventory", "user adam"),
        ("inventory", "team blue"),
        ("inventory", "team blue"),
        ("inventory", "team red"),
        ("inventory", "user olga"),
        ("inventory", "organization "),
        ("trail", "organization "),
        ("trail", "team red"),
        ("trail", "team blue"),
    ];
    assert_eq!(told(&bench).await, expected.map(|(what, about)| (format!("{what}.exported"), about.to_owned())));
    let of_key = bench.events().await.pop().unwrap();
    assert_eq!(of_key.key.as_deref(), Some(BLUE));

    // A team sees the exports that include it, and not that there were others.
    let page = bench.manager.events(AuditQuery::all(), &admin_of_blue()).await.unwrap();
    let is_export = |action: &str| action.ends_with(".exported");
    assert_eq!(page.entries.iter().filter(|entry| is_export(entry.event.action.as_str())).count(), 4);
    let page = bench.manager.events(AuditQuery::all(), &auditor()).await.unwrap();
    assert_eq!(page.entries.iter().filter(|entry| is_export(entry.event.action.as_str())).count(), 10);
}

#[tokio::test]
async fn an_actor_that_may_not_export_gets_nothing_and_leaves_no_export_event() {
    let bench = bench().await;
    let member = Actor::user(user_id("mia"), Rights::none().team(team_id("blue"), TeamRole::Member));
    for (actor, is_hidden) in [(member, false), (person("bob"), true)] {
        let mut out = Vec::new();
        let query = AuditQuery::all().of(team_id("blue"));
        let error = bench.manager.export_trail(query, ExportFormat::Csv, &mut out, &actor).await.unwrap_err();
        let ExportError::Read(error) = error else { panic!("{error}") };
        assert_eq!(error.kind() == ManageErrorKind::NotFound, is_hidden);
        assert!(out.is_empty());
    }
    let first: Result<Vec<_>, ManageError> =
        bench.manager.trail_pieces(AuditQuery::all().limit(0), ExportFormat::Csv, &olga()).try_collect().await;
    assert!(matches!(first.unwrap_err().kind(), ManageErrorKind::Invalid(_)));
    assert_eq!(told(&bench).await, []);
}

#[tokio::test]
async fn only_the_last_piece_ends_a_line_and_all_pages_are_there() {
    let bench = bench().await;
    let row = EventRow { owner_kind: "user".into(), owner: "alice".into(), key: None, ..EventRow::example() };
    bench.store.inner.append_events(&vec![row; 1_200]).await.unwrap();
    let mut exports = 0;
    for format in [ExportFormat::Csv, ExportFormat::JsonLines] {
        for query in [AuditQuery::all(), AuditQuery::all().oldest_first().limit(7)] {
            let query = query.of(user("alice"));
            let expected = bench.manager.events(query.clone().limit(1_000), &olga()).await.unwrap();
            assert!(expected.next.is_some());
            let pieces: Vec<_> = bench.manager.trail_pieces(query, format, &olga()).try_collect().await.unwrap();
            assert_eq!(pieces.len(), 3);
            assert!(pieces[..2].iter().all(|piece| !piece.ends_with(b"\n")) && pieces[2].ends_with(b"\n"));
            let text = String::from_utf8(pieces.concat()).unwrap();
            let head = usize::from(format == ExportFormat::Csv);
            // Each export contains its own event, and those before it.
            exports += 1;
            assert_eq!(text.lines().count(), 1_200 + exports + head);
        }
    }
}
