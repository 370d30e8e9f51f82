//! The checks of a key, in the order of the check itself, on what is known of it.

use std::time::Duration;

use super::explanation::{CallCheck, CallVerdict, CheckKind, CheckResult, Explanation};
use crate::{
    audit::Action,
    key::KeyId,
    manage::{
        access::Access,
        actor::Actor,
        error::ManageError,
        manager::KeyManager,
        policy::{KeyAction, Target},
    },
    owner::Owner,
    record::{ActorId, CorruptRow, KeyRecord, OwnerStatus, Standing, Stopped, Suspension, standing},
    store::EventQuery,
    time::ClockReading,
    usage::UsageDetail,
};

/// What is known of a key that stands in the store.
pub(in crate::manage) struct State {
    pub(in crate::manage) id: KeyId,
    pub(in crate::manage) known: Result<Readable, CorruptRow>,
    pub(in crate::manage) usage: UsageDetail,
    pub(in crate::manage) now: ClockReading,
}

/// A record and a status that can be read, and what this node makes of the hash.
pub(in crate::manage) struct Readable {
    pub(in crate::manage) record: KeyRecord,
    pub(in crate::manage) owner: OwnerStatus,
    /// Who suspended or closed the owner, if that is known.
    pub(in crate::manage) owner_changed_by: Option<ActorId>,
    pub(in crate::manage) knows_pepper: bool,
    pub(in crate::manage) accepts_hash: bool,
}

pub(in crate::manage) fn explain(state: State) -> Explanation {
    let State { id, known, usage, now } = state;
    let verdict = known.as_ref().map_or(CallVerdict::CorruptRecord, |readable| verdict(readable, now));
    let mut checks = vec![passed(CheckKind::Exists, "There is a key of this id.")];
    match &known {
        Ok(readable) => checks.extend(of_readable(readable, now)),
        Err(corrupt) => checks.extend(of_corrupt(*corrupt)),
    }
    let call_history = usage.call_history();
    Explanation {
        key: id,
        asked_at: now.now(),
        verdict,
        checks,
        call_history,
        call_history_sentence: call_history.meaning(),
        seen: usage.by_outcome(),
    }
}

/// What a check of the key would end with: the pepper is looked for first, and what the hash costs last.
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
        passed(CheckKind::Readable, "Its record can be read."),
        if known.knows_pepper {
            passed(CheckKind::PepperKnown, "This node can check its hash as far as peppers go.")
        } else {
            let sentence = "Its hash was made with a pepper that this node does not know.";
            let remedy = "Make the pepper known to every node.";
            failed(CheckKind::PepperKnown, sentence, remedy)
        },
        CallCheck {
            result: CheckResult::Assumed,
            ..passed(
                CheckKind::TextMatches,
                "Whoever shows another text with this id gets `invalid_key`: that the text is the right one is assumed.",
            )
        },
        not_revoked(record),
        not_expired(record, now),
        not_paused(record),
        owner_active(known),
        if known.accepts_hash {
            passed(CheckKind::HashAccepted, "This node accepts what its hash costs.")
        } else if known.knows_pepper {
            let sentence = "Its hash was made at a cost that this node does not accept.";
            let remedy = "Let every node accept the hash profiles that were ever used.";
            failed(CheckKind::HashAccepted, sentence, remedy)
        } else {
            unknown(CheckKind::HashAccepted, "Without the pepper its hash is not looked at.")
        },
    ]
}

fn not_revoked(record: &KeyRecord) -> CallCheck {
    let Some(revoked) = &record.revoked else { return passed(CheckKind::NotRevoked, "It is not revoked.") };
    let by = revoked.by.as_ref().map_or_else(|| ", nobody knows by whom".to_owned(), |by| format!(" by {by}"));
    let remedy = "That is final: issue a new key.";
    CallCheck {
        since: Some(revoked.at),
        by: revoked.by.clone(),
        ..failed(CheckKind::NotRevoked, format!("It was revoked at {}{by}.", revoked.at), remedy)
    }
}

fn not_expired(record: &KeyRecord, now: ClockReading) -> CallCheck {
    let Some(end) = record.expires_at else { return passed(CheckKind::NotExpired, "It does not expire.") };
    match now.has_passed(end) {
        Ok(false) => passed(CheckKind::NotExpired, format!("It expires at {end}.")),
        Err(_) => CallCheck {
            remedy: Some("Look at the clock of this node; which time is right shows within half a minute."),
            ..unknown(
                CheckKind::NotExpired,
                format!("It expires at {end}, and nobody can say whether that is past: the clock of this node jumped."),
            )
        },
        Ok(true) => {
            let remedy = "An expiry is never moved later: issue a new key.";
            let sentence = format!("It expired at {end}.");
            CallCheck { since: Some(end), ..failed(CheckKind::NotExpired, sentence, remedy) }
        }
    }
}

fn not_paused(record: &KeyRecord) -> CallCheck {
    let Some(paused) = &record.paused else { return passed(CheckKind::NotPaused, "It is not paused.") };
    let by = paused.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let remedy = "Keep it: it works again once an admin of the organization has resumed it.";
    CallCheck {
        since: Some(paused.at),
        by: paused.by.clone(),
        ..failed(CheckKind::NotPaused, format!("It is paused since {}{by}.", paused.at), remedy)
    }
}

fn owner_active(known: &Readable) -> CallCheck {
    let owner = &known.record.owner;
    let Some((stopped, since)) = known.owner.stopped() else {
        return passed(CheckKind::OwnerActive, format!("The {owner} is neither suspended nor closed."));
    };
    let (how, remedy) = match stopped {
        Stopped::Closed => ("closed for good", "That is final: issue a key of another owner."),
        Stopped::Suspended(Suspension::Admin) => ("suspended", "Ask an admin of the organization to reinstate it."),
        Stopped::Suspended(Suspension::Plan) => {
            ("suspended, because its plan does not include these keys,", "Upgrade the plan.")
        }
    };
    let is_both = Suspension::ALL.into_iter().all(|suspension| known.owner.has(suspension));
    let more = if stopped == Stopped::Suspended(Suspension::Admin) && is_both {
        " Its plan does not include these keys either."
    } else {
        ""
    };
    let by = known.owner_changed_by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    CallCheck {
        since: Some(since),
        by: known.owner_changed_by.clone(),
        ..failed(CheckKind::OwnerActive, format!("The {owner} is {how} since {since}{by}.{more}"), remedy)
    }
}

fn of_corrupt(corrupt: CorruptRow) -> Vec<CallCheck> {
    let sentence = format!("Its record cannot be read: {corrupt}.");
    let mut checks =
        vec![failed(CheckKind::Readable, sentence, "Restore the record from a backup, or issue a new key.")];
    for kind in [
        CheckKind::PepperKnown,
        CheckKind::TextMatches,
        CheckKind::NotRevoked,
        CheckKind::NotExpired,
        CheckKind::NotPaused,
        CheckKind::OwnerActive,
        CheckKind::HashAccepted,
    ] {
        checks.push(unknown(kind, "This cannot be looked at before the record can be read."));
    }
    checks
}

fn passed(kind: CheckKind, sentence: impl Into<String>) -> CallCheck {
    CallCheck { kind, result: CheckResult::Passed, sentence: sentence.into(), since: None, by: None, remedy: None }
}

fn failed(kind: CheckKind, sentence: impl Into<String>, remedy: &'static str) -> CallCheck {
    CallCheck { result: CheckResult::Failed, remedy: Some(remedy), ..passed(kind, sentence) }
}

fn unknown(kind: CheckKind, sentence: impl Into<String>) -> CallCheck {
    CallCheck { result: CheckResult::Unknown, ..passed(kind, sentence) }
}

impl KeyManager {
    /// What would happen if this key called now, and why: every check that a request meets, in its order, with since when
    /// and by whom, and what would change it; and how requests with it ended so far, so that a program that never called
    /// is told from one that calls and fails. One that sends half a key, or the blank it should have replaced, names no key:
    /// look for it in [`refusals_without_key`](Self::refusals_without_key).
    ///
    /// A record that cannot be read is explained too. Pepper and cost of the hash are judged as this node is set up.
    ///
    /// # Errors
    /// [`ManageErrorKind`](crate::manage::ManageErrorKind): not found, denied (whoever may not see the usage), corrupt
    /// record (a count of use, or a row that the store itself cannot read), store unavailable.
    pub async fn explain(&self, id: &KeyId, actor: &Actor) -> Result<Explanation, ManageError> {
        let access = self.acting(actor, &[KeyAction::SeeUsage]).await?;
        let found = access.even_unreadable(id, KeyAction::SeeUsage).await?;
        let record = KeyRecord::try_from(&found.key);
        let known = match record.and_then(|record| Ok((record, found.status()?))) {
            Ok((record, owner)) => Ok(Readable {
                owner_changed_by: access.who_changed(&record.owner, &owner).await?,
                knows_pepper: access.parts.hasher.knows_pepper(&record.hash),
                accepts_hash: access.parts.hasher.accepts(&record.hash),
                record,
                owner,
            }),
            Err(corrupt) => Err(corrupt),
        };
        let usage = access.usage_of_one(id).await?;
        Ok(explain(State { id: *id, known, usage, now: access.parts.clock.reading() }))
    }
}

impl Access<'_> {
    /// Who suspended or closed the owner, if the audit trail still says so and the actor may read it.
    async fn who_changed(&self, owner: &Owner, status: &OwnerStatus) -> Result<Option<ActorId>, ManageError> {
        let Some((stopped, since)) = status.stopped() else { return Ok(None) };
        if !self.may(KeyAction::Audit, &Target::Owner(owner)) {
            return Ok(None);
        }
        let (action, of) = match stopped {
            Stopped::Closed => (Action::OWNER_CLOSED, None),
            Stopped::Suspended(suspension) => (Action::OWNER_SUSPENDED, Some(suspension.as_str())),
        };
        // The event of a change has the time of the change: what plain SQL did has none.
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
