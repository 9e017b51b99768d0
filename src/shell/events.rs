//! Events: the story for `kubectl describe`. Best effort, paced, and never on the path of a mail.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource, ResourceExt};
use tokio::sync::mpsc;

/// How many Events wait; more are dropped. A crowd's story is told by metrics.
const WAITING: usize = 128;
/// The pause between two Events: a crowd must not double the load of the API server.
const PACE: Duration = Duration::from_millis(100);

/// Tells Events.
#[derive(Clone, Debug)]
pub struct Events(mpsc::Sender<(Event, ObjectReference)>);

impl Events {
    /// A teller, and the task that publishes what it is told.
    pub fn new(client: Client, instance: String) -> (Self, impl Future<Output = ()>) {
        let (sender, mut receiver) = mpsc::channel::<(Event, ObjectReference)>(WAITING);
        let reporter = Reporter { controller: "portal-operator".into(), instance: Some(instance) };
        let publish = async move {
            let recorder = Recorder::new(client, reporter);
            while let Some((event, about)) = receiver.recv().await {
                let told = tokio::time::timeout(super::status::PATIENCE, recorder.publish(&event, &about)).await;
                if let Ok(Err(error)) = told {
                    tracing::debug!(%error, "an Event was not told");
                }
                tokio::time::sleep(PACE).await;
            }
        };
        (Events(sender), publish)
    }

    /// Tells one, or drops it when too many wait.
    pub fn tell<K: Resource<DynamicType = ()>>(&self, about: &K, reason: &str, note: &str, warning: bool) {
        let event = Event {
            type_: if warning { EventType::Warning } else { EventType::Normal },
            reason: reason.to_owned(),
            note: Some(note.chars().take(1000).collect()),
            action: "Reconcile".into(),
            secondary: None,
        };
        // A full channel drops the Event, on purpose.
        let _ = self.0.try_send((event, about.object_ref(&())));
        tracing::info!(kind = %K::kind(&()), name = about.name_any(), reason, "told");
    }
}
