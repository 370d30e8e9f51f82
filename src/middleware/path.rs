//! Finds an organization and a team in the path of a request.

use std::{borrow::Cow, str};

use http::request::Parts;

use crate::owner::{OrganizationId, TeamId};

/// A pattern that a whole path has to match, with the organization, the team or both in it.
///
/// Matched as axum's router matches: literal segments byte by byte, a parameter takes one segment that is not empty and
/// is percent-decoded once.
#[derive(Clone, Debug)]
pub(crate) struct PathPattern {
    segments: Vec<Segment>,
    /// Whether anything may follow.
    has_tail: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    /// Any one segment.
    Other,
    Organization,
    Team,
}

/// What is in a path that matched.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Matched {
    pub(crate) organization: Option<OrganizationId>,
    pub(crate) team: Option<TeamId>,
}

/// Why a pattern of paths cannot be used.
///
/// ```
/// use tower_api_keys::middleware::RequireKeyLayer;
///
/// let error = RequireKeyLayer::new().team_at("/agents").unwrap_err();
/// assert_eq!(error.to_string(), "the pattern must have `{team}` exactly once, as a whole segment");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct InvalidPathPattern(#[from] Fault);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Fault {
    #[error(
        "a parameter must be a whole segment, as in `/teams/{{team}}`; write `{{{{` or `}}}}` for a brace that is no \
         parameter"
    )]
    Braces,
    #[error("a pattern must not have `.`, `..` or `...` as a segment; write `…` or `{{*rest}}` for a tail")]
    Dots,
    #[error("the pattern must begin with `/`")]
    NoSlash,
    #[error("the pattern must have `{{organization}}` exactly once, as a whole segment")]
    Organization,
    #[error("`…` or `{{*rest}}` must be the last segment")]
    Tail,
    #[error("the pattern must have `{{team}}` exactly once, as a whole segment")]
    Team,
}

impl PathPattern {
    /// A pattern with `{team}` in it, and perhaps `{organization}`.
    pub(crate) fn with_team(pattern: &str) -> Result<Self, InvalidPathPattern> {
        let pattern = Self::parse(pattern)?;
        match (pattern.count(&Segment::Team), pattern.count(&Segment::Organization)) {
            (1, 0 | 1) => Ok(pattern),
            (1, _) => Err(Fault::Organization.into()),
            _ => Err(Fault::Team.into()),
        }
    }

    /// A pattern with `{organization}` in it.
    pub(crate) fn in_organization(pattern: &str) -> Result<Self, InvalidPathPattern> {
        let pattern = Self::parse(pattern)?;
        if pattern.count(&Segment::Organization) == 1 { Ok(pattern) } else { Err(Fault::Organization.into()) }
    }

    fn parse(pattern: &str) -> Result<Self, Fault> {
        let rest = pattern.strip_prefix('/').ok_or(Fault::NoSlash)?;
        let (mut segments, mut has_tail) = (Vec::new(), false);
        for segment in rest.split('/') {
            if has_tail {
                return Err(Fault::Tail);
            }
            match segment {
                "…" => has_tail = true,
                _ if is_rest(segment) => has_tail = true,
                "." | ".." | "..." => return Err(Fault::Dots),
                _ => segments.push(Segment::parse(segment)?),
            }
        }
        Ok(Self { segments, has_tail })
    }

    fn count(&self, wanted: &Segment) -> usize {
        self.segments.iter().filter(|segment| *segment == wanted).count()
    }

    /// What is in the whole path, as the client sent it; none if it does not match, or if a segment is no id.
    pub(crate) fn find(&self, path: &str) -> Option<Matched> {
        // `/teams/blue/../red`: a service behind this one may read it as a path of another team.
        if path.split('/').any(has_dots) {
            return None;
        }
        let mut found = Matched { organization: None, team: None };
        let mut parts = path.strip_prefix('/')?.split('/');
        for segment in &self.segments {
            let part = parts.next()?;
            match segment {
                Segment::Literal(text) if **text == *part => {}
                Segment::Other if !part.is_empty() => {}
                Segment::Organization => found.organization = Some(OrganizationId::new(decoded(part)?).ok()?),
                Segment::Team => found.team = Some(TeamId::new(decoded(part)?).ok()?),
                Segment::Literal(_) | Segment::Other => return None,
            }
        }
        (self.has_tail || parts.next().is_none()).then_some(found)
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, Fault> {
        if let Some(name) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'))
            && !name.is_empty()
            && !name.contains(['{', '}', '*'])
        {
            return Ok(match name {
                "organization" => Self::Organization,
                "team" => Self::Team,
                _ => Self::Other,
            });
        }
        // As in axum, a literal brace is written twice.
        let literal = text.replace("{{", "\u{0}").replace("}}", "\u{1}");
        if literal.contains(['{', '}']) || text.contains(['\u{0}', '\u{1}']) {
            return Err(Fault::Braces);
        }
        Ok(Self::Literal(literal.replace('\u{0}', "{").replace('\u{1}', "}").into()))
    }
}

/// `{*rest}`.
fn is_rest(segment: &str) -> bool {
    let name = segment.strip_prefix("{*").and_then(|rest| rest.strip_suffix('}'));
    name.is_some_and(|name| !name.is_empty() && !name.contains(['{', '}', '*']))
}

/// Whether a program that normalizes paths drops this segment, and perhaps the one before it: `..`, also as `%2E%2E`,
/// as `..%2F` or `..\`, which some take for two segments, and with parameters, as `..;x`.
fn has_dots(segment: &str) -> bool {
    let is_separator = |byte: &u8| matches!(byte, b'/' | b'\\' | b';');
    unescaped(segment).split(is_separator).any(|part| matches!(part, b"." | b".."))
}

/// A segment, percent-decoded once; none if that is no UTF-8.
fn decoded(segment: &str) -> Option<Cow<'_, str>> {
    match unescaped(segment) {
        Cow::Borrowed(_) => Some(segment.into()),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    }
}

/// The bytes of a segment, percent-decoded once. As in axum, a `%` that begins no escape is itself.
fn unescaped(segment: &str) -> Cow<'_, [u8]> {
    if !segment.contains('%') {
        return segment.as_bytes().into();
    }
    let (mut bytes, mut rest) = (Vec::with_capacity(segment.len()), segment.as_bytes());
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = if byte == b'%' { after.split_first_chunk::<2>() } else { None };
        match escaped.and_then(|(digits, after)| Some((hex(digits)?, after))) {
            Some((value, after)) => {
                bytes.push(value);
                rest = after;
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    bytes.into()
}

fn hex(digits: &[u8; 2]) -> Option<u8> {
    // A number parser accepts a sign, which is no hexadecimal digit.
    let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
    is_hex.then(|| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok())?
}

/// The path as the client sent it: a nested router of axum has stripped what it was nested under from the request's
/// own.
pub(crate) fn original_path(request: &Parts) -> &str {
    #[cfg(feature = "axum")]
    if let Some(::axum::extract::OriginalUri(uri)) = request.extensions.get() {
        return uri.path();
    }
    request.uri.path()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn team(pattern: &str, path: &str) -> Option<String> {
        PathPattern::with_team(pattern).unwrap().find(path)?.team.map(String::from)
    }

    #[test]
    fn the_whole_path_has_to_match() {
        let pattern = "/teams/{team}/agents";
        assert_eq!(team(pattern, "/teams/blue/agents").as_deref(), Some("blue"));
        for path in [
            "/teams/blue",
            "/teams/blue/",
            "/teams/blue/agents/",
            "/teams/blue/agents/7",
            "/v1/teams/blue/agents",
            "//teams/blue/agents",
            "/teams//agents",
            "/Teams/blue/agents",
            "/%74eams/blue/agents",
            "/teams/blue/agents%2F",
            "/blue/agents",
            "teams/blue/agents",
            "*",
            "/",
            "",
        ] {
            assert_eq!(team(pattern, path), None, "{path}");
        }
    }

    #[test]
    fn a_tail_is_anything_or_nothing() {
        for pattern in ["/teams/{team}/…", "/teams/{team}/{*rest}"] {
            for path in ["/teams/blue", "/teams/blue/", "/teams/blue/agents", "/teams/blue/agents/red/x"] {
                assert_eq!(team(pattern, path).as_deref(), Some("blue"), "{path}");
            }
            assert_eq!(team(pattern, "/teams/"), None);
            assert_eq!(team(pattern, "/v1/teams/blue"), None);
        }
    }

    /// A program that normalizes paths would find another team in these, or none.
    #[test]
    fn a_path_with_dots_for_segments_matches_nothing() {
        for pattern in ["/teams/{team}/…", "/teams/{team}/{kind}/{name}", "/teams/{team}/{*rest}"] {
            for (behind, is_fine) in [
                ("../red", false),
                ("./red", false),
                ("agents/..", false),
                ("agents/.", false),
                ("%2e%2E/red", false),
                (".%2e/red", false),
                ("%2E/red", false),
                ("..%2Fred/x", false),
                ("x%2f..%2f..%2fred/x", false),
                ("..\\red/x", false),
                ("..%5Cred/x", false),
                ("..;/red", false),
                ("..;a=b/red", false),
                ("%ff%2F../red", false),
                (".../red", true),
                ("..red/x", true),
                ("a..b/.red.", true),
                ("%252e%252e/red", true),
                ("%ff/x", true),
            ] {
                let found = team(pattern, &format!("/teams/blue/{behind}"));
                assert_eq!(found.as_deref(), is_fine.then_some("blue"), "{pattern} {behind}");
            }
        }
        for path in
            ["/../blue", "/./blue", "/v1/..", "/v1/.", "/v1/%2E%2E", "/%2e/blue", "/..;v=1/blue", "/v1/a%2F..%2Fb"]
        {
            assert_eq!(team("/{version}/{team}", path), None, "{path}");
        }
    }

    #[test]
    fn other_parameters_take_one_segment() {
        let pattern = "/{version}/orgs/{organization}/teams/{team}";
        let found = PathPattern::with_team(pattern).unwrap().find("/v1/orgs/acme/teams/blue").unwrap();
        assert_eq!(found.organization.unwrap().as_str(), "acme");
        assert_eq!(found.team.unwrap().as_str(), "blue");
        assert_eq!(team(pattern, "//orgs/acme/teams/blue"), None);
        assert_eq!(team(pattern, "/v1/x/orgs/acme/teams/blue"), None);
    }

    #[test]
    fn a_segment_is_decoded_once() {
        for (segment, expected) in [
            ("bl%75e", Some("blue")),
            ("%2575", Some("%75")),
            ("a%2Fb", Some("a/b")),
            ("50%", Some("50%")),
            ("%zz", Some("%zz")),
            ("%+1", Some("%+1")),
            ("%e9", None),
            ("%c3%A9", Some("é")),
            ("%00", None),
            ("%0a", None),
        ] {
            assert_eq!(team("/teams/{team}", &format!("/teams/{segment}")).as_deref(), expected, "{segment}");
        }
    }

    #[test]
    fn braces_are_written_twice() {
        assert_eq!(team("/{{x}}/{team}", "/{x}/blue").as_deref(), Some("blue"));
    }

    #[test]
    fn a_bad_pattern_is_an_error_at_once() {
        for (pattern, fault) in [
            ("teams/{team}", Fault::NoSlash),
            ("", Fault::NoSlash),
            ("/teams", Fault::Team),
            ("/teams/:team", Fault::Team),
            ("/{team}/{team}", Fault::Team),
            ("/…", Fault::Team),
            ("/{*team}", Fault::Team),
            ("/{organization}/{organization}/{team}", Fault::Organization),
            ("/teams/t-{team}", Fault::Braces),
            ("/teams/{team}.json", Fault::Braces),
            ("/teams/{}/{team}", Fault::Braces),
            ("/teams/{team", Fault::Braces),
            ("/…/{team}", Fault::Tail),
            ("/{team}/{*rest}/more", Fault::Tail),
            ("/{team}/…/", Fault::Tail),
            ("/teams/{team}/...", Fault::Dots),
            ("/teams/../{team}", Fault::Dots),
            ("/./{team}", Fault::Dots),
        ] {
            assert_eq!(PathPattern::with_team(pattern).unwrap_err().0, fault, "{pattern}");
        }
        assert_eq!(PathPattern::in_organization("/{team}").unwrap_err().0, Fault::Organization);
    }
}
