//! Finds the one key of a request.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, USER_AGENT},
};
use subtle::ConstantTimeEq;

use super::headers::{Instead, KeyHeaders};
use crate::key::{KeyFormat, MalformedReason};

/// What to do with `Authorization: Bearer` when the text does not begin with an accepted prefix: session tokens and
/// keys of an older system, for example.
///
/// A text with a key further on in it, or with an encoded key, is refused in both cases: see
/// [`ApiKeyLayer`](super::ApiKeyLayer#where-a-key-is-looked-for).
///
/// ```
/// use tower_api_keys::middleware::ForeignBearer;
///
/// assert_eq!(ForeignBearer::default(), ForeignBearer::Refuse);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForeignBearer {
    /// Treat it as another service's credential, like any other scheme: it reaches the inner service unchanged. Without
    /// another key, the request has none.
    Ignore,
    /// Refuse it as a malformed key: 401.
    #[default]
    Refuse,
}

/// What the headers of a request say. Borrows the key, so it has no `Debug`.
pub(crate) enum Reading<'a> {
    /// One text that may be a key: not empty, outer spaces and tabs trimmed.
    Key { text: &'a [u8], carried: Carried },
    /// No key at all.
    Nothing,
    /// A key in the wrong place, or what is left of one: refused without a look-up.
    Misplaced { reason: MalformedReason, text: &'a [u8] },
    /// Refused without a look-up.
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

/// The headers of a request that say who calls.
pub(crate) struct Lines<'a> {
    authorization: HeaderLine<'a>,
    key_header: HeaderLine<'a>,
    /// The first `User-Agent`.
    pub(crate) user_agent: Option<&'a HeaderValue>,
}

enum HeaderLine<'a> {
    None,
    One(&'a HeaderValue),
    Twice,
}

/// How many bytes of the query of a refused request are searched.
const LONGEST_QUERY: usize = 4 * 1_024;

/// Above this number of headers, each is looked up by name; up to it, one pass over all of them is quicker.
const MANY: usize = 16;

impl<'a> Lines<'a> {
    /// The lines of these key headers, and that of the user agent.
    #[inline(always)]
    pub(crate) fn find(headers: &'a HeaderMap, names: &KeyHeaders) -> Self {
        let key_header = names.key_header();
        if headers.len() > MANY {
            return Self {
                authorization: if names.reads_bearer() {
                    HeaderLine::of(headers, &AUTHORIZATION)
                } else {
                    HeaderLine::None
                },
                key_header: key_header.map_or(HeaderLine::None, |name| HeaderLine::of(headers, name)),
                user_agent: headers.get(USER_AGENT).filter(|_| key_header != Some(&USER_AGENT)),
            };
        }
        let (mut authorization, mut key_line, mut user_agent) = (HeaderLine::None, HeaderLine::None, None);
        for (name, value) in headers {
            if *name == AUTHORIZATION {
                authorization.add(value);
            } else if key_header.is_some_and(|key_header| name == key_header) {
                key_line.add(value);
            } else if *name == USER_AGENT {
                user_agent = user_agent.or(Some(value));
            }
        }
        if !names.reads_bearer() {
            authorization = HeaderLine::None;
        }
        Self { authorization, key_header: key_line, user_agent }
    }

    /// What a request has instead of a key. Only for a request that is refused because it has no key: nothing found
    /// here is used as a key, copied, or searched for in other requests.
    #[cold]
    pub(crate) fn instead(&self, query: Option<&str>, format: &KeyFormat) -> Instead {
        let query = query.map(str::as_bytes).unwrap_or_default();
        if format.find_in(query.get(..LONGEST_QUERY).unwrap_or(query)).next().is_some() {
            return Instead::KeyInQuery;
        }
        match self.authorization {
            HeaderLine::One(value) if behind(b"basic", trim(value.as_bytes())).is_some() => Instead::Basic,
            _ => Instead::Nothing,
        }
    }
}

impl<'a> HeaderLine<'a> {
    fn of(headers: &'a HeaderMap, name: &HeaderName) -> Self {
        let mut line = Self::None;
        headers.get_all(name).iter().take(2).for_each(|value| line.add(value));
        line
    }

    fn add(&mut self, value: &'a HeaderValue) {
        *self = if matches!(self, Self::None) { Self::One(value) } else { Self::Twice };
    }

    fn only(&self) -> Result<Option<&'a HeaderValue>, Twice> {
        match self {
            Self::None => Ok(None),
            Self::One(value) => Ok(Some(value)),
            Self::Twice => Err(Twice),
        }
    }
}

/// Reads the lines that carry keys.
///
/// Values are bytes: nothing here requires UTF-8. A header that appears twice is refused even if both lines are equal,
/// because the services behind this one may disagree about which line counts.
// Always inlined: otherwise the lines and the result go through memory.
#[inline(always)]
pub(crate) fn read<'a>(lines: &Lines<'a>, format: &KeyFormat, foreign: ForeignBearer) -> Reading<'a> {
    // The most common form.
    if let (HeaderLine::One(value), HeaderLine::None) = (&lines.authorization, &lines.key_header)
        && let Some(text @ [first, .., last]) = value.as_bytes().strip_prefix(b"Bearer ")
        && !is_blank(*first)
        && !is_blank(*last)
        && foreign == ForeignBearer::Refuse
    {
        return Reading::Key { text, carried: Carried { authorization: true, key_header: false } };
    }
    read_all(lines, format, foreign)
}

/// The general case: any combination of headers.
fn read_all<'a>(lines: &Lines<'a>, format: &KeyFormat, foreign: ForeignBearer) -> Reading<'a> {
    let (Ok(authorization), Ok(key_header)) = (lines.authorization.only(), lines.key_header.only()) else {
        return Reading::Refused(Fault::Ambiguous);
    };
    let bearer = match authorization.map(|value| scheme(trim(value.as_bytes()), format, foreign)) {
        Some(Scheme::Bearer(text)) => Some(text),
        Some(Scheme::Misplaced { reason, text }) => return Reading::Misplaced { reason, text },
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
    Reading::Key { text, carried }
}

/// More than one line of the header.
struct Twice;

enum Scheme<'a> {
    /// What follows `Bearer`; may be empty.
    Bearer(&'a [u8]),
    /// A key of ours in the wrong place: without a scheme, behind another one, glued to something, or encoded.
    Misplaced { reason: MalformedReason, text: &'a [u8] },
    /// Another service's credential, with no key in it.
    Other,
}

fn scheme<'a>(value: &'a [u8], format: &KeyFormat, foreign: ForeignBearer) -> Scheme<'a> {
    if let Some(rest) = behind(b"bearer", value) {
        if foreign == ForeignBearer::Ignore && !format.begins_like_a_key(trim(rest)) && !format.is_in(rest) {
            return Scheme::Other;
        }
        // Any number of spaces may follow the scheme (RFC 9110 §11.4), but no tab: a tab stays, and is reported as
        // whitespace.
        return Scheme::Bearer(trim_start(rest, |byte| byte == b' '));
    }
    let wrong_scheme = || behind(b"token", value).or_else(|| behind(b"apikey", value));
    // Here no other credential is expected, so a key that lost its end still counts as a key.
    let bare = [Some(value), wrong_scheme().map(trim)].into_iter().flatten();
    if let Some(text) = bare.into_iter().find(|text| format.begins_with_an_id(text)) {
        return Scheme::Misplaced { reason: MalformedReason::MissingScheme, text };
    }
    format.misplaced_in(value).map_or(Scheme::Other, |reason| Scheme::Misplaced { reason, text: value })
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
