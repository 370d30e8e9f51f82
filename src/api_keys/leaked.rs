//! What is done about a text of which nobody knows whose key it is: it is looked for in all organizations.

use super::ApiKeys;
use crate::{
    manage::{Actor, ManageError, PresentedKey, Stop, Traced},
    store::Ledger,
    usage::Source,
};

impl<S: Ledger> ApiKeys<S> {
    /// The key that a leaked text is about, of whatever organization, dead or alive: a key or a part of one, a line of a
    /// log, a pasted header, at most 64 KiB. Of several, the one that is surest; none if nothing fits. It counts nothing
    /// as use.
    ///
    /// It looks for what [`KeyManager::identify`](crate::KeyManager::identify) looks for, and says by the same words how
    /// sure it is. Whole ids are looked up in all organizations; parts of ids are looked for among the keys of the
    /// [single](crate::OrganizationId::single) organization only, for no store lists all others.
    ///
    /// For the service itself, which an [`Actor::system`] stands for: a webhook of a secret scanner, a command line.
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
    /// As for [`identify`](crate::KeyManager::identify): nothing of the text is logged, kept or said in an error. The
    /// answer crosses organizations: it is for those who run the service.
    pub async fn trace(&self, text: &str, actor: &Actor) -> Result<Option<Traced>, ManageError> {
        self.0.manager.trace(text, actor).await
    }

    /// Revokes the keys whose whole texts these are, of whatever organization. The text is the permission: whoever has it
    /// could use the key, so they may end it. For an endpoint at which anybody reports keys that they found, and for
    /// secret scanners.
    ///
    /// At most 1,000 texts, each with an answer of its own, in their order; blanks and ends of lines around a text do not
    /// count. Each key that is revoked has an event, by `system:presented` and from `source`, and sinks are told as
    /// of any revocation. Expired and paused keys are revoked, too.
    ///
    /// What is no key costs nothing, an unknown id one look-up, a wrong secret as much as a check: no Argon2id. Proofs
    /// are run one after the other for all calls together, so that checks and new keys wait for one of them at most;
    /// of more than 16 calls at a time the others are told to [try again](crate::manage::PresentedOutcome::TryAgain).
    /// Dropping the future leaves done what is done.
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
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): invalid (more texts). What happens to a single text is in
    /// its answer; where the store does not answer, that is to try again, for all texts that follow.
    ///
    /// # Security
    /// Answer a stranger the same whatever the answers are: they tell which ids exist, and a key says whose it is.
    /// Limit how often a stranger may call. Nothing of a text is in an event, a log, an error or an answer.
    pub async fn revoke_presented<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
        source: Source,
    ) -> Result<Vec<PresentedKey>, ManageError> {
        self.0.manager.stop_presented(texts, Stop::Revoke, source).await
    }

    /// Pauses the keys whose whole texts these are, of whatever organization, until an admin
    /// [resumes](crate::KeyManager::resume) them: for reports that may be wrong, and for keys whose end would stop too much
    /// before anybody has looked. Whoever reported one cannot resume it, and neither can its user.
    ///
    /// All else is as for [`revoke_presented`](Self::revoke_presented). A key that is revoked stays so.
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
        self.0.manager.stop_presented(texts, Stop::Pause, source).await
    }
}
