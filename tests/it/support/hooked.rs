//! A store in front of another store. It counts calls and makes them fail on demand.

use std::{
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tower_api_keys::{
    key::KeyId,
    store::{FoundKey, Head, KeyReader, Ledger, StoreError},
    usage::UsageBatch,
};

use super::wrapped::{Fake, Wrapped};

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The stored data cannot be read.
    Corrupt,
    /// It fails: the store is unavailable.
    Error,
    /// It never ends.
    Hang,
    /// It panics.
    Panic,
    /// It is done, but the answer is lost.
    DoneUnsaid,
}

/// The hooks of a store, by name of the call.
#[derive(Default)]
pub struct Hooks {
    fault: Mutex<Option<(&'static str, Fault, usize)>>,
    delay: Mutex<Option<(&'static str, Duration)>>,
    under_way: UnderWay,
    calls: Mutex<Vec<&'static str>>,
    alter: Mutex<Option<Alter>>,
    before: Mutex<Option<(&'static str, usize, Interruption)>>,
    /// Whether the head is known at once.
    pub hides_head: std::sync::atomic::AtomicBool,
    heads: AtomicUsize,
    waits: AtomicUsize,
    /// The usage batches that the store received.
    pub usage: Mutex<Vec<UsageBatch>>,
}

/// Calls that the store is working on.
#[derive(Default)]
struct UnderWay {
    now: Arc<AtomicUsize>,
    most: AtomicUsize,
}

impl UnderWay {
    fn enter(&self) -> Cursor {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        Cursor(self.now.clone())
    }
}

struct Cursor(Arc<AtomicUsize>);

impl Drop for Cursor {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

type Interruption = Box<dyn FnOnce() + Send>;
type Alter = Box<dyn Fn(&mut FoundKey) + Send>;

impl Hooks {
    /// The next `times` calls of this name fail like this.
    pub fn fail(&self, call: &'static str, fault: Fault, times: usize) {
        *self.fault.lock().unwrap() = Some((call, fault, times));
    }

    /// Makes calls of this name take this long. A dropped call takes as long, because the store still works on it.
    pub fn delay(&self, call: &'static str, delay: Duration) {
        *self.delay.lock().unwrap() = Some((call, delay));
    }

    /// The most delayed calls that ran at the same time.
    pub fn most_under_way(&self) -> usize {
        self.under_way.most.load(Ordering::SeqCst)
    }

    async fn wait(&self, call: &'static str) {
        let delay = *self.delay.lock().unwrap();
        if let Some((_, delay)) = delay.filter(|(name, _)| *name == call) {
            let cursor = self.under_way.enter();
            let work = async move {
                tokio::time::sleep(delay).await;
                drop(cursor);
            };
            tokio::spawn(work).await.unwrap();
        }
    }

    /// Alters every key that is found.
    pub fn alter(&self, alter: impl Fn(&mut FoundKey) + Send + 'static) {
        *self.alter.lock().unwrap() = Some(Box::new(alter));
    }

    /// Runs `interruption` just before a call of this name, after `skip` earlier calls of it.
    pub fn before(&self, call: &'static str, skip: usize, interruption: impl FnOnce() + Send + 'static) {
        *self.before.lock().unwrap() = Some((call, skip, Box::new(interruption)));
    }

    /// From now on no call fails and no key is altered.
    pub fn heal(&self) {
        *self.fault.lock().unwrap() = None;
        *self.delay.lock().unwrap() = None;
        *self.alter.lock().unwrap() = None;
    }

    /// The calls so far, without reads of a head that is known at once.
    pub fn calls(&self) -> Vec<&'static str> {
        self.calls.lock().unwrap().clone()
    }

    /// The number of calls of this name.
    pub fn count(&self, call: &str) -> usize {
        self.calls().iter().filter(|name| **name == call).count()
    }

    /// How often a caller asked for the head, and how often one waited for a change.
    pub fn hints(&self) -> [usize; 2] {
        [&self.heads, &self.waits].map(|asked| asked.load(Ordering::SeqCst))
    }

    /// Forgets the calls so far.
    pub fn reset(&self) {
        self.calls.lock().unwrap().clear();
    }

    fn enter(&self, call: &'static str) -> Option<Fault> {
        self.calls.lock().unwrap().push(call);
        let interruption = {
            let mut before = self.before.lock().unwrap();
            match &mut *before {
                Some((name, skip, _)) if *name == call && *skip > 0 => {
                    *skip -= 1;
                    None
                }
                Some((name, ..)) if *name == call => before.take(),
                _ => None,
            }
        };
        if let Some((_, _, interruption)) = interruption {
            interruption();
        }
        let mut fault = self.fault.lock().unwrap();
        match &mut *fault {
            Some((name, kind, times)) if *name == call && *times > 0 => {
                *times -= 1;
                Some(*kind)
            }
            _ => None,
        }
    }
}

/// The store in front of `S`.
pub type Hooked<S> = Wrapped<Hooking<S>>;

pub struct Hooking<S> {
    inner: S,
    pub hooks: Arc<Hooks>,
}

impl<S> Hooked<S> {
    pub fn new(inner: S) -> Self {
        Self(Hooking { inner, hooks: Arc::default() })
    }
}

impl<S: KeyReader> Fake for Hooking<S> {
    type Store = S;

    fn store(&self) -> &S {
        &self.inner
    }

    async fn around<T: Send>(
        &self,
        call: &'static str,
        pass_on: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        match self.hooks.enter(call) {
            None => {
                self.hooks.wait(call).await;
                pass_on.await
            }
            Some(Fault::Corrupt) => Err(StoreError::corrupt("the test says so")),
            Some(Fault::Error) => Err(StoreError::unavailable("the test says so")),
            Some(Fault::Hang) => pending().await,
            Some(Fault::Panic) => panic!("the test says so"),
            Some(Fault::DoneUnsaid) => {
                pass_on.await?;
                Err(StoreError::outcome_unknown("the test says so"))
            }
        }
    }

    async fn find(&self, id: &KeyId) -> Result<Option<FoundKey>, StoreError> {
        let mut found = self.around("find", self.inner.find(id)).await?;
        if let (Some(found), Some(alter)) = (&mut found, &*self.hooks.alter.lock().unwrap()) {
            alter(found);
        }
        Ok(found)
    }

    fn try_head(&self) -> Option<Head> {
        self.hooks.heads.fetch_add(1, Ordering::SeqCst);
        if self.hooks.hides_head.load(Ordering::SeqCst) { None } else { self.inner.try_head() }
    }

    async fn wait_for_change(&self, head: Head) {
        self.hooks.waits.fetch_add(1, Ordering::SeqCst);
        self.inner.wait_for_change(head).await;
    }

    async fn record_usage(&self, batch: &UsageBatch) -> Result<(), StoreError>
    where
        S: Ledger,
    {
        self.hooks.usage.lock().unwrap().push(batch.clone());
        self.around("record_usage", self.inner.record_usage(batch)).await
    }
}
