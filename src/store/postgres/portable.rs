use super::{export::export, import::import, store::PostgresStore};
use crate::store::{Exported, Place, PortableStore, Rows, StoreError};

/// An import of events needs the right to `update` the sequence that numbers them, which the owner of the tables has.
impl PortableStore for PostgresStore {
    async fn export(&self, from: &Place, limit: u16) -> Result<Exported, StoreError> {
        self.transact(false, async |transaction, sql| export(transaction, sql, from, limit).await).await
    }

    async fn import(&self, rows: &Rows) -> Result<u64, StoreError> {
        self.transact(true, async |transaction, sql| import(transaction, sql, rows).await).await
    }
}
