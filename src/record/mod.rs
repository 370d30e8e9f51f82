//! What is kept about a key: [`KeyRecord`], its parts, and the plain rows in which stores keep it.

mod actor_id;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod columns;
mod end_warnings;
mod key_record;
mod labels;
mod name;
mod name_part;
mod new_keys;
mod owner_status;
mod responsible;
mod row;
mod row_debug;
mod standing;

pub use actor_id::{ActorId, InvalidActorId, SystemLabel};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) use columns::{key_columns, with_key_columns};
pub(crate) use end_warnings::EndWarnings;
pub use key_record::{KeyRecord, Pause, Revocation};
pub(crate) use key_record::{Reserved, Rotated, Warned};
pub use labels::{InvalidLabels, Labels};
pub use name::{InvalidName, KeyName};
#[cfg(feature = "sqlite")]
pub(crate) use name_part::has_part;
pub use name_part::{InvalidNamePart, NamePart};
pub(crate) use new_keys::NewKeys;
pub(crate) use owner_status::Stopped;
pub use owner_status::{OwnerStatus, OwnerStatusRow, Suspension};
pub use responsible::{InvalidResponsible, Responsible};
pub(crate) use row::labels_text;
pub use row::{CorruptRow, KeyRow};
pub(crate) use standing::{Standing, before_its_end, standing};
