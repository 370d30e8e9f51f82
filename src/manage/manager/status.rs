use serde_json::json;

use crate::{
    audit::{Action, Subject},
    manage::{
        access::{Access, Wanted, WantedWrite},
        error::ManageError,
        policy::{KeyAction, Target},
    },
    owner::{OrganizationId, Owner},
    record::{ActorId, OwnerStatusRow, Suspension},
    store::{Effect, FoundOwner, KeyQuery, OwnerChange, StoreError, Write},
};

/// How a status changes: really or only as a look, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct How {
    pub(super) dry_run: bool,
    pub(super) because: Option<String>,
}

/// Whose status changes.
#[derive(Clone, Copy)]
pub(super) enum Whose<'a> {
    /// An organization, with all its owners. Refused unless it is the manager's.
    Organization(&'a OrganizationId),
    /// A user or a team.
    Owner(&'a Owner),
}

impl Whose<'_> {
    /// An owner whose statuses, when read, include this one.
    pub(super) fn some_owner(self) -> Owner {
        match self {
            // It is read along with that of any owner, existing or not.
            Self::Organization(_) => Owner::User(1_u32.into()),
            Self::Owner(owner) => owner.clone(),
        }
    }

    pub(super) const fn own(self, found: &FoundOwner) -> OwnerStatusRow {
        match self {
            Self::Organization(_) => found.organization,
            Self::Owner(_) => found.owner,
        }
    }

    /// Whether this status lets keys be accepted. Of an owner, the organization's status counts, too.
    pub(super) fn is_active(self, found: &FoundOwner) -> bool {
        match self {
            Self::Organization(_) => found.organization == OwnerStatusRow::default(),
            Self::Owner(_) => found.is_active(),
        }
    }
}

/// What all status changes share.
impl Access<'_> {
    pub(super) async fn require_status(&self, action: KeyAction, whose: Whose<'_>) -> Result<(), ManageError> {
        let target = match whose {
            Whose::Organization(_) => Target::Organization,
            Whose::Owner(owner) => Target::Owner(owner),
        };
        self.require(action, &target).await?;
        match whose {
            Whose::Organization(named) if *named != self.parts.organization => Err(ManageError::not_found()),
            Whose::Organization(_) | Whose::Owner(_) => Ok(()),
        }
    }

    /// What this change would do, and the statuses after it. Follows the same rules as a store.
    pub(super) async fn would_change(
        &self,
        whose: Whose<'_>,
        change: OwnerChange,
    ) -> Result<(Effect, FoundOwner), ManageError> {
        let before = self.statuses_of(&whose.some_owner()).await?;
        let own = change.applied_to(whose.own(&before), self.parts.clock.now()).map_err(StoreError::conflict)?;
        let effect = if own == whose.own(&before) { Effect::Unchanged } else { Effect::Changed };
        let after = match whose {
            Whose::Organization(_) => FoundOwner { organization: own, ..before },
            Whose::Owner(_) => FoundOwner { owner: own, ..before },
        };
        Ok((effect, after))
    }

    /// How many live keys there are, for any actor; of an organization, if `of_active`, only of owners who are active
    /// themselves.
    pub(super) async fn count_live_keys_of(&self, whose: Whose<'_>, of_active: bool) -> Result<u64, ManageError> {
        match whose {
            Whose::Organization(_) => self.count_live_keys_of_all(of_active).await,
            Whose::Owner(owner) => self.count_live_keys(owner).await,
        }
    }

    /// Whether the owner has no key, not even a dead one, and made none that exists; for an organization, whether it
    /// has no key.
    pub(super) async fn has_no_keys(&self, whose: Whose<'_>) -> Result<bool, ManageError> {
        let all = KeyQuery::all(self.parts.organization.clone());
        let Whose::Owner(owner) = whose else { return Ok(!self.finds_any(all).await?) };
        let creator = match owner {
            Owner::User(user) => Some(ActorId::User(user.clone())),
            Owner::Team(_) => None,
        };
        let owned = KeyQuery { owners: vec![owner.clone()], ..all.clone() };
        let made = creator.map(|creator| KeyQuery { creator: Some(creator), ..all });
        for query in [Some(owned), made].into_iter().flatten() {
            if self.finds_any(query).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) async fn change_status(
        &self,
        whose: Whose<'_>,
        action: KeyAction,
        change: OwnerChange,
        because: Option<String>,
    ) -> Result<Effect, ManageError> {
        let write = self.status_write(whose, change, because);
        self.apply_one(Wanted::one(action, self.parts.clock.now(), write)).await
    }

    /// The status change with its event.
    pub(super) fn status_write(&self, whose: Whose<'_>, change: OwnerChange, because: Option<String>) -> WantedWrite {
        let (write, subject, [closed, suspended, reinstated]) = match whose {
            Whose::Organization(named) => (
                Write::Organization(named.clone(), change),
                Subject::Organization,
                [Action::ORGANIZATION_CLOSED, Action::ORGANIZATION_SUSPENDED, Action::ORGANIZATION_REINSTATED],
            ),
            Whose::Owner(owner) => (
                Write::Owner(self.owner_ref(owner), change),
                Subject::Owner(owner.clone()),
                [Action::OWNER_CLOSED, Action::OWNER_SUSPENDED, Action::OWNER_REINSTATED],
            ),
        };
        let text = |suspension: Suspension| Some(suspension.as_str().to_owned());
        let reason = |because: &str| json!({"reason": because}).to_string();
        let (action, before, after) = match (change, because) {
            (OwnerChange::Close, because) => (closed, None, because),
            (OwnerChange::Suspend(suspension), None) => (suspended, None, text(suspension)),
            (OwnerChange::Suspend(suspension), Some(because)) => {
                (suspended, None, Some(json!({"suspension": suspension.as_str(), "reason": because}).to_string()))
            }
            (OwnerChange::Reinstate(suspension), because) => {
                (reinstated, text(suspension), because.as_deref().map(reason))
            }
        };
        WantedWrite { write, action, subject, before, after }
    }
}
