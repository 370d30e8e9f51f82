use std::fmt;

use serde::Serialize;

use super::{request::Reconcile, said};
use crate::{
    json::json_form,
    manage::names::{Names, Presence},
    owner::{KeyKind, Owner},
    record::OwnerStatus,
    sentence::{Sentence, joined},
    time::Timestamp,
};

/// Which owners of live keys are missing in the [`Directory`](super::super::Directory), and which of them were closed.
/// It serializes.
///
/// ```
/// # use std::convert::Infallible;
/// # use tower_api_keys::{ApiKeys, OrganizationId, TeamId, TeamRef, UserId, store::MemoryStore, manage::{Directory, Names}};
/// # struct People;
/// # impl Directory for People {
/// #     type Error = Infallible;
/// #     async fn has_team(&self, _: &TeamRef) -> Result<bool, Infallible> { Ok(true) }
/// #     async fn names(&self, _: &OrganizationId, users: &[UserId], _: &[TeamId]) -> Result<Names, Infallible> {
/// #         Ok(users.iter().fold(Names::none(), |names, user| match user.as_str() {
/// #             "bob" => names.with_unknown(user.clone()),
/// #             _ => names.with_known(user.clone()),
/// #         }))
/// #     }
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = ApiKeys::builder(MemoryStore::new()).directory(People).build().await?.manager();
/// use tower_api_keys::{Actor, IssueKey, UserId, manage::Reconcile};
///
/// let system = Actor::system("offboarding")?;
/// for user in ["alice", "bob"] {
///     manager.issue(IssueKey::user(UserId::new(user)?), &system).await?;
/// }
/// let report = manager.reconcile(Reconcile::report(), &system).await?;
/// assert_eq!(report.to_string(), "1 of 2 users and teams with active keys is not in the directory.");
/// for missing in &report.missing {
///     println!("{}: {} live keys", missing.owner, missing.live_keys);
/// }
/// // A person has read it, and agrees.
/// let done = manager.reconcile(report.closing(), &system).await?;
/// assert_eq!(done.closed, [UserId::new("bob")?.into()]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reconciled {
    /// When the report was begun.
    pub asked_at: Timestamp,
    /// The kind of owners, if not both.
    pub kind: Option<KeyKind>,
    /// How many users and teams have a live key, and are not closed: those that the directory was asked about.
    pub owners: u64,
    /// The owners that are missing, by kind and id.
    pub missing: Vec<MissingOwner>,
    /// The owners about which the directory did not answer, in the same order. It is unknown whether they are there,
    /// and no owner is closed until it is known.
    pub unanswered: Vec<Owner>,
    /// Live keys that these numbers leave out, because their owner, or the owner's status, cannot be read.
    pub unreadable: u64,
    /// The owners that this call closed. Their keys are refused from the next request.
    pub closed: Vec<Owner>,
    /// Owners that were to be closed and were not: they are there, have no live key, or were closed meanwhile.
    pub kept: Vec<Owner>,
    /// The names of the missing owners, and who has left.
    pub names: Names,
}

/// A user or a team with live keys that is missing in the directory.
///
/// ```
/// use tower_api_keys::manage::{MissingOwner, Presence};
///
/// fn is_misspelt(owner: &MissingOwner) -> bool {
///     owner.presence == Presence::Unknown && owner.live_keys == 1
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MissingOwner {
    /// The user or team.
    pub owner: Owner,
    /// What the directory says about them.
    pub presence: Presence,
    /// Whether they are suspended: their keys are then refused until they are reinstated.
    pub status: OwnerStatus,
    /// How many live keys they have.
    pub live_keys: u64,
}

impl Reconciled {
    /// A request to close all that are missing in this report, if they still are.
    pub fn closing(&self) -> Reconcile {
        let kind = self.kind;
        Reconcile { kind, ..Reconcile::close(self.missing.iter().map(|missing| missing.owner.clone())) }
    }

    /// Whether every owner of a live key could be read, and the directory answered about all.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.unanswered.is_empty() && self.unreadable == 0
    }

    /// Whether so large a part is missing that the directory may be wrong: then no owner is closed unless the request
    /// [insists](Reconcile::even_if_many).
    #[must_use]
    pub const fn is_many(&self) -> bool {
        let missing = self.missing.len() as u64;
        missing.saturating_mul(10) > self.owners && (missing > 1 || self.owners == 1)
    }

    /// The report as sentences for people.
    #[must_use]
    pub fn sentences(&self) -> Vec<Sentence> {
        let of = |owners: &[Owner], say: fn(u64) -> Sentence| (!owners.is_empty()).then(|| say(owners.len() as u64));
        let mut all = vec![said::missing(self.missing.len() as u64, self.owners)];
        all.extend(of(&self.closed, said::closed));
        all.extend(of(&self.kept, said::kept));
        all.extend(of(&self.unanswered, said::unanswered));
        all.extend((self.unreadable > 0).then(|| said::unreadable(self.unreadable)));
        all
    }
}

impl fmt::Display for Reconciled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&joined(&self.sentences()))
    }
}

json_form! {
    Reconciled<'a>, |report| Reconciled {
        asked_at, kind, owners, missing, unanswered, unreadable, closed, kept, names
    } => {
        asked_at: Timestamp = *asked_at,
        kind: Option<KeyKind> = *kind,
        owners: u64 = *owners,
        missing: &'a [MissingOwner] = missing,
        unanswered: &'a [Owner] = unanswered,
        unreadable: u64 = *unreadable,
        closed: &'a [Owner] = closed,
        kept: &'a [Owner] = kept,
        names: &'a Names = names,
        is_complete: bool = report.is_complete(),
        is_many: bool = report.is_many(),
        sentences: Vec<Sentence> = report.sentences(),
    }
}
