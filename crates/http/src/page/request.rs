//! What a screen gets: the caller, the fields of the form or the query, and where the page is mounted.

use std::{fmt, sync::Arc};

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tower_api_keys::{Actor, KeyId, KeyManager, TeamId, Timestamp, key::redact};

use super::{answer::Stop, site::Site, times};

/// What a segment of a path may hold as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// Stands before a segment that would mean something else without it.
const SIGN: &str = "~";
/// What a value in a query may hold as it is.
const VALUE: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'&').add(b'+').add(b'%').add(b'=').add(b'?');

/// A request, after the gate.
pub(super) struct Call {
    pub(super) site: Arc<Site>,
    pub(super) manager: KeyManager,
    pub(super) actor: Actor,
    /// The path of the page, without a slash at its end.
    pub(super) mount: String,
    pub(super) fields: Fields,
    /// Whether the fields are those of a form that was sent.
    pub(super) is_post: bool,
    /// The first part of the path under the mount, with its slash; empty for the list.
    pub(super) place: String,
    /// Whether only the content is wanted, for a dialog or a part of the page.
    pub(super) alone: bool,
}

impl Call {
    /// The words of this page.
    pub(super) fn say(&self, id: &str) -> String {
        self.site.words().say(id, &[])
    }

    /// Whom to ask about something that the caller may not do, as a sentence.
    pub(super) async fn whom_to_ask(&self, team: Option<&TeamId>) -> Option<String> {
        let contacts = self.site.page.contacts.as_ref()?;
        // The id comes from a query: nobody asks about a team that is not theirs.
        let is_theirs = |team: &&TeamId| self.actor.is_org_admin() || self.actor.teams().any(|own| own.id == *team);
        let names = contacts.names(&self.actor, team.filter(is_theirs)).await?;
        Some(self.site.words().say("ask.names", &[("names", names)]))
    }

    /// Whether there are people whose screens the caller may see.
    pub(super) fn sees_people(&self) -> bool {
        self.actor.is_org_admin() || self.actor.teams().any(|team| self.actor.manages_keys_of(team.id))
    }

    /// How soon the end of a key, or of what an owner may do, takes effect everywhere.
    pub(super) fn effect(&self) -> String {
        self.site.words().sentence(&self.manager.staleness().sentence())
    }

    /// A path under the mount, which begins with a slash. The list itself has none at its end.
    pub(super) fn at(&self, path: &str) -> String {
        match path.strip_prefix('/') {
            Some(rest) if !self.mount.is_empty() && (rest.is_empty() || rest.starts_with('?')) => {
                format!("{}{rest}", self.mount)
            }
            _ => format!("{}{path}", self.mount),
        }
    }
}

/// The fields of a form or of a query, in their order. It never prints their values: one of them may hold a key.
#[derive(Clone, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(super) fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// The first value with this name, without spaces around it; empty if there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The same for a form that is shown again: people paste keys into the wrong field.
    pub(super) fn echo(&self, name: &str) -> String {
        redact(self.text(name)).into_owned()
    }

    /// The first value with this name, as it was sent.
    pub(super) fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The first value with this name, if it is not empty.
    pub(super) fn some(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// Whether there is a field with this name, empty or not.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn is(&self, name: &str, value: &str) -> bool {
        self.text(name) == value
    }

    /// A value that has to be of this type, if it is there and not empty.
    pub(super) fn parsed<T: std::str::FromStr>(&self, name: &'static str) -> Result<Option<T>, Stop> {
        self.some(name).map(|text| text.parse().map_err(|_| Stop::Malformed(name))).transpose()
    }

    /// A day, if it is there and not empty.
    pub(super) fn day(&self, name: &'static str) -> Result<Option<Timestamp>, Stop> {
        self.some(name).map(|text| times::of_day(text).ok_or(Stop::Malformed(name))).transpose()
    }

    /// The version that the form was made for. A form always has it.
    pub(super) fn version(&self) -> Result<i64, Stop> {
        self.parsed("version")?.ok_or(Stop::Malformed("version"))
    }

    /// The same fields, with this value for one of them.
    pub(super) fn set(mut self, name: &str, value: &str) -> Self {
        self = self.unset(name);
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same fields, without one of them.
    pub(super) fn unset(mut self, name: &str) -> Self {
        self.0.retain(|(known, _)| known != name);
        self
    }

    /// The fields that are not empty as the query of a link, with its question mark.
    pub(super) fn query(&self) -> String {
        let kept = self.0.iter().filter(|(_, text)| !text.is_empty());
        let pair = |(name, text): &(String, String)| format!("{}={}", in_query(name), in_query(&redact(text)));
        let pairs: Vec<_> = kept.map(pair).collect();
        if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// The id of a key in a path. Text that is no id is not found, as an unknown one is.
pub(super) fn key_id(text: &str) -> Result<KeyId, Stop> {
    KeyId::new(text).map_err(|_| Stop::NotFound)
}

/// A text as a segment of a path. Browsers resolve the segments `.` and `..`, so these get a sign before them.
pub(super) fn in_path(text: &str) -> String {
    let sign = if text == "." || text == ".." || text.starts_with(SIGN) { SIGN } else { "" };
    format!("{sign}{}", utf8_percent_encode(text, SEGMENT))
}

/// A segment of a path as text.
pub(super) fn of_path(segment: &str) -> Result<String, Stop> {
    let text = percent_decode_str(segment).decode_utf8().map_err(|_| Stop::NotFound)?;
    Ok(text.strip_prefix(SIGN).unwrap_or(&text).to_owned())
}

/// A text as a name or a value in a query.
pub(super) fn in_query(text: &str) -> String {
    utf8_percent_encode(text, VALUE).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_and_linked() {
        let fields = Fields::parse(b"q=a%26b&flag=unused&flag=paused&empty=&after=1");
        assert_eq!(fields.text("q"), "a&b");
        assert_eq!(fields.all("flag").collect::<Vec<_>>(), ["unused", "paused"]);
        assert_eq!(fields.clone().set("after", "x y").query(), "?q=a%26b&flag=unused&flag=paused&after=x%20y");
        let query = fields.clone().unset("after").query();
        assert_eq!(query, "?q=a%26b&flag=unused&flag=paused");
        assert_eq!(Fields::parse(query.trim_start_matches('?').as_bytes()).text("q"), "a&b");
        assert!(fields.parsed::<u8>("q").is_err() && fields.parsed::<u8>("empty").unwrap().is_none());
        assert_eq!(format!("{fields:?}"), r#"["q", "flag", "flag", "empty", "after"]"#);
    }

    #[test]
    fn any_id_survives_a_path() {
        for id in ["alice", "a/b?c#d%", "Zoë@example.com", ".", "..", "...", "~", "~..", "~~a", "a+b c"] {
            assert_eq!(of_path(&in_path(id)).unwrap(), id);
            assert!(!in_path(id).contains(['/', '?', '#', ' ']) && ![".", ".."].contains(&&*in_path(id)), "{id}");
        }
    }
}
