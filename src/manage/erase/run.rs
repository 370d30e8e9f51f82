use std::time::Duration;

use super::{
    report::Erased,
    request::{Erase, Whose},
};
use crate::{
    audit::{Action, Subject},
    manage::{
        access::{Access, Walk, Wanted, WantedWrite},
        actor::Actor,
        error::{ManageError, ManageErrorKind},
        manager::KeyManager,
        policy::{KeyAction, Target},
    },
    owner::{Owner, UserId},
    record::ActorId,
    store::{Erasure, FoundOwner, KeyQuery, Pseudonym, Write},
    time::Timestamp,
};

/// The minimum time since it was closed: longer than a change that began before can take, including repeats.
const SETTLED: Duration = Duration::from_secs(60);

/// How many time limits of the store a change can take: three attempts, and the pauses between them.
const ATTEMPTS: u32 = 4;

impl KeyManager {
    /// Erases a user, a team or the organization permanently: keys, usage, status and idempotency keys are deleted, and
    /// in the trail and the access log a random [`Pseudonym`] replaces them. Events stay, with their time, their action
    /// and the id of the key; their values before and after the change, and their source, are erased. When a user is
    /// erased, the keys of other people and of teams stay, and name the pseudonym where they named the user. The
    /// pseudonym does not reveal who it was; only the answer says it.
    ///
    /// The owner or organization must have been [closed](Self::close) for a minute or more: closing ends the keys, can
    /// be checked before anything is lost, and stops changes that were under way. The id is free then. The next owner
    /// with this id is a new one, who inherits nothing.
    ///
    /// All of it is one transaction, or nothing. [The manual](crate::manual::managing#erasing) says what remains
    /// elsewhere, and which earlier refusals nodes write a little later. By default only the [system](Actor::system)
    /// does this, and a key never does.
    ///
    /// # Errors
    /// [`ManageErrorKind`]: denied, not found (another organization than the manager's), owner not closed, closed just
    /// now, randomness, store unavailable, store refused (a store that cannot do this, or a database role that may
    /// not), outcome unknown. A repeat after an unknown outcome fails with owner not closed, if the first call
    /// succeeded.
    pub async fn erase(&self, whom: impl Into<Erase>, actor: &Actor) -> Result<Erased, ManageError> {
        let Erase { of, pseudonym, dry_run } = whom.into();
        let access = self.acting(actor, &[KeyAction::Erase]).await?;
        let owner = match of {
            Whose::Organization(organization) => {
                access.require(KeyAction::Erase, &Target::Organization).await?;
                if organization != access.parts.organization {
                    return Err(ManageError::not_found());
                }
                None
            }
            Whose::Owner(owner) => {
                access.require(KeyAction::Erase, &Target::Owner(&owner)).await?;
                Some(owner)
            }
        };
        access.require_settled(owner.as_ref()).await?;
        // Counted before they are deleted, and a failure is ignored: erasing must not depend on a count.
        let (keys, live_keys) = access.count_keys_of(owner.as_ref()).await.ok().unzip();
        let made_keys = match &owner {
            Some(Owner::User(user)) => access.count_made_by(user).await.ok(),
            Some(Owner::Team(_)) | None => Some(0),
        };
        if dry_run {
            return Ok(Erased { pseudonym, keys, live_keys, made_keys, dry_run });
        }
        let pseudonym = pseudonym.map_or_else(Pseudonym::random, Ok);
        let pseudonym = pseudonym.map_err(|error| ManageError::new(ManageErrorKind::Randomness).with_source(error))?;
        access.apply_erasure(owner, pseudonym).await?;
        Ok(Erased { pseudonym: Some(pseudonym), keys, live_keys, made_keys, dry_run })
    }
}

impl Access<'_> {
    /// Refuses what is not closed, or was closed so recently that an earlier issue may still arrive. Closing is final,
    /// so this still holds when the change is made; the store checks it again.
    async fn require_settled(&self, owner: Option<&Owner>) -> Result<(), ManageError> {
        // The organization's status is read along with that of any owner, existing or not.
        let anybody = Owner::User(1_u32.into());
        let FoundOwner { owner: own, organization } = self.statuses_of(owner.unwrap_or(&anybody)).await?;
        let status = if owner.is_some() { own } else { organization };
        let Some(closed_at) = status.closed_at else {
            return Err(ManageError::new(ManageErrorKind::OwnerNotClosed));
        };
        let closed_at = Timestamp::from_millis(closed_at).map_err(ManageError::corrupt)?;
        let settled_at = closed_at.saturating_add(SETTLED.max(self.parts.guarded.limit().saturating_mul(ATTEMPTS)));
        let now = self.parts.clock.now();
        if now < settled_at {
            let wait = u64::try_from(settled_at.as_millis() - now.as_millis()).unwrap_or(0);
            return Err(ManageError::new(ManageErrorKind::ClosedJustNow).with_retry_after(Duration::from_millis(wait)));
        }
        Ok(())
    }

    /// How many keys they have, and how many of these have not ended.
    async fn count_keys_of(&self, owner: Option<&Owner>) -> Result<(u64, u64), ManageError> {
        let now = self.parts.clock.now();
        let owners = owner.cloned().into_iter().collect();
        let all = KeyQuery::all(self.parts.organization.clone());
        let mut walk = Walk::new(KeyQuery { owners, with_usage: false, ..all });
        let (mut keys, mut live) = (0, 0);
        while let Some(rows) = walk.next_page(self).await? {
            keys += rows.len() as u64;
            live += rows.iter().filter(|row| row.peek().key.is_live(now)).count() as u64;
        }
        Ok((keys, live))
    }

    /// How many keys of others this user made.
    async fn count_made_by(&self, user: &UserId) -> Result<u64, ManageError> {
        let all = KeyQuery::all(self.parts.organization.clone());
        let creator = Some(ActorId::User(user.clone()));
        let mut walk = Walk::new(KeyQuery { creator, with_usage: false, ..all });
        let mut made = 0;
        while let Some(rows) = walk.next_page(self).await? {
            let is_own = |kind: &str, owner: &str| kind == "user" && owner == user.as_str();
            made += rows.iter().filter(|row| !is_own(&row.peek().key.kind, &row.peek().key.owner)).count() as u64;
        }
        Ok(made)
    }

    async fn apply_erasure(&self, owner: Option<Owner>, pseudonym: Pseudonym) -> Result<(), ManageError> {
        let (action, subject) = match &owner {
            None => (Action::ORGANIZATION_ERASED, Subject::Organization),
            Some(owner) => {
                let erased = pseudonym.in_place_of(owner).map_err(ManageError::corrupt)?;
                (Action::OWNER_ERASED, Subject::Owner(erased))
            }
        };
        let organization = self.parts.organization.clone();
        let write = Write::Erase(Erasure { organization, owner, pseudonym });
        let write = WantedWrite { write, action, subject, before: None, after: None };
        self.apply_one(Wanted::one(KeyAction::Erase, self.parts.clock.now(), write)).await.map(drop)
    }
}
