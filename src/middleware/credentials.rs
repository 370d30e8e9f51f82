//! Finding the one key of a request.

use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use subtle::ConstantTimeEq;

use super::headers::KeyHeaders;
use crate::key::{KeyFormat, MalformedReason};

/// What to do with `Authorization: Bearer` when the text does not begin with an accepted prefix, as session tokens and
/// keys of an older system do.
///
/// ```
/// use tower_api_keys::middleware::ForeignBearer;
///
/// assert_eq!(ForeignBearer::default(), ForeignBearer::Refuse);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForeignBearer {
    /// It is somebody else's, like any other scheme: it is not looked at and reaches the inner service. Without another
    /// key the request has none.
    Ignore,
    /// It is a malformed key: 401.
    #[default]
    Refuse,
}

/// What the headers of a request say. Borrows the key, so it has no `Debug`.
pub(crate) enum Reading<'a> {
    /// One text that may be a key: not empty, outer spaces and tabs trimmed.
    Candidate { text: &'a [u8], carried: Carried },
    /// No key at all.
    Nothing,
    /// Refused without asking anybody.
    Refused(Fault),
}

/// Which headers the candidate was in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Carried {
    pub(crate) authorization: bool,
    pub(crate) key_header: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Ambiguous,
    Malformed(MalformedReason),
}

/// Reads the headers that carry keys.
///
/// Values are bytes: nothing here asks for UTF-8. A header that comes twice is refused even if both lines are equal,
/// since the services behind this one may disagree about which line counts.
pub(crate) fn read<'a>(
    headers: &'a HeaderMap,
    names: &KeyHeaders,
    format: &KeyFormat,
    foreign: ForeignBearer,
) -> Reading<'a> {
    let authorization = if names.reads_bearer() { only_line(headers, &AUTHORIZATION) } else { Ok(None) };
    let key_header = names.key_header().map_or(Ok(None), |name| only_line(headers, name));
    let (Ok(authorization), Ok(key_header)) = (authorization, key_header) else {
        return Reading::Refused(Fault::Ambiguous);
    };
    let bearer = match authorization.map(|value| scheme(trim(value.as_bytes()), format, foreign)) {
        Some(Scheme::Bearer(text)) => Some(text),
        Some(Scheme::Missing) => return Reading::Refused(Fault::Malformed(MalformedReason::MissingScheme)),
        Some(Scheme::Other) | None => None,
    };
    let key_header = key_header.map(|value| trim(value.as_bytes()));
    let carried = Carried { authorization: bearer.is_some(), key_header: key_header.is_some() };
    let text = match (bearer, key_header) {
        (None, None) => return Reading::Nothing,
        (Some(text), None) | (None, Some(text)) => text,
        (Some(bearer), Some(text)) if !text.is_empty() && bool::from(bearer.ct_eq(text)) => text,
        (Some(_), Some(_)) => return Reading::Refused(Fault::Ambiguous),
    };
    if text.is_empty() {
        return Reading::Refused(Fault::Malformed(MalformedReason::Empty));
    }
    Reading::Candidate { text, carried }
}

/// More than one line of the header.
struct Twice;

fn only_line<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Twice> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next();
    if lines.next().is_some() { Err(Twice) } else { Ok(first) }
}

enum Scheme<'a> {
    /// What follows `Bearer`; may be empty.
    Bearer(&'a [u8]),
    /// A key of ours without the scheme it belongs behind.
    Missing,
    /// None of our business.
    Other,
}

fn scheme<'a>(value: &'a [u8], format: &KeyFormat, foreign: ForeignBearer) -> Scheme<'a> {
    if let Some(rest) = behind(b"bearer", value) {
        if foreign == ForeignBearer::Ignore && !format.begins_like_a_key(trim(rest)) {
            return Scheme::Other;
        }
        // Any number of spaces may follow the scheme (RFC 9110 §11.4), but no tab: it stays, and is told as whitespace.
        return Scheme::Bearer(trim_start(rest, |byte| byte == b' '));
    }
    let wrong_scheme = || behind(b"token", value).or_else(|| behind(b"apikey", value));
    if format.begins_like_a_key(value) || wrong_scheme().is_some_and(|rest| format.begins_like_a_key(trim(rest))) {
        return Scheme::Missing;
    }
    Scheme::Other
}

/// What follows the scheme, blanks included, if the value has this scheme in any case.
fn behind<'a>(scheme: &[u8], value: &'a [u8]) -> Option<&'a [u8]> {
    let (first, rest) = value.split_at_checked(scheme.len())?;
    let ends = rest.first().is_none_or(|byte| is_blank(*byte));
    (ends && first.eq_ignore_ascii_case(scheme)).then_some(rest)
}

fn trim(text: &[u8]) -> &[u8] {
    let mut text = trim_start(text, is_blank);
    while let Some((last, rest)) = text.split_last()
        && is_blank(*last)
    {
        text = rest;
    }
    text
}

fn trim_start(mut text: &[u8], blank: impl Fn(u8) -> bool) -> &[u8] {
    while let Some((first, rest)) = text.split_first()
        && blank(*first)
    {
        text = rest;
    }
    text
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

#[cfg(test)]
mod tests;
