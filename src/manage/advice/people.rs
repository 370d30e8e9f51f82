use std::{cmp::Reverse, fmt};

use serde::Serialize;

use super::{evidence::Evidence, said, signals::shared_because};
use crate::{
    json::json_form,
    key::KeyId,
    manage::{
        access::Shown,
        actor::Actor,
        counted::CountedUntil,
        error::ManageError,
        info::KeyInfo,
        manager::KeyManager,
        names::Names,
        policy::{KeyAction, Target},
    },
    owner::{Owner, UserId},
    record::{ActorId, OwnerStatus},
    sentence::{Sentence, joined},
    store::{KeyQuery, Liveness},
    time::Timestamp,
    usage::{UsageCount, UsageDetail},
};

/// A key whose last use is at most this old counts as in use in sentences: 30 days.
const IN_USE_MS: i64 = 30 * 24 * 3_600_000;

/// What stops if a person leaves, and which of the keys they made still work.
///
/// Team keys that the actor may not see are neither listed nor counted: a number would reveal that they exist.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// use tower_api_keys::{Actor, UserId, manage::Rights};
///
/// let admin = Actor::user(UserId::new("olga")?, Rights::none().org_admin());
/// let radius = manager.blast_radius(&UserId::new("alice")?, &admin).await?;
/// for stops in &radius.stops {
///     println!("{} {}", stops.key.name, if stops.looks_shared() { "others depend on it" } else { "" });
/// }
/// assert_eq!(radius.to_string(), "If alice leaves, no key stops working. alice created no keys for others that keep working.");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlastRadius {
    /// The person.
    pub user: UserId,
    /// Whether the person is suspended or closed already: their personal keys are then refused now.
    pub user_status: OwnerStatus,
    /// The moment that it is about.
    pub asked_at: Timestamp,
    /// Their live personal keys, the most recently used first.
    pub stops: Vec<StoppingKey>,
    /// Live keys that they made for teams and for other people, by time of creation: these still work.
    pub goes_on: Vec<KeyInfo>,
    /// Keys among them whose stored records cannot be read; requests with these keys get 503.
    pub unreadable: Vec<KeyId>,
    /// Until when usage is counted.
    pub counted: CountedUntil,
    /// The names of its people and teams, and who has left. The sentences use them.
    pub names: Names,
    /// The same as sentences, with names.
    said: Vec<Sentence>,
}

/// A personal key that stops with its person.
///
/// ```
/// # fn example(stops: tower_api_keys::manage::StoppingKey) {
/// for source in &stops.sources {
///     println!("{} {} times, last at {}", source.source, source.count, source.last_at);
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct StoppingKey {
    /// The key, with its usage.
    pub key: KeyInfo,
    /// The sources from which it was accepted, the latest first.
    pub sources: Vec<UsageCount>,
    /// Why others seem to depend on it: recorded evidence, moderate or strong, of a use that needs a team key. Empty if
    /// there is none.
    pub shared_because: Vec<Evidence>,
}

impl StoppingKey {
    /// Whether others seem to depend on it: CI, schedules, webhooks, shared hosts.
    #[must_use]
    pub const fn looks_shared(&self) -> bool {
        !self.shared_because.is_empty()
    }

    fn is_in_use(&self, now: Timestamp) -> bool {
        let last = self.key.usage.and_then(|usage| usage.last_success_at);
        last.is_some_and(|last| now.as_millis() - last.as_millis() <= IN_USE_MS)
    }
}

impl BlastRadius {
    /// The blast radius as sentences for people.
    #[must_use]
    pub fn sentences(&self) -> Vec<Sentence> {
        self.said.clone()
    }

    /// Adds its sentences.
    fn saying(self) -> Self {
        let said = self.say().iter().map(|sentence| sentence.naming(&self.names)).collect();
        Self { said, ..self }
    }

    fn say(&self) -> Vec<Sentence> {
        let user = &self.user;
        let in_use = self.stops.iter().filter(|stops| stops.is_in_use(self.asked_at)).count();
        let shared = self.stops.iter().filter(|stops| stops.looks_shared()).count();
        let (has_left, is_active) = (self.names.has_left(user), self.user_status.is_active());
        let mut said = vec![match self.stops.len() {
            0 if has_left => said::left_and_no_key(user),
            0 => said::no_key_stops(user),
            stops if has_left && is_active => said::left_and_not_closed(user, stops, in_use, shared),
            stops if has_left => said::left_and_refused(user, stops),
            stops => said::keys_stop(user, stops, in_use, shared),
        }];
        if !is_active && !has_left {
            said.push(said::refused_already(user));
        }
        said.push(match self.goes_on.len() {
            0 => said::no_key_goes_on(user),
            goes_on => said::keys_go_on(goes_on, user),
        });
        said
    }
}

impl fmt::Display for BlastRadius {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&joined(&self.said))
    }
}

json_form! {
    BlastRadius<'a>, |_radius| BlastRadius { user, user_status, asked_at, stops, goes_on, unreadable, counted, names, said } => {
        user: &'a UserId = user,
        user_status: OwnerStatus = *user_status,
        asked_at: Timestamp = *asked_at,
        stops: &'a [StoppingKey] = stops,
        goes_on: &'a [KeyInfo] = goes_on,
        unreadable: &'a [KeyId] = unreadable,
        counted: CountedUntil = *counted,
        names: &'a Names = names,
        sentences: &'a [Sentence] = said,
    }
}

impl KeyManager {
    /// What stops if this person leaves, and what does not. Their live personal keys stop, listed with who else seems
    /// to depend on them. The live keys they made for teams and for other people still work, listed as far as the actor
    /// may see them.
    ///
    /// Everyone may ask about themselves. Reads every live key of the person and every live key they made, a thousand
    /// at a time.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): not found, denied, corrupt record (of the person), store
    /// unavailable.
    pub async fn blast_radius(&self, user: &UserId, actor: &Actor) -> Result<BlastRadius, ManageError> {
        let access = self.acting(actor, &[KeyAction::SeeBlastRadius]).await?;
        let owner = Owner::User(user.clone());
        access.require(KeyAction::SeeBlastRadius, &Target::Owner(&owner)).await?;
        let at = access.parts.clock.now();
        let user_status = access.status_of(&owner).await?;

        let live = KeyQuery { liveness: Some(Liveness::Live), ..KeyQuery::all(access.parts.organization.clone()) };
        let own = access.all(KeyQuery { owners: vec![owner.clone()], ..live.clone() }).await?;
        let made = access.all(KeyQuery { creator: Some(ActorId::User(user.clone())), ..live }).await?;
        let made =
            made.into_iter().filter(|row| row.peek().key.kind != "user" || row.peek().key.owner != user.as_str());

        let mut unreadable = Vec::new();
        let own: Vec<_> = own.into_iter().filter_map(|row| access.shown(&row, &mut unreadable)).collect();
        let goes_on: Vec<_> =
            made.filter_map(|row| access.shown(&row, &mut unreadable)).map(Shown::into_info).collect();
        let used: Vec<_> = own.iter().filter(|shown| shown.usage.is_some()).map(|shown| shown.record.id).collect();
        let mut details = access.usage_of(&used).await?;
        let mut stops: Vec<_> = own
            .into_iter()
            .map(|shown| {
                let usage = details.remove(&shown.record.id).unwrap_or_default();
                stopping(shown, &usage, at)
            })
            .collect();
        stops.sort_by_key(|stops| Reverse(stops.key.usage.and_then(|usage| usage.last_success_at)));
        let names = access
            .parts
            .names(|mentions| {
                mentions.user(user);
                stops.iter().map(|stops| &stops.key).chain(&goes_on).for_each(|key| mentions.key(key));
            })
            .await;
        let counted = access.counted;
        let (user, said) = (user.clone(), Vec::new());
        let radius = BlastRadius { user, user_status, asked_at: at, stops, goes_on, unreadable, counted, names, said };
        Ok(radius.saying())
    }
}

fn stopping(shown: Shown, usage: &UsageDetail, at: Timestamp) -> StoppingKey {
    let mut sources: Vec<_> = usage.successes().cloned().collect();
    sources.sort_by_key(|source| Reverse(source.last_at));
    let shared_because = shared_because(&shown.record, usage, at);
    StoppingKey { key: shown.into_info(), sources, shared_because }
}
