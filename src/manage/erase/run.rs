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

/// How long ago it must have been closed, at least: longer than a change takes that began before, repeats included.
const SETTLED: Duration = Duration::from_secs(60);

/// A change is tried three times, with pauses between.
const ATTEMPTS: u32 = 4;

impl KeyManager {
    /// Erases a user, a team or the organization, for good: keys, usage, status and idempotency keys are deleted, and in the
    /// trail and the access log a random [`Pseudonym`] stands in their place. What was done stays, with its time, its action
    /// and the id of the key; what stood before and since, and from where it was asked, does not. Of a user, other people's and
    /// teams' keys stay as they are, and name the pseudonym where they named the user. Nobody can tell from the pseudonym who
    /// it was; the answer alone says it.
    ///
    /// It has to be [closed](Self::close) first, a minute ago or more: closing is what ends keys, can be looked at in peace, and
    /// keeps away what was under way. The id is free then, and whoever has it next is somebody else, who inherits nothing.
    ///
    /// All of it is one transaction, or nothing. What remains elsewhere, and what nodes write a little later of refusals from
    /// before, is in [the manual](crate::manual::managing#erasing). By default the [system](Actor::system) alone does this,
    /// and no key ever.
    ///
    /// # Errors
    /// [`ManageErrorKind`]: denied, not found (another organization than the manager's), owner not closed, closed just now,
    /// randomness, store unavailable, store refused (a store that cannot do this, or a role of the database that may not),
    /// outcome unknown. Asking again after an unknown outcome is told that it is not closed, if it was done.
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
        // Before they go, and whatever comes of it: what is to be erased does not wait for a count.
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
    /// Refuses what is not closed, or was so recently that an issue from before may still come. Closing is final, so that this
    /// is true when the change comes; the store looks once more.
    async fn require_settled(&self, owner: Option<&Owner>) -> Result<(), ManageError> {
        // The organization's status comes with that of any owner, there or not.
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

    /// How many keys of theirs there are, and how many of these have not ended.
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
