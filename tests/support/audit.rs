//! What the API server says that the operator asked for. The server logs each request before it ends the answer
//! (`--audit-log-mode=blocking`), so whatever the operator knows to be done is in the log.

use std::{
    fmt,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::PathBuf,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::Value;

use super::{cluster::Namespace, test_dir};

/// How the operator's clients call themselves.
pub const OPERATOR: &str = "portal-operator";

/// One request to the API server.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// get, list, watch, create, update, patch, delete, deletecollection.
    pub verb: String,
    pub resource: String,
    /// Empty where there is none.
    pub subresource: String,
    /// Empty where there is none, as in a list.
    pub name: String,
    /// When the server received it.
    pub time: Timestamp,
    /// HTTP status of the answer.
    pub code: u16,
    /// Path and query.
    pub uri: String,
}

impl Request {
    /// Whether it changes something.
    pub fn is_write(&self) -> bool {
        ["create", "update", "patch", "delete", "deletecollection"].contains(&self.verb.as_str())
    }

    /// Whether it concerns Events, which are best effort.
    pub fn is_event(&self) -> bool {
        self.resource == "events"
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}/{} = {}", self.verb, self.resource, self.name, self.subresource, self.code)
    }
}

/// The audit log from one moment on, for one namespace.
pub struct Audit {
    file: PathBuf,
    from: u64,
    namespace: String,
}

impl Audit {
    /// From now on.
    pub fn from_now(namespace: &Namespace) -> Self {
        let file = test_dir().join("audit.log");
        let from = file.metadata().map_or(0, |data| data.len());
        Audit { file, from, namespace: namespace.name().to_owned() }
    }

    /// All requests by clients whose user agent begins with `agent`, in the order of their answers. A watch counts when
    /// it begins.
    pub fn by(&self, agent: &str) -> Vec<Request> {
        let mut file = File::open(&self.file).expect("the control plane writes an audit log");
        file.seek(SeekFrom::Start(self.from)).expect("a file");
        let mut text = String::new();
        file.read_to_string(&mut text).expect("text");
        // The last line may be half written; that request is not answered yet.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let place = format!("\"namespace\":\"{}\"", self.namespace);
        whole.lines().filter(|line| line.contains(&place)).filter_map(|line| self.read(line, agent)).collect()
    }

    fn read(&self, line: &str, agent: &str) -> Option<Request> {
        let event: Value = serde_json::from_str(line).expect("a line of the audit log is JSON");
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let verb = text("/verb");
        let stage = if verb == "watch" { "ResponseStarted" } else { "ResponseComplete" };
        let ours = text("/objectRef/namespace") == self.namespace
            && text("/userAgent").starts_with(agent)
            && text("/stage") == stage;
        ours.then(|| Request {
            verb: verb.to_owned(),
            resource: text("/objectRef/resource").to_owned(),
            subresource: text("/objectRef/subresource").to_owned(),
            name: text("/objectRef/name").to_owned(),
            time: text("/requestReceivedTimestamp").parse().expect("a time"),
            code: event.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or_default() as u16,
            uri: text("/requestURI").to_owned(),
        })
    }

    /// What the operator asked for, reads and writes.
    pub fn requests(&self) -> Vec<Request> {
        self.by(OPERATOR)
    }

    /// What the operator wrote or tried to write, Events aside.
    pub fn writes(&self) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.is_write() && !request.is_event()).collect()
    }

    /// What the operator wrote, or tried to, to one object; its creation counts too.
    pub fn writes_to(&self, resource: &str, name: &str) -> Vec<Request> {
        self.writes().into_iter().filter(|write| write.resource == resource && write.name == name).collect()
    }

    /// Returns when the operator has asked for nothing but watches for `span`.
    pub async fn quiet_for(&self, span: Duration, patience: Duration) {
        let start = Instant::now();
        let (mut count, mut since) = (0, start);
        while since.elapsed() < span {
            let busy: Vec<_> = self.requests().into_iter().filter(|request| request.verb != "watch").collect();
            if busy.len() != count {
                (count, since) = (busy.len(), Instant::now());
            }
            assert!(
                start.elapsed() < patience,
                "{}: not quiet for {span:?} within {patience:?}; latest of {count} requests: {}",
                self.namespace,
                busy.iter().rev().take(8).map(ToString::to_string).collect::<Vec<_>>().join(", "),
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
