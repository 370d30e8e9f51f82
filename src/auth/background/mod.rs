//! Work beside the requests: writes usage, prunes old rows, warns of ending keys, writes the access log, improves
//! hashes.

mod access_log;
mod ends;
mod flush;
mod prune;
mod upkeep;
mod witness;

pub(super) use access_log::Tried;
pub(crate) use access_log::{AccessLog, AccessLogWriter};
pub(crate) use ends::EndTeller;
pub(crate) use flush::UsageFlusher;
pub(crate) use prune::{Keep, Pruner};
pub(crate) use upkeep::{StoreUpkeep, Upkeep};
