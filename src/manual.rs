//! Pages to read before running this in earnest. There is nothing to call here.

// First the plot, as a definition: for the same name the first one counts, and from here no path leads to the file.
#[doc = include_str!("../docs/scale.svg.md")]
#[doc = include_str!("../docs/sizing.md")]
pub mod sizing {}

#[doc = include_str!("../docs/answers.md")]
pub mod answers {}

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

#[doc = include_str!("../docs/rotate.md")]
pub mod rotate {}

#[doc = include_str!("../docs/leaving.md")]
pub mod leaving {}

#[doc = include_str!("../docs/leaks.md")]
pub mod leaks {}

#[doc = include_str!("../docs/told.md")]
pub mod told {}

#[doc = include_str!("../docs/streams.md")]
pub mod streams {}

#[doc = include_str!("../docs/sessions.md")]
pub mod sessions {}

#[doc = include_str!("../docs/service_users.md")]
pub mod service_users {}

#[doc = include_str!("../docs/testing.md")]
pub mod testing {}

#[doc = include_str!("../docs/elsewhere.md")]
pub mod elsewhere {}
