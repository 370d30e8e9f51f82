mod begin;
mod ends;
mod grace;
mod security;
mod status;
mod verdict;
