use std::{
    ffi::OsString,
    fmt,
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
};

/// A database file, and the two that SQLite keeps beside it while it is open: its log and the index of the log.
///
/// They are only checked by their paths. To open and close one of them without SQLite would end the locks that this
/// process has on it.
#[derive(Clone, Debug)]
pub(super) struct Files {
    /// The path that the service gave. Symbolic links in it may change later.
    named: PathBuf,
    /// Where SQLite has the file, and so the other two.
    pub(super) database: PathBuf,
    pub(super) log: PathBuf,
    pub(super) index: PathBuf,
}

impl Files {
    /// The files behind an absolute path of a file that exists.
    pub(super) fn of(named: &Path) -> io::Result<Self> {
        // On other systems, the canonical path has a form that SQLite does not accept.
        let database = if cfg!(unix) { fs::canonicalize(named)? } else { named.to_owned() };
        let beside = |end: &str| {
            let mut path = OsString::from(&database);
            path.push(end);
            PathBuf::from(path)
        };
        Ok(Self { named: named.to_owned(), log: beside("-wal"), index: beside("-shm"), database })
    }

    /// The file that others open by the name that the service opened.
    pub(super) fn stat_named(&self) -> io::Result<Stat> {
        stat(&self.named)
    }

    /// The files of the three that exist, the database first.
    pub(super) fn existing(&self) -> impl Iterator<Item = (&Path, Stat)> {
        [&self.database, &self.log, &self.index].into_iter().filter_map(|path| Some((path.as_path(), stat(path).ok()?)))
    }
}

/// The identity of a file, independent of its name. The system does not reuse the number of an open file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    number: u64,
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.device, self.number)
    }
}

/// What the system notes when a file is written to. Times are nanoseconds since 1970; 0 if there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) length: u64,
    /// When something was written. A program that copies a file may set it.
    pub(super) at: i128,
    /// When the content or the properties of the file changed. No program can set it.
    pub(super) changed_at: i128,
}

/// What the system says of a path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stat {
    pub(super) id: FileId,
    pub(super) written: Written,
    pub(super) names: u64,
    /// The mode of the file, as for `chmod`.
    pub(super) mode: u32,
    /// The number of the owning user; none if the system does not say.
    pub(super) owner: Option<u32>,
}

pub(super) fn stat(path: &Path) -> io::Result<Stat> {
    fs::metadata(path).map(|metadata| of_system(&metadata))
}

#[cfg(unix)]
fn of_system(metadata: &Metadata) -> Stat {
    use std::os::unix::fs::MetadataExt;

    let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    Stat {
        id: FileId { device: metadata.dev(), number: metadata.ino() },
        written: Written {
            length: metadata.len(),
            at: nanos(metadata.mtime(), metadata.mtime_nsec()),
            changed_at: nanos(metadata.ctime(), metadata.ctime_nsec()),
        },
        names: metadata.nlink(),
        mode: metadata.mode() & 0o7777,
        owner: Some(metadata.uid()),
    }
}

/// Windows neither removes nor replaces a file that SQLite has open, and the standard library has no file number there.
#[cfg(not(unix))]
fn of_system(metadata: &Metadata) -> Stat {
    let since_1970 = metadata.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let at = since_1970.and_then(|since| i128::try_from(since.as_nanos()).ok()).unwrap_or_default();
    let mode = if metadata.permissions().readonly() { 0o400 } else { 0o600 };
    let written = Written { length: metadata.len(), at, changed_at: 0 };
    Stat { id: FileId::default(), written, names: 1, mode, owner: None }
}
