mod answers;
mod layer;
mod polling;
mod require;
mod support;
