use crate::sentence::told_words;

told_words! {
    /// What is missing in a service's setup. Every call that needs it fails with this, and does nothing.
    ///
    /// A service of several organizations must name one for each call. See the page [Several customers in one
    /// service](crate::manual::several_customers).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// use tower_api_keys::{Actor, ApiKeys, OrganizationId, UserId, store::MemoryStore};
    /// use tower_api_keys::manage::{ListKeys, ManageErrorKind, Misconfiguration, Rights};
    ///
    /// let keys = ApiKeys::builder(MemoryStore::new()).several_organizations().build().await?;
    /// let acme = keys.manager_for(OrganizationId::new("acme")?);
    ///
    /// let alice = acme.actor(UserId::new("alice")?, Rights::none());
    /// assert!(acme.list(ListKeys::all(), &alice).await.is_ok());
    ///
    /// let error = keys.manager().list(ListKeys::all(), &alice).await.unwrap_err();
    /// assert_eq!(error.kind(), ManageErrorKind::Misconfigured(Misconfiguration::ManagerWithoutOrganization));
    ///
    /// let of_none = Actor::user(UserId::new("alice")?, Rights::none());
    /// let error = acme.list(ListKeys::all(), &of_none).await.unwrap_err();
    /// assert_eq!(error.kind(), ManageErrorKind::Misconfigured(Misconfiguration::ActorWithoutOrganization));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[non_exhaustive]
    pub enum Misconfiguration as "misconfigured",
    /// What to do about it, as a sentence for the service's developers.
    pub sentence {
        /// The actor is a person without an organization, and the manager is that of one organization among several.
        ActorWithoutOrganization = "actor_without_organization":
            "The service did not say which organization this person belongs to: in the code, create the `Actor` with \
             `KeyManager::actor`, or call `Actor::with_organization`.",
        /// The manager has no named organization, and the service has
        /// [several](crate::ApiKeysBuilder::several_organizations).
        ManagerWithoutOrganization = "manager_without_organization":
            "The service has several organizations and did not say which one is meant: use `ApiKeys::manager_for` \
             instead of `ApiKeys::manager`.",
        /// The call needs to know who is still there, and the service has no directory.
        NoDirectory = "no_directory":
            "The service has no directory of users and teams: configure one with `ApiKeysBuilder::directory`.",
    }
}
