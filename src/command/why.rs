//! `why`: by what somebody has a permission, or what is in the way.

use std::io::Write;

use clap::Args;
use kube::ResourceExt;
use serde_json::json;

use super::Answer;
use super::cluster::Reach;
use super::output::{self, Format, Output};
use super::view::{Account, View};
use crate::plan::access::{Loss, covers_scope};
use crate::plan::roles::{Catalogue, covers};

/// Explain why a user may do something, or why not.
///
/// Which role, group or grant gives it; what would be needed; what was given and is withheld, and by what.
/// The exit code is 0 if the user may, 1 if not.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubectl portal why grace devices.write
  kubectl portal why grace@acme.example devices.write --scope /london")]
pub struct Why {
    /// A PortalUser, or an address.
    #[arg(value_name = "USER")]
    user: String,

    /// The permission, such as devices.write.
    permission: String,

    /// On this branch. Default: in the whole tenant.
    #[arg(long, default_value = "/")]
    scope: String,

    /// The tenant, where an address has accounts in several.
    #[arg(short, long, value_parser = super::target::tenant)]
    tenant: Option<String>,

    #[command(flatten)]
    output: Output,

    #[command(flatten)]
    reach: Reach,
}

impl Why {
    /// Explains it.
    pub async fn run(self, out: &mut dyn Write) -> Answer {
        let view = View::of(&self.reach.cluster().await?).await?;
        let account = view.account(view.user(&self.user, self.tenant.as_deref())?);
        if let Ok(tenant) = view.tenant(&account.user.spec.tenant_ref.name) {
            view.must_declare(&tenant, &self.permission)?;
        }
        let reasons = reasons(&account, &self.permission, &self.scope);
        let may = account.gives(&self.permission, Some(&self.scope)).next().is_some();
        match self.output.format {
            Format::Table | Format::Name => {
                let (name, scope) = (account.user.name_any(), &self.scope);
                let word = if may { "may" } else { "may not" };
                writeln!(out, "{name} {word} {} on {scope}:", self.permission)?;
                reasons.iter().try_for_each(|reason| writeln!(out, "  {reason}"))?;
            }
            format => {
                let value = json!({"user": account.user.name_any(), "permission": self.permission, "scope": self.scope,
                    "may": may, "because": reasons});
                output::value(out, format, &value)?;
            }
        }
        Ok(may)
    }
}

/// Why, in sentences.
fn reasons(account: &Account, permission: &str, scope: &str) -> Vec<String> {
    let given = account.gives(permission, Some(scope));
    let mut reasons: Vec<String> =
        given.flat_map(|line| line.via.iter().map(|via| format!("{} (on {})", origin(via), line.scope))).collect();
    if !reasons.is_empty() {
        return reasons;
    }
    let Some(tenant) = &account.tenant else { return vec![account.sentence()] };
    let catalogue = &tenant.catalogue;
    // What would be given if nothing were in the way of the account.
    let would = account.rights.access.iter();
    let would = would.filter(|l| l.permissions.iter().any(|p| covers(p, permission)) && covers_scope(&l.scope, scope));
    let via: Vec<String> = would.flat_map(|line| &line.via).map(|via| origin(via)).collect();
    if !via.is_empty() {
        reasons.push(account.sentence());
        reasons.push(format!("it would come from {}", via.join(", ")));
        return reasons;
    }
    if account.status.access.is_empty() && account.rights.access.is_empty() {
        reasons.push(account.sentence());
    }
    let elsewhere: Vec<&str> = account.gives(permission, None).map(|line| line.scope.as_str()).collect();
    if !elsewhere.is_empty() {
        reasons.push(format!("it is given on {} only", elsewhere.join(", ")));
    }
    let giving = roles_with(catalogue, permission);
    reasons.extend(
        account
            .rights
            .losses
            .iter()
            .filter(|loss| concerns(loss, permission, &giving))
            .map(|l| format!("withheld: {l}")),
    );
    if tenant.ceiling.as_ref().is_some_and(|ceiling| !ceiling.iter().any(|c| covers(c, permission))) {
        let name = &account.user.spec.tenant_ref.name;
        reasons.push(format!("the ceiling of tenant {name:?} does not hold it: nobody there may"));
    }
    reasons.push(match giving.is_empty() {
        true => "no role of the portal gives it".to_owned(),
        false => format!("roles that give it: {}", giving.join(", ")),
    });
    reasons.dedup();
    reasons
}

/// Roles whose permissions cover this one.
fn roles_with(catalogue: &Catalogue, permission: &str) -> Vec<String> {
    let gives = |role: &&crate::api::Role| role.permissions.iter().any(|p| covers(p, permission));
    catalogue.roles.iter().filter(gives).map(|role| role.name.clone()).collect()
}

/// Whether a loss is about this permission, or a role that gives it.
fn concerns(loss: &Loss, permission: &str, roles: &[String]) -> bool {
    match loss {
        Loss::WrongScope(role) | Loss::PartnerOnly(role) | Loss::Excluded(role, _) | Loss::RoleRequired(role, _) => {
            roles.contains(role)
        }
        Loss::Ceiling(lost) | Loss::PermissionRequired(lost, _) | Loss::Circle(lost) => covers(lost, permission),
        Loss::RoleUnknown(_) => true,
    }
}

/// Where something comes from, in words.
fn origin(via: &str) -> String {
    let (kind, name) = via.split_once(':').unwrap_or(("", via));
    match kind {
        "role" => format!("role {name}, which the user has"),
        "group" => match name.split_once('/') {
            Some((group, role)) => format!("role {role}, by group {group}"),
            None => format!("group {name}"),
        },
        "firstUser" => format!("role {name}, as the tenant's first user"),
        "lastHolder" => format!("role {name}, which nobody else holds: it is kept"),
        _ => via.to_owned(),
    }
}
