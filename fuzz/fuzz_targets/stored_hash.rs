//! A stored hash is accepted only exactly as this crate writes it. Any other is refused before it costs anything.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_api_keys::hash::KeyHash;

fuzz_target!(|phc: &str| {
    let tag = [0xAA, 0xBB, 0xCC, 0xDD];
    let pepper = u32::try_from(phc.len()).ok().filter(|length| length % 2 == 1);
    match KeyHash::from_parts(phc, tag, pepper) {
        Ok(hash) => {
            assert_eq!(hash.phc(), phc);
            assert_eq!((hash.tag().to_bytes(), hash.pepper().map(|id| id.as_u32())), (tag, pepper));
            let params = hash.params();
            // A gigabyte and 64 passes: one run costs no more, whatever is stored.
            assert!(
                (8..=1 << 20).contains(&params.memory_kib()) && (1..=64).contains(&params.iterations()),
                "{params:?}"
            );

            // Every part is at its place, checked independently without a parser.
            let costs = format!("$argon2id$v=19$m={},t={},p=1$", params.memory_kib(), params.iterations());
            let (salt, output) = phc.strip_prefix(&costs).and_then(|rest| rest.split_once('$')).expect("salt and hash");
            assert_eq!((salt.len(), output.len()), (22, 43));

            let again = KeyHash::from_parts(hash.phc(), tag, pepper).expect("what was read once");
            assert_eq!(again.fingerprint(), hash.fingerprint());
            assert!(!format!("{hash:?}").contains(output));
        }
        Err(error) => {
            let _ = (error.to_string(), error.kind(), format!("{error:?}"));
        }
    }
});
