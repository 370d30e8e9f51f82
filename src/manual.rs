//! Pages to read before running this in earnest. There is nothing to call here.

// First the plot, as a definition: for the same name the first one counts, and from here no path leads to the file.
#[doc = include_str!("../docs/scale.svg.md")]
#[doc = include_str!("../docs/sizing.md")]
pub mod sizing {}

#[doc = include_str!("../docs/answers.md")]
pub mod answers {}

#[doc = include_str!("../docs/be_told.md")]
pub mod be_told {}

#[doc = include_str!("../docs/managing.md")]
pub mod managing {}

#[doc = include_str!("../docs/postgres.md")]
pub mod postgres {}

#[doc = include_str!("../docs/refusals.md")]
pub mod refusals {}

#[doc = include_str!("../docs/several_customers.md")]
pub mod several_customers {}

#[doc = include_str!("../docs/sqlite.md")]
pub mod sqlite {}

#[doc = include_str!("../docs/stores.md")]
pub mod stores {}
