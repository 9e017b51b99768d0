//! The rules in CEL that the CRDs carry, in Rust, found by their text. (The CEL evaluators that there are in Rust do
//! not read `14d`, which Kubernetes does.) A test says when a CRD carries one that is not here; that both judge alike
//! is shown on a real API server.

use std::collections::HashSet;

use serde_json::Value;

use super::source::Way;
use crate::api::duration::HumanDuration;

/// Looks at a value (`self`): the way to the first part of it that breaks the rule.
pub type Rule = fn(&Value) -> Option<Way>;

/// The rule of this text.
pub fn find(text: &str) -> Option<Rule> {
    RULES.iter().find(|(known, _)| *known == text).map(|(_, rule)| *rule)
}

const RULES: &[(&str, Rule)] = &[
    // Nothing was there before: a file has no history.
    ("self == oldSelf", |_| None),
    ("duration(self) >= duration('5m') && duration(self) <= duration('2160h')", |value| within(value, 5 * 60)),
    ("duration(self) >= duration('1m') && duration(self) <= duration('2160h')", |value| within(value, 60)),
    ("self.all(n, self.exists_one(o, o == n))", distinct),
    ("self.all(r, self.exists_one(o, o == r))", distinct),
    ("self.all(g, self.exists_one(o, o == g))", distinct),
    ("self.all(w, self.exists_one(o, o == w))", distinct),
    ("self.all(p, self.exists_one(o, o.name == p.name))", distinct_names),
    ("self.all(r, self.exists_one(o, o.name == r.name))", distinct_names),
    ("!self.matches('/[.][.]?(/|$)')", |value| {
        whole(!text(value).split('/').skip(1).any(|part| part == "." || part == ".."))
    }),
    ("size(self.metadata.name) <= 127", |value| name_has_at_most(value, 127)),
    ("size(self.metadata.name) <= 230", |value| name_has_at_most(value, 230)),
    ("size(self.metadata.name) <= 240", |value| name_has_at_most(value, 240)),
    ("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')", |value| {
        let name = text(&value["metadata"]["name"]);
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        whole((1..=63).contains(&name.len()) && name.chars().all(inner) && name.trim_matches('-') == name)
    }),
    (
        "!has(self.roles) || self.roles.all(r, !has(r.permissions) || r.permissions.all(p, p == '*' || p.endsWith('.*') || (has(self.permissions) && self.permissions.exists(q, q.name == p))))",
        |portal| {
            let declared = names(&portal["permissions"]);
            unlike(&portal["roles"], "roles", "permissions", |p| p == "*" || p.ends_with(".*") || declared.contains(p))
        },
    ),
    (
        "!has(self.permissions) || self.permissions.all(p, !has(p.requires) || p.requires.all(n, self.permissions.exists(q, q.name == n)))",
        |portal| {
            let declared = names(&portal["permissions"]);
            unlike(&portal["permissions"], "permissions", "requires", |name| declared.contains(name))
        },
    ),
    (
        "!has(self.roles) || self.roles.all(r, !has(r.assignableBy) || r.assignableBy.all(n, self.roles.exists(o, o.name == n)))",
        |portal| {
            let declared = names(&portal["roles"]);
            unlike(&portal["roles"], "roles", "assignableBy", |name| declared.contains(name))
        },
    ),
    (
        "!has(self.roles) || self.roles.all(r, !has(r.requires) || r.requires.all(n, self.roles.exists(o, o.name == n)))",
        |portal| {
            let declared = names(&portal["roles"]);
            unlike(&portal["roles"], "roles", "requires", |name| declared.contains(name))
        },
    ),
    ("!has(self.roles) || self.roles.all(r, !has(r.actsAs) || self.roles.exists(o, o.name == r.actsAs))", |portal| {
        let declared = names(&portal["roles"]);
        let unknown = |role: &Value| role["actsAs"].as_str().is_some_and(|name| !declared.contains(name));
        let at = list(&portal["roles"]).position(unknown)?;
        Some(Way::to("roles").item(at).key("actsAs"))
    }),
    (
        "!has(self.roles) || !(self.roles.exists(r, has(r.firstUser) && r.firstUser == 'Added') && self.roles.exists(r, has(r.firstUser) && r.firstUser == 'Registered'))",
        |portal| {
            let first = |when: &str| list(&portal["roles"]).position(|role| role["firstUser"] == when);
            let at = first("Added")?.max(first("Registered")?);
            Some(Way::to("roles").item(at).key("firstUser"))
        },
    ),
];

/// The value itself, unless the rule holds.
fn whole(holds: bool) -> Option<Way> {
    (!holds).then(Way::default)
}

/// A duration of at least so many seconds and at most 90 days.
fn within(value: &Value, least: i64) -> Option<Way> {
    let length = text(value).parse::<HumanDuration>().map(|duration| duration.length().as_secs());
    whole(length.is_ok_and(|length| (least..=2160 * 3600).contains(&length)))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The first item that was there before.
fn distinct(value: &Value) -> Option<Way> {
    let items: Vec<&Value> = list(value).collect();
    (0..items.len()).find(|at| items[..*at].contains(&items[*at])).map(|at| Way::default().item(at))
}

/// The first item whose name was there before.
fn distinct_names(value: &Value) -> Option<Way> {
    let mut seen = HashSet::new();
    let at = list(value).position(|item| !seen.insert(text(&item["name"])))?;
    Some(Way::default().item(at).key("name"))
}

fn names(value: &Value) -> HashSet<&str> {
    list(value).map(|item| text(&item["name"])).collect()
}

/// The first entry of a field of these items that is not as it should be.
fn unlike(items: &Value, path: &str, field: &str, good: impl Fn(&str) -> bool) -> Option<Way> {
    list(items).enumerate().find_map(|(at, item)| {
        let entry = list(&item[field]).position(|name| !good(text(name)))?;
        Some(Way::to(path).item(at).key(field).item(entry))
    })
}

fn name_has_at_most(object: &Value, most: usize) -> Option<Way> {
    whole(text(&object["metadata"]["name"]).chars().count() <= most)
}
