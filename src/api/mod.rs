//! Floor 0: what users write and read. Serde and schema, nothing else.

pub mod condition;
pub mod duration;
mod group;
mod invitation;
mod portal;
mod portal_user;
mod tenant;
pub mod text;
pub mod time;

pub use group::*;
pub use invitation::*;
pub use portal::*;
pub use portal_user::*;
pub use tenant::*;
pub use text::{Grant, LocalRef};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

/// API group of all kinds.
pub const GROUP: &str = "portal-operator.dev";

/// Annotations and labels: facts that must outlive a restore without status, and the mark of the operator's own objects.
pub mod marks {
    /// On a PortalUser: the confirmed address and when it was confirmed.
    pub const REGISTERED: &str = "portal-operator.dev/registered";
    /// On a Tenant: name of the user who registered first.
    pub const FIRST_USER: &str = "portal-operator.dev/first-user";
    /// On a Tenant: when the activation mail went out.
    pub const ACTIVATED: &str = "portal-operator.dev/activated";
    /// On a Tenant: counts of the workloads that are scaled down.
    pub const REPLICAS: &str = "portal-operator.dev/replicas";
    /// On an Invitation: when the person declined.
    pub const DECLINED: &str = "portal-operator.dev/declined";
    /// Label of objects that the operator made, with the name of what it made them for.
    pub const MADE_BY: &str = "portal-operator.dev/made-by";
    /// Label of a link Secret: the invitation that it belongs to.
    pub const INVITATION: &str = "portal-operator.dev/invitation";
}

/// The CRDs, as they are applied.
pub fn crds() -> Vec<Value> {
    [Portal::crd(), Tenant::crd(), PortalUser::crd(), Group::crd(), Invitation::crd()].into_iter().map(tidy).collect()
}

/// The CRDs as files: name and YAML.
pub fn crd_files() -> Result<Vec<(String, String)>, serde_saphyr::ser::Error> {
    crds()
        .into_iter()
        .map(|crd| {
            let plural = crd.pointer("/spec/names/plural").and_then(Value::as_str).unwrap_or_default();
            Ok((format!("{GROUP}_{plural}.yaml"), serde_saphyr::to_string(&crd)?))
        })
        .collect()
}

/// A CRD as the API server would keep it, with the default status that keeps waiting tools waiting: until the operator
/// has looked, `observedGeneration` (-1) differs from `generation`, as Flux does it.
fn tidy(crd: CustomResourceDefinition) -> Value {
    let mut crd = serde_json::to_value(crd).unwrap_or_default();
    not_nullable(&mut crd);
    if let Some(versions) = crd.pointer_mut("/spec/versions").and_then(Value::as_array_mut) {
        for version in versions {
            if let Some(Value::Object(status)) = version.pointer_mut("/schema/openAPIV3Schema/properties/status") {
                status.insert("default".to_owned(), json!({ "observedGeneration": -1 }));
            }
        }
    }
    crd
}

/// Removes the `nullable: true` that schemars gives each `Option`: an absent field is absent, never null.
fn not_nullable(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.get("nullable") == Some(&Value::Bool(true)) {
                map.remove("nullable");
                if let Some(Value::Array(variants)) = map.get_mut("enum") {
                    variants.retain(|v| !v.is_null());
                }
            }
            map.values_mut().for_each(not_nullable);
        }
        Value::Array(items) => items.iter_mut().for_each(not_nullable),
        _ => {}
    }
}
