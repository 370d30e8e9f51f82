use super::ApiKeysBuilder;

impl<S> ApiKeysBuilder<S> {
    /// Whether each check of a key that is in the store leaves a line in the audit trail, accepted or refused: key, owner,
    /// outcome, source and time. Default: no. Counts by key, outcome and source are kept in any case.
    ///
    /// No request waits for its line. Up to 65,536 wait to be written, 1,000 at a time; what does not fit is dropped,
    /// counted in [`attempt_lines_dropped`](crate::auth::AuthMetrics::attempt_lines_dropped), and told of in the trail by
    /// an [event](crate::audit::Action::ATTEMPTS_DROPPED) beside the next line. A crash loses what was queued, which is
    /// less than a second's unless the store is slow.
    ///
    /// A line takes some 200 bytes in the store; see [`keep_events`](Self::keep_events).
    pub fn attempt_lines(mut self, lines: bool) -> Self {
        self.attempt_lines = lines;
        self
    }
}
