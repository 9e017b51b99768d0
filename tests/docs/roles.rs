//! docs/roles.md: its snippets are read by the types, and its tables are made of the portals in examples/portals.

use portal_operator::api::{
    FirstUser, Grant, GroupSpec, InvitationSpec, PortalSpec, PortalUserSpec, Role, Scoped, TenantSpec,
};
use portal_operator::plan::access::{Given, Loss, Terms, access};
use portal_operator::plan::roles::{Catalogue, covers};
use serde_json::Value;

use super::{read, repository, within};

const DOCUMENT: &str = "docs/roles.md";
const PORTALS: [&str; 5] =
    ["lab-data", "branches-and-groups", "companies-and-partners", "projects", "information-levels"];

fn portal(name: &str) -> PortalSpec {
    let document: Value = serde_saphyr::from_str(&read(&format!("examples/portals/{name}/portal.yaml"))).expect("YAML");
    serde_json::from_value(document["spec"].clone()).expect("a portal")
}

/// What a role gives where it is held: `●` for what it permits by itself, `○` for what it permits together with another
/// role that has what is required.
fn cell(catalogue: &Catalogue, role: &Role, permission: &str) -> &'static str {
    let names = [role.name.clone()];
    let grants = [Grant { scope: "/branch".into(), roles: names.to_vec() }];
    let on_branch = role.scoped == Scoped::Always;
    let given = Given {
        roles: if on_branch { &[] } else { &names },
        grants: if on_branch { &grants } else { &[] },
        groups: &[],
        is_first: false,
        kept: &[],
    };
    let rights = access(catalogue, Terms { ceiling: None, is_partner: true }, given);
    let waits = |loss: &Loss| matches!(loss, Loss::PermissionRequired(name, _) if name == permission);
    if rights.access.iter().flat_map(|line| &line.permissions).any(|p| covers(p, permission)) {
        "●"
    } else if rights.losses.iter().any(waits) {
        "○"
    } else {
        ""
    }
}

/// The rules of giving a role, in words.
fn rules(role: &Role) -> String {
    let mut rules = Vec::new();
    if let Some(set) = &role.exclusive_set {
        rules.push(format!("one of the set `{set}`"));
    }
    match role.first_user {
        Some(FirstUser::Added) => rules.push("falls to the first user who is added".into()),
        Some(FirstUser::Registered) => rules.push("falls to the first user who registers".into()),
        None => {}
    }
    if role.at_least_one {
        rules.push("a tenant keeps at least one".into());
    }
    if let Some(group) = &role.built_in_group {
        rules.push(format!("carried by the built-in group `{group}`"));
    }
    if role.partner_only {
        rules.push("at partners only".into());
    }
    if let Some(other) = &role.acts_as {
        rules.push(format!("acts as `{other}` at the partner's customers"));
    }
    rules.extend(role.requires.iter().map(|other| format!("requires the role `{other}`")));
    rules.join("; ")
}

/// Both tables of a portal.
fn tables(name: &str) -> String {
    let spec = portal(name);
    let catalogue = Catalogue::of(&spec);
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let quoted = |name: &String| format!("`{name}`");
    let roles = spec.roles.iter().map(|r| quoted(&r.name));
    let mut text = row(["Permission".to_owned()].into_iter().chain(roles).chain(["Requires".to_owned()]).collect());
    text += &format!("|---|{}---|\n", ":-:|".repeat(spec.roles.len()));
    for permission in &spec.permissions {
        let title = permission.title.as_ref().unwrap_or(&permission.name);
        let cells = spec.roles.iter().map(|role| cell(&catalogue, role, &permission.name).to_owned());
        let requires = permission.requires.iter().map(quoted).collect::<Vec<_>>().join(", ");
        text += &row([format!("{title} (`{}`)", permission.name)].into_iter().chain(cells).chain([requires]).collect());
    }
    text += "\n| Role | Held | Given and taken by | Rules |\n|---|---|---|---|\n";
    for role in &spec.roles {
        let held = match role.scoped {
            Scoped::Never => "in the whole tenant",
            Scoped::Optional => "in the whole tenant or on a branch",
            Scoped::Always => "on a branch",
        };
        let by = role.assignable_by.iter().map(quoted).collect::<Vec<_>>().join(", ");
        text += &row(vec![quoted(&role.name), held.into(), by, rules(role)]);
    }
    text
}

#[test]
fn the_tables_of_roles_are_those_of_the_examples() {
    let text = read(DOCUMENT);
    let mut rendered = text.clone();
    for name in PORTALS {
        let (begin, end) = (format!("<!-- {name}: written by `make roles` -->\n"), format!("<!-- {name}: end -->\n"));
        let from = rendered.find(&begin).unwrap_or_else(|| panic!("{DOCUMENT} has no {begin}")) + begin.len();
        let to = from + rendered[from..].find(&end).unwrap_or_else(|| panic!("{DOCUMENT} has no {end}"));
        rendered.replace_range(from..to, &format!("\n{}\n", tables(name)));
    }
    if std::env::var_os("WRITE").is_some() {
        std::fs::write(repository(DOCUMENT), &rendered).expect("a file");
        return;
    }
    let differs = rendered.lines().zip(text.lines()).find(|(rendered, written)| rendered != written);
    assert!(rendered == text, "{DOCUMENT} is not what the examples say (run `make roles`): {differs:#?}");
}

#[test]
fn the_snippets_about_roles_are_read_by_the_types_without_a_rest() {
    let text = read(DOCUMENT);
    let blocks: Vec<&str> = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 10, "{} snippets", blocks.len());
    fn again<T: serde::de::DeserializeOwned + serde::Serialize>(spec: &Value) -> Value {
        let read: T = serde_json::from_value(spec.clone()).unwrap_or_else(|error| panic!("{error} in {spec}"));
        serde_json::to_value(read).expect("JSON")
    }
    for block in blocks {
        let documents: Vec<Value> = serde_saphyr::from_multiple(block).unwrap_or_else(|e| panic!("{e}\n{block}"));
        for document in documents {
            let spec = &document["spec"];
            let read = match document["kind"].as_str() {
                Some("Portal") => again::<PortalSpec>(spec),
                Some("Tenant") => again::<TenantSpec>(spec),
                Some("PortalUser") => again::<PortalUserSpec>(spec),
                Some("Group") => again::<GroupSpec>(spec),
                Some("Invitation") => again::<InvitationSpec>(spec),
                // What a status says.
                None if document["status"].is_object() => continue,
                other => panic!("{other:?} is no kind of ours:\n{block}"),
            };
            assert!(within(spec, &read), "{spec} was read as {read}");
        }
    }
}
