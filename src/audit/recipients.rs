use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{
    action::Kind,
    event::{Event, Subject},
};
use crate::{
    key::KeyId,
    owner::{Owner, TeamId, UserId},
    record::ActorId,
};

/// A recipient who should be told of an event, by reference: the service knows the addresses. It serializes as
/// `{"recipient": …, "id": …}`; the id is `null` for the admins of the organization and for the service.
///
/// ```
/// use tower_api_keys::{audit::Recipient, UserId};
///
/// let alice = Recipient::User(UserId::new("alice")?);
/// assert_eq!((alice.as_str(), alice.id()), ("user", Some("alice")));
/// # Ok::<(), tower_api_keys::InvalidId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Recipient {
    /// The admins of the organization of the event.
    OrganizationAdmins,
    /// The recipient who is [responsible](crate::record::KeyRecord::responsible) for this key, if one is set.
    Responsible(KeyId),
    /// Those who run the service, because no one in the organization can act on it.
    Service,
    /// The admins of this team.
    TeamAdmins(TeamId),
    /// This person.
    User(UserId),
}

impl Recipient {
    /// The kind of recipient, in a word: `organization_admins`, `responsible`, `service`, `team_admins` or `user`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::OrganizationAdmins => "organization_admins",
            Self::Responsible(_) => "responsible",
            Self::Service => "service",
            Self::TeamAdmins(_) => "team_admins",
            Self::User(_) => "user",
        }
    }

    /// The id of the key, team or person, if it is one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::OrganizationAdmins | Self::Service => None,
            Self::Responsible(key) => Some(key.as_str()),
            Self::TeamAdmins(team) => Some(team.as_str()),
            Self::User(user) => Some(user.as_str()),
        }
    }
}

impl Serialize for Recipient {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("recipient", self.as_str())?;
        map.serialize_entry("id", &self.id())?;
        map.end()
    }
}

/// The recipients of a kind of event.
#[derive(Clone, Copy)]
enum Concerned {
    /// The admins of the organization.
    Admins,
    /// The user or the admins of the team, as owner of the key or subject of the status; and the responsible of the
    /// key.
    Holders,
    /// Both; the admins only if a part of the service was the actor.
    HoldersAndAdminsIfBySystem,
    HoldersAndAdmins,
    /// Both, and those who run the service.
    Everybody,
    Nobody,
    Service,
}

/// Lists every kind: a new one does not compile before its recipients are decided.
const fn concerned(kind: Kind) -> Concerned {
    match kind {
        Kind::InventoryExported
        | Kind::ManageDenied
        | Kind::OrganizationClosed
        | Kind::OrganizationReinstated
        | Kind::OrganizationSuspended
        // A person or a team known only by a pseudonym cannot be reached.
        | Kind::OwnerErased
        | Kind::TrailExported => Concerned::Admins,
        Kind::KeyEndsSoon
        | Kind::KeyExpired
        | Kind::KeyExpirySet
        | Kind::KeyIssued
        | Kind::KeyNarrowed
        | Kind::KeyNetworksSet
        | Kind::KeyResponsibleSet
        | Kind::KeyResumed
        | Kind::KeyRotationAborted
        | Kind::KeyRotationBegun
        | Kind::KeyRotationFinished => Concerned::Holders,
        Kind::KeyPaused | Kind::KeyRevoked => Concerned::HoldersAndAdminsIfBySystem,
        Kind::OwnerClosed | Kind::OwnerReinstated | Kind::OwnerSuspended => Concerned::HoldersAndAdmins,
        Kind::KeyForged => Concerned::Everybody,
        // The access log; events that do not affect users of the key; events that repeat another one.
        Kind::AttemptAccepted
        | Kind::AttemptDropped
        | Kind::AttemptRefused
        | Kind::AttemptRepeated
        | Kind::KeyPurged
        | Kind::KeyRelabelled
        | Kind::KeyRenamed
        | Kind::KeySuccessorMade => Concerned::Nobody,
        // An organization known only by a pseudonym has no admins.
        Kind::KeyUnreadable | Kind::OrganizationErased => Concerned::Service,
    }
}

impl Event {
    /// Who should be told of this event: a default for services that notify people. This crate itself does not act on
    /// it. The actor is not told. See [the table](crate::manual::told).
    ///
    /// Events that this version does not know are for those who run the service.
    ///
    /// ```
    /// use tower_api_keys::audit::{Action, Event, EventRow, Recipient};
    /// # let row = EventRow { action: "key.revoked".into(), actor: "user:olga".into(), ..EventRow::example() };
    ///
    /// let event = Event::try_from(&row)?;
    /// assert_eq!(event.action, Action::KEY_REVOKED);
    /// let told: Vec<_> = event.recipients().iter().map(Recipient::as_str).collect();
    /// assert_eq!(told, ["team_admins", "responsible"]);
    /// # Ok::<(), tower_api_keys::record::CorruptRow>(())
    /// ```
    #[must_use]
    pub fn recipients(&self) -> Vec<Recipient> {
        let concerned = Kind::of(&self.action).map_or(Concerned::Service, concerned);
        let is_by_system = matches!(self.actor, ActorId::System(_));
        let holders = || self.holders().into_iter();
        let admins = [Recipient::OrganizationAdmins];
        let mut told: Vec<Recipient> = match concerned {
            Concerned::Admins => admins.into(),
            Concerned::Holders => holders().collect(),
            Concerned::HoldersAndAdminsIfBySystem if !is_by_system => holders().collect(),
            Concerned::HoldersAndAdminsIfBySystem | Concerned::HoldersAndAdmins => holders().chain(admins).collect(),
            Concerned::Everybody => holders().chain(admins).chain([Recipient::Service]).collect(),
            Concerned::Nobody => Vec::new(),
            Concerned::Service => vec![Recipient::Service],
        };
        told.retain(
            |recipient| !matches!((recipient, &self.actor), (Recipient::User(of), ActorId::User(by)) if of == by),
        );
        told
    }

    fn holders(&self) -> Vec<Recipient> {
        let owner = self.subject.owner().map(|owner| match owner {
            Owner::Team(team) => Recipient::TeamAdmins(team.clone()),
            Owner::User(user) => Recipient::User(user.clone()),
        });
        let responsible = match &self.subject {
            Subject::Key(id, _) => Some(Recipient::Responsible(*id)),
            Subject::Organization | Subject::Owner(_) => None,
        };
        owner.into_iter().chain(responsible).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::EventRow;

    /// Who is told, in words. `key` is the key of the event, if it is about one.
    fn told(action: &str, owner: (&str, &str), actor: &str) -> String {
        let key = action.starts_with("key.") || action.starts_with("attempt.");
        let row = EventRow {
            action: action.into(),
            actor: actor.into(),
            owner_kind: owner.0.into(),
            owner: owner.1.into(),
            key: key.then(|| "A".repeat(20)),
            ..EventRow::example()
        };
        let words: Vec<_> = Event::try_from(&row).unwrap().recipients().iter().map(|one| one.as_str()).collect();
        if words.is_empty() { "-".into() } else { words.join(", ") }
    }

    /// The table of the guide, of events that another person caused.
    #[test]
    fn who_is_told_is_what_the_guide_says() {
        let mut table = String::from("| event | of a person | of a team | of the organization |\n|---|---|---|---|\n");
        for (_, word) in Kind::ALL {
            let of = |kind, id| told(word, (kind, id), "user:olga");
            let whole = !word.starts_with("key.") && !word.starts_with("attempt.") && !word.starts_with("owner.");
            let organization = if whole { of("organization", "") } else { String::new() };
            let [person, team] = match word.starts_with("organization.") {
                true => [String::new(), String::new()],
                false => [of("user", "alice"), of("team", "blue")],
            };
            table.push_str(&format!("| `{word}` | {person} | {team} | {organization} |\n"));
        }
        let guide = include_str!("../../docs/told.md");
        assert!(guide.contains(&table), "the guide has another table than this:\n{table}");
    }

    #[test]
    fn the_person_who_did_it_is_not_told_and_of_the_system_s_acts_admins_are() {
        let alice = ("user", "alice");
        assert_eq!(told("key.revoked", alice, "user:alice"), "responsible");
        assert_eq!(told("key.issued", alice, "user:alice"), "responsible");
        assert_eq!(told("key.issued", alice, "user:olga"), "user, responsible");
        assert_eq!(told("key.revoked", alice, "system:presented"), "user, responsible, organization_admins");
        assert_eq!(
            told("key.paused", ("team", "blue"), "system:presented"),
            "team_admins, responsible, organization_admins"
        );
        assert_eq!(told("key.revoked", ("team", "blue"), "user:alice"), "team_admins, responsible");
        assert_eq!(told("key.of_tomorrow", alice, "user:alice"), "service");
    }

    #[test]
    fn they_serialize_as_one_shape() {
        let json = |recipient: Recipient| serde_json::to_value(recipient).unwrap();
        assert_eq!(json(Recipient::Service), serde_json::json!({"recipient": "service", "id": null}));
        let key = Recipient::Responsible(KeyId::new(&"A".repeat(20)).unwrap());
        assert_eq!(json(key), serde_json::json!({"recipient": "responsible", "id": "A".repeat(20)}));
    }
}
