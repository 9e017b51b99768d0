//! What somebody may do: roles become permissions, each line saying via what, each loss saying why.
//!
//! ```text
//!  roles, grants, groups, first user, last holder
//!    └▶ holdings ── role exists? scope fits? partner? ── one of each exclusive set ── required roles held? ──▶ settled
//!         └▶ permissions ── below the ceiling ── required permissions held? ──▶ lines (scope, permissions, via)
//! ```
//!
//! A scope covers everything below it, so a line of `/` holds everywhere. Pure, total, and independent of the order of
//! lists (exclusive sets go by the portal's order, not by the user's).

use std::collections::{BTreeMap, BTreeSet};

use super::roles::{Catalogue, covers};
use crate::api::{Access, Grant, Role, Scoped};

/// The whole tenant.
pub(super) const EVERYWHERE: &str = "/";

/// How the origin of a kept role begins.
const LAST_HOLDER: &str = "lastHolder:";

/// Why something that somebody was given is worth nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// There is no such role.
    RoleUnknown(String),
    /// The role is not one for a branch (or for a branch only).
    WrongScope(String),
    /// The role is worth something in tenants of type Partner only.
    PartnerOnly(String),
    /// Another role of the same exclusive set wins.
    Excluded(String, String),
    /// A role that this one requires is not held.
    RoleRequired(String, String),
    /// The tenant's ceiling does not hold the permission.
    Ceiling(String),
    /// A permission that this one requires is not held.
    PermissionRequired(String, String),
    /// The permission requires itself, by way of others.
    Circle(String),
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Loss::RoleUnknown(role) => write!(f, "role {role:?} (there is no such role)"),
            Loss::WrongScope(role) => write!(f, "role {role:?} (not at this scope)"),
            Loss::PartnerOnly(role) => write!(f, "role {role:?} (in tenants of type Partner only)"),
            Loss::Excluded(role, by) => write!(f, "role {role:?} (excluded by {by:?})"),
            Loss::RoleRequired(role, needs) => write!(f, "role {role:?} (requires role {needs:?})"),
            Loss::Ceiling(permission) => write!(f, "{permission} (above the tenant's ceiling)"),
            Loss::PermissionRequired(permission, needs) => write!(f, "{permission} (requires {needs})"),
            Loss::Circle(permission) => write!(f, "{permission} (requires itself, by way of others)"),
        }
    }
}

/// A group as far as roles go.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupRoles {
    /// Name.
    pub name: String,
    /// Roles in the whole tenant.
    pub roles: Vec<String>,
    /// Roles on branches.
    pub grants: Vec<Grant>,
}

/// What a person was given.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// Own roles in the whole tenant.
    pub roles: &'a [String],
    /// Own roles on branches.
    pub grants: &'a [Grant],
    /// Groups.
    pub groups: &'a [GroupRoles],
    /// Whether this is the tenant's first user.
    pub is_first: bool,
    /// Roles that are kept because nobody else holds them.
    pub kept: &'a [String],
}

/// What the tenant allows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms<'a> {
    /// What the customer bought. None: everything.
    pub ceiling: Option<&'a [String]>,
    /// Whether the tenant is a partner.
    pub is_partner: bool,
}

/// One role that somebody holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// On which branch.
    pub scope: String,
    /// Which role.
    pub role: String,
    /// Where it comes from.
    pub via: String,
}

/// What somebody holds, what it permits, and what was lost on the way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rights {
    /// Roles that count.
    pub holdings: Vec<Holding>,
    /// What they permit.
    pub access: Vec<Access>,
    /// What was given and is worth nothing.
    pub losses: BTreeSet<Loss>,
}

impl Holding {
    /// Whether the role is kept only because nobody else holds it.
    pub fn is_kept(&self) -> bool {
        self.via.starts_with(LAST_HOLDER)
    }
}

impl Rights {
    /// Whether a role counts in the whole tenant.
    pub fn hold(&self, role: &str) -> bool {
        self.holdings.iter().any(|h| h.scope == EVERYWHERE && h.role == role)
    }

    /// Whether their holder may give and take this role on this branch.
    pub fn may_assign(&self, catalogue: &Catalogue, role: &str, scope: &str) -> bool {
        let by = |held: &Holding| {
            covers_scope(&held.scope, scope)
                && catalogue.role(role).is_some_and(|r| r.assignable_by.contains(&held.role))
        };
        self.holdings.iter().any(by)
    }

    /// Roles that their holder may give in the whole tenant, in the portal's order.
    pub fn assignable(&self, catalogue: &Catalogue) -> Vec<String> {
        let may = |r: &&Role| self.may_assign(catalogue, &r.name, EVERYWHERE);
        catalogue.roles.iter().filter(may).map(|r| r.name.clone()).collect()
    }
}

/// What a person may do.
pub fn access(catalogue: &Catalogue, terms: Terms<'_>, given: Given<'_>) -> Rights {
    let mut losses = BTreeSet::new();
    let holdings = settled(catalogue, terms, all(catalogue, given), &mut losses);
    let access = lines(catalogue, terms, &holdings, &mut losses);
    Rights { holdings, access, losses }
}

/// Everything that a person was given, as holdings.
fn all(catalogue: &Catalogue, given: Given<'_>) -> Vec<Holding> {
    let mut held = Vec::new();
    let mut add = |scope: &str, role: &str, via: String| {
        held.push(Holding { scope: scope.to_owned(), role: role.to_owned(), via });
    };
    for role in given.roles {
        add(EVERYWHERE, role, format!("role:{role}"));
    }
    for grant in given.grants {
        grant.roles.iter().for_each(|role| add(&grant.scope, role, format!("role:{role}")));
    }
    for group in given.groups {
        let via = |role: &str| format!("group:{}/{role}", group.name);
        group.roles.iter().for_each(|role| add(EVERYWHERE, role, via(role)));
        for grant in &group.grants {
            grant.roles.iter().for_each(|role| add(&grant.scope, role, via(role)));
        }
    }
    if given.is_first {
        catalogue.of_first_user().for_each(|r| add(EVERYWHERE, &r.name, format!("firstUser:{}", r.name)));
    }
    given.kept.iter().for_each(|role| add(EVERYWHERE, role, format!("{LAST_HOLDER}{role}")));
    held.sort_by(|a, b| (&a.scope, &a.role, &a.via).cmp(&(&b.scope, &b.role, &b.via)));
    held.dedup();
    held
}

/// The holdings that count.
fn settled(
    catalogue: &Catalogue,
    terms: Terms<'_>,
    mut held: Vec<Holding>,
    losses: &mut BTreeSet<Loss>,
) -> Vec<Holding> {
    held.retain(|h| {
        let loss = match catalogue.role(&h.role) {
            None => Some(Loss::RoleUnknown(h.role.clone())),
            Some(role) if role.scoped == Scoped::Never && h.scope != EVERYWHERE => {
                Some(Loss::WrongScope(role.name.clone()))
            }
            Some(role) if role.scoped == Scoped::Always && h.scope == EVERYWHERE => {
                Some(Loss::WrongScope(role.name.clone()))
            }
            Some(role) if role.partner_only && !terms.is_partner => Some(Loss::PartnerOnly(role.name.clone())),
            Some(_) => None,
        };
        loss.map(|loss| losses.insert(loss)).is_none()
    });
    exclude(catalogue, &mut held, losses);
    // A role that goes may have been required by another one: until nothing changes.
    loop {
        let missing = |h: &Holding| {
            let requires = catalogue.role(&h.role).map(|r| r.requires.as_slice()).unwrap_or_default();
            let has = |needed: &&String| held.iter().any(|o| o.role == **needed && covers_scope(&o.scope, &h.scope));
            requires.iter().find(|needed| !has(needed)).cloned()
        };
        let lost: Vec<(Holding, String)> = held.iter().filter_map(|h| Some((h.clone(), missing(h)?))).collect();
        if lost.is_empty() {
            return held;
        }
        for (holding, needed) in lost {
            held.retain(|h| *h != holding);
            losses.insert(Loss::RoleRequired(holding.role, needed));
        }
    }
}

/// Of each exclusive set one role remains at each scope: one that is kept as the last holder's, then the one that the
/// portal lists first.
fn exclude(catalogue: &Catalogue, held: &mut Vec<Holding>, losses: &mut BTreeSet<Loss>) {
    let set = |h: &Holding| catalogue.role(&h.role)?.exclusive_set.clone();
    let mut winners: BTreeMap<(String, String), (bool, usize, String)> = BTreeMap::new();
    for holding in held.iter() {
        let Some(set) = set(holding) else { continue };
        let claim = (!holding.is_kept(), catalogue.rank(&holding.role), holding.role.clone());
        let winner = winners.entry((set, holding.scope.clone())).or_insert_with(|| claim.clone());
        *winner = claim.min(winner.clone());
    }
    held.retain(|h| {
        let Some(set) = set(h) else { return true };
        let Some((_, _, winner)) = winners.get(&(set, h.scope.clone())) else { return true };
        *winner == h.role || {
            losses.insert(Loss::Excluded(h.role.clone(), winner.clone()));
            false
        }
    });
}

/// Whether a branch is this one or lies above it.
pub fn covers_scope(wide: &str, narrow: &str) -> bool {
    wide == EVERYWHERE || wide == narrow || narrow.strip_prefix(wide).is_some_and(|rest| rest.starts_with('/'))
}

/// One permission (or wildcard) on one branch, and where it comes from.
struct Entry<'a> {
    scope: &'a str,
    permission: String,
    via: &'a str,
}

/// What holdings permit, a line for each branch and origin.
fn lines(catalogue: &Catalogue, terms: Terms<'_>, holdings: &[Holding], losses: &mut BTreeSet<Loss>) -> Vec<Access> {
    let mut entries = Vec::new();
    for holding in holdings {
        for permission in catalogue.role(&holding.role).into_iter().flat_map(|r| &r.permissions) {
            let left = below(permission, terms.ceiling);
            if left.as_slice() != [permission.clone()] {
                above(catalogue, permission, &left, losses);
            }
            let known = left.into_iter().filter(|p| p.ends_with('*') || catalogue.declares(p));
            entries.extend(known.map(|permission| Entry { scope: &holding.scope, permission, via: &holding.via }));
        }
    }
    // Scope and permission, and everything that it comes from.
    let mut permitted: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    let mut permit = |scope: &str, permission: String, via: &str| {
        permitted.entry((scope.to_owned(), permission)).or_default().insert(via.to_owned());
    };
    if catalogue.has_requirements() {
        required(catalogue, &entries, losses, &mut permit);
    } else {
        entries.into_iter().for_each(|e| permit(e.scope, e.permission, e.via));
    }
    grouped(permitted)
}

/// Permits what has all that it requires on its branch.
fn required(
    catalogue: &Catalogue,
    entries: &[Entry<'_>],
    losses: &mut BTreeSet<Loss>,
    permit: &mut impl FnMut(&str, String, &str),
) {
    let scopes: BTreeSet<&str> = entries.iter().map(|e| e.scope).collect();
    let sound: BTreeMap<&str, BTreeSet<&str>> =
        scopes.iter().map(|scope| (*scope, sound_at(catalogue, entries, scope, losses))).collect();
    for scope in &scopes {
        for entry in entries.iter().filter(|e| covers_scope(e.scope, scope)) {
            let (here, there) = (&sound[scope], &sound[entry.scope]);
            let covered: Vec<&str> = catalogue.covered_by(&entry.permission).map(|p| p.name.as_str()).collect();
            if entry.scope == *scope && covered.iter().all(|p| here.contains(p)) && !covered.is_empty() {
                permit(scope, entry.permission.clone(), entry.via);
                continue;
            }
            // From above comes only what becomes sound on this branch: the rest is said above already.
            let new = |p: &&&str| here.contains(**p) && (entry.scope == *scope || !there.contains(**p));
            covered.iter().filter(new).for_each(|p| permit(scope, (*p).to_owned(), entry.via));
        }
    }
}

/// The greatest set of permissions on a branch in which each finds what it requires.
fn sound_at<'a>(
    catalogue: &'a Catalogue,
    entries: &'a [Entry<'_>],
    scope: &str,
    losses: &mut BTreeSet<Loss>,
) -> BTreeSet<&'a str> {
    let given = entries.iter().filter(|e| covers_scope(e.scope, scope));
    let mut sound: BTreeMap<&str, &[String]> = given
        .flat_map(|e| catalogue.covered_by(&e.permission))
        .map(|p| (p.name.as_str(), p.requires.as_slice()))
        .collect();
    for void in catalogue.void() {
        if sound.remove(void.as_str()).is_some() {
            losses.insert(Loss::Circle(void.clone()));
        }
    }
    loop {
        let lacks = |requires: &[String]| requires.iter().find(|r| !sound.contains_key(r.as_str())).cloned();
        let lost: Vec<(&str, String)> = sound.iter().filter_map(|(name, r)| Some((*name, lacks(r)?))).collect();
        if lost.is_empty() {
            return sound.into_keys().collect();
        }
        for (name, needed) in lost {
            sound.remove(name);
            losses.insert(Loss::PermissionRequired(name.to_owned(), needed));
        }
    }
}

/// Permissions in lines: those of one branch that come from the same places stand together. A wildcard says all that it
/// covers.
fn grouped(permitted: BTreeMap<(String, String), BTreeSet<String>>) -> Vec<Access> {
    let mut lines: BTreeMap<(String, BTreeSet<String>), Vec<String>> = BTreeMap::new();
    for ((scope, permission), via) in permitted {
        lines.entry((scope, via)).or_default().push(permission);
    }
    let line = |((scope, via), permissions): ((String, BTreeSet<String>), Vec<String>)| {
        let said = |p: &&String| !permissions.iter().any(|other| other != *p && covers(other, p));
        let permissions = permissions.iter().filter(said).cloned().collect();
        Access { scope, permissions, via: via.into_iter().collect() }
    };
    lines.into_iter().map(line).collect()
}

/// What remains of a permission under a ceiling.
fn below(permission: &str, ceiling: Option<&[String]>) -> Vec<String> {
    let Some(ceiling) = ceiling else { return vec![permission.to_owned()] };
    if ceiling.iter().any(|c| covers(c, permission)) {
        return vec![permission.to_owned()];
    }
    ceiling.iter().filter(|c| covers(permission, c)).cloned().collect()
}

/// Names what a ceiling takes away, as far as the portal names it.
fn above(catalogue: &Catalogue, permission: &str, left: &[String], losses: &mut BTreeSet<Loss>) {
    let lost = |name: &str| !left.iter().any(|l| covers(l, name));
    let mut named = catalogue.covered_by(permission).filter(|p| lost(&p.name)).peekable();
    if named.peek().is_none() && lost(permission) {
        losses.insert(Loss::Ceiling(permission.to_owned()));
    }
    losses.extend(named.map(|p| Loss::Ceiling(p.name.clone())));
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
