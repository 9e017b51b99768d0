//! Workloads that tenants list: watched where somebody lists one of their kind, scaled by their `scale` subresource.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::runtime::watcher::{self, Event};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use super::Context;
use super::error::Error;
use super::status::{PATIENCE, call};
use super::trouble::Trouble;
use super::watch::events;
use super::world::Workload;
use crate::api::WorkloadRef;
use crate::plan::tenant::OURSELVES;

/// A kind of workload that does not exist yet may be installed later.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Kind of a workload: apiVersion and kind.
pub type Sort = (String, String);

/// Kinds of workloads that are watched, and how they are addressed.
#[derive(Debug, Default)]
pub struct Sorts {
    watched: Mutex<HashSet<Sort>>,
    resources: Mutex<HashMap<Sort, ApiResource>>,
}

impl Sorts {
    /// Whether this kind is seen for the first time.
    pub fn is_new(&self, sort: &Sort) -> bool {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).insert(sort.clone())
    }

    async fn resource(&self, client: &Client, sort: &Sort) -> Result<ApiResource, Error> {
        let known = self.resources.lock().unwrap_or_else(PoisonError::into_inner).get(sort).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let (group, version) = sort.0.rsplit_once('/').unwrap_or(("", sort.0.as_str()));
        let gvk = GroupVersionKind::gvk(group, version, &sort.1);
        let (found, _) = call("find a kind of workload", kube::discovery::pinned_kind(client, &gvk)).await?;
        self.resources.lock().unwrap_or_else(PoisonError::into_inner).insert(sort.clone(), found.clone());
        Ok(found)
    }
}

/// The kind of a workload.
pub fn sort(workload: &WorkloadRef) -> Sort {
    (workload.api_version.clone(), workload.kind.clone())
}

/// Watches one kind of workload for ever, and tells which ones changed.
pub async fn watch(ctx: Arc<Context>, sort: Sort, namespace: Option<String>, told: impl Fn(&str, &WorkloadRef)) {
    let resource = loop {
        match ctx.sorts.resource(&ctx.client, &sort).await {
            Ok(resource) => break resource,
            Err(error) => {
                tracing::warn!(kind = sort.1, api_version = sort.0, %error, "this kind of workload cannot be watched");
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    };
    let api: Api<DynamicObject> = match &namespace {
        Some(namespace) => Api::namespaced_with(ctx.client.clone(), namespace, &resource),
        None => Api::all_with(ctx.client.clone(), &resource),
    };
    let reference = |object: &DynamicObject| WorkloadRef {
        api_version: sort.0.clone(),
        kind: sort.1.clone(),
        name: object.name_any(),
    };
    let mut listed: HashSet<(String, WorkloadRef)> = HashSet::new();
    let trouble = Trouble::new(format!("{} of {}", sort.1, sort.0), "cannot be watched");
    let mut events = std::pin::pin!(events(api, watcher::Config::default(), trouble));
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(object) | Event::Apply(object)) => {
                let key = (object.namespace().unwrap_or_default(), reference(&object));
                listed.insert(key.clone());
                let row = Workload {
                    replicas: replicas(&object.data),
                    version: version(&object.metadata),
                    scaled_by: scaled_by(&object.metadata),
                    trouble: None,
                };
                if replace(&ctx, &key, row) {
                    told(&key.0, &key.1);
                }
            }
            Ok(Event::Delete(object)) => {
                let key = (object.namespace().unwrap_or_default(), reference(&object));
                ctx.world.look().workloads.remove(&key);
                told(&key.0, &key.1);
            }
            Ok(Event::InitDone) => {
                let gone: Vec<_> = {
                    let tables = ctx.world.look();
                    let of_this = |key: &&(String, WorkloadRef)| {
                        self::sort(&key.1) == sort && namespace.as_ref().is_none_or(|ns| *ns == key.0)
                    };
                    tables.workloads.keys().filter(of_this).filter(|key| !listed.contains(*key)).cloned().collect()
                };
                for key in gone {
                    ctx.world.look().workloads.remove(&key);
                    told(&key.0, &key.1);
                }
            }
            Err(_) => {} // Logged, and taken up again.
        }
    }
}

/// Takes a row if it is newer. What could not be scaled stays known until it was scaled.
fn replace(ctx: &Context, key: &(String, WorkloadRef), mut row: Workload) -> bool {
    let mut tables = ctx.world.look();
    let known = tables.workloads.get(key);
    if known.is_some_and(|known| known.version >= row.version) {
        return false;
    }
    row.trouble = known.and_then(|known| known.trouble.clone());
    let visible = |row: &Workload| (row.replicas, row.scaled_by.clone());
    let changed = known.map(visible) != Some(visible(&row));
    tables.workloads.insert(key.clone(), row);
    changed
}

/// Sets the scale of a workload and takes the answer for known.
pub async fn scale(ctx: &Context, namespace: &str, workload: &WorkloadRef, replicas: i32) -> Result<(), Error> {
    const DOING: &str = "scale a workload";
    let resource = ctx.sorts.resource(&ctx.client, &sort(workload)).await?;
    let api: Api<DynamicObject> = Api::namespaced_with(ctx.client.clone(), namespace, &resource);
    let params = PatchParams { field_manager: Some(OURSELVES.into()), ..PatchParams::default() };
    let patch = Patch::Merge(json!({ "spec": { "replicas": replicas } }));
    let answer = tokio::time::timeout(PATIENCE, api.patch_scale(&workload.name, &params, &patch)).await;
    let answer = answer.map_err(|_| Error::slow(DOING)).and_then(|a| a.map_err(|e| Error::api(DOING, e)));
    let mut tables = ctx.world.look();
    let row = tables.workloads.entry((namespace.to_owned(), workload.clone())).or_default();
    match answer {
        Ok(scale) => {
            row.trouble = None;
            let version = version(&scale.metadata);
            // A late answer says nothing of what somebody did since, which the watch has told already.
            if version >= row.version {
                row.replicas = Some(replicas);
                row.version = version;
                row.scaled_by = Some(OURSELVES.into());
            }
            Ok(())
        }
        Err(error) => {
            row.trouble = Some(match error.code() {
                Some(403) => "the operator has no right to scale it (patch on its scale subresource)".into(),
                Some(404) => "it has no scale subresource, or is gone".into(),
                _ => "it could not be scaled; tried again".into(),
            });
            Err(error)
        }
    }
}

fn version(metadata: &ObjectMeta) -> u64 {
    metadata.resource_version.as_deref().and_then(|v| v.parse().ok()).unwrap_or(0)
}

/// `spec.replicas`; omitted means 1 for all kinds of Kubernetes.
fn replicas(data: &Value) -> Option<i32> {
    match data.pointer("/spec/replicas") {
        None => Some(1),
        Some(count) => count.as_i64().and_then(|n| i32::try_from(n).ok()),
    }
}

/// Who last wrote `spec.replicas`, by the managed fields.
fn scaled_by(metadata: &ObjectMeta) -> Option<String> {
    let writers = metadata.managed_fields.iter().flatten().filter(|entry| {
        entry.fields_v1.as_ref().is_some_and(|fields| fields.0.pointer("/f:spec/f:replicas").is_some())
    });
    writers.max_by_key(|entry| entry.time.as_ref().map(|t| t.0))?.manager.clone()
}
