use proptest::prelude::*;

use super::*;

const SALT: &str = "AAAAAAAAAAAAAAAAAAAAAA";
const OUTPUT: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn kind(phc: &str) -> Option<CorruptHashKind> {
    KeyHash::from_parts(phc, [0; 4], None).err().map(|error| error.kind())
}

#[test]
fn every_part_of_a_phc_string_is_bounded() {
    use CorruptHashKind::{Algorithm, Output, Params, Salt, Syntax, Version};
    let accepted = format!("$argon2id$v=19$m=64,t=1,p=1${SALT}${OUTPUT}");
    assert_eq!(kind(&accepted), None);
    let long = "A".repeat(1_000_000);
    for (from, to, expected) in [
        ("m=64", "m=4194304", Params),
        ("m=64", "m=4294967295", Params),
        ("m=64", "m=4294967296", Params),
        ("m=64", "m=7", Params),
        ("m=64", "m=-64", Params),
        ("m=64", "m=064", Params),
        ("m=64,", "", Params),
        ("t=1", "t=4294967295", Params),
        ("t=1", "t=0", Params),
        (",t=1", "", Params),
        ("p=1", "p=2", Params),
        (",p=1", "", Params),
        ("$m=64,t=1,p=1", "", Params),
        ("p=1", "p=1,keyid=AAAA", Syntax),
        ("p=1", "p=1,data=AAAA", Syntax),
        ("p=1", "p=1,p=1", Syntax),
        ("p=1", "p=1,x=1", Syntax),
        ("m=64,t=1", "t=1,m=64", Syntax),
        ("argon2id", "argon2i", Algorithm),
        ("argon2id", "argon2d", Algorithm),
        ("argon2id", "scrypt", Algorithm),
        ("v=19", "v=16", Version),
        ("v=19$", "", Version),
        (SALT, "AAAAAAAAAAA", Salt),
        (SALT, "AAAAAAAAAAAAAAAAAAAAAAA", Salt),
        (SALT, "AAAAAAAAAAAAAAAAAAAAAB", Syntax),
        (OUTPUT, "AAAAAAAAAAAAAA", Output),
        (&OUTPUT[1..], "A", Syntax),
        (&format!("${OUTPUT}"), "", Output),
        (&format!("${SALT}${OUTPUT}"), "", Salt),
        (OUTPUT, &long, Syntax),
        ("$argon2id", "argon2id", Syntax),
        (OUTPUT, &format!("{OUTPUT}$"), Syntax),
        (OUTPUT, &format!("{OUTPUT} "), Syntax),
        (OUTPUT, &format!("{OUTPUT}="), Syntax),
        ("argon2id", "argon2íd", Syntax),
    ] {
        let phc = accepted.replacen(from, to, 1);
        assert_ne!(phc, accepted);
        assert_eq!(kind(&phc), Some(expected), "{from} -> {}", to.get(..60).unwrap_or(to));
    }
    assert_eq!(kind(""), Some(Syntax));
}

#[test]
fn the_costliest_hash_is_within_the_length_bound() {
    let params = Argon2Params::new(1024 * 1024, 64).unwrap();
    let hash = KeyHash::assemble(params, [255; 16], [255; 32], Tag::from_bytes([0; 4]), None);
    assert_eq!(hash.phc().len(), 100);
    assert_eq!(kind(hash.phc()), None);
}

#[test]
fn the_fingerprint_changes_with_every_part() {
    let of = |salt, output, tag, pepper| {
        let params = Argon2Params::MACHINE_SECRET;
        let pepper: Option<u32> = pepper;
        KeyHash::assemble(params, [salt; 16], [output; 32], Tag::from_bytes([tag; 4]), pepper.map(PepperId::new))
            .fingerprint()
    };
    let base = of(1, 1, 1, None);
    assert_eq!(base, of(1, 1, 1, None));
    for other in [of(2, 1, 1, None), of(1, 2, 1, None), of(1, 1, 2, None), of(1, 1, 1, Some(0))] {
        assert_ne!(base, other);
    }
    assert_ne!(of(1, 1, 1, Some(0)), of(1, 1, 1, Some(1)));
}

#[test]
fn debug_shows_neither_salt_nor_hash() {
    let phc = format!("$argon2id$v=19$m=64,t=1,p=1${SALT}${OUTPUT}");
    let debug = format!("{:?}", KeyHash::from_parts(&phc, [0; 4], Some(1)).unwrap());
    assert!(!debug.contains("AAAA") && !debug.contains("0, 0"), "{debug}");
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(memory_kib in 8_u32..=1024 * 1024, iterations in 1_u32..=64, salt: [u8; 16], output: [u8; 32], tag: [u8; 4], pepper: Option<u32>) {
        let params = Argon2Params::new(memory_kib, iterations).unwrap();
        let written = KeyHash::assemble(params, salt, output, Tag::from_bytes(tag), pepper.map(PepperId::new));
        let read = KeyHash::from_parts(written.phc(), tag, pepper).unwrap();
        prop_assert_eq!(read.params(), params);
        prop_assert_eq!(read.salt(), &salt);
        prop_assert_eq!(read.output(), &output);
        prop_assert_eq!(read.fingerprint(), written.fingerprint());
    }

    #[test]
    fn no_text_panics(phc in "[$a-z0-9=,+/AZ é-]{0,140}") {
        let _ = KeyHash::from_parts(&phc, [0; 4], None);
    }
}
