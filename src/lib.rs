//! portal-operator: tenants, users, groups and invitations of a customer portal, declared in YAML.
//!
//! The house has floors; a floor uses only those below it (`tests/house.rs` keeps it so):
//!
//! * [`api`]: what users write and read.
//! * [`plan`]: what follows from what was seen. Pure.
pub mod api;
pub mod plan;
