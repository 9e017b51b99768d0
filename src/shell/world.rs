//! What is known of the API server's objects: a table for each kind, workloads, and what is being carried out now.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::catalogues::Catalogues;
use super::line::Line;
use super::table::{Change, Key, KindId, Name, Row, Table, name_of};
use crate::api::{Group, Invitation, Portal, PortalUser, Tenant, WorkloadRef};
use crate::plan::Settings;
use crate::plan::letter::TextsSeen;
use crate::plan::portal::RelaySecret;

/// Everything that plans look at, behind one lock. Nothing is awaited while it is held; a look takes microseconds.
#[derive(Debug)]
pub struct World {
    tables: Mutex<Tables>,
}

/// The tables.
#[derive(Debug)]
pub struct Tables {
    /// Portals.
    pub portals: Table<Portal>,
    /// Tenants.
    pub tenants: Table<Tenant>,
    /// Accounts.
    pub users: Table<PortalUser>,
    /// Groups.
    pub groups: Table<Group>,
    /// Invitations.
    pub invitations: Table<Invitation>,
    /// The roles of portals, as the planner asks for them.
    pub catalogues: Catalogues,
    /// What is known of Secrets with portals' relays, by namespace and name.
    pub relays: HashMap<Name, RelaySecret>,
    /// What is known of ConfigMaps with portals' texts, by namespace and name.
    pub texts: HashMap<Name, TextsSeen>,
    /// Workloads that tenants list.
    pub workloads: HashMap<(String, WorkloadRef), Workload>,
    /// Objects that passed the schema and cannot be read: why.
    pub unreadable: HashMap<Key, String>,
    /// Invitations whose attempt is being recorded: they hold their address and seat already.
    pub claimed: HashSet<Name>,
    /// Who waits for a seat and could be mailed.
    pub line: Line,
    /// Kinds and namespaces of which a complete list was seen.
    pub synced: HashSet<(KindId, Option<String>)>,
    /// Whether the API server has answered about the Secret with the keys of links: before that, no key is no finding.
    pub asked_for_keys: bool,
    /// Start-up settings, keys, and who this process is.
    pub settings: Arc<Settings>,
}

/// A kind of row that has a table here.
pub trait Stored: Row + Sized {
    /// Its table.
    fn table(tables: &Tables) -> &Table<Self>;
    /// Its table.
    fn table_mut(tables: &mut Tables) -> &mut Table<Self>;
}

macro_rules! stored {
    ($($kind:ident: $table:ident),*) => {
        $(impl Stored for $kind {
            fn table(tables: &Tables) -> &Table<Self> {
                &tables.$table
            }
            fn table_mut(tables: &mut Tables) -> &mut Table<Self> {
                &mut tables.$table
            }
        })*
    };
}

stored!(Portal: portals, Tenant: tenants, PortalUser: users, Group: groups, Invitation: invitations);

/// A workload.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Workload {
    /// `spec.replicas`; None: it does not exist.
    pub replicas: Option<i32>,
    /// Resource version that this is about.
    pub version: u64,
    /// Who last wrote `spec.replicas`.
    pub scaled_by: Option<String>,
    /// Why the operator could not scale it.
    pub trouble: Option<String>,
}

impl World {
    /// An empty world.
    pub fn new(settings: Settings) -> Self {
        World {
            tables: Mutex::new(Tables {
                portals: Table::default(),
                tenants: Table::default(),
                users: Table::default(),
                groups: Table::default(),
                invitations: Table::default(),
                catalogues: Catalogues::default(),
                relays: HashMap::new(),
                texts: HashMap::new(),
                workloads: HashMap::new(),
                unreadable: HashMap::new(),
                claimed: HashSet::new(),
                line: Line::default(),
                synced: HashSet::new(),
                asked_for_keys: false,
                settings: Arc::new(settings),
            }),
        }
    }

    /// The tables, for one look.
    pub fn look(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The object of this key.
    pub fn get<K: Stored>(&self, key: &Key) -> Option<Arc<K>> {
        K::table(&self.look()).get(&key.namespace, &key.name).cloned()
    }

    /// Takes the API server's answer to an own write.
    pub fn absorb<K: Stored>(&self, stored: K) -> Option<Change<K>> {
        K::table_mut(&mut self.look()).absorb(stored)
    }

    /// Changes the settings; true if they differ.
    pub fn set(&self, change: impl FnOnce(&mut Settings)) -> bool {
        let mut tables = self.look();
        let mut settings = (*tables.settings).clone();
        change(&mut settings);
        let differs = settings != *tables.settings;
        tables.settings = Arc::new(settings);
        differs
    }
}

/// A claim on address and seat, until the attempt is recorded or given up.
#[derive(Debug)]
pub struct Claim<'a> {
    world: &'a World,
    name: Name,
}

impl World {
    /// Claims the address and seat of an invitation. The tables are still locked from the look that the plan was made
    /// from, so that no two plans can claim the same.
    pub fn claim<'a>(&'a self, tables: &mut Tables, key: &Key) -> Claim<'a> {
        let name = (key.namespace.to_string(), key.name.to_string());
        tables.claimed.insert(name.clone());
        Claim { world: self, name }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.world.look().claimed.remove(&self.name);
    }
}

impl Tables {
    /// Whether an invitation is being carried out.
    pub fn is_claimed(&self, invitation: &Invitation) -> bool {
        !self.claimed.is_empty() && self.claimed.contains(&name_of(&invitation.metadata))
    }
}
