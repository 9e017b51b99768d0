//! Watches of the kinds: what the API server reports goes into the tables, and every change is told.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use kube::core::{DeserializeGuard, NamespaceResourceScope, ObjectMeta};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::Context;
use super::kinds::Kind;
use super::table::{Change, Key, KindId, name_of};
use super::trouble::{self, Trouble};

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
    let trouble = Trouble::new(part(K::ID, namespace.as_deref()), "cannot be watched").shown_in(&ctx.troubles);
    let mut events = std::pin::pin!(events(api, watcher::Config::default(), trouble));
    while let Some(event) = events.next().await {
        let Ok(event) = event else {
            ctx.metrics.restarted(K::ID);
            continue;
        };
        take(&ctx, namespace.as_deref(), &mut listed, event, &told);
    }
}

/// How a view is called in logs and at /readyz: a kind, or its part in one namespace.
pub fn part(kind: KindId, namespace: Option<&str>) -> String {
    namespace.map_or_else(|| kind.as_str().to_owned(), |namespace| format!("{} in {namespace}", kind.as_str()))
}

/// The events of a watch, for ever. What keeps it from working is logged once for each trouble, and when it is over; it is
/// tried again after pauses that double.
pub fn events<K>(
    api: Api<K>,
    config: watcher::Config,
    trouble: Trouble,
) -> impl Stream<Item = Result<Event<K>, watcher::Error>>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let watch = Box::pin(watcher(api, config.timeout(WATCH_SECONDS)));
    futures::stream::unfold((watch, trouble, false), async |(mut watch, mut trouble, failed)| {
        if failed {
            trouble.pause().await;
        }
        let event = watch.next().await?;
        match &event {
            // A list that only begins proves nothing.
            Ok(Event::Init) => {}
            Ok(_) => trouble.is_over(),
            Err(error) => trouble.met(&error.to_string(), advice(error)),
        }
        let failed = event.is_err();
        Some((event, (watch, trouble, failed)))
    })
}

/// One Secret or ConfigMap, by name, for ever: as it is now, after each change. None: there is none.
pub fn one<K>(
    client: Client,
    namespace: &str,
    name: &str,
    trouble: Trouble,
) -> impl Stream<Item = Result<Option<K>, watcher::Error>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let api: Api<K> = Api::namespaced(client, namespace);
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut listed = false;
    events(api, config, trouble).filter_map(move |event| {
        let seen = match event {
            Ok(Event::Init) => {
                listed = false;
                None
            }
            Ok(Event::Apply(object) | Event::InitApply(object)) => {
                listed = true;
                Some(Ok(Some(object)))
            }
            Ok(Event::InitDone) if listed => None,
            Ok(Event::Delete(_) | Event::InitDone) => Some(Ok(None)),
            Err(error) => Some(Err(error)),
        };
        std::future::ready(seen)
    })
}

/// What somebody may do about it.
fn advice(error: &watcher::Error) -> &'static str {
    use watcher::Error::{InitialListFailed, WatchError, WatchFailed, WatchStartFailed};
    let code = match error {
        InitialListFailed(kube::Error::Api(status))
        | WatchStartFailed(kube::Error::Api(status))
        | WatchFailed(kube::Error::Api(status)) => status.code,
        WatchError(status) => status.code,
        _ => 0,
    };
    match code {
        401 => trouble::UNKNOWN_CALLER,
        403 => "the operator may not: give its ServiceAccount get, list and watch",
        404 => "the API server does not know the kind: apply the CRDs",
        410 => "nothing: the list is read again",
        _ => trouble::WAIT,
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
