//! A separate error, so that the watch and the errors of the store do not depend on each other.

use std::{io, path::PathBuf};

use crate::store::StoreError;

/// Why the files that SQLite has open may not be those that others find under their names.
#[derive(Debug, thiserror::Error)]
pub(super) enum Doubt {
    #[error(transparent)]
    Lost(Loss),
    #[error("cannot find out whether `{}` is still the file that this service opened", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    #[error("cannot find out whether the database file is still the one that this service opened")]
    Unread(#[source] StoreError),
}

/// What happened to one of the files. The database has to be opened again.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Loss {
    #[error(
        "a program other than SQLite emptied or shortened `{}` while this service used it, and the last changes are \
         lost: stop the service, restore a backup, and start again", .0.display()
    )]
    Cut(PathBuf),
    #[error(
        "a program other than SQLite wrote to `{}` while this service used it: stop the service, restore a backup, \
         and start again", .0.display()
    )]
    Overwritten(PathBuf),
    #[error("`{}` was removed while this service used it: restart the service", .0.display())]
    Removed(PathBuf),
    #[error("`{}` was replaced while this service used it: restart the service", .0.display())]
    Replaced(PathBuf),
}
