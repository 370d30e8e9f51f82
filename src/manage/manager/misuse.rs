use super::{KeyManager, sight::Sight, walk::Walk};
use crate::{
    audit::{Action, Event, Subject},
    key::KeyId,
    manage::{
        actor::Actor,
        error::ManageError,
        info::KeyInfo,
        policy::{KeyAction, Target},
        response::Misuse,
    },
    record::ActorId,
    store::{EventQuery, FoundKey, KeyQuery, KeyStore, guarded},
    time::Timestamp,
};

/// Changes, denials and keys of one answer, each.
const MOST: u16 = 1_000;

/// Reads of a thousand events each.
const MOST_READS: usize = 100;

impl<S: KeyStore> KeyManager<S> {
    /// What may have been done with a key since it leaked: its sources with those that are new, attempts after its end,
    /// what it changed, and the keys it made.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// # let admin = tower_api_keys::Actor::system("first start")?;
    /// # let id = manager.issue(tower_api_keys::IssueKey::team("blue".parse()?), &admin).await?.info().id;
    /// let misuse = manager.misuse(&id, "2026-03-01T12:00:00Z".parse()?, &admin).await?;
    /// assert!(misuse.sources.is_empty() && misuse.made.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): not found, denied (somebody who may not see how the key is
    /// used), corrupt record, store unavailable.
    pub async fn misuse(&self, id: &KeyId, since: Timestamp, actor: &Actor) -> Result<Misuse, ManageError> {
        self.admit(actor)?;
        let (record, status) = self.load(id, actor, KeyAction::SeeUsage).await?;
        let usage = self.usage_of_one(id).await?;
        let mut misuse = Misuse::new(KeyInfo::new(record, status, Some(usage.totals())), since, &usage);
        self.add_changes(*id, actor, &mut misuse).await?;
        self.add_made(*id, actor, &mut misuse).await?;
        Ok(misuse)
    }

    /// What the key did and what it was denied within the window, as far as the actor may know.
    async fn add_changes(&self, id: KeyId, actor: &Actor, misuse: &mut Misuse) -> Result<(), ManageError> {
        let mut query = EventQuery {
            actor: Some(ActorId::Key(id)),
            from: Some(misuse.since),
            limit: MOST,
            ..EventQuery::all(self.0.organization.clone())
        };
        // There may be many that the actor may not know of.
        for _ in 0..MOST_READS {
            let page = guarded(self.0.timeout, || self.0.store.events(&query)).await?;
            for row in &page.rows {
                match Event::try_from(row) {
                    Ok(event) if !self.may_know_event(actor, &event) => {}
                    Ok(event) => {
                        let denied = event.action == Action::MANAGE_DENIED;
                        let events = if denied { &mut misuse.denied } else { &mut misuse.changes };
                        match events.len() < usize::from(MOST) {
                            true => events.push(event),
                            false => misuse.more = true,
                        }
                    }
                    Err(_) => misuse.unreadable += 1,
                }
            }
            query.after = page.rows.last().map(|row| row.sequence);
            if misuse.more || !page.more || query.after.is_none() {
                return Ok(());
            }
        }
        misuse.more = true;
        Ok(())
    }

    async fn add_made(&self, id: KeyId, actor: &Actor, misuse: &mut Misuse) -> Result<(), ManageError> {
        let query = KeyQuery { maker: Some(id), ..KeyQuery::all(self.0.organization.clone()) };
        let mut walk = Walk::new(query);
        let mut more = false;
        while let Some(rows) = walk.next_page(self).await? {
            for row in rows {
                let found = FoundKey { key: row.key, owner: row.owner };
                match self.sight(actor, &found) {
                    Sight::Hidden(_) => {}
                    Sight::Seen(..) if misuse.made.len() >= usize::from(MOST) => more = true,
                    Sight::Seen(record, status) => misuse.made.push(KeyInfo::new(*record, status, None)),
                    Sight::Unreadable(_) => misuse.unreadable += 1,
                }
            }
            if more {
                break;
            }
        }
        misuse.more |= more;
        Ok(())
    }

    /// Whether the actor may see the audit trail of whoever this event is about, and this event in it.
    fn may_know_event(&self, actor: &Actor, event: &Event) -> bool {
        let (Subject::Key(_, owner) | Subject::Owner(owner)) = &event.subject;
        self.allows(actor, KeyAction::Audit, &Target::Owner(owner)) && self.may_see_event(actor, event)
    }
}
