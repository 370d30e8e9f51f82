//! What the example's scheduled job does to the keys in its folder.

use std::{process::Output, time::Duration};

use tempfile::{TempDir, tempdir};
use tower_api_keys::{
    Actor, ApiKeys, Scope, Timestamp,
    auth::AuthErrorKind,
    hash::HasherConfig,
    manage::{KeyInfo, ListKeys},
    record::Labels,
    store::{Liveness, SqliteStore},
};

use super::running::program;
use crate::support::secrets;

const SERVICES: [&str; 2] = ["deploy.key", "cron.key"];
const OWN: &str = "rotator.key";

/// Runs the job once. A source counts as moved as soon as it calls with the new key.
fn run(folder: &TempDir) -> String {
    let job = program("rotation_job");
    let Output { status, stdout, stderr } =
        std::process::Command::new(job).current_dir(folder).env("QUIET_SECONDS", "0").output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    for file in [SERVICES[0], SERVICES[1], OWN, "sales.key"] {
        secrets::remember(&text(folder, file));
    }
    String::from_utf8(stdout).unwrap()
}

fn text(folder: &TempDir, file: &str) -> String {
    std::fs::read_to_string(folder.path().join(file)).unwrap()
}

async fn keys(folder: &TempDir) -> ApiKeys<SqliteStore> {
    let store = SqliteStore::open(folder.path().join("keys.db")).await.unwrap();
    // The example's hashes cost as much as in production, and this machine runs other tests.
    let patient = HasherConfig::new().with_check_wait(Duration::from_secs(60));
    ApiKeys::builder(store).hasher(patient).build().await.unwrap()
}

async fn live(folder: &TempDir) -> Vec<KeyInfo> {
    let live = ListKeys::all().liveness(Liveness::Live);
    keys(folder).await.manager().list(live, &Actor::system("test").unwrap()).await.unwrap().keys
}

async fn check(folder: &TempDir, text: &str) -> Result<(), AuthErrorKind> {
    keys(folder).await.authenticator().authenticate(text).await.map(drop).map_err(|error| error.kind())
}

#[tokio::test]
async fn a_first_run_leaves_both_keys_good() {
    let folder = tempdir().unwrap();
    let said = run(&folder);
    assert_eq!(said.matches(": begun: ").count(), 3, "{said}");
    assert_eq!(live(&folder).await.len(), 7, "three pairs and the other team's key");
    for file in [SERVICES[0], SERVICES[1], OWN] {
        assert_eq!(check(&folder, &text(&folder, file)).await, Ok(()), "{file}");
    }
}

#[tokio::test]
async fn a_second_run_ends_the_old_keys_once_the_new_ones_are_used() {
    let folder = tempdir().unwrap();
    run(&folder);
    let old: Vec<_> = live(&folder).await.into_iter().filter(|key| key.replaces.is_none()).collect();
    let said = run(&folder);
    assert_eq!(said.matches("Every source that used the old key now uses the new one").count(), 3, "{said}");
    assert_eq!(said.matches(": finished").count(), 3, "{said}");
    let live = live(&folder).await;
    assert_eq!(live.len(), 4);
    assert!(live.iter().all(|key| key.owner.to_string() == "team sales" || key.replaces.is_some()));
    assert_eq!(old.len(), 4, "one of each file");
    for file in [SERVICES[0], SERVICES[1], OWN] {
        assert_eq!(check(&folder, &text(&folder, file)).await, Ok(()), "{file}");
    }
}

#[tokio::test]
async fn the_job_rotates_its_own_key_and_keeps_what_it_may() {
    let folder = tempdir().unwrap();
    let before = {
        run(&folder);
        text(&folder, OWN)
    };
    run(&folder);
    run(&folder);
    let after = text(&folder, OWN);
    assert_ne!(before, after, "a third run begins the next rotation");
    let manages: Vec<_> =
        live(&folder).await.into_iter().filter(|key| key.scopes.allows(&Scope::KEYS_ROTATE)).collect();
    assert!(!manages.is_empty() && manages.iter().all(|key| key.name.as_str() == "Rotation job"), "{manages:?}");
}

#[tokio::test]
async fn what_a_dead_run_left_behind_is_begun_again() {
    let folder = tempdir().unwrap();
    run(&folder);
    let (old, _) = (text(&folder, SERVICES[0]), run(&folder));
    run(&folder);
    // As if that run had been killed between the two steps.
    std::fs::write(folder.path().join(SERVICES[0]), &old).unwrap();
    let said = run(&folder);
    assert!(said.contains("deploy.key: begun again"), "{said}");
    assert_eq!(check(&folder, &text(&folder, SERVICES[0])).await, Ok(()));
    assert_eq!(check(&folder, &old).await, Ok(()));
}

#[tokio::test]
async fn a_key_that_expires_is_told_of_for_its_successor_ends_with_it() {
    let folder = tempdir().unwrap();
    run(&folder);
    assert!(!run(&folder).contains("has to renew it"), "no key expires yet");
    let is_cron = |key: &KeyInfo| key.name.as_str() == "Monday cron";
    let cron = live(&folder).await.into_iter().find(is_cron).unwrap();
    let end: Timestamp = "2126-01-01T00:00:00Z".parse().unwrap();
    keys(&folder).await.manager().expire_at(&cron.id, end, &Actor::system("test").unwrap()).await.unwrap();
    let said = run(&folder);
    let told = said.lines().filter(|line| line.contains("has to renew it")).collect::<Vec<_>>();
    assert_eq!(told, [format!("cron.key: the key still expires at {end}: a person or the service has to renew it")]);
    let ends: Vec<_> = live(&folder).await.into_iter().filter(is_cron).map(|key| key.expires_at).collect();
    assert_eq!(ends, [Some(end), Some(end)]);
}

/// Runs the job after a Team Admin has set this file as the label of the key of the Monday cron.
async fn run_labelled(folder: &TempDir, file: &str) -> String {
    let is_cron = |key: &KeyInfo| key.name.as_str() == "Monday cron";
    let keys = keys(folder).await;
    for cron in live(folder).await.into_iter().filter(is_cron) {
        let labels = Labels::new([("file", file)]).unwrap();
        keys.manager().relabel(&cron.id, labels, &Actor::system("test").unwrap()).await.unwrap();
    }
    run(folder)
}

#[tokio::test]
async fn a_label_reaches_no_file_but_that_of_its_key() {
    let folder = tempdir().unwrap();
    let elsewhere = tempdir().unwrap();
    run(&folder);
    run(&folder);
    let (cron, deploy) = (text(&folder, SERVICES[1]), text(&folder, SERVICES[0]));
    let (settings, outside) = (folder.path().join("settings.conf"), elsewhere.path().join("settings.conf"));
    for file in [&settings, &outside] {
        std::fs::write(file, "port = 80").unwrap();
    }
    let link = folder.path().join("link.key");
    std::os::unix::fs::symlink(folder.path().join(SERVICES[1]), &link).unwrap();
    let relative = format!("../{}/settings.conf", elsewhere.path().file_name().unwrap().to_str().unwrap());
    let names = [&relative, outside.to_str().unwrap(), "./cron.key", "..", "settings.conf", "absent.key", "link.key"];
    for name in names.into_iter().chain(["deploy.key"]) {
        let said = run_labelled(&folder, name).await;
        assert!(said.contains(&format!("{name}: ")) && said.contains(": not touched"), "{name}: {said}");
        let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
        assert_eq!([read(&settings), read(&outside)], ["port = 80", "port = 80"], "{name}");
        assert_eq!(text(&folder, SERVICES[1]), cron, "{name}");
        assert!(link.is_symlink() && !folder.path().join("absent.key").exists());
    }
    // The rotations of its own keys continue.
    let id = |text: &str| text.split('.').nth(1).unwrap().to_owned();
    assert_ne!(id(&text(&folder, SERVICES[0])), id(&cron));
    assert_ne!(deploy, cron);
}

#[tokio::test]
async fn a_link_beside_the_file_of_a_key_is_not_followed() {
    let folder = tempdir().unwrap();
    run(&folder);
    let victim = folder.path().join("victim");
    std::fs::write(&victim, "port = 80").unwrap();
    run(&folder);
    std::os::unix::fs::symlink(&victim, folder.path().join("deploy.key.new")).unwrap();
    run(&folder);
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "port = 80");
    let file = std::fs::symlink_metadata(folder.path().join(SERVICES[0])).unwrap();
    assert!(file.is_file());
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o777, 0o600);
}

#[tokio::test]
async fn the_job_reaches_no_other_team_and_makes_no_other_manager() {
    let folder = tempdir().unwrap();
    let said = run(&folder);
    assert!(said.contains("another rotator: denied: This API key does not have the scope `keys:issue`"), "{said}");
    assert!(said.contains("sales.key: not found, or you do not have access to it"), "{said}");
    let sales = live(&folder).await.into_iter().filter(|key| key.owner.to_string() == "team sales");
    assert_eq!(sales.count(), 1);
}
