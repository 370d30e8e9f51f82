use std::collections::BTreeSet;

use crate::owner::{KeyKind, Owner};

/// Whether only to report which owners of live keys are missing in the [`Directory`](super::super::Directory), or also
/// to close some of them.
///
/// ```
/// use tower_api_keys::{KeyKind, Owner, UserId, manage::Reconcile};
///
/// let look = Reconcile::report().of_kind(KeyKind::User);
/// let close = Reconcile::close([Owner::User(UserId::new("bob")?)]).of_kind(KeyKind::User);
/// assert_ne!(look, close);
/// # Ok::<(), tower_api_keys::InvalidId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "nothing is looked at before `KeyManager::reconcile`"]
pub struct Reconcile {
    pub(super) kind: Option<KeyKind>,
    /// `None` for a report only.
    pub(super) close: Option<BTreeSet<Owner>>,
    pub(super) even_if_many: bool,
}

impl Reconcile {
    /// Only reports who is missing.
    pub const fn report() -> Self {
        Self { kind: None, close: None, even_if_many: false }
    }

    /// Closes these users and teams, each only if it is still missing: those that a person has read in a report and
    /// chosen. [`Reconciled::closing`](super::Reconciled::closing) names all missing owners of a report.
    ///
    /// # Security
    /// Closing is final. It is refused while the directory does not answer about all owners, or misses more than a
    /// tenth of them, unless you [insist](Self::even_if_many).
    pub fn close(owners: impl IntoIterator<Item = Owner>) -> Self {
        Self { close: Some(owners.into_iter().collect()), ..Self::report() }
    }

    /// Only owners of this kind: for a directory that knows people but no teams, or the other way round. Default: both.
    pub const fn of_kind(mut self, kind: KeyKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Closes even if more than a tenth of all owners, and more than one, or all of them are missing. Default: no owner
    /// is closed then, because a directory that suddenly knows no one looks the same.
    ///
    /// Owners about which the directory does not answer are never closed, not even by this.
    pub const fn even_if_many(mut self) -> Self {
        self.even_if_many = true;
        self
    }
}
