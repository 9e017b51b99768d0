//! Files as they are linted: documents whose every value knows where it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::{Location, Spanned};

use crate::api::GROUP;

/// How standard input is named, as an argument and in findings.
const STANDARD_INPUT: &str = "-";

/// Most documents and values of one file.
const MOST: usize = 100_000_000;

/// A place in a file. Lines and columns count from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Path as it was given, or found below what was given.
    pub file: String,
    /// Line.
    pub line: u64,
    /// Column.
    pub column: u64,
}

/// A value of a document, and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// Line and column, from 1.
    pub at: (u64, u64),
    /// What it is.
    pub tree: Tree,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Tree {
    /// A mapping: keys with their places, in order.
    Map(Vec<(String, (u64, u64), Node)>),
    /// A sequence.
    List(Vec<Node>),
    /// Anything else.
    Leaf(Value),
}

/// One step on the way to a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The value of a key.
    Key(String),
    /// An item.
    Item(usize),
}

/// The way to a value from the root of its document.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way(pub Vec<Step>);

impl Way {
    /// One key further.
    pub fn key(&self, key: &str) -> Way {
        Way(self.0.iter().cloned().chain([Step::Key(key.to_owned())]).collect())
    }

    /// One item further.
    pub fn item(&self, index: usize) -> Way {
        Way(self.0.iter().cloned().chain([Step::Item(index)]).collect())
    }

    /// This way, and that one from its end.
    pub fn then(&self, further: &Way) -> Way {
        Way(self.0.iter().chain(&further.0).cloned().collect())
    }

    /// The way that a text such as `spec.grants.0.scope` names.
    pub fn to(path: &str) -> Way {
        let step = |part: &str| part.parse().map_or_else(|_| Step::Key(part.to_owned()), Step::Item);
        Way(path.split('.').map(step).collect())
    }
}

/// As the API server writes it: `spec.grants[0].scope`.
impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if at == 0 => write!(f, "{key}")?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Item(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

fn line_and_column(location: Location) -> (u64, u64) {
    (location.line(), location.column())
}

impl Node {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.tree {
            Tree::Map(entries) => entries.iter().find(|(name, ..)| name == key).map(|(_, _, node)| node),
            _ => None,
        }
    }

    /// The text that this is.
    pub fn text(&self) -> Option<&str> {
        match &self.tree {
            Tree::Leaf(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// Where a value stands, or as much of the way to it as there is. A key stands before its value.
    pub fn place(&self, way: &Way) -> (u64, u64) {
        let (mut node, mut place) = (self, self.at);
        for step in &way.0 {
            let next = match (&node.tree, step) {
                (Tree::Map(entries), Step::Key(key)) => {
                    entries.iter().find(|(name, ..)| name == key).map(|(_, at, node)| (*at, node))
                }
                (Tree::List(items), Step::Item(index)) => items.get(*index).map(|node| (node.at, node)),
                _ => None,
            };
            let Some((at, next)) = next else { break };
            (node, place) = (next, at);
        }
        place
    }

    /// The same without places.
    pub fn json(&self) -> Value {
        match &self.tree {
            Tree::Leaf(value) => value.clone(),
            Tree::List(items) => items.iter().map(Node::json).collect(),
            Tree::Map(entries) => entries.iter().map(|(key, _, node)| (key.clone(), node.json())).collect(),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Tree>::deserialize(deserializer)?;
        Ok(Node { at: line_and_column(spanned.referenced), tree: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, node)) = access.next_entry::<Spanned<String>, Node>()? {
            entries.push((key.value, line_and_column(key.referenced), node));
        }
        Ok(Tree::Map(entries))
    }
}

/// A document of our group.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file that it stands in.
    pub file: String,
    /// The namespace that it goes to: its kustomization's, else its own. Empty: whatever is current when it is applied.
    pub namespace: String,
    /// What it says.
    pub root: Node,
}

impl Document {
    /// Where a value stands.
    pub fn place(&self, way: &Way) -> Position {
        let (line, column) = self.root.place(way);
        Position { file: self.file.clone(), line, column }
    }

    /// Its kind, as it is written.
    pub fn kind(&self) -> &str {
        self.root.get("kind").and_then(Node::text).unwrap_or_default()
    }

    /// Its name, as it is written.
    pub fn name(&self) -> &str {
        self.root.get("metadata").and_then(|m| m.get("name")).and_then(Node::text).unwrap_or_default()
    }
}

/// What was read: documents, and what cannot be read as YAML.
#[derive(Debug, Default)]
pub struct Sources {
    /// Documents of our group, in order.
    pub documents: Vec<Document>,
    /// ConfigMaps: some hold texts of portals.
    pub maps: Vec<Document>,
    /// Places at which a file is no YAML, and why.
    pub broken: Vec<(Position, String)>,
    /// How many files were looked at.
    pub files: usize,
    /// Folders of Helm templates, which are no YAML and were not looked at.
    pub templates: Vec<PathBuf>,
}

/// Reads files, folders (recursively, what ends in yaml, yml or json) and standard input (`-`).
pub fn read(paths: &[PathBuf]) -> Result<Sources, String> {
    let mut sources = Sources::default();
    let (mut namespaces, mut seen) = (BTreeMap::new(), BTreeSet::new());
    for path in paths {
        if path.as_os_str() == STANDARD_INPUT {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(|error| format!("standard input: {error}"))?;
            sources.add(STANDARD_INPUT, &text, None);
            continue;
        }
        let root = if path.is_dir() { path.as_path() } else { path.parent().unwrap_or(Path::new("")) };
        let files = match path.is_dir() {
            true => sources.files_of(path).map_err(|error| format!("{}: {error}", path.display()))?,
            false => vec![path.clone()],
        };
        for file in files {
            // Named twice (`. a.yaml`), a file is read once: its objects would be duplicates of themselves.
            if !seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone())) {
                continue;
            }
            let text = match std::fs::read_to_string(&file) {
                Ok(text) => text,
                // What was found in a folder keeps nobody from the rest.
                Err(error) if path.is_dir() => {
                    sources.unreadable(&file, &error);
                    continue;
                }
                Err(error) => return Err(format!("{}: {error}", file.display())),
            };
            let namespace = kustomized(&file, root, &mut namespaces);
            sources.add(&file.to_string_lossy(), &text, namespace.as_deref());
        }
    }
    Ok(sources)
}

/// The namespace that a kustomization gives to a file: that of the nearest folder that has one, up to `root`.
fn kustomized(file: &Path, root: &Path, known: &mut BTreeMap<PathBuf, Option<String>>) -> Option<String> {
    let folders = file.ancestors().skip(1).take_while(|folder| folder.starts_with(root));
    folders.map(Path::to_owned).find_map(|folder| {
        let read = || {
            let names = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
            let text = names.iter().find_map(|name| std::fs::read_to_string(folder.join(name)).ok())?;
            let value: Value = serde_saphyr::from_str(&text).ok()?;
            Some(value["namespace"].as_str()?.to_owned())
        };
        known.entry(folder.clone()).or_insert_with(read).clone()
    })
}

impl Sources {
    /// All files below a folder, in the order of their names. Left out are hidden ones, what is no file (a pipe would be
    /// waited for), folders behind links (they may lead in circles) and Helm's templates.
    fn files_of(&mut self, folder: &Path) -> std::io::Result<Vec<PathBuf>> {
        let is_templates = folder.file_name().is_some_and(|name| name == "templates");
        if is_templates && folder.parent().is_some_and(|chart| chart.join("Chart.yaml").is_file()) {
            self.templates.push(folder.to_owned());
            return Ok(Vec::new());
        }
        let entries = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
        let mut entries = entries.collect::<std::io::Result<Vec<PathBuf>>>()?;
        entries.sort();
        let mut files = Vec::new();
        for entry in entries {
            let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_yaml = [".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end));
            if name.starts_with('.') {
                continue;
            }
            match std::fs::metadata(&entry) {
                Ok(found) if found.is_dir() && !entry.is_symlink() => match self.files_of(&entry) {
                    Ok(below) => files.extend(below),
                    Err(error) => self.unreadable(&entry, &error),
                },
                Ok(found) if found.is_file() && is_yaml => files.push(entry),
                Err(error) if is_yaml => self.unreadable(&entry, &error),
                _ => {}
            }
        }
        Ok(files)
    }

    fn unreadable(&mut self, path: &Path, error: &std::io::Error) {
        self.files += 1;
        let place = Position { file: path.to_string_lossy().into_owned(), line: 1, column: 1 };
        self.broken.push((place, format!("it cannot be read: {error}")));
    }

    /// Adds the documents of a text. What does not name our group is not read: it may be a template.
    pub fn add(&mut self, file: &str, text: &str, namespace: Option<&str>) {
        self.files += 1;
        let is_ours = text.contains(GROUP);
        if !is_ours && !text.contains("kind: ConfigMap") {
            return;
        }
        // Exports of large portals are one file; aliases stay bounded, for they can blow up a small one.
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! {
                max_documents: MOST,
                max_events: MOST,
                max_nodes: MOST,
                max_total_scalar_bytes: usize::MAX,
            },
        };
        let roots = match serde_saphyr::from_multiple_with_options::<Node>(text, options) {
            Ok(roots) => roots,
            Err(_) if !is_ours => return,
            Err(error) => {
                let (line, column) = error.location().map_or((1, 1), line_and_column);
                self.broken.push((Position { file: file.to_owned(), line, column }, reason(&error)));
                return;
            }
        };
        for root in roots {
            for root in items_of(root) {
                let version = root.get("apiVersion").and_then(Node::text).unwrap_or_default();
                let is_map = version == "v1" && root.get("kind").and_then(Node::text) == Some("ConfigMap");
                if version.split('/').next() != Some(GROUP) && !is_map {
                    continue;
                }
                let own = root.get("metadata").and_then(|m| m.get("namespace")).and_then(Node::text);
                let namespace = namespace.or(own).unwrap_or_default().to_owned();
                let documents = if is_map { &mut self.maps } else { &mut self.documents };
                documents.push(Document { file: file.to_owned(), namespace, root });
            }
        }
    }
}

/// Why a text is no YAML, in a sentence without its place.
fn reason(error: &serde_saphyr::Error) -> String {
    match error.without_snippet() {
        serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => format!("the key {key} stands there twice"),
        other => {
            let text = other.to_string();
            let first = text.lines().next().unwrap_or_default();
            first.split(" at line ").next().unwrap_or_default().to_owned()
        }
    }
}

/// The items of a `List`, or the document itself.
fn items_of(root: Node) -> Vec<Node> {
    let is_list = root.get("kind").and_then(Node::text).is_some_and(|kind| kind.ends_with("List"));
    match root.get("items").map(|items| &items.tree) {
        Some(Tree::List(items)) if is_list => items.clone(),
        _ => vec![root],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Sources {
        let mut sources = Sources::default();
        sources.add("a.yaml", text, None);
        sources
    }

    #[test]
    fn every_value_knows_its_line_and_column() {
        let text = "# portal\napiVersion: portal-operator.dev/v1alpha1\nkind: Group\nmetadata: {name: team}\nspec:\n  roles:\n  - viewer\n  - admin\n";
        let document = &read(text).documents[0];
        let at = |path: &str| {
            let place = document.place(&Way::to(path));
            (place.line, place.column)
        };
        assert_eq!(at("metadata.name"), (4, 12));
        assert_eq!(at("spec.roles.1"), (8, 5));
        assert_eq!(at("spec.tenantRef.name"), (5, 1), "what is not there stands where it should be");
        assert_eq!(document.root.json()["spec"]["roles"][1], "admin");
    }

    #[test]
    fn foreign_documents_are_passed_over_and_lists_are_opened() {
        let text = "apiVersion: v1\nkind: ConfigMap\n---\napiVersion: v1\nkind: List\nitems:\n- apiVersion: portal-operator.dev/v1alpha1\n  kind: Tenant\n  metadata: {name: acme, namespace: customers}\n  spec: {}\n";
        let found = read(text);
        assert_eq!((found.documents.len(), found.documents[0].name()), (1, "acme"));
        assert_eq!((found.documents[0].namespace.as_str(), found.documents[0].root.at.0), ("customers", 7));
    }

    #[test]
    fn what_is_no_yaml_is_named_with_its_line() {
        let found = read("apiVersion: portal-operator.dev/v1alpha1\nkind: Tenant\nkind: Group\n");
        assert_eq!(found.broken[0].0.line, 3, "{:?}", found.broken);
        assert!(found.broken[0].1.contains("twice"), "{:?}", found.broken);
    }

    #[test]
    fn a_template_without_our_kinds_is_not_read() {
        assert!(read("{{ if .Values.x }}\nkind: Service\n{{ end }}").broken.is_empty());
    }
}
