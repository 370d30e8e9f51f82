//! What an embedder hands over as text is taken whole or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_api_keys::{Scope, Timestamp};

fuzz_target!(|text: &str| {
    if let Ok(scope) = Scope::new(text) {
        assert_eq!(scope.as_str(), text);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        assert_eq!(time.to_string().parse::<Timestamp>().ok(), Some(time));
    }
});
