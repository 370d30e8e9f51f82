//! Makes attempts of every kind, and compares the counts in the store. Used by a test and by a bench.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64ct::{Base64UrlUnpadded, Encoding};
use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body_util::Empty;
use tower::{Layer, Service, service_fn};
use tower_api_keys::{
    Actor, ApiKeys, IssueKey, KeyKind, ManualClock, Owner, TeamId, Timestamp, UserId,
    hash::Argon2Params,
    key::{KeyFormat, KeyId, PlaintextKey},
    middleware::{Refusal, RequireKeyLayer},
    record::Suspension,
    store::{Ledger, UsageScope},
    usage::Source,
};

use super::hooked::{Fault, Hooked, Hooks};

/// Key, outcome, source.
pub type Place = (Option<String>, String, String);
pub type Counts = BTreeMap<Place, i64>;

/// The counts of the attempts, and the counts in the store.
pub struct Counted {
    pub done: Counts,
    pub stored: Counts,
    /// The number of writes of counts, and of those that were made to fail.
    pub writes: usize,
    pub failures: usize,
}

const KEYS: usize = 1_000;
const LABELS: [&str; 2] = ["api", "intake"];
const AGENTS: [Option<&str>; 6] = [
    None,
    Some("curl/8.5.0"),
    Some("python-requests/2.32"),
    Some("GitHub-Hookshot/abc"),
    Some("okhttp/4"),
    Some("(none)"),
];
const CLIENTS: [&str; 6] = ["", "curl", "python-requests", "GitHub-Hookshot", "okhttp", ""];

struct Key {
    id: KeyId,
    text: String,
    fate: usize,
}

/// Makes `attempts` attempts of all kinds over 1,000 keys with `tasks` tasks, while counts are written and every other
/// write fails. The store must be empty.
pub async fn count<S: Ledger>(store: Arc<S>, attempts: usize, tasks: usize) -> Counted {
    let noon = Timestamp::from_millis(1_772_366_400_000).unwrap();
    let clock = Arc::new(ManualClock::at(noon));
    let hooked = Hooked::new(store.clone());
    let hooks = hooked.hooks.clone();
    let keys = ApiKeys::builder(hooked)
        .params(Argon2Params::MACHINE_SECRET)
        .clock(clock.clone())
        // No automatic flush during this time.
        .usage_interval(Duration::from_secs(86_400))
        .build()
        .await
        .unwrap();
    let known = Arc::new(issue(&keys, &clock).await);
    let (left, mut workers) = (Arc::new(AtomicUsize::new(tasks)), Vec::new());
    for number in 0..tasks {
        let (keys, known, left) = (keys.clone(), known.clone(), left.clone());
        workers.push(tokio::spawn(async move {
            let done = work(&keys, &known, attempts / tasks, number as u64).await;
            left.fetch_sub(1, Ordering::SeqCst);
            done
        }));
    }
    let failures = disturb(&keys, &hooks, &left).await;
    let mut done = Counts::new();
    for worker in workers {
        for (place, count) in worker.await.unwrap() {
            *done.entry(place).or_default() += count;
        }
    }
    hooks.heal();
    keys.shutdown().await.unwrap();
    Counted { done, stored: stored(&*store, &known).await, writes: hooks.count("record_usage"), failures }
}

/// One fifth each: live, revoked, expired, of a suspended owner, of a team.
async fn issue<S: Ledger>(keys: &ApiKeys<Hooked<Arc<S>>>, clock: &ManualClock) -> Vec<Key> {
    let (manager, system) = (keys.manager(), Actor::system("exact").unwrap());
    let mut known = Vec::new();
    for number in 0..KEYS {
        let fate = number % 5;
        let owner = match fate {
            4 => Owner::Team(TeamId::new("blue").unwrap()),
            _ => Owner::User(UserId::from(number as u64)),
        };
        let mut request = IssueKey::of(owner.clone());
        if fate == 2 {
            request = request.expires_at(tower_api_keys::Clock::now(clock).saturating_add(Duration::from_secs(60)));
        }
        let key = manager.issue(request, &system).await.unwrap().into_plaintext();
        match fate {
            1 => drop(manager.revoke(&key.id(), &system).await.unwrap()),
            3 => drop(manager.suspend(&owner, Suspension::Admin, &system).await.unwrap()),
            _ => {}
        }
        known.push(Key { id: key.id(), text: key.expose_secret().to_owned(), fate });
    }
    clock.advance(Duration::from_secs(60));
    known
}

/// Writes counts again and again until all attempts are made. Returns how many flushes failed.
async fn disturb<S: Ledger>(keys: &ApiKeys<Hooked<Arc<S>>>, hooks: &Hooks, left: &AtomicUsize) -> usize {
    let mut failures = 0;
    for turn in 0_usize.. {
        let fault = match turn % 6 {
            0 => Some(("record_usage", Fault::DoneUnsaid)),
            2 => Some(("record_usage", Fault::Error)),
            4 => Some(("usage", Fault::Error)),
            _ => None,
        };
        if let Some((call, fault)) = fault {
            hooks.fail(call, fault, 1);
        } else {
            hooks.heal();
        }
        if keys.flush_usage().await.is_err() {
            failures += 1;
        }
        if left.load(Ordering::SeqCst) == 0 {
            return failures;
        }
        tokio::task::yield_now().await;
    }
    failures
}

/// Makes attempts of every kind, in an irregular order that is the same in each run.
async fn work<S: Ledger>(keys: &ApiKeys<Hooked<Arc<S>>>, known: &[Key], attempts: usize, seed: u64) -> Counts {
    let (mut done, mut random) = (Counts::new(), seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let team_of = |request: &Parts| TeamId::new(request.uri.path().trim_start_matches('/')).ok();
    let inner =
        service_fn(|_: Request<Empty<Bytes>>| async { Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())) });
    let guarded = RequireKeyLayer::new()
        .team(team_of)
        .membership(|asked| async move { Ok::<_, Infallible>(asked.team.team.as_str() == "blue") });
    let mut services = LABELS.map(|label| keys.layer().source(Source::new(label).unwrap()).layer(guarded.layer(inner)));
    let unknown = KeyFormat::unbranded().generate(KeyKind::User).unwrap();
    for _ in 0..attempts {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pick = |shift: u32, of: usize| (random >> shift) as usize % of;
        let (key, label, agent) = (&known[pick(8, known.len())], pick(20, LABELS.len()), pick(24, AGENTS.len()));
        let (text, path, key_id, outcome) = match pick(32, 10) {
            0 => (Some(wrong_secret(&key.text)), "/blue", Some(&key.id), "invalid_key"),
            1 => (Some(key.text[..60].to_owned()), "/blue", None, "malformed_key.truncated"),
            2 => (Some("$API_KEY".to_owned()), "/blue", None, "malformed_key.placeholder"),
            3 => (None, "/blue", None, "missing_credentials"),
            4 => (Some(unknown.expose_secret().to_owned()), "/blue", None, "invalid_key"),
            pick => {
                let outcome = ["success", "key_revoked", "key_expired", "owner_suspended", "success"][key.fate];
                // A valid key used on the wrong team is counted twice: as a success, and as refused.
                let outcome = if pick == 5 && outcome == "success" { "wrong_team" } else { outcome };
                (Some(key.text.clone()), if pick == 5 { "/red" } else { "/blue" }, Some(&key.id), outcome)
            }
        };
        let mut request = Request::get(path);
        if let Some(text) = text {
            request = request.header("authorization", format!("Bearer {text}"));
        }
        if let Some(agent) = AGENTS[agent] {
            request = request.header("user-agent", agent);
        }
        let response = services[label].call(request.body(Empty::new()).unwrap()).await.unwrap();
        let code = response.extensions().get::<Refusal>().map_or("success", |refusal| refusal.code().as_str());
        assert_eq!(Some(code), outcome.split('.').next());
        let client = CLIENTS[agent];
        let source = [LABELS[label], client].join(if client.is_empty() { "" } else { "/" });
        let mut one = |outcome: &str| {
            let place = (key_id.map(|id| id.as_str().to_owned()), outcome.to_owned(), source.clone());
            *done.entry(place).or_default() += 1;
        };
        one(outcome);
        if outcome == "wrong_team" {
            one("success");
        }
    }
    done
}

async fn stored<S: Ledger>(store: &S, known: &[Key]) -> Counts {
    let mut rows = store.usage(&UsageScope::NoKey(vec![None])).await.unwrap();
    rows.extend(store.usage(&UsageScope::Keys(known.iter().map(|key| key.id).collect())).await.unwrap());
    rows.into_iter()
        .map(|row| ((row.key.clone(), row.outcome.clone(), Source::from(&row).to_string()), row.count))
        .collect()
}

fn wrong_secret(text: &str) -> String {
    let other: PlaintextKey = KeyFormat::unbranded().generate(KeyKind::User).unwrap();
    let mut text = format!("{}{}", &text[..26], &other.expose_secret()[26..70]);
    let [_, low_24 @ ..] = crc32fast::hash(text.as_bytes()).to_be_bytes();
    text.push_str(&Base64UrlUnpadded::encode_string(&low_24));
    text
}
