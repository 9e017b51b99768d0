//! Relays: the operator's own, and those that portals bring in Secrets. Each has places, a breaker and connections of
//! its own, so that one portal's trouble is nobody else's.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;

use tokio::task::JoinSet;

use super::Shared;
use super::followed::Followed;
use super::mail_url::{self, MailTarget};
use super::mailer::Mailer;
use super::queue::Lane;
use super::relay::{Entry, Relay};
use super::table::{Key, Mark, Name};
use super::trouble::Trouble;
use super::watch;
use crate::plan::RelayName;
use crate::plan::portal::{self, RelaySecret};

/// A relay: who may enter, and who carries.
#[derive(Debug)]
pub struct Post {
    /// Places and breaker.
    pub relay: Relay,
    /// Connections.
    pub mailer: Mailer,
}

/// All relays.
#[derive(Debug)]
pub struct Relays {
    own: Arc<Post>,
    of_portals: Mutex<HashMap<Name, Arc<Post>>>,
    /// The Secrets that are followed.
    pub followed: Followed,
    connections: usize,
}

impl Relays {
    /// The operator's relay, with this many connections at the same time; portals' relays get as many each.
    pub fn new(target: Option<MailTarget>, connections: usize) -> Self {
        let own = Arc::new(Post { relay: Relay::new(connections), mailer: Mailer::new(target) });
        Relays { own, of_portals: Mutex::default(), followed: Followed::default(), connections }
    }

    fn of_portals(&self) -> MutexGuard<'_, HashMap<Name, Arc<Post>>> {
        self.of_portals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The relay of this name, for objects of this namespace. None: its Secret was never usable.
    pub fn get(&self, namespace: &str, name: &RelayName) -> Option<Arc<Post>> {
        match name {
            RelayName::Own => Some(self.own.clone()),
            RelayName::Secret(secret) => self.of_portals().get(&(namespace.to_owned(), secret.clone())).cloned(),
        }
    }

    /// Asks for a place. A relay that is not there any more is as good as full: its Secret's change is told.
    pub fn enter(&self, key: &Key, lane: &Lane, relay: &RelayName) -> Entry {
        self.get(&key.namespace, relay).map_or(Entry::Full, |post| post.relay.enter(key, lane))
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<Post>> {
        std::iter::once(self.own.clone()).chain(self.of_portals().values().cloned()).collect()
    }

    /// Each of them: whose it is, in one word, and what it is.
    pub fn by_owner(&self) -> Vec<(&'static str, Arc<Post>)> {
        let of_portals: Vec<_> = self.of_portals().values().map(|post| ("portal", post.clone())).collect();
        std::iter::once(("operator", self.own.clone())).chain(of_portals).collect()
    }

    /// From now on the operator's own mail goes there. What was learned of the old relay does not count.
    pub fn retarget(&self, target: MailTarget) {
        self.own.mailer.retarget(target);
        self.own.relay.forget();
    }

    /// Gives up what this object was called for, wherever it was.
    pub fn forgo(&self, key: &Key) {
        self.all().iter().for_each(|post| post.relay.forgo(key));
    }

    /// Takes a relay's settings. Its parked mails stay; what was learned of the old settings does not count.
    fn take(&self, name: &Name, target: MailTarget) -> Arc<Post> {
        let mut known = self.of_portals();
        if let Some(post) = known.get(name) {
            post.mailer.retarget(target);
            post.relay.forget();
            return post.clone();
        }
        let post = Arc::new(Post { relay: Relay::new(self.connections), mailer: Mailer::new(Some(target)) });
        known.insert(name.clone(), post.clone());
        post
    }
}

/// The Secrets that portals name. Relays of others are given up, and what was known of them is forgotten: whom they
/// concerned looks again, as their portal changed.
pub fn named(ctx: &Shared) -> HashSet<Name> {
    let tables = &mut *ctx.world.look();
    let named: HashSet<Name> = tables.portals.all().filter_map(|portal| portal::relay_secret(portal)).collect();
    tables.relays.retain(|name, _| named.contains(name));
    ctx.relays.of_portals().retain(|name, _| named.contains(name));
    named
}

/// Follows the Secret of one portal's relay, by name, until it is ended. `serve` serves those who wait at the relay, as
/// long; `changed` is called when what is known of the Secret differs.
pub async fn follow<F>(ctx: Shared, name: Name, serve: impl Fn(Arc<Post>) -> F, changed: impl Fn(&Name))
where
    F: Future<Output = ()> + Send + 'static,
{
    let trouble = Trouble::new(format!("Secret {}/{}", name.0, name.1), "cannot be watched");
    let mut secrets = std::pin::pin!(watch::one::<Secret>(ctx.client.clone(), &name.0, &name.1, trouble));
    let mut service = JoinSet::new();
    while let Some(secret) = secrets.next().await {
        let Ok(secret) = secret else { continue };
        let differs = {
            let mut tables = ctx.world.look();
            if tables.portals.count(&Mark::Relay(name.0.clone(), name.1.clone())) == 0 {
                continue; // It is about to be ended.
            }
            let state = match secret.map(|secret| target(&secret)) {
                None => RelaySecret::Missing,
                Some(Err(why)) => RelaySecret::Invalid(why),
                Some(Ok(target)) => {
                    let post = ctx.relays.take(&name, target);
                    if service.is_empty() {
                        service.spawn(serve(post));
                    }
                    RelaySecret::Usable
                }
            };
            tables.relays.insert(name.clone(), state.clone()) != Some(state)
        };
        if differs {
            changed(&name);
        }
    }
}

/// The relay that a Secret describes.
fn target(secret: &Secret) -> Result<MailTarget, String> {
    let entry = |key: &str| secret.data.as_ref().and_then(|data| data.get(key)).map(|value| value.0.clone());
    let url = entry("url").ok_or("it has no key url")?;
    let url = String::from_utf8(url).map_err(|_| "its url is no text")?;
    match mail_url::parse(url.trim(), entry("ca.crt"))? {
        // A folder is the operator's disk: not for whoever may write a Secret in some namespace.
        MailTarget::Folder(_) => Err("its url begins with smtps:// or smtp://".into()),
        target => Ok(target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(entries: &[(&str, &str)]) -> Secret {
        let data =
            entries.iter().map(|(key, value)| ((*key).to_owned(), k8s_openapi::ByteString(value.as_bytes().to_vec())));
        Secret { data: Some(data.collect()), ..Secret::default() }
    }

    #[test]
    fn a_secret_describes_a_relay_and_no_folder() {
        assert!(target(&secret(&[("url", "smtps://u:p@mail.example\n")])).is_ok());
        for entries in [&[][..], &[("url", "file:///etc")], &[("url", "hunter2")], &[("password", "x")]] {
            let why = target(&secret(entries)).expect_err("no relay");
            assert!(!why.contains("hunter2"), "{why}");
        }
    }
}
