mod changes;
mod faults;
mod fixture;
mod issue;
mod lists;
mod owners;
mod policies;
mod table_of_rights;
