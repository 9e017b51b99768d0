//! `access`: what somebody may do, where, and why.

use std::io::Write;

use clap::Args;
use kube::ResourceExt;

use super::Answer;
use super::cluster::Reach;
use super::output::{self, Format, Output};
use super::view::View;

/// Show what a user may do, where, and by what.
///
/// Computed by the operator's own plan from the objects of the cluster, not read from a status.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubectl portal access grace
  kubectl portal access grace@acme.example -t acme -o yaml")]
pub struct Access {
    /// A PortalUser, or an address.
    #[arg(value_name = "USER")]
    user: String,

    /// The tenant, where an address has accounts in several.
    #[arg(short, long, value_parser = super::target::tenant)]
    tenant: Option<String>,

    #[command(flatten)]
    output: Output,

    #[command(flatten)]
    reach: Reach,
}

impl Access {
    /// Shows it.
    pub async fn run(self, out: &mut dyn Write) -> Answer {
        let view = View::of(&self.reach.cluster().await?).await?;
        let account = view.account(view.user(&self.user, self.tenant.as_deref())?);
        let (status, user) = (&account.status, &account.user);
        match self.output.format {
            Format::Name => status.access.iter().flat_map(|a| &a.permissions).try_for_each(|p| writeln!(out, "{p}"))?,
            Format::Table => {
                let (name, tenant) = (user.name_any(), &user.spec.tenant_ref.name);
                writeln!(out, "{name} ({}) in {tenant}: {}", user.spec.email, account.sentence())?;
                let rows = status.access.iter();
                let mut rows: Vec<Vec<String>> =
                    rows.map(|a| vec![a.scope.clone(), a.permissions.join(" "), a.via.join(" ")]).collect();
                for acts in &status.acts_as {
                    let scope = format!("{} customers", acts.tenants);
                    rows.push(vec![scope, acts.permissions.join(" "), format!("actsAs:{}", acts.role)]);
                }
                if !rows.is_empty() {
                    writeln!(out)?;
                    output::table(out, &["SCOPE", "PERMISSIONS", "VIA"], &rows)?;
                }
            }
            format => {
                let value = serde_json::json!({
                    "user": user.name_any(), "tenant": user.spec.tenant_ref.name, "email": user.spec.email,
                    "because": account.sentence(), "access": status.access, "actsAs": status.acts_as,
                    "assignableRoles": status.assignable_roles,
                });
                output::value(out, format, &value)?;
            }
        }
        Ok(true)
    }
}
