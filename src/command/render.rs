//! `render`: a mail as it would be sent, from files.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::lint::repository::Repository;
use super::lint::source::{self, Document};
use super::{Answer, Failure};
use crate::plan::{Child, Effect, Me, Purpose, Settings, portal_user};
use crate::shell::clock::Clock;
use crate::shell::preview::{Objects, Rehearsal};

/// Stands for what only the operator's key can make.
const TOKEN: &str = "THIS-IS-NO-LINK";

/// Print a mail as it would be sent, from files. Needs no cluster.
///
/// The same look, words and MIME as the operator's, a portal's own texts (mail.templatesRef) included where their
/// ConfigMap is among the files. The link is none: it takes the operator's key. What is wrong with own texts, and what is
/// in the way of sending, is told beside it. The exit code is 1 if own texts cannot be used.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubectl portal render . --invitation grace > grace.eml
  kubectl portal render customers/ portal.yaml --invitation grace --occasion reminder
  kustomize build . | kubectl portal render - --activation acme")]
pub struct Render {
    /// Files, folders, or - for standard input.
    #[arg(value_name = "FILE|DIR", required = true)]
    paths: Vec<PathBuf>,

    /// The mail of this Invitation, or of the PortalUser of this name who is invited.
    #[arg(short, long, value_name = "NAME", required_unless_present = "activation", conflicts_with = "activation")]
    invitation: Option<String>,

    /// Which of its mails.
    #[arg(long, default_value = "invitation")]
    occasion: Occasion,

    /// The mail about the first activation of this tenant's portal.
    #[arg(long, value_name = "TENANT")]
    activation: Option<String>,

    /// Namespace, where the files have several.
    #[arg(short, long)]
    namespace: Option<String>,

    /// Sender where the portal names none.
    #[arg(long, default_value = "Portal <portal@portal.example>")]
    mail_from: String,

    /// Base of the link where the portal names none.
    #[arg(long, default_value = "https://portal.example")]
    public_url: String,

    /// When it would be sent: 2026-12-01T09:00:00Z. Default: now.
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
}

/// The mails about an invitation.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Occasion {
    /// Somebody is invited.
    Invitation,
    /// The same, once more.
    Reminder,
    /// For who invited: it was accepted.
    Accepted,
    /// For who invited: nobody answered in time.
    Expired,
}

impl Render {
    /// Prints it.
    pub fn run(self, out: &mut dyn Write) -> Answer {
        let sources = source::read(&self.paths).map_err(Failure::unusable)?;
        if let Some((place, why)) = sources.broken.first() {
            return Err(Failure::unusable(format!("{}:{}: {why}", place.file, place.line)));
        }
        let maps = sources.maps.clone();
        let repository = Repository::new(sources);
        let now = self.at.unwrap_or_else(|| Clock.now());
        let objects = objects(&repository, &maps, now);
        let (name, purpose) = match (&self.activation, &self.invitation) {
            (Some(tenant), _) => (tenant.clone(), Purpose::Activation),
            (None, Some(name)) => (name.clone(), self.purpose()),
            (None, None) => return Err(Failure::unusable("name an invitation or a tenant")),
        };
        let (namespace, name, base) = self.find(&objects, &name, purpose)?;
        let link = format!("{}/invitation#{TOKEN}", base.trim_end_matches('/'));
        let rehearsal = Rehearsal::of(objects, self.settings());
        let mail =
            rehearsal.mail(&namespace, &name, purpose, &link, now).map_err(|error| Failure::new(error.to_string()))?;
        out.write_all(&mail.mime.bytes)?;
        if let Some(why) = mail.held {
            aside!("note: it would be held back: {why}");
        }
        for fault in &mail.faults {
            aside!("error: the portal's own text is not used: {fault}");
        }
        Ok(mail.faults.is_empty())
    }

    fn purpose(&self) -> Purpose {
        match self.occasion {
            Occasion::Invitation => Purpose::Invitation,
            Occasion::Reminder => Purpose::Reminder,
            Occasion::Accepted => Purpose::Accepted,
            Occasion::Expired => Purpose::Expired,
        }
    }

    fn settings(&self) -> Settings {
        Settings {
            default_expiry: SignedDuration::from_hours(24),
            hold: false,
            has_relay: true,
            from: Some(self.mail_from.clone()),
            reply_to: None,
            signing_key: Some("any".into()),
            me: Me { identity: "render".into(), elected: false },
        }
    }

    /// The object that is meant: its namespace and name, and the base of its link.
    fn find(&self, objects: &Objects, name: &str, purpose: Purpose) -> Result<(String, String, String), Failure> {
        let of =
            |namespace: Option<String>, found: String, tenant: String| (namespace.unwrap_or_default(), found, tenant);
        let mut found: Vec<(String, String, String)> = if purpose == Purpose::Activation {
            objects.tenants.iter().map(|t| of(t.namespace(), t.name_any(), t.name_any())).collect()
        } else {
            objects
                .invitations
                .iter()
                .map(|i| of(i.namespace(), i.name_any(), i.spec.tenant_ref.name.clone()))
                .collect()
        };
        let child = portal_user::child_name(name);
        found.retain(|(ns, found, _)| {
            let is_named = found == name || purpose != Purpose::Activation && *found == child;
            is_named && self.namespace.as_ref().is_none_or(|wanted| wanted == ns)
        });
        found.sort_by_key(|(_, found, _)| found != name);
        let spaces: Vec<&str> = found.iter().map(|(namespace, ..)| namespace.as_str()).collect();
        if spaces.iter().any(|space| *space != spaces[0]) {
            let spaces = spaces.join(", ");
            return Err(Failure::unusable(format!("{name:?} is in several namespaces: choose one by -n: {spaces}")));
        }
        let Some((namespace, found, tenant)) = found.into_iter().next() else {
            let what = if purpose == Purpose::Activation { "Tenant" } else { "Invitation, or invited PortalUser," };
            return Err(Failure::new(format!("the files have no {what} {name:?}")));
        };
        let here = |space: &Option<String>| space.clone().unwrap_or_default() == namespace;
        let tenant = objects.tenants.iter().find(|t| t.name_any() == tenant && here(&t.namespace()));
        let portal = tenant.and_then(|t| t.spec.portal_ref.as_ref());
        let portal =
            objects.portals.iter().find(|p| portal.is_some_and(|r| r.name == p.name_any()) && here(&p.namespace()));
        let base = portal.and_then(|p| p.spec.invitation_url.clone()).unwrap_or_else(|| self.public_url.clone());
        Ok((namespace, found, base))
    }
}

/// All objects of the files; with them, the invitations that the operator would make for users.
fn objects(repository: &Repository, maps: &[Document], now: Timestamp) -> Objects {
    let tables = repository.look();
    let mut objects = Objects {
        portals: tables.portals.all().map(|object| (**object).clone()).collect(),
        tenants: tables.tenants.all().map(|object| (**object).clone()).collect(),
        users: tables.users.all().map(|object| (**object).clone()).collect(),
        groups: tables.groups.all().map(|object| (**object).clone()).collect(),
        invitations: tables.invitations.all().map(|object| (**object).clone()).collect(),
        texts: maps.iter().map(|map| ((map.namespace.clone(), map.name().to_owned()), data(map))).collect(),
    };
    for user in &objects.users {
        let plan = portal_user::plan(user, &tables.user_seen(user), now);
        objects.invitations.extend(plan.effects.into_iter().filter_map(|effect| match effect {
            Effect::Make(Child::Invitation(invitation)) => Some(*invitation),
            _ => None,
        }));
    }
    objects
}

/// The texts of a ConfigMap.
pub fn data(map: &Document) -> BTreeMap<String, String> {
    let value = map.root.json();
    let data = value["data"].as_object().cloned().unwrap_or_default();
    data.into_iter().filter_map(|(key, text)| Some((key, text.as_str()?.to_owned()))).collect()
}
