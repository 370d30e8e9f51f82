//! The feed, which readers follow.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::{join, try_join_all};
use tokio::task::yield_now;
use tower_api_keys::{
    audit::EventRow,
    store::{EventQuery, Ledger, Prune},
};

use crate::{
    Candidate, Unmet,
    scene::{Scene, ancient, at},
    unmet::{ensure, same},
};

/// More events than one clause writes.
const WHOLE: u16 = 1_000;

/// The place of the last event.
async fn end<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<Option<i64>, Unmet> {
    let mut last = None;
    loop {
        let page = candidate.feed(last, WHOLE).await?;
        last = page.rows.last().map(|event| event.sequence).or(last);
        if !page.more {
            return Ok(last);
        }
    }
}

/// The texts that distinguish the events of a clause.
fn marks(rows: &[EventRow]) -> Vec<&Option<String>> {
    rows.iter().map(|row| &row.after).collect()
}

pub(crate) async fn events_of_all_organizations_come_in_log_order<S: Ledger>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let start = end(candidate).await?;
    let (one, other) = (Scene::new()?, Scene::new()?);
    let attempt = EventRow { action: "attempt.accepted".into(), ..one.event(at(9)) };
    let rows = [one.event(at(3)), other.event(at(2)), attempt, one.event(at(1))];
    candidate.append(&rows).await?;
    candidate.written(&other.insert([&other.key()?])).await?;
    candidate.append(&[one.event(at(0))]).await?;
    let fed = candidate.feed(start, WHOLE).await?.rows;
    let all = EventQuery { limit: WHOLE, ..EventQuery::all(one.organization()) };
    let mut expected = candidate.events_page(&all).await?.rows;
    expected.extend(candidate.events_page(&EventQuery { organization: other.organization(), ..all }).await?.rows);
    expected.sort_by_key(|event| event.sequence);
    same("how many events there are, without one of the access log", &expected.len(), &5)?;
    same("the feed of two organizations", &fed, &expected)?;
    let whole = candidate.feed(None, 1).await?.rows;
    same("how many events a feed from the beginning has in a page of one", &whole.len(), &1)
}

pub(crate) async fn the_feed_comes_in_pages<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let start = end(candidate).await?;
    let scene = Scene::new()?;
    let rows: Vec<EventRow> = (0..7).map(|millis| scene.event(at(millis))).collect();
    candidate.append(&rows).await?;
    for limit in [1, 2, 3, 7, WHOLE] {
        let (mut seen, mut after, mut more) = (Vec::new(), start, true);
        while more {
            let page = candidate.feed(after, limit).await?;
            ensure("at most as many events as were asked for", page.rows.len() <= usize::from(limit), page.rows.len())?;
            ensure("an event on each page", !page.rows.is_empty(), limit)?;
            after = page.rows.last().map(|event| event.sequence);
            seen.extend(page.rows);
            more = page.more;
        }
        same(&format!("the feed in pages of {limit}"), &marks(&seen), &marks(&rows))?;
        let behind = candidate.feed(after, limit).await?;
        same("what is behind the last event", &(behind.rows.len(), behind.more), &(0, false))?;
    }
    Ok(())
}

pub(crate) async fn a_follower_of_the_feed_misses_nothing<S: Ledger>(
    candidate: &Candidate<'_, S>,
) -> Result<(), Unmet> {
    let start = end(candidate).await?;
    let scene = Scene::new()?;
    let batches: Vec<Vec<EventRow>> =
        (0..24).map(|number| vec![scene.event(at(number)), scene.event(at(number))]).collect();
    let keys = scene.keys(8)?;
    let done = AtomicBool::new(false);
    let writes = async {
        let appends = batches.chunks(6).map(async |some| {
            for batch in some {
                candidate.append(batch).await?;
                yield_now().await;
            }
            Ok::<_, Unmet>(())
        });
        let changes = async {
            for key in &keys {
                candidate.written(&scene.insert([key])).await?;
                yield_now().await;
            }
            Ok(())
        };
        let (appended, changed) = join(try_join_all(appends), changes).await;
        done.store(true, Ordering::Release);
        appended.map(drop).and(changed)
    };
    let follows = async {
        let (mut seen, mut after, mut is_over) = (Vec::new(), start, false);
        loop {
            let page = candidate.feed(after, WHOLE).await?;
            after = page.rows.last().map(|event| event.sequence).or(after);
            let is_empty = page.rows.is_empty();
            seen.extend(page.rows);
            if is_empty && is_over {
                return Ok(seen);
            }
            is_over = done.load(Ordering::Acquire);
            yield_now().await;
        }
    };
    let (written, seen) = join(writes, follows).await;
    written?;
    let seen: Vec<EventRow> = seen?;
    same("the feed while many write", &seen, &candidate.events(&scene).await?)?;
    same("how many events were written", &seen.len(), &(2 * batches.len() + keys.len()))
}

pub(crate) async fn unconfirmed_events_are_kept<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    // The event written last is older by its time.
    let rows = [scene.event(ancient(2)), scene.event(ancient(3)), scene.event(ancient(1))];
    candidate.append(&rows).await?;
    let sequences: Vec<i64> = candidate.events(&scene).await?.iter().map(|event| event.sequence).collect();
    let prune = |events_until| Prune { events_before: Some(ancient(1_000)), events_until, ..Prune::default() };
    let before_all = sequences.first().map(|first| first - 1);
    for (until, left) in [(before_all, 3), (sequences.get(1).copied(), 1), (None, 0)] {
        candidate.prune(&prune(until)).await?;
        let events = candidate.events(&scene).await?;
        let kept = rows.get(rows.len() - left..).unwrap_or_default();
        same(
            &format!("the events that are left once those up to {until:?} were confirmed"),
            &marks(&events),
            &marks(kept),
        )?;
    }
    Ok(())
}
