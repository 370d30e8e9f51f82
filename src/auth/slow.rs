use std::{
    mem,
    sync::{Arc, OnceLock},
};

use super::{
    AuthError, AuthErrorKind, Freshness, attempts::Tried, authenticator::Inner, cache::Proof, candidate::Candidate,
    log_reader::Currency, pass::Accepted,
};
use crate::{
    audit::Action,
    hash::{TagErrorKind, VerifyError, VerifyErrorKind},
    key::{KeyId, PlaintextKey},
    log::log,
    owner::OwnerRef,
    principal::{Claims, Principal, SharedOwner},
    record::{KeyRecord, OwnerStatus},
    store::{FoundKey, KeyReader, StoreError, StoreErrorKind, guarded},
    usage::{Origin, Source},
};

/// How often a check begins anew because things changed under it. Each time costs a look-up at most; more in a row than
/// this is a store that does not keep its promises.
const MOST_ROUNDS: usize = 8;

/// A record and its owner's status, as of one moment.
struct Known {
    record: KeyRecord,
    owner: OwnerStatus,
    shared: OnceLock<Arc<SharedOwner>>,
}

impl<R: KeyReader> Inner<R> {
    /// Checks a well-formed key for which what is remembered is not known to be current. For most, a read of the change
    /// log makes it so: what others need is kept out of this future, of which a busy service has many.
    pub(super) async fn check_after_read(
        self: Arc<Self>,
        candidate: Candidate,
        source: Source,
    ) -> Result<Accepted, AuthError> {
        self.start_background_work();
        let origin = Origin::Source(&source);
        let currency = self.current().await.map_err(|error| self.refuse(error, None, origin))?;
        if currency == Currency::Tracked
            && let Some(entry) = self.cache.entry(candidate.key.id().as_bytes())
            && self.cache.is_current(&entry)
            && candidate.is_proved_by(&entry.rest)
        {
            self.meter.hit();
            return self.judge(entry, origin, self.clock.now());
        }
        Box::pin(self.check_slowly(candidate, currency, source)).await
    }

    /// Checks a key that may have to be looked up, and hashed.
    async fn check_slowly(
        self: Arc<Self>,
        candidate: Candidate,
        currency: Currency,
        source: Source,
    ) -> Result<Accepted, AuthError> {
        let origin = Origin::Source(&source);
        let (id, mut read) = (candidate.key.id(), Some(currency));
        // The hash that the text was found to match: a proof, by this check or by an earlier one.
        let mut proved = None;
        let mut is_missed = false;
        for _ in 0..MOST_ROUNDS {
            let currency = match read.take() {
                Some(currency) => currency,
                None => self.current().await.map_err(|error| self.refuse(error, None, origin))?,
            };
            if let Some(entry) = self.cache.entry(id.as_bytes()) {
                if !candidate.is_proved_by(&entry.rest) {
                    let tried = Some(Tried::of(&entry.claims));
                    return Err(self.refuse(AuthError::new(AuthErrorKind::Invalid), tried, origin));
                }
                if currency == Currency::Tracked && self.cache.is_current(&entry) {
                    if !is_missed {
                        // Another request proved it just now.
                        self.meter.hit();
                    }
                    return self.judge(entry, origin, self.clock.now());
                }
                proved = proved.or(Some(entry.rest.fingerprint));
            }
            if !mem::replace(&mut is_missed, true) {
                self.meter.miss();
            }
            let Candidate { key, prefix, digest } = &candidate;
            let ticket = self.cache.ticket(&id);
            let found = match self.find(&id).await {
                Ok(Some(found)) => found,
                Ok(None) => return Err(self.refuse(AuthError::new(AuthErrorKind::Invalid), None, origin)),
                Err(error) => return Err(self.refuse(error, None, origin)),
            };
            let known = self.known(&id, &found).map_err(|error| {
                let owner = OwnerRef::of(&found.key).map(SharedOwner::new);
                self.refuse(error, Some(Tried { key: id, owner: owner.as_ref() }), origin)
            })?;
            let refuse = |error| {
                let owner = self.attempts.as_ref().map(|_| known.shared_owner());
                self.refuse(error, Some(Tried { key: id, owner }), origin)
            };
            self.check_tag(key, &known).map_err(refuse)?;
            // Its text has the tag, so the row said something else when the key was made.
            if known.record.kind() != key.kind() {
                return Err(refuse(AuthError::new(AuthErrorKind::Invalid)));
            }
            let fingerprint = known.record.hash.fingerprint();
            let is_proved = proved == Some(fingerprint);
            // Judged before Argon2id, and told only to who has the key as far as the tag can tell.
            let verdict = self.verdict(&known);
            if let Err(kind) = verdict {
                return Err(refuse(AuthError::new(kind)));
            }
            if !is_proved {
                self.prove(key, &known).await.map_err(refuse)?;
                proved = Some(fingerprint);
            }
            let proof = Proof { digest: digest.clone(), prefix: *prefix, fingerprint, claims: self.claims(&known) };
            let entry = self.cache.remember(ticket, proof);
            if is_proved {
                // The record was read after this request arrived, and nothing was waited for since.
                return self.judge(entry, origin, self.clock.now());
            }
            // The run took its time: what was read before it may have changed.
        }
        let error = StoreError::unavailable("the key's record changed each time it was read");
        let tried = Some(Tried { key: id, owner: None });
        Err(self.refuse(AuthError::new(AuthErrorKind::StoreUnavailable).with_source(error), tried, origin))
    }

    pub(super) async fn recheck(self: &Arc<Self>, principal: &Principal) -> Result<Principal, AuthError> {
        let id = *principal.key_id();
        let currency = self.current().await?;
        if let Some(entry) = self.cache.entry(id.as_bytes())
            && currency == Currency::Tracked
            && self.cache.is_current(&entry)
        {
            let expired = entry.claims.expires_at.is_some_and(|end| self.clock.now() >= end);
            let now = Principal::sharing(entry);
            if now.is_same_caller(principal) {
                return if expired { Err(AuthError::new(AuthErrorKind::Expired)) } else { Ok(now) };
            }
        }
        let found = self.find(&id).await?.ok_or(AuthError::new(AuthErrorKind::Invalid))?;
        let known = self.known(&id, &found)?;
        self.verdict(&known).map_err(AuthError::new)?;
        let now = Principal::new(self.claims(&known));
        if now.is_same_caller(principal) { Ok(now) } else { Err(AuthError::new(AuthErrorKind::Invalid)) }
    }

    /// Every key is checked slowly once, inside of a runtime: the place to start what runs beside the checks.
    fn start_background_work(&self) {
        if let Some(upkeep) = &self.upkeep {
            upkeep.start();
        }
        if let Freshness::Bounded(bound) = self.freshness {
            self.lease_keeper.start(&self.log, bound);
        }
    }

    /// Waits until what the cache says is current enough for a request that arrived before this call.
    async fn current(&self) -> Result<Currency, AuthError> {
        if self.is_current_now(self.clock.now()) {
            return Ok(Currency::Tracked);
        }
        self.log.read().await.map_err(|error| AuthError::new(AuthErrorKind::StoreUnavailable).with_source(error))
    }

    async fn find(&self, id: &KeyId) -> Result<Option<FoundKey>, AuthError> {
        let _turn = match self.finds.try_acquire() {
            Ok(turn) => turn,
            Err(_) => match tokio::time::timeout(self.find_wait, self.finds.acquire()).await {
                Ok(Ok(turn)) => turn,
                _ => {
                    return Err(AuthError::overloaded(None, "too many keys are being looked up in the store"));
                }
            },
        };
        match guarded(self.store_timeout, || self.store.find(id)).await {
            // A store that folds case or trims would hand one key's record to another.
            Ok(Some(found)) if found.key.id != id.as_str() => {
                Err(AuthError::new(AuthErrorKind::CorruptRecord).with_source("the store found another key's record"))
            }
            Ok(found) => Ok(found),
            Err(error) => {
                let kind = match error.kind() {
                    StoreErrorKind::Corrupt => AuthErrorKind::CorruptRecord,
                    _ => AuthErrorKind::StoreUnavailable,
                };
                Err(AuthError::new(kind).with_source(error))
            }
        }
    }

    fn known(&self, id: &KeyId, found: &FoundKey) -> Result<Known, AuthError> {
        let record = KeyRecord::try_from(&found.key);
        let owner = OwnerStatus::try_from(&found.owner);
        let known = record.and_then(|record| owner.map(|owner| Known::new(record, owner)));
        known.map_err(|corrupt| self.unreadable(*id, OwnerRef::of(&found.key)).with_source(corrupt))
    }

    /// Whether the text can be that of the key at all, as far as its tag tells.
    fn check_tag(&self, key: &PlaintextKey, known: &Known) -> Result<(), AuthError> {
        self.hasher.check_tag(key.expose_secret(), &known.record.hash).map_err(|error| match error.kind() {
            TagErrorKind::Mismatch => AuthError::new(AuthErrorKind::Invalid),
            _ => self.unreadable(known.record.id, Some(known.owner_ref())).with_source(error),
        })
    }

    fn verdict(&self, known: &Known) -> Result<(), AuthErrorKind> {
        if known.record.revoked.is_some() {
            return Err(AuthErrorKind::Revoked);
        }
        if known.record.is_expired(self.clock.now()) {
            return Err(AuthErrorKind::Expired);
        }
        if known.owner.is_active() { Ok(()) } else { Err(AuthErrorKind::OwnerSuspended) }
    }

    /// Runs Argon2id, or joins a run of the same text.
    async fn prove(&self, key: &Arc<PlaintextKey>, known: &Known) -> Result<(), AuthError> {
        let stored = &known.record.hash;
        let verified = self.hasher.verify(*known.record.id.as_bytes(), key.expose_secret(), stored).await;
        verified.map_err(|error| self.unproved(known, error))?;
        if let Some(upkeep) = &self.upkeep
            && self.hasher.wants_rehash(stored)
        {
            upkeep.rehash(self.hasher.clone(), Arc::clone(key), stored.clone());
        }
        Ok(())
    }

    fn unproved(&self, known: &Known, error: VerifyError) -> AuthError {
        match error.kind() {
            VerifyErrorKind::Mismatch => {
                self.report(Action::KEY_FORGED, known.record.id, Some(known.owner_ref()));
                AuthError::new(AuthErrorKind::Invalid)
            }
            VerifyErrorKind::Corrupt => self.unreadable(known.record.id, Some(known.owner_ref())).with_source(error),
            VerifyErrorKind::Starved => AuthError::starved(error.retry_after(), error),
            _ => AuthError::overloaded(error.retry_after(), error),
        }
    }

    fn unreadable(&self, id: KeyId, owner: Option<OwnerRef>) -> AuthError {
        self.report(Action::KEY_UNREADABLE, id, owner);
        AuthError::new(AuthErrorKind::CorruptRecord)
    }

    fn report(&self, action: Action, id: KeyId, owner: Option<OwnerRef>) {
        log!(warn, action = action.as_str(), key = id.as_str(), "something is wrong with a stored key");
        if let (Some(upkeep), Some(owner)) = (&self.upkeep, owner) {
            upkeep.report(action, id, owner, self.clock.now());
        }
    }

    fn claims(&self, known: &Known) -> Claims {
        self.claims_of(&known.record, Arc::clone(known.shared_owner()))
    }

    pub(super) fn claims_of(&self, record: &KeyRecord, owner: Arc<SharedOwner>) -> Claims {
        Claims {
            owner,
            key: record.id,
            proved_by: self.id,
            key_name: record.name.as_str().into(),
            scopes: record.scopes.clone(),
            expires_at: record.expires_at,
        }
    }
}

impl Known {
    const fn new(record: KeyRecord, owner: OwnerStatus) -> Self {
        Self { record, owner, shared: OnceLock::new() }
    }

    fn owner_ref(&self) -> OwnerRef {
        OwnerRef { organization: self.record.organization.clone(), owner: self.record.owner.clone() }
    }

    fn shared_owner(&self) -> &Arc<SharedOwner> {
        self.shared.get_or_init(|| SharedOwner::new(self.owner_ref()))
    }
}
