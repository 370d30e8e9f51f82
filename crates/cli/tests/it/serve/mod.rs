//! `apikeys serve` as a process: what proxies are answered, and what clients behind real proxies see.

mod check;
mod clients;
mod life;
mod page;
mod proxy;
mod server;
