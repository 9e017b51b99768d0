//! What happens to a call, and when.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Call, Calls};
use crate::support::{PATIENCE, process::Process, until};

/// On which side of the API server's work it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Before,
    After,
}

/// What a hook wants to happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing out of the ordinary.
    GoOn,
    /// The call is not forwarded, or its answer is lost.
    Drop,
}

/// What happens to a call.
pub enum Then {
    /// It is answered with this HTTP status, and a Status as the API server would send it.
    Refuse(u16),
    /// It is answered with this HTTP status and body.
    Answer(u16, Value),
    /// It takes that much longer.
    Delay(Duration),
    /// The connection ends.
    Drop,
    /// Nothing ever happens on the connection; it ends when the fault is lifted.
    BlackHole,
    /// The process gets a SIGKILL, and the connection ends.
    Kill(Process),
    /// Anything else. It may block.
    Hook(Hook),
}

/// Runs while the call waits.
pub type Hook = Arc<dyn Fn(&Call) -> Next + Send + Sync>;

impl Then {
    pub fn hook(hook: impl Fn(&Call) -> Next + Send + Sync + 'static) -> Self {
        Then::Hook(Arc::new(hook))
    }
}

pub(super) struct Rule {
    pub when: When,
    calls: Calls,
    then: Then,
    fired: AtomicUsize,
    lifted: watch::Sender<bool>,
}

pub(super) enum Outcome {
    GoOn,
    Drop,
    Answer(u16, Value),
}

impl Rule {
    pub fn new(when: When, calls: Calls, then: Then) -> Self {
        Rule { when, calls, then, fired: AtomicUsize::new(0), lifted: watch::Sender::new(false) }
    }

    /// Whether this call is one of its. Asked once for each call.
    pub fn fires(&self, call: &Call) -> bool {
        let fires = !*self.lifted.borrow() && self.calls.hit(call);
        self.fired.fetch_add(usize::from(fires), Ordering::SeqCst);
        fires
    }

    pub fn lift(&self) {
        self.lifted.send_replace(true);
    }

    pub async fn play(&self, call: &Call) -> Outcome {
        match &self.then {
            Then::Refuse(status) => Outcome::Answer(*status, refusal(*status, call)),
            Then::Answer(status, body) => Outcome::Answer(*status, body.clone()),
            Then::Delay(time) => {
                tokio::time::sleep(*time).await;
                Outcome::GoOn
            }
            Then::Drop => Outcome::Drop,
            Then::BlackHole => {
                let _ = self.lifted.subscribe().wait_for(|lifted| *lifted).await;
                Outcome::Drop
            }
            Then::Kill(process) => {
                let process = process.clone();
                let _ = tokio::task::spawn_blocking(move || process.kill()).await;
                Outcome::Drop
            }
            Then::Hook(hook) => {
                let (hook, call) = (hook.clone(), call.clone());
                match tokio::task::spawn_blocking(move || hook(&call)).await {
                    Ok(Next::GoOn) => Outcome::GoOn,
                    Ok(Next::Drop) | Err(_) => Outcome::Drop,
                }
            }
        }
    }
}

/// A Status as the API server words it.
fn refusal(status: u16, call: &Call) -> Value {
    let reason = match status {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "Unknown",
    };
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": status, "reason": reason,
        "message": format!("{} of {}: {reason}, on purpose", call.verb, call.path),
    })
}

/// A fault that was set. It stays when this is dropped.
pub struct Fault(Arc<Rule>);

impl Fault {
    pub(super) fn new(rule: Arc<Rule>) -> Self {
        Fault(rule)
    }

    /// How many calls were met that fit, whether the fault was for them or not (`nth`).
    pub fn met(&self) -> usize {
        self.0.calls.met()
    }

    /// How often it was played.
    pub fn fired(&self) -> usize {
        self.0.fired.load(Ordering::SeqCst)
    }

    /// Waits until it was played `times` times.
    #[track_caller]
    pub fn wait_fired(&self, times: usize) -> impl Future<Output = ()> {
        until(format!("{self:?} to fire {times} times"), PATIENCE, move || async move {
            let fired = self.fired();
            if fired >= times { Ok(()) } else { Err(format!("{fired} times, {} calls met", self.met())) }
        })
    }

    /// Ends it; calls in its black hole are dropped.
    pub fn lift(&self) {
        self.0.lift();
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let then = match &self.0.then {
            Then::Refuse(status) | Then::Answer(status, _) => format!("answer {status}"),
            Then::Delay(time) => format!("delay of {time:?}"),
            Then::Drop => "lost connection".to_owned(),
            Then::BlackHole => "black hole".to_owned(),
            Then::Kill(_) => "kill".to_owned(),
            Then::Hook(_) => "hook".to_owned(),
        };
        write!(f, "{:?}: {then}", self.0.when)
    }
}
