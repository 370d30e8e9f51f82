//! Stores that cannot be used: not there, held by others, too old, too new, gone in the middle.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use tower_api_keys::store::SqliteStore;

use crate::{
    postgres::Server,
    support::{World, runtime},
};

const CREATE: [&str; 5] = ["create", "--team", "sales", "--name", "Zapier"];

#[test]
fn a_file_that_is_not_there_is_not_made() {
    let world = World::empty();
    let said = world.run(&["list"]).fails(5);
    assert_eq!(said, "There is no file `keys.db`: check its name, or make it with `apikeys init`.\n");
    assert!(!world.path("keys.db").exists());
    let said = world.run(&["doctor"]);
    assert_eq!(said.code, 1);
    assert!(said.out.starts_with("schema     TO DO  There is no file `keys.db`"), "{}", said.out);
}

#[test]
fn a_file_that_a_service_holds_alone_is_said_to_be_held() {
    let world = World::sqlite();
    let runtime = runtime();
    let held = runtime.block_on(SqliteStore::open_exclusive(world.path("keys.db"))).unwrap();
    let said = world.run(&["list"]).fails(5);
    let expected =
        "`keys.db` is open exclusively in another process: stop it, or manage the keys through its routes.\n";
    assert_eq!(said, expected);
    drop(held);
    world.run(&["list"]).ok();
}

#[test]
fn a_file_that_is_locked_changes_nothing_and_can_be_read() {
    let world = World::sqlite();
    let made = world.team_key("CI");
    let locked = rusqlite::Connection::open(world.path("keys.db")).unwrap();
    locked.execute_batch("begin immediate").unwrap();
    let said = world.run(&CREATE).fails(5);
    assert!(said.starts_with("NOT created: Keys cannot be managed at the moment, and nothing was changed"), "{said}");
    let said = world.run(&["revoke", &made.id, "--yes"]).fails(5);
    assert!(said.starts_with("NOT revoked: ") && said.contains("  because: "), "{said}");
    // It waits for the lock, and says so.
    let said = world.run(&["revoke", "--owner", "team:engineering", "--because", "test", "--yes"]).fails(5);
    let (waited, said) = said.split_once('\n').unwrap();
    assert_eq!(waited, "Revoking keys: 2 s so far");
    assert!(said.starts_with("NOT all revoked: ") && said.contains("0 of 1 key revoked"), "{said}");
    assert!(world.run(&["list"]).ok().contains("CI"));
}

#[test]
fn what_is_not_a_database_and_what_a_newer_version_made_is_refused() {
    let world = World::empty();
    world.write("keys.db", "not a database, but a text that is long enough to be taken for one by its length");
    assert!(world.run(&["list"]).fails(5).contains("is not an SQLite database"));

    let world = World::sqlite();
    let file = rusqlite::Connection::open(world.path("keys.db")).unwrap();
    file.execute("insert into api_key_schema (version) values (99)", []).unwrap();
    drop(file);
    let said = world.run(&["list"]).fails(5);
    assert!(said.contains("has schema 99") && said.contains("update tower-api-keys"), "{said}");
}

#[test]
fn tables_that_are_missing_too_new_or_of_another_schema_are_refused_with_what_to_do() {
    let server = Server::start();
    let world = World::at(&server.url());
    let said = world.run(&["list"]).fails(5);
    assert!(said.contains("The tables do not exist") && said.contains("`apikeys migrate`"), "{said}");
    let doctor = world.run(&["doctor"]);
    assert!(doctor.code == 1 && doctor.out.starts_with("schema     TO DO  The tables do not exist"), "{}", doctor.out);

    world.run(&["migrate"]).ok();
    world.run(&["list"]).ok();
    assert!(world.run(&["list", "--schema", "other"]).fails(5).contains("`apikeys migrate`"));
    assert!(world.run(&["list", "--schema", "Not valid"]).fails(5).contains("not a valid schema name"));

    runtime().block_on(async {
        let client = server.client().await;
        client.batch_execute("insert into api_keys.api_key_schema (version) values (99)").await.unwrap();
    });
    assert!(world.run(&["list"]).fails(5).contains("a version that this service cannot use"));
}

/// The SQL is complete: a person can run it instead of the program.
#[test]
fn printed_migrations_make_the_tables() {
    let server = Server::start();
    let world = World::at(&server.url());
    let sql = world.run(&["migrate", "--print", "--schema", "keys"]).ok();
    runtime().block_on(async { server.client().await.batch_execute(&sql).await.unwrap() });
    world.run(&["list", "--schema", "keys"]).ok();
    world.run(&["migrate", "--schema", "keys"]).ok();
    let said = World::sqlite().run(&["migrate", "--print"]).fails(2);
    assert!(said.contains("there is no SQL to print"), "{said}");
}

#[test]
fn rights_that_a_role_lacks_and_rights_that_others_have_are_said_with_what_to_do() {
    let server = Server::start();
    World::at(&server.url()).run(&["init"]).ok();
    let manual = include_str!("../../../../docs/postgres.md");
    let grants = manual.split("```sql\n").nth(1).unwrap().split("```").next().unwrap();
    let admin = |sql: &str| runtime().block_on(async { server.client().await.batch_execute(sql).await.unwrap() });
    admin(grants);
    let world = World::at(&server.url().replace("admin", "keys_node"));
    let doctor = |world: &World| world.run(&["doctor"]).out.lines().take(2).map(str::to_owned).collect::<Vec<_>>();
    assert!(doctor(&world)[1].starts_with("grants     ok     No other role can change how keys are checked"));
    world.team_key("CI");

    admin("revoke insert on api_keys.api_key_events from keys_node");
    let expected =
        "grants     TO DO  Run as the owner of the tables: grant insert on \"api_keys\".api_key_events to keys_node;";
    assert_eq!(doctor(&world)[1], expected);
    assert!(world.run(&CREATE).fails(5).starts_with("NOT created: "));
    admin("grant create on schema api_keys to keys_checker");
    let said = doctor(&world);
    assert!(
        said[0].contains("TO DO") && said[0].contains("revoke create on schema api_keys from keys_checker"),
        "{said:?}"
    );
}

#[test]
fn clocks_that_disagree_are_said() {
    let world = World::sqlite();
    world.team_key("CI");
    let file = rusqlite::Connection::open(world.path("keys.db")).unwrap();
    let later = "update api_key_events set at = at + 3600000";
    file.execute_batch(later).unwrap();
    drop(file);
    let doctor = world.run(&["doctor"]);
    assert!(
        doctor.code == 1 && doctor.out.contains("clocks     TO DO  The newest event is 59 min in the future"),
        "{}",
        doctor.out
    );
}

#[test]
fn a_target_with_other_keys_is_left_as_it_is() {
    let (from, to) = (World::sqlite(), World::sqlite());
    let made = from.team_key("here");
    let other = to.team_key("there");
    let target = to.path("keys.db");
    let copy = ["copy", "keys.db", target.to_str().unwrap()];
    let said = from.run(&copy).fails(4);
    assert!(said.starts_with("NOT all copied: "), "{said}");
    let listed = to.run(&["list", "--json"]).ok();
    assert!(listed.contains(&other.id) && !listed.contains(&made.id), "{listed}");
    let empty = World::sqlite();
    let target = empty.path("keys.db");
    let start = tower_api_keys::store::transfer::Cursor::START.to_string();
    from.run(&["copy", "keys.db", target.to_str().unwrap(), "--starting-at", &start]).ok();
    assert!(empty.run(&["list"]).ok().contains(&made.id));
}

#[test]
fn a_password_is_in_no_error_and_in_no_help() {
    let server = Server::start();
    let port = crate::postgres::free_port();
    for url in [
        format!("postgres://keys:hunter2@127.0.0.1:{port}/keys"),
        format!("postgres://keys:hunter2@127.0.0.1:{}/nothing", server.port()),
        "postgres://keys:hunter2@127.0.0.1:99999999/keys".to_owned(),
        "postgres://keys:hunter2@127.0.0.1/keys?nonsense=hunter2".to_owned(),
        "postgres://keys:hunter2@db.example.com/keys".to_owned(),
        "mysql://keys:hunter2@127.0.0.1/keys".to_owned(),
    ] {
        let world = World::at(&url);
        for arguments in
            [&["list"][..], &["doctor"], &["migrate"], &["create", "--help"], &["list", "--json"], &["lsit"]]
        {
            let ran = world.run(arguments);
            assert!(!format!("{ran:?}").contains("hunter2"), "{url}: {ran:?}");
            assert!(arguments.contains(&"--help") || ran.code != 0, "{url}: {ran:?}");
        }
        let world = World::sqlite();
        for arguments in
            [&["--store", &url, "list"][..], &["copy", &url, "keys.db"], &["copy", "keys.db", &url], &[&url]]
        {
            let ran = world.run(arguments);
            assert!(ran.code != 0 && !format!("{ran:?}").contains("hunter2"), "{url}: {ran:?}");
        }
        let ran = world.run_with(&["--store", "-", "list"], &format!("{url}\n"));
        assert!(ran.code != 0 && !format!("{ran:?}").contains("hunter2"), "{url}: {ran:?}");
    }
}

#[test]
fn a_store_that_goes_away_is_said_to_be_away() {
    let mut world = World::postgres();
    let made = world.team_key("CI");
    let mut following = world.command(&["audit", "--follow", "--since", "1h"]).spawn().unwrap();
    let mut first = [0; 2];
    following.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    world.server().kill();
    let ended = following.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(5));
    assert!(String::from_utf8(ended.stderr).unwrap().starts_with("Keys cannot be managed at the moment"));
    let said = world.run(&["revoke", &made.id, "--yes"]).fails(5);
    assert!(said.contains("The PostgreSQL server cannot be used: check that it runs"), "{said}");
}

/// The server commits, and nobody hears its answer.
#[test]
fn an_outcome_that_nobody_knows_is_said_to_be_unknown() {
    let server = Server::start();
    let direct = World::at(&server.url());
    direct.run(&["init"]).ok();
    let made = direct.team_key("CI");
    for (arguments, has_happened) in [(&["revoke", &made.id, "--yes"][..], "revoked"), (&CREATE[..], "Zapier")] {
        let cut = World::at(&server.url_through(cut_behind_commit(server.port())));
        let said = cut.run(arguments).fails(6);
        let last = said.lines().last().unwrap();
        assert!(last.starts_with("NOT known whether it was done"), "{said}");
        assert!(direct.run(&["list", "--revoked"]).ok().contains(has_happened), "{has_happened}");
    }
    let cut = World::at(&server.url_through(cut_behind_commit(server.port())));
    let said = cut.run(&["pause", &direct.team_key("other").id, "--json"]).fails(6);
    assert!(said.contains("\"code\":\"outcome_unknown\""), "{said}");
}

/// A port that leads to the server until a client commits a change, for which it locks the head of the change log. The
/// commit arrives; then this and all later connections are closed.
fn cut_behind_commit(server: u16) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let is_cut = Arc::new(AtomicBool::new(false));
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            if is_cut.load(Ordering::SeqCst) {
                continue;
            }
            let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).unwrap();
            let (back, forth) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let [cut_here, cuts] = [Arc::clone(&is_cut), Arc::clone(&is_cut)];
            thread::spawn(move || pump(&server, &back, |_| cut_here.load(Ordering::SeqCst)));
            thread::spawn(move || {
                let mut changes = false;
                pump(&client, &forth, |sent| {
                    let sends = |text: &[u8]| sent.windows(text.len()).any(|part| part == text);
                    changes |= sends(b"for update");
                    if changes && sends(b"commit\0") {
                        cuts.store(true, Ordering::SeqCst);
                    }
                    false
                });
            });
        }
    });
    port
}

/// Carries what comes, until it is told to stop.
fn pump(mut from: &TcpStream, mut to: &TcpStream, mut stops: impl FnMut(&[u8]) -> bool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if stops(&buffer[..read]) || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    drop(from.shutdown(std::net::Shutdown::Both));
    drop(to.shutdown(std::net::Shutdown::Both));
}
