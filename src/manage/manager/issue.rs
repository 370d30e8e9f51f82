use super::KeyManager;
use crate::{
    audit::{Action, Subject},
    hash::KeyHash,
    key::{KeyId, PlaintextKey, contains_credential},
    lengths::{IDEMPOTENCY_KEY, LIMITS},
    manage::{
        access::{Access, Gift, GuardRefusal, Wanted, WantedWrite},
        actor::Actor,
        error::{ManageError, ManageErrorKind},
        info::KeyInfo,
        invalid::InvalidInput,
        issued::IssuedKey,
        policy::{KeyAction, Target},
        request::IssueKey,
    },
    networks::Networks,
    owner::Owner,
    record::{KeyName, KeyRecord, KeyRow, Labels, OwnerStatus, Reserved, Responsible, Rotated},
    scope::Scopes,
    store::{Guard, IdempotentRequest, Write},
    time::Timestamp,
};

/// A key to be made, with every check done that does not depend on the time.
pub(in crate::manage) struct NewKey {
    pub(in crate::manage) owner: Owner,
    pub(in crate::manage) scopes: Scopes,
    pub(in crate::manage) networks: Option<Networks>,
    pub(in crate::manage) limits: Option<Box<str>>,
    /// The requested end.
    pub(in crate::manage) expires_at: Option<Timestamp>,
    name: KeyName,
    labels: Labels,
    responsible: Option<Responsible>,
}

impl NewKey {
    /// The record of this key with this id, hash, creation time and end.
    pub(in crate::manage) fn record(
        &self,
        access: &Access<'_>,
        (id, hash): (KeyId, KeyHash),
        at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> KeyRecord {
        KeyRecord {
            organization: access.parts.organization.clone(),
            id,
            owner: self.owner.clone(),
            name: self.name.clone(),
            labels: self.labels.clone(),
            hash,
            scopes: self.scopes.clone(),
            networks: self.networks.clone(),
            limits: self.limits.clone(),
            responsible: self.responsible.clone(),
            created_by: access.actor.id(),
            created_via_key: access.actor.key_id().copied(),
            created_at: at,
            expires_at,
            revoked: None,
            paused: None,
            replaces: None,
            lineage: id,
            rotated: Rotated::default(),
            warned: access.parts.rules.warnings.of_new_key(expires_at, at),
            reserved: Reserved::default(),
            version: 1,
        }
    }
}

impl KeyManager {
    /// Makes a key. The answer contains its text, this once; the store gets a hash of it.
    ///
    /// A key that acts gives only scopes it has itself, no [`ManagingScope`](crate::ManagingScope) (only people and the
    /// system can give those), no end later than its own, and no networks beyond its own.
    ///
    /// Where the service has a [longest life](crate::ApiKeysBuilder::longest_life_of_user_keys) for such keys, one
    /// without an expiry gets the latest allowed, as [`preview`](Self::preview) shows; a later one is invalid.
    ///
    /// # Errors
    /// [`ManageErrorKind`]: denied, not found (an owner that the actor may not see, or that does not belong to the
    /// organization), directory unavailable, invalid, clock unsure, owner suspended or closed, idempotency key used
    /// ([by the same request](ManageError::replayed)) or reused (by another), quota reached, actor busy, overloaded,
    /// starved, hash failed, randomness, store unavailable, outcome unknown. After the last, make the same request
    /// again under its [idempotency key](IssueKey::idempotency_key): either the key is made, or the error names the one
    /// that was.
    pub async fn issue(&self, request: IssueKey, actor: &Actor) -> Result<IssuedKey, ManageError> {
        let access = self.acting(actor, &[KeyAction::Issue]).await?;
        let now = access.parts.clock.reading();
        let at = now.now();
        // The policy sees an invalid end as it was requested; `end?` refuses it below.
        let end = access.end_of_new_key(&request, at);
        let expires_at = end.as_ref().map_or(request.expires_at, |end| *end);
        let target = Target::NewKey { owner: &request.owner, scopes: &request.scopes, expires_at };
        access.require(KeyAction::Issue, &target).await?;
        access.require_gift(KeyAction::Issue, &target, Gift::of(&request, expires_at))?;
        end?;

        let idempotency_key = request.idempotency_key.clone();
        let asked = access.checked(request)?;
        let has_ended = asked.expires_at.map(|end| now.has_passed(end)).transpose()?;
        let idempotency = idempotency_key.map(|key| {
            let NewKey { owner, name, labels, scopes, networks, limits, responsible, expires_at } = &asked;
            let asked = (Action::KEY_ISSUED.as_str(), owner, name, labels, scopes, expires_at, limits);
            access.idempotent(&key, &(asked, networks, responsible))
        });
        let idempotency = idempotency.transpose()?;
        if has_ended == Some(true) {
            let what = (KeyAction::Issue, &asked.owner);
            return Err(access.or_replayed(invalid(InvalidInput::ExpiryPast), idempotency, what).await);
        }

        let closed = access.closed_when_asked(&asked.owner).await?;
        let generated = access.parts.format.generate(asked.owner.kind());
        let plaintext = generated.map_err(|error| ManageError::new(ManageErrorKind::Randomness).with_source(error))?;
        let hash = access.hash(&plaintext).await?;
        let record = asked.record(&access, (plaintext.id(), hash), at, expires_at);
        let info = access.insert(&plaintext, record, idempotency, closed).await?;
        Ok(IssuedKey::new(plaintext, info))
    }
}

impl Access<'_> {
    /// The end of a key of this request that is made at this moment, or an error if that end is not allowed.
    pub(in crate::manage) fn end_of_new_key(
        &self,
        request: &IssueKey,
        at: Timestamp,
    ) -> Result<Option<Timestamp>, ManageError> {
        let kind_and_scopes = (request.owner.kind(), &request.scopes);
        self.parts.rules.lifetimes.end(kind_and_scopes, request.expires_at, at)
    }

    /// The request in the form that can be stored.
    pub(in crate::manage) fn checked(&self, request: IssueKey) -> Result<NewKey, ManageError> {
        let IssueKey { owner, name, labels, scopes, expires_at, networks, limits, responsible, idempotency_key: _ } =
            request;
        let name = KeyName::new(&name).map_err(|error| invalid(InvalidInput::Name).with_source(error))?;
        let labels = Labels::new(labels).map_err(|error| invalid(InvalidInput::Labels).with_source(error))?;
        let scopes = self.parts.known_scopes(&scopes)?;
        self.require_addresses(networks.as_ref())?;
        let limits = limits.map(checked_limits).transpose()?;
        let responsible = checked_responsible(&responsible)?;
        Ok(NewKey { owner, name, labels, scopes, networks, limits, responsible, expires_at })
    }

    /// Inserts a new key into the store.
    pub(in crate::manage) async fn insert(
        &self,
        plaintext: &PlaintextKey,
        record: KeyRecord,
        idempotency: Option<IdempotentRequest>,
        closed: Option<(Guard, GuardRefusal)>,
    ) -> Result<KeyInfo, ManageError> {
        let write = WantedWrite {
            write: Write::Insert(KeyRow::from(&record)),
            action: Action::KEY_ISSUED,
            subject: Subject::Key(record.id, record.owner.clone()),
            before: None,
            after: Some(summary(&record)),
        };
        let guards = closed.into_iter().chain([self.owner_is_active(&record.owner)]).collect();
        let (owner, quotas) = (self.owner_ref(&record.owner), self.parts.rules.quotas);
        let at = record.created_at;
        let quotas = quotas.live_keys(&owner).into_iter().chain(quotas.issues(&self.actor, &owner, at)).collect();
        let wanted = Wanted { guards, quotas, idempotency, ..Wanted::one(KeyAction::Issue, at, write) };
        self.apply(wanted).await?;
        self.made(plaintext, &record);
        // The owner was active at the moment of commit.
        let now = self.parts.clock.reading();
        Ok(KeyInfo::new(record, OwnerStatus::default(), None, now))
    }

    /// What the store keeps of a request that may be repeated. The idempotency key matches only for the same actor in
    /// the same organization, and the digest only for the same request.
    pub(in crate::manage) fn idempotent(
        &self,
        key: &str,
        asked: &impl serde::Serialize,
    ) -> Result<IdempotentRequest, ManageError> {
        if !is_idempotency_key(key) {
            return Err(invalid(InvalidInput::IdempotencyKey));
        }
        let digest = |context, parts: &[&str]| {
            let mut hasher = blake3::Hasher::new_derive_key(context);
            for part in parts {
                // With the length of each part, so that no two lists of parts hash alike.
                hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
            }
            hasher.finalize()
        };
        let whose = [self.parts.organization.as_str(), &self.actor.id().to_string(), key];
        // Fails only on maps with keys that are not strings; there are none.
        let asked = serde_json::to_string(asked).unwrap_or_default();
        Ok(IdempotentRequest {
            key: digest("tower-api-keys v1 idempotency key", &whose).to_hex().to_string(),
            digest: *digest("tower-api-keys v1 idempotent request", &[&asked]).as_bytes(),
        })
    }
}

fn checked_limits(limits: String) -> Result<Box<str>, ManageError> {
    let fits = limits.len() <= LIMITS.bytes() && !limits.contains('\0') && !contains_credential(&limits);
    if fits { Ok(limits.into()) } else { Err(invalid(InvalidInput::Limits)) }
}

/// The contact that is told about a key; none if the text is empty.
pub(in crate::manage) fn checked_responsible(text: &str) -> Result<Option<Responsible>, ManageError> {
    let told = (!text.is_empty()).then(|| Responsible::new(text)).transpose();
    told.map_err(|error| invalid(InvalidInput::Responsible).with_source(error))
}

pub(in crate::manage) const fn is_idempotency_key(key: &str) -> bool {
    !key.is_empty() && key.len() <= IDEMPOTENCY_KEY.bytes()
}

const fn invalid(what: InvalidInput) -> ManageError {
    ManageError::invalid(what)
}

/// What the audit event records of a new key, because all of it can change later.
pub(in crate::manage) fn summary(record: &KeyRecord) -> String {
    #[derive(serde::Serialize)]
    struct Summary<'a> {
        name: &'a KeyName,
        labels: &'a Labels,
        /// One text, as in stored rows.
        scopes: String,
        networks: Option<&'a Networks>,
        responsible: Option<&'a Responsible>,
        expires_at: Option<Timestamp>,
        /// This cannot change, and auditors look for it.
        known_beforehand: bool,
    }
    let KeyRecord { name, labels, scopes, networks, responsible, expires_at, reserved, .. } = record;
    let (scopes, known_beforehand) = (scopes.to_string(), reserved.is_known_beforehand());
    let (networks, responsible, expires_at) = (networks.as_ref(), responsible.as_ref(), *expires_at);
    let summary = Summary { name, labels, scopes, networks, responsible, expires_at, known_beforehand };
    // Fails only on maps with keys that are not strings; these are strings.
    serde_json::to_string(&summary).unwrap_or_default()
}
