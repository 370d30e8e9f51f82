mod changes;
mod faults;
mod fixture;
mod issue;
mod lists;
mod owners;
mod table_of_rights;
