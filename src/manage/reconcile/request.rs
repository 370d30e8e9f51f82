use std::collections::BTreeSet;

use crate::owner::{KeyKind, Owner};

/// Whether only to look which owners of live keys are missing in the [`Directory`](super::super::Directory), or to close some
/// of them, too.
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
    /// None only looks.
    pub(super) close: Option<BTreeSet<Owner>>,
    pub(super) even_if_many: bool,
}

impl Reconcile {
    /// Only looks, and says who is missing.
    pub const fn report() -> Self {
        Self { kind: None, close: None, even_if_many: false }
    }

    /// Closes these users and teams, each of them if it is still missing: those that somebody read in a report and meant.
    /// [`Reconciled::closing`](super::Reconciled::closing) names all of a report.
    ///
    /// # Security
    /// Closing is final. It is refused while the directory does not answer about everybody, or is missing more than a tenth of
    /// the owners, unless that is [insisted on](Self::even_if_many).
    pub fn close(owners: impl IntoIterator<Item = Owner>) -> Self {
        Self { close: Some(owners.into_iter().collect()), ..Self::report() }
    }

    /// Only owners of this kind: for a directory that knows people and no teams, or the other way round. Default: both.
    pub const fn of_kind(mut self, kind: KeyKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Closes also where more than a tenth of all owners is missing, and more than one, or everybody. Default: nobody is
    /// closed then, for a directory that suddenly knows nobody looks the same.
    ///
    /// What the directory does not answer about is not closed by this either.
    pub const fn even_if_many(mut self) -> Self {
        self.even_if_many = true;
        self
    }
}
