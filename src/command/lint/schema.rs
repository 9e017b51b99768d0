//! Documents against the schemas of the CRDs: what the API server would refuse, said before anything is applied.
//!
//! The schemas are those that are applied; only the part of OpenAPI that they use is known here, and a test says when
//! they begin to use more. Rules in CEL are in [`super::rules`].

use std::collections::HashMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::rules;
use super::source::{Document, Node, Tree, Way};
use crate::api;
use crate::api::duration::HumanDuration;

/// Patterns are bounded repetitions of large classes: compiled they are large, too.
const PATTERN_SIZE: usize = 64 << 20;

/// Schemas of our kinds, by kind.
static SCHEMAS: LazyLock<HashMap<String, Value>> = LazyLock::new(|| {
    let schema = |crd: Value| {
        let kind = crd.pointer("/spec/names/kind")?.as_str()?.to_owned();
        Some((kind, crd.pointer("/spec/versions/0/schema/openAPIV3Schema")?.clone()))
    };
    api::crds().into_iter().filter_map(schema).collect()
});

/// The schema of a kind.
pub fn of(kind: &str) -> Option<&'static Value> {
    SCHEMAS.get(kind)
}

/// Names of all kinds.
pub fn kinds() -> Vec<&'static str> {
    let mut kinds: Vec<&str> = SCHEMAS.keys().map(String::as_str).collect();
    kinds.sort_unstable();
    kinds
}

/// Something that the API server would refuse.
#[derive(Clone, Debug, PartialEq)]
pub struct Objection {
    /// The rule of this linter.
    pub rule: &'static str,
    /// What is wrong.
    pub way: Way,
    /// Why.
    pub message: String,
}

/// All that the schema of its kind has against a document. Its status is not looked at: nobody applies one.
pub fn check(document: &Document, schema: &Value) -> Vec<Objection> {
    let mut checker = Checker { found: Vec::new() };
    checker.object(&document.root, schema, &Way::default(), true);
    checker.found
}

struct Checker {
    found: Vec<Objection>,
}

impl Checker {
    fn say(&mut self, rule: &'static str, way: &Way, message: impl Into<String>) {
        self.found.push(Objection { rule, way: way.clone(), message: message.into() });
    }

    fn value(&mut self, node: &Node, schema: &Value, way: &Way) {
        let before = self.found.len();
        match (schema["type"].as_str().unwrap_or_default(), &node.tree) {
            ("object", Tree::Map(_)) => self.object(node, schema, way, false),
            ("array", Tree::List(items)) => self.list(items, schema, way),
            ("string", Tree::Leaf(Value::String(text))) => self.text(text, schema, way),
            ("boolean", Tree::Leaf(Value::Bool(_))) => {}
            ("integer", Tree::Leaf(value)) if value.is_i64() => self.number(value, schema, way),
            (wanted, tree) => self.say("schema-type", way, format!("{way} is {}, not {}", is(tree), a(wanted))),
        }
        if self.found.len() == before {
            self.validations(node, schema, way);
        }
    }

    fn validations(&mut self, node: &Node, schema: &Value, way: &Way) {
        let Some(rules) = schema["x-kubernetes-validations"].as_array() else { return };
        let value = node.json();
        for rule in rules {
            let Some(broken) = rule["rule"].as_str().and_then(rules::find).and_then(|rule| rule(&value)) else {
                continue;
            };
            // Rules of a whole object are about its name.
            let place = if way.0.is_empty() { Way::to("metadata.name") } else { way.then(&broken) };
            self.say("schema-rule", &place, format!("{place}: {}", rule["message"].as_str().unwrap_or_default()));
        }
    }

    fn object(&mut self, node: &Node, schema: &Value, way: &Way, is_root: bool) {
        let Tree::Map(entries) = &node.tree else {
            return self.say("schema-type", way, "the document is no object");
        };
        let before = self.found.len();
        let properties = &schema["properties"];
        for (key, _, value) in entries {
            let below = way.key(key);
            if is_root && ["apiVersion", "kind", "metadata", "status"].contains(&key.as_str()) {
                continue;
            }
            match properties.get(key) {
                // The API server takes null as absent.
                Some(_) if matches!(value.tree, Tree::Leaf(Value::Null)) => {}
                Some(schema) => self.value(value, schema, &below),
                None => self.unknown(key, properties, way, &below),
            }
        }
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let there = node.get(required).is_some_and(|value| !matches!(value.tree, Tree::Leaf(Value::Null)));
            if !there {
                let below = way.key(required);
                self.say("schema-required", &below, format!("{below} is required"));
            }
        }
        if is_root && self.found.len() == before {
            self.validations(node, schema, way);
        }
    }

    fn unknown(&mut self, key: &str, properties: &Value, parent: &Way, way: &Way) {
        let known = properties.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
        let known = known.filter(|name| !parent.0.is_empty() || *name == "spec");
        let near = known.map(|name| (strsim::jaro_winkler(&name.to_lowercase(), &key.to_lowercase()), name));
        let near = near.filter(|(likeness, _)| *likeness > 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
        let hint = near.map(|(_, name)| format!("; did you mean {name}?")).unwrap_or_default();
        self.say("schema-unknown-field", way, format!("there is no field {way}{hint}"));
    }

    fn list(&mut self, items: &[Node], schema: &Value, way: &Way) {
        let count = items.len() as u64;
        if let Some(max) = schema["maxItems"].as_u64().filter(|max| count > *max) {
            self.say("schema-items", way, format!("{way} has {count} items, at most {max} are allowed"));
            return;
        }
        if let Some(min) = schema["minItems"].as_u64().filter(|min| count < *min) {
            self.say("schema-items", way, format!("{way} has {count} items, at least {min} are needed"));
        }
        for (index, item) in items.iter().enumerate() {
            self.value(item, &schema["items"], &way.item(index));
        }
    }

    fn text(&mut self, text: &str, schema: &Value, way: &Way) {
        let shown = shown(text);
        let length = text.chars().count() as u64;
        if let Some(max) = schema["maxLength"].as_u64().filter(|max| length > *max) {
            return self.say("schema-length", way, format!("{way} has {length} characters, at most {max} are allowed"));
        }
        if let Some(min) = schema["minLength"].as_u64().filter(|min| length < *min) {
            return self.say("schema-length", way, format!("{way} has {length} characters, at least {min} are needed"));
        }
        if let Some(values) = schema["enum"].as_array().filter(|values| !values.iter().any(|v| v == text)) {
            let values = values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
            return self.say("schema-enum", way, format!("{way} is {shown}; it may be one of: {values}"));
        }
        let format = schema["format"].as_str();
        if format == Some("duration") && text.parse::<HumanDuration>().is_err() {
            let message = format!("{way} is {shown}, which is no duration: write 24h, 14d or 1w2d");
            return self.say("schema-format", way, message);
        }
        if format == Some("date-time") && text.parse::<Timestamp>().is_err() {
            let message = format!("{way} is {shown}, which is no time: write it like 2026-12-01T09:00:00Z");
            return self.say("schema-format", way, message);
        }
        if let Some(pattern) = schema["pattern"].as_str().filter(|pattern| !matches(pattern, text)) {
            let message = format!("{way} is {shown}, which is not {}", meant(pattern));
            self.say("schema-pattern", way, message);
        }
    }

    fn number(&mut self, value: &Value, schema: &Value, way: &Way) {
        let number = value.as_f64().unwrap_or_default();
        if let Some(min) = schema["minimum"].as_f64().filter(|min| number < *min) {
            self.say("schema-range", way, format!("{way} is {value}, at least {min} is needed"));
        }
        if let Some(max) = schema["maximum"].as_f64().filter(|max| number > *max) {
            self.say("schema-range", way, format!("{way} is {value}, at most {max} is allowed"));
        }
    }
}

/// What a pattern asks for, in words.
fn meant(pattern: &str) -> String {
    use crate::api::text;
    let words = match pattern {
        text::ONE_LINE => "one line without control characters",
        text::SEVERAL_LINES => "text without control characters",
        text::EMAIL => "an e-mail address",
        text::ROLE => "a name of small letters, digits and hyphens, of at least two characters",
        text::PERMISSION => "the name of a permission, such as devices.write",
        text::PERMISSIONS => "the name of a permission, devices.* or *",
        text::MAILBOX => "a mailbox: write `Name <address@example.com>`",
        text::OBJECT_NAME => "the name of an object",
        text::LOCALE => "a language: write en or de-AT",
        text::SCOPE => "a branch: write /london/floor-1",
        text::URL => "an address of a page: write https://…",
        text::DOMAIN => "a domain: write acme.example",
        text::TIME => "a time: write 2026-12-01T09:00:00Z",
        _ => return format!("of the form {pattern}"),
    };
    words.to_owned()
}

fn matches(pattern: &str, text: &str) -> bool {
    static PATTERNS: LazyLock<std::sync::Mutex<HashMap<String, Option<Regex>>>> = LazyLock::new(Default::default);
    let mut patterns = PATTERNS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let compile = || RegexBuilder::new(pattern).size_limit(PATTERN_SIZE).build().ok();
    patterns.entry(pattern.to_owned()).or_insert_with(compile).as_ref().is_none_or(|regex| regex.is_match(text))
}

/// A value for a message: quoted, and of bounded length.
fn shown(text: &str) -> String {
    let cut: String = text.chars().take(60).collect();
    if cut.len() < text.len() { format!("{cut:?}…") } else { format!("{cut:?}") }
}

fn is(tree: &Tree) -> &'static str {
    match tree {
        Tree::Map(_) => "an object",
        Tree::List(_) => "a list",
        Tree::Leaf(Value::String(_)) => "a text",
        Tree::Leaf(Value::Bool(_)) => "true or false",
        Tree::Leaf(Value::Number(_)) => "a number",
        Tree::Leaf(_) => "null",
    }
}

fn a(wanted: &str) -> &'static str {
    match wanted {
        "object" => "an object",
        "array" => "a list",
        "string" => "a text: put it in quotes",
        "boolean" => "true or false",
        _ => "a whole number",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is checked, and what says nothing about a value that somebody writes.
    const KNOWN: &[&str] = &[
        "type",
        "properties",
        "required",
        "items",
        "maxItems",
        "minItems",
        "maxLength",
        "minLength",
        "pattern",
        "enum",
        "format",
        "minimum",
        "maximum",
        "x-kubernetes-validations",
        "description",
        "default",
        "title",
        "x-kubernetes-list-type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-map-type",
    ];

    fn walk(schema: &Value, seen: &mut impl FnMut(&Value)) {
        seen(schema);
        schema["properties"].as_object().into_iter().flatten().for_each(|(_, below)| walk(below, seen));
        if schema["items"].is_object() {
            walk(&schema["items"], seen);
        }
    }

    #[test]
    fn the_schemas_use_nothing_that_is_not_checked() {
        for kind in kinds() {
            walk(of(kind).expect("a schema"), &mut |schema| {
                for key in schema.as_object().expect("an object").keys() {
                    assert!(KNOWN.contains(&key.as_str()), "{kind}: {key} is not checked");
                }
                let format = schema["format"].as_str();
                assert!([None, Some("duration"), Some("date-time"), Some("int32"), Some("int64")].contains(&format));
            });
        }
    }

    #[test]
    fn every_pattern_compiles() {
        for kind in kinds() {
            walk(&of(kind).expect("a schema")["properties"]["spec"], &mut |schema| {
                let Some(pattern) = schema["pattern"].as_str() else { return };
                RegexBuilder::new(pattern).size_limit(PATTERN_SIZE).build().expect(pattern);
            });
        }
    }

    #[test]
    fn every_rule_of_the_schemas_is_known() {
        let mut count = 0;
        for kind in kinds() {
            walk(of(kind).expect("a schema"), &mut |schema| {
                for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
                    let text = rule["rule"].as_str().expect("a rule");
                    assert!(rules::find(text).is_some(), "{kind}: src/command/lint/rules.rs does not know {text}");
                    count += 1;
                }
            });
        }
        assert!(count > 20, "{count}");
    }
}
