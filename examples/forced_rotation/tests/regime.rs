//! A year under the policy.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Duration};

use forced_rotation::Regime;
use tower_api_keys::{
    Actor, ApiKeys, Clock, IssueKey, IssuedKey, ManualClock, Scope, Scopes, TeamId,
    auth::AuthErrorKind,
    hash::Argon2Params,
    manage::{InvalidInput, ListKeys, ManageErrorKind, Rights},
    store::SqliteStore,
};

const DAY: Duration = Duration::from_secs(86_400);

struct Year {
    keys: ApiKeys<SqliteStore>,
    clock: Arc<ManualClock>,
    regime: Regime,
}

impl Year {
    async fn begin() -> Self {
        let clock = Arc::new(ManualClock::at("2026-01-01T00:00:00Z".parse().unwrap()));
        let store = SqliteStore::in_memory().await.unwrap();
        let builder = ApiKeys::builder(store).params(Argon2Params::MACHINE_SECRET).clock(clock.clone());
        Self { keys: builder.build().await.unwrap(), clock, regime: Regime::default() }
    }

    async fn issue(&self) -> IssuedKey {
        let request = IssueKey::team(TeamId::new("engineering").unwrap()).named("Monday cron");
        self.keys.manager().issue(request, &admin()).await.unwrap()
    }

    /// Returns how many keys were limited, and how many are due.
    async fn enforce(&self) -> (usize, usize) {
        let enforced = self.regime.enforce(&self.keys.manager(), &admin(), self.clock.now()).await.unwrap();
        (enforced.limited.len(), enforced.due.len())
    }

    async fn check(&self, key: &IssuedKey) -> Result<(), AuthErrorKind> {
        let text = key.plaintext().expose_secret();
        self.keys.authenticator().authenticate(text).await.map(drop).map_err(|error| error.kind())
    }
}

fn admin() -> Actor {
    Actor::system("compliance").unwrap()
}

#[tokio::test]
async fn a_key_lives_for_ninety_days_and_not_longer() {
    let year = Year::begin().await;
    let key = year.issue().await;
    assert_eq!(year.enforce().await, (1, 0));
    year.clock.advance(DAY * 90 - Duration::from_millis(1));
    assert_eq!(year.check(&key).await, Ok(()));
    year.clock.advance(Duration::from_millis(1));
    assert_eq!(year.check(&key).await, Err(AuthErrorKind::Expired));
}

#[tokio::test]
async fn a_second_run_changes_nothing() {
    let year = Year::begin().await;
    let _key = year.issue().await;
    year.enforce().await;
    assert_eq!(year.enforce().await, (0, 0));
}

#[tokio::test]
async fn its_owner_is_told_a_fortnight_before() {
    let year = Year::begin().await;
    let _key = year.issue().await;
    year.enforce().await;
    year.clock.advance(DAY * 76 - Duration::from_millis(1));
    assert_eq!(year.enforce().await, (0, 0));
    year.clock.advance(Duration::from_millis(1));
    assert_eq!(year.enforce().await, (0, 1));
}

#[tokio::test]
async fn a_key_from_before_the_regime_gets_a_week_once() {
    let year = Year::begin().await;
    let key = year.issue().await;
    year.clock.advance(DAY * 200);
    assert_eq!(year.enforce().await, (1, 1));
    year.clock.advance(DAY * 6);
    assert_eq!(year.enforce().await, (0, 1));
    assert_eq!(year.check(&key).await, Ok(()));
    year.clock.advance(DAY);
    assert_eq!(year.check(&key).await, Err(AuthErrorKind::Expired));
}

#[tokio::test]
async fn a_job_that_acts_with_a_key_renews_none() {
    let year = Year::begin().await;
    let engineering = TeamId::new("engineering").unwrap();
    let managing = Scopes::all().with(Scope::KEYS_MANAGE);
    let request = IssueKey::team(engineering.clone()).named("Rotation job").scopes(managing);
    let own = year.keys.manager().issue(request, &admin()).await.unwrap();
    let other = year.issue().await;
    assert_eq!(year.enforce().await, (2, 0));
    let principal = year.keys.authenticator().authenticate(own.plaintext().expose_secret()).await.unwrap();
    let job = Actor::key(&principal, Rights::none().team_keys_included_for(engineering));
    year.clock.advance(DAY * 80);
    for id in [own.info().id, other.info().id] {
        let renewal = year.regime.renewal(id, year.clock.now());
        let refused = year.keys.manager().begin_rotation(renewal, &job).await.unwrap_err();
        assert_eq!(refused.kind(), ManageErrorKind::Invalid(InvalidInput::ExpiryLaterByKey));
    }
}

#[tokio::test]
async fn a_renewed_key_has_a_whole_life_and_the_old_one_a_week() {
    let year = Year::begin().await;
    let old = year.issue().await;
    year.enforce().await;
    year.clock.advance(DAY * 80);
    let renewal = year.regime.renewal(old.info().id, year.clock.now());
    let new = year.keys.manager().begin_rotation(renewal, &admin()).await.unwrap();
    assert_eq!(year.enforce().await, (0, 1), "the old one is still due, the new one is not");
    year.clock.advance(DAY * 7 - Duration::from_millis(1));
    assert_eq!((year.check(&old).await, year.check(&new).await), (Ok(()), Ok(())));
    year.clock.advance(Duration::from_millis(1));
    assert_eq!((year.check(&old).await, year.check(&new).await), (Err(AuthErrorKind::Expired), Ok(())));
    year.clock.advance(DAY * 83);
    assert_eq!(year.check(&new).await, Err(AuthErrorKind::Expired));
    let all = year.keys.manager().list(ListKeys::all(), &admin()).await.unwrap().keys;
    assert_eq!(all.len(), 2, "what is dead stays to be seen");
}
