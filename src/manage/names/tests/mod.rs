//! Names in answers and sentences, leavers in flags, teams in lists; and directories that fail, panic, hang, lie or are
//! slow.

mod answers;
mod broken;
mod fake;
mod leavers;
mod measures;
mod teams;
mod times;
