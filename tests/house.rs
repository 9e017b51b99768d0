//! The floors of the house and its rules, kept by reading the source: what a review would have to repeat each time.

#[path = "house/rust.rs"]
mod rust;

use std::path::Path;

use rust::{code, line_of, names_after_crate, words};

/// Most lines that a file may have: more than that nobody reads in one sitting.
const LONGEST_FILE: usize = 500;

/// The floors from the ground up. A module uses those below its floor and itself, never its neighbour.
const FLOORS: &[&[&str]] =
    &[&["api"], &["plan"], &["shell"], &["controller", "web", "command"], &["cli", "run", "lib", "main"]];

/// What makes a plan impure, with the reason. `a::b` and `.b` are looked for as they stand, all else as whole words.
const IMPURE: &[(&str, &str)] = &[
    ("async", "waits for something"),
    (".await", "waits for something"),
    ("tokio", "waits for something"),
    ("futures", "waits for something"),
    ("now()", "reads a clock: time is an argument"),
    ("Instant", "reads a clock: time is an argument"),
    ("SystemTime", "reads a clock: time is an argument"),
    ("Client", "talks to the API server"),
    ("kube::client", "talks to the API server"),
    ("kube::runtime", "talks to the API server"),
    ("kube_runtime", "talks to the API server"),
    ("hyper", "talks to somebody"),
    ("TcpStream", "talks to somebody"),
    ("tracing", "logs"),
    ("println", "prints"),
    ("eprintln", "prints"),
    ("rand", "throws dice"),
    ("getrandom", "throws dice"),
    ("RandomState", "throws dice"),
    ("std::fs", "touches files"),
    ("std::env", "reads the environment"),
    ("std::thread", "starts threads"),
];

/// Names that say nothing: what bears one gathers what belongs elsewhere.
const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "helper", "helpers", "manager", "misc"];

struct Source {
    path: String,
    text: String,
}

impl Source {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The top-level module that it belongs to: `plan` for `src/plan/letter.rs`.
    fn module(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        Some(inside.split_once('/').map_or(inside.trim_end_matches(".rs"), |(folder, _)| folder))
    }

    /// How many `super` lead from this file to the crate's root.
    fn depth(&self) -> usize {
        let file = self.path.rsplit('/').next().unwrap_or_default();
        let folders = self.path.matches('/').count() - 1;
        folders + usize::from(!["mod.rs", "lib.rs", "main.rs"].contains(&file))
    }
}

fn sources(folders: &[&str]) -> Vec<Source> {
    fn walk(root: &Path, folder: &Path, found: &mut Vec<Source>) {
        for entry in std::fs::read_dir(folder).expect("a folder of the house") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(root, &path, found);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                let path = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
                found.push(Source { path, text });
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    folders.iter().for_each(|folder| walk(root, &root.join(folder), &mut found));
    assert!(found.len() > 10, "the house is not where it was: {} files", found.len());
    found
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// Uses of a module that is not below.
fn upward_imports(source: &Source) -> Vec<String> {
    let Some(module) = source.module().filter(|_| source.is_rust()) else { return Vec::new() };
    let Some(mine) = floor(module) else {
        return vec![format!("{}:1: module {module:?} stands on no floor: give it one in tests/house.rs", source.path)];
    };
    let code = code(&source.text);
    let top = mine + 1 == FLOORS.len();
    let uses = names_after_crate(&code, source.depth());
    let wrong =
        uses.into_iter().filter(|(_, used)| used != module && !top && floor(used).is_some_and(|theirs| theirs >= mine));
    wrong.map(|(at, used)| format!("{}:{}: {module} uses {used}", source.path, line_of(&code, at))).collect()
}

/// What makes the two lower floors impure.
fn impurities(source: &Source) -> Vec<String> {
    if !source.is_rust() || !["api", "plan"].contains(&source.module().unwrap_or_default()) {
        return Vec::new();
    }
    let code = code(&source.text);
    let found = IMPURE.iter().flat_map(|(word, why)| words(&code, word).into_iter().map(move |at| (at, word, why)));
    found.map(|(at, word, why)| format!("{}:{}: `{word}` {why}", source.path, line_of(&code, at))).collect()
}

fn too_long(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    // Checksums of Go modules are a list that no person reads.
    if lines <= LONGEST_FILE || source.path.ends_with("go.sum") {
        return Vec::new();
    }
    vec![format!("{}:{LONGEST_FILE}: the file goes on to line {lines}: split it by what it is about", source.path)]
}

/// Modules, and types, whose names say nothing.
fn empty_names(source: &Source) -> Vec<String> {
    let mut parts = source.path.trim_end_matches(".rs").split('/');
    let by_path = parts.find(|part| EMPTY_NAMES.contains(part));
    let mut found: Vec<String> =
        by_path.map(|part| format!("{}:1: a module named {part:?}", source.path)).into_iter().collect();
    if source.is_rust() {
        let code = code(&source.text);
        for (number, line) in code.lines().enumerate() {
            let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty());
            while let Some(word) = words.next() {
                let name = match word {
                    "mod" | "struct" | "enum" | "trait" | "type" => words.next().unwrap_or_default(),
                    _ => continue,
                };
                let ends_empty = ["Manager", "Helper", "Helpers", "Util", "Utils", "Service"].iter();
                if EMPTY_NAMES.contains(&name) || ends_empty.clone().any(|end| name.ends_with(end)) {
                    found.push(format!("{}:{}: {word} {name}", source.path, number + 1));
                }
            }
        }
    }
    found
}

/// A file that does not say what it is for.
fn without_sentence(source: &Source) -> Vec<String> {
    if !source.is_rust() {
        return Vec::new();
    }
    let opening: Vec<&str> = source.text.lines().map_while(|line| line.strip_prefix("//!")).collect();
    let first = opening.first().is_some_and(|line| line.starts_with(' '));
    let paragraph = opening.iter().take_while(|line| !line.trim().is_empty()).copied().collect::<String>();
    if first && paragraph.trim_end().ends_with(['.', ':']) {
        return Vec::new();
    }
    vec![format!("{}:1: the file does not begin with a `//!` sentence about what it is for", source.path)]
}

fn keep(rule: fn(&Source) -> Vec<String>, folders: &[&str], why: &str) {
    let broken: Vec<String> = sources(folders).iter().flat_map(rule).collect();
    assert!(broken.is_empty(), "{why}\n{}", broken.join("\n"));
}

#[test]
fn each_floor_uses_those_below_it_only() {
    keep(upward_imports, &["src"], "imports go api <- plan <- shell <- {controller, web} <- main");
}

#[test]
fn plans_and_kinds_are_pure() {
    keep(impurities, &["src"], "api and plan have no clock, client, task, log or dice: pass the value in");
}

#[test]
fn no_file_is_longer_than_somebody_reads_at_a_sitting() {
    keep(too_long, &["src", "tests"], "files have 500 lines at the most");
}

#[test]
fn nothing_bears_a_name_that_says_nothing() {
    keep(empty_names, &["src", "tests"], "a name says what a thing is");
}

#[test]
fn every_file_begins_with_a_sentence_about_what_it_is_for() {
    keep(without_sentence, &["src"], "files open with what they are for");
}

fn source(path: &str, text: &str) -> Source {
    Source { path: path.into(), text: text.into() }
}

#[test]
fn an_import_from_above_or_beside_is_found_however_it_is_written() {
    for (path, text) in [
        ("src/plan/x.rs", "use crate::shell::clock;"),
        ("src/api/x.rs", "\nuse crate::{\n    api::text, plan::letter,\n};"),
        ("src/shell/x.rs", "fn f() { crate::web::serve() }"),
        ("src/controller/mod.rs", "use crate::web;"),
        ("src/web/x/y.rs", "use super::super::super::controller::run;"),
        ("src/web/mod.rs", "use super::{api, controller};"),
        ("src/shell/x.rs", "use crate::run::run;"),
        ("src/new.rs", ""),
    ] {
        let found = upward_imports(&source(path, text));
        assert_eq!(found.len(), 1, "{path}: {text}: {found:?}");
        assert!(found[0].starts_with(path), "{found:?}");
    }
    for (path, text) in [
        ("src/shell/x.rs", "use crate::{api::{Tenant, web}, plan};"),
        ("src/plan/x.rs", "// use crate::shell\nconst X: &str = \"crate::shell\";"),
        ("src/plan/x/y.rs", "use super::super::web;"),
        ("src/run.rs", "use crate::{cli, controller, web};"),
    ] {
        assert_eq!(upward_imports(&source(path, text)), Vec::<String>::new(), "{path}: {text}");
    }
}

#[test]
fn an_impurity_is_found_in_code_and_not_in_words() {
    for text in [
        "let t = Timestamp::now();",
        "let t = clock.now();",
        "async fn f() {}",
        "fn f() { g().await }",
        "use kube::{Api, Client};",
        "use kube::runtime::watcher;",
        "tracing::warn!(x);",
        "let n = rand::random();",
        "let x = std::fs::read(p);",
    ] {
        assert!(!impurities(&source("src/plan/x.rs", text)).is_empty(), "{text}");
        assert!(impurities(&source("src/shell/x.rs", text)).is_empty(), "{text}");
    }
    for text in [
        "// no async, no now()",
        "let s = \"async rand tracing\";",
        "let s = r#\"a \" tokio\"#;",
        "fn until_now() {}",
        "let randomly = operand;",
        "let c = '\"'; /* tokio */ let d = '\\'';",
    ] {
        assert_eq!(impurities(&source("src/api/x.rs", text)), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn a_long_file_an_empty_name_and_a_missing_sentence_are_found() {
    let long = "x\n".repeat(LONGEST_FILE);
    assert!(too_long(&source("src/x.rs", &long)).is_empty());
    assert_eq!(too_long(&source("src/x.rs", &format!("{long}x\n"))).len(), 1);
    for (path, text) in [
        ("src/shell/utils.rs", ""),
        ("src/common/mod.rs", ""),
        ("src/x.rs", "mod helpers {}"),
        ("src/x.rs", "\npub struct LinkManager;"),
    ] {
        assert_eq!(empty_names(&source(path, text)).len(), 1, "{path}: {text}");
    }
    assert!(empty_names(&source("src/utility.rs", "// mod util\nstruct Common;")).is_empty());
    for text in ["", "use x;\n//! Late.\n", "// A plain comment.\n", "//!\n//! Late.\n", "//! No sentence\n"] {
        assert_eq!(without_sentence(&source("src/x.rs", text)).len(), 1, "{text:?}");
    }
    assert!(without_sentence(&source("src/x.rs", "//! Two lines\n//! of it.\n//!\n//! More\n")).is_empty());
}
