use std::collections::{HashMap, HashSet};

use super::KeyManager;
use crate::{
    key::KeyId,
    manage::{
        actor::Actor,
        error::ManageError,
        policy::{KeyAction, Target},
    },
    owner::OrganizationId,
    store::{Ledger, UsageScope},
    usage::{UsageDetail, UsageRow},
};

/// The most keys whose counts one call of a store tells, as its contract says.
const MOST_KEYS: usize = 1_000;

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
    /// is used; a key without `keys:manage`), corrupt record, store unavailable.
    pub async fn usage(&self, id: &KeyId, actor: &Actor) -> Result<UsageDetail, ManageError> {
        self.admit(actor)?;
        self.load(id, actor, KeyAction::SeeUsage).await?;
        self.usage_of_one(id).await
    }

    /// What was refused without naming a key that exists: the pasted blank, the truncated key, the header that was
    /// forgotten. By reason and source: "the service called, and failed" shows here where its key does not.
    ///
    /// Such requests belong to no organization: this is for the [system](Actor::system), and for who may see the usage of
    /// all keys of the [only](OrganizationId::single) organization.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): not found (somebody of one organization of many), denied,
    /// corrupt record, store unavailable.
    pub async fn refusals_without_key(&self, actor: &Actor) -> Result<UsageDetail, ManageError> {
        self.admit(actor)?;
        if !actor.is_system() && self.0.organization != OrganizationId::single() {
            return Err(self.hide(actor, KeyAction::SeeUsage, None));
        }
        self.permit(actor, KeyAction::SeeUsage, &Target::Organization)?;
        detail(&self.0.store.usage(&UsageScope::NoKey).await?)
    }

    pub(in crate::manage) async fn usage_of_one(&self, id: &KeyId) -> Result<UsageDetail, ManageError> {
        Ok(self.usage_of(&[*id]).await?.remove(id).unwrap_or_default())
    }

    /// How these keys were used; those that never were are left out.
    pub(in crate::manage) async fn usage_of(&self, ids: &[KeyId]) -> Result<HashMap<KeyId, UsageDetail>, ManageError> {
        let rows = self.usage_rows_of(ids).await?;
        rows.into_iter().map(|(id, rows)| Ok((id, detail(&rows)?))).collect()
    }

    /// The counts of these keys as they are stored; those that have none are left out.
    pub(in crate::manage) async fn usage_rows_of(
        &self,
        ids: &[KeyId],
    ) -> Result<HashMap<KeyId, Vec<UsageRow>>, ManageError> {
        let mut of_key = HashMap::new();
        for ids in ids.chunks(MOST_KEYS) {
            let (of, asked) = (UsageScope::Keys(ids.to_vec()), ids.iter().collect::<HashSet<_>>());
            let rows = self.0.store.usage(&of).await?;
            for rows in rows.chunk_by(|one, other| one.key == other.key) {
                let id = rows.first().and_then(|row| KeyId::new(row.key.as_deref()?).ok());
                // What was not asked for is nobody's.
                if let Some(id) = id.filter(|id| asked.contains(id)) {
                    of_key.insert(id, rows.to_vec());
                }
            }
        }
        Ok(of_key)
    }
}

fn detail(rows: &[UsageRow]) -> Result<UsageDetail, ManageError> {
    UsageDetail::of(rows).map_err(ManageError::corrupt)
}
