//! A leaked key is found and proved, plain and encoded once. The redacted text holds no key, and no other actor learns
//! of it.
#![no_main]

mod misplaced;
mod shared;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, KeyManager, Rights, TeamId, UserId,
    hash::{Argon2Params, HasherConfig},
    key::{KeyFormat, redact},
    manage::{KeyMatches, MatchConfidence},
    store::MemoryStore,
};

use self::{
    misplaced::holds_key,
    shared::{encode, is_key},
};

static SCENE: LazyLock<Scene> = LazyLock::new(Scene::new);

// Bytes 1 to 8 are replaced by a key, whole, encoded or in part, because its text is new in each process.
fuzz_target!(|data: &[u8]| {
    let (text, is_whole) = SCENE.text(data);
    if text.len() <= 64 * 1_024 {
        SCENE.look_at(&text, is_whole);
    }
});

struct Scene {
    runtime: Runtime,
    manager: KeyManager,
    system: Actor,
    stranger: Actor,
    key: String,
}

impl Scene {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let cheap = HasherConfig::new().with_params(Argon2Params::MACHINE_SECRET);
        let keys = runtime.block_on(ApiKeys::builder(MemoryStore::new()).hasher(cheap).build()).expect("keys");
        let (manager, system) = (keys.manager(), Actor::system("fuzz").expect("an actor"));
        let request = IssueKey::team(TeamId::new("engineering").expect("an id"));
        let key = runtime.block_on(manager.issue(request, &system)).expect("a key").into_plaintext();
        let stranger = Actor::user(UserId::new("stranger").expect("an id"), Rights::none());
        Self { key: key.expose_secret().to_owned(), runtime, manager, system, stranger }
    }

    /// The text, and whether the whole key is in it, plain or encoded once.
    fn text(&self, data: &[u8]) -> (String, bool) {
        let (mut text, mut is_whole) = (Vec::new(), false);
        let key = self.key.as_bytes();
        let mut bytes = data.iter().copied();
        while let Some(byte) = bytes.next() {
            let mut place = || bytes.next().map_or(0, |place| usize::from(place) % key.len());
            match byte {
                1 => text.extend_from_slice(key),
                2 => {
                    // After the number of bytes that the next byte gives; whole groups of three.
                    let inside = format!("{}{}", ":".repeat(place() % 20), self.key);
                    let padding = inside.len().next_multiple_of(3) - inside.len();
                    text.extend_from_slice(encode(format!("{inside}{}", "x".repeat(padding)).as_bytes()).as_bytes());
                }
                3 => text.extend(key.iter().flat_map(|byte| format!("{byte:02x}").into_bytes())),
                4 => text.extend_from_slice(&key[..place()]),
                5 => text.extend_from_slice(&key[place()..]),
                6 => text.extend_from_slice(self.key.to_uppercase().as_bytes()),
                7 => text.extend_from_slice(self.key.replace('.', "%2e").as_bytes()),
                8 => text.extend_from_slice(redact(&self.key).as_bytes()),
                _ => text.push(byte),
            }
            is_whole |= (1..=3).contains(&byte);
        }
        (String::from_utf8_lossy(&text).into_owned(), is_whole)
    }

    fn look_at(&self, text: &str, is_whole: bool) {
        let found = self.identify(text, &self.system);
        let is_found = has_whole_key(&found);
        assert!(is_found || !is_whole, "{text:?}");
        // No other key exists, and a proved key is in the text.
        assert!(found.keys.len() <= 1 && !found.more && found.unreadable == 0, "{found:?}");
        assert!(!is_found || holds_key(text.as_bytes()), "{text:?}");
        assert!(!format!("{found:?} {found}").contains(&self.key[26..]), "{found:?}");
        assert_eq!(self.identify(text, &self.stranger), KeyMatches::default());
        let (redacted, format) = (redact(text), KeyFormat::unbranded());
        assert!(
            !format.find_in(redacted.as_bytes()).any(|found| is_key(&redacted.as_bytes()[found.at], &["user", "team"]))
        );
        if !holds_key(redacted.as_bytes()) {
            assert!(!has_whole_key(&self.identify(&redacted, &self.system)), "{redacted:?}");
        }
    }

    fn identify(&self, text: &str, actor: &Actor) -> KeyMatches {
        self.runtime.block_on(self.manager.identify(text, actor)).expect("a store in the process")
    }
}

fn has_whole_key(found: &KeyMatches) -> bool {
    found.keys.iter().any(|found| found.evidence == MatchConfidence::WholeKey)
}
