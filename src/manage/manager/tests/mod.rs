//! What the manager decides, changes, lists and refuses.

mod actors;
mod changes;
mod decisions;
mod directory;
mod faults;
mod issue;
mod lists;
mod owners;
mod policies;
mod quotas;
mod targets;
