use super::{super::KeyManager, pair::Known};
use crate::{
    key::KeyId,
    manage::{
        actor::Actor,
        error::{ManageError, ManageErrorKind},
        policy::KeyAction,
        rotation::Rotation,
    },
    store::{KeyStore, UsageOf, guarded},
    usage::UsageDetail,
};

impl<S: KeyStore> KeyManager<S> {
    /// How far the rotation under way is, of which this is the new or the old key: who still calls with the old one,
    /// whether the new one was seen, and what follows from it. Whoever asks may see the usage of both.
    ///
    /// # Errors
    /// [`ManageErrorKind`]: denied, not found, no rotation (it was finished or aborted, or the new key expired, or there was
    /// none), corrupt record, store unavailable.
    pub async fn rotation(&self, id: &KeyId, actor: &Actor) -> Result<Rotation, ManageError> {
        self.admit(actor)?;
        let pair = self.pair_under_way(id, actor, KeyAction::SeeUsage).await?;
        let (old, new) = (pair.old.record.id, pair.new.record.id);
        let both = UsageOf::Keys(vec![old, new]);
        let rows = guarded(self.0.timeout, || self.0.store.usage(&both)).await?;
        let of = |known: Known| {
            let id = known.record.id;
            let rows = rows.iter().filter(|row| row.key.as_deref() == Some(id.as_str()));
            let usage = UsageDetail::of(rows);
            let corrupt = |error| ManageError::new(ManageErrorKind::CorruptRecord).with_source(error);
            Ok::<_, ManageError>((known.record, known.owner, usage.map_err(corrupt)?))
        };
        Ok(Rotation::new(of(pair.old)?, of(pair.new)?, self.0.clock.now()))
    }
}
