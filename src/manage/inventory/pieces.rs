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

/// How many keys an export holds in memory at a time.
const KEYS_PER_PIECE: u16 = 500;

impl KeyManager {
    /// Writes the inventory, in pieces of 500 keys: all pages, from where the query begins, whatever its limit. The
    /// text contains no secret: no hash, no tag and no text of a key.
    ///
    /// The writer is called between reads of the store, in the caller's task: one that blocks, such as a file on a
    /// network, blocks that thread meanwhile; [`inventory_pieces`](Self::inventory_pieces) leaves writing to the
    /// caller. The writer is flushed at the end. The end of the text shows whether it is complete, as described there.
    /// The text has one line per key, so two facts are only in the answer: until when usage is counted, and whether a
    /// query for people who left lacks keys because the [`Directory`](crate::manage::Directory) did not answer. The
    /// directory has half a second for each piece.
    ///
    /// The audit trail records the export ([`INVENTORY_EXPORTED`](crate::audit::Action::INVENTORY_EXPORTED)) before
    /// anything is written: what cannot be recorded is not exported.
    ///
    /// # Errors
    /// [`ExportError`]: as for [`inventory`](Self::inventory), outcome unknown (whether the trail recorded it: nothing
    /// was exported), or an error of the writer.
    pub async fn export_inventory<W: io::Write + Send + ?Sized>(
        &self,
        query: InventoryQuery,
        format: ExportFormat,
        writer: &mut W,
        actor: &Actor,
    ) -> Result<InventoryExport, ExportError> {
        InventoryPieces::new(self.clone(), query, format, actor.clone()).write(writer).await
    }

    /// The same text as a stream, for the body of a response. Each piece of 500 keys is read only when it is asked for,
    /// so a slow client blocks no other request and costs no memory. The stream borrows nothing. A piece is empty where
    /// 5,000 keys were looked at and none matched.
    ///
    /// Each piece checks first whether the actor may have it. The result of the first check is the first item, and by
    /// then the audit trail has recorded the export. To answer with 403 instead of breaking off a 200, take the first
    /// item before you send the status.
    ///
    /// An export that breaks off must not be taken for all keys. The last item is then an error, which makes an HTTP
    /// server break off the body, so that the client sees a failed transfer. The text shows it, too: only the last
    /// piece ends with the end of a line. A table or lines of JSON without it are not complete; an export of lines of
    /// JSON without any key is empty. Keys whose stored records cannot be read are missing;
    /// [`inventory_summary`](Self::inventory_summary) counts them, and says until when usage is counted. Each line says
    /// whether the [`Directory`](crate::manage::Directory) answered about its key. No line can say that a query for
    /// people who left lacks keys: for that, export all keys and select the lines with the flag, or use
    /// [`export_inventory`](Self::export_inventory).
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
    /// // Now the status is 200. With axum: `Body::from_stream(body)`.
    /// let body = stream::iter([Ok(first)]).chain(pieces);
    /// let table: Vec<_> = body.try_collect().await?;
    /// assert!(table.concat().starts_with(b"id,kind,owner,") && table.concat().ends_with(b"\r\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): as for [`inventory`](Self::inventory), or outcome unknown,
    /// as the last item.
    pub fn inventory_pieces(
        &self,
        query: InventoryQuery,
        format: ExportFormat,
        actor: &Actor,
    ) -> impl Stream<Item = Result<Bytes, ManageError>> + Send + use<> {
        InventoryPieces::new(self.clone(), query, format, actor.clone()).stream()
    }
}

/// An export in progress.
struct InventoryPieces {
    manager: KeyManager,
    actor: Actor,
    query: InventoryQuery,
    format: ExportFormat,
    place: Place,
    /// The time of the whole export, set by the first piece.
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
        // Checked for each piece: an actor that may no longer act gets no more.
        let access = match self.place {
            Place::End => return Ok(None),
            Place::Beginning | Place::After(_) => self.manager.acting(&self.actor, &[KeyAction::SeeUsage]).await?,
        };
        let mut question = access.question(&self.query).await?;
        if self.asked_at.is_none() {
            // The counts of the first piece are the oldest.
            self.exported.counted = access.counted;
            let said = serde_json::json!({ "format": self.format.extension() }).to_string();
            access.tell_of_export(Action::INVENTORY_EXPORTED, question.reach.subjects(), said).await?;
        }
        question.now = *self.asked_at.get_or_insert(question.now);
        let mut asked = KeyQuery { limit: KEYS_PER_PIECE, ..access.inventory_query(&self.query)? };
        if let Place::After(cursor) = self.place {
            asked.after = Some(cursor);
        }
        // Each piece has its own time limit for names.
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
