//! Reading the owners of live keys, and closing those that are missing.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    report::{MissingOwner, Reconciled},
    request::Reconcile,
};
use crate::{
    manage::{
        access::{Access, LARGEST_PAGE, Walk, Wanted},
        actor::Actor,
        error::{ManageError, ManageErrorKind},
        manager::KeyManager,
        names::{Mentions, Names, Presence},
        policy::{KeyAction, Target},
    },
    owner::{KeyKind, Owner, OwnerRef},
    record::OwnerStatus,
    store::{Effect, FoundOwner, KeyQuery, Liveness, OwnerChange},
};

/// How many writes one change has: the most that a store takes. The directory is asked about this many again right
/// before.
const BATCH: usize = 50;

/// What the store knows about an owner of live keys.
struct Found {
    status: OwnerStatus,
    live_keys: u64,
}

impl KeyManager {
    /// Asks the [`Directory`](crate::manage::Directory) which owners of live keys are still there, so that personal
    /// keys end when their person leaves, even if [`close`](Self::close) was not called. Reports who is missing, and
    /// closes those of them that the request names. Run it once a night.
    ///
    /// *Missing* are owners about whom the directory says that they have [left](crate::manage::Names::with_left) or
    /// that their id is [unknown](crate::manage::Names::with_unknown). An owner that it does not mention is in doubt: a
    /// directory that returns only the names it found closes no owner. Each owner is asked about once, at most 1,000 at
    /// a time, and each answer may take as long as one of the store.
    ///
    /// A request to [close](Reconcile::close) does all of that again, then asks about the named owners once more, fifty
    /// at a time, right before they are closed. No owner is closed while the directory does not answer about all, or if
    /// it misses [many](Reconciled::is_many), unless the request [insists](Reconcile::even_if_many): a wrongly
    /// configured directory suddenly knows no one. Each closing has its own event, as by `close`.
    ///
    /// For admins of the organization and the system; no key does this. Owners that the policy does not let the actor
    /// close are left out. For several organizations, ask the manager of each. A
    /// [metric](crate::auth::AuthMetrics::owners_missing) has the number of missing owners, too.
    ///
    /// # Errors
    /// [`ManageErrorKind`]: denied, not found (the actor may not close an owner that it names), directory unavailable,
    /// directory incomplete and too many missing (to close), misconfigured (the service has no directory), store
    /// unavailable, outcome unknown. What was closed before stays closed, and a repeat continues.
    pub async fn reconcile(&self, request: Reconcile, actor: &Actor) -> Result<Reconciled, ManageError> {
        let access = self.acting(actor, &[KeyAction::Close]).await?;
        // Before any owner is looked at: otherwise the answer would reveal whether there are owners.
        access.require(KeyAction::See, &Target::Organization).await?;
        for owner in request.close.iter().flatten() {
            access.require(KeyAction::Close, &Target::Owner(owner)).await?;
        }
        let mut report = access.report(request.kind).await?;
        access.publish_missing(&report);
        if let Some(named) = &request.close {
            access.close_missing(named, request.even_if_many, &mut report).await?;
            access.publish_missing(&report);
        }
        Ok(report)
    }
}

impl Access<'_> {
    async fn report(&self, kind: Option<KeyKind>) -> Result<Reconciled, ManageError> {
        let asked_at = self.parts.clock.now();
        let (owners, unreadable) = self.owners_of_live_keys(kind).await?;
        let (mut missing, mut unanswered, mut names) = (Vec::new(), Vec::new(), Names::none());
        let all: Vec<&Owner> = owners.keys().collect();
        for asked in all.chunks(LARGEST_PAGE.into()) {
            let said = self.said_of(asked.iter().copied()).await?;
            let mut found_missing = Mentions::default();
            for owner in asked {
                let Some(Found { status, live_keys }) = owners.get(*owner) else { continue };
                match said.presence(owner) {
                    None => unanswered.push((*owner).clone()),
                    Some(presence) if presence.is_missing() => {
                        found_missing.owner(owner);
                        let (owner, status, live_keys) = ((*owner).clone(), *status, *live_keys);
                        missing.push(MissingOwner { owner, presence, status, live_keys });
                    }
                    Some(_) => {}
                }
            }
            names.extend(said.only(&found_missing.users, &found_missing.teams));
        }
        let (owners, closed, kept) = (owners.len() as u64, Vec::new(), Vec::new());
        Ok(Reconciled { asked_at, kind, owners, missing, unanswered, unreadable, closed, kept, names })
    }

    /// The owners that are not closed and that the actor may close, and how many live keys have no readable owner.
    async fn owners_of_live_keys(&self, kind: Option<KeyKind>) -> Result<(BTreeMap<Owner, Found>, u64), ManageError> {
        let (mut owners, mut unreadable) = (BTreeMap::<Owner, Found>::new(), 0);
        let all = KeyQuery::all(self.parts.organization.clone());
        let mut walk = Walk::new(KeyQuery { kind, liveness: Some(Liveness::Live), with_usage: false, ..all });
        while let Some(rows) = walk.next_page(self).await? {
            for row in rows {
                let listed = row.peek();
                let status = FoundOwner { owner: listed.owner, organization: listed.organization }.status();
                match (OwnerRef::of(&listed.key), status) {
                    (Some(_), Ok(status)) if status.closed_at().is_some() => {}
                    (Some(OwnerRef { owner, .. }), Ok(status)) => {
                        if let Some(found) = owners.get_mut(&owner) {
                            found.live_keys += 1;
                        } else if self.may(KeyAction::Close, &Target::Owner(&owner)) {
                            owners.insert(owner, Found { status, live_keys: 1 });
                        }
                    }
                    (None, _) | (_, Err(_)) => unreadable += 1,
                }
            }
        }
        Ok((owners, unreadable))
    }

    /// What the directory says about these. The call acts on it, so no answer is an error.
    async fn said_of(&self, owners: impl Iterator<Item = &Owner>) -> Result<Names, ManageError> {
        let mut mentions = Mentions::default();
        owners.for_each(|owner| mentions.owner(owner));
        let directory = &self.parts.rules.directory;
        directory.asked_about(&self.parts.organization, mentions, self.parts.guarded.limit()).await
    }

    async fn close_missing(
        &self,
        named: &BTreeSet<Owner>,
        even_if_many: bool,
        report: &mut Reconciled,
    ) -> Result<(), ManageError> {
        require_answers(report.unanswered.len())?;
        let missing: BTreeSet<&Owner> = report.missing.iter().map(|missing| &missing.owner).collect();
        if report.is_many() && !even_if_many {
            let (missing, owners) = (missing.len() as u64, report.owners);
            return Err(ManageError::new(ManageErrorKind::TooManyMissing { missing, owners }));
        }
        let (mut closing, kept): (Vec<Owner>, Vec<Owner>) =
            named.iter().cloned().partition(|owner| missing.contains(owner));
        report.kept = kept;
        // The person who makes the call goes last: they can do nothing after that.
        let own = self.actor.standing_on();
        closing.sort_by_key(|owner| own.as_ref() == Some(owner));
        for batch in closing.chunks(BATCH) {
            let said = self.said_of(batch.iter()).await?;
            require_answers(batch.iter().filter(|owner| said.presence(owner).is_none()).count())?;
            let (gone, back): (Vec<Owner>, Vec<Owner>) =
                batch.iter().cloned().partition(|owner| said.presence(owner).is_some_and(Presence::is_missing));
            report.kept.extend(back);
            if gone.is_empty() {
                continue;
            }
            let writes = gone.iter().map(|owner| self.owner_write(owner, OwnerChange::Close)).collect();
            let effects = self.apply(Wanted::all(KeyAction::Close, self.parts.clock.now(), writes)).await?;
            for (owner, effect) in gone.into_iter().zip(effects) {
                match effect {
                    Effect::Changed => report.closed.push(owner),
                    Effect::Unchanged => report.kept.push(owner),
                }
            }
        }
        report.closed.sort_unstable();
        report.kept.sort_unstable();
        Ok(())
    }

    /// Publishes the number for operators of the service.
    fn publish_missing(&self, report: &Reconciled) {
        let closed: BTreeSet<&Owner> = report.closed.iter().collect();
        for kind in KeyKind::ALL.into_iter().filter(|kind| report.kind.is_none_or(|only| only == *kind)) {
            let is_missing = |owner: &&Owner| owner.kind() == kind && !closed.contains(owner);
            let count = report.missing.iter().map(|missing| &missing.owner).filter(is_missing).count();
            self.parts.counted.missing().set(&self.parts.organization, kind, count);
        }
    }
}

/// If the directory did not answer about all owners, no owner is closed.
fn require_answers(unanswered: usize) -> Result<(), ManageError> {
    match unanswered as u64 {
        0 => Ok(()),
        unanswered => Err(ManageError::new(ManageErrorKind::DirectoryIncomplete { unanswered })),
    }
}
