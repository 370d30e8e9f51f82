use std::{
    cmp::Reverse,
    collections::{BTreeMap, btree_map::Entry},
};

use super::query::{AuditEntry, AuditQuery, EventPage};
use crate::{
    audit::{Audience, Event, EventRow, Subject},
    key::KeyId,
    manage::{
        access::{Access, LARGEST_PAGE, Sight},
        actor::Actor,
        error::ManageError,
        invalid::InvalidInput,
        manager::KeyManager,
        names::{Mentions, Names, Naming},
        policy::{KeyAction, Target},
    },
    owner::Owner,
    record::ActorId,
    store::{EventQuery, KeyQuery, OwnerRef},
};

/// How many reads one answer takes, each after the first with a thousand events. After that many events in a row that
/// the actor may not see, it gets a place to continue from.
const MOST_READS: usize = 20;

/// Where to continue in the log, and how many events to read.
#[derive(Clone, Copy)]
struct LogPosition {
    after: Option<i64>,
    limit: u16,
}

/// A part of the trail that is one query to the store.
pub(super) struct TrailPart {
    owner: Option<Owner>,
    key: Option<KeyId>,
    /// The subject of the event that records an export of this part.
    pub(super) about: Subject,
}

impl TrailPart {
    /// Events about an owner; `None` means all events.
    fn of_owner(owner: Option<Owner>) -> Self {
        let about = owner.clone().map_or(Subject::Organization, Subject::Owner);
        Self { owner, key: None, about }
    }

    /// Events about a key of this owner, and of the requested owner, if there is one.
    fn of_key(key: KeyId, of: Option<Owner>, asked: Option<Owner>) -> Self {
        let about = match (of, &asked) {
            (Some(of), _) => Subject::Key(key, of),
            (None, Some(asked)) => Subject::Owner(asked.clone()),
            (None, None) => Subject::Organization,
        };
        Self { owner: asked, key: Some(key), about }
    }
}

/// An event, or none if it cannot be read.
struct Shown {
    sequence: i64,
    event: Option<Event>,
}

impl Shown {
    fn of(row: &EventRow) -> Self {
        Self { sequence: row.sequence, event: Event::try_from(row).ok() }
    }
}

impl KeyManager {
    /// A page of the audit trail: of the key or the owner that the query names, or else of all that the actor may see.
    /// The trail of a purged key is shown only to actors that may see the trail of the whole organization.
    ///
    /// Entries of the access log are [queried separately](AuditQuery::attempts).
    ///
    /// Events are kept forever unless you set [`keep_events`](crate::ApiKeysBuilder::keep_events). Denied attempts are
    /// in the trail, too, as [`MANAGE_DENIED`](crate::audit::Action::MANAGE_DENIED), one
    /// [`usage_interval`](crate::ApiKeysBuilder::usage_interval) later. Denied attempts on keys that do not exist are
    /// shown only to actors that may see the trail of the whole organization: in an actor's own trail they would reveal
    /// which keys do not exist and which are hidden.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// use tower_api_keys::{Actor, IssueKey, TeamId, audit::Action, manage::AuditQuery};
    ///
    /// let actor = Actor::system("first start")?;
    /// let issued = manager.issue(IssueKey::team(TeamId::new("blue")?), &actor).await?;
    ///
    /// let page = manager.events(AuditQuery::all().of_key(issued.info().id), &actor).await?;
    /// assert_eq!(page.entries[0].event.action, Action::KEY_ISSUED);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): not found (a key or an owner that the actor may not see),
    /// denied (one whose trail it may not see), invalid (a page of no events or of more than 1,000), store unavailable.
    pub async fn events(&self, query: AuditQuery, actor: &Actor) -> Result<EventPage, ManageError> {
        let access = self.acting(actor, &[KeyAction::Audit]).await?;
        let parts = access.parts_of_trail(&query).await?;
        access.page_of_events(&query, &parts, &mut access.parts.naming()).await
    }
}

impl Access<'_> {
    /// The queries for the store, if the actor may see what the query asks for.
    pub(super) async fn parts_of_trail(&self, query: &AuditQuery) -> Result<Vec<TrailPart>, ManageError> {
        if query.limit == 0 || query.limit > LARGEST_PAGE {
            return Err(ManageError::invalid(InvalidInput::PageSize));
        }
        if let Some(owner) = &query.owner {
            self.require(KeyAction::Audit, &Target::Owner(owner)).await?;
        }
        match (&query.key, &query.lineage, &query.owner) {
            (Some(key), None, owner) if self.is_gone(key).await? => {
                Ok(vec![TrailPart::of_key(*key, None, owner.clone())])
            }
            (Some(key), lineage, owner) => {
                // An actor that may see the key may read its trail, even if its record cannot be read.
                let found = self.even_unreadable(key, KeyAction::Audit).await?;
                let is_of_lineage = lineage.is_none_or(|first| found.key.lineage == first.as_str());
                let part = TrailPart::of_key(*key, OwnerRef::of(&found.key).map(|of| of.owner), owner.clone());
                Ok(is_of_lineage.then_some(part).into_iter().collect())
            }
            (None, Some(lineage), owner) => self.parts_of_lineage(lineage, owner.as_ref()).await,
            (None, None, Some(owner)) => Ok(vec![TrailPart::of_owner(Some(owner.clone()))]),
            (None, None, None) => {
                Ok(self.reach(&[KeyAction::Audit]).each().into_iter().map(TrailPart::of_owner).collect())
            }
        }
    }

    /// The events of the keys of a chain of rotations, as far as the actor may see them.
    async fn parts_of_lineage(&self, first: &KeyId, owner: Option<&Owner>) -> Result<Vec<TrailPart>, ManageError> {
        let query =
            KeyQuery { lineage: Some(*first), with_usage: false, ..KeyQuery::all(self.parts.organization.clone()) };
        let rows = self.all(query).await?;
        let (mut parts, mut denied, mut hidden) = (Vec::new(), None, None);
        for row in &rows {
            let of = OwnerRef::of(&row.peek().key).map(|of| of.owner);
            let may = match self.sight(row) {
                Sight::Hidden(about) => {
                    hidden.get_or_insert((row, about));
                    continue;
                }
                Sight::Seen(record, _) => self.may(KeyAction::Audit, &Target::key(&record)),
                Sight::Unreadable(_) => {
                    self.may(KeyAction::Audit, &of.as_ref().map_or(Target::Organization, Target::Owner))
                }
            };
            match KeyId::new(&row.peek().key.id) {
                Ok(id) if may => parts.push(TrailPart::of_key(id, of, owner.cloned())),
                _ => denied = denied.or(Some(row)),
            }
        }
        if !parts.is_empty() {
            return Ok(parts);
        }
        if let Some(row) = denied {
            self.open(row, KeyAction::Audit).await?;
        }
        Err(match hidden {
            Some((row, about)) => self.hidden(row, KeyAction::Audit, about),
            None => self.absent(KeyAction::Audit, first),
        })
    }

    /// The next page, with the owner behind each event and with names.
    pub(super) async fn page_of_events(
        &self,
        query: &AuditQuery,
        parts: &[TrailPart],
        naming: &mut Naming,
    ) -> Result<EventPage, ManageError> {
        let (shown, next) = self.visible(query, parts).await?;
        let mut page = EventPage { entries: Vec::new(), unreadable: 0, names: Names::none(), next };
        for shown in shown {
            match shown.event {
                Some(event) => page.entries.push(AuditEntry::from(event)),
                None => page.unreadable += 1,
            }
        }
        self.add_owners_of_keys(&mut page).await?;
        let mut mentions = Mentions::default();
        page.entries.iter().for_each(|entry| entry.mention(&mut mentions));
        self.parts.learn(naming, |asked| asked.clone_from(&mentions)).await;
        page.names = naming.of_whole(&mentions);
        Ok(page)
    }

    /// Whether the actor, who may see the trail of this event's subject, may see this event, too.
    pub(in crate::manage) fn may_see_event(&self, event: &Event) -> bool {
        event.audience == Audience::Subject || self.may(KeyAction::Audit, &Target::Organization)
    }

    /// What the actor may see, within the limit of the query, and the place after which more follows. Nothing reveals
    /// events that it may not see: neither the number of events nor the place of the next page.
    async fn visible(&self, query: &AuditQuery, parts: &[TrailPart]) -> Result<(Vec<Shown>, Option<i64>), ManageError> {
        let limit = usize::from(query.limit);
        // Reading one more than requested shows whether any follow.
        let mut place = LogPosition { after: query.after, limit: query.limit.saturating_add(1).min(LARGEST_PAGE) };
        let mut shown: Vec<Shown> = Vec::new();
        for _ in 0..MOST_READS {
            let (rows, more) = self.event_rows(query, place, parts).await?;
            let last = rows.last().map(|row| row.sequence);
            let visible = rows.iter().map(Shown::of);
            shown.extend(visible.filter(|shown| shown.event.as_ref().is_none_or(|it| self.may_see_event(it))));
            if shown.len() > limit {
                shown.truncate(limit);
                let next = shown.last().map(|shown| shown.sequence);
                return Ok((shown, next));
            }
            match last {
                Some(_) if more => place = LogPosition { after: last, limit: LARGEST_PAGE },
                _ => return Ok((shown, None)),
            }
        }
        Ok((shown, place.after))
    }

    /// Whether only events are left of a key, such as one that was purged, and the actor may read the whole trail.
    async fn is_gone(&self, key: &KeyId) -> Result<bool, ManageError> {
        if !self.may(KeyAction::Audit, &Target::Organization) || self.row(key).await?.is_some() {
            return Ok(false);
        }
        let query = EventQuery { key: Some(*key), limit: 1, ..EventQuery::all(self.parts.organization.clone()) };
        Ok(!self.events(&query).await?.0.is_empty())
    }

    /// The next rows of all these parts together, and whether more follow.
    async fn event_rows(
        &self,
        query: &AuditQuery,
        LogPosition { after, limit }: LogPosition,
        parts: &[TrailPart],
    ) -> Result<(Vec<EventRow>, bool), ManageError> {
        let mut asked = EventQuery {
            attempts: query.attempts,
            actor: query.actor.clone(),
            action: query.action.as_ref().map(|action| action.as_str().to_owned()),
            source: query.source.as_ref().map(ToString::to_string),
            from: query.from,
            until: query.until,
            newest_first: query.newest_first,
            after,
            limit,
            ..EventQuery::all(self.parts.organization.clone())
        };
        let (mut rows, mut more) = (Vec::new(), false);
        for part in parts {
            asked.owner.clone_from(&part.owner);
            asked.key = part.key;
            let (page, more_of_part) = self.events(&asked).await?;
            rows.extend(page);
            more |= more_of_part;
        }
        match query.newest_first {
            true => rows.sort_by_key(|row| Reverse(row.sequence)),
            false => rows.sort_by_key(|row| row.sequence),
        }
        more |= rows.len() > usize::from(limit);
        rows.truncate(limit.into());
        Ok((rows, more))
    }

    /// Adds the owners of the keys that acted, each looked up once.
    async fn add_owners_of_keys(&self, page: &mut EventPage) -> Result<(), ManageError> {
        let mut owners: BTreeMap<KeyId, Option<Owner>> = BTreeMap::new();
        for entry in &mut page.entries {
            let Some(id) = entry.acting_key else { continue };
            // A key that acts on itself needs no look-up.
            if let Subject::Key(subject, owner) = &entry.event.subject
                && *subject == id
            {
                owners.entry(id).or_insert_with(|| Some(owner.clone()));
            }
            if let Entry::Vacant(unknown) = owners.entry(id) {
                let found = self.row(&id).await?;
                unknown.insert(found.and_then(|found| OwnerRef::of(&found.peek().key)).map(|of| of.owner));
            }
            entry.on_behalf_of = owners.get(&id).cloned().flatten();
        }
        Ok(())
    }
}

impl AuditEntry {
    /// Mentions the people and teams in it.
    pub(super) fn mention(&self, mentions: &mut Mentions) {
        mentions.event(&self.event);
        self.on_behalf_of.iter().for_each(|owner| mentions.owner(owner));
    }
}

impl From<Event> for AuditEntry {
    fn from(event: Event) -> Self {
        let acting_key = match &event.actor {
            ActorId::Key(id) => Some(*id),
            ActorId::System(_) | ActorId::User(_) => None,
        };
        Self { event, acting_key, on_behalf_of: None }
    }
}
