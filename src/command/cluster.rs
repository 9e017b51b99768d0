//! The cluster, as whoever calls may use it: which one, which namespace, and the calls that commands make.

use std::path::PathBuf;

use clap::Args;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::NamespaceResourceScope;
use kube::{Client, Config, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Failure;
use super::failure::Call;
use crate::api::{Group, Invitation, Portal, PortalUser, Tenant};
use crate::plan::{Me, Settings};
use crate::shell::world::World;

/// Who changes fields by these commands, in `managedFields`.
const FIELD_MANAGER: &str = "kubectl-portal";

/// How many objects one page of a list has.
const PAGE: u32 = 500;

/// Which cluster and namespace, as kubectl's users expect to say it.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Cluster")]
pub struct Reach {
    /// Namespace of the portal. Default: the one of the kubeconfig's context.
    #[arg(short, long)]
    pub namespace: Option<String>,

    /// Context of the kubeconfig. Default: its current one.
    #[arg(long)]
    context: Option<String>,

    /// The kubeconfig. Default: $KUBECONFIG, then ~/.kube/config, then the Pod's service account.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Somebody in whose name to ask, where that is allowed.
    #[arg(long = "as", value_name = "USER")]
    impersonate: Option<String>,
}

/// Objects of a kind of ours, or Secrets.
pub trait Thing:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + Serialize + DeserializeOwned
{
}

impl<K> Thing for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + Serialize
        + DeserializeOwned
{
}

/// One namespace of a cluster.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    /// Its name.
    pub namespace: String,
}

impl Reach {
    /// The namespace of the cluster that is meant.
    pub async fn cluster(&self) -> Result<Cluster, Failure> {
        let mut config = self.config().await?;
        if let Some(user) = &self.impersonate {
            config.auth_info.impersonate = Some(user.clone());
        }
        let namespace = self.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        sound(&namespace)?;
        let agent = concat!("kubectl-portal/", env!("CARGO_PKG_VERSION"));
        config.headers.push((http::header::USER_AGENT, http::HeaderValue::from_static(agent)));
        let unusable = |error: kube::Error| Failure::new(format!("the kubeconfig cannot be used: {error}"));
        Ok(Cluster { client: Client::try_from(config).map_err(unusable)?, namespace })
    }

    async fn config(&self) -> Result<Config, Failure> {
        let unusable = |error: &dyn std::fmt::Display| Failure::new(format!("the kubeconfig cannot be used: {error}"));
        if self.kubeconfig.is_none() && self.context.is_none() {
            return Config::infer().await.map_err(|error| unusable(&error));
        }
        let read = self.kubeconfig.as_ref().map_or_else(Kubeconfig::read, Kubeconfig::read_from);
        let kubeconfig = read.map_err(|error| unusable(&error))?;
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| unusable(&error))
    }
}

impl Cluster {
    /// Objects of a kind in this namespace.
    pub fn api<K: Thing>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// What a call is about, for the message if it fails.
    pub fn call<K: Thing>(&self, verb: &'static str, name: &str) -> Call {
        Call {
            verb,
            resource: K::plural(&()).into_owned(),
            kind: K::kind(&()).into_owned(),
            group: K::group(&()).into_owned(),
            namespace: self.namespace.clone(),
            name: name.to_owned(),
        }
    }

    /// An object that has to be there.
    pub async fn get<K: Thing>(&self, name: &str) -> Result<K, Failure> {
        let got = self.api::<K>().get(sound(name)?).await;
        got.map_err(|error| self.call::<K>("get", name).failed(error))
    }

    /// An object that may be there.
    pub async fn find<K: Thing>(&self, name: &str) -> Result<Option<K>, Failure> {
        let got = self.api::<K>().get_opt(sound(name)?).await;
        got.map_err(|error| self.call::<K>("get", name).failed(error))
    }

    /// All objects of a kind that a field selector selects, page by page.
    pub async fn list<K: Thing>(&self, fields: &str) -> Result<Vec<K>, Failure> {
        let api = self.api::<K>();
        let mut params = ListParams::default().fields(fields).limit(PAGE);
        let mut all = Vec::new();
        loop {
            let page = api.list(&params).await.map_err(|error| self.call::<K>("list", "").failed(error))?;
            all.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params.continue_token = Some(token),
                None => return Ok(all),
            }
        }
    }

    /// Changes an object by a JSON merge patch.
    pub async fn merge<K: Thing>(&self, name: &str, patch: &Value) -> Result<K, Failure> {
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patched = self.api::<K>().patch(sound(name)?, &params, &Patch::Merge(patch)).await;
        patched.map_err(|error| self.call::<K>("patch", name).failed(error))
    }

    /// Makes an object, or brings it to what is wished (server-side apply). Fields of others are left alone, and what
    /// somebody else decided otherwise is a conflict, not lost.
    pub async fn apply<K: Thing>(&self, name: &str, object: &Value) -> Result<K, Failure> {
        let params = PatchParams::apply(FIELD_MANAGER).validation_strict();
        let applied = self.api::<K>().patch(sound(name)?, &params, &Patch::Apply(object)).await;
        applied.map_err(|error| self.call::<K>("patch", name).failed(error))
    }

    /// All of a portal's objects, as the operator sees them.
    pub async fn world(&self) -> Result<World, Failure> {
        let world = World::new(settings());
        let (portals, tenants, users, groups, invitations) = futures::join!(
            self.list::<Portal>(""),
            self.list::<Tenant>(""),
            self.list::<PortalUser>(""),
            self.list::<Group>(""),
            self.list::<Invitation>("")
        );
        // In this order, so that the same right is named each time that several are missing.
        let (portals, tenants, users, groups, invitations) = (portals?, tenants?, users?, groups?, invitations?);
        let mut tables = world.look();
        tables.portals.put_all(portals);
        tables.tenants.put_all(tenants);
        tables.users.put_all(users);
        tables.groups.put_all(groups);
        tables.invitations.put_all(invitations);
        drop(tables);
        Ok(world)
    }
}

/// A name that may become part of a path: nothing on the way there escapes it.
fn sound(name: &str) -> Result<&str, Failure> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    if name.chars().all(plain) && name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Ok(name);
    }
    Err(Failure::unusable(format!("{name:?} is no name: names have small letters, digits, hyphens and dots only")))
}

/// An operator whose own settings nobody asks for: access does not depend on them.
fn settings() -> Settings {
    Settings {
        default_expiry: jiff::SignedDuration::from_hours(24),
        hold: false,
        has_relay: false,
        from: None,
        reply_to: None,
        signing_key: None,
        me: Me { identity: String::new(), elected: false },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_gets_into_no_path() {
        for name in ["acme", "ada.invite", "acme.grace-acme-example-c73f8319b5"] {
            assert_eq!(sound(name).ok(), Some(name));
        }
        for name in ["", "..", ".", "../tenants/acme", "a/b", "a?x=1", "a#", "a%2f", "Ada", "a b"] {
            assert_eq!(sound(name).err().map(|failure| failure.code()), Some(2), "{name}");
        }
    }
}
