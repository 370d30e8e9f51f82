use std::io;

use bytes::Bytes;
use futures_util::Stream;

use super::{
    export::{ExportError, ExportFormat, InventoryExport, Lines, Pieces},
    query::InventoryQuery,
};
use crate::{
    audit::Action,
    manage::{actor::Actor, error::ManageError, manager::KeyManager, policy::KeyAction},
    store::{KeyCursor, KeyQuery},
    time::Timestamp,
};

/// Keys that an export holds in memory at a time.
const KEYS_PER_PIECE: u16 = 500;

impl KeyManager {
    /// Writes the inventory, in pieces of 500 keys: all pages, from where the query begins, whatever its limit. Nothing
    /// in it is secret: no hash, no tag and no text of a key.
    ///
    /// The writer is written to between reads of the store, in the task that called: one that waits, such as a file on a
    /// network, holds up that thread meanwhile; [`inventory_pieces`](Self::inventory_pieces) leaves that to the caller.
    /// It is flushed at the end. What ended before is told by the end of the text as it is there. How far its counts go is not
    /// in the text, where each line is a key, but in the answer; and so is whether a query for those who left lacks keys,
    /// because the [`Directory`](crate::manage::Directory) did not answer. It has half a second for each piece.
    ///
    /// The audit trail tells of it ([`INVENTORY_EXPORTED`](crate::audit::Action::INVENTORY_EXPORTED)) before anything is
    /// written: what cannot be told there is not exported.
    ///
    /// # Errors
    /// [`ExportError`]: as for [`inventory`](Self::inventory), outcome unknown (whether the trail tells of it: nothing was
    /// exported), or what the writer says.
    pub async fn export_inventory<W: io::Write + Send + ?Sized>(
        &self,
        query: InventoryQuery,
        format: ExportFormat,
        writer: &mut W,
        actor: &Actor,
    ) -> Result<InventoryExport, ExportError> {
        InventoryPieces::new(self.clone(), query, format, actor.clone()).write(writer).await
    }

    /// The same text as a stream, for the body of a response: a piece for each 500 keys, read when it is asked for and
    /// not before, so that a slow client holds up nobody and costs no memory. It borrows nothing. An empty piece comes
    /// where 5,000 keys were looked at and none was asked for.
    ///
    /// Whether the actor may have it is asked before each piece; its first answer is the first item, and by then the audit trail
    /// tells of the export. To answer with 403 instead of breaking off a 200, take the first item before the status is sent.
    ///
    /// An export that breaks off must not be taken for all keys. The last item is then an error, which makes an HTTP
    /// server break off the body, so that the client sees a transfer that failed. The text says it, too: only the last
    /// piece ends with the end of a line. A table or lines of JSON without it at their end are not all keys; an export
    /// of lines of JSON without any key is empty. Keys whose stored records cannot be read are missing;
    /// [`inventory_summary`](Self::inventory_summary) counts them, and says how far counts of use go. Each line says whether
    /// the [`Directory`](crate::manage::Directory) answered about its key; that a query for those who left lacks keys, no line
    /// can say: take all keys, and those of the lines with the flag, or [`export_inventory`](Self::export_inventory).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
    /// # let actor = tower_api_keys::Actor::system("first start")?;
    /// # manager.issue(tower_api_keys::IssueKey::team("blue".parse()?), &actor).await?;
    /// use futures_util::{StreamExt, TryStreamExt, stream};
    /// use tower_api_keys::manage::{ExportFormat, InventoryQuery};
    ///
    /// let mut pieces = Box::pin(manager.inventory_pieces(InventoryQuery::all(), ExportFormat::Csv, &actor));
    /// let Some(first) = pieces.next().await.transpose()? else { unreachable!("a table has a line of names") };
    /// // The status is 200 from here on. With axum: `Body::from_stream(body)`.
    /// let body = stream::iter([Ok(first)]).chain(pieces);
    /// let table: Vec<_> = body.try_collect().await?;
    /// assert!(table.concat().starts_with(b"id,kind,owner,") && table.concat().ends_with(b"\r\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): as for [`inventory`](Self::inventory), or outcome unknown, as the last
    /// item.
    pub fn inventory_pieces(
        &self,
        query: InventoryQuery,
        format: ExportFormat,
        actor: &Actor,
    ) -> impl Stream<Item = Result<Bytes, ManageError>> + Send + use<> {
        InventoryPieces::new(self.clone(), query, format, actor.clone()).stream()
    }
}

/// An export on its way.
struct InventoryPieces {
    manager: KeyManager,
    actor: Actor,
    query: InventoryQuery,
    format: ExportFormat,
    place: Place,
    /// The time of the whole export, once it has begun.
    asked_at: Option<Timestamp>,
    lines: Lines,
    exported: InventoryExport,
}

enum Place {
    Beginning,
    After(KeyCursor),
    End,
}

impl InventoryPieces {
    fn new(manager: KeyManager, query: InventoryQuery, format: ExportFormat, actor: Actor) -> Self {
        let (place, exported) = (Place::Beginning, InventoryExport::default());
        Self { manager, actor, query, format, place, asked_at: None, lines: Lines::new(format), exported }
    }
}

impl Pieces for InventoryPieces {
    type Exported = InventoryExport;

    async fn next(&mut self) -> Result<Option<Bytes>, ManageError> {
        // Each time: who may not act any more gets no more of it.
        let access = match self.place {
            Place::End => return Ok(None),
            Place::Beginning | Place::After(_) => self.manager.acting(&self.actor, &[KeyAction::SeeUsage]).await?,
        };
        let mut question = access.question(&self.query).await?;
        if self.asked_at.is_none() {
            // Those of the first piece are the oldest.
            self.exported.counted = access.counted;
            let said = serde_json::json!({ "format": self.format.extension() }).to_string();
            access.tell_of_export(Action::INVENTORY_EXPORTED, question.reach.subjects(), said).await?;
        }
        question.now = *self.asked_at.get_or_insert(question.now);
        let mut asked = KeyQuery { limit: KEYS_PER_PIECE, ..access.inventory_query(&self.query)? };
        if let Place::After(cursor) = self.place {
            asked.after = Some(cursor);
        }
        // A piece is an answer of its own.
        let mut naming = access.parts.naming();
        let page = access.look(&question, asked, &mut naming).await?;
        let head = if matches!(self.place, Place::Beginning) { self.format.head() } else { Ok(Vec::new()) };
        let mut text = head.map_err(ManageError::corrupt)?;
        text.extend(self.format.lines(&page.entries, &naming).map_err(ManageError::corrupt)?);
        let piece = self.lines.piece(text, page.next.is_none());
        self.exported.keys += page.entries.len() as u64;
        self.exported.unreadable += page.unreadable.len() as u64;
        self.exported.names_complete &= page.names.is_complete();
        self.place = page.next.map_or(Place::End, Place::After);
        Ok(Some(piece))
    }

    fn exported(self) -> InventoryExport {
        self.exported
    }
}
