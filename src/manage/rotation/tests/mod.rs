//! Rotations from beginning to end, with all that may come between.

mod begin;
mod ends;
mod grace;
mod security;
mod status;
