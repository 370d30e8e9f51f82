use super::{Access, ManagerParts};
use crate::{
    audit::Subject,
    key::KeyId,
    manage::{
        error::ManageError,
        info::KeyInfo,
        policy::{KeyAction, PausedBy, Target},
    },
    owner::{OrganizationId, Owner},
    record::{ActorId, CorruptRow, KeyRecord, KeyRow, OwnerStatus},
    store::{FoundKey, FoundOwner, KeyReader, ListedKey, OwnerRef, SuccessorRow},
    time::{ClockReading, Timestamp},
    usage::UsageTotals,
};

/// A row of the store before it is decided whether the actor may know of it.
pub(in crate::manage) struct Unseen<R = ListedKey>(pub(super) R);

impl<R> Unseen<R> {
    /// The row, to decide what to do next. Nothing of it may reach the actor before [`Access`] says that it may know.
    pub(in crate::manage) const fn peek(&self) -> &R {
        &self.0
    }

    /// The row of the actor itself, which the actor may know.
    pub(super) fn into_inner(self) -> R {
        self.0
    }
}

/// What both kinds of rows share.
pub(in crate::manage) trait Row {
    fn key(&self) -> &KeyRow;
    /// The status that applies to the key: that of its owner, together with that of its organization.
    fn status(&self) -> Result<OwnerStatus, CorruptRow>;
}

impl Row for FoundKey {
    fn key(&self) -> &KeyRow {
        &self.key
    }

    fn status(&self) -> Result<OwnerStatus, CorruptRow> {
        Self::status(self)
    }
}

impl Row for ListedKey {
    fn key(&self) -> &KeyRow {
        &self.key
    }

    fn status(&self) -> Result<OwnerStatus, CorruptRow> {
        FoundOwner { owner: self.owner, organization: self.organization }.status()
    }
}

/// What an actor sees of a row of the store.
pub(in crate::manage) enum Sight {
    /// Nothing, not even that it exists. With the row's subject, for the audit trail alone.
    Hidden(Option<Subject>),
    /// The key.
    Seen(Box<KeyRecord>, OwnerStatus),
    /// That there is a key whose record cannot be read.
    Unreadable(ManageError),
}

/// A key as an actor sees it.
pub(in crate::manage) struct Shown {
    pub(in crate::manage) record: KeyRecord,
    pub(in crate::manage) status: OwnerStatus,
    /// `None` if the actor may not see it.
    pub(in crate::manage) usage: Option<UsageTotals>,
    /// `None` if the actor may not see that key.
    successor: Option<KeyId>,
    predecessor_is_live: bool,
    /// When the key was read.
    now: ClockReading,
}

impl Shown {
    pub(in crate::manage) fn into_info(self) -> KeyInfo {
        KeyInfo {
            successor: self.successor,
            predecessor_is_live: Some(self.predecessor_is_live),
            ..KeyInfo::new(self.record, self.status, self.usage, self.now)
        }
    }

    /// The key as it is at this moment.
    pub(in crate::manage) fn at(self, now: Timestamp) -> Self {
        Self { now: ClockReading::certain(now), ..self }
    }
}

impl ManagerParts {
    /// The key with this id in any organization: for the service itself, and for a caller that proves it has the key's
    /// text.
    pub(in crate::manage) async fn find_anywhere(
        &self,
        id: &KeyId,
    ) -> Result<Option<(OrganizationId, Unseen<FoundKey>)>, ManageError> {
        let Some(found) = self.guarded.store.find(id).await? else { return Ok(None) };
        let organization = OrganizationId::new(&found.key.organization).map_err(ManageError::corrupt)?;
        Ok(Some((organization, Unseen(found))))
    }
}

impl Access<'_> {
    /// The key with this id, if the actor may do this action on it.
    pub(in crate::manage) async fn key(
        &self,
        id: &KeyId,
        action: KeyAction,
    ) -> Result<(KeyRecord, OwnerStatus), ManageError> {
        let row = self.row(id).await?;
        let row = row.ok_or_else(|| self.absent(action, id))?;
        self.open(&row, action).await
    }

    /// The key of this row, if the actor may do this action on it.
    pub(in crate::manage) async fn open(
        &self,
        row: &Unseen<impl Row>,
        action: KeyAction,
    ) -> Result<(KeyRecord, OwnerStatus), ManageError> {
        match self.sight(row) {
            // An actor that may not see a key does not learn what else it may not do to it.
            Sight::Hidden(about) => Err(self.hidden(row, action, about)),
            Sight::Unreadable(error) => Err(error),
            Sight::Seen(record, status) => {
                self.require(action, &Target::key(&record)).await?;
                Ok((*record, status))
            }
        }
    }

    /// The row with this id, if the actor may do this action on the key. For an unreadable row, the actor needs the
    /// right on the keys of its owner or, if that cannot be read either, on those of the organization.
    pub(in crate::manage) async fn even_unreadable(
        &self,
        id: &KeyId,
        action: KeyAction,
    ) -> Result<FoundKey, ManageError> {
        let row = self.row(id).await?;
        let row = row.ok_or_else(|| self.absent(action, id))?;
        if let Sight::Hidden(about) = self.sight(&row) {
            return Err(self.hidden(&row, action, about));
        }
        let Unseen(found) = row;
        match (KeyRecord::try_from(&found.key), OwnerRef::of(&found.key)) {
            (Ok(record), _) => self.require(action, &Target::key(&record)).await?,
            (Err(_), Some(of)) => self.require(action, &Target::Owner(&of.owner)).await?,
            (Err(_), None) => self.require(action, &Target::Organization).await?,
        }
        Ok(found)
    }

    /// The key with this id in this organization, for any actor.
    pub(in crate::manage) async fn row(&self, id: &KeyId) -> Result<Option<Unseen<FoundKey>>, ManageError> {
        let found = self.parts.guarded.store.find(id).await?;
        Ok(found.filter(|found| found.key.organization == self.parts.organization.as_str()).map(Unseen))
    }

    pub(in crate::manage) fn sight(&self, row: &Unseen<impl Row>) -> Sight {
        let sees = |target: &Target<'_>| self.may(KeyAction::See, target);
        match read(&row.0) {
            Ok((record, status)) if sees(&Target::key(&record)) => Sight::Seen(Box::new(record), status),
            Ok((record, _)) => Sight::Hidden(Some(Subject::Key(record.id, record.owner))),
            Err(error) => {
                let owner = OwnerRef::of(row.0.key()).map(|of| of.owner);
                match sees(&owner.as_ref().map_or(Target::Organization, Target::Owner)) {
                    true => Sight::Unreadable(error),
                    false => Sight::Hidden(owner.map(Subject::Owner)),
                }
            }
        }
    }

    /// A key as the actor sees it; if the record cannot be read, its id is added to the unreadable ones.
    pub(in crate::manage) fn shown(&self, row: &Unseen, unreadable: &mut Vec<KeyId>) -> Option<Shown> {
        match self.sight(row) {
            Sight::Seen(record, status) => Some(self.show(row, *record, status)),
            Sight::Unreadable(_) => {
                unreadable.extend(KeyId::new(&row.0.key.id));
                None
            }
            Sight::Hidden(_) => None,
        }
    }

    /// A key that the actor may see, with what the actor may see of it.
    pub(in crate::manage) fn show(&self, row: &Unseen, record: KeyRecord, status: OwnerStatus) -> Shown {
        let sees_usage = self.may(KeyAction::SeeUsage, &Target::key(&record));
        Shown {
            usage: sees_usage.then(|| row.0.usage.unwrap_or_default()),
            successor: self.known_successor(row),
            predecessor_is_live: row.0.predecessor_is_live,
            now: self.parts.clock.reading(),
            record,
            status,
        }
    }

    /// The live successor of a key, if the actor may know of that one, too: it can have another owner.
    fn known_successor(&self, row: &Unseen) -> Option<KeyId> {
        let SuccessorRow { id, kind, owner, created_by, created_via_key } = row.0.successor.as_ref()?;
        let id = KeyId::new(id).ok()?;
        let owner = kind.parse().ok().and_then(|kind| Owner::new(kind, owner).ok());
        let created_by = created_by.parse::<ActorId>().ok();
        let created_via_key = created_via_key.as_deref().map(KeyId::new).transpose().ok();
        // The same rules as for an unreadable row.
        let target = match (&owner, &created_by, &created_via_key) {
            (Some(owner), Some(created_by), Some(created_via_key)) => {
                // Whether it may be seen does not depend on a pause.
                let paused = PausedBy::Nobody;
                Target::Key { id: &id, owner, created_by, created_via_key: created_via_key.as_ref(), paused }
            }
            (Some(owner), ..) => Target::Owner(owner),
            (None, ..) => Target::Organization,
        };
        self.may(KeyAction::See, &target).then_some(id)
    }

    /// The error for a row that the actor may not know of. A row without a readable owner looks as if it did not exist.
    pub(in crate::manage) fn hidden(
        &self,
        row: &Unseen<impl Row>,
        action: KeyAction,
        about: Option<Subject>,
    ) -> ManageError {
        match (about, KeyId::new(&row.0.key().id)) {
            (None, Ok(id)) => self.absent(action, &id),
            (about, _) => self.hide(action, about),
        }
    }
}

/// The key and the status of a row.
fn read(row: &impl Row) -> Result<(KeyRecord, OwnerStatus), ManageError> {
    let record = KeyRecord::try_from(row.key()).map_err(ManageError::corrupt)?;
    Ok((record, row.status().map_err(ManageError::corrupt)?))
}
