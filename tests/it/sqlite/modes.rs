//! File modes: who may write to the files, and who must be able to.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use tower_api_keys::store::{KeyStore, SqliteOpenErrorKind, SqliteStore};

use super::{Folder, beside, change, insert, sql};

fn set(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

async fn refused(folder: &Folder, kind: SqliteOpenErrorKind, file: &Path) -> String {
    let file = fs::canonicalize(file).unwrap();
    let mut texts = Vec::new();
    for error in [
        SqliteStore::open(folder.file()).await.unwrap_err(),
        SqliteStore::open_exclusive(folder.file()).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), kind, "{error}");
        assert!(
            error.to_string().contains(&format!("can write to `{}`", file.display()))
                || kind == SqliteOpenErrorKind::ReadOnly
        );
        assert!(error.to_string().contains(&format!("`{}`", file.display())), "{error}");
        texts.push(error.to_string());
    }
    texts.pop().unwrap()
}

#[tokio::test]
async fn files_that_everybody_may_write_to_are_refused_by_name() {
    let folder = Folder::new();
    fs::write(folder.file(), "").unwrap();
    set(&folder.file(), 0o666);
    let text = refused(&folder, SqliteOpenErrorKind::WritableByOthers, &folder.file()).await;
    assert!(text.ends_with(&format!("(`chmod o-w {}`)", fs::canonicalize(folder.file()).unwrap().display())), "{text}");
    set(&folder.file(), 0o660);
    let _open = SqliteStore::open(folder.file()).await.unwrap();
    for end in ["-wal", "-shm"] {
        set(&beside(&folder.file(), end), 0o602);
        let file = beside(&folder.file(), end);
        let error = SqliteStore::open(folder.file()).await.unwrap_err();
        assert_eq!(error.kind(), SqliteOpenErrorKind::WritableByOthers);
        assert!(error.to_string().contains(&format!("keys.db{end}`")), "{error}");
        set(&file, 0o600);
    }
    drop(SqliteStore::open(folder.file()).await.unwrap());
}

#[tokio::test]
async fn a_read_only_file_is_refused_by_name_before_anything_is_made_beside_it() {
    let folder = Folder::new();
    drop(SqliteStore::open(folder.file()).await.unwrap());
    set(&folder.file(), 0o444);
    refused(&folder, SqliteOpenErrorKind::ReadOnly, &folder.file()).await;
    assert!(!beside(&folder.file(), "-wal").exists() && !beside(&folder.file(), "-shm").exists());
    set(&folder.file(), 0o600);

    // Files that an older run, or a shell, left beside the database.
    let plain = sql(&folder.file());
    plain.execute("update api_key_meta set name = name", []).unwrap();
    let index = beside(&folder.file(), "-shm");
    set(&index, 0o444);
    refused(&folder, SqliteOpenErrorKind::ReadOnly, &index).await;
    set(&index, 0o600);
    drop(plain);
    let store = SqliteStore::open(folder.file()).await.unwrap();
    store.apply(&change(1, insert(1))).await.unwrap();
}
