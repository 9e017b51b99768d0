//! All tests that need Kubernetes, in one binary: `make integration`.

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod api;
mod chaos;
mod commands;
mod crashes;
mod crowd;
mod debris;
mod duplicates;
mod examples;
mod harness;
mod install;
mod leadership;
mod letters;
mod life;
mod lint;
mod metrics;
mod orders;
mod portals;
mod references;
mod refusals;
mod relays;
mod replicas;
mod resend;
mod restore;
mod rotation;
mod seats;
mod stagecraft;
mod startup;
mod story;
mod switch;
mod weather;
