//! The tour of docs/command-line.md, and what only a terminal shows.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use portal_operator::api::{Invitation, Tenant};
use serde_json::json;

use crate::stagecraft::member;
use crate::story::Stage;
use crate::support::cluster::Namespace;
use crate::support::repository;
use crate::support::smtp::Script;

/// A folder of its own, removed at the end.
struct Desk(PathBuf);

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A folder on whose PATH the program is kubectl's plugin, and a kubeconfig whose namespace is the test's.
fn desk(ns: &Namespace) -> Desk {
    let desk = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-desk", ns.name()));
    std::fs::create_dir_all(&desk).expect("a folder");
    symlink(env!("CARGO_BIN_EXE_portal-operator"), desk.join("kubectl-portal")).expect("a link");
    let path = std::env::var("KUBECONFIG").expect("a Namespace was there before");
    let text = std::fs::read_to_string(path).expect("readable");
    let mut config: serde_json::Value = serde_saphyr::from_str(&text).expect("YAML");
    for context in config["contexts"].as_array_mut().expect("contexts") {
        context["context"]["namespace"] = json!(ns.name());
    }
    std::fs::write(desk.join("kubeconfig"), config.to_string()).expect("written");
    Desk(desk)
}

async fn shell(Desk(desk): &Desk, script: &str) -> Output {
    let path = format!("{}:{}", desk.display(), std::env::var("PATH").expect("a PATH"));
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]).current_dir(desk).stdin(Stdio::null());
    command.env("PATH", path).env("KUBECONFIG", desk.join("kubeconfig"));
    tokio::task::spawn_blocking(move || command.output().expect("bash runs")).await.expect("no panic")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn the_tour_of_the_document_runs_as_a_plugin_of_kubectl() {
    let Some(stage) = Stage::set("tour", Script::default()).await else { return };
    let ns = &stage.ns;
    ns.apply(member("ada", "ada@acme.example", json!({"roles": ["owner"]}))).await;
    let desk = desk(ns);
    let document = std::fs::read_to_string(repository("docs/command-line.md")).expect("a document");
    let blocks: Vec<&str> =
        document.split("```sh tour\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 6, "{}", blocks.len());
    let mut said = String::new();
    for block in blocks {
        let output = shell(&desk, block).await;
        assert!(output.status.success(), "{block}{}{}", text(&output.stdout), text(&output.stderr));
        said += &text(&output.stdout);
    }
    for words in [
        "2 made, 0 unchanged, 0 failed\n",
        "3 invitations: 3 Sent\n",
        "0 errors, 1 warning in 1 object",
        "is sent again to grace@acme.example",
        "is revoked",
        "ada may portal.write on /london:\n",
        "  role owner, which the user has (on /)\n",
        "tenant/acme is switched on",
        "/invitation#",
    ] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    assert_eq!(stage.mails_to("grace@acme.example", 2).await.len(), 2);
    assert!(std::fs::read_to_string(desk.0.join("registrations.yaml")).expect("exported").contains("name: ada"));
    assert!(ns.get::<Tenant>("acme").await.spec.portal_active);
}

#[tokio::test]
async fn on_a_terminal_it_asks_draws_and_colours() {
    let Some(stage) = Stage::set("terminal", Script::default()).await else { return };
    let ns = &stage.ns;
    let desk = desk(ns);
    let on_terminal = async |answer: &str, command: &str| {
        // `script` gives the command a terminal of its own.
        let output = shell(&desk, &format!("printf '{answer}' | TERM=xterm script -qec '{command}' /dev/null")).await;
        (output.status.code(), text(&output.stdout))
    };
    let (code, said) = on_terminal("n\\n", "kubectl-portal deactivate acme").await;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("acme: 0 registered users lose access, 0 open invitations")
            && said.contains("nothing was changed"),
        "{said}"
    );
    assert!(ns.get::<Tenant>("acme").await.spec.portal_active);
    let (code, said) = on_terminal("", "kubectl-portal invite -t acme a@x.example b@x.example").await;
    assert!(code == Some(0) && said.contains("inviting") && said.contains("2 made"), "{said}");
    ns.wait_state::<Invitation>(&ns.list::<Invitation>().await[0].metadata.name.clone().expect("a name"), "Sent").await;
    let (code, said) = on_terminal("y\\n", "kubectl-portal deactivate acme").await;
    assert!(code == Some(0) && said.contains("is switched off"), "{said}");
    assert!(!ns.get::<Tenant>("acme").await.spec.portal_active);

    std::fs::write(desk.0.join("a.yaml"), "apiVersion: portal-operator.dev/v1alpha1\nkind: Tennant\n")
        .expect("written");
    let (_, coloured) = on_terminal("", "kubectl-portal lint a.yaml").await;
    assert!(coloured.contains("\u{1b}["), "{coloured:?}");
    let (_, plain) = on_terminal("", "env NO_COLOR=1 kubectl-portal lint a.yaml").await;
    assert!(plain.contains("error") && !plain.contains("\u{1b}["), "{plain:?}");
    let piped = text(&shell(&desk, "kubectl-portal lint a.yaml || true").await.stdout);
    assert!(piped.contains("error") && !piped.contains("\u{1b}["), "{piped:?}");
}
