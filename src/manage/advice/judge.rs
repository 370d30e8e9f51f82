//! From evidence to a recommendation.

use super::{
    evidence::{Evidence, Weight},
    gather::FEW,
    recommendation::{NextStep, Recommendation},
};
use crate::owner::KeyKind;

/// The result of this evidence for a live key of this kind with this many accepted requests. [`Advice`](super::Advice)
/// documents the rules.
pub(super) fn judge(kind: KeyKind, evidence: &[Evidence], accepted: i64) -> (Recommendation, NextStep) {
    use KeyKind::{Team, User};
    let points = |kind, is_recorded| -> u32 {
        let of_kind = evidence.iter().filter(|evidence| evidence.is(kind, is_recorded));
        of_kind.map(|evidence| evidence.weight.points()).sum()
    };
    let is_strong = |kind| evidence.iter().any(|one| one.is(kind, true) && one.weight == Weight::Strong);
    let other = match kind {
        User => Team,
        Team => User,
    };
    let (own, against) = (points(kind, true), points(other, true));
    let enough = Weight::Moderate.points();
    // A pipeline's key stays a team key although a person also uses it by hand, whichever of the two uses it more.
    let is_clear = match kind {
        User => is_strong(Team) || (against >= enough && against > own),
        Team => !is_strong(Team) && against >= enough && against > own,
    };
    let is_mixed = is_strong(User) && points(Team, true) > 0;
    if is_clear {
        return change(kind, is_mixed);
    }
    if own > 0 && own >= against {
        return keep(kind, is_mixed && kind == Team);
    }
    if accepted < FEW {
        return (Recommendation::NotEnoughEvidence, NextStep::WaitForUse);
    }
    let (written_own, written_against) = (points(kind, false), points(other, false));
    if written_against > 0 && written_against + against > written_own + own {
        return change(kind, false);
    }
    if written_against > 0 { (Recommendation::NotEnoughEvidence, NextStep::AskThePeople) } else { keep(kind, false) }
}

const fn change(kind: KeyKind, is_mixed: bool) -> (Recommendation, NextStep) {
    match kind {
        KeyKind::User if is_mixed => (Recommendation::MakeTeamKey, NextStep::IssueTeamKeyBeside),
        KeyKind::User => (Recommendation::MakeTeamKey, NextStep::RotateIntoTeam),
        KeyKind::Team => (Recommendation::MakePersonalKey, NextStep::IssuePersonalKey),
    }
}

const fn keep(kind: KeyKind, is_mixed: bool) -> (Recommendation, NextStep) {
    match kind {
        KeyKind::User => (Recommendation::KeepPersonal, NextStep::Nothing),
        KeyKind::Team if is_mixed => (Recommendation::KeepTeam, NextStep::IssuePersonalKeyBeside),
        KeyKind::Team => (Recommendation::KeepTeam, NextStep::Nothing),
    }
}
