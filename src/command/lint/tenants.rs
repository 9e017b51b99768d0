//! Portals and tenants: roles that can be held, seats that suffice, partners that are partners.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;

use super::repository::{Repository, read};
use super::source::{Document, Way};
use crate::api::condition::Reason;
use crate::api::{AccountState, Portal, PortalUser, Tenant, TenantType};
use crate::command::render::data;
use crate::plan::address::Address;
use crate::plan::invitation::Place;
use crate::plan::letter::TextsSeen;
use crate::plan::portal::own_texts;
use crate::plan::roles::Catalogue;
use crate::plan::{Facts, portal, tenant as ten};
use crate::shell::table::Mark;

impl Repository {
    /// All that is wrong with a portal.
    pub fn portal(&mut self, document: &Document) {
        let Some(portal) = read::<Portal>(document) else { return };
        let catalogue = Catalogue::of(&portal.spec);
        let circle = "requires itself, by way of others: all of them are worth nothing";
        for (at, permission) in portal.spec.permissions.iter().enumerate() {
            if catalogue.void().contains(&permission.name) {
                let way = Way::to("spec.permissions").item(at).key("requires");
                self.say("requirement-circle", document, &way, format!("permission {:?} {circle}", permission.name));
            }
        }
        let in_circles = catalogue.roles_in_circles();
        for (at, role) in portal.spec.roles.iter().enumerate() {
            let way = Way::to("spec.roles").item(at);
            if in_circles.contains(&role.name) {
                let message = format!("role {:?} {circle}", role.name);
                self.say("requirement-circle", document, &way.key("requires"), message);
            }
            for (at, permission) in role.permissions.iter().enumerate() {
                let is_wide = permission.ends_with(".*");
                if is_wide && catalogue.covered_by(permission).next().is_none() {
                    let message = format!("{permission} covers no permission that the portal declares");
                    self.say("permission-wildcard", document, &way.key("permissions").item(at), message);
                }
            }
        }
        self.texts(document, &portal);
        let plan = portal::plan(&portal, &self.look().portal_seen(&portal), Timestamp::UNIX_EPOCH);
        let sender = plan.status.conditions.into_iter().find(|c| c.reason == Reason::SenderInvalid.as_str());
        if let Some(condition) = sender {
            let field = if condition.message.contains("replyTo") { "spec.mail.replyTo" } else { "spec.mail.from" };
            self.say("sender-invalid", document, &Way::to(field), condition.message);
        }
    }

    /// What is wrong with a portal's own texts.
    fn texts(&mut self, document: &Document, portal: &Portal) {
        let Some((namespace, name)) = own_texts(portal) else { return };
        let map = self.maps.iter().find(|map| map.namespace == namespace && map.name() == name).cloned();
        let Some(map) = map else {
            let way = Way::to("spec.mail.templatesRef.name");
            let message = format!("{way} names the ConfigMap {name:?}, which is in no file");
            return self.say("reference-not-found", document, &way, message);
        };
        let TextsSeen::Here { faults, .. } = TextsSeen::Unseen.after(Some(&data(&map))) else { return };
        for fault in faults {
            let way = Way::to("data").key(&fault.key);
            // A text of several lines begins below its key.
            let is_block =
                map.root.get("data").and_then(|d| d.get(&fault.key)?.text()).is_some_and(|t| t.contains('\n'));
            let line = fault.line.filter(|_| is_block).unwrap_or(0);
            self.say_of_line("text-invalid", &map, &way, line, format!("{}: {}", fault.key, fault.what));
        }
    }

    /// All that is wrong with a tenant.
    pub fn tenant(&mut self, document: &Document) {
        let Some(tenant) = read::<Tenant>(document) else { return };
        let spec = &tenant.spec;
        if let Some(portal) = &spec.portal_ref {
            self.refers(document, "Portal", &Way::to("spec.portalRef.name"), &portal.name);
        }
        for (at, partner) in spec.partner_refs.iter().enumerate() {
            let way = Way::to("spec.partnerRefs").item(at).key("name");
            if self.refers(document, "Tenant", &way, &partner.name) {
                let tables = self.look();
                let found = tables.tenants.get(&document.namespace, &partner.name).map(|t| t.spec.type_);
                drop(tables);
                if found == Some(TenantType::Customer) {
                    let message =
                        format!("tenant {:?} is not of type Partner: its staff cannot work here", partner.name);
                    self.say("partner-type", document, &way, message);
                }
            }
        }
        self.ceiling(document, &tenant);
        self.contact(document, &tenant);
        self.seats(document, &tenant);
        let domains = spec.invitations.as_ref().and_then(|i| i.allowed_email_domains.as_ref());
        for (at, domain) in domains.into_iter().flatten().enumerate() {
            if Address::parse(&format!("somebody@{domain}")).is_none() {
                let way = Way::to("spec.invitations.allowedEmailDomains").item(at);
                self.say("domain-invalid", document, &way, format!("no address has the domain {domain:?}"));
            }
        }
    }

    fn ceiling(&mut self, document: &Document, tenant: &Tenant) {
        let tables = self.look();
        let catalogue = tables.portal_of(tenant).map(|_| tables.catalogue(tenant));
        drop(tables);
        let (Some(catalogue), Some(ceiling)) = (catalogue, &tenant.spec.ceiling) else { return };
        for (at, permission) in ceiling.permissions.iter().enumerate() {
            let known = permission == "*" || catalogue.declares(permission);
            if !known && catalogue.covered_by(permission).next().is_none() {
                let way = Way::to("spec.ceiling.permissions").item(at);
                let message = format!("the portal declares no permission {permission:?}");
                self.say("permission-unknown", document, &way, message);
            }
        }
    }

    fn contact(&mut self, document: &Document, tenant: &Tenant) {
        let spec = &tenant.spec;
        if let Some(email) = spec.contact.as_ref().and_then(|contact| contact.email.as_ref())
            && Address::parse(email).is_none()
        {
            self.say(
                "address-invalid",
                document,
                &Way::to("spec.contact.email"),
                format!("{email:?} cannot be mailed"),
            );
        }
        if let Some(person) = &spec.contact_person_ref {
            let way = Way::to("spec.contactPersonRef.name");
            if self.refers(document, "PortalUser", &way, &person.name) {
                let tables = self.look();
                let theirs =
                    tables.users.get(&document.namespace, &person.name).map(|u| u.spec.tenant_ref.name.clone());
                drop(tables);
                if let Some(theirs) = theirs.filter(|theirs| *theirs != tenant.name_any()) {
                    let message = format!("PortalUser {:?} belongs to tenant {theirs:?}", person.name);
                    self.say("reference-other-tenant", document, &way, message);
                }
            }
        }
        // The page to tell may be that of a portal that is in no file.
        let has_contact = spec.contact.as_ref().is_some_and(|contact| contact.email.is_some());
        if has_contact && self.look().missing_portal(tenant).is_some() {
            return;
        }
        let seen = self.look().tenant_seen(tenant, Place::Free);
        let plan = ten::plan(tenant, &seen, &Facts::new(), Timestamp::UNIX_EPOCH);
        let lacking = plan.status.conditions.into_iter().find(|c| c.reason == Reason::ContactMissing.as_str());
        if let Some(condition) = lacking {
            self.say("contact-missing", document, &Way::to("spec.activationMail"), condition.message);
        }
    }

    fn seats(&mut self, document: &Document, tenant: &Tenant) {
        let Some(limit) = tenant.spec.user_limit else { return };
        let mark = Mark::Tenant(document.namespace.clone(), tenant.name_any());
        let canonical = |email: &str| Address::parse(email).map(|address| address.canonical().to_owned());
        let tables = self.look();
        let seated = |user: &&Arc<PortalUser>| user.spec.state != AccountState::Deleted;
        let users = tables.users.marked(&mark).filter(seated).filter_map(|u| canonical(&u.spec.email));
        let users: BTreeSet<String> = users.collect();
        let invited = tables.invitations.marked(&mark).filter(|i| !i.spec.revoked);
        let invited = invited.filter_map(|i| canonical(&i.spec.email));
        let together: BTreeSet<String> = invited.chain(users.iter().cloned()).collect();
        drop(tables);
        let count = |set: &BTreeSet<String>| i64::try_from(set.len()).unwrap_or(i64::MAX);
        let way = Way::to("spec.userLimit");
        if count(&users) > limit {
            let message = format!("userLimit is {limit}, and {} users are declared", users.len());
            self.say("user-limit", document, &way, message);
        } else if count(&together) > limit {
            let message = format!("userLimit is {limit}, and {} users and invitations are declared", together.len());
            self.say("seats", document, &way, message);
        }
    }
}
