use std::future::pending;

use tokio_postgres::types::ToSql;

use super::{
    apply::apply,
    event_rows::{events, feed, insert_events},
    failure::Failure,
    key_rows::{column, found_key},
    link::Link,
    list::{ending, list},
    log::changes_since,
    owner_rows::find_owner,
    session::transact,
    store::{Inner, PostgresStore},
    upkeep::{ended_keys, prune, put_meta_if_absent, replace_note, trail},
    usage_rows::{record_usage, usage, usage_days},
};
use crate::{
    audit::EventRow,
    key::KeyId,
    owner::OwnerRef,
    record::KeyRow,
    store::{
        Applied, Change, Changes, EndedKeys, EndingQuery, EventQuery, FoundKey, FoundOwner, Head, KeyQuery, KeyReader,
        KeyStore, Ledger, ListedKey, Page, Prune, Pruned, RehashedKey, StoreError, Trail, UsageScope,
    },
    time::Timestamp,
    usage::{UsageBatch, UsageDayRow, UsageRow},
};

impl KeyReader for PostgresStore {
    async fn find(&self, id: &KeyId) -> Result<Option<FoundKey>, StoreError> {
        Ok(find(&self.0.finder, id).await?)
    }

    async fn changes_since(&self, head: Option<Head>) -> Result<Changes, StoreError> {
        // If one connection is dead, the other one usually is, too: then look-ups should not each have to find out.
        let doubt = self.0.finder.doubt_unless_answered();
        let changes = changes_since(&self.0.log, &self.0.has_moved, head).await?;
        doubt.dismiss();
        Ok(changes)
    }

    async fn wait_for_change(&self, head: Head) {
        match &self.0.listener {
            Some(listener) => listener.wait_for_change(head.position).await,
            None => pending().await,
        }
    }
}

impl KeyStore for PostgresStore {
    async fn apply(&self, change: &Change) -> Result<Applied, StoreError> {
        change.erases_alone()?;
        let Inner { sql, sessions, .. } = &*self.0;
        let applied = transact(|| async {
            let session = sessions.begin(sql).await?;
            let applied = apply(&session, sql, change).await;
            session.end(applied).await
        });
        Ok(applied.await?)
    }

    async fn rehash(&self, id: &KeyId, old: &str, new: &RehashedKey) -> Result<bool, StoreError> {
        let Inner { sql, sessions, .. } = &*self.0;
        let RehashedKey { hash, tag, pepper_id, proof } = new;
        let row: [&(dyn ToSql + Sync); 6] = [&id.as_str(), &old, hash, &tag.as_slice(), pepper_id, proof];
        Ok(sessions.execute(&sql.rehash, &row).await? > 0)
    }

    async fn list(&self, query: &KeyQuery, now: Timestamp) -> Result<Page<ListedKey>, StoreError> {
        Ok(page(list(&self.0.sessions, &self.0.sql, query, now).await?, query.limit))
    }

    async fn ending(&self, query: &EndingQuery) -> Result<Vec<KeyRow>, StoreError> {
        Ok(ending(&self.0.sessions, &self.0.sql, query).await?)
    }

    async fn owner_status(&self, owner: &OwnerRef) -> Result<FoundOwner, StoreError> {
        Ok(find_owner(&self.0.sessions, &self.0.sql, owner).await?)
    }

    async fn put_meta_if_absent(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(put_meta_if_absent(&self.0.sessions, &self.0.sql, name, value).await?)
    }

    async fn replace_note(&self, name: &str, old: &[u8], new: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(replace_note(&self.0.sessions, &self.0.sql, name, old, new).await?)
    }

    async fn ended_keys(&self, before: Timestamp) -> Result<EndedKeys, StoreError> {
        Ok(ended_keys(&self.0.sessions, &self.0.sql, before).await?)
    }

    async fn prune(&self, what: &Prune) -> Result<Pruned, StoreError> {
        Ok(prune(&self.0.sessions, &self.0.sql, what).await?)
    }
}

impl Ledger for PostgresStore {
    async fn record_usage(&self, batch: &UsageBatch) -> Result<(), StoreError> {
        Ok(record_usage(&self.0.sessions, &self.0.sql, batch).await?)
    }

    async fn usage(&self, of: &UsageScope) -> Result<Vec<UsageRow>, StoreError> {
        Ok(usage(&self.0.sessions, &self.0.sql, of).await?)
    }

    async fn usage_days(&self, keys: &[KeyId], from: i32) -> Result<Vec<UsageDayRow>, StoreError> {
        Ok(usage_days(&self.0.sessions, &self.0.sql, keys, from).await?)
    }

    async fn append_events(&self, events: &[EventRow]) -> Result<(), StoreError> {
        let Inner { sql, sessions, .. } = &*self.0;
        let events: Vec<&EventRow> = events.iter().collect();
        let inserted = transact(|| async {
            let session = sessions.begin(sql).await?;
            let inserted = insert_events(&session, sql, &events).await;
            session.end(inserted).await
        });
        Ok(inserted.await?)
    }

    async fn events(&self, query: &EventQuery) -> Result<Page<EventRow>, StoreError> {
        Ok(page(events(&self.0.sessions, &self.0.sql, query).await?, query.limit))
    }

    async fn feed(&self, after: Option<i64>, limit: u16) -> Result<Page<EventRow>, StoreError> {
        Ok(page(feed(&self.0.sessions, &self.0.sql, after, limit).await?, limit))
    }

    async fn trail(&self, attempts: bool, before: Timestamp) -> Result<Trail, StoreError> {
        Ok(trail(&self.0.sessions, &self.0.sql, attempts, before).await?)
    }
}

async fn find(link: &Link, id: &KeyId) -> Result<Option<FoundKey>, Failure> {
    let rows = link.ask(0, &[&id.as_str()]).await?;
    let row = rows.first().ok_or_else(|| Failure::Corrupt("a look-up without an answer".into()))?;
    if column::<Option<&str>>(row, 1)?.is_some() { found_key(row).map(Some) } else { Ok(None) }
}

fn page<T>(mut rows: Vec<T>, limit: u16) -> Page<T> {
    let more = rows.len() > usize::from(limit);
    rows.truncate(limit.into());
    Page { rows, more }
}
