//! One request to the API server, and sets of them.

use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use hyper::{Method, http::request::Parts};
use serde_json::Value;

/// One request, in the words of Kubernetes.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its place among all calls, from 1.
    pub number: usize,
    /// get, list, watch, create, update, patch, delete, deletecollection.
    pub verb: &'static str,
    pub method: Method,
    pub path: String,
    pub query: String,
    /// Empty for what is no resource, such as /version.
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    /// Of a create, the name in its body.
    pub name: String,
    pub user_agent: String,
    pub body: Bytes,
    /// Of the answer that the operator got; none yet, or never.
    pub status: Option<u16>,
    /// Whether a fault was played on it.
    pub harmed: bool,
}

impl Call {
    pub(super) fn new(number: usize, head: &Parts, body: Bytes) -> Self {
        let (path, query) = (head.uri.path().to_owned(), head.uri.query().unwrap_or_default().to_owned());
        let all: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let mut parts = match all.as_slice() {
            ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
            _ => &[],
        };
        let mut namespace = String::new();
        if let ["namespaces", name, rest @ ..] = parts
            && !rest.is_empty()
        {
            (*name).clone_into(&mut namespace);
            parts = rest;
        }
        let part = |index: usize| parts.get(index).copied().unwrap_or_default().to_owned();
        let named = parts.len() > 1;
        let watch = query.split('&').any(|pair| ["watch=true", "watch=1"].contains(&pair));
        let verb = match head.method.as_str() {
            "GET" if watch => "watch",
            "GET" if named => "get",
            "GET" => "list",
            "POST" => "create",
            "PUT" => "update",
            "PATCH" => "patch",
            "DELETE" if named => "delete",
            "DELETE" => "deletecollection",
            _ => "",
        };
        let mut name = part(1);
        if name.is_empty() && verb == "create" {
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            name = body["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        }
        let agent = head.headers.get(hyper::header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        Call {
            number,
            verb,
            method: head.method.clone(),
            resource: part(0),
            subresource: part(2),
            namespace,
            name,
            user_agent: agent.unwrap_or_default().to_owned(),
            path,
            query,
            body,
            status: None,
            harmed: false,
        }
    }

    /// Whether it changes something.
    pub fn is_write(&self) -> bool {
        ["create", "update", "patch", "delete", "deletecollection"].contains(&self.verb)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {} {} = {:?}", self.number, self.verb, self.path, self.status)
    }
}

type Test = Box<dyn Fn(&Call) -> bool + Send + Sync>;

/// A set of calls, described from the outside in: `Calls::writes().of("invitations/status").named("grace").nth(2)`.
pub struct Calls {
    tests: Vec<Test>,
    first: usize,
    last: usize,
    met: AtomicUsize,
}

impl Calls {
    /// All.
    pub fn any() -> Self {
        Calls { tests: Vec::new(), first: 1, last: usize::MAX, met: AtomicUsize::new(0) }
    }

    /// Those that change something, Events aside.
    pub fn writes() -> Self {
        Calls::any().that(|call| call.is_write() && call.resource != "events")
    }

    /// Those that read, watches aside.
    pub fn reads() -> Self {
        Calls::any().that(|call| ["get", "list"].contains(&call.verb))
    }

    /// Watches, as they begin.
    pub fn watches() -> Self {
        Calls::verb("watch")
    }

    /// By verb of Kubernetes: get, list, watch, create, update, patch, delete.
    pub fn verb(verb: &str) -> Self {
        let verb = verb.to_owned();
        Calls::any().that(move |call| call.verb == verb)
    }

    /// Of one resource, `invitations`, or one subresource, `invitations/status`.
    pub fn of(self, resource: &str) -> Self {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let wanted = (resource.to_owned(), subresource.to_owned());
        self.that(move |call| call.resource == wanted.0 && call.subresource == wanted.1)
    }

    /// Of the object of this name.
    pub fn named(self, name: &str) -> Self {
        let name = name.to_owned();
        self.that(move |call| call.name == name)
    }

    /// With this text in path or query.
    pub fn path(self, part: &str) -> Self {
        let part = part.to_owned();
        self.that(move |call| call.path.contains(&part) || call.query.contains(&part))
    }

    /// By any other rule.
    pub fn that(mut self, test: impl Fn(&Call) -> bool + Send + Sync + 'static) -> Self {
        self.tests.push(Box::new(test));
        self
    }

    /// Only the n-th of them, counted from 1 and from the moment when the fault is set.
    pub fn nth(self, n: usize) -> Self {
        Calls { first: n, last: n, ..self }
    }

    /// Only the first n.
    pub fn first(self, n: usize) -> Self {
        Calls { first: 1, last: n, ..self }
    }

    /// Only the n-th and all later ones.
    pub fn from(self, n: usize) -> Self {
        Calls { first: n, last: usize::MAX, ..self }
    }

    /// How many calls were met that fit, counted ones or not.
    pub(super) fn met(&self) -> usize {
        self.met.load(Ordering::SeqCst)
    }

    pub(super) fn hit(&self, call: &Call) -> bool {
        self.tests.iter().all(|test| test(call)) && {
            let nth = self.met.fetch_add(1, Ordering::SeqCst) + 1;
            (self.first..=self.last).contains(&nth)
        }
    }
}
