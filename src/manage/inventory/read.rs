use std::{collections::HashSet, io};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    entry::{Attempts, InventoryEntry, InventoryPage},
    export::{ExportError, ExportFormat, InventoryExport, Sheet},
    judge::FlagFacts,
    query::InventoryQuery,
    summary::{InventorySummary, SummaryCount},
};
use crate::{
    key::KeyId,
    manage::{
        access::{Access, LARGEST_PAGE, Sight, Unseen, before, cursor},
        actor::Actor,
        error::ManageError,
        info::KeyInfo,
        manager::KeyManager,
        policy::{KeyAction, Target},
    },
    owner::Owner,
    record::{KeyRecord, OwnerStatus},
    store::{KeyCursor, KeyQuery, ListedKey},
    time::{ClockReading, Timestamp},
    usage::UsageDetail,
};

/// So many keys are looked at by one call, or a few more.
const MOST_LOOKED_AT: usize = 5_000;

/// Keys that are asked for at the same time, by themselves: a connection of PostgreSQL answers many in a row.
const LOOKS_AT_A_TIME: usize = 16;

/// Keys that an export holds in memory at a time.
const KEYS_PER_PIECE: u16 = 500;

/// A key of which it is not known yet how it is used.
struct UnjudgedKey {
    record: KeyRecord,
    owner: OwnerStatus,
    creator: OwnerStatus,
    successor: Option<KeyId>,
    predecessor_is_live: bool,
}

/// One row of the store, as far as the actor may know of it and asked for it.
enum FoundRow {
    Key(Box<UnjudgedKey>),
    Nothing,
    Unreadable(KeyId),
}

/// What was asked for.
struct Selection<'a> {
    query: &'a InventoryQuery,
    owners: Vec<Option<Owner>>,
    now: Timestamp,
}

impl KeyManager {
    /// A page of keys with how they are used and what somebody should look at, in the order of their making: those whose
    /// usage the actor may see.
    ///
    /// Pages follow each other without gap or repeat while keys are made, renamed and revoked: each begins behind the time
    /// of creation and the id of the last key before it. One call looks at 5,000 keys at most, plus those of one read: a
    /// page of a query that few keys answer can be short, or empty, with a [`next`](InventoryPage::next) all the same.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): not found (an owner whose keys the actor may not see), denied
    /// (an owner whose keys it may see, and not their usage; a key without `keys:read`, an actor that is suspended or closed), invalid, corrupt record, store
    /// unavailable.
    pub async fn inventory(&self, query: InventoryQuery, actor: &Actor) -> Result<InventoryPage, ManageError> {
        let access = self.acting(actor, &[KeyAction::SeeUsage]).await?;
        let question = access.question(&query).await?;
        let asked = access.inventory_query(&query)?;
        access.look(&question, asked).await
    }

    /// The inventory in numbers, for each user and team: all pages, from where the query begins, whatever its limit.
    ///
    /// # Errors
    /// As for [`inventory`](Self::inventory).
    pub async fn inventory_summary(
        &self,
        query: InventoryQuery,
        actor: &Actor,
    ) -> Result<InventorySummary, ManageError> {
        let access = self.acting(actor, &[KeyAction::SeeUsage]).await?;
        let question = access.question(&query).await?;
        let mut asked = KeyQuery { limit: LARGEST_PAGE, ..access.inventory_query(&query)? };
        let mut count = SummaryCount::default();
        loop {
            let page = access.look(&question, asked.clone()).await?;
            page.entries.iter().for_each(|entry| count.add(entry));
            count.add_unreadable(page.unreadable.len());
            if page.next.is_none() {
                return Ok(count.summary(question.now));
            }
            asked.after = page.next;
        }
    }

    /// Writes the inventory, in pieces: all pages, from where the query begins, whatever its limit. Nothing in it is
    /// secret: no hash, no tag and no text of a key.
    ///
    /// The writer is written to between reads of the store, in the task that called: one that waits, such as a file on a
    /// network, holds up that thread meanwhile. It is flushed at the end.
    ///
    /// # Errors
    /// [`ExportError`]: as for [`inventory`](Self::inventory), or what the writer says.
    pub async fn export_inventory<W: io::Write + Send + ?Sized>(
        &self,
        query: InventoryQuery,
        format: ExportFormat,
        writer: &mut W,
        actor: &Actor,
    ) -> Result<InventoryExport, ExportError> {
        let access = self.acting(actor, &[KeyAction::SeeUsage]).await?;
        let question = access.question(&query).await?;
        let mut asked = KeyQuery { limit: KEYS_PER_PIECE, ..access.inventory_query(&query)? };
        let mut exported = InventoryExport::default();
        let mut sheet = Sheet::begin(format, writer)?;
        loop {
            let page = access.look(&question, asked.clone()).await?;
            sheet.add(&page.entries)?;
            exported.keys += page.entries.len() as u64;
            exported.unreadable += page.unreadable.len() as u64;
            if page.next.is_none() {
                sheet.end()?;
                return Ok(exported);
            }
            asked.after = page.next;
        }
    }
}

impl Access<'_> {
    async fn question<'q>(&self, query: &'q InventoryQuery) -> Result<Selection<'q>, ManageError> {
        let owners = self.owners_to_list(query.list.owner.as_ref(), true).await?;
        Ok(Selection { query, owners, now: self.parts.clock.now() })
    }

    fn inventory_query(&self, query: &InventoryQuery) -> Result<KeyQuery, ManageError> {
        let asked = self.key_query(&query.list)?;
        let place = |cursor: &KeyCursor| (cursor.created_at, cursor.id.as_str().to_owned());
        let since = query.created_since.and_then(before);
        let after = [asked.after, since].into_iter().flatten().max_by_key(place);
        Ok(KeyQuery { created_before: query.created_before, after, ..asked })
    }

    /// The next page, as large as `asked` says.
    async fn look(&self, question: &Selection<'_>, mut asked: KeyQuery) -> Result<InventoryPage, ManageError> {
        let limit = usize::from(asked.limit);
        let mut page =
            InventoryPage { asked_at: question.now, entries: Vec::new(), unreadable: Vec::new(), next: None };
        let mut looked_at = 0;
        loop {
            let (rows, more) = self.rows(asked.clone(), &question.owners, question.now).await?;
            let places = rows.iter().map(|row| cursor(row.peek())).collect::<Result<Vec<_>, _>>()?;
            looked_at += rows.len();
            let used = self.fill(question, rows, limit, &mut page).await?;
            let last = used.checked_sub(1).and_then(|last| places.get(last)).copied();
            let is_at_end = used == places.len() && !more;
            if is_at_end || last.is_none() {
                return Ok(page);
            }
            if page.entries.len() >= limit || looked_at >= MOST_LOOKED_AT {
                page.next = last;
                return Ok(page);
            }
            asked.after = last;
            asked.limit = next_read(question.query, asked.limit, limit - page.entries.len());
        }
    }

    /// Puts these rows on the page until it is full. How many were used.
    async fn fill(
        &self,
        question: &Selection<'_>,
        rows: Vec<Unseen>,
        limit: usize,
        page: &mut InventoryPage,
    ) -> Result<usize, ManageError> {
        let seen: Vec<_> = rows.iter().map(|row| self.see(question, row)).collect();
        let candidate = |seen: &FoundRow| match seen {
            FoundRow::Key(candidate) => Some(candidate.record.id),
            FoundRow::Nothing | FoundRow::Unreadable(_) => None,
        };
        let ids: Vec<KeyId> = seen.iter().filter_map(candidate).collect();
        let mut usage = self.usage_rows_of(&ids).await?;
        let (mut used, filled) = (0, page.entries.len());
        for seen in seen {
            if page.entries.len() >= limit {
                break;
            }
            used += 1;
            match seen {
                FoundRow::Nothing => {}
                FoundRow::Unreadable(id) => page.unreadable.push(id),
                FoundRow::Key(candidate) => {
                    let rows = usage.remove(&candidate.record.id).unwrap_or_default();
                    match UsageDetail::of(&rows) {
                        Ok(usage) => {
                            let entry = self.entry(question, *candidate, usage);
                            page.entries.extend(question.query.matches(&entry).then_some(entry));
                        }
                        Err(_) => page.unreadable.push(candidate.record.id),
                    }
                }
            }
        }
        self.hide_successors(page.entries.get_mut(filled..).unwrap_or_default()).await?;
        Ok(used)
    }

    /// Keeps the successors that the actor may know of: one can be another owner's.
    async fn hide_successors(&self, entries: &mut [InventoryEntry]) -> Result<(), ManageError> {
        let asked: Vec<KeyId> = entries.iter().filter_map(|entry| entry.successor).collect();
        // By id, not by entry: the compiler does not see that an async closure over borrowed entries is `Send`, and then
        // no handler and no spawned task can await this.
        let looks = asked.into_iter().map(|id| self.known(id));
        let known: Vec<Option<KeyId>> = stream::iter(looks).buffer_unordered(LOOKS_AT_A_TIME).try_collect().await?;
        let known: HashSet<KeyId> = known.into_iter().flatten().collect();
        for entry in entries {
            entry.successor = entry.successor.filter(|id| known.contains(id));
        }
        Ok(())
    }

    /// This id, if the actor may know of its key.
    async fn known(&self, id: KeyId) -> Result<Option<KeyId>, ManageError> {
        let found = self.row(&id).await?;
        let is_known = found.is_some_and(|found| !matches!(self.sight(&found), Sight::Hidden(_)));
        Ok(Some(id).filter(|_| is_known))
    }

    fn see(&self, question: &Selection<'_>, row: &Unseen) -> FoundRow {
        let ListedKey { key, creator, successor, predecessor_is_live, .. } = row.peek();
        let (record, owner, creator) = match (self.sight(row), OwnerStatus::try_from(creator)) {
            (Sight::Hidden(_), _) => return FoundRow::Nothing,
            (Sight::Seen(record, owner), Ok(creator)) => (record, owner, creator),
            (Sight::Unreadable(_), _) | (_, Err(_)) => {
                return KeyId::new(&key.id).map_or(FoundRow::Nothing, FoundRow::Unreadable);
            }
        };
        let sees_usage = self.may(KeyAction::SeeUsage, &Target::key(&record));
        if !sees_usage || !question.query.may_match(&record) {
            return FoundRow::Nothing;
        }
        FoundRow::Key(Box::new(UnjudgedKey {
            record: *record,
            owner,
            creator,
            successor: successor.as_ref().and_then(|id| KeyId::new(id).ok()),
            predecessor_is_live: *predecessor_is_live,
        }))
    }

    fn entry(&self, question: &Selection<'_>, candidate: UnjudgedKey, usage: UsageDetail) -> InventoryEntry {
        let UnjudgedKey { record, owner, creator, successor, predecessor_is_live } = candidate;
        let facts = FlagFacts {
            now: question.now,
            record: &record,
            owner,
            creator,
            usage: &usage,
            is_half_rotated: successor.is_some() || predecessor_is_live,
            has_old_hash: self.parts.hasher.wants_rehash(&record.hash),
        };
        InventoryEntry {
            flags: facts.flags(&question.query.settings),
            attempts_since_death: Attempts::since_death(&usage),
            asked_at: question.now,
            is_live: record.is_live(question.now),
            creator_status: creator,
            successor,
            predecessor_is_live,
            key: KeyInfo::new(record, owner, Some(usage.totals()), ClockReading::certain(question.now)),
            usage,
        }
    }
}

/// How many keys to read next: as many as the page lacks where every one of them counts, and else more each time.
fn next_read(query: &InventoryQuery, last: u16, lacking: usize) -> u16 {
    let wanted = if query.is_plain() { lacking } else { usize::from(last.max(100)) * 2 };
    u16::try_from(wanted).unwrap_or(LARGEST_PAGE).clamp(1, LARGEST_PAGE)
}
