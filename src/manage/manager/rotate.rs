mod begin;
mod end;
mod grace;
mod pair;
mod status;
