use std::{
    cmp::Reverse,
    collections::{BTreeMap, btree_map::Entry},
};

use super::query::{AuditEntry, AuditQuery, EventPage};
use crate::{
    audit::{Audience, Event, EventRow, Subject},
    key::KeyId,
    manage::{
        access::{Access, LARGEST_PAGE},
        actor::Actor,
        error::ManageError,
        invalid::InvalidInput,
        manager::KeyManager,
        names::Names,
        policy::{KeyAction, Target},
    },
    owner::Owner,
    record::ActorId,
    store::{EventQuery, OwnerRef},
};

/// Reads of one answer, each but the first of a thousand events: so many in a row that the actor may not see are passed
/// over before it is told to ask again.
const MOST_READS: usize = 20;

/// Where to go on in the log, and how far.
#[derive(Clone, Copy)]
struct LogPosition {
    after: Option<i64>,
    limit: u16,
}

/// An event, unless it cannot be read.
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
    /// A page of the audit trail: of the key or the owner that the query names, else of all that the actor may see. That of a
    /// key that was purged is for those who may see the trail of the whole organization.
    ///
    /// Entries of the access log are [asked for apart](AuditQuery::attempts).
    ///
    /// Events stay for good, unless [`keep_events`](crate::ApiKeysBuilder::keep_events) says otherwise. Attempts that were
    /// denied are there too, as [`MANAGE_DENIED`](crate::audit::Action::MANAGE_DENIED), one
    /// [`usage_interval`](crate::ApiKeysBuilder::usage_interval) later. Those at keys
    /// that do not exist are shown only to whoever may see the trail of the whole organization: in one's own they would
    /// tell what does not exist from what is hidden.
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
        if query.limit == 0 || query.limit > LARGEST_PAGE {
            return Err(ManageError::invalid(InvalidInput::PageSize));
        }
        let owners = access.owners_to_audit(&query).await?;
        let (shown, next) = access.visible(&query, &owners).await?;
        let mut page = EventPage { entries: Vec::new(), unreadable: 0, names: Names::none(), next };
        for shown in shown {
            match shown.event {
                Some(event) => page.entries.push(AuditEntry::from(event)),
                None => page.unreadable += 1,
            }
        }
        access.add_owners_of_keys(&mut page).await?;
        let entries = &page.entries;
        page.names = access
            .parts
            .names(|mentions| {
                for entry in entries {
                    mentions.event(&entry.event);
                    entry.on_behalf_of.iter().for_each(|owner| mentions.owner(owner));
                }
            })
            .await;
        Ok(page)
    }
}

impl Access<'_> {
    /// Whether the actor, who may see the trail of whoever an event is about, may see this event too.
    pub(in crate::manage) fn may_see_event(&self, event: &Event) -> bool {
        event.audience == Audience::Subject || self.may(KeyAction::Audit, &Target::Organization)
    }

    /// What the actor may see, up to the limit of the query, and after which of it more follows. Of what it may not see
    /// nothing shows: neither in how many there are nor in where the next page begins.
    async fn visible(
        &self,
        query: &AuditQuery,
        owners: &[Option<Owner>],
    ) -> Result<(Vec<Shown>, Option<i64>), ManageError> {
        let limit = usize::from(query.limit);
        // One more than asked for tells whether any follows.
        let mut place = LogPosition { after: query.after, limit: query.limit.saturating_add(1).min(LARGEST_PAGE) };
        let mut shown: Vec<Shown> = Vec::new();
        for _ in 0..MOST_READS {
            let (rows, more) = self.event_rows(query, place, owners).await?;
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

    /// The owners whose events to ask the store for; none of them in particular where the actor may see them all.
    async fn owners_to_audit(&self, query: &AuditQuery) -> Result<Vec<Option<Owner>>, ManageError> {
        if let Some(owner) = &query.owner {
            self.require(KeyAction::Audit, &Target::Owner(owner)).await?;
        }
        let Some(key) = &query.key else {
            return Ok(match &query.owner {
                Some(owner) => vec![Some(owner.clone())],
                None => self.reach(&[KeyAction::Audit]).each(),
            });
        };
        // Whoever may know of it may read what happened to it, the more so if that cannot be read from its record.
        if !self.is_gone(key).await? {
            self.even_unreadable(key, KeyAction::Audit).await?;
        }
        Ok(vec![query.owner.clone()])
    }

    /// Whether nothing but events is left of a key, such as one that was purged, and the actor may read all there are.
    async fn is_gone(&self, key: &KeyId) -> Result<bool, ManageError> {
        if !self.may(KeyAction::Audit, &Target::Organization) || self.row(key).await?.is_some() {
            return Ok(false);
        }
        let query = EventQuery { key: Some(*key), limit: 1, ..EventQuery::all(self.parts.organization.clone()) };
        Ok(!self.events(&query).await?.0.is_empty())
    }

    /// The next rows of all these owners together, and whether more follow.
    async fn event_rows(
        &self,
        query: &AuditQuery,
        LogPosition { after, limit }: LogPosition,
        owners: &[Option<Owner>],
    ) -> Result<(Vec<EventRow>, bool), ManageError> {
        let mut asked = EventQuery {
            attempts: query.attempts,
            key: query.key,
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
        for owner in owners {
            asked.owner.clone_from(owner);
            let (page, more_of_owner) = self.events(&asked).await?;
            rows.extend(page);
            more |= more_of_owner;
        }
        match query.newest_first {
            true => rows.sort_by_key(|row| Reverse(row.sequence)),
            false => rows.sort_by_key(|row| row.sequence),
        }
        more |= rows.len() > usize::from(limit);
        rows.truncate(limit.into());
        Ok((rows, more))
    }

    /// Says whose the keys are that acted, each looked up once.
    async fn add_owners_of_keys(&self, page: &mut EventPage) -> Result<(), ManageError> {
        let mut owners: BTreeMap<KeyId, Option<Owner>> = BTreeMap::new();
        for entry in &mut page.entries {
            let Some(id) = entry.acting_key else { continue };
            // A key that acts on itself need not be looked up.
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

impl From<Event> for AuditEntry {
    fn from(event: Event) -> Self {
        let acting_key = match &event.actor {
            ActorId::Key(id) => Some(*id),
            ActorId::System(_) | ActorId::User(_) => None,
        };
        Self { event, acting_key, on_behalf_of: None }
    }
}
