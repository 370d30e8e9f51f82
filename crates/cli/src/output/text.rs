//! Texts of strangers on a terminal, and small phrases.

use std::borrow::Cow;

use tower_api_keys::usage::Source;

/// The text without characters that a terminal obeys, or that show a text in another order than it is in: control
/// characters, line separators, and marks of direction. Names of new keys have none; old rows, labels and what clients
/// call themselves may.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if is_obeyed(c) { char::REPLACEMENT_CHARACTER } else { c }).collect())
}

pub(super) fn is_obeyed(c: char) -> bool {
    let is_mark = matches!(c,
        '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    c.is_control() || is_mark
}

/// `1 key`, `2 keys`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// `a, b and 3 more`: at most three of them.
pub(crate) fn listed(items: impl IntoIterator<Item = String>) -> String {
    const MOST: usize = 3;
    let mut items = items.into_iter();
    let mut text = items.by_ref().take(MOST).collect::<Vec<_>>().join(", ");
    let more = items.count();
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// A name in quotation marks, or that there is none.
pub(crate) fn quoted(name: &str) -> String {
    if name.is_empty() { "(no name)".to_owned() } else { format!("\"{name}\"") }
}

/// Where requests came from, on a line.
pub(crate) fn source(source: &Source) -> String {
    if source.is_empty() { "(no user agent)".to_owned() } else { source.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_replaced_and_other_scripts_stay() {
        assert_eq!(shown("\u{1b}[2J\u{9b}31m\r\n\u{7f}"), "\u{fffd}[2J\u{fffd}31m\u{fffd}\u{fffd}\u{fffd}");
        assert_eq!(shown("a\u{202e}b\u{2066}c\u{200f}"), "a\u{fffd}b\u{fffd}c\u{fffd}");
        for text in ["déjà vu", "ключ", "鍵", "👩‍🚒", "שלום"] {
            assert!(matches!(shown(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn long_lists_are_counted() {
        let of = |count: u32| listed((1..=count).map(|number| number.to_string()));
        assert_eq!([of(0), of(1), of(3), of(5)], ["", "1", "1, 2, 3", "1, 2, 3 and 2 more"]);
    }
}
