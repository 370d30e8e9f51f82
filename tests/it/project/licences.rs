//! Reads licence expressions (SPDX 2.3 annex D): `MIT OR Apache-2.0`, `(MIT OR Zlib) AND Unicode-3.0`.

use std::{collections::BTreeSet, iter::Peekable, vec};

/// Whether the allowed licences satisfy `expression`.
///
/// `a/b` is the old way to write `a OR b`. `WITH` only adds permissions, but the whole term must be in the list.
pub(super) fn accepts(allowed: &BTreeSet<&str>, expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<String> = spaced.split_whitespace().map(String::from).collect();
    let mut words = words.into_iter().peekable();
    let accepted = any(allowed, &mut words);
    accepted == Some(true) && words.next().is_none()
}

type Words = Peekable<vec::IntoIter<String>>;

fn any(allowed: &BTreeSet<&str>, words: &mut Words) -> Option<bool> {
    let mut accepted = all(allowed, words)?;
    while words.next_if(|word| word == "OR").is_some() {
        accepted |= all(allowed, words)?;
    }
    Some(accepted)
}

fn all(allowed: &BTreeSet<&str>, words: &mut Words) -> Option<bool> {
    let mut accepted = one(allowed, words)?;
    while words.next_if(|word| word == "AND").is_some() {
        accepted &= one(allowed, words)?;
    }
    Some(accepted)
}

fn one(allowed: &BTreeSet<&str>, words: &mut Words) -> Option<bool> {
    let mut term = words.next()?;
    if term == "(" {
        let accepted = any(allowed, words)?;
        return (words.next()? == ")").then_some(accepted);
    }
    if words.next_if(|word| word == "WITH").is_some() {
        term = format!("{term} WITH {}", words.next()?);
    }
    Some(allowed.contains(term.as_str()))
}

#[test]
fn licence_expressions_are_read() {
    let allowed = BTreeSet::from(["MIT", "Zlib", "Apache-2.0 WITH LLVM-exception"]);
    let enough = [
        "MIT",
        "GPL-3.0-only OR MIT",
        "MIT/GPL-3.0-only",
        "GPL-3.0-only / MIT",
        "(GPL-3.0-only OR MIT) AND Zlib",
        "MIT AND Zlib OR GPL-3.0-only AND MIT",
        "Apache-2.0 WITH LLVM-exception",
    ];
    for expression in enough {
        assert!(accepts(&allowed, expression), "{expression}");
    }
    let not_enough = [
        "",
        "GPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "(GPL-3.0-only OR MIT) AND Unicode-3.0",
        "Apache-2.0",
        "MIT WITH LLVM-exception",
        "MIT MIT",
        "(MIT",
        "MIT OR",
    ];
    for expression in not_enough {
        assert!(!accepts(&allowed, expression), "{expression}");
    }
}
