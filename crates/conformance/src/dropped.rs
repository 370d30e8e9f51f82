//! Calls that are dropped at any of their waits, because a client may disconnect at any time. A call is polled when it
//! is woken, and dropped after one wait, after two, and so on until it ends. Each wait is tried twice: the call is
//! dropped when it begins to wait, and when it could continue.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use tower_api_keys::{
    audit::EventRow,
    store::{Changes, Effect, KeyReader, Ledger, UsageScope},
    usage::{UsageBatch, UsageRow},
};

use crate::{
    Candidate, Unmet,
    scene::{Scene, at},
    unmet::{ensure, same},
    usage,
};

/// The most waits of a call that are tried. No store needs half of them.
const MOST_WAITS: u32 = 200;

/// The wait at which a call is dropped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    waits: u32,
    /// Whether the call could already continue.
    is_answered: bool,
}

/// All stops, in order.
pub(crate) fn stops() -> impl Iterator<Item = Stop> {
    (1..=MOST_WAITS).flat_map(|waits| [false, true].map(|is_answered| Stop { waits, is_answered }))
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = if self.is_answered { "once it was over" } else { "at once" };
        write!(f, "at wait {}, {when}", self.waits)
    }
}

/// The failure if the call did not end at any stop: its last waits were not tested.
pub(crate) fn endless() -> Unmet {
    Unmet::failed(format!("expected a call to end within {MOST_WAITS} waits, saw it wait longer"))
}

/// Rows in a batch: more than one statement of most databases accepts.
const ROWS: usize = 2_500;

pub(crate) async fn a_read_can_be_dropped_at_any_wait<R: KeyReader>(candidate: &Candidate<'_, R>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let key = scene.key()?;
    let before = candidate.head_if_tracked().await?;
    candidate.written(&scene.insert([&key])).await?;
    candidate.written(&scene.change(at(1), vec![key.revoke()])).await?;
    for stop in stops() {
        let found = polled(candidate.subject().find(&key.id), stop).await.is_some();
        let read = polled(candidate.subject().changes_since(before), stop).await.is_some();
        let revoked = candidate.found(&key.id).await?.key.revoked_at;
        ensure("a key to be found as it is after a dropped read", revoked.is_some(), revoked)?;
        match candidate.since(before).await? {
            Changes::Changed { keys, .. } => {
                ensure("the log to tell of a key after a dropped read", keys.contains(&key.id), keys)?;
            }
            Changes::Reset { .. } | Changes::Untracked => {}
            seen @ Changes::Unchanged => {
                return Err(Unmet::failed(format!("the log after a dropped read of it: expected news, saw {seen:?}")));
            }
        }
        if found && read {
            return Ok(());
        }
    }
    Err(endless())
}

pub(crate) async fn a_change_can_be_dropped_at_any_wait<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    for stop in stops() {
        let (scene, elsewhere) = (Scene::new()?, Scene::new()?);
        let (old, new, other) = (scene.key()?, scene.key()?, elsewhere.key()?);
        candidate.written(&scene.insert([&old])).await?;
        let change = scene.change(at(1), vec![new.insert(), old.revoke()]);
        let is_done = polled(candidate.apply(&change), stop).await.is_some();
        // On the connection of the dropped call, if the store still has it.
        candidate.written(&elsewhere.insert([&other])).await?;
        // A list is as of one moment; two finds are not.
        let listed = candidate.list(&scene.query(), at(1)).await?.rows;
        let revoked = listed.iter().filter(|listed| listed.key.revoked_at.is_some()).count();
        let what = format!("both writes of a change dropped {stop}, or neither");
        ensure(&what, listed.len() == revoked + 1, (listed.len(), revoked))?;
        let expected = vec![Effect::Changed; 2];
        let what = format!("a change dropped {stop}, repeated");
        same(&what, &candidate.effects(&change).await?, &expected)?;
        same("the number of events of a change that was dropped", &candidate.events(&scene).await?.len(), &3)?;
        let listed = candidate.list(&scene.query(), at(1)).await?.rows.len();
        same("the number of keys after a change that was dropped", &listed, &2)?;
        if is_done {
            return Ok(());
        }
    }
    Err(endless())
}

pub(crate) async fn a_batch_can_be_dropped_at_any_wait<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    for stop in stops() {
        let (scene, elsewhere) = (Scene::new()?, Scene::new()?);
        let (key, other) = (scene.key()?, elsewhere.key()?);
        candidate.written(&scene.insert([&key])).await?;
        let row = |n: usize| usage::row(&key, "success", &format!("source {n:04}"), 3, 1, 2);
        let rows: Vec<UsageRow> = (0..ROWS).map(row).collect();
        let batch = UsageBatch { writer: scene.bytes(), sequence: 1, rows, days: Vec::new() };
        let is_done = polled(candidate.subject().record_usage(&batch), stop).await.is_some();
        candidate.written(&elsewhere.insert([&other])).await?;
        candidate.record(&batch).await?;
        let counts = candidate.counts(&UsageScope::Keys(vec![key.id])).await?;
        let right = counts.iter().filter(|row| row.count == 3).count();
        let what = format!("how many of {ROWS} counts are right after a batch dropped {stop} and repeated");
        same(&what, &(right, counts.len()), &(ROWS, ROWS))?;
        if is_done {
            return Ok(());
        }
    }
    Err(endless())
}

pub(crate) async fn appended_events_can_be_dropped_at_any_wait<S: Ledger>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    const EVENTS: usize = 900;
    for stop in stops() {
        let (scene, elsewhere) = (Scene::new()?, Scene::new()?);
        let events: Vec<EventRow> = (0..EVENTS).map(|_| scene.event(at(1))).collect();
        let is_done = polled(candidate.subject().append_events(&events), stop).await.is_some();
        // After those events, if they are written: events come in order.
        candidate.append(&[elsewhere.event(at(1))]).await?;
        let written = candidate.events(&scene).await?.len();
        let what = format!("all of {EVENTS} events whose appending was dropped {stop}, or none");
        ensure(&what, written == EVENTS || written == 0, written)?;
        if is_done {
            return same("how many of them are there once they were appended", &written, &EVENTS);
        }
    }
    Err(endless())
}

/// Polls a call each time it is woken, until it ends or is dropped; none if it did not end.
pub(crate) async fn polled<T>(call: impl Future<Output = T>, stop: Stop) -> Option<T> {
    let (mut call, mut left) = (pin!(call), stop.waits);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match call.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if left == 0 && !stop.is_answered => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures_util::FutureExt;
    use tokio::task::yield_now;
    use tower_api_keys::{
        key::KeyId,
        store::{FoundKey, Head, KeyStore, MemoryStore, StoreError},
    };

    use super::*;

    /// A reader in which each call takes a number of waits.
    struct Slow {
        store: MemoryStore,
        waits: u32,
    }

    impl KeyReader for Slow {
        async fn find(&self, id: &KeyId) -> Result<Option<FoundKey>, StoreError> {
            for _ in 0..self.waits {
                yield_now().await;
            }
            self.store.find(id).await
        }

        async fn changes_since(&self, head: Option<Head>) -> Result<Changes, StoreError> {
            self.store.changes_since(head).await
        }
    }

    #[tokio::test]
    async fn a_call_that_was_never_seen_to_end_fails_the_clause() {
        for (waits, expected) in [
            (MOST_WAITS - 1, None),
            (MOST_WAITS, Some("expected a call to end within 200 waits, saw it wait longer".to_owned())),
        ] {
            let reader = Slow { store: MemoryStore::new(), waits };
            let candidate = Candidate::reader(&reader, |change| {
                let store = &reader.store;
                async move { store.apply(&change).await }
            });
            let unmet = a_read_can_be_dropped_at_any_wait(&candidate).await.err();
            assert_eq!(unmet.map(|unmet| unmet.to_string()), expected, "{waits} waits");
        }
    }

    #[test]
    fn a_call_is_dropped_while_it_waits_and_once_what_it_waits_for_has_come() {
        let stop = |is_answered| Stop { waits: 1, is_answered };
        assert_eq!(polled(pending::<()>(), stop(false)).now_or_never(), Some(None));
        // It is never woken.
        assert_eq!(polled(pending::<()>(), stop(true)).now_or_never(), None);
    }

    #[tokio::test]
    async fn each_wait_is_the_last_one_until_the_call_ends() {
        let mut seen = Vec::new();
        for stop in stops() {
            let mut steps = 0;
            let call = async {
                for _ in 0..2 {
                    steps += 1;
                    yield_now().await;
                }
                steps += 1;
            };
            let is_done = polled(call, stop).await.is_some();
            seen.push((stop.to_string(), steps, is_done));
            if is_done {
                break;
            }
        }
        let expected = [
            ("at wait 1, at once", 1, false),
            ("at wait 1, once it was over", 1, false),
            ("at wait 2, at once", 2, false),
            ("at wait 2, once it was over", 2, false),
            ("at wait 3, at once", 3, true),
        ];
        assert_eq!(seen, expected.map(|(stop, steps, is_done)| (stop.to_owned(), steps, is_done)));
    }
}
