//! What keys should be, what depends on people, and what would happen: pure functions of what is known.

mod advise;
mod cadence;
mod caller;
mod evidence;
mod gather;
mod judge;
mod pattern;
mod words;

#[cfg(test)]
mod tests;

pub use advise::{Advice, NextStep, Recommendation};
pub use cadence::Cadence;
pub use evidence::{Evidence, EvidenceKind, Weight};
pub use pattern::KeyUse;

use crate::{record::KeyRecord, time::Timestamp, usage::UsageDetail};

/// What this key should be, as far as its record and its usage tell.
pub(super) fn advise(record: &KeyRecord, usage: &UsageDetail, now: Timestamp) -> Advice {
    let facts = gather::Facts {
        name: &record.name,
        labels: &record.labels,
        created_with: record.created_with.as_ref(),
        usage,
        now,
    };
    let evidence = gather::evidence(&facts);
    let (recommendation, next) = if record.is_live(now) {
        judge::judge(record.kind(), &evidence, usage.totals().successes)
    } else {
        (Recommendation::AlreadyDead, NextStep::Nothing)
    };
    let cadence = Cadence::of(usage.successes(), now);
    Advice { key: record.id, kind: record.kind(), recommendation, next, evidence, cadence }
}
