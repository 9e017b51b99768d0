//! The look at the world: rows and indexes become what a plan takes. It judges nothing.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::table::Mark;
use super::world::Tables;
use crate::api::{
    AccountState, FirstUser, Grant, Group, Invitation, Portal, PortalUser, Tenant, TenantType, UserCounts, WorkloadRef,
};
use crate::plan::address::Address;
use crate::plan::invitation::{self as inv, Found, Place, needs_seat};
use crate::plan::roles::Catalogue;
use crate::plan::{group, portal, portal_user as usr, tenant as ten};

fn ns(object: &impl ResourceExt) -> String {
    object.namespace().unwrap_or_default()
}

/// Whose account stands for an address: an applied one before one that acceptance made, then one whose owner confirmed
/// the address (nobody loses an account to a namesake that comes later), then the lower name.
fn precedence(user: &PortalUser) -> (bool, bool, String) {
    (usr::is_made(user), !usr::is_registered(user), user.name_any())
}

impl Tables {
    fn tenant_of(&self, namespace: &str, name: &str) -> Option<&Tenant> {
        self.tenants.get(namespace, name).map(AsRef::as_ref)
    }

    /// Accounts of this address in this tenant, the one that stands for it first.
    pub fn accounts(&self, namespace: &str, tenant: &str, address: &Address) -> Vec<&PortalUser> {
        let mark = Mark::Address(namespace.to_owned(), tenant.to_owned(), address.canonical().to_owned());
        let mut accounts: Vec<&PortalUser> = self.users.marked(&mark).map(AsRef::as_ref).collect();
        accounts.sort_by_key(|user| precedence(user));
        accounts
    }

    /// What one invitation sees.
    pub fn invitation_seen(&self, me: &Invitation, place: Place, now: Timestamp) -> inv::Seen {
        let seen = self.seen_but_for_seats(me, place, now);
        self.line.note(me, inv::can_be_mailed(&me.spec, &seen));
        inv::Seen { seats: self.seats(me, now), ..seen }
    }

    /// What one invitation sees, its seat aside.
    pub(super) fn seen_but_for_seats(&self, me: &Invitation, place: Place, now: Timestamp) -> inv::Seen {
        let (ns, spec) = (ns(me), &me.spec);
        let tenant_name = &spec.tenant_ref.name;
        let tenant = self.tenant_of(&ns, tenant_name);
        let address = Address::parse(&spec.email);
        let account = address.as_ref().and_then(|a| self.accounts(&ns, tenant_name, a).into_iter().next());
        // The invitation that an account asks for gives nothing itself: what the account names has to exist.
        let parent = account.filter(|user| usr::is_child(me, &user.name_any())).map(|user| &user.spec);
        let named = |roles: &'_ [String], grants: &'_ [Grant]| -> Vec<String> {
            roles.iter().chain(grants.iter().flat_map(|g| &g.roles)).cloned().collect()
        };
        let mut roles = named(&spec.roles, &spec.grants);
        roles.extend(parent.map(|user| named(&user.roles, &user.grants)).unwrap_or_default());
        let portal = tenant.and_then(|t| self.portal_of(t));
        let defaults = portal::defaults(portal);
        let catalogue = tenant.map(|t| self.catalogue(t)).unwrap_or_default();
        let (groups, mut unknown_groups) = self.group_roles(&ns, tenant_name, &catalogue, &spec.groups);
        let joined = parent.map(|user| self.group_roles(&ns, tenant_name, &catalogue, &user.groups).1);
        unknown_groups.extend(joined.unwrap_or_default());
        inv::Seen {
            settings: self.settings.clone(),
            place,
            tenant: tenant.map(|tenant| inv::TenantSeen {
                display_name: ten::display_name(tenant),
                active: tenant.spec.portal_active,
                missing_portal: self.missing_portal(tenant),
                expires_after: expires_after(tenant).or(defaults.expires_after),
                delivery: defaults.delivery,
                allowed_domains: allowed_domains(tenant),
                locale: tenant.spec.locale.clone(),
                portal_locale: defaults.locale,
                url: tenant.spec.url.clone().or_else(|| portal.and_then(|p| p.spec.url.clone())),
                remind_before: defaults.remind_before,
                notify_inviter: defaults.notify_inviter,
                post: self.post(portal),
                catalogue: catalogue.clone(),
            }),
            account: account.map(|user| inv::AccountSeen {
                name: user.name_any(),
                uid: user.uid().unwrap_or_default(),
                state: user.spec.state,
                registered: usr::is_registered(user),
            }),
            stands_for_this: address.as_ref().and_then(|a| self.rival(me, &ns, a, now)),
            inviter: self.inviter(&ns, spec),
            home: match &spec.home_tenant_ref {
                None => Found::NotNamed,
                Some(home) => match self.tenant_of(&ns, &home.name) {
                    None => Found::Missing(home.name.clone()),
                    Some(home) => Found::Here(inv::HomeSeen {
                        linked: tenant.is_some_and(|t| is_partner(t, home)),
                        allowed_domains: allowed_domains(home),
                    }),
                },
            },
            unknown_roles: roles.into_iter().filter(|role| catalogue.role(role).is_none()).collect(),
            groups,
            unknown_groups,
            seats: inv::Seats::default(),
        }
    }

    fn inviter(&self, ns: &str, spec: &crate::api::InvitationSpec) -> Found<inv::InviterSeen> {
        let Some(by) = &spec.invited_by_ref else { return Found::NotNamed };
        let found =
            self.users.get(ns, &by.name).and_then(|u| Some((u, self.inviters_rights(u, &spec.tenant_ref.name)?)));
        let Some((user, rights)) = found else { return Found::Missing(by.name.clone()) };
        let names = [&user.spec.given_name, &user.spec.family_name];
        let display_name = names.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ");
        Found::Here(inv::InviterSeen {
            display_name: if display_name.trim().is_empty() { user.spec.email.clone() } else { display_name },
            rights,
            reader: (user.spec.state == AccountState::Active && usr::is_registered(user)).then(|| inv::Reader {
                email: user.spec.email.clone(),
                given_name: user.spec.given_name.clone(),
                locale: user.spec.locale.clone(),
            }),
        })
    }

    /// The invitation that stands for this address instead: one that is open, being sent or answered before one that is
    /// not, an applied one before a user's own, then the lower name. Those that ended, or are planned for later, do not
    /// count. An answer counts for all who asked before it: whoever accepted would else be mailed before the account is
    /// seen, or once it is deleted, and whoever declined at once.
    fn rival(&self, me: &Invitation, ns: &str, address: &Address, now: Timestamp) -> Option<String> {
        let mark = Mark::Address(ns.to_owned(), me.spec.tenant_ref.name.clone(), address.canonical().to_owned());
        let all: Vec<&Invitation> = self.invitations.marked(&mark).map(AsRef::as_ref).collect();
        let contends = |i: &&Invitation| {
            let status = i.status.clone().unwrap_or_default();
            let waiting = !all.iter().any(|other| answers(other, i))
                && status.serial.is_none()
                && status.declined_time.is_none()
                && status.revoked_time.is_none()
                && status.expired_time.is_none()
                && !i.spec.revoked
                && i.spec.send_at.as_ref().is_none_or(|at| at.0 <= now)
                && i.spec.not_after.as_ref().is_none_or(|at| at.0 > now);
            waiting || self.has_seat(i, now) || answers(i, me)
        };
        let rank = |i: &Invitation| {
            let stands = self.has_seat(i, now) || answers(i, me);
            (!stands, i.labels().contains_key(crate::api::marks::MADE_BY), i.name_any())
        };
        let rivals = all.iter().copied().filter(|i| i.name_any() != me.name_any());
        let first = rivals.filter(contends).min_by_key(|i| rank(i))?;
        (rank(first) < rank(me)).then(|| first.name_any())
    }

    /// What one account sees.
    pub fn user_seen(&self, me: &PortalUser) -> usr::Seen {
        let (ns, name, spec) = (ns(me), me.name_any(), &me.spec);
        let tenant_name = &spec.tenant_ref.name;
        let tenant = self.tenant_of(&ns, tenant_name);
        let seen = tenant.map(|t| self.user_tenant(t));
        let catalogue = seen.as_ref().map(|t| t.catalogue.clone()).unwrap_or_default();
        let (groups, unknown_groups) = self.group_roles(&ns, tenant_name, &catalogue, &spec.groups);
        let address = Address::parse(&spec.email);
        let accounts = address.as_ref().map(|a| self.accounts(&ns, tenant_name, a)).unwrap_or_default();
        let before = accounts.first().filter(|first| first.name_any() != name);
        let replaces = accounts.iter().filter(|u| u.name_any() != name && before.is_none() && usr::is_made(u));
        let invited = address.as_ref().is_some_and(|a| {
            let mark = Mark::Address(ns.clone(), tenant_name.clone(), a.canonical().to_owned());
            self.invitations.marked(&mark).any(|i| is_invited(i))
        });
        let (kept, held_by_no_other) = tenant.map(|t| self.kept_and_alone(me, t)).unwrap_or_default();
        let works_for_others = seen.as_ref().is_some_and(|t| t.is_partner);
        usr::Seen {
            settings: self.settings.clone(),
            tenant: seen,
            stands_before: before
                .map(|user| usr::Sibling { name: user.name_any(), registered: usr::is_registered(user) }),
            replaces: replaces.into_iter().find_map(|user| usr::registration(user)),
            acceptance: self.acceptance(me, &ns, &name),
            invited,
            child: self.invitations.get(&ns, &usr::child_name(&name)).map(|i| (**i).clone()),
            unknown_groups,
            groups,
            home: spec.home_tenant_ref.as_ref().map_or(usr::Home::NotNamed, |home| {
                match (self.tenant_of(&ns, &home.name), tenant) {
                    (None, _) => usr::Home::Missing,
                    (Some(home), Some(tenant)) if !is_partner(tenant, home) => usr::Home::NotLinked,
                    (Some(home), _) if !home.spec.portal_active => usr::Home::Inactive,
                    (Some(_), _) => usr::Home::Partner,
                }
            }),
            kept,
            held_by_no_other,
            customers: tenant.filter(|_| works_for_others).map_or(0, |t| self.customers_of(t)),
        }
    }

    /// The latest acceptance that names this account: by name and UID, for a recreated account is another one.
    fn acceptance(&self, me: &PortalUser, ns: &str, name: &str) -> Option<usr::Registration> {
        let accepted = self.invitations.marked(&Mark::Account(ns.to_owned(), name.to_owned())).filter_map(|i| {
            let status = i.status.as_ref()?;
            let account = status.user_ref.as_ref()?;
            if account.uid.is_some() && account.uid != me.uid() || i.spec.tenant_ref != me.spec.tenant_ref {
                return None;
            }
            let email = Address::parse(&i.spec.email)?.canonical().to_owned();
            Some(usr::Registration { email, time: status.accepted_time.clone()? })
        });
        accepted.max_by_key(|r| r.time.0)
    }

    /// What one group sees.
    pub fn group_seen(&self, me: &Group) -> group::Seen {
        let (ns, tenant, name) = (ns(me), &me.spec.tenant_ref.name, me.name_any());
        // Users name a built-in group without its tenant.
        let built_in = group::built_in_part(tenant, &name).unwrap_or(&name);
        let mark = Mark::Group(ns.clone(), tenant.clone(), built_in.to_owned());
        let members = self.users.marked(&mark).filter(|u| u.spec.state != AccountState::Deleted).count();
        group::Seen {
            catalogue: self.tenant_of(&ns, tenant).map(|t| self.catalogue(t)),
            members: i64::try_from(members).unwrap_or(i64::MAX),
        }
    }

    /// What one portal sees.
    pub fn portal_seen(&self, me: &Portal) -> portal::Seen {
        let tenants = self.tenants.marked(&Mark::Portal(ns(me), me.name_any())).count();
        portal::Seen {
            tenants: i64::try_from(tenants).unwrap_or(i64::MAX),
            post: self.post(Some(me)),
            texts: portal::own_texts(me).map(|name| (name.1.clone(), self.texts_of(&name))),
        }
    }

    /// What one tenant sees.
    pub fn tenant_seen(&self, me: &Tenant, place: Place) -> ten::Seen {
        let (ns, name) = (ns(me), me.name_any());
        let mark = Mark::Tenant(ns.clone(), name.clone());
        let mut registered = HashSet::new();
        let catalogue = self.catalogue(me);
        let mut suspended = 0;
        for user in self.users.marked(&mark).filter(|u| u.spec.state != AccountState::Deleted && usr::is_registered(u))
        {
            registered.extend(Address::parse(&user.spec.email).map(|a| a.canonical().to_owned()));
            suspended += i64::from(user.spec.state == AccountState::Suspended);
        }
        let invited: HashSet<String> = self
            .invitations
            .marked(&mark)
            .filter(|i| is_invited(i))
            .filter_map(|i| Some(Address::parse(&i.spec.email)?.canonical().to_owned()))
            .filter(|address| !registered.contains(address))
            .collect();
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let portal = self.portal_of(me);
        let contact = me.spec.contact_person_ref.as_ref();
        ten::Seen {
            settings: self.settings.clone(),
            place,
            missing_portal: self.missing_portal(me),
            users: UserCounts {
                registered: count(registered.len()),
                invited: count(invited.len()),
                suspended,
                limit: me.spec.user_limit,
            },
            holders: catalogue.at_least_one().map(|r| (r.name.clone(), self.holder(me, &r.name))).collect(),
            // Once recorded, nobody asks any more, and finding out means looking at everybody.
            first_user: match ten::recorded_first_user(me) {
                Some(_) => None,
                None => self.first_user(me, &mark, &catalogue),
            },
            groups: self.reserved_groups(&ns, &name),
            post: self.post(portal),
            portal_url: portal.and_then(|p| p.spec.url.clone()),
            portal_locale: portal.and_then(|p| p.spec.locale.clone()),
            catalogue,
            contact_person_exists: contact
                .is_none_or(|c| self.users.get(&ns, &c.name).is_some_and(|u| u.spec.tenant_ref.name == name)),
            workloads: ten::known_workloads(me)
                .into_iter()
                .map(|w| (w.clone(), self.workload_seen(me, &ns, w)))
                .collect(),
        }
    }

    /// Who is a tenant's first user if nobody was recorded: who was added first, or who registered first.
    fn first_user(&self, me: &Tenant, mark: &Mark, catalogue: &Catalogue) -> Option<String> {
        let users = self.users.marked(mark).filter(|u| u.spec.state == AccountState::Active);
        if catalogue.first_user() == FirstUser::Added {
            let since = |u: &&Arc<PortalUser>| (u.metadata.creation_timestamp.as_ref().map(|t| t.0), u.name_any());
            return users.min_by_key(since).map(|u| u.name_any());
        }
        let declared = self.declares_first_user(me, mark, catalogue);
        let stands = |u: &&Arc<PortalUser>| declared.is_empty() || declared.contains(&u.name_any());
        let registered = users.filter(|u| usr::is_registered(u)).filter(stands);
        registered.min_by_key(|u| (usr::registration(u).map(|r| r.time.0), u.name_any())).map(|u| u.name_any())
    }

    /// Accounts, and openly invited addresses, that name a role which falls to the first user. Where there are some, the
    /// first user is one of them: else a viewer who is quicker than the declared owner would become owner.
    fn declares_first_user(&self, me: &Tenant, mark: &Mark, catalogue: &Catalogue) -> HashSet<String> {
        let users = catalogue.of_first_user().flat_map(|role| self.candidates(me, &role.name));
        let users = users.filter(|u| u.spec.state == AccountState::Active).map(|u| u.name_any());
        let invited = self.invitations.marked(mark).filter(|i| {
            let waits = i.status.as_ref().is_none_or(|s| s.accepted_time.is_none() && s.declined_time.is_none());
            waits
                && !i.spec.revoked
                && i.spec.roles.iter().any(|name| catalogue.of_first_user().any(|r| r.name == *name))
        });
        // Nobody's name: it only says that somebody is declared.
        users.chain(invited.map(|_| String::new())).collect()
    }

    /// Groups of a tenant whose names are reserved for its built-in ones, by the part behind the dot.
    fn reserved_groups(&self, ns: &str, tenant: &str) -> BTreeMap<String, Group> {
        let groups = self.groups.marked(&Mark::Tenant(ns.to_owned(), tenant.to_owned()));
        let reserved = |g: &Arc<Group>| Some((group::built_in_part(tenant, &g.name_any())?.to_owned(), (**g).clone()));
        groups.filter_map(reserved).collect()
    }

    fn workload_seen(&self, me: &Tenant, ns: &str, workload: WorkloadRef) -> ten::WorkloadSeen {
        let known = self.workloads.get(&(ns.to_owned(), workload.clone())).cloned().unwrap_or_default();
        let mark = Mark::Workload(ns.to_owned(), workload.clone());
        let others = self.tenants.marked(&mark).filter(|t| t.name_any() != me.name_any());
        let (on, off): (Vec<_>, Vec<_>) =
            others.filter(|t| t.spec.workloads.contains(&workload)).partition(|t| t.spec.portal_active);
        ten::WorkloadSeen {
            replicas: known.replicas,
            needed_by_others: !on.is_empty(),
            saved_by_others: off.into_iter().find_map(|t| ten::saved_count(t, &workload)),
            scaled_by: known.scaled_by,
            trouble: known.trouble,
        }
    }
}

/// Whether an invitation is open by what was recorded: expiry is recorded too, and its record brings a new look.
fn is_invited(invitation: &Invitation) -> bool {
    invitation.status.as_ref().is_some_and(|status| needs_seat(&invitation.spec, status, Timestamp::MIN))
}

/// Whether a tenant lists another one, which is a partner, among those whose staff may work there.
pub(super) fn is_partner(tenant: &Tenant, home: &Tenant) -> bool {
    let name = home.name_any();
    home.spec.type_ == TenantType::Partner && tenant.spec.partner_refs.iter().any(|partner| partner.name == name)
}

fn expires_after(tenant: &Tenant) -> Option<SignedDuration> {
    Some(tenant.spec.invitations.as_ref()?.expires_after.as_ref()?.length())
}

/// Whether an invitation was answered after the other one asked: by being made, or by its `sendAt`.
fn answers(invitation: &Invitation, other: &Invitation) -> bool {
    let answered = invitation.status.as_ref().and_then(|s| s.accepted_time.as_ref().or(s.declined_time.as_ref()));
    let asked = other.spec.send_at.as_ref().max(other.metadata.creation_timestamp.as_ref());
    invitation.name_any() != other.name_any() && answered.is_some_and(|answered| asked <= Some(answered))
}

fn allowed_domains(tenant: &Tenant) -> Option<Vec<String>> {
    tenant.spec.invitations.as_ref()?.allowed_email_domains.clone()
}
