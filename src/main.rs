//! `portal-operator`: the operator, its web server and its CRDs.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use portal_operator::cli::{self, Command, LogFormat};
use portal_operator::{api, run};
use tracing_subscriber::filter::{EnvFilter, LevelFilter, Targets};
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

fn main() -> anyhow::Result<ExitCode> {
    let (cli, whole) = cli::parse();
    match cli.command {
        Command::Crds { dir: None } => {
            let mut out = std::io::stdout().lock();
            for (_, yaml) in api::crd_files()? {
                write!(out, "---\n{yaml}")?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Crds { dir: Some(dir) } => {
            std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
            for (name, yaml) in api::crd_files()? {
                let path = dir.join(name);
                std::fs::write(&path, yaml).with_context(|| format!("cannot write {}", path.display()))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Run(settings) => {
            log(settings.log_format);
            tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run::run(*settings))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::People(command) => Ok(command.run(whole)),
    }
}

/// `RUST_LOG` chooses what is logged, within bounds: at debug and trace libraries show headers, queries and bodies,
/// among them whatever an upgrade adds, and a body may be a Secret with a link. kube's client does so even in a warning,
/// with an answer that it cannot read.
fn log(format: LogFormat) {
    let wish = EnvFilter::new(std::env::var("RUST_LOG").unwrap_or_else(|_| "info".into()));
    let bounds = Targets::new()
        .with_default(LevelFilter::INFO)
        .with_target("portal_operator", LevelFilter::TRACE)
        // It reports each failed try as an error, beside our own one line for each trouble.
        .with_target("kube_client::client::builder", LevelFilter::OFF)
        .with_target("kube_client::client", LevelFilter::ERROR);
    let (subscriber, out) = (tracing_subscriber::registry().with(wish).with(bounds), std::io::stderr);
    match format {
        LogFormat::Json => subscriber.with(layer().json().with_writer(out)).init(),
        LogFormat::Text => {
            let colours = std::io::IsTerminal::is_terminal(&out());
            subscriber.with(layer().with_ansi(colours).with_writer(out)).init();
        }
    }
}
