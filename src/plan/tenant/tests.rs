//! The life of a customer's switch, mail and counts, as a table of what was seen and what follows.

mod activation;
mod people;
mod switch;

use serde_json::{Value, json};

use super::*;
use crate::api::condition::types;
use crate::plan::portal::{RelaySecret, post};
use crate::plan::testing::{but, deeds, events, object, says, settings, t, tells};

/// One tenant, what it sees, and the time.
#[derive(Clone)]
pub(super) struct Story {
    pub tenant: Tenant,
    pub seen: Seen,
    pub now: Timestamp,
}

fn acme(spec: Value) -> Story {
    Story {
        tenant: object("acme", "Tenant", spec),
        seen: Seen {
            settings: Arc::new(settings()),
            place: Place::Free,
            missing_portal: None,
            portal_locale: None,
            users: UserCounts::default(),
            catalogue: Arc::new(Catalogue::built_in()),
            post: post(&settings(), None, &RelaySecret::Unseen),
            portal_url: None,
            holders: BTreeMap::new(),
            first_user: None,
            groups: BTreeMap::new(),
            contact_person_exists: true,
            workloads: BTreeMap::new(),
        },
        now: t(0),
    }
}

pub(super) fn workload(name: &str) -> WorkloadRef {
    WorkloadRef { api_version: "apps/v1".into(), kind: "Deployment".into(), name: name.into() }
}

fn scale_to(name: &str, replicas: i32) -> Effect {
    Effect::Scale { workload: workload(name), replicas }
}

/// ACME with these workloads, each with its replicas.
pub(super) fn with_workloads(workloads: &[(&str, i32)]) -> Story {
    let list: Vec<WorkloadRef> = workloads.iter().map(|(name, _)| workload(name)).collect();
    let mut story = acme(json!({"workloads": list}));
    for (name, replicas) in workloads {
        story.workload(name).replicas = Some(*replicas);
    }
    story
}

impl Story {
    /// Somebody applies these fields.
    pub fn set(&mut self, fields: Value) {
        self.tenant.spec = but(&self.tenant.spec, fields);
        self.tenant.metadata.generation = self.tenant.metadata.generation.map(|g| g + 1);
    }

    pub fn with(mut self, fields: Value) -> Self {
        self.set(fields);
        self
    }

    pub fn seeing(mut self, change: impl FnOnce(&mut Seen)) -> Self {
        change(&mut self.seen);
        self
    }

    pub fn switch(&mut self, on: bool) {
        self.set(json!({"portalActive": on}));
    }

    pub fn workload(&mut self, name: &str) -> &mut WorkloadSeen {
        self.seen.workloads.entry(workload(name)).or_default()
    }

    pub fn replicas(&mut self, name: &str) -> Option<i32> {
        self.workload(name).replicas
    }

    pub fn at(mut self, second: i64) -> Self {
        self.now = t(second);
        self
    }

    pub fn plan(&self) -> Plan<TenantStatus> {
        plan(&self.tenant, &self.seen, &Facts::new(), self.now)
    }

    pub fn deeds(&self) -> Vec<Effect> {
        deeds(&self.plan().effects).into_iter().cloned().collect()
    }

    /// What follows is written and performed, mails aside.
    pub fn turn(&mut self) -> Plan<TenantStatus> {
        self.learn(Facts::new())
    }

    pub fn learn(&mut self, facts: Facts) -> Plan<TenantStatus> {
        let plan = plan(&self.tenant, &self.seen, &facts, self.now);
        self.tenant.status = Some(plan.status.clone());
        for effect in &plan.effects {
            match effect {
                Effect::Annotate { key, value } => self.annotate(key, value.as_deref()),
                Effect::Scale { workload, replicas } => {
                    let seen = self.seen.workloads.entry(workload.clone()).or_default();
                    (seen.replicas, seen.scaled_by) = (Some(*replicas), Some("portal-operator".into()));
                }
                _ => {}
            }
        }
        plan
    }

    /// Turns until nothing is left to do.
    pub fn settle(&mut self) {
        for _ in 0..4 {
            self.turn();
        }
        assert!(self.deeds().is_empty() && self.plan().status == self.status(), "it does not come to rest");
    }

    pub fn annotate(&mut self, key: &str, value: Option<&str>) {
        let annotations = self.tenant.metadata.annotations.get_or_insert_default();
        match value {
            Some(value) => drop(annotations.insert(key.into(), value.into())),
            None => drop(annotations.remove(key)),
        }
    }

    pub fn status(&self) -> TenantStatus {
        self.tenant.status.clone().unwrap_or_default()
    }

    pub fn saved(&self) -> Vec<(String, i32)> {
        let portal = self.status().portal.expect("a switch");
        portal.workloads.into_iter().map(|saved| (saved.name, saved.replicas)).collect()
    }

    pub fn says(&self, condition: &str) -> String {
        says(&self.plan().status.conditions, condition)
    }
}
