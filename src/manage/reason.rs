use crate::{key::without_credentials, text::is_invisible};

/// The longest reason that is kept, in characters.
const LONGEST_REASON: usize = 200;

/// How many characters of a reason are read. Redaction makes it shorter.
const MOST_LOOKED_AT: usize = 1_000;

/// A reason for the audit trail, from what people write: without characters that hide or mislead, and without keys.
pub(super) fn cleaned(reason: &str) -> Option<String> {
    let visible: String = reason
        .chars()
        .filter(|c| c.is_whitespace() || !is_invisible(*c))
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .take(MOST_LOOKED_AT)
        .collect();
    // The last word may have been cut, and may be the rest of a credential.
    let visible = match visible.rsplit_once(' ') {
        Some((whole, _)) if visible.chars().count() == MOST_LOOKED_AT => whole,
        None if visible.chars().count() == MOST_LOOKED_AT => "",
        _ => visible.as_str(),
    };
    let cut: String = without_credentials(visible.trim()).chars().take(LONGEST_REASON).collect();
    Some(cut).filter(|reason| !reason.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_is_cleaned_redacted_and_cut() {
        let key = crate::key::KeyFormat::unbranded().generate(crate::KeyKind::Team).unwrap();
        assert_eq!(cleaned(" in a public\nrepository\u{202e} ").as_deref(), Some("in a public repository"));
        assert_eq!(cleaned(" \u{200b} "), None);
        assert_eq!(cleaned(&"é".repeat(300)).map(|reason| reason.chars().count()), Some(200));
        assert_eq!(cleaned(&format!("leaked: {}", key.expose_secret())), Some(format!("leaked: {}", key.redacted())));
        // An invisible character would hide the key from redaction.
        let hidden = key.expose_secret().replacen('.', ".\u{200b}", 1);
        assert_eq!(cleaned(&hidden), Some(key.redacted()));
    }
}
