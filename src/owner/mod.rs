//! Owners of keys: organizations, users, teams.

mod id;
mod pair;

pub use id::{InvalidId, KeyKind, OrganizationId, Owner, TeamId, UserId};
pub use pair::{NamesTeam, OwnerRef, TeamRef, UserRef};
