//! JSON for programs: the forms of the core, byte for byte, except that a terminal obeys none of it.

use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

use super::text::is_obeyed;

/// The document as one line. `null` if it cannot be written as JSON, which no form of the core is.
pub(crate) fn json(document: &impl Serialize) -> String {
    let mut text = Vec::new();
    match write_json(&mut text, document) {
        Ok(()) => String::from_utf8(text).unwrap_or_default(),
        Err(_) => "null".to_owned(),
    }
}

/// Writes the document, which may hold a secret, without another copy of it.
pub(super) fn write_json(writer: impl io::Write, document: &impl Serialize) -> io::Result<()> {
    Ok(document.serialize(&mut Serializer::with_formatter(writer, Safe(CompactFormatter)))?)
}

/// Writes characters that a terminal obeys as escapes, so that the value is the same and the bytes are harmless.
struct Safe(CompactFormatter);

impl Formatter for Safe {
    fn write_string_fragment<W: io::Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(is_obeyed) {
            let (before, after) = rest.split_at(at);
            self.0.write_string_fragment(writer, before)?;
            let mut letters = after.chars();
            for unit in letters.next().unwrap_or_default().encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = letters.as_str();
        }
        self.0.write_string_fragment(writer, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped_and_reads_as_before() {
        let text = "a\u{9b}b\u{202e}c\u{e0041}\u{1b}é\"";
        let written = json(&text);
        assert_eq!(written, r#""a\u009bb\u202ec\udb40\udc41\u001bé\"""#);
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
    }
}
