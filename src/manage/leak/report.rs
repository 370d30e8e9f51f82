use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::said;
use crate::{
    audit::{Action, Event},
    json::json_form,
    key::KeyId,
    manage::{
        access::{Access, Sight, Walk},
        actor::Actor,
        counted::CountedUntil,
        error::ManageError,
        info::KeyInfo,
        manager::KeyManager,
        names::Names,
        policy::{KeyAction, Target},
    },
    outcome::{Outcome, Proved},
    record::ActorId,
    sentence::{Sentence, joined},
    store::{EventQuery, KeyQuery},
    time::Timestamp,
    usage::{Source, UsageCount, UsageDetail},
};

/// What may have been done with a leaked key: who used it, from where, since when, and what it changed. It serializes.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// # let admin = tower_api_keys::Actor::system("first start")?;
/// # let id = manager.issue(tower_api_keys::IssueKey::team("blue".parse()?), &admin).await?.info().id;
/// use tower_api_keys::Actor;
///
/// let leaked_at = "2026-03-01T12:00:00Z".parse()?;
/// let report = manager.leak_report(&id, leaked_at, &Actor::system("leak response")?).await?;
/// for source in report.new_sources() {
///     if let Some(at) = source.first_accepted_at {
///         println!("{} used it for the first time at {at}", source.source);
///     }
/// }
/// assert!(report.to_string().starts_with("Since 2026-03-01T12:00:00Z, it has not been used."));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeakReport {
    /// The key.
    pub key: KeyInfo,
    /// The requested beginning of the window. The window has no end.
    pub since: Timestamp,
    /// The sources from which it was ever used or tried, the latest first. Counts cover all time: they are not kept by
    /// the hour.
    pub sources: Vec<SourceUse>,
    /// Requests with it that were refused because it was revoked or had expired, or its owner was suspended or closed:
    /// one count for each reason and source.
    pub tried_since_death: Vec<UsageCount>,
    /// Requests with it that were accepted and then denied downstream: used on another team, or without a required
    /// scope, role or plan. One count for each reason and source.
    pub denied_downstream: Vec<UsageCount>,
    /// What it did to keys and owners since then, the oldest first, as far as the actor may see the audit trail. At
    /// most 1,000.
    pub changes: Vec<Event>,
    /// Attempts of it on keys and owners that were denied since then, likewise. At most 1,000 events.
    pub denied: Vec<Event>,
    /// All keys that it made, as far as the actor may see them: they still work after it is revoked. At most 1,000.
    pub made: Vec<KeyInfo>,
    /// Whether there are, or may be, more changes, denials or keys than are shown.
    pub more: bool,
    /// How many events and keys that belong here cannot be read.
    pub unreadable: u64,
    /// Until when usage is counted: later use of the key may be missing.
    pub counted: CountedUntil,
    /// The names of the people and teams of these keys and events, and who has left.
    pub names: Names,
}

/// How a key was used from one source, over all time.
///
/// ```
/// use tower_api_keys::manage::SourceUse;
///
/// fn is_suspicious(source: &SourceUse) -> bool {
///     source.is_new && source.accepted > 0
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SourceUse {
    /// The source.
    pub source: Source,
    /// Requests that were accepted.
    pub accepted: i64,
    /// Requests that were refused, or that were let in and then refused by the service, such as for another team.
    pub refused: i64,
    /// When the first of them was made, accepted or refused.
    pub first_at: Timestamp,
    /// When the first accepted one was made.
    pub first_accepted_at: Option<Timestamp>,
    /// When the last of them was made.
    pub last_at: Timestamp,
    /// Whether the first accepted request, or the first of all if none was accepted, is within the window. Earlier
    /// refused attempts do not make a user of the key an old one: anyone who knows its public id can try.
    pub is_new: bool,
    /// Whether the last of them is within the window.
    pub is_within: bool,
}

impl LeakReport {
    pub(in crate::manage) fn new(key: KeyInfo, since: Timestamp, usage: &UsageDetail, counted: CountedUntil) -> Self {
        let with = |is_meant: fn(&Outcome) -> bool| {
            usage.counts.iter().filter(|count| is_meant(&count.outcome)).cloned().collect()
        };
        Self {
            key,
            since,
            sources: SourceUse::all(usage, since),
            tried_since_death: with(|outcome| outcome.proves() == Proved::Dead),
            denied_downstream: with(Outcome::is_denied_downstream),
            changes: Vec::new(),
            denied: Vec::new(),
            made: Vec::new(),
            more: false,
            unreadable: 0,
            counted,
            names: Names::none(),
        }
    }

    /// Sources that are [new](SourceUse::is_new) within the window.
    pub fn new_sources(&self) -> impl Iterator<Item = &SourceUse> {
        self.sources.iter().filter(|source| source.is_new)
    }
}

impl SourceUse {
    fn all(usage: &UsageDetail, since: Timestamp) -> Vec<Self> {
        let mut sources: BTreeMap<&Source, Self> = BTreeMap::new();
        for count in &usage.counts {
            let UsageCount { source, first_at, last_at, .. } = count;
            let (first_at, last_at) = (*first_at, *last_at);
            let sum = sources.entry(source).or_insert_with(|| Self {
                source: source.clone(),
                accepted: 0,
                refused: 0,
                first_at,
                first_accepted_at: None,
                last_at,
                is_new: false,
                is_within: false,
            });
            let requests = if count.outcome == Outcome::Accepted {
                sum.first_accepted_at = Some(sum.first_accepted_at.map_or(first_at, |known| known.min(first_at)));
                &mut sum.accepted
            } else {
                &mut sum.refused
            };
            *requests = requests.saturating_add(count.count);
            sum.first_at = sum.first_at.min(first_at);
            sum.last_at = sum.last_at.max(last_at);
        }
        let mut sources: Vec<Self> = sources.into_values().collect();
        for source in &mut sources {
            source.is_new = source.first_accepted_at.unwrap_or(source.first_at) >= since;
            source.is_within = source.last_at >= since;
        }
        sources.sort_by_key(|source| std::cmp::Reverse(source.last_at));
        sources
    }
}

impl LeakReport {
    /// The report as sentences for people.
    #[must_use]
    pub fn sentences(&self) -> Vec<Sentence> {
        let within = self.sources.iter().filter(|source| source.is_within).count();
        let tries = self.tried_since_death.iter().map(|count| count.count).fold(0, i64::saturating_add);
        let used = match within {
            0 => said::not_used(self.since),
            within => said::used(self.since, within, self.new_sources().count()),
        };
        let changed = match (self.changes.len(), self.made.len()) {
            (0, 0) => said::changed_nothing(),
            (changes, keys) => said::changed(changes, keys),
        };
        let more = self.more.then(said::may_be_more);
        let unreadable = (self.unreadable > 0).then(|| said::entries_unreadable(self.unreadable));
        let tried = (tries > 0).then(|| said::tried_since_death(tries));
        [Some(used), Some(changed), more, unreadable, tried].into_iter().flatten().collect()
    }
}

impl fmt::Display for LeakReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&joined(&self.sentences()))
    }
}

json_form! {
    LeakReport<'a>, |report| LeakReport {
        key, since, sources, tried_since_death, denied_downstream, changes, denied, made, more, unreadable, counted, names
    } => {
        key: &'a KeyInfo = key,
        since: Timestamp = *since,
        sources: &'a [SourceUse] = sources,
        tried_since_death: &'a [UsageCount] = tried_since_death,
        denied_downstream: &'a [UsageCount] = denied_downstream,
        changes: &'a [Event] = changes,
        denied: &'a [Event] = denied,
        made: &'a [KeyInfo] = made,
        more: bool = *more,
        unreadable: u64 = *unreadable,
        counted: CountedUntil = *counted,
        names: &'a Names = names,
        sentences: Vec<Sentence> = report.sentences(),
    }
}

/// How many changes, denials and keys one answer has, each.
const MOST: u16 = 1_000;

/// How many reads of a thousand events each.
const MOST_READS: usize = 100;

impl KeyManager {
    /// What may have been done with a key since it leaked: its sources with those that are new, attempts after its end,
    /// what it changed, and the keys it made.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// # let admin = tower_api_keys::Actor::system("first start")?;
    /// # let id = manager.issue(tower_api_keys::IssueKey::team("blue".parse()?), &admin).await?.info().id;
    /// let report = manager.leak_report(&id, "2026-03-01T12:00:00Z".parse()?, &admin).await?;
    /// assert!(report.sources.is_empty() && report.made.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): not found, denied (an actor that may not see how the key is
    /// used), corrupt record, store unavailable.
    pub async fn leak_report(&self, id: &KeyId, since: Timestamp, actor: &Actor) -> Result<LeakReport, ManageError> {
        let access = self.acting(actor, &[KeyAction::SeeUsage]).await?;
        let (record, status) = access.key(id, KeyAction::SeeUsage).await?;
        let usage = access.usage_of_one(id).await?;
        let key = KeyInfo::new(record, status, Some(usage.totals()), access.parts.clock.reading());
        let mut report = LeakReport::new(key, since, &usage, access.counted);
        access.add_changes(*id, &mut report).await?;
        access.add_made(*id, &mut report).await?;
        report.names = access
            .parts
            .names(|mentions| {
                [&report.key].into_iter().chain(&report.made).for_each(|key| mentions.key(key));
                report.changes.iter().chain(&report.denied).for_each(|event| mentions.event(event));
            })
            .await;
        Ok(report)
    }
}

impl Access<'_> {
    /// What the key did and what it was denied within the window, as far as the actor may see it.
    async fn add_changes(&self, id: KeyId, report: &mut LeakReport) -> Result<(), ManageError> {
        let mut query = EventQuery {
            actor: Some(ActorId::Key(id)),
            from: Some(report.since),
            limit: MOST,
            ..EventQuery::all(self.parts.organization.clone())
        };
        // There may be many events that the actor may not see.
        for _ in 0..MOST_READS {
            let (rows, more) = self.events(&query).await?;
            for row in &rows {
                match Event::try_from(row) {
                    Ok(event) if !self.may_know_event(&event) => {}
                    Ok(event) => {
                        let denied = event.action == Action::MANAGE_DENIED;
                        let events = if denied { &mut report.denied } else { &mut report.changes };
                        match events.len() < usize::from(MOST) {
                            true => events.push(event),
                            false => report.more = true,
                        }
                    }
                    Err(_) => report.unreadable += 1,
                }
            }
            query.after = rows.last().map(|row| row.sequence);
            if report.more || !more || query.after.is_none() {
                return Ok(());
            }
        }
        report.more = true;
        Ok(())
    }

    async fn add_made(&self, id: KeyId, report: &mut LeakReport) -> Result<(), ManageError> {
        let query = KeyQuery { created_via_key: Some(id), ..KeyQuery::all(self.parts.organization.clone()) };
        let mut walk = Walk::new(query);
        let mut more = false;
        while let Some(rows) = walk.next_page(self).await? {
            for row in rows {
                match self.sight(&row) {
                    Sight::Hidden(_) => {}
                    Sight::Seen(..) if report.made.len() >= usize::from(MOST) => more = true,
                    Sight::Seen(record, status) => {
                        let made = self.show(&row, *record, status).into_info();
                        report.made.push(KeyInfo { usage: None, ..made });
                    }
                    Sight::Unreadable(_) => report.unreadable += 1,
                }
            }
            if more {
                break;
            }
        }
        report.more |= more;
        Ok(())
    }

    /// Whether the actor may see the audit trail of this event's subject, and this event in it.
    fn may_know_event(&self, event: &Event) -> bool {
        let whose = event.subject.owner().map_or(Target::Organization, Target::Owner);
        self.may(KeyAction::Audit, &whose) && self.may_see_event(event)
    }
}
