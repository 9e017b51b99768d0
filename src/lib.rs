//! portal-operator: tenants, users, groups and invitations of a customer portal, declared in YAML.
//!
//! The house has floors; each uses only those below it (`tests/house.rs` keeps it so):
//!
//! * [`api`]: what users write and read. Serde and schema.
//! * [`plan`]: what follows from what was seen. Pure.
//! * [`shell`]: hands. One file for each way to touch the world.
//! * [`controller`], [`web`] and [`command`]: the loop, the page with its JSON API, and hands for people. None knows
//!   another.
//! * [`cli`] and [`run`]: settings, and what is set to work by them.

pub mod api;
pub mod cli;
pub mod command;
pub mod controller;
pub mod plan;
pub mod run;
pub mod shell;
pub mod web;
