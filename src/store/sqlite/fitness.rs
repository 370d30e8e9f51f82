use std::path::{Path, PathBuf};

use super::files::{Files, Stat, stat};
use crate::log::log;

/// Why the files are not opened.
#[derive(Debug)]
pub(super) enum Unfit {
    /// The database file has this number of names. SQLite puts the log beside the name, so two names have two logs.
    Linked(u64),
    /// This process may not write to it.
    ReadOnly(PathBuf),
    /// Every user may write to it.
    WritableByOthers(PathBuf),
}

/// Checks whether the files may be opened, before SQLite opens them: SQLite would open a file that it can only read,
/// and fail at the first change.
pub(super) fn check(files: &Files) -> Result<(), Unfit> {
    for (path, stat) in files.existing() {
        if stat.mode & 0o002 != 0 {
            return Err(Unfit::WritableByOthers(path.to_owned()));
        }
        if is_read_only(path, &stat) {
            return Err(Unfit::ReadOnly(path.to_owned()));
        }
        if path == files.database && stat.names > 1 {
            return Err(Unfit::Linked(stat.names));
        }
        warn_of_others(path, &stat);
    }
    warn_of_folder(&files.database);
    Ok(())
}

/// The first of the files that this process may not write to.
pub(super) fn read_only_file(files: &Files) -> Option<PathBuf> {
    files.existing().find(|(path, stat)| is_read_only(path, stat)).map(|(path, _)| path.to_owned())
}

/// Whether the mode allows no user to write, which counts for `root`, too, or the system says that this process may
/// not.
fn is_read_only(path: &Path, stat: &Stat) -> bool {
    stat.mode & 0o222 == 0 || !may_write(path)
}

#[cfg(target_os = "linux")]
fn may_write(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
}

/// Not checked here: SQLite will report it.
#[cfg(not(target_os = "linux"))]
fn may_write(_path: &Path) -> bool {
    true
}

/// Warns instead of refusing: a group may share a file on purpose, and `root` may repair a file of another user.
#[cfg_attr(not(feature = "tracing"), expect(unused_variables, reason = "there is no log to tell"))]
fn warn_of_others(path: &Path, stat: &Stat) {
    if stat.mode & 0o020 != 0 {
        log!(warn, file = %path.display(), "a group can write to the file, and so create or restore keys");
    }
    if stat.owner.is_some_and(is_another_user) {
        log!(warn, file = %path.display(), owner = stat.owner, "another user owns the file, and may write to it");
    }
}

#[cfg(target_os = "linux")]
fn is_another_user(owner: u32) -> bool {
    owner != rustix::process::geteuid().as_raw()
}

#[cfg(not(target_os = "linux"))]
fn is_another_user(_owner: u32) -> bool {
    false
}

/// Warns of a folder without the sticky bit: a user who may write to the folder can replace any file in it. Volumes of
/// containers are often like that.
fn warn_of_folder(database: &Path) {
    let folder = database.parent().and_then(|folder| Some((folder, stat(folder).ok()?)));
    if let Some((_folder, _)) = folder.filter(|(_, stat)| stat.mode & 0o1002 == 0o002) {
        log!(
            warn,
            folder = %_folder.display(),
            "every user of this machine can replace files in the folder of the database: run `chmod o-w` on the \
             folder, or set its sticky bit"
        );
    }
}
