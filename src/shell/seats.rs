//! Seats of a tenant: who has one, and who stands in line for one.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;

use super::table::{Mark, Row, Seats};
use super::world::Tables;
use crate::api::{AccountState, Invitation};
use crate::plan::address::Address;
use crate::plan::invitation::{self as inv, Place, needs_seat};
use crate::plan::portal_user as usr;

impl Tables {
    /// Whether an invitation has a seat, or is about to record that it takes one.
    pub(super) fn has_seat(&self, invitation: &Invitation, now: Timestamp) -> bool {
        self.is_claimed(invitation)
            || invitation.status.as_ref().is_some_and(|status| needs_seat(&invitation.spec, status, now))
    }

    /// Seats as one invitation sees them. Counted only where there is a limit, and those who wait only until it is
    /// reached. Who could not be mailed anyway waits for no seat: one with a mistake would else keep it from all others.
    pub(super) fn seats(&self, me: &Invitation, now: Timestamp) -> inv::Seats {
        let namespace = me.namespace().unwrap_or_default();
        let name = &me.spec.tenant_ref.name;
        let limit = self.tenants.get(&namespace, name).and_then(|tenant| tenant.spec.user_limit);
        let (Some(limit), Some(address)) = (limit, Address::parse(&me.spec.email)) else {
            return inv::Seats::default();
        };
        if self.has_seat(me, now) {
            return inv::Seats::default(); // Whoever has a seat needs none to be counted.
        }
        let seated = self.seated(&namespace, name);
        let taken = seated.len() - usize::from(seated.contains(address.canonical()));
        let waiting = Mark::Waiting(namespace, name.clone());
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let others = self.invitations.count(&waiting).saturating_sub(usize::from(me.marks().contains(&waiting)));
        // Where none is left, or there are enough for all, nobody asks who stands where.
        let waiting_before = match usize::try_from(limit).unwrap_or(0).checked_sub(taken) {
            None | Some(0) => 0,
            Some(free) if others < free => others,
            Some(free) => self.waiting_before(me, &address, &seated, free, now),
        };
        inv::Seats { limit: Some(limit), taken: count(taken), waiting_before: count(waiting_before) }
    }

    /// Distinct addresses that wait since longer than this one and could be mailed, as far as there are seats.
    fn waiting_before(
        &self,
        me: &Invitation,
        address: &Address,
        seated: &Seated,
        free: usize,
        now: Timestamp,
    ) -> usize {
        let age = |i: &Invitation| (i.metadata.creation_timestamp.as_ref().map(|t| t.0), i.name_any());
        let (mine, made) = (age(me), me.metadata.creation_timestamp.as_ref());
        let is_earlier = |other: &&Arc<Invitation>| {
            // The names are compared only where the times do not tell.
            let due = other.spec.send_at.as_ref().is_none_or(|at| at.0 <= now) && !other.spec.revoked;
            due && other.metadata.creation_timestamp.as_ref() <= made && age(other) < mine
        };
        let waiting = Mark::Waiting(me.namespace().unwrap_or_default(), me.spec.tenant_ref.name.clone());
        let mut before = HashSet::new();
        for other in self.invitations.marked(&waiting).filter(is_earlier) {
            if before.len() >= free {
                break;
            }
            let could = || inv::can_be_mailed(&other.spec, &self.seen_but_for_seats(other, Place::Free, now));
            if !self.line.stands(other, could) {
                continue;
            }
            let theirs = Address::parse(&other.spec.email).filter(|theirs| theirs != address);
            before.extend(theirs.map(|a| a.canonical().to_owned()).filter(|theirs| !seated.contains(theirs)));
        }
        before.len()
    }

    /// Distinct addresses of a tenant that are registered or openly invited, or about to be.
    fn seated(&self, namespace: &str, name: &str) -> Seated<'_> {
        let tenant = Mark::Tenant(namespace.to_owned(), name.to_owned());
        let mut seated = Seated {
            registered: self.users.seats(&tenant),
            invited: self.invitations.seats(&tenant),
            others: HashSet::new(),
        };
        let claimed = self.claimed.iter().filter(|(ns, _)| ns == namespace);
        let claimed = claimed.filter_map(|(ns, invitation)| self.invitations.get(ns, invitation));
        let claimed = claimed.filter(|invitation| invitation.spec.tenant_ref.name == name);
        let accepted = self.invitations.marked(&Mark::Accepted(namespace.to_owned(), name.to_owned()));
        for invitation in claimed.chain(accepted.filter(|i| self.is_arriving(i))) {
            let address = Address::parse(&invitation.spec.email).map(|a| a.canonical().to_owned());
            let address = address.filter(|address| !seated.contains(address));
            seated.others.extend(address);
        }
        seated
    }

    /// Whether an invitation was accepted for an account that is not registered yet: an acceptance keeps its seat.
    fn is_arriving(&self, invitation: &Invitation) -> bool {
        let account = invitation.status.as_ref().and_then(|status| status.user_ref.as_ref());
        let Some(account) = account else { return false };
        self.users.get(&invitation.namespace().unwrap_or_default(), &account.name).is_some_and(|user| {
            (account.uid.is_none() || account.uid == user.uid())
                && user.spec.state != AccountState::Deleted
                && usr::registration(user).is_none()
        })
    }
}

/// Canonical addresses that have a seat in one tenant.
struct Seated<'a> {
    registered: Option<&'a Seats>,
    invited: Option<&'a Seats>,
    /// Those of neither table: being recorded, or accepted and not registered yet.
    others: HashSet<String>,
}

impl Seated<'_> {
    fn contains(&self, address: &str) -> bool {
        self.registered.is_some_and(|seats| seats.contains_key(address))
            || self.invited.is_some_and(|seats| seats.contains_key(address))
            || self.others.contains(address)
    }

    fn len(&self) -> usize {
        let is_registered = |address: &String| self.registered.is_some_and(|seats| seats.contains_key(address));
        let invited = self.invited.into_iter().flat_map(|seats| seats.keys());
        self.registered.map_or(0, |seats| seats.len())
            + invited.filter(|address| !is_registered(address)).count()
            + self.others.len()
    }
}
