//! Floor 3: hands for people. One file for each command of `portal-operator`, which doubles as `kubectl portal`.
//!
//! Commands use what the operator uses: its plans judge (`plan/`), its tables hold what was listed (`shell/world.rs`).
//! None of them writes a status.

/// Says something beside the answer, on standard error. Whoever does not listen stops nothing (`eprintln!` would panic).
macro_rules! aside {
    ($($said:tt)*) => {{
        let _ = ::std::io::Write::write_fmt(&mut ::anstream::stderr(), format_args!("{}\n", format_args!($($said)*)));
    }};
}

mod access;
mod cluster;
mod export;
mod failure;
mod invite;
mod link;
mod lint;
mod output;
mod render;
mod resend;
mod revoke;
mod shell_help;
mod switch;
mod target;
mod users;
mod view;
mod watch;
mod who_can;
mod why;

use std::io::Write;
use std::process::ExitCode;

use clap::Subcommand;

use self::failure::{Answer, Failure};
use self::output::Unheard;

/// What people do.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "the arguments of each say what it does, and become its help")]
pub enum Command {
    Invite(Box<invite::Invite>),
    Watch(watch::Watch),
    Resend(resend::Resend),
    Revoke(revoke::Revoke),
    Link(link::Link),
    Activate(switch::Activate),
    Deactivate(switch::Deactivate),
    Users(users::Users),
    Access(access::Access),
    WhoCan(who_can::WhoCan),
    Why(why::Why),
    Export(export::Export),
    Lint(lint::Lint),
    Render(render::Render),
    Completion(shell_help::Completion),
    Man(shell_help::Man),
}

impl Command {
    /// Does it. `whole` is the command line that it is a part of. The code is 0 if all is well, 1 if something is not,
    /// 2 if what was given cannot be used.
    pub fn run(self, whole: clap::Command) -> ExitCode {
        let mut out = anstream::stdout().lock();
        let answer = match self {
            Command::Lint(lint) => lint.run(&mut out),
            Command::Render(render) => render.run(&mut out),
            Command::Completion(completion) => completion.run(whole, &mut out),
            Command::Man(man) => man.run(whole),
            online => match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime.block_on(online.ask(&mut out)),
                Err(error) => Err(error.into()),
            },
        };
        let answer = answer.and_then(|good| Ok(out.flush().map(|()| good)?));
        match answer {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            // Whoever reads only the beginning (`| head`) has what they want.
            Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
            Err(failure) => {
                aside!("error: {failure}");
                ExitCode::from(failure.code())
            }
        }
    }

    /// Those that ask a cluster.
    async fn ask(self, out: &mut dyn Write) -> Answer {
        match self {
            // Those that change something do it to the end, whoever reads of it.
            Command::Invite(invite) => invite.run(&mut Unheard(out)).await,
            Command::Resend(resend) => resend.run(&mut Unheard(out)).await,
            Command::Revoke(revoke) => revoke.run(&mut Unheard(out)).await,
            Command::Activate(activate) => activate.run(&mut Unheard(out)).await,
            Command::Deactivate(deactivate) => deactivate.run(&mut Unheard(out)).await,
            Command::Watch(watch) => watch.run(out).await,
            Command::Link(link) => link.run(out).await,
            Command::Users(users) => users.run(out).await,
            Command::Access(access) => access.run(out).await,
            Command::WhoCan(who) => who.run(out).await,
            Command::Why(why) => why.run(out).await,
            Command::Export(export) => export.run(out).await,
            Command::Lint(_) | Command::Render(_) | Command::Completion(_) | Command::Man(_) => Ok(true),
        }
    }
}
