//! What follows for a customer: the switch, the counts, the contact person.
//!
//! ```text
//!  portalActive: false   saved count written to status ──▶ scale to 0 ──somebody scales up──▶ again, ever slower
//!  portalActive: true    scale to the saved count ──seen up──▶ saved count dropped
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::dispatch::{self, Fresh, Next};
use super::group;
use super::letter::{Letter, Occasion};
use super::portal::Post;
use super::roles::Catalogue;
use super::{Channel, Child, Delivery, Effect, Fact, Facts, Plan, Purpose, Settings, address::Address, earliest};
use crate::api::condition::{Finding, Reason, Verdict, settle, types};
use crate::api::{
    Attempt, Dispatch, Group, PortalState, PortalSwitch, SavedWorkload, Tenant, TenantStatus, UserCounts, WorkloadRef,
    marks,
};
use crate::plan::delivery::Outcome;
use crate::plan::invitation::Place;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

/// The field manager of the operator's own scaling: it fights with everybody but itself.
pub const OURSELVES: &str = "portal-operator";

/// First pause between two turns of a fight over a workload's scale; doubles each time.
const FIRST_TRUCE: SignedDuration = SignedDuration::from_secs(1);
/// Longest pause between two turns of such a fight.
const LONGEST_TRUCE: SignedDuration = SignedDuration::from_mins(5);

/// What the world looks like to one tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Start-up settings and keys.
    pub settings: Arc<Settings>,
    /// Whether a mail could go out right now.
    pub place: Place,
    /// The name of the Portal that it names and that does not exist.
    pub missing_portal: Option<String>,
    /// Seats in use.
    pub users: UserCounts,
    /// Its portal's roles.
    pub catalogue: Arc<Catalogue>,
    /// How its mail goes out.
    pub post: Post,
    /// Address of the portal, for tenants without one of their own.
    pub portal_url: Option<String>,
    /// For each role that a tenant has to keep: who holds it.
    pub holders: BTreeMap<String, Holder>,
    /// Who is the first user, if nobody was recorded yet: who was added or who registered first, as the portal has it.
    pub first_user: Option<String>,
    /// Groups whose names are reserved for the tenant's built-in ones, by the part behind the dot.
    pub groups: BTreeMap<String, Group>,
    /// The contact person of the spec exists in this tenant.
    pub contact_person_exists: bool,
    /// Each listed or saved workload, as it is.
    pub workloads: BTreeMap<WorkloadRef, WorkloadSeen>,
}

/// Who holds a role that a tenant has to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A registered, active user, or several.
    Present,
    /// This one, who lost it by spec and keeps it because nobody else holds it.
    Kept(String),
    /// Nobody.
    Nobody,
}

/// A workload as one tenant sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkloadSeen {
    /// Its replicas; None: it does not exist, or its kind cannot be watched.
    pub replicas: Option<i32>,
    /// Another tenant that lists it is active: then it stays up.
    pub needed_by_others: bool,
    /// Who last wrote its scale, by its managed fields.
    pub scaled_by: Option<String>,
    /// The operator could not scale it: why, in a sentence.
    pub trouble: Option<String>,
}

/// What follows for this tenant.
pub fn plan(tenant: &Tenant, seen: &Seen, facts: &Facts, now: Timestamp) -> Plan<TenantStatus> {
    let stored = tenant.status.clone().unwrap_or_default();
    let mut status = stored.clone();
    let mut effects = Vec::new();
    let mut wake = Vec::new();

    status.observed_generation = tenant.metadata.generation;
    status.users = Some(seen.users.clone());
    first_user(tenant, seen, &mut status, &mut effects);
    status.contact_person = match &tenant.spec.contact_person_ref {
        Some(named) => seen.contact_person_exists.then(|| named.name.clone()),
        None => status.first_user.clone(),
    };

    let before = stored.portal.as_ref();
    let state = if tenant.spec.portal_active { PortalState::Active } else { PortalState::Inactive };
    let since = before.filter(|p| p.state == state).and_then(|p| p.since.clone()).unwrap_or(Time(now));
    built_in_groups(tenant, seen, &mut effects);
    let (workloads, scaling) = scale(tenant, seen, before, now, &mut effects, &mut wake);
    if let Some(before) = before.filter(|p| p.state != state) {
        effects.push(switched(before.state, state));
    }
    status.portal = Some(PortalSwitch { state, since: Some(since), workloads });
    replicas_annotation(tenant, &status, &mut effects);
    wake.push(activation(tenant, seen, facts, &mut status, &mut effects, now));

    let findings = findings(tenant, seen, &status, scaling);
    status.conditions = settle(&stored.conditions, findings, tenant.metadata.generation, now);
    let wake = earliest(wake.into_iter().map(|at| at.filter(|at| *at > now)));
    Plan { status, effects, wake }
}

fn switched(from: PortalState, to: PortalState) -> Effect {
    let (reason, note) = match to {
        PortalState::Active => ("PortalActivated", "The portal was switched on."),
        PortalState::Inactive => ("PortalDeactivated", "The portal was switched off."),
    };
    debug_assert_ne!(from, to);
    Effect::Tell { reason, note: note.into(), warning: false }
}

/// The first user is recorded once and never passed on; status and annotation heal each other.
fn first_user(tenant: &Tenant, seen: &Seen, status: &mut TenantStatus, effects: &mut Vec<Effect>) {
    let annotation = tenant.annotations().get(marks::FIRST_USER);
    let recorded = status.first_user.clone().or_else(|| annotation.cloned());
    status.first_user = recorded.or_else(|| seen.first_user.clone());
    if status.first_user.as_ref() != annotation && status.first_user.is_some() {
        effects.push(Effect::Annotate { key: marks::FIRST_USER, value: status.first_user.clone() });
    }
}

/// The tenant's built-in groups: made, put back where somebody changed them, and removed when the portal has them no
/// longer. A foreign object of such a name is left alone; it says so itself.
fn built_in_groups(tenant: &Tenant, seen: &Seen, effects: &mut Vec<Effect>) {
    if seen.missing_portal.is_some() {
        return; // Nothing irreversible follows from an absence.
    }
    let wanted = seen.catalogue.built_in_groups();
    for name in &wanted {
        let group = group::built_in(tenant, name, &seen.catalogue);
        match seen.groups.get(*name) {
            None => effects.push(Effect::Make(Child::Group(Box::new(group)))),
            Some(found) if group::is_built_in(found) && found.spec != group.spec => {
                effects.push(Effect::Update(Child::Group(Box::new(Group { spec: group.spec, ..found.clone() }))));
            }
            Some(_) => {}
        }
    }
    let forgotten =
        seen.groups.iter().filter(|(name, found)| !wanted.contains(name.as_str()) && group::is_built_in(found));
    effects.extend(forgotten.map(|(_, found)| Effect::Delete(Child::Group(Box::new(found.clone())))));
}

/// What there is to say about the workloads.
enum Scaling {
    Done,
    Trouble(Reason, String),
}

/// Scales what has to be scaled. A count is saved in status before its workload goes down (the status is written before
/// effects are performed), and dropped only once the workload was seen up again.
fn scale(
    tenant: &Tenant,
    seen: &Seen,
    before: Option<&PortalSwitch>,
    now: Timestamp,
    effects: &mut Vec<Effect>,
    wake: &mut Vec<Option<Timestamp>>,
) -> (Vec<SavedWorkload>, Scaling) {
    let saved = saved_before(tenant, before);
    let nothing = WorkloadSeen::default();
    let mut result = Vec::new();
    let mut scaling = Scaling::Done;
    let listed = tenant.spec.workloads.iter();
    let forgotten = saved.iter().map(|(w, _)| w).filter(|w| !tenant.spec.workloads.contains(w));
    for workload in listed.chain(forgotten) {
        let seen = seen.workloads.get(workload).unwrap_or(&nothing);
        let saved = saved.iter().find(|(w, _)| w == workload).map(|(_, s)| s.clone());
        let down = !tenant.spec.portal_active && !seen.needed_by_others && tenant.spec.workloads.contains(workload);
        let name = format!("{} {:?}", workload.kind, workload.name);
        if let Some(trouble) = &seen.trouble {
            scaling = Scaling::Trouble(Reason::ScaleFailed, format!("{name}: {trouble}"));
        }
        let Some(replicas) = seen.replicas else {
            let message = format!("{name} does not exist, or its kind is not one that the operator may watch.");
            if matches!(scaling, Scaling::Done) && tenant.spec.workloads.contains(workload) {
                scaling = Scaling::Trouble(Reason::WorkloadNotFound, message);
            }
            result.extend(saved);
            continue;
        };
        let order = |replicas| Effect::Scale { workload: workload.clone(), replicas };
        match (down, saved) {
            (true, None) if replicas > 0 => {
                result.push(SavedWorkload {
                    api_version: workload.api_version.clone(),
                    kind: workload.kind.clone(),
                    name: workload.name.clone(),
                    replicas,
                    contested: 0,
                    contested_by: None,
                    scaled_time: Some(Time(now)),
                });
                effects.push(order(0));
            }
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
                let by = if replicas > 0 { Some(by) } else { saved.contested_by.as_deref() };
                if let Some(by) = by.filter(|_| replicas > 0 || due.is_some()) {
                    wake.push(truce_ends(&saved));
                    if seen.trouble.is_none() {
                        let message =
                            format!("{name} was scaled up by {by} while the portal is off; it goes down again.");
                        scaling = Scaling::Trouble(Reason::ScaleContested, message);
                    }
                }
                result.push(saved);
            }
            (true, None) => {}
            (false, Some(saved)) if replicas == 0 && saved.replicas > 0 => {
                effects.push(order(saved.replicas));
                result.push(saved);
            }
            (false, _) => {}
        }
    }
    (result, scaling)
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

/// Saved counts, from status, or from the annotation where a restore wiped the status.
fn saved_before(tenant: &Tenant, before: Option<&PortalSwitch>) -> Vec<(WorkloadRef, SavedWorkload)> {
    if let Some(before) = before {
        return before.workloads.iter().map(|saved| (reference(saved), saved.clone())).collect();
    }
    let text = tenant.annotations().get(marks::REPLICAS).map_or("[]", String::as_str);
    let saved: Vec<SavedWorkload> = serde_json::from_str(text).unwrap_or_default();
    saved.into_iter().map(|saved| (reference(&saved), saved)).collect()
}

/// The workload that a saved count is about.
pub fn reference(saved: &SavedWorkload) -> WorkloadRef {
    WorkloadRef { api_version: saved.api_version.clone(), kind: saved.kind.clone(), name: saved.name.clone() }
}

/// Workloads that the annotation of a restored tenant names, besides those of spec and status.
pub fn known_workloads(tenant: &Tenant) -> Vec<WorkloadRef> {
    let before = tenant.status.as_ref().and_then(|s| s.portal.as_ref());
    let mut known = tenant.spec.workloads.clone();
    known.extend(saved_before(tenant, before).into_iter().map(|(reference, _)| reference));
    known.sort();
    known.dedup();
    known
}

/// Keeps the annotation by which saved counts outlive a restore without status.
fn replicas_annotation(tenant: &Tenant, status: &TenantStatus, effects: &mut Vec<Effect>) {
    let saved = status.portal.iter().flat_map(|p| &p.workloads);
    let lasting: Vec<SavedWorkload> =
        saved.map(|s| SavedWorkload { contested: 0, contested_by: None, scaled_time: None, ..s.clone() }).collect();
    let value = if lasting.is_empty() { None } else { serde_json::to_string(&lasting).ok() };
    if value.as_ref() != tenant.annotations().get(marks::REPLICAS) {
        // Before any scaling: the count must be safe in both places when the workload goes down.
        effects.insert(0, Effect::Annotate { key: marks::REPLICAS, value });
    }
}

/// The mail of the first activation. Returns when to look again.
fn activation(
    tenant: &Tenant,
    seen: &Seen,
    facts: &Facts,
    status: &mut TenantStatus,
    effects: &mut Vec<Effect>,
    now: Timestamp,
) -> Option<Timestamp> {
    let uid = tenant.uid().unwrap_or_default();
    let annotation = tenant.annotations().get(marks::ACTIVATED);
    let mut dispatch = status.activation.clone().unwrap_or_default();
    if dispatch.sent_time.is_none() && dispatch.attempt.is_none() {
        dispatch.sent_time = annotation.and_then(|text| text.parse().ok().map(Time));
    }
    for fact in facts {
        if let Fact::Delivery { number, outcome, at, .. } = fact {
            match (&mut dispatch.attempt, outcome) {
                (_, Outcome::Delivered { .. }) => {
                    dispatch.sent_time.get_or_insert(Time(*at));
                }
                (Some(attempt), outcome) if attempt.number == *number => {
                    attempt.failure = dispatch::failure(outcome, &uid, attempt, *at);
                }
                _ => {}
            }
        }
    }
    let sent = dispatch.sent_time.as_ref().map(|t| t.0.to_string());
    if sent.is_some() && annotation.is_none() {
        effects.push(Effect::Annotate { key: marks::ACTIVATED, value: sent });
    }
    let mut wake = None;
    if dispatch.sent_time.is_none()
        && let Some((contact, url)) = wants_activation_mail(tenant, seen)
    {
        let fresh = Fresh {
            uid: &uid,
            purpose: Purpose::Activation,
            mail_domain: &seen.post.domain,
            key_id: "",
            expiration: None,
        };
        match dispatch::next(dispatch.attempt.as_ref(), 1, &fresh, &seen.settings.me, now) {
            Next::Deliver(attempt) if seen.place == Place::Free => {
                effects.extend(
                    activation_letter(tenant, &seen.post, &attempt, &contact, url)
                        .map(|d| Effect::Deliver(Box::new(d))),
                );
                dispatch.attempt = Some(attempt);
            }
            Next::Wait(at) => wake = Some(at),
            Next::Deliver(_) | Next::Rest => {}
        }
    }
    status.activation = (dispatch != Dispatch::default()).then_some(dispatch);
    wake
}

/// To whom the activation mail goes, and which address it carries; None while it must not or need not go.
fn wants_activation_mail(tenant: &Tenant, seen: &Seen) -> Option<(Address, String)> {
    let spec = &tenant.spec;
    let ready = spec.activation_mail && spec.portal_active && seen.missing_portal.is_none();
    let equipped = seen.post.trouble.is_none() && seen.post.held.is_none();
    let contact = spec.contact.as_ref().and_then(|c| c.email.as_deref()).and_then(Address::parse)?;
    (ready && equipped).then_some((contact, spec.url.clone().or_else(|| seen.portal_url.clone())?))
}

fn activation_letter(
    tenant: &Tenant,
    post: &Post,
    attempt: &Attempt,
    contact: &Address,
    url: String,
) -> Option<Delivery> {
    let name = tenant.spec.contact.as_ref().and_then(|c| c.name.clone());
    Some(Delivery {
        purpose: Purpose::Activation,
        channel: Channel::Relay,
        relay: post.relay.clone(),
        from: post.from.clone().unwrap_or_default(),
        reply_to: post.reply_to.clone(),
        base: None,
        serial: attempt.serial,
        number: attempt.number,
        key_id: String::new(),
        start: attempt.start_time.as_ref()?.0,
        begun: dispatch::begun_at(attempt)?,
        message_id: attempt.message_id.clone(),
        to: contact.mailbox().to_owned(),
        letter: Letter {
            occasion: Occasion::Activation { url },
            locale: tenant.spec.locale.clone(),
            tenant: display_name(tenant),
            given_name: name,
            inviter: None,
            message: None,
            expiration: None,
        },
    })
}

/// A tenant's name for people.
pub fn display_name(tenant: &Tenant) -> String {
    tenant.spec.display_name.clone().filter(|n| !n.trim().is_empty()).unwrap_or_else(|| tenant.name_any())
}

fn findings(tenant: &Tenant, seen: &Seen, status: &TenantStatus, scaling: Scaling) -> Vec<Finding> {
    let active = tenant.spec.portal_active;
    let (word, sentence) = if active {
        (Reason::Active, "The portal is switched on.")
    } else {
        (Reason::Inactive, "The portal is switched off: no access, no mail, no acceptance.")
    };
    let mut ready = Finding::new(types::READY, true, word, sentence);
    let mut portal_active = Finding::new(types::PORTAL_ACTIVE, active, word, sentence);
    if let Scaling::Trouble(reason, message) = scaling {
        ready = Finding::new(types::READY, false, reason, message.clone());
        portal_active = Finding::new(types::PORTAL_ACTIVE, active, reason, message);
    }
    if let Some(name) = tenant.spec.contact_person_ref.as_ref().filter(|_| !seen.contact_person_exists) {
        let message =
            format!("contactPersonRef names the PortalUser {:?}, which this tenant does not have.", name.name);
        ready = Finding::new(types::READY, false, Reason::ReferenceNotFound, message);
    }
    let failure = status.activation.as_ref().and_then(|d| d.attempt.as_ref()).and_then(|a| a.failure.as_ref());
    let mut trouble = None;
    if let Some(failure) = failure.filter(|_| status.activation.as_ref().is_some_and(|d| d.sent_time.is_none())) {
        let reason = Reason::from_name(&failure.reason).unwrap_or(Reason::RelayProtocolError);
        let message = format!("The activation mail: {}", failure.message);
        let kind = if failure.is_final { types::STALLED } else { types::RECONCILING };
        trouble = Some(Finding::new(kind, true, reason, message.clone()));
        ready = Finding::new(types::READY, false, reason, message);
    }
    if let Some(portal) = &seen.missing_portal {
        let message = format!("There is no Portal {portal:?} in this namespace: nothing is sent, nobody has access.");
        ready = Finding::new(types::READY, false, Reason::PortalNotFound, message);
    }
    let mut findings = vec![ready, portal_active, administrator(seen), within_limit(&seen.users)];
    findings.extend(trouble);
    findings
}

fn administrator(seen: &Seen) -> Finding {
    let finding = |holds, reason, message: String| Finding::new(types::ADMINISTRATOR_PRESENT, holds, reason, message);
    let mut kept = None;
    for (role, holder) in &seen.holders {
        match holder {
            Holder::Nobody => {
                let message = format!("No registered, active user holds the role {role:?}.");
                return finding(false, Reason::NoAdministrator, message);
            }
            Holder::Kept(user) => kept = Some((role, user)),
            Holder::Present => {}
        }
    }
    if let Some((role, user)) = kept {
        let message = format!("PortalUser {user:?} keeps the role {role:?} until somebody else holds it.");
        return finding(true, Reason::LastHolder, message);
    }
    finding(true, Reason::Present, "A registered user administers it.".into())
}

fn within_limit(users: &UserCounts) -> Finding {
    let taken = users.registered + users.invited;
    let (verdict, reason, message) = match users.limit {
        None => (Verdict::True, Reason::Unlimited, format!("{taken} seats are taken; there is no limit.")),
        Some(limit) if taken <= limit => {
            (Verdict::True, Reason::WithinLimit, format!("{taken} of {limit} seats are taken."))
        }
        Some(limit) => {
            let message =
                format!("{taken} seats are taken, {limit} are allowed: nobody is thrown out, nobody invited.");
            (Verdict::False, Reason::OverLimit, message)
        }
    };
    Finding::new(types::WITHIN_USER_LIMIT, verdict, reason, message)
}
