//! What is said of a key that is to be made, and of what depends on a person.

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
        "It is refused while {user} is suspended, and stops for good when {user} leaves.";
    pub(super) fn expires(at: Timestamp) = "note.expires":
        "It is refused from {at} on. You can shorten the lifetime later, but never extend it.";
    pub(super) fn expires_at_the_latest(at: Timestamp) = "note.expires_at_the_latest":
        "It is refused from {at} on, the latest that this service allows for such a key.";
    pub(super) fn made_by(maker: &UserId, user: &UserId) = "note.made_by":
        "{maker} made it for {user}, and saw its text. {user} can rotate it: then {maker} has not seen the new one.";
    pub(super) fn made_for_somebody_else(maker: &UserId, user: &UserId) = "note.made_for_somebody_else":
        "{maker} makes it and sees its text, and {user} is shown who made it. It is {user}'s key: it acts as {user}, and \
         {user} can rotate it, so that {maker} has not seen the new one.";
    pub(super) fn manages_keys(scopes: Vec<&Scope>) = "note.manages_keys":
        "It looks after keys, as far as its owner may: it has {scopes}.";
    pub(super) fn manages_no_keys() = "note.manages_no_keys":
        "It cannot see, create, rotate or revoke keys: it has none of the scopes for that.";
    pub(super) fn networks_limited(networks: Vec<String>) = "note.networks_limited":
        "It is accepted only from {networks}. This can be changed later.";
    pub(super) fn no_scopes() = "note.no_scopes":
        "It has no scope: whatever asks for a scope refuses it, and so do the layers and extractors that ask for none.";
    pub(super) fn outlives_creator() = "note.outlives_creator":
        "It goes on when whoever makes it leaves or is suspended.";
    pub(super) fn owner_closed(owner: &Owner) = "note.owner_closed":
        "The {owner:user|team} {owner} is closed for good, and gets no keys any more.";
    pub(super) fn owner_left(user: &UserId) = "note.owner_left":
        "{user} has left and is not closed: the key would be accepted all the same.";
    pub(super) fn owner_plan_suspended(owner: &Owner) = "note.owner_plan_suspended":
        "The {owner:user|team} {owner} is suspended by the plan: it gets no keys before it is reinstated.";
    pub(super) fn owner_suspended(owner: &Owner) = "note.owner_suspended":
        "The {owner:user|team} {owner} is suspended: it gets no keys before it is reinstated.";
    pub(super) fn owner_unknown(owner: &Owner) = "note.owner_unknown":
        "The directory knows no {owner:user|team} {owner}, and it is not closed: the key would be accepted all the same.";
    pub(super) fn reach_of_team(team: &TeamId) = "note.reach_of_team":
        "It reaches the team {team} only: no other team, and nothing that is a person's.";
    pub(super) fn reach_of_user(user: &UserId) = "note.reach_of_user":
        "It reaches what {user} reaches: of teams, those that {user} is a member of.";
    pub(super) fn same_name(count: usize, owner: &Owner) = "note.same_name":
        "{count} live {count:key|keys} of the {owner:user|team} {owner} {count:has|have} this name already: nobody can \
         tell them apart in a list.";
    pub(super) fn scopes_limited(scopes: Vec<&Scope>) = "note.scopes_limited":
        "It has only the {scopes:scope|scopes} {scopes}. Scopes can be taken away later, not added.";
    pub(super) fn should_be_personal_key(word: &str, what: Sentence) = "note.should_be_personal_key":
        "It says `{word}`, which sounds like {what}: a team key goes on after the person leaves. A personal key stops.";
    pub(super) fn should_be_service_user_key(word: &str, what: Sentence) = "note.should_be_service_user_key":
        "It says `{word}`, which sounds like {what}: the key of a person stops when the person leaves. The key of a user \
         that is no person goes on.";
    pub(super) fn should_be_team_key(word: &str, what: Sentence) = "note.should_be_team_key":
        "It says `{word}`, which sounds like {what}: with a personal key, that stops when the person leaves. A team key \
         goes on.";
    pub(super) fn shown_once() = "note.shown_once":
        "Its text is shown once, when it is made, and nobody can show it again.";
    pub(super) fn suspended_with_team(team: &TeamId) = "note.suspended_with_team":
        "It is refused while the team {team} is suspended.";
    pub(super) fn unknown_scope(scope: &str) = "note.unknown_scope": "There is no scope `{scope}`.";
    pub(super) fn used_as_team(team: &TeamId) = "note.used_as_team":
        "Whoever has its text acts for the team {team}, member or not.";
    pub(super) fn used_as_user(user: &UserId) = "note.used_as_user":
        "Whoever has its text acts as {user}, with what {user} may do at that moment.";

    pub(super) fn keys_go_on(keys: usize, user: &UserId) = "blast_radius.keys_go_on":
        "{keys} {keys:key|keys} that {user} made for others {keys:goes|go} on.";
    pub(super) fn keys_stop(user: &UserId, keys: usize, in_use: usize, shared: usize) = "blast_radius.keys_stop":
        "If {user} leaves, {keys} personal {keys:key stops|keys stop}: {in_use} in use in the last 30 days, {shared} on \
         which others seem to depend.";
    pub(super) fn left_and_no_key(user: &UserId) = "blast_radius.left_and_no_key":
        "{user} has left, and has no live personal key.";
    pub(super) fn left_and_not_closed(user: &UserId, keys: usize, in_use: usize, shared: usize) =
        "blast_radius.left_and_not_closed":
        "{user} has left and is not closed: {keys} personal {keys:key is|keys are} still accepted, {in_use} in use in the \
         last 30 days, {shared} on which others seem to depend.";
    pub(super) fn left_and_refused(user: &UserId, keys: usize) = "blast_radius.left_and_refused":
        "{user} has left and is suspended or closed: {keys} personal {keys:key is|keys are} refused already.";
    pub(super) fn no_key_goes_on(user: &UserId) = "blast_radius.no_key_goes_on":
        "No key that {user} made for others goes on.";
    pub(super) fn no_key_stops(user: &UserId) = "blast_radius.no_key_stops": "If {user} leaves, no key stops.";
    pub(super) fn refused_already(user: &UserId) = "blast_radius.refused_already":
        "{user} is suspended or closed: personal keys are refused already.";

    pub(super) fn holds() = "exposure.holds": "It is their personal key.";
    pub(super) fn issued() = "exposure.issued": "They made it.";
    pub(super) fn left_and_saw(user: &UserId, keys: usize) = "exposure.left_and_saw":
        "{user} has left, and saw the {keys:text|texts} of {keys} live {keys:key|keys}: rotate or revoke {keys:it|them}.";
    pub(super) fn made_with(key: KeyId) = "exposure.made_with":
        "It was made with the key {key}, whose text they saw.";
    pub(super) fn rotated() = "exposure.rotated": "They made it in place of another key.";
    pub(super) fn saw(user: &UserId, keys: usize) = "exposure.saw":
        "{user} saw the {keys:text|texts} of {keys} live {keys:key|keys}: rotate or revoke {keys:it|them} when {user} \
         leaves.";
    pub(super) fn saw_nothing(user: &UserId) = "exposure.saw_nothing": "{user} saw the text of no live key.";
}
