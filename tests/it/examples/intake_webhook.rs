//! Which keys can use a webhook.

use std::fs;

use tempfile::{TempDir, tempdir};

use super::running::{Answer, Running, address_in, keys_in, request};

struct Webhook {
    _service: Running,
    folder: TempDir,
    address: String,
    /// Each key, with the status that the example prints for it.
    printed: Vec<(String, u16)>,
}

fn start() -> Webhook {
    let folder = tempdir().unwrap();
    let mut service = Running::start("intake_webhook", &folder);
    let said = service.until("Ctrl-C to stop");
    let status = |line: &str| line.rsplit_once("# ")?.1.split(',').next()?.parse().ok();
    let printed: Vec<_> = said.lines().filter_map(|line| Some((keys_in(line).pop()?, status(line)?))).collect();
    assert_eq!(printed.len(), 4);
    Webhook { _service: service, folder, address: address_in(&said), printed }
}

impl Webhook {
    fn send(&self, key: &str) -> Answer {
        request(&self.address, "POST /intake/deploys", &[("x-api-key", key)], "done")
    }

    /// The statuses for alice, bob, engineering and sales.
    fn statuses(&self) -> Vec<u16> {
        self.printed.iter().map(|(key, _)| self.send(key).status).collect()
    }

    fn members(&self, text: &str) {
        fs::write(self.folder.path().join("members.txt"), text).unwrap();
    }
}

#[test]
fn each_key_gets_what_its_line_says() {
    let webhook = start();
    let said: Vec<_> = webhook.printed.iter().map(|(_, status)| *status).collect();
    assert_eq!(said, [202, 403, 202, 403]);
    assert_eq!(webhook.statuses(), said);
}

#[test]
fn another_teams_key_is_told_so() {
    let webhook = start();
    let answer = webhook.send(&webhook.printed[3].0);
    assert_eq!(answer.status, 403);
    assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer realm="api", error="insufficient_scope""#));
    assert!(answer.body.contains(r#""code":"wrong_team""#), "{}", answer.body);
}

#[test]
fn who_leaves_the_team_is_out_at_once() {
    let webhook = start();
    webhook.members("bob engineering\n");
    assert_eq!(webhook.statuses(), [403, 202, 202, 403]);
}

#[test]
fn without_the_directory_users_are_told_to_come_again_and_teams_work_on() {
    let webhook = start();
    fs::remove_file(webhook.folder.path().join("members.txt")).unwrap();
    assert_eq!(webhook.statuses(), [503, 503, 202, 403]);
    let answer = webhook.send(&webhook.printed[0].0);
    assert_eq!((answer.header("retry-after"), answer.header("www-authenticate")), (Some("1"), None));
    assert!(answer.body.contains(r#""code":"store_unavailable""#), "{}", answer.body);
}

#[test]
fn no_key_learns_nothing_of_webhooks() {
    let webhook = start();
    for path in ["/intake/deploys", "/intake/unknown"] {
        assert_eq!(request(&webhook.address, &format!("POST {path}"), &[], "").status, 401);
    }
}
