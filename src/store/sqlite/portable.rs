use super::{export::export, import::import, store::SqliteStore};
use crate::store::{Exported, Place, PortableStore, Rows, StoreError};

impl PortableStore for SqliteStore {
    async fn export(&self, from: &Place, limit: u16) -> Result<Exported, StoreError> {
        let from = from.clone();
        self.parts().lister.read(move |connection| export(connection, &from, limit)).await
    }

    async fn import(&self, rows: &Rows) -> Result<u64, StoreError> {
        let rows = rows.clone();
        self.parts().writer.write(move |connection| import(connection, &rows)).await
    }
}
