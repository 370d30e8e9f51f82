use super::{
    export::export,
    import::import,
    session::transact,
    store::{Inner, PostgresStore},
};
use crate::store::{Exported, Place, PortableStore, Rows, StoreError};

/// An import of events needs the right to `update` the sequence that numbers them, which the owner of the tables has.
impl PortableStore for PostgresStore {
    async fn export(&self, from: &Place, limit: u16) -> Result<Exported, StoreError> {
        Ok(export(&self.0.sessions, &self.0.sql, from, limit).await?)
    }

    async fn import(&self, rows: &Rows) -> Result<u64, StoreError> {
        let Inner { sql, sessions, .. } = &*self.0;
        let imported = transact(|| async {
            let session = sessions.begin(sql).await?;
            let imported = import(&session, sql, rows).await;
            session.end(imported).await
        });
        Ok(imported.await?)
    }
}
