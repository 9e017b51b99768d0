//! `who-can`: everybody who has a permission, and by what.

use std::io::Write;

use clap::Args;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::Answer;
use super::cluster::Reach;
use super::output::{self, Format, Output};
use super::view::{View, giving};
use crate::api::GROUP;

/// List who may do something, and by what.
///
/// In a tenant or in all, on a branch or anywhere. Staff of partners is listed for the tenant that is named.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubectl portal who-can devices.write -t acme
  kubectl portal who-can devices.write -t acme --scope /london/floor-1")]
pub struct WhoCan {
    /// The permission, such as devices.write.
    permission: String,

    /// In this tenant. Default: in all.
    #[arg(short, long, value_parser = super::target::tenant)]
    tenant: Option<String>,

    /// On this branch: whoever has it there or above. Default: anywhere.
    #[arg(long)]
    scope: Option<String>,

    #[command(flatten)]
    output: Output,

    #[command(flatten)]
    reach: Reach,
}

impl WhoCan {
    /// Lists them.
    pub async fn run(self, out: &mut dyn Write) -> Answer {
        let view = View::of(&self.reach.cluster().await?).await?;
        let (permission, scope) = (self.permission.as_str(), self.scope.as_deref());
        if let Some(name) = &self.tenant {
            view.must_declare(&*view.tenant(name)?, permission)?;
        }
        let mut found: Vec<Value> = Vec::new();
        let mut find = |user: &str, email: &str, tenant: &str, scope: &str, via: &[String]| {
            found.push(json!({"user": user, "email": email, "tenant": tenant, "scope": scope, "via": via}));
        };
        for user in view.users(None) {
            let account = view.account(user);
            let (user, home) = (&account.user, &account.user.spec.tenant_ref.name);
            if self.tenant.as_ref().is_none_or(|tenant| tenant == home) {
                for line in account.gives(permission, scope) {
                    find(&user.name_any(), &user.spec.email, home, &line.scope, &line.via);
                }
            }
            // Who may be used at home works for the customers of the own company.
            if let Some(customer) = self.tenant.as_ref().filter(|tenant| *tenant != home)
                && !account.status.acts_as.is_empty()
                && view.tenant(customer)?.spec.portal_active
            {
                let there = view.world.look().inviters_rights(user, customer).unwrap_or_default();
                let roles = account.status.acts_as.iter().map(|acts| format!("actsAs:{}", acts.role));
                let via: Vec<String> = roles.collect();
                for line in giving(&there.access, permission, scope) {
                    find(&user.name_any(), &user.spec.email, home, &line.scope, &via);
                }
            }
        }
        let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
        match self.output.format {
            Format::Table if found.is_empty() => aside!("Nobody may {permission}."),
            Format::Table => {
                let row = |one: &Value| {
                    let via = one["via"].as_array().into_iter().flatten().filter_map(Value::as_str);
                    let fields = ["user", "email", "tenant", "scope"].map(|field| text(one, field));
                    fields.into_iter().chain([via.collect::<Vec<_>>().join(" ")]).collect()
                };
                let rows: Vec<Vec<String>> = found.iter().map(row).collect();
                output::table(out, &["USER", "EMAIL", "TENANT", "SCOPE", "VIA"], &rows)?;
            }
            Format::Name => {
                let mut names: Vec<String> = found.iter().map(|one| text(one, "user")).collect();
                names.dedup();
                names.iter().try_for_each(|name| writeln!(out, "portaluser.{GROUP}/{name}"))?;
            }
            format => output::value(out, format, &found)?,
        }
        Ok(true)
    }
}
