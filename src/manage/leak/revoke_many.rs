use std::collections::HashSet;

use super::revocation::{RevokeMany, RevokeManyError, RevokedMany, Which};
use crate::{
    audit::Action,
    key::KeyId,
    manage::{
        access::{Access, Reach, Row, Sight, Unseen, Walk, Wanted},
        actor::Actor,
        error::{ManageError, ManageErrorKind},
        invalid::InvalidInput,
        manager::KeyManager,
        policy::{KeyAction, Target},
    },
    owner::Owner,
    store::{Effect, KeyQuery, Liveness},
};

/// How many writes one change has: the most that a store takes.
const BATCH: usize = 50;

/// After this many passes, keys are being made faster than they are revoked.
const MOST_PASSES: u32 = 20;

/// The state of the call.
struct Run<'a> {
    request: &'a RevokeMany,
    report: RevokedMany,
    /// Keys that are in the report already.
    counted: HashSet<KeyId>,
    unreadable: HashSet<String>,
    /// Live keys to revoke, as of this moment.
    live: Vec<(KeyId, Owner)>,
    /// The key that acts, if it matches. It is revoked last, because it can do nothing after that.
    acting: Option<(KeyId, Owner)>,
    only_looks: bool,
}

impl KeyManager {
    /// Revokes many keys at once, and looks again until it finds no live one that matches, which includes keys made
    /// meanwhile.
    ///
    /// Each key is decided by itself: hidden keys are neither touched nor counted; keys that the actor may see but not
    /// revoke are counted as denied. Fifty at a time are committed together, each with its own event. A dead key is
    /// left as it is; an expired key needs no revocation. A key that revokes itself does so last.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// use tower_api_keys::{Actor, IssueKey, TeamId, manage::RevokeMany};
    ///
    /// let (blue, actor) = (TeamId::new("blue")?, Actor::system("leak response")?);
    /// manager.issue(IssueKey::team(blue.clone()), &actor).await?;
    ///
    /// let request = RevokeMany::of(blue).because("leaked in a public repository");
    /// assert_eq!(manager.revoke_many(request.clone().dry_run(), &actor).await?.revoked, 1);
    /// assert_eq!(manager.revoke_many(request, &actor).await?.to_string(), "1 of 1 key revoked.");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ManageErrorKind`]: denied or not found (the actor may not revoke the owner's keys; the actor was suspended or
    /// revoked halfway), invalid (a window that ends before it begins), corrupt record, store unavailable, outcome
    /// unknown. The error says how far the call got; repeating the call continues.
    pub async fn revoke_many(&self, request: RevokeMany, actor: &Actor) -> Result<RevokedMany, RevokeManyError> {
        let mut run = Run {
            request: &request,
            report: RevokedMany { dry_run: request.dry_run, ..RevokedMany::default() },
            counted: HashSet::new(),
            unreadable: HashSet::new(),
            live: Vec::new(),
            acting: None,
            only_looks: false,
        };
        let revoked = match self.acting(actor, &[KeyAction::Revoke]).await {
            Ok(access) => access.revoke_all(&mut run).await,
            Err(error) => Err(error),
        };
        match revoked {
            Ok(()) => Ok(run.report),
            Err(error) => Err(RevokeManyError::new(error, run.report)),
        }
    }
}

impl Access<'_> {
    async fn revoke_all(&self, run: &mut Run<'_>) -> Result<(), ManageError> {
        let request = run.request;
        if let (Some(from), Some(until)) = (request.from, request.until)
            && until < from
        {
            return Err(ManageError::invalid(InvalidInput::TimeWindow));
        }
        if let Some(owner) = &request.owner {
            self.require(KeyAction::Revoke, &Target::Owner(owner)).await?;
        }
        let mut look_again = false;
        loop {
            run.report.passes += 1;
            let known = run.counted.len();
            self.pass(run).await?;
            // A new key never gets the id of another one, so a list needs no second pass.
            let is_settled = run.counted.len() == known || matches!(request.which, Which::Keys(_));
            if request.dry_run || is_settled {
                break;
            }
            if run.report.passes == MOST_PASSES {
                look_again = true;
                break;
            }
        }
        if let Some(acting) = run.acting.take() {
            run.live.push(acting);
            self.revoke_live(run, 1).await?;
            look_again |= !matches!(request.which, Which::Keys(_));
        }
        if look_again { self.look_once_more(run).await } else { Ok(()) }
    }

    /// Counts what is left without changing it.
    async fn look_once_more(&self, run: &mut Run<'_>) -> Result<(), ManageError> {
        run.only_looks = true;
        run.report.passes += 1;
        self.pass(run).await
    }

    /// Looks at all keys that may match, and revokes those that do.
    async fn pass(&self, run: &mut Run<'_>) -> Result<(), ManageError> {
        match &run.request.which {
            Which::KeyAndMade(root) => self.pass_down(*root, run).await?,
            Which::Keys(ids) => {
                for id in ids {
                    if let Some(found) = self.row(id).await? {
                        self.judge(&found, run);
                        self.revoke_live(run, BATCH).await?;
                    }
                }
            }
            Which::Matching => self.pass_along(run).await?,
        }
        self.revoke_live(run, 1).await
    }

    async fn pass_along(&self, run: &mut Run<'_>) -> Result<(), ManageError> {
        let request = run.request;
        let reach = match &request.owner {
            Some(owner) => Reach::Of(vec![owner.clone()]),
            None => self.reach(&[KeyAction::See]),
        };
        let query = KeyQuery {
            creator: request.creator.clone(),
            // Dead keys are counted once, in the first pass.
            liveness: (run.report.passes > 1).then_some(Liveness::Live),
            created_since: request.from,
            created_before: request.until,
            with_usage: false,
            ..KeyQuery::all(self.parts.organization.clone())
        };
        let mut walk = Walk::within(&reach, query);
        while let Some(rows) = walk.next_page(self).await? {
            for row in rows {
                // A batch is written as soon as it is full: to judge a whole page first would block a thread for
                // milliseconds.
                self.judge(&row, run);
                self.revoke_live(run, BATCH).await?;
            }
        }
        Ok(())
    }

    /// A key, the keys it made, the keys those made. Each generation is revoked before the next is read, since a dead
    /// key makes no more keys.
    async fn pass_down(&self, root: KeyId, run: &mut Run<'_>) -> Result<(), ManageError> {
        // The keys that a key made are found even if plain SQL deleted the key itself.
        if let Some(found) = self.row(&root).await? {
            self.judge(&found, run);
        }
        let (mut creators, mut known) = (vec![root], HashSet::from([root]));
        while !creators.is_empty() {
            self.revoke_live(run, 1).await?;
            for creator in std::mem::take(&mut creators) {
                let query = KeyQuery {
                    created_via_key: Some(creator),
                    with_usage: false,
                    ..KeyQuery::all(self.parts.organization.clone())
                };
                let mut walk = Walk::new(query);
                while let Some(rows) = walk.next_page(self).await? {
                    for row in rows {
                        creators.extend(KeyId::new(&row.peek().key.id).ok().filter(|id| known.insert(*id)));
                        self.judge(&row, run);
                        self.revoke_live(run, BATCH).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Counts a key once, and adds it to the keys to revoke if it must be.
    fn judge(&self, row: &Unseen<impl Row>, run: &mut Run<'_>) {
        if !run.request.matches(row.peek().key()) {
            return;
        }
        let record = match self.sight(row) {
            Sight::Seen(record, _) => record,
            Sight::Unreadable(_) => {
                run.report.unreadable += u64::from(run.unreadable.insert(row.peek().key().id.clone()));
                return;
            }
            Sight::Hidden(_) => return,
        };
        if !run.counted.insert(record.id) {
            return;
        }
        run.report.matched += 1;
        // By an uncertain clock, a key counts as live.
        if !record.is_live(self.parts.clock.reading().earliest()) {
            run.report.already_dead += 1;
        } else if !self.may(KeyAction::Revoke, &Target::key(&record)) {
            run.report.denied += 1;
        } else if run.only_looks {
            run.report.left += 1;
        } else if run.request.dry_run {
            run.report.revoked += 1;
        } else if self.actor.key_id() == Some(&record.id) {
            run.acting = Some((record.id, record.owner));
        } else {
            run.live.push((record.id, record.owner));
        }
    }

    /// Revokes the keys that are waiting, if there are at least this many.
    async fn revoke_live(&self, run: &mut Run<'_>, at_least: usize) -> Result<(), ManageError> {
        while run.live.len() >= at_least {
            let batch: Vec<_> = run.live.drain(..run.live.len().min(BATCH)).collect();
            match self.revoke_batch(&batch, run).await {
                Err(error) if is_of_one_key(&error) => {
                    for key in &batch {
                        match self.revoke_batch(std::slice::from_ref(key), run).await {
                            // The row was deleted by plain SQL.
                            Err(error) if is_of_one_key(&error) => run.report.matched -= 1,
                            done => done?,
                        }
                    }
                }
                done => done?,
            }
        }
        Ok(())
    }

    async fn revoke_batch(&self, batch: &[(KeyId, Owner)], run: &mut Run<'_>) -> Result<(), ManageError> {
        let because = &run.request.because;
        let write = |(id, owner): &_| self.revocation(*id, owner, Action::KEY_REVOKED, because.clone());
        let writes = batch.iter().map(write).collect();
        let wanted = Wanted::all(KeyAction::Revoke, self.parts.clock.now(), writes);
        for outcome in self.apply(wanted).await? {
            match outcome {
                Effect::Unchanged => run.report.already_dead += 1,
                Effect::Changed => run.report.revoked += 1,
            }
        }
        Ok(())
    }
}

/// Whether one key of a batch makes the whole batch fail.
fn is_of_one_key(error: &ManageError) -> bool {
    matches!(error.kind(), ManageErrorKind::Conflict | ManageErrorKind::NotFound)
}
