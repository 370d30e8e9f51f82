//! The checks of a key on what is known of it, in the order in which a request runs them.

use std::time::Duration;

use super::{
    checks::{
        accept_the_profile, any_network, does_not_expire, exists, expired, expires, expiry_in_doubt,
        expiry_is_never_later, hash_accepted, hash_not_looked_at, hash_refused, issue_a_new_key,
        issue_for_another_owner, keep_it_until_resumed, look_at_the_clock, make_the_pepper_known, network_assumed,
        not_looked_at, not_paused, not_revoked, organization_closed, organization_plan_suspended,
        organization_suspended, owner_active, owner_closed, owner_closed_by, owner_plan_suspended,
        owner_plan_suspended_by, owner_suspended, owner_suspended_by, owner_suspended_twice, owner_suspended_twice_by,
        paused_by, paused_since, pepper_known, pepper_unknown, readable, reinstate, reinstate_the_organization,
        restore_the_record, revoked_by, revoked_by_nobody, text_assumed, unreadable, upgrade_the_plan,
    },
    explanation::{CallCheck, CallVerdict, CheckKind, CheckResult, Explanation},
    said,
};
use crate::{
    audit::Action,
    key::KeyId,
    manage::{
        access::Access,
        actor::Actor,
        counted::CountedUntil,
        error::ManageError,
        info::made_by_another,
        manager::KeyManager,
        names::{Names, Presence},
        policy::{KeyAction, Target},
        soon::{SOON, ends_soon, ends_within, rotation_due},
    },
    owner::Owner,
    record::{ActorId, CorruptRow, KeyRecord, OwnerStatus, Standing, Stopped, Suspension, standing},
    sentence::Sentence,
    store::EventQuery,
    time::ClockReading,
    usage::UsageDetail,
};

/// What is known of a key in the store.
pub(in crate::manage) struct State {
    pub(in crate::manage) id: KeyId,
    pub(in crate::manage) known: Result<Readable, CorruptRow>,
    pub(in crate::manage) usage: UsageDetail,
    pub(in crate::manage) now: ClockReading,
    pub(in crate::manage) counted: CountedUntil,
}

/// A record and a status that can be read, and how this node judges the hash.
pub(in crate::manage) struct Readable {
    pub(in crate::manage) record: KeyRecord,
    pub(in crate::manage) owner: OwnerStatus,
    /// The status of the organization, which the owner's status already includes.
    pub(in crate::manage) organization: OwnerStatus,
    /// Who suspended or closed the owner, if that is known.
    pub(in crate::manage) owner_changed_by: Option<ActorId>,
    pub(in crate::manage) knows_pepper: bool,
    pub(in crate::manage) accepts_hash: bool,
}

pub(in crate::manage) fn explain(state: State) -> Explanation {
    let State { id, known, usage, now, counted } = state;
    let verdict = known.as_ref().map_or(CallVerdict::CorruptRecord, |readable| verdict(readable, now));
    let mut checks = vec![passed(CheckKind::Exists, exists())];
    match &known {
        Ok(readable) => checks.extend(of_readable(readable, now)),
        Err(corrupt) => checks.extend(of_corrupt(*corrupt)),
    }
    let call_history = usage.call_history();
    Explanation {
        key: id,
        asked_at: now.now(),
        verdict,
        verdict_sentence: verdict.sentence(),
        checks,
        notes: Vec::new(),
        call_history,
        call_history_sentence: call_history.sentence(),
        seen: usage.by_outcome(),
        counted,
        names: Names::none(),
    }
}

/// How a check of the key would end: the pepper is checked first, the cost of the hash last.
fn verdict(known: &Readable, now: ClockReading) -> CallVerdict {
    match standing(&known.record, &known.owner, now) {
        _ if !known.knows_pepper => CallVerdict::CorruptRecord,
        Standing::Revoked => CallVerdict::KeyRevoked,
        Standing::Expired => CallVerdict::KeyExpired,
        Standing::ClockUnsure(_) => CallVerdict::ClockUnsure,
        Standing::Paused => CallVerdict::KeyPaused,
        Standing::OwnerClosed => CallVerdict::OwnerClosed,
        Standing::OwnerPlanSuspended => CallVerdict::OwnerPlanSuspended,
        Standing::OwnerSuspended => CallVerdict::OwnerSuspended,
        Standing::Good if !known.accepts_hash => CallVerdict::CorruptRecord,
        Standing::Good => CallVerdict::Accepted,
    }
}

fn of_readable(known: &Readable, now: ClockReading) -> Vec<CallCheck> {
    let record = &known.record;
    vec![
        passed(CheckKind::Readable, readable()),
        if known.knows_pepper {
            passed(CheckKind::PepperKnown, pepper_known())
        } else {
            failed(CheckKind::PepperKnown, pepper_unknown(), make_the_pepper_known())
        },
        assumed(CheckKind::TextMatches, text_assumed()),
        check_revoked(record),
        check_end(record, now),
        check_pause(record),
        check_owner(known),
        if known.accepts_hash {
            passed(CheckKind::HashAccepted, hash_accepted())
        } else if known.knows_pepper {
            failed(CheckKind::HashAccepted, hash_refused(), accept_the_profile())
        } else {
            unknown(CheckKind::HashAccepted, hash_not_looked_at())
        },
        match &record.networks {
            None => passed(CheckKind::NetworkAllowed, any_network()),
            Some(networks) => assumed(CheckKind::NetworkAllowed, network_assumed(networks.iter().collect())),
        },
    ]
}

fn check_revoked(record: &KeyRecord) -> CallCheck {
    let Some(revoked) = &record.revoked else { return passed(CheckKind::NotRevoked, not_revoked()) };
    let sentence = match &revoked.by {
        Some(by) => revoked_by(revoked.at, by),
        None => revoked_by_nobody(revoked.at),
    };
    CallCheck {
        since: Some(revoked.at),
        by: revoked.by.clone(),
        ..failed(CheckKind::NotRevoked, sentence, issue_a_new_key())
    }
}

fn check_end(record: &KeyRecord, now: ClockReading) -> CallCheck {
    let Some(end) = record.expires_at else { return passed(CheckKind::NotExpired, does_not_expire()) };
    match now.has_passed(end) {
        Ok(false) => passed(CheckKind::NotExpired, expires(end)),
        Err(_) => {
            CallCheck { remedy: Some(look_at_the_clock()), ..unknown(CheckKind::NotExpired, expiry_in_doubt(end)) }
        }
        Ok(true) => {
            CallCheck { since: Some(end), ..failed(CheckKind::NotExpired, expired(end), expiry_is_never_later()) }
        }
    }
}

fn check_pause(record: &KeyRecord) -> CallCheck {
    let Some(paused) = &record.paused else { return passed(CheckKind::NotPaused, not_paused()) };
    let sentence = match &paused.by {
        Some(by) => paused_by(paused.at, by),
        None => paused_since(paused.at),
    };
    CallCheck {
        since: Some(paused.at),
        by: paused.by.clone(),
        ..failed(CheckKind::NotPaused, sentence, keep_it_until_resumed())
    }
}

fn check_owner(known: &Readable) -> CallCheck {
    let owner = &known.record.owner;
    let Some((stopped, since)) = known.owner.stopped() else {
        return passed(CheckKind::OwnerActive, owner_active(owner));
    };
    // A status of the whole organization is not reported as the owner's.
    if known.organization.stopped() == Some((stopped, since)) {
        let (sentence, remedy) = match stopped {
            Stopped::Closed => (organization_closed(since), issue_for_another_owner()),
            Stopped::Suspended(Suspension::Plan) => (organization_plan_suspended(since), upgrade_the_plan()),
            Stopped::Suspended(Suspension::Admin) => (organization_suspended(since), reinstate_the_organization()),
        };
        return CallCheck { since: Some(since), ..failed(CheckKind::OwnerActive, sentence, remedy) };
    }
    let by = &known.owner_changed_by;
    let is_both = Suspension::ALL.into_iter().all(|suspension| known.owner.has(suspension));
    let (sentence, remedy) = match (stopped, by) {
        (Stopped::Closed, None) => (owner_closed(owner, since), issue_for_another_owner()),
        (Stopped::Closed, Some(by)) => (owner_closed_by(owner, since, by), issue_for_another_owner()),
        (Stopped::Suspended(Suspension::Plan), None) => (owner_plan_suspended(owner, since), upgrade_the_plan()),
        (Stopped::Suspended(Suspension::Plan), Some(by)) => {
            (owner_plan_suspended_by(owner, since, by), upgrade_the_plan())
        }
        (Stopped::Suspended(Suspension::Admin), None) if is_both => (owner_suspended_twice(owner, since), reinstate()),
        (Stopped::Suspended(Suspension::Admin), None) => (owner_suspended(owner, since), reinstate()),
        (Stopped::Suspended(Suspension::Admin), Some(by)) if is_both => {
            (owner_suspended_twice_by(owner, since, by), reinstate())
        }
        (Stopped::Suspended(Suspension::Admin), Some(by)) => (owner_suspended_by(owner, since, by), reinstate()),
    };
    CallCheck { since: Some(since), by: by.clone(), ..failed(CheckKind::OwnerActive, sentence, remedy) }
}

fn of_corrupt(corrupt: CorruptRow) -> Vec<CallCheck> {
    let mut checks = vec![failed(CheckKind::Readable, unreadable(corrupt.column()), restore_the_record())];
    for kind in [
        CheckKind::PepperKnown,
        CheckKind::TextMatches,
        CheckKind::NotRevoked,
        CheckKind::NotExpired,
        CheckKind::NotPaused,
        CheckKind::OwnerActive,
        CheckKind::HashAccepted,
        CheckKind::NetworkAllowed,
    ] {
        checks.push(unknown(kind, not_looked_at()));
    }
    checks
}

/// A note if the directory no longer has an owner whose keys are accepted.
fn note_of_missing(owner: &Owner, names: &Names) -> Option<Sentence> {
    match (owner, names.presence(owner)?) {
        (Owner::User(user), Presence::Left) => Some(said::owner_left(user)),
        (_, Presence::Unknown) => Some(said::owner_unknown(owner)),
        _ => None,
    }
}

const fn passed(kind: CheckKind, sentence: Sentence) -> CallCheck {
    CallCheck { kind, result: CheckResult::Passed, sentence, since: None, by: None, remedy: None }
}

fn assumed(kind: CheckKind, sentence: Sentence) -> CallCheck {
    CallCheck { result: CheckResult::Assumed, ..passed(kind, sentence) }
}

fn failed(kind: CheckKind, sentence: Sentence, remedy: Sentence) -> CallCheck {
    CallCheck { result: CheckResult::Failed, remedy: Some(remedy), ..passed(kind, sentence) }
}

fn unknown(kind: CheckKind, sentence: Sentence) -> CallCheck {
    CallCheck { result: CheckResult::Unknown, ..passed(kind, sentence) }
}

/// A note that another person made a personal key.
fn note_of_maker(record: &KeyRecord) -> Option<Sentence> {
    let Owner::User(user) = &record.owner else { return None };
    made_by_another(&record.owner, &record.created_by).map(|maker| said::made_by(maker, user))
}

impl KeyManager {
    /// Explains what would happen if this key called now: every check of a request in order, since when and because of
    /// whom it fails, and what would change it. It also says how requests with the key ended so far, which separates a
    /// program that never called from one that calls and fails. A program that sends half a key, or a placeholder,
    /// names no key: look for it in [`refusals_without_key`](Self::refusals_without_key).
    ///
    /// A record that cannot be read is explained, too. Pepper and cost of the hash are judged by the settings of this
    /// node.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): not found, denied (an actor that may not see the usage),
    /// corrupt record (of a usage count, or a row that the store itself cannot read), store unavailable.
    pub async fn explain(&self, id: &KeyId, actor: &Actor) -> Result<Explanation, ManageError> {
        let access = self.acting(actor, &[KeyAction::SeeUsage]).await?;
        let found = access.even_unreadable(id, KeyAction::SeeUsage).await?;
        let record = KeyRecord::try_from(&found.key);
        let statuses = || Ok((found.status()?, OwnerStatus::try_from(&found.organization)?));
        let known = match record.and_then(|record| Ok((record, statuses()?))) {
            Ok((record, (owner, organization))) => Ok(Readable {
                organization,
                owner_changed_by: access.who_changed(&record.owner, &owner).await?,
                knows_pepper: access.parts.hasher.knows_pepper(&record.hash),
                accepts_hash: access.parts.hasher.accepts(&record.hash),
                record,
                owner,
            }),
            Err(corrupt) => Err(corrupt),
        };
        let made_by = known.as_ref().ok().and_then(|readable| note_of_maker(&readable.record));
        let told = known.as_ref().ok().map(|readable| (readable.record.owner.clone(), readable.record.expires_at));
        let (lifetimes, now) = (&access.parts.rules.lifetimes, access.parts.clock.now());
        let due = known.as_ref().ok().and_then(|known| lifetimes.rotation_due_since(&known.record, now));
        let usage = access.usage_of_one(id).await?;
        let state = State { id: *id, known, usage, now: access.parts.clock.reading(), counted: access.counted };
        let mut explanation = explain(state);
        explanation.notes.extend(made_by);
        let names = access.parts.names(|mentions| explanation.mention(mentions)).await;
        if explanation.verdict == CallVerdict::Accepted {
            let (owner, end) = told.unzip();
            explanation.notes.extend(ends_within(end.flatten(), SOON, explanation.asked_at).map(ends_soon));
            explanation.notes.extend(due.map(rotation_due));
            explanation.notes.extend(owner.and_then(|owner| note_of_missing(&owner, &names)));
        }
        Ok(explanation.naming(names))
    }
}

impl Access<'_> {
    /// Who suspended or closed the owner, if the audit trail still has it and the actor may read it.
    async fn who_changed(&self, owner: &Owner, status: &OwnerStatus) -> Result<Option<ActorId>, ManageError> {
        let Some((stopped, since)) = status.stopped() else { return Ok(None) };
        if !self.may(KeyAction::Audit, &Target::Owner(owner)) {
            return Ok(None);
        }
        let (action, of) = match stopped {
            Stopped::Closed => (Action::OWNER_CLOSED, None),
            Stopped::Suspended(suspension) => (Action::OWNER_SUSPENDED, Some(suspension.as_str())),
        };
        // The event of a change has the time of the change; a change by plain SQL has no event.
        let query = EventQuery {
            owner: Some(owner.clone()),
            action: Some(action.as_str().to_owned()),
            from: Some(since),
            until: Some(since.saturating_add(Duration::from_millis(1))),
            ..EventQuery::all(self.parts.organization.clone())
        };
        let (events, _) = self.events(&query).await?;
        let event = events.iter().find(|event| event.key.is_none() && event.after.as_deref() == of);
        Ok(event.and_then(|event| event.actor.parse().ok()))
    }
}
