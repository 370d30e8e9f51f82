//! The audit trail as a table or lines of JSON.

mod column;

use std::{borrow::Cow, io};

use bytes::Bytes;
use futures_util::Stream;

use crate::{
    audit::Action,
    manage::{
        access::Access,
        actor::Actor,
        error::ManageError,
        inventory::{ExportError, ExportFormat, Lines, Pieces, table},
        manager::KeyManager,
        names::{Mentions, Names, Naming},
        policy::KeyAction,
        trail::{
            query::{AuditEntry, AuditQuery, EventPage},
            read::TrailPart,
        },
    },
};

pub use column::TrailColumn;

/// How many events an export holds in memory at a time.
const EVENTS_PER_PIECE: u16 = 500;

/// What an export of the audit trail contained. It serializes.
///
/// ```
/// use tower_api_keys::manage::TrailExport;
///
/// fn is_whole(exported: &TrailExport) -> bool {
///     exported.unreadable == 0 && exported.names_complete
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct TrailExport {
    /// How many events.
    pub events: u64,
    /// How many events are missing because they cannot be read.
    pub unreadable: u64,
    /// Whether the [`Directory`](crate::manage::Directory) answered about all people and teams, as in
    /// [`Names::is_complete`](crate::manage::Names::is_complete).
    pub names_complete: bool,
}

/// An export without events.
impl Default for TrailExport {
    fn default() -> Self {
        Self { events: 0, unreadable: 0, names_complete: true }
    }
}

impl KeyManager {
    /// Writes the audit trail, in pieces of 500 events: all pages that [`events`](Self::events) would read, from where
    /// the query begins, whatever its limit.
    ///
    /// The trail records the export ([`TRAIL_EXPORTED`](crate::audit::Action::TRAIL_EXPORTED)) before anything is
    /// written: what cannot be recorded is not exported. The writer is used as by
    /// [`export_inventory`](Self::export_inventory); [`trail_pieces`](Self::trail_pieces) leaves writing to the caller.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// # let actor = tower_api_keys::Actor::system("first start")?;
    /// # manager.issue(tower_api_keys::IssueKey::team("blue".parse()?), &actor).await?;
    /// use tower_api_keys::manage::{AuditQuery, ExportFormat};
    ///
    /// let mut table = Vec::new();
    /// let query = AuditQuery::all().oldest_first();
    /// let exported = manager.export_trail(query, ExportFormat::Csv, &mut table, &actor).await?;
    /// assert_eq!(exported.events, 2); // the key that was issued, and this export
    /// assert!(table.starts_with(b"sequence,at,actor,action,"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ExportError`]: as for [`events`](Self::events), outcome unknown (whether the trail recorded it: nothing was
    /// exported), or an error of the writer.
    pub async fn export_trail<W: io::Write + Send + ?Sized>(
        &self,
        query: AuditQuery,
        format: ExportFormat,
        writer: &mut W,
        actor: &Actor,
    ) -> Result<TrailExport, ExportError> {
        TrailPieces::new(self.clone(), query, format, actor.clone()).write(writer).await
    }

    /// The same text as a stream, for the body of a response, like that of
    /// [`inventory_pieces`](Self::inventory_pieces): each piece checks first whether the actor may have it, the result
    /// of the first check is the first item, and only the last piece ends with the end of a line.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// # let actor = tower_api_keys::Actor::system("first start")?;
    /// use futures_util::TryStreamExt;
    /// use tower_api_keys::manage::{AuditQuery, ExportFormat};
    ///
    /// let lines = manager.trail_pieces(AuditQuery::all(), ExportFormat::JsonLines, &actor);
    /// let lines: Vec<_> = lines.try_collect().await?;
    /// assert!(lines.concat().ends_with(b"}\n")); // the event of this export
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): as for [`events`](Self::events), or outcome unknown, as the
    /// last item.
    pub fn trail_pieces(
        &self,
        query: AuditQuery,
        format: ExportFormat,
        actor: &Actor,
    ) -> impl Stream<Item = Result<Bytes, ManageError>> + Send + use<> {
        TrailPieces::new(self.clone(), query, format, actor.clone()).stream()
    }
}

/// An export in progress.
struct TrailPieces {
    manager: KeyManager,
    actor: Actor,
    query: AuditQuery,
    format: ExportFormat,
    place: Place,
    lines: Lines,
    exported: TrailExport,
}

#[derive(PartialEq, Eq)]
enum Place {
    Beginning,
    End,
    Within,
}

impl TrailPieces {
    fn new(manager: KeyManager, query: AuditQuery, format: ExportFormat, actor: Actor) -> Self {
        let (place, exported) = (Place::Beginning, TrailExport::default());
        Self { manager, actor, query, format, place, lines: Lines::new(format), exported }
    }
}

impl Pieces for TrailPieces {
    type Exported = TrailExport;

    async fn next(&mut self) -> Result<Option<Bytes>, ManageError> {
        if self.place == Place::End {
            return Ok(None);
        }
        // Checked for each piece: an actor that may no longer act gets no more.
        let access = self.manager.acting(&self.actor, &[KeyAction::Audit]).await?;
        let parts = access.parts_of_trail(&self.query).await?;
        let is_first = self.place == Place::Beginning;
        if is_first {
            self.query.limit = EVENTS_PER_PIECE;
            self.tell(&access, &parts).await?;
        }
        // Each piece has its own time limit for names.
        let mut naming = access.parts.naming();
        let page = access.page_of_events(&self.query, &parts, &mut naming).await?;
        let lines = lines(self.format, is_first, &page, &naming).map_err(ManageError::corrupt)?;
        let piece = self.lines.piece(lines, page.next.is_none());
        self.exported.events += page.entries.len() as u64;
        self.exported.unreadable += page.unreadable;
        self.exported.names_complete &= page.names.is_complete();
        self.query.after = page.next.or(self.query.after);
        self.place = if page.next.is_none() { Place::End } else { Place::Within };
        Ok(Some(piece))
    }

    fn exported(self) -> TrailExport {
        self.exported
    }
}

impl TrailPieces {
    async fn tell(&self, access: &Access<'_>, parts: &[TrailPart]) -> Result<(), ManageError> {
        let about = parts.iter().map(|part| part.about.clone()).collect();
        let said = serde_json::json!({ "format": self.format.extension(), "attempts": self.query.attempts });
        access.tell_of_export(Action::TRAIL_EXPORTED, about, said.to_string()).await
    }
}

fn lines(format: ExportFormat, is_first: bool, page: &EventPage, naming: &Naming) -> io::Result<Vec<u8>> {
    match format {
        ExportFormat::Csv => {
            let head = is_first.then(|| TrailColumn::ALL.map(|column| Cow::Borrowed(column.as_str())));
            let rows = page.entries.iter().map(|entry| TrailColumn::ALL.map(|column| column.cell(entry, naming)));
            table(head.into_iter().chain(rows))
        }
        ExportFormat::JsonLines => json_lines(page, naming),
    }
}

/// An entry with the names of its own people and teams, so that each line can be read alone.
#[derive(serde::Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    entry: &'a AuditEntry,
    names: Names,
}

fn json_lines(page: &EventPage, naming: &Naming) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for entry in &page.entries {
        let mut mentions = Mentions::default();
        entry.mention(&mut mentions);
        serde_json::to_writer(&mut lines, &Line { entry, names: naming.of(&mentions) })?;
        lines.push(b'\n');
    }
    Ok(lines)
}
