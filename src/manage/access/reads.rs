use std::{
    collections::{HashMap, HashSet},
    ops::RangeInclusive,
};

use super::Access;
use crate::{
    audit::EventRow,
    key::KeyId,
    manage::{
        error::{ManageError, ManageErrorKind},
        manager::{RefusalsWithoutKey, UsageDay},
        policy::{KeyAction, Target},
    },
    owner::{OrganizationId, Owner},
    record::{OwnerStatus, OwnerStatusRow},
    store::{EventQuery, FoundOwner, KeyStore, Ledger, PeppersInUse, UsageScope},
    usage::{UsageDetail, UsageRow},
};

/// The most keys whose counts one call of a store returns, by its contract.
const MOST_KEYS: usize = 1_000;

impl Access<'_> {
    /// Whether this owner is suspended or closed, itself or with all of its organization, for any actor.
    pub(in crate::manage) async fn status_of(&self, owner: &Owner) -> Result<OwnerStatus, ManageError> {
        self.statuses_of(owner).await?.status().map_err(ManageError::corrupt)
    }

    /// The stored statuses of the owner and of its organization.
    pub(in crate::manage) async fn statuses_of(&self, owner: &Owner) -> Result<FoundOwner, ManageError> {
        Ok(self.parts.guarded.store.owner_status(&self.owner_ref(owner)).await?)
    }

    /// Whether the owner itself was never suspended nor closed, or was reinstated.
    pub(in crate::manage) async fn has_no_status(&self, owner: &Owner) -> Result<bool, ManageError> {
        Ok(self.statuses_of(owner).await?.owner == OwnerStatusRow::default())
    }

    /// Without a pepper, a node makes no key where other nodes have one. Checked for each key: such a node may have
    /// started before the others had one, or without a check.
    pub(in crate::manage) async fn require_pepper(&self) -> Result<(), ManageError> {
        let peppers = self.parts.hasher.peppers();
        if peppers.current_id().is_some() {
            return Ok(());
        }
        // Nothing was changed, whatever the error says.
        let unavailable = |error| ManageError::new(ManageErrorKind::StoreUnavailable).with_source(error);
        let in_use = PeppersInUse::of(&self.parts.guarded.store).await.map_err(unavailable)?;
        in_use.missing(peppers).map_or(Ok(()), |_| Err(ManageError::new(ManageErrorKind::PepperMissing)))
    }

    /// A page of events, for any actor, and whether more follow.
    pub(in crate::manage) async fn events(&self, query: &EventQuery) -> Result<(Vec<EventRow>, bool), ManageError> {
        let mut page = self.parts.guarded.store.events(query).await?;
        page.rows.retain(|row| row.organization == self.parts.organization.as_str());
        Ok((page.rows, page.more))
    }

    /// The refusals that name no existing key and concern this organization, if the actor may see them.
    pub(in crate::manage) async fn usage_without_key(&self) -> Result<RefusalsWithoutKey, ManageError> {
        self.require(KeyAction::SeeUsage, &Target::Organization).await?;
        // The only organization of a service has no name: all such refusals concern it.
        let named = if self.parts.is_of_one() { None } else { Some(self.parts.organization.clone()) };
        self.usage_concerning(named).await
    }

    /// The refusals that concern no organization, for any actor.
    pub(in crate::manage) async fn usage_without_organization(&self) -> Result<RefusalsWithoutKey, ManageError> {
        self.usage_concerning(None).await
    }

    async fn usage_concerning(&self, organization: Option<OrganizationId>) -> Result<RefusalsWithoutKey, ManageError> {
        let rows = self.parts.guarded.store.usage(&UsageScope::NoKey(vec![organization.clone()])).await?;
        // Rows that were not asked for belong to another organization.
        let asked = |row: &&UsageRow| row.organization.as_deref() == organization.as_ref().map(OrganizationId::as_str);
        Ok(RefusalsWithoutKey { detail: detail(rows.iter().filter(asked))?, counted: self.counted })
    }

    /// How a key is used, for any actor.
    pub(in crate::manage) async fn usage_of_one(&self, id: &KeyId) -> Result<UsageDetail, ManageError> {
        Ok(self.usage_of(&[*id]).await?.remove(id).unwrap_or_default())
    }

    /// How often a key was used on each of these days, for any actor.
    pub(in crate::manage) async fn days_of(
        &self,
        id: &KeyId,
        days: RangeInclusive<i32>,
    ) -> Result<Vec<UsageDay>, ManageError> {
        if days.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.parts.guarded.store.usage_days(&[*id], *days.start()).await?;
        let of_day = |day| rows.iter().find(|row| row.key == id.as_str() && row.day == day);
        Ok(days.map(|day| UsageDay::of(day, of_day(day))).collect())
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
            let rows = self.parts.guarded.store.usage(&of).await?;
            for rows in rows.chunk_by(|one, other| one.key == other.key) {
                let id = rows.first().and_then(|row| KeyId::new(row.key.as_deref()?).ok());
                // Drops rows that were not asked for.
                if let Some(id) = id.filter(|id| asked.contains(id)) {
                    of_key.insert(id, rows.to_vec());
                }
            }
        }
        Ok(of_key)
    }
}

fn detail<'a>(rows: impl IntoIterator<Item = &'a UsageRow>) -> Result<UsageDetail, ManageError> {
    UsageDetail::of(rows).map_err(ManageError::corrupt)
}
