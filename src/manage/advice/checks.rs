//! The sentences of a key's checks, and of what would change the result.

use crate::{owner::Owner, record::ActorId, sentence::sentences, time::Timestamp};

sentences! {
    pub(in crate::manage) fn all;

    pub(super) fn any_network() = "check.any_network": "It can be used from any network.";
    pub(super) fn does_not_expire() = "check.does_not_expire": "It does not expire.";
    pub(super) fn exists() = "check.exists": "A key with this id exists.";
    pub(super) fn expired(at: Timestamp) = "check.expired": "It expired at {at}.";
    pub(super) fn expires(at: Timestamp) = "check.expires": "It expires at {at}.";
    pub(super) fn expiry_in_doubt(at: Timestamp) = "check.expiry_in_doubt":
        "It expires at {at}. This node's clock jumped, so it is not certain whether that time has passed.";
    pub(super) fn hash_accepted() = "check.hash_accepted": "This node accepts the cost of its hash.";
    pub(super) fn hash_not_looked_at() = "check.hash_not_looked_at": "Its hash cannot be checked without the pepper.";
    pub(super) fn hash_refused() = "check.hash_refused": "This node does not accept the cost of its hash.";
    pub(super) fn network_assumed(networks: Vec<String>) = "check.network_assumed":
        "It can be used only from {networks}. This answer assumes that the caller is there.";
    pub(super) fn not_looked_at() = "check.not_looked_at": "This cannot be checked until the record can be read.";
    pub(super) fn not_paused() = "check.not_paused": "It is not paused.";
    pub(super) fn not_revoked() = "check.not_revoked": "It is not revoked.";
    pub(super) fn organization_closed(since: Timestamp) = "check.organization_closed":
        "The whole organization was closed permanently at {since}.";
    pub(super) fn organization_plan_suspended(since: Timestamp) = "check.organization_plan_suspended":
        "The whole organization has been suspended since {since}, because its plan does not include these keys.";
    pub(super) fn organization_suspended(since: Timestamp) = "check.organization_suspended":
        "The whole organization has been suspended since {since}.";
    pub(super) fn owner_active(owner: &Owner) = "check.owner_active":
        "The {owner:user|team} {owner} is neither suspended nor closed.";
    pub(super) fn owner_closed(owner: &Owner, since: Timestamp) = "check.owner_closed":
        "The {owner:user|team} {owner} was closed permanently at {since}.";
    pub(super) fn owner_closed_by(owner: &Owner, since: Timestamp, by: &ActorId) = "check.owner_closed_by":
        "The {owner:user|team} {owner} was closed permanently at {since} by {by}.";
    pub(super) fn owner_plan_suspended(owner: &Owner, since: Timestamp) = "check.owner_plan_suspended":
        "The {owner:user|team} {owner} has been suspended since {since}, because its plan does not include these keys.";
    pub(super) fn owner_plan_suspended_by(owner: &Owner, since: Timestamp, by: &ActorId) =
        "check.owner_plan_suspended_by":
        "The {owner:user|team} {owner} was suspended at {since} by {by}, because its plan does not include these keys.";
    pub(super) fn owner_suspended(owner: &Owner, since: Timestamp) = "check.owner_suspended":
        "The {owner:user|team} {owner} has been suspended since {since}.";
    pub(super) fn owner_suspended_by(owner: &Owner, since: Timestamp, by: &ActorId) = "check.owner_suspended_by":
        "The {owner:user|team} {owner} was suspended at {since} by {by}.";
    pub(super) fn owner_suspended_twice(owner: &Owner, since: Timestamp) = "check.owner_suspended_twice":
        "The {owner:user|team} {owner} has been suspended since {since}. Its plan does not include these keys either.";
    pub(super) fn owner_suspended_twice_by(owner: &Owner, since: Timestamp, by: &ActorId) =
        "check.owner_suspended_twice_by":
        "The {owner:user|team} {owner} was suspended at {since} by {by}. Its plan does not include these keys either.";
    pub(super) fn paused_by(since: Timestamp, by: &ActorId) = "check.paused_by": "It was paused at {since} by {by}.";
    pub(super) fn paused_since(since: Timestamp) = "check.paused_since": "It has been paused since {since}.";
    pub(super) fn pepper_known() = "check.pepper_known":
        "This node has the pepper that its hash needs, if it needs one.";
    pub(super) fn pepper_unknown() = "check.pepper_unknown":
        "Its hash needs a pepper that this node does not have.";
    pub(super) fn readable() = "check.readable": "Its record can be read.";
    pub(super) fn revoked_by(at: Timestamp, by: &ActorId) = "check.revoked_by": "It was revoked at {at} by {by}.";
    pub(super) fn revoked_by_nobody(at: Timestamp) = "check.revoked_by_nobody":
        "It was revoked at {at}; who revoked it is not known.";
    pub(super) fn text_assumed() = "check.text_assumed":
        "This answer assumes that the caller sends the right text; any other text with this id gets `invalid_key`.";
    pub(super) fn unreadable(column: &str) = "check.unreadable":
        "Its record cannot be read: the column `{column}` holds a value that this crate never writes.";

    pub(super) fn accept_the_profile() = "remedy.accept_the_profile":
        "Configure every node to accept all hash profiles that were ever used.";
    pub(super) fn expiry_is_never_later() = "remedy.expiry_is_never_later":
        "An expiry can never be extended: create a new key.";
    pub(super) fn issue_a_new_key() = "remedy.issue_a_new_key": "This cannot be undone: create a new key.";
    pub(super) fn issue_for_another_owner() = "remedy.issue_for_another_owner":
        "This cannot be undone: create a key for another owner.";
    pub(super) fn keep_it_until_resumed() = "remedy.keep_it_until_resumed":
        "Keep the key: it works again as soon as an admin of the organization resumes it.";
    pub(super) fn look_at_the_clock() = "remedy.look_at_the_clock":
        "Check this node's clock, and ask again in half a minute.";
    pub(super) fn make_the_pepper_known() = "remedy.make_the_pepper_known": "Configure the pepper on every node.";
    pub(super) fn reinstate() = "remedy.reinstate": "Ask an admin of the organization to reinstate it.";
    pub(super) fn reinstate_the_organization() = "remedy.reinstate_the_organization":
        "Ask the support of the service to reinstate the organization.";
    pub(super) fn restore_the_record() = "remedy.restore_the_record":
        "Restore the record from a backup, or create a new key.";
    pub(super) fn upgrade_the_plan() = "remedy.upgrade_the_plan": "Upgrade the plan.";
}
