//! ConfigMaps with portals' own texts: each is followed by name, and judged when it changes.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::watcher;

use super::Shared;
use super::table::Name;
use super::trouble::Trouble;
use super::watch;
use crate::plan::letter::TextsSeen;

/// The ConfigMaps that are followed.
#[derive(Debug, Default)]
pub struct Followed(Mutex<HashSet<Name>>);

impl Followed {
    /// Whether nobody follows this one yet.
    pub fn is_new(&self, name: &Name) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone())
    }
}

/// Follows the ConfigMap with one portal's texts, by name, for ever. `changed` is called when what is known of it differs,
/// and told whether it is the first that is known.
pub async fn follow(ctx: Shared, name: Name, changed: impl Fn(&Name, bool)) {
    let trouble = Trouble::new(format!("ConfigMap {}/{}", name.0, name.1), "cannot be watched");
    let mut seen = std::pin::pin!(watch::one::<ConfigMap>(ctx.client.clone(), &name.0, &name.1, trouble));
    while let Some(seen) = seen.next().await {
        let entries = match seen {
            Ok(config_map) => config_map.map(|map| map.data.unwrap_or_default()),
            // The API server's no is an answer: mails go on, in the words that are known.
            Err(watcher::Error::InitialListFailed(kube::Error::Api(_))) => None,
            Err(_) => continue,
        };
        // Judging takes milliseconds; the tables are not locked meanwhile.
        let before = ctx.world.look().texts.get(&name).cloned().unwrap_or_default();
        let after = before.after(entries.as_ref());
        let (differs, first) = (before != after, before == TextsSeen::Unseen);
        ctx.world.look().texts.insert(name.clone(), after);
        if differs {
            changed(&name, first);
        }
    }
}
