mod answers;
mod layer;
mod limits;
mod polling;
mod require;
mod support;
