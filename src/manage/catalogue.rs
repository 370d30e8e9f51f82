//! The list of all sentences, for translators.

use super::{
    advice, denial, invalid, inventory, known, leak, lint, misconfigured, plan, problem, quota, reconcile, rotation,
    soon, staleness, verdict,
};
use crate::{
    networks::InvalidNetworks,
    outcome::Outcome,
    record::{InvalidLabels, InvalidName, InvalidNamePart, InvalidResponsible},
    sentence::Sentence,
    usage::CallHistory,
};

/// An example of every sentence there is, in the order of their ids: the list to translate for another language. Ids
/// and the names and types of arguments are stable; new sentences come with new versions.
///
/// ```
/// for sentence in tower_api_keys::manage::sentences() {
///     println!("{} {}", sentence.id(), sentence.template());
/// }
/// ```
#[must_use]
pub fn sentences() -> Vec<Sentence> {
    let mut all = [
        advice::sentences(),
        CallHistory::ALL.map(CallHistory::sentence).to_vec(),
        denial::all(),
        inventory::KeyFlag::ALL.map(inventory::KeyFlag::sentence).to_vec(),
        inventory::sentences(),
        invalid::InvalidInput::ALL.map(invalid::InvalidInput::sentence).to_vec(),
        InvalidLabels::sentences(),
        InvalidName::sentences(),
        InvalidNamePart::sentences(),
        InvalidNetworks::sentences(),
        InvalidResponsible::sentences(),
        known::KnownKeyProblem::ALL.map(known::KnownKeyProblem::sentence).to_vec(),
        leak::sentences(),
        lint::NameAdvice::ALL.map(lint::NameAdvice::sentence).to_vec(),
        misconfigured::Misconfiguration::ALL.map(misconfigured::Misconfiguration::sentence).to_vec(),
        Outcome::sentences(),
        plan::all(),
        problem::all(),
        quota::all(),
        reconcile::all(),
        rotation::RotationStage::ALL.map(rotation::RotationStage::sentence).to_vec(),
        soon::all(),
        staleness::all(),
        verdict::all(),
    ]
    .concat();
    all.sort_by(|one, other| one.id().cmp(other.id()));
    all
}
