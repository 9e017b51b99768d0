//! The Secret that holds the keys of links: made at first start, followed by name.

use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::runtime::watcher;

use super::Context;
use super::error::Error;
use super::link::new_key;
use super::status::call;
use super::trouble::{self, Trouble};
use super::watch;
use crate::api::marks;

/// How the Secret is called in logs and at /readyz.
pub const KEYS: &str = "the Secret with the keys of links";

/// Has the Secret in place, however long it takes. `answered` is called when the API server has said no.
pub async fn ensured(ctx: &Context, namespace: &str, name: &str, answered: impl Fn()) {
    let mut trouble = Trouble::new(KEYS.to_owned(), "cannot be read or made").shown_in(&ctx.troubles);
    while let Err(error) = ensure(ctx.client.clone(), namespace, name).await {
        let advice = match error.code() {
            Some(401) => trouble::UNKNOWN_CALLER,
            Some(403) => {
                "the operator may not: give its ServiceAccount get, list and watch on it, and create on Secrets"
            }
            Some(404) => "its namespace does not exist: look at --link-keys-secret",
            _ => trouble::WAIT,
        };
        trouble.met(&error.to_string(), advice);
        if error.code().is_some() {
            answered();
        }
        trouble.pause().await;
    }
    trouble.is_over();
}

/// Makes the Secret if it is absent. Whoever is first wins; the others use that one's key.
async fn ensure(client: kube::Client, namespace: &str, name: &str) -> Result<(), Error> {
    const DOING: &str = "make the Secret with the keys of links";
    let api: Api<Secret> = Api::namespaced(client, namespace);
    if call("read the Secret with the keys of links", api.get_opt(name)).await?.is_some() {
        return Ok(());
    }
    let key = new_key().map_err(|e| Error::other(DOING, e.to_string()))?;
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some([(marks::MADE_BY.to_owned(), "portal-operator".to_owned())].into()),
            ..ObjectMeta::default()
        },
        string_data: Some([("key-1".to_owned(), key)].into()),
        ..Secret::default()
    };
    match call(DOING, api.create(&PostParams::default(), &secret)).await {
        Err(error) if error.is_conflict() => Ok(()),
        other => {
            tracing::info!(namespace, name, "made the Secret with the keys of links");
            other.map(|_| ())
        }
    }
}

/// Follows the Secret for ever; `changed` is called when another key signs, or none.
pub async fn follow(ctx: Arc<Context>, namespace: String, name: String, changed: impl Fn()) {
    let trouble = Trouble::new(KEYS.to_owned(), "cannot be watched").shown_in(&ctx.troubles);
    let mut secrets = std::pin::pin!(watch::one::<Secret>(ctx.client.clone(), &namespace, &name, trouble));
    while let Some(secret) = secrets.next().await {
        let secret = match secret {
            Ok(secret) => secret,
            Err(error) => {
                if matches!(error, watcher::Error::InitialListFailed(kube::Error::Api(_))) && answered(&ctx) {
                    changed();
                }
                continue;
            }
        };
        let data = secret.and_then(|s| s.data).unwrap_or_default();
        for entry in ctx.keys.replace(data.iter().map(|(name, value)| (name, value.0.as_slice()))) {
            tracing::warn!(entry, "is no key: entries are key-<number> with at least 32 bytes in base64");
        }
        let signing = ctx.keys.signing();
        let differs = ctx.world.set(|settings| settings.signing_key = signing);
        if answered(&ctx) || differs {
            changed();
        }
    }
}

/// The API server has answered about the Secret, be it by a no. True the first time: what waited for it may go on.
pub fn answered(ctx: &Context) -> bool {
    !std::mem::replace(&mut ctx.world.look().asked_for_keys, true)
}
