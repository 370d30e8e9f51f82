//! A store with one column too narrow, as in a database: a strict one refuses a value that does not fit, another one
//! cuts it.

use std::future::pending;

use tower_api_keys::{
    audit::EventRow,
    record::KeyRow,
    store::{
        Applied, COLUMNS, Change, Changes, Head, KeyReader, KeyStore, Ledger, MemoryStore, OwnerRef, StoreError, Write,
    },
    usage::{UsageBatch, UsageRow},
};

use super::wrapped::{Fake, Wrapped};

/// The unit of a column's width, and the width.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Width {
    Bytes(usize),
    Characters(usize),
}

/// What happens to a text that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Cuts,
    Refuses,
}

/// A correct store behind a column that is too narrow.
pub(crate) type NarrowStore = Wrapped<Narrow>;

pub(crate) struct Narrow {
    pub(crate) sound: MemoryStore,
    table: &'static str,
    column: &'static str,
    width: Width,
    manner: Manner,
}

impl NarrowStore {
    pub(crate) fn new(table: &'static str, column: &'static str, width: Width, manner: Manner) -> Self {
        Self(Narrow { sound: MemoryStore::new(), table, column, width, manner })
    }

    /// A column with one character less than the longest value.
    pub(crate) fn by_a_character(table: &'static str, column: &'static str, manner: Manner) -> Self {
        let longest = COLUMNS.iter().find(|one| (one.table, one.name) == (table, column)).unwrap().longest;
        Self::new(table, column, Width::Characters(longest.characters() - 1), manner)
    }
}

impl Narrow {
    fn fit(&self, table: &str, column: &str, text: &mut String) -> Result<(), StoreError> {
        if (table, column) != (self.table, self.column) {
            return Ok(());
        }
        let fits = |text: &str| match self.width {
            Width::Bytes(most) => text.len() <= most,
            Width::Characters(most) => text.chars().count() <= most,
        };
        if fits(text) {
            return Ok(());
        }
        if self.manner == Manner::Refuses {
            return Err(StoreError::refused(format!("too long for the column {column}")));
        }
        while !fits(text) {
            text.pop();
        }
        Ok(())
    }

    fn fit_all<'a>(
        &self,
        table: &str,
        texts: impl IntoIterator<Item = (&'static str, Option<&'a mut String>)>,
    ) -> Result<(), StoreError> {
        let mut texts = texts.into_iter().filter_map(|(column, text)| text.map(|text| (column, text)));
        texts.try_for_each(|(column, text)| self.fit(table, column, text))
    }

    fn fit_key(&self, row: &mut KeyRow) -> Result<(), StoreError> {
        self.fit_all(
            "api_keys",
            [
                ("organization", Some(&mut row.organization)),
                ("owner", Some(&mut row.owner)),
                ("name", Some(&mut row.name)),
                ("labels", Some(&mut row.labels)),
                ("hash", Some(&mut row.hash)),
                ("scopes", Some(&mut row.scopes)),
                ("limits", row.limits.as_mut()),
                ("created_by", Some(&mut row.created_by)),
                ("responsible", row.responsible.as_mut()),
                ("revoked_by", row.revoked_by.as_mut()),
            ],
        )
    }

    fn fit_event(&self, row: &mut EventRow) -> Result<(), StoreError> {
        self.fit_all(
            "api_key_events",
            [
                ("organization", Some(&mut row.organization)),
                ("actor", Some(&mut row.actor)),
                ("action", Some(&mut row.action)),
                ("owner", Some(&mut row.owner)),
                ("before", row.before.as_mut()),
                ("after", row.after.as_mut()),
                ("source", row.source.as_mut()),
            ],
        )
    }

    fn fit_usage(&self, row: &mut UsageRow) -> Result<(), StoreError> {
        self.fit_all(
            "api_key_usage",
            [
                ("organization", row.organization.as_mut()),
                ("outcome", Some(&mut row.outcome)),
                ("label", Some(&mut row.label)),
                ("client", Some(&mut row.client)),
                ("network", Some(&mut row.network)),
            ],
        )
    }

    /// The owner of a status, as stored in the table of owners.
    fn fit_owner(&self, owner: &OwnerRef) -> Result<OwnerRef, StoreError> {
        let (mut organization, mut id) = (owner.organization.as_str().to_owned(), owner.owner.id().to_owned());
        self.fit_all("api_key_owners", [("organization", Some(&mut organization)), ("id", Some(&mut id))])?;
        let owner = tower_api_keys::Owner::new(owner.owner.kind(), id).unwrap();
        Ok(OwnerRef { organization: organization.parse().unwrap(), owner })
    }
}

impl Fake for Narrow {
    type Store = MemoryStore;

    fn store(&self) -> &MemoryStore {
        &self.sound
    }

    async fn changes_since(&self, head: Option<Head>) -> Result<Changes, StoreError> {
        let mut changes = self.sound.changes_since(head).await?;
        if let Changes::Changed { owners, .. } = &mut changes {
            for owner in owners {
                let mut id = owner.owner.id().to_owned();
                self.fit("api_key_log", "owner", &mut id)?;
                owner.owner = tower_api_keys::Owner::new(owner.owner.kind(), id).unwrap();
            }
        }
        Ok(changes)
    }

    fn try_head(&self) -> Option<Head> {
        None
    }

    async fn wait_for_change(&self, _: Head) {
        pending().await
    }

    async fn apply(&self, change: &Change) -> Result<Applied, StoreError> {
        let mut change = change.clone();
        if let Some(request) = &mut change.idempotency {
            self.fit("api_key_changes", "idempotency_key", &mut request.key)?;
        }
        for audited in &mut change.writes {
            self.fit_event(&mut audited.event)?;
            match &mut audited.write {
                Write::Insert(row) => self.fit_key(row)?,
                Write::Owner(owner, _) => *owner = self.fit_owner(owner)?,
                _ => {}
            }
        }
        self.sound.apply(&change).await
    }

    async fn put_meta_if_absent(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut name = name.to_owned();
        self.fit("api_key_meta", "name", &mut name)?;
        self.sound.put_meta_if_absent(&name, value).await
    }

    async fn replace_note(&self, name: &str, old: &[u8], new: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut name = name.to_owned();
        self.fit("api_key_notes", "name", &mut name)?;
        self.sound.replace_note(&name, old, new).await
    }

    async fn record_usage(&self, batch: &UsageBatch) -> Result<(), StoreError> {
        let mut batch = batch.clone();
        batch.rows.iter_mut().try_for_each(|row| self.fit_usage(row))?;
        self.sound.record_usage(&batch).await
    }

    async fn append_events(&self, events: &[EventRow]) -> Result<(), StoreError> {
        let mut events = events.to_vec();
        events.iter_mut().try_for_each(|event| self.fit_event(event))?;
        self.sound.append_events(&events).await
    }
}
