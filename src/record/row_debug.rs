//! In a file of its own because of its length. The derived `Debug` would print the tag; from it, a reader of a log
//! could make texts that match it.

use std::fmt;

use super::KeyRow;

impl fmt::Debug for KeyRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Each column by name, so that a new one is printed or left out on purpose.
        let Self {
            organization,
            id,
            kind,
            owner,
            name,
            labels,
            hash: _,
            tag: _,
            pepper_id,
            proof: _,
            scopes,
            allowed_networks,
            limits,
            created_by,
            created_via_key,
            imported_from,
            responsible,
            created_at,
            expires_at,
            revoked_at,
            revoked_by,
            paused_at,
            paused_by,
            replaces,
            lineage,
            predecessor_expires_at,
            grace_ends_at,
            warned_end,
            warned_before_ms,
            version,
        } = self;
        let redacted = format_args!("[REDACTED]");
        f.debug_struct("KeyRow")
            .field("organization", organization)
            .field("id", id)
            .field("kind", kind)
            .field("owner", owner)
            .field("name", name)
            .field("labels", labels)
            .field("hash", &redacted)
            .field("tag", &redacted)
            .field("pepper_id", pepper_id)
            .field("proof", &redacted)
            .field("scopes", scopes)
            .field("allowed_networks", allowed_networks)
            .field("limits", limits)
            .field("created_by", created_by)
            .field("created_via_key", created_via_key)
            .field("imported_from", imported_from)
            .field("responsible", responsible)
            .field("created_at", created_at)
            .field("expires_at", expires_at)
            .field("revoked_at", revoked_at)
            .field("revoked_by", revoked_by)
            .field("paused_at", paused_at)
            .field("paused_by", paused_by)
            .field("replaces", replaces)
            .field("lineage", lineage)
            .field("predecessor_expires_at", predecessor_expires_at)
            .field("grace_ends_at", grace_ends_at)
            .field("warned_end", warned_end)
            .field("warned_before_ms", warned_before_ms)
            .field("version", version)
            .finish()
    }
}
