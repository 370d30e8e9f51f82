//! The permissions of keys.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    fmt,
    str::FromStr,
    sync::{Arc, LazyLock},
};

use serde::{Deserialize, Serialize};

use crate::{
    lengths::{MOST_SCOPES, SCOPE},
    words::words,
};

const ALL: &str = "*";

/// One permission of a key, in the embedder's own words: `agents:read`.
///
/// 1 to 64 printable ASCII characters without space, `"` and `\` (RFC 6749 §3.3), and not `*`.
///
/// ```
/// use tower_api_keys::Scope;
///
/// assert_eq!(Scope::new("agents:read")?.as_str(), "agents:read");
/// assert!(Scope::new("two words").is_err());
/// # Ok::<(), tower_api_keys::InvalidScope>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(Cow<'static, str>);

words! {
    /// A scope with which a key manages keys, as far as its owner may. It must be named on a key: [all](Scopes::all)
    /// scopes do not include it.
    ///
    /// ```
    /// use tower_api_keys::{ManagingScope, Scope, Scopes};
    ///
    /// let job = Scopes::none().with(Scope::KEYS_ROTATE);
    /// assert!(job.allows(&ManagingScope::Rotate.into()) && !job.allows(&Scope::KEYS_REVOKE));
    /// assert!(Scopes::none().with(Scope::KEYS_MANAGE).allows(&Scope::KEYS_REVOKE));
    /// ```
    pub enum ManagingScope {
        /// Create keys.
        Issue = "keys:issue",
        /// Everything that a key may do to keys and their owners: all other scopes, names and labels, and suspension.
        Manage = "keys:manage",
        /// Read keys, their usage and their history.
        Read = "keys:read",
        /// End keys, at once or at an earlier time, and remove scopes from them.
        Revoke = "keys:revoke",
        /// Begin, finish and abort rotations, and see their progress.
        Rotate = "keys:rotate",
    }
}

impl From<ManagingScope> for Scope {
    fn from(scope: ManagingScope) -> Self {
        Self::managing(scope)
    }
}

impl Scope {
    /// [`ManagingScope::Issue`].
    pub const KEYS_ISSUE: Self = Self::managing(ManagingScope::Issue);
    /// [`ManagingScope::Manage`].
    pub const KEYS_MANAGE: Self = Self::managing(ManagingScope::Manage);
    /// [`ManagingScope::Read`].
    pub const KEYS_READ: Self = Self::managing(ManagingScope::Read);
    /// [`ManagingScope::Revoke`].
    pub const KEYS_REVOKE: Self = Self::managing(ManagingScope::Revoke);
    /// [`ManagingScope::Rotate`].
    pub const KEYS_ROTATE: Self = Self::managing(ManagingScope::Rotate);

    const fn managing(scope: ManagingScope) -> Self {
        Self(Cow::Borrowed(scope.as_str()))
    }

    /// Whether a key with this scope manages keys.
    #[must_use]
    pub fn manages_keys(&self) -> bool {
        ManagingScope::of_word(self.as_str()).is_some()
    }

    /// A scope in the embedder's own words.
    ///
    /// # Errors
    /// [`InvalidScope`] if the text is not of the form above.
    pub fn new(scope: impl Into<String>) -> Result<Self, InvalidScope> {
        let scope = scope.into();
        let printable = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        if scope.is_empty() || scope.len() > SCOPE.bytes() || scope == ALL || !scope.bytes().all(printable) {
            return Err(InvalidScope(()));
        }
        Ok(Self(Cow::Owned(scope)))
    }

    /// The scope as the embedder wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({:?})", self.as_str())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for Scope {
    type Error = InvalidScope;

    fn try_from(scope: String) -> Result<Self, Self::Error> {
        Self::new(scope)
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.0.into_owned()
    }
}

/// What a key may do: everything its owner may, or a set of named scopes.
///
/// *All* leaves out each [`ManagingScope`], which must be named; `keys:manage` includes the others. An empty set allows
/// nothing. The text form is the list RFC 6749 uses, separated by single spaces, with `*` for all; serde has the same
/// as a list of texts: `["*"]`.
///
/// ```
/// use tower_api_keys::{Scope, Scopes};
///
/// let read = Scope::new("agents:read")?;
/// assert!(Scopes::all().allows(&read));
/// assert!(!Scopes::all().allows(&Scope::KEYS_MANAGE));
/// assert!(Scopes::all().with(Scope::KEYS_MANAGE).allows(&Scope::KEYS_MANAGE));
///
/// let narrow: Scopes = "agents:read agents:write".parse()?;
/// assert!(narrow.is_within(&Scopes::all()));
/// assert!(!Scopes::all().is_within(&narrow));
/// # Ok::<(), tower_api_keys::InvalidScope>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Scopes(
    /// `None` means all and nothing else: the most common value takes no further memory in each cached key.
    Option<Arc<Named>>,
);

#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct Named {
    all: bool,
    /// Sorted, each once.
    scopes: Vec<Scope>,
}

static NONE: LazyLock<Arc<Named>> = LazyLock::new(Arc::default);

impl Scopes {
    /// Everything the owner may do, except managing keys.
    #[must_use]
    pub const fn all() -> Self {
        Self(None)
    }

    /// Nothing at all.
    #[must_use]
    pub fn none() -> Self {
        Self(Some(Arc::clone(&NONE)))
    }

    /// These scopes and one more.
    #[must_use]
    pub fn with(self, scope: Scope) -> Self {
        Self::new(self.is_all(), self.named().cloned().chain([scope]).collect())
    }

    fn new(all: bool, named: BTreeSet<Scope>) -> Self {
        match (all, named.is_empty()) {
            (true, true) => Self::all(),
            (false, true) => Self::none(),
            _ => Self(Some(Arc::new(Named { all, scopes: named.into_iter().collect() }))),
        }
    }

    /// Whether everything except each [`ManagingScope`] is allowed without being named.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0.as_ref().is_none_or(|named| named.all)
    }

    /// Whether nothing is allowed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.is_all() && self.named().next().is_none()
    }

    /// The scopes that are named, in order.
    pub fn named(&self) -> impl Iterator<Item = &Scope> {
        self.list().iter()
    }

    fn list(&self) -> &[Scope] {
        self.0.as_ref().map_or(&[], |named| &named.scopes)
    }

    /// Whether a key with these scopes may do what `scope` names.
    #[must_use]
    pub fn allows(&self, scope: &Scope) -> bool {
        let is_named = |scope| self.list().binary_search(scope).is_ok();
        is_named(scope) || if scope.manages_keys() { is_named(&Scope::KEYS_MANAGE) } else { self.is_all() }
    }

    /// Whether a key with these scopes may manage keys in any way.
    #[must_use]
    pub fn manage_keys(&self) -> bool {
        self.named().any(Scope::manages_keys)
    }

    /// These scopes without any [`ManagingScope`].
    pub(crate) fn without_managing(&self) -> Self {
        let kept = self.named().filter(|scope| !scope.manages_keys()).cloned();
        Self::new(self.is_all(), kept.collect())
    }

    /// Whether `wider` allows all that these allow.
    #[must_use]
    pub fn is_within(&self, wider: &Self) -> bool {
        (wider.is_all() || !self.is_all()) && self.named().all(|scope| wider.allows(scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self::new(false, scopes.into_iter().collect())
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scopes({:?})", self.to_string())
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.is_all().then_some(ALL);
        for (index, scope) in all.into_iter().chain(self.named().map(Scope::as_str)).enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope)?;
        }
        Ok(())
    }
}

impl FromStr for Scopes {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words = text.split(' ').filter(|_| !text.is_empty()).map(str::to_owned);
        words.collect::<Vec<_>>().try_into()
    }
}

impl TryFrom<Vec<String>> for Scopes {
    type Error = InvalidScope;

    fn try_from(words: Vec<String>) -> Result<Self, Self::Error> {
        let (mut all, mut named) = (false, BTreeSet::new());
        for word in words {
            if word == ALL {
                all = true;
            } else {
                named.insert(Scope::new(word)?);
            }
        }
        if named.len() > MOST_SCOPES { Err(InvalidScope(())) } else { Ok(Self::new(all, named)) }
    }
}

impl From<Scopes> for Vec<String> {
    fn from(scopes: Scopes) -> Self {
        let all = scopes.is_all().then_some(ALL);
        all.into_iter().chain(scopes.named().map(Scope::as_str)).map(str::to_owned).collect()
    }
}

/// The text is not a valid scope, or a list has more than 64.
///
/// ```
/// use tower_api_keys::{InvalidScope, Scope, Scopes};
///
/// let error: InvalidScope = Scope::new("*").unwrap_err();
/// assert!(error.to_string().contains("must not be `*`"));
/// assert!("read  write".parse::<Scopes>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a scope must have 1 to 64 printable ASCII characters without space, quote or backslash, and must not be `*`; a \
     key can have at most 64 scopes"
)]
pub struct InvalidScope(());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_never_means_managing_keys() {
        assert!(!Scopes::all().allows(&Scope::KEYS_MANAGE));
        assert!(!Scopes::all().with(Scope::KEYS_MANAGE).is_within(&Scopes::all()));
        assert!(Scopes::all().is_within(&Scopes::all().with(Scope::KEYS_MANAGE)));
    }

    #[test]
    fn none_is_none() {
        assert!(!Scopes::none().allows(&Scope::new("a").unwrap()));
        assert!(Scopes::none().is_empty() && !Scopes::all().is_empty());
        assert!(!Scopes::none().with(Scope::KEYS_MANAGE).is_empty());
        assert_eq!(Scopes::none().to_string(), "");
        assert_eq!("".parse::<Scopes>().unwrap(), Scopes::none());
    }

    #[test]
    fn equal_sets_are_equal_however_they_came_to_be() {
        let (a, b) = (Scope::new("a").unwrap(), Scope::new("b").unwrap());
        let hasher = std::hash::RandomState::new();
        let hash = |scopes: &Scopes| std::hash::BuildHasher::hash_one(&hasher, scopes);
        let same = [
            ("b a a", [a.clone(), b.clone()].into_iter().collect()),
            ("a b", Scopes::none().with(b).with(a)),
            ("* keys:manage", Scopes::all().with(Scope::KEYS_MANAGE)),
            ("*", Scopes::all()),
            ("", Scopes::from_iter([])),
        ];
        for (text, scopes) in same {
            let parsed: Scopes = text.parse().unwrap();
            assert_eq!(parsed, scopes);
            assert_eq!(hash(&parsed), hash(&scopes));
        }
    }

    #[test]
    fn text_survives() {
        for text in ["", "*", "* keys:manage", "a b:c"] {
            assert_eq!(text.parse::<Scopes>().unwrap().to_string(), text);
        }
        for text in [" ", "a  b", "a\tb", "a\"b", "é"] {
            assert!(text.parse::<Scopes>().is_err(), "{text:?}");
        }
    }
}
