//! Looking after keys: who may make, see and end which, and the changes themselves.
//!
//! A [`KeyManager`] does what an [`Actor`] asks, if the [`Policy`] allows it. What an actor cannot see is
//! [not found](ManageErrorKind::NotFound), whether it exists or not; what it sees and may not do is
//! [denied](ManageErrorKind::Denied), with a reason and what would change it. Every change is written together with its
//! line of the audit trail, or not at all.
//!
//! The default policy, [`TableOfRights`]:
//!
//! | | self | member of the team | Team Admin, Team Owner | org admin |
//! |---|---|---|---|---|
//! | personal key: issue, rename, relabel, narrow, expire, rotate | yes | - | - | no |
//! | personal key: see with usage, audit, revoke, revoke many | yes | - | - | yes |
//! | team key: see | - | yes | yes | yes |
//! | team key: see usage and sources, explain, advice, audit, inventory, export | - | no | yes | yes |
//! | team key: issue (plan Business or Enterprise) | - | no | yes | yes |
//! | team key: rename, relabel, narrow, expire, rotate, revoke, revoke many (any plan) | - | no | yes | yes |
//! | owner: hold, lift, close; exposure of a person | no | no | no | yes |
//! | blast radius of a person | yes | - | - | yes |
//!
//! *no* is denied, *-* is not found. The [system](Actor::system) may do all of it. A [key](Actor::key) may do what its
//! owner may at that moment, if [`keys:manage`](crate::Scope::KEYS_MANAGE) is named on it, and grants no scope it does
//! not have itself.

mod actor;
mod denials;
mod error;
mod info;
mod issued;
mod lint;
mod manager;
mod policy;
mod request;
mod response;
mod rights;
mod rules;
mod table;
mod trail;

#[cfg(test)]
mod tests;

pub use actor::Actor;
pub(crate) use denials::DenialLog;
pub use error::{InvalidInput, ManageError, ManageErrorKind};
pub use info::{Effect, KeyInfo, KeyPage, Revoked};
pub use issued::IssuedKey;
pub use lint::{NameAdvice, lint_name};
pub use manager::KeyManager;
pub(crate) use manager::ManagerParts;
pub use policy::{Decision, Denial, DenialReason, KeyAction, Policy, Target};
pub use request::{IssueKey, ListKeys};
pub use response::{Evidence, Identification, Identified, Misuse, RevokeMany, RevokeManyError, RevokedMany, SourceUse};
pub use rights::{Plan, Rights, TeamRole};
pub use rules::OnDowngrade;
pub(crate) use rules::Rules;
pub use table::TableOfRights;
pub use trail::{AuditEntry, AuditQuery, EventPage};
