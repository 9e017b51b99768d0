//! `invite`: any number of people at once, again and again with the same result.

mod people;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::path::PathBuf;

use clap::Args;
use futures::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use serde_json::{Value, json};

use self::people::{People, Person};
use super::cluster::{Cluster, Reach};
use super::output::{self, Format, Output};
use super::{Answer, Failure};
use crate::api::duration::HumanDuration;
use crate::api::{Delivery, GROUP, Grant, Invitation, InvitationSpec, LocalRef};
use crate::plan::address::Address;
use crate::plan::invitation::invitation_name;

/// So many are applied at the same time: enough to hide the way to the API server, few enough to leave it room.
const AT_ONCE: usize = 8;

/// More failures than these are counted, not shown.
const SHOWN: usize = 20;

/// Invite people to a tenant, any number of them.
///
/// Each address gets an Invitation whose name follows from tenant and address: repeated, even after it was killed
/// half-way, the command makes what is missing and mails nobody twice. Addresses that are wrong are all reported before
/// anything is applied. Objects are applied server-side: what Git or somebody else decided is a conflict, never lost.
#[derive(Debug, Args)]
#[command(mut_arg("format", |arg| arg.help("yaml and json print the Invitations and apply nothing; name prints what was applied")))]
#[command(after_help = "\
Examples:
  kubectl portal invite -t acme -r viewer grace@acme.example, alan@acme.example
  kubectl portal invite -t acme -r viewer 'Grace Hopper <grace@acme.example>' --expires-after 14d
  kubectl portal invite -t acme -r viewer --file team.csv
  kubectl portal invite -t acme -g london-team --grant /london=editor grace@acme.example -o yaml > grace.yaml")]
pub struct Invite {
    /// Addresses, `Name <address>`, or - for standard input. Commas and spaces separate them.
    #[arg(value_name = "ADDRESS", required_unless_present = "file")]
    addresses: Vec<String>,

    /// A file with addresses, a line each, or columns: `Grace,Hopper,grace@acme.example`, or under headings (Email, First name, Family name).
    #[arg(short, long)]
    file: Vec<PathBuf>,

    /// The tenant.
    #[arg(short, long, value_parser = crate::command::target::tenant)]
    tenant: String,

    /// A role that the account gets; repeatable.
    #[arg(short, long = "role", value_name = "ROLE", value_delimiter = ',')]
    roles: Vec<String>,

    /// A group that the account joins; repeatable.
    #[arg(short, long = "group", value_name = "GROUP", value_delimiter = ',')]
    groups: Vec<String>,

    /// Roles on a branch: /london=viewer,editor; repeatable.
    #[arg(long = "grant", value_name = "SCOPE=ROLE", value_parser = grant)]
    grants: Vec<Grant>,

    /// How long the link can be used: 5m to 90d, such as 24h or 14d.
    #[arg(long, value_name = "DURATION")]
    expires_after: Option<HumanDuration>,

    /// Nothing is sent or accepted after this time.
    #[arg(long, value_name = "TIME")]
    not_after: Option<Timestamp>,

    /// When the mails go out: 2026-12-01T09:00:00Z.
    #[arg(long, value_name = "TIME")]
    send_at: Option<Timestamp>,

    /// A message for the mail and the page.
    #[arg(long)]
    message: Option<String>,

    /// The PortalUser who invites.
    #[arg(long, value_name = "USER")]
    invited_by: Option<String>,

    /// Email, or Link: into a Secret, no mail.
    #[arg(long, value_parser = delivery)]
    delivery: Option<Delivery>,

    /// Language of the mail (BCP 47): en, de-AT.
    #[arg(long, value_name = "LANGUAGE")]
    locale: Option<String>,

    #[command(flatten)]
    output: Output,

    #[command(flatten)]
    reach: Reach,
}

fn grant(text: &str) -> Result<Grant, String> {
    let (scope, roles) = text.split_once('=').ok_or("write SCOPE=ROLE, such as /london=viewer")?;
    Ok(Grant { scope: scope.to_owned(), roles: roles.split(',').map(str::to_owned).collect() })
}

fn delivery(text: &str) -> Result<Delivery, String> {
    match text.to_lowercase().as_str() {
        "email" => Ok(Delivery::Email),
        "link" => Ok(Delivery::Link),
        _ => Err("it is Email or Link".to_owned()),
    }
}

/// What became of one invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Applied {
    Made,
    Changed,
    Unchanged,
}

impl Invite {
    /// Invites everybody who is named.
    pub async fn run(self, out: &mut dyn Write) -> Answer {
        let people = self.people()?;
        let mut invitations: Vec<(String, Value)> = people.iter().map(|person| self.invitation(person)).collect();
        if [Format::Yaml, Format::Json].contains(&self.output.format) {
            let objects: Vec<Value> = invitations.into_iter().map(|(_, object)| object).collect();
            output::objects(out, self.output.format, &objects)?;
            return Ok(true);
        }
        let cluster = self.reach.cluster().await?;
        let known = cluster.list::<Invitation>("").await?;
        let known: HashMap<String, Invitation> =
            known.into_iter().map(|invitation| (invitation.name_any(), invitation)).collect();
        for ((name, object), person) in invitations.iter_mut().zip(&people) {
            // In other letters it is the same address; how it was written first cannot be changed.
            let before = known.get(name).map(|invitation| invitation.spec.email.as_str());
            if let Some(email) = before.filter(|email| Address::parse(email).as_ref() == Some(&person.address)) {
                object["spec"]["email"] = json!(email);
            }
        }
        self.apply(&cluster, &invitations, &known, out).await
    }

    async fn apply(
        &self,
        cluster: &Cluster,
        invitations: &[(String, Value)],
        known: &HashMap<String, Invitation>,
        out: &mut dyn Write,
    ) -> Answer {
        let bar = progress(invitations.len(), "inviting");
        let applied = stream::iter(invitations).map(async |(name, object)| {
            let applied = cluster.apply::<Invitation>(name, object).await;
            let what = applied.map(|stored| match known.get(name) {
                None => Applied::Made,
                Some(before) if before.metadata.generation == stored.metadata.generation => Applied::Unchanged,
                Some(_) => Applied::Changed,
            });
            (name, what)
        });
        let mut applied = applied.buffered(AT_ONCE);
        let (mut made, mut changed, mut unchanged, mut failures) = (0, 0, 0, Vec::new());
        while let Some((name, what)) = applied.next().await {
            bar.inc(1);
            match what {
                Ok(Applied::Made) => made += 1,
                Ok(Applied::Changed) => changed += 1,
                Ok(Applied::Unchanged) => unchanged += 1,
                // Whoever may not do it for one may do it for none; nor is there another namespace for the next.
                Err(failure) if failure.fails_each_time() => {
                    bar.finish_and_clear();
                    return Err(failure);
                }
                Err(failure) => {
                    failures.push(failure);
                    continue;
                }
            }
            if self.output.format == Format::Name {
                writeln!(out, "invitation.{GROUP}/{name}")?;
            }
        }
        bar.finish_and_clear();
        for failure in failures.iter().take(SHOWN) {
            aside!("error: {failure}");
        }
        if failures.len() > SHOWN {
            aside!("error: and {} more", failures.len() - SHOWN);
        }
        let changed = if changed == 0 { String::new() } else { format!("{changed} changed, ") };
        let summary = format!("{made} made, {changed}{unchanged} unchanged, {} failed", failures.len());
        if self.output.format == Format::Name {
            aside!("{summary}");
        } else {
            writeln!(out, "{summary}")?;
        }
        Ok(failures.is_empty())
    }

    /// Everybody who is named, or all that is wrong.
    fn people(&self) -> Result<Vec<Person>, Failure> {
        let mut people = People::default();
        for argument in &self.addresses {
            if argument == "-" {
                let mut text = String::new();
                let read = std::io::stdin().read_to_string(&mut text);
                read.map_err(|error| Failure::unusable(format!("standard input: {error}")))?;
                people.read("standard input", &text);
            } else {
                people.argument(argument);
            }
        }
        for file in &self.file {
            let path = file.display().to_string();
            let text = std::fs::read_to_string(file);
            people.read(&path, &text.map_err(|error| Failure::unusable(format!("{path}: {error}")))?);
        }
        if !people.wrong.is_empty() {
            let wrong = people.wrong.join("\n  ");
            return Err(Failure::unusable(format!("nobody was invited, for these are wrong:\n  {wrong}")));
        }
        if people.all.is_empty() {
            return Err(Failure::unusable("nobody is named"));
        }
        if people.repeated > 0 {
            aside!("{} addresses are named more than once: each is invited once", people.repeated);
        }
        Ok(people.all)
    }

    fn invitation(&self, person: &Person) -> (String, Value) {
        let name = invitation_name(&self.tenant, &person.address);
        let spec = InvitationSpec {
            tenant_ref: LocalRef::to(&self.tenant),
            email: person.email.clone(),
            given_name: person.given_name.clone(),
            family_name: person.family_name.clone(),
            phone: None,
            locale: self.locale.clone(),
            home_tenant_ref: None,
            message: self.message.clone(),
            roles: self.roles.clone(),
            groups: self.groups.clone(),
            grants: self.grants.clone(),
            invited_by_ref: self.invited_by.as_ref().map(LocalRef::to),
            expires_after: self.expires_after.clone(),
            not_after: self.not_after.map(Time),
            delivery: self.delivery,
            send_at: self.send_at.map(Time),
            revoked: false,
        };
        let mut object = json!({"apiVersion": format!("{GROUP}/v1alpha1"), "kind": "Invitation",
            "metadata": {"name": name}, "spec": spec});
        if let Some(namespace) = &self.reach.namespace {
            object["metadata"]["namespace"] = json!(namespace);
        }
        (name, object)
    }
}

/// A bar on a terminal, and nothing elsewhere.
pub fn progress(length: usize, doing: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(length as u64).with_message(doing);
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
