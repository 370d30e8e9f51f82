//! All words of the page in English, by id, in the order of their ids. One list would be too long for one file.

mod a_to_k;
mod l_to_z;

use self::{a_to_k::A_TO_K, l_to_z::L_TO_Z};

/// The words with this id.
pub(super) fn english(id: &str) -> Option<&'static str> {
    let of = |words: &'static [(&str, &'static str)]| {
        words.binary_search_by_key(&id, |(known, _)| *known).ok().and_then(|at| words.get(at))
    };
    of(A_TO_K).or_else(|| of(L_TO_Z)).map(|(_, text)| *text)
}

/// All ids with their words.
pub(super) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    A_TO_K.iter().chain(L_TO_Z).copied()
}
