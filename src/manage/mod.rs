//! Key management: which actor may make, see and end which keys, and the changes themselves.
//!
//! A [`KeyManager`] does what an [`Actor`] asks, if the [`Policy`] allows it. What an actor cannot see is
//! [not found](ManageErrorKind::NotFound), whether it exists or not. What an actor sees but may not do is
//! [denied](ManageErrorKind::Denied), with a reason and what would change it. A change and its audit event are written
//! together, or not at all.
//!
//! The default policy, [`DefaultPolicy`]:
//!
//! | | self | member of the team | Team Admin, Team Owner | org admin |
//! |---|---|---|---|---|
//! | personal key: issue, rename, relabel, narrow, expire, rotate | yes | - | - | no |
//! | personal key: see with usage, audit, pause, revoke, revoke many; the person's status | yes | - | - | yes |
//! | personal key: resume | what they paused | - | - | yes |
//! | team key: see; the team's status | - | yes | yes | yes |
//! | team key: see usage and sources, explain, advice, audit, inventory, export | - | no | yes | yes |
//! | team key: issue, rotate to more scopes (if the plan includes team keys) | - | no | yes | yes |
//! | team key: rename, relabel, narrow, expire, rotate, pause, resume, revoke, revoke many (any plan) | - | no | yes | yes |
//! | owner: suspend, reinstate, close; reconcile with the directory | no | no | no | yes |
//! | exposure of a person | no | - | of the keys of the team | yes |
//! | blast radius of a person | yes | - | - | yes |
//! | organization: suspend | no | no | no | yes |
//! | organization: reinstate, close | no | no | no | no |
//! | owner, organization: erase | no | no | no | no |
//!
//! *no* is denied, *-* is not found. The [system](Actor::system) may do all of it. An actor that [may manage the
//! keys](Rights::may_manage_keys) of a team without a role there may do what a Team Admin may. An
//! [auditor](Rights::auditor) sees all keys with usage and the trail, takes inventories and exports both, and is denied
//! everything else. An org admin makes personal keys for others only where the service [allows
//! it](DefaultPolicy::with_personal_keys_by_admins). Every export is recorded in the trail. A [key](Actor::key) may do
//! what its owner may at that moment, as far as the key has the scope for it:
//!
//! | scope | actions |
//! |---|---|
//! | `keys:read` | see keys, their owners' status, their usage, advice, inventory, export, reports, the trail, blast radius, exposure |
//! | `keys:issue` | issue |
//! | `keys:rotate` | begin, finish and abort a rotation, which ends the old key or the new one, and see how far it is; into a team, or to more scopes, with `keys:issue` |
//! | `keys:revoke` | pause, revoke, revoke many, narrow, expire |
//! | `keys:manage` | all of these, and rename, relabel, suspend |
//! | none | resume, reinstate, close, erase: people and the system only |
//!
//! Only the system reinstates and closes an organization. The admins of an organization are suspended with it, and one
//! of their accounts should not be enough to end all keys of a customer permanently. Only the system
//! [erases](KeyManager::erase), too: erasing is how an attacker would clean up after taking over an account.
//!
//! A key that acts gives another key no scope that it does not have itself, none of the scopes above, no end later than
//! its own, no networks beyond its own, and, if it has limits, no other limits than its own. An actor that is suspended
//! or closed can neither change nor read anything; a person suspended by the plan may read.
//!
//! Every answer serializes, in [one form](crate::manual::answers) for routes, command lines and tools.
//!
//! A team key is made only for a team of the organization. The [`Directory`] says which teams those are; without one,
//! the [`Rights`] of the actor do. A directory can also give the names of people and teams, and say who has left.
//! Answers then carry [`Names`], and their sentences say *Alice* instead of an id.
//!
//! # Rotation
//!
//! A key is replaced without an outage: [begin](KeyManager::begin_rotation), install the new key where the old one is,
//! check the [status](KeyManager::rotation) until the old key is no longer needed,
//! [finish](KeyManager::finish_rotation). Both keys are accepted meanwhile, and until it is finished the rotation can
//! be [aborted](KeyManager::abort_rotation).
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
//! # let admin = tower_api_keys::Actor::system("first start")?;
//! # let old = manager.issue(tower_api_keys::IssueKey::team("blue".parse()?), &admin).await?.info().id;
//! use tower_api_keys::manage::{RotateKey, RotationVerdict};
//!
//! let new = manager.begin_rotation(RotateKey::of(old), &admin).await?;
//! println!("{}", new.plaintext().expose_secret()); // the only time
//!
//! let status = manager.rotation(&new.info().id, &admin).await?;
//! println!("{}", status.verdict); // The new key was never used: install it where the old one is.
//! if status.verdict == RotationVerdict::SafeToFinish {
//!     manager.finish_rotation(&new.info().id, &admin).await?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - Two simultaneous calls do not make two new keys, nor end both keys: every step has one winner.
//! - The [verdict](RotationVerdict) is by source. A key as a whole falls silent long before its last user has moved: a
//!   job that runs once a week is quiet for six days. The verdict is only as good as the sources are: callers with the
//!   same name are one source.
//! - [`RotateKey::old_key_ends_at`] sets an end of the grace period. Nothing else ends the old key by itself: rotation
//!   is never forced.
//! - [`RotateKey::into_team`] turns a personal key into a team key in the same steps.
//! - The id of the first key names the whole chain of successors, as the [lineage](KeyInfo::lineage): in the
//!   [principal](crate::Principal::lineage), in lists, [usage](KeyUsage::lineage) and exports, and as a filter of
//!   [lists](ListKeys::lineage) and of the [trail](AuditQuery::of_lineage).
//! - An existing key gets neither more scopes nor a later end. Its successor does, by [`RotateKey::scopes`] and
//!   [`RotateKey::expires_at`]. More scopes need the right to [issue](KeyAction::Issue) such a key.
//!
//! # Inventory
//!
//! Which keys exist, who made them, who uses them, and which need attention? [`inventory`](KeyManager::inventory)
//! answers with pages of [entries](InventoryEntry), [`inventory_summary`](KeyManager::inventory_summary) with numbers
//! by team, and [`export_inventory`](KeyManager::export_inventory) with a table or lines of JSON. All three take an
//! [`InventoryQuery`], and cover only keys whose usage the actor may see.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! # let manager = tower_api_keys::ApiKeys::new(tower_api_keys::store::MemoryStore::new())?.manager();
//! # let admin = tower_api_keys::Actor::system("first start")?;
//! # manager.issue(tower_api_keys::IssueKey::team("blue".parse()?).named("key1"), &admin).await?;
//! use tower_api_keys::manage::{InventoryQuery, KeyFlag};
//!
//! let query = InventoryQuery::all().flagged([KeyFlag::Unnamed, KeyFlag::VagueName]);
//! for entry in manager.inventory(query, &admin).await?.entries {
//!     println!("{} {}, made by {}", entry.key.redacted, entry.key.name, entry.key.created_by);
//!     for flag in &entry.flags {
//!         println!("  {}", flag.sentence()); // Its name does not say what the key is for. …
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - A [flag](KeyFlag) is a question for a person, never a verdict that the crate acts on. [`FlagSettings`] defines
//!   when each is raised; most are gone 30 days after their cause.
//! - Pages of 100 out of 100,000 keys take as long at the end as at the beginning. Filters that need a look at each
//!   key, such as flags, are bounded per call: a page may be short and still have a next one.
//!
//! # Advice
//!
//! What people ask before something happens, and after it has. Nothing here changes anything:
//!
//! | question | asked with |
//! |---|---|
//! | What will surprise us about this key once we have it? | [`preview`](KeyManager::preview) |
//! | Should this personal key be a team key, or the other way round? | [`advise`](KeyManager::advise) |
//! | What stops if she leaves on Friday? | [`blast_radius`](KeyManager::blast_radius) |
//! | Which keys did she see, and should we rotate? | [`exposure`](KeyManager::exposure) |
//! | Why is this key refused, and did the service call at all? | [`explain`](KeyManager::explain) |
//!
//! Answers carry words for programs and [sentences](crate::sentence) for people. [`KeyUse`] is the table that the
//! advice follows, and [`Advice`] documents the rules and their thresholds.
//!
//! # When a key leaks
//!
//! | question | answer |
//! |---|---|
//! | Which key is it? | [`KeyManager::identify`] takes the pasted text, a log line, or part of an id, and says whether the whole key is in it |
//! | What was done with it? | [`KeyManager::leak_report`]: sources, new ones marked, attempts after its end, changes, keys it made |
//! | How do I end it, with all the keys it made? | [`KeyManager::revoke_many`] with [`RevokeMany::key_and_made`] |
//! | What else may be lost? | [`RevokeMany::of`] an owner, [`created_by`](RevokeMany::created_by) an actor, [`created_between`](RevokeMany::created_between) two times |
//! | Who did what, and who tried? | [`KeyManager::events`], and as a table or lines of JSON [`KeyManager::export_trail`] |
//!
//! If an account was taken over: [`suspend`](KeyManager::suspend) it, revoke the keys [of](RevokeMany::of) it and the
//! keys it [created](RevokeMany::created_by), then the [keys](RevokeMany::keys) that [`exposure`](KeyManager::exposure)
//! still lists. A key that was made with another key has that key as its creator, not the person.
//!
//! Several of these questions, in the order in which they come up:
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! # let keys = tower_api_keys::ApiKeys::builder(tower_api_keys::store::MemoryStore::new());
//! # let manager = keys.params(tower_api_keys::hash::Argon2Params::MACHINE_SECRET).build().await?.manager();
//! use tower_api_keys::{Actor, IssueKey, TeamId, manage::{AuditQuery, RevokeMany}};
//!
//! # let admin = Actor::system("leak response")?;
//! # let issued = manager.issue(IssueKey::team(TeamId::new("blue")?), &admin).await?;
//! # let pasted = issued.plaintext().expose_secret();
//! let found = manager.identify(pasted, &admin).await?;
//! let Some(surest) = found.keys.first() else { return Ok(()) };
//! println!("{surest}");
//! println!("{}", manager.leak_report(&surest.key.id, surest.key.created_at, &admin).await?);
//!
//! let request = RevokeMany::key_and_made(surest.key.id).because("in a public repository");
//! println!("{}", manager.revoke_many(request, &admin).await?);
//! for entry in manager.events(AuditQuery::all().of_key(surest.key.id), &admin).await?.entries {
//!     println!("{} {} {}", entry.event.at, entry.event.actor, entry.event.action);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod abilities;
mod access;
mod actor;
mod advice;
mod any_directory;
mod catalogue;
mod counted;
mod denial;
mod directory;
mod erase;
mod error;
#[cfg(test)]
mod fixture;
mod info;
mod invalid;
mod inventory;
mod issued;
mod known;
mod leak;
mod lifetimes;
mod lint;
mod manager;
mod misconfigured;
mod names;
mod patience;
mod plan;
mod policy;
mod problem;
mod quota;
mod reason;
mod reconcile;
mod request;
mod rights;
mod rotation;
mod rules;
mod soon;
mod staleness;
mod table;
#[cfg(test)]
mod tests;
mod trail;
mod verdict;
#[cfg(test)]
#[path = "../../tests/it/support/wrapped.rs"]
mod wrapped;

pub use abilities::{Abilities, Ability};
pub(crate) use access::{Guarded, ManagerParts};
pub use actor::Actor;
pub use advice::{
    Advice, BlastRadius, Cadence, CallCheck, CallVerdict, CheckKind, CheckResult, Evidence, EvidenceKind, Explanation,
    ExposedKey, Exposure, ExposureReason, KeyUse, NextStep, NoteKind, Preview, PreviewNote, Recommendation, Severity,
    StoppingKey, Weight,
};
pub(crate) use any_directory::AnyDirectory;
pub use catalogue::sentences;
pub use counted::CountedUntil;
pub use denial::{Denial, DenialReason};
pub use directory::Directory;
pub use erase::{Erase, Erased};
pub use error::{ManageError, ManageErrorKind};
pub use info::{KeyInfo, KeyPage, KeyState, KnownKey, PauseChanged, Revoked};
pub use invalid::InvalidInput;
pub use inventory::{
    Attempts, ExportError, ExportFormat, FlagSettings, InventoryColumn, InventoryEntry, InventoryExport, InventoryPage,
    InventoryQuery, InventorySummary, KeyFlag, OwnerSummary,
};
pub use issued::IssuedKey;
pub use known::{IssueKnownKey, KnownKeyProblem};
pub use leak::{
    KeyMatch, KeyMatches, LeakReport, MatchConfidence, PresentedKey, PresentedOutcome, RevokeMany, RevokeManyError,
    RevokedMany, SourceUse, Traced,
};
pub(crate) use leak::{Presenter, Stop};
pub use lint::{NameAdvice, lint_name};
pub use manager::{
    ChangeOrganization, ChangeOwner, EditKey, KeyManager, KeyUsage, LineageUsage, OwnerInfo, OwnerReinstated,
    OwnerStopped, PauseKey, RefusalsWithoutKey, ResumeKey, RevokeKey, UsageDay,
};
pub use misconfigured::Misconfiguration;
pub use names::{NamedTeam, Names, Presence};
pub use plan::{PlanChange, PlanChanged};
pub use policy::{Decision, KeyAction, PausedBy, Policy, Target};
pub use problem::Problem;
pub use quota::Quota;
pub use reconcile::{MissingOwner, Reconcile, Reconciled};
pub use request::{IssueKey, ListKeys};
pub use rights::{ActorTeam, Rights, TeamRole};
pub use rotation::{EndRotation, EndedRotation, LastUse, RotateKey, Rotation, RotationStage};
pub use rules::OnDowngrade;
pub(crate) use rules::Rules;
pub use staleness::Staleness;
pub use table::{DefaultPolicy, PersonalKeysByAdmins};
pub(crate) use trail::DenialLog;
pub use trail::{AuditEntry, AuditQuery, EventPage, TrailColumn, TrailExport};
pub use verdict::RotationVerdict;

pub use crate::store::Effect;
