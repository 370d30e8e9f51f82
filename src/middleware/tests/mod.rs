mod answers;
mod layer;
mod limits;
mod organizations;
mod polling;
mod require;
mod support;
