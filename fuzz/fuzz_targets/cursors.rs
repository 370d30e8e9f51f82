//! A page begins right after its cursor, for any cursor, and the pages come to an end.
#![no_main]

mod planted;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tower_api_keys::{
    KeyId, Timestamp,
    audit::EventRow,
    manage::{AuditQuery, ListKeys},
    record::KeyRow,
    store::{
        KeyCursor,
        transfer::{Batch, Cursor, PortableStore},
    },
    usage::UsageRow,
};

use self::planted::Planted;

/// The numbers of keys, counts and events.
const ROWS: i64 = 5;

static SCENE: LazyLock<Scene> = LazyLock::new(Scene::new);

// The text is read as each kind of cursor. That of a list is a time, a blank and an id.
fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    if let Ok(cursor) = text.parse::<Cursor>() {
        SCENE.export(&cursor);
    }
    if let Some((time, id)) = text.split_once(' ')
        && let (Ok(created_at), Ok(id)) = (time.parse::<Timestamp>(), id.parse::<KeyId>())
    {
        assert_eq!(created_at.to_string().parse::<Timestamp>().ok(), Some(created_at));
        SCENE.list(KeyCursor { created_at, expires_at: None, id });
    }
    if let Ok(sequence) = text.parse() {
        SCENE.events(sequence);
    }
});

struct Scene {
    planted: Planted,
    keys: Vec<KeyRow>,
}

impl Scene {
    fn new() -> Self {
        let planted = Planted::new();
        let id = |number: i64| format!("{number}{}", "A".repeat(19));
        // Two keys have the same time.
        let key = |number| KeyRow { id: id(number), lineage: id(number), created_at: number / 2, ..KeyRow::example() };
        let count = |number| UsageRow {
            key: Some(id(number)),
            organization: None,
            outcome: "success".into(),
            label: "intake".into(),
            client: "curl".into(),
            network: String::new(),
            count: 1,
            first_at: number,
            last_at: number,
        };
        let event = |number| EventRow { sequence: number + 1, at: number, ..EventRow::example() };
        let keys: Vec<_> = (0..ROWS).map(key).collect();
        planted.put(&Batch::Keys(keys.clone())).expect("good rows");
        planted.put(&Batch::Usage((0..ROWS).map(count).collect())).expect("good rows");
        planted.put(&Batch::Events((0..ROWS).map(event).collect())).expect("good rows");
        Self { planted, keys }
    }

    /// As text, a cursor is one line that parses again. After it, rows come in order, each once, and the pages end.
    fn export(&self, cursor: &Cursor) {
        let line = cursor.to_string();
        assert!(!line.contains('\n'), "{line:?}");
        assert_eq!(line.parse().as_ref(), Ok(cursor));
        assert!(cursor.next_table().is_none_or(|next| *cursor < next));
        let (mut place, mut pages) = (Some(cursor.clone()), 0);
        while let Some(from) = place {
            let page =
                self.planted.runtime.block_on(self.planted.store.export(&from, 2)).expect("a store in the process");
            assert!(page.rows.end().is_none_or(|end| from < end), "{from}");
            assert!(page.next.as_ref().is_none_or(|next| from < *next), "{from}");
            (place, pages) = (page.next, pages + 1);
            assert!(pages < 40, "no end behind {cursor}");
        }
    }

    /// The keys that follow were created later, or at that time with a greater id.
    fn list(&self, cursor: KeyCursor) {
        let after =
            |key: &&KeyRow| (key.created_at, key.id.as_str()) > (cursor.created_at.as_millis(), cursor.id.as_str());
        let expected: Vec<_> = self.keys.iter().filter(after).map(|key| key.id.as_str()).collect();
        let mut found = Vec::new();
        let mut next = Some(cursor);
        while let Some(cursor) = next {
            let query = ListKeys::all().after(cursor).limit(2);
            let page =
                self.planted.runtime.block_on(self.planted.manager.list(query, &self.planted.system)).expect("keys");
            found.extend(page.keys.into_iter().map(|key| key.id));
            next = page.next;
        }
        assert_eq!(found.iter().map(KeyId::as_str).collect::<Vec<_>>(), expected);
    }

    /// The events that follow are those before it, newest first, or those after it.
    fn events(&self, sequence: i64) {
        let before: Vec<_> = (1..=ROWS).rev().filter(|number| *number < sequence).collect();
        let after: Vec<_> = (1..=ROWS).filter(|number| *number > sequence).collect();
        assert_eq!(self.pages(AuditQuery::all, sequence), before);
        assert_eq!(self.pages(|| AuditQuery::all().oldest_first(), sequence), after);
    }

    fn pages(&self, query: impl Fn() -> AuditQuery, sequence: i64) -> Vec<i64> {
        let Planted { runtime, manager, system, .. } = &self.planted;
        let (mut found, mut next) = (Vec::new(), Some(sequence));
        while let Some(sequence) = next {
            let page = runtime.block_on(manager.events(query().after(sequence).limit(2), system)).expect("events");
            found.extend(page.entries.into_iter().map(|entry| entry.event.sequence));
            next = page.next;
        }
        found
    }
}
