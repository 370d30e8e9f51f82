//! Advice before and after something happens.

mod calls;
mod evidence;
