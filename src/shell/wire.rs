//! What goes to the API server is counted at the wire, so that nothing is left out: answers that are errors, lists, and
//! when each view was last known to be true. A quiet watch tells nothing for hours; that it was taken up again tells that
//! nothing was missed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode};
use kube::client::Body;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio::time::Instant;
use tower::Service;

use super::table::KindId;
use crate::api::GROUP;

/// Category of an error.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Category {
    pub category: &'static str,
}

/// A kind of objects.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct KindLabel {
    pub kind: &'static str,
}

/// Words for answers of the API server that are errors.
const CATEGORIES: [&str; 7] =
    ["connection", "unauthorized", "forbidden", "not_found", "conflict", "overload", "refused"];

/// What was seen at the wire.
#[derive(Debug)]
pub struct Traffic {
    errors: Family<Category, Counter>,
    lists: Family<KindLabel, Counter>,
    /// When each view was last known to be true, by kind and namespace.
    heard: Mutex<HashMap<(KindId, Option<String>), Instant>>,
    begun: Instant,
}

impl Default for Traffic {
    fn default() -> Self {
        let (errors, lists) = (Family::<Category, Counter>::default(), Family::<KindLabel, Counter>::default());
        CATEGORIES.iter().for_each(|category| drop(errors.get_or_create(&Category { category })));
        KindId::ALL.iter().for_each(|kind| drop(lists.get_or_create(&KindLabel { kind: kind.as_str() })));
        Traffic { errors, lists, heard: Mutex::default(), begun: Instant::now() }
    }
}

impl Traffic {
    /// Shows its numbers in this registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("api_errors", "Answers of the API server that are errors", self.errors.clone());
        registry.register("lists", "Lists of a whole kind: one at start, more where a watch lost its thread", {
            self.lists.clone()
        });
    }

    /// Age of the view of this kind: of its oldest part, if namespaces are watched one by one.
    pub fn age(&self, kind: KindId) -> Duration {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let parts = heard.iter().filter(|((of, _), _)| *of == kind);
        parts.map(|(_, at)| *at).min().unwrap_or(self.begun).elapsed()
    }

    fn answered(&self, view: Option<View>, status: Option<StatusCode>) {
        if let Some(category) = category(status) {
            self.errors.get_or_create(&Category { category }).inc();
            return;
        }
        let Some(View { kind, namespace, watched }) = view else { return };
        if !watched {
            self.lists.get_or_create(&KindLabel { kind: kind.as_str() }).inc();
        }
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).insert((kind, namespace), Instant::now());
    }
}

/// One word for an answer that is an error. None for the status: there was no answer.
fn category(status: Option<StatusCode>) -> Option<&'static str> {
    Some(match status.map(|status| status.as_u16()) {
        None => "connection",
        Some(401) => "unauthorized",
        Some(403) => "forbidden",
        Some(404) => "not_found",
        Some(409) => "conflict",
        Some(429 | 500..=599) => "overload",
        Some(400..=499) => "refused",
        Some(_) => return None,
    })
}

/// The view that a request is about: one kind, in one namespace or in all.
#[derive(Debug, PartialEq)]
struct View {
    kind: KindId,
    namespace: Option<String>,
    watched: bool,
}

impl View {
    fn of<B>(request: &Request<B>) -> Option<View> {
        let path: Vec<&str> = request.uri().path().trim_matches('/').split('/').collect();
        let (namespace, plural) = match path.as_slice() {
            ["apis", group, _, plural] if *group == GROUP => (None, *plural),
            ["apis", group, _, "namespaces", namespace, plural] if *group == GROUP => {
                (Some((*namespace).to_owned()), *plural)
            }
            _ => return None,
        };
        let kind = KindId::ALL.iter().find(|kind| plural == format!("{}s", kind.as_str().to_ascii_lowercase()))?;
        let watched = request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"));
        (request.method() == Method::GET).then_some(View { kind: *kind, namespace, watched })
    }
}

/// A client whose traffic is counted.
#[derive(Clone, Debug)]
pub struct Counted<S> {
    inner: S,
    traffic: Arc<Traffic>,
}

impl<S> Counted<S> {
    /// Puts the count around a client.
    pub fn new(inner: S, traffic: Arc<Traffic>) -> Self {
        Counted { inner, traffic }
    }
}

impl<S, B> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (view, traffic) = (View::of(&request), self.traffic.clone());
        let answer = self.inner.call(request);
        async move {
            let answer = answer.await;
            traffic.answered(view, answer.as_ref().ok().map(Response::status));
            answer
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(uri: &str) -> Option<View> {
        View::of(&Request::get(uri).body(()).expect("a request"))
    }

    #[test]
    fn a_view_is_told_by_its_path_and_an_object_is_none() {
        let base = format!("/apis/{GROUP}/v1alpha1");
        let whole = View { kind: KindId::PortalUser, namespace: None, watched: false };
        assert_eq!(view(&format!("{base}/portalusers?&limit=500")), Some(whole));
        let part = View { kind: KindId::Tenant, namespace: Some("acme".into()), watched: true };
        assert_eq!(view(&format!("{base}/namespaces/acme/tenants?&watch=true&timeoutSeconds=55")), Some(part));
        for other in [&format!("{base}/namespaces/acme/tenants/a"), "/api/v1/namespaces/acme/secrets", "/version"] {
            assert_eq!(view(other), None, "{other}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_view_is_as_old_as_its_oldest_part() {
        let traffic = Traffic::default();
        let part =
            |namespace: &str| Some(View { kind: KindId::Group, namespace: Some(namespace.into()), watched: true });
        traffic.answered(part("a"), Some(StatusCode::OK));
        tokio::time::advance(Duration::from_secs(5)).await;
        traffic.answered(part("b"), Some(StatusCode::OK));
        traffic.answered(part("a"), Some(StatusCode::FORBIDDEN));
        assert_eq!(traffic.age(KindId::Group), Duration::from_secs(5));
        traffic.answered(part("a"), Some(StatusCode::OK));
        assert_eq!(traffic.age(KindId::Group), Duration::ZERO);
        assert_eq!(traffic.age(KindId::Portal), Duration::from_secs(5), "never heard of: since the start");
    }
}
