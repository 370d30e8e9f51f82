//! What clients see behind proxies with the configurations of the guide.

use super::{
    proxy::{Proxy, Service, blocks},
    server::{Answer, Serving, get, send},
};
use crate::support::{Made, World};

/// A service behind a proxy, and the keys of its clients.
struct Setup {
    world: World,
    serving: Serving,
    service: Service,
    reader: Made,
}

impl Setup {
    fn new() -> Self {
        let world = World::sqlite();
        let scoped = |scope| ["create", "--team", "engineering", "--name", "CI", "--scope", scope];
        let reader = world.make(&scoped("agents:read"));
        let serving = world.serve(&["--trust", "127.0.0.1", "--rate", "100/h"]);
        Self { world, serving, service: Service::start(), reader }
    }

    fn other(&self, scope: &str) -> Made {
        self.world.make(&["create", "--team", "engineering", "--name", "CI", "--scope", scope])
    }
}

const BEARER: &str = "Bearer realm=\"api\"";

/// A proxy that passes on a refusal with its body, or only its code.
struct Passing {
    sentences: bool,
}

impl Passing {
    #[track_caller]
    fn check(&self, answer: &Answer, status: u16, code: &str, challenge: Option<&str>, retry: bool) {
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.code(), code);
        assert_eq!(answer.header("www-authenticate"), challenge);
        assert_eq!(answer.header("retry-after").is_some(), retry, "{answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.body.contains("\"detail\":"), self.sentences, "{}", answer.body);
        for name in ["x-auth-owner", "x-auth-organization", "x-auth-key-id", "x-auth-scopes"] {
            assert_eq!(answer.header(name), None);
        }
    }
}

/// Every refusal of `/check`, as a client of this proxy sees it. The service sees none of these requests. The last one is
/// final: the file of the keys is gone.
fn every_refusal(proxy: &Proxy, setup: &Setup, passing: &Passing) {
    let Setup { world, service, reader, .. } = setup;
    let ask = |headers: &[(&str, &str)]| get(proxy.at, "/agents", headers);
    let key = |key: &Made| ask(&[("x-api-key", &key.text)]);

    let two = [("x-api-key", reader.text.as_str()), ("authorization", "Bearer another")];
    let challenge = format!("{BEARER}, error=\"invalid_request\"");
    passing.check(&ask(&two), 400, "ambiguous_credentials", Some(&challenge), false);
    passing.check(&ask(&[]), 401, "missing_credentials", Some(BEARER), false);
    let invalid = format!("{BEARER}, error=\"invalid_token\"");
    passing.check(&ask(&[("x-api-key", "secret")]), 401, "malformed_key", Some(&invalid), false);
    let challenge = format!("{BEARER}, error=\"insufficient_scope\", scope=\"agents:read\"");
    passing.check(&key(&setup.other("agents:write")), 403, "insufficient_scope", Some(&challenge), false);

    let revoked = setup.other("agents:read");
    assert_eq!(key(&revoked).status, 200);
    world.run(&["revoke", &revoked.id, "--yes"]).ok();
    passing.check(&key(&revoked), 401, "key_revoked", Some(&invalid), false);

    let busy = setup.other("agents:read");
    let limited = std::iter::repeat_with(|| key(&busy)).find(|answer| answer.status != 200).unwrap();
    passing.check(&limited, 429, "rate_limited", None, true);
    let wait: u64 = limited.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=36).contains(&wait), "{wait}");

    service.seen();
    std::fs::rename(world.path("keys.db"), world.path("away.db")).unwrap();
    let away = key(reader);
    passing.check(&away, 503, "store_unavailable", None, true);
    assert_eq!(away.header("retry-after"), Some("1"));
    assert!(service.seen().is_empty(), "the service saw a refused request");
}

/// The headers that the service gets, and no others of these names.
fn forged_headers(proxy: &Proxy, setup: &Setup) {
    let Setup { service, reader, .. } = setup;
    service.seen();
    let forged = [
        ("x-api-key", reader.text.as_str()),
        ("X-Auth-Owner", "user:root"),
        ("x-auth-owner", "user:root"),
        ("X-Auth-Organization", "acme"),
        ("X-Auth-Key-Id", "root"),
        ("X-Auth-Scopes", "*"),
        ("X-Auth-Refusal", "none"),
        ("X-Forwarded-For", "203.0.113.7"),
        ("X-Forwarded-Uri", "/check?scope=none"),
        ("X-Original-Uri", "/check/-/"),
    ];
    let answer = get(proxy.at, "/agents?scope=none&kind=user", &forged);
    assert_eq!((answer.status, answer.body.as_str()), (200, "service"));
    let seen = service.seen();
    let [head] = seen.as_slice() else { panic!("{seen:?}") };
    let values = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(known, _)| *known == name).map(|(_, value)| value).collect::<Vec<_>>()
    };
    assert!(head.starts_with("get /agents?scope=none&kind=user http/1.1"), "{head}");
    assert_eq!(values("x-auth-owner"), ["team:engineering"]);
    assert_eq!(values("x-auth-organization"), ["default"]);
    assert_eq!(values("x-auth-key-id"), [reader.id.to_lowercase()]);
    assert_eq!(values("x-auth-scopes"), ["agents:read"]);
    assert_eq!((values("x-api-key").len(), values("authorization").len()), (0, 0), "{head}");

    // With any method, and with a body: the service gets it, and the question is the same.
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let typed = [("content-type", "application/grpc-web"), ("te", "trailers")];
        assert_eq!(send(proxy.at, method, "/agents", &typed, "body").status, 401, "{method}");
        let with_key = [typed[0], typed[1], ("authorization", &format!("Bearer {}", reader.text))];
        assert_eq!(send(proxy.at, method, "/agents", &with_key, "body").status, 200, "{method}");
        assert!(service.seen().iter().all(|head| head.starts_with(&method.to_lowercase())), "{method}");
    }
}

#[test]
fn every_refusal_reaches_the_client_of_nginx_with_status_challenge_and_retry_after() {
    let setup = Setup::new();
    let proxy = Proxy::nginx(setup.serving.at("check"), setup.service.at);
    forged_headers(&proxy, &setup);
    for underscored in ["X_Auth_Owner", "x_auth-owner", "X_AUTH_SCOPES"] {
        let headers = [("x-api-key", setup.reader.text.as_str()), (underscored, "user:root")];
        assert_eq!(get(proxy.at, "/agents", &headers).status, 200);
        assert!(setup.service.seen().iter().all(|head| !head.contains("root")), "{underscored}");
    }
    for inside in ["/_check", "/_check?scope=none", "/%5fcheck"] {
        let status = get(proxy.at, inside, &[("x-api-key", &setup.reader.text)]).status;
        assert_eq!(status, 404, "{inside}");
    }
    every_refusal(&proxy, &setup, &Passing { sentences: false });
    let Setup { world, serving, service, reader } = setup;
    drop(serving);
    let answer = get(proxy.at, "/agents", &[("x-api-key", &reader.text)]);
    assert_eq!((answer.status, answer.code().as_str()), (503, "store_unavailable"));
    assert!(service.seen().is_empty());
    world.assert_no_secret_was_said();
}

#[test]
fn every_refusal_reaches_the_client_of_caddy_as_it_is() {
    let setup = Setup::new();
    let proxy = Proxy::caddy(setup.serving.at("check"), setup.service.at);
    forged_headers(&proxy, &setup);
    every_refusal(&proxy, &setup, &Passing { sentences: true });
    drop(setup.serving);
    let status = get(proxy.at, "/agents", &[("x-api-key", &setup.reader.text)]).status;
    assert_eq!(status, 502);
    assert!(setup.service.seen().is_empty());
}

/// A key may be used from one network only: real proxies say from where their clients come.
#[test]
fn a_key_of_some_networks_is_judged_by_the_address_that_the_proxy_saw() {
    let setup = Setup::new();
    let limited = |network| {
        let arguments =
            ["create", "--team", "engineering", "--name", "CI", "--scope", "agents:read", "--network", network];
        setup.world.make(&arguments)
    };
    let (here, elsewhere) = (limited("127.0.0.0/8"), limited("203.0.113.0/24"));
    let asked = setup.serving.at("check");
    for proxy in [Proxy::nginx(asked, setup.service.at), Proxy::caddy(asked, setup.service.at)] {
        let forged = ("x-forwarded-for", "203.0.113.7");
        assert_eq!(get(proxy.at, "/agents", &[("x-api-key", &here.text), forged]).status, 200);
        let answer = get(proxy.at, "/agents", &[("x-api-key", &elsewhere.text), forged]);
        assert_eq!((answer.status, answer.code().as_str()), (403, "network_not_allowed"));
    }
}

/// The line of a block of the guide that begins with this name.
fn setting(block: &str, name: &str) -> String {
    let line = blocks("yaml").into_iter().filter(|text| text.contains(block)).flat_map(str::lines);
    let value = line.filter_map(|line| line.trim().strip_prefix(name)).next().unwrap();
    value.trim().trim_matches('"').to_owned()
}

/// Asks as a proxy does, about a request with this method, target and headers.
type Ask = fn(&Serving, &str, &str, &[(&str, &str)]) -> Answer;

/// What Traefik 3 sends for a request: `GET`, the headers of `authRequestHeaders`, and those that it adds
/// (<https://github.com/traefik/traefik/blob/v3.3/pkg/middlewares/auth/forward.go>).
fn traefik(serving: &Serving, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
    let address = setting("forwardAuth:", "address:");
    let allowed = setting("forwardAuth:", "authRequestHeaders:").to_lowercase();
    let allowed: Vec<_> = allowed.trim_matches(['[', ']']).split(", ").collect();
    let mut sent: Vec<_> = headers.iter().copied().filter(|(name, _)| allowed.contains(name)).collect();
    sent.extend([
        ("host", "127.0.0.1:7300"),
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-method", method),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "api.example.com"),
        ("x-forwarded-port", "80"),
        ("x-forwarded-uri", target),
        ("x-forwarded-server", "traefik-1"),
        ("accept-encoding", "gzip"),
    ]);
    get(serving.at("check"), address.strip_prefix("http://127.0.0.1:7300").unwrap(), &sent)
}

/// What Envoy sends for a request: its method, `path_prefix` and its path, `content-length: 0`, and the headers that are
/// always sent or in `allowed_headers`
/// (<https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/filters/http/ext_authz/v3/ext_authz.proto>).
fn envoy(serving: &Serving, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
    let prefix = setting("ext_authz", "path_prefix:");
    let allowed = ["authorization", "x-api-key", "user-agent", "x-forwarded-for"];
    let mut sent: Vec<_> = headers.iter().copied().filter(|(name, _)| allowed.contains(name)).collect();
    sent.extend([("x-forwarded-for", "203.0.113.9"), ("content-length", "0"), ("x-envoy-internal", "true")]);
    send(serving.at("check"), method, &format!("{prefix}{target}"), &sent, "")
}

/// What a client of Envoy gets: 4xx as they are, with `allowed_client_headers`; 5xx as `status_on_error`, alone.
fn behind_envoy(answer: Answer) -> Answer {
    assert_eq!(setting("ext_authz", "status_on_error:"), "{ code: ServiceUnavailable }");
    if answer.status >= 500 {
        return Answer { status: 503, headers: Vec::new(), body: String::new() };
    }
    let allowed = ["www-authenticate", "retry-after", "cache-control", "content-type", "x-auth-refusal"];
    let headers = answer.headers.into_iter().filter(|(name, _)| allowed.contains(&name.as_str())).collect();
    Answer { headers, ..answer }
}

/// Each refusal with what a client of Traefik and of Envoy gets for it.
#[test]
fn what_traefik_and_envoy_send_is_answered_for_their_clients() {
    let setup = Setup::new();
    let Setup { world, serving, reader, .. } = &setup;
    let (writer, busy, limited) = (setup.other("agents:write"), setup.other("agents:read"), setup.other("agents:read"));
    world.run(&["edit", &limited.id, "--network", "203.0.113.0/24"]).ok();
    let passing = Passing { sentences: true };
    for ask in [traefik, envoy] {
        // The path of a client changes no question, whatever it is.
        for target in ["/", "/agents?scope=none&kind=user", "/scope=none/", "//", "/../check?kind=user", "/%2e%2e/-/"] {
            for method in ["GET", "POST", "DELETE", "OPTIONS"] {
                let with = |key: &Made| ask(serving, method, target, &[("x-api-key", &key.text)]);
                let good = ask(serving, method, target, &[("authorization", &format!("Bearer {}", limited.text))]);
                assert_eq!((good.status, good.header("x-auth-owner")), (200, Some("team:engineering")), "{target}");
                assert_eq!(with(&writer).status, 403, "{target}");
            }
        }
        let grpc = [("content-type", "application/grpc-web"), ("te", "trailers")];
        assert_eq!(ask(serving, "POST", "/agents", &grpc).status, 401);
    }
    let cases = |ask: Ask| {
        let with = |key: &str| ask(serving, "POST", "/agents", &[("x-api-key", key)]);
        let two = [("x-api-key", reader.text.as_str()), ("authorization", "Bearer another")];
        let limited = std::iter::repeat_with(|| with(&busy.text)).find(|answer| answer.status != 200).unwrap();
        [ask(serving, "POST", "/agents", &two), with("secret"), with(&writer.text), limited]
    };
    let challenge = |error: &str| Some(format!("{BEARER}, error=\"{error}\""));
    let expected = [
        (400, "ambiguous_credentials", challenge("invalid_request"), false),
        (401, "malformed_key", challenge("invalid_token"), false),
        (403, "insufficient_scope", challenge("insufficient_scope\", scope=\"agents:read"), false),
        (429, "rate_limited", None, true),
    ];
    for answers in [cases(traefik), cases(envoy).map(behind_envoy)] {
        for (answer, (status, code, challenge, retry)) in answers.iter().zip(&expected) {
            passing.check(answer, *status, code, challenge.as_deref(), *retry);
        }
    }
    std::fs::rename(world.path("keys.db"), world.path("away.db")).unwrap();
    let away = traefik(serving, "GET", "/", &[("x-api-key", &reader.text)]);
    passing.check(&away, 503, "store_unavailable", None, true);
    let away = behind_envoy(envoy(serving, "GET", "/", &[("x-api-key", &reader.text)]));
    assert_eq!((away.status, away.header("retry-after"), away.body.as_str()), (503, None, ""));
}
