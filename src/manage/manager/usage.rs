use super::KeyManager;
use crate::{
    key::KeyId,
    manage::{actor::Actor, error::ManageError, policy::KeyAction},
    usage::UsageDetail,
};

impl KeyManager {
    /// How a key is used, by outcome and source: each node writes what it counted at an interval, by default 10 seconds.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// # let admin = tower_api_keys::Actor::system("first start")?;
    /// # let issued = manager.issue(tower_api_keys::IssueKey::team("blue".parse()?), &admin).await?;
    /// use tower_api_keys::{Actor, usage::CallHistory};
    ///
    /// let usage = manager.usage(&issued.info().id, &Actor::system("report")?).await?;
    /// assert_eq!(usage.call_history(), CallHistory::Never); // the service did not call, so nothing was refused either
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): not found, denied (somebody who sees the key and not how it
    /// is used; a key without `keys:read`, an actor that is suspended or closed), corrupt record, store unavailable.
    pub async fn usage(&self, id: &KeyId, actor: &Actor) -> Result<UsageDetail, ManageError> {
        let access = self.acting(actor, &[KeyAction::SeeUsage]).await?;
        access.key(id, KeyAction::SeeUsage).await?;
        access.usage_of_one(id).await
    }

    /// What was refused without naming a key that exists: the pasted blank, the truncated key, the header that was
    /// forgotten. By reason and source: "the service called, and failed" shows here where its key does not.
    ///
    /// Such requests belong to no organization: this is for the [system](Actor::system), and for who may see the usage of
    /// all keys of the [only](crate::OrganizationId::single) organization.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): not found (somebody of one organization of many), denied,
    /// corrupt record, store unavailable.
    pub async fn refusals_without_key(&self, actor: &Actor) -> Result<UsageDetail, ManageError> {
        self.acting(actor, &[KeyAction::SeeUsage]).await?.usage_without_key().await
    }
}
