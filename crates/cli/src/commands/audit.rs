use std::time::Duration;

use clap::Args;
use futures_util::StreamExt;
use tower_api_keys::{
    KeyId, Owner, Timestamp,
    audit::{Action, Subject},
    manage::{AuditEntry, AuditQuery, ExportFormat},
    record::ActorId,
    usage::Source,
};

use super::sizes;
use crate::{
    arguments::values,
    exit::Exit,
    failure::Failure,
    open::Session,
    output::{Column, Screen, Table, counted, seconds},
};

/// How often new events are looked for with `--follow`.
const FOLLOW: Duration = Duration::from_secs(1);

/// Read the audit trail
#[derive(Args)]
pub(crate) struct Audit {
    /// Events about this key
    #[arg(long, value_name = "ID", value_parser = values::key_id)]
    key: Option<KeyId>,
    /// Events about this key, and about the keys before and after it in rotations; takes the id of the first
    #[arg(long, value_name = "ID", value_parser = values::key_id, conflicts_with = "key")]
    lineage: Option<KeyId>,
    /// Events about this owner and their keys
    #[arg(long, value_name = "user:ID|team:ID", value_parser = values::owner)]
    owner: Option<Owner>,
    /// Events by this actor: user:ID, key:ID or system:LABEL
    #[arg(long, value_name = "ACTOR")]
    actor: Option<ActorId>,
    /// Events of this action, such as key.revoked
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Events from this source, as the trail shows it
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Events of this time or later
    #[arg(long, value_name = "TIME", value_parser = values::earlier)]
    since: Option<Timestamp>,
    /// Events before this time
    #[arg(long, value_name = "TIME", value_parser = values::earlier)]
    until: Option<Timestamp>,
    /// The access log instead of the trail: each check of a key, if the service writes it
    #[arg(long)]
    attempts: bool,
    /// The oldest first
    #[arg(long)]
    oldest_first: bool,
    /// At most this many events
    #[arg(long, value_name = "NUMBER")]
    limit: Option<u64>,
    /// Wait for new events, and show them as they come
    #[arg(long, conflicts_with_all = ["oldest_first", "limit", "until", "csv"])]
    follow: bool,
    /// Write a table for spreadsheets
    #[arg(long, conflicts_with_all = ["limit", "json"])]
    csv: bool,
}

const COLUMNS: [Column; 6] = [
    Column::new("AT"),
    Column::at_most("BY", 30),
    Column::new("ACTION"),
    Column::at_most("ABOUT", 44),
    Column::at_most("FROM", 30),
    Column::at_most("CHANGE", 60),
];

impl Audit {
    /// Whether it runs until it is interrupted.
    pub(crate) const fn is_long(&self) -> bool {
        self.follow
    }

    pub(super) async fn run(&self, session: &Session, screen: &mut Screen) -> Result<Exit, Failure> {
        let query = self.query()?;
        if self.csv {
            let mut pieces = Box::pin(session.manager.trail_pieces(query, ExportFormat::Csv, &session.actor));
            while let Some(piece) = pieces.next().await {
                screen.bytes(&piece?)?;
            }
            return Ok(Exit::Done);
        }
        let mut reader = Reader { session, table: Table::new(COLUMNS), unreadable: 0, last: None };
        if self.follow {
            return reader.follow(query, self.since.is_some(), screen).await;
        }
        reader.read(query, self.limit.unwrap_or(u64::MAX), screen).await?;
        if !screen.is_json() {
            screen.line(counted(reader.table.rows(), "event", "events"))?;
        }
        match reader.unreadable {
            0 => Ok(Exit::Done),
            number => Err(Failure::unavailable(format!(
                "{} cannot be read, because the stored data is damaged.",
                counted(number, "event", "events")
            ))),
        }
    }

    fn query(&self) -> Result<AuditQuery, Failure> {
        let mut query = AuditQuery::all();
        if self.attempts {
            query = query.attempts();
        }
        if self.oldest_first {
            query = query.oldest_first();
        }
        if let Some(key) = self.key {
            query = query.of_key(key);
        }
        if let Some(first) = self.lineage {
            query = query.of_lineage(first);
        }
        if let Some(owner) = &self.owner {
            query = query.of(owner.clone());
        }
        if let Some(actor) = &self.actor {
            query = query.by(actor.clone());
        }
        if let Some(action) = &self.action {
            query = query.action(Action::from(action.as_str()));
        }
        if let Some(source) = &self.source {
            // The trail has a source as one line, and finds it by the whole of it.
            query = query.source(Source::new(source).map_err(|error| Failure::option("--source", &error))?);
        }
        if let Some(time) = self.since {
            query = query.from(time);
        }
        if let Some(time) = self.until {
            query = query.until(time);
        }
        Ok(query)
    }
}

/// Reads the trail page by page.
struct Reader<'a> {
    session: &'a Session,
    table: Table<6>,
    unreadable: u64,
    /// The sequence number of the newest event that was shown.
    last: Option<i64>,
}

impl Reader<'_> {
    /// Shows at most this many events.
    async fn read(&mut self, query: AuditQuery, most: u64, screen: &mut Screen) -> Result<(), Failure> {
        let (mut next_size, mut after, mut left) = (sizes(), self.last, most);
        while left > 0 {
            let size = next_size().min(u16::try_from(left).unwrap_or(u16::MAX));
            let mut page = query.clone().limit(size);
            if let Some(sequence) = after {
                page = page.after(sequence);
            }
            let page = self.session.manager.events(page, &self.session.actor).await?;
            left = left.saturating_sub(page.entries.len() as u64);
            self.last = self.last.max(page.entries.iter().map(|entry| entry.event.sequence).max());
            self.unreadable += page.unreadable;
            if screen.is_json() {
                page.entries.iter().try_for_each(|entry| screen.document(entry))?;
            } else {
                self.table.page(&page.entries.iter().map(row).collect::<Vec<_>>(), screen)?;
            }
            screen.flush()?;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Shows what comes, after what has come since a time if one was given.
    async fn follow(&mut self, query: AuditQuery, from_the_past: bool, screen: &mut Screen) -> Result<Exit, Failure> {
        if !from_the_past {
            let newest = self.session.manager.events(query.clone().limit(1), &self.session.actor).await?;
            self.last = Some(newest.entries.first().map_or(0, |entry| entry.event.sequence));
        }
        let query = query.oldest_first();
        loop {
            self.read(query.clone(), u64::MAX, screen).await?;
            tokio::time::sleep(FOLLOW).await;
        }
    }
}

fn row(entry: &AuditEntry) -> [String; 6] {
    let event = &entry.event;
    let about = match &event.subject {
        Subject::Key(id, owner) => format!("{id} of {owner}"),
        Subject::Owner(owner) => owner.to_string(),
        // The only other subject.
        _ => format!("organization {}", event.organization),
    };
    let by = match &entry.on_behalf_of {
        Some(owner) => format!("{} of {owner}", event.actor),
        None => event.actor.to_string(),
    };
    let change = match (&event.before, &event.after) {
        (Some(before), Some(after)) => format!("{before} → {after}"),
        (Some(before), None) => format!("{before} →"),
        (None, Some(after)) => after.clone(),
        (None, None) => String::new(),
    };
    [seconds(event.at), by, event.action.to_string(), about, event.source.clone().unwrap_or_default(), change]
}
