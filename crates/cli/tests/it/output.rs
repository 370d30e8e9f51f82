//! Where the text of a key goes, and what happens if it cannot go there.

use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    process::{Command, Stdio},
};

use tower_api_keys::key::KeyFormat;

use crate::{postgres::Server, support::World};

const CREATE: [&str; 5] = ["create", "--team", "sales", "--name", "Zapier"];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    CREATE.iter().chain(more).copied().collect()
}

/// The only key is revoked.
fn assert_it_was_revoked(world: &World) {
    let listed = world.run(&["list", "--revoked", "--json"]).ok();
    assert!(listed.lines().count() == 1 && listed.contains("\"state\":\"revoked\""), "{listed}");
}

#[test]
fn standard_output_has_the_text_alone() {
    let world = World::sqlite();
    let ran = world.run(&CREATE);
    assert_eq!(ran.code, 0);
    let parsed = KeyFormat::unbranded().parse(ran.out.as_bytes()).unwrap();
    assert!(ran.err.contains(parsed.id().as_str()) && !ran.err.contains(&ran.out[30..40]), "{}", ran.err);
    let begun = world.run(&["rotate", "begin", parsed.id().as_str()]);
    KeyFormat::unbranded().parse(begun.out.as_bytes()).unwrap();
}

#[test]
fn a_file_is_for_its_owner_only_and_nothing_is_overwritten() {
    let world = World::sqlite();
    let ran = world.run(&with(&["--output", "key"]));
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    KeyFormat::unbranded().parse(world.read("key").as_bytes()).unwrap();
    assert_eq!(fs::metadata(world.path("key")).unwrap().mode() & 0o777, 0o600);

    let before = world.read("key");
    let said = world.run(&with(&["--output", "key"])).fails(4);
    assert_eq!(said, "`key` exists already, and nothing is overwritten: choose another name.\n");
    symlink("elsewhere", world.path("link")).unwrap();
    world.run(&with(&["--output", "link"])).fails(4);
    let said = world.run(&with(&["--output", "no/such/folder"])).fails(5);
    assert!(said.starts_with("The file `no/such/folder` cannot be made"), "{said}");
    assert_eq!((world.read("key"), world.path("elsewhere").exists()), (before, false));
    assert_eq!(world.run(&["list", "--json"]).ok().lines().count(), 1, "a key was made for nothing");
}

#[test]
fn a_json_answer_has_the_text_unless_a_file_has_it() {
    let world = World::sqlite();
    let answer = world.run(&with(&["--json"])).json();
    KeyFormat::unbranded().parse(answer["plaintext"].as_str().unwrap().as_bytes()).unwrap();
    let answer = world.run(&with(&["--json", "--output", "key"])).json();
    assert!(answer["plaintext"].is_null() && answer["key"]["id"].is_string(), "{answer}");
}

#[test]
fn a_key_that_is_not_made_leaves_no_file() {
    let world = World::sqlite();
    let said = world.run(&["create", "--team", "sales", "--name", "a\nb", "--output", "key"]).fails(2);
    assert!(said.contains("A name can have at most 100 characters"), "{said}");
    world.run(&["rotate", "begin", "AAAAAAAAAAAAAAAAAAAA", "--output", "key"]).fails(3);
    assert!(!world.path("key").exists());
}

#[test]
fn without_standard_output_no_key_is_made() {
    let world = World::sqlite();
    for redirected in [">&-", ">/dev/null"] {
        let mut shell = Command::new("sh");
        let line = format!("exec \"$0\" create --team sales --name Zapier {redirected}");
        shell.args(["-c", &line, env!("CARGO_BIN_EXE_apikeys")]).current_dir(world.path(""));
        let ended = shell.env("APIKEYS_STORE", "keys.db").output().unwrap();
        assert_eq!(ended.status.code(), Some(2), "{redirected}");
        assert!(
            String::from_utf8(ended.stderr).unwrap().starts_with("Standard output is closed or is the null device")
        );
    }
    assert_eq!(world.run(&["list", "--revoked", "--json"]).ok(), "");
}

#[test]
fn a_key_whose_reader_is_gone_is_revoked() {
    let world = World::sqlite();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ended = world.command(&CREATE).stdout(writer).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(5), "{said}");
    assert!(said.contains("its text could not be written. So it was revoked again"), "{said}");
    assert_it_was_revoked(&world);
}

#[test]
fn a_key_whose_output_is_full_is_revoked() {
    let world = World::sqlite();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let ended = world.command(&with(&["--json"])).stdout(full).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.code() == Some(5) && said.contains("\"code\":\"unavailable\""), "{said}");
    assert_it_was_revoked(&world);
}

/// The file was made, and can take nothing: the process may write no file at all.
#[test]
fn a_key_whose_file_cannot_be_written_is_revoked_and_the_file_removed() {
    let server = Server::start();
    let world = World::at(&server.url());
    world.run(&["init"]).ok();
    let mut shell = Command::new("sh");
    let line = "trap '' XFSZ; ulimit -f 0; exec \"$0\" create --team sales --name Zapier --output key";
    shell.args(["-c", line, env!("CARGO_BIN_EXE_apikeys")]).current_dir(world.path(""));
    let ended = shell.env("APIKEYS_STORE", server.url()).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(5), "{said}");
    assert!(said.contains("its text could not be written. So it was revoked again"), "{said}");
    assert!(!world.path("key").exists());
    assert_it_was_revoked(&world);
}

/// The key stays, because nobody can say whether its text was read, and the program says so.
#[test]
fn a_key_that_can_neither_be_written_nor_revoked_is_said_to_be_alive() {
    let world = World::sqlite();
    let (mut reader, writer) = std::io::pipe().unwrap();
    // The pipe is full: the program waits in its write until the other end is closed.
    fill(&writer);
    let mut child = world.command(&CREATE).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let locked = lock_once_there_is_a_key(&world);
    let mut some = [0; 1];
    reader.read_exact(&mut some).unwrap();
    drop(reader);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(5));
    assert!(said.contains("It is NOT revoked: revoke it with `apikeys revoke "), "{said}");
    drop(locked);
}

/// Fills a pipe to its last byte.
fn fill(writer: &std::io::PipeWriter) {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

    let flags = fcntl_getfl(writer).unwrap();
    fcntl_setfl(writer, flags | OFlags::NONBLOCK).unwrap();
    while rustix::io::write(writer, &[b'x'; 4096]).is_ok() {}
    while rustix::io::write(writer, b"x").is_ok() {}
    fcntl_setfl(writer, flags).unwrap();
}

/// Holds the write lock of the store from the moment on at which it has a key.
fn lock_once_there_is_a_key(world: &World) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(world.path("keys.db")).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
    loop {
        connection.execute_batch("begin immediate").unwrap();
        let keys: i64 = connection.query_row("select count(*) from api_keys", [], |row| row.get(0)).unwrap();
        if keys > 0 {
            return connection;
        }
        connection.execute_batch("rollback").unwrap();
        std::thread::yield_now();
    }
}

#[test]
fn a_reader_of_the_beginning_of_a_list_has_read_enough() {
    let world = World::sqlite();
    for number in 0..3 {
        world.team_key(&format!("key {number}"));
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ended = world.command(&["list"]).stdout(writer).output().unwrap();
    assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(0), &b""[..]));
    let full = File::options().write(true).open("/dev/full").unwrap();
    let ended = world.command(&["list"]).stdout(full).output().unwrap();
    assert_eq!(ended.status.code(), Some(5));
    assert!(
        String::from_utf8(ended.stderr)
            .unwrap()
            .starts_with("Standard output cannot be written: check where it leads.")
    );
}

#[test]
fn a_backup_is_complete_and_overwrites_nothing() {
    let world = World::sqlite();
    let made = world.team_key("CI");
    let said = world.run(&["backup", "copy.db"]).ok();
    assert!(said.starts_with("Written: `copy.db`, ") && said.ends_with("Peppers are not in it.\n"), "{said}");
    assert!(world.run(&["--store", "copy.db", "list"]).ok().contains(&made.id));
    let said = world.run(&["backup", "copy.db"]).fails(4);
    assert!(said.starts_with("NOT backed up: "), "{said}");
    let server = Server::start();
    let said = World::at(&server.url()).run(&["backup", "copy.db"]).fails(2);
    assert!(said.contains("pg_dump"), "{said}");
}

#[test]
fn peppers_are_read_from_private_files_only() {
    let world = World::sqlite();
    world.write("pepper", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n");
    let pepper = ["--pepper", "1=pepper", "--current-pepper", "1"];
    let mode = |mode| fs::set_permissions(world.path("pepper"), fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    let said = world.run(&with(&pepper)).fails(2);
    assert!(said.contains("other users may read it: run `chmod 600 pepper`"), "{said}");
    mode(0o600);
    let made = world.run(&with(&pepper));
    assert_eq!(made.code, 0, "{}", made.err);
    assert_eq!(world.run_with(&[&["verify"][..], &pepper].concat(), &made.out).code, 0);
    let said = world.run(&CREATE).fails(5);
    assert!(said.contains("hashed with pepper 1, which this node does not have"), "{said}");
    let doctor = world.run(&["doctor"]);
    assert!(doctor.code == 1 && doctor.out.contains("peppers    TO DO  Keys in this store"), "{}", doctor.out);
    let said = world.run(&with(&["--current-pepper", "3"])).fails(2);
    assert!(said.contains("Pepper 3 is not known"), "{said}");
    world.write("pepper", "c2hvcnQ=");
    let said = world.run(&with(&pepper)).fails(2);
    assert!(said.contains("Pepper 1 in `pepper` is not usable.") && !said.contains("c2hvcnQ"), "{said}");
}
