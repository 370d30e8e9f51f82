use super::KeyManager;
use crate::{
    audit::{Action, Subject},
    key::{PlaintextKey, contains_credential},
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
    record::{KeyName, KeyRecord, KeyRow, Labels, OwnerStatus, Reserved, Rotated},
    store::{Guard, IdempotentRequest, Write},
    time::Timestamp,
};

impl KeyManager {
    /// Makes a key. Its text leaves in the answer, once; the store gets a hash of it.
    ///
    /// A key that acts gives only scopes it has itself, no [`ManagingScope`](crate::ManagingScope), which people and the system
    /// name, no end later than its own, and no networks beyond its own.
    ///
    /// Where the service has a [longest life](crate::ApiKeysBuilder::longest_life_of_user_keys) for such keys, one without
    /// an expiry gets the latest that it allows, as [`preview`](Self::preview) shows, and a later one is invalid.
    ///
    /// # Errors
    /// [`ManageErrorKind`]: denied, not found (an owner the actor may not know of, or that is none of the organization's),
    /// directory unavailable, invalid, clock unsure, owner suspended or closed, idempotency key used
    /// ([by the same request](ManageError::replayed)) or reused (by another), quota reached, actor busy, overloaded, starved,
    /// hash failed, randomness, store unavailable, outcome unknown. After the last, make the same request again under its
    /// [idempotency key](IssueKey::idempotency_key): either the key is made, or the error names the one that was.
    pub async fn issue(&self, request: IssueKey, actor: &Actor) -> Result<IssuedKey, ManageError> {
        let access = self.acting(actor, &[KeyAction::Issue]).await?;
        let now = access.parts.clock.reading();
        let at = now.now();
        // One that may not be is seen by the policy as it was asked for, and refused below.
        let kind_and_scopes = (request.owner.kind(), &request.scopes);
        let end = access.parts.rules.lifetimes.end(kind_and_scopes, request.expires_at, at);
        let expires_at = end.as_ref().map_or(request.expires_at, |end| *end);
        let target = Target::NewKey { owner: &request.owner, scopes: &request.scopes, expires_at };
        access.require(KeyAction::Issue, &target).await?;
        access.require_gift(KeyAction::Issue, &target, Gift::of(&request, expires_at))?;
        end?;

        let name = KeyName::new(&request.name).map_err(|error| invalid(InvalidInput::Name).with_source(error))?;
        let labels = Labels::new(request.labels).map_err(|error| invalid(InvalidInput::Labels).with_source(error))?;
        let scopes = access.parts.known_scopes(&request.scopes)?;
        access.require_addresses(request.networks.as_ref())?;
        let has_ended = request.expires_at.map(|end| now.has_passed(end)).transpose()?;
        let limits = request.limits.map(checked_limits).transpose()?;
        let idempotency = request.idempotency_key.map(|key| {
            let asked =
                (Action::KEY_ISSUED.as_str(), &request.owner, &name, &labels, &scopes, request.expires_at, &limits);
            access.idempotent(&key, &(asked, &request.networks))
        });
        let idempotency = idempotency.transpose()?;
        if has_ended == Some(true) {
            let what = (KeyAction::Issue, &request.owner);
            return Err(access.or_replayed(invalid(InvalidInput::ExpiryPast), idempotency, what).await);
        }

        let closed = access.closed_when_asked(&request.owner).await?;
        let generated = access.parts.format.generate(request.owner.kind());
        let plaintext = generated.map_err(|error| ManageError::new(ManageErrorKind::Randomness).with_source(error))?;
        let record = KeyRecord {
            organization: access.parts.organization.clone(),
            id: plaintext.id(),
            owner: request.owner,
            name,
            labels,
            hash: access.hash(&plaintext).await?,
            scopes,
            networks: request.networks,
            limits,
            created_by: actor.id(),
            created_via_key: actor.key_id().copied(),
            created_at: at,
            expires_at,
            revoked: None,
            paused: None,
            replaces: None,
            lineage: plaintext.id(),
            rotated: Rotated::default(),
            warned: access.parts.rules.warnings.of_new_key(expires_at, at),
            reserved: Reserved::default(),
            version: 1,
        };
        access.insert(plaintext, record, idempotency, closed).await
    }
}

impl Access<'_> {
    async fn insert(
        &self,
        plaintext: PlaintextKey,
        record: KeyRecord,
        idempotency: Option<IdempotentRequest>,
        closed: Option<(Guard, GuardRefusal)>,
    ) -> Result<IssuedKey, ManageError> {
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
        self.made(&plaintext, &record);
        // Its owner was active at the moment of commit.
        let now = self.parts.clock.reading();
        Ok(IssuedKey::new(plaintext, KeyInfo::new(record, OwnerStatus::default(), None, now)))
    }

    /// What the store keeps of a request that may be repeated: its idempotency key is met by no other actor's and in no
    /// other organization, and its digest by no other request.
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
                // With the length of each, so that no two lists of parts read the same.
                hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
            }
            hasher.finalize()
        };
        let whose = [self.parts.organization.as_str(), &self.actor.id().to_string(), key];
        // Fails only on maps whose keys are no strings; there is none.
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

pub(in crate::manage) const fn is_idempotency_key(key: &str) -> bool {
    !key.is_empty() && key.len() <= IDEMPOTENCY_KEY.bytes()
}

const fn invalid(what: InvalidInput) -> ManageError {
    ManageError::invalid(what)
}

/// What the audit trail says of a new key, because all of it can change later.
pub(in crate::manage) fn summary(record: &KeyRecord) -> String {
    #[derive(serde::Serialize)]
    struct Summary<'a> {
        name: &'a KeyName,
        labels: &'a Labels,
        /// One text, as rows have it.
        scopes: String,
        networks: Option<&'a Networks>,
        expires_at: Option<Timestamp>,
    }
    let KeyRecord { name, labels, scopes, networks, expires_at, .. } = record;
    let scopes = scopes.to_string();
    // Fails only on maps whose keys are no strings; these are strings.
    serde_json::to_string(&Summary { name, labels, scopes, networks: networks.as_ref(), expires_at: *expires_at })
        .unwrap_or_default()
}
