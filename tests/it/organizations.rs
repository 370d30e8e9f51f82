//! Two customers whose teams and users have the same ids, at the paths of one of them.

use axum::{
    Router,
    body::Body,
    extract::Path,
    http::{Request, StatusCode},
    routing::get,
};
use tower::ServiceExt;
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, OrganizationId, Owner, Principal, TeamAccess, TeamRef, UserId,
    auth::AuthErrorKind,
    extract::{InOrganization, TeamPrincipal},
    manage::{DenialReason, ManageError, ManageErrorKind, MatchConfidence, Misconfiguration, PresentedOutcome, Rights},
    middleware::{MembershipQuestion, Refusal, RefusalCode, RequireKeyLayer},
    store::MemoryStore,
    usage::Source,
};

use crate::{
    refusals::Lines,
    support::{cheap, clock, secrets, system, team, user},
};

type Keys = ApiKeys<MemoryStore>;

async fn keys() -> Keys {
    ApiKeys::builder(MemoryStore::new()).hasher(cheap()).clock(clock()).build().await.unwrap()
}

fn organization(id: &str) -> OrganizationId {
    OrganizationId::new(id).unwrap()
}

/// The text of a new key.
async fn key(keys: &Keys, of: &str, owner: impl Into<Owner>, actor: &Actor) -> String {
    let issued = keys.manager_for(organization(of)).issue(IssueKey::of(owner.into()), actor).await.unwrap();
    let text = issued.plaintext().expose_secret().to_owned();
    secrets::remember(&text);
    text
}

/// Ok for 200, else the code of the refusal.
async fn get_with(app: &Router, path: &str, key: &str) -> Result<(), RefusalCode> {
    let request = Request::get(path).header("x-api-key", key).body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    match response.extensions().get::<Refusal>() {
        Some(refusal) => Err(refusal.code()),
        None if response.status() == StatusCode::OK => Ok(()),
        None => panic!("{}", response.status()),
    }
}

const REFUSED: Result<(), RefusalCode> = Err(RefusalCode::WrongTeam);

async fn everyone(_: MembershipQuestion) -> Result<bool, std::io::Error> {
    Ok(true)
}

/// A team key, a personal key, and a key that an admin created for another team. None of them works for the other
/// customer.
#[tokio::test]
async fn no_key_of_another_organization_reaches_a_team_of_the_same_id() {
    let keys = keys().await;
    let rights = Rights::none().org_admin().team_keys_included_for(team("engineering"));
    let admin = keys.manager_for(organization("evil")).actor(user("eve"), rights);
    let evil = [
        key(&keys, "evil", team("engineering"), &system()).await,
        key(&keys, "evil", user("alice"), &system()).await,
        key(&keys, "evil", team("engineering"), &admin).await,
    ];
    let acme =
        [key(&keys, "acme", team("engineering"), &system()).await, key(&keys, "acme", user("alice"), &system()).await];
    let guard = RequireKeyLayer::new().team_at("/orgs/{organization}/teams/{team}").unwrap().membership(everyone);
    let by_function = RequireKeyLayer::new()
        .team(|_| Some(TeamRef::new(organization("acme"), team("engineering"))))
        .membership(everyone);
    for guard in [guard, by_function] {
        let route = Router::new().route("/orgs/{organization}/teams/{team}", get(async || "a secret of acme's"));
        let app = route.layer(guard).layer(keys.layer());
        let path = "/orgs/acme/teams/engineering";
        for key in &acme {
            assert_eq!(get_with(&app, path, key).await, Ok(()));
        }
        for key in &evil {
            assert_eq!(get_with(&app, path, key).await, REFUSED);
        }
    }
    for key in &evil {
        let principal = keys.authenticator().authenticate(key).await.unwrap();
        let theirs = TeamRef::new(organization("acme"), team("engineering"));
        assert_eq!(principal.access_to(&theirs), TeamAccess::Refused);
        assert_eq!(principal.access_to(&team("engineering")), TeamAccess::Refused);
    }
}

/// A nested router removes the beginning of the path. A function that read the rest would take `agents` for the team,
/// and a key of that team would reach the path of another one.
#[tokio::test]
async fn a_nested_router_does_not_hide_the_team() {
    let keys = keys().await;
    let (mallory, engineering) = (
        key(&keys, "default", team("agents"), &system()).await,
        key(&keys, "default", team("engineering"), &system()).await,
    );
    let guard = || RequireKeyLayer::new().team_at("/v1/teams/{team}/agents").unwrap();
    let routes = || Router::new().route("/{team}/agents", get(async || "agents"));
    let nested = Router::new().nest("/v1/teams", routes().layer(guard()));
    let twice = Router::new().nest("/v1", Router::new().nest("/teams", routes().layer(guard())));
    let service = Router::new().nest_service("/v1/teams", routes().layer(guard()));
    let outside = Router::new().nest("/v1/teams", routes()).layer(guard());
    let fallback = Router::new().nest("/v1/teams", Router::new().fallback(async || "agents").layer(guard()));
    for (name, app) in
        [("nested", nested), ("twice", twice), ("service", service), ("outside", outside), ("fallback", fallback)]
    {
        let app = app.layer(keys.layer());
        assert_eq!(get_with(&app, "/v1/teams/engineering/agents", &mallory).await, REFUSED, "{name}");
        assert_eq!(get_with(&app, "/v1/teams/engineering/agents", &engineering).await, Ok(()), "{name}");
        assert_eq!(get_with(&app, "/v1/teams/agents/agents", &mallory).await, Ok(()), "{name}");
    }
}

/// The handler reads the same team as the layer checked, however the path is spelled. Otherwise the request is refused.
#[tokio::test]
async fn the_layer_and_the_router_read_the_same_team() {
    async fn handler(Path((_, name)): Path<(String, String)>, caller: InOrganization<TeamPrincipal>) -> String {
        assert_eq!(caller.team_of_request().unwrap().team.as_str(), name);
        assert_eq!(caller.team_of_request(), Some(caller.team()));
        name
    }
    let keys = keys().await;
    let guard = RequireKeyLayer::new().team_at("/orgs/{organization}/teams/{team}/agents").unwrap();
    let inner = Router::new().route("/{organization}/teams/{team}/agents", get(handler)).layer(guard);
    let app = Router::new().nest("/orgs", inner).layer(keys.layer());
    for (id, spelled) in [
        ("blue", "%62lue"),
        ("a/b", "a%2Fb"),
        ("%62", "%2562"),
        ("é", "%C3%A9"),
        ("50%", "50%"),
        ("a..b", "a%2E.b"),
        ("a b", "a%20b"),
        ("a+b", "a+b"),
    ] {
        let own = key(&keys, "acme", team(id), &system()).await;
        let path = format!("/orgs/acme/teams/{spelled}/agents");
        assert_eq!(get_with(&app, &path, &own).await, Ok(()), "{path}");
        let other = key(&keys, "acme", team("blue2"), &system()).await;
        assert_eq!(get_with(&app, &path, &other).await, REFUSED, "{path}");
    }
}

/// A router does not normalize paths, but a service behind a proxy handler may: reqwest, nginx and others turn
/// `/teams/blue/../red` into `/teams/red`.
#[tokio::test]
async fn no_detour_in_a_path_leads_to_another_team() {
    let keys = keys().await;
    let blue = key(&keys, "default", team("blue"), &system()).await;
    let proxy = |patterns: [&str; 2]| {
        let [route, pattern] = patterns;
        let guard = RequireKeyLayer::new().team_at(pattern).unwrap();
        Router::new().route(route, get(async || "what stands behind")).layer(guard).layer(keys.layer())
    };
    for app in [
        proxy(["/teams/{team}/{*rest}", "/teams/{team}/…"]),
        proxy(["/teams/{team}/{kind}/{name}", "/teams/{team}/{kind}/{name}"]),
    ] {
        assert_eq!(get_with(&app, "/teams/blue/agents/7", &blue).await, Ok(()));
        assert_eq!(get_with(&app, "/teams/blue/a..b/7.txt", &blue).await, Ok(()));
        for path in ["../red", "%2e%2E/red", "..%2Fred/agents", "..\\red/agents", "..;x/red", "./agents", "agents/.."] {
            assert_eq!(get_with(&app, &format!("/teams/blue/{path}"), &blue).await, REFUSED, "{path}");
        }
    }
}

/// Pairs that give the same text when joined, ids that differ only in case, and a user with the id of a team.
#[tokio::test]
async fn ids_that_are_nearly_the_same_are_others() {
    let keys = keys().await;
    let guard = RequireKeyLayer::new().team_at("/orgs/{organization}/teams/{team}").unwrap();
    let guard = guard.membership(async |_| Ok::<_, std::io::Error>(false));
    let route = Router::new().route("/orgs/{organization}/teams/{team}", get(async || "a secret"));
    let app = route.layer(guard).layer(keys.layer());
    for (of, owner, is_fine) in [
        ("ab", Owner::Team(team("c")), true),
        ("a", Owner::Team(team("bc")), false),
        ("AB", Owner::Team(team("c")), false),
        ("ab", Owner::Team(team("C")), false),
        ("ab", Owner::Team(team("c.")), false),
        ("ab", Owner::User(user("c")), false),
        ("default", Owner::Team(team("c")), false),
        ("ab/teams", Owner::Team(team("c")), false),
    ] {
        let text = key(&keys, of, owner.clone(), &system()).await;
        let expected = if is_fine { Ok(()) } else { REFUSED };
        assert_eq!(get_with(&app, "/orgs/ab/teams/c", &text).await, expected, "{of}: {owner}");
    }
}

#[tokio::test]
async fn a_layer_for_an_organization_admits_its_keys_only_and_tells_handlers() {
    let keys = keys().await;
    let (acme, evil) =
        (key(&keys, "acme", user("alice"), &system()).await, key(&keys, "evil", user("alice"), &system()).await);
    let routes = || Router::new().route("/", get(async |caller: InOrganization| caller.organization().to_string()));
    let app = routes().layer(keys.layer_for(organization("acme")));
    // Also from the cache.
    for _ in 0..2 {
        assert_eq!(get_with(&app, "/", &acme).await, Ok(()));
        assert_eq!(get_with(&app, "/", &evil).await, REFUSED);
    }
    let inside = routes().layer(keys.layer_for(organization("acme"))).layer(keys.layer());
    assert_eq!(get_with(&inside, "/", &acme).await, Ok(()));
    assert_eq!(get_with(&inside, "/", &evil).await, REFUSED);
}

/// The refusal is the same for any other organization, and it is counted for the key.
#[tokio::test]
async fn a_key_at_another_organizations_door_is_counted_as_denied_downstream() {
    let keys = keys().await;
    let evil = key(&keys, "evil", user("alice"), &system()).await;
    let app = Router::new().route("/", get(async || "")).layer(keys.layer_for(organization("acme")));
    for _ in 0..3 {
        assert_eq!(get_with(&app, "/", &evil).await, REFUSED);
    }
    keys.flush_usage().await.unwrap();
    let manager = keys.manager_for(organization("evil"));
    let id = manager.list(tower_api_keys::manage::ListKeys::all(), &system()).await.unwrap().keys[0].id;
    let usage = manager.usage(&id, 0, &system()).await.unwrap().detail;
    assert_eq!(usage.with_outcome(RefusalCode::WrongTeam), 3);
}

#[tokio::test]
async fn a_handler_in_an_organization_that_nothing_guards_answers_500_and_says_why() {
    let keys = keys().await;
    let acme = key(&keys, "acme", user("alice"), &system()).await;
    let app = Router::new().route("/", get(async |_: InOrganization| "")).layer(keys.layer());
    let lines = Lines::default();
    let log = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || log.clone()).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    assert_eq!(get_with(&app, "/", &acme).await, Err(RefusalCode::Misconfigured));
    drop(guard);
    let logged = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("ERROR") && logged.contains("the extractor InOrganization"), "{logged}");
    let guarded = Router::new()
        .route("/", get(async |caller: InOrganization<Principal>| caller.key_id().to_string()))
        .layer(RequireKeyLayer::new().kind(tower_api_keys::KeyKind::User))
        .layer(keys.layer());
    assert_eq!(get_with(&guarded, "/", &acme).await, Err(RefusalCode::Misconfigured));
}

#[tokio::test]
async fn a_leaked_text_is_traced_and_ended_where_the_manager_of_none_is_refused() {
    let builder = ApiKeys::builder(MemoryStore::new()).hasher(cheap()).clock(clock()).several_organizations();
    let keys = builder.build().await.unwrap();
    let text = key(&keys, "acme", team("engineering"), &system()).await;
    let person = Actor::user(UserId::new("alice").unwrap(), Rights::none().org_admin());
    let kind = |error: ManageError| error.kind();
    let nobodys = ManageErrorKind::Misconfigured(Misconfiguration::ManagerWithoutOrganization);
    assert_eq!(keys.manager().identify(&text, &system()).await.map_err(kind).unwrap_err(), nobodys);
    // A person without an organization is not the service.
    assert_eq!(keys.trace(&text, &person).await.map_err(kind).unwrap_err(), nobodys);
    let admin = person.with_organization(organization("acme"));
    let denied = ManageErrorKind::Denied(DenialReason::InsufficientRole.into());
    assert_eq!(keys.trace(&text, &admin).await.map_err(kind).unwrap_err(), denied);

    let traced = keys.trace(&text, &system()).await.unwrap().unwrap();
    assert_eq!((traced.organization, traced.evidence), (organization("acme"), MatchConfidence::WholeKey));
    let ended = keys.revoke_presented(&[&text], Source::new("scanner").unwrap()).await.unwrap();
    assert_eq!(ended[0].outcome, PresentedOutcome::Revoked);
    let refused = keys.authenticator().authenticate(&text).await.unwrap_err();
    assert_eq!(refused.kind(), AuthErrorKind::Revoked);
}
