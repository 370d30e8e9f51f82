mod changes;
mod decisions;
mod faults;
mod fixture;
mod issue;
mod lists;
mod owners;
mod policies;
