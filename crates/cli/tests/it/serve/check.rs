//! The answers at `/check`.

use tower_api_keys::{Actor, IssueKey, Scopes, TeamId};

use super::server::{Serving, get, send};
use crate::support::{Made, World, runtime};

const GRANTED: [&str; 4] = ["x-auth-owner", "x-auth-organization", "x-auth-key-id", "x-auth-scopes"];

/// A team key with these scopes.
fn scoped(world: &World, scopes: &[&str]) -> Made {
    let scopes = scopes.iter().flat_map(|scope| ["--scope", scope]);
    world.make(&["create", "--team", "engineering", "--name", "CI"].into_iter().chain(scopes).collect::<Vec<_>>())
}

#[track_caller]
fn refuses(serving: &Serving, target: &str, key: &str, status: u16, code: &str) {
    let answer = serving.check(target, &[("x-api-key", key)]);
    assert_eq!(
        (answer.status, answer.code().as_str(), answer.header("x-auth-refusal")),
        (status, code, Some(code)),
        "{target}"
    );
    for name in GRANTED {
        assert_eq!(answer.header(name), None, "{target}: {answer:?}");
    }
}

#[test]
fn a_good_key_is_told_with_owner_organization_id_and_scopes() {
    let world = World::sqlite();
    let serving = world.serve(&[]);
    let made = scoped(&world, &["agents:read", "a,b", "c;d=%"]);
    let bearer = format!("Bearer {}", made.text);
    let answer = serving.check("/check", &[("authorization", &bearer)]);
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    assert_eq!(answer.header("x-auth-owner"), Some("team:engineering"));
    assert_eq!(answer.header("x-auth-organization"), Some("default"));
    assert_eq!(answer.header("x-auth-key-id"), Some(made.id.as_str()));
    assert_eq!(answer.header("x-auth-scopes"), Some("a%2Cb agents:read c%3Bd%3D%25"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("x-auth-refusal"), None);

    let odd = "user:Zoë, \"x\"%0d; \u{1F600}/é";
    let made = world.make(&["create", "--user", odd, "--name", "laptop"]);
    let answer = serving.check("/check", &[("x-api-key", &made.text)]);
    let expected = "user:user:Zo%C3%AB%2C%20%22x%22%250d%3B%20%F0%9F%98%80%2F%C3%A9";
    assert_eq!((answer.header("x-auth-owner"), answer.header("x-auth-scopes")), (Some(expected), Some("*")));
    world.assert_no_secret_was_said();
}

#[test]
fn refusals_are_those_of_the_layer() {
    let world = World::sqlite();
    let serving = world.serve(&[]);
    let made = scoped(&world, &["agents:read"]);
    let answer = serving.check("/check", &[]);
    assert_eq!((answer.status, answer.code().as_str()), (401, "missing_credentials"));
    assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"api\""));
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let answer = serving.check("/check", &[("x-api-key", &made.text), ("authorization", "Bearer another")]);
    assert_eq!((answer.status, answer.code().as_str()), (400, "ambiguous_credentials"));
    assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"api\", error=\"invalid_request\""));
    refuses(&serving, "/check", &made.text[..made.text.len() - 1], 401, "malformed_key");
    refuses(&serving, "/check?scope=agents:write", &made.text, 403, "insufficient_scope");
    let answer = serving.check("/check?scope=agents:write", &[("x-api-key", &made.text)]);
    let challenge = "Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"agents:write\"";
    assert_eq!(answer.header("www-authenticate"), Some(challenge));
    world.run(&["revoke", &made.id, "--yes"]).ok();
    refuses(&serving, "/check", &made.text, 401, "key_revoked");
}

#[test]
fn scope_kind_and_team_are_what_the_operator_asks_for() {
    let world = World::sqlite();
    let serving = world.serve(&[]);
    let (team, user) = (scoped(&world, &["agents:read", "agents:write"]), world.user_key("alice", "laptop"));
    for target in [
        "/check?scope=agents%3Aread",
        "/check?scope=agents:read+agents:write",
        "/check?kind=team&team=engineering&organization=default",
        "/check/scope=agents:read&team=engineering/orders/7?scope=nothing&kind=user",
        "/check/-//orders?team=sales",
    ] {
        assert_eq!(serving.check(target, &[("x-api-key", &team.text)]).status, 200, "{target}");
    }
    refuses(&serving, "/check?scope=agents:read%20agents:admin", &team.text, 403, "insufficient_scope");
    refuses(&serving, "/check?team=sales", &team.text, 403, "wrong_team");
    refuses(&serving, "/check?team=engineering&organization=acme", &team.text, 403, "wrong_team");
    refuses(&serving, "/check?organization=acme", &team.text, 403, "wrong_team");
    refuses(&serving, "/check?kind=user", &team.text, 403, "wrong_key_kind");
    refuses(&serving, "/check?kind=team", &user.text, 403, "wrong_key_kind");
    // This server knows no members of teams.
    refuses(&serving, "/check?team=engineering", &user.text, 403, "wrong_team");
    let none = runtime().block_on(async {
        let request = IssueKey::team(TeamId::new("engineering").unwrap()).scopes(Scopes::none());
        world.service().await.manager().issue(request, &Actor::system("test").unwrap()).await.unwrap().into_plaintext()
    });
    refuses(&serving, "/check", none.expose_secret(), 403, "insufficient_scope");
}

#[test]
fn a_question_that_is_not_understood_lets_nobody_in_and_is_said_once_without_what_was_sent() {
    let world = World::sqlite();
    let serving = world.serve(&[]);
    let made = world.team_key("CI");
    for target in [
        "/check?scop=agents:read",
        "/check?scope=",
        "/check?scope=a&scope=b",
        "/check?kind=robot",
        "/check?kind=team&x",
        "/check/",
        "/check/orders",
        "/check//scope=a/",
        "/check/kind=team&kind=team/orders",
    ] {
        refuses(&serving, target, &made.text, 500, "misconfigured");
        refuses(&serving, target, "none", 500, "misconfigured");
    }
    let secret = format!("/check?{}", made.text);
    refuses(&serving, &secret, &made.text, 500, "misconfigured");
    let (code, said) = serving.stop();
    assert_eq!(code, Some(0));
    assert_eq!(
        said.matches("a parameter is not known: there are kind, organization, scope and team").count(),
        1,
        "{said}"
    );
    assert!(
        said.contains("scope is there twice") && said.contains("the value of kind is not valid, or empty"),
        "{said}"
    );
    assert!(!said.contains(&made.text) && !said.contains("scop=") && !said.contains("robot"), "{said}");
}

/// The layer answers gRPC calls with status 200 and the refusal in trailers. A proxy would take that for a yes.
#[test]
fn no_method_and_no_content_type_make_a_refusal_look_like_success() {
    let world = World::sqlite();
    let serving = world.serve(&[]);
    let made = world.team_key("CI");
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE"] {
        for content_type in
            ["application/grpc", "application/grpc-web", "application/grpc-web-text+proto", "text/plain"]
        {
            let typed = [("content-type", content_type), ("te", "trailers")];
            let body = if method == "POST" { "\0\0\0\0\0" } else { "" };
            let answer = send(serving.at("check"), method, "/check", &typed, body);
            assert_eq!((answer.status, answer.header("grpc-status")), (401, None), "{method} {content_type}");
            let with_key = [typed[0], typed[1], ("x-api-key", &made.text)];
            assert_eq!(send(serving.at("check"), method, "/check/-/a", &with_key, body).status, 200, "{method}");
            assert_eq!(send(serving.at("check"), method, "/check?kind=user", &with_key, body).status, 403, "{method}");
        }
    }
    for target in ["/", "/checks", "/check%3Fkind=user", "//check", "/metrics", "*"] {
        let answer = serving.check(target, &[("x-api-key", &made.text)]);
        assert_eq!(answer.status, 404, "{target}");
    }
    let absolute = serving.check("http://other.example.com/check?kind=user", &[("x-api-key", &made.text)]);
    assert_eq!(absolute.status, 403);
}

#[test]
fn forwarded_requests_and_headers_of_our_names_change_nothing() {
    let world = World::sqlite();
    let serving = world.serve(&[]);
    let made = world.team_key("CI");
    let forged = [
        ("x-api-key", made.text.as_str()),
        ("x-forwarded-uri", "/?kind=user&team=sales"),
        ("x-original-uri", "/check?kind=user"),
        ("x-forwarded-method", "POST"),
        ("x-auth-owner", "user:root"),
        ("x-auth-organization", "acme"),
        ("x-auth-key-id", "none"),
        ("x-auth-scopes", "*"),
    ];
    let answer = serving.check("/check?kind=team", &forged);
    assert_eq!((answer.status, answer.header("x-auth-owner")), (200, Some("team:engineering")));
    assert_eq!(serving.check("/check?kind=user", &forged).status, 403);
}

#[test]
fn a_key_of_some_networks_is_accepted_as_the_named_proxy_says_and_nobody_else() {
    let world = World::sqlite();
    let made = world.make(&["create", "--team", "engineering", "--name", "CI", "--network", "203.0.113.0/24"]);
    let asks = |serving: &Serving, forwarded: &[&str]| {
        let lines = forwarded.iter().map(|line| ("x-forwarded-for", *line));
        let headers: Vec<_> = [("x-api-key", made.text.as_str())].into_iter().chain(lines).collect();
        let answer = serving.check("/check", &headers);
        (answer.status, answer.header("x-auth-refusal").unwrap_or_default().to_owned())
    };
    let (good, refused) = ((200, String::new()), (403, "network_not_allowed".to_owned()));
    let unnamed = world.serve(&[]);
    assert_eq!(asks(&unnamed, &["203.0.113.7"]), refused);
    let elsewhere = world.serve(&["--trust", "192.0.2.0/24", "--trust", "::1"]);
    assert_eq!(asks(&elsewhere, &["203.0.113.7"]), refused);
    let named = world.serve(&["--trust", "127.0.0.1"]);
    assert_eq!(asks(&named, &["203.0.113.7"]), good);
    assert_eq!(asks(&named, &["203.0.113.7, 198.51.100.1"]), refused);
    assert_eq!(asks(&named, &["203.0.113.7", "198.51.100.1"]), refused);
    assert_eq!(asks(&named, &[]), refused);
    let behind_two = world.serve(&["--trust", "127.0.0.0/8", "--proxies", "2"]);
    assert_eq!(asks(&behind_two, &["10.0.0.1, 203.0.113.7, 198.51.100.1"]), good);
    assert_eq!(asks(&behind_two, &["203.0.113.7"]), refused);
}

#[test]
fn a_key_above_its_rate_is_told_when_to_come_back() {
    let world = World::sqlite();
    let serving = world.serve(&["--rate", "2/h"]);
    let (busy, other) = (world.team_key("CI"), world.team_key("CD"));
    let asks = |key: &Made, target: &str| serving.check(target, &[("x-api-key", &key.text)]).status;
    // What is refused for another reason takes nothing from the budget.
    assert_eq!(asks(&busy, "/check?kind=user"), 403);
    assert_eq!((asks(&busy, "/check"), asks(&busy, "/check")), (200, 200));
    let limited = serving.check("/check", &[("x-api-key", &busy.text)]);
    assert_eq!((limited.status, limited.code().as_str()), (429, "rate_limited"));
    let wait: u64 = limited.header("retry-after").unwrap().parse().unwrap();
    assert!((1_700..=1_800).contains(&wait), "{wait}");
    assert_eq!(asks(&other, "/check"), 200);
    let (code, _) = serving.stop();
    assert_eq!(code, Some(0));
    let shown = world.run(&["show", &busy.id, "--json"]).ok();
    assert!(shown.contains("\"successes\":4") && shown.contains("rate_limited"), "{shown}");
}

#[test]
fn only_keys_of_the_given_organization_are_accepted() {
    let world = World::sqlite().with("APIKEYS_ORGANIZATION", "acme");
    let made = world.team_key("CI");
    let serving = world.serve(&[]);
    let answer = serving.check("/check", &[("x-api-key", &made.text)]);
    assert_eq!((answer.status, answer.header("x-auth-organization")), (200, Some("acme")));
    drop(serving);
    let world = world.with("APIKEYS_ORGANIZATION", "globex");
    let serving = world.serve(&[]);
    refuses(&serving, "/check", &made.text, 403, "wrong_team");
}

#[test]
fn figures_are_on_a_port_of_their_own() {
    let world = World::sqlite();
    let made = world.team_key("CI");
    let serving = world.serve(&["--metrics", "127.0.0.1:0"]);
    serving.check("/check", &[("x-api-key", &made.text)]);
    serving.check("/check", &[("x-api-key", &made.text)]);
    serving.check("/check", &[]);
    serving.check("/check?kind=user", &[("x-api-key", &made.text)]);
    let figures = get(serving.at("metrics"), "/metrics", &[]);
    assert_eq!(
        (figures.status, figures.header("content-type")),
        (200, Some("text/plain; version=0.0.4; charset=utf-8"))
    );
    for line in [
        "# TYPE api_keys_check_answers_total counter",
        "api_keys_check_answers_total{status=\"200\"} 2",
        "api_keys_check_answers_total{status=\"401\"} 1",
        "api_keys_check_answers_total{status=\"403\"} 1",
        "# HELP api_keys_proof_hits_total checks of keys that took neither a look-up in the store nor a hash",
        "api_keys_proof_hits_total 2",
        "api_keys_refusals_total{code=\"missing_credentials\"} 1",
        "api_keys_proofs_remembered 1",
    ] {
        assert!(figures.body.lines().any(|said| said == line), "{line} is not in {}", figures.body);
    }
    assert!(!figures.body.contains(&made.id) && !figures.body.contains("engineering"));
    assert_eq!(get(serving.at("metrics"), "/check", &[("x-api-key", &made.text)]).status, 404);
    assert_eq!(get(serving.at("check"), "/metrics", &[]).status, 404);
}
