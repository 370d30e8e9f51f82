use super::{super::KeyManager, pair::Known};
use crate::{
    key::KeyId,
    manage::{actor::Actor, error::ManageError, policy::KeyAction, rotation::Rotation},
    store::KeyStore,
};

impl<S: KeyStore> KeyManager<S> {
    /// How far the rotation under way is, of which this is the new or the old key: who still calls with the old one,
    /// whether the new one was seen, and what follows from it. Whoever asks may see the usage of both.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): denied, not found, no rotation (it was finished or aborted,
    /// or the new key expired, or there was none), corrupt record, store unavailable.
    pub async fn rotation(&self, id: &KeyId, actor: &Actor) -> Result<Rotation, ManageError> {
        self.admit(actor)?;
        let pair = self.pair_under_way(id, actor, KeyAction::SeeUsage).await?;
        let mut usage = self.usage_of(&[pair.old.record.id, pair.new.record.id]).await?;
        let mut of = |Known { record, owner }: Known| {
            let usage = usage.remove(&record.id).unwrap_or_default();
            (record, owner, usage)
        };
        Ok(Rotation::new(of(pair.old), of(pair.new), self.0.clock.now()))
    }
}
