//! A service with a mounted page, people with roles, and a browser that checks every answer.

use std::{
    collections::BTreeSet,
    future::Future,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::FromRequestParts,
    http::{Request, StatusCode, request::Parts},
    response::{IntoResponse, Response},
    routing::get,
};
use tower::ServiceExt;
use tower_api_keys::{
    Actor, ApiKeys, ApiKeysBuilder, IssueKey, KeyId, ManualClock, OrganizationId, Principal, Scope, TeamId, TeamRef,
    UserId,
    audit::EventRow,
    hash::Argon2Params,
    manage::{Directory, KeyInfo, Names, Rights, TeamRole},
    store::{AuditedWrite, Change, ChangeId, KeyStore, KeyUpdate, MemoryStore, StoreError, Write},
    usage::Source,
};
use tower_api_keys_http::page::{self, Page};

pub use crate::answer::Answer;
use crate::wrapped::{Fake, Wrapped};

pub const MOUNT: &str = "/settings/api-keys";
/// The id of no key.
pub const UNKNOWN: &str = "AAAAAAAAAAAAAAAAAAAA";

/// A store that can be down, or only for counts.
#[derive(Default)]
pub struct Sometimes {
    store: MemoryStore,
    pub down: AtomicBool,
    pub counts_nothing: AtomicBool,
}

impl Fake for Sometimes {
    type Store = MemoryStore;

    fn store(&self) -> &MemoryStore {
        &self.store
    }

    async fn around<T: Send>(
        &self,
        call: &'static str,
        pass_on: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let counts_nothing = call == "record_usage" && self.counts_nothing.load(Ordering::SeqCst);
        if counts_nothing || self.down.load(Ordering::SeqCst) {
            return Err(StoreError::unavailable("10.1.2.3 is down"));
        }
        pass_on.await
    }
}

pub type Store = Arc<Wrapped<Sometimes>>;

/// The names of people; bob has left, and one name is hostile.
struct People {
    down: Arc<AtomicBool>,
}

impl Directory for People {
    type Error = io::Error;

    async fn has_team(&self, _: &TeamRef) -> io::Result<bool> {
        if self.down.load(Ordering::SeqCst) { Err(io::Error::other("the directory is down")) } else { Ok(true) }
    }

    async fn names(&self, _: &OrganizationId, users: &[UserId], teams: &[TeamId]) -> io::Result<Names> {
        if self.down.load(Ordering::SeqCst) {
            return Err(io::Error::other("the directory is down"));
        }
        let mut names = Names::none();
        for user in users {
            names = match user.as_str() {
                "alice" => names.with_user(user.clone(), "Alice A."),
                "bob" => names.with_user(user.clone(), "Bob B.").with_left(user.clone()),
                "mallory" => names.with_user(user.clone(), "<img src=x onerror=alert(1)>"),
                _ => names.with_known(user.clone()),
            };
        }
        for team in teams {
            names = match team.as_str() {
                "engineering" => names.with_team(team.clone(), "Engineering"),
                _ => names.with_known(team.clone()),
            };
        }
        Ok(names)
    }
}

struct CurrentUser(Actor);

impl<St: Sync> FromRequestParts<St> for CurrentUser {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &St) -> Result<Self, Response> {
        let name = parts.headers.get("x-user").and_then(|name| name.to_str().ok());
        let actor = name.and_then(actor);
        actor.map(Self).ok_or_else(|| (StatusCode::UNAUTHORIZED, "sign in first").into_response())
    }
}

impl From<CurrentUser> for Actor {
    fn from(CurrentUser(actor): CurrentUser) -> Self {
        actor
    }
}

/// A person of the service.
///
/// - `alice`: a Team Admin of engineering, whose plan includes team keys
/// - `bob`: the same, and has left
/// - `mo`: a member of engineering
/// - `fred`: a Team Admin of sales, whose plan does not include team keys
/// - `tess`: a Team Admin of engineering and of support
/// - `olga`: an admin of the organization
/// - `oscar`: the same, without team keys in the plan
/// - `audrey`: an auditor
/// - `mallory`: a person without a team, with a hostile name
/// - `hundred`: a Team Admin of 120 teams
/// - `key:<id>`: the key with this id, of engineering, which manages keys
///
/// With `@acme` at its end, the person is one of the organization `acme`.
pub fn actor(name: &str) -> Option<Actor> {
    if let Some((name, organization)) = name.split_once('@') {
        return Some(actor(name)?.with_organization(OrganizationId::new(organization).ok()?));
    }
    if let Some(id) = name.strip_prefix("key:") {
        let principal = Principal::fake().team("engineering").ok()?.key(KeyId::new(id).ok()?);
        return Some(Actor::key(&principal.scopes("* keys:manage".parse().ok()?).build(), Rights::none()));
    }
    let team = |id| TeamId::new(id).unwrap();
    let rights = match name {
        "alice" | "bob" => Rights::none().team(team("engineering"), TeamRole::Admin).team_keys_included(),
        "mo" => Rights::none().team(team("engineering"), TeamRole::Member).team_keys_included(),
        "fred" => Rights::none().team(team("sales"), TeamRole::Admin),
        "tess" => Rights::none()
            .team(team("engineering"), TeamRole::Admin)
            .team(team("support"), TeamRole::Admin)
            .team_keys_included(),
        "olga" => Rights::none().org_admin().team_keys_included(),
        "oscar" => Rights::none().org_admin(),
        "audrey" => Rights::none().auditor(),
        "hundred" => {
            let teams = (0..120).map(|number| TeamId::new(format!("team-{number:03}")).unwrap());
            teams.fold(Rights::none().team_keys_included(), |rights, team| rights.team(team, TeamRole::Admin))
        }
        "mallory" => Rights::none(),
        _ => return None,
    };
    Some(Actor::user(UserId::new(name).unwrap(), rights))
}

pub fn system() -> Actor {
    Actor::system("test").unwrap()
}

pub fn user(id: &str) -> UserId {
    UserId::new(id).unwrap()
}

pub fn team(id: &str) -> TeamId {
    TeamId::new(id).unwrap()
}

/// A service with a page.
pub struct World {
    pub keys: ApiKeys<Store>,
    pub store: Store,
    pub clock: Arc<ManualClock>,
    pub names_down: Arc<AtomicBool>,
    app: Router,
    /// The secrets of all keys, which no answer may have but the one that creates a key.
    secrets: Mutex<BTreeSet<String>>,
}

impl World {
    pub async fn new() -> Self {
        let page = Page::new("Auxot").api_at("https://api.example.com/whoami").unwrap();
        Self::with(page.upgrade_at("/settings/license").unwrap()).await
    }

    pub async fn with(page: Page) -> Self {
        Self::set_up(page, |keys| keys).await
    }

    /// Several customers, each with an organization.
    pub async fn of_customers() -> Self {
        Self::set_up(Page::new("Auxot"), ApiKeysBuilder::several_organizations).await
    }

    pub async fn set_up(page: Page, more: impl FnOnce(ApiKeysBuilder<Store>) -> ApiKeysBuilder<Store>) -> Self {
        let names_down = Arc::new(AtomicBool::new(false));
        let store: Store = Arc::new(Wrapped(Sometimes::default()));
        let clock = Arc::new(ManualClock::at("2026-11-28T12:00:00Z".parse().unwrap()));
        let builder = ApiKeys::builder(Arc::clone(&store))
            .params(Argon2Params::MACHINE_SECRET)
            .clock(clock.clone())
            .directory(People { down: Arc::clone(&names_down) })
            .scopes(["agents:read", "agents:write"].map(|scope| Scope::new(scope).unwrap()));
        let keys = more(builder).build().await.unwrap();
        let api = Router::new().route("/whoami", get(|_: Principal| async { "hello" }));
        let app = Router::new()
            .nest(MOUNT, page::router::<(), CurrentUser>(&keys, page))
            .merge(api.layer(keys.layer().source(Source::new("api").unwrap())));
        Self { keys, store, clock, names_down, app, secrets: Mutex::default() }
    }

    /// A key that the service made, with its text.
    pub async fn issue(&self, request: IssueKey, by: &str) -> (KeyInfo, String) {
        let by = if by == "system" { system() } else { actor(by).unwrap() };
        let issued = self.keys.manager().issue(request, &by).await.unwrap();
        let text = issued.plaintext().expose_secret().to_owned();
        self.remember(&text);
        (issued.info().clone(), text)
    }

    /// A team key of engineering.
    pub async fn team_key(&self, name: &str) -> (KeyInfo, String) {
        self.issue(IssueKey::team(team("engineering")).named(name), "alice").await
    }

    /// A personal key of alice.
    pub async fn own_key(&self, name: &str) -> (KeyInfo, String) {
        self.issue(IssueKey::user(user("alice")).named(name), "alice").await
    }

    pub fn remember(&self, text: &str) {
        let secret = text.rsplit('.').next().unwrap();
        self.secrets.lock().unwrap().insert(secret.to_owned());
    }

    /// Calls the service with a key, as this program. The use is counted at once.
    pub async fn call(&self, text: &str, client: &str) -> StatusCode {
        let status = self.calls(text, client).await;
        self.keys.flush_usage().await.unwrap();
        status
    }

    /// The same, not counted yet.
    pub async fn calls(&self, text: &str, client: &str) -> StatusCode {
        let request = Request::get("/whoami").header("x-api-key", text).header("user-agent", client);
        self.app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status()
    }

    pub fn later(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub fn down(&self, is: bool) {
        self.store.down.store(is, Ordering::SeqCst);
    }

    /// Makes the stored record of a key unreadable.
    pub async fn damage(&self, id: KeyId) {
        let write = Write::Update(KeyUpdate {
            organization: OrganizationId::single(),
            id,
            expected_version: 1,
            name: String::new(),
            labels: "{}".into(),
            scopes: " ".into(),
            allowed_networks: None,
            responsible: None,
            expires_at: None,
        });
        let event = EventRow { action: "elsewhere".into(), ..EventRow::example() };
        let writes = vec![AuditedWrite { write, event }];
        let at = "2026-11-28T12:00:00Z".parse().unwrap();
        let change = Change { id: ChangeId::from_bytes([7; 16]), at, writes, guards: vec![], idempotency: None };
        self.store.apply(&change).await.unwrap();
    }

    pub async fn get(&self, who: &str, path: &str) -> Answer {
        let request = Request::get(format!("{MOUNT}{path}")).header("x-user", who).header("host", "app.example.com");
        self.send(request.body(Body::empty()).unwrap(), false).await
    }

    /// A part of a page, as the script asks for it.
    pub async fn part(&self, who: &str, path: &str) -> Answer {
        let request = Request::get(format!("{MOUNT}{path}")).header("x-user", who).header("x-part", "dialog");
        self.send(request.body(Body::empty()).unwrap(), false).await
    }

    pub async fn post(&self, who: &str, path: &str, form: &[(&str, &str)]) -> Answer {
        self.post_with(who, path, form, &[("sec-fetch-site", "same-origin"), ("origin", "https://app.example.com")])
            .await
    }

    pub async fn post_with(&self, who: &str, path: &str, form: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::post(format!("{MOUNT}{path}"))
            .header("x-user", who)
            .header("host", "app.example.com")
            .header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let makes = path == "/new" || path.ends_with("/rotate");
        self.send(request.body(Body::from(body)).unwrap(), makes).await
    }

    /// The form of a page, sent with these fields: hidden fields are those that the page has.
    pub async fn submit(&self, who: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let form = self.get(who, path).await;
        let hidden = form.hidden();
        let mut all: Vec<(&str, &str)> = hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        all.retain(|(name, _)| !fields.iter().any(|(other, _)| other == name));
        all.extend(fields);
        self.post(who, path.split('?').next().unwrap(), &all).await
    }

    pub async fn send(&self, request: Request<Body>, makes: bool) -> Answer {
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
        let answer = Answer { status: parts.status, headers: parts.headers, body };
        if makes && answer.status == StatusCode::OK {
            self.remember(&answer.secret());
            return answer;
        }
        self.check(&answer);
        answer
    }

    /// No answer has any 8 characters of a secret in a row.
    fn check(&self, answer: &Answer) {
        for secret in self.secrets.lock().unwrap().iter() {
            for at in 0..=secret.len() - 8 {
                assert!(!answer.body.contains(&secret[at..at + 8]), "a secret is in an answer");
            }
        }
    }
}
