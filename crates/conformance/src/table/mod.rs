//! The table of all clauses.

/// The table of clauses, the only place for number, function, text and a hint at what usually breaks it. Add new
/// clauses at the end: a number never gets another meaning.
macro_rules! clauses {
    ($run:ident, $texts:ident, $bound:ident; $($clauses:tt)*) => {
        clauses! { $run[T: $bound], $texts, Candidate<'_, T>; $($clauses)* }
    };
    (
        $run:ident[$($generics:tt)*], $texts:ident, $subject:ty;
        $($number:literal $module:ident::$clause:ident $text:literal $hint:literal;)*
    ) => {
        pub(crate) async fn $run<$($generics)*>(candidate: &$subject, report: &mut Report) {
            $(report.run($number, [$text, $hint], Box::pin($module::$clause(candidate))).await;)*
        }

        pub(super) const $texts: &[(&str, &str)] = &[$(($number, $text)),*];
    };
}

mod ledger_table;
mod pair_table;
mod portable_table;
mod reader_table;
mod store_table;

use ledger_table::LEDGER;
use pair_table::PAIR;
use portable_table::PORTABLE;
use reader_table::READER;
use store_table::STORE;

pub(super) use ledger_table::ledger_clauses;
pub(super) use pair_table::pair_clauses;
pub(super) use portable_table::portable_clauses;
pub(super) use reader_table::reader_clauses;
pub(super) use store_table::store_clauses;

/// The number and the text of each clause, by letter and number.
pub(super) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut stores: Vec<_> = STORE.iter().chain(LEDGER).copied().collect();
    stores.sort_by_key(|(number, _)| place(number));
    READER.iter().copied().chain(stores).chain([PAIR, PORTABLE].into_iter().flatten().copied())
}

/// The place of a number among those of its letter.
pub(super) fn place(number: &str) -> u32 {
    number.get(1..).and_then(|digits| digits.parse().ok()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use tower_api_keys::store::MemoryStore;

    use super::all;
    use crate::{check_pair, check_store};

    #[test]
    fn clauses_are_numbered_without_a_gap() {
        for (letter, last) in [('R', 29), ('S', 129), ('C', 21), ('P', 15)] {
            let numbers: Vec<_> = all().filter_map(|(number, _)| number.strip_prefix(letter)).collect();
            assert_eq!(numbers, (1..=last).map(|number| number.to_string()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_check_can_run_on_any_thread() {
        fn send<T: Send>(_: T) {}
        let store = MemoryStore::new();
        send(check_store(&store));
        send(check_pair(&store, &store));
    }
}
