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
//!
//! # Advice
//!
//! What people ask before something happens, and when it has. Nothing here changes anything:
//!
//! | question | asked with |
//! |---|---|
//! | What will surprise us about this key, once we have it? | [`preview`](KeyManager::preview) |
//! | Should this personal key be a team's, or the other way round? | [`advise`](KeyManager::advise) |
//! | What stops if she leaves on Friday? | [`blast_radius`](KeyManager::blast_radius) |
//! | Which keys did she see, and should we rotate? | [`exposure`](KeyManager::exposure) |
//! | Why is this key refused, and did the service call at all? | [`explain`](KeyManager::explain) |
//!
//! Answers carry words for programs and sentences for people. [`KeyUse`] is the table by which advice is given, and
//! [`Advice`] tells the rules and their thresholds.

mod actor;
mod advice;
mod error;
mod info;
mod issued;
mod lint;
mod manager;
mod policy;
mod request;
mod rights;
mod rules;
mod table;

#[cfg(test)]
mod tests;

pub use actor::Actor;
pub use advice::{
    Advice, BlastRadius, Cadence, CallCheck, CallVerdict, CheckKind, CheckResult, Evidence, EvidenceKind, Explanation,
    ExposedKey, Exposure, Gravity, KeyUse, NameNote, NextStep, NoteKind, Preview, PreviewNote, Recommendation, Saw,
    StoppingKey, Weight,
};
pub use error::{InvalidInput, ManageError, ManageErrorKind};
pub use info::{Effect, KeyInfo, KeyPage, Revoked};
pub use issued::IssuedKey;
pub use lint::{NameAdvice, lint_name};
pub use manager::KeyManager;
pub(crate) use manager::ManagerParts;
pub use policy::{Decision, Denial, DenialReason, KeyAction, Policy, Target};
pub use request::{IssueKey, ListKeys};
pub use rights::{Plan, Rights, TeamRole};
pub use rules::OnDowngrade;
pub(crate) use rules::Rules;
pub use table::TableOfRights;
