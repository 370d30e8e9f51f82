//! The examples, run as a new user runs them: the real program, in an empty folder.
#![cfg(unix)]

mod running;
mod throughput;

#[cfg(all(feature = "axum", feature = "postgres"))]
mod fleet;
#[cfg(feature = "axum")]
mod intake_webhook;
#[cfg(all(feature = "axum", feature = "sqlite"))]
mod quickstart;
#[cfg(feature = "sqlite")]
mod rotation_job;
#[cfg(all(feature = "postgres", feature = "sqlite"))]
mod sentences;

use running::{Running, request};

#[test]
fn tower_only_greets_a_team_and_nobody_else() {
    let mut service = Running::start("tower_only", &tempfile::tempdir().unwrap());
    let command = service.line_with("curl ");
    let (key, address) = (running::keys_in(&command).remove(0), running::address_in(&command));

    let greeted = request(&address, "GET /", &[("Authorization", &format!("Bearer {key}"))], "");
    assert_eq!((greeted.status, greeted.body.as_str()), (200, "hello, team engineering\n"));

    let nobody = request(&address, "GET /", &[], "");
    assert_eq!((nobody.status, nobody.header("www-authenticate")), (401, Some(r#"Bearer realm="api""#)));

    assert_eq!(service.stop(rustix::process::Signal::INT).code(), Some(0));
}
