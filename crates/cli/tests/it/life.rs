//! Every command, over both stores: what one command did, the next ones see.

use serde_json::Value;

use crate::support::World;

#[test]
fn every_command_works_over_sqlite() {
    let world = World::sqlite();
    every_command(&world);
    world.assert_no_secret_was_said();
}

#[test]
fn every_command_works_over_postgresql() {
    let world = World::postgres();
    every_command(&world);
    world.assert_no_secret_was_said();
}

fn every_command(world: &World) {
    keys(world);
    rotations(world);
    looks(world);
    leaks(world);
    owners(world);
    operations(world);
}

/// The key as `show` has it.
fn key(world: &World, id: &str) -> Value {
    world.run(&["show", id, "--json"]).json()["key"].clone()
}

fn ids(world: &World, arguments: &[&str]) -> Vec<String> {
    let lines = world.run(&[arguments, &["--json"]].concat()).ok();
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
    lines.lines().map(id).collect()
}

fn keys(world: &World) {
    let arguments = ["create", "--team", "sales", "--name", "Zapier", "--scope", "a:read", "--scope", "a:write"];
    let more = ["--label", "ticket=OPS-1", "--network", "203.0.113.0/24", "--responsible", "carol", "--expires", "90d"];
    let made = world.make(&[&arguments[..], &more].concat());
    let shown = key(world, &made.id);
    assert_eq!((&shown["name"], &shown["labels"]["ticket"]), (&"Zapier".into(), &"OPS-1".into()));
    assert_eq!(shown["scopes"], serde_json::json!(["a:read", "a:write"]));
    assert_eq!(shown["networks"], serde_json::json!(["203.0.113.0/24"]));
    assert_eq!((&shown["responsible"], &shown["created_by"]), (&"carol".into(), &"system:ops".into()));
    assert!(shown["expires_at"].is_string());

    world.run(&["edit", &made.id, "--name", "Zapier - invoices", "--label", "place=vault"]).ok();
    world.run(&["edit", &made.id, "--narrow-to", "a:read", "--any-network", "--remove-label", "ticket"]).ok();
    let shown = key(world, &made.id);
    assert_eq!(shown["name"], "Zapier - invoices");
    assert_eq!(shown["labels"], serde_json::json!({"place": "vault"}));
    assert_eq!((&shown["scopes"], &shown["networks"]), (&serde_json::json!(["a:read"]), &Value::Null));

    world.run(&["pause", &made.id, "--because", "not sure"]).ok();
    assert_eq!(key(world, &made.id)["state"], "key_paused");
    world.run(&["resume", &made.id]).ok();
    assert_eq!(key(world, &made.id)["state"], "live");

    assert_eq!(ids(world, &["list", "--team", "sales"]), std::slice::from_ref(&made.id));
    assert_eq!(ids(world, &["list", "--named", "INVOICES"]), std::slice::from_ref(&made.id));
    assert_eq!(ids(world, &["list", "--ends-before", "91d"]), std::slice::from_ref(&made.id));
    assert!(ids(world, &["list", "--user", "sales"]).is_empty());

    world.run(&["revoke", &made.id, "--yes", "--because", "gone"]).ok();
    assert_eq!(world.run(&["revoke", &made.id, "--yes", "--json"]).json()["effect"], "unchanged");
    assert!(ids(world, &["list", "--team", "sales"]).is_empty());
    assert_eq!(ids(world, &["list", "--team", "sales", "--revoked"]), [made.id]);

    let (one, two) = (world.user_key("pair", "one"), world.user_key("pair", "two"));
    // An option narrows what an id says; it never adds to it.
    let narrowed = ["revoke", &one.id, "--owner", "user:pair", "--because", "test", "--yes", "--json"];
    assert_eq!(world.run(&narrowed).json()["revoked"], 1);
    let other = ["revoke", &two.id, "--owner", "user:nobody", "--because", "test", "--yes", "--json"];
    assert_eq!(world.run(&other).json()["revoked"], 0);
    assert_eq!(ids(world, &["list", "--user", "pair"]), std::slice::from_ref(&two.id));
    let since = ["revoke", "--created-by", "system:ops", "--created-since", "1h", "--dry-run", "--json"];
    assert_eq!(world.run(&[&since[..], &["--owner", "user:pair"]].concat()).json()["revoked"], 1);
    let both = ["revoke", &one.id, &two.id, "--because", "test", "--yes", "--json"];
    assert_eq!(world.run(&both).json()["revoked"], 1);

    let many: Vec<_> = (0..3).map(|number| world.user_key("many", &format!("n{number}")).id).collect();
    let dry = world.run(&["revoke", "--owner", "user:many", "--dry-run", "--json"]).json();
    assert_eq!((&dry["revoked"], &dry["dry_run"]), (&3.into(), &true.into()));
    assert_eq!(ids(world, &["list", "--user", "many", "--oldest-first"]), many);
    let done = world.run(&["revoke", "--owner", "user:many", "--because", "test", "--yes", "--json"]).json();
    assert_eq!((&done["revoked"], &done["is_complete"]), (&3.into(), &true.into()));
}

fn rotations(world: &World) {
    let old = world.team_key("Monday cron");
    world.call(&old.text, "curl/8.5", 2);
    let new = world.make(&["rotate", "begin", &old.id, "--name", "Tuesday cron"]);
    let status = world.run(&["rotate", "status", &new.id, "--json"]).json();
    assert_eq!((&status["old"]["id"], &status["verdict"]["verdict"]), (&old.id.clone().into(), &"not_started".into()));
    let refused = world.run(&["rotate", "finish", &new.id]).fails(4);
    assert!(refused.starts_with("NOT finished: The new key was never used"), "{refused}");
    world.call(&new.text, "curl/8.5", 1);
    let finished = world.run(&["rotate", "finish", &old.id, "--anyway", "--yes", "--json"]).json();
    assert_eq!((&finished["effect"], &finished["old"]["state"]), (&"changed".into(), &"revoked".into()));
    assert_eq!(world.run(&["rotate", "status", &old.id, "--json", "--watch"]).json()["stage"], "finished");

    let into = world.make(&["rotate", "begin", &world.user_key("alice", "laptop").id, "--into-team", "engineering"]);
    assert_eq!(key(world, &into.id)["kind"], "team");
    world.run(&["rotate", "abort", &into.id]).ok();
    assert_eq!(key(world, &into.id)["state"], "revoked");
}

fn looks(world: &World) {
    let made = world.user_key("jordan", "key1");
    world.call(&made.text, "zapier", 3);
    world.call("not a key", "curl", 2);
    let usage = world.run(&["show", &made.id, "--json"]).json()["usage"].clone();
    assert_eq!(usage["totals"]["successes"], 3);
    let found = world.run(&["inventory", "--fail-on", "vague_name", "--user", "jordan", "--json"]);
    assert_eq!(found.code, 1);
    let entry: Value = serde_json::from_str(found.out.lines().next().unwrap()).unwrap();
    assert_eq!(entry["key"]["id"], made.id);
    assert_eq!(world.run(&["inventory", "--fail-on", "old_hash", "--user", "jordan"]).code, 0);
    let csv = world.run(&["inventory", "--csv", "--user", "jordan"]).ok();
    assert!(csv.starts_with("id,") && csv.contains(&made.id), "{csv}");

    assert_eq!(world.run(&["explain", &made.id, "--check", "--json"]).json()["verdict"], "accepted");
    world.run(&["suspend", "user:jordan"]).ok();
    let refused = world.run(&["explain", &made.id, "--check", "--json"]);
    assert_eq!((refused.code, refused.out.contains("owner_suspended")), (1, true));
    world.run(&["reinstate", "user:jordan"]).ok();

    let advice = world.run(&["advise", &made.id, "--json"]).json();
    assert!(advice["recommendation"].is_string());
    world.run(&["advise", "--all"]).ok();

    let trail = world.run(&["audit", "--key", &made.id, "--json"]).ok();
    assert!(trail.contains("\"key.issued\"") && trail.contains("system:ops"), "{trail}");
    let by_action = world.run(&["audit", "--action", "key.revoked", "--actor", "system:ops", "--limit", "1", "--json"]);
    assert_eq!(by_action.ok().lines().count(), 1);
    assert_eq!(world.run(&["audit", "--source", "nowhere", "--json"]).ok(), "");
    assert_eq!(world.run(&["audit", "--attempts", "--json"]).ok(), "");
    assert!(world.run(&["audit", "--csv", "--owner", "user:jordan"]).ok().starts_with("sequence,"));

    let refusals = world.run(&["refusals", "--json"]).json();
    assert_eq!(refusals["detail"]["counts"][0]["count"], 2);
    let radius = world.run(&["blast-radius", "jordan", "--json"]).json();
    assert_eq!(radius["stops"][0]["key"]["id"], made.id);
    let exposure = world.run(&["exposure", "jordan", "--json"]).json();
    assert_eq!(exposure["keys"][0]["key"]["id"], made.id);
}

fn leaks(world: &World) {
    let made = world.team_key("GitHub Actions - production");
    let line = format!("error: curl -H 'x-api-key: {}' failed", made.text);
    let found = world.run_with(&["identify", "--json"], &line).json();
    assert_eq!(
        (&found["keys"][0]["key"]["id"], &found["keys"][0]["evidence"]),
        (&made.id.clone().into(), &"whole_key".into())
    );
    assert_eq!(world.run_with(&["identify", "-"], "nothing").code, 1);

    for text in [made.text.clone(), format!("{}\n", made.text), format!("{}\r\n", made.text)] {
        let verified = world.run_with(&["verify", "--json"], &text).json();
        assert_eq!(
            (&verified["is_whole_key"], &verified["explanation"]["verdict"]),
            (&true.into(), &"accepted".into())
        );
    }
    let blank = world.run_with(&["verify", "--json"], &format!(" {}", made.text));
    assert_eq!((blank.code, blank.out.contains("\"is_whole_key\":false")), (1, true));

    let report = world.run(&["leak", &made.id, "--since", "1h", "--json"]).json();
    assert_eq!(report["key"]["state"], "live");
    let report = world.run(&["leak", &made.id, "--revoke", "--yes", "--json"]).json();
    assert_eq!(report["key"]["state"], "revoked");
    assert_eq!(world.run_with(&["verify"], &made.text).code, 1);
}

fn owners(world: &World) {
    let made = world.user_key("dan", "scripts");
    let dry = world.run(&["close", "user:dan", "--dry-run", "--json"]).json();
    assert_eq!((&dry["live_keys"], &dry["dry_run"]), (&1.into(), &true.into()));
    world.run(&["close", "user:dan", "--yes"]).ok();
    assert_eq!(key(world, &made.id)["state"], "owner_closed");
    world.run(&["suspend", "team:engineering", "--reason", "plan"]).ok();
    let stopped = world.run(&["reinstate", "team:engineering", "--reason", "plan", "--json"]).json();
    assert_eq!(stopped["effect"], "changed");
    world.run(&["suspend", "organization"]).ok();
    world.run(&["reinstate", "organization"]).ok();

    world.write("users.txt", "alice\njordan\n");
    let eve = world.user_key("eve", "old laptop");
    let found = world.run(&["reconcile", "--users", "users.txt", "--json"]);
    assert_eq!(found.code, 1);
    assert!(found.out.contains("\"eve\""), "{}", found.out);
    let fay = world.user_key("fay", "new laptop");
    let refused = world.run(&["reconcile", "--users", "users.txt", "--close", "--yes"]).fails_with_output(4);
    assert!(refused.contains("NOT all closed: 2 of 4 users"), "{refused}");
    world.run(&["reconcile", "--users", "users.txt", "--close", "--even-if-many", "--yes"]).ok();
    for gone in [&eve, &fay] {
        assert_eq!(key(world, &gone.id)["state"], "owner_closed");
    }
    assert_eq!(world.run_with(&["reconcile", "--users", "-"], "alice\njordan\n").code, 0);
}

fn operations(world: &World) {
    world.run(&["migrate"]).ok();
    let checked = world.run(&["doctor", "--json", "--node-freshness", "strict"]);
    let lines: Vec<Value> = checked.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |check: &str| lines.iter().find(|line| line["check"] == check).unwrap()["is_ok"].clone();
    for check in ["schema", "grants", "peppers", "clocks", "freshness", "records"] {
        assert_eq!(of(check), true, "{check}: {}", checked.out);
    }
    // There are requests without a key, and no lists of owners.
    assert_eq!((of("refusals"), of("owners"), checked.code), (false.into(), Value::Null, 1));

    let other = World::sqlite();
    let target = other.path("keys.db");
    let copied = world.run(&["copy", &world.store, target.to_str().unwrap(), "--json"]).json();
    assert!(copied["keys"].as_u64().unwrap() > 8, "{copied}");
    assert_eq!(ids(&other, &["list", "--revoked"]), ids(world, &["list", "--revoked"]));

    assert!(world.run(&["man"]).ok().contains(".SH APIKEYS ROTATE BEGIN"));
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        assert!(world.run(&["completions", shell]).ok().contains("blast-radius"), "{shell}");
    }
}
