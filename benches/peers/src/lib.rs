//! Alternatives to `tower-api-keys`, and how they are compared with it. The bench `side_by_side` prints the figures.
//! This package is not published.

pub mod floor;
pub mod measure;
pub mod ours;
pub mod peers;
pub mod requests;
pub mod threads;
