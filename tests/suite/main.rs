//! All tests that need Kubernetes, in one binary: `make integration`.

#[path = "../support/mod.rs"]
mod support;

mod api;
mod crashes;
mod crowd;
mod examples;
mod harness;
mod install;
mod life;
mod refusals;
mod replicas;
mod story;
