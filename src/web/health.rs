//! Health and metrics.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::api::InvitationState;
use crate::shell::Shared;
use crate::shell::keyring::KEYS;
use crate::shell::lease::LEASE;
use crate::shell::metrics::Reading;

/// Ready: every kind was listed, and links can be told from forged ones. Leadership does not matter, for every replica
/// serves the page.
pub(super) async fn ready(State(ctx): State<Shared>) -> Response {
    let mut missing = ctx.unsynced();
    if ctx.keys.signing().is_none() {
        missing.push(KEYS.to_owned());
    }
    // Who cannot lead serves the page all the same.
    let about_lease = ctx.troubles.about(LEASE).map(|advice| format!("{LEASE} cannot be renewed or taken: {advice}\n"));
    if missing.is_empty() {
        return format!("ready\n{}", about_lease.unwrap_or_default()).into_response();
    }
    let mut text = String::from("not ready\n");
    for what in missing {
        let advice = match ctx.troubles.about(&what) {
            Some(advice) => format!("cannot be read: {advice}"),
            None if what == KEYS => "is absent, or has no entry key-1 with at least 32 bytes in base64".to_owned(),
            None => "is being listed".to_owned(),
        };
        text.push_str(&format!("{what} {advice}\n"));
    }
    text.extend(about_lease);
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

/// Metrics in the OpenMetrics format.
pub(super) async fn metrics(State(ctx): State<Shared>) -> Response {
    let relays = ctx.relays.by_owner();
    let reading = Reading {
        queue: ctx.queue.len(),
        queue_oldest: ctx.queue.oldest(),
        relays: relays.iter().map(|(whose, post)| (*whose, post.relay.is_well())).collect(),
        relay_waiting: relays.iter().map(|(_, post)| post.relay.load().1).sum(),
        leading: ctx.lead.holds(),
        invitations: invitations(&ctx),
    };
    match ctx.metrics.encode(&reading) {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn invitations(ctx: &Shared) -> Vec<(&'static str, i64)> {
    const STATES: [(InvitationState, &str); 7] = [
        (InvitationState::Pending, "Pending"),
        (InvitationState::Sent, "Sent"),
        (InvitationState::Accepted, "Accepted"),
        (InvitationState::Declined, "Declined"),
        (InvitationState::Expired, "Expired"),
        (InvitationState::Revoked, "Revoked"),
        (InvitationState::Failed, "Failed"),
    ];
    let mut counts = [0i64; STATES.len()];
    for invitation in ctx.world.look().invitations.all() {
        let state = invitation.status.as_ref().and_then(|s| s.state).unwrap_or_default();
        for (count, (known, _)) in counts.iter_mut().zip(STATES) {
            *count += i64::from(known == state);
        }
    }
    STATES.iter().zip(counts).map(|((_, name), count)| (*name, count)).collect()
}
