//! Finds out from the source text of a crate which file imports from which.
//!
//! It counts the crate's own paths: after `use`, after `crate::`, `super::` and `self::`, and paths that begin with a
//! child module, in code and inside of macros. A name that a `mod.rs` or `lib.rs` re-exports belongs to the file that
//! defines it. Items under `#[cfg(test)]`, test files, comments and strings do not count.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A file: its path below src/ with `/`, and its text.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
}

/// File `from` imports something that file `to` defines. `text` is the path as written.
#[derive(Debug)]
pub(super) struct Import {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) text: String,
}

/// The imports between files.
pub(super) struct Imports {
    pub(super) files: Vec<String>,
    pub(super) imports: Vec<Import>,
    /// Glob imports: `use a::*`.
    pub(super) stars: Vec<String>,
}

type Path = Vec<String>;

/// A path as it is written, and where.
struct Mention {
    /// The module it is written in.
    module: Path,
    segments: Path,
    kind: Kind,
}

#[derive(PartialEq)]
enum Kind {
    Inline,
    /// In a `use` item, under this name.
    Use {
        name: String,
        public: bool,
    },
}

/// The contents of one file.
#[derive(Default)]
struct Contents {
    mentions: Vec<Mention>,
    /// Every word outside of `use` items.
    words: BTreeSet<String>,
    test_modules: Vec<Path>,
}

impl Imports {
    pub(super) fn read(sources: &[Source]) -> Self {
        let mut contents = BTreeMap::new();
        for Source { path, text } in sources.iter().filter(|source| !holds_tests(&source.path)) {
            let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
            let mut found = Contents::default();
            read_items(tokens, &module_of(path), &mut found);
            contents.insert(path.clone(), found);
        }
        let test_modules: Vec<Path> = contents.values().flat_map(|found| found.test_modules.clone()).collect();
        contents.retain(|path, _| !test_modules.iter().any(|module| module_of(path).starts_with(module)));
        Crate::new(contents).imports()
    }

    /// Import cycles between files, each listed once, by its members.
    pub(super) fn rings(&self) -> Vec<String> {
        let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for Import { from, to, .. } in self.imports.iter().filter(|import| import.from != import.to) {
            next.entry(from).or_default().insert(to);
        }
        let mut rings = BTreeSet::new();
        for start in next.keys() {
            walk(&mut vec![start], &next, &mut BTreeSet::new(), &mut rings);
        }
        rings.into_iter().collect()
    }
}

/// Follows the imports from the last file of `trail`. A way back to the first file is a cycle. A cycle is listed from
/// its alphabetically first member.
fn walk<'a>(
    trail: &mut Vec<&'a str>,
    next: &BTreeMap<&'a str, BTreeSet<&'a str>>,
    seen: &mut BTreeSet<&'a str>,
    rings: &mut BTreeSet<String>,
) {
    for &to in next.get(trail[trail.len() - 1]).into_iter().flatten() {
        if to == trail[0] {
            rings.insert(format!("ring: {} -> {to}", trail.join(" -> ")));
        } else if to > trail[0] && seen.insert(to) {
            trail.push(to);
            walk(trail, next, seen, rings);
            trail.pop();
        }
    }
}

/// Whether a file holds only tests.
pub(super) fn holds_tests(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// `key/format.rs` is the module `key::format`, `key/mod.rs` is `key`, `lib.rs` is the root.
fn module_of(path: &str) -> Path {
    let mut module: Path = path.trim_end_matches(".rs").split('/').map(String::from).collect();
    if module.last().is_some_and(|last| last == "mod" || last == "lib") {
        module.pop();
    }
    module
}

struct Crate {
    files: BTreeMap<Path, String>,
    /// The names that a file gets by `use`, and where they come from.
    names: BTreeMap<(Path, String), Path>,
    contents: BTreeMap<String, Contents>,
}

impl Crate {
    fn new(contents: BTreeMap<String, Contents>) -> Self {
        let files = contents.keys().map(|path| (module_of(path), path.clone())).collect();
        let mut this = Self { files, names: BTreeMap::new(), contents };
        let mut names = BTreeMap::new();
        for mention in this.contents.values().flat_map(|found| &found.mentions) {
            if let Kind::Use { name, .. } = &mention.kind
                && let Some(path) = this.absolute(mention)
            {
                names.insert((mention.module.clone(), name.clone()), path);
            }
        }
        this.names = names;
        this
    }

    fn imports(self) -> Imports {
        let mut imports = Vec::new();
        let mut stars = Vec::new();
        for (from, found) in &self.contents {
            for mention in &found.mentions {
                if mention.segments.last().is_some_and(|last| last == "*") {
                    stars.push(format!("{from}: use {}", mention.segments.join("::")));
                }
                let Some(to) = self.absolute(mention).and_then(|path| self.definer(path, 0)) else { continue };
                if !is_facade(from, &to, mention, found) {
                    imports.push(Import { from: from.clone(), to, text: mention.segments.join("::") });
                }
            }
        }
        imports.retain(|import| import.from != import.to);
        Imports { files: self.contents.into_keys().collect(), imports, stars }
    }

    /// The path from the root of the crate, if the path belongs to the crate.
    fn absolute(&self, mention: &Mention) -> Option<Path> {
        let mut path = mention.module.clone();
        let mut rest = mention.segments.iter().peekable();
        match rest.peek()?.as_str() {
            "crate" => path.clear(),
            "self" | "super" => {}
            child => {
                path.push(child.into());
                let is_child = self.files.keys().any(|module| module.starts_with(&path));
                path.pop();
                if !is_child {
                    return None;
                }
            }
        }
        for segment in rest {
            match segment.as_str() {
                "crate" | "self" | "*" => {}
                "super" => drop(path.pop()),
                name => path.push(name.into()),
            }
        }
        Some(path)
    }

    /// The file that defines what the path names, looking through re-exports.
    fn definer(&self, path: Path, depth: usize) -> Option<String> {
        let known = (0..=path.len()).rev().find(|&length| self.files.contains_key(&path[..length]))?;
        let (module, rest) = path.split_at(known);
        if let Some((name, rest)) = rest.split_first()
            && let Some(target) = self.names.get(&(module.to_vec(), name.clone()))
            && depth < 8
        {
            return self.definer([target.as_slice(), rest].concat(), depth + 1);
        }
        self.files.get(module).cloned()
    }
}

/// A `mod.rs` that only re-exports from its own folder, without using the item, does not count as an importer.
fn is_facade(from: &str, to: &str, mention: &Mention, found: &Contents) -> bool {
    match (&mention.kind, from.strip_suffix("mod.rs")) {
        (Kind::Use { name, public: true }, Some(folder)) => to.starts_with(folder) && !found.words.contains(name),
        _ => false,
    }
}

fn word(token: Option<&TokenTree>) -> Option<String> {
    match token? {
        TokenTree::Ident(ident) => Some(ident.to_string().trim_start_matches("r#").into()),
        _ => None,
    }
}

fn is(token: Option<&TokenTree>, punctuation: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == punctuation)
}

fn group(token: Option<&TokenTree>, delimiter: Delimiter) -> Option<TokenStream> {
    match token? {
        TokenTree::Group(group) if group.delimiter() == delimiter => Some(group.stream()),
        _ => None,
    }
}

/// The length of `a::b::c` at the start of `tokens`, and its segments.
fn read_path(tokens: &[TokenTree]) -> (usize, Path) {
    let mut segments: Path = word(tokens.first()).into_iter().collect();
    let mut length = 1;
    while is(tokens.get(length), ':') && is(tokens.get(length + 1), ':') {
        let Some(segment) = word(tokens.get(length + 2)) else { break };
        segments.push(segment);
        length += 3;
    }
    (length, segments)
}

fn read_items(stream: TokenStream, module: &Path, found: &mut Contents) {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    let mut at = 0;
    let mut public = false;
    while at < tokens.len() {
        let rest = &tokens[at..];
        let behind_pub = mem::take(&mut public);
        let attribute = if is(rest.first(), '#') { group(rest.get(1), Delimiter::Bracket) } else { None };
        let keyword = word(rest.first()).unwrap_or_default();
        if let Some(attribute) = attribute {
            let attribute = attribute.to_string().replace(' ', "");
            let for_tests = attribute == "cfg(test)" || attribute.starts_with("cfg(all(test,");
            at += if for_tests { skip_item(&rest[2..], module, found) + 2 } else { 2 };
        } else if keyword == "pub" {
            public = true;
            at += if group(rest.get(1), Delimiter::Parenthesis).is_some() { 2 } else { 1 };
        } else if keyword == "use" && !is(rest.get(1), '<') {
            let length = rest.iter().position(|token| is(Some(token), ';')).unwrap_or(rest.len());
            read_use(&rest[1..length], &Path::new(), module, behind_pub, found);
            at += length;
        } else if keyword == "mod"
            && let Some((name, body)) = word(rest.get(1)).zip(group(rest.get(2), Delimiter::Brace))
        {
            read_items(body, &[module.as_slice(), &[name]].concat(), found);
            at += 3;
        } else if keyword == "mod" {
            at += 2;
        } else if let Some(TokenTree::Group(group)) = rest.first() {
            read_items(group.stream(), module, found);
            at += 1;
        } else if keyword.is_empty() {
            // After `::`, the rest of a path from another crate follows: `::time::Date`, `Vec::<T>::new`.
            let foreign = is(rest.first(), ':') && is(rest.get(1), ':') && word(rest.get(2)).is_some();
            at += if foreign { 2 + read_path(&rest[2..]).0 } else { 1 };
        } else {
            let (length, segments) = read_path(rest);
            found.words.extend(segments.iter().cloned());
            if segments.len() > 1 {
                found.mentions.push(Mention { module: module.clone(), segments, kind: Kind::Inline });
            }
            at += length;
        }
    }
}

/// The length of the item after `#[cfg(test)]`, up to its braces or semicolon. Something other than an item, such as a
/// field, is not skipped.
fn skip_item(tokens: &[TokenTree], module: &Path, found: &mut Contents) -> usize {
    let items = ["const", "enum", "fn", "impl", "mod", "pub", "static", "struct", "trait", "use"];
    let mut start = 0;
    while is(tokens.get(start), '#') {
        start += 2;
    }
    if !items.contains(&word(tokens.get(start)).unwrap_or_default().as_str()) {
        return start;
    }
    let item = &tokens[start..];
    let is_use = item.iter().take(3).any(|token| word(Some(token)).is_some_and(|word| word == "use"));
    let ends = |token: &TokenTree| is(Some(token), ';') || (!is_use && group(Some(token), Delimiter::Brace).is_some());
    let length = item.iter().position(ends).map_or(item.len(), |last| last + 1);
    if let Some(at) = item.iter().take(3).position(|token| word(Some(token)).is_some_and(|word| word == "mod"))
        && let Some(name) = word(item.get(at + 1))
    {
        found.test_modules.push([module.as_slice(), &[name]].concat());
    }
    start + length
}

/// Reads `a::{b, c as d, e::*}`.
fn read_use(tokens: &[TokenTree], prefix: &Path, module: &Path, public: bool, found: &mut Contents) {
    // Nothing follows a trailing comma.
    for branch in tokens.split(|token| is(Some(token), ',')).filter(|branch| !branch.is_empty()) {
        let mut segments = prefix.clone();
        let mut name = None;
        let mut at = 0;
        // `use ::time::Date` names the crate, not the module.
        if prefix.is_empty() && is(branch.first(), ':') {
            segments.push(String::new());
        }
        let mut ended = false;
        while at < branch.len() {
            if let Some(inner) = group(branch.get(at), Delimiter::Brace) {
                let inner: Vec<TokenTree> = inner.into_iter().collect();
                read_use(&inner, &segments, module, public, found);
                ended = true;
            } else if is(branch.get(at), '*') {
                segments.push("*".into());
            } else if let Some(word) = word(branch.get(at)) {
                if word == "as" {
                    name = self::word(branch.get(at + 1));
                    break;
                }
                segments.push(word);
            }
            at += 1;
        }
        if !ended && let Some(last) = segments.iter().rev().find(|segment| *segment != "self") {
            let kind = Kind::Use { name: name.unwrap_or_else(|| last.clone()), public };
            found.mentions.push(Mention { module: module.clone(), segments, kind });
        }
    }
}
