//! Stores with one fault each, around a correct one.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use futures_util::FutureExt;
use tokio::task::yield_now;
use tower_api_keys::{
    OrganizationId, Owner, TeamId, Timestamp,
    audit::EventRow,
    key::KeyId,
    record::{KeyRow, NamePart, OwnerStatusRow, Suspension},
    store::{
        Applied, AuditedWrite, Change, ChangeId, Changes, Conflict, Effect, EndedKeys, EndingQuery, Erasure,
        EventQuery, FoundKey, Guard, Head, KeyCursor, KeyOrder, KeyQuery, KeyReader, KeyStore, KeyUpdate, Ledger,
        ListedKey, MemoryStore, OwnerChange, OwnerRef, Page, Prune, Pruned, RehashedKey, StoreError, StoreErrorKind,
        SuccessorRow, Trail, UsageScope, Write,
    },
    usage::{UsageBatch, UsageDayRow, UsageRow},
};

use crate::support::wrapped::{Fake, Wrapped};

/// The fault of a [`BrokenStore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Allows one key more than the limit.
    AllowsOneMore,
    /// Makes a repeated change again.
    AppliesTwice,
    /// Takes the head of the change log from its rows.
    BeheadsTheLog,
    /// Counts entries of the access log among all other events.
    CountsAttemptsAsEvents,
    /// Counts a repeated batch of counts again.
    CountsRepeats,
    /// Counts everything in a batch on its last day.
    CountsOnTheLastDay,
    /// Lets an organization revoke keys of another one.
    CrossesOrganizations,
    /// Ignores case in ids.
    FoldsCase,
    /// Looks for the successor of a key in every organization.
    FollowsStrangers,
    /// Writes no expiry to the change log.
    ForgetsExpiries,
    ForgetsNetworks,
    /// Removes events that a reader of the feed has not confirmed.
    ForgetsUnconfirmedEvents,
    /// Returns entries of the access log to readers of the feed.
    FeedsTheAccessLog,
    /// Shows an event with an earlier number after one with a later number.
    NumbersBeforeCommit,
    /// Skips the first event of each page of the feed, except on the last page.
    SkipsBetweenPages,
    /// Loses the responsible person in an update.
    ForgetsResponsible,
    /// Returns no counts without a key.
    ForgetsKeylessCounts,
    /// Writes no reinstatement to the change log.
    ForgetsReinstatements,
    /// Writes no change of scopes to the change log.
    ForgetsScopes,
    /// Returns no status of an owner.
    ForgetsStatus,
    /// Ignores idempotency keys.
    IgnoresIdempotencyKeys,
    /// Ignores which keys a query asks for.
    IgnoresKeysAskedFor,
    /// Returns keys of owners of the other kind.
    IgnoresKindsOfOwners,
    /// Lists the keys of several owners owner by owner.
    ListsOwnersApart,
    /// Lists the keys of an owner twice if a query names the owner twice.
    ListsOwnersTwice,
    /// Leaves out keys that were created in the first millisecond of a range.
    LeavesOutTheFirst,
    /// Compares names with case.
    LooksAtCase,
    /// Takes a percent sign for any characters.
    TakesWildcards,
    /// Ignores the owners after the first hundred.
    TakesAHundredOwners,
    /// Returns usage for a list that does not ask for it.
    TellsUsageUnasked,
    /// Reports a notice about an end as new each time.
    TellsEndsAgain,
    /// Finds keys whose end was announced already.
    FindsToldEnds,
    /// Ignores when keys end.
    IgnoresEnds,
    /// Lists the keys that end next in the order of creation.
    IgnoresOrderOfEnds,
    /// Replaces the time and the author of a pause with those of the last request.
    PausesAgain,
    /// Ends any pause, not only the expected one.
    EndsAnyPause,
    /// Returns after a key the keys that come before it in the order of the query.
    TurnsListsTheWrongWay,
    /// Takes the owner of the replaced key for the owner of its successor.
    MistakesOwnersOfSuccessors,
    /// Ignores whether an owner is active.
    IgnoresSuspensions,
    /// Returns events in log order, whichever order a query asks for.
    IgnoresNewest,
    /// Ignores the predecessor in a query.
    IgnoresPredecessors,
    /// Ignores the lineage in a query.
    IgnoresLineages,
    /// Ignores how many keys there are.
    IgnoresLimits,
    /// Ignores what a key may do.
    IgnoresRights,
    /// Ignores whether a key has a live successor.
    IgnoresSuccessors,
    /// Ignores version guards.
    IgnoresVersionGuards,
    /// Ignores the version of an update.
    IgnoresVersions,
    /// Treats keys that were created in a millisecond as created before it.
    IncludesCreation,
    /// Includes events at the end of a time range.
    IncludesUntil,
    /// Keeps old counts by day.
    KeepsOldDays,
    /// Keeps counts of purged keys.
    KeepsUsageOfGoneKeys,
    /// Takes a dead replacement of a key for its successor.
    KeepsDeadSuccessors,
    /// Lists a key as live for one millisecond too long.
    ListsLate,
    /// Compares log positions without their ids.
    LooksAtPositionsOnly,
    /// Loses keys of the same millisecond between pages.
    LosesTies,
    /// Lets keys pass a guard for one millisecond too long.
    LivesLate,
    /// Returns for the user who created a key the status of the team with the same id.
    MistakesCreators,
    /// Writes only the last of several updates of one key in a change.
    MergesUpdates,
    /// Swaps the event of a dead key that is revoked again with that of another key.
    MistakesTheDead,
    /// Mixes entries of the access log and all other events.
    MixesAttempts,
    /// Leaves the first write of a dropped change behind, or lets the next change commit it.
    LeavesHalfOfWhatIsDropped,
    /// Never returns the changes of a dropped read of the log again.
    LosesDroppedNews,
    /// Counts part of a dropped batch, and takes its repetition for done.
    LosesDroppedCounts,
    /// Writes part of the events if their append is dropped.
    LosesDroppedEvents,
    /// Never answers the next look-up after a dropped one.
    HangsAfterADrop,
    /// Returns refusals without a key of all organizations.
    MixesOrganizations,
    /// Takes the organization in a batch for that of its keys, too.
    NamesOrganizationsOfKeys,
    /// Names the first guard, whichever guard fails.
    NamesTheFirstGuard,
    /// Reports to the last writer of a name that its value is stored.
    OverwritesMeta,
    /// Panics when asked for the bytes under a name.
    Panics,
    /// Reports every replaced key as live.
    PredecessorsLiveOn,
    /// Prunes entries of the access log together with other events.
    PrunesAttemptsToo,
    /// Prunes other events together with entries of the access log.
    PrunesEventsToo,
    /// Prunes all events, whatever the limit.
    PrunesWithoutLimit,
    /// Also purges keys that ended in the very millisecond of the limit.
    PurgesTheVeryMillisecond,
    /// Purges all keys, whatever the limit.
    PurgesWithoutLimit,
    /// Makes the id of a purged key free again.
    PurgesIds,
    /// Purges dead keys that others still need.
    PurgesWhatIsNeeded,
    /// Writes no event for a purged key.
    PurgesWithoutAWord,
    /// Counts keys as ended a millisecond too early.
    CountsEndsEarly,
    /// Never answers a prune.
    PrunesForEver,
    /// Returns counts by day from a day too early.
    ReadsAnEarlierDay,
    /// Returns the counts of all keys for each key.
    ReadsAllCounts,
    /// Returns only the counts of the first of several organizations.
    ReadsOneOrganization,
    /// Refuses a change again that failed before.
    RemembersFailures,
    /// Replaces a hash whatever the stored hash is.
    RehashesAnything,
    /// Reads key and status one after the other.
    ReadsTwice,
    /// Replaces a note whatever its stored value is.
    ReplacesAnyNote,
    /// Reports a second revocation as written.
    RevokesTwice,
    /// Returns counts in no order.
    ShufflesCounts,
    /// Leaves out the last row of the log, but returns its head.
    SkipsLateCommits,
    /// Makes each write of a change a change of its own, with others in between.
    SplitsChanges,
    /// Returns an old head from `try_head`.
    StaleHead,
    /// Removes outer spaces of names.
    Trims,
    /// Reverses the outcomes of revocations of different keys.
    TurnsOutcomes,
    /// Begins the newest events after a position, not before it.
    TurnsPagesTheWrongWay,
    /// Writes every event twice.
    WritesEventsTwice,
    /// Writes an event for a write that changes nothing.
    WritesIdleEvents,
    /// No fault: a store need not keep a log.
    KeepsNoLog,
    /// Ends both suspensions when one is reinstated.
    ReinstatesBoth,
    /// Resets every reader that is behind.
    ResetsAlways,
    /// Un-revokes a revoked key when it is used.
    RevivesTheUsed,
    /// Leaves keys that were never used out of the unused ones.
    WantsUse,
    /// Keeps the name of an erased user as creator of keys of others.
    KeepsNamesOfMakers,
    /// Also erases a closed owner of the other kind with the same id.
    ErasesNamesakes,
    /// Keeps refusals without a key of an erased organization.
    KeepsRefusalsOfTheErased,
    /// Writes no erased keys to the change log.
    ForgetsErasedKeys,
    /// Makes the other writes of a change with an erasure, but not the erasure.
    ErasesHalfOfMixtures,
}

/// A store with a fault.
pub(crate) type BrokenStore = Wrapped<Broken>;

pub(crate) struct Broken {
    sound: MemoryStore,
    fault: Fault,
    memory: Mutex<Memory>,
}

/// What the faults have to remember.
#[derive(Default)]
struct Memory {
    ids: Vec<KeyId>,
    used: Vec<String>,
    networked: Vec<KeyId>,
    scoped: Vec<KeyId>,
    aged: Vec<KeyId>,
    reinstated: Vec<OwnerRef>,
    failed: Vec<(ChangeId, Conflict)>,
    head: Option<Head>,
    beheaded: Option<Head>,
    number: u128,
    /// Whether a call was dropped half-way.
    was_dropped: bool,
    /// Keys, with their successors.
    successors: Vec<(String, String)>,
    /// Whether events are being appended.
    is_appending: bool,
    /// The organizations of refusals without a key.
    organizations: Vec<Option<OrganizationId>>,
    /// Pseudonyms, with the erased users.
    pseudonyms: Vec<(String, String)>,
    /// Keys that were erased.
    erased: Vec<KeyId>,
    /// Refusals without a key of erased organizations.
    refusals: Vec<UsageRow>,
    /// Keys whose counts came in one batch with a refusal of an organization, and that organization.
    named: BTreeMap<String, String>,
}

impl Memory {
    /// Notes the counts of one batch.
    fn saw(&mut self, rows: &[UsageRow]) {
        let keys = || rows.iter().filter_map(|row| row.key.clone());
        self.used.extend(keys());
        let organization = |row: &UsageRow| row.organization.as_ref().map(|of| OrganizationId::new(of).unwrap());
        self.organizations.extend(rows.iter().filter(|row| row.key.is_none()).map(organization));
        if let Some(named) = rows.iter().find_map(|row| row.organization.clone()) {
            self.named.extend(keys().map(|key| (key, named.clone())));
        }
    }
}

impl BrokenStore {
    pub(crate) fn new(fault: Fault) -> Self {
        Self(Broken { sound: MemoryStore::new(), fault, memory: Mutex::default() })
    }
}

impl Broken {
    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn memory<T>(&self, work: impl FnOnce(&mut Memory) -> T) -> T {
        work(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// New bytes at each call.
    fn fresh(&self) -> [u8; 16] {
        let number = self.memory(|memory| {
            memory.number += 1;
            memory.number
        });
        (u128::MAX - number).to_be_bytes()
    }

    /// Notes what the log will leave out, from the last change that touched it.
    fn note(&self, change: &Change) {
        self.memory(|memory| {
            for audited in &change.writes {
                match &audited.write {
                    Write::Insert(row) => {
                        memory.ids.push(KeyId::new(&row.id).unwrap());
                        memory.successors.extend(row.replaces.clone().map(|old| (old, row.id.clone())));
                    }
                    Write::Update(KeyUpdate { id, allowed_networks, .. })
                        if allowed_networks.is_some() || memory.networked.contains(id) =>
                    {
                        memory.networked.push(*id);
                    }
                    Write::Update(KeyUpdate { id, expires_at, scopes, .. })
                        if expires_at.is_some() || scopes == "*" =>
                    {
                        memory.aged.push(*id);
                    }
                    Write::Update(KeyUpdate { id, .. }) => memory.scoped.push(*id),
                    Write::Revoke { id, .. } => {
                        memory.aged.retain(|aged| aged != id);
                        memory.networked.retain(|networked| networked != id);
                        memory.scoped.retain(|scoped| scoped != id);
                    }
                    Write::Owner(owner, OwnerChange::Reinstate(_)) => memory.reinstated.push(owner.clone()),
                    Write::Owner(owner, _) => memory.reinstated.retain(|reinstated| reinstated != owner),
                    _ => {}
                }
            }
        });
    }

    async fn altered(&self, change: &Change) -> Change {
        let mut change = change.clone();
        match self.fault {
            Fault::AppliesTwice => change.id = ChangeId::from_bytes(self.fresh()),
            Fault::CrossesOrganizations => {
                for audited in &mut change.writes {
                    if let Write::Revoke { organization, id, .. } = &mut audited.write {
                        let Ok(Some(found)) = self.sound.find(id).await else { continue };
                        *organization = found.key.organization.parse().unwrap();
                    }
                }
            }
            Fault::EndsAnyPause => {
                for audited in &mut change.writes {
                    if let Write::Resume { id, paused_at, paused_by, .. } = &mut audited.write
                        && let Ok(Some(found)) = self.sound.find(id).await
                    {
                        (*paused_at, *paused_by) = (found.key.paused_at.unwrap_or(0), found.key.paused_by);
                    }
                }
            }
            Fault::ForgetsResponsible => {
                for audited in &mut change.writes {
                    if let Write::Update(update) = &mut audited.write
                        && let Ok(Some(found)) = self.sound.find(&update.id).await
                    {
                        update.responsible = found.key.responsible;
                    }
                }
            }
            Fault::IgnoresIdempotencyKeys => change.idempotency = None,
            Fault::ErasesHalfOfMixtures if change.writes.len() > 1 => {
                change.writes.retain(|audited| !matches!(audited.write, Write::Erase(_)));
            }
            Fault::PausesAgain => {
                let mut ended = Vec::new();
                for audited in &change.writes {
                    if let Write::Pause { organization, id, .. } = &audited.write
                        && let Ok(Some(found)) = self.sound.find(id).await
                        && let Some(paused_at) = found.key.paused_at
                    {
                        let (organization, paused_by) = (organization.clone(), found.key.paused_by);
                        let write = Write::Resume { organization, id: *id, paused_at, paused_by };
                        ended.push(AuditedWrite { write, event: audited.event.clone() });
                    }
                }
                let count = ended.len();
                let resume = Change { id: ChangeId::from_bytes(self.fresh()), writes: ended, ..change.clone() };
                if count > 0 {
                    let _ = self.sound.apply(&resume).await;
                }
            }
            Fault::AllowsOneMore => {
                for guard in &mut change.guards {
                    if let Guard::LiveKeysBelow { limit, .. } | Guard::IssuedBelow { limit, .. } = guard {
                        *limit += 1;
                    }
                }
            }
            Fault::IgnoresSuspensions
            | Fault::IgnoresLimits
            | Fault::IgnoresRights
            | Fault::IgnoresSuccessors
            | Fault::IgnoresVersionGuards => {
                for guard in &mut change.guards {
                    let is_ignored = match guard {
                        Guard::OwnerActive(_) => self.is(Fault::IgnoresSuspensions),
                        Guard::IssuedBelow { .. } | Guard::LiveKeysBelow { .. } => self.is(Fault::IgnoresLimits),
                        Guard::NoLiveSuccessor(_) => self.is(Fault::IgnoresSuccessors),
                        Guard::SameRights { .. } => self.is(Fault::IgnoresRights),
                        Guard::SameVersion { .. } => self.is(Fault::IgnoresVersionGuards),
                        _ => false,
                    };
                    if is_ignored {
                        *guard = Guard::NoLiveSuccessor(KeyId::new("a-key-nobody-follows").unwrap());
                    }
                }
            }
            Fault::IgnoresVersions => {
                for audited in &mut change.writes {
                    if let Write::Update(update) = &mut audited.write {
                        let Ok(Some(found)) = self.sound.find(&update.id).await else { continue };
                        update.expected_version = found.key.version;
                    }
                }
            }
            Fault::LivesLate => {
                let mut guards = Vec::new();
                for guard in &change.guards {
                    let Guard::Live(id) = guard else { continue };
                    let found = self.sound.find(id).await.unwrap();
                    let dying = found.is_some_and(|found| {
                        found.key.expires_at == Some(change.at.as_millis()) && found.key.revoked_at.is_none()
                    });
                    if dying {
                        guards.push(guard.clone());
                    }
                }
                change.guards.retain(|guard| !guards.contains(guard));
            }
            Fault::MistakesTheDead => {
                let mut dead = false;
                for audited in &change.writes {
                    let Write::Revoke { id, .. } = &audited.write else { continue };
                    dead |= matches!(self.sound.find(id).await, Ok(Some(found)) if found.key.revoked_at.is_some());
                }
                let revocations = change.writes.iter_mut().filter(|one| matches!(one.write, Write::Revoke { .. }));
                let mut events: Vec<&mut EventRow> = revocations.map(|audited| &mut audited.event).collect();
                if dead && events.len() > 1 {
                    let (first, rest) = events.split_first_mut().unwrap();
                    std::mem::swap(*first, *rest.first_mut().unwrap());
                }
            }
            Fault::PurgesWhatIsNeeded => {
                for audited in &mut change.writes {
                    // Only the keys of the clauses about purges.
                    if let Write::Insert(row) = &mut audited.write
                        && row.created_at == 1
                    {
                        (row.replaces, row.created_via_key) = (None, None);
                    }
                }
            }
            Fault::Trims => {
                for audited in &mut change.writes {
                    if let Write::Insert(row) = &mut audited.write {
                        row.name = row.name.trim().to_owned();
                    }
                }
            }
            _ => {}
        }
        change
    }

    /// Notes what an erasure has to remove, and removes more.
    async fn note_erasure(&self, change: &Change) -> Result<(), StoreError> {
        for audited in &change.writes {
            let Write::Erase(erasure) = &audited.write else { continue };
            let query = KeyQuery {
                owners: erasure.owner.clone().into_iter().collect(),
                limit: 1_000,
                ..KeyQuery::all(erasure.organization.clone())
            };
            let keys = self.sound.list(&query, change.at).await?.rows;
            let refusals = self.sound.usage(&UsageScope::NoKey(vec![Some(erasure.organization.clone())])).await?;
            self.memory(|memory| {
                memory.erased.extend(keys.iter().map(|listed| KeyId::new(&listed.key.id).unwrap()));
                if let Some(owner) = &erasure.owner {
                    memory.pseudonyms.push((format!("user:{}", erasure.pseudonym), format!("user:{}", owner.id())));
                } else {
                    memory.refusals.extend(refusals);
                }
            });
            if self.is(Fault::ErasesNamesakes)
                && let Some(Owner::User(user)) = &erasure.owner
            {
                let namesake = Some(TeamId::new(user.as_str()).unwrap().into());
                let write = Write::Erase(Erasure { owner: namesake, ..erasure.clone() });
                let writes = vec![AuditedWrite { write, event: audited.event.clone() }];
                // Fails if there is no closed owner of that id.
                let _ = self
                    .sound
                    .apply(&Change { id: ChangeId::from_bytes(self.fresh()), writes, ..change.clone() })
                    .await;
            }
        }
        Ok(())
    }

    /// If a change has only updates of one key with consecutive versions, writes the last one with the version of the
    /// first.
    async fn merged(&self, change: &Change) -> Result<Applied, StoreError> {
        let mut merged = change.clone();
        let updates: Vec<_> = change
            .writes
            .iter()
            .filter_map(|audited| if let Write::Update(update) = &audited.write { Some(update) } else { None })
            .collect();
        let fit =
            |pair: &[&KeyUpdate]| pair[0].id == pair[1].id && pair[0].expected_version + 1 == pair[1].expected_version;
        if updates.len() == change.writes.len() && updates.len() > 1 && updates.windows(2).all(fit) {
            merged.writes = change.writes.last().cloned().into_iter().collect();
            if let Some(Write::Update(last)) = merged.writes.first_mut().map(|audited| &mut audited.write) {
                last.expected_version = updates[0].expected_version;
            }
            self.sound.apply(&merged).await?;
            return Ok(Applied { effects: vec![Effect::Changed; updates.len()] });
        }
        self.sound.apply(change).await
    }

    /// Waits twice, and calls `dropped` if it is dropped at the second wait. A future that is polled once is dropped at
    /// the first wait.
    async fn wait_or(&self, dropped: impl FnOnce()) {
        struct OnDrop<F: FnOnce()>(Option<F>);
        impl<F: FnOnce()> Drop for OnDrop<F> {
            fn drop(&mut self) {
                if let Some(dropped) = self.0.take() {
                    dropped();
                }
            }
        }
        yield_now().await;
        let mut armed = OnDrop(Some(dropped));
        yield_now().await;
        armed.0 = None;
    }

    async fn split(&self, change: &Change) -> Result<Applied, StoreError> {
        let mut effects = Vec::new();
        for (place, audited) in change.writes.iter().enumerate() {
            let mut id = change.id.to_bytes();
            id[0] ^= u8::try_from(place).unwrap();
            let first = place == 0;
            let part = Change {
                id: ChangeId::from_bytes(id),
                at: change.at,
                writes: vec![audited.clone()],
                guards: if first { change.guards.clone() } else { Vec::new() },
                idempotency: change.idempotency.clone().filter(|_| first),
            };
            effects.extend(self.sound.apply(&part).await?.effects);
            yield_now().await;
        }
        Ok(Applied { effects })
    }

    async fn damaged(&self, change: &Change, result: Result<Applied, StoreError>) -> Result<Applied, StoreError> {
        let events = |only: Option<Effect>, applied: &Applied| -> Vec<EventRow> {
            let writes = change.writes.iter().zip(&applied.effects);
            writes.filter(|(_, seen)| Some(**seen) == only).map(|(audited, _)| audited.event.clone()).collect()
        };
        match (self.fault, result) {
            (Fault::ReinstatesBoth, Ok(applied)) => {
                let mut all = change.clone();
                all.id = ChangeId::from_bytes(self.fresh());
                all.writes.retain(|audited| matches!(audited.write, Write::Owner(_, OwnerChange::Reinstate(_))));
                for audited in &mut all.writes {
                    if let Write::Owner(_, OwnerChange::Reinstate(suspension)) = &mut audited.write {
                        *suspension =
                            if *suspension == Suspension::Plan { Suspension::Admin } else { Suspension::Plan };
                    }
                }
                // Errors are ignored: a closed owner cannot be reinstated.
                let _ = self.sound.apply(&all).await;
                Ok(applied)
            }
            (Fault::PurgesIds, Err(error)) if error.kind() == StoreErrorKind::Conflict(Conflict::IdTaken) => {
                for audited in &change.writes {
                    if let Write::Insert(row) = &audited.write
                        && self.sound.find(&KeyId::new(&row.id).unwrap()).await?.is_some()
                    {
                        return Err(error);
                    }
                }
                Ok(Applied { effects: vec![Effect::Changed; change.writes.len()] })
            }
            (Fault::NamesTheFirstGuard, Err(error))
                if matches!(error.kind(), StoreErrorKind::Conflict(Conflict::Guard(_))) =>
            {
                Err(StoreError::conflict(Conflict::Guard(0)))
            }
            (Fault::RemembersFailures, Err(error)) => {
                if let StoreErrorKind::Conflict(conflict) = error.kind() {
                    self.memory(|memory| memory.failed.push((change.id, conflict)));
                }
                Err(error)
            }
            (Fault::RevokesTwice, Ok(mut applied)) => {
                for (audited, outcome) in change.writes.iter().zip(&mut applied.effects) {
                    if matches!(audited.write, Write::Revoke { .. }) {
                        *outcome = Effect::Changed;
                    }
                }
                Ok(applied)
            }
            (Fault::TellsEndsAgain, Ok(mut applied)) => {
                for (audited, outcome) in change.writes.iter().zip(&mut applied.effects) {
                    if matches!(audited.write, Write::WarnOfEnd { .. }) {
                        *outcome = Effect::Changed;
                    }
                }
                Ok(applied)
            }
            (Fault::TurnsOutcomes, Ok(mut applied)) => {
                let mut ids = change.writes.iter().filter_map(|audited| match &audited.write {
                    Write::Revoke { id, .. } => Some(*id),
                    _ => None,
                });
                let first = ids.next();
                if ids.any(|id| Some(id) != first) {
                    applied.effects.reverse();
                }
                Ok(applied)
            }
            (Fault::WritesEventsTwice, Ok(applied)) => {
                self.sound.append_events(&events(Some(Effect::Changed), &applied)).await?;
                Ok(applied)
            }
            (Fault::WritesIdleEvents, Ok(applied)) => {
                self.sound.append_events(&events(Some(Effect::Unchanged), &applied)).await?;
                Ok(applied)
            }
            (_, result) => result,
        }
    }
}

impl Broken {
    /// A list, without the faults of a list as a whole.
    async fn list_soundly(&self, query: &KeyQuery, now: Timestamp) -> Result<Page<ListedKey>, StoreError> {
        let part = query.named_like.as_ref().map_or("", NamePart::as_str);
        match self.fault {
            Fault::ListsOwnersApart | Fault::ListsOwnersTwice if query.owners.len() > 1 => {
                let mut rows = Vec::new();
                for owner in &query.owners {
                    let of_one = KeyQuery { owners: vec![owner.clone()], limit: 1_000, ..query.clone() };
                    rows.extend(self.sound.list(&of_one, now).await?.rows);
                }
                if self.is(Fault::ListsOwnersTwice) {
                    let by_end = query.order == KeyOrder::SoonestEndFirst;
                    rows.sort_by_key(|ListedKey { key, .. }| {
                        let end = key.expires_at.unwrap_or(i64::MAX);
                        (if by_end { end } else { key.created_at }, key.id.clone())
                    });
                    if query.order == KeyOrder::NewestFirst {
                        rows.reverse();
                    }
                } else {
                    rows.dedup_by(|one, other| one.key.id == other.key.id);
                }
                let more = rows.len() > usize::from(query.limit);
                rows.truncate(query.limit.into());
                Ok(Page { rows, more })
            }
            Fault::LooksAtCase if !part.is_empty() => {
                let mut page = self.sound.list(&KeyQuery { named_like: None, ..query.clone() }, now).await?;
                page.rows.retain(|row| row.key.name.contains(part));
                Ok(page)
            }
            Fault::TakesWildcards if part.contains('%') => {
                let before = NamePart::new(part.split('%').next().unwrap_or_default()).unwrap();
                self.sound.list(&KeyQuery { named_like: Some(before), ..query.clone() }, now).await
            }
            _ => self.sound.list(query, now).await,
        }
    }

    /// Puts something wrong about related keys into an entry.
    async fn mistake(&self, listed: &mut ListedKey) -> Result<(), StoreError> {
        let organization = OrganizationId::new(&listed.key.organization).unwrap();
        let id = KeyId::new(&listed.key.id).unwrap();
        match self.fault {
            Fault::FollowsStrangers => {
                let strangers = self.memory(|memory| memory.successors.clone());
                let stranger = strangers.into_iter().find(|(old, _)| *old == listed.key.id);
                let stranger = stranger.map(|(_, id)| SuccessorRow { id, ..SuccessorRow::from(&listed.key) });
                listed.successor = listed.successor.take().or(stranger);
            }
            Fault::KeepsDeadSuccessors => {
                let query = KeyQuery { predecessor: Some(id), ..KeyQuery::all(organization) };
                let heirs = self.sound.list(&query, Timestamp::MIN).await?.rows;
                let first = heirs.iter().map(|row| &row.key).min_by(|one, other| one.id.cmp(&other.id));
                listed.successor = first.map(SuccessorRow::from);
            }
            Fault::MistakesCreators => {
                let team = listed.key.created_by.strip_prefix("user:").and_then(|name| TeamId::new(name).ok());
                if let Some(team) = team {
                    listed.creator =
                        self.sound.owner_status(&OwnerRef { organization, owner: team.into() }).await?.owner;
                }
            }
            Fault::MistakesOwnersOfSuccessors => {
                if let Some(successor) = &mut listed.successor {
                    (successor.kind, successor.owner) = (listed.key.kind.clone(), listed.key.owner.clone());
                }
            }
            Fault::PredecessorsLiveOn => listed.predecessor_is_live = listed.key.replaces.is_some(),
            _ => {}
        }
        Ok(())
    }
}

impl Fake for Broken {
    type Store = MemoryStore;

    fn store(&self) -> &MemoryStore {
        &self.sound
    }

    async fn find(&self, id: &KeyId) -> Result<Option<FoundKey>, StoreError> {
        if self.is(Fault::HangsAfterADrop) {
            if self.memory(|memory| std::mem::take(&mut memory.was_dropped)) {
                std::future::pending::<()>().await;
            }
            self.wait_or(|| self.memory(|memory| memory.was_dropped = true)).await;
        }
        let mut found = self.sound.find(id).await?;
        if self.is(Fault::FoldsCase) && found.is_none() {
            let ids = self.memory(|memory| memory.ids.clone());
            let like = ids.iter().find(|like| like.as_str().eq_ignore_ascii_case(id.as_str()));
            if let Some(like) = like {
                return self.sound.find(like).await;
            }
        }
        if self.is(Fault::ForgetsStatus) {
            found = found.map(|found| FoundKey { owner: OwnerStatusRow::default(), ..found });
        }
        if self.is(Fault::RevivesTheUsed) {
            let used = self.memory(|memory| memory.used.contains(&id.as_str().to_owned()));
            if let Some(found) = found.as_mut().filter(|_| used) {
                (found.key.revoked_at, found.key.revoked_by) = (None, None);
            }
        }
        if self.is(Fault::KeepsNamesOfMakers)
            && let Some(found) = &mut found
        {
            let names = self.memory(|memory| memory.pseudonyms.clone());
            let name = names.into_iter().find(|(pseudonym, _)| *pseudonym == found.key.created_by);
            found.key.created_by = name.map_or_else(|| found.key.created_by.clone(), |(_, name)| name);
        }
        if self.is(Fault::ReadsTwice) {
            yield_now().await;
            let owner = self.sound.find(id).await?.map(|later| later.owner);
            found = found.map(|found| FoundKey { owner: owner.unwrap_or_default(), ..found });
        }
        Ok(found)
    }

    async fn changes_since(&self, head: Option<Head>) -> Result<Changes, StoreError> {
        if self.is(Fault::LosesDroppedNews) && head.is_some() {
            if self.memory(|memory| std::mem::take(&mut memory.was_dropped)) {
                return Ok(Changes::Unchanged);
            }
            self.wait_or(|| self.memory(|memory| memory.was_dropped = true)).await;
        }
        if self.is(Fault::BeheadsTheLog) {
            let now = self.sound.try_head();
            if self.memory(|memory| memory.beheaded == now) && head.is_none() {
                return Ok(Changes::Reset { head: Head::EMPTY });
            }
        }
        if self.is(Fault::LooksAtPositionsOnly) {
            let now = self.sound.try_head();
            if head.is_some() && head.map(|head| head.position) == now.map(|now| now.position) {
                return Ok(Changes::Unchanged);
            }
        }
        let mut changes = self.sound.changes_since(head).await?;
        match &changes {
            _ if self.is(Fault::KeepsNoLog) => return Ok(Changes::Untracked),
            Changes::Changed { head, .. } if self.is(Fault::ResetsAlways) => return Ok(Changes::Reset { head: *head }),
            _ => {}
        }
        if let Changes::Changed { keys, owners, .. } = &mut changes {
            self.memory(|memory| match self.fault {
                Fault::ForgetsErasedKeys => keys.retain(|key| !memory.erased.contains(key)),
                Fault::ForgetsExpiries => keys.retain(|key| !memory.aged.contains(key)),
                Fault::ForgetsNetworks => keys.retain(|key| !memory.networked.contains(key)),
                Fault::ForgetsReinstatements => owners.retain(|owner| !memory.reinstated.contains(owner)),
                Fault::ForgetsScopes => keys.retain(|key| !memory.scoped.contains(key)),
                Fault::SkipsLateCommits if keys.len() > 1 => keys.truncate(keys.len() - 1),
                _ => {}
            });
        }
        Ok(changes)
    }

    fn try_head(&self) -> Option<Head> {
        match self.fault {
            Fault::KeepsNoLog => None,
            Fault::StaleHead => self.memory(|memory| memory.head),
            _ => self.sound.try_head(),
        }
    }

    async fn apply(&self, change: &Change) -> Result<Applied, StoreError> {
        let failed = self.memory(|memory| memory.failed.iter().find(|(id, _)| *id == change.id).copied());
        if let Some((_, conflict)) = failed {
            return Err(StoreError::conflict(conflict));
        }
        if self.is(Fault::SplitsChanges) {
            return self.split(change).await;
        }
        if self.is(Fault::LeavesHalfOfWhatIsDropped) {
            let half = Change {
                id: ChangeId::from_bytes(self.fresh()),
                writes: change.writes.iter().take(1).cloned().collect(),
                ..change.clone()
            };
            self.wait_or(|| drop(self.sound.apply(&half).now_or_never())).await;
        }
        if self.is(Fault::MergesUpdates) {
            return self.merged(change).await;
        }
        self.note_erasure(change).await?;
        let head = self.sound.try_head();
        let result = self.sound.apply(&self.altered(change).await).await;
        if result.is_ok() {
            self.note(change);
            self.memory(|memory| memory.head = head);
        }
        self.damaged(change, result).await
    }

    async fn rehash(&self, id: &KeyId, old: &str, new: &RehashedKey) -> Result<bool, StoreError> {
        let found = self.sound.find(id).await?;
        match found {
            Some(found) if self.is(Fault::RehashesAnything) => self.sound.rehash(id, &found.key.hash, new).await,
            _ => self.sound.rehash(id, old, new).await,
        }
    }

    async fn list(&self, query: &KeyQuery, now: Timestamp) -> Result<Page<ListedKey>, StoreError> {
        let mut query = query.clone();
        if self.is(Fault::LosesTies) {
            let last = KeyId::new("zzzzzzzzzzzzzzzzzzzz").unwrap();
            query.after = query.after.map(|cursor| KeyCursor { id: last, ..cursor });
        }
        let late = std::time::Duration::from_millis(1);
        let now = if self.is(Fault::ListsLate) { now.saturating_sub(late) } else { now };
        match self.fault {
            Fault::IgnoresLineages => query.lineage = None,
            Fault::IgnoresPredecessors => query.predecessor = None,
            Fault::IgnoresKeysAskedFor => query.keys.clear(),
            Fault::IgnoresKindsOfOwners
                if query.owners.iter().all(|of| query.kind.is_some_and(|kind| of.kind() != kind)) =>
            {
                query.owners.clear();
            }
            Fault::LeavesOutTheFirst => {
                query.created_since = query.created_since.map(|time| time.saturating_add(late));
            }
            Fault::TakesAHundredOwners => query.owners.truncate(100),
            Fault::TellsUsageUnasked => query.with_usage = true,
            Fault::IgnoresEnds => query.expires_before = None,
            Fault::IgnoresOrderOfEnds if query.order == KeyOrder::SoonestEndFirst => {
                query.order = KeyOrder::OldestFirst;
            }
            Fault::TurnsListsTheWrongWay if query.after.is_some() && query.order == KeyOrder::NewestFirst => {
                query.order = KeyOrder::OldestFirst
            }
            Fault::IncludesCreation => {
                query.created_before = query.created_before.map(|time| time.saturating_add(late))
            }
            _ => {}
        }
        let mut page = self.list_soundly(&query, now).await?;
        for listed in &mut page.rows {
            self.mistake(listed).await?;
        }
        if self.is(Fault::WantsUse) && query.unused_since.is_some() {
            page.rows.retain(|listed| listed.usage.unwrap_or_default().last_success_at.is_some());
        }
        Ok(page)
    }

    async fn ending(&self, query: &EndingQuery) -> Result<Vec<KeyRow>, StoreError> {
        let before_ms = if self.is(Fault::FindsToldEnds) { -1 } else { query.before_ms };
        self.sound.ending(&EndingQuery { before_ms, ..*query }).await
    }

    async fn put_meta_if_absent(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        assert!(!self.is(Fault::Panics), "no bytes today");
        let stands = self.sound.put_meta_if_absent(name, value).await?;
        Ok(if self.is(Fault::OverwritesMeta) { value.to_vec() } else { stands })
    }

    async fn replace_note(&self, name: &str, old: &[u8], new: &[u8]) -> Result<Vec<u8>, StoreError> {
        if self.is(Fault::ReplacesAnyNote) && old != new {
            let standing = self.sound.replace_note(name, &[], &[]).await?;
            return self.sound.replace_note(name, &standing, new).await;
        }
        self.sound.replace_note(name, old, new).await
    }

    async fn ended_keys(&self, before: Timestamp) -> Result<EndedKeys, StoreError> {
        let late = std::time::Duration::from_millis(u64::from(self.is(Fault::CountsEndsEarly)));
        self.sound.ended_keys(before.saturating_add(late)).await
    }

    async fn prune(&self, prune: &Prune) -> Result<Pruned, StoreError> {
        if self.is(Fault::PrunesForEver) {
            std::future::pending::<()>().await;
        }
        let mut prune = *prune;
        match self.fault {
            Fault::PrunesAttemptsToo => prune.attempts_before = prune.attempts_before.or(prune.events_before),
            Fault::PrunesWithoutLimit => (prune.most_events, prune.most_attempts) = (None, None),
            Fault::ForgetsUnconfirmedEvents => prune.events_until = None,
            Fault::KeepsOldDays => prune.days_before = None,
            Fault::KeepsUsageOfGoneKeys => prune.usage_after = None,
            Fault::PrunesEventsToo => prune.events_before = prune.events_before.or(prune.attempts_before),
            Fault::PurgesTheVeryMillisecond => {
                if let Some(dead) = &mut prune.keys {
                    dead.ended_before = dead.ended_before.saturating_add(std::time::Duration::from_millis(1));
                }
            }
            Fault::PurgesWithoutLimit => {
                if let Some(dead) = &mut prune.keys {
                    dead.most = u64::MAX;
                }
            }
            _ => {}
        }
        let pruned = self.sound.prune(&prune).await?;
        if prune.keep_log_rows == Some(0) {
            self.memory(|memory| memory.beheaded = self.sound.try_head());
        }
        Ok(pruned)
    }

    async fn record_usage(&self, batch: &UsageBatch) -> Result<(), StoreError> {
        let mut batch = batch.clone();
        self.memory(|memory| memory.saw(&batch.rows));
        if self.is(Fault::LosesDroppedCounts) {
            let mut half = batch.clone();
            half.rows.truncate(batch.rows.len() / 2);
            self.wait_or(|| drop(self.sound.record_usage(&half).now_or_never())).await;
        }
        if self.is(Fault::CountsRepeats) {
            batch.writer = self.fresh();
        }
        if self.is(Fault::CountsOnTheLastDay) {
            let last = batch.days.iter().map(|row| row.day).max();
            let mut days: BTreeMap<String, UsageDayRow> = BTreeMap::new();
            for row in std::mem::take(&mut batch.days) {
                let day = last.unwrap_or(row.day);
                let sum = UsageDayRow { day, accepted: 0, refused: 0, ..row.clone() };
                let sum = days.entry(row.key).or_insert(sum);
                (sum.accepted, sum.refused) = (sum.accepted + row.accepted, sum.refused + row.refused);
            }
            batch.days = days.into_values().collect();
        }
        self.sound.record_usage(&batch).await
    }

    async fn usage(&self, of: &UsageScope) -> Result<Vec<UsageRow>, StoreError> {
        let mut of = of.clone();
        match &mut of {
            UsageScope::Keys(ids) if self.is(Fault::ReadsAllCounts) => *ids = self.memory(|memory| memory.ids.clone()),
            UsageScope::NoKey(of) if self.is(Fault::ForgetsKeylessCounts) => of.clear(),
            UsageScope::NoKey(of) if self.is(Fault::MixesOrganizations) => {
                *of = self.memory(|memory| memory.organizations.clone());
            }
            UsageScope::NoKey(of) if self.is(Fault::ReadsOneOrganization) => of.truncate(1),
            _ => {}
        }
        let mut rows = self.sound.usage(&of).await?;
        if let UsageScope::NoKey(of) = &of
            && self.is(Fault::KeepsRefusalsOfTheErased)
        {
            let is_of = |row: &UsageRow| of.iter().flatten().any(|of| row.organization.as_deref() == Some(of.as_str()));
            rows.extend(self.memory(|memory| memory.refusals.clone()).into_iter().filter(is_of));
        }
        if self.is(Fault::NamesOrganizationsOfKeys) {
            let named = self.memory(|memory| memory.named.clone());
            for row in &mut rows {
                let of_key = row.key.as_ref().and_then(|key| named.get(key).cloned());
                row.organization = row.organization.take().or(of_key);
            }
        }
        if self.is(Fault::ShufflesCounts) {
            rows.reverse();
        }
        Ok(rows)
    }

    async fn usage_days(&self, keys: &[KeyId], from: i32) -> Result<Vec<UsageDayRow>, StoreError> {
        let from = if self.is(Fault::ReadsAnEarlierDay) { from.saturating_sub(1) } else { from };
        self.sound.usage_days(keys, from).await
    }

    async fn append_events(&self, events: &[EventRow]) -> Result<(), StoreError> {
        if self.is(Fault::LosesDroppedEvents) {
            let half = events.get(..events.len() / 2).unwrap_or_default();
            self.wait_or(|| drop(self.sound.append_events(half).now_or_never())).await;
        }
        if self.is(Fault::NumbersBeforeCommit) {
            self.sound.append_events(events).await?;
            self.memory(|memory| memory.is_appending = true);
            tokio::task::yield_now().await;
            self.memory(|memory| memory.is_appending = false);
            return Ok(());
        }
        self.sound.append_events(events).await
    }

    async fn events(&self, query: &EventQuery) -> Result<Page<EventRow>, StoreError> {
        let mut query = query.clone();
        if self.is(Fault::IncludesUntil) {
            query.until = query.until.map(|until| until.saturating_add(std::time::Duration::from_millis(1)));
        }
        if self.is(Fault::TurnsPagesTheWrongWay) && query.newest_first && query.after.is_some() {
            let mut page = self.sound.events(&EventQuery { newest_first: false, ..query }).await?;
            page.rows.reverse();
            return Ok(page);
        }
        if self.is(Fault::IgnoresNewest) {
            query.newest_first = false;
        }
        if self.is(Fault::MixesAttempts) {
            let mut page = self.sound.events(&EventQuery { attempts: !query.attempts, ..query.clone() }).await?;
            let asked = self.sound.events(&query).await?;
            page.rows.extend(asked.rows);
            page.rows.sort_by_key(|row| if query.newest_first { -row.sequence } else { row.sequence });
            page.more |= asked.more || page.rows.len() > query.limit.into();
            page.rows.truncate(query.limit.into());
            return Ok(page);
        }
        let mut page = self.sound.events(&query).await?;
        if self.is(Fault::PurgesWithoutAWord) {
            page.rows.retain(|event| event.action != "key.purged");
        }
        Ok(page)
    }

    async fn feed(&self, after: Option<i64>, limit: u16) -> Result<Page<EventRow>, StoreError> {
        let mut page = self.sound.feed(after, limit).await?;
        if self.is(Fault::FeedsTheAccessLog)
            && after.is_some()
            && let Some(first) = page.rows.first()
        {
            let organization = first.organization.parse().unwrap();
            let query = EventQuery { attempts: true, after, limit, ..EventQuery::all(organization) };
            page.rows.extend(self.sound.events(&query).await?.rows);
            page.rows.sort_by_key(|row| row.sequence);
        }
        if self.is(Fault::SkipsBetweenPages) && page.more && after.is_some() {
            page.rows = page.rows.split_off(1);
        }
        // The event with the first number is not visible yet.
        if self.is(Fault::NumbersBeforeCommit) && self.memory(|memory| memory.is_appending) && page.rows.len() > 1 {
            page.rows = page.rows.split_off(1);
        }
        Ok(page)
    }

    async fn trail(&self, attempts: bool, before: Timestamp) -> Result<Trail, StoreError> {
        let mut trail = self.sound.trail(attempts, before).await?;
        if self.is(Fault::CountsAttemptsAsEvents) {
            trail.events += self.sound.trail(!attempts, before).await?.events;
        }
        Ok(trail)
    }
}
