//! Every way round by which somebody who may give `viewer` only could become owner, or make the owner go.

use portal_operator::api::{Group, Invitation, PortalUser, Tenant, marks};
use serde_json::{Value, json};

use crate::installation::Installation;
use crate::people::{Person, Verdict, allowed, on, refused};
use crate::story::{invitation, user};
use crate::support::cluster::Namespace;

/// A customer with an owner, a built-in group, and an invitation to be another owner.
async fn acme(ns: &Namespace) {
    ns.apply(
        json!({"kind": "Tenant", "metadata": {"name": "acme"}, "spec": {"ceiling": {"permissions": ["devices.read"]}}}),
    )
    .await;
    ns.apply(user("ada", "ada@acme.example", json!({"roles": ["owner"]}))).await;
    ns.apply(user("eve", "eve@acme.example", json!({"roles": ["viewer"], "groups": ["ghosts"]}))).await;
    ns.apply(json!({"kind": "Group", "metadata": {"name": "team"}, "spec": {"tenantRef": {"name": "acme"}, "roles": ["viewer"]}})).await;
    ns.apply(json!({"kind": "Group", "metadata": {"name": "acme.administrators", "labels": {marks::MADE_BY: "acme"}},
        "spec": {"tenantRef": {"name": "acme"}}}))
        .await;
    // The first user is owner by being first: no spec says so.
    ns.apply(user("first", "first@acme.example", json!({}))).await;
    ns.merge_status::<PortalUser>("first", json!({"status": {"firstUserOf": ["owner"]}})).await;
    let offer = json!({"roles": ["owner"], "invitedByRef": {"name": "eve"}, "revoked": true, "notAfter": "2027-01-01T00:00:00Z"});
    ns.apply(invitation("offer", "olga@acme.example", offer)).await;
    ns.apply(invitation("eve", "eve@acme.example", json!({"roles": ["viewer"]}))).await;
}

const ROLE: &str = "you may not give or take the role owner";
const MEMBER: &str = "you may not give or take the group administrators";
const MARK: &str = "are the operator's: leave them alone";
const NAME: &str = "names with a dot belong to the operator";
const MEANING: &str = "decide what all its roles come to";

/// What somebody tries, and the words that stop them.
async fn try_all(person: &Person<'_>, judge: impl Fn(&str, Verdict, &str)) {
    let owner = json!({"roles": ["owner"]});
    let branch = json!({"grants": [{"scope": "/", "roles": ["viewer", "owner"]}]});
    let member = json!({"groups": ["administrators"]});
    // Objects that give it.
    let new = |kind: &str, more: &Value| {
        let mut object = invitation("new", "eve@acme.example", more.clone());
        object["kind"] = json!(kind);
        if kind == "Group" {
            object["spec"].as_object_mut().expect("a spec").remove("email");
        }
        object
    };
    for (kind, more, words) in [
        ("PortalUser", &owner, ROLE),
        ("PortalUser", &branch, ROLE),
        ("PortalUser", &member, MEMBER),
        ("Invitation", &owner, ROLE),
        ("Invitation", &branch, ROLE),
        ("Invitation", &member, MEMBER),
        ("Group", &owner, ROLE),
        ("Group", &branch, ROLE),
    ] {
        judge(&format!("a new {kind} with {more}"), person.creates(&new(kind, more)).await, words);
    }
    let mut ghosts = new("Group", &owner);
    ghosts["metadata"]["name"] = json!("ghosts");
    judge("the group that users name already", person.creates(&ghosts).await, ROLE);
    // Objects that are there.
    for (kind, name, more, words) in [
        ("PortalUser", "eve", &owner, ROLE),
        ("PortalUser", "eve", &branch, ROLE),
        ("PortalUser", "eve", &member, MEMBER),
        ("Invitation", "eve", &owner, ROLE),
        ("Invitation", "eve", &branch, ROLE),
        ("Invitation", "eve", &member, MEMBER),
        ("Group", "team", &owner, ROLE),
        ("Group", "team", &branch, ROLE),
    ] {
        judge(&format!("{kind} {name} with {more}"), person.changes_spec(kind, name, more.clone()).await, words);
    }
    // Somebody else's roles, by becoming them, or by making them go.
    for change in [
        json!({"email": "eve@acme.example"}),
        json!({"state": "Suspended"}),
        json!({"state": "Deleted"}),
        json!({"homeTenantRef": {"name": "contoso"}}),
        json!({"roles": ["viewer"]}),
    ] {
        judge(&format!("the owner with {change}"), person.changes_spec("PortalUser", "ada", change).await, ROLE);
    }
    for change in [json!({"email": "eve@acme.example"}), json!({"state": "Suspended"})] {
        judge(&format!("the first user with {change}"), person.changes_spec("PortalUser", "first", change).await, ROLE);
    }
    judge("deleting the first user", person.deletes("PortalUser", "first").await, ROLE);
    judge("deleting the owner", person.deletes("PortalUser", "ada").await, ROLE);
    judge("deleting all users", person.deletes_all("PortalUser").await, "you may not give or take");
    let orphan = json!({"metadata": {"ownerReferences": [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "00000000-0000-4000-8000-000000000000"}]}});
    judge("an owner reference to nothing", person.changes("PortalUser", "ada", orphan.clone()).await, ROLE);
    // An offer to be owner, made alive again or taken elsewhere.
    for change in [
        json!({"revoked": false}),
        json!({"sendAt": "2026-12-01T09:00:00Z"}),
        json!({"delivery": "Link"}),
        json!({"notAfter": null}),
        json!({"invitedByRef": null}),
        json!({"homeTenantRef": {"name": "contoso"}}),
    ] {
        judge(&format!("the offer with {change}"), person.changes_spec("Invitation", "offer", change).await, ROLE);
    }
    // Facts by hand.
    let mark = |key: &str, value: &str| json!({"metadata": {"annotations": {key: value}}});
    let confirmed = r#"{"email":"eve@acme.example","time":"2026-01-01T00:00:00Z"}"#;
    judge("a confirmed address", person.changes("PortalUser", "eve", mark(marks::REGISTERED, confirmed)).await, MARK);
    judge("the first user", person.changes("Tenant", "acme", mark(marks::FIRST_USER, "eve")).await, MARK);
    judge(
        "who declined",
        person.changes("Invitation", "offer", mark(marks::DECLINED, "2026-01-01T00:00:00Z")).await,
        MARK,
    );
    let mut born = new("PortalUser", &json!({"roles": ["viewer"]}));
    born["metadata"]["annotations"] = json!({marks::REGISTERED: confirmed});
    judge("born with a confirmed address", person.creates(&born).await, MARK);
    // The operator's names.
    for (kind, name) in [("PortalUser", "acme.eve-0123"), ("Invitation", "ada.invite"), ("Group", "acme.owners")] {
        let mut object = new(kind, &json!({}));
        object["metadata"] = json!({"name": name, "labels": {marks::MADE_BY: "acme"}});
        judge(name, person.creates(&object).await, NAME);
    }
    let mut generated = new("PortalUser", &json!({}));
    generated["metadata"] = json!({"generateName": "acme.eve-"});
    judge("a name made by the API server", person.creates(&generated).await, NAME);
    // What the role comes to.
    for change in [
        json!({"portalRef": {"name": "where-viewers-do-all"}}),
        json!({"ceiling": null}),
        json!({"partnerRefs": [{"name": "contoso"}]}),
        json!({"type": "Partner"}),
    ] {
        judge(&format!("the tenant with {change}"), person.changes_spec("Tenant", "acme", change).await, MEANING);
    }
    judge("a tenant given to another owner", person.changes("Tenant", "acme", orphan).await, MEANING);
    judge("a deleted tenant", person.deletes("Tenant", "acme").await, "takes the roles of all its users");
}

#[tokio::test]
async fn whoever_may_assign_viewer_only_finds_no_way_to_be_owner() {
    let Some(installation) = Installation::strict().await else { return };
    let Some(ns) = installation.guard("ways-round").await else { return };
    acme(&ns).await;
    let rules = [
        on("tenants", "manage", &["acme"]),
        on("roles", "assign", &["viewer"]),
        on("groups", "assign", &["team", "ghosts"]),
    ];
    let people = [
        Person::named("eve@elsewhere.example", &ns).await.may(&rules).await,
        Person::robot("eve", &ns).await.may(&rules).await,
    ];
    for person in &people {
        try_all(person, |what, verdict, words| {
            assert!(verdict.is_err(), "{what}: allowed");
            refused(verdict, words);
        })
        .await;
        // Built-in groups are nobody's.
        let words = "built-in groups are the operator's and cannot be changed";
        refused(person.changes_spec("Group", "acme.administrators", json!({"roles": ["viewer"]})).await, words);
        // What they may is left to them.
        allowed(
            person.creates(&user("new", "new@acme.example", json!({"roles": ["viewer"], "groups": ["team"]}))).await,
        );
        allowed(person.changes_spec("PortalUser", "ada", json!({"phone": "1"})).await);
        allowed(person.changes_spec("Invitation", "offer", json!({"message": "See you"})).await);
        allowed(person.deletes("Invitation", "offer").await);
        allowed(person.changes_spec("Tenant", "acme", json!({"displayName": "ACME"})).await);
    }
    // Each of them is a way, for those who may: nothing else stood in it.
    let rules = [
        on("tenants", "manage", &[]),
        on("tenants", "register", &[]),
        on("roles", "assign", &[]),
        on("groups", "assign", &[]),
    ];
    let everything = Person::robot("everything", &ns).await.may(&rules).await;
    let skip = ["deleting all users"]; // the built-in group's, below
    try_all(&everything, |what, verdict, _| {
        assert!(skip.contains(&what) || verdict.is_ok(), "{what}: {verdict:?}");
    })
    .await;
    // Nothing was changed by all of that.
    assert_eq!(ns.get::<PortalUser>("ada").await.spec.roles, ["owner"]);
    assert_eq!(
        (ns.list::<Group>().await.len(), ns.list::<Invitation>().await.len(), ns.list::<Tenant>().await.len()),
        (2, 2, 1)
    );
}

#[tokio::test]
async fn neither_status_nor_rights_can_be_taken_instead() {
    let Some(installation) = Installation::strict().await else { return };
    let Some(ns) = installation.guard("rights").await else { return };
    acme(&ns).await;
    let make_roles =
        json!({"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["create", "patch"]});
    let rules = [on("tenants", "manage", &["acme"]), on("roles", "assign", &["viewer"]), make_roles];
    let eve = Person::named("eve@elsewhere.example", &ns).await.may(&rules).await;
    // Status has no policy: the right to write it belongs to the operator and to restores.
    let registered =
        json!({"status": {"registeredEmail": "eve@acme.example", "registeredTime": "2026-01-01T00:00:00Z"}});
    let said = eve.changes_status("PortalUser", "eve", registered).await.expect_err("status is written");
    assert!(said.contains("portalusers/status"), "{said}");
    // RBAC hands on only what somebody has, virtual verbs included.
    let role = |names: &[&str]| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "mine", "namespace": ns.name()},
            "rules": [on("roles", "assign", names)]})
    };
    allowed(eve.makes_role(&role(&["viewer"])).await);
    for names in [&["owner"][..], &[]] {
        let said = eve.makes_role(&role(names)).await.expect_err("a role beyond their own was made");
        assert!(said.contains("attempting to grant RBAC permissions not currently held"), "{said}");
    }
}
