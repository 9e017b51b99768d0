//! Status by compare-and-swap, and the fence that only such a write yields.

use std::time::Duration;

use kube::core::params::PostParams;
use kube::{Api, ResourceExt};
use serde_json::json;

use super::Context;
use super::error::Error;
use super::kinds::Kind;

/// Deadline of one call of the API server: longer than any healthy answer, shorter than a worker may be held up.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Proof that this turn recorded something new by compare-and-swap. Nothing is delivered without one, and one serves
/// once: a stale view, a second leader or a lost answer ends in a 409, and no fence.
#[derive(Debug)]
pub struct Fence(());

/// What a write did.
#[derive(Debug)]
pub enum Written<K> {
    /// The status says that already.
    Same,
    /// It was stored, and this is the stored object.
    New(Box<K>, Fence),
}

/// Writes a status if it differs from the stored one. The body is metadata and status: without the spec it is the
/// cheapest, a `None` is removed, and both resourceVersion and UID are compared by the API server.
pub async fn write<K: Kind>(ctx: &Context, object: &K, status: &K::Status) -> Result<Written<K>, Error> {
    if object.status() == Some(status) {
        return Ok(Written::Same);
    }
    let body = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {
            "name": object.name_any(),
            "namespace": object.namespace(),
            "resourceVersion": object.resource_version(),
            "uid": object.uid(),
        },
        "status": status,
    });
    const DOING: &str = "write a status";
    let body = serde_json::to_vec(&body).map_err(|e| Error::other(DOING, e.to_string()))?;
    let url = K::url_path(&(), object.namespace().as_deref());
    let request = kube::core::Request::new(url)
        .replace_subresource("status", &object.name_any(), &PostParams::default(), body)
        .map_err(|e| Error::other(DOING, e.to_string()))?;
    let stored: K = call(DOING, ctx.client.request(request)).await?;
    Ok(Written::New(Box::new(stored), Fence(())))
}

/// The object as it is now, if it is still the same one.
pub async fn fresh<K: Kind>(ctx: &Context, object: &K) -> Result<Option<K>, Error> {
    let api: Api<K> = Api::namespaced(ctx.client.clone(), &object.namespace().unwrap_or_default());
    let found = call("read an object again", api.get_opt(&object.name_any())).await?;
    Ok(found.filter(|newer| newer.uid() == object.uid()))
}

/// One call of the API server, within its deadline.
pub async fn call<T>(doing: &'static str, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Error> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Error::api(doing, error)),
        Err(_) => Err(Error::slow(doing)),
    }
}
