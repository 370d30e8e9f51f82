use super::{
    entry::{Attempts, InventoryEntry, InventoryPage},
    judge::FlagFacts,
    query::InventoryQuery,
    summary::{InventorySummary, SummaryCount},
};
use crate::{
    key::KeyId,
    manage::{
        access::{Access, LARGEST_PAGE, Reach, Shown, Sight, Unseen, cursor},
        actor::Actor,
        error::ManageError,
        manager::KeyManager,
        names::{Mentions, Names, Naming},
        policy::KeyAction,
    },
    record::OwnerStatus,
    store::KeyQuery,
    time::Timestamp,
    usage::UsageDetail,
};

/// The number of keys at which one call stops; it may look at a few more.
const MOST_LOOKED_AT: usize = 5_000;

/// A key whose detailed usage is not read yet.
struct UnjudgedKey {
    shown: Shown,
    creator: OwnerStatus,
    is_half_rotated: bool,
    is_replaced: bool,
}

/// One row of the store, as far as the actor may see it and asked for it.
enum FoundRow {
    Key(Box<UnjudgedKey>),
    Nothing,
    Unreadable(KeyId),
}

/// What the query asks for, and for whom.
pub(super) struct Selection<'a> {
    query: &'a InventoryQuery,
    pub(super) reach: Reach,
    pub(super) now: Timestamp,
}

impl KeyManager {
    /// A page of keys with how they are used and what needs attention, by time of creation in either direction: those
    /// whose usage the actor may see. If no condition of the query needs a look at each key, a page is two reads of the
    /// store, however many teams the actor has.
    ///
    /// Pages follow each other without gap or repeat while keys are made, renamed and revoked: each begins after the
    /// time of creation and the id of the last key before it. One call looks at 5,000 keys at most, plus those of one
    /// read: if few keys match, a page can be short, or empty, and still have a [`next`](InventoryPage::next).
    ///
    /// The [`Directory`](crate::manage::Directory) gets one question, about the people on the page. A query for [people
    /// who left](InventoryQuery::flagged) asks it once for each read of the store, since only the directory knows which
    /// keys match. If it does not answer about all, the page has no such flags, or lacks keys, and its names are not
    /// [complete](Names::is_complete).
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): not found (an owner whose keys the actor may not see),
    /// denied (an owner whose keys it may see, but not their usage; a key without `keys:read`, an actor that is
    /// suspended or closed), invalid, corrupt record, store unavailable.
    pub async fn inventory(&self, query: InventoryQuery, actor: &Actor) -> Result<InventoryPage, ManageError> {
        let access = self.acting(actor, &[KeyAction::SeeUsage]).await?;
        let question = access.question(&query).await?;
        let asked = access.inventory_query(&query)?;
        access.look(&question, asked, &mut access.parts.naming()).await
    }

    /// The inventory in numbers for each user and team: all pages, from where the query begins, whatever its limit.
    ///
    /// The [`Directory`](crate::manage::Directory) is asked about each person once, and has half a second for each
    /// 5,000 keys, for all its answers together. If it does not answer about all, the counts of people who left are too
    /// small, and the names are not [complete](Names::is_complete).
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
        let (mut count, mut naming) = (SummaryCount::default(), access.parts.naming());
        loop {
            let page = access.look(&question, asked.clone(), &mut naming).await?;
            page.entries.iter().for_each(|entry| count.add(entry));
            count.add_unreadable(page.unreadable.len());
            if page.next.is_none() {
                return Ok(count.summary(question.now, access.counted, &naming));
            }
            asked.after = page.next;
        }
    }
}

impl Access<'_> {
    pub(super) async fn question<'q>(&self, query: &'q InventoryQuery) -> Result<Selection<'q>, ManageError> {
        let reach = self.reach_of(query.list.owners.as_deref(), true).await?;
        Ok(Selection { query, reach, now: self.parts.clock.now() })
    }

    pub(super) fn inventory_query(&self, query: &InventoryQuery) -> Result<KeyQuery, ManageError> {
        let asked = self.key_query(&query.list)?;
        let (created_since, created_before) = (query.created_since, query.created_before);
        // The totals are computed from the counts, which are read anyway.
        Ok(KeyQuery { created_since, created_before, with_usage: false, ..asked })
    }

    /// The next page, as large as `asked` says, with the names of its people and teams.
    pub(super) async fn look(
        &self,
        question: &Selection<'_>,
        asked: KeyQuery,
        naming: &mut Naming,
    ) -> Result<InventoryPage, ManageError> {
        let (mut page, looked_at) = self.page_of_entries(question, asked, naming).await?;
        let mut mentions = Mentions::default();
        page.entries.iter().for_each(|entry| mentions.key(&entry.key));
        if !question.query.asks_who_left() {
            self.parts.learn(naming, |asked| asked.clone_from(&mentions)).await;
            page.entries.iter_mut().for_each(|entry| entry.flag_leavers(naming.names()));
        }
        naming.looked_at(looked_at);
        page.names = naming.of_whole(&mentions);
        Ok(page)
    }

    /// Reads until the page is full, and says how many rows were looked at. The flags say who has left only if the
    /// query asks for that.
    async fn page_of_entries(
        &self,
        question: &Selection<'_>,
        mut asked: KeyQuery,
        naming: &mut Naming,
    ) -> Result<(InventoryPage, usize), ManageError> {
        let limit = usize::from(asked.limit);
        let mut page = InventoryPage {
            asked_at: question.now,
            entries: Vec::new(),
            unreadable: Vec::new(),
            next: None,
            counted: self.counted,
            names: Names::none(),
        };
        let mut looked_at = 0;
        loop {
            let (rows, more) = self.page_within(&question.reach, &asked, question.now).await?;
            let places = rows.iter().map(|row| cursor(row.peek())).collect::<Result<Vec<_>, _>>()?;
            looked_at += rows.len();
            let used = self.fill(question, rows, limit, naming, &mut page).await?;
            let last = used.checked_sub(1).and_then(|last| places.get(last)).copied();
            let is_at_end = used == places.len() && !more;
            if is_at_end || last.is_none() {
                return Ok((page, looked_at));
            }
            if page.entries.len() >= limit || looked_at >= MOST_LOOKED_AT {
                page.next = last;
                return Ok((page, looked_at));
            }
            asked.after = last;
            asked.limit = next_read(question.query, asked.limit, limit - page.entries.len());
        }
    }

    /// Puts these rows on the page until it is full. Returns how many were used.
    async fn fill(
        &self,
        question: &Selection<'_>,
        rows: Vec<Unseen>,
        limit: usize,
        naming: &mut Naming,
        page: &mut InventoryPage,
    ) -> Result<usize, ManageError> {
        let seen: Vec<_> = rows.iter().map(|row| self.see(question, row)).collect();
        let candidate = |seen: &FoundRow| match seen {
            FoundRow::Key(candidate) => Some(candidate.shown.record.id),
            FoundRow::Nothing | FoundRow::Unreadable(_) => None,
        };
        let ids: Vec<KeyId> = seen.iter().filter_map(candidate).collect();
        let mut usage = self.usage_rows_of(&ids).await?;
        let asks_who_left = question.query.asks_who_left();
        if asks_who_left {
            let keys = seen.iter().filter_map(|seen| match seen {
                FoundRow::Key(candidate) => Some(&candidate.shown.record),
                FoundRow::Nothing | FoundRow::Unreadable(_) => None,
            });
            self.parts.learn(naming, |mentions| keys.for_each(|record| mentions.record(record))).await;
        }
        let mut used = 0;
        for seen in seen {
            if page.entries.len() >= limit {
                break;
            }
            used += 1;
            match seen {
                FoundRow::Nothing => {}
                FoundRow::Unreadable(id) => page.unreadable.push(id),
                FoundRow::Key(candidate) => {
                    let rows = usage.remove(&candidate.shown.record.id).unwrap_or_default();
                    match UsageDetail::of(&rows) {
                        Ok(usage) => {
                            let mut entry = self.entry(question, *candidate, usage);
                            if asks_who_left {
                                entry.flag_leavers(naming.names());
                            }
                            page.entries.extend(question.query.matches(&entry).then_some(entry));
                        }
                        Err(_) => page.unreadable.push(candidate.shown.record.id),
                    }
                }
            }
        }
        Ok(used)
    }

    fn see(&self, question: &Selection<'_>, row: &Unseen) -> FoundRow {
        let listed = row.peek();
        let (record, owner, creator) = match (self.sight(row), OwnerStatus::try_from(&listed.creator)) {
            (Sight::Hidden(_), _) => return FoundRow::Nothing,
            (Sight::Seen(record, owner), Ok(creator)) => (record, owner, creator),
            (Sight::Unreadable(_), _) | (_, Err(_)) => {
                return KeyId::new(&listed.key.id).map_or(FoundRow::Nothing, FoundRow::Unreadable);
            }
        };
        let shown = self.show(row, *record, owner);
        if shown.usage.is_none() || !question.query.may_match(&shown.record) {
            return FoundRow::Nothing;
        }
        // The flag says that a rotation is not finished, whatever owner the other key has.
        let is_half_rotated = listed.successor.is_some() || listed.predecessor_is_live;
        let is_replaced = listed.successor.is_some();
        FoundRow::Key(Box::new(UnjudgedKey { shown, creator, is_half_rotated, is_replaced }))
    }

    /// The entry with the flags that the store's data decides.
    fn entry(&self, question: &Selection<'_>, candidate: UnjudgedKey, usage: UsageDetail) -> InventoryEntry {
        let UnjudgedKey { mut shown, creator, is_half_rotated, is_replaced } = candidate;
        shown.usage = Some(usage.totals());
        let facts = FlagFacts {
            now: question.now,
            record: &shown.record,
            owner: shown.status,
            creator,
            usage: &usage,
            is_half_rotated,
            is_replaced,
            lifetimes: &self.parts.rules.lifetimes,
            has_old_hash: self.parts.hasher.wants_rehash(&shown.record.hash),
        };
        InventoryEntry {
            flags: facts.flags(&question.query.settings),
            attempts_since_death: Attempts::since_death(&usage),
            asked_at: question.now,
            is_live: shown.record.is_live(question.now),
            creator_status: creator,
            has_team_keys: self.actor.has_team_keys(),
            key: shown.at(question.now).into_info(),
            usage,
        }
    }
}

/// How many keys to read next: as many as the page lacks if every key matches, else more each time.
fn next_read(query: &InventoryQuery, last: u16, lacking: usize) -> u16 {
    let wanted = if query.is_plain() { lacking } else { usize::from(last.max(100)) * 2 };
    u16::try_from(wanted).unwrap_or(LARGEST_PAGE).clamp(1, LARGEST_PAGE)
}
