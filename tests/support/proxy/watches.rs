//! The streams of watches: cut, held back, or ended as too old.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body_util::{BodyExt, combinators::BoxBody};
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;

use super::{Call, Dropped, lock};

/// All open watches and what is held back.
#[derive(Clone, Default)]
pub(super) struct Watches(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    held: Vec<String>,
    open: Vec<Open>,
    next: usize,
}

struct Open {
    id: usize,
    resource: String,
    tell: mpsc::UnboundedSender<Tell>,
}

#[derive(Clone, Copy)]
enum Tell {
    Hold,
    Release,
    Gone,
    Cut,
}

/// What a watch says that has to begin anew (a 410 in the stream).
const GONE: &[u8] = br#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old resource version, on purpose","reason":"Expired","code":410}}
"#;

fn concerns(wanted: &str, resource: &str) -> bool {
    wanted.is_empty() || wanted == resource
}

impl Watches {
    pub fn count(&self, resource: &str) -> usize {
        lock(&self.0).open.iter().filter(|watch| concerns(resource, &watch.resource)).count()
    }

    pub fn cut(&self, resource: &str) {
        lock(&self.0).tell(resource, Tell::Cut);
    }

    pub fn hold(&self, resource: &str) {
        let mut state = lock(&self.0);
        state.held.push(resource.to_owned());
        state.tell(resource, Tell::Hold);
    }

    pub fn release(&self) {
        self.end_holding(Tell::Release);
    }

    pub fn release_as_gone(&self) {
        self.end_holding(Tell::Gone);
    }

    fn end_holding(&self, how: Tell) {
        let mut state = lock(&self.0);
        for resource in std::mem::take(&mut state.held) {
            state.tell(&resource, how);
        }
    }

    /// The body of a watch's answer, under our control.
    pub fn stream(&self, call: &Call, upstream: kube::client::Body) -> BoxBody<Bytes, Dropped> {
        let (tell, told) = mpsc::unbounded_channel();
        let (events, body) = mpsc::channel(1);
        let (id, held) = {
            let mut state = lock(&self.0);
            state.next += 1;
            let open = Open { id: state.next, resource: call.resource.clone(), tell };
            state.open.push(open);
            (state.next, state.held.iter().any(|held| concerns(held, &call.resource)))
        };
        let watches = self.clone();
        tokio::spawn(async move {
            pump(upstream, events, told, held).await;
            lock(&watches.0).open.retain(|watch| watch.id != id);
        });
        Stream(body).boxed()
    }
}

impl State {
    fn tell(&self, resource: &str, what: Tell) {
        for watch in self.open.iter().filter(|watch| concerns(resource, &watch.resource)) {
            let _ = watch.tell.send(what); // fails when it has just ended
        }
    }
}

/// Moves events until one side ends or somebody ends it.
async fn pump(
    mut upstream: kube::client::Body,
    events: mpsc::Sender<Result<Bytes, Dropped>>,
    mut told: mpsc::UnboundedReceiver<Tell>,
    mut held: bool,
) {
    loop {
        tokio::select! {
            biased;
            () = events.closed() => return,
            what = told.recv() => match what {
                Some(Tell::Hold) => held = true,
                Some(Tell::Release) => held = false,
                Some(Tell::Gone) => {
                    let _ = events.send(Ok(Bytes::from_static(GONE))).await;
                    return;
                }
                Some(Tell::Cut) | None => {
                    let _ = events.send(Err(Dropped)).await;
                    return;
                }
            },
            frame = upstream.frame(), if !held => match frame {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() && events.send(Ok(data)).await.is_err() {
                        return;
                    }
                }
                Some(Err(_)) => {
                    let _ = events.send(Err(Dropped)).await;
                    return;
                }
                None => return,
            },
        }
    }
}

/// A channel as a body.
struct Stream(mpsc::Receiver<Result<Bytes, Dropped>>);

impl Body for Stream {
    type Data = Bytes;
    type Error = Dropped;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Dropped>>> {
        self.0.poll_recv(context).map(|event| event.map(|event| event.map(Frame::data)))
    }
}
