use std::{
    future::{Future, pending},
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{Either, join_all, select},
};
use tokio::{
    runtime::Handle,
    sync::oneshot,
    time::{Instant, sleep, sleep_until},
};

use super::{
    end::StreamEnd,
    streams::{Place, Streams, goes_on},
};
use crate::{
    auth::{
        Authenticator, Freshness,
        authenticator::Inner,
        freshness::{Currency, Deadline},
    },
    principal::Principal,
    store::{Calls, Head, KeyReader},
};

/// How often the task checks the clock, and the store unless that needs less.
const TICK: Duration = Duration::from_millis(25);

/// The shortest pause between two checks, no matter what changes.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// How often keys of a store without a change log are looked up.
const UNTRACKED_PAUSE: Duration = Duration::from_secs(1);

/// How many keys are checked at a time: look-ups of requests need places beside them.
const LOOKS_AT_A_TIME: usize = 8;

/// After this time the change log is read again, no matter how many keys are still due.
const LONGEST_LOOKS: Duration = Duration::from_millis(50);

/// How long after its deadline a stream checks itself whether there is a task: a busy machine is not a stalled runtime.
const GRACE: Duration = Duration::from_millis(250);

impl<R: KeyReader> Authenticator<R> {
    /// Waits until requests with the key that proved this principal would be refused, or could do less. For streams and
    /// sockets: wait for this while you send, and close when it resolves.
    ///
    /// It resolves at once if that is already so: nothing is missed between the request and this call. If a key ends or
    /// is narrowed on any node, this is noticed within 25 ms and a read of the change log [under strict
    /// freshness](Freshness::Strict), and as soon as requests would notice it [under a bound](Freshness::Bounded).
    /// Expiry is noticed within 25 ms. A store without a change log is asked for each key once a second. If it is
    /// unknown for longer than a request waits for the store
    /// ([`answer_timeout`](crate::auth::AuthSettings::with_answer_timeout)) whether the key is good, the result is
    /// [`StreamEnd::Unsure`].
    ///
    /// The address that a stream came from is not stored. So if the [networks](crate::Networks) of its key no longer
    /// contain all that they contained, the stream ends with the code `network_not_allowed`. Callers from a network
    /// that is still in the list are let in again.
    ///
    /// One task reads the change log for all streams, no matter how many: once in 25 ms, and not at all if the store
    /// knows its head at once or freshness is bounded. It looks up each key that may have changed once. Nothing runs
    /// while no stream waits. A stream that waits takes some 1.2 KB, including the task around it.
    ///
    /// Counts nothing, like [`recheck`](Self::recheck). Dropping the future is harmless and frees what it holds. It
    /// needs a tokio runtime with time, or it resolves to [`StreamEnd::Unsure`]. It also does so after the
    /// authenticator and all its clones are dropped: this future keeps neither the authenticator nor the store alive.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_api_keys::{Authenticator, Principal, Scope, auth::StreamEnd, store::KeyReader};
    ///
    /// async fn ticks<R: KeyReader>(keys: Authenticator<R>, mut principal: Principal, needed: &Scope) {
    ///     let mut ends = Box::pin(keys.until_refused(&principal));
    ///     loop {
    ///         tokio::select! {
    ///             () = tokio::time::sleep(Duration::from_secs(1)) => println!("a tick for {}", principal.owner()),
    ///             end = &mut ends => match end {
    ///                 StreamEnd::Narrowed(now) if now.allows(needed) => {
    ///                     ends = Box::pin(keys.until_refused(&now));
    ///                     principal = now;
    ///                 }
    ///                 end => return println!("{}, try again: {}", end.code(), end.is_temporary()),
    ///             },
    ///         }
    ///     }
    /// }
    /// ```
    pub fn until_refused(&self, principal: &Principal) -> impl Future<Output = StreamEnd> + Send + use<R> {
        wait(Arc::downgrade(&self.0), principal.clone())
    }
}

/// Waits until the key of this caller is refused, or may do less.
///
/// A waiting stream holds neither the store nor the authenticator, so that both can be closed.
async fn wait<R: KeyReader>(of: Weak<Inner<R>>, principal: Principal) -> StreamEnd {
    if Handle::try_current().is_err() {
        return StreamEnd::unavailable("there is no tokio runtime");
    }
    // A runtime without time panics here.
    let waiting = AssertUnwindSafe(in_place(of, principal)).catch_unwind();
    waiting.await.unwrap_or_else(|_| StreamEnd::unavailable("the runtime has no time"))
}

async fn in_place<R: KeyReader>(of: Weak<Inner<R>>, principal: Principal) -> StreamEnd {
    let since = Instant::now();
    let Some((place, mut answer, patience)) = of.upgrade().map(|inner| inner.enter(principal)) else {
        return StreamEnd::unavailable("the authenticator was dropped");
    };
    let (mut until, mut is_last) = (since + patience + GRACE, false);
    loop {
        answer = match select(answer, pin!(sleep_until(until))).await {
            Either::Left((Ok(end), _)) => return end,
            Either::Left((Err(_), _)) => return StreamEnd::unavailable("the authenticator was dropped"),
            Either::Right(((), answer)) => answer,
        };
        // The task tells waiting streams when their time is up. If a stream gets here, no task is running, or the
        // machine was stalled, and the task with it. The first time, a task is started if needed.
        let heard_at = place.heard_at().map_or(since, |heard_at| heard_at.max(since));
        let now = Instant::now();
        if now.duration_since(heard_at) < patience + GRACE {
            (until, is_last) = (heard_at + patience + GRACE, false);
        } else if is_last {
            return StreamEnd::unavailable("nothing was heard of the change log");
        } else {
            (until, is_last) = (now + patience + GRACE, true);
            if let Some(inner) = of.upgrade() {
                inner.start_watching();
            }
        }
    }
}

impl<R: KeyReader> Inner<R> {
    fn enter(self: Arc<Self>, principal: Principal) -> (Place, oneshot::Receiver<StreamEnd>, Duration) {
        self.start_background_work();
        let streams = self.watching.streams();
        let entered = streams.enter(principal.clone());
        // After it has a place: changes applied before show here, later changes make the key due.
        if !self.remembered(principal.key_id()).is_some_and(|now| now.is_ok_and(|now| goes_on(&principal, &now))) {
            streams.is_due(principal.key_id());
        }
        self.start_watching();
        (entered.0, entered.1, self.patience)
    }

    /// Starts the task, unless it is running.
    fn start_watching(self: &Arc<Self>) {
        let (streams, Ok(runtime)) = (self.watching.streams(), Handle::try_current()) else { return };
        if let Some(number) = streams.new_task(self.patience + GRACE) {
            let task = Watcher { streams: Arc::clone(streams), number };
            runtime.spawn(task.run(Arc::downgrade(self)));
        }
    }

    /// Asks the store, as a request would. Returns what that proves of the cache, and when to ask again.
    async fn hear(&self, streams: &Streams) -> (Option<Currency>, Instant) {
        let start = Instant::now();
        match self.current(Deadline::after(self.patience)).await {
            Ok(currency) => {
                streams.heard(start);
                let pause = match currency {
                    Currency::Tracked => TICK,
                    Currency::Untracked => {
                        streams.all_changed();
                        UNTRACKED_PAUSE
                    }
                };
                (Some(currency), start + pause)
            }
            Err(error) => {
                streams.unheard(&error, self.patience);
                (None, Instant::now() + TICK)
            }
        }
    }

    /// Checks keys that may have changed. Returns whether there are more.
    async fn look_at_due(&self, streams: &Streams, currency: Currency) -> bool {
        streams.expire(self.clock.reading());
        let begun = Instant::now();
        let look = || async {
            while begun.elapsed() < LONGEST_LOOKS {
                let Some(key) = streams.next_due() else { return };
                let found = self.look_again(&key, currency, Deadline::after(self.patience)).await;
                let is_unsure = found.as_ref().is_err_and(|error| error.kind().is_temporary());
                streams.looked(&key, found, self.patience);
                if is_unsure {
                    // The key is due again, at the next tick.
                    return;
                }
            }
        };
        join_all((0..LOOKS_AT_A_TIME).map(|_| look())).await;
        begun.elapsed() >= LONGEST_LOOKS
    }

    /// The source of hints of changes, if no other task reads the log for them.
    fn hints(&self) -> Option<(Arc<R>, Head)> {
        let (store, head) = (self.log.store(), self.log.applied()?);
        (self.freshness == Freshness::Strict && !self.log.is_current_now()).then_some((store, head))
    }
}

/// The task that serves all streams, while there are any.
struct Watcher {
    streams: Arc<Streams>,
    number: u64,
}

impl Watcher {
    async fn run<R: KeyReader>(self, of: Weak<Inner<R>>) {
        let (mut currency, mut hear_at) = (None, Instant::now());
        // After a hint without a change, no hint counts until the next tick: hints prove nothing, and a store that
        // sends them endlessly must not be read endlessly.
        let mut hinted_at = None;
        while self.streams.goes_on(self.number)
            && let Some(inner) = of.upgrade()
        {
            let now = Instant::now();
            if now >= hear_at {
                (currency, hear_at) = inner.hear(&self.streams).await;
            }
            let has_more = match currency {
                Some(currency) => inner.look_at_due(&self.streams, currency).await,
                None => false,
            };
            let hints = inner.hints().filter(|(_, head)| hinted_at != Some(*head));
            // Not held meanwhile: the store is closed when all others have dropped it.
            drop(inner);
            sleep(SHORTEST_PAUSE).await;
            let tick = hear_at.min(Instant::now() + TICK);
            hinted_at = None;
            if !has_more && let Some(head) = self.wait(tick, hints).await {
                (hinted_at, hear_at) = (Some(head), Instant::now());
            }
        }
    }

    /// Waits until this tick, until a key is due, or for a hint. Returns the head of the hint.
    async fn wait<R: KeyReader>(&self, tick: Instant, hints: Option<(Arc<R>, Head)>) -> Option<Head> {
        let stirred = pin!(self.streams.stirred.notified());
        let hint = pin!(async {
            if let Some((store, head)) = hints
                && Calls::new(store, TICK).hint(head).await
            {
                return head;
            }
            pending().await
        });
        match select(select(stirred, pin!(sleep_until(tick))), hint).await {
            Either::Left(_) => None,
            Either::Right((head, _)) => Some(head),
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.streams.task_ended(self.number);
    }
}
