//! `completion` and `man`: what shells and manuals want to know of the command line.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

use super::{Answer, Failure};

/// Print completions for a shell.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  source <(kubectl portal completion bash)
  kubectl portal completion zsh > ~/.zfunc/_kubectl-portal
  kubectl portal completion fish > ~/.config/fish/completions/kubectl-portal.fish")]
pub struct Completion {
    /// The shell.
    shell: Shell,
}

/// Write manual pages, one for each command.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kubectl portal man --dir ~/.local/share/man/man1")]
pub struct Man {
    /// The folder.
    #[arg(long)]
    dir: PathBuf,
}

impl Completion {
    /// Prints them.
    pub fn run(self, mut command: clap::Command, out: &mut dyn Write) -> Answer {
        let mut text = Vec::new();
        let name = command.get_name().to_owned();
        clap_complete::generate(self.shell, &mut command, name, &mut text);
        out.write_all(&text)?;
        Ok(true)
    }
}

impl Man {
    /// Writes them.
    pub fn run(self, command: clap::Command) -> Answer {
        let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", self.dir.display()));
        std::fs::create_dir_all(&self.dir).map_err(failed)?;
        clap_mangen::generate_to(command, &self.dir).map_err(failed)?;
        Ok(true)
    }
}
