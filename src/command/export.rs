//! `export`: what a rebuilt cluster must know, as YAML for Git.

use std::collections::BTreeMap;
use std::io::Write;

use clap::Args;
use kube::core::ObjectMeta;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde_json::{Value, json};

use super::cluster::{Reach, Thing};
use super::output::{self, Format, Output};
use super::{Answer, Failure};
use crate::api::{Invitation, PortalUser, Tenant, marks};
use crate::plan::portal_user::registration;

/// Facts that the operator keeps as annotations, for they have to outlive a cluster.
const FACTS: [&str; 5] = [marks::REGISTERED, marks::FIRST_USER, marks::ACTIVATED, marks::REPLICAS, marks::DECLINED];

/// Print what a rebuilt cluster must know, as YAML for Git.
///
/// Who registered, accounts that acceptances made, who declined, first users, activations, and the replicas of what is
/// switched off. Each is the whole object with its spec and the operator's annotations, so that it can be applied to an empty cluster,
/// before or instead of what Git has of it. Applying it mails nobody. (Invitations that nobody answered are Git's: a
/// rebuilt cluster sends those again, unless `notAfter` or --hold-mail keeps it from that.)
#[derive(Debug, Args)]
#[command(mut_arg("format", |arg| arg.help("How it is written").default_value("yaml")))]
#[command(after_help = "\
Examples:
  kubectl portal export > registrations.yaml
  kubectl portal export -t acme -o json")]
pub struct Export {
    /// Of this tenant. Default: of all.
    #[arg(short, long, value_parser = super::target::tenant)]
    tenant: Option<String>,

    #[command(flatten)]
    output: Output,

    #[command(flatten)]
    reach: Reach,
}

impl Export {
    /// Prints it.
    pub async fn run(self, out: &mut dyn Write) -> Answer {
        let cluster = self.reach.cluster().await?;
        let fields = self.tenant.as_ref().map(|tenant| format!("spec.tenantRef.name={tenant}")).unwrap_or_default();
        let (tenants, users, invitations) = futures::join!(
            cluster.list::<Tenant>(""),
            cluster.list::<PortalUser>(&fields),
            cluster.list::<Invitation>(&fields)
        );
        let (tenants, users, invitations) = (tenants?, users?, invitations?);
        let wanted = |tenant: &Tenant| self.tenant.as_ref().is_none_or(|name| *name == tenant.name_any());
        let mut objects = Vec::new();
        for tenant in tenants.iter().filter(|tenant| wanted(tenant)) {
            objects.extend(exported(tenant, &tenant.spec, facts(tenant.meta()))?);
        }
        for user in &users {
            let mut facts = facts(user.meta());
            // Status and annotation heal each other; the annotation may be on its way still.
            if let Some(text) = registration(user).and_then(|r| serde_json::to_string(&r).ok()) {
                facts.insert(marks::REGISTERED.to_owned(), text);
            }
            objects.extend(exported(user, &user.spec, facts)?);
        }
        for invitation in &invitations {
            objects.extend(exported(invitation, &invitation.spec, facts(invitation.meta()))?);
        }
        match self.output.format {
            Format::Name => {
                for object in &objects {
                    let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
                    writeln!(
                        out,
                        "{kind}.{}/{}",
                        crate::api::GROUP,
                        object["metadata"]["name"].as_str().unwrap_or_default()
                    )?;
                }
            }
            Format::Json => output::objects(out, Format::Json, &objects)?,
            Format::Table | Format::Yaml => output::objects(out, Format::Yaml, &objects)?,
        }
        if objects.is_empty() {
            aside!("There is nothing that Git does not know: nobody registered or declined.");
        }
        Ok(true)
    }
}

fn facts(meta: &ObjectMeta) -> BTreeMap<String, String> {
    let mut facts = meta.annotations.clone().unwrap_or_default();
    facts.retain(|key, _| FACTS.contains(&key.as_str()));
    facts
}

/// The object as it is applied, if there are facts about it.
fn exported<K: Thing>(
    object: &K,
    spec: &impl Serialize,
    facts: BTreeMap<String, String>,
) -> Result<Option<Value>, Failure> {
    if facts.is_empty() {
        return Ok(None);
    }
    let spec = serde_json::to_value(spec).map_err(|error| Failure::new(error.to_string()))?;
    let mut whole = json!({
        "apiVersion": K::api_version(&()), "kind": K::kind(&()),
        "metadata": {"name": object.name_any(), "namespace": object.namespace(), "annotations": facts},
        "spec": spec,
    });
    // By this label accounts that acceptance made are known: a user whom somebody applies later replaces them.
    if let Some(maker) = object.labels().get(marks::MADE_BY) {
        whole["metadata"]["labels"] = json!({marks::MADE_BY: maker});
    }
    Ok(Some(whole))
}
