use super::KeyManager;
use crate::{
    audit::Subject,
    key::KeyId,
    manage::{
        actor::Actor,
        error::ManageError,
        info::KeyInfo,
        policy::{KeyAction, Target},
    },
    record::{KeyRecord, OwnerStatus},
    store::{FoundKey, ListedKey, OwnerRef},
    usage::UsageTotals,
};

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
}

impl Shown {
    pub(in crate::manage) fn into_info(self) -> KeyInfo {
        KeyInfo::new(self.record, self.status, self.usage)
    }
}

impl KeyManager {
    pub(in crate::manage) fn sight(&self, actor: &Actor, found: &FoundKey) -> Sight {
        let sees = |target: &Target<'_>| self.allows(actor, KeyAction::See, target);
        match read(found) {
            Ok((record, status)) if sees(&Target::key(&record)) => Sight::Seen(Box::new(record), status),
            Ok((record, _)) => Sight::Hidden(Some(Subject::Key(record.id, record.owner))),
            Err(error) => {
                let owner = OwnerRef::of(&found.key).map(|of| of.owner);
                match sees(&owner.as_ref().map_or(Target::Organization, Target::Owner)) {
                    true => Sight::Unreadable(error),
                    false => Sight::Hidden(owner.map(Subject::Owner)),
                }
            }
        }
    }

    /// A key as the actor sees it; if nobody can read the record, its id goes to the unreadable ones.
    pub(in crate::manage) fn shown(&self, row: ListedKey, actor: &Actor, unreadable: &mut Vec<KeyId>) -> Option<Shown> {
        let (usage, found) = (row.usage, FoundKey::from(row));
        match self.sight(actor, &found) {
            Sight::Seen(record, status) => {
                let sees_usage = self.allows(actor, KeyAction::SeeUsage, &Target::key(&record));
                Some(Shown { record: *record, status, usage: sees_usage.then_some(usage) })
            }
            Sight::Unreadable(_) => {
                unreadable.extend(KeyId::new(&found.key.id));
                None
            }
            Sight::Hidden(_) => None,
        }
    }
}

impl KeyManager {
    /// The key of this row, if the actor may do this to it.
    pub(in crate::manage) fn permitted(
        &self,
        found: &FoundKey,
        actor: &Actor,
        action: KeyAction,
    ) -> Result<(KeyRecord, OwnerStatus), ManageError> {
        match self.sight(actor, found) {
            // Whoever may not see a key is not told either what else they may not do to it.
            Sight::Hidden(about) => Err(self.hidden(found, actor, action, about)),
            Sight::Unreadable(error) => Err(error),
            Sight::Seen(record, status) => {
                self.permit(actor, action, &Target::key(&record))?;
                Ok((*record, status))
            }
        }
    }

    /// The actor may not know of this row. One that does not say whose it is looks as if it were not there.
    pub(in crate::manage) fn hidden(
        &self,
        found: &FoundKey,
        actor: &Actor,
        action: KeyAction,
        about: Option<Subject>,
    ) -> ManageError {
        match (about, KeyId::new(&found.key.id)) {
            (None, Ok(id)) => self.absent(actor, action, &id),
            (about, _) => self.hide(actor, action, about),
        }
    }
}

/// The nouns of two rows.
pub(in crate::manage) fn read(found: &FoundKey) -> Result<(KeyRecord, OwnerStatus), ManageError> {
    let record = KeyRecord::try_from(&found.key).map_err(ManageError::corrupt)?;
    Ok((record, found.status().map_err(ManageError::corrupt)?))
}
