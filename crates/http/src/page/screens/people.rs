use std::collections::BTreeMap;

use serde::Serialize;
use tower_api_keys::{
    Owner, UserId,
    manage::{ListKeys, Names},
    record::ActorId,
    store::Liveness,
};

use crate::page::{
    answer::{Reply, Screen, Stop},
    request::{Call, in_path},
};

/// How many keys are looked at, in pages of this many.
const MOST_PAGES: usize = 5;
const PAGE: u16 = 1_000;
/// How many people are shown.
const ROWS: usize = 100;

#[derive(Serialize)]
struct PeopleView {
    q: String,
    rows: Vec<Row>,
    /// Whether there may be more people than are shown.
    more: bool,
    names_missing: bool,
    /// The page of exactly this id, whether anybody has it or not.
    exact: Option<String>,
}

#[derive(Serialize)]
struct Row {
    user: String,
    name: String,
    left: bool,
    at: String,
    personal: usize,
    created: usize,
}

#[derive(Default)]
struct Counts {
    personal: usize,
    created: usize,
    name: Option<String>,
    left: bool,
}

/// The people with active keys, or who created some, as far as the caller may see these. People who left come first.
pub(in crate::page) async fn find(call: &Call) -> Result<Reply, Stop> {
    if !call.sees_people() {
        return Err(Stop::NotFound);
    }
    let (people, is_whole, names_missing) = people(call).await?;
    let asked = call.fields.text("user");
    let at = |user: &str| call.at(&format!("/people/{}", in_path(user)));
    if people.keys().any(|user| user.as_str() == asked) {
        return Ok(Reply::See(format!("/people/{}", in_path(asked))));
    }
    let part = asked.to_lowercase();
    let mut rows: Vec<Row> = people
        .into_iter()
        .map(|(user, counts)| Row {
            name: counts.name.unwrap_or_else(|| user.to_string()),
            left: counts.left,
            at: at(user.as_str()),
            personal: counts.personal,
            created: counts.created,
            user: user.to_string(),
        })
        .filter(|row| part.is_empty() || [&row.name, &row.user].iter().any(|text| text.to_lowercase().contains(&part)))
        .collect();
    rows.sort_by_cached_key(|row| (!row.left, row.name.to_lowercase(), row.user.clone()));
    let more = !is_whole || rows.len() > ROWS;
    rows.truncate(ROWS);
    let exact = UserId::new(asked).ok().filter(|_| rows.is_empty()).map(|user| at(user.as_str()));
    let view = PeopleView { q: call.fields.echo("user"), rows, more, names_missing, exact };
    Ok(Screen::new("people.html", call.say("people.title"), &view).into())
}

async fn people(call: &Call) -> Result<(BTreeMap<UserId, Counts>, bool, bool), Stop> {
    let mut people: BTreeMap<UserId, Counts> = BTreeMap::new();
    let (mut after, mut names_missing) = (None, false);
    for _ in 0..MOST_PAGES {
        let list = ListKeys::all().liveness(Liveness::Live).newest_first().limit(PAGE);
        let list = after.into_iter().fold(list, ListKeys::after);
        let page = call.manager.list(list, &call.actor).await?;
        names_missing |= !page.names.is_complete();
        for key in &page.keys {
            if let Owner::User(user) = &key.owner {
                counts(&mut people, user, &page.names).personal += 1;
            }
            if let (Owner::Team(_), ActorId::User(user)) = (&key.owner, &key.created_by) {
                counts(&mut people, user, &page.names).created += 1;
            }
        }
        match page.next {
            None => return Ok((people, true, names_missing)),
            next => after = next,
        }
    }
    Ok((people, false, names_missing))
}

fn counts<'a>(people: &'a mut BTreeMap<UserId, Counts>, user: &UserId, names: &Names) -> &'a mut Counts {
    let counts = people.entry(user.clone()).or_default();
    counts.left |= names.has_left(user);
    if counts.name.is_none() {
        counts.name = names.of_user(user).map(ToOwned::to_owned);
    }
    counts
}
