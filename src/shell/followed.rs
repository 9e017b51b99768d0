//! What is followed by name: a watch for each object that somebody names, and for no other.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use tokio::task::AbortHandle;

use super::table::Name;

/// Objects of one kind that are followed.
#[derive(Debug, Default)]
pub struct Followed(Mutex<HashMap<Name, AbortHandle>>);

impl Followed {
    /// Follows those that are named, and no others. `named` is asked when nobody else changes what is followed: an older
    /// answer never overrules a newer one.
    pub fn only(&self, named: impl FnOnce() -> HashSet<Name>, begin: impl Fn(Name) -> AbortHandle) {
        let mut followed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let named = named();
        for (_, ended) in followed.extract_if(|name, _| !named.contains(name)) {
            ended.abort();
        }
        for name in named {
            followed.entry(name.clone()).or_insert_with(|| begin(name));
        }
    }
}
