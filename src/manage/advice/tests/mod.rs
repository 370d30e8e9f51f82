//! Tests of advice, before and after an event.

mod calls;
mod evidence;
