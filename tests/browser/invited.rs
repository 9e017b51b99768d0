//! A portal, its tenants, and people who are invited: what the browser is shown.

use portal_operator::api::{Invitation, Tenant};
use serde_json::{Value, json};

use crate::story::{Stage, invitation, mails_to};
use crate::support::cluster::Namespace;
use crate::support::objects::status;
use crate::support::operator::{Launch, Operator};
use crate::support::smtp::{Script, ScriptedRelay};

/// A message of two lines.
pub const MESSAGE: &str = "Great to have you with us!\nYour delivery notes are there already.";

/// A customer as people write it, with somebody to ask. The Portal has a name of its own.
fn portal(page: &str) -> Value {
    json!([
        {"kind": "Portal", "metadata": {"name": "product"}, "spec": {
            "displayName": "Northwind Customer Portal", "locale": "da",
            "permissions": [{"name": "portal.read"}],
            "roles": [{"name": "viewer", "permissions": ["portal.read"]}],
            "signUpURL": format!("{page}sign-up?from=invitation"),
        }},
        {"kind": "Tenant", "metadata": {"name": "globex"}, "spec": {
            "displayName": "Globex Corporation", "portalRef": {"name": "product"},
            "contact": {"name": "Hank Scorpio", "email": "hank@globex.example"},
        }},
        {"kind": "Tenant", "metadata": {"name": "closed"}, "spec": {
            "displayName": "Closed for now", "contact": {"email": "desk@closed.example"},
        }},
        {"kind": "PortalUser", "metadata": {"name": "ada"}, "spec": {
            "tenantRef": {"name": "globex"}, "email": "ada@globex.example", "givenName": "Ada", "familyName": "Lovelace",
        }},
    ])
}

/// The stage with all of this, behind an operator that is started as `launch` says. None: there is no control plane.
pub async fn set(test: &str, launch: impl FnOnce(Launch) -> Launch) -> Option<Stage> {
    let ns = Namespace::new(test).await?;
    let relay = ScriptedRelay::start(Script::default());
    let operator = launch(Operator::in_namespace(&ns).mail_url(relay.url()).identity("one")).start().await;
    let objects = portal(operator.page_url());
    for object in objects.as_array().expect("a list") {
        ns.apply(object.clone()).await;
    }
    Some(Stage { ns, relay, operator })
}

/// Grace is invited to Globex by Ada, with a message.
pub fn grace(name: &str, more: Value) -> Value {
    let email = format!("{name}@globex.example");
    let mut grace = invitation(name, &email, json!({"tenantRef": {"name": "globex"}, "expiresAfter": "14d"}));
    let personal = json!({"givenName": "Grace", "message": MESSAGE, "invitedByRef": {"name": "ada"}});
    for more in [personal, more] {
        grace["spec"].as_object_mut().expect("a spec").extend(more.as_object().expect("an object").clone());
    }
    grace
}

impl Stage {
    /// Where the page is.
    pub fn page(&self) -> String {
        format!("{}invitation", self.operator.page_url())
    }

    /// Applies an invitation and yields its link, once it is sent.
    pub async fn invite(&self, invitation: Value) -> String {
        let name = invitation["metadata"]["name"].as_str().expect("a name").to_owned();
        self.ns.apply(invitation).await;
        self.ns.wait_state::<Invitation>(&name, "Sent").await;
        self.link_of(&name, 1).await
    }

    /// The link of the mail with this number.
    pub async fn link_of(&self, name: &str, number: usize) -> String {
        let mails = mails_to(&self.relay, &format!("{name}@"), number).await;
        format!("{}#{}", self.page(), mails[number - 1].link().token)
    }

    /// Returns when a tenant has counted this many invitations: nothing is left to be written then.
    pub async fn counted(&self, tenant: &str, invited: i64) {
        let counted = |tenant: &Tenant| status(tenant)["users"]["invited"] == invited;
        self.ns.wait::<Tenant>(tenant, format!("{invited} invited"), counted).await;
    }
}
