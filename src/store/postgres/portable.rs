//! Only the trait implementation; the work is in `export` and `import`.

use super::{
    export::export,
    import::import,
    session::transact,
    store::{Inner, PostgresStore},
};
use crate::store::{
    StoreError,
    transfer::{Batch, Cursor, Page, PortableStore},
};

/// An import of events needs the right to `update` the sequence that numbers them, which the owner of the tables has.
impl PortableStore for PostgresStore {
    async fn export(&self, from: &Cursor, limit: u16) -> Result<Page, StoreError> {
        Ok(export(&self.0.sessions, &self.0.sql, from, limit).await?)
    }

    async fn import(&self, rows: &Batch) -> Result<u64, StoreError> {
        let Inner { sql, sessions, .. } = &*self.0;
        let imported = transact(|| async {
            let session = sessions.begin(sql).await?;
            let imported = import(&session, sql, rows).await;
            session.end(imported).await
        });
        Ok(imported.await?)
    }
}
