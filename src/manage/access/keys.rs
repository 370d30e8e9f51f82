use super::Access;
use crate::{
    audit::Subject,
    key::KeyId,
    manage::{
        error::ManageError,
        info::KeyInfo,
        policy::{KeyAction, Target},
    },
    record::{CorruptRow, KeyRecord, KeyRow, OwnerStatus},
    store::{FoundKey, FoundOwner, KeyReader, ListedKey, OwnerRef},
    time::ClockReading,
    usage::UsageTotals,
};

/// A row of the store of which the actor may not know: nobody decided that yet.
pub(in crate::manage) struct Unseen<R = ListedKey>(pub(super) R);

impl<R> Unseen<R> {
    /// The row, to decide what to do next. Nothing of it may reach the actor before [`Access`] says that it may know.
    pub(in crate::manage) const fn peek(&self) -> &R {
        &self.0
    }

    /// The row of the actor itself, which it knows.
    pub(super) fn into_inner(self) -> R {
        self.0
    }
}

/// What rows have in common.
pub(in crate::manage) trait Row {
    fn key(&self) -> &KeyRow;
    /// What holds for the key: the status of its owner, and whatever holds for all of its organization.
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
    /// Not even that it is there. With what the row says it is about, for the audit trail alone.
    Hidden(Option<Subject>),
    /// The key.
    Seen(Box<KeyRecord>, OwnerStatus),
    /// That there is a key, and that nobody can read it.
    Unreadable(ManageError),
}

/// A key as an actor sees it.
pub(in crate::manage) struct Shown {
    pub(in crate::manage) record: KeyRecord,
    pub(in crate::manage) status: OwnerStatus,
    /// None if that is not for its eyes.
    pub(in crate::manage) usage: Option<UsageTotals>,
    now: ClockReading,
}

impl Shown {
    pub(in crate::manage) fn into_info(self) -> KeyInfo {
        KeyInfo::new(self.record, self.status, self.usage, self.now)
    }
}

impl Access<'_> {
    /// The key of this id, if the actor may do this to it.
    pub(in crate::manage) async fn key(
        &self,
        id: &KeyId,
        action: KeyAction,
    ) -> Result<(KeyRecord, OwnerStatus), ManageError> {
        let row = self.row(id).await?;
        let row = row.ok_or_else(|| self.absent(action, id))?;
        self.open(&row, action).await
    }

    /// The key of this row, if the actor may do this to it.
    pub(in crate::manage) async fn open(
        &self,
        row: &Unseen<impl Row>,
        action: KeyAction,
    ) -> Result<(KeyRecord, OwnerStatus), ManageError> {
        match self.sight(row) {
            // Whoever may not see a key is not told either what else they may not do to it.
            Sight::Hidden(about) => Err(self.hidden(row, action, about)),
            Sight::Unreadable(error) => Err(error),
            Sight::Seen(record, status) => {
                self.require(action, &Target::key(&record)).await?;
                Ok((*record, status))
            }
        }
    }

    /// The row of this id, if the actor may do this to the key; of one that cannot be read, to the keys of its owner, or
    /// where that cannot be read either, to those of the organization.
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

    /// The key of this id in this organization, whoever asks.
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

    /// A key as the actor sees it; if nobody can read the record, its id goes to the unreadable ones.
    pub(in crate::manage) fn shown(&self, row: &Unseen, unreadable: &mut Vec<KeyId>) -> Option<Shown> {
        match self.sight(row) {
            Sight::Seen(record, status) => {
                let sees_usage = self.may(KeyAction::SeeUsage, &Target::key(&record));
                let now = self.parts.clock.reading();
                Some(Shown { record: *record, status, usage: sees_usage.then_some(row.0.usage), now })
            }
            Sight::Unreadable(_) => {
                unreadable.extend(KeyId::new(&row.0.key.id));
                None
            }
            Sight::Hidden(_) => None,
        }
    }

    /// The actor may not know of this row. One that does not say whose it is looks as if it were not there.
    fn hidden(&self, row: &Unseen<impl Row>, action: KeyAction, about: Option<Subject>) -> ManageError {
        match (about, KeyId::new(&row.0.key().id)) {
            (None, Ok(id)) => self.absent(action, &id),
            (about, _) => self.hide(action, about),
        }
    }
}

/// The nouns of two rows.
fn read(row: &impl Row) -> Result<(KeyRecord, OwnerStatus), ManageError> {
    let record = KeyRecord::try_from(row.key()).map_err(ManageError::corrupt)?;
    Ok((record, row.status().map_err(ManageError::corrupt)?))
}
