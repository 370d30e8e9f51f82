//! Checks once, before a node starts, whether it has the peppers of the other nodes of its store.

use super::setup_error::{Cause, SetupError};
use crate::{
    hash::Hasher,
    log::log,
    store::{Calls, KeyStore, PeppersInUse, StoreErrorKind},
};

/// Compares this node's peppers with those of other nodes, and tells them which pepper this node makes keys with.
pub(super) async fn compare<S: KeyStore>(store: &Calls<S>, hasher: &Hasher) -> Result<(), SetupError> {
    for (id, value) in hasher.key_check_values() {
        let name = format!("pepper {}", id.as_u32());
        let stands = store.put_meta_if_absent(&name, &value).await.map_err(Cause::Store)?;
        if stands != value {
            return Err(Cause::WrongPepper(id).into());
        }
    }
    let known = hasher.peppers();
    let in_use = match PeppersInUse::of(store).await {
        Ok(in_use) => in_use,
        // The node starts while the store is down, and asks again before it makes a key.
        Err(error) if !known.any() && is_down(error.kind()) => {
            let _error = &error as &dyn std::error::Error;
            log!(
                warn,
                error = _error,
                "the store did not answer whether its keys need a pepper, and this node has none"
            );
            return Ok(());
        }
        Err(error) => return Err(Cause::Store(error).into()),
    };
    if let Some(missing) = in_use.missing(known) {
        return Err(Cause::MissingPepper(missing).into());
    }
    for _id in in_use.unknown(known) {
        log!(
            warn,
            pepper = _id.as_u32(),
            "this node does not have a pepper that keys were hashed with: those keys, if any are left, get 503 on \
             this node"
        );
    }
    if let Some(id) = known.current_id() {
        in_use.add(id, store).await.map_err(Cause::Store)?;
    }
    Ok(())
}

/// Whether the read of the note was not answered. A read changes nothing, so an unknown outcome means only that.
const fn is_down(kind: StoreErrorKind) -> bool {
    matches!(kind, StoreErrorKind::OutcomeUnknown | StoreErrorKind::Unavailable)
}
