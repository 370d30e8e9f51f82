//! More first uses than the hashing threads can do: immediate refusals, a queue with an end, workers that continue, and
//! clients that leave before their answer.

use std::{convert::Infallible, process::Command, sync::Arc, task::Poll, time::Duration};

use bytes::Bytes;
use futures_util::poll;
use http::{Request, Response};
use http_body_util::Full;
use tokio::{
    task::coop::unconstrained,
    time::{Instant, sleep},
};
use tower::{Layer, ServiceExt, service_fn};
use tower_api_keys::{
    ApiKeyLayer, ApiKeys, Authenticator,
    hash::{Argon2Params, HasherConfig},
    key::PlaintextKey,
    store::{KeyReader, KeyStore, MemoryStore, RehashedKey},
};

use crate::support::{cheap, clock, issue, keys, team, text};

/// A service with one hashing thread, and keys that it has never seen.
struct Fixture {
    keys: ApiKeys<Arc<MemoryStore>>,
    store: Arc<MemoryStore>,
    fresh: Vec<PlaintextKey>,
}

/// One thread, and a time limit that no test reaches.
fn one_thread() -> HasherConfig {
    cheap().with_threads(1).with_check_wait(Duration::from_secs(60))
}

/// The first use of each key costs a run of some microseconds.
async fn fixture(hasher: HasherConfig, count: usize) -> Fixture {
    let (store, clock) = (Arc::new(MemoryStore::new()), clock());
    let elsewhere = keys(store.clone(), &clock).await;
    let mut fresh = Vec::new();
    for _ in 0..count {
        fresh.push(issue(&elsewhere, team("blue")).await);
    }
    let known = issue(&elsewhere, team("blue")).await;
    let keys = ApiKeys::builder(store.clone()).hasher(hasher).clock(clock).build().await.unwrap();
    // Reads the change log, so that a fresh key now waits only for its hash.
    keys.authenticator().authenticate(known.expose_secret()).await.unwrap();
    Fixture { keys, store, fresh }
}

/// The first use of each key costs a run of the standard cost, and the key is then refused.
async fn costly_fixture(hasher: HasherConfig, count: usize) -> Fixture {
    let fixture = fixture(hasher, count).await;
    for key in &fixture.fresh {
        fixture.make_costly(key, 2).await;
    }
    fixture
}

impl Fixture {
    fn authenticator(&self) -> Authenticator<Arc<MemoryStore>> {
        self.keys.authenticator()
    }

    /// The number of runs that began for the fresh keys.
    fn runs(&self) -> u64 {
        self.authenticator().argon2_runs() - 1
    }

    /// Replaces the hash of a key by one of 19 MiB that no text matches, under the same tag. To compute hashes that
    /// match would take as long as to check them.
    async fn make_costly(&self, key: &PlaintextKey, iterations: u32) {
        let row = self.store.find(&key.id()).await.unwrap().unwrap().key;
        let hash = format!("$argon2id$v=19$m=19456,t={iterations},p=1${}${}", "A".repeat(22), "A".repeat(43));
        let new = RehashedKey { hash, tag: row.tag, pepper_id: None, proof: None };
        assert!(self.store.rehash(&key.id(), &row.hash, &new).await.unwrap());
    }
}

async fn fine(_: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("fine")))
}

/// The answer to a request with this key, as [`text`].
async fn answer<R: KeyReader>(layer: ApiKeyLayer<R>, key: &PlaintextKey) -> String {
    let request = Request::get("/").header("authorization", format!("Bearer {}", key.expose_secret()));
    let response = layer.layer(service_fn(fine)).oneshot(request.body(Full::default()).unwrap()).await.unwrap();
    text(response).await
}

/// The answer for a key that has a place in the queue. On a machine busy with other tests its turn may come late. A
/// client that tries again finds the run where it was left.
async fn answer_in_turn(layer: &ApiKeyLayer<Arc<MemoryStore>>, key: &PlaintextKey) -> String {
    loop {
        let answer = answer(layer.clone(), key).await;
        if answer != OVERLOADED {
            return answer;
        }
    }
}

const OVERLOADED: &str = "503\ncache-control: no-store\ncontent-type: application/problem+json\nretry-after: 60\n\
    vary: authorization, x-api-key, content-type\n\n\
    {\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,\"detail\":\"The service is busy checking API keys. Keep the key, and try again in a moment.\",\"code\":\"overloaded\"}";

/// Polled by hand, once. An answer that is ready then did not wait.
#[tokio::test]
async fn a_full_queue_refuses_at_once_and_grows_no_further() {
    const PLACES: usize = 4;
    let fixture = costly_fixture(one_thread().with_queue(PLACES), 300).await;
    let taken = || fixture.authenticator().metrics().hash_waits;
    let taken_before = taken();
    let mut waiting = Vec::new();
    let mut refused = 0;
    for key in &fixture.fresh {
        let mut answer = Box::pin(unconstrained(answer(fixture.keys.layer(), key)));
        match poll!(&mut answer) {
            Poll::Pending => waiting.push(answer),
            Poll::Ready(answer) => {
                assert_eq!(answer, OVERLOADED);
                refused += 1;
            }
        }
    }
    // A waiting request has a place in the queue, or had one and is now with the thread.
    let begun = usize::try_from(taken() - taken_before).unwrap();
    assert!((PLACES..=PLACES + begun).contains(&waiting.len()), "{} wait, {begun} runs", waiting.len());
    assert_eq!(refused, 300 - waiting.len());
    assert!(refused > 0, "{begun} runs of Argon2id ended before 300 requests had begun");
    // A request holds its place only until its run begins. Once those requests are answered, there is room again.
    drop(waiting);
    assert!(answer_in_turn(&fixture.keys.layer(), &fixture.fresh[299]).await.starts_with("401\n"));
}

#[tokio::test]
async fn a_client_refused_by_a_full_queue_is_accepted_when_it_comes_back() {
    let fixture = fixture(one_thread().with_queue(1), 200).await;
    // The first request keeps the thread busy until all others have arrived.
    fixture.make_costly(&fixture.fresh[0], 2).await;
    let clients = fixture.fresh.iter().map(async |key| {
        let mut refusals = 0_u64;
        loop {
            let answer = answer(fixture.keys.layer(), key).await;
            if answer.starts_with("200\n") || answer.starts_with("401\n") {
                return refusals;
            }
            assert_eq!(answer, OVERLOADED);
            refusals += 1;
            // Not at once: on a busy machine, a client in a tight loop would keep the thread from its work.
            sleep(Duration::from_millis(1)).await;
        }
    });
    let refusals: u64 = futures_util::future::join_all(clients).await.into_iter().sum();
    assert!(refusals > 0, "there was room for all");
    assert_eq!(fixture.runs(), 200, "a refusal costs no run, and a run is not repeated");
}

/// If hashes were computed on the only worker, no other task could ever see one that has begun and not ended.
#[tokio::test(flavor = "current_thread")]
async fn the_only_worker_runs_other_tasks_while_a_hash_is_computed() {
    const KEYS: u64 = 16;
    let fixture = costly_fixture(one_thread(), KEYS as usize).await;
    let answered = std::cell::Cell::new(0);
    let clients = futures_util::future::join_all(fixture.fresh.iter().map(async |key| {
        assert!(answer_in_turn(&fixture.keys.layer(), key).await.starts_with("401\n"));
        answered.set(answered.get() + 1);
    }));
    let other = async {
        let mut beside = 0;
        while answered.get() < KEYS {
            // Begun and not ended: the thread is computing it now, or its answer is on the way.
            beside += u64::from(fixture.runs() > answered.get());
            sleep(Duration::from_millis(1)).await;
        }
        beside
    };
    let (_, beside) = futures_util::future::join(clients, other).await;
    assert_eq!(fixture.runs(), KEYS);
    assert!(beside >= KEYS, "{KEYS} runs, and only {beside} turns for other tasks beside them");
}

/// The limit depends on this machine: half the time that one of these hashes takes here.
#[tokio::test(flavor = "current_thread")]
async fn a_timer_of_the_only_worker_stays_on_time_while_hashes_are_computed() {
    const KEYS: u32 = 16;
    let fixture = costly_fixture(one_thread(), KEYS as usize).await;
    let begun = Instant::now();
    let mut clients: tokio::task::JoinSet<()> = fixture
        .fresh
        .into_iter()
        .map(|key| {
            let layer = fixture.keys.layer();
            async move { assert!(answer_in_turn(&layer, &key).await.starts_with("401\n")) }
        })
        .collect();
    let mut late = Vec::new();
    while !clients.is_empty() {
        let due = Instant::now() + Duration::from_millis(1);
        sleep(Duration::from_millis(1)).await;
        late.push(due.elapsed());
        while clients.try_join_next().map(Result::unwrap).is_some() {}
    }
    let run = begun.elapsed() / KEYS;
    late.sort_unstable();
    let median = late[late.len() / 2];
    assert!(median < run / 2, "a run took {run:?}, and half of {} timers were later than {median:?}", late.len());
}

/// The number of waves, each of ten thousand clients.
#[cfg(target_os = "linux")]
const WAVES: usize = 3;

/// Memory and threads are measured for a whole process, so the clients run in their own.
#[cfg(target_os = "linux")]
#[test]
fn ten_thousand_clients_that_hang_up_leave_memory_queue_and_threads_as_they_were() {
    const CHILD: &str = "TOWER_API_KEYS_TEST_HANG_UP";
    if std::env::var_os(CHILD).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(ten_thousand_hang_up());
    }
    let name = "overload::ten_thousand_clients_that_hang_up_leave_memory_queue_and_threads_as_they_were";
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--exact", name, "--nocapture"]).env(CHILD, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains(&format!("waves of hang-ups: {WAVES}")), "{text}");
}

#[cfg(target_os = "linux")]
async fn ten_thousand_hang_up() {
    const CLIENTS: usize = 10_000;
    // In bytes. Less than a check with its key takes, and more than the noise of the allocator for each client.
    const LEFT_BY_A_CLIENT: usize = 200;
    // A buffer of 19 MiB, a stack, and the memory that the allocator reserves for a thread.
    const RELIEF_KIB: u64 = (19 + 3) * 1_024;
    // The queue holds all clients at once. Each wave has three more keys: two keep the thread busy while the clients
    // come and go, and one waits for the end.
    let dear = Argon2Params::new(19_456, 64).unwrap();
    let hasher = one_thread().with_queue(CLIENTS + 2).with_accepted([Argon2Params::MACHINE_SECRET, dear]);
    let fixture = fixture(hasher, CLIENTS + 3 * WAVES).await;
    let (clients, others) = fixture.fresh.split_at(CLIENTS);
    let mut before = None;
    for (wave, others) in others.chunks(3).enumerate() {
        let (runs, first, last) = (fixture.runs(), &others[..2], &others[2]);
        for key in first {
            fixture.make_costly(key, 64).await;
        }
        let mut known = 0;
        for key in first.iter().chain(clients) {
            let mut lost = Box::pin(unconstrained(answer(fixture.keys.layer(), key)));
            if let Poll::Ready(answer) = poll!(&mut lost) {
                assert!(answer.starts_with("200\n"), "no place in the queue: {answer}");
                known += 1;
            }
        }
        // The other hashing thread (see below) may be the one without a core. Then it ends its run after the wave, when
        // the cache has been cleared.
        assert!(known <= 1, "{known} clients were not hashed");
        // The queue keeps the order: once this key is answered, no client of the wave waits.
        assert!(answer_in_turn(&fixture.keys.layer(), last).await.starts_with("200\n"));
        assert_eq!(fixture.runs() - runs, CLIENTS as u64 + 3 - known, "nobody's run is lost and none is repeated");
        fixture.authenticator().forget_proofs();

        // If other work leaves the hashing thread no core, there is a second thread with its own buffer.
        let (relief, threads): (Vec<_>, Vec<_>) =
            threads().into_iter().partition(|name| name.starts_with("api-key-relief"));
        let hashing = threads.iter().filter(|name| name.starts_with("api-key-hash")).count();
        let resident = resident_kib();
        println!("wave {wave}: {resident} KiB, {} threads, of them {hashing} for hashing", threads.len());
        assert_eq!(hashing, 1);
        // Memory that is reserved once for this number of clients, and kept, is there after the first wave.
        let (resident_before, threads_before) = *before.get_or_insert((resident, threads.len()));
        assert_eq!(threads.len(), threads_before);
        let left = wave * CLIENTS * LEFT_BY_A_CLIENT / 1_024;
        let allowed = resident_before + left as u64 + relief.len() as u64 * RELIEF_KIB;
        assert!(resident <= allowed, "{resident_before} KiB have become {resident} KiB, {} beside", relief.len());
    }
    println!("waves of hang-ups: {WAVES}");
}

#[cfg(target_os = "linux")]
fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok()).collect()
}

#[cfg(target_os = "linux")]
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
