//! Decides which answers are wrong. All times are nanoseconds of one monotonic clock.

/// How one request ended.
#[derive(Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) key: u32,
    pub(crate) status: Status,
    /// Taken before the first byte of the request is written.
    pub(crate) started: u64,
    /// Taken after the answer is read.
    pub(crate) ended: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Accepted,
    Refused,
    Unavailable,
}

/// A time in which a key must not be accepted: the key was revoked, or its owner was suspended and not yet reinstated.
#[derive(Clone, Copy)]
pub(crate) struct Ban {
    pub(crate) begun: u64,
    pub(crate) returned: u64,
    /// When the call to reinstate began, and when it returned.
    pub(crate) reinstated: Option<(u64, u64)>,
}

/// The number of answers of each kind.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) requests: u64,
    pub(crate) stale_accepts: u64,
    pub(crate) refused_live: u64,
    pub(crate) unavailable: u64,
}

impl Verdict {
    /// Adds answers. The index in `bans` is the number of the key. A change may take effect up to `bound` after its
    /// return.
    pub(crate) fn add(&mut self, answers: &[Answer], bans: &[Vec<Ban>], bound: u64) {
        for answer in answers {
            let bans = bans.get(answer.key as usize).map_or(&[][..], Vec::as_slice);
            self.requests += 1;
            match answer.status {
                Status::Accepted => {
                    self.stale_accepts += u64::from(bans.iter().any(|ban| ban.forbids_accepting(answer, bound)));
                }
                Status::Refused => {
                    self.refused_live += u64::from(!bans.iter().any(|ban| ban.allows_refusing(answer, bound)));
                }
                Status::Unavailable => self.unavailable += 1,
            }
        }
    }
}

impl Ban {
    /// Whether the whole request, from start to end, was within the ban.
    fn forbids_accepting(&self, answer: &Answer, bound: u64) -> bool {
        answer.started > self.returned.saturating_add(bound)
            && self.reinstated.is_none_or(|(begun, _)| answer.ended < begun)
    }

    /// Whether any moment of the request may have been within the ban.
    fn allows_refusing(&self, answer: &Answer, bound: u64) -> bool {
        answer.ended >= self.begun
            && self.reinstated.is_none_or(|(_, returned)| answer.started <= returned.saturating_add(bound))
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Ban, Status, Verdict};

    const REVOKED: Ban = Ban { begun: 100, returned: 110, reinstated: None };
    const SUSPENDED: Ban = Ban { begun: 100, returned: 110, reinstated: Some((200, 210)) };

    fn judged(status: Status, started: u64, ended: u64, ban: Ban, bound: u64) -> (u64, u64) {
        let mut verdict = Verdict::default();
        // Key 0 has no ban: a ban applies to its own key only.
        let answers = [0, 1].map(|key| Answer { key, status, started, ended });
        verdict.add(&answers, &[Vec::new(), vec![ban]], bound);
        let refused = u64::from(status == Status::Refused);
        (verdict.stale_accepts, verdict.refused_live - refused)
    }

    #[test]
    fn an_acceptance_that_started_after_the_return_is_stale() {
        for (started, ended, stale) in [(90, 95, 0), (105, 300, 0), (110, 300, 0), (111, 112, 1), (900, 901, 1)] {
            assert_eq!(judged(Status::Accepted, started, ended, REVOKED, 0), (stale, 0), "{started}");
        }
    }

    #[test]
    fn a_bound_is_allowed_for_and_no_more() {
        for (started, stale) in [(111, 0), (160, 0), (161, 1)] {
            assert_eq!(judged(Status::Accepted, started, started + 1, REVOKED, 50), (stale, 0), "{started}");
        }
    }

    #[test]
    fn an_acceptance_within_a_suspension_is_stale_and_none_that_met_its_end() {
        for (started, ended, stale) in [(111, 199, 1), (111, 200, 0), (205, 206, 0), (211, 212, 0)] {
            assert_eq!(judged(Status::Accepted, started, ended, SUSPENDED, 0), (stale, 0), "{started} {ended}");
        }
    }

    #[test]
    fn a_refusal_is_wrong_unless_it_met_a_revocation_or_suspension() {
        for (started, ended, wrong) in [(90, 99, 1), (90, 100, 0), (150, 160, 0), (210, 220, 0), (211, 220, 1)] {
            assert_eq!(judged(Status::Refused, started, ended, SUSPENDED, 0), (0, wrong), "{started} {ended}");
        }
        assert_eq!(judged(Status::Refused, 900, 901, REVOKED, 0), (0, 0));
        for (started, wrong) in [(260, 0), (261, 1)] {
            assert_eq!(judged(Status::Refused, started, started + 1, SUSPENDED, 50), (0, wrong), "{started}");
        }
    }

    #[test]
    fn an_answer_of_503_is_counted_and_is_neither() {
        let mut verdict = Verdict::default();
        let answer = Answer { key: 0, status: Status::Unavailable, started: 900, ended: 901 };
        verdict.add(&[answer; 3], &[vec![REVOKED]], 0);
        assert_eq!(verdict, Verdict { requests: 3, unavailable: 3, ..Verdict::default() });
    }
}
