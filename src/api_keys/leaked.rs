//! Leaked texts of unknown keys: they are looked for in all organizations.

use super::ApiKeys;
use crate::{
    manage::{Actor, ManageError, PresentedKey, Presenter, Stop, Traced},
    store::Ledger,
    usage::Source,
};

impl<S: Ledger> ApiKeys<S> {
    /// Finds the key that a leaked text is about, in any organization, dead or alive. The text is a key or a part of
    /// one, a line of a log, or a pasted header, at most 64 KiB. If several keys fit, the surest is returned; if none
    /// fits, none. The search does not count as use.
    ///
    /// It searches like [`KeyManager::identify`](crate::KeyManager::identify), and uses the same words to say how sure
    /// it is. Whole ids are looked up in all organizations. Parts of ids are looked for only among the keys of the
    /// [single](crate::OrganizationId::single) organization, because no store lists the keys of all others.
    ///
    /// For the service itself, represented by an [`Actor::system`]: a webhook of a secret scanner, a command line.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let keys = tower_api_keys::ApiKeys::builder(tower_api_keys::store::MemoryStore::new());
    /// # let keys = keys.params(tower_api_keys::hash::Argon2Params::MACHINE_SECRET).build().await?;
    /// use tower_api_keys::{Actor, IssueKey, OrganizationId, TeamId, manage::MatchConfidence};
    ///
    /// let (acme, actor) = (OrganizationId::new("acme")?, Actor::system("secret scanning")?);
    /// let issued = keys.manager_for(acme.clone()).issue(IssueKey::team(TeamId::new("blue")?), &actor).await?;
    ///
    /// let found = keys.trace(issued.plaintext().expose_secret(), &actor).await?;
    /// let found = found.ok_or("a key of somebody else's")?;
    /// assert_eq!((found.organization, found.evidence), (acme, MatchConfidence::WholeKey));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): denied (any other actor), invalid (a longer text), corrupt
    /// record (of the only key that fits), store unavailable.
    ///
    /// # Security
    /// As for [`identify`](crate::KeyManager::identify): no part of the text is logged, kept or shown in an error. The
    /// answer crosses organizations: show it only to those who run the service.
    pub async fn trace(&self, text: &str, actor: &Actor) -> Result<Option<Traced>, ManageError> {
        self.0.manager.trace(text, actor).await
    }

    /// Revokes the keys whose whole texts these are, in any organization. The text is the permission: a caller that has
    /// it could use the key, so it may also end the key. For an endpoint where anyone reports keys that they found, and
    /// for secret scanners.
    ///
    /// At most 1,000 texts. Each has its own answer, in the same order. Blanks and line ends around a text do not
    /// count. Each revoked key has an event, by `system:presented` and from `source`, and sinks are told as of any
    /// revocation. Expired and paused keys are revoked, too.
    ///
    /// A text that is no key costs nothing. An unknown id costs one look-up. A wrong secret costs as much as a check:
    /// no Argon2id run. Proofs of all calls run one after the other, so that checks and new keys wait for at most one
    /// of them. At most 16 calls run at a time; the others are told to [try
    /// again](crate::manage::PresentedOutcome::TryAgain). Dropping the future does not undo what is done.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let keys = tower_api_keys::ApiKeys::builder(tower_api_keys::store::MemoryStore::new());
    /// # let keys = keys.params(tower_api_keys::hash::Argon2Params::MACHINE_SECRET).build().await?;
    /// use tower_api_keys::{Actor, IssueKey, TeamId, manage::PresentedOutcome, usage::Source};
    ///
    /// let request = IssueKey::team(TeamId::new("blue")?);
    /// let issued = keys.manager().issue(request, &Actor::system("first start")?).await?;
    ///
    /// let texts = [issued.plaintext().expose_secret(), "ghp_something_else"];
    /// let answers = keys.revoke_presented(&texts, Source::new("found-keys")?).await?;
    /// assert_eq!(answers[0].outcome, PresentedOutcome::Revoked);
    /// assert_eq!(answers[1].outcome, PresentedOutcome::NotAKey);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): invalid (more texts). Each answer says what happened to its
    /// text. If the store does not answer, this and all following texts are answered with "try again".
    ///
    /// # Security
    /// Answer a stranger the same in every case: the answers reveal which ids exist, and a key reveals its owner. Limit
    /// how often a stranger may call. No part of a text is in an event, a log, an error or an answer.
    pub async fn revoke_presented<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
        source: Source,
    ) -> Result<Vec<PresentedKey>, ManageError> {
        self.0.manager.stop_presented(texts, Stop::Revoke, &Presenter::Unknown(source)).await
    }

    /// Pauses the keys whose whole texts these are, in any organization, until an admin
    /// [resumes](crate::KeyManager::resume) them. For reports that may be wrong, and for keys whose revocation would
    /// stop too much before someone has looked. Neither the reporter nor the key's user can resume it.
    ///
    /// Everything else is as for [`revoke_presented`](Self::revoke_presented). A revoked key stays revoked.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let keys = tower_api_keys::ApiKeys::builder(tower_api_keys::store::MemoryStore::new());
    /// # let keys = keys.params(tower_api_keys::hash::Argon2Params::MACHINE_SECRET).build().await?;
    /// use tower_api_keys::{Actor, IssueKey, TeamId, manage::PresentedOutcome, usage::Source};
    ///
    /// let admin = Actor::system("first start")?;
    /// let issued = keys.manager().issue(IssueKey::team(TeamId::new("blue")?), &admin).await?;
    ///
    /// let texts = [issued.plaintext().expose_secret()];
    /// let answers = keys.pause_presented(&texts, Source::new("found-keys")?).await?;
    /// assert_eq!(answers[0].outcome, PresentedOutcome::Paused);
    /// keys.manager().resume(&issued.info().id, &admin).await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`revoke_presented`](Self::revoke_presented).
    ///
    /// # Security
    /// As for [`revoke_presented`](Self::revoke_presented).
    pub async fn pause_presented<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
        source: Source,
    ) -> Result<Vec<PresentedKey>, ManageError> {
        self.0.manager.stop_presented(texts, Stop::Pause, &Presenter::Unknown(source)).await
    }
}
