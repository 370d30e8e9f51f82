//! From the start to the end of a server: what stops it from starting, other instances, stores that go away, signals.

use rustix::process::Signal;

use super::server::{begin, finish};
use crate::{
    postgres::free_port,
    support::{World, runtime},
};

#[test]
fn sigterm_and_an_interrupt_write_what_was_counted() {
    for signal in [Signal::TERM, Signal::INT] {
        let world = World::sqlite();
        let made = world.team_key("CI");
        let serving = world.serve(&[]);
        for _ in 0..3 {
            assert_eq!(serving.check("/check", &[("x-api-key", &made.text)]).status, 200);
        }
        // A connection that is kept alive does not hold it up.
        let idle = std::net::TcpStream::connect(serving.at("check")).unwrap();
        serving.signal(signal);
        let (code, said) = serving.end();
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("Stopping: requests that were begun are finished."), "{said}");
        drop(idle);
        let shown = world.run(&["show", &made.id, "--json"]).ok();
        assert!(shown.contains("\"successes\":3"), "{shown}");
        world.assert_no_secret_was_said();
    }
}

/// The key has to be looked up in a table that somebody has locked: the request is under way.
#[test]
fn a_request_under_way_is_answered_after_sigterm_and_a_second_signal_waits_for_nothing() {
    let world = World::postgres();
    let key = world.team_key("CI");
    let runtime = runtime();
    let other = runtime.block_on(world.database());
    for (second, expected) in [(false, Some(0)), (true, Some(130))] {
        let mut serving = world.serve(&[]);
        runtime.block_on(other.batch_execute("begin; lock table api_keys.api_keys in access exclusive mode")).unwrap();
        let mut stream = begin(serving.at("check"), "GET", "/check", &[("x-api-key", &key.text)], "");
        let waits = "select 1 from pg_locks where not granted and relation = 'api_keys.api_keys'::regclass";
        while runtime.block_on(other.query(waits, &[])).unwrap().is_empty() {}
        serving.signal(Signal::TERM);
        serving.hears("Stopping: ");
        if second {
            serving.signal(Signal::TERM);
        } else {
            let answer = finish(&mut stream);
            assert_eq!((answer.status, answer.code().as_str()), (503, "store_unavailable"));
            assert_eq!(answer.header("retry-after"), Some("1"));
        }
        if second {
            assert_eq!(serving.end().0, expected);
            runtime.block_on(other.batch_execute("rollback")).unwrap();
        } else {
            runtime.block_on(other.batch_execute("rollback")).unwrap();
            assert_eq!(serving.end().0, expected);
        }
    }
}

#[test]
fn two_instances_on_one_postgres_refuse_a_revoked_key_on_the_next_request() {
    let world = World::postgres();
    let instances = [world.serve(&[]), world.serve(&[])];
    for round in 0..5 {
        let made = world.team_key(&format!("CI {round}"));
        let asks = || {
            instances.iter().map(|serving| serving.check("/check", &[("x-api-key", &made.text)])).collect::<Vec<_>>()
        };
        for _ in 0..2 {
            assert_eq!(asks().iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 200]);
        }
        world.run(&["pause", &made.id]).ok();
        assert!(asks().iter().all(|answer| answer.code() == "key_paused"));
        world.run(&["resume", &made.id]).ok();
        assert!(asks().iter().all(|answer| answer.status == 200));
        world.run(&["revoke", &made.id, "--yes"]).ok();
        assert!(asks().iter().all(|answer| answer.code() == "key_revoked"));
    }
    for serving in instances {
        assert_eq!(serving.stop().0, Some(0));
    }
    let listed = world.run(&["list", "--revoked", "--json"]).ok();
    assert_eq!(listed.matches("\"successes\":6").count(), 5, "{listed}");
    world.assert_no_secret_was_said();
}

#[test]
fn a_store_that_goes_away_refuses_for_now_and_comes_back() {
    let mut world = World::postgres();
    let made = world.team_key("CI");
    let serving = world.serve(&[]);
    let status = || serving.check("/check", &[("x-api-key", &made.text)]).status;
    assert_eq!(status(), 200);
    world.server().kill();
    let answer = serving.check("/check", &[("x-api-key", &made.text)]);
    assert_eq!(
        (answer.status, answer.code().as_str(), answer.header("retry-after")),
        (503, "store_unavailable", Some("1"))
    );
    world.server().run();
    while status() != 200 {}
    assert_eq!(serving.stop().0, Some(0));
}

#[test]
fn what_cannot_be_served_is_said_with_its_exit_code() {
    let world = World::empty();
    assert!(world.run(&["serve"]).fails(5).contains("There is no file `keys.db`"));
    let world = World::sqlite();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = world.run(&["serve", "--listen", &address]).fails(5);
    assert!(said.contains(&format!("{address} cannot be used: check whether another process listens there")), "{said}");
    for (arguments, expected) in [
        (&["--listen", "localhost"][..], "invalid"),
        (&["--trust", "10.0.0.1/8"], "The value of --trust is wrong."),
        (&["--trust", "0.0.0.0/0"], "The value of --trust is wrong."),
        (&["--proxies", "2"], "--trust"),
        (&["--trust", "127.0.0.1", "--proxies", "0"], "invalid"),
        (&["--rate", "fast"], "write a number of requests and a time"),
        (&["--freshness", "soon"], "write `strict` or a bound"),
    ] {
        let ran = world.run(&[&["serve"], arguments].concat());
        assert!(ran.code == 2 && ran.err.contains(expected), "{arguments:?}: {ran:?}");
    }
    let said = world.run(&["serve", "--freshness", "1ms"]).fails(5);
    assert!(said.contains("must be 100 ms to 1 hour"), "{said}");
    let said = world.run(&["serve", "--pepper", "1=missing"]).fails(2);
    assert!(said.contains("Pepper 1 cannot be read"), "{said}");
    let nowhere = World::at(&format!("postgres://admin@127.0.0.1:{}/postgres", free_port()));
    assert!(nowhere.run(&["serve"]).fails(5).contains("because"));
}

#[test]
fn a_file_of_its_own_is_closed_to_other_commands_and_no_server_can_be_asked_for_that() {
    let world = World::sqlite();
    let made = world.team_key("CI");
    let serving = world.serve(&["--exclusive"]);
    for _ in 0..2 {
        assert_eq!(serving.check("/check", &[("x-api-key", &made.text)]).status, 200);
    }
    assert!(world.run(&["list"]).fails(5).contains("is open exclusively in another process"));
    assert_eq!(serving.stop().0, Some(0));
    assert!(world.run(&["show", &made.id, "--json"]).ok().contains("\"successes\":2"));
    let shared = world.serve(&[]);
    assert!(world.run(&["serve", "--exclusive"]).fails(5).contains("is open exclusively in another process"));
    drop(shared);
    let nowhere = World::at(&format!("postgres://admin@127.0.0.1:{}/postgres", free_port()));
    assert!(nowhere.run(&["serve", "--exclusive"]).fails(2).contains("--exclusive is for an SQLite file."));
    assert!(World::empty().run(&["serve", "--exclusive"]).fails(5).contains("There is no file `keys.db`"));
}

#[test]
fn it_says_how_current_it_is_and_who_may_reach_it() {
    let world = World::sqlite();
    let (_, said) = world.serve(&[]).stop();
    assert!(said.contains("A revoked key is refused on the next request."), "{said}");
    assert!(!said.contains("WARN"), "{said}");
    let (_, said) = world.serve(&["--freshness", "2s", "--listen", "0.0.0.0:0"]).stop();
    assert!(said.contains("A revoked key may pass for 2 s after it was revoked."), "{said}");
    assert!(said.contains("WARN Everybody who reaches 0.0.0.0:"), "{said}");
}
