//! The beginnings of credentials of other services.

use std::sync::Arc;

use super::error::Issuer;

const MOST_REGISTERED: usize = 16;
const SHORTEST_PREFIX: usize = 3;
const LONGEST_PREFIX: usize = 32;
const LONGEST_ISSUER: usize = 64;
/// At this length or more, JSON in base64url counts as a token even if its dots are not found.
const LONG: usize = 128;

/// Prefixes that the embedder registered, the longest first.
#[derive(Clone, Debug, Default)]
pub(super) struct ForeignPrefixes {
    registered: Vec<(Box<str>, Arc<Box<str>>)>,
}

impl ForeignPrefixes {
    pub(super) fn with(mut self, prefix: &str, issuer: &str) -> Result<Self, InvalidForeignPrefix> {
        let lengths = SHORTEST_PREFIX..=LONGEST_PREFIX;
        if !lengths.contains(&prefix.len()) || !prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidForeignPrefix(InvalidForeignPrefixKind::Prefix));
        }
        // Callers see it, in JSON that embedders may write by hand.
        let is_told = |c: char| !c.is_control() && !matches!(c, '"' | '\\');
        if issuer.is_empty() || issuer.len() > LONGEST_ISSUER || !issuer.chars().all(is_told) {
            return Err(InvalidForeignPrefix(InvalidForeignPrefixKind::Issuer));
        }
        self.registered.retain(|(registered, _)| **registered != *prefix);
        if self.registered.len() >= MOST_REGISTERED {
            return Err(InvalidForeignPrefix(InvalidForeignPrefixKind::TooMany));
        }
        self.registered.push((prefix.into(), Arc::new(issuer.into())));
        self.registered.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        Ok(self)
    }

    /// The issuer of texts that begin like this. Registered prefixes come before the known ones.
    pub(super) fn issuer(&self, text: &[u8]) -> Option<Issuer> {
        self.registered
            .iter()
            .find(|(prefix, _)| text.starts_with(prefix.as_bytes()))
            .map(|(_, issuer)| Issuer::Registered(Arc::clone(issuer)))
            .or_else(|| known(text).map(Issuer::Known))
    }
}

/// Well-known services. The first byte picks the few to compare with; among those the longest comes first.
pub(super) fn known(text: &[u8]) -> Option<&'static &'static str> {
    let candidates: &'static [(&'static [u8], &'static str)] = match text.first()? {
        // The id of an access key is 4 + 16 upper-case characters; a shorter text is no id.
        b'A' => return is_aws_access_key(text).then_some(&"AWS"),
        b'e' => return is_json_web_token(text).then_some(&"JSON Web Token"),
        b'g' => &[
            (b"github_pat_", "GitHub"),
            (b"ghp_", "GitHub"),
            (b"gho_", "GitHub"),
            (b"ghu_", "GitHub"),
            (b"ghs_", "GitHub"),
            (b"ghr_", "GitHub"),
            (b"glpat-", "GitLab"),
            (b"gloas-", "GitLab"),
            (b"gldt-", "GitLab"),
            (b"glrt-", "GitLab"),
            (b"glcbt-", "GitLab"),
            (b"glptt-", "GitLab"),
            (b"glft-", "GitLab"),
            (b"glimt-", "GitLab"),
            (b"glagent-", "GitLab"),
            (b"glsoat-", "GitLab"),
            (b"glffct-", "GitLab"),
        ],
        b'p' => &[(b"pk_live_", "Stripe"), (b"pk_test_", "Stripe")],
        b'r' => &[(b"rk_live_", "Stripe"), (b"rk_test_", "Stripe")],
        b's' => &[(b"sk-ant-", "Anthropic"), (b"sk-", "OpenAI"), (b"sk_live_", "Stripe"), (b"sk_test_", "Stripe")],
        b'w' => &[(b"whsec_", "Stripe")],
        b'x' => &[
            (b"xoxb-", "Slack"),
            (b"xoxp-", "Slack"),
            (b"xoxa-", "Slack"),
            (b"xoxe-", "Slack"),
            (b"xoxe.", "Slack"),
            (b"xoxr-", "Slack"),
            (b"xoxs-", "Slack"),
            (b"xapp-", "Slack"),
        ],
        _ => return None,
    };
    candidates.iter().find(|(prefix, _)| text.starts_with(prefix)).map(|(_, issuer)| issuer)
}

fn is_aws_access_key(text: &[u8]) -> bool {
    let (Some((prefix, rest)), 20..) = (text.split_first_chunk(), text.len()) else { return false };
    matches!(prefix, b"AKIA" | b"ASIA")
        && rest.iter().take(16).all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// `{"` in base64url, and the dots between the parts. In a long token the second dot may be beyond the part that is
/// read.
fn is_json_web_token(text: &[u8]) -> bool {
    text.starts_with(b"eyJ") && (text.len() >= LONG || text.iter().filter(|&&byte| byte == b'.').count() >= 2)
}

/// Why a prefix of another service cannot be registered.
///
/// ```
/// use tower_api_keys::key::{InvalidForeignPrefixKind, KeyFormat};
///
/// let error = KeyFormat::unbranded().with_foreign_prefix("x", "the old system").unwrap_err();
/// assert_eq!(error.kind(), InvalidForeignPrefixKind::Prefix);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", match .0 {
    InvalidForeignPrefixKind::Issuer => {
        "the issuer of a foreign prefix must have 1 to 64 bytes and must not contain a control character, quotation \
         mark or backslash"
    }
    InvalidForeignPrefixKind::Prefix => "a foreign prefix must have 3 to 32 printable ASCII characters and no space",
    InvalidForeignPrefixKind::TooMany => "a key format can have at most 16 foreign prefixes",
})]
pub struct InvalidForeignPrefix(InvalidForeignPrefixKind);

impl InvalidForeignPrefix {
    /// What is wrong with it.
    #[must_use]
    pub const fn kind(&self) -> InvalidForeignPrefixKind {
        self.0
    }
}

/// What is wrong with a prefix of another service.
///
/// ```
/// use tower_api_keys::key::{InvalidForeignPrefixKind, KeyFormat};
///
/// let error = KeyFormat::unbranded().with_foreign_prefix("old_", "").unwrap_err();
/// assert_eq!(error.kind(), InvalidForeignPrefixKind::Issuer);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidForeignPrefixKind {
    /// The issuer is not 1 to 64 bytes, or has a control character, a quotation mark or a backslash.
    Issuer,
    /// The prefix is not 3 to 32 printable ASCII characters.
    Prefix,
    /// The format knows 16 registered prefixes already.
    TooMany,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registered_prefixes_are_bounded() {
        let mut prefixes = ForeignPrefixes::default();
        for number in 0..16 {
            prefixes = prefixes.with(&format!("old{number}_"), "the old system").unwrap();
        }
        assert!(prefixes.clone().with("old3_", "another").is_ok());
        assert_eq!(prefixes.with("old16_", "another").unwrap_err().kind(), InvalidForeignPrefixKind::TooMany);
    }

    #[test]
    fn prefixes_and_issuers_are_printable_and_short() {
        let kind = |prefix: &str, issuer: &str| ForeignPrefixes::default().with(prefix, issuer).unwrap_err().kind();
        for prefix in ["", "ab", "a b", "abé", &"a".repeat(33)] {
            assert_eq!(kind(prefix, "x"), InvalidForeignPrefixKind::Prefix, "{prefix:?}");
        }
        for issuer in ["", "a\nb", "the \"old\" system", "a\\b", &"a".repeat(65)] {
            assert_eq!(kind("old_", issuer), InvalidForeignPrefixKind::Issuer, "{issuer:?}");
        }
    }
}
