//! Floor 3: the acceptance page, its JSON API, health and metrics. Every replica serves them.

mod answers;
mod guard;
mod health;
mod page;
mod peer;
mod problem;
mod serve;

use axum::Router;
use axum::routing::{get, post};
use ipnet::IpNet;

use crate::shell::Shared;
pub use serve::serve;

/// The page and its JSON API. Whoever asks by way of these proxies is told apart by what they say.
pub fn public(ctx: Shared, proxies: Vec<IpNet>) -> anyhow::Result<Router> {
    let api = Router::new()
        .route("/api/v1/invitations/inspect", post(answers::inspect))
        .route("/api/v1/invitations/accept", post(answers::accept))
        .route("/api/v1/invitations/decline", post(answers::decline))
        .with_state(answers::Api::new(ctx, proxies));
    let all = page::Page::new()?.routes().merge(api).fallback(problem::nowhere);
    Ok(all.layer(axum::middleware::from_fn(guard::headers)))
}

/// Health and metrics.
pub fn internal(ctx: Shared) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .with_state(ctx)
}
