//! `portal-operator`: the operator, its web server and its CRDs.

use std::io::Write;

use anyhow::Context;
use clap::Parser;
use portal_operator::cli::{Cli, Command, LogFormat};
use portal_operator::{api, run};
use tracing_subscriber::EnvFilter;

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Crds { dir: None } => {
            let mut out = std::io::stdout().lock();
            for (_, yaml) in api::crd_files()? {
                write!(out, "---\n{yaml}")?;
            }
            Ok(())
        }
        Command::Crds { dir: Some(dir) } => {
            for (name, yaml) in api::crd_files()? {
                let path = dir.join(name);
                std::fs::write(&path, yaml).with_context(|| format!("cannot write {}", path.display()))?;
            }
            Ok(())
        }
        Command::Run(settings) => {
            log(settings.log_format);
            tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run::run(*settings))
        }
    }
}

/// `RUST_LOG` chooses what is logged. Libraries that would log bodies or headers are kept at info.
fn log(format: LogFormat) {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".into());
    let filter = EnvFilter::new(filter);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Json => builder.json().init(),
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
    }
}
