//! A regime under which no key gets older than 90 days, as some auditors ask for.
//!
//! `tower-api-keys` forces nobody: a key that is rotated because a calendar says so is a key that breaks something at
//! 3 am. Where it has to be, this is all there is to it. An expiry is part of a key's record, so every node refuses an old
//! key by itself, whether this job runs on that day or not:
//!
//! - [`Regime::enforce`], run once a day, gives each live key that has none, or a later one, the expiry that its age calls
//!   for, and tells of those that end soon;
//! - [`Regime::renewal`] is what a person asks for then: a new key with a whole life, beside the old one, which goes on
//!   through its days of grace. It takes a person, or the service itself: a key lets no key live longer.

use std::time::Duration;

use tower_api_keys::{
    Actor, KeyManager, Timestamp,
    key::KeyId,
    manage::{KeyInfo, ListKeys, ManageError, ManageErrorKind, RotateKey},
    store::Liveness,
};

const DAY: Duration = Duration::from_secs(86_400);

/// How old keys get, and how much notice there is.
#[derive(Clone, Copy, Debug)]
pub struct Regime {
    /// From making to expiry.
    pub life: Duration,
    /// From the first word to the expiry.
    pub notice: Duration,
    /// How long a key lives on beside the one that succeeds it, and one that was too old when the regime began.
    pub grace: Duration,
}

impl Default for Regime {
    /// 90 days, with 14 of notice and 7 of grace.
    fn default() -> Self {
        Self { life: DAY * 90, notice: DAY * 14, grace: DAY * 7 }
    }
}

/// What was done about the keys of an organization.
#[derive(Debug, Default)]
pub struct Enforced {
    /// Keys that have an expiry now, or an earlier one.
    pub limited: Vec<KeyInfo>,
    /// Keys that end within the days of notice: tell their owners.
    pub due: Vec<KeyInfo>,
}

impl Regime {
    /// Sees to it that no live key outlives its time. Running it twice does no harm, and neither does a day without.
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

    /// The key with the expiry that its age calls for; none if somebody revoked it meanwhile.
    async fn limit(
        &self,
        manager: &KeyManager,
        actor: &Actor,
        key: KeyInfo,
        now: Timestamp,
        enforced: &mut Enforced,
    ) -> Result<Option<KeyInfo>, ManageError> {
        let end = key.created_at.saturating_add(self.life);
        if key.expires_at.is_some_and(|stands| stands <= end) {
            return Ok(Some(key));
        }
        // Too old already: it gets its days of grace, and keeps those it got before.
        let end = if end > now { end } else { now.saturating_add(self.grace) };
        if key.expires_at.is_some_and(|stands| stands <= end) {
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

    /// The rotation of a key under this regime, for the person who asks for it, or the service itself
    /// ([`Actor::system`]).
    ///
    /// Not for a job that acts with a key ([`Actor::key`]): no key lets another one, or itself, live longer than it did.
    /// Once [`enforce`](Self::enforce) gave the old key an expiry, such a job is told
    /// [`ExpiryLaterByKey`](tower_api_keys::manage::InvalidInput::ExpiryLaterByKey).
    pub fn renewal(&self, id: KeyId, now: Timestamp) -> RotateKey {
        RotateKey::of(id).expires_at(now.saturating_add(self.life)).old_key_ends_at(now.saturating_add(self.grace))
    }
}
