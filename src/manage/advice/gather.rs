//! The evidence for a personal key and for a team key, from what is known of one key.

use std::{collections::BTreeMap, time::Duration};

use super::{
    cadence::Cadence,
    caller::{Client, Program, caller, program},
    evidence::{Evidence, EvidenceKind, Weight},
    pattern::KeyUse,
    words,
};
use crate::{
    key::KeyId,
    record::{KeyName, Labels},
    sentence::{Sentence, sentences},
    time::Timestamp,
    usage::{Source, UsageCount, UsageDetail},
};

/// Fewer requests than this weigh little, whatever the caller: they may have been a trial.
pub(super) const FEW: i64 = 3;

/// This many networks with a few requests each are more than one person who travels.
const MANY_NETWORKS: usize = 5;

/// This many programs, besides those that people use by hand, are more than one person runs.
const MANY_PROGRAMS: usize = 4;

/// What is known of a key.
pub(super) struct KeyFacts<'a> {
    pub(super) name: &'a KeyName,
    pub(super) labels: &'a Labels,
    /// The key that made it, if one did.
    pub(super) created_via_key: Option<&'a KeyId>,
    pub(super) usage: &'a UsageDetail,
    pub(super) now: Timestamp,
}

/// All the evidence: recorded first, then written, each in falling weight.
pub(super) fn evidence(facts: &KeyFacts<'_>) -> Vec<Evidence> {
    let mut callers: BTreeMap<Source, Vec<&UsageCount>> = BTreeMap::new();
    for count in facts.usage.successes() {
        callers.entry(caller(&count.source)).or_default().push(count);
    }
    let mut found: Vec<_> = callers.iter().flat_map(|(caller, counts)| of_caller(caller, counts, facts.now)).collect();
    found.extend(of_all_sources(facts.usage));
    if found.is_empty() {
        found.push(Evidence::told(EvidenceKind::Unclear, unclear(facts)));
    }
    found.extend(written(facts));
    found.sort_by_key(|evidence| (!evidence.kind.is_recorded(), std::cmp::Reverse(evidence.weight)));
    found
}

/// Evidence from the requests of one caller, over all of its networks.
fn of_caller(caller: &Source, counts: &[&UsageCount], now: Timestamp) -> Vec<Evidence> {
    let Some(cadence) = Cadence::of(counts.iter().copied(), now) else { return Vec::new() };
    let of_program = match Client::of(caller) {
        Client::Program(name) => Some((name, program(name))),
        Client::None | Client::Other => None,
    };
    let calls = || cadence.sentence();
    let mut found = Vec::new();
    let mut add = |kind, points_to, weight: Weight, sentence| {
        // A few requests may have been a trial, and old ones say little about today.
        let weight = if cadence.count < FEW { Weight::Weak } else { weight };
        let weight = if cadence.is_old(now) { weight.less() } else { weight };
        found.push(Evidence::new(kind, points_to, weight, sentence));
    };
    match of_program {
        Some((name, Program::Known(of))) => {
            add(EvidenceKind::Client, of, Weight::Strong, known_client(name, of.phrase(), calls()));
        }
        Some((_, Program::Browser)) => {
            add(EvidenceKind::Client, KeyUse::EditorSession, Weight::Moderate, browser(calls()));
        }
        _ => {}
    }
    if words::is_webhook_door(caller.label()) {
        let sentence = webhook_door(caller.label(), calls());
        add(EvidenceKind::SourceLabel, KeyUse::WebhookHandler, Weight::Moderate, sentence);
    }
    // People use their tools at any time of day; of other programs the timing is evidence.
    if !matches!(of_program, Some((_, Program::Known(_) | Program::Browser))) {
        if let Some(every) = cadence.schedule() {
            let sentence = match caller.is_empty() {
                true => schedule_of_nobody(every, calls()),
                false => schedule(caller, every, calls()),
            };
            add(EvidenceKind::Cadence, KeyUse::ScheduledJob, Weight::Moderate, sentence);
        } else if cadence.is_more_than_by_hand() {
            let sentence = match caller.is_empty() {
                true => volume_of_nobody(calls()),
                false => volume(caller, calls()),
            };
            add(EvidenceKind::Volume, KeyUse::SharedHost, Weight::Moderate, sentence);
        }
    }
    found
}

/// Evidence from the number of sources.
fn of_all_sources(usage: &UsageDetail) -> Vec<Evidence> {
    let (mut networks, mut programs, mut folded) = (BTreeMap::new(), BTreeMap::new(), 0_i64);
    for count in usage.successes() {
        let network = Some(count.source.network()).filter(|network| !network.is_empty());
        let sums = [
            network.map(|network| networks.entry(network).or_default()),
            match Client::of(&count.source) {
                Client::Program(name) if program(name) == Program::Library => Some(programs.entry(name).or_default()),
                Client::Other => Some(&mut folded),
                Client::None | Client::Program(_) => None,
            },
        ];
        for sum in sums.into_iter().flatten() {
            *sum = sum.saturating_add(count.count);
        }
    }
    let not_few = |sums: BTreeMap<&str, i64>| sums.into_values().filter(|sum| *sum >= FEW).count();
    let (networks, programs) = (not_few(networks), not_few(programs));
    let mut found = Vec::new();
    if networks >= MANY_NETWORKS {
        let sentence = many_networks(networks);
        found.push(Evidence::new(EvidenceKind::Networks, KeyUse::SharedHost, Weight::Moderate, sentence));
    }
    if programs >= MANY_PROGRAMS {
        let sentence = many_programs(programs);
        found.push(Evidence::new(EvidenceKind::Programs, KeyUse::SharedHost, Weight::Moderate, sentence));
    }
    if folded >= FEW {
        let sentence = too_many_to_tell_apart();
        found.push(Evidence::new(EvidenceKind::Programs, KeyUse::SharedHost, Weight::Strong, sentence));
    }
    found
}

/// Evidence from what people wrote about the key.
fn written(facts: &KeyFacts<'_>) -> Vec<Evidence> {
    let weak = |kind, points_to, sentence| Evidence::new(kind, points_to, Weight::Weak, sentence);
    let name = words::uses_of_name(facts.name.as_str())
        .into_iter()
        .map(|(of, word)| weak(EvidenceKind::Name, of, name_says(word, of.phrase())));
    let labels = facts.labels.iter().flat_map(|(label, value)| {
        words::uses(value)
            .into_iter()
            .map(move |(of, word)| weak(EvidenceKind::Label, of, label_says(label, word, of.phrase())))
    });
    let maker = facts.created_via_key.map(|_| weak(EvidenceKind::Creator, KeyUse::SharedHost, made_by_key()));
    name.chain(labels).chain(maker).collect()
}

/// The sentence where requests prove nothing.
fn unclear(facts: &KeyFacts<'_>) -> Sentence {
    match Cadence::of(facts.usage.successes(), facts.now) {
        None if facts.usage.refusals().next().is_some() => only_refused(),
        None => never_used(),
        Some(cadence) if cadence.count < FEW => too_few(cadence.sentence()),
        Some(cadence) => says_nothing(cadence.sentence()),
    }
}

sentences! {
    pub(in crate::manage) fn all;

    fn browser(calls: Sentence) = "evidence.browser":
        "Used by a browser, or by a program that identifies itself as a browser: {calls}";
    fn known_client(client: &str, what: Sentence, calls: Sentence) = "evidence.known_client":
        "`{client}` is {what}: {calls}";
    fn label_says(label: &str, word: &str, what: Sentence) = "evidence.label_says":
        "Its label `{label}` says `{word}`: {what}.";
    fn made_by_key() = "evidence.made_by_key": "It was created with another key, so a program manages it.";
    fn many_networks(networks: usize) = "evidence.many_networks": "It is used from {networks} networks.";
    fn many_programs(programs: usize) = "evidence.many_programs": "It is used by {programs} different programs.";
    fn name_says(word: &str, what: Sentence) = "evidence.name_says": "Its name says `{word}`: {what}.";
    fn never_used() = "evidence.never_used": "No request with it has arrived yet.";
    fn only_refused() = "evidence.only_refused":
        "No request with it has been accepted yet, and refused requests do not show how a key is meant to be used.";
    fn says_nothing(calls: Sentence) = "evidence.says_nothing":
        "Its sources and times of use do not show whether a person or a program uses it: {calls}";
    fn schedule(source: &Source, every: Duration, calls: Sentence) = "evidence.schedule":
        "From `{source}`, one request every {every} on average: {calls}";
    fn schedule_of_nobody(every: Duration, calls: Sentence) = "evidence.schedule_of_nobody":
        "From a program that did not give its name, one request every {every} on average: {calls}";
    fn too_few(calls: Sentence) = "evidence.too_few":
        "There are too few requests to see whether a person or a program uses it: {calls}";
    fn too_many_to_tell_apart() = "evidence.too_many_to_tell_apart":
        "It is used by too many programs or networks to list them separately.";
    fn volume(source: &Source, calls: Sentence) = "evidence.volume":
        "From `{source}`, more requests than a person makes by hand: {calls}";
    fn volume_of_nobody(calls: Sentence) = "evidence.volume_of_nobody":
        "From a program that did not give its name, more requests than a person makes by hand: {calls}";
    fn webhook_door(label: &str, calls: Sentence) = "evidence.webhook_door":
        "Requests arrive at the address where `{label}` receives webhooks: {calls}";
}
