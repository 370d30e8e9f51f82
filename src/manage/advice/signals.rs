use super::{
    cadence::Cadence,
    caller::{Client, Program, program},
    evidence::{Evidence, Weight},
    gather,
    judge::judge,
    pattern::KeyUse,
    recommendation::{Advice, NextStep, Recommendation},
};
use crate::{
    key::KeyId,
    owner::KeyKind,
    record::{KeyName, KeyRecord, Labels},
    time::Timestamp,
    usage::{Source, UsageDetail},
};

/// The facts about a key that advice uses, besides its usage.
pub(in crate::manage) struct AdvisedKey<'a> {
    pub(in crate::manage) id: KeyId,
    pub(in crate::manage) kind: KeyKind,
    pub(in crate::manage) name: &'a KeyName,
    pub(in crate::manage) labels: &'a Labels,
    pub(in crate::manage) created_via_key: Option<&'a KeyId>,
    pub(in crate::manage) is_live: bool,
    /// Whether the actor's plan includes team keys.
    pub(in crate::manage) has_team_keys: bool,
}

impl<'a> AdvisedKey<'a> {
    pub(in crate::manage) fn new(record: &'a KeyRecord, now: Timestamp, has_team_keys: bool) -> Self {
        Self {
            id: record.id,
            kind: record.kind(),
            name: &record.name,
            labels: &record.labels,
            created_via_key: record.created_via_key.as_ref(),
            is_live: record.is_live(now),
            has_team_keys,
        }
    }
}

/// What this key should be, as far as its record and its usage show.
pub(in crate::manage) fn advise(key: &AdvisedKey<'_>, usage: &UsageDetail, now: Timestamp) -> Advice {
    let evidence = evidence_of(key, usage, now);
    let (recommendation, next) = if key.is_live {
        match judge(key.kind, &evidence, usage.totals().successes) {
            // The plan has no team keys to make.
            (Recommendation::MakeTeamKey, _) if !key.has_team_keys => {
                (Recommendation::MakeServiceUserKey, NextStep::IssueForServiceUser)
            }
            judged => judged,
        }
    } else {
        (Recommendation::AlreadyDead, NextStep::Nothing)
    };
    let cadence = Cadence::of(usage.successes(), now);
    Advice {
        key: key.id,
        kind: key.kind,
        recommendation,
        recommendation_sentence: recommendation.sentence(),
        next,
        next_sentence: next.sentence(),
        evidence,
        cadence,
        notes: Vec::new(),
        counted: None,
    }
}

/// Why one person seems to use a team key by hand: recorded evidence, moderate or strong. Empty if anything recorded
/// says that it does a team's work.
pub(in crate::manage) fn personal_because(record: &KeyRecord, usage: &UsageDetail, now: Timestamp) -> Vec<Evidence> {
    let mut evidence = evidence_of(&AdvisedKey::new(record, now, true), usage, now);
    if evidence.iter().any(|one| one.is(KeyKind::Team, true)) {
        return Vec::new();
    }
    evidence.retain(|one| one.is(KeyKind::User, true) && one.weight >= Weight::Moderate);
    evidence
}

/// Why more than one person seems to depend on a key: recorded evidence, moderate or strong.
pub(in crate::manage) fn shared_because(record: &KeyRecord, usage: &UsageDetail, now: Timestamp) -> Vec<Evidence> {
    let mut evidence = evidence_of(&AdvisedKey::new(record, now, true), usage, now);
    evidence.retain(|one| one.is(KeyKind::Team, true) && one.weight >= Weight::Moderate);
    evidence
}

/// Where a key is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::manage) enum InstalledAt<'a> {
    /// In more places than the counts keep apart.
    Many,
    /// With this program, or in this network.
    One(&'a str),
}

/// Where a key that is used from this source is installed. `None` where nothing says so, and for tools for trying keys
/// that are installed somewhere else: browsers, editors, API clients, curl.
pub(in crate::manage) fn installed_at(source: &Source) -> Option<InstalledAt<'_>> {
    match Client::of(source) {
        Client::None => Some(source.network()).filter(|network| !network.is_empty()).map(InstalledAt::One),
        Client::Other => Some(InstalledAt::Many),
        Client::Program(name) => match program(name) {
            Program::Browser | Program::HandTool | Program::Known(KeyUse::EditorSession) => None,
            Program::Known(_) | Program::Library => Some(InstalledAt::One(name)),
        },
    }
}

fn evidence_of(key: &AdvisedKey<'_>, usage: &UsageDetail, now: Timestamp) -> Vec<Evidence> {
    let AdvisedKey { name, labels, created_via_key, .. } = *key;
    gather::evidence(&gather::KeyFacts { name, labels, created_via_key, usage, now })
}
