//! The line for a seat: who stands in it, as each one's own look finds.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use super::table::{Name, name_of};
use crate::api::Invitation;

/// Who of those that wait for a seat could be mailed, as each one's own look finds. Whoever stands behind asks here: to
/// look at everybody ahead at every look would cost the square of a crowd.
#[derive(Debug, Default)]
pub struct Line {
    stands: RefCell<HashMap<Name, bool>>,
    moved: RefCell<HashSet<Name>>,
}

impl Line {
    /// Notes what the own look of an invitation found.
    pub fn note(&self, invitation: &Invitation, stands: bool) {
        let name = name_of(&invitation.metadata);
        let before = self.stands.borrow_mut().insert(name.clone(), stands);
        if before == Some(true) && !stands {
            self.moved.borrow_mut().insert((name.0, invitation.spec.tenant_ref.name.clone()));
        }
    }

    /// Forgets an invitation that is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.stands.borrow_mut().remove(&(namespace.to_owned(), name.to_owned()));
    }

    /// Tenants in whose lines somebody made room since this was asked for the last time.
    pub fn take_moved(&self) -> HashSet<Name> {
        self.moved.take()
    }

    /// Whether an invitation stands in the line: as noted, or else as found now.
    pub fn stands(&self, invitation: &Invitation, find: impl FnOnce() -> bool) -> bool {
        let name = name_of(&invitation.metadata);
        let known = self.stands.borrow().get(&name).copied();
        known.unwrap_or_else(|| {
            let found = find();
            self.stands.borrow_mut().insert(name, found);
            found
        })
    }
}
