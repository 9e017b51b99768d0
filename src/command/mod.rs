//! Floor 3: hands for people. One file for each command of `portal-operator`, which doubles as `kubectl portal`.
//!
//! Commands use what the operator uses: its plans judge (`plan/`), its tables hold what was listed (`shell/world.rs`).
//! None of them writes a status.

mod failure;
mod lint;

use std::io::Write;
use std::process::ExitCode;

use clap::Subcommand;

pub use self::failure::{Answer, Failure};

/// What people do.
#[derive(Debug, Subcommand)]
pub enum Command {
    Lint(lint::Lint),
}

impl Command {
    /// Does it. The code is 0 if all is well, 1 if something is not, 2 if it was asked for wrongly.
    pub fn run(self) -> ExitCode {
        let mut out = anstream::stdout().lock();
        let answer = match self {
            Command::Lint(lint) => lint.run(&mut out),
        };
        let answer = answer.and_then(|good| Ok(out.flush().map(|()| good)?));
        match answer {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            // Whoever reads only the beginning (`| head`) has what they want.
            Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
            Err(failure) => {
                anstream::eprintln!("error: {failure}");
                ExitCode::from(failure.code())
            }
        }
    }
}
