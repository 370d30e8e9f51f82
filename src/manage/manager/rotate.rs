mod begin;
mod end;
mod pair;
mod status;
