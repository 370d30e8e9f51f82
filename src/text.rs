//! Characters that people do not see, and those that make a text look like another one.

/// Whether a character is invisible, or changes how others are shown: controls, line separators, characters that
/// programs may [leave out](is_ignorable), and invisible format controls.
#[inline]
pub(crate) fn is_invisible(c: char) -> bool {
    // Each stored id is checked, and nearly all are ASCII.
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    let is_format = matches!(c, '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}' | '\u{13430}'..='\u{1343f}');
    is_format || c.is_control() || is_ignorable(c)
}

/// Whether programs may leave a character out: `Default_Ignorable_Code_Point` in Unicode 16
/// (DerivedCoreProperties.txt), which includes direction marks and zero-width characters; and the blank of Braille.
pub(crate) fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a reader of the text sees all of it, and in its order. Invisible characters are allowed only where they
/// belong to the text: a joiner between two characters, as in Persian, Malayalam and families of emoji; one variation
/// selector after a character; tags after a black flag, as in the flag of Scotland.
pub(crate) fn is_legible(text: &str) -> bool {
    let mut before = Before::Nothing;
    for c in text.chars() {
        before = match (before, c) {
            (Before::Flag | Before::Visible | Before::Selector, JOINER | NON_JOINER) => Before::Joiner,
            (Before::Flag | Before::Visible, c) if is_variation_selector(c) => Before::Selector,
            (Before::Flag | Before::Tag, '\u{e0020}'..='\u{e007e}') => Before::Tag,
            (Before::Tag, END_OF_TAGS) => Before::Selector,
            // A flag whose tags have no end, a joiner that joins nothing.
            (Before::Tag, _) => return false,
            (Before::Joiner, c) if c.is_whitespace() => return false,
            (_, c) if is_invisible(c) => return false,
            (_, BLACK_FLAG) => Before::Flag,
            (_, c) if c.is_whitespace() => Before::Nothing,
            _ => Before::Visible,
        };
    }
    !matches!(before, Before::Joiner | Before::Tag)
}

fn is_variation_selector(c: char) -> bool {
    matches!(c, '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

const NON_JOINER: char = '\u{200c}';
const JOINER: char = '\u{200d}';
const BLACK_FLAG: char = '\u{1f3f4}';
const END_OF_TAGS: char = '\u{e007f}';

/// What comes before a character.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// A character that tags may follow.
    Flag,
    Joiner,
    /// Nothing that an invisible character could belong to.
    Nothing,
    Selector,
    Tag,
    Visible,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_systems_and_emoji_are_legible() {
        for text in [
            "",
            "laptop \u{1f469}\u{200d}\u{1f4bb}",
            // The flag of transgender people, a heart on fire, a family.
            "\u{1f3f3}\u{fe0f}\u{200d}\u{26a7}\u{fe0f}",
            "\u{2764}\u{fe0f}\u{200d}\u{1f525}",
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
            // The pirates' flag, and that of Scotland.
            "\u{1f3f4}\u{200d}\u{2620}\u{fe0f}",
            "\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f} office",
            // Persian, Malayalam, Mongolian, Hebrew.
            "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
            "\u{d28}\u{d4d}\u{200d}\u{d2e}",
            "\u{1820}\u{180b}",
            "\u{5e9}\u{5dc}\u{5d5}\u{5dd}",
            "jos\u{e9} & jose\u{301} <b>'\"",
        ] {
            assert!(is_legible(text), "{text:?}");
        }
    }

    #[test]
    fn what_nobody_sees_is_not_legible() {
        for text in [
            "\u{200d}a",
            "a\u{200d}",
            "a\u{200c}",
            "a \u{200d}b",
            "a\u{200d} b",
            "a\u{200d}\u{200d}b",
            "a\u{200d}\u{200c}b",
            "\u{fe0f}a",
            "a\u{fe0f}\u{fe0e}",
            "a\u{e0068}\u{e0069}",
            "\u{1f3f4}\u{e0067}",
            "\u{1f3f4}\u{e0067}a",
            "\u{1f3f4}a\u{e0067}\u{e007f}",
            "a\u{ad}b",
            "a\u{202e}b",
            "a\u{2066}b",
            "a\u{200b}b",
            "a\u{2060}b",
            "a\u{feff}b",
            "a\u{3164}b",
            "a\u{2800}b",
            "a\u{fff9}b",
            "a\u{34f}b",
            "a\nb",
            "a\u{85}b",
            "a\0b",
            "a\u{2028}b",
        ] {
            assert!(!is_legible(text), "{text:?}");
        }
    }
}
