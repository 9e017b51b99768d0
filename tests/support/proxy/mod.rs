//! A reverse proxy in front of the API server that loses, delays and refuses what it is told to.
//!
//! It runs on threads of its own, so that a test may block while the operator's requests go on. It speaks plain HTTP to
//! the operator and acts as the administrator of `KUBECONFIG` towards the API server.

mod call;
mod rules;
mod watches;

use std::{
    convert::Infallible,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{
    HeaderMap, Request, Response,
    body::Incoming,
    header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, RETRY_AFTER, TRANSFER_ENCODING},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Runtime};

pub use call::{Call, Calls};
pub use rules::{Fault, Next, Then};

use super::test_dir;
use rules::{Outcome, Rule, When};
use watches::Watches;

/// The proxy; gone when dropped.
pub struct FaultProxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    kubeconfig: PathBuf,
    runtime: Option<Runtime>,
}

struct Shared {
    upstream: Client,
    rules: Mutex<Vec<Arc<Rule>>>,
    log: Mutex<Vec<Call>>,
    count: AtomicUsize,
    watches: Watches,
}

/// The connection ends without an answer, as it does when a machine dies.
#[derive(Debug)]
pub struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("dropped on purpose")
    }
}

impl std::error::Error for Dropped {}

type Reply = Response<BoxBody<Bytes, Dropped>>;

impl FaultProxy {
    /// Starts it without any fault.
    pub async fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (shared, listener) = runtime
            .spawn(async {
                let mut config = Config::infer().await.expect("KUBECONFIG is readable");
                config.default_retry = false; // the operator is to see every fault
                let upstream = Client::try_from(config).expect("KUBECONFIG is complete");
                let shared = Shared {
                    upstream,
                    rules: Mutex::default(),
                    log: Mutex::default(),
                    count: AtomicUsize::new(0),
                    watches: Watches::default(),
                };
                (Arc::new(shared), TcpListener::bind("127.0.0.1:0").await.expect("a port"))
            })
            .await
            .expect("a proxy");
        let address = listener.local_addr().expect("bound");
        runtime.spawn(listen(listener, shared.clone()));

        let kubeconfig = test_dir().join(format!("proxy-{}.kubeconfig", address.port()));
        let access = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
            "clusters": [{"name": "proxy", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "proxy", "user": {}}],
        });
        std::fs::write(&kubeconfig, access.to_string()).expect("a file");
        FaultProxy { shared, address, kubeconfig, runtime: Some(runtime) }
    }

    /// Leads through the proxy; for [`Launch::kubeconfig`](super::operator::Launch::kubeconfig).
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on `then` happens to these calls instead of their being forwarded.
    pub fn before(&self, calls: Calls, then: Then) -> Fault {
        self.add(When::Before, calls, then)
    }

    /// From now on these calls are forwarded and done, and `then` happens to their answer.
    pub fn after(&self, calls: Calls, then: Then) -> Fault {
        self.add(When::After, calls, then)
    }

    fn add(&self, when: When, calls: Calls, then: Then) -> Fault {
        let rule = Arc::new(Rule::new(when, calls, then));
        lock(&self.shared.rules).push(rule.clone());
        Fault::new(rule)
    }

    /// Lifts all faults; calls in a black hole are dropped.
    pub fn lift_all(&self) {
        lock(&self.shared.rules).drain(..).for_each(|rule| rule.lift());
    }

    /// Every call so far, in the order of arrival; those without an answer have no status.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.shared.log).clone()
    }

    /// The calls that change something, Events aside: a run without faults learns from them where faults can be.
    pub fn writes(&self) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.is_write() && call.resource != "events").collect()
    }

    /// Forgets the log.
    pub fn forget_calls(&self) {
        lock(&self.shared.log).clear();
    }

    /// How many watches of this resource are open; of all for an empty name.
    pub fn open_watches(&self, resource: &str) -> usize {
        self.shared.watches.count(resource)
    }

    /// Breaks the watches of this resource (all for an empty name), as a failing network does.
    pub fn cut_watches(&self, resource: &str) {
        self.shared.watches.cut(resource);
    }

    /// Keeps the events of this resource (all for an empty name) back, those of later watches too.
    pub fn hold_watches(&self, resource: &str) {
        self.shared.watches.hold(resource);
    }

    /// Lets all events go that were held back: the operator sees each, only late.
    pub fn release_watches(&self) {
        self.shared.watches.release();
    }

    /// Throws away what was held back and ends those watches by 410: the operator has to list anew and never sees what
    /// happened and was undone in between.
    pub fn release_watches_as_gone(&self) {
        self.shared.watches.release_as_gone();
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background(); // dropping it would block, which asynchronous code may not
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) -> Infallible {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let shared = shared.clone();
        let service = service_fn(move |request| {
            // A task of its own: hyper drops this future when the operator dies, but what was to be forwarded is.
            let answer = tokio::spawn(shared.clone().answer(request));
            async move { answer.await.unwrap_or(Err(Dropped)) }
        });
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

impl Shared {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Reply, Dropped> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
        let call = {
            let mut log = lock(&self.log); // locked first, so that numbers and order agree
            let number = self.count.fetch_add(1, Ordering::SeqCst) + 1;
            let call = Call::new(number, &head, body.clone());
            log.push(call.clone());
            call
        };
        let rules: Vec<_> = lock(&self.rules).iter().filter(|rule| rule.fires(&call)).cloned().collect();

        let reply = self.play(&call, &rules, head, body).await;
        if let Some(logged) = lock(&self.log).iter_mut().rev().find(|logged| logged.number == call.number) {
            logged.status = reply.as_ref().ok().map(|reply| reply.status().as_u16());
            logged.harmed = !rules.is_empty();
        }
        reply
    }

    async fn play(
        &self,
        call: &Call,
        rules: &[Arc<Rule>],
        head: hyper::http::request::Parts,
        body: Bytes,
    ) -> Result<Reply, Dropped> {
        for rule in rules.iter().filter(|rule| rule.when == When::Before) {
            match rule.play(call).await {
                Outcome::GoOn => {}
                Outcome::Drop => return Err(Dropped),
                Outcome::Answer(status, body) => return Ok(made_up(status, &body)),
            }
        }
        let reply = self.forward(call, head, body).await?;
        for rule in rules.iter().filter(|rule| rule.when == When::After) {
            match rule.play(call).await {
                Outcome::GoOn => {}
                Outcome::Drop => return Err(Dropped),
                Outcome::Answer(status, body) => return Ok(made_up(status, &body)),
            }
        }
        Ok(reply)
    }

    /// Has the API server answer. Only watches stream; everything else is done before the first byte goes back.
    async fn forward(&self, call: &Call, head: hyper::http::request::Parts, body: Bytes) -> Result<Reply, Dropped> {
        let mut request = Request::new(kube::client::Body::from(body));
        *request.method_mut() = head.method;
        *request.uri_mut() =
            head.uri.path_and_query().map(|path| path.as_str().parse()).ok_or(Dropped)?.map_err(|_| Dropped)?;
        *request.headers_mut() = end_to_end(head.headers);
        let (head, body) = self.upstream.send(request).await.map_err(|_| Dropped)?.into_parts();

        let body = if call.verb == "watch" && head.status.is_success() {
            self.watches.stream(call, body)
        } else {
            let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
            Full::new(body).map_err(|never| match never {}).boxed()
        };
        let mut reply = Response::new(body);
        *reply.status_mut() = head.status;
        *reply.headers_mut() = end_to_end(head.headers);
        Ok(reply)
    }
}

/// Without the headers that concern one connection only.
fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    let keep_alive = HeaderName::from_static("keep-alive");
    for name in [HOST, CONNECTION, keep_alive, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers
}

/// An answer that the API server never gave.
fn made_up(status: u16, body: &Value) -> Reply {
    let reply = Response::builder().status(status).header(CONTENT_TYPE, "application/json");
    // What the real one sends along when it has too much to do.
    let reply = if status == 429 { reply.header(RETRY_AFTER, "1") } else { reply };
    let body = Full::new(Bytes::from(body.to_string())).map_err(|never| match never {}).boxed();
    reply.body(body).expect("a status")
}
