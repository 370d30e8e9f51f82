//! What several commands say or do in the same way.

use std::time::{Duration, Instant};

use tower_api_keys::usage::UsageDetail;

use crate::{
    failure::Failure,
    open::Session,
    output::{Column, Now, Screen, Table, length, source},
};

/// How often long work says that it goes on.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);

/// The numbers of rows to ask for: first few, since a person waits for them, then many.
pub(super) fn sizes() -> impl FnMut() -> u16 {
    let mut next = 100;
    move || std::mem::replace(&mut next, 1_000)
}

/// How soon a change counts, as far as that is known: nodes say it to nobody.
pub(super) fn soon(session: &Session) -> String {
    let staleness = session.manager.staleness();
    match (staleness.is_of_all_nodes, staleness.longest) {
        (true, Duration::ZERO) => return staleness.sentence().to_string(),
        // The sentence of the core is said by a server, which this program is not.
        (true, longest) => {
            return format!("Every server refuses requests with the key after at most {}.", length(longest));
        }
        (false, _) => {}
    }
    "Servers with strict freshness, the default, refuse the next request. Others do so after their bound: say it with \
     --node-freshness."
        .to_owned()
}

/// Waits for long work, and says from time to time that it goes on.
pub(super) async fn working<T>(what: &str, work: impl Future<Output = T>, screen: &mut Screen) -> T {
    let begun = Instant::now();
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(SIGN_OF_LIFE) => {
                screen.progress(&format!("{what}: {} so far", length(begun.elapsed())));
            }
        }
    }
}

/// Counts of requests by outcome and source.
pub(super) fn usage_table(detail: &UsageDetail, screen: &mut Screen) -> Result<(), Failure> {
    let now = Now::read();
    let rows: Vec<_> = detail
        .counts
        .iter()
        .map(|count| {
            let [first, last] = [count.first_at, count.last_at].map(|time| now.ago(time));
            [count.outcome.to_string(), source(&count.source), count.count.to_string(), first, last]
        })
        .collect();
    Table::new(["OUTCOME", "SOURCE", "COUNT", "FIRST", "LAST"].map(Column::new)).page(&rows, screen)
}

/// `2 live keys are`, for a sentence that goes on.
pub(super) fn live_keys_are(number: Option<u64>) -> String {
    match number {
        Some(1) => "1 live key is".to_owned(),
        Some(number) => format!("{number} live keys are"),
        None => "its live keys are".to_owned(),
    }
}
