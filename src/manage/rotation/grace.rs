use crate::{
    audit::Action,
    key::KeyId,
    manage::{
        access::{Access, read},
        error::{ManageError, ManageErrorKind},
    },
    record::KeyRecord,
    store::EventQuery,
    time::Timestamp,
};

/// Rotations of one key that came to nothing, of which the trail is asked.
const MOST_SUCCESSORS: usize = 20;

/// What the beginning of a rotation made of the expiry of the old key. The audit trail has it, and nothing else.
pub(in crate::manage) enum Beginning {
    /// The trail does not go that far back.
    Forgotten,
    /// It stayed.
    Left,
    /// It became this one.
    Set { sequence: i64, before: Option<Timestamp>, after: Option<Timestamp> },
}

impl Access<'_> {
    /// What the making of this new key did to the old one, which has this expiry.
    pub(in crate::manage) async fn beginning(
        &self,
        old: &KeyId,
        end: Timestamp,
        new: &KeyRecord,
    ) -> Result<Beginning, ManageError> {
        let begun = EventQuery {
            key: Some(new.id),
            action: Some(Action::KEY_ROTATION_BEGUN.as_str().to_owned()),
            limit: 1,
            ..EventQuery::all(self.parts.organization.clone())
        };
        // An end of grace would lie before the end of a new key that lives as long as the old one did.
        let forgotten = if new.expires_at == Some(end) { Beginning::Left } else { Beginning::Forgotten };
        let Some(begun) = self.events(&begun).await?.0.pop() else {
            return Ok(forgotten);
        };
        // Both events are of one change, and changes of one key follow each other: the next one is it.
        let marked = EventQuery {
            key: Some(*old),
            from: Some(new.created_at),
            until: Timestamp::from_millis(new.created_at.as_millis().saturating_add(1)).ok(),
            after: Some(begun.sequence),
            limit: 1_000,
            ..EventQuery::all(self.parts.organization.clone())
        };
        let (made, set) = (Action::KEY_SUCCESSOR_MADE, Action::KEY_EXPIRY_SET);
        let marked = self.events(&marked).await?.0;
        let marked = marked.into_iter().find(|event| [made.as_str(), set.as_str()].contains(&&*event.action));
        let Some(marked) = marked else { return Ok(forgotten) };
        if marked.action == made.as_str() {
            return Ok(Beginning::Left);
        }
        let time = |text: Option<&str>| {
            let time = text.map(str::parse).transpose();
            time.map_err(ManageError::corrupt)
        };
        let (before, after) = (time(marked.before.as_deref())?, time(marked.after.as_deref())?);
        Ok(Beginning::Set { sequence: marked.sequence, before, after })
    }

    /// The expiry that a key has but for ends of grace that were left behind by rotations of which the new key was only
    /// revoked, or expired.
    pub(in crate::manage) async fn own_expiry(&self, key: &KeyRecord) -> Result<Option<Timestamp>, ManageError> {
        let Some(mut end) = key.expires_at else { return Ok(None) };
        let forgotten = || ManageError::new(ManageErrorKind::RotationForgotten);
        for found in self.last_successors(&key.id, MOST_SUCCESSORS).await? {
            let (new, _) = read(found.peek()).map_err(|error| forgotten().with_source(error))?;
            match self.beginning(&key.id, end, &new).await? {
                Beginning::Forgotten => return Err(forgotten()),
                Beginning::Left => {}
                Beginning::Set { before: Some(before), after, .. } if after == Some(end) => end = before,
                Beginning::Set { before: None, after, .. } if after == Some(end) => return Ok(None),
                // Somebody chose another one since.
                Beginning::Set { .. } => break,
            }
        }
        Ok(Some(end))
    }

    /// Whether this is the last event by which the expiry of a key was set.
    pub(in crate::manage) async fn is_last_expiry(&self, key: &KeyId, sequence: i64) -> Result<bool, ManageError> {
        let last = EventQuery {
            key: Some(*key),
            action: Some(Action::KEY_EXPIRY_SET.as_str().to_owned()),
            newest_first: true,
            limit: 1,
            ..EventQuery::all(self.parts.organization.clone())
        };
        let last = self.events(&last).await?.0;
        Ok(last.first().is_some_and(|last| last.sequence == sequence))
    }
}
