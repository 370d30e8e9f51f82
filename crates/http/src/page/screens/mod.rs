//! The screens, one file each: what is read or changed, and the view of it that a template gets.

pub(super) mod all;
mod checklist;
pub(super) mod create;
pub(super) mod delete;
pub(super) mod edit;
mod failed;
mod flagged;
pub(super) mod key;
pub(super) mod leak;
pub(super) mod list;
pub(super) mod many;
pub(super) mod pause;
pub(super) mod people;
pub(super) mod person;
pub(super) mod refusals;
mod reveal;
pub(super) mod review;
mod reviewed;
pub(super) mod rotate;
pub(super) mod rotation;
mod standing;
pub(super) mod team;
mod teams;
pub(super) mod trail;
