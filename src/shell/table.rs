//! Tables: the objects of one kind, with an index by marks.
//!
//! Rows come from watches and from the API server's answers to own writes; only a newer answer replaces a row.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use kube::core::ObjectMeta;

use crate::api::WorkloadRef;

/// The kinds that are reconciled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KindId {
    /// Portal.
    Portal,
    /// Tenant.
    Tenant,
    /// PortalUser.
    PortalUser,
    /// Group.
    Group,
    /// Invitation.
    Invitation,
}

impl KindId {
    /// All of them.
    pub const ALL: [KindId; 5] =
        [KindId::Portal, KindId::Tenant, KindId::PortalUser, KindId::Group, KindId::Invitation];

    /// Its word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            KindId::Portal => "Portal",
            KindId::Tenant => "Tenant",
            KindId::PortalUser => "PortalUser",
            KindId::Group => "Group",
            KindId::Invitation => "Invitation",
        }
    }
}

/// Names one object.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its kind.
    pub kind: KindId,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

impl Key {
    /// The key of this object.
    pub fn new(kind: KindId, namespace: &str, name: &str) -> Self {
        Key { kind, namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind.as_str(), self.namespace, self.name)
    }
}

/// What a row can be found by. Names are those of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Mark {
    /// Is a tenant of this portal.
    Portal(String, String),
    /// Is a tenant that lists this partner.
    Partner(String, String),
    /// Mails by the relay of this Secret.
    Relay(String, String),
    /// Words its mails by the texts of this ConfigMap.
    Texts(String, String),
    /// Belongs to this tenant.
    Tenant(String, String),
    /// Belongs to this tenant and this canonical address.
    Address(String, String, String),
    /// Names this group of this tenant.
    Group(String, String, String),
    /// Names this role, of this tenant, or held it when it was last looked at.
    Role(String, String, String),
    /// Names this partner as home.
    Home(String, String),
    /// Is invited by this user.
    Inviter(String, String),
    /// Is an invitation that this account accepted.
    Account(String, String),
    /// Is an invitation of this tenant that nothing was sent for yet.
    Waiting(String, String),
    /// Is an invitation of this tenant that was accepted.
    Accepted(String, String),
    /// Lists this workload.
    Workload(String, WorkloadRef),
}

/// A kind of row: what it can be found by.
pub trait Row {
    /// Metadata.
    fn metadata(&self) -> &ObjectMeta;
    /// Marks.
    fn marks(&self) -> Vec<Mark>;
    /// The mark of the tenant in which it takes a seat by what was recorded, and the canonical address that sits there.
    fn seat(&self) -> Option<(Mark, String)> {
        None
    }
}

/// Namespace and name.
pub type Name = (String, String);

/// The objects of one kind.
#[derive(Debug)]
pub struct Table<K> {
    rows: HashMap<Name, Arc<K>>,
    index: HashMap<Mark, BTreeSet<Name>>,
    seats: HashMap<Mark, Seats>,
}

/// Canonical addresses that have a seat in one tenant, and by how many rows.
pub type Seats = BTreeMap<String, usize>;

impl<K> Default for Table<K> {
    fn default() -> Self {
        Table { rows: HashMap::new(), index: HashMap::new(), seats: HashMap::new() }
    }
}

/// What a change of a row was.
#[derive(Debug)]
pub struct Change<K> {
    /// The row before.
    pub old: Option<Arc<K>>,
    /// The row after.
    pub new: Option<Arc<K>>,
}

impl<K: Row> Table<K> {
    /// The row of this name.
    pub fn get(&self, namespace: &str, name: &str) -> Option<&Arc<K>> {
        self.rows.get(&(namespace.to_owned(), name.to_owned()))
    }

    /// All rows with this mark, in order of their names.
    pub fn marked(&self, mark: &Mark) -> impl Iterator<Item = &Arc<K>> + use<'_, K> {
        self.index.get(mark).into_iter().flatten().filter_map(|name| self.rows.get(name))
    }

    /// How many rows have this mark.
    pub fn count(&self, mark: &Mark) -> usize {
        self.index.get(mark).map_or(0, BTreeSet::len)
    }

    /// The seats that rows of this tenant take. None: there are none.
    pub fn seats(&self, tenant: &Mark) -> Option<&Seats> {
        self.seats.get(tenant)
    }

    /// All rows.
    pub fn all(&self) -> impl Iterator<Item = &Arc<K>> {
        self.rows.values()
    }

    /// Keys of all rows.
    pub fn keys(&self, kind: KindId) -> Vec<Key> {
        self.rows.keys().map(|(namespace, name)| Key::new(kind, namespace, name)).collect()
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Takes what a watch reports. None: it is not newer than what is known.
    pub fn put(&mut self, object: K) -> Option<Change<K>> {
        let name = name_of(object.metadata());
        if self.rows.get(&name).is_some_and(|known| !is_newer(object.metadata(), known.metadata())) {
            return None;
        }
        let old = self.take(&name);
        let new = Arc::new(object);
        for mark in new.marks() {
            self.index.entry(mark).or_default().insert(name.clone());
        }
        if let Some((tenant, address)) = new.seat() {
            *self.seats.entry(tenant).or_default().entry(address).or_default() += 1;
        }
        self.rows.insert(name, new.clone());
        Some(Change { old, new: Some(new) })
    }

    /// Takes objects that were listed once.
    pub fn put_all(&mut self, objects: impl IntoIterator<Item = K>) {
        objects.into_iter().for_each(|object| drop(self.put(object)));
    }

    /// Takes the API server's answer to an own write: never inserts, for the object may be gone since.
    pub fn absorb(&mut self, object: K) -> Option<Change<K>> {
        let known = self.rows.get(&name_of(object.metadata()))?;
        if known.metadata().uid != object.metadata().uid { None } else { self.put(object) }
    }

    /// Removes what is gone. A row of another UID, or a newer one, stays.
    pub fn remove(&mut self, gone: &ObjectMeta) -> Option<Change<K>> {
        let name = name_of(gone);
        let known = self.rows.get(&name)?;
        if gone.uid.is_some() && known.metadata().uid != gone.uid {
            return None;
        }
        self.take(&name).map(|old| Change { old: Some(old), new: None })
    }

    /// Removes what a complete list of a namespace (or of all) does not hold any more.
    pub fn retain(&mut self, namespace: Option<&str>, listed: &HashSet<Name>) -> Vec<Change<K>> {
        let in_scope = |name: &&Name| namespace.is_none_or(|ns| ns == name.0);
        let gone: Vec<Name> =
            self.rows.keys().filter(in_scope).filter(|name| !listed.contains(*name)).cloned().collect();
        gone.iter().filter_map(|name| self.take(name)).map(|old| Change { old: Some(old), new: None }).collect()
    }

    fn take(&mut self, name: &Name) -> Option<Arc<K>> {
        let old = self.rows.remove(name)?;
        for mark in old.marks() {
            if let Some(names) = self.index.get_mut(&mark) {
                names.remove(name);
                if names.is_empty() {
                    self.index.remove(&mark);
                }
            }
        }
        if let Some((tenant, address)) = old.seat() {
            self.leave(&tenant, &address);
        }
        Some(old)
    }
}

impl<K> Table<K> {
    fn leave(&mut self, tenant: &Mark, address: &str) {
        let Some(seats) = self.seats.get_mut(tenant) else { return };
        if let Some(rows) = seats.get_mut(address) {
            *rows -= 1;
            if *rows == 0 {
                seats.remove(address);
            }
        }
        if seats.is_empty() {
            self.seats.remove(tenant);
        }
    }
}

/// Namespace and name of an object.
pub fn name_of(metadata: &ObjectMeta) -> Name {
    (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}

/// Whether an object is newer than what is known of its name. Resource versions of one kind are comparable integers
/// (KEP-5504); one that is not is taken as newer, since watches deliver in order.
fn is_newer(object: &ObjectMeta, known: &ObjectMeta) -> bool {
    let version = |m: &ObjectMeta| m.resource_version.as_deref().and_then(|v| v.parse::<u64>().ok());
    match (version(object), version(known)) {
        (Some(new), Some(old)) => new > old,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Thing(ObjectMeta, Vec<Mark>);

    impl Row for Thing {
        fn metadata(&self) -> &ObjectMeta {
            &self.0
        }
        fn marks(&self) -> Vec<Mark> {
            self.1.clone()
        }
        fn seat(&self) -> Option<(Mark, String)> {
            Some((self.1.first()?.clone(), "ada@acme.example".into()))
        }
    }

    fn mark() -> Mark {
        Mark::Tenant("ns".into(), "acme".into())
    }

    fn thing(name: &str, uid: &str, version: &str, marks: Vec<Mark>) -> Thing {
        let metadata = ObjectMeta {
            name: Some(name.into()),
            namespace: Some("ns".into()),
            uid: Some(uid.into()),
            resource_version: Some(version.into()),
            ..ObjectMeta::default()
        };
        Thing(metadata, marks)
    }

    #[test]
    fn an_older_answer_replaces_nothing() {
        let mut table = Table::default();
        assert!(table.put(thing("a", "1", "10", vec![mark()])).is_some());
        assert!(table.put(thing("a", "1", "9", vec![])).is_none());
        assert_eq!(table.marked(&mark()).count(), 1);
    }

    #[test]
    fn marks_follow_their_rows() {
        let mut table = Table::default();
        table.put(thing("a", "1", "10", vec![mark()]));
        let change = table.put(thing("a", "1", "11", vec![])).expect("newer");
        assert!(change.old.is_some() && table.marked(&mark()).next().is_none());
    }

    #[test]
    fn an_address_keeps_its_seat_until_the_last_of_its_rows_has_left() {
        let mut table = Table::default();
        let seats = |table: &Table<Thing>| table.seats(&mark()).map(|seats| seats.len());
        table.put(thing("a", "1", "10", vec![mark()]));
        table.put(thing("b", "2", "11", vec![mark()]));
        assert_eq!((seats(&table), table.count(&mark())), (Some(1), 2), "two rows, one address");
        table.put(thing("a", "1", "12", vec![]));
        assert_eq!(seats(&table), Some(1));
        table.remove(&thing("b", "2", "13", vec![]).0);
        assert_eq!(seats(&table), None, "nothing is kept of who is gone");
    }

    #[test]
    fn an_answer_to_a_write_inserts_nothing_and_joins_no_other_object() {
        let mut table = Table::default();
        assert!(table.absorb(thing("a", "1", "10", vec![])).is_none());
        table.put(thing("a", "2", "11", vec![]));
        assert!(table.absorb(thing("a", "1", "12", vec![])).is_none());
    }

    #[test]
    fn a_relist_removes_what_is_gone_in_its_own_namespace_only() {
        let mut table = Table::default();
        table.put(thing("a", "1", "10", vec![]));
        assert!(table.retain(Some("other"), &HashSet::new()).is_empty());
        assert_eq!(table.retain(Some("ns"), &HashSet::new()).len(), 1);
    }
}
