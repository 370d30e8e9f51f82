//! Prints every sentence that users may see: its id, and its English text with example values.
//!
//!     cargo run --example sentences
//!
//! The output is committed as `docs/sentences.md`. `UPDATE=1 cargo test --all-features --test it sentences` writes that
//! page again.

use tower_api_keys::manage::sentences;

fn main() {
    for sentence in sentences() {
        println!("{}\t{sentence}", sentence.id());
    }
}
