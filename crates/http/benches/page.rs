//! The time to the first byte of the settings page, on one core:
//! `cargo bench -p tower-api-keys-http --bench page --no-run`, then `taskset -c 0 cargo bench -p tower-api-keys-http
//! --bench page`.
//!
//! 10,000 keys in an SQLite file, each used from three sources and refused from one: the team `large` has 2,000, twenty
//! small teams have 100 each, and people and other teams have the rest. The store, the page and the one who asks share
//! the core. Prints one line for each figure: name, tab, figure.
//! - `page_p50_ms_<actor>`, `page_p99_ms_<actor>`: the list, for an admin of one team with 2,000 keys, an admin of
//!   twenty teams with as many, and an admin of the organization.
//! - `page_kib_<actor>`: its size. All have 100 rows of team keys.
//! - `keys_…`, `review_…`, `people_…`, `key_…`: the same for *All keys*, *Review*, *People* and the page of one key.
#![allow(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it measures and prints, and without a store there is nothing to measure"
)]

use std::time::Instant;

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_api_keys::{
    Actor, ApiKeys, TeamId, UserId,
    manage::{Rights, TeamRole},
    record::KeyRow,
    store::{
        SqliteStore,
        transfer::{Batch, PortableStore},
    },
    usage::UsageRow,
};
use tower_api_keys_http::{HttpService, page, page::Page};

const KEYS: usize = 10_000;
const ROUNDS: usize = 300;
const WARM_UP: usize = 20;
const FIRST: i64 = 1_764_547_200_000;
/// The time between two keys: all of them are created within five weeks.
const STEP: i64 = 300_000;
const SOURCES: [(&str, &str, &str); 4] = [
    ("success", "api", "acme-sync"),
    ("success", "intake", "python-requests"),
    ("success", "api", "curl"),
    ("insufficient_scope", "api", "acme-sync"),
];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("keys.db")).await.unwrap();
    let numbers: Vec<usize> = (0..KEYS).collect();
    for chunk in numbers.chunks(2_500) {
        store.import(&Batch::Keys(chunk.iter().copied().map(key).collect())).await.unwrap();
        store.import(&Batch::Usage(chunk.iter().copied().flat_map(usage).collect())).await.unwrap();
    }
    let keys = ApiKeys::new(store).unwrap();
    let service = page::service(&keys, Page::new("Auxot"));
    let admin_of = |teams: Vec<String>| {
        let roles = teams.into_iter().map(|team| (TeamId::new(team).unwrap(), TeamRole::Admin));
        let rights = roles.fold(Rights::none(), |rights, (team, role)| rights.team(team, role));
        Actor::user(UserId::new("alice").unwrap(), rights.team_keys_included())
    };
    let actors = [
        ("one_team", admin_of(vec!["large".to_owned()])),
        ("twenty_teams", admin_of((0..20).map(|number| format!("small-{number:02}")).collect())),
        ("org_admin", Actor::user(UserId::new("olga").unwrap(), Rights::none().org_admin().team_keys_included())),
    ];
    let one_key = format!("/keys/{}", id(0));
    for (screen, path) in
        [("page", "/"), ("keys", "/keys"), ("review", "/review"), ("people", "/people"), ("key", one_key.as_str())]
    {
        for (who, actor) in &actors {
            // The small teams do not see that key.
            if screen != "key" || *who != "twenty_teams" {
                measure(&service, screen, path, who, actor).await;
            }
        }
    }
}

async fn measure(service: &HttpService, screen: &str, path: &str, who: &str, actor: &Actor) {
    let (mut times, mut length) = (Vec::new(), 0);
    for round in 0..WARM_UP + ROUNDS {
        let request = Request::get(path).extension(actor.clone()).body(Body::empty()).unwrap();
        let begun = Instant::now();
        let answer = service.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let mut body = answer.into_body();
        let first = body.frame().await.unwrap().unwrap();
        if round >= WARM_UP {
            times.push(begun.elapsed());
        }
        length = first.into_data().unwrap().len() + body.collect().await.unwrap().to_bytes().len();
    }
    times.sort_unstable();
    for (name, rank) in [("p50", ROUNDS / 2), ("p99", ROUNDS * 99 / 100)] {
        println!("{screen}_{name}_ms_{who}\t{:.2}", times[rank - 1].as_secs_f64() * 1e3);
    }
    println!("{screen}_kib_{who}\t{:.1}", length as f64 / 1_024.0);
}

/// Real ids are random, so these are spread out.
fn id(number: usize) -> String {
    format!("{:020}", (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) % 10_000_000_000_000_000_000)
}

const fn created_at(number: usize) -> i64 {
    FIRST + number as i64 * STEP
}

/// One key in nine replaces another, and one in five has a name without meaning.
fn key(number: usize) -> KeyRow {
    let of = number / 10;
    let (kind, owner) = match number % 10 {
        0 | 1 => ("team", "large".to_owned()),
        2 | 3 => ("team", format!("small-{:02}", of % 20)),
        4 => ("team", format!("team-{:02}", of % 20)),
        5 if of < 5 => ("user", "alice".to_owned()),
        _ => ("user", format!("user-{:03}", of % 100)),
    };
    KeyRow {
        id: id(number),
        kind: kind.into(),
        owner,
        name: if number.is_multiple_of(5) { "key 1".into() } else { format!("GitHub Actions - production {number}") },
        hash: "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
            .into(),
        created_by: format!("user:user-{:03}", number % 100),
        created_at: created_at(number),
        replaces: predecessor(number).map(id),
        lineage: id(std::iter::successors(Some(number), |number| predecessor(*number)).last().unwrap_or(number)),
        ..KeyRow::example()
    }
}

fn predecessor(number: usize) -> Option<usize> {
    (number.is_multiple_of(9) && number > 20).then(|| number - 20)
}

fn usage(number: usize) -> impl Iterator<Item = UsageRow> {
    SOURCES.into_iter().map(move |(outcome, label, client)| UsageRow {
        key: Some(id(number)),
        organization: None,
        outcome: outcome.into(),
        label: label.into(),
        client: client.into(),
        network: String::new(),
        count: 1 + number as i64,
        first_at: created_at(number),
        last_at: created_at(number) + STEP,
    })
}
