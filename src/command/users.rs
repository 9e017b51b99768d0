//! `users`: who is in a tenant, since when, and who was there lately.

use std::io::Write;

use clap::Args;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::Answer;
use super::cluster::Reach;
use super::output::{self, Format, Output, ago};
use crate::api::{AccountState, GROUP, PortalUser};
use crate::shell::clock::Clock;

/// List users: who they are, since when, and when they were there last.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubectl portal users -t acme
  kubectl portal users -t acme --deleted -o json")]
pub struct Users {
    /// Of this tenant. Default: of all.
    #[arg(short, long, value_parser = super::target::tenant)]
    tenant: Option<String>,

    /// Deleted ones, too.
    #[arg(long)]
    deleted: bool,

    #[command(flatten)]
    output: Output,

    #[command(flatten)]
    reach: Reach,
}

impl Users {
    /// Lists them.
    pub async fn run(self, out: &mut dyn Write) -> Answer {
        let cluster = self.reach.cluster().await?;
        let fields = self.tenant.as_ref().map(|tenant| format!("spec.tenantRef.name={tenant}")).unwrap_or_default();
        let mut users = cluster.list::<PortalUser>(&fields).await?;
        users.retain(|user| self.deleted || user.spec.state != AccountState::Deleted);
        users.sort_by_key(|user| (user.spec.tenant_ref.name.clone(), user.name_any()));
        match self.output.format {
            Format::Table if users.is_empty() => {
                aside!("No users found in namespace {}.", cluster.namespace)
            }
            Format::Table => table(out, &users, self.tenant.is_none(), Clock.now())?,
            Format::Name => {
                users.iter().try_for_each(|user| writeln!(out, "portaluser.{GROUP}/{}", user.name_any()))?
            }
            format => output::value(out, format, &users.iter().map(row).collect::<Vec<_>>())?,
        }
        Ok(true)
    }
}

fn table(out: &mut dyn Write, users: &[PortalUser], with_tenant: bool, now: Timestamp) -> std::io::Result<()> {
    let mut headings =
        vec!["USER", "NAME", "EMAIL", "STATE", "GROUPS", "CREATED", "LAST SEEN", "LOGINS", "LAST LOGIN", "FROM"];
    if with_tenant {
        headings.insert(1, "TENANT");
    }
    let rows = users.iter().map(|user| {
        let status = user.status.clone().unwrap_or_default();
        let activity = status.activity.unwrap_or_default();
        let mut row = vec![
            user.name_any(),
            name(user),
            user.spec.email.clone(),
            status.state.map(|state| format!("{state:?}")).unwrap_or_default(),
            user.spec.groups.join(","),
            ago(user.metadata.creation_timestamp.as_ref(), now),
            ago(activity.last_seen_time.as_ref(), now),
            activity.logins.map(|logins| logins.to_string()).unwrap_or_default(),
            ago(activity.last_login_time.as_ref(), now),
            activity.last_login_ip.unwrap_or_default(),
        ];
        if with_tenant {
            row.insert(1, user.spec.tenant_ref.name.clone());
        }
        row
    });
    output::table(out, &headings, &rows.collect::<Vec<_>>())
}

fn name(user: &PortalUser) -> String {
    let names = [&user.spec.given_name, &user.spec.family_name];
    names.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// A user as programs read it.
fn row(user: &PortalUser) -> Value {
    let status = user.status.clone().unwrap_or_default();
    let activity = status.activity.unwrap_or_default();
    let time = |time: &Option<Time>| time.as_ref().map(|time| time.0.to_string());
    let mut row = json!({
        "user": user.name_any(),
        "tenant": user.spec.tenant_ref.name,
        "givenName": user.spec.given_name,
        "familyName": user.spec.family_name,
        "email": user.spec.email,
        "state": status.state,
        "groups": user.spec.groups,
        "roles": user.spec.roles,
        "createdTime": time(&user.metadata.creation_timestamp),
        "registeredTime": time(&status.registered_time),
        "lastSeenTime": time(&activity.last_seen_time),
        "logins": activity.logins,
        "lastLoginTime": time(&activity.last_login_time),
        "lastLoginIP": activity.last_login_ip,
    });
    if let Some(fields) = row.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    row
}
