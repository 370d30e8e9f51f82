use std::{collections::HashMap, sync::Arc};

use crate::{
    audit::{Action, Audience, Event, EventRow, Subject},
    key::KeyId,
    owner::OrganizationId,
    principal::SharedOwner,
    record::{ActorId, SystemLabel},
    time::Timestamp,
};

/// The most customers whose missing lines are counted separately between two writes.
const MOST_GAPS: usize = 1_000;

/// Missing, or possibly missing, lines of one customer at one place.
pub(in crate::auth) struct Gap {
    count: u64,
    first_at: Timestamp,
    last_at: Timestamp,
    /// The key of the first line.
    key: KeyId,
    owner: Arc<SharedOwner>,
}

/// Missing lines by customer: one customer's trail does not mention another's.
#[derive(Default)]
pub(in crate::auth) struct Gaps {
    of: HashMap<OrganizationId, Gap>,
    /// Lines of further customers, or of unknown ones: reported only in the metrics and in the log.
    untold: u64,
}

impl Gap {
    /// `count` missing lines from between these two times, about this key.
    pub(in crate::auth) const fn new(
        count: u64,
        [first_at, last_at]: [Timestamp; 2],
        key: KeyId,
        owner: Arc<SharedOwner>,
    ) -> Self {
        Self { count, first_at, last_at, key, owner }
    }

    fn add(&mut self, more: &Self) {
        self.count += more.count;
        self.first_at = self.first_at.min(more.first_at);
        self.last_at = self.last_at.max(more.last_at);
    }

    /// The event that reports the gap.
    pub(in crate::auth) fn row(&self) -> Option<EventRow> {
        #[derive(serde::Serialize)]
        struct Said {
            count: u64,
            first_at: Timestamp,
            last_at: Timestamp,
        }
        let said = serde_json::to_string(&Said { count: self.count, first_at: self.first_at, last_at: self.last_at });
        let actor = ActorId::System(SystemLabel::new("authenticator").ok()?);
        let subject = Subject::Key(self.key, self.owner.of.owner.clone());
        let event =
            Event::new(self.owner.of.organization.clone(), self.last_at, actor, Action::ATTEMPT_DROPPED, subject);
        // They may have been of any key.
        Some(EventRow::from(&event.with_change(None, said.ok()).with_audience(Audience::Organization)))
    }
}

impl Gaps {
    pub(in crate::auth) fn add(&mut self, gap: Gap) {
        let organization = &gap.owner.of.organization;
        if let Some(known) = self.of.get_mut(organization) {
            known.add(&gap);
        } else if self.of.len() < MOST_GAPS {
            self.of.insert(organization.clone(), gap);
        } else {
            self.untold += gap.count;
        }
    }

    /// Adds lines whose customer is unknown.
    pub(in crate::auth) const fn add_untold(&mut self, lines: u64) {
        self.untold += lines;
    }

    /// The gaps, in the order in which they began, and the lines that are in none.
    pub(in crate::auth) fn into_parts(self) -> (Vec<Gap>, u64) {
        let mut gaps: Vec<_> = self.of.into_values().collect();
        gaps.sort_unstable_by_key(|gap| (gap.first_at, gap.key));
        (gaps, self.untold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::owner::{OwnerRef, UserId};

    fn gap(organization: &str, millis: i64) -> Gap {
        let organization = OrganizationId::new(organization).unwrap();
        let owner = OwnerRef { organization, owner: UserId::new("alice").unwrap().into() };
        Gap::new(1, [Timestamp::from_millis(millis).unwrap(); 2], KeyId::FAKE, SharedOwner::new(owner))
    }

    #[test]
    fn missing_lines_are_counted_for_each_customer() {
        let mut gaps = Gaps::default();
        for (organization, millis) in [("a", 2_000), ("b", 1_000), ("a", 3_000)] {
            gaps.add(gap(organization, millis));
        }
        let rows: Vec<_> = gaps.into_parts().0.iter().filter_map(Gap::row).collect();
        let told: Vec<_> = rows.iter().map(|row| (row.organization.as_str(), row.at, row.after.as_deref())).collect();
        let said = |count, first, last| {
            Some(format!(
                r#"{{"count":{count},"first_at":"1970-01-01T00:00:0{first}Z","last_at":"1970-01-01T00:00:0{last}Z"}}"#
            ))
        };
        let (of_b, of_a) = (said(1, 1, 1), said(2, 2, 3));
        assert_eq!(told, [("b", 1_000, of_b.as_deref()), ("a", 3_000, of_a.as_deref())]);
    }

    #[test]
    fn lines_of_too_many_customers_are_counted_together() {
        let mut gaps = Gaps::default();
        for number in 0..MOST_GAPS + 5 {
            gaps.add(gap(&number.to_string(), 1));
        }
        gaps.add(gap("0", 1));
        gaps.add_untold(1);
        let (gaps, untold) = gaps.into_parts();
        assert_eq!((gaps.len(), untold), (MOST_GAPS, 6));
    }
}
