//! `portal-operator lint` finds what is wrong with the files of a repository, and nothing else.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// One mistake: in this file of the examples, instead of this text, that one. It is found by this rule, in the line that
/// holds these words.
struct Seed(&'static str, &'static str, &'static str, &'static str, &'static str);

const QUICKSTART: &str = "quickstart.yaml";
const PARTNERS: &str = "portals/companies-and-partners/customers.yaml";
const PARTNERS_PORTAL: &str = "portals/companies-and-partners/portal.yaml";
const PROJECTS: &str = "portals/projects/customers.yaml";
const LAB: &str = "portals/lab-data/customers.yaml";
const LAB_PORTAL: &str = "portals/lab-data/portal.yaml";
const BRANCHES: &str = "portals/branches-and-groups/customers.yaml";
const LEVELS_PORTAL: &str = "portals/information-levels/portal.yaml";

#[rustfmt::skip]
const SEEDS: &[Seed] = &[
    // What is no object of ours.
    Seed(QUICKSTART, "kind: Group\nmetadata: {name: london-team}", "kind: Group\nkind: Group\nmetadata: {name: london-team}", "yaml", "kind: Group\nmetadata: {name: london-team}"),
    Seed(QUICKSTART, "  displayName: London Team", "  displayName: London: Team", "yaml", "London: Team"),
    Seed(QUICKSTART, "kind: PortalUser", "kind: PortalUsers", "kind-unknown", "kind: PortalUsers"),
    Seed(QUICKSTART, "portal-operator.dev/v1alpha1\nkind: Invitation", "portal-operator.dev/v1\nkind: Invitation", "kind-unknown", "portal-operator.dev/v1\n"),
    // Names.
    Seed(QUICKSTART, "metadata: {name: ada}", "metadata: {generateName: ada-}", "name-missing", "generateName"),
    Seed(QUICKSTART, "metadata: {name: ada}", "metadata: {name: Ada}", "name-invalid", "name: Ada}"),
    Seed(QUICKSTART, "metadata: {name: grace}", "metadata: {name: grace.hopper}", "name-dot", "grace.hopper"),
    Seed(QUICKSTART, "metadata: {name: acme}", "metadata: {name: acme.example}", "schema-rule", "name: acme.example"),
    Seed(PARTNERS, "metadata: {name: daniel}", "metadata: {name: ada} # again", "name-duplicate", "# again"),
    Seed(BRANCHES, "metadata: {name: everybody}", "metadata: {name: every.body}", "name-reserved", "name: every.body"),
    Seed(BRANCHES, "metadata: {name: everybody}\nspec:\n  tenantRef: {name: ", "metadata: {name: every.body}\nspec:\n  tenantRef: {name: no-", "name-reserved", "name: every.body"),
    Seed(BRANCHES, "metadata: {name: everybody}", "metadata: {name: administrators}", "name-reserved", "metadata: {name: administrators}"),
    // The schema.
    Seed(QUICKSTART, "  expiresAfter: 14d", "  expireAfter: 14d", "schema-unknown-field", "expireAfter"),
    Seed(QUICKSTART, "tenantRef: {name: acme}\n  email: grace", "tenantRef: {name: acme, namespace: acme}\n  email: grace", "schema-unknown-field", "namespace: acme"),
    Seed(QUICKSTART, "  email: ada@acme.example\n  givenName", "  givenName", "schema-required", "spec:\n  tenantRef: {name: acme}\n  givenName: Ada"),
    Seed(QUICKSTART, "userLimit: 50", "userLimit: \"50\"", "schema-type", "userLimit"),
    Seed(QUICKSTART, "userLimit: 50", "userLimit: -1", "schema-range", "userLimit"),
    Seed(QUICKSTART, "  userLimit: 50", "  portalActive: \"yes\"", "schema-type", "portalActive"),
    Seed(QUICKSTART, "url: https://acme", "url: http://acme", "schema-pattern", "url: http"),
    Seed(QUICKSTART, "familyName: Hopper", "familyName: \"Hopper\\r\\nBcc: all@acme.example\"", "schema-pattern", "Bcc"),
    Seed(QUICKSTART, "expiresAfter: 14d", "expiresAfter: 4m", "schema-rule", "expiresAfter"),
    Seed(QUICKSTART, "expiresAfter: 14d", "expiresAfter: 2 weeks", "schema-format", "expiresAfter"),
    Seed(QUICKSTART, "expiresAfter: 14d", "sendAt: \"2027-02-30T09:00:00Z\"", "schema-format", "sendAt"),
    Seed(QUICKSTART, "  userLimit: 50", "  workloads:\n  - &w {apiVersion: apps/v1, kind: Deployment, name: web}\n  - *w", "schema-rule", "- *w"),
    Seed(PROJECTS, "delivery: Link", "delivery: Pigeon", "schema-enum", "delivery"),
    Seed(PROJECTS, "  roles: [admin]\n", "  roles: [admin, member, admin]\n", "schema-rule", "[admin, member, admin]"),
    Seed(PROJECTS, "{scope: /projects/gemini, roles: [editor]}", "{scope: /projects/gemini, roles: []}", "schema-items", "/projects/gemini"),
    Seed(PROJECTS, "{scope: /projects/gemini, roles", "{scope: projects/gemini, roles", "schema-pattern", "scope: projects/gemini"),
    Seed(LAB_PORTAL, "[view-data]", "[see-data]", "schema-rule", "[see-data]"),
    Seed(LAB_PORTAL, "assignableBy: [owner]", "assignableBy: [boss]", "schema-rule", "[boss]"),
    Seed(LAB_PORTAL, "firstUser: Added\n    atLeastOne", "firstUser: Registered\n    atLeastOne", "schema-rule", "firstUser: Added"),
    Seed(PARTNERS_PORTAL, "actsAs: company-admin", "actsAs: company-boss", "schema-rule", "company-boss"),
    // References.
    Seed(QUICKSTART, "  tenantRef: {name: acme}\n  email: grace", "  tenantRef: {name: acne}\n  email: grace", "reference-not-found", "acne"),
    Seed(QUICKSTART, "groups: [london-team]", "groups: [londonteam]", "reference-not-found", "londonteam"),
    Seed(QUICKSTART, "invitedByRef: {name: ada}", "invitedByRef: {name: acme}", "reference-wrong-kind", "invitedByRef"),
    Seed(QUICKSTART, "invitedByRef: {name: ada}", "invitedByRef: {name: daniel}", "reference-wrong-namespace", "invitedByRef"),
    Seed(PARTNERS, "contactPersonRef: {name: bruno}", "contactPersonRef: {name: daniel}", "reference-other-tenant", "contactPersonRef"),
    Seed(PARTNERS, "invitedByRef: {name: daniel}", "invitedByRef: {name: bruno}", "reference-other-tenant", "invitedByRef"),
    Seed(PARTNERS, "  portalRef: {name: companies-and-partners}\n  partnerRefs: [{name: contoso}]\n---", "  portalRef: {name: lab-data}\n  partnerRefs: [{name: contoso}]\n---", "reference-wrong-namespace", "name: lab-data"),
    Seed(PARTNERS, "partnerRefs: [{name: contoso}]\n  ceiling", "partnerRefs: [{name: acme}]\n  ceiling", "partner-type", "partnerRefs: [{name: acme}]"),
    Seed(BRANCHES, "portalRef: {name: branches-and-groups}\n  partnerRefs: [{name: brightwork}]\n---", "portalRef: {name: branches-and-groups}\n---", "partner-not-linked", "homeTenantRef: {name: brightwork}\n  grants"),
    // Roles and permissions.
    Seed(QUICKSTART, "roles: [owner]", "roles: [onwer]", "role-unknown", "onwer"),
    Seed(PARTNERS, "grants: [{scope: /instances/warehouse, roles: [instance-user]}]", "roles: [instance-user]", "role-scope", "roles: [instance-user]"),
    Seed(PARTNERS, "grants: [{scope: /instances/warehouse, roles: [instance-user, report-reader]}]", "grants: [{scope: /a, roles: [company-admin]}]", "role-scope", "scope: /a"),
    Seed(PARTNERS, "  roles: [data-estate-admin]\n  invitation: {}\n---", "  roles: [customer-manager]\n  invitation: {}\n---", "role-partner-only", "[customer-manager]"),
    Seed(PARTNERS, "roles: [instance-user, report-reader]", "roles: [report-reader]", "permission-requires", "roles: [report-reader]"),
    Seed(PARTNERS, "roles: [instance-user]}]", "roles: [instance-user, report-reader]}]", "role-withheld", "roles: [instance-user, report-reader]}]\n  invitedByRef"),
    Seed(PARTNERS, "ceiling: {permissions: [company.*, users.manage", "ceiling: {permissions: [company.*, user.manage", "permission-unknown", "user.manage"),
    Seed(LEVELS_PORTAL, "requires: [inventory.read]}\n  - {name: power.read", "requires: [power.read]}\n  - {name: power.read, title: x, requires: [inventory.write]}\n  - {name: power.write", "requirement-circle", "requires: [power.read]"),
    Seed(LEVELS_PORTAL, "permissions: [inventory.*, power.read, temperature.read, show.*]", "permissions: [inventories.*]", "permission-wildcard", "inventories"),
    Seed(LEVELS_PORTAL, "  permissions:\n  - {name: inventory.read", "  mail: {from: \"Inventory <inventory@example..com>\"}\n  permissions:\n  - {name: inventory.read", "sender-invalid", "example..com"),
    // Addresses.
    Seed(QUICKSTART, "email: grace@acme.example", "email: grace@acme..example", "address-invalid", "acme..example"),
    Seed(QUICKSTART, "email: ada@acme.example}", "email: ada@-.example}", "address-invalid", "ada@-.example"),
    Seed(LAB, "email: olga@northlab.example", "email: ADA@northlab.example", "address-duplicate", "email: ADA@northlab.example"),
    Seed(LAB, "email: grace@northlab.example", "email: Olga@NorthLab.example", "invitation-duplicate", "Olga@NorthLab.example"),
    Seed(QUICKSTART, "  userLimit: 50", "  invitations: {allowedEmailDomains: [acme.test]}", "domain-not-allowed", "email: grace@acme.example"),
    Seed(QUICKSTART, "  userLimit: 50", "  invitations: {allowedEmailDomains: [acme.example, acme..example]}", "domain-invalid", "acme..example"),
    // Limits and dates.
    Seed(QUICKSTART, "userLimit: 50", "userLimit: 0", "user-limit", "userLimit"),
    Seed(QUICKSTART, "userLimit: 50", "userLimit: 1", "seats", "userLimit"),
    Seed(QUICKSTART, "expiresAfter: 14d", "notAfter: \"2027-01-01T00:00:00Z\"\n  sendAt: \"2027-06-01T00:00:00Z\"", "send-after-end", "sendAt"),
    Seed(QUICKSTART, "  contact: {name: Ada Lovelace, email: ada@acme.example}\n", "  activationMail: true\n", "contact-missing", "activationMail"),
    Seed(QUICKSTART, "  expiresAfter: 14d", "  expiresAfter: 14d\nstatus: {state: Accepted}", "status-declared", "status:"),
];

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("lint-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        Folder(folder)
    }

    fn copy(&self, from: &Path) {
        for entry in std::fs::read_dir(from).expect("a folder") {
            let path = entry.expect("an entry").path();
            let to = self.0.join(path.strip_prefix(examples()).expect("below it"));
            if path.is_dir() {
                std::fs::create_dir_all(to).expect("a folder");
                self.copy(&path);
            } else {
                std::fs::copy(&path, to).expect("a copy");
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

fn lint(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portal-operator")).arg("lint").args(arguments).output().expect("it runs")
}

fn findings(folder: &Path) -> Vec<Value> {
    let said = lint(&["--format", "json", &folder.to_string_lossy()]);
    let report: Value = serde_json::from_slice(&said.stdout).expect("JSON");
    report["findings"].as_array().expect("findings").clone()
}

/// The line, from 1, at which these words begin.
fn line_of(text: &str, words: &str) -> u64 {
    let at = text.find(words).unwrap_or_else(|| panic!("{words:?} is not in the file"));
    text[..at].matches('\n').count() as u64 + 1
}

#[test]
fn the_examples_have_nothing_wrong() {
    let quickstart = examples().join(QUICKSTART);
    // A file that is named twice is read once.
    let said = lint(&["--deny-warnings", &examples().to_string_lossy(), &quickstart.to_string_lossy()]);
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.status.success() && text.starts_with("0 errors, 0 warnings in 6"), "{text}");
}

#[test]
fn every_seeded_mistake_is_found_in_its_file_and_line() {
    const { assert!(SEEDS.len() >= 30) };
    let folder = Folder::new("seeds");
    folder.copy(&examples());
    let mut missed = Vec::new();
    for Seed(file, from, to, rule, words) in SEEDS {
        let path = folder.0.join(file);
        let sound = std::fs::read_to_string(&path).expect("an example");
        assert!(sound.contains(from), "{from:?} is not in {file}");
        let seeded = sound.replacen(from, to, 1);
        std::fs::write(&path, &seeded).expect("written");
        let line = line_of(&seeded, words);
        let found = findings(&folder.0);
        std::fs::write(&path, &sound).expect("written");
        let is_it = |f: &Value| {
            f["rule"] == *rule && f["line"] == line && f["file"].as_str().is_some_and(|f| Path::new(f) == path)
        };
        if !found.iter().any(is_it) {
            missed.push(format!("{rule} in {file}:{line} ({to}): {found:#?}"));
        }
    }
    assert!(missed.is_empty(), "{} of {}: {}", missed.len(), SEEDS.len(), missed.join("\n"));
    assert!(findings(&folder.0).is_empty(), "the seeds are gone");
}

#[test]
fn every_rule_has_a_seed() {
    let rules = String::from_utf8(lint(&["--rules"]).stdout).expect("text");
    // Shown below; not-ready is a net for what comes later.
    let elsewhere = ["role-excluded", "role-requires", "schema-length", "text-invalid", "not-ready"];
    for rule in rules.lines().filter_map(|line| line.split(' ').next()) {
        let seeded = SEEDS.iter().any(|seed| seed.3 == rule) || elsewhere.contains(&rule);
        assert!(seeded, "nothing shows that {rule} finds something");
    }
}

fn lint_text(text: &str) -> (Option<i32>, Vec<Value>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_portal-operator"))
        .args(["lint", "--format", "json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("written");
    let said = child.wait_with_output().expect("it ends");
    let report: Value = serde_json::from_slice(&said.stdout).expect("JSON");
    (said.status.code(), report["findings"].as_array().expect("findings").clone())
}

#[test]
fn roles_that_are_worth_nothing_beside_others_are_found_on_standard_input() {
    let portal = "apiVersion: portal-operator.dev/v1alpha1\nkind: Portal\nmetadata: {name: product}\nspec:\n  roles:\n  - {name: editor, exclusiveSet: level}\n  - {name: viewer, exclusiveSet: level}\n  - {name: boss, requires: [member]}\n  - {name: member}\n---\napiVersion: portal-operator.dev/v1alpha1\nkind: Tenant\nmetadata: {name: acme}\nspec: {portalRef: {name: product}}\n---\n";
    let user = |roles: &str| {
        format!(
            "{portal}apiVersion: portal-operator.dev/v1alpha1\nkind: PortalUser\nmetadata: {{name: ada}}\nspec:\n  tenantRef: {{name: acme}}\n  email: ada@acme.example\n  roles: {roles}\n"
        )
    };
    let rules = |roles: &str| {
        let (code, found) = lint_text(&user(roles));
        (code, found.iter().map(|f| (f["rule"].clone(), f["line"].clone())).collect::<Vec<_>>())
    };
    assert_eq!(rules("[editor, member]"), (Some(0), vec![]));
    assert_eq!(rules("[editor, viewer]"), (Some(0), vec![("role-excluded".into(), 22.into())]));
    assert_eq!(rules("[boss]"), (Some(1), vec![("role-requires".into(), 22.into())]));
    let elsewhere = vec![("reference-not-found".into(), 23.into())];
    assert_eq!(rules("[boss]\n  groups: [members]"), (Some(0), elsewhere), "a group elsewhere may have the other role");
    let long = format!("[{}]", "x".repeat(64));
    assert_eq!(rules(&long).1[0], ("role-unknown".into(), 22.into()));
    assert_eq!(rules(&long).1[1], ("schema-length".into(), 22.into()));
}

#[test]
fn a_text_of_a_portal_that_cannot_be_used_is_found_in_its_line() {
    let portal = "apiVersion: portal-operator.dev/v1alpha1\nkind: Portal\nmetadata: {name: product}\nspec: {mail: {templatesRef: {name: texts}}}\n";
    let texts = |line: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: texts}}\ndata:\n  invitation.txt: |\n    Hello,\n    {line}\n    {{{{ url }}}}\n---\n{portal}"
        )
    };
    assert_eq!(lint_text(&texts("welcome to {{ portal }}")), (Some(0), vec![]));
    let (code, found) = lint_text(&texts("welcome to {{ product }}"));
    assert_eq!((code, found.len()), (Some(1), 1), "{found:?}");
    assert_eq!(
        (&found[0]["rule"], &found[0]["object"], &found[0]["line"]),
        (&"text-invalid".into(), &"ConfigMap/texts".into(), &7.into())
    );
    let (code, found) = lint_text(portal);
    assert_eq!((code, &found[0]["rule"]), (Some(0), &"reference-not-found".into()), "{found:?}");
}

#[test]
fn the_export_of_a_large_portal_is_read_to_its_end() {
    let head = "apiVersion: portal-operator.dev/v1alpha1\nkind: ";
    let mut text = format!("{head}Tenant\nmetadata: {{name: acme}}\nspec: {{}}\n");
    for n in 0..3000 {
        let comments = if n == 1 { "# a word\n".repeat(100) } else { String::new() };
        text += &format!(
            "---\n{comments}{head}Invitation\nmetadata: {{name: p-{n}}}\nspec:\n  tenantRef: {{name: acme}}\n{comments}  email: p-{n}@acme.example\n"
        );
    }
    assert_eq!(lint_text(&text), (Some(0), vec![]));
    let last = text.replace("p-2999@", "p-0@");
    let (code, found) = lint_text(&last);
    assert_eq!(
        (code, found.len(), &found[0]["rule"], &found[0]["object"]),
        (Some(0), 1, &"invitation-duplicate".into(), &"Invitation/p-2999".into())
    );
}

#[test]
fn metadata_that_is_none_is_a_finding() {
    let text = |metadata: &str| {
        format!("apiVersion: portal-operator.dev/v1alpha1\nkind: Tenant\nmetadata: {metadata}\nspec: {{}}\n")
    };
    for metadata in ["5", "acme", "[{name: acme}]", "{name: 5}", "{name: acme, labels: 5}"] {
        let (code, found) = lint_text(&text(metadata));
        assert_eq!(code, Some(1), "{metadata}: {found:?}");
        let is_it = |f: &Value| f["rule"] == "schema-type" && f["line"] == 3;
        assert!(found.iter().any(is_it), "{metadata}: {found:?}");
    }
    for metadata in ["", "null"] {
        let (code, found) = lint_text(&text(metadata));
        assert_eq!((code, found.iter().any(|f| f["rule"] == "name-missing")), (Some(1), true), "{found:?}");
    }
    assert_eq!(lint_text(&text("{name: acme, creationTimestamp: null, labels: null}")), (Some(0), vec![]));
}

#[test]
fn roles_of_a_portal_that_is_in_no_file_are_not_judged_and_that_is_said_once() {
    let object = |kind: &str, name: &str, spec: &str| {
        format!(
            "---\napiVersion: portal-operator.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"
        )
    };
    let text = [
        object("Tenant", "acme", "portalRef: {name: product}, activationMail: true, contact: {email: a@x.example}"),
        object("PortalUser", "ada", "tenantRef: {name: acme}, email: a@x.example, roles: [boss], groups: [bosses]"),
        object("Group", "team", "tenantRef: {name: acme}, roles: [boss]"),
        object("Invitation", "grace", "tenantRef: {name: acme}, email: g@x.example, roles: [boss], groups: [team]"),
    ];
    let (code, found) = lint_text(&text.concat());
    assert_eq!((code, found.len()), (Some(0), 1), "{found:?}");
    assert_eq!((&found[0]["rule"], &found[0]["object"]), (&"reference-not-found".into(), &"Tenant/acme".into()));
    assert!(
        found[0]["message"].as_str().is_some_and(|m| m.contains("roles in this tenant are not judged")),
        "{found:?}"
    );
}

#[test]
fn what_a_folder_has_beside_files_keeps_nobody_from_the_rest() {
    let folder = Folder::new("beside");
    let wrong = "apiVersion: portal-operator.dev/v1alpha1\nkind: Tenant\nmetadata: {name: acme}\nspec: {x: 1}\n";
    let path = |name: &str| folder.0.join(name);
    std::fs::write(path("z.yaml"), wrong).expect("written");
    std::fs::write(path("latin.yaml"), [0xff, 0xfe]).expect("written");
    std::os::unix::fs::symlink("nowhere", path("dangling.yaml")).expect("a link");
    std::os::unix::fs::symlink(".", path("circle.yaml")).expect("a link");
    let made = Command::new("mkfifo").arg(path("pipe.yaml")).status().expect("it runs");
    assert!(made.success());
    std::fs::create_dir_all(path("chart/templates/deep")).expect("a folder");
    std::fs::write(path("chart/Chart.yaml"), "name: chart\n").expect("written");
    let template = "{{ if .Values.x }}\napiVersion: portal-operator.dev/v1alpha1\n{{ end }}";
    std::fs::write(path("chart/templates/deep/a.yaml"), template).expect("written");
    let found = findings(&folder.0);
    let shown = |f: &Value| {
        let file = f["file"].as_str().expect("a file").rsplit('/').next().unwrap_or_default().to_owned();
        (file, f["rule"].as_str().expect("a rule").to_owned())
    };
    let expected = [("dangling.yaml", "yaml"), ("latin.yaml", "yaml"), ("z.yaml", "schema-unknown-field")];
    let expected: Vec<_> = expected.iter().map(|(file, rule)| ((*file).to_owned(), (*rule).to_owned())).collect();
    assert_eq!(found.iter().map(shown).collect::<Vec<_>>(), expected);
    let said = lint(&[&folder.0.to_string_lossy()]);
    assert_eq!(String::from_utf8_lossy(&said.stderr).matches("templates of Helm").count(), 1, "{said:?}");
    // A folder that is no chart's may have this name.
    std::fs::remove_file(path("chart/Chart.yaml")).expect("removed");
    assert_eq!(findings(&folder.0).len(), 4);
}

#[test]
fn exit_codes_tell_clean_wrong_and_unusable_apart() {
    let folder = Folder::new("codes");
    let file = folder.0.join("a.yaml");
    let code = |arguments: &[&str]| lint(arguments).status.code();
    let path = file.to_string_lossy().into_owned();
    assert_eq!(code(&[&path]), Some(2), "there is no such file");
    assert_eq!(code(&["--ignore", "no-such-rule", &path]), Some(2));
    std::fs::write(&file, [0xff, 0xfe]).expect("written");
    assert_eq!(code(&[&path]), Some(2), "no text");
    std::fs::write(&file, "kind: ConfigMap\napiVersion: v1\n").expect("written");
    assert_eq!(code(&[&path]), Some(0), "nothing of ours");
    let warned = "apiVersion: portal-operator.dev/v1alpha1\nkind: Group\nmetadata: {name: team}\nspec: {tenantRef: {name: acme}}\n";
    std::fs::write(&file, warned).expect("written");
    assert_eq!(code(&[&path]), Some(0), "the tenant may be elsewhere");
    assert_eq!(code(&["--deny-warnings", &path]), Some(1));
    assert_eq!(code(&["--deny-warnings", "--ignore", "reference-not-found", &path]), Some(0));
    std::fs::write(&file, warned.replace("spec:", "specs:")).expect("written");
    assert_eq!(code(&[&path]), Some(1));
}

#[test]
fn sarif_names_rule_file_and_line() {
    let folder = Folder::new("sarif");
    let file = folder.0.join("a b.yaml");
    std::fs::write(
        &file,
        "apiVersion: portal-operator.dev/v1alpha1\nkind: Tenant\nmetadata: {name: acme}\nspec:\n  userlimit: 5\n",
    )
    .expect("written");
    let said = lint(&["--format", "sarif", &file.to_string_lossy()]);
    let sarif: Value = serde_json::from_slice(&said.stdout).expect("JSON");
    let (run, result) = (&sarif["runs"][0], &sarif["runs"][0]["results"][0]);
    assert_eq!((&sarif["version"], &result["ruleId"]), (&"2.1.0".into(), &"schema-unknown-field".into()));
    let rule = &run["tool"]["driver"]["rules"][result["ruleIndex"].as_u64().expect("a number") as usize];
    assert_eq!(rule["id"], result["ruleId"]);
    assert_eq!(result["message"]["text"], "Tenant/acme: there is no field spec.userlimit; did you mean userLimit?");
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!((&place["region"]["startLine"], &place["region"]["startColumn"]), (&5.into(), &3.into()));
    assert!(place["artifactLocation"]["uri"].as_str().is_some_and(|uri| uri.ends_with("/a%20b.yaml")));
}
