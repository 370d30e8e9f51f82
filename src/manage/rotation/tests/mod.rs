//! Rotations from beginning to end, with everything that may happen in between.

mod begin;
mod ends;
mod grace;
mod security;
mod status;
