//! The workloads that serve a customer: down while the portal is off, back to their counts when it is on again.
//!
//! ```text
//!  portalActive: false   saved count written to status ──▶ scale to 0 ──somebody scales up──▶ again, ever slower
//!  portalActive: true    scale to the saved count ──seen up──▶ saved count dropped
//! ```

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::{Seen, WorkloadSeen};
use crate::api::condition::Reason;
use crate::api::{PortalSwitch, SavedWorkload, Tenant, TenantStatus, WorkloadRef, marks};
use crate::plan::Effect;

/// The field manager of the operator's own scaling: it fights with everybody but itself.
pub const OURSELVES: &str = "portal-operator";

/// First pause between two turns of a fight over a workload's scale; doubles each time.
const FIRST_TRUCE: SignedDuration = SignedDuration::from_secs(1);

/// Longest pause between two turns of such a fight.
const LONGEST_TRUCE: SignedDuration = SignedDuration::from_mins(5);

/// What is wrong with a workload, and a sentence about it.
pub(super) type Trouble = (Reason, String);

/// Scales what has to be scaled. A count is saved in status before its workload goes down (the status is written before
/// effects are performed), and dropped only once the workload was seen up again.
pub(super) fn scale(
    tenant: &Tenant,
    seen: &Seen,
    before: Option<&PortalSwitch>,
    now: Timestamp,
    effects: &mut Vec<Effect>,
    wake: &mut Vec<Option<Timestamp>>,
) -> (Vec<SavedWorkload>, Vec<Trouble>) {
    let saved = saved_before(tenant, before);
    let nothing = WorkloadSeen::default();
    let mut result = Vec::new();
    let mut troubles = Vec::new();
    let listed = tenant.spec.workloads.iter();
    let forgotten = saved.iter().map(|(w, _)| w).filter(|w| !tenant.spec.workloads.contains(w));
    for workload in listed.chain(forgotten) {
        let seen = seen.workloads.get(workload).unwrap_or(&nothing);
        let saved = saved.iter().find(|(w, _)| w == workload).map(|(_, s)| s.clone());
        let listed = tenant.spec.workloads.contains(workload);
        let down = !tenant.spec.portal_active && !seen.needed_by_others && listed;
        let name = format!("{} {:?}", workload.kind, workload.name);
        if let Some(trouble) = &seen.trouble {
            troubles.push((Reason::ScaleFailed, format!("{name}: {trouble}")));
        }
        let Some(replicas) = seen.replicas else {
            let message = format!("{name} does not exist, or its kind is not one that the operator may watch.");
            if seen.trouble.is_none() && listed {
                troubles.push((Reason::WorkloadNotFound, message));
            }
            result.extend(saved);
            continue;
        };
        let order = |replicas| Effect::Scale { workload: workload.clone(), replicas };
        match (down, saved) {
            (true, None) if replicas > 0 => {
                result.push(saved_now(workload, replicas, now));
                effects.push(order(0));
            }
            // Down by another tenant, which may be deleted: then its count has to be known here.
            (true, None) => result.extend(seen.saved_by_others.map(|theirs| saved_now(workload, theirs, now))),
            (true, Some(mut saved)) => {
                let by = seen.scaled_by.as_deref().unwrap_or("something else");
                let due = truce_ends(&saved).filter(|due| *due > now);
                if replicas > 0 && due.is_none() {
                    saved.contested = saved.contested.saturating_add(1);
                    saved.contested_by = Some(by.to_owned()).filter(|by| seen.trouble.is_none() && by != OURSELVES);
                    saved.scaled_time = Some(Time(now));
                    effects.push(order(0));
                }
                // A fight is told as long as its truce lasts: a sentence that went with the scaling would be read by
                // nobody. Where scaling failed nobody fights: it is only tried again, at the same pace.
                let by = if replicas > 0 { Some(by) } else { saved.contested_by.as_deref().filter(|_| due.is_some()) };
                let fought_by = by.filter(|_| seen.trouble.is_none());
                if replicas > 0 || fought_by.is_some() {
                    wake.push(truce_ends(&saved));
                }
                if let Some(by) = fought_by {
                    let message = format!("{name} was scaled up by {by} while the portal is off; it goes down again.");
                    troubles.push((Reason::ScaleContested, message));
                }
                result.push(saved);
            }
            // Off the list, and another tenant keeps it down: it is for that one to bring it back.
            (false, Some(_)) if !listed && seen.saved_by_others.is_some() => {}
            (false, Some(saved)) if replicas == 0 && saved.replicas > 0 => {
                effects.push(order(saved.replicas));
                result.push(saved);
            }
            (false, _) => {}
        }
    }
    (result, troubles)
}

fn saved_now(workload: &WorkloadRef, replicas: i32, now: Timestamp) -> SavedWorkload {
    SavedWorkload {
        api_version: workload.api_version.clone(),
        kind: workload.kind.clone(),
        name: workload.name.clone(),
        replicas,
        contested: 0,
        contested_by: None,
        scaled_time: Some(Time(now)),
    }
}

/// The end of the pause after the last scaling.
fn truce_ends(saved: &SavedWorkload) -> Option<Timestamp> {
    saved.scaled_time.as_ref()?.0.checked_add(truce(saved.contested)).ok()
}

/// The pause before turn `contested` of a fight.
fn truce(contested: i32) -> SignedDuration {
    let doublings = u32::try_from(contested.clamp(0, 9)).unwrap_or(0);
    SignedDuration::from_secs((FIRST_TRUCE.as_secs() << doublings).min(LONGEST_TRUCE.as_secs()))
}

/// Saved counts, from status, or from the annotation where a restore wiped the status. Anybody who may write a Tenant
/// writes its annotations, past the schema: one about a workload that the spec does not list scales nothing.
fn saved_before(tenant: &Tenant, before: Option<&PortalSwitch>) -> Vec<(WorkloadRef, SavedWorkload)> {
    if let Some(before) = before {
        return before.workloads.iter().map(|saved| (reference(saved), saved.clone())).collect();
    }
    let text = tenant.annotations().get(marks::REPLICAS).map_or("[]", String::as_str);
    let saved: Vec<SavedWorkload> = serde_json::from_str(text).unwrap_or_default();
    let saved = saved.into_iter().map(|saved| (reference(&saved), saved));
    saved.filter(|(workload, _)| tenant.spec.workloads.contains(workload)).collect()
}

/// The count that a tenant has saved of a workload.
pub fn saved_count(tenant: &Tenant, workload: &WorkloadRef) -> Option<i32> {
    let before = tenant.status.as_ref().and_then(|s| s.portal.as_ref());
    saved_before(tenant, before).into_iter().find(|(saved, _)| saved == workload).map(|(_, saved)| saved.replicas)
}

/// The workload that a saved count is about.
pub fn reference(saved: &SavedWorkload) -> WorkloadRef {
    WorkloadRef { api_version: saved.api_version.clone(), kind: saved.kind.clone(), name: saved.name.clone() }
}

/// Workloads of the spec, and those whose counts are saved in status.
pub fn known_workloads(tenant: &Tenant) -> Vec<WorkloadRef> {
    let before = tenant.status.as_ref().and_then(|s| s.portal.as_ref());
    let mut known = tenant.spec.workloads.clone();
    known.extend(saved_before(tenant, before).into_iter().map(|(reference, _)| reference));
    known.sort();
    known.dedup();
    known
}

/// Keeps the annotation by which saved counts outlive a restore without status.
pub(super) fn replicas_annotation(tenant: &Tenant, status: &TenantStatus, effects: &mut Vec<Effect>) {
    let saved = status.portal.iter().flat_map(|p| &p.workloads);
    let lasting: Vec<SavedWorkload> =
        saved.map(|s| SavedWorkload { contested: 0, contested_by: None, scaled_time: None, ..s.clone() }).collect();
    let value = if lasting.is_empty() { None } else { serde_json::to_string(&lasting).ok() };
    if value.as_ref() != tenant.annotations().get(marks::REPLICAS) {
        // Before any scaling: the count must be safe in both places when the workload goes down.
        effects.insert(0, Effect::Annotate { key: marks::REPLICAS, value });
    }
}
