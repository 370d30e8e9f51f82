//! A policy under which no key gets older than 90 days, as some auditors ask for.
//!
//! `tower-api-keys` never forces a rotation: a key that is rotated only because of the calendar breaks something at 3
//! am. If you must enforce it, this is all you need. An expiry is part of a key's record, so every node refuses an old
//! key by itself, even if this job does not run on that day:
//!
//! - [`Regime::enforce`], run once a day, sets the expiry that the age of each live key requires, unless the key
//!   already has that expiry or an earlier one, and returns the keys that end soon;
//! - [`Regime::renewal`] is the request that a person then makes: a new key with a full lifetime. The old key works
//!   beside it for its days of grace. Only a person or the service itself can make this request: a key cannot extend
//!   the life of any key.

use std::time::Duration;

use tower_api_keys::{
    Actor, KeyManager, Timestamp,
    key::KeyId,
    manage::{KeyInfo, ListKeys, ManageError, ManageErrorKind, RotateKey},
    store::Liveness,
};

const DAY: Duration = Duration::from_secs(86_400);

/// How old a key may get, and how early its owner gets notice.
#[derive(Clone, Copy, Debug)]
pub struct Regime {
    /// From creation to expiry.
    pub life: Duration,
    /// From the first notice to the expiry.
    pub notice: Duration,
    /// How long a key still works beside its successor. Also how long a key still works that was too old when the
    /// policy began.
    pub grace: Duration,
}

impl Default for Regime {
    /// 90 days of life, with 14 days of notice and 7 of grace.
    fn default() -> Self {
        Self { life: DAY * 90, notice: DAY * 14, grace: DAY * 7 }
    }
}

/// What [`Regime::enforce`] did to the keys of an organization.
#[derive(Debug, Default)]
pub struct Enforced {
    /// Keys that got an expiry, or an earlier one than before.
    pub limited: Vec<KeyInfo>,
    /// Keys that expire within the days of notice. Tell their owners.
    pub due: Vec<KeyInfo>,
}

impl Regime {
    /// Makes sure that no live key outlives its time. You can run it twice, or skip a day, without harm.
    pub async fn enforce(&self, manager: &KeyManager, actor: &Actor, now: Timestamp) -> Result<Enforced, ManageError> {
        let mut enforced = Enforced::default();
        let mut query = ListKeys::all().liveness(Liveness::Live).limit(1_000);
        loop {
            let page = manager.list(query.clone(), actor).await?;
            for key in page.keys {
                if let Some(key) = self.limit(manager, actor, key, now, &mut enforced).await?
                    && key.expires_at.is_some_and(|end| end <= now.saturating_add(self.notice))
                {
                    enforced.due.push(key);
                }
            }
            let Some(next) = page.next else { return Ok(enforced) };
            query = query.after(next);
        }
    }

    /// Returns the key with the expiry that its age requires; none if it was revoked meanwhile.
    async fn limit(
        &self,
        manager: &KeyManager,
        actor: &Actor,
        key: KeyInfo,
        now: Timestamp,
        enforced: &mut Enforced,
    ) -> Result<Option<KeyInfo>, ManageError> {
        let end = key.created_at.saturating_add(self.life);
        if key.expires_at.is_some_and(|current| current <= end) {
            return Ok(Some(key));
        }
        // A key that is already too old gets its days of grace. It keeps the end that it got before.
        let end = if end > now { end } else { now.saturating_add(self.grace) };
        if key.expires_at.is_some_and(|current| current <= end) {
            return Ok(Some(key));
        }
        match manager.expire_at(&key.id, end, actor).await {
            Ok(key) => {
                enforced.limited.push(key.clone());
                Ok(Some(key))
            }
            Err(error) if error.kind() == ManageErrorKind::KeyRevoked => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The rotation of a key under this policy. The actor must be a person, or the service itself ([`Actor::system`]).
    ///
    /// A job that acts with a key ([`Actor::key`]) cannot use it: no key can extend the life of another key, or its
    /// own. Once [`enforce`](Self::enforce) has set an expiry on the old key, such a job gets
    /// [`ExpiryLaterByKey`](tower_api_keys::manage::InvalidInput::ExpiryLaterByKey).
    pub fn renewal(&self, id: KeyId, now: Timestamp) -> RotateKey {
        RotateKey::of(id).expires_at(now.saturating_add(self.life)).old_key_ends_at(now.saturating_add(self.grace))
    }
}
