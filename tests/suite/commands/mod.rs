//! The command line on a real API server, beside a real operator; also in the name of people who may do too little.

mod bulk;
mod everyday;
mod rebuilt;
mod render;
mod rights;
mod small_rights;
mod tour;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::cluster::Namespace;

/// What a command said, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// The command line as somebody in a namespace calls it, as kubectl's plugin.
#[derive(Clone)]
pub struct Hand {
    namespace: String,
    kubeconfig: PathBuf,
    stdin: String,
    offline: bool,
}

impl Hand {
    /// An administrator's.
    pub fn of(ns: &Namespace) -> Hand {
        let kubeconfig = PathBuf::from(std::env::var_os("KUBECONFIG").expect("a Namespace was there before"));
        Hand { namespace: ns.name().to_owned(), kubeconfig, stdin: String::new(), offline: false }
    }

    /// With another kubeconfig.
    pub fn with(mut self, kubeconfig: PathBuf) -> Hand {
        self.kubeconfig = kubeconfig;
        self
    }

    /// Without a cluster.
    pub fn alone(mut self) -> Hand {
        self.offline = true;
        self
    }

    /// With this on its standard input.
    pub fn fed(mut self, text: &str) -> Hand {
        text.clone_into(&mut self.stdin);
        self
    }

    /// The command, ready to be started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portal-operator"));
        std::os::unix::process::CommandExt::arg0(&mut command, "kubectl-portal");
        command.args(arguments).env_remove("RUST_LOG");
        if self.offline {
            command.env("KUBECONFIG", "/nowhere");
        } else {
            command.args(["--namespace", &self.namespace]).env("KUBECONFIG", &self.kubeconfig);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Calls it and waits for its end.
    pub async fn says(&self, arguments: &[&str]) -> Said {
        let mut command = self.command(arguments);
        let stdin = self.stdin.clone();
        let run = move || {
            let mut child = command.stdin(Stdio::piped()).spawn().expect("it runs");
            // Who reads nothing may be gone before all is written.
            let _ = std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), stdin.as_bytes());
            child.wait_with_output().expect("it ends")
        };
        let output = tokio::task::spawn_blocking(run).await.expect("no panic");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// What it prints, where it has to go well.
    #[track_caller]
    pub fn prints(&self, arguments: &[&str]) -> impl Future<Output = String> {
        let (caller, hand) = (std::panic::Location::caller(), self.clone());
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        async move {
            let said = hand.says(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await;
            assert_eq!(said.code, 0, "{caller}: {arguments:?}: {said:?}");
            said.out
        }
    }
}
