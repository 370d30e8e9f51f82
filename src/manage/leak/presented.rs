use std::collections::HashMap;

use serde::Serialize;

use crate::{
    hash::{Requester, TagErrorKind, VerifyErrorKind},
    key::{ParsedKey, PlaintextKey},
    manage::{
        access::{Access, Row, Unseen},
        actor::Actor,
        error::{ManageError, ManageErrorKind},
        info::KeyInfo,
        invalid::InvalidInput,
        manager::KeyManager,
        policy::KeyAction,
    },
    owner::OrganizationId,
    record::KeyRecord,
    sentence::{Sentence, told_words},
    store::{Effect, FoundKey},
    usage::Source,
};

/// How many texts one call takes: as many as GitHub's own API for revoking leaked credentials.
const MOST_TEXTS: usize = 1_000;

told_words! {
    /// The result for a text that was presented to end or pause its key.
    ///
    /// ```
    /// use tower_api_keys::manage::PresentedOutcome;
    ///
    /// assert_eq!(PresentedOutcome::AlreadyRevoked.as_str(), "already_revoked");
    /// ```
    #[non_exhaustive]
    pub enum PresentedOutcome as "presented",
    /// The result as a sentence.
    pub sentence {
        /// It is the text of a key, which this call revoked.
        Revoked = "revoked": "The key is revoked now.",
        /// It is the text of a key, which this call paused.
        Paused = "paused": "The key is paused now.",
        /// The text is that of a key that was already revoked, before or by a simultaneous call.
        AlreadyRevoked = "already_revoked": "The key was already revoked.",
        /// The text is that of a key that was already paused, before or by a simultaneous call.
        AlreadyPaused = "already_paused": "The key was already paused.",
        /// It has the id of a key, but another secret. Nothing was done.
        OtherSecret = "other_secret":
            "The text has the id of a key, but the wrong secret. Nothing was changed.",
        /// No key has this id.
        Unknown = "unknown": "No key with this id exists.",
        /// It is not the whole text of a key: cut off, damaged, from another service, or something else.
        NotAKey = "not_a_key": "This is not a complete key of this service.",
        /// The stored record of its key cannot be read. Requests with the key get 503.
        Unreadable = "unreadable":
            "The stored data of this key is damaged, so the key could not be revoked or paused. Requests with it \
             are refused with 503. Create a new key, and revoke this one as soon as its data is restored.",
        /// It could not be checked, or its key could not be stopped. Present it again later.
        TryAgain = "try_again":
            "The text could not be checked, or the key could not be paused or revoked. Send it again.",
    }
}

/// The result for one text that was presented to end or pause its key. It contains nothing of the text. It serializes.
///
/// ```
/// use tower_api_keys::manage::{PresentedKey, PresentedOutcome};
///
/// fn whom_to_tell(presented: &PresentedKey) -> Option<&tower_api_keys::Owner> {
///     let is_new = presented.outcome == PresentedOutcome::Revoked;
///     presented.key.as_ref().filter(|_| is_new).map(|key| &key.owner)
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PresentedKey {
    /// The result.
    pub outcome: PresentedOutcome,
    /// The result as a sentence.
    pub outcome_sentence: Sentence,
    /// The key, if the text is that of a key: revoked or paused, by this call or before. Show it to the service and the
    /// owner, not to the stranger who presented the text.
    pub key: Option<KeyInfo>,
}

impl From<PresentedOutcome> for PresentedKey {
    fn from(outcome: PresentedOutcome) -> Self {
        Self { outcome, outcome_sentence: outcome.sentence(), key: None }
    }
}

/// What to do with a key whose text was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Pause,
    Revoke,
}

impl Stop {
    const fn action(self) -> KeyAction {
        match self {
            Self::Pause => KeyAction::Pause,
            Self::Revoke => KeyAction::Revoke,
        }
    }

    /// The result for a key to which this was done, by this call or before.
    const fn outcome(self, effect: Effect) -> PresentedOutcome {
        match (self, effect) {
            (Self::Pause, Effect::Changed) => PresentedOutcome::Paused,
            (Self::Pause, Effect::Unchanged) => PresentedOutcome::AlreadyPaused,
            (Self::Revoke, Effect::Changed) => PresentedOutcome::Revoked,
            (Self::Revoke, Effect::Unchanged) => PresentedOutcome::AlreadyRevoked,
        }
    }
}

impl KeyManager {
    /// Revokes or pauses the keys whose whole texts these are, in any organization.
    pub(crate) async fn stop_presented<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
        stop: Stop,
        presenter: &Presenter<'_>,
    ) -> Result<Vec<PresentedKey>, ManageError> {
        if texts.len() > MOST_TEXTS {
            return Err(ManageError::invalid(InvalidInput::Texts));
        }
        let mut known: HashMap<&str, PresentedKey> = HashMap::new();
        let (mut answers, mut is_down) = (Vec::with_capacity(texts.len()), false);
        for text in texts {
            let text = text.as_ref().trim();
            let answer = match known.get(text) {
                Some(known) => known.clone(),
                // Once the store is down, a thousand calls would each wait for its time limit.
                None if is_down => PresentedOutcome::TryAgain.into(),
                None => {
                    let ended = self.stop_one_presented(text, stop, presenter).await;
                    let answer = ended.unwrap_or_else(|error| {
                        is_down = error.kind() == ManageErrorKind::StoreUnavailable;
                        let is_corrupt = error.kind() == ManageErrorKind::CorruptRecord;
                        let outcome =
                            if is_corrupt { PresentedOutcome::Unreadable } else { PresentedOutcome::TryAgain };
                        outcome.into()
                    });
                    known.insert(text, answer.clone());
                    answer
                }
            };
            answers.push(answer);
        }
        Ok(answers)
    }

    async fn stop_one_presented(
        &self,
        text: &str,
        stop: Stop,
        presenter: &Presenter<'_>,
    ) -> Result<PresentedKey, ManageError> {
        let Ok(key) = self.parts().format.parse(text.as_bytes()).as_ref().map(ParsedKey::to_plaintext) else {
            return Ok(PresentedOutcome::NotAKey.into());
        };
        let Some((organization, row)) = self.parts().find_anywhere(&key.id()).await? else {
            return Ok(PresentedOutcome::Unknown.into());
        };
        let actor = Actor::presented().with_source(presenter.source_in(&organization, self.organization()));
        let manager = self.for_organization(organization);
        manager.acting(&actor, &[stop.action()]).await?.stop_presented(&key, stop, &row).await
    }

    /// Revokes the keys whose whole texts these are, in any organization, for someone who is known:
    /// [`ApiKeys::revoke_presented`](crate::ApiKeys::revoke_presented) for a page or a chat that people are signed in
    /// to. The text is the permission, so the actor needs no right and may be suspended.
    ///
    /// The event is by `system:presented`, from the [source](Actor::with_source) of the actor. For keys of this
    /// manager's organization, its client is the actor: `settings-page/alice`. Other organizations do not learn who it
    /// was.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let keys = tower_api_keys::ApiKeys::builder(tower_api_keys::store::MemoryStore::new());
    /// # let manager = keys.params(tower_api_keys::hash::Argon2Params::MACHINE_SECRET).build().await?.manager();
    /// # let admin = tower_api_keys::Actor::system("first start")?;
    /// use tower_api_keys::{Actor, IssueKey, TeamId, UserId, usage::Source};
    /// use tower_api_keys::manage::{PresentedOutcome, Rights};
    ///
    /// let issued = manager.issue(IssueKey::team(TeamId::new("blue")?), &admin).await?;
    ///
    /// let alice = Actor::user(UserId::new("alice")?, Rights::none()).with_source(Source::new("console")?);
    /// let answers = manager.revoke_presented(&[issued.plaintext().expose_secret()], &alice).await?;
    /// assert_eq!(answers[0].outcome, PresentedOutcome::Revoked);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`ApiKeys::revoke_presented`](crate::ApiKeys::revoke_presented).
    ///
    /// # Security
    /// As for [`ApiKeys::revoke_presented`](crate::ApiKeys::revoke_presented): show the key of an answer to nobody who
    /// may not see it.
    pub async fn revoke_presented<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
        actor: &Actor,
    ) -> Result<Vec<PresentedKey>, ManageError> {
        self.stop_presented(texts, Stop::Revoke, &Presenter::Known(actor)).await
    }

    /// Pauses the keys whose whole texts these are, in any organization, for someone who is known. Everything else is as
    /// for [`revoke_presented`](Self::revoke_presented) and
    /// [`ApiKeys::pause_presented`](crate::ApiKeys::pause_presented).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let keys = tower_api_keys::ApiKeys::builder(tower_api_keys::store::MemoryStore::new());
    /// # let manager = keys.params(tower_api_keys::hash::Argon2Params::MACHINE_SECRET).build().await?.manager();
    /// # let admin = tower_api_keys::Actor::system("first start")?;
    /// # let issued = manager.issue(tower_api_keys::IssueKey::team("blue".parse()?), &admin).await?;
    /// use tower_api_keys::{Actor, UserId, manage::{PresentedOutcome, Rights}};
    ///
    /// let alice = Actor::user(UserId::new("alice")?, Rights::none());
    /// let answers = manager.pause_presented(&[issued.plaintext().expose_secret()], &alice).await?;
    /// assert_eq!(answers[0].outcome, PresentedOutcome::Paused);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`ApiKeys::pause_presented`](crate::ApiKeys::pause_presented).
    ///
    /// # Security
    /// As for [`revoke_presented`](Self::revoke_presented).
    pub async fn pause_presented<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
        actor: &Actor,
    ) -> Result<Vec<PresentedKey>, ManageError> {
        self.stop_presented(texts, Stop::Pause, &Presenter::Known(actor)).await
    }
}

/// Who presents a text.
#[derive(Clone, Debug)]
pub(crate) enum Presenter<'a> {
    /// Someone of the organization of the manager that is asked.
    Known(&'a Actor),
    /// Anyone, from this source.
    Unknown(Source),
}

impl Presenter<'_> {
    /// What the trail of an organization learns; `manager_of` is that of the asked manager.
    fn source_in(&self, organization: &OrganizationId, manager_of: &OrganizationId) -> Source {
        match self {
            Self::Unknown(source) => source.clone(),
            Self::Known(actor) => {
                let place = actor.source().map_or("", Source::label);
                let place = Source::new(place).unwrap_or_default();
                if organization != actor.organization().unwrap_or(manager_of) {
                    return place;
                }
                let who = actor.user_id().map_or_else(|| actor.id().to_string(), ToString::to_string);
                // Only an id that is too long is left out.
                place.with_client(who).unwrap_or(place)
            }
        }
    }
}

impl Access<'_> {
    /// The holder of the whole text could use the key, and so may end or pause it: no policy is asked.
    async fn stop_presented(
        &self,
        key: &PlaintextKey,
        stop: Stop,
        row: &Unseen<FoundKey>,
    ) -> Result<PresentedKey, ManageError> {
        let mut record = KeyRecord::try_from(row.peek().key()).map_err(ManageError::corrupt)?;
        let status = row.peek().status().map_err(ManageError::corrupt)?;
        if let Some(no) = self.disproved_by_tag(key, &record) {
            return Ok(no.into());
        }
        let told = |outcome: PresentedOutcome, record| {
            let key = KeyInfo::new(record, status, None, self.parts.clock.reading());
            PresentedKey { key: Some(key), ..outcome.into() }
        };
        // Checked before Argon2id, as in a request.
        if let Some(outcome) = self.needless(stop, &record) {
            return Ok(told(outcome, record));
        }
        if let Some(no) = self.disproved_by_hash(key, &record).await {
            return Ok(no.into());
        }
        let at = self.parts.clock.now();
        let stopped = match stop {
            Stop::Pause => self.pause_record(&mut record, None, Vec::new(), at).await,
            Stop::Revoke => self.revoke_record(&mut record, None, Vec::new(), at).await,
        };
        match stopped {
            Ok(Effect::Changed) => return Ok(told(stop.outcome(Effect::Changed), record)),
            Ok(Effect::Unchanged) => {}
            Err(error) if error.kind() == ManageErrorKind::KeyRevoked => {}
            Err(error) => return Err(error),
        }
        // Another call was quicker: answer with its result.
        if let Some(now) = self.row(&record.id).await? {
            record = KeyRecord::try_from(now.peek().key()).map_err(ManageError::corrupt)?;
        }
        let outcome = self.needless(stop, &record).unwrap_or(stop.outcome(Effect::Unchanged));
        Ok(told(outcome, record))
    }

    /// The result for a key in its current state, if there is nothing to do.
    fn needless(&self, stop: Stop, record: &KeyRecord) -> Option<PresentedOutcome> {
        match stop {
            _ if record.revoked.is_some() => Some(PresentedOutcome::AlreadyRevoked),
            Stop::Pause if self.is_stopped_by_pause(record) => Some(PresentedOutcome::AlreadyPaused),
            Stop::Pause | Stop::Revoke => None,
        }
    }

    fn disproved_by_tag(&self, key: &PlaintextKey, record: &KeyRecord) -> Option<PresentedOutcome> {
        match self.parts.hasher.check_tag(key.expose_secret(), &record.hash) {
            // The text has the tag, so the row had another kind when the key was made.
            Ok(()) => (record.kind() != key.kind()).then_some(PresentedOutcome::OtherSecret),
            Err(error) if error.kind() == TagErrorKind::Mismatch => Some(PresentedOutcome::OtherSecret),
            Err(_) => Some(PresentedOutcome::Unreadable),
        }
    }

    /// All presented texts share one hashing queue, one run at a time: other requesters wait for at most one of these.
    async fn disproved_by_hash(&self, key: &PlaintextKey, record: &KeyRecord) -> Option<PresentedOutcome> {
        let (hasher, text) = (&self.parts.hasher, key.expose_secret());
        if hasher.is_proved(text, &record.hash) {
            return None;
        }
        let turn = Requester::new(&["presented"]);
        match hasher.verify_for(turn, *record.id.as_bytes(), text, &record.hash).await {
            Ok(()) => None,
            Err(error) => Some(match error.kind() {
                VerifyErrorKind::Mismatch => PresentedOutcome::OtherSecret,
                VerifyErrorKind::Corrupt => PresentedOutcome::Unreadable,
                VerifyErrorKind::Failed | VerifyErrorKind::Overloaded | VerifyErrorKind::Starved => {
                    PresentedOutcome::TryAgain
                }
            }),
        }
    }
}
