//! All documents together: who declares what, as plans see it, and the findings.

use std::collections::HashMap;

use jiff::SignedDuration;
use kube::core::ObjectMeta;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::rule::{self, Rule};
use super::schema;
use super::source::{Document, Node, Position, Sources, Tree, Way};
use crate::api::{GROUP, Portal, marks};
use crate::plan::portal::{self, RelaySecret};
use crate::plan::{Me, Settings};
use crate::shell::world::{Tables, World};

/// The version of the API that this program knows.
const VERSION: &str = "v1alpha1";

/// Something that is wrong.
#[derive(Clone, Debug)]
pub struct Finding {
    /// By which rule.
    pub rule: &'static Rule,
    /// Where.
    pub place: Position,
    /// With which object: `Tenant/acme`. Empty where there is none.
    pub object: String,
    /// Why, in one sentence.
    pub message: String,
}

/// All documents, and what was found.
pub struct Repository {
    /// The documents.
    pub documents: Vec<Document>,
    /// ConfigMaps.
    pub maps: Vec<Document>,
    /// Their objects, as far as they can be read.
    pub world: World,
    /// Documents by namespace and name.
    declared: HashMap<(String, String), Vec<usize>>,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Repository {
    /// Checks each document by itself, and takes in what can be read.
    pub fn new(sources: Sources) -> Repository {
        let mut repository = Repository {
            documents: sources.documents,
            maps: sources.maps,
            world: World::new(settings()),
            declared: HashMap::new(),
            findings: Vec::new(),
        };
        for (place, message) in sources.broken {
            repository.push("yaml", place, String::new(), message);
        }
        for index in 0..repository.documents.len() {
            repository.take(index);
        }
        repository
    }

    fn take(&mut self, index: usize) {
        let document = self.documents[index].clone();
        let Some(schema) = self.schema_of(&document) else { return };
        self.name(&document);
        for objection in schema::check(&document, schema) {
            self.say(objection.rule, &document, &objection.way, objection.message);
        }
        if document.root.get("status").is_some() {
            let message = "status is the operator's: leave it out of Git";
            self.say("status-declared", &document, &Way::to("status"), message);
        }
        let name = (document.namespace.clone(), document.name().to_owned());
        let before = self.declared.entry(name).or_default();
        let twin = before.iter().map(|at| &self.documents[*at]).find(|other| other.kind() == document.kind()).cloned();
        before.push(index);
        if let Some(twin) = twin {
            let Position { file, line, .. } = twin.place(&Way::to("metadata.name"));
            let message = format!("{} {:?} is declared in {file}:{line} already", document.kind(), document.name());
            return self.say("name-duplicate", &document, &Way::to("metadata.name"), message);
        }
        let mut tables = self.world.look();
        match document.kind() {
            "Portal" => {
                if let Some(portal) = read::<Portal>(&document) {
                    // Whether the Secret is there is not for files to say.
                    let secret = portal::relay_secret(&portal);
                    tables.relays.extend(secret.map(|secret| (secret, RelaySecret::Usable)));
                    tables.portals.put(portal);
                }
            }
            "Tenant" => drop(read(&document).map(|object| tables.tenants.put(object))),
            "PortalUser" => drop(read(&document).map(|object| tables.users.put(object))),
            "Group" => drop(read(&document).map(|object| tables.groups.put(object))),
            _ => drop(read(&document).map(|object| tables.invitations.put(object))),
        }
    }

    fn schema_of(&mut self, document: &Document) -> Option<&'static Value> {
        let version = document.root.get("apiVersion").and_then(Node::text).unwrap_or_default();
        let schema = schema::of(document.kind());
        if version != format!("{GROUP}/{VERSION}") {
            let message = format!("{version} is not known: write {GROUP}/{VERSION}");
            self.say("kind-unknown", document, &Way::to("apiVersion"), message);
            return None;
        }
        if schema.is_none() {
            let kinds = schema::kinds().join(", ");
            let message = format!("there is no kind {:?} in {GROUP}: it has {kinds}", document.kind());
            self.say("kind-unknown", document, &Way::to("kind"), message);
        }
        schema
    }

    fn name(&mut self, document: &Document) {
        let way = Way::to("metadata.name");
        let metadata = document.root.get("metadata");
        let name = document.name();
        let given = metadata.filter(|m| !matches!(m.tree, Tree::Leaf(Value::Null)));
        let meant = given.map(|m| serde_json::from_value::<ObjectMeta>(m.json()));
        if let Some(Err(error)) = meant {
            let message = format!("metadata is not what Kubernetes knows as such: {error}");
            return self.say("schema-type", document, &Way::to("metadata"), message);
        }
        if name.is_empty() {
            let chosen = metadata.is_some_and(|m| m.get("generateName").is_some());
            let message = if chosen {
                "generateName would make another object at each apply: give it a name"
            } else {
                "metadata.name is required"
            };
            return self.say("name-missing", document, &way, message);
        }
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        let outer = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let sound = name.chars().all(inner) && name.split('.').all(|p| p.starts_with(outer) && p.ends_with(outer));
        if !sound || name.len() > 253 {
            let message = format!("the name {name:?} may have small letters, digits, hyphens and dots only");
            return self.say("name-invalid", document, &way, message);
        }
        // What acceptance and the operator made is exported with its mark.
        let made = metadata.and_then(|m| m.get("labels")).is_some_and(|labels| labels.get(marks::MADE_BY).is_some());
        if !name.contains('.') || made {
            return;
        }
        match document.kind() {
            // Its schema says so.
            "Tenant" => {}
            "Group" => {
                let message = format!("the name {name:?} has a dot: the operator lets no such group give anything");
                self.say("name-reserved", document, &way, message);
            }
            _ => {
                let message = format!(
                    "the name {name:?} has a dot: such names are kept for what the operator makes, and the policies refuse them to others"
                );
                self.say("name-dot", document, &way, message);
            }
        }
    }

    /// Whether an object is declared.
    pub fn declares(&self, kind: &str, namespace: &str, name: &str) -> bool {
        let found = self.declared.get(&(namespace.to_owned(), name.to_owned()));
        found.into_iter().flatten().any(|at| self.documents[*at].kind() == kind)
    }

    /// Whether a reference leads to an object of the same namespace; what is wrong with it is said.
    pub fn refers(&mut self, document: &Document, kind: &str, way: &Way, name: &str) -> bool {
        if self.declares(kind, &document.namespace, name) {
            return true;
        }
        let here = self.declared.get(&(document.namespace.clone(), name.to_owned())).into_iter().flatten();
        let other_kind = here.map(|at| self.documents[*at].kind().to_owned()).next();
        let elsewhere = self.documents.iter().find(|d| d.kind() == kind && d.name() == name);
        let elsewhere = elsewhere.map(|other| other.namespace.clone());
        let (rule, message) = match (other_kind, elsewhere) {
            (Some(other), _) => {
                ("reference-wrong-kind", format!("{way} names {name:?}, which is a {other} and no {kind}"))
            }
            (None, Some(namespace)) => (
                "reference-wrong-namespace",
                format!(
                    "{way} names the {kind} {name:?}, which is in namespace {namespace:?}: references never leave their namespace"
                ),
            ),
            (None, None) => {
                let unjudged = if kind == "Portal" { ": roles in this tenant are not judged" } else { "" };
                let message = format!("{way} names the {kind} {name:?}, which is in no file{unjudged}");
                ("reference-not-found", message)
            }
        };
        self.say(rule, document, way, message);
        false
    }

    /// Adds a finding about a document.
    pub fn say(&mut self, rule: &'static str, document: &Document, way: &Way, message: impl Into<String>) {
        let object = format!("{}/{}", document.kind(), document.name());
        self.push(rule, document.place(way), object, message.into());
    }

    /// Adds a finding about a line of a text in a document, which counts from 1.
    pub fn say_of_line(&mut self, rule: &'static str, document: &Document, way: &Way, line: usize, message: String) {
        let mut place = document.place(way);
        place.line += line as u64;
        place.column = 1;
        self.push(rule, place, format!("{}/{}", document.kind(), document.name()), message);
    }

    fn push(&mut self, id: &str, place: Position, object: String, message: String) {
        debug_assert!(rule::find(id).is_some(), "no rule {id}");
        let Some(rule) = rule::find(id) else { return };
        self.findings.push(Finding { rule, place, object, message });
    }

    /// Whether something is wrong with the object of a document already.
    pub fn is_flawed(&self, document: &Document) -> bool {
        let object = format!("{}/{}", document.kind(), document.name());
        self.findings.iter().any(|f| f.object == object && f.place.file == document.file)
    }

    /// What all documents come to, for one look.
    pub fn look(&self) -> std::sync::MutexGuard<'_, Tables> {
        self.world.look()
    }
}

/// The object of a document, in its namespace. None: something is wrong with it, which is said elsewhere.
pub fn read<K: DeserializeOwned>(document: &Document) -> Option<K> {
    let mut value = document.root.json();
    value.get_mut("metadata")?.as_object_mut()?.insert("namespace".to_owned(), json!(document.namespace));
    value.as_object_mut()?.remove("status");
    serde_json::from_value(value).ok()
}

/// An operator that lacks nothing: files cannot say what it has.
fn settings() -> Settings {
    Settings {
        default_expiry: SignedDuration::from_hours(24),
        hold: false,
        has_relay: true,
        from: Some("portal@portal.invalid".into()),
        reply_to: None,
        signing_key: Some("any".into()),
        me: Me { identity: String::new(), elected: false },
    }
}
