use super::{Source, parts::Parts, source::Label};
use crate::{key::may_hold_secret, lengths::CLIENT_CHARACTERS};

/// How many bytes of a user agent are searched. A name that does not end within them is none.
const LOOKED_AT: usize = 256;

/// The source of a request as it was found, made into a [`Source`] only if no equal one is cached.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin<'a> {
    /// A layer's label, and the request's `User-Agent` unchanged.
    Agent(&'a Label, Option<&'a [u8]>),
    /// A layer's label, and client and network in cleaned words. By reference: an origin is copied on each check.
    Named(&'a Label, &'a NamedClient),
    /// A known source.
    Source(&'a Source),
}

/// Client and network, as an embedder's functions said.
#[derive(Debug)]
pub(crate) struct NamedClient {
    pub(crate) client: String,
    pub(crate) network: String,
}

/// An origin in words. A stranger's text is cleaned for it, and that work must be done before a lock is taken: code
/// behind a lock takes only this type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OriginWords<'a> {
    parts: Parts<'a>,
    of: Of<'a>,
}

/// What a source with these words shares with others.
#[derive(Clone, Copy, Debug)]
enum Of<'a> {
    Layer(&'a Label),
    Known(&'a Source),
}

impl<'a> Origin<'a> {
    /// The name of the product that a `User-Agent` begins with, if it names one that may be kept.
    pub(crate) fn product(agent: &[u8]) -> Option<&str> {
        product(agent)
    }

    /// Whether nothing is known of it, by a quick check.
    #[inline]
    pub(crate) fn is_nowhere_at_once(&self) -> bool {
        match self {
            Self::Agent(label, agent) => label.is_none() && agent.is_none(),
            Self::Named(..) => false,
            Self::Source(source) => source.is_empty(),
        }
    }

    /// Whether it is this source, by a quick check.
    #[inline]
    pub(crate) fn is_at_once(&self, source: &Source) -> bool {
        match self {
            Self::Agent(label, agent) => source.is_of_layer(label, |client| match agent {
                None => client.is_empty(),
                // A stored name has no character that ends a name.
                Some(agent) => {
                    !client.is_empty()
                        && agent.strip_prefix(client.as_bytes()).is_some_and(|rest| ends_name(rest.first()))
                }
            }),
            Self::Named(..) => false,
            // A check outside a layer has no origin.
            Self::Source(known) if known.is_empty() => source.is_empty(),
            Self::Source(known) => known.is(source),
        }
    }

    /// The origin in words.
    pub(crate) fn words(self) -> OriginWords<'a> {
        match self {
            Self::Source(source) => OriginWords { parts: source.parts(), of: Of::Known(source) },
            Self::Agent(label, agent) => {
                let client = agent.and_then(product).unwrap_or_default();
                OriginWords { parts: Parts { label: label.as_str(), client, network: "" }, of: Of::Layer(label) }
            }
            Self::Named(label, NamedClient { client, network }) => {
                OriginWords { parts: Parts { label: label.as_str(), client, network }, of: Of::Layer(label) }
            }
        }
    }

    pub(crate) fn to_source(self) -> Source {
        self.words().to_source()
    }
}

impl<'a> OriginWords<'a> {
    pub(crate) const fn parts(self) -> Parts<'a> {
        self.parts
    }

    pub(crate) fn to_source(self) -> Source {
        match self.of {
            Of::Known(source) => source.clone(),
            Of::Layer(label) => Source::of_layer(label, self.parts.client, self.parts.network),
        }
    }
}

/// The name of the product that a `User-Agent` begins with (RFC 9110 §10.1.5), which is a token: its first 64
/// characters. None if it is no token, is too long, or may hold the secret of a key.
fn product(agent: &[u8]) -> Option<&str> {
    let (start, rest) = agent.split_at(agent.len().min(LOOKED_AT));
    let end = match start.iter().position(|byte| ends_name(Some(byte))) {
        Some(end) => end,
        None if rest.is_empty() => start.len(),
        None => return None,
    };
    let name = start.get(..end)?;
    let is_token = !name.is_empty() && name.iter().all(|byte| is_token_character(*byte));
    let name = std::str::from_utf8(name).ok().filter(|_| is_token)?;
    // The whole name is checked; otherwise a part of the key might be left.
    if may_hold_secret(name) { None } else { name.get(..name.len().min(CLIENT_CHARACTERS)) }
}

/// Whether a name ends before this byte: a version follows, a comment, another product, or nothing.
const fn ends_name(byte: Option<&u8>) -> bool {
    matches!(byte, None | Some(b'/' | b' '))
}

/// RFC 9110 §5.6.2.
const fn is_token_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(label: &str) -> Label {
        Source::of_parts(Parts { label, ..Parts::default() }).shared_label().clone()
    }

    fn text(of: &str, agent: Option<&str>) -> String {
        Origin::Agent(&label(of), agent.map(str::as_bytes)).to_source().to_string()
    }

    #[test]
    fn a_source_is_label_and_product_or_one_of_them() {
        assert_eq!(text("intake", Some("curl/8.5.0")), "intake/curl");
        assert_eq!(text("", Some("Mozilla/5.0 (X11)")), "Mozilla");
        assert_eq!(text("intake", Some("GitHub-Hookshot deadbeef")), "intake/GitHub-Hookshot");
        assert_eq!(text("intake", None), "intake");
        assert_eq!(text("", None), "");
    }

    #[test]
    fn a_user_agent_that_names_no_product_is_no_client() {
        let key = "team.AAECAwQFBgcICQoLDA0O.Dw8PDw8PDw8PDw8P";
        let behind = format!("{}{key}/1", "x.".repeat(30));
        let secret = "Dw8P".repeat(12);
        let (of_a_key, glued) = (format!("{secret}/1"), format!("curl.{secret}"));
        let none =
            ["", " curl", "/8", "(compatible)", "cür", "a\tb", "curl,wget/1", key, &format!("x-{key}/1"), &behind];
        for agent in none.into_iter().chain([&*secret, &of_a_key, &glued]) {
            assert_eq!(text("api", Some(agent)), "api", "{agent}");
        }
    }

    #[test]
    fn of_a_long_product_the_first_64_characters_are_kept() {
        for pairs in [32, 33, 128] {
            assert_eq!(text("", Some(&"x.".repeat(pairs))), "x.".repeat(32));
        }
    }

    #[test]
    fn no_more_than_the_start_of_a_user_agent_is_looked_at() {
        let (longest, endless) = ("x.".repeat(128), "x.".repeat(150_000));
        assert_eq!(text("", Some(&format!("{longest}/1"))), "");
        assert_eq!(text("", Some(&format!("{}/1", &longest[..255]))), "x.".repeat(32));
        assert_eq!(text("api", Some(&endless)), "api");
        assert_eq!(text("", Some(&format!("curl/8 {endless}"))), "curl");
    }

    #[test]
    fn a_source_is_recognized_at_once_with_any_version_and_no_other_client() {
        for of in ["", "intake"] {
            let of = label(of);
            let known = Origin::Agent(&of, Some(b"curl/8")).to_source();
            let is = |agent: Option<&str>| Origin::Agent(&of, agent.map(str::as_bytes)).is_at_once(&known);
            for same in ["curl", "curl/9.1", "curl libcurl", "curl/"] {
                assert!(is(Some(same)), "{same}");
            }
            for other in ["", "cur", "curly", "curl-x/1", "Curl", "xcurl"] {
                assert!(!is(Some(other)), "{other}");
            }
            assert!(!is(None));
            assert!(Origin::Agent(&of, None).is_at_once(&Origin::Agent(&of, None).to_source()));
            assert!(!Origin::Agent(&label("other layer"), Some(b"curl")).is_at_once(&known));
        }
    }

    #[test]
    fn a_source_with_a_network_is_not_one_without() {
        let of = label("intake");
        let named = |client: &str| NamedClient { client: client.into(), network: "203.0.113.0/24".into() };
        let roams = Origin::Named(&of, &named("curl")).to_source();
        assert!(!Origin::Agent(&of, Some(b"curl/8")).is_at_once(&roams));
        let nameless = Origin::Named(&of, &named("")).to_source();
        assert!(!Origin::Agent(&of, None).is_at_once(&nameless));
    }
}
