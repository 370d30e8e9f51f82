use std::{
    collections::{HashSet, VecDeque},
    fmt,
};

use serde::Serialize;

use super::said;
use crate::{
    json::json_form,
    key::KeyId,
    manage::{
        access::{Reach, Unseen},
        actor::Actor,
        counted::CountedUntil,
        error::ManageError,
        info::KeyInfo,
        manager::KeyManager,
        names::Names,
        policy::{KeyAction, Target},
    },
    owner::{Owner, OwnerRef, UserId},
    record::ActorId,
    sentence::Sentence,
    store::{KeyQuery, ListedKey},
};

/// The live keys whose text a person saw: what to rotate or revoke when they leave.
///
/// Keys that they held, made or rotated, keys that were made with any of those, and so on. It is wide on purpose: a
/// person who had a key that manages keys may have used it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
/// use tower_api_keys::{Actor, IssueKey, TeamId, UserId, manage::{Rights, ExposureReason, TeamRole}};
///
/// let (alice, blue) = (UserId::new("alice")?, TeamId::new("blue")?);
/// let rights = Rights::none().team(blue.clone(), TeamRole::Admin).team_keys_included();
/// manager.issue(IssueKey::team(blue), &Actor::user(alice.clone(), rights)).await?;
///
/// let admin = Actor::user(UserId::new("olga")?, Rights::none().org_admin());
/// let exposure = manager.exposure(&alice, &admin).await?;
/// assert_eq!(exposure.keys[0].reason, ExposureReason::Issued);
/// println!("{exposure}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exposure {
    /// The person.
    pub user: UserId,
    /// The keys, those closest to the person first.
    pub keys: Vec<ExposedKey>,
    /// Live keys among them whose stored records cannot be read; requests with these keys get 503.
    pub unreadable: Vec<KeyId>,
    /// Until when usage is counted.
    pub counted: CountedUntil,
    /// The names of its people and teams, and who has left. The sentence uses them.
    pub names: Names,
    /// The same as a sentence, with names.
    said: Sentence,
}

/// A live key whose text a person saw, and how.
///
/// ```
/// # fn example(exposed: tower_api_keys::manage::ExposedKey) {
/// println!("{} {}: {}", exposed.key.id, exposed.key.name, exposed.reason);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ExposedKey {
    /// The key.
    pub key: KeyInfo,
    /// How the person came to see its text.
    pub reason: ExposureReason,
}

/// How a person came to see the text of a key. It serializes as `{"reason": …, "key": …, "sentence": …}`; `key` is the
/// key that it was made with.
///
/// ```
/// use tower_api_keys::manage::ExposureReason;
///
/// assert_eq!(ExposureReason::Issued.sentence(), "This person created it.");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExposureReason {
    /// The key belongs to this person.
    Holds,
    /// They made it.
    Issued,
    /// It was made with another key whose text they saw.
    MadeWith(KeyId),
    /// They made it as the successor of another key.
    Rotated,
}

impl ExposureReason {
    /// The reason as a word in snake case.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Issued => "issued",
            Self::MadeWith(_) => "made_with",
            Self::Rotated => "rotated",
        }
    }

    /// The reason as a sentence for people.
    #[must_use]
    pub fn sentence(&self) -> Sentence {
        match self {
            Self::Holds => said::holds(),
            Self::Issued => said::issued(),
            Self::MadeWith(key) => said::made_with(*key),
            Self::Rotated => said::rotated(),
        }
    }
}

impl fmt::Display for ExposureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sentence().fmt(f)
    }
}

json_form! {
    ExposureReason, |reason| _ => {
        #[cfg_attr(feature = "schemars", schemars(extend("enum" = ["holds", "issued", "made_with", "rotated"])))]
        reason: &'static str = reason.as_str(),
        /// The key that it was made with.
        key: Option<KeyId> = match reason {
            ExposureReason::MadeWith(key) => Some(*key),
            _ => None,
        },
        sentence: Sentence = reason.sentence(),
    }
}

impl Exposure {
    /// The exposure as a sentence for people.
    #[must_use]
    pub fn sentence(&self) -> Sentence {
        self.said.clone()
    }
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.said.fmt(f)
    }
}

json_form! {
    Exposure<'a>, |_exposure| Exposure { user, keys, unreadable, counted, names, said } => {
        user: &'a UserId = user,
        keys: &'a [ExposedKey] = keys,
        unreadable: &'a [KeyId] = unreadable,
        counted: CountedUntil = *counted,
        names: &'a Names = names,
        sentence: &'a Sentence = said,
    }
}

impl KeyManager {
    /// The live keys whose text this person saw: what to rotate when they leave. These are their personal keys, keys
    /// they made or rotated, keys that were made with any of these, and so on.
    ///
    /// An admin of the organization gets all of them. An actor that manages keys of teams gets the keys of those teams;
    /// the answer does not reveal whether there are more, nor whether the person exists.
    ///
    /// Asks the store about the person, and about each key that is found, dead ones too: a dead key may have made live
    /// ones. Each question is one read, and one more for each further thousand.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): not found, denied, store unavailable.
    pub async fn exposure(&self, user: &UserId, actor: &Actor) -> Result<Exposure, ManageError> {
        let access = self.acting(actor, &[KeyAction::SeeExposure]).await?;
        let owner = Owner::User(user.clone());
        access.require(KeyAction::SeeExposure, &Target::Owner(&owner)).await?;
        let reach = access.reach(&[KeyAction::SeeExposure]);
        let sees_all = matches!(reach, Reach::All);
        let now = access.parts.clock.now();
        let all = KeyQuery::all(access.parts.organization.clone());
        let mut found = Found::default();
        for row in access.all(KeyQuery { owners: vec![owner], ..all.clone() }).await? {
            found.add(row, |_| ExposureReason::Holds);
        }
        let made = KeyQuery { creator: Some(ActorId::User(user.clone())), ..all.clone() };
        for row in access.all(made).await? {
            found.add(
                row,
                |row| if row.key.replaces.is_some() { ExposureReason::Rotated } else { ExposureReason::Issued },
            );
        }
        while let Some(creator) = found.next.pop_front() {
            for row in access.all(KeyQuery { created_via_key: Some(creator), ..all.clone() }).await? {
                found.add(row, |_| ExposureReason::MadeWith(creator));
            }
        }
        let (mut keys, mut unreadable) = (Vec::new(), Vec::new());
        let is_asked_for = |row: &Unseen| row.peek().key.is_live(now) && is_of_reach(row, &reach);
        for (row, reason) in found.rows.into_iter().filter(|(row, _)| is_asked_for(row)) {
            let shown = access.shown(&row, &mut unreadable);
            keys.extend(shown.map(|shown| ExposedKey { key: shown.into_info(), reason }));
        }
        let names = access
            .parts
            .names(|mentions| {
                // If no key is shown, neither is whether the person exists.
                if sees_all || !keys.is_empty() {
                    mentions.user(user);
                }
                keys.iter().for_each(|exposed: &ExposedKey| mentions.key(&exposed.key));
            })
            .await;
        let said = match keys.len() + unreadable.len() {
            0 => said::saw_nothing(user),
            saw if names.has_left(user) => said::left_and_saw(user, saw),
            saw => said::saw(user, saw),
        };
        let (counted, said) = (access.counted, said.naming(&names));
        Ok(Exposure { user: user.clone(), keys, unreadable, counted, names, said })
    }
}

/// Whether the actor may be shown a key: any key, or one of its teams.
fn is_of_reach(row: &Unseen, reach: &Reach) -> bool {
    let Reach::Of(owners) = reach else { return true };
    let owner = OwnerRef::of(&row.peek().key).map(|of| of.owner);
    owner.is_some_and(|owner| matches!(owner, Owner::Team(_)) && owners.contains(&owner))
}

/// Keys in the order in which they are found, each once.
#[derive(Default)]
struct Found {
    seen: HashSet<KeyId>,
    rows: Vec<(Unseen, ExposureReason)>,
    /// Keys for which the keys they made have not been read yet.
    next: VecDeque<KeyId>,
}

impl Found {
    fn add(&mut self, row: Unseen, reason: impl FnOnce(&ListedKey) -> ExposureReason) {
        // An id that cannot be read names no key that could have been used.
        let Ok(id) = KeyId::new(&row.peek().key.id) else { return };
        if self.seen.insert(id) {
            self.next.push_back(id);
            let reason = reason(row.peek());
            self.rows.push((row, reason));
        }
    }
}
