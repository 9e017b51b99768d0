//! Watches of the kinds: what the API server reports goes into the tables, and every change is told.

use std::collections::HashSet;
use std::sync::Arc;

use futures::StreamExt;
use kube::core::{DeserializeGuard, ObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, ResourceExt};

use super::Context;
use super::kinds::Kind;
use super::table::{Change, Key, name_of};

/// A watch ends after so many seconds and is taken up again: a dead connection is blind for no longer.
pub const WATCH_SECONDS: u32 = 55;

/// What a watch tells.
#[derive(Debug)]
pub enum Told<K> {
    /// A row changed.
    Changed(Change<K>),
    /// An object cannot be read: it passed the schema and is not what the types say.
    Unreadable(Key),
    /// The list is complete.
    Complete,
}

/// Watches a kind in one namespace, or in all, for ever.
pub async fn watch<K: Kind>(ctx: Arc<Context>, namespace: Option<String>, told: impl Fn(Told<K>)) {
    let api: Api<DeserializeGuard<K>> = match &namespace {
        Some(namespace) => Api::namespaced(ctx.client.clone(), namespace),
        None => Api::all(ctx.client.clone()),
    };
    let mut listed = HashSet::new();
    let mut trouble = String::new();
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default().timeout(WATCH_SECONDS)).default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                trouble.clear();
                ctx.metrics.heard(K::ID);
                take(&ctx, namespace.as_deref(), &mut listed, event, &told);
            }
            Err(error) => {
                // Once for each trouble, not once for each try.
                let text = error.to_string();
                if text == trouble {
                    tracing::debug!(kind = K::ID.as_str(), error = text, "still cannot be watched");
                } else {
                    tracing::warn!(kind = K::ID.as_str(), error = text, "cannot be watched; tried again until it can");
                    trouble = text;
                }
            }
        }
    }
}

fn take<K: Kind>(
    ctx: &Context,
    namespace: Option<&str>,
    listed: &mut HashSet<super::table::Name>,
    event: Event<DeserializeGuard<K>>,
    told: &impl Fn(Told<K>),
) {
    match event {
        Event::Init => listed.clear(),
        Event::InitApply(DeserializeGuard(object)) | Event::Apply(DeserializeGuard(object)) => match object {
            Ok(mut object) => {
                listed.insert(name_of(object.metadata()));
                object.managed_fields_mut().clear();
                let key = key_of::<K>(object.metadata());
                let change = {
                    let mut tables = ctx.world.look();
                    tables.unreadable.remove(&key);
                    K::table_mut(&mut tables).put(object)
                };
                change.into_iter().for_each(|change| told(Told::Changed(change)));
            }
            Err(broken) => {
                listed.insert(name_of(&broken.metadata));
                let key = key_of::<K>(&broken.metadata);
                ctx.world.look().unreadable.insert(key.clone(), broken.error);
                told(Told::Unreadable(key));
            }
        },
        Event::Delete(DeserializeGuard(object)) => {
            let metadata = match object {
                Ok(object) => object.metadata().clone(),
                Err(broken) => broken.metadata,
            };
            let change = {
                let mut tables = ctx.world.look();
                tables.unreadable.remove(&key_of::<K>(&metadata));
                K::table_mut(&mut tables).remove(&metadata)
            };
            change.into_iter().for_each(|change| told(Told::Changed(change)));
        }
        Event::InitDone => {
            // A relist reports nothing of what vanished while nobody looked.
            let gone = {
                let mut tables = ctx.world.look();
                tables.synced.insert((K::ID, namespace.map(str::to_owned)));
                K::table_mut(&mut tables).retain(namespace, listed)
            };
            listed.clear();
            gone.into_iter().for_each(|change| told(Told::Changed(change)));
            told(Told::Complete);
        }
    }
}

fn key_of<K: Kind>(metadata: &ObjectMeta) -> Key {
    let (namespace, name) = name_of(metadata);
    Key::new(K::ID, &namespace, &name)
}
