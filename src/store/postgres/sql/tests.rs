//! Statements have no name whose meaning depends on a search path.

use super::{super::blockers::HOLDERS, super::exposure::EXPOSURES, super::migrate::FACTS, *};

/// Syntax that looks like a function, and means the same with any search path.
const SYNTAX: [&str; 8] = ["any", "array", "coalesce", "exists", "greatest", "least", "operator", "values"];

/// Syntax that looks up an unqualified operator.
const WITH_OPERATORS: [&str; 9] =
    [" in (", " in(", " like ", " ilike ", " between ", " distinct from ", "nullif", " using ", "case $"];

/// The bare names in a statement, as far as they can be found without a parser.
fn bare_names(statement: &str) -> Vec<String> {
    let mut bare = Vec::new();
    // Text between quotes names nothing, except the schema, which is wanted.
    let text: String = statement.split('\'').step_by(2).collect::<Vec<_>>().join("''");
    bare.extend(WITH_OPERATORS.iter().filter(|word| text.contains(**word)).map(ToString::to_string));
    let qualified = text.replace("operator(pg_catalog.", "\u{1}");
    let mut is_assignment = false;
    for word in qualified.split_whitespace() {
        match word {
            "set" => is_assignment = true,
            "where" | "from" | "returning" => is_assignment = false,
            _ => {}
        }
        if word == "=" && is_assignment || word == "*" || word.starts_with('\u{1}') {
            continue;
        }
        if word.chars().all(|symbol| "=<>+-*/|~!@#%^&".contains(symbol)) {
            bare.push(word.to_owned());
        }
    }
    for (at, _) in text.match_indices('(') {
        let before: &str = &text[..at];
        let name = before.rsplit(|symbol: char| !(symbol.is_ascii_alphanumeric() || symbol == '_')).next().unwrap();
        let is_qualified = before[..at - name.len()].ends_with('.');
        let is_unnest_of_many = name == "unnest" && text[at..].split(')').next().unwrap().contains(',');
        if !name.is_empty() && !is_qualified && !is_unnest_of_many && !SYNTAX.contains(&name) {
            bare.push(format!("{name}("));
        }
    }
    for (at, _) in text.match_indices("::") {
        let of: String = text[at + 2..].chars().take_while(|symbol| symbol.is_ascii_alphabetic()).collect();
        if !["bigint", "boolean", "integer", "pg"].contains(&of.as_str()) {
            bare.push(format!("::{of}"));
        }
    }
    bare
}

#[test]
fn no_statement_has_a_bare_name() {
    let sql = Sql::new("keys");
    let mut statements: Vec<(&str, String)> =
        sql.all().into_iter().map(|(name, text)| (name, text.to_owned())).collect();
    for (name, text) in [("holders", HOLDERS), ("exposures", EXPOSURES), ("facts", FACTS)] {
        statements.push((name, qualified(text, "\"keys\"")));
    }
    for (name, text) in &statements {
        assert_eq!(bare_names(text), Vec::<String>::new(), "{name}: {text}");
        assert!(!text.contains('{') || *name == "exposures", "{name}: {text}");
    }
    assert!(statements.len() > 50);
}

#[test]
fn a_bare_name_is_noticed() {
    let bare = [
        ("select 1 where a = b", "="),
        ("update t set a = 1 where b <> c", "<>"),
        ("select max(a) from t", "max("),
        ("select unnest($1)", "unnest("),
        ("select a::text", "::text"),
        ("select 1 where a in (select 2)", " in ("),
    ];
    for (statement, name) in bare {
        assert!(bare_names(statement).contains(&name.to_owned()), "{statement}: {:?}", bare_names(statement));
    }
}
