//! What a service pays for routes and page that it does not use: nothing. And for those that it uses: not much.

use std::collections::BTreeSet;

use super::{cargo, label_of_line};

/// The crates that a build of this package needs, as `cargo tree -e normal` lists them.
fn crates(arguments: &[&str]) -> BTreeSet<String> {
    let tree = [&["tree", "--edges=normal", "--prefix=none", "--offline"], arguments].concat();
    cargo(&tree).lines().filter_map(label_of_line).collect()
}

#[test]
fn routes_and_page_weigh_at_most_25_crates_and_the_core_none_of_them() {
    let core = crates(&["--package=tower-api-keys", "--no-default-features", "--features=manage"]);
    let http = crates(&["--package=tower-api-keys-http"]);
    assert!(core.len() > 40 && core.is_subset(&http), "{core:#?}");
    let more: Vec<_> = http.difference(&core).collect();
    assert!((5..=25).contains(&more.len()), "{more:#?}");
    let bare = crates(&["--package=tower-api-keys", "--no-default-features"]);
    assert!(bare.is_subset(&core));
    for name in ["axum", "axum-core", "clap", "minijinja", "matchit", "schemars", "tower-http"] {
        assert!(!core.iter().any(|known| known.starts_with(&format!("{name}@"))), "{name}");
    }
    assert!(http.iter().any(|known| known.starts_with("minijinja@")), "the list has no names");
}
