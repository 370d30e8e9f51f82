//! `MemoryStore` is the simplest implementation of the contract: both stores give the same answers to the same calls.

use proptest::prelude::*;
use tower_api_keys::{
    KeyKind, OrganizationId, Owner, TeamId, Timestamp,
    audit::EventRow,
    record::{ActorId, KeyRow, NamePart, Suspension},
    store::{
        AuditedWrite, Change, ChangeId, Changes, DeadKeys, Erasure, EventQuery, Guard, Head, IdempotentRequest,
        KeyCursor, KeyOrder, KeyQuery, KeyReader, KeyStore, KeyUpdate, Ledger, Liveness, MemoryStore, OwnerChange,
        OwnerRef, Prune, Pseudonym, RehashedKey, SqliteStore, UsageScope, Write,
    },
    usage::{UsageBatch, UsageDayRow, UsageRow},
};

use super::id;

#[derive(Clone, Debug)]
enum Step {
    Apply(Change),
    /// A change that closes, and one that erases.
    Erase(Box<[Change; 2]>),
    Rehash(u32, String, RehashedKey),
    Usage(UsageBatch),
    Append(Vec<EventRow>),
    Meta(String, Vec<u8>),
    Prune(Prune),
}

fn organization() -> impl Strategy<Value = OrganizationId> {
    prop_oneof![4 => Just("default"), 1 => Just("other")].prop_map(|name| OrganizationId::new(name).unwrap())
}

fn owner() -> impl Strategy<Value = Owner> {
    let kind = prop_oneof![Just(KeyKind::User), Just(KeyKind::Team)];
    (kind, prop_oneof![Just("a"), Just("A")]).prop_map(|(kind, id)| Owner::new(kind, id).unwrap())
}

fn number() -> impl Strategy<Value = u32> {
    0..4_u32
}

fn at() -> impl Strategy<Value = i64> {
    0..6_i64
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just("user:a"), Just("user:A"), Just("team \u{e9}\u{0}'")].prop_map(String::from)
}

fn words() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(text())
}

fn bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::of(prop::collection::vec(any::<u8>(), 0..3))
}

fn moment() -> impl Strategy<Value = Option<i64>> {
    proptest::option::of(at())
}

prop_compose! {
    fn key()(
        (number, organization, owner) in (number(), organization(), owner()),
        (name, hash, created_by) in (text(), text(), text()),
        (created_via_key, replaces) in (proptest::option::of(number()), proptest::option::of(number())),
        (created_at, expires_at, revoked_at) in (at(), proptest::option::of(at()), proptest::option::weighted(0.1, at())),
        (pepper_id, proof) in (proptest::option::of(0..3_i64), bytes()),
        (limits, allowed_networks, responsible) in (words(), words(), words()),
        (paused_at, predecessor_expires_at, grace_ends_at) in (moment(), moment(), moment()),
        (lineage, warned_end, warned_before_ms) in (number(), moment(), moment()),
    ) -> KeyRow {
        KeyRow {
            limits,
            allowed_networks,
            responsible,
            paused_at,
            predecessor_expires_at,
            grace_ends_at,
            warned_end,
            warned_before_ms,
            lineage: id(lineage).as_str().into(),
            organization: organization.as_str().into(),
            id: id(number).as_str().into(),
            kind: owner.kind().as_str().into(),
            owner: owner.id().into(),
            name,
            hash,
            created_by,
            created_via_key: created_via_key.map(|number| id(number).as_str().into()),
            replaces: replaces.map(|number| id(number).as_str().into()),
            created_at,
            expires_at,
            revoked_at,
            pepper_id,
            proof,
            ..KeyRow::example()
        }
    }
}

fn owner_ref() -> impl Strategy<Value = OwnerRef> {
    (organization(), owner()).prop_map(|(organization, owner)| OwnerRef { organization, owner })
}

fn write() -> impl Strategy<Value = Write> {
    let owner_change = prop_oneof![
        1 => Just(OwnerChange::Close),
        4 => Just(OwnerChange::Suspend(Suspension::Plan)),
        4 => Just(OwnerChange::Suspend(Suspension::Admin)),
        4 => Just(OwnerChange::Reinstate(Suspension::Plan)),
        4 => Just(OwnerChange::Reinstate(Suspension::Admin)),
    ]
    .boxed();
    let update = (organization(), number(), 1..3_i64, text(), text(), proptest::option::of(at()));
    prop_oneof![
        4 => key().prop_map(Write::Insert),
        2 => update.prop_map(|(organization, number, expected_version, name, scopes, expires_at)| {
            Write::Update(KeyUpdate {
                organization,
                id: id(number),
                expected_version,
                name,
                labels: "{}".into(),
                allowed_networks: (expires_at == Some(1)).then(|| scopes.clone()),
                responsible: (expires_at == Some(2)).then(|| scopes.clone()),
                scopes,
                expires_at,
            })
        }),
        2 => (organization(), number(), text())
            .prop_map(|(organization, number, by)| Write::Revoke { organization, id: id(number), by }),
        3 => (organization(), number(), prop_oneof![Just("user:a"), Just("user:b")])
            .prop_map(|(organization, number, by)| Write::Pause { organization, id: id(number), by: by.into() }),
        3 => (organization(), number(), at(), proptest::option::of(prop_oneof![Just("user:a"), Just("user:b")])).prop_map(
            |(organization, number, paused_at, by)| {
                Write::Resume { organization, id: id(number), paused_at, paused_by: by.map(str::to_owned) }
            }
        ),
        3 => (organization(), number(), at(), 0..3_i64).prop_map(|(organization, number, expires_at, before_ms)| {
            Write::WarnOfEnd { organization, id: id(number), expires_at, before_ms }
        }),
        1 => (organization(), owner_change.clone())
            .prop_map(|(organization, change)| Write::Organization(organization, change)),
        2 => (owner_ref(), owner_change).prop_map(|(owner, change)| Write::Owner(owner, change)),
    ]
}

fn limit() -> impl Strategy<Value = u32> {
    0..3_u32
}

fn guard() -> impl Strategy<Value = Guard> {
    prop_oneof![
        number().prop_map(|number| Guard::Live(id(number))),
        number().prop_map(|number| Guard::NoLiveSuccessor(id(number))),
        owner_ref().prop_map(Guard::OwnerActive),
        (owner_ref(), [at(), at()], limit()).prop_map(|(by, window, limit)| {
            let [since, until] = window.map(|at| Timestamp::from_millis(at).unwrap());
            Guard::IssuedBelow { by, since, until, limit }
        }),
        (number(), 0..4_i64).prop_map(|(number, version)| Guard::SameVersion { key: id(number), version }),
        (owner_ref(), limit()).prop_map(|(owner, limit)| Guard::LiveKeysBelow { owner, limit }),
        (number(), prop::option::of(at()), prop::sample::select(vec!["*", "", "read", "READ"])).prop_map(
            |(number, end, scopes)| {
                let expires_at = end.map(|end| Timestamp::from_millis(end).unwrap());
                Guard::SameRights { key: id(number), scopes: scopes.into(), allowed_networks: None, expires_at }
            }
        ),
    ]
}

/// Entries of the access log, similar actions, and any text.
fn action() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => Just("attempt.accepted".to_owned()),
        1 => Just("Attempt.accepted".to_owned()),
        1 => Just("attempt\u{0}".to_owned()),
        3 => text(),
    ]
}

prop_compose! {
    fn event()(
        (organization, owner, at) in (organization(), owner(), at()),
        (actor, action, source) in (text(), action(), proptest::option::of(text())),
        key in proptest::option::of(number()),
    ) -> EventRow {
        EventRow {
            organization: organization.as_str().into(),
            at,
            actor,
            action,
            key: key.map(|number| id(number).as_str().into()),
            owner_kind: owner.kind().as_str().into(),
            owner: owner.id().into(),
            before: source.clone(),
            source,
            ..EventRow::example()
        }
    }
}

prop_compose! {
    fn change()(
        number in 0..40_u8,
        at in at(),
        writes in prop::collection::vec((write(), event()), 1..4),
        guards in prop::collection::vec(guard(), 0..2),
        request in proptest::option::weighted(0.2, (text(), 0..2_u8)),
    ) -> Change {
        let idempotency = request.map(|(key, digest)| IdempotentRequest { key, digest: [digest; 32] });
        let writes = writes.into_iter().map(|(write, event)| AuditedWrite { write, event }).collect();
        Change { id: ChangeId::from_bytes([number; 16]), at: time(at), writes, guards, idempotency }
    }
}

/// A key, or the organization of a refusal without a key, or neither.
fn counted_for() -> impl Strategy<Value = (Option<String>, Option<String>)> {
    let organization = prop_oneof![Just("default"), Just("other"), Just("Other")];
    prop_oneof![
        2 => number().prop_map(|number| (Some(id(number).as_str().into()), None)),
        1 => proptest::option::of(organization).prop_map(|of| (None, of.map(str::to_owned))),
    ]
}

fn usage() -> impl Strategy<Value = UsageRow> {
    let outcome = prop_oneof![Just("success"), Just("key_revoked"), Just("invalid_key")];
    let source = (text(), text(), text());
    (counted_for(), outcome, source, 1..9_i64, at(), at()).prop_map(
        |((key, organization), outcome, (label, client, network), count, one, other)| UsageRow {
            key,
            organization,
            outcome: outcome.into(),
            label,
            client,
            network,
            count,
            first_at: one.min(other),
            last_at: one.max(other),
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let rehashed = (text(), proptest::option::of(0..3_i64), bytes()).prop_map(|(hash, pepper_id, proof)| RehashedKey {
        hash,
        tag: [9; 4],
        pepper_id,
        proof,
    });
    let before = || proptest::option::of(at().prop_map(time));
    prop_oneof![
        12 => change().prop_map(Step::Apply),
        1 => (owner_ref(), prop::bool::weighted(0.3), 100..110_u8, event(), event()).prop_map(erasure),
        2 => (number(), text(), rehashed).prop_map(|(number, old, new)| Step::Rehash(number, old, new)),
        2 => (0..2_u8, 0..4_i64, prop::collection::vec(usage(), 0..4), prop::collection::vec(usage(), 0..4)).prop_map(
            |(writer, sequence, rows, of_days)| {
                let days = UsageDayRow::sums(&of_days);
                Step::Usage(UsageBatch { writer: [writer; 16], sequence, rows, days })
            }
        ),
        1 => prop::collection::vec(event(), 0..3).prop_map(Step::Append),
        1 => (text(), prop::collection::vec(any::<u8>(), 0..3)).prop_map(|(name, value)| Step::Meta(name, value)),
        1 => (before(), before(), proptest::option::of(0..4_u32), before(), dead_keys()).prop_map(
            |(events_before, attempts_before, keep_log_rows, changes_before, keys)| {
                Step::Prune(Prune {
                    events_before,
                    attempts_before,
                    keep_log_rows,
                    changes_before,
                    keys,
                    ..Prune::default()
                })
            }
        ),
    ]
}

fn erasure((of, is_whole, number, closed, erased): (OwnerRef, bool, u8, EventRow, EventRow)) -> Step {
    let OwnerRef { organization, owner } = of.clone();
    let close = match is_whole {
        true => Write::Organization(organization.clone(), OwnerChange::Close),
        false => Write::Owner(of, OwnerChange::Close),
    };
    let owner = Some(owner).filter(|_| !is_whole);
    let erase = Write::Erase(Erasure { organization, owner, pseudonym: Pseudonym::from_bytes([number; 16]) });
    let change = |number, write, event| Change {
        id: ChangeId::from_bytes([number; 16]),
        at: time(5),
        writes: vec![AuditedWrite { write, event }],
        guards: Vec::new(),
        idempotency: None,
    };
    Step::Erase(Box::new([change(number, close, closed), change(number + 10, erase, erased)]))
}

fn dead_keys() -> impl Strategy<Value = Option<DeadKeys>> {
    (proptest::option::of(at().prop_map(time)), 0..4_u64)
        .prop_map(|(before, most)| Some(DeadKeys { ended_before: before?, most, at: time(9) }))
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

prop_compose! {
    fn key_query()(
        (organization, owners) in (organization(), proptest::collection::vec(owner(), 0..4)),
        (keys, kind) in (proptest::collection::vec(number(), 0..3), proptest::option::weighted(0.2, proptest::sample::select(KeyKind::ALL.to_vec()))),
        part in proptest::option::weighted(0.2, proptest::sample::select(vec!["", "R:a", "É", "%", "team"])),
        order in prop_oneof![
            Just(KeyOrder::NewestFirst), Just(KeyOrder::OldestFirst), Just(KeyOrder::SoonestEndFirst)
        ],
        expires_before in proptest::option::weighted(0.3, at()),
        creator in proptest::option::of(prop_oneof![Just("user:a"), Just("user:A")]),
        (maker, predecessor, lineage) in (
            proptest::option::of(number()), proptest::option::of(number()), proptest::option::weighted(0.2, number())
        ),
        liveness in proptest::option::of(prop_oneof![Just(Liveness::Dead), Just(Liveness::Live)]),
        (unused_since, created_since, created_before) in
            (proptest::option::of(at()), proptest::option::of(at()), proptest::option::of(at())),
        after in proptest::option::of((at(), moment(), number())),
        (with_usage, limit) in (any::<bool>(), 1..4_u16),
    ) -> KeyQuery {
        KeyQuery {
            organization,
            keys: keys.into_iter().map(id).collect(),
            owners,
            kind,
            named_like: part.map(|part| NamePart::new(part).unwrap()),
            creator: creator.map(|text| text.parse::<ActorId>().unwrap()),
            created_via_key: maker.map(id),
            predecessor: predecessor.map(id),
            lineage: lineage.map(id),
            liveness,
            unused_since: unused_since.map(time),
            created_since: created_since.map(time),
            created_before: created_before.map(time),
            expires_before: expires_before.map(time),
            order,
            after: after.map(|(at, end, number)| KeyCursor {
                created_at: time(at),
                expires_at: end.map(time),
                id: id(number),
            }),
            with_usage,
            limit,
        }
    }
}

prop_compose! {
    fn event_query()(
        (organization, owner) in (organization(), proptest::option::of(owner())),
        actor in proptest::option::of(prop_oneof![Just("user:a"), Just("user:A")]),
        key in proptest::option::of(number()),
        (action, source) in (proptest::option::of(action()), proptest::option::of(text())),
        (from, until, after) in (proptest::option::of(at()), proptest::option::of(at()), proptest::option::of(0..9_i64)),
        (limit, newest_first, attempts) in (1..4_u16, any::<bool>(), any::<bool>()),
    ) -> EventQuery {
        EventQuery {
            organization,
            attempts,
            key: key.map(id),
            owner,
            actor: actor.map(|text| text.parse::<ActorId>().unwrap()),
            action,
            source,
            from: from.map(time),
            until: until.map(time),
            newest_first,
            after,
            limit,
        }
    }
}

/// The answer of a step, as text.
async fn run(store: &impl Ledger, step: &Step) -> String {
    match step {
        Step::Apply(change) => match store.apply(change).await {
            Ok(applied) => format!("{applied:?}"),
            Err(error) => format!("{:?}", error.kind()),
        },
        Step::Erase(changes) => {
            let mut told = String::new();
            for change in changes.iter() {
                told += &match store.apply(change).await {
                    Ok(applied) => format!("{applied:?}"),
                    Err(error) => format!("{:?}", error.kind()),
                };
            }
            told
        }
        Step::Rehash(number, old, new) => format!("{:?}", store.rehash(&id(*number), old, new).await.unwrap()),
        Step::Usage(batch) => format!("{:?}", store.record_usage(batch).await.unwrap()),
        Step::Append(events) => format!("{:?}", store.append_events(events).await.unwrap()),
        Step::Meta(name, value) => format!("{:?}", store.put_meta_if_absent(name, value).await.unwrap()),
        Step::Prune(prune) => format!("{:?}", store.prune(prune).await.unwrap()),
    }
}

/// The log since each head, without random parts.
async fn log(store: &impl KeyReader, heads: &[Option<Head>]) -> Vec<String> {
    let mut log = Vec::new();
    for head in heads {
        log.push(match store.changes_since(*head).await.unwrap() {
            Changes::Changed { head, mut keys, mut owners, organizations } => {
                // Within one change, keys have no order.
                keys.sort_unstable();
                owners.sort_unstable();
                format!("{} {keys:?} {owners:?} {organizations:?}", head.position)
            }
            Changes::Reset { head } => format!("reset {}", head.position),
            other => format!("{other:?}"),
        });
    }
    log
}

async fn compare(steps: &[Step], keys: &[KeyQuery], events: &[EventQuery]) {
    let memory = MemoryStore::new();
    let sqlite = SqliteStore::in_memory().await.unwrap();
    let (mut memory_heads, mut sqlite_heads) = (vec![None, memory.try_head()], vec![None, sqlite.try_head()]);
    for step in steps {
        assert_eq!(run(&sqlite, step).await, run(&memory, step).await, "{step:?}");
        memory_heads.push(memory.try_head());
        sqlite_heads.push(sqlite.try_head());
    }
    for number in 0..4 {
        assert_eq!(sqlite.find(&id(number)).await.unwrap(), memory.find(&id(number)).await.unwrap());
    }
    assert_eq!(log(&sqlite, &sqlite_heads).await, log(&memory, &memory_heads).await);
    let all = |name: &str| OrganizationId::new(name).unwrap();
    let [none, one, other] = [None, Some(all("other")), Some(all("Other"))];
    for of in [
        UsageScope::Keys(vec![id(2), id(0), id(2)]),
        UsageScope::NoKey(vec![none.clone()]),
        UsageScope::NoKey(vec![other.clone()]),
        UsageScope::NoKey(vec![one.clone(), none, other, one]),
    ] {
        assert_eq!(sqlite.usage(&of).await.unwrap(), memory.usage(&of).await.unwrap(), "{of:?}");
    }
    for query in keys.iter().cloned().chain([KeyQuery::all(all("default")), KeyQuery::all(all("other"))]) {
        for now in [0, 3, 6] {
            let [one, other] = [sqlite.list(&query, time(now)).await, memory.list(&query, time(now)).await];
            assert_eq!(one.unwrap(), other.unwrap(), "{query:?} at {now}");
        }
    }
    for query in events.iter().cloned().chain([EventQuery::all(all("default")), EventQuery::all(all("other"))]) {
        assert_eq!(sqlite.events(&query).await.unwrap(), memory.events(&query).await.unwrap(), "{query:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn both_stores_answer_the_same(
        steps in prop::collection::vec(step(), 1..30),
        keys in prop::collection::vec(key_query(), 4),
        events in prop::collection::vec(event_query(), 4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(compare(&steps, &keys, &events));
    }
}

#[test]
fn an_owner_is_found_by_kind_and_id() {
    // A user and a team with the same id are two owners.
    let team = OwnerRef { organization: OrganizationId::single(), owner: TeamId::new("a").unwrap().into() };
    let suspension = Write::Owner(team, OwnerChange::Suspend(Suspension::Plan));
    let row = KeyRow { kind: "user".into(), owner: "a".into(), id: id(1).as_str().into(), ..KeyRow::example() };
    let event = EventRow::example();
    let writes = [Write::Insert(row), suspension].map(|write| AuditedWrite { write, event: event.clone() }).to_vec();
    let change =
        Change { id: ChangeId::from_bytes([1; 16]), at: Timestamp::MIN, writes, guards: vec![], idempotency: None };
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        let store = SqliteStore::in_memory().await.unwrap();
        store.apply(&change).await.unwrap();
        assert_eq!(store.find(&id(1)).await.unwrap().unwrap().owner, Default::default());
    });
}

#[test]
fn only_a_key_of_the_same_organization_keeps_the_dead_key_that_made_it() {
    let insert = |number: u32, organization: &str, made_with: Option<u32>, expires_at| {
        let (id, created_via_key) = (id(number).as_str().into(), made_with.map(|number| id(number).as_str().into()));
        let organization = organization.into();
        let row = KeyRow { id, organization, created_via_key, expires_at, ..KeyRow::example() };
        let change = ChangeId::from_bytes([u8::try_from(number).unwrap(); 16]);
        let writes = vec![AuditedWrite { write: Write::Insert(row), event: EventRow::example() }];
        Step::Apply(Change { id: change, at: time(0), writes, guards: vec![], idempotency: None })
    };
    let dead = DeadKeys { ended_before: time(1), most: 10, at: time(9) };
    let steps = [
        insert(0, "other", None, Some(0)),
        insert(1, "default", Some(0), None),
        insert(2, "other", None, Some(0)),
        insert(3, "other", Some(2), None),
        Step::Prune(Prune { keys: Some(dead), ..Prune::default() }),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        compare(&steps, &[], &[]).await;
        let store = MemoryStore::new();
        for step in &steps {
            run(&store, step).await;
        }
        assert_eq!(store.find(&id(0)).await.unwrap().map(|found| found.key), None);
        assert!(store.find(&id(2)).await.unwrap().is_some());
    });
}
