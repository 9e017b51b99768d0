//! What keeps something from working, told once: a line in the log when it begins, one when it is over, and until then a
//! sentence at /readyz.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Pause after the first failure; doubles to [`LONGEST_PAUSE`] until it works again.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Advice where the API server gave no answer, or has too much to do.
pub const WAIT: &str = "none: the API server cannot be reached, or is busy";

/// Advice where the API server refuses whoever asks.
pub const UNKNOWN_CALLER: &str =
    "the API server does not know who asks: look at the kubeconfig or the ServiceAccount's token";

/// The troubles of the moment, each with what may be done about it.
#[derive(Clone, Debug, Default)]
pub struct Troubles(Arc<Mutex<BTreeMap<String, String>>>);

impl Troubles {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What may be done about this one.
    pub fn about(&self, what: &str) -> Option<String> {
        self.all().get(what).cloned()
    }

    fn set(&self, what: &str, advice: &str) {
        self.all().insert(what.to_owned(), advice.to_owned());
    }

    fn clear(&self, what: &str) {
        self.all().remove(what);
    }
}

/// One thing that may not work.
pub struct Trouble {
    what: String,
    /// What does not work then: `cannot be watched`.
    doing: &'static str,
    shown: Option<Troubles>,
    said: Option<String>,
    failures: u32,
}

impl Trouble {
    /// None yet.
    pub fn new(what: String, doing: &'static str) -> Self {
        Trouble { what, doing, shown: None, said: None, failures: 0 }
    }

    /// Shows it among these, too.
    pub fn shown_in(self, troubles: &Troubles) -> Self {
        Trouble { shown: Some(troubles.clone()), ..self }
    }

    /// It did not work.
    pub fn met(&mut self, error: &str, advice: &str) {
        if self.said.as_deref() != Some(error) {
            let doing = self.doing;
            tracing::warn!(what = self.what, advice, error, "{doing}; tried again until it can");
            self.said = Some(error.to_owned());
            if let Some(troubles) = &self.shown {
                troubles.set(&self.what, advice);
            }
        }
        self.failures = self.failures.saturating_add(1);
    }

    /// Lets time pass before the next try.
    pub async fn pause(&self) {
        let doublings = self.failures.saturating_sub(1).min(16);
        tokio::time::sleep(FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE)).await;
    }

    /// It worked.
    pub fn is_over(&mut self) {
        if self.said.take().is_some() {
            tracing::info!(what = self.what, "works again");
            if let Some(troubles) = &self.shown {
                troubles.clear(&self.what);
            }
        }
        self.failures = 0;
    }
}
