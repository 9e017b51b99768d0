//! What a ServiceAccount is given, and what it asks for: both ways, as the API server saw it.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use serde_json::Value;

use crate::support::test_dir;

/// One thing that may be done, or was: a verb on a resource, perhaps on one name, perhaps in one namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// None: in the whole cluster.
    pub namespace: Option<String>,
    pub group: String,
    /// With a subresource: `tenants/status`.
    pub resource: String,
    pub verb: String,
    /// None: whatever its name.
    pub name: Option<String>,
}

impl Right {
    /// Whether this one, given, allows that one.
    pub fn allows(&self, used: &Right) -> bool {
        (self.namespace.is_none() || self.namespace == used.namespace)
            && (&self.group, &self.resource, &self.verb) == (&used.group, &used.resource, &used.verb)
            && (self.name.is_none() || self.name == used.name)
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.namespace.as_deref().unwrap_or("the cluster");
        let name = self.name.as_deref().map(|name| format!(" {name:?}")).unwrap_or_default();
        write!(f, "{} {}.{}{name} in {place}", self.verb, self.resource, self.group)
    }
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

/// What the roles of a manifest give to a ServiceAccount, one by one. Wildcards are given to nobody.
pub fn granted(objects: &[Value], namespace: &str, account: &str) -> BTreeSet<Right> {
    let mut granted = BTreeSet::new();
    for binding in objects.iter().filter(|o| o["kind"].as_str().is_some_and(|kind| kind.ends_with("RoleBinding"))) {
        let to_us = |subject: &Value| subject["name"] == account && subject["namespace"] == namespace;
        assert!(binding["subjects"].as_array().is_some_and(|all| all.iter().all(to_us)), "{binding} binds others");
        let (of, place) = (&binding["roleRef"], &binding["metadata"]["namespace"]);
        let is_it = |o: &&Value| {
            o["kind"] == of["kind"] && o["metadata"]["name"] == of["name"] && o["metadata"]["namespace"] == *place
        };
        let role = objects.iter().find(is_it).unwrap_or_else(|| panic!("{binding} binds a role that is not there"));
        for rule in role["rules"].as_array().into_iter().flatten() {
            assert!(rule["nonResourceURLs"].is_null() && !rule.to_string().contains('*'), "{rule}");
            let mut names: Vec<_> = texts(&rule["resourceNames"]).into_iter().map(Some).collect();
            if names.is_empty() {
                names.push(None);
            }
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    for verb in texts(&rule["verbs"]) {
                        granted.extend(names.iter().map(|name| Right {
                            namespace: place.as_str().map(str::to_owned),
                            group: group.clone(),
                            resource: resource.clone(),
                            verb: verb.clone(),
                            name: name.clone(),
                        }));
                    }
                }
            }
        }
    }
    granted
}

/// A request, as a right, and the code of its answer.
pub type Asked = (Right, u64);

/// What a ServiceAccount asks of the API server from now on.
pub struct Diary {
    account: String,
    from: u64,
}

impl Diary {
    pub fn of(namespace: &str, account: &str) -> Self {
        let from = test_dir().join("audit.log").metadata().map_or(0, |data| data.len());
        Diary { account: format!("\"system:serviceaccount:{namespace}:{account}\""), from }
    }

    /// Everything that concerns one of these namespaces, or all.
    pub fn asked(&self, namespaces: &[&str]) -> Vec<Asked> {
        let mut file = File::open(test_dir().join("audit.log")).expect("the control plane writes an audit log");
        file.seek(SeekFrom::Start(self.from)).expect("a file");
        let mut text = String::new();
        file.read_to_string(&mut text).expect("text");
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let ours = whole.lines().filter(|line| line.contains(&self.account)).flat_map(read);
        let of_these = |right: &Right| right.namespace.as_deref().is_none_or(|ns| namespaces.contains(&ns));
        ours.filter(|(right, _)| of_these(right)).collect()
    }
}

/// The requests that a line tells of: one, or two where something was applied that was not there, which needs two rights.
fn read(line: &str) -> Vec<Asked> {
    let event: Value = serde_json::from_str(line).expect("a line of the audit log is JSON");
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let verb = text("/verb").unwrap_or_default();
    let stage = if verb == "watch" { "ResponseStarted" } else { "ResponseComplete" };
    let code = event.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or_default();
    let Some(resource) = text("/objectRef/resource").filter(|_| event["stage"] == stage) else { return Vec::new() };
    let resource = text("/objectRef/subresource").map_or(resource.clone(), |sub| format!("{resource}/{sub}"));
    let right = Right {
        namespace: text("/objectRef/namespace"),
        group: text("/objectRef/apiGroup").unwrap_or_default(),
        resource,
        // The name of what is made is in its body, where no role looks.
        name: text("/objectRef/name").filter(|_| verb != "create"),
        verb,
    };
    let made =
        (right.verb == "patch" && code == 201).then(|| Right { verb: "create".into(), name: None, ..right.clone() });
    std::iter::once(right).chain(made).map(|right| (right, code)).collect()
}

/// The rights that nothing asked for, and what was asked for without one.
pub fn compare(granted: &BTreeSet<Right>, asked: &[Asked]) -> (Vec<String>, Vec<String>) {
    let unused = granted.iter().filter(|right| !asked.iter().any(|(used, _)| right.allows(used)));
    let unfounded = asked.iter().filter(|(used, _)| !granted.iter().any(|right| right.allows(used)));
    (unused.map(ToString::to_string).collect(), unfounded.map(|(used, code)| format!("{used}: {code}")).collect())
}

#[test]
fn a_right_too_many_and_one_too_few_are_both_noticed() {
    let right = |verb: &str, name: Option<&str>| Right {
        namespace: Some("acme".into()),
        group: String::new(),
        resource: "secrets".into(),
        verb: verb.into(),
        name: name.map(str::to_owned),
    };
    let granted = BTreeSet::from([right("get", Some("keys")), right("list", None)]);
    let asked = [(right("get", Some("keys")), 200), (right("get", Some("other")), 403)];
    let (unused, unfounded) = compare(&granted, &asked);
    assert_eq!(unused, ["list secrets. in acme"]);
    assert_eq!(unfounded, ["get secrets. \"other\" in acme: 403"]);
}
