use std::{
    mem,
    sync::{Arc, OnceLock},
};

use super::{
    AuthError, AuthErrorKind, Freshness,
    addresses::CameFrom,
    authenticator::Inner,
    background::Tried,
    cache::Proof,
    candidate::Candidate,
    error::judged,
    freshness::{Currency, Deadline, Unread},
    ticket::Accepted,
    whose::Whose,
};
use crate::{
    audit::Action,
    hash::{TagErrorKind, VerifyError, VerifyErrorKind},
    key::{KeyId, PlaintextKey},
    owner::OwnerRef,
    principal::{Claims, Particulars, Principal, SharedOwner},
    record::{KeyRecord, OwnerStatus, before_its_end, standing},
    store::{FoundKey, KeyReader, StoreError},
    usage::{Origin, Source},
};

/// How often a check starts again because things changed under it. Each round costs at most a look-up. More rounds in a
/// row mean that the store breaks its contract.
const MOST_ROUNDS: usize = 8;

/// A record and its owner's status, as of one moment.
struct KnownRecord {
    record: KeyRecord,
    owner: OwnerStatus,
    shared: OnceLock<Arc<SharedOwner>>,
}

impl<R: KeyReader> Inner<R> {
    /// Checks a well-formed key whose cache entry may not be current. For most keys a read of the change log makes it
    /// current. What the other keys need is kept out of this future, because a busy service has many of it.
    pub(super) async fn check_after_read(
        self: Arc<Self>,
        candidate: Candidate,
        source: Source,
    ) -> Result<Accepted, AuthError> {
        self.start_background_work();
        let origin = Origin::Source(&source);
        let deadline = Deadline::after(self.patience);
        let nobodys = |error| self.refuse(error, Whose::NoKey(candidate.organization.as_ref()), origin);
        let currency = self.current(deadline).await.map_err(nobodys)?;
        if currency == Currency::Tracked
            && let Some(entry) = self.cache.entry(candidate.key.id().as_bytes())
            && self.cache.is_current(&entry)
            && candidate.is_proved_by(&entry.rest)
        {
            self.meter.hit();
            return self.judge(entry, origin, self.clock.reading(), CameFrom::Said(candidate.address));
        }
        Box::pin(self.check_slowly(candidate, currency, deadline, source)).await
    }

    /// Checks a key that may have to be looked up, and hashed.
    async fn check_slowly(
        self: Arc<Self>,
        candidate: Candidate,
        currency: Currency,
        mut deadline: Deadline,
        source: Source,
    ) -> Result<Accepted, AuthError> {
        let origin = Origin::Source(&source);
        let (id, from, mut read) = (candidate.key.id(), CameFrom::Said(candidate.address), Some(currency));
        let nobodys = |error| self.refuse(error, Whose::NoKey(candidate.organization.as_ref()), origin);
        // The hash that the text was found to match: a proof, by this check or by an earlier one.
        let mut proved = None;
        let mut is_missed = false;
        for _ in 0..MOST_ROUNDS {
            let currency = match read.take() {
                Some(currency) => currency,
                None => self.current(deadline).await.map_err(nobodys)?,
            };
            if let Some(entry) = self.cache.entry(id.as_bytes()) {
                if !candidate.is_proved_by(&entry.rest) {
                    let tried = Whose::Key(Tried::of(&entry.claims));
                    return Err(self.refuse(AuthError::new(AuthErrorKind::Invalid), tried, origin));
                }
                if currency == Currency::Tracked && self.cache.is_current(&entry) {
                    if !is_missed {
                        // Another request has just proved it.
                        self.meter.hit();
                    }
                    return self.judge(entry, origin, self.clock.reading(), from);
                }
                proved = proved.or(Some(entry.rest.fingerprint));
            }
            if !mem::replace(&mut is_missed, true) {
                self.meter.miss();
            }
            let Candidate { key, prefix, digest, .. } = &candidate;
            let ticket = self.cache.ticket(&id);
            let found = match self.find(&id, deadline).await {
                Ok(Some(found)) => found,
                Ok(None) => return Err(nobodys(AuthError::new(AuthErrorKind::Invalid))),
                Err(error) => return Err(nobodys(error)),
            };
            let known = self.known(&id, &found).map_err(|error| {
                let owner = OwnerRef::of(&found.key).map(SharedOwner::new);
                self.refuse(error, Whose::Key(Tried { key: id, owner: owner.as_ref() }), origin)
            })?;
            let refuse = |error| {
                let owner = self.attempts.as_ref().map(|_| known.shared_owner());
                self.refuse(error, Whose::Key(Tried { key: id, owner }), origin)
            };
            self.check_tag(key, &known).map_err(refuse)?;
            // The text has the tag, so the row had another kind when the key was made.
            if known.record.kind() != key.kind() {
                return Err(refuse(AuthError::new(AuthErrorKind::Invalid)));
            }
            let fingerprint = known.record.hash.fingerprint();
            // Judged before Argon2id, and told only to a caller that has the key as far as the tag shows.
            let verdict = self.verdict(&known);
            if let Err(error) = verdict {
                return Err(refuse(error));
            }
            let is_proved = proved == Some(fingerprint) || self.is_proved_at_rest(key, &known);
            if !is_proved {
                deadline.apart(self.prove(key, &known)).await.map_err(refuse)?;
                proved = Some(fingerprint);
            }
            let proof = Proof { digest: digest.clone(), prefix: *prefix, fingerprint, claims: self.claims(&known) };
            let entry = self.cache.remember(ticket, proof);
            if is_proved {
                // The record was read after this request arrived, and nothing has waited since.
                return self.judge(entry, origin, self.clock.reading(), from);
            }
            // The run took time: what was read before it may have changed.
        }
        let error = StoreError::unavailable("the key's record changed each time it was read");
        let tried = Whose::Key(Tried { key: id, owner: None });
        Err(self.refuse(AuthError::new(AuthErrorKind::StoreUnavailable).with_source(error), tried, origin))
    }

    pub(super) async fn recheck(self: &Arc<Self>, principal: &Principal) -> Result<Principal, AuthError> {
        let deadline = Deadline::after(self.patience);
        let currency = self.current(deadline).await?;
        let now = self.look_again(principal.key_id(), currency, deadline).await?;
        if !now.is_same_caller(principal) {
            return Err(AuthError::new(AuthErrorKind::Invalid));
        }
        if !now.reaches_as_far_as(principal) {
            return Err(AuthError::new(AuthErrorKind::NetworkNotAllowed));
        }
        Ok(now)
    }

    /// The current owner and permissions of this key, for a caller that proved it before. Networks are not checked: one
    /// answer serves several callers.
    pub(super) async fn look_again(
        &self,
        id: &KeyId,
        currency: Currency,
        deadline: Deadline,
    ) -> Result<Principal, AuthError> {
        if currency == Currency::Tracked
            && let Some(now) = self.remembered(id)
        {
            return now;
        }
        let found = self.find(id, deadline).await?.ok_or(AuthError::new(AuthErrorKind::Invalid))?;
        let known = self.known(id, &found)?;
        self.verdict(&known)?;
        Ok(Principal::new(self.claims(&known)))
    }

    /// The same from the cache, if that is current as far as the applied changes show.
    pub(super) fn remembered(&self, id: &KeyId) -> Option<Result<Principal, AuthError>> {
        let entry = self.cache.entry(id.as_bytes()).filter(|entry| self.cache.is_current(entry))?;
        let in_time = entry.claims.expires_at.map_or(Ok(()), |end| judged(before_its_end(end, self.clock.reading())));
        Some(in_time.map(|()| Principal::sharing(entry)))
    }

    /// Every key is checked slowly once, inside a runtime: the place to start the background work.
    pub(super) fn start_background_work(&self) {
        if let Some(upkeep) = &self.upkeep {
            upkeep.start();
        }
        if let Freshness::Bounded(bound) = self.freshness {
            self.lease_keeper.start(&self.log, bound);
        }
    }

    /// Waits until the cache is current enough for a request that arrived before this call.
    pub(super) async fn current(&self, deadline: Deadline) -> Result<Currency, AuthError> {
        if self.is_current_now(self.clock.reading()) {
            return Ok(Currency::Tracked);
        }
        self.log.read(deadline).await.map_err(|unread| match unread {
            Unread::Late(error) => AuthError::new(AuthErrorKind::StoreUnavailable).with_source(error),
            Unread::Outage(failure) => AuthError::of_outage(failure),
        })
    }

    /// Looks a key up, unless the store is known not to answer.
    async fn find(&self, id: &KeyId, deadline: Deadline) -> Result<Option<FoundKey>, AuthError> {
        match self.log.failure() {
            Some(failure) => Err(AuthError::of_outage(failure)),
            None => self.lookups.find(id, deadline).await,
        }
    }

    fn known(&self, id: &KeyId, found: &FoundKey) -> Result<KnownRecord, AuthError> {
        let record = KeyRecord::try_from(&found.key);
        let owner = found.status();
        let known = record.and_then(|record| owner.map(|owner| KnownRecord::new(record, owner)));
        known.map_err(|corrupt| self.unreadable(*id, OwnerRef::of(&found.key)).with_source(corrupt))
    }

    /// Whether the text can be that of the key at all, as far as its tag shows.
    fn check_tag(&self, key: &PlaintextKey, known: &KnownRecord) -> Result<(), AuthError> {
        self.hasher.check_tag(key.expose_secret(), &known.record.hash).map_err(|error| match error.kind() {
            TagErrorKind::Mismatch => AuthError::new(AuthErrorKind::Invalid),
            _ => self.unreadable(known.record.id, Some(known.owner_ref())).with_source(error),
        })
    }

    fn verdict(&self, known: &KnownRecord) -> Result<(), AuthError> {
        judged(standing(&known.record, &known.owner, self.clock.reading()))
    }

    /// Whether a proof is stored beside the hash and belongs to this text.
    fn is_proved_at_rest(&self, key: &Arc<PlaintextKey>, known: &KnownRecord) -> bool {
        let is_proved = self.hasher.is_proved(key.expose_secret(), &known.record.hash);
        if is_proved {
            self.meter.proved_at_rest();
            self.improve(key, known, true);
        }
        is_proved
    }

    /// Runs Argon2id, or joins a run of the same text.
    async fn prove(&self, key: &Arc<PlaintextKey>, known: &KnownRecord) -> Result<(), AuthError> {
        let stored = &known.record.hash;
        let verified = self.hasher.verify(*known.record.id.as_bytes(), key.expose_secret(), stored).await;
        verified.map_err(|error| self.unproved(known, error))?;
        self.improve(key, known, false);
        Ok(())
    }

    /// After a text was proved, its hash may be made stronger, or a proof may be stored beside it.
    fn improve(&self, key: &Arc<PlaintextKey>, known: &KnownRecord, is_proved_at_rest: bool) {
        let (Some(upkeep), stored) = (&self.upkeep, &known.record.hash) else { return };
        // Also the proof of the old hash, which a better hash may not replace before its next use.
        if !is_proved_at_rest && let Some(proved) = self.hasher.with_proof_of(key.expose_secret(), stored) {
            upkeep.store_proof(known.record.id, proved);
        }
        if self.hasher.wants_rehash(stored) {
            upkeep.rehash(self.hasher.clone(), Arc::clone(key), stored.clone());
        }
    }

    fn unproved(&self, known: &KnownRecord, error: VerifyError) -> AuthError {
        match error.kind() {
            VerifyErrorKind::Mismatch => {
                self.report(Action::KEY_FORGED, known.record.id, Some(known.owner_ref()));
                AuthError::new(AuthErrorKind::Invalid)
            }
            VerifyErrorKind::Corrupt => self.unreadable(known.record.id, Some(known.owner_ref())).with_source(error),
            VerifyErrorKind::Failed => AuthError::new(AuthErrorKind::HashFailed).with_source(error),
            VerifyErrorKind::Overloaded => AuthError::overloaded(error.retry_after(), error),
            VerifyErrorKind::Starved => AuthError::starved(error.retry_after(), error),
        }
    }

    fn unreadable(&self, id: KeyId, owner: Option<OwnerRef>) -> AuthError {
        self.report(Action::KEY_UNREADABLE, id, owner);
        AuthError::new(AuthErrorKind::CorruptRecord)
    }

    fn report(&self, action: Action, id: KeyId, owner: Option<OwnerRef>) {
        self.trouble.of_key(&action, id);
        if let (Some(upkeep), Some(owner)) = (&self.upkeep, owner) {
            upkeep.report(action, id, owner, self.clock.now());
        }
    }

    fn claims(&self, known: &KnownRecord) -> Claims {
        self.claims_of(&known.record, Arc::clone(known.shared_owner()))
    }

    pub(super) fn claims_of(&self, record: &KeyRecord, owner: Arc<SharedOwner>) -> Claims {
        Claims {
            owner,
            key: record.id,
            proved_by: self.id,
            particulars: Particulars::new(
                record.name.as_str(),
                record.limits.as_deref(),
                record.networks.as_ref(),
                Some(record.lineage).filter(|first| *first != record.id),
            ),
            scopes: record.scopes.clone(),
            expires_at: record.expires_at,
        }
    }
}

impl KnownRecord {
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

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;
    use crate::{
        audit::EventRow,
        auth::{AuthSettings, Authenticator},
        hash::{Argon2Params, HasherConfig},
        key::KeyFormat,
        owner::KeyKind,
        record::KeyRow,
        store::{AuditedWrite, Change, ChangeId, KeyStore, MemoryStore, Write},
        time::Timestamp,
    };

    /// A failure must not be reported as overload.
    #[tokio::test]
    async fn a_hash_that_failed_is_told_as_such_and_the_key_is_good_the_next_time() {
        let store = Arc::new(MemoryStore::new());
        // On a busy machine, another thread would do what this one failed to.
        let hasher = HasherConfig::new().with_params(Argon2Params::MACHINE_SECRET).with_threads(1).without_relief();
        let authenticator = Authenticator::new(store.clone(), AuthSettings::new().with_hasher(hasher)).unwrap();
        let key = KeyFormat::unbranded().generate(KeyKind::Team).unwrap();
        let hash = authenticator.0.hasher.hash(key.expose_secret()).await.unwrap();
        let (id, hash, tag) = (key.id().to_string(), hash.phc().to_owned(), hash.tag().to_bytes());
        let write = AuditedWrite {
            write: Write::Insert(KeyRow { id, hash, tag, ..KeyRow::example() }),
            event: EventRow::example(),
        };
        let (id, at) = (ChangeId::from_bytes([1; 16]), Timestamp::MIN);
        store.apply(&Change { id, at, writes: vec![write], guards: Vec::new(), idempotency: None }).await.unwrap();
        authenticator.0.hasher.break_next_run();
        let error = authenticator.authenticate(key.expose_secret()).await.unwrap_err();
        assert_eq!(error.kind(), AuthErrorKind::HashFailed);
        assert!(error.kind().is_temporary() && error.to_string().starts_with("the key could not be hashed"));
        assert_eq!(error.source().unwrap().to_string(), "hashing failed");
        authenticator.authenticate(key.expose_secret()).await.unwrap();
    }
}
