//! What people mean by a name or an address: an invitation, or the account that asks for one.

use clap::Args;
use kube::ResourceExt;
use serde_json::Value;

use super::cluster::Cluster;
use super::{Failure, output};
use crate::api::{GROUP, Invitation, PortalUser};
use crate::plan::address::Address;
use crate::plan::portal_user::{child_name, is_child, parent_name};

/// The name of a tenant, as an argument: a label of DNS, as the schema has it. It becomes part of selectors and names.
pub fn tenant(text: &str) -> Result<String, String> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let sound = !text.is_empty() && text.len() <= 63 && text.chars().all(inner);
    if !sound || text.starts_with('-') || text.ends_with('-') {
        return Err("a tenant's name has small letters, digits and hyphens only".to_owned());
    }
    Ok(text.to_owned())
}

/// Whose invitations are meant.
#[derive(Debug, Args)]
pub struct Named {
    /// Invitations, users who were invited, or addresses.
    #[arg(value_name = "NAME|ADDRESS", required = true)]
    names: Vec<String>,

    /// The tenant, where an address is invited by several.
    #[arg(short, long, value_parser = tenant)]
    tenant: Option<String>,
}

impl Named {
    /// These invitations.
    pub async fn targets(&self, cluster: &Cluster) -> Result<Vec<Target>, Failure> {
        find(cluster, self.tenant.as_deref(), &self.names).await
    }
}

/// What is changed: the operator keeps the invitation of an account as the account asks for it, so that it is the
/// account that has to ask.
pub struct Target {
    /// The invitation, as it is now.
    pub invitation: Invitation,
    /// The name of the account that asks for it, if it is one's.
    pub user: Option<String>,
}

impl Target {
    /// The object whose spec is changed, as kubectl names it.
    pub fn shown(&self) -> String {
        match &self.user {
            Some(user) => format!("portaluser/{user}"),
            None => format!("invitation/{}", self.invitation.name_any()),
        }
    }

    /// Changes the spec, and says what Git has to say, too.
    pub async fn change(&self, cluster: &Cluster, spec: Value) -> Result<(), Failure> {
        let patch = serde_json::json!({ "spec": spec });
        let (kind, name) = match &self.user {
            Some(user) => {
                cluster.merge::<PortalUser>(user, &patch).await?;
                ("PortalUser", user.clone())
            }
            None => {
                cluster.merge::<Invitation>(&self.invitation.name_any(), &patch).await?;
                ("Invitation", self.invitation.name_any())
            }
        };
        let whole = serde_json::json!({"apiVersion": format!("{GROUP}/v1alpha1"), "kind": kind,
            "metadata": {"name": name}, "spec": patch["spec"]});
        let mut text = Vec::new();
        output::value(&mut text, output::Format::Yaml, &whole)?;
        aside!("If Git owns it, Git has to say so too, or it is taken back:\n{}", indented(&text));
        Ok(())
    }
}

fn indented(text: &[u8]) -> String {
    String::from_utf8_lossy(text).lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// The invitations that these words name: names of invitations or of users, or addresses.
pub async fn find(cluster: &Cluster, tenant: Option<&str>, words: &[String]) -> Result<Vec<Target>, Failure> {
    let mut targets = Vec::new();
    // Addresses in other letters are the same: the API server could only look for the letters.
    let all = match words.iter().any(|word| word.contains('@')) {
        true => cluster.list::<Invitation>("").await?,
        false => Vec::new(),
    };
    for word in words {
        let invitation = match word.contains('@') {
            true => by_address(&all, tenant, word)?.clone(),
            false => by_name(cluster, word).await?,
        };
        let by = parent_name(&invitation.name_any()).map(str::to_owned);
        let user = by.filter(|user| is_child(&invitation, user));
        targets.push(Target { invitation, user });
    }
    Ok(targets)
}

async fn by_name(cluster: &Cluster, name: &str) -> Result<Invitation, Failure> {
    if let Some(invitation) = cluster.find::<Invitation>(name).await? {
        return Ok(invitation);
    }
    let child = cluster.find::<Invitation>(&child_name(name)).await?;
    child.ok_or_else(|| {
        let namespace = &cluster.namespace;
        Failure::new(format!(
            "there is no Invitation {name:?} in namespace {namespace:?}, and no PortalUser of this name was invited"
        ))
    })
}

fn by_address<'a>(all: &'a [Invitation], tenant: Option<&str>, text: &str) -> Result<&'a Invitation, Failure> {
    let address = Address::parse(text).ok_or_else(|| Failure::unusable(format!("{text:?} is no address")))?;
    let same = |i: &&Invitation| {
        Address::parse(&i.spec.email).as_ref() == Some(&address)
            && tenant.is_none_or(|tenant| i.spec.tenant_ref.name == tenant)
    };
    let found: Vec<&Invitation> = all.iter().filter(same).collect();
    match found.as_slice() {
        [] => Err(Failure::new(format!("nobody invited {text}"))),
        [one] => Ok(one),
        several => {
            let names = several.iter().map(|i| format!("{} (tenant {})", i.name_any(), i.spec.tenant_ref.name));
            let names = names.collect::<Vec<_>>().join(", ");
            Err(Failure::new(format!("{text} is invited more than once: name one of {names}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tenants_are_labels() {
        for name in ["acme", "a", "7-eleven"] {
            assert_eq!(tenant(name), Ok(name.to_owned()));
        }
        for name in ["", "Acme", "a.b", "-a", "a-", "../../tenants/acme?x=1#", "a,spec.email=b", &"a".repeat(64)] {
            assert!(tenant(name).is_err(), "{name}");
        }
    }
}
