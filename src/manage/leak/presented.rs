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
        source: Source,
    ) -> Result<Vec<PresentedKey>, ManageError> {
        if texts.len() > MOST_TEXTS {
            return Err(ManageError::invalid(InvalidInput::Texts));
        }
        let actor = Actor::presented().with_source(source);
        let mut known: HashMap<&str, PresentedKey> = HashMap::new();
        let (mut answers, mut is_down) = (Vec::with_capacity(texts.len()), false);
        for text in texts {
            let text = text.as_ref().trim();
            let answer = match known.get(text) {
                Some(known) => known.clone(),
                // Once the store is down, a thousand calls would each wait for its time limit.
                None if is_down => PresentedOutcome::TryAgain.into(),
                None => {
                    let ended = self.stop_one_presented(text, stop, &actor).await;
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

    async fn stop_one_presented(&self, text: &str, stop: Stop, actor: &Actor) -> Result<PresentedKey, ManageError> {
        let Ok(key) = self.parts().format.parse(text.as_bytes()).as_ref().map(ParsedKey::to_plaintext) else {
            return Ok(PresentedOutcome::NotAKey.into());
        };
        let Some((organization, row)) = self.parts().find_anywhere(&key.id()).await? else {
            return Ok(PresentedOutcome::Unknown.into());
        };
        let manager = self.for_organization(organization);
        manager.acting(actor, &[stop.action()]).await?.stop_presented(&key, stop, &row).await
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
