use serde::Serialize;

use super::known::legible;
use crate::owner::TeamId;

/// A team for a select list, with its name if that is known. It serializes as `{"id": "t-1", "name": "Blue"}`; the name
/// may be `null`.
///
/// ```
/// use tower_api_keys::{TeamId, manage::NamedTeam};
///
/// let blue = NamedTeam::new(TeamId::new("t-1")?).with_name("Blue");
/// assert_eq!((blue.id().as_str(), blue.name(), blue.label()), ("t-1", Some("Blue"), "Blue"));
/// assert_eq!(NamedTeam::new(TeamId::new("t-2")?).label(), "t-2");
/// # Ok::<(), tower_api_keys::InvalidId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub struct NamedTeam {
    /// Its id.
    id: TeamId,
    /// Its name.
    name: Option<Box<str>>,
}

impl NamedTeam {
    /// A team without a name.
    #[must_use]
    pub const fn new(id: TeamId) -> Self {
        Self { id, name: None }
    }

    /// The team with this name, if the name can be shown by the rules of [`Names`](super::Names).
    #[must_use]
    pub fn with_name(mut self, name: impl AsRef<str>) -> Self {
        self.name = legible(name.as_ref()).or(self.name);
        self
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> &TeamId {
        &self.id
    }

    /// Its name, if that is known.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What to show: its name, or else its id.
    #[must_use]
    pub fn label(&self) -> &str {
        self.name().unwrap_or(self.id.as_str())
    }
}

/// Whether it is the team with this id.
impl PartialEq<TeamId> for NamedTeam {
    fn eq(&self, id: &TeamId) -> bool {
        self.id == *id
    }
}
