//! Only the trait implementation; the work is in `export` and `import`.

use super::{export::export, import::import, store::SqliteStore};
use crate::store::{
    StoreError,
    transfer::{Batch, Cursor, Page, PortableStore},
};

impl PortableStore for SqliteStore {
    async fn export(&self, from: &Cursor, limit: u16) -> Result<Page, StoreError> {
        let from = from.clone();
        self.parts().lister.read(move |connection| export(connection, &from, limit)).await
    }

    async fn import(&self, rows: &Batch) -> Result<u64, StoreError> {
        let rows = rows.clone();
        self.parts().writer.write(move |connection| import(connection, &rows)).await
    }
}
