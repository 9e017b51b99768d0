//! Who may do what: the commands say what the operator writes into statuses, and why.

use portal_operator::api::PortalUser;
use serde_json::{Value, json};

use super::Hand;
use crate::stagecraft::{in_tenant, member, with};
use crate::story::{Stage, user};
use crate::support::smtp::Script;

const PORTAL: &str = r#"
kind: Portal
metadata: {name: product}
spec:
  permissions:
  - {name: devices.read}
  - {name: devices.write, requires: [devices.read]}
  - {name: reports.read, requires: [devices.read]}
  - {name: billing.read}
  roles:
  - {name: admin, permissions: ["*"], scoped: Never, actsAs: editor}
  - {name: editor, permissions: [devices.*], exclusiveSet: level}
  - {name: viewer, permissions: [devices.read], exclusiveSet: level}
  - {name: reporter, permissions: [reports.read]}
"#;

#[tokio::test]
async fn access_is_told_as_the_operator_sees_it() {
    let Some(stage) = Stage::set("access", Script::default()).await else { return };
    let (ns, hand) = (&stage.ns, Hand::of(&stage.ns));
    ns.apply(PORTAL).await;
    ns.apply(json!({"kind": "Tenant", "metadata": {"name": "contoso"}, "spec": {"type": "Partner", "portalRef": {"name": "product"}}})).await;
    ns.apply(json!({"kind": "Tenant", "metadata": {"name": "acme"}, "spec": {"portalRef": {"name": "product"},
        "partnerRefs": [{"name": "contoso"}], "ceiling": {"permissions": ["devices.*", "reports.read"]}}}))
        .await;
    ns.apply(json!({"kind": "Group", "metadata": {"name": "team"}, "spec": {"tenantRef": {"name": "acme"},
        "grants": [{"scope": "/london", "roles": ["editor"]}]}}))
        .await;
    let of = |name: &str, more: Value| member(name, &format!("{name}@acme.example"), more);
    ns.apply(of("ada", json!({"roles": ["admin"]}))).await;
    ns.apply(of("grace", json!({"roles": ["viewer"], "groups": ["team"]}))).await;
    ns.apply(of("alan", json!({"roles": ["reporter"]}))).await;
    ns.apply(of("mary", json!({"roles": ["editor", "viewer"], "state": "Suspended"}))).await;
    ns.apply(user("ida", "ida@acme.example", json!({"roles": ["editor"]}))).await;
    ns.apply(in_tenant(of("xenia", json!({"roles": ["admin"]})), "contoso")).await;
    ns.all_looked_at::<PortalUser>().await;

    // What is computed is what the operator wrote.
    for name in ["ada", "grace", "alan", "mary", "ida", "xenia"] {
        let said: Value = serde_json::from_str(&hand.prints(&["access", name, "-o", "json"]).await).expect("JSON");
        let user = serde_json::to_value(ns.get::<PortalUser>(name).await.status).expect("JSON");
        let written = if user["access"].is_null() { json!([]) } else { user["access"].clone() };
        assert_eq!(said["access"], written, "{name}");
    }
    let table = hand.prints(&["access", "Grace@acme.example"]).await;
    assert!(table.starts_with("grace (grace@acme.example) in acme: Granted: "), "{table}");
    assert!(table.contains("/london   devices.*"), "{table}");

    // Who can.
    let who = async |arguments: &[&str]| {
        let said = hand.prints(&[&["who-can"], arguments, &["-o", "json"]].concat()).await;
        let found: Vec<Value> = serde_json::from_str(&said).expect("JSON");
        let line = |one: &Value| {
            format!(
                "{} {} {}",
                one["user"].as_str().unwrap(),
                one["scope"].as_str().unwrap(),
                one["via"][0].as_str().unwrap()
            )
        };
        found.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(
        who(&["devices.write", "-t", "acme"]).await,
        ["ada / role:admin", "grace /london group:team/editor", "xenia / actsAs:editor"]
    );
    assert_eq!(
        who(&["devices.write", "-t", "acme", "--scope", "/paris"]).await,
        ["ada / role:admin", "xenia / actsAs:editor"]
    );
    assert_eq!(who(&["devices.write", "-t", "acme", "--scope", "/london/floor-1"]).await.len(), 3);
    assert_eq!(who(&["billing.read", "-t", "acme"]).await, [""; 0], "above the ceiling");
    assert_eq!(who(&["billing.read"]).await, ["xenia / role:admin"]);
    let unknown = hand.says(&["who-can", "devices.fly", "-t", "acme"]).await;
    assert!(unknown.code == 1 && unknown.err.contains("declares no permission \"devices.fly\""), "{unknown:?}");

    // Why, and why not.
    for (arguments, code, words) in [
        (&["ada", "devices.write"][..], 0, "role admin, which the user has (on /)"),
        (&["grace", "devices.write", "--scope", "/london/floor-1"], 0, "role editor, by group team (on /london)"),
        (&["grace", "devices.write"], 1, "it is given on /london only"),
        (&["grace", "devices.write"], 1, "roles that give it: admin, editor"),
        (&["alan", "reports.read"], 1, "withheld: reports.read (requires devices.read)"),
        (&["ada", "billing.read"], 1, "the ceiling of tenant \"acme\" does not hold it"),
        (&["mary", "devices.write"], 1, "The user is suspended."),
        (&["mary", "devices.write"], 1, "it would come from role editor"),
        (&["ida", "devices.write"], 1, "not confirmed"),
    ] {
        let said = hand.says(&[&["why"], arguments].concat()).await;
        assert!(said.code == code && said.out.contains(words), "{arguments:?}: {words}: {said:?}");
    }
    ns.apply(with(of("grace", json!({"roles": ["editor", "viewer"]})), json!({"groups": null}))).await;
    let said = hand.says(&["why", "grace", "devices.fly"]).await;
    assert!(said.code == 1 && said.err.contains("declares no permission"), "{said:?}");
    let nobody = hand.says(&["access", "nobody"]).await;
    assert!(nobody.code == 1 && nobody.err.contains("there is no PortalUser \"nobody\""), "{nobody:?}");
}
