//! Tests of what the manager decides, changes, lists and refuses.

mod actors;
mod changes;
mod decisions;
mod directory;
mod dry_runs;
mod edits;
mod faults;
mod for_others;
mod issue;
mod lifetimes;
mod lists;
mod networks;
mod organizations;
mod owners;
mod pauses;
mod policies;
mod quotas;
mod replays;
mod responsible;
mod targets;
