//! The catalogues of portals: what their roles are, made once and asked for at every look.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use kube::ResourceExt;

use super::table::{Name, name_of};
use crate::api::Portal;
use crate::plan::roles::Catalogue;

/// A catalogue, and the resource version that it was made of.
type Versioned = (Option<String>, Arc<Catalogue>);

/// The catalogues of portals, made once for each version of one, and the built-in one.
#[derive(Debug)]
pub struct Catalogues {
    built_in: Arc<Catalogue>,
    of_portals: RefCell<HashMap<Name, Versioned>>,
}

impl Default for Catalogues {
    fn default() -> Self {
        Catalogues { built_in: Arc::new(Catalogue::built_in()), of_portals: RefCell::default() }
    }
}

impl Catalogues {
    /// The roles of a portal.
    pub fn of(&self, portal: &Portal) -> Arc<Catalogue> {
        let (name, version) = (name_of(&portal.metadata), portal.resource_version());
        let mut known = self.of_portals.borrow_mut();
        match known.get(&name) {
            Some((of, catalogue)) if *of == version => catalogue.clone(),
            _ => {
                let catalogue = Arc::new(Catalogue::of(&portal.spec));
                known.insert(name, (version, catalogue.clone()));
                catalogue
            }
        }
    }

    /// The roles of tenants without a portal.
    pub fn built_in(&self) -> Arc<Catalogue> {
        self.built_in.clone()
    }
}
