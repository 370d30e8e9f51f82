//! Directories that do not answer, or answer something else.

use std::{convert::Infallible, time::Duration};

use serde_json::Value;

use super::fake::{Fake, How, called};
use crate::{
    TeamId, TeamRef, UserId,
    manage::{
        AnyDirectory, Directory, InventoryQuery, KeyFlag, ListKeys, Names, Rules,
        fixture::{Bench, system, team_id, user, user_id},
        patience::Patience,
        tests::world::examples_by,
    },
    owner::OrganizationId,
    record::KeyRow,
};

const BROKEN: [How; 5] =
    [How::Fails, How::Hangs, How::Panics, How::PanicsAtOnce, How::Takes(Duration::from_millis(501))];

#[tokio::test(start_paused = true)]
async fn a_directory_that_does_not_answer_means_ids_and_never_an_error() {
    let expected = examples_by(&Rules::default()).await.of;
    for how in BROKEN {
        let fake = Fake::that(how).without("alice");
        let answers = examples_by(&fake.rules()).await.of;
        assert!(!fake.questions().is_empty(), "{how:?}");
        let mut incomplete = 0;
        for (name, answers) in answers {
            let mut answers = Value::from(answers);
            incomplete += take_for_complete(&mut answers);
            assert_eq!(answers, Value::from(expected[name].clone()), "{how:?}: {name}");
        }
        assert!(incomplete > 10, "{how:?}: {incomplete}");
    }
}

/// Marks each answer as complete. Returns how many were not.
fn take_for_complete(answer: &mut Value) -> usize {
    match answer {
        Value::Object(members) => {
            let mut taken = 0;
            for (name, value) in members {
                if ["complete", "names_complete"].contains(&name.as_str()) && *value == Value::Bool(false) {
                    *value = Value::Bool(true);
                    taken += 1;
                }
                taken += take_for_complete(value);
            }
            taken
        }
        Value::Array(values) => values.iter_mut().map(take_for_complete).sum(),
        _ => 0,
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_within_half_a_second_is_waited_for() {
    let fake = Fake::that(How::Takes(Duration::from_millis(499)));
    let bench = fake.bench();
    let owner = bench.manager.owner(&user("alice"), &system()).await.unwrap();
    assert_eq!(owner.names.of_user(&user_id("alice")).map(str::to_owned), Some(called("alice")));
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_hangs_is_not_waited_for_by_each_page() {
    let fake = Fake::that(How::Hangs);
    let bench = fake.bench();
    let read = async || {
        let begun = tokio::time::Instant::now();
        let owner = bench.manager.owner(&user("alice"), &system()).await.unwrap();
        // In hundredths, because a timer may be a millisecond late.
        (begun.elapsed().as_millis() / 10, fake.questions().len(), owner.names.is_empty())
    };
    assert_eq!(read().await, (50, 1, true));
    assert_eq!(read().await, (0, 0, true));
    fake.be(How::Answers);
    tokio::time::advance(Duration::from_millis(4_990)).await;
    assert_eq!(read().await, (0, 0, true));
    tokio::time::advance(Duration::from_millis(10)).await;
    assert_eq!(read().await, (0, 1, false));
    // An error comes at once, and the next answer may succeed.
    fake.be(How::Fails);
    assert_eq!(read().await, (0, 1, true));
    fake.be(How::Answers);
    assert_eq!(read().await, (0, 1, false));
}

/// After one failure, the rest of a large page is not asked about. Earlier answers are kept.
#[tokio::test]
async fn a_page_gives_up_at_the_first_failure() {
    let fake = Fake::that(How::Fails);
    let bench = fake.bench();
    for number in 0..600 {
        let id = format!("{number:020}");
        let (owner, created_by) = (format!("t{number}"), format!("user:u{number}"));
        bench.plant_row(KeyRow { lineage: id.clone(), id, owner, created_by, ..KeyRow::example() }).await;
    }
    let page = bench.manager.list(ListKeys::all().limit(1_000), &system()).await.unwrap();
    assert_eq!((page.keys.len(), page.names.is_complete()), (600, false));
    assert_eq!(fake.questions().len(), 1);
}

/// The store timeout also limits a directory, even if it is shorter than half a second.
#[tokio::test(start_paused = true)]
async fn names_take_no_longer_than_a_store_may() {
    let fake = Fake::that(How::Hangs);
    let begun = tokio::time::Instant::now();
    let mut mentions = crate::manage::names::Mentions::default();
    mentions.user(&user_id("alice"));
    let rules = fake.rules();
    let mut patience = Patience::new(Duration::from_millis(20));
    rules.directory.names(&OrganizationId::single(), mentions, &mut patience).await;
    assert!((20..=21).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
}

/// Rows of a badly maintained directory.
struct Spoilt;

impl Directory for Spoilt {
    type Error = Infallible;

    async fn has_team(&self, _: &TeamRef) -> Result<bool, Infallible> {
        Ok(true)
    }

    async fn names(&self, _: &OrganizationId, users: &[UserId], teams: &[TeamId]) -> Result<Names, Infallible> {
        let names = users.iter().cloned().fold(Names::none(), |names, user| names.with_user(user, "a\u{202e}b\n"));
        Ok(teams.iter().cloned().fold(names, |names, team| names.with_team(team, "  ")))
    }
}

#[tokio::test]
async fn a_bad_row_spoils_no_page() {
    let bench = Bench::with_rules(Rules { directory: AnyDirectory::new(Spoilt), ..Rules::default() });
    bench.plant_row(KeyRow::example()).await;
    let page = bench.manager.list(ListKeys::all(), &system()).await.unwrap();
    assert_eq!((page.names.of_owner(&page.keys[0].owner), page.names.is_unknown(&page.keys[0].owner)), (None, false));
    let exposure = bench.manager.exposure(&user_id("alice"), &system()).await.unwrap();
    assert_eq!(exposure.to_string(), "alice has seen 1 active key in full. When alice leaves, rotate or revoke it.");
}

/// A directory that knows only teams needs little code, and changes no answer.
struct TeamsOnly;

impl Directory for TeamsOnly {
    type Error = Infallible;

    async fn has_team(&self, team: &TeamRef) -> Result<bool, Infallible> {
        Ok(team.team == team_id("blue"))
    }
}

#[tokio::test]
async fn a_directory_of_teams_only_says_no_names() {
    let rules = Rules { directory: AnyDirectory::new(std::sync::Arc::new(TeamsOnly)), ..Rules::default() };
    let expected = examples_by(&Rules::default()).await.of;
    for name in ["EventPage", "InventoryPage", "KeyPage"] {
        // It answers, and also reports that names are complete.
        assert_eq!(examples_by(&rules).await.of[name], expected[name]);
    }
}

#[tokio::test]
async fn who_was_not_asked_about_is_not_named_and_has_not_left() {
    let fake = Fake::that(How::Lies).without("mallory");
    let bench = fake.bench();
    bench.plant_row(KeyRow::example()).await;
    let page = bench.manager.inventory(InventoryQuery::all(), &system()).await.unwrap();
    for stranger in ["mallory", "zoe"] {
        assert_eq!((page.names.of_user(&user_id(stranger)), page.names.has_left(&user_id(stranger))), (None, false));
    }
    assert_eq!(page.names.of_team(&team_id("rivals")), None);
    assert!(!page.entries[0].flags.contains(&KeyFlag::CreatorInactive));
}

/// Captures the log of this thread.
#[cfg(feature = "tracing")]
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

#[cfg(feature = "tracing")]
impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(feature = "tracing")]
#[tokio::test(start_paused = true)]
async fn the_log_tells_of_a_failing_directory_once_a_minute() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).without_time().with_writer(move || writer.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let said = |what: &str| String::from_utf8(log.0.lock().unwrap().clone()).unwrap().matches(what).count();
    let fake = Fake::that(How::Fails);
    let bench = fake.bench();
    let read = async || bench.manager.owner(&user("alice"), &system()).await.unwrap();
    for _ in 0..50 {
        read().await;
    }
    assert_eq!((said("the directory gives no names"), said("directory down")), (1, 1));
    tokio::time::advance(Duration::from_secs(60)).await;
    read().await;
    assert_eq!((said("the directory gives no names"), said("times=50")), (2, 1));
    fake.be(How::Answers);
    read().await;
    read().await;
    assert_eq!(said("the directory gives names again"), 1);
}

/// Answers about another customer do not make the log report a recovery.
#[cfg(feature = "tracing")]
#[tokio::test(start_paused = true)]
async fn the_log_tells_of_the_end_once_all_are_answered() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).without_time().with_writer(move || writer.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let said = |what: &str| String::from_utf8(log.0.lock().unwrap().clone()).unwrap().matches(what).count();
    let fake = Fake::that(How::HangsFor("acme"));
    let bench = Bench::with_rules(Rules { several_organizations: true, ..fake.rules() });
    let [acme, bolt] = ["acme", "bolt"].map(|id| bench.manager.for_organization(id.parse().unwrap()));
    for manager in [&acme, &bolt] {
        manager.owner(&user("alice"), &system()).await.unwrap();
    }
    assert_eq!((said("organization=\"acme\""), said("the directory gives names again")), (1, 0));
    fake.be(How::Answers);
    tokio::time::advance(Duration::from_secs(5)).await;
    for manager in [&acme, &bolt] {
        manager.owner(&user("alice"), &system()).await.unwrap();
    }
    assert_eq!((said("gives no names"), said("the directory gives names again")), (1, 1));
}
