//! What the tests of a tenant's story have in common: a namespace, a relay, an operator, and a few words.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use portal_operator::api::Invitation;
use serde_json::{Value, json};

use crate::support::cluster::Namespace;
use crate::support::mail::Mail;
use crate::support::operator::Operator;
use crate::support::smtp::{Script, ScriptedRelay};
use crate::support::{PATIENCE, now};

/// A tenant without anything special.
pub const ACME: &str = "{kind: Tenant, metadata: {name: acme}, spec: {displayName: ACME}}";

/// A namespace with a relay and one operator that mails by it. None: there is no control plane.
pub struct Stage {
    pub ns: Namespace,
    pub relay: ScriptedRelay,
    pub operator: Operator,
}

impl Stage {
    /// Everything started, and the tenant `acme`.
    pub async fn set(test: &str, script: Script) -> Option<Stage> {
        let ns = Namespace::new(test).await?;
        let relay = ScriptedRelay::start(script);
        let operator = Operator::in_namespace(&ns).mail_url(relay.url()).identity("one").start().await;
        ns.apply(ACME).await;
        Some(Stage { ns, relay, operator })
    }

    /// The only mail to this address, once it is there.
    pub async fn mail_to(&self, address: &str) -> Mail {
        let mut mails = self.mails_to(address, 1).await;
        mails.remove(0)
    }

    /// This many mails to this address, once they are there.
    pub async fn mails_to(&self, address: &str, count: usize) -> Vec<Mail> {
        mails_to(&self.relay, address, count).await
    }

    /// The token of the only mail to this address.
    pub async fn token_of(&self, address: &str) -> String {
        self.mail_to(address).await.link().token
    }
}

/// This many mails to this address, once they are there.
pub async fn mails_to(relay: &ScriptedRelay, address: &str, count: usize) -> Vec<Mail> {
    crate::support::until(format!("{count} mails to {address}"), PATIENCE, || async {
        let mails: Vec<Mail> = relay
            .mails()
            .iter()
            .filter(|m| m.to.iter().any(|to| to.contains(address)))
            .map(|m| Mail::parse(&m.bytes))
            .collect();
        if mails.len() >= count { Ok(mails) } else { Err(format!("{} mails", mails.len())) }
    })
    .await
}

/// An invitation of this address into `acme`, with more of its spec.
pub fn invitation(name: &str, email: &str, more: Value) -> Value {
    let mut spec = json!({"tenantRef": {"name": "acme"}, "email": email});
    if let (Some(spec), Some(more)) = (spec.as_object_mut(), more.as_object()) {
        spec.extend(more.clone());
    }
    json!({"kind": "Invitation", "metadata": {"name": name}, "spec": spec})
}

/// A user of `acme`, with more of its spec.
pub fn user(name: &str, email: &str, more: Value) -> Value {
    let mut user = invitation(name, email, more);
    user["kind"] = json!("PortalUser");
    user
}

/// This many seconds from now.
pub fn seconds_from_now(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

/// A stretch in which nothing may happen. The only sleep of the suite: an absence has no event to wait for.
pub async fn while_nothing_happens(time: Duration) {
    tokio::time::sleep(time).await;
}

/// A time of a status, as it stands there.
pub fn time_of(
    invitation: &Invitation,
    pick: fn(&portal_operator::api::InvitationStatus) -> &Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>,
) -> Timestamp {
    let status = invitation.status.as_ref().expect("a status");
    pick(status).as_ref().expect("a time").0
}
