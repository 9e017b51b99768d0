//! Objects that passed the schema and cannot be read: they get an answer too, and stop nobody.

use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use serde_json::{Value, json};

use crate::api::GROUP;
use crate::api::condition::{Condition, Finding, Reason, settle, types};
use crate::shell::Context;
use crate::shell::error::Error;
use crate::shell::status::call;
use crate::shell::table::Key;

/// Writes the condition of an object that cannot be read. Its other facts stay as they are.
pub(super) async fn report(ctx: &Context, key: &Key) -> Result<(), Error> {
    let Some(why) = ctx.world.look().unreadable.get(key).cloned() else { return Ok(()) };
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, "v1alpha1", key.kind.as_str()));
    let api: Api<DynamicObject> = Api::namespaced_with(ctx.client.clone(), &key.namespace, &resource);
    let Some(object) = call("read an object", api.get_opt(&key.name)).await? else { return Ok(()) };
    let old: Vec<Condition> = object
        .data
        .pointer("/status/conditions")
        .and_then(|conditions| serde_json::from_value(conditions.clone()).ok())
        .unwrap_or_default();
    let why: String = why.chars().filter(|c| !c.is_control()).take(300).collect();
    let message = format!("A value passed the schema and cannot be read: {why}.");
    let generation = object.metadata.generation;
    let findings = vec![
        Finding::new(types::READY, false, Reason::Unreadable, message.clone()),
        Finding::new(types::STALLED, true, Reason::Unreadable, message),
    ];
    let conditions = settle(&old, findings, generation, ctx.clock.now());
    let observed = object.data.pointer("/status/observedGeneration").and_then(Value::as_i64);
    if old == conditions && observed == generation {
        return Ok(());
    }
    tracing::warn!(?key, why, "an object cannot be read");
    let patch = json!({
        "metadata": { "uid": object.metadata.uid, "resourceVersion": object.metadata.resource_version },
        "status": { "observedGeneration": generation, "conditions": conditions },
    });
    let (params, patch) = (PatchParams::default(), Patch::Merge(&patch));
    let written = api.patch_status(&key.name, &params, &patch);
    match call("write the condition of an unreadable object", written).await {
        Err(error) if error.is_conflict() || error.is_not_found() => Ok(()),
        other => other.map(|_| ()),
    }
}
