//! A mail as it would be sent, from objects alone: no API server, no relay, no key. It goes the way that a mail to the relay
//! goes (the same look, words and MIME), so that it is the same bytes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::ResourceExt;

use super::error::Error;
use super::letterbox::{Mime, mime};
use super::world::World;
use crate::api::{Group, Invitation, Portal, PortalUser, Tenant};
use crate::plan::invitation::{Found, Place, Reader};
use crate::plan::letter::{Fault, TextsSeen};
use crate::plan::portal::{self, RelaySecret};
use crate::plan::{Delivery, Purpose, Settings, invitation, tenant};

/// Objects as files have them.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    /// Portals.
    pub portals: Vec<Portal>,
    /// Tenants.
    pub tenants: Vec<Tenant>,
    /// Accounts.
    pub users: Vec<PortalUser>,
    /// Groups.
    pub groups: Vec<Group>,
    /// Invitations.
    pub invitations: Vec<Invitation>,
    /// ConfigMaps with portals' texts, by namespace and name. A namespace is empty where the objects name none.
    pub texts: BTreeMap<(String, String), BTreeMap<String, String>>,
}

/// A mail, and what is to be said of it.
pub struct Preview {
    /// The mail: sender and bytes.
    pub mime: Mime,
    /// Its recipient, as the envelope has it.
    pub to: String,
    /// What is in the way of sending it now, in a sentence.
    pub held: Option<String>,
    /// What is wrong with the portal's own texts.
    pub faults: Vec<Fault>,
}

/// The objects as the operator would know them. Every Secret that is named counts as a relay.
#[derive(Debug)]
pub struct Rehearsal {
    world: World,
}

impl Rehearsal {
    /// Of these objects. `settings.signing_key` may be any name: the link is given with each mail.
    pub fn of(objects: Objects, settings: Settings) -> Self {
        let world = World::new(settings);
        {
            let mut tables = world.look();
            for portal in objects.portals {
                if let Some(name) = portal::relay_secret(&portal) {
                    tables.relays.insert(name, RelaySecret::Usable);
                }
                if let Some(name) = portal::own_texts(&portal) {
                    let seen = TextsSeen::Unseen.after(objects.texts.get(&name));
                    tables.texts.insert(name, seen);
                }
                tables.portals.put(portal);
            }
            tables.tenants.put_all(objects.tenants);
            tables.users.put_all(objects.users);
            tables.groups.put_all(objects.groups);
            tables.invitations.put_all(objects.invitations);
        }
        Rehearsal { world }
    }

    /// The mail of this purpose about an invitation, with this link: as its recorded attempt has it where there is one, else
    /// as it would go out at this time. With [`Purpose::Activation`], `name` is a tenant's.
    pub fn mail(
        &self,
        namespace: &str,
        name: &str,
        purpose: Purpose,
        link: &str,
        now: Timestamp,
    ) -> Result<Preview, Error> {
        let other = |what: &str| Error::other("show a mail", format!("{name}: {what}"));
        let tables = self.world.look();
        let (delivery, held, portal): (Option<Delivery>, Option<String>, Option<&Portal>) =
            if purpose == Purpose::Activation {
                let tenant = tables.tenants.get(namespace, name).ok_or_else(|| other("there is no such Tenant"))?;
                let seen = tables.tenant_seen(tenant, Place::Free);
                let held = seen.post.trouble.clone().map(|(_, message)| message).or_else(|| seen.post.held.clone());
                (tenant::mail(tenant, &seen, now), held, tables.portal_of(tenant))
            } else {
                let found = tables.invitations.get(namespace, name);
                let object = found.ok_or_else(|| other("there is no such Invitation"))?;
                let mut seen = tables.invitation_seen(object, Place::Free, now);
                // Files do not say who is registered.
                if let (Found::Here(inviter), Some(by)) = (&mut seen.inviter, &object.spec.invited_by_ref)
                    && let Some(user) = tables.users.get(namespace, &by.name)
                {
                    inviter.reader.get_or_insert_with(|| Reader {
                        email: user.spec.email.clone(),
                        given_name: user.spec.given_name.clone(),
                        locale: user.spec.locale.clone(),
                    });
                }
                let held = invitation::until_scheduled(&object.spec, &seen).map(|hold| hold.message);
                let tenant = tables.tenants.get(namespace, &object.spec.tenant_ref.name);
                let portal = tenant.and_then(|tenant| tables.portal_of(tenant));
                (invitation::mail(object, &seen, purpose, now), held, portal)
            };
        let delivery = match (delivery, &held) {
            (Some(delivery), _) => delivery,
            (None, Some(why)) => return Err(other(why)),
            (None, None) => return Err(other("there is nobody to send this mail to, or nothing to tell")),
        };
        let texts = portal.and_then(portal::own_texts).map(|name| tables.texts_of(&name));
        let faults = if let Some(TextsSeen::Here { faults, .. }) = texts { faults } else { Vec::new() };
        Ok(Preview { mime: mime(&delivery, link)?, to: delivery.to, held, faults })
    }

    /// All invitations, by namespace and name.
    pub fn invitations(&self) -> Vec<(String, String)> {
        let tables = self.world.look();
        let names = tables.invitations.all().map(|i| (i.namespace().unwrap_or_default(), i.name_any()));
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}
