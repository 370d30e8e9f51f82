//! What a user would pick instead of `tower-api-keys`, and how it is measured beside it. The figures are printed by the
//! bench `side_by_side`; none of this is published.

pub mod floor;
pub mod measure;
pub mod ours;
pub mod peers;
pub mod requests;
pub mod threads;
