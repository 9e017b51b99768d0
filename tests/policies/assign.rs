//! The verb `assign` on roles and groups: one check for each name that is given or taken.

use serde_json::{Value, json};

use crate::installation::Installation;
use crate::people::{Person, allowed, on, refused};
use crate::story::{invitation, user};

fn roles(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("role-{n:02}")).collect()
}

fn names(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

fn group(name: &str, more: Value) -> Value {
    let mut group = user(name, "", more);
    group["kind"] = json!("Group");
    group["spec"].as_object_mut().expect("a spec").remove("email");
    group
}

#[tokio::test]
async fn who_may_assign_a_role_gives_and_takes_it_and_no_other() {
    let Some(installation) = Installation::strict().await else { return };
    let Some(ns) = installation.guard("assign").await else { return };
    ns.apply(user("ada", "ada@acme.example", json!({"roles": ["owner"]}))).await;
    ns.apply(user("grace", "grace@acme.example", json!({"roles": ["viewer"], "groups": ["team"]}))).await;
    ns.apply(group("team", json!({"roles": ["viewer"]}))).await;
    ns.apply(group("chiefs", json!({"roles": ["owner"]}))).await;
    let rules = [
        on("tenants", "manage", &["acme"]),
        on("roles", "assign", &["viewer", "editor"]),
        on("groups", "assign", &["team"]),
    ];
    let people = [
        Person::named("clerk@example.com", &ns).await.may(&rules).await,
        Person::robot("clerk", &ns).await.may(&rules).await,
    ];
    let words = "you may not give or take the role owner; it takes the verb assign on roles.portal-operator.dev \"owner\" in namespace assign-";
    let of_groups = "you may not give or take the group chiefs; it takes the verb assign on groups.portal-operator.dev \"chiefs\" in namespace assign-";
    for person in &people {
        // Given and taken by name; what stays is nobody's business.
        allowed(person.changes_spec("PortalUser", "grace", json!({"roles": ["editor"]})).await);
        allowed(person.changes_spec("PortalUser", "ada", json!({"roles": ["owner", "viewer"]})).await);
        allowed(person.changes_spec("PortalUser", "ada", json!({"familyName": "Lovelace"})).await);
        refused(person.changes_spec("PortalUser", "ada", json!({"roles": ["viewer"]})).await, words);
        refused(person.changes_spec("PortalUser", "ada", json!({"roles": null})).await, words);
        allowed(person.deletes("PortalUser", "grace").await);
        refused(person.deletes("PortalUser", "ada").await, words);
        // Membership has its own names.
        allowed(person.changes_spec("PortalUser", "ada", json!({"groups": ["team"]})).await);
        allowed(person.changes_spec("PortalUser", "grace", json!({"groups": []})).await);
        refused(person.changes_spec("PortalUser", "grace", json!({"groups": ["team", "chiefs"]})).await, of_groups);
        for kind in [user, invitation] {
            allowed(
                person
                    .creates(&kind("new", "new@acme.example", json!({"roles": ["viewer"], "groups": ["team"]})))
                    .await,
            );
            refused(
                person.creates(&kind("new", "new@acme.example", json!({"roles": ["viewer", "owner"]}))).await,
                words,
            );
            refused(person.creates(&kind("new", "new@acme.example", json!({"groups": ["chiefs"]}))).await, of_groups);
        }
        // Groups: what they carry is given to their members and taken with them.
        allowed(person.changes_spec("Group", "team", json!({"roles": ["viewer", "editor"]})).await);
        allowed(person.changes_spec("Group", "chiefs", json!({"displayName": "Chiefs"})).await);
        allowed(person.deletes("Group", "team").await);
        refused(person.changes_spec("Group", "team", json!({"roles": ["owner"]})).await, words);
        refused(person.changes_spec("Group", "chiefs", json!({"roles": []})).await, words);
        refused(person.deletes("Group", "chiefs").await, words);
        refused(person.creates(&group("new", json!({"roles": ["owner"]}))).await, words);
    }
    let all = [on("tenants", "manage", &[]), on("roles", "assign", &[]), on("groups", "assign", &[])];
    let gitops = Person::robot("gitops", &ns).await.may(&all).await;
    allowed(gitops.changes_spec("PortalUser", "ada", json!({"roles": ["viewer"], "groups": ["chiefs"]})).await);
    allowed(gitops.deletes("PortalUser", "ada").await);
    allowed(gitops.deletes("Group", "chiefs").await);
    allowed(gitops.creates(&user("new", "new@acme.example", json!({"roles": ["owner"], "groups": ["chiefs"]}))).await);
}

#[tokio::test]
async fn the_cost_limit_holds_sixteen_changed_roles_and_all_that_a_portal_has() {
    let Some(installation) = Installation::strict().await else { return };
    let Some(ns) = installation.guard("cost-limit").await else { return };
    let all = roles(0..40);
    // Each by its name: nothing short-circuits.
    let rules = [
        on("tenants", "manage", &["acme"]),
        on("roles", "assign", &names(&all[..39])),
        on("groups", "assign", &names(&all[..20])),
    ];
    let clerk = Person::named("clerk@example.com", &ns).await.may(&rules).await;
    let with = |list: &[String]| user("ada", "ada@acme.example", json!({ "roles": list }));
    allowed(clerk.creates(&with(&all[..16])).await);
    allowed(clerk.creates(&with(&all[..32])).await);
    // The last of sixteen, of thirty-two, and all at once are found by name.
    for count in [16, 32] {
        let list: Vec<String> = all[..count - 1].iter().cloned().chain(["owner".to_owned()]).collect();
        refused(clerk.creates(&with(&list)).await, "you may not give or take the role owner");
    }
    let nobody = Person::named("nobody@example.com", &ns).await.may(&[on("tenants", "manage", &["acme"])]).await;
    refused(nobody.creates(&with(&all[..32])).await, "you may not give or take the role role-");

    // Sixteen taken and sixteen given, in lists and in grants.
    ns.apply(with(&all[..16])).await;
    allowed(clerk.changes_spec("PortalUser", "ada", json!({"roles": all[16..32]})).await);
    let grants: Vec<Value> =
        (0..32).map(|n| json!({"scope": format!("/b{n}"), "roles": all[16 + (n % 4) * 4..20 + (n % 4) * 4]})).collect();
    allowed(clerk.changes_spec("PortalUser", "ada", json!({"roles": [], "grants": grants})).await);
    // The largest user that there can be goes to another address: 160 lines of roles, 48 names.
    ns.apply(user("max", "max@acme.example", json!({"roles": all[..32], "grants": grants, "groups": all[..16]}))).await;
    allowed(clerk.changes_spec("PortalUser", "max", json!({"email": "moritz@acme.example"})).await);
    allowed(clerk.deletes("PortalUser", "max").await);
    refused(nobody.deletes("PortalUser", "max").await, "you may not give or take the");

    // A grant has four places, and each is looked at.
    for place in 0..4 {
        let mut four = all[..4].to_vec();
        four[place] = "owner".to_owned();
        let granted = user("new", "new@acme.example", json!({"grants": [{"scope": "/x", "roles": four}]}));
        refused(clerk.creates(&granted).await, "you may not give or take the role owner");
    }

    // More names than a portal has roles are too many, unless all may be assigned.
    let many = json!({"roles": all[..32], "grants": [{"scope": "/x", "roles": all[32..36]}]});
    let many = user("many", "many@acme.example", many);
    refused(clerk.creates(&many).await, "more than 32 roles change hands in one write");
    let gitops =
        Person::robot("gitops", &ns).await.may(&[on("tenants", "manage", &[]), on("roles", "assign", &[])]).await;
    allowed(gitops.creates(&many).await);
}

#[tokio::test]
async fn nobody_changes_their_own_roles() {
    let Some(installation) = Installation::strict().await else { return };
    let Some(ns) = installation.guard("own-roles").await else { return };
    ns.apply(user("ada", "Ada@Acme.example", json!({"roles": ["viewer"], "groups": ["team"]}))).await;
    ns.apply(user("grace", "grace@acme.example", json!({"roles": ["viewer"]}))).await;
    ns.apply(user("anna", "Änna@acme.example", json!({"roles": ["viewer"]}))).await;
    let all = [on("tenants", "manage", &[]), on("roles", "assign", &[]), on("groups", "assign", &[])];
    let words = "nobody changes their own roles and groups";
    for name in ["ada@acme.example", "ADA@ACME.EXAMPLE"] {
        let ada = Person::named(name, &ns).await.may(&all).await;
        refused(ada.changes_spec("PortalUser", "ada", json!({"roles": ["owner"]})).await, words);
        refused(ada.changes_spec("PortalUser", "ada", json!({"groups": ["team", "chiefs"]})).await, words);
        refused(
            ada.changes_spec("PortalUser", "ada", json!({"grants": [{"scope": "/", "roles": ["owner"]}]})).await,
            words,
        );
        refused(ada.changes_spec("PortalUser", "ada", json!({"email": "ada@contoso.example"})).await, words);
        refused(ada.deletes("PortalUser", "ada").await, words);
        // Another account of the same person, and one that becomes theirs.
        let second = json!({"roles": ["owner"]});
        refused(ada.creates(&user("second", "ADA@acme.example", second.clone())).await, words);
        refused(ada.creates(&invitation("second", " ada@acme.example ", second)).await, words);
        refused(ada.changes_spec("PortalUser", "grace", json!({"email": "ada@acme.example"})).await, words);
        // What is no right, and what is others'.
        allowed(ada.changes_spec("PortalUser", "ada", json!({"phone": "+44 20 7946 0000"})).await);
        allowed(ada.changes_spec("PortalUser", "grace", json!({"roles": ["owner"]})).await);
    }
    let anna = Person::named("änna@acme.example", &ns).await.may(&all).await;
    refused(anna.changes_spec("PortalUser", "anna", json!({"roles": ["owner"]})).await, words);
    let other = Person::named("xada@acme.example", &ns).await.may(&all).await;
    allowed(other.changes_spec("PortalUser", "ada", json!({"roles": ["owner"]})).await);
    let robot = Person::robot("gitops", &ns).await.may(&all).await;
    allowed(robot.changes_spec("PortalUser", "ada", json!({"roles": ["owner"]})).await);
}

#[tokio::test]
async fn people_whose_names_have_a_prefix_are_known_and_exempt_ones_are_asked_nothing() {
    let Some(installation) = Installation::lenient().await else { return };
    let Some(ns) = installation.guard("prefix").await else { return };
    ns.apply(user("ada", "ada@acme.example", json!({"roles": ["viewer"]}))).await;
    let all = [on("tenants", "manage", &[]), on("roles", "assign", &[]), on("groups", "assign", &[])];
    let change = json!({"roles": ["owner"]});
    let ada = Person::named("oidc:Ada@acme.example", &ns).await.may(&all).await;
    refused(ada.changes_spec("PortalUser", "ada", change.clone()).await, "nobody changes their own roles and groups");
    let another = Person::named("ada@acme.example", &ns).await.may(&all).await;
    allowed(another.changes_spec("PortalUser", "ada", change.clone()).await);
    let exempt = Person::named("oidc:break-glass@example.com", &ns).await.may(&[]).await;
    allowed(exempt.changes_spec("PortalUser", "ada", change.clone()).await);
    let not_exempt = Person::named("break-glass@example.com", &ns).await.may(&[]).await;
    refused(not_exempt.changes_spec("PortalUser", "ada", change).await, "you may not");
}
