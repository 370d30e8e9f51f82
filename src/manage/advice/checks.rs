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
        "It expires at {at}. The clock of this server jumped, so it is not certain whether that time has passed.";
    pub(super) fn hash_accepted() = "check.hash_accepted":
        "This server can check the hash of the key: its cost is within the configured limits.";
    pub(super) fn hash_not_looked_at() = "check.hash_not_looked_at":
        "Not checked, because the pepper is missing.";
    pub(super) fn hash_refused() = "check.hash_refused":
        "This server cannot check the hash of the key: its cost is not within the configured limits.";
    pub(super) fn network_assumed(networks: Vec<String>) = "check.network_assumed":
        "It can be used only from these networks: {networks}. This check assumes that the request comes from one of \
         them.";
    pub(super) fn not_looked_at() = "check.not_looked_at":
        "Not checked, because the stored data of the key cannot be read.";
    pub(super) fn not_paused() = "check.not_paused": "It is not paused.";
    pub(super) fn not_revoked() = "check.not_revoked": "It is not revoked.";
    pub(super) fn organization_closed(since: Timestamp) = "check.organization_closed":
        "The whole organization was closed permanently at {since}.";
    pub(super) fn organization_plan_suspended(since: Timestamp) = "check.organization_plan_suspended":
        "The whole organization has been suspended since {since}, because its plan does not include API keys.";
    pub(super) fn organization_suspended(since: Timestamp) = "check.organization_suspended":
        "The whole organization has been suspended since {since}.";
    pub(super) fn owner_active(owner: &Owner) = "check.owner_active":
        "The {owner:user|team} {owner} is neither suspended nor closed.";
    pub(super) fn owner_closed(owner: &Owner, since: Timestamp) = "check.owner_closed":
        "The {owner:user|team} {owner} was closed permanently at {since}.";
    pub(super) fn owner_closed_by(owner: &Owner, since: Timestamp, by: &ActorId) = "check.owner_closed_by":
        "The {owner:user|team} {owner} is closed permanently: {by} closed it at {since}.";
    pub(super) fn owner_plan_suspended(owner: &Owner, since: Timestamp) = "check.owner_plan_suspended":
        "The {owner:user|team} {owner} has been suspended since {since}, because the plan does not include API keys \
         for this {owner:user|team}.";
    pub(super) fn owner_plan_suspended_by(owner: &Owner, since: Timestamp, by: &ActorId) =
        "check.owner_plan_suspended_by":
        "{by} suspended the {owner:user|team} {owner} at {since}, because the plan does not include API keys for this \
         {owner:user|team}.";
    pub(super) fn owner_suspended(owner: &Owner, since: Timestamp) = "check.owner_suspended":
        "The {owner:user|team} {owner} has been suspended since {since}.";
    pub(super) fn owner_suspended_by(owner: &Owner, since: Timestamp, by: &ActorId) = "check.owner_suspended_by":
        "The {owner:user|team} {owner} is suspended: {by} suspended it at {since}.";
    pub(super) fn owner_suspended_twice(owner: &Owner, since: Timestamp) = "check.owner_suspended_twice":
        "The {owner:user|team} {owner} has been suspended since {since}. Also, the plan does not include API keys for \
         this {owner:user|team}.";
    pub(super) fn owner_suspended_twice_by(owner: &Owner, since: Timestamp, by: &ActorId) =
        "check.owner_suspended_twice_by":
        "The {owner:user|team} {owner} is suspended: {by} suspended it at {since}. Also, the plan does not include \
         API keys for this {owner:user|team}.";
    pub(super) fn paused_by(since: Timestamp, by: &ActorId) = "check.paused_by":
        "It is paused: {by} paused it at {since}.";
    pub(super) fn paused_since(since: Timestamp) = "check.paused_since": "It has been paused since {since}.";
    pub(super) fn pepper_known() = "check.pepper_known":
        "The server's own secret for checking this key (the pepper) is configured, or none is needed.";
    pub(super) fn pepper_unknown() = "check.pepper_unknown":
        "The server's own secret for checking this key (the pepper) is not configured on this server.";
    pub(super) fn readable() = "check.readable": "The stored data of the key can be read.";
    pub(super) fn revoked_by(at: Timestamp, by: &ActorId) = "check.revoked_by": "It was revoked at {at} by {by}.";
    pub(super) fn revoked_by_nobody(at: Timestamp) = "check.revoked_by_nobody":
        "It was revoked at {at}; who revoked it is not known.";
    pub(super) fn text_assumed() = "check.text_assumed":
        "This check assumes that the caller sends the complete, correct key. A key with this id but another secret \
         gets `invalid_key`.";
    pub(super) fn unreadable(column: &str) = "check.unreadable":
        "The stored data of the key cannot be read: the column `{column}` has an invalid value.";

    pub(super) fn accept_the_profile() = "remedy.accept_the_profile":
        "Configure every server to accept all hash profiles that were ever used.";
    pub(super) fn expiry_is_never_later() = "remedy.expiry_is_never_later":
        "An expiry can never be extended: create a new key.";
    pub(super) fn issue_a_new_key() = "remedy.issue_a_new_key": "This cannot be undone: create a new key.";
    pub(super) fn issue_for_another_owner() = "remedy.issue_for_another_owner":
        "This cannot be undone: create a key for a user or team that is not closed.";
    pub(super) fn keep_it_until_resumed() = "remedy.keep_it_until_resumed":
        "Keep the key: it works again as soon as an admin of the organization resumes it.";
    pub(super) fn look_at_the_clock() = "remedy.look_at_the_clock":
        "Check the clock of this server, and try again in 30 seconds.";
    pub(super) fn make_the_pepper_known() = "remedy.make_the_pepper_known": "Configure the pepper on every server.";
    pub(super) fn reinstate() = "remedy.reinstate": "Ask an admin of the organization to reinstate it.";
    pub(super) fn reinstate_the_organization() = "remedy.reinstate_the_organization":
        "Ask the support of the service to reinstate the organization.";
    pub(super) fn restore_the_record() = "remedy.restore_the_record":
        "Restore the data from a backup, or create a new key.";
    pub(super) fn upgrade_the_plan() = "remedy.upgrade_the_plan": "Upgrade the plan.";
}
