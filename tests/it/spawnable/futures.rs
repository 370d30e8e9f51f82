//! Finds out from the source text of the crate which public functions return a future, and from a test which of them it
//! covers.

use std::{collections::BTreeSet, fmt, fs, path::Path};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// `Type::name`; the type of a free function is `free`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Call {
    of: String,
    name: String,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.of, self.name)
    }
}

/// Each public call of the crate and of the conformance kit that can be awaited, without tests.
pub(super) fn public() -> BTreeSet<Call> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut calls = BTreeSet::new();
    for folder in ["src", "crates/conformance/src"].map(|folder| root.join(folder)) {
        for path in super::super::architecture::files_below(&folder) {
            let name = path.strip_prefix(&folder).unwrap().to_str().unwrap().replace('\\', "/");
            let holds_tests = name.ends_with("/tests.rs") || name.contains("/tests/") || name.starts_with("bin/");
            if name.ends_with(".rs") && !holds_tests {
                calls.extend(in_source(&fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(calls.len() > 60, "src/ was not found");
    // A private bound, and boxed futures, which are `Send` by their type.
    calls.retain(|call| !call.of.starts_with("Erased"));
    calls
}

/// Each `spawns!(Type::name; …)` of this text that calls what it names.
pub(super) fn spawned_in(text: &str) -> BTreeSet<Call> {
    let mut calls = BTreeSet::new();
    find_spawned(&tokens(text), &mut calls);
    calls
}

fn find_spawned(tokens: &[TokenTree], calls: &mut BTreeSet<Call>) {
    for (index, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else { continue };
        let inside: Vec<_> = group.stream().into_iter().collect();
        let is_spawns = index >= 2 && word(&tokens[index - 2]).is_some_and(|word| word.starts_with("spawns"));
        match &inside[..] {
            [of, one, two, name, rest @ ..] if is_spawns && is_punct(one, ':') && is_punct(two, ':') => {
                if let (Some(of), Some(name)) = (word(of), word(name)) {
                    // A future itself has no method to call by name.
                    let is_called = ["into_future", "poll"].contains(&&*name) || all_words(rest).contains(&name);
                    assert!(is_called, "{of}::{name} is named and not called");
                    calls.insert(Call { of, name });
                }
            }
            _ => find_spawned(&inside, calls),
        }
    }
}

fn in_source(text: &str) -> BTreeSet<Call> {
    let mut calls = BTreeSet::new();
    read_items(&tokens(text), &Cursor::Free, &mut calls);
    calls
}

enum Cursor {
    Free,
    Impl(String),
    Trait(String),
}

/// Walks the items of a file, a module, an `impl` or a trait.
fn read_items(tokens: &[TokenTree], cursor: &Cursor, calls: &mut BTreeSet<Call>) {
    let mut item: Vec<&TokenTree> = Vec::new();
    for token in tokens {
        item.push(token);
        let body = match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group.stream()),
            _ if is_punct(token, ';') => None,
            _ => continue,
        };
        read_item(&item, body, cursor, calls);
        item.clear();
    }
}

fn read_item(item: &[&TokenTree], body: Option<TokenStream>, cursor: &Cursor, calls: &mut BTreeSet<Call>) {
    let head = without_attributes(item);
    // Words inside of parentheses or brackets do not count.
    let words: Vec<String> = head.iter().filter_map(|token| word(token)).collect();
    let position = |wanted: &str| words.iter().position(|word| word == wanted);
    let name_after = |keyword: usize| words.get(keyword + 1).cloned().unwrap_or_default();
    let is_public =
        words.first().is_some_and(|first| first == "pub") && !matches!(head.get(1), Some(TokenTree::Group(_)));
    let body: Vec<TokenTree> = body.into_iter().flatten().collect();
    if is_test(item) {
        return;
    }
    if let Some(function) = position("fn").filter(|function| position("impl").is_none_or(|other| *function < other)) {
        let is_async = words[..function].iter().any(|word| word == "async");
        let answers =
            words[function..].iter().any(|word| ["Future", "BoxFuture", "IntoFuture"].contains(&word.as_str()));
        let (of, is_open) = match cursor {
            Cursor::Free => ("free", is_public),
            Cursor::Impl(of) => (of.as_str(), is_public),
            Cursor::Trait(of) => (of.as_str(), true),
        };
        if is_open && (is_async || (answers && returns_future(&head))) {
            calls.insert(Call { of: of.to_owned(), name: name_after(function) });
        }
    } else if let Some(at) = position("trait") {
        if is_public {
            read_items(&body, &Cursor::Trait(name_after(at)), calls);
        }
    } else if words.first().is_some_and(|first| first == "impl" || first == "unsafe") {
        let of_trait = trait_of(&head);
        let of = type_of(&head);
        match of_trait.as_deref() {
            Some("Future") => drop(calls.insert(Call { of, name: "poll".to_owned() })),
            Some("IntoFuture") => drop(calls.insert(Call { of, name: "into_future".to_owned() })),
            // Called through the trait, which is read at its definition.
            Some(_) => {}
            None => read_items(&body, &Cursor::Impl(of), calls),
        }
    } else if position("mod").is_some() {
        read_items(&body, cursor, calls);
    }
}

/// Whether the return type is a future, and not only a bound after it.
fn returns_future(head: &[&TokenTree]) -> bool {
    let Some(arrow) = (1..head.len()).find(|at| is_punct(head[at - 1], '-') && is_punct(head[*at], '>')) else {
        return false;
    };
    let answer = head[arrow + 1..].iter().map_while(|token| match word(token) {
        Some(word) if word == "where" => None,
        other => Some(other.unwrap_or_default()),
    });
    answer.into_iter().any(|word| ["Future", "BoxFuture", "IntoFuture"].contains(&word.as_str()))
}

/// The words of the head of an `impl`, outside of angle brackets, up to `where`.
fn outer_words(head: &[&TokenTree]) -> Vec<String> {
    let (mut depth, mut words, mut before) = (0_usize, Vec::new(), None);
    for token in head {
        match token {
            TokenTree::Punct(punct) => {
                match (punct.as_char(), before) {
                    ('<', _) => depth += 1,
                    ('>', Some('-')) => {}
                    ('>', _) => depth = depth.saturating_sub(1),
                    _ => {}
                }
                before = Some(punct.as_char());
            }
            other => {
                before = None;
                match word(other) {
                    Some(word) if word == "where" && depth == 0 => break,
                    Some(word) if depth == 0 => words.push(word),
                    _ => {}
                }
            }
        }
    }
    words
}

/// Returns `Future` for `impl<T> std::future::Future for Type<T>`.
fn trait_of(head: &[&TokenTree]) -> Option<String> {
    let words = outer_words(head);
    let at = words.iter().position(|word| word == "for")?;
    words.get(at.checked_sub(1)?).cloned()
}

fn type_of(head: &[&TokenTree]) -> String {
    outer_words(head).pop().unwrap_or_default()
}

fn without_attributes<'a>(item: &[&'a TokenTree]) -> Vec<&'a TokenTree> {
    let mut head = Vec::new();
    let mut tokens = item.iter().peekable();
    while let Some(token) = tokens.next() {
        let is_attribute = is_punct(token, '#');
        if is_attribute {
            tokens.next_if(|next| is_punct(next, '!'));
            tokens.next_if(|next| matches!(next, TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket));
        } else {
            head.push(*token);
        }
    }
    head
}

fn is_test(item: &[&TokenTree]) -> bool {
    item.windows(2).any(|pair| match (pair[0], pair[1]) {
        (hash, TokenTree::Group(group)) => {
            is_punct(hash, '#') && group.stream().to_string().replace(' ', "") == "cfg(test)"
        }
        _ => false,
    })
}

fn all_words(tokens: &[TokenTree]) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) => words.extend(all_words(&group.stream().into_iter().collect::<Vec<_>>())),
            other => words.extend(word(other)),
        }
    }
    words
}

fn tokens(text: &str) -> Vec<TokenTree> {
    text.parse::<TokenStream>().unwrap().into_iter().collect()
}

fn word(token: &TokenTree) -> Option<String> {
    match token {
        TokenTree::Ident(ident) => Some(ident.to_string()),
        _ => None,
    }
}

fn is_punct(token: &TokenTree, wanted: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == wanted)
}

/// Proves that the rule can fail.
mod samples {
    use super::{in_source, spawned_in};

    fn calls(text: &str) -> Vec<String> {
        in_source(text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_public_call_is_found_however_it_is_written() {
        for (text, found) in [
            ("pub async fn f() {}", "free::f"),
            ("mod inner { pub async fn f() {} }", "free::f"),
            ("impl A { #[must_use] pub async fn f(&self) {} }", "A::f"),
            ("impl<S: Iterator<Item = fn() -> u8>> b::A<S> where S: Send { pub async fn f(&self) {} }", "A::f"),
            ("impl A { fn g() {} const B: u8 = 1; pub async fn f(&self) {} }", "A::f"),
            ("impl A { pub fn f(&self) -> impl Future<Output = u8> + Send + '_ { async { 1 } } }", "A::f"),
            ("impl A { pub fn f<'a>(&'a self) -> BoxFuture<'a, u8> { todo!() } }", "A::f"),
            ("pub trait T { fn f(&self) -> impl Future<Output = u8> + Send; }", "T::f"),
            ("pub trait T { async fn f(&self); }", "T::f"),
            ("impl<'a, S> IntoFuture for A<'a, S> { type Output = u8; }", "A::into_future"),
            ("impl<S, B> Future for A<S, B> where S: Service<B> { type Output = u8; }", "A::poll"),
        ] {
            assert_eq!(calls(text), [found], "{text}");
        }
    }

    #[test]
    fn what_is_not_public_or_not_awaited_is_none() {
        for text in [
            "async fn f() {}",
            "pub(crate) async fn f() {}",
            "impl A { async fn f() {} pub(super) async fn g() {} }",
            "impl T for A { async fn f(&self) {} }",
            "trait T { async fn f(&self); }",
            "pub fn f() -> u8 { 1 }",
            "pub fn with<F: Future>(wait: F) -> Self where F: Future {}",
            "#[cfg(test)] mod tests { pub async fn f() {} }",
        ] {
            assert!(calls(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn a_line_of_the_test_is_found_inside_of_other_macros() {
        let lines = "m! { { spawns!(A::f; a: A => a.f(1)); spawns_once!(B::g; b: B => b.g()); } }";
        assert_eq!(spawned_in(lines).iter().map(ToString::to_string).collect::<Vec<_>>(), ["A::f", "B::g"]);
    }

    #[test]
    #[should_panic(expected = "named and not called")]
    fn a_line_that_calls_something_else_is_refused() {
        spawned_in("spawns!(A::f; a: A => a.g());");
    }
}
