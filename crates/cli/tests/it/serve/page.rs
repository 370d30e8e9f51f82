//! The page behind a proxy that signs people in: who is let in, as whom, and what they see.

use super::server::{Answer, Serving, get, send};
use crate::support::World;

const USER: &str = "x-auth-request-user";

/// The page as somebody sees it, whom the sign-in proxy names so.
fn open(serving: &Serving, path: &str, headers: &[(&str, &str)]) -> Answer {
    get(serving.at("page"), path, headers)
}

#[track_caller]
fn refused(answer: &Answer, status: u16, text: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.body.contains(text) && !answer.body.contains("<html"), "{}", answer.body);
}

/// The hidden fields of a form, as they are sent.
fn hidden(page: &str) -> String {
    let inputs = page.split("<input type=\"hidden\"").skip(1).map(|rest| rest.split('>').next().unwrap());
    let attribute = |input: &str, name: &str| {
        input.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    let fields: Vec<_> =
        inputs.map(|input| format!("{}={}", attribute(input, "name"), attribute(input, "value"))).collect();
    assert!(!fields.is_empty(), "{page}");
    fields.join("&")
}

const TRUSTED: [&str; 4] = ["--page", "127.0.0.1:0", "--page-trust", "127.0.0.1"];

fn serve(world: &World, more: &[&str]) -> Serving {
    world.serve(&[&TRUSTED, more].concat())
}

#[test]
fn without_roles_a_person_has_their_own_keys_and_nothing_else() {
    let world = World::sqlite();
    world.user_key("alice", "laptop of alice");
    let other = world.user_key("bob", "laptop of bob");
    let team = world.team_key("deploy");
    let serving = serve(&world, &[]);
    let alice = [(USER, "alice"), ("x-auth-request-groups", "apikeys:admin")];
    let list = open(&serving, "/", &alice);
    assert_eq!(list.status, 200);
    assert!(list.body.contains("laptop of alice") && list.body.contains("talk to this service"), "{}", list.body);
    for hidden in ["laptop of bob", "deploy", &other.id, &team.id] {
        assert!(!list.body.contains(hidden), "{hidden}");
    }
    for path in [format!("/keys/{}", other.id), format!("/keys/{}", team.id)] {
        assert_eq!(open(&serving, &path, &alice).status, 404, "{path}");
    }
    // A form of hers makes a key of hers, and none of a team or of somebody else.
    let host = serving.at("page").to_string();
    let origin = format!("http://{host}");
    let form = [
        (USER, "alice"),
        ("host", host.as_str()),
        ("origin", origin.as_str()),
        ("sec-fetch-site", "same-origin"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let fields = hidden(&open(&serving, "/new?kind=user", &alice).body);
    let post = |headers: &[(&str, &str)], fields: &str| send(serving.at("page"), "POST", "/new", headers, fields);
    let foreign = [form[0], form[1], ("origin", "http://evil.example.com"), ("sec-fetch-site", "cross-site"), form[4]];
    assert_eq!(post(&foreign, &format!("{fields}&name=forged")).status, 403);
    let of_team = post(&form, &format!("{}&team=engineering&name=mine", fields.replace("kind=user", "kind=team")));
    assert!((400..500).contains(&of_team.status), "{of_team:?}");
    assert_eq!(world.run(&["list", "--json"]).ok().lines().count(), 3);
    let made = post(&form, &format!("{fields}&user=bob&organization=acme&name=mine"));
    assert_eq!(made.status, 200, "{made:?}");
    let listed = world.run(&["list", "--user", "alice", "--json"]).ok();
    assert!(listed.contains("\"name\":\"mine\"") && listed.contains("\"created_by\":\"user:alice\""), "{listed}");
    assert_eq!(serving.stop().0, Some(0));
}

#[test]
fn groups_of_the_documented_form_give_roles() {
    let world = World::sqlite();
    world.user_key("bob", "laptop of bob");
    world.team_key("deploy");
    let serving = serve(&world, &["--page-groups", "X-Auth-Request-Groups", "--page-product", "Auxot"]);
    let body = |user, groups| open(&serving, "/keys", &[(USER, user), ("x-auth-request-groups", groups)]).body;
    let admin = body("alice", "staff,apikeys:admin");
    assert!(admin.contains("laptop of bob") && admin.contains("deploy"), "{admin}");
    let list =
        open(&serving, "/", &[(USER, "carol"), ("x-auth-request-groups", "apikeys:team:engineering:member")]).body;
    assert!(list.contains("deploy") && list.contains("Auxot") && !list.contains("laptop of bob"), "{list}");
    // Not our groups, and none at all.
    for groups in ["admin", "", "apikeys", "team:engineering:admin"] {
        let list = open(&serving, "/", &[(USER, "carol"), ("x-auth-request-groups", groups)]);
        assert!(list.status == 200 && !list.body.contains("deploy"), "{groups}");
    }
    for groups in ["apikeys:root", "apikeys:team:engineering", "apikeys:admin,apikeys:system:ops", "apikeys:"] {
        let answer = open(&serving, "/", &[(USER, "carol"), ("x-auth-request-groups", groups)]);
        refused(&answer, 403, "What the sign-in proxy says about you cannot be read.");
    }
    let twice = [(USER, "carol"), ("x-auth-request-groups", "staff"), ("x-auth-request-groups", "apikeys:admin")];
    refused(&open(&serving, "/", &twice), 403, "cannot be read");
}

#[test]
fn a_file_gives_roles_and_is_read_again_for_each_request() {
    let world = World::sqlite();
    world.team_key("deploy");
    world.write("roles.json", r#"{"carol": ["team:engineering:member"]}"#);
    let mut serving = serve(&world, &["--page-roles-file", "roles.json"]);
    let list = |user| open(&serving, "/", &[(USER, user)]);
    assert!(list("carol").body.contains("deploy") && !list("dave").body.contains("deploy"));
    world.write("roles.json", r#"{"dave": ["team:engineering:admin"]}"#);
    assert!(!list("carol").body.contains("deploy") && list("dave").body.contains("deploy"));
    world.write("roles.json", r#"{"dave": ["team:engineering:boss"]}"#);
    for user in ["carol", "dave"] {
        refused(&list(user), 503, "The roles of people cannot be read at the moment.");
    }
    serving.hears("--page-roles-file cannot be read");
    std::fs::remove_file(world.path("roles.json")).unwrap();
    refused(&open(&serving, "/", &[(USER, "carol")]), 503, "cannot be read");
}

#[test]
fn names_that_are_forged_malformed_or_of_the_system_are_refused() {
    let world = World::sqlite();
    let mut serving = serve(&world, &[]);
    refused(&open(&serving, "/", &[]), 401, "Nobody is signed in.");
    refused(&open(&serving, "/", &[(USER, "")]), 401, "Nobody is signed in.");
    refused(&open(&serving, "/", &[("x-user", "alice"), ("cookie", "user=alice")]), 401, "Nobody is signed in.");
    for name in ["system:ops", "system:", "alice, root", "root,alice", "a\u{200b}b", &"a".repeat(129)] {
        refused(&open(&serving, "/", &[(USER, name)]), 403, "What the sign-in proxy says about you cannot be read.");
    }
    refused(&open(&serving, "/", &[(USER, "alice"), (USER, "root")]), 403, "cannot be read");
    assert_eq!(open(&serving, "/", &[(USER, "Zoë@example.com")]).status, 200);
    serving.hears("The sign-in proxy said something about a person that is not in the documented form");
    let (code, said) = serving.stop();
    assert_eq!(code, Some(0));
    assert!(!said.contains("alice") && !said.contains("root"), "{said}");
}

#[test]
fn only_the_named_proxy_is_believed() {
    let world = World::sqlite();
    let mut serving =
        world.serve(&["--page", "127.0.0.1:0", "--page-trust", "192.0.2.7", "--page-trust", "10.0.0.0/8"]);
    for headers in [&[(USER, "alice")][..], &[(USER, "alice"), ("x-forwarded-for", "192.0.2.7")], &[]] {
        for path in ["/", "/assets/page.css", "/keys/new"] {
            refused(&open(&serving, path, headers), 403, "This page answers only the proxy that signs people in.");
        }
    }
    serving.hears("from an address that --page-trust does not name");
    // The page is not on the port that proxies ask, nor is the check on that of the page.
    assert_eq!(get(serving.at("check"), "/", &[(USER, "alice")]).status, 404);
    assert_eq!(open(&serving, "/check", &[]).status, 403);
}

#[test]
fn people_are_of_the_organization_that_the_proxy_names() {
    let acme = World::sqlite().with("APIKEYS_ORGANIZATION", "acme");
    acme.user_key("alice", "laptop of acme");
    let serving = serve(&acme, &[]);
    assert!(open(&serving, "/", &[(USER, "alice")]).body.contains("laptop of acme"));
    let both =
        acme.run(&["serve", "--page", "127.0.0.1:0", "--page-trust", "127.0.0.1", "--page-organization", "x-org"]);
    assert!(both.fails(2).contains("Give --organization or --page-organization, not both."));
    drop(serving);
    let world = acme.without("APIKEYS_ORGANIZATION");
    let serving = serve(&world, &["--page-organization", "x-org"]);
    let list = |organization: &[(&str, &str)]| open(&serving, "/", &[&[(USER, "alice")], organization].concat());
    assert!(list(&[("x-org", "acme")]).body.contains("laptop of acme"));
    let elsewhere = list(&[("x-org", "globex")]);
    assert!(elsewhere.status == 200 && !elsewhere.body.contains("laptop of acme"));
    for wrong in [&[][..], &[("x-org", "")], &[("x-org", "globex,acme")], &[("x-org", "globex"), ("x-org", "acme")]] {
        refused(&list(wrong), 403, "cannot be read");
    }
}

#[test]
fn the_page_has_a_path_and_its_options_are_checked_at_the_start() {
    let world = World::sqlite();
    let serving = serve(&world, &["--page-path", "/settings/api-keys", "--page-user", "Remote-User"]);
    let as_alice = [("remote-user", "alice")];
    let list = open(&serving, "/settings/api-keys", &as_alice);
    assert!(list.status == 200 && list.body.contains("/settings/api-keys/"), "{list:?}");
    assert_eq!(open(&serving, "/", &as_alice).status, 404);
    assert_eq!(open(&serving, "/settings/api-keys", &[(USER, "alice")]).status, 401);
    world.write("bad.json", "[]");
    for (arguments, expected) in [
        (&["--page", "127.0.0.1:0"][..], "--page-trust"),
        (&["--page-trust", "127.0.0.1"], "--page"),
        (&["--page", "127.0.0.1:0", "--page-trust", "0.0.0.0/0"], "The value of --page-trust is wrong."),
        (&["--page", "127.0.0.1:0", "--page-trust", "proxy"], "The value of --page-trust is wrong."),
        (&[&TRUSTED[..], &["--page-path", "/keys/"]].concat(), "The value of --page-path is wrong."),
        (&[&TRUSTED[..], &["--page-user", "a b"]].concat(), "--page-user"),
        (&[&TRUSTED[..], &["--page-groups", "x-auth-request-user"]].concat(), "must have different names"),
        (
            &[&TRUSTED[..], &["--page-groups", "x-groups", "--page-roles-file", "bad.json"]].concat(),
            "--page-roles-file",
        ),
        (&[&TRUSTED[..], &["--page-roles-file", "bad.json"]].concat(), "The roles cannot be read"),
        (&[&TRUSTED[..], &["--page-roles-file", "none.json"]].concat(), "The roles cannot be read"),
    ] {
        let said = world.run(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat()).fails(2);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}
