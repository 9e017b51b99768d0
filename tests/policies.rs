//! Who may apply what, on a real API server: the chart's admission policies, asked by people, ServiceAccounts and the
//! controllers of the cluster.

#[path = "support/mod.rs"]
mod support;

#[path = "suite/story.rs"]
#[allow(dead_code, reason = "words that the suite uses more of")]
mod story;

#[path = "policies/assign.rs"]
mod assign;
#[path = "policies/commands.rs"]
mod commands;
#[path = "policies/controllers.rs"]
mod controllers;
#[path = "policies/cost.rs"]
mod cost;
#[path = "policies/documents.rs"]
mod documents;
#[path = "policies/installation.rs"]
mod installation;
#[path = "policies/last_holder.rs"]
mod last_holder;
#[path = "policies/manage.rs"]
mod manage;
#[path = "policies/marks.rs"]
mod marks;
#[path = "policies/operator.rs"]
mod operator;
#[path = "policies/people.rs"]
mod people;
#[path = "policies/releases.rs"]
mod releases;
#[path = "policies/tenants.rs"]
mod tenants;
#[path = "policies/ways_round.rs"]
mod ways_round;
