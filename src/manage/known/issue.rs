use std::error::Error;

use super::{problem::KnownKeyProblem, request::IssueKnownKey};
use crate::{
    hash::{TagErrorKind, VerifyErrorKind},
    key::PlaintextKey,
    manage::{
        access::{Access, Row},
        actor::Actor,
        denial::DenialReason,
        error::{ManageError, ManageErrorKind},
        info::{KeyInfo, KnownKey},
        invalid::InvalidInput,
        manager::{KeyManager, NewKey},
        policy::{KeyAction, Target},
    },
    owner::Owner,
    record::{KeyRecord, OwnerStatus, Reserved},
    store::{Conflict, Effect, StoreError, StoreErrorKind},
};

/// How many replacements of a key are looked at.
const MOST_SUCCESSORS: u16 = 20;

impl KeyManager {
    /// Makes a key with a text that is [known beforehand](crate::IssueKey::with_text), or finds the one that an earlier
    /// call made with this text. A service calls it at every start, on every node. However many start at once, one key
    /// is made and one event is written, and all of them get the key. Only for the [system](Actor::system): people have
    /// no reason to choose a text.
    ///
    /// An existing key must be as requested: its owner, scopes, networks and limits, and its expiry if one is
    /// requested. A difference is an error that [names it](KnownKeyProblem), and nothing is changed: a restart neither
    /// undoes nor hides what people did to the key meanwhile. Name and labels may differ. A key that is dead or paused,
    /// or whose owner is suspended, is an error, too: a restart does not revive it.
    ///
    /// [`KeyInfo::known_beforehand`] and the event of the key say that its text is in a configuration.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// use tower_api_keys::{Actor, IssueKey, KeyKind, TeamId, key::KeyFormat};
    /// use tower_api_keys::manage::{Effect, KnownKeyProblem, ManageErrorKind};
    ///
    /// # let made_offline = KeyFormat::unbranded().generate(KeyKind::Team)?;
    /// # let configured = made_offline.expose_secret();
    /// let system = Actor::system("configuration")?;
    /// let request = || {
    ///     let text = manager.format().parse(configured.as_bytes())?.to_plaintext();
    ///     let engineering = TeamId::new("engineering").map_err(Box::<dyn std::error::Error>::from)?;
    ///     Ok::<_, Box<dyn std::error::Error>>(IssueKey::team(engineering).named("compose").with_text(text))
    /// };
    ///
    /// let first = manager.issue_known(request()?, &system).await?;
    /// assert!(first.effect() == Effect::Changed && first.info().known_beforehand);
    /// let restarted = manager.issue_known(request()?, &system).await?;
    /// assert_eq!(restarted.effect(), Effect::Unchanged);
    ///
    /// manager.revoke(&first.info().id, &system).await?;
    /// let error = manager.issue_known(request()?, &system).await.unwrap_err();
    /// assert_eq!(error.kind(), ManageErrorKind::KnownKey(KnownKeyProblem::Revoked));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ManageErrorKind`]: known key, as above; invalid (a text that the service's [format](Self::format) does not
    /// accept, of another kind than the owner's, or that can be guessed, and as for [`issue`](Self::issue)); denied to
    /// all actors except the system; not found, clock unsure, owner suspended or closed, quota reached, actor busy,
    /// overloaded, starved, pepper missing, hash failed, corrupt record, store unavailable, outcome unknown. After the
    /// last, make the same request again.
    pub async fn issue_known(&self, request: IssueKnownKey, actor: &Actor) -> Result<KnownKey, ManageError> {
        let IssueKnownKey { request, text } = request;
        let access = self.acting(actor, &[KeyAction::Issue]).await?;
        let now = access.parts.clock.reading();
        let end = access.end_of_new_key(&request, now.now());
        let expires_at = end.as_ref().map_or(request.expires_at, |end| *end);
        let target = Target::NewKey { owner: &request.owner, scopes: &request.scopes, expires_at };
        // An actor that may not know of the owner learns nothing; one that may not make such a key learns that.
        access.require(KeyAction::Issue, &target).await?;
        if !actor.is_system() {
            return Err(access.deny(KeyAction::Issue, DenialReason::SystemOnly, &target));
        }
        access.require_text(&text, &request.owner)?;
        let asked = access.checked(request)?;

        // Checked first: rules for new keys, such as a longest life and quotas, do not apply to an existing one.
        if let Some(there) = access.known(&text, &asked).await? {
            return Ok(KnownKey::new(there, Effect::Unchanged));
        }
        let expires_at = end?;
        if let Some(end) = asked.expires_at
            && now.has_passed(end)?
        {
            return Err(ManageError::invalid(InvalidInput::ExpiryPast));
        }
        let closed = access.closed_when_asked(&asked.owner).await?;
        let hash = access.hash(&text).await?;
        let record = asked.record(&access, (text.id(), hash), now.now(), expires_at);
        let record = KeyRecord { reserved: Reserved::known_beforehand(), ..record };
        match access.insert(&text, record, None, closed).await {
            Ok(made) => Ok(KnownKey::new(made, Effect::Changed)),
            // Another node may have been quicker, and may have used up a quota by that.
            Err(error) if is_taken(&error) || matches!(error.kind(), ManageErrorKind::QuotaReached(_)) => {
                match access.known(&text, &asked).await? {
                    Some(there) => Ok(KnownKey::new(there, Effect::Unchanged)),
                    None if is_taken(&error) => Err(access.why_taken(&text).await?),
                    None => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }
}

impl Access<'_> {
    /// Checks that a text can be that of a key of this owner.
    fn require_text(&self, text: &PlaintextKey, owner: &Owner) -> Result<(), ManageError> {
        if let Err(error) = self.parts.format.parse(text.expose_secret().as_bytes()) {
            return Err(ManageError::invalid(InvalidInput::TextNotAccepted).with_source(error));
        }
        if text.kind() != owner.kind() {
            return Err(ManageError::invalid(InvalidInput::TextOfOtherKind));
        }
        if text.is_guessable() {
            return Err(ManageError::invalid(InvalidInput::TextGuessable));
        }
        Ok(())
    }

    /// The key with this text, if the organization has one and it is as requested.
    async fn known(&self, text: &PlaintextKey, asked: &NewKey) -> Result<Option<KeyInfo>, ManageError> {
        let Some(row) = self.row(&text.id()).await? else { return Ok(None) };
        let (record, status) = self.open(&row, KeyAction::See).await?;
        // Checked first: without the text, the answer reveals only that the id is taken.
        self.require_text_of(text, &record).await?;
        if record.owner != asked.owner {
            return Err(problem(KnownKeyProblem::OtherOwner));
        }
        self.require_usable(&record, &status).await?;
        let differs = [
            (record.scopes != asked.scopes, KnownKeyProblem::OtherScopes),
            (record.networks != asked.networks, KnownKeyProblem::OtherNetworks),
            (record.limits != asked.limits, KnownKeyProblem::OtherLimits),
            (!self.ends_as_asked(&record, asked).await?, KnownKeyProblem::OtherExpiry),
        ];
        if let Some((_, what)) = differs.into_iter().find(|(differs, _)| *differs) {
            return Err(problem(what));
        }
        Ok(Some(KeyInfo::new(record, status, None, self.parts.clock.reading())))
    }

    /// Checks that the text is the one that was hashed.
    async fn require_text_of(&self, text: &PlaintextKey, record: &KeyRecord) -> Result<(), ManageError> {
        let (hasher, secret) = (&self.parts.hasher, text.expose_secret());
        if let Err(error) = hasher.check_tag(secret, &record.hash) {
            return Err(match error.kind() {
                TagErrorKind::Mismatch => problem(KnownKeyProblem::OtherKey),
                TagErrorKind::UnknownPepper => ManageError::new(ManageErrorKind::PepperMissing).with_source(error),
            });
        }
        if hasher.is_proved(secret, &record.hash) {
            return Ok(());
        }
        match hasher.verify_for(self.requester(), *record.id.as_bytes(), secret, &record.hash).await {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == VerifyErrorKind::Mismatch => Err(problem(KnownKeyProblem::OtherKey)),
            Err(error) => Err(error.into()),
        }
    }

    /// Checks that requests with the key are accepted.
    async fn require_usable(&self, record: &KeyRecord, status: &OwnerStatus) -> Result<(), ManageError> {
        let now = self.parts.clock.reading();
        let has_expired = record.expires_at.map(|end| now.has_passed(end)).transpose()? == Some(true);
        let dead = match (&record.revoked, has_expired) {
            (Some(_), _) => Some(KnownKeyProblem::Revoked),
            (None, true) => Some(KnownKeyProblem::Expired),
            (None, false) => None,
        };
        if let Some(dead) = dead {
            let has_heir = self.has_outlived(record).await?;
            return Err(problem(if has_heir { KnownKeyProblem::Rotated } else { dead }));
        }
        if record.paused.is_some() {
            return Err(problem(KnownKeyProblem::Paused));
        }
        status.stopped().map_or(Ok(()), |(stopped, _)| Err(ManageError::new(stopped.into())))
    }

    /// Whether a key that replaced a dead one lived on when that ended: not if its rotation was aborted, nor if all
    /// keys of an owner were revoked at once.
    async fn has_outlived(&self, dead: &KeyRecord) -> Result<bool, ManageError> {
        let revoked_at = dead.revoked.as_ref().map(|revoked| revoked.at);
        let ended_at = revoked_at.into_iter().chain(dead.expires_at).min().map(|end| end.as_millis());
        let successors = self.last_successors(&dead.id, MOST_SUCCESSORS).await?;
        Ok(successors.iter().any(|found| found.peek().key().ended_at().is_none_or(|end| Some(end) > ended_at)))
    }

    /// Whether the key has the requested end. Without a requested end, any end is right. An end of grace from a
    /// rotation does not count as its own end.
    async fn ends_as_asked(&self, record: &KeyRecord, asked: &NewKey) -> Result<bool, ManageError> {
        Ok(match asked.expires_at {
            None => true,
            end if record.expires_at == end => true,
            end => self.own_expiry(record).await? == end,
        })
    }

    /// Why an id is taken although no key of the organization has it.
    async fn why_taken(&self, text: &PlaintextKey) -> Result<ManageError, ManageError> {
        let elsewhere = self.parts.find_anywhere(&text.id()).await?;
        Ok(problem(elsewhere.map_or(KnownKeyProblem::Purged, |_| KnownKeyProblem::OtherKey)))
    }
}

/// Whether a key has this id, or had it once.
fn is_taken(error: &ManageError) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref::<StoreError>());
    source.is_some_and(|error| error.kind() == StoreErrorKind::Conflict(Conflict::IdTaken))
}

const fn problem(what: KnownKeyProblem) -> ManageError {
    ManageError::new(ManageErrorKind::KnownKey(what))
}
