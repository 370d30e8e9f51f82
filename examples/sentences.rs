//! Prints every sentence that people may be told: its id, and its English with an example in each place.
//!
//!     cargo run --example sentences
//!
//! The output is committed as `docs/sentences.md`, to be read as a page. `UPDATE=1 cargo test --all-features --test it sentences`
//! writes it anew.

use tower_api_keys::manage::sentences;

fn main() {
    for sentence in sentences() {
        println!("{}\t{sentence}", sentence.id());
    }
}
