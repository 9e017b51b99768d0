//! The look at the world: rows and indexes become what a plan takes. It judges nothing.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use kube::ResourceExt;

use super::table::Mark;
use super::world::Tables;
use crate::api::{AccountState, Group, Invitation, PortalUser, Tenant, UserCounts, WorkloadRef};
use crate::plan::access::{self, GroupRoles};
use crate::plan::address::Address;
use crate::plan::invitation::{self as inv, Found, Place, needs_seat};
use crate::plan::{group, portal_user as usr, tenant as ten};

fn ns(object: &impl ResourceExt) -> String {
    object.namespace().unwrap_or_default()
}

/// Whose account stands for an address: an applied one before one that acceptance made, then the lower name.
fn precedence(user: &PortalUser) -> (bool, String) {
    (usr::is_made(user), user.name_any())
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

    fn group_roles(&self, namespace: &str, tenant: &str, names: &[String]) -> (Vec<GroupRoles>, Vec<String>) {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for name in names {
            match self.groups.get(namespace, name).filter(|g| g.spec.tenant_ref.name == tenant) {
                Some(group) => known.push(GroupRoles {
                    name: name.clone(),
                    roles: group.spec.roles.clone(),
                    grants: group.spec.grants.clone(),
                }),
                None => unknown.push(name.clone()),
            }
        }
        (known, unknown)
    }

    fn first_user(&self, namespace: &str, tenant: &str) -> Option<String> {
        self.tenant_of(namespace, tenant)?.status.as_ref()?.first_user.clone()
    }

    fn holdings(&self, user: &PortalUser) -> Vec<access::Holding> {
        let (ns, tenant) = (ns(user), &user.spec.tenant_ref.name);
        let (groups, _) = self.group_roles(&ns, tenant, &user.spec.groups);
        let first = self.first_user(&ns, tenant).as_deref() == Some(user.name_any().as_str());
        access::holdings(&user.spec.roles, &user.spec.grants, &groups, first)
    }

    /// Users of a tenant who may hold a role in the whole tenant: by name, by group, or as the first.
    pub fn candidates(&self, namespace: &str, tenant: &str, role: &str) -> Vec<&PortalUser> {
        let mark = Mark::Role(namespace.to_owned(), tenant.to_owned(), role.to_owned());
        let mut users: BTreeMap<String, &PortalUser> = BTreeMap::new();
        let by_group = self.groups.marked(&mark).flat_map(|group| {
            self.users.marked(&Mark::Group(namespace.to_owned(), tenant.to_owned(), group.name_any()))
        });
        let first = self.first_user(namespace, tenant).and_then(|name| self.users.get(namespace, &name));
        for user in self.users.marked(&mark).chain(by_group).chain(first) {
            if user.spec.tenant_ref.name == tenant {
                users.insert(user.name_any(), user);
            }
        }
        users.into_values().collect()
    }

    fn holds(&self, user: &PortalUser, role: &str) -> bool {
        user.spec.state == AccountState::Active
            && usr::is_registered(user)
            && self.holdings(user).iter().any(|h| h.scope == "/" && h.role == role)
    }

    /// What one invitation sees.
    pub fn invitation_seen(&self, me: &Invitation, place: Place, now: Timestamp) -> inv::Seen {
        let (ns, spec) = (ns(me), &me.spec);
        let tenant_name = &spec.tenant_ref.name;
        let tenant = self.tenant_of(&ns, tenant_name);
        let address = Address::parse(&spec.email);
        let account = address.as_ref().and_then(|a| self.accounts(&ns, tenant_name, a).into_iter().next());
        let roles = spec.roles.iter().chain(spec.grants.iter().flat_map(|g| &g.roles));
        inv::Seen {
            settings: self.settings.clone(),
            place,
            tenant: tenant.map(|tenant| inv::TenantSeen {
                display_name: ten::display_name(tenant),
                active: tenant.spec.portal_active,
                missing_portal: tenant.spec.portal_ref.as_ref().map(|portal| portal.name.clone()),
                expires_after: tenant.spec.invitations.as_ref().and_then(|i| Some(i.expires_after.as_ref()?.length())),
                allowed_domains: allowed_domains(tenant),
                locale: tenant.spec.locale.clone(),
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
                    Some(home) => Found::Here(inv::HomeSeen { allowed_domains: allowed_domains(home) }),
                },
            },
            unknown_roles: roles.filter(|role| access::role(role).is_none()).cloned().collect(),
            unknown_groups: self.group_roles(&ns, tenant_name, &spec.groups).1,
            seats: self.seats(me, &ns, tenant, address.as_ref(), now),
        }
    }

    fn inviter(&self, ns: &str, spec: &crate::api::InvitationSpec) -> Found<inv::InviterSeen> {
        let Some(by) = &spec.invited_by_ref else { return Found::NotNamed };
        let found = self.users.get(ns, &by.name).filter(|u| u.spec.tenant_ref == spec.tenant_ref);
        let Some(user) = found else { return Found::Missing(by.name.clone()) };
        let names = [&user.spec.given_name, &user.spec.family_name];
        let display_name = names.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ");
        Found::Here(inv::InviterSeen {
            display_name: if display_name.trim().is_empty() { user.spec.email.clone() } else { display_name },
            assignable: access::assignable(&self.holdings(user)),
        })
    }

    /// The invitation that stands for this address instead: one that is open or being sent before one that is not, an
    /// applied one before a user's own, then the lower name. Those that ended, or are planned for later, do not count.
    fn rival(&self, me: &Invitation, ns: &str, address: &Address, now: Timestamp) -> Option<String> {
        let mark = Mark::Address(ns.to_owned(), me.spec.tenant_ref.name.clone(), address.canonical().to_owned());
        let contends = |i: &&Invitation| {
            let status = i.status.clone().unwrap_or_default();
            let waiting = status.serial.is_none()
                && status.declined_time.is_none()
                && status.revoked_time.is_none()
                && status.expired_time.is_none()
                && !i.spec.revoked
                && i.spec.send_at.as_ref().is_none_or(|at| at.0 <= now)
                && i.spec.not_after.as_ref().is_none_or(|at| at.0 > now);
            waiting || self.has_seat(i, now)
        };
        let rank = |i: &Invitation| {
            (!self.has_seat(i, now), i.labels().contains_key(crate::api::marks::MADE_BY), i.name_any())
        };
        let rivals =
            self.invitations.marked(&mark).map(AsRef::as_ref).filter(|i: &&Invitation| i.name_any() != me.name_any());
        let first = rivals.filter(contends).min_by_key(|i| rank(i))?;
        (rank(first) < rank(me)).then(|| first.name_any())
    }

    fn has_seat(&self, invitation: &Invitation, now: Timestamp) -> bool {
        self.is_claimed(invitation)
            || invitation.status.as_ref().is_some_and(|status| needs_seat(&invitation.spec, status, now))
    }

    /// Seats as one invitation sees them. Counted only where there is a limit.
    fn seats(
        &self,
        me: &Invitation,
        ns: &str,
        tenant: Option<&Tenant>,
        address: Option<&Address>,
        now: Timestamp,
    ) -> inv::Seats {
        let limit = tenant.and_then(|t| t.spec.user_limit);
        let (Some(limit), Some(address)) = (limit, address) else { return inv::Seats::default() };
        let mark = Mark::Tenant(ns.to_owned(), me.spec.tenant_ref.name.clone());
        let mut taken = self.seated(&mark, now);
        taken.remove(address.canonical());
        let age = |i: &Invitation| (i.metadata.creation_timestamp.as_ref().map(|t| t.0), i.name_any());
        let mine = age(me);
        let allowed = tenant.and_then(allowed_domains);
        let mut before = HashSet::new();
        for other in self.invitations.marked(&Mark::Waiting(ns.to_owned(), me.spec.tenant_ref.name.clone())) {
            let due = other.spec.send_at.as_ref().is_none_or(|at| at.0 <= now) && !other.spec.revoked;
            let Some(theirs) = Address::parse(&other.spec.email).filter(|_| due && age(other) < mine) else { continue };
            let may = allowed.as_ref().is_none_or(|domains| theirs.is_in(domains));
            if may && theirs != *address && !taken.contains(theirs.canonical()) {
                before.insert(theirs.canonical().to_owned());
            }
        }
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        inv::Seats { limit: Some(limit), taken: count(taken.len()), waiting_before: count(before.len()) }
    }

    /// Distinct addresses of a tenant that are registered or openly invited.
    fn seated(&self, tenant: &Mark, now: Timestamp) -> HashSet<String> {
        let users =
            self.users.marked(tenant).filter(|u| u.spec.state != AccountState::Deleted && usr::is_registered(u));
        let invitations = self.invitations.marked(tenant).filter(|i| self.has_seat(i, now));
        users
            .map(|u| &u.spec.email)
            .chain(invitations.map(|i| &i.spec.email))
            .filter_map(|email| Some(Address::parse(email)?.canonical().to_owned()))
            .collect()
    }

    /// What one account sees.
    pub fn user_seen(&self, me: &PortalUser) -> usr::Seen {
        let (ns, name, spec) = (ns(me), me.name_any(), &me.spec);
        let tenant_name = &spec.tenant_ref.name;
        let tenant = self.tenant_of(&ns, tenant_name);
        let (groups, unknown_groups) = self.group_roles(&ns, tenant_name, &spec.groups);
        let address = Address::parse(&spec.email);
        let accounts = address.as_ref().map(|a| self.accounts(&ns, tenant_name, a)).unwrap_or_default();
        let before = accounts.first().filter(|first| first.name_any() != name);
        let replaces = accounts.iter().filter(|u| u.name_any() != name && before.is_none() && usr::is_made(u));
        let invited = address.as_ref().is_some_and(|a| {
            let mark = Mark::Address(ns.clone(), tenant_name.clone(), a.canonical().to_owned());
            self.invitations.marked(&mark).any(|i| is_invited(i))
        });
        let roles = access::BUILT_IN.iter().filter(|r| r.at_least_one).map(|r| r.name);
        let no_other = |role: &&str| {
            !self.candidates(&ns, tenant_name, role).iter().any(|u| u.name_any() != name && self.holds(u, role))
        };
        usr::Seen {
            settings: self.settings.clone(),
            tenant: tenant.map(|tenant| usr::TenantSeen {
                active: tenant.spec.portal_active,
                missing_portal: tenant.spec.portal_ref.as_ref().map(|portal| portal.name.clone()),
                ceiling: tenant.spec.ceiling.as_ref().map(|c| c.permissions.clone()),
                first_user: tenant.status.as_ref().and_then(|s| s.first_user.clone()),
            }),
            stands_before: before
                .map(|user| usr::Sibling { name: user.name_any(), registered: usr::is_registered(user) }),
            replaces: replaces.into_iter().find_map(|user| usr::registration(user)),
            acceptance: self.acceptance(me, &ns, &name),
            invited,
            child: self.invitations.get(&ns, &usr::child_name(&name)).map(|i| (**i).clone()),
            unknown_groups,
            groups,
            home: spec.home_tenant_ref.as_ref().is_none_or(|home| self.tenant_of(&ns, &home.name).is_some()),
            held_by_no_other: roles.filter(no_other).map(str::to_owned).collect(),
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
        let (ns, tenant) = (ns(me), &me.spec.tenant_ref.name);
        let mark = Mark::Group(ns.clone(), tenant.clone(), me.name_any());
        let members = self.users.marked(&mark).filter(|u| u.spec.state != AccountState::Deleted).count();
        group::Seen {
            tenant: self.tenant_of(&ns, tenant).is_some(),
            members: i64::try_from(members).unwrap_or(i64::MAX),
        }
    }

    /// What one tenant sees.
    pub fn tenant_seen(&self, me: &Tenant, place: Place) -> ten::Seen {
        let (ns, name) = (ns(me), me.name_any());
        let mark = Mark::Tenant(ns.clone(), name.clone());
        let mut registered = HashSet::new();
        let mut first: Option<(Timestamp, String)> = None;
        let declared = self.declares_first_user(&ns, &name, &mark);
        let mut suspended = 0;
        for user in self.users.marked(&mark).filter(|u| u.spec.state != AccountState::Deleted && usr::is_registered(u))
        {
            registered.extend(Address::parse(&user.spec.email).map(|a| a.canonical().to_owned()));
            suspended += i64::from(user.spec.state == AccountState::Suspended);
            let stands = declared.is_empty() || declared.contains(&user.name_any());
            if let Some(registration) = usr::registration(user).filter(|_| stands) {
                let candidate = (registration.time.0, user.name_any());
                first = Some(first.map_or(candidate.clone(), |first| first.min(candidate)));
            }
        }
        let invited: HashSet<String> = self
            .invitations
            .marked(&mark)
            .filter(|i| is_invited(i))
            .filter_map(|i| Some(Address::parse(&i.spec.email)?.canonical().to_owned()))
            .filter(|address| !registered.contains(address))
            .collect();
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let without_holder = access::BUILT_IN
            .iter()
            .filter(|r| r.at_least_one)
            .find(|r| !self.candidates(&ns, &name, r.name).iter().any(|u| self.holds(u, r.name)));
        let contact = me.spec.contact_person_ref.as_ref();
        ten::Seen {
            settings: self.settings.clone(),
            place,
            missing_portal: me.spec.portal_ref.as_ref().map(|portal| portal.name.clone()),
            users: UserCounts {
                registered: count(registered.len()),
                invited: count(invited.len()),
                suspended,
                limit: me.spec.user_limit,
            },
            role_without_holder: without_holder.map(|r| r.name.to_owned()),
            first_registered: first.map(|(_, name)| name),
            contact_person_exists: contact
                .is_none_or(|c| self.users.get(&ns, &c.name).is_some_and(|u| u.spec.tenant_ref.name == name)),
            workloads: ten::known_workloads(me)
                .into_iter()
                .map(|w| (w.clone(), self.workload_seen(me, &ns, w)))
                .collect(),
        }
    }

    /// Accounts, and openly invited addresses, that name a role which falls to the first user. Where there are some, the
    /// first user is one of them: else a viewer who is quicker than the declared owner would become owner.
    fn declares_first_user(&self, ns: &str, tenant: &str, mark: &Mark) -> HashSet<String> {
        let roles = || access::BUILT_IN.iter().filter(|r| r.first_user);
        let users = roles().flat_map(|role| self.candidates(ns, tenant, role.name));
        let users = users.filter(|u| u.spec.state == AccountState::Active).map(|u| u.name_any());
        let invited = self.invitations.marked(mark).filter(|i| {
            let waits = i.status.as_ref().is_none_or(|s| s.accepted_time.is_none() && s.declined_time.is_none());
            waits && !i.spec.revoked && i.spec.roles.iter().any(|name| roles().any(|r| r.name == name))
        });
        // Nobody's name: it only says that somebody is declared.
        users.chain(invited.map(|_| String::new())).collect()
    }

    fn workload_seen(&self, me: &Tenant, ns: &str, workload: WorkloadRef) -> ten::WorkloadSeen {
        let known = self.workloads.get(&(ns.to_owned(), workload.clone())).cloned().unwrap_or_default();
        let needed_by_others = self
            .tenants
            .marked(&Mark::Workload(ns.to_owned(), workload.clone()))
            .any(|t| t.name_any() != me.name_any() && t.spec.portal_active && t.spec.workloads.contains(&workload));
        ten::WorkloadSeen {
            replicas: known.replicas,
            needed_by_others,
            scaled_by: known.scaled_by,
            trouble: known.trouble,
        }
    }
}

/// Whether an invitation is open by what was recorded: expiry is recorded too, and its record brings a new look.
fn is_invited(invitation: &Invitation) -> bool {
    invitation.status.as_ref().is_some_and(|status| needs_seat(&invitation.spec, status, Timestamp::MIN))
}

fn allowed_domains(tenant: &Tenant) -> Option<Vec<String>> {
    tenant.spec.invitations.as_ref()?.allowed_email_domains.clone()
}
