//! Every public async call can be awaited where callers need it: in a handler, in a spawned task, inside other futures.
//!
//! The compiler does the test. Each call has a line of the form `Type::name => call`. A public async function without
//! such a line fails [`every_public_async_function_is_in_this_file`].

mod futures;

use std::{convert::Infallible, fs::File, io, path::PathBuf};

use axum::{extract::State, handler::Handler};
use bytes::Bytes;
use futures_util::StreamExt;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, ServiceExt, util::BoxCloneSyncService};
#[cfg(feature = "postgres")]
use tower_api_keys::store::{PostgresSettings, PostgresStore};
use tower_api_keys::{
    Actor, ApiKeyLayer, ApiKeys, ApiKeysBuilder, Authenticator, IssueKey, KeyManager, OrganizationId, Owner, Principal,
    TeamId, TeamRef, Timestamp, UserId,
    audit::EventRow,
    extract::{InOrganization, TeamPrincipal, UserPrincipal},
    feed::{Feed, FeedCursor},
    hash::{Hasher, KeyHash},
    key::KeyId,
    manage::{
        AuditQuery, Directory, EditKey, ExportFormat, InventoryQuery, IssueKnownKey, KeyAction, KeyPage, ListKeys,
        PlanChange, Reconcile, RevokeMany, Rights, RotateKey, Target,
    },
    middleware::{Refusal, RequireKeyLayer},
    record::{Labels, NamePart, Suspension},
    store::{
        AnyStore, Applied, Change, EndingQuery, EventQuery, Head, KeyQuery, KeyReader, KeyStore, Ledger, MemoryStore,
        OwnerRef, Prune, RehashedKey, SqliteStore, StoreError, UsageScope,
        transfer::{self, Batch, Cursor, PortableStore},
    },
    usage::{Source, UsageBatch},
};
use tower_api_keys_conformance::{check_key_store, check_pair, check_portable, check_reader, check_store};

/// The bounds of `tokio::spawn`, and of any executor that moves tasks between threads.
fn spawned<T: Send + 'static>(_: impl Future<Output = T> + Send + 'static) {}

/// A function of a service between a task and a call: a span, a time limit, a helper. Even inside of these, the type of
/// a call must not be nested deeper than the compiler allows (the `recursion_limit` of a crate is 128).
async fn within<T>(call: impl Future<Output = T>) -> T {
    call.await
}

macro_rules! within_four {
    ($call:expr) => {
        within(within(within(within($call))))
    };
}

/// A value of this type. Nothing in this file runs.
fn made<T>() -> T {
    unreachable!("this is compiled and not run")
}

/// `Type::name; what the task owns => the call`: the call, in a task that owns its arguments.
macro_rules! spawns {
    ($type:ident::$name:ident; $($own:ident: $of:ty),* => $call:expr) => {{
        $(#[allow(unused_mut, reason = "some calls take `&mut`")] let mut $own: $of = made();)*
        spawned(within_four!(within_four!(within_four!(async move {
            let answer = $call.await;
            $(let _owned = &$own;)*
            answer
        }))));
    }};
}

/// The same, for calls that take `self` by value.
macro_rules! spawns_once {
    ($type:ident::$name:ident; $($own:ident: $of:ty),* => $call:expr) => {{
        $(let $own: $of = made();)*
        spawned(within_four!(within_four!(within_four!(async move { $call.await }))));
    }};
}

/// All calls over this store. The store may be a type parameter.
macro_rules! calls_over {
    ($name:ident $(<$param:ident: $bound:path>)?, $store:ty) => {
        fn $name $(<$param: $bound>)? () {
            spawns!(KeyReader::find; store: $store, id: KeyId => store.find(&id));
            spawns!(KeyReader::changes_since; store: $store, head: Option<Head> => store.changes_since(head));
            spawns!(KeyReader::wait_for_change; store: $store, head: Head => store.wait_for_change(head));
            spawns!(KeyStore::apply; store: $store, change: Change => store.apply(&change));
            spawns!(KeyStore::rehash; store: $store, id: KeyId, old: String, new: RehashedKey
                => store.rehash(&id, &old, &new));
            spawns!(KeyStore::list; store: $store, query: KeyQuery, now: Timestamp => store.list(&query, now));
            spawns!(KeyStore::owner_status; store: $store, owner: OwnerRef => store.owner_status(&owner));
            spawns!(Ledger::record_usage; store: $store, batch: UsageBatch => store.record_usage(&batch));
            spawns!(Ledger::usage; store: $store, of: UsageScope => store.usage(&of));
            spawns!(Ledger::usage_days; store: $store, keys: Vec<KeyId> => store.usage_days(&keys, 20_513));
            spawns!(Ledger::append_events; store: $store, events: Vec<EventRow> => store.append_events(&events));
            spawns!(Ledger::events; store: $store, query: EventQuery => store.events(&query));
            spawns!(KeyStore::put_meta_if_absent; store: $store, name: String, value: Vec<u8>
                => store.put_meta_if_absent(&name, &value));
            spawns!(KeyStore::ended_keys; store: $store, before: Timestamp => store.ended_keys(before));
            spawns!(KeyStore::prune; store: $store, prune: Prune => store.prune(&prune));
            spawns!(KeyStore::ending; store: $store, query: EndingQuery => store.ending(&query));
            spawns!(KeyStore::replace_note; store: $store, name: String, old: Vec<u8>, new: Vec<u8>
                => store.replace_note(&name, &old, &new));
            spawns!(Ledger::feed; store: $store => store.feed(None, 100));
            spawns!(Ledger::trail; store: $store, before: Timestamp => store.trail(false, before));

            spawns!(Authenticator::authenticate; keys: Authenticator<$store>, text: String => keys.authenticate(&text));
            spawns!(Authenticator::authenticate_from; keys: Authenticator<$store>, text: String, at: std::net::IpAddr
                => keys.authenticate_from(&text, at));
            spawns!(Authenticator::recheck; keys: Authenticator<$store>, caller: Principal => keys.recheck(&caller));
            spawns!(Authenticator::until_refused; keys: Authenticator<$store>, caller: Principal
                => keys.until_refused(&caller));
            spawns!(ApiKeys::pause_presented; keys: ApiKeys<$store>, texts: Vec<String>
                => keys.pause_presented(&texts, made::<Source>()));
            spawns!(ApiKeys::revoke_presented; keys: ApiKeys<$store>, texts: Vec<String>
                => keys.revoke_presented(&texts, made::<Source>()));
            spawns!(ApiKeys::refusals_without_organization; keys: ApiKeys<$store>, actor: Actor
                => keys.refusals_without_organization(&actor));
            spawns!(ApiKeys::trace; keys: ApiKeys<$store>, text: String, actor: Actor => keys.trace(&text, &actor));
            spawns!(ApiKeys::flush_usage; keys: ApiKeys<$store> => keys.flush_usage());
            spawns!(ApiKeys::tell_of_ends; keys: ApiKeys<$store> => keys.tell_of_ends());
            spawns!(ApiKeys::feeds; keys: ApiKeys<$store> => keys.feeds());
            spawns!(ApiKeys::forget_feed; keys: ApiKeys<$store>, name: String => keys.forget_feed(&name));
            spawns!(Feed::confirm; feed: Feed<$store>, cursor: FeedCursor => feed.confirm(cursor));
            spawns!(Feed::next; feed: Feed<$store> => feed.next(100));
            spawns!(Feed::try_next; feed: Feed<$store> => feed.try_next(100));
            spawns!(ApiKeys::shutdown; keys: ApiKeys<$store> => keys.shutdown());
            spawns_once!(ApiKeysBuilder::build; builder: ApiKeysBuilder<$store> => builder.build());

            spawns!(KeyManager::abort_rotation; keys: KeyManager, id: KeyId, actor: Actor
                => keys.abort_rotation(&id, &actor));
            spawns!(KeyManager::advise; keys: KeyManager, id: KeyId, actor: Actor => keys.advise(&id, &actor));
            spawns!(KeyManager::begin_rotation; keys: KeyManager, id: KeyId, actor: Actor
                => keys.begin_rotation(RotateKey::of(id), &actor));
            spawns!(KeyManager::blast_radius; keys: KeyManager, user: UserId, actor: Actor
                => keys.blast_radius(&user, &actor));
            spawns!(KeyManager::can; keys: KeyManager, owner: Owner, actor: Actor
                => keys.can(&actor, KeyAction::Close, &Target::Owner(&owner)));
            spawns!(KeyManager::close; keys: KeyManager, owner: Owner, actor: Actor
                => keys.close(&owner, &actor));
            spawns!(KeyManager::edit; keys: KeyManager, id: KeyId, actor: Actor
                => keys.edit(EditKey::of(id), &actor));
            spawns!(KeyManager::events; keys: KeyManager, actor: Actor => keys.events(made::<AuditQuery>(), &actor));
            spawns!(KeyManager::expire_at; keys: KeyManager, id: KeyId, at: Timestamp, actor: Actor
                => keys.expire_at(&id, at, &actor));
            spawns!(KeyManager::explain; keys: KeyManager, id: KeyId, actor: Actor
                => keys.explain(&id, &actor));
            spawns!(KeyManager::export_inventory; keys: KeyManager, sheet: Vec<u8>, actor: Actor
                => keys.export_inventory(InventoryQuery::all(), ExportFormat::Csv, &mut sheet, &actor));
            spawns!(KeyManager::export_inventory; keys: KeyManager, file: File, actor: Actor
                => keys.export_inventory(InventoryQuery::all(), ExportFormat::Csv, &mut file, &actor));
            spawns!(KeyManager::export_inventory; keys: KeyManager, any: Box<dyn io::Write + Send>, actor: Actor
                => keys.export_inventory(InventoryQuery::all(), ExportFormat::Csv, &mut *any, &actor));
            spawns!(KeyManager::export_trail; keys: KeyManager, sheet: Vec<u8>, actor: Actor
                => keys.export_trail(AuditQuery::all(), ExportFormat::Csv, &mut sheet, &actor));
            spawns!(KeyManager::exposure; keys: KeyManager, user: UserId, actor: Actor
                => keys.exposure(&user, &actor));
            spawns!(KeyManager::find_teams_to_issue_for; keys: KeyManager, part: NamePart, actor: Actor
                => keys.find_teams_to_issue_for(&part, &actor));
            spawns!(KeyManager::find; keys: KeyManager, id: KeyId, actor: Actor => keys.find(&id, &actor));
            spawns!(KeyManager::finish_rotation; keys: KeyManager, id: KeyId, actor: Actor
                => keys.finish_rotation(&id, &actor));
            spawns!(KeyManager::finish_rotation_anyway; keys: KeyManager, id: KeyId, actor: Actor
                => keys.finish_rotation_anyway(&id, &actor));
            spawns!(KeyManager::suspend_organization; keys: KeyManager, of: OrganizationId, actor: Actor
                => keys.suspend_organization(of.clone(), Suspension::Admin, &actor));
            spawns!(KeyManager::reinstate_organization; keys: KeyManager, of: OrganizationId, actor: Actor
                => keys.reinstate_organization(of.clone(), Suspension::Admin, &actor));
            spawns!(KeyManager::erase; keys: KeyManager, owner: Owner, actor: Actor
                => keys.erase(&owner, &actor));
            spawns!(KeyManager::close_organization; keys: KeyManager, of: OrganizationId, actor: Actor
                => keys.close_organization(of.clone(), &actor));
            spawns!(KeyManager::suspend; keys: KeyManager, owner: Owner, actor: Actor
                => keys.suspend(&owner, Suspension::Admin, &actor));
            spawns!(KeyManager::identify; keys: KeyManager, text: String, actor: Actor
                => keys.identify(&text, &actor));
            spawns!(KeyManager::inventory_pieces; keys: KeyManager, actor: Actor
                => Box::pin(keys.inventory_pieces(InventoryQuery::all(), ExportFormat::Csv, &actor)).next());
            spawns!(KeyManager::inventory; keys: KeyManager, actor: Actor
                => keys.inventory(InventoryQuery::all(), &actor));
            spawns!(KeyManager::inventory_summary; keys: KeyManager, actor: Actor
                => keys.inventory_summary(InventoryQuery::all(), &actor));
            spawns!(KeyManager::issue; keys: KeyManager, actor: Actor
                => keys.issue(made::<IssueKey>(), &actor));
            spawns!(KeyManager::issue_known; keys: KeyManager, actor: Actor
                => keys.issue_known(made::<IssueKnownKey>(), &actor));
            spawns!(KeyManager::owner; keys: KeyManager, owner: Owner, actor: Actor
                => keys.owner(&owner, &actor));
            spawns!(KeyManager::reinstate; keys: KeyManager, owner: Owner, actor: Actor
                => keys.reinstate(&owner, Suspension::Admin, &actor));
            spawns!(KeyManager::list; keys: KeyManager, actor: Actor => keys.list(made::<ListKeys>(), &actor));
            spawns!(KeyManager::leak_report; keys: KeyManager, id: KeyId, since: Timestamp, actor: Actor
                => keys.leak_report(&id, since, &actor));
            spawns!(KeyManager::names_for; keys: KeyManager, actor: Actor => keys.names_for(&actor));
            spawns!(KeyManager::names_of; keys: KeyManager, page: KeyPage => keys.names_of(&page.keys));
            spawns!(KeyManager::names_of; keys: KeyManager, page: KeyPage
                => keys.names_of(page.keys.iter().filter(|key| key.revoked_at.is_none())));
            spawns!(KeyManager::narrow_scopes; keys: KeyManager, id: KeyId, actor: Actor
                => keys.narrow_scopes(&id, made(), &actor));
            spawns!(KeyManager::pause; keys: KeyManager, id: KeyId, actor: Actor => keys.pause(&id, &actor));
            spawns!(KeyManager::plan_changed; keys: KeyManager, change: PlanChange, actor: Actor
                => keys.plan_changed(change.clone(), &actor));
            spawns!(KeyManager::reconcile; keys: KeyManager, request: Reconcile, actor: Actor
                => keys.reconcile(request.clone(), &actor));
            spawns!(KeyManager::pause_presented; keys: KeyManager, texts: Vec<String>, actor: Actor
                => keys.pause_presented(&texts, &actor));
            spawns!(KeyManager::revoke_presented; keys: KeyManager, texts: Vec<String>, actor: Actor
                => keys.revoke_presented(&texts, &actor));
            spawns!(KeyManager::preview; keys: KeyManager, request: IssueKey, actor: Actor
                => keys.preview(&request, &actor));
            spawns!(KeyManager::refusals_without_key; keys: KeyManager, actor: Actor
                => keys.refusals_without_key(&actor));
            spawns!(KeyManager::relabel; keys: KeyManager, id: KeyId, actor: Actor
                => keys.relabel(&id, made::<Labels>(), &actor));
            spawns!(KeyManager::rename; keys: KeyManager, id: KeyId, name: String, actor: Actor
                => keys.rename(&id, &name, &actor));
            spawns!(KeyManager::resume; keys: KeyManager, id: KeyId, actor: Actor => keys.resume(&id, &actor));
            spawns!(KeyManager::revoke; keys: KeyManager, id: KeyId, actor: Actor => keys.revoke(&id, &actor));
            spawns!(KeyManager::revoke_many; keys: KeyManager, actor: Actor
                => keys.revoke_many(made::<RevokeMany>(), &actor));
            spawns!(KeyManager::rotation; keys: KeyManager, id: KeyId, actor: Actor
                => keys.rotation(&id, &actor));
            spawns!(KeyManager::teams_to_issue_for; keys: KeyManager, actor: Actor
                => keys.teams_to_issue_for(&actor));
            spawns!(KeyManager::trail_pieces; keys: KeyManager, actor: Actor
                => Box::pin(keys.trail_pieces(AuditQuery::all(), ExportFormat::Csv, &actor)).next());
            spawns!(KeyManager::usage; keys: KeyManager, id: KeyId, actor: Actor => keys.usage(&id, 30, &actor));

            spawns!(ResponseFuture::poll; layer: ApiKeyLayer<$store>
                => layer.layer(made::<Inner>()).oneshot(made::<Request<Full<Bytes>>>()));
            spawns!(free::check_reader; store: $store => check_reader(&store, refuse));
            spawns!(free::check_reader; store: $store, writer: MemoryStore
                => check_reader(&store, |change| apply_to(&writer, change)));
            spawns!(free::check_key_store; store: $store => check_key_store(&store));
            spawns!(free::check_store; store: $store => check_store(&store));
            spawns!(free::check_pair; store: $store, other: MemoryStore => check_pair(&store, &other));
        }
    };
}

/// The additional calls of a portable store.
macro_rules! copies_of {
    ($name:ident $(<$param:ident: $bound:path>)?, $store:ty) => {
        fn $name $(<$param: $bound>)? () {
            spawns!(PortableStore::export; store: $store, from: Cursor => store.export(&from, 1));
            spawns!(PortableStore::import; store: $store, rows: Batch => store.import(&rows));
            spawns!(free::check_portable; store: $store => check_portable(&store));
            spawns!(Copy::into_future; store: $store, target: MemoryStore => transfer::copy(&store, &target));
            spawns!(Copy::into_future; store: $store, target: MemoryStore, told: Vec<String>
                => transfer::copy(&store, &target).on_progress(|progress| told.push(progress.cursor.to_string())));
            spawns!(Copy::into_future; source: MemoryStore, store: $store
                => transfer::copy(&source, &store).on_progress(|_| {}));
        }
    };
}

type Inner = BoxCloneSyncService<Request<Full<Bytes>>, Response<Full<Bytes>>, Infallible>;

async fn refuse(_: Change) -> Result<Applied, StoreError> {
    made()
}

/// A service's own function may borrow from the calling task.
async fn apply_to(store: &MemoryStore, change: Change) -> Result<Applied, StoreError> {
    store.apply(&change).await
}

async fn is_member(table: &str, user: UserId, team: &TeamRef) -> Result<bool, Infallible> {
    Ok(table.contains(user.as_str()) && table.contains(team.team.as_str()))
}

calls_over!(over_any_store_at_all<S: Ledger>, S);
calls_over!(over_memory, MemoryStore);
calls_over!(over_sqlite, SqliteStore);
calls_over!(over_a_box, AnyStore);
#[cfg(feature = "postgres")]
calls_over!(over_postgres, PostgresStore);

copies_of!(copies_of_any_store_at_all<S: PortableStore>, S);
copies_of!(copies_of_memory, MemoryStore);
copies_of!(copies_of_sqlite, SqliteStore);
#[cfg(feature = "postgres")]
copies_of!(copies_of_postgres, PostgresStore);

struct NoDirectory;

impl Directory for NoDirectory {
    type Error = Infallible;

    async fn has_team(&self, _: &TeamRef) -> Result<bool, Infallible> {
        made()
    }
}

fn of_any_directory_at_all<D: Directory<Error: Send>>() {
    spawns!(Directory::has_team; directory: D, team: TeamRef => directory.has_team(&team));
    spawns!(Directory::names; directory: D, team: TeamRef, users: Vec<UserId>
        => directory.names(&team.organization, &users, &[]));
    spawns!(Directory::teams; directory: D, team: TeamRef, part: NamePart
        => directory.teams(&team.organization, Some(&part), 1_000));
}

fn over_no_store() {
    spawns!(Hasher::hash; hasher: Hasher, text: String => hasher.hash(&text));
    spawns!(Hasher::verify; hasher: Hasher, text: String, stored: KeyHash => hasher.verify([0; 20], &text, &stored));
    spawns!(Hasher::rehash; hasher: Hasher, text: String, stored: KeyHash => hasher.rehash(&text, &stored));
    spawns!(Principal::authorize_team; caller: Principal, team: TeamId
        => caller.authorize_team(&team, async |_| Ok::<_, Infallible>(true)));
    spawns!(Principal::authorize_team; caller: Principal, team: TeamRef, table: String
        => caller.authorize_team(&team, |user| is_member(&table, user, &team)));
    spawns!(SqliteStore::open; path: PathBuf => SqliteStore::open(&path));
    spawns!(SqliteStore::open_exclusive; path: PathBuf => SqliteStore::open_exclusive(&path));
    spawns!(SqliteStore::in_memory; => SqliteStore::in_memory());
    spawns!(SqliteStore::backup_to; store: SqliteStore, path: PathBuf => store.backup_to(&path));
    spawns!(ResponseFuture::poll; layer: RequireKeyLayer
        => layer.layer(made::<Inner>()).oneshot(made::<Request<Full<Bytes>>>()));
}

#[cfg(feature = "postgres")]
fn of_postgres() {
    type Pool = deadpool_postgres::Pool;
    spawns!(PostgresStore::connect; url: String => PostgresStore::connect(&url));
    spawns!(PostgresStore::connect_with; url: String => PostgresStore::connect_with(&url, PostgresSettings::new()));
    spawns!(PostgresStore::from_pool; pool: Pool => PostgresStore::from_pool(pool.clone(), PostgresSettings::new()));
    spawns!(PostgresStore::from_connector; url: String
        => PostgresStore::from_connector(async || made(), PostgresSettings::new().with_schema(&url)));
    spawns!(PostgresStore::migrate; url: String, schema: String => PostgresStore::migrate(&url, &schema));
    spawns!(PostgresStore::migrate_with; url: String => PostgresStore::migrate_with(&url, PostgresSettings::new()));
    spawns!(PostgresStore::missing_grants; store: PostgresStore => store.missing_grants());
    spawns!(PostgresStore::server_time; store: PostgresStore => store.server_time());
    spawns!(PostgresStore::migrate_pool; pool: Pool, schema: String => PostgresStore::migrate_pool(&pool, &schema));
}

/// Handlers need more: their futures must not depend on the lifetime of an extracted value.
fn in_handlers<S: Ledger>() {
    fn is_handler<M, T>(_: impl Handler<M, T>) {}
    type Keys<S> = State<ApiKeys<S>>;
    is_handler::<_, ApiKeys<S>>(|State(keys): Keys<S>, caller: UserPrincipal| async move {
        let actor = Actor::key(&caller, Rights::none());
        let page = keys.manager().inventory(InventoryQuery::all(), &actor).await;
        format!("{:?}", page.map(|page| page.entries.len()).map_err(|error| error.kind()))
    });
    is_handler::<_, ApiKeys<S>>(|State(keys): Keys<S>, caller: TeamPrincipal| async move {
        let (actor, mut sheet) = (Actor::key(&caller, Rights::none()), Vec::new());
        let manager = keys.manager();
        let done = manager.export_inventory(InventoryQuery::all(), ExportFormat::Csv, &mut sheet, &actor).await;
        done.map(|_| sheet).map_err(|error| error.to_string())
    });
    is_handler::<_, ApiKeys<S>>(|State(keys): Keys<S>, caller: Principal| async move {
        let summary =
            keys.manager().inventory_summary(InventoryQuery::all(), &Actor::key(&caller, Rights::none())).await;
        summary.map(|_| ()).map_err(|error| error.to_string())
    });
    is_handler::<_, ApiKeys<S>>(|State(keys): Keys<S>, caller: Principal| async move {
        let team = made::<TeamId>();
        let allowed = caller.authorize_team(&team, async |user| Ok::<_, Infallible>(user.as_str() == "alice")).await;
        allowed.map_err(|refused| Refusal::from(&refused))?;
        let issued = keys.manager().issue(IssueKey::team(team), &Actor::key(&caller, Rights::none())).await;
        Ok::<_, Refusal>(issued.map(|issued| issued.info().id.to_string()).map_err(|error| error.to_string()))
    });
    is_handler::<_, ApiKeys<S>>(|State(keys): Keys<S>, caller: InOrganization<UserPrincipal>| async move {
        let manager = keys.manager_for(caller.organization().clone());
        let actor = manager.actor(caller.user().user.clone(), Rights::none());
        let teams = manager.teams_to_issue_for(&actor).await;
        teams.map(|teams| teams.len().to_string()).map_err(|error| error.to_string())
    });
    is_handler::<_, ApiKeys<S>>(|State(keys): Keys<S>, text: String| async move {
        let proved = keys.authenticator().authenticate(&text).await;
        proved.map(|caller| caller.owner().to_string()).map_err(|error| Refusal::from(&error))
    });
}

#[test]
fn every_call_can_be_spawned_over_every_store() {
    // Listed, so that the compiler checks each of them. None of them runs.
    let _compiled: &[fn()] = &[
        over_any_store_at_all::<MemoryStore>,
        over_memory,
        over_sqlite,
        over_a_box,
        #[cfg(feature = "postgres")]
        over_postgres,
        copies_of_any_store_at_all::<MemoryStore>,
        copies_of_memory,
        copies_of_sqlite,
        #[cfg(feature = "postgres")]
        copies_of_postgres,
        of_any_directory_at_all::<NoDirectory>,
        over_no_store,
        #[cfg(feature = "postgres")]
        of_postgres,
        in_handlers::<MemoryStore>,
    ];
}

#[test]
fn every_public_async_function_is_in_this_file() {
    let spawned = futures::spawned_in(include_str!("spawnable.rs"));
    let missing: Vec<String> =
        futures::public().into_iter().filter(|call| !spawned.contains(call)).map(|call| call.to_string()).collect();
    assert!(
        missing.is_empty(),
        "without a line `spawns!(Type::name; …)` in tests/it/spawnable.rs:\n{}",
        missing.join("\n")
    );
}
