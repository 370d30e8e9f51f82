//! Hashes that are stored instead of keys, and the threads that compute them.
//!
//! A record keeps a [`KeyHash`]: an Argon2id hash of the whole text of the key, four bytes of a second hash (the
//! [`Tag`]), and the id of the pepper of both. The tag refuses a wrong guess before it costs anything; only Argon2id
//! accepts. A [`Hasher`] does both, on its own threads, so that many callers at once harm neither requests nor memory.
//! With [stored proofs](HasherConfig::with_stored_proofs), a text that Argon2id accepted once is recognized after a
//! restart.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! use tower_api_keys::hash::{Argon2Params, Hasher, HasherConfig, KeyHash};
//!
//! let hasher = Hasher::new(HasherConfig::new().with_params(Argon2Params::MACHINE_SECRET))?;
//! let made = hasher.hash("user.some.text").await?;
//!
//! let stored = KeyHash::from_parts(made.phc(), made.tag().to_bytes(), made.pepper().map(|id| id.as_u32()))?;
//! hasher.check_tag("user.some.text", &stored)?;
//! hasher.verify(*b"some-public-id-of-20", "user.some.text", &stored).await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod argon2id;
mod config;
mod cpu_time;
mod error;
mod hasher;
mod job;
mod key_hash;
mod params;
mod pepper;
mod pool;
mod queue;
mod runs;
mod starvation;
mod stored_proof;
mod tag;
mod turns;
mod work;

pub use config::{HasherConfig, HasherSetupError, HasherSetupErrorKind};
pub use error::{HashError, HashErrorKind, TagError, TagErrorKind, VerifyError, VerifyErrorKind};
pub use hasher::Hasher;
pub use key_hash::{CorruptHash, CorruptHashKind, KeyHash};
pub use params::{Argon2Params, InvalidParams};
pub use pepper::{InvalidPepper, Pepper, PepperId, Peppers, UnknownPepper};
pub use tag::Tag;
pub(crate) use turns::Requester;
