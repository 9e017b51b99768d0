//! ConfigMaps with portals' own texts: each is followed by name, and judged when it changes.

use std::collections::HashSet;

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::watcher;

use super::table::{Mark, Name};
use super::trouble::Trouble;
use super::{Shared, watch};
use crate::plan::letter::TextsSeen;
use crate::plan::portal;

/// The ConfigMaps that portals name. What was known of others is forgotten.
pub fn named(ctx: &Shared) -> HashSet<Name> {
    let tables = &mut *ctx.world.look();
    let named: HashSet<Name> = tables.portals.all().filter_map(|portal| portal::own_texts(portal)).collect();
    tables.texts.retain(|name, _| named.contains(name));
    named
}

/// Follows the ConfigMap with one portal's texts, by name, until it is ended. `changed` is called when what is known of it
/// differs, and told whether it is the first that is known.
pub async fn follow(ctx: Shared, name: Name, changed: impl Fn(&Name, bool)) {
    let trouble = Trouble::new(format!("ConfigMap {}/{}", name.0, name.1), "cannot be watched");
    let mut seen = std::pin::pin!(watch::one::<ConfigMap>(ctx.client.clone(), &name.0, &name.1, trouble));
    while let Some(seen) = seen.next().await {
        let entries = match seen {
            Ok(config_map) => config_map.map(|map| map.data.unwrap_or_default()),
            Err(error) if is_a_no(&error) => None,
            Err(_) => continue,
        };
        let before = ctx.world.look().texts.get(&name).cloned().unwrap_or_default();
        // Judging computes: neither the tables nor a thread that others need wait for it.
        let known = before.clone();
        let Ok(after) = tokio::task::spawn_blocking(move || known.after(entries.as_ref())).await else { continue };
        let (differs, first) = (before != after, before == TextsSeen::Unseen);
        {
            let mut tables = ctx.world.look();
            if tables.portals.count(&Mark::Texts(name.0.clone(), name.1.clone())) == 0 {
                continue; // It is about to be ended.
            }
            tables.texts.insert(name.clone(), after);
        }
        if differs {
            changed(&name, first);
        }
    }
}

/// Whether the API server says for certain that nobody will see the ConfigMap: mails go on, in the words that are known.
/// Any other error is one of the moment, and words that are not known yet are waited for.
fn is_a_no(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::InitialListFailed(kube::Error::Api(status)) if [403, 404].contains(&status.code))
}
