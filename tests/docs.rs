//! What is written for people agrees with what is there: reasons, paths, recipes, flags, examples.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser};
use portal_operator::api::condition::Reason;
use portal_operator::api::{GROUP, Group, Invitation, Portal, PortalUser, Tenant};
use portal_operator::cli::Cli;
use serde_json::Value;

#[path = "docs/command_line.rs"]
mod command_line;
#[path = "docs/mail.rs"]
mod mail;
#[path = "docs/operations.rs"]
mod operations;
#[path = "docs/roles.rs"]
mod roles;

const DOCUMENTS: &[&str] = &[
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "docs/command-line.md",
    "docs/conditions.md",
    "docs/mail.md",
    "docs/operations.md",
    "docs/roles.md",
];

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All files below a folder.
fn files(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(repository(folder)).unwrap_or_else(|error| panic!("{folder}: {error}")) {
        let entry = entry.expect("an entry");
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// Lines of code in a document: those of fenced blocks, and spans between backticks.
fn code(document: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in document.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            found.push(line.to_owned());
        } else {
            found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    assert!(!fenced, "a fenced block has no end");
    found
}

/// Names in the first column of a document's tables: `| `Name` | …`.
fn rows(document: &str) -> Vec<String> {
    let names = document.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    names.map(str::to_owned).collect()
}

#[test]
fn every_reason_is_explained_once() {
    let mut documented = rows(&read("docs/conditions.md"));
    let mut known: Vec<String> = Reason::ALL.iter().map(|reason| reason.as_str().to_owned()).collect();
    documented.sort();
    known.sort();
    assert_eq!(documented, known);
}

#[test]
fn every_reason_is_given_by_something() {
    let sources = files("src").into_iter().filter(|path| path != "src/api/condition.rs" && !path.ends_with("tests.rs"));
    let text: String = sources.map(|path| read(&path)).collect();
    let words: BTreeSet<&str> = text.split(|c: char| !c.is_alphanumeric() && c != ':').collect();
    let idle: Vec<_> =
        Reason::ALL.iter().filter(|r| !words.contains(format!("Reason::{}", r.as_str()).as_str())).collect();
    assert!(idle.is_empty(), "nothing gives these: {idle:?}");
}

#[test]
fn every_path_that_is_mentioned_exists() {
    let top: Vec<String> = ["src/", "tests/", "examples/", "docs/", "crds/", ".ci/"].map(str::to_owned).into();
    let sources: BTreeSet<String> = ["src", "tests"]
        .iter()
        .flat_map(|folder| files(folder))
        .filter_map(|path| path.rsplit('/').next().map(str::to_owned))
        .collect();
    for document in DOCUMENTS {
        let text = read(document);
        let mut checked = 0;
        for word in text.split(|c: char| c.is_whitespace() || "`()[]<>\"',;:│|".contains(c)) {
            let path = word.trim_end_matches('.');
            // A map of the house names files without their folder.
            if path.ends_with(".rs") && !path.contains(['/', '*']) {
                assert!(sources.contains(path), "{document} mentions {path}");
                continue;
            }
            let is_path =
                top.iter().any(|folder| path.starts_with(folder)) || (word.ends_with(".md") && !word.contains('/'));
            if !is_path || path.contains(['*', '$', '{']) || path.starts_with("src//") {
                continue;
            }
            checked += 1;
            // A bare name is a document beside this one.
            let beside = Path::new(document).with_file_name(path);
            let exists = repository(path).exists() || repository(&beside.to_string_lossy()).exists();
            assert!(exists, "{document} mentions {path}");
        }
        assert!(checked > 0 || *document == "CHANGELOG.md", "{document} mentions no path at all");
    }
}

#[test]
fn every_make_target_that_is_mentioned_exists_and_the_readme_names_what_ci_calls() {
    let makefile = read("Makefile");
    let targets: BTreeSet<&str> =
        makefile.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name).collect();
    for document in DOCUMENTS {
        for line in code(&read(document)) {
            let words: Vec<&str> = line.trim_start_matches(['$', ' ']).split_whitespace().collect();
            let Some(at) = words.iter().position(|word| *word == "make") else { continue };
            let target = words[at + 1..].iter().find(|word| !word.contains('='));
            if let Some(target) = target.filter(|_| at == 0 || words[at - 1].contains('=')) {
                assert!(targets.contains(target), "{document}: make {target}");
            }
        }
    }
    let (readme, ci) = (read("README.md"), read(".ci/run"));
    for command in ["make test", "make demo"] {
        assert!(readme.contains(command), "README names {command}");
        assert!(ci.lines().any(|line| line.trim_end_matches(" CI=1") == command), ".ci/run calls {command}");
    }
}

#[test]
fn every_test_that_is_mentioned_exists() {
    let sources: String = ["src", "tests/suite", "tests/chart", "tests/support"]
        .iter()
        .flat_map(|folder| files(folder))
        .chain(["tests/docs.rs".to_owned()])
        .filter(|path| path.ends_with(".rs"))
        .map(|path| read(&path))
        .collect();
    for document in DOCUMENTS {
        for span in code(&read(document)) {
            let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            let is_metric = span.starts_with("portal_operator_");
            if span.matches('_').count() >= 3 && span.chars().all(is_name) && !is_metric {
                assert!(sources.contains(&format!("fn {span}()")), "{document} mentions the test {span}");
            }
        }
    }
}

/// The long flags of `run`, as --help lists them.
fn flags() -> BTreeSet<String> {
    let cli = Cli::command();
    let run = cli.find_subcommand("run").expect("a subcommand");
    run.get_arguments().filter_map(|argument| Some(format!("--{}", argument.get_long()?))).collect()
}

#[test]
fn the_readme_names_all_flags_of_the_operator_and_no_other() {
    let readme = read("README.md");
    let documented: BTreeSet<String> = rows(&readme).into_iter().filter(|name| name.starts_with("--")).collect();
    let documented: BTreeSet<String> =
        documented.iter().map(|name| name.split([' ', '=']).next().unwrap_or_default().to_owned()).collect();
    assert_eq!(documented, flags());
    // A command may go on in the next lines.
    let text = code(&readme).join("\n").replace("\\\n", " ");
    let mut commands = 0;
    for line in text.lines().filter(|line| line.contains("portal-operator run ")) {
        commands += 1;
        for word in line.split_whitespace().filter(|word| word.starts_with("--")) {
            let flag = word.split('=').next().unwrap_or_default();
            assert!(flags().contains(flag), "{flag} in: {line}");
        }
    }
    assert!(commands > 0, "README shows no `portal-operator run`");
}

/// Everything in `part` stands in `whole` too.
fn within(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(name, value)| whole.get(name).is_some_and(|other| within(value, other)))
        }
        (Value::Array(part), Value::Array(whole)) => {
            part.len() == whole.len() && part.iter().zip(whole).all(|(one, other)| within(one, other))
        }
        _ => part == whole,
    }
}

fn read_as<K: serde::de::DeserializeOwned + serde::Serialize>(document: &Value) -> Value {
    let object: K = serde_json::from_value(document.clone()).unwrap_or_else(|error| panic!("{error} in {document}"));
    serde_json::to_value(object).expect("an object is JSON")
}

#[test]
fn every_example_is_read_by_the_types_without_a_rest() {
    let mut ours = 0;
    for path in files("examples").into_iter().filter(|path| path.ends_with(".yaml")) {
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(&read(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        for document in documents {
            let group = document["apiVersion"].as_str().unwrap_or_else(|| panic!("{path}: no apiVersion"));
            if !group.starts_with(GROUP) {
                continue;
            }
            ours += 1;
            let read = match document["kind"].as_str() {
                Some("Portal") => read_as::<Portal>(&document),
                Some("Tenant") => read_as::<Tenant>(&document),
                Some("PortalUser") => read_as::<PortalUser>(&document),
                Some("Group") => read_as::<Group>(&document),
                Some("Invitation") => read_as::<Invitation>(&document),
                other => panic!("{path}: {other:?} is no kind of ours"),
            };
            assert!(within(&document, &read), "{path}: {document} was read as {read}");
        }
    }
    assert!(ours >= 4, "the quickstart alone has four");
}

#[test]
fn the_deployment_starts_the_operator_with_flags_and_variables_that_it_knows() {
    let deployment: Value = serde_saphyr::from_str(&read("examples/install/deployment.yaml")).expect("YAML");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let list = |name: &str| container[name].as_array().unwrap_or_else(|| panic!("no {name}")).clone();
    let arguments = list("args").into_iter().map(|argument| argument.as_str().expect("text").to_owned());
    Cli::try_parse_from(std::iter::once("portal-operator".to_owned()).chain(arguments)).expect("arguments");
    let cli = Cli::command();
    let run = cli.find_subcommand("run").expect("a subcommand");
    let known: BTreeSet<String> =
        run.get_arguments().filter_map(|a| Some(a.get_env()?.to_string_lossy().into_owned())).collect();
    for variable in list("env") {
        let name = variable["name"].as_str().expect("a name").to_owned();
        assert!(known.contains(&name) || ["POD_NAME", "POD_NAMESPACE"].contains(&name.as_str()), "{name}");
    }
    let ports: BTreeSet<String> = list("ports").iter().map(|port| port["containerPort"].to_string()).collect();
    let of = |flag: &str| {
        let argument = run.get_arguments().find(|a| a.get_long() == Some(flag)).expect("a flag");
        let address = argument.get_default_values()[0].to_string_lossy().into_owned();
        address.rsplit(':').next().unwrap_or_default().to_owned()
    };
    assert_eq!(ports, BTreeSet::from([of("listen"), of("metrics-listen")]));
}
