//! Events: the audit trail.

use std::ops::Range;

use tower_api_keys::{
    KeyKind, Owner,
    audit::EventRow,
    key::KeyId,
    store::{EventQuery, Ledger, Page},
};

use crate::{
    Candidate, Unmet,
    scene::{Scene, at},
    unmet::{ensure, made, same},
};

pub(crate) async fn events_are_numbered_in_order<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    // Falling times show that the order is not by time.
    let events: Vec<EventRow> = (0..8).map(|n| scene.event(at(100 - n))).collect();
    let (first, second) = events.split_at(5);
    let change = scene.insert(&scene.keys(2)?);
    candidate.append(first).await?;
    candidate.written(&change).await?;
    candidate.append(&[]).await?;
    candidate.append(second).await?;
    let written = change.writes.iter().map(|audited| &audited.event);
    let expected: Vec<EventRow> = first.iter().chain(written).chain(second).cloned().collect();
    let seen = candidate.events(&scene).await?;
    let sequences: Vec<i64> = seen.iter().map(|event| event.sequence).collect();
    ensure("sequences that grow", sequences.is_sorted_by(|one, next| one < next), &sequences)?;
    same("the events, their sequence aside", &unnumbered(seen), &expected)
}

pub(crate) async fn an_event_comes_back<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let full = EventRow {
        actor: "system:nightly job".into(),
        action: "somebody.else's_%action".into(),
        key: Some(scene.word()),
        owner_kind: "user".into(),
        owner: " O'Brien ".into(),
        before: Some(String::new()),
        after: Some("caf\u{e9} e\u{301} \u{1f511}\n\"{}\"".into()),
        source: Some("10.0.0.1".into()),
        ..scene.event(at(1))
    };
    let bare = EventRow { after: None, ..scene.event(at(2)) };
    let events = [full, bare];
    candidate.append(&events).await?;
    same("the events, their sequence aside", &unnumbered(candidate.events(&scene).await?), &events.to_vec())
}

pub(crate) async fn events_are_found_by_each_condition<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let (key, maker) = (scene.id()?, scene.id()?);
    let rows = [
        EventRow { key: Some(key.as_str().to_owned()), ..scene.event(at(10)) },
        EventRow { owner_kind: "user".into(), source: Some("intake".into()), ..scene.event(at(20)) },
        EventRow { owner: "research".into(), actor: format!("key:{maker}"), ..scene.event(at(30)) },
        EventRow { action: "owner.suspended".into(), actor: "system:job".into(), ..scene.event(at(40)) },
        EventRow {
            action: "OWNER.SUSPENDED".into(),
            actor: "user:Alice".into(),
            source: Some("Intake".into()),
            ..scene.event(at(40))
        },
        EventRow { actor: "user:alice ".into(), source: Some("int_ke".into()), ..scene.event(at(50)) },
    ];
    candidate.append(&rows).await?;
    let all = || EventQuery::all(scene.organization());
    let alice = || made("user:alice".parse());
    let user = scene.owner_named(KeyKind::User, "engineering")?.owner;
    let research = scene.owner_named(KeyKind::Team, "research")?.owner;
    let cases: [(&str, EventQuery, &[usize]); 14] = [
        ("no condition", all(), &[0, 1, 2, 3, 4, 5]),
        ("a key", EventQuery { key: Some(key), ..all() }, &[0]),
        ("a key without events", EventQuery { key: Some(maker), ..all() }, &[]),
        ("a user", EventQuery { owner: Some(user), ..all() }, &[1]),
        ("a team", EventQuery { owner: Some(research.clone()), ..all() }, &[2]),
        ("an actor", EventQuery { actor: Some(alice()?), ..all() }, &[0, 1]),
        ("a key as actor", EventQuery { actor: Some(made(format!("key:{maker}").parse())?), ..all() }, &[2]),
        ("an action", EventQuery { action: Some("owner.suspended".into()), ..all() }, &[3]),
        ("a source", EventQuery { source: Some("intake".into()), ..all() }, &[1]),
        ("a wildcard as source", EventQuery { source: Some("int_ke".into()), ..all() }, &[5]),
        ("a time from", EventQuery { from: Some(at(30)), ..all() }, &[2, 3, 4, 5]),
        ("a time until", EventQuery { until: Some(at(30)), ..all() }, &[0, 1]),
        ("both times", EventQuery { from: Some(at(20)), until: Some(at(40)), ..all() }, &[1, 2]),
        ("two conditions", EventQuery { actor: Some(alice()?), owner: Some(research), ..all() }, &[]),
    ];
    for (what, query, places) in cases {
        let page = candidate.events_page(&query).await?;
        let place = |seen: &EventRow| rows.iter().position(|row| row.after == seen.after);
        let seen: Vec<Option<usize>> = page.rows.iter().map(place).collect();
        let expected: Vec<Option<usize>> = places.iter().copied().map(Some).collect();
        same(&format!("which of six events are found by {what}"), &seen, &expected)?;
        same(&format!("whether more follow those found by {what}"), &page.more, &false)?;
    }
    Ok(())
}

pub(crate) async fn events_come_in_pages<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let marked = |n: u64| EventRow { source: n.is_multiple_of(2).then(|| "even".to_owned()), ..scene.event(at(0)) };
    candidate.append(&(0..12).map(marked).collect::<Vec<_>>()).await?;
    let even = EventQuery { source: Some("even".into()), ..EventQuery::all(scene.organization()) };
    for query in [EventQuery::all(scene.organization()), even] {
        let whole = candidate.events_page(&query).await?.rows;
        for limit in [1, 2, 3, 4, 12, 1_000] {
            pages_make_up(candidate, &EventQuery { limit, ..query.clone() }, &whole).await?;
        }
    }
    Ok(())
}

pub(crate) async fn the_newest_events_come_first<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let (key, user) = (scene.id()?, scene.owner_named(KeyKind::User, "alice")?.owner);
    let event = |n: u64| EventRow {
        key: n.is_multiple_of(2).then(|| key.as_str().to_owned()),
        owner_kind: if n.is_multiple_of(3) { "user" } else { "team" }.to_owned(),
        owner: "alice".to_owned(),
        actor: if n.is_multiple_of(4) { "system:job" } else { "user:alice" }.to_owned(),
        ..scene.event(at(n))
    };
    candidate.append(&(0..12).map(event).collect::<Vec<_>>()).await?;
    for query in with_each_condition(&scene, key, user, 3..9)? {
        let mut whole = candidate.events_page(&query).await?.rows;
        whole.reverse();
        let newest = EventQuery { newest_first: true, ..query };
        for limit in [1, 2, 5, 1_000] {
            pages_make_up(candidate, &EventQuery { limit, ..newest.clone() }, &whole).await?;
        }
    }
    Ok(())
}

pub(crate) async fn the_access_log_is_apart<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let scene = Scene::new()?;
    let (key, user) = (scene.id()?, scene.owner_named(KeyKind::User, "alice")?.owner);
    let alike = ["key.issued", "ATTEMPT.accepted", "attempt", "attempts.made", "attempt_accepted", " attempt.accepted"];
    let actions = alike.into_iter().flat_map(|action| [action, "attempt.accepted", "attempt.refused"]);
    let event = |action: &str| EventRow {
        action: action.to_owned(),
        key: Some(key.as_str().to_owned()),
        owner_kind: "user".to_owned(),
        owner: "alice".to_owned(),
        actor: "system:job".to_owned(),
        ..scene.event(at(1))
    };
    candidate.append(&actions.map(event).collect::<Vec<_>>()).await?;
    let lines = ["attempt.accepted", "attempt.refused"].repeat(alike.len());
    for query in with_each_condition(&scene, key, user, 1..2)? {
        for (attempts, mut expected) in [(false, alike.to_vec()), (true, lines.clone())] {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = EventQuery { attempts, limit: 5, after, ..query.clone() };
                let Page { rows, more } = candidate.events_page(&page).await?;
                after = rows.last().map(|event| event.sequence);
                seen.extend(rows);
                if !more || after.is_none() {
                    break;
                }
            }
            let actions = |rows: &[EventRow]| rows.iter().map(|row| row.action.clone()).collect::<Vec<_>>();
            let what =
                format!("the actions of {}", if attempts { "entries of the access log" } else { "all other events" });
            same(&what, &actions(&seen), &expected.iter().copied().map(str::to_owned).collect())?;
            let newest = EventQuery { attempts, newest_first: true, ..query.clone() };
            expected.reverse();
            let rows = candidate.events_page(&newest).await?.rows;
            let expected = expected.into_iter().map(str::to_owned).collect();
            same(&format!("{what}, newest first"), &actions(&rows), &expected)?;
        }
        let refused = EventQuery { attempts: true, action: Some("attempt.refused".into()), ..query.clone() };
        same("how many are refused", &candidate.events_page(&refused).await?.rows.len(), &alike.len())?;
        let neither = EventQuery { attempts: false, ..refused };
        same("entries of the access log beside the rest", &candidate.events_page(&neither).await?.rows, &Vec::new())?;
    }
    Ok(())
}

pub(crate) async fn foreign_events_are_invisible<S: Ledger>(candidate: &Candidate<'_, S>) -> Result<(), Unmet> {
    let (scene, elsewhere) = (Scene::new()?, Scene::new()?);
    let key = scene.id()?;
    let event = EventRow { key: Some(key.as_str().to_owned()), ..scene.event(at(1)) };
    candidate.append(&[event]).await?;
    let all = EventQuery::all(elsewhere.organization());
    let owner = Some(scene.owner().owner);
    for query in [all.clone(), EventQuery { key: Some(key), ..all.clone() }, EventQuery { owner, ..all }] {
        let page = candidate.events_page(&query).await?;
        same("what an organization without events sees", &page, &Page { rows: Vec::new(), more: false })?;
    }
    Ok(())
}

/// All events of the scene, and those that one condition finds: of this key, of this owner, by the job, of this time.
fn with_each_condition(scene: &Scene, key: KeyId, owner: Owner, time: Range<u64>) -> Result<[EventQuery; 5], Unmet> {
    let all = || EventQuery::all(scene.organization());
    Ok([
        all(),
        EventQuery { key: Some(key), ..all() },
        EventQuery { owner: Some(owner), ..all() },
        EventQuery { actor: Some(made("system:job".parse())?), ..all() },
        EventQuery { from: Some(at(time.start)), until: Some(at(time.end)), ..all() },
    ])
}

/// Checks that the pages of a query have all its rows: each page has the requested size and says whether more follow,
/// and no page comes after the last.
async fn pages_make_up<S: Ledger>(
    candidate: &Candidate<'_, S>,
    query: &EventQuery,
    whole: &Vec<EventRow>,
) -> Result<(), Unmet> {
    let limit = query.limit;
    let (order, end) = match query.newest_first {
        false => ("", "the page after the last event"),
        true => (", newest first", "the page before the first event"),
    };
    let (mut seen, mut after) = (Vec::new(), None);
    for size in whole.chunks(limit.into()).map(<[_]>::len) {
        let Page { rows, more } = candidate.events_page(&EventQuery { after, ..query.clone() }).await?;
        same(&format!("the size of a page of at most {limit}{order}"), &rows.len(), &size)?;
        after = rows.last().map(|event| event.sequence);
        seen.extend(rows);
        same(&format!("`more` of a page of at most {limit}{order}"), &more, &(seen.len() < whole.len()))?;
    }
    same(&format!("all pages of at most {limit}{order}"), &seen, whole)?;
    let page = candidate.events_page(&EventQuery { after, ..query.clone() }).await?;
    same(end, &page, &Page { rows: Vec::new(), more: false })
}

fn unnumbered(mut events: Vec<EventRow>) -> Vec<EventRow> {
    events.iter_mut().for_each(|event| event.sequence = 0);
    events
}
