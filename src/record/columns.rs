//! The columns of a key, once for all databases.

/// Calls a macro with each column of a key in the order of [`KeyRow`], and its type in typed databases: text, bytes, a
/// number, a time, words separated by blanks, or a JSON object.
macro_rules! with_key_columns {
    ($call:ident) => {
        $call! {
            organization: Text, id: Text, kind: Text, owner: Text, name: Text, labels: Json,
            hash: Text, tag: Tag, pepper_id: Number, proof: Bytes,
            scopes: Words, allowed_networks: Words, limits: Text,
            created_by: Text, created_via_key: Text, imported_from: Text, responsible: Text,
            created_at: Time, expires_at: Time, revoked_at: Time, revoked_by: Text, paused_at: Time, paused_by: Text,
            replaces: Text, lineage: Text, predecessor_expires_at: Time, grace_ends_at: Time,
            warned_end: Time, warned_before_ms: Number, version: Number
        }
    };
}

/// The columns of a key, as a list in SQL.
macro_rules! key_columns {
    () => { $crate::record::with_key_columns!(key_columns) };
    ($first:ident: $_:ident, $($name:ident: $__:ident),+) => { concat!(stringify!($first), $(", ", stringify!($name)),+) };
}

pub(crate) use {key_columns, with_key_columns};
