//! Helm and its company, as tests call them.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use crate::support::cluster::Manifest;
use crate::support::repository;

/// The chart.
pub const CHART: &str = "charts/portal-operator";
/// The sets of values that it is tried with, in `ci/` of the chart.
pub const VALUES: [&str; 3] = ["minimal", "namespaced", "full"];

/// The file of a set of values.
pub fn values(name: &str) -> String {
    path(&format!("{CHART}/ci/{name}-values.yaml"))
}

/// A file of the repository, as an argument.
pub fn path(file: &str) -> String {
    repository(file).to_string_lossy().into_owned()
}

/// A folder for what tests write. What an earlier run left there goes first.
pub fn scratch() -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let make = || {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("chart");
        let _ = std::fs::remove_dir_all(&folder); // the first run of all finds none
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
    };
    FOLDER.get_or_init(make).clone()
}

/// A command that runs helm, helm3, kubeconform, glua or kstatus. Built from Go modules where it is not yet.
pub fn tool(name: &'static str) -> Command {
    static HELM: OnceLock<PathBuf> = OnceLock::new();
    static HELM_3: OnceLock<PathBuf> = OnceLock::new();
    static KUBECONFORM: OnceLock<PathBuf> = OnceLock::new();
    static GLUA: OnceLock<PathBuf> = OnceLock::new();
    static KSTATUS: OnceLock<PathBuf> = OnceLock::new();
    let known = match name {
        "helm" => &HELM,
        "helm3" => &HELM_3,
        "kubeconform" => &KUBECONFORM,
        "kstatus" => &KSTATUS,
        _ => &GLUA,
    };
    let binary = known.get_or_init(|| {
        let mut obtain = Command::new(repository("tests/tools/helm"));
        let said = obtain.arg(name).stderr(Stdio::inherit()).output().expect("a script");
        assert!(said.status.success(), "{name} cannot be had, see above");
        PathBuf::from(String::from_utf8_lossy(&said.stdout).trim())
    });
    let mut command = Command::new(binary);
    // Helm's caches and settings of whoever runs the tests are no business of theirs.
    let home = scratch().join("helm");
    for (name, folder) in [("HELM_CACHE_HOME", "cache"), ("HELM_CONFIG_HOME", "config"), ("HELM_DATA_HOME", "data")] {
        command.env(name, home.join(folder));
    }
    command
}

/// What a command says: its output, or all that it says when it fails.
pub fn run(command: &mut Command) -> Result<String, String> {
    let said = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&said.stdout).into_owned(), String::from_utf8_lossy(&said.stderr));
    if said.status.success() { Ok(out) } else { Err(out + &err) }
}

/// What helm says.
pub fn helm(arguments: &[&str]) -> Result<String, String> {
    run(tool("helm").args(arguments))
}

/// What the oldest Helm says that the chart is for.
pub fn helm3(arguments: &[&str]) -> Result<String, String> {
    run(tool("helm3").args(arguments))
}

/// The objects that the chart makes of arguments such as `--set` and `--values`, without a cluster.
pub fn rendered(arguments: &[&str]) -> Vec<Value> {
    let chart = path(CHART);
    let all = [&["template", "portal", &chart, "--namespace=operator"], arguments].concat();
    let text = helm(&all).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
    text.as_str().documents()
}

/// The objects of a kind.
pub fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}
