use std::{error::Error, fmt, future::Future, panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;

use crate::{Unmet, UnmetKind, table::place};

/// How long a clause may take, far more than any of them needs: a clause that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(30);

/// What the conformance kit found, clause by clause. `Display` and `Debug` both print it in readable form.
///
/// ```
/// use tower_api_keys::store::MemoryStore;
/// use tower_api_keys_conformance::check_store;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let report = check_store(&MemoryStore::new()).await;
/// assert_eq!(report.failed().count(), 0);
/// report.into_result()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct Report {
    clauses: Vec<Clause>,
}

/// One clause of the contract and whether the store keeps it.
///
/// ```
/// use tower_api_keys::store::MemoryStore;
/// use tower_api_keys_conformance::{Verdict, check_store};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let report = check_store(&MemoryStore::new()).await;
/// let first = report.clauses().next().ok_or("no clauses")?;
/// assert_eq!(first.number(), "R1");
/// assert_eq!(first.title(), "A key that nobody inserted is not found.");
/// assert_eq!(first.hint(), "Is an absent row none, and no error of the query?");
/// assert_eq!(first.verdict(), &Verdict::Passed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    number: &'static str,
    title: &'static str,
    hint: &'static str,
    verdict: Verdict,
}

/// How a clause ended.
///
/// ```
/// use tower_api_keys_conformance::Verdict;
///
/// assert_ne!(Verdict::Passed, Verdict::Failed("expected one event, saw two".into()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The store breaks the clause: what was expected, and what was seen.
    Failed(String),
    /// The clause is about something that the store does not have, and need not have.
    NotApplicable(String),
    /// The store keeps the clause.
    Passed,
}

impl Report {
    /// Every clause, in order.
    pub fn clauses(&self) -> impl Iterator<Item = &Clause> {
        self.clauses.iter()
    }

    /// The numbers of the clauses that the store breaks, in order.
    pub fn failed(&self) -> impl Iterator<Item = &'static str> {
        self.clauses.iter().filter(|clause| matches!(clause.verdict, Verdict::Failed(_))).map(|clause| clause.number)
    }

    /// Nothing if no clause failed: `check_store(&store).await.into_result().unwrap()` is a whole test.
    ///
    /// # Errors
    /// This report, if a clause failed.
    pub fn into_result(self) -> Result<(), Self> {
        if self.failed().next().is_none() { Ok(()) } else { Err(self) }
    }

    /// Sorts by letter and number, as [`clauses`](crate::clauses) lists them: two steps may share a letter.
    pub(super) fn sort(&mut self) {
        self.clauses.sort_by_key(|clause| (clause.number.get(..1), place(clause.number)));
    }

    /// Tests a clause. If it panics or hangs, only this clause fails.
    pub(super) async fn run(
        &mut self,
        number: &'static str,
        [title, hint]: [&'static str; 2],
        clause: impl Future<Output = Result<(), Unmet>>,
    ) {
        // Unwind safe: each clause has keys of its own, so what a panic left half-done is not used again.
        let clause = AssertUnwindSafe(clause).catch_unwind();
        let verdict = match tokio::time::timeout(LONGEST, clause).await {
            Err(_) => Verdict::Failed(format!("no end within {} seconds", LONGEST.as_secs())),
            Ok(Err(panic)) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word");
                Verdict::Failed(format!("panicked: {text}"))
            }
            Ok(Ok(Err(unmet))) => match unmet.kind() {
                UnmetKind::Failed => Verdict::Failed(unmet.to_string()),
                UnmetKind::NotApplicable => Verdict::NotApplicable(unmet.to_string()),
            },
            Ok(Ok(Ok(()))) => Verdict::Passed,
        };
        self.clauses.push(Clause { number, title, hint, verdict });
    }
}

impl Clause {
    /// The number: `R1` and so on for readers, `S1` for stores, `C1` for two handles, `P1` for portable stores. A
    /// number never gets another meaning.
    #[must_use]
    pub const fn number(&self) -> &'static str {
        self.number
    }

    /// The text of the clause.
    #[must_use]
    pub const fn title(&self) -> &'static str {
        self.title
    }

    /// What usually breaks it: a question about the store, printed if the clause failed.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        self.hint
    }

    /// How it ended.
    #[must_use]
    pub const fn verdict(&self) -> &Verdict {
        &self.verdict
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |wanted: fn(&Verdict) -> bool| self.clauses.iter().filter(|one| wanted(&one.verdict)).count();
        let failed = count(|verdict| matches!(verdict, Verdict::Failed(_)));
        let passed = count(|verdict| matches!(verdict, Verdict::Passed));
        let rest = self.clauses.len() - failed - passed;
        writeln!(f, "{} clauses: {passed} passed, {failed} failed, {rest} not applicable", self.clauses.len())?;
        self.clauses.iter().try_for_each(|clause| writeln!(f, "{clause}"))
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, title, hint, verdict } = self;
        match verdict {
            Verdict::Failed(why) => write!(f, "{number:>4} FAILED  {title}\n             {why}\n             {hint}"),
            Verdict::NotApplicable(why) => write!(f, "{number:>4} n/a     {title}\n             {why}"),
            Verdict::Passed => write!(f, "{number:>4} passed  {title}"),
        }
    }
}

/// The same as `Display`, so that `unwrap` in a test prints a readable report.
impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Error for Report {}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    async fn verdict(clause: impl Future<Output = Result<(), Unmet>>) -> Verdict {
        let mut report = Report::default();
        report.run("S1", ["Title.", "Why?"], clause).await;
        report.clauses.remove(0).verdict
    }

    #[tokio::test(start_paused = true)]
    async fn a_clause_that_hangs_failed() {
        assert_eq!(verdict(pending()).await, Verdict::Failed("no end within 30 seconds".into()));
    }

    #[tokio::test]
    async fn a_clause_that_panics_failed() {
        let panics = async { if LONGEST.is_zero() { Ok(()) } else { panic!("the store's own") } };
        assert_eq!(verdict(panics).await, Verdict::Failed("panicked: the store's own".into()));
    }

    #[tokio::test]
    async fn a_report_says_what_failed_and_why() {
        let mut report = Report::default();
        report.run("S1", ["First.", "One?"], ready(Ok(()))).await;
        report.run("S2", ["Second.", "Two?"], ready(Err(Unmet::failed("expected 1, saw 2")))).await;
        report.run("S3", ["Third.", "Three?"], ready(Err(Unmet::not_applicable("no log")))).await;
        assert_eq!(report.failed().collect::<Vec<_>>(), ["S2"]);
        let expected = "3 clauses: 1 passed, 1 failed, 1 not applicable\n  S1 passed  First.\n  S2 FAILED  Second.\n             \
                        expected 1, saw 2\n             Two?\n  S3 n/a     Third.\n             no log\n";
        assert_eq!(report.to_string(), expected);
        assert_eq!(format!("{:?}", report.into_result().unwrap_err()), expected);
    }
}
