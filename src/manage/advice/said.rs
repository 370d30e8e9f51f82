//! The sentences about a key that is to be made, and about what depends on a person.

use crate::{
    key::KeyId,
    owner::{Owner, TeamId, UserId},
    scope::Scope,
    sentence::{Sentence, sentences},
    time::Timestamp,
};

sentences! {
    pub(in crate::manage) fn all;

    pub(super) fn dies_with_person(user: &UserId) = "note.dies_with_person":
        "If {user} is suspended, it is refused until {user} is reinstated. If {user} leaves, it stops working \
         permanently.";
    pub(super) fn expires(at: Timestamp) = "note.expires":
        "It expires at {at}. You can shorten the lifetime later, but never extend it.";
    pub(super) fn expires_at_the_latest(at: Timestamp) = "note.expires_at_the_latest":
        "It expires at {at}. This service does not allow a later expiry for such a key.";
    pub(super) fn made_by(maker: &UserId, user: &UserId) = "note.made_by":
        "{maker} created it for {user} and has seen the full key. {user} can rotate it to get a key that {maker} has \
         not seen.";
    pub(super) fn made_for_somebody_else(maker: &UserId, user: &UserId) = "note.made_for_somebody_else":
        "{maker} creates it and sees the full key, and {user} can see who created it. The key belongs to {user} and \
         acts as {user}, who can rotate it to get a key that {maker} has not seen.";
    pub(super) fn manages_keys(scopes: Vec<&Scope>) = "note.manages_keys":
        "It has the {scopes:scope|scopes} {scopes}, so it can manage keys that its owner can manage.";
    pub(super) fn manages_no_keys() = "note.manages_no_keys":
        "It cannot see, create, rotate or revoke keys, because it has none of the scopes for that.";
    pub(super) fn networks_limited(networks: Vec<String>) = "note.networks_limited":
        "It can be used only from {networks}. You can change this later.";
    pub(super) fn no_scopes() = "note.no_scopes":
        "It has no scopes, so every endpoint that needs a scope refuses it. In this library, layers and extractors \
         that name no scope refuse it too.";
    pub(super) fn outlives_creator() = "note.outlives_creator":
        "It keeps working when the person who creates it leaves or is suspended.";
    pub(super) fn owner_closed(owner: &Owner) = "note.owner_closed":
        "The {owner:user|team} {owner} is closed permanently and cannot have new keys.";
    pub(super) fn owner_left(user: &UserId) = "note.owner_left":
        "{user} has left, but the account is not closed, so its keys still work. Close the account.";
    pub(super) fn owner_plan_suspended(owner: &Owner) = "note.owner_plan_suspended":
        "The plan does not include API keys for the {owner:user|team} {owner}, so its keys are refused, and it cannot \
         have new keys. Upgrade the plan.";
    pub(super) fn owner_suspended(owner: &Owner) = "note.owner_suspended":
        "The {owner:user|team} {owner} is suspended, so its keys are refused, and it cannot have new keys. Reinstate \
         it first.";
    pub(super) fn owner_unknown(owner: &Owner) = "note.owner_unknown":
        "The {owner:user|team} {owner} is missing in the directory of users and teams, but is not closed, so its keys \
         still work. If the {owner:user|team} no longer exists, close it.";
    pub(super) fn reach_of_team(team: &TeamId) = "note.reach_of_team":
        "It has access to the team {team} only: not to other teams, and not to the data of a person.";
    pub(super) fn reach_of_user(user: &UserId) = "note.reach_of_user":
        "It has the access that {user} has, including the teams that {user} is a member of.";
    pub(super) fn same_name(count: usize, owner: &Owner) = "note.same_name":
        "{count} active {count:key|keys} of the {owner:user|team} {owner} already {count:has|have} this name, so you \
         cannot see in a list which one is which.";
    pub(super) fn scopes_limited(scopes: Vec<&Scope>) = "note.scopes_limited":
        "It has only the {scopes:scope|scopes} {scopes}. You can take scopes away later, but not add any.";
    pub(super) fn should_be_personal_key(word: &str, what: Sentence) = "note.should_be_personal_key":
        "It says `{word}`, which suggests {what}. A team key keeps working after the person leaves, and a personal \
         key stops working.";
    pub(super) fn should_be_service_user_key(word: &str, what: Sentence) = "note.should_be_service_user_key":
        "It says `{word}`, which suggests {what}. A personal key stops working when the person leaves. Create a \
         separate user for the service, and use a key of that user.";
    pub(super) fn should_be_team_key(word: &str, what: Sentence) = "note.should_be_team_key":
        "It says `{word}`, which suggests {what}. A personal key stops working when the person leaves, and a team key \
         keeps working.";
    pub(super) fn shown_once() = "note.shown_once":
        "The full key is shown once, when it is created, and can never be shown again.";
    pub(super) fn suspended_with_team(team: &TeamId) = "note.suspended_with_team":
        "It is refused while the team {team} is suspended.";
    pub(super) fn unknown_scope(scope: &str) = "note.unknown_scope": "This service has no scope `{scope}`.";
    pub(super) fn used_as_team(team: &TeamId) = "note.used_as_team":
        "Everybody who has the full key can act for the team {team}, even without being a member.";
    pub(super) fn used_as_user(user: &UserId) = "note.used_as_user":
        "Everybody who has the full key can act as {user}, with the access that {user} has when the key is used.";

    pub(super) fn keys_go_on(keys: usize, user: &UserId) = "blast_radius.keys_go_on":
        "{keys} {keys:key|keys} that {user} created for others {keys:is not affected and keeps|are not affected and \
         keep} working.";
    pub(super) fn keys_stop(user: &UserId, keys: usize, in_use: usize, shared: usize) = "blast_radius.keys_stop":
        "If {user} leaves, {keys} personal {keys:key stops|keys stop} working. Of these, {in_use} {in_use:was|were} \
         used in the last 30 days, and {shared} {shared:seems|seem} to be used by services or other people.";
    pub(super) fn left_and_no_key(user: &UserId) = "blast_radius.left_and_no_key":
        "{user} has left and has no active personal key.";
    pub(super) fn left_and_not_closed(user: &UserId, keys: usize, in_use: usize, shared: usize) =
        "blast_radius.left_and_not_closed":
        "{user} has left, but the account is not closed, so {keys} personal {keys:key still works|keys still work}. \
         Of these, {in_use} {in_use:was|were} used in the last 30 days, and {shared} {shared:seems|seem} to be used \
         by services or other people.";
    pub(super) fn left_and_refused(user: &UserId, keys: usize) = "blast_radius.left_and_refused":
        "{user} has left, and the account is suspended or closed, so {keys} personal {keys:key no longer works|keys \
         no longer work}.";
    pub(super) fn no_key_goes_on(user: &UserId) = "blast_radius.no_key_goes_on":
        "{user} created no keys for others that keep working.";
    pub(super) fn no_key_stops(user: &UserId) = "blast_radius.no_key_stops": "If {user} leaves, no key stops working.";
    pub(super) fn refused_already(user: &UserId) = "blast_radius.refused_already":
        "The account of {user} is suspended or closed, so the personal keys of {user} do not work.";

    pub(super) fn holds() = "exposure.holds": "The key belongs to this person.";
    pub(super) fn issued() = "exposure.issued": "This person created it.";
    pub(super) fn left_and_saw(user: &UserId, keys: usize) = "exposure.left_and_saw":
        "{user} has left and has seen {keys} active {keys:key|keys} in full. Rotate or revoke {keys:it|them}.";
    pub(super) fn made_with(key: KeyId) = "exposure.made_with":
        "This person may know it, because it was created with the key {key}, which this person has seen in full.";
    pub(super) fn rotated() = "exposure.rotated": "This person created it to replace another key.";
    pub(super) fn saw(user: &UserId, keys: usize) = "exposure.saw":
        "{user} has seen {keys} active {keys:key|keys} in full. When {user} leaves, rotate or revoke {keys:it|them}.";
    pub(super) fn saw_nothing(user: &UserId) = "exposure.saw_nothing": "{user} has not seen any active key in full.";
}
