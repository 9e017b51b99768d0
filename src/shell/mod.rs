//! Floor 2: hands. One file for each way to touch the world; nothing here decides what follows.

pub mod alarm;
pub mod catalogues;
pub mod clock;
pub mod effects;
pub mod error;
pub mod events;
pub mod followed;
pub mod keyring;
pub mod kinds;
pub mod lanes;
pub mod lease;
pub mod letterbox;
pub mod line;
pub mod link;
pub mod mail_source;
pub mod mail_url;
pub mod mailer;
pub mod metrics;
pub mod observe;
pub mod preview;
pub mod queue;
pub mod relay;
pub mod relays;
pub mod rights;
pub mod seats;
pub mod smtp;
pub mod status;
pub mod table;
pub mod texts;
pub mod trouble;
pub mod watch;
pub mod wire;
pub mod workloads;
pub mod world;

use std::sync::Arc;

use kube::Client;

use table::{Key, KindId};

/// What every turn of a reconcile and every request works with.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// What is known of it.
    pub world: world::World,
    /// Who waits for a turn.
    pub queue: queue::Queue,
    /// When to look again.
    pub alarm: alarm::Alarm,
    /// Relays: the operator's and those of portals.
    pub relays: relays::Relays,
    /// ConfigMaps with portals' texts that are followed.
    pub texts: followed::Followed,
    /// Keys that sign and verify links.
    pub keys: link::Keys,
    /// Tells the story to `kubectl describe`.
    pub events: events::Events,
    /// The one clock.
    pub clock: clock::Clock,
    /// Whether this replica leads.
    pub lead: lease::Lead,
    /// Kinds of workloads that are watched.
    pub sorts: workloads::Sorts,
    /// What keeps views from being complete, for /readyz.
    pub troubles: trouble::Troubles,
    /// Numbers.
    pub metrics: metrics::Metrics,
    /// Base of every link.
    pub public_url: String,
    /// Namespaces that are watched; None: all.
    pub namespaces: Vec<Option<String>>,
}

impl Context {
    /// Whether a complete list of every kind was seen, and the keys were asked for: before that nothing is concluded, for
    /// what was not seen yet is not absent.
    pub fn is_synced(&self) -> bool {
        let tables = self.world.look();
        let all = KindId::ALL.iter().flat_map(|kind| self.namespaces.iter().map(|ns| (*kind, ns.clone())));
        tables.asked_for_keys && all.into_iter().all(|part| tables.synced.contains(&part))
    }

    /// Views that were not listed yet.
    pub fn unsynced(&self) -> Vec<String> {
        let tables = self.world.look();
        let all = self.namespaces.iter().flat_map(|ns| KindId::ALL.iter().map(|kind| (*kind, ns.clone())));
        let missing = all.filter(|part| !tables.synced.contains(part));
        missing.map(|(kind, ns)| watch::part(kind, ns.as_deref())).collect()
    }

    /// Everything that is known, and what cannot be read.
    pub fn all_keys(&self) -> Vec<Key> {
        let tables = self.world.look();
        let mut keys = tables.portals.keys(KindId::Portal);
        keys.extend(tables.tenants.keys(KindId::Tenant));
        keys.extend(tables.users.keys(KindId::PortalUser));
        keys.extend(tables.groups.keys(KindId::Group));
        keys.extend(tables.invitations.keys(KindId::Invitation));
        keys.extend(tables.unreadable.keys().cloned());
        keys
    }
}

/// A context as it is shared.
pub type Shared = Arc<Context>;
