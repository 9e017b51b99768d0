//! Health and metrics.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::api::InvitationState;
use crate::shell::Shared;
use crate::shell::metrics::Reading;

/// Ready: every kind was listed, and links can be told from forged ones. Leadership does not matter, for every replica
/// serves the page.
pub(super) async fn ready(State(ctx): State<Shared>) -> Response {
    let missing = ctx.unsynced();
    let text = if !missing.is_empty() {
        format!("not ready: cannot list {} (are the CRDs installed, and may the operator?)\n", missing.join(", "))
    } else if ctx.keys.signing().is_none() {
        "not ready: the Secret with the keys of links is absent, empty or cannot be read\n".to_owned()
    } else {
        return "ready\n".into_response();
    };
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

/// Metrics in the OpenMetrics format.
pub(super) async fn metrics(State(ctx): State<Shared>) -> Response {
    let relays = ctx.relays.all();
    let reading = Reading {
        queue: ctx.queue.len(),
        relay_well: relays.iter().all(|post| post.relay.is_well()),
        relay_waiting: relays.iter().map(|post| post.relay.load().1).sum(),
        leading: ctx.lead.holds(),
        now: ctx.clock.now().as_second(),
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
