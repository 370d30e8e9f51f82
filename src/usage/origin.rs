use super::{
    Source,
    source::{Cut, LONGEST_SOURCE},
};
use crate::key::contains_key;

/// The longest name of a product that is taken from a user agent, in characters.
const LONGEST_PRODUCT: usize = 64;

/// From where a request comes, as it was found there: made into a [`Source`] only if nobody remembers one that says the
/// same.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin<'a> {
    /// A layer's label, and the request's `User-Agent` as it came.
    Agent(&'a Source, Option<&'a [u8]>),
    /// A layer's label, and the client in words that were cleaned.
    Client(&'a Source, &'a str),
    /// Known as a whole.
    Source(&'a Source),
}

impl Origin<'_> {
    /// The most bytes of label, client and the line between them.
    pub(crate) const ROOM: usize = LONGEST_SOURCE;

    /// The name of the product that a `User-Agent` begins with, if it names one that may be kept.
    pub(crate) fn product(agent: &[u8]) -> Option<&str> {
        product(agent)
    }

    /// Whether it is this source, as far as that can be told at once.
    #[inline]
    pub(crate) fn is_at_once(&self, source: &Source) -> bool {
        match self {
            Self::Agent(label, agent) => {
                let (of, client) = source.parts();
                let same_client = match agent {
                    None => client.is_empty(),
                    // A name that is remembered has nothing in it that ends a name.
                    Some(agent) => {
                        !client.is_empty()
                            && agent.strip_prefix(client.as_bytes()).is_some_and(|rest| ends_name(rest.first()))
                    }
                };
                same_client && label.is(of)
            }
            Self::Client(..) => false,
            Self::Source(known) => known.is(source),
        }
    }

    /// What it says in words.
    pub(crate) fn with_text<T>(&self, read: impl FnOnce(&str) -> T) -> T {
        match self {
            Self::Source(source) => read(source.as_str()),
            Self::Agent(label, agent) => read(Words::new(label, agent.and_then(product).unwrap_or_default()).as_str()),
            Self::Client(label, client) => read(Words::new(label, client).as_str()),
        }
    }

    pub(crate) fn to_source(self) -> Source {
        let (label, client) = match self {
            Self::Source(source) => return source.clone(),
            Self::Agent(label, agent) => (label, agent.and_then(product).unwrap_or_default()),
            Self::Client(label, client) => (label, client),
        };
        let words = Words::new(label, client);
        if words.length == 0 { Source::default() } else { Source::of_client(label, words.as_str(), words.client_at) }
    }
}

/// A source in words, without taking memory for it.
struct Words {
    bytes: [u8; LONGEST_SOURCE],
    length: usize,
    client_at: usize,
}

impl Words {
    /// `<label>/<client>`, or one of them. What is too long loses its end.
    fn new(label: &Source, client: &str) -> Self {
        let mut words = Self { bytes: [0; LONGEST_SOURCE], length: 0, client_at: 0 };
        words.push(label.as_str());
        if words.length > 0 && words.length + 1 < LONGEST_SOURCE && !client.is_empty() {
            words.push("/");
        }
        words.client_at = words.length;
        if words.length == 0 || words.as_str().len() > label.as_str().len() {
            words.push(client);
        }
        words
    }

    fn push(&mut self, text: &str) {
        let text = text.get(..text.floor_char_boundary_at(LONGEST_SOURCE - self.length)).unwrap_or_default();
        if let Some(room) = self.bytes.get_mut(self.length..self.length + text.len()) {
            room.copy_from_slice(text.as_bytes());
            self.length += text.len();
        }
    }

    fn as_str(&self) -> &str {
        // Whole characters went in.
        self.bytes.get(..self.length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

/// The name of the product that a `User-Agent` begins with (RFC 9110 §10.1.5), which is a token: its first 64 characters.
/// None if it is none, or holds a key.
fn product(agent: &[u8]) -> Option<&str> {
    let end = agent.iter().position(|byte| ends_name(Some(byte))).unwrap_or(agent.len());
    let name = agent.get(..end)?;
    let is_token = !name.is_empty() && name.iter().all(|byte| is_token_character(*byte));
    let name = std::str::from_utf8(name).ok().filter(|_| is_token)?;
    // All of it, or a part of the key might be left.
    if contains_key(name) { None } else { name.get(..name.len().min(LONGEST_PRODUCT)) }
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

    fn label(label: &str) -> Source {
        if label.is_empty() { Source::default() } else { Source::new(label).unwrap() }
    }

    fn text(of: &str, agent: Option<&str>) -> String {
        Origin::Agent(&label(of), agent.map(str::as_bytes)).with_text(str::to_owned)
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
        let behind = format!("{}{key}/1", "x".repeat(60));
        for agent in
            ["", " curl", "/8", "(compatible)", "cür", "a\tb", "curl,wget/1", key, &format!("x-{key}/1"), &behind]
        {
            assert_eq!(text("api", Some(agent)), "api", "{agent}");
        }
    }

    #[test]
    fn of_a_long_product_the_first_64_characters_are_kept() {
        for length in [64, 65, 1_000] {
            assert_eq!(text("", Some(&"x".repeat(length))), "x".repeat(64));
        }
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
    fn a_source_is_at_most_128_bytes_of_whole_characters() {
        let of = label(&"l".repeat(60));
        assert_eq!(Origin::Client(&of, &"é".repeat(60)).to_source().as_str().len(), 127);
        let of = label(&"l".repeat(128));
        assert_eq!(Origin::Client(&of, "curl").to_source().as_str(), of.as_str());
        let of = label(&"l".repeat(127));
        assert_eq!(Origin::Client(&of, "curl").to_source().as_str(), of.as_str());
    }

    #[test]
    fn what_is_folded_keeps_its_label() {
        let (none, intake) = (Source::default(), label("intake"));
        assert_eq!(Origin::Agent(&intake, Some(b"curl")).to_source().folded().as_str(), "intake/other");
        assert_eq!(Origin::Agent(&intake, None).to_source().folded().as_str(), "intake/other");
        assert_eq!(intake.folded().as_str(), "intake/other");
        assert_eq!(Origin::Agent(&none, Some(b"curl")).to_source().folded().as_str(), "other");
        assert_eq!(none.folded().as_str(), "other");
        assert_eq!(label(&"é".repeat(64)).folded().as_str().len(), 128);
        assert!(intake.folded().is_other() && none.folded().is_other() && !intake.is_other());
    }
}
