//! If one request waits for a strict read of the change log, the request drives that read itself. It starts no task,
//! and nothing is lost if the request is dropped or is not polled.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_util::{future::join_all, poll};
use tokio::{runtime::Handle, sync::Semaphore, task::yield_now};
use tower_api_keys::{
    ApiKeys, Authenticator,
    auth::{AuthErrorKind, AuthSettings},
    key::{KeyId, PlaintextKey},
    store::{Changes, FoundKey, Head, KeyReader, MemoryStore, StoreError},
};

use crate::support::{cheap, issue, secrets, user};

/// A store that answers a read of its log only when the test lets it.
struct Gated {
    store: Arc<MemoryStore>,
    gate: Semaphore,
    begun: AtomicUsize,
    ended: AtomicUsize,
}

impl KeyReader for Gated {
    async fn find(&self, id: &KeyId) -> Result<Option<FoundKey>, StoreError> {
        self.store.find(id).await
    }

    async fn changes_since(&self, head: Option<Head>) -> Result<Changes, StoreError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        yield_now().await;
        self.gate.acquire().await.unwrap().forget();
        self.ended.fetch_add(1, Ordering::SeqCst);
        self.store.changes_since(head).await
    }
}

struct Node {
    authenticator: Authenticator<Arc<Gated>>,
    store: Arc<Gated>,
    key: PlaintextKey,
}

impl Node {
    /// A node that knows one key.
    async fn new() -> Self {
        Self::patient(Duration::from_secs(1)).await
    }

    /// The same, with this time limit for its store.
    async fn patient(patience: Duration) -> Self {
        secrets::capture_log();
        let store = Arc::new(MemoryStore::new());
        let key =
            issue(&ApiKeys::builder(Arc::clone(&store)).hasher(cheap()).build().await.unwrap(), user("alice")).await;
        let (begun, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let store = Arc::new(Gated { store, gate: Semaphore::new(0), begun, ended });
        let settings = AuthSettings::new().with_hasher(cheap()).with_answer_timeout(patience);
        let authenticator = Authenticator::new(Arc::clone(&store), settings).unwrap();
        let node = Self { authenticator, store, key };
        // A read for the look-up, and one after the hash.
        node.store.gate.add_permits(2);
        node.check().await.unwrap();
        assert_eq!(node.reads(), (2, 2));
        node
    }

    async fn check(&self) -> Result<(), AuthErrorKind> {
        let checked = self.authenticator.authenticate(self.key.expose_secret()).await;
        checked.map(drop).map_err(|error| error.kind())
    }

    fn let_through(&self, reads: usize) {
        self.store.gate.add_permits(reads);
    }

    /// The numbers of reads that began and that ended.
    fn reads(&self) -> (usize, usize) {
        (self.store.begun.load(Ordering::SeqCst), self.store.ended.load(Ordering::SeqCst))
    }
}

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

#[tokio::test]
async fn a_request_that_is_alone_starts_no_task() {
    let node = Node::new().await;
    let before = tasks();
    for reads in 3..10 {
        let mut request = pin!(node.check());
        assert!(poll!(&mut request).is_pending());
        assert_eq!((node.reads(), tasks()), ((reads, reads - 1), before));
        node.let_through(1);
        assert_eq!((request.await, node.reads(), tasks()), (Ok(()), (reads, reads), before));
    }
}

#[tokio::test]
async fn a_request_that_is_dropped_leaves_its_read_to_a_task() {
    let node = Node::new().await;
    let before = tasks();
    {
        let mut request = pin!(node.check());
        assert!(poll!(&mut request).is_pending());
    }
    assert_eq!((node.reads(), tasks()), ((3, 2), before + 1));
    node.let_through(1);
    while tasks() > before {
        yield_now().await;
    }
    assert_eq!(node.reads(), (3, 3));
    node.let_through(1);
    assert_eq!((node.check().await, node.reads()), (Ok(()), (4, 4)));
}

#[tokio::test]
async fn who_comes_next_takes_over_from_a_request_that_nobody_polls() {
    let node = Node::new().await;
    let mut first = pin!(node.check());
    assert!(poll!(&mut first).is_pending());
    node.let_through(2);
    assert_eq!(node.check().await, Ok(()));
    // The read began after both requests came.
    assert_eq!(node.reads(), (4, 4));
    assert_eq!(first.await, Ok(()));
    assert_eq!(node.reads(), (4, 4));
}

#[tokio::test]
async fn those_who_wait_with_a_request_that_is_dropped_wait_on() {
    let node = Node::new().await;
    let mut others = Vec::new();
    {
        let mut first = pin!(node.check());
        assert!(poll!(&mut first).is_pending());
        for _ in 0..5 {
            let mut other = Box::pin(node.check());
            assert!(poll!(&mut other).is_pending());
            others.push(other);
        }
    }
    node.let_through(2);
    assert!(join_all(others).await.iter().all(Result::is_ok));
    assert_eq!(node.reads(), (4, 4));
}

#[tokio::test]
async fn a_read_that_nobody_polled_for_long_is_no_outage() {
    let node = Node::new().await;
    let mut first = pin!(node.check());
    assert!(poll!(&mut first).is_pending());
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60)).await;
    node.let_through(2);
    assert_eq!((node.check().await, node.check().await), (Ok(()), Ok(())));
    assert_eq!(first.await, Err(AuthErrorKind::StoreUnavailable));
    node.let_through(1);
    assert_eq!(node.check().await, Ok(()));
}

#[tokio::test]
async fn a_store_that_hangs_is_noticed_though_the_request_was_dropped() {
    let node = Node::new().await;
    {
        let mut request = pin!(node.check());
        assert!(poll!(&mut request).is_pending());
    }
    tokio::time::pause();
    tokio::time::sleep(Duration::from_millis(800)).await;
    let mut request = pin!(node.check());
    assert_eq!(poll!(&mut request), Poll::Ready(Err(AuthErrorKind::StoreUnavailable)));
}

#[test]
fn a_request_outside_of_a_runtime_harms_no_other() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let node = runtime.block_on(Node::new());
    {
        let mut outside = pin!(node.check());
        let polled = outside.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(polled, Poll::Ready(Err(AuthErrorKind::StoreUnavailable)));
    }
    node.let_through(1);
    assert_eq!((runtime.block_on(node.check()), node.reads()), (Ok(()), (3, 3)));
}

#[test]
fn a_request_that_is_dropped_outside_of_its_runtime_leaves_its_read_to_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let node = Arc::new(runtime.block_on(Node::new()));
    let own = Arc::clone(&node);
    let mut request = Box::pin(async move { own.check().await });
    runtime.block_on(async { assert!(poll!(&mut request).is_pending()) });
    drop(request);
    node.let_through(2);
    assert_eq!(runtime.block_on(node.check()), Ok(()));
    assert_eq!(node.reads(), (4, 4));
}

/// A request is not polled while others take over its read and end. Then another request drives a read of its own. The
/// first one must not touch that read.
#[tokio::test]
async fn a_request_drives_its_own_read_and_no_other() {
    let node = Arc::new(Node::new().await);
    let mut first = pin!(node.check());
    assert!(poll!(&mut first).is_pending());
    node.let_through(2);
    assert_eq!(node.check().await, Ok(()));
    let own = Arc::clone(&node);
    let alone = tokio::spawn(async move { own.check().await });
    while node.reads() != (5, 4) {
        yield_now().await;
    }
    assert_eq!(poll!(&mut first), Poll::Ready(Ok(())));
    node.let_through(1);
    tokio::time::pause();
    let checked = tokio::time::timeout(Duration::from_millis(500), alone).await.expect("it waits in vain");
    assert_eq!(checked.unwrap(), Ok(()));
}

/// Requests on several threads are polled a few times, then dropped or awaited. None of them waits forever.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_that_come_and_go_wait_for_nothing_in_vain() {
    let node = Arc::new(Node::patient(Duration::from_secs(60)).await);
    node.let_through(Semaphore::MAX_PERMITS / 2);
    let come_and_go = |task: usize| {
        let node = Arc::clone(&node);
        async move {
            for number in 0..2_000_usize {
                let (mut request, mut polls) = (pin!(node.check()), (task * 7 + number) % 5);
                let outcome = poll_fn(|context| {
                    let polled = request.as_mut().poll(context);
                    if polled.is_pending() && polls == 0 {
                        return Poll::Ready(None);
                    }
                    polls = polls.saturating_sub(1);
                    polled.map(Some)
                });
                let outcome = tokio::time::timeout(Duration::from_secs(20), outcome).await.expect("it waits in vain");
                assert!(matches!(outcome, None | Some(Ok(()))), "{outcome:?}");
                if number % 3 == 0 {
                    yield_now().await;
                }
            }
        }
    };
    for task in join_all((0..8).map(|task| tokio::spawn(come_and_go(task)))).await {
        task.unwrap();
    }
    assert_eq!(node.check().await, Ok(()));
}
