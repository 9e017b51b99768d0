//! The command line. Arguments are parsed here and turned once into what the program works with.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;

use crate::api::duration::HumanDuration;
use crate::command;

/// Declare a B2B customer portal in YAML: tenants, users, groups and invitations.
#[derive(Debug, Parser)]
#[command(name = "portal-operator", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator and its web server.
    Run(Box<Run>),
    /// Print the CRDs as YAML, or write one file for each.
    Crds {
        /// Write `<group>_<plural>.yaml` files into this folder instead.
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// What people do, as `kubectl portal`, too.
    #[command(flatten)]
    People(command::Command),
}

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Settings of `run`. Every flag is an environment variable too.
#[derive(Debug, Parser)]
pub struct Run {
    /// Namespace to watch; repeatable. Default: all.
    #[arg(long = "namespace", env = "PORTAL_OPERATOR_NAMESPACE", value_delimiter = ',')]
    pub namespaces: Vec<String>,

    /// Where mail goes: smtps://user:pass@host:465, smtp://host:587 (STARTTLS required), smtp://localhost:1025 (plain),
    /// file:///folder. Without it nothing is mailed.
    #[arg(long, env = "PORTAL_OPERATOR_MAIL_URL", hide_env_values = true)]
    pub mail_url: Option<String>,

    /// File that holds the mail URL, as a mounted Secret does. It is followed: a new password needs no restart.
    #[arg(long, env = "PORTAL_OPERATOR_MAIL_URL_FILE", conflicts_with = "mail_url")]
    pub mail_url_file: Option<PathBuf>,

    /// File with certificates (PEM) that are trusted for the relay besides the platform's.
    #[arg(long, env = "PORTAL_OPERATOR_MAIL_CA_FILE")]
    pub mail_ca_file: Option<PathBuf>,

    /// Sender: `Portal <portal@example.com>`.
    #[arg(long, env = "PORTAL_OPERATOR_MAIL_FROM")]
    pub mail_from: Option<String>,

    /// Reply-To of all mails.
    #[arg(long, env = "PORTAL_OPERATOR_MAIL_REPLY_TO")]
    pub mail_reply_to: Option<String>,

    /// Connections to the relay at the same time.
    #[arg(long, env = "PORTAL_OPERATOR_MAIL_CONNECTIONS", default_value_t = 16)]
    pub mail_connections: usize,

    /// Keep every mail back: a cluster rebuilt from Git alone has no memory of what was sent.
    #[arg(long, env = "PORTAL_OPERATOR_HOLD_MAIL")]
    pub hold_mail: bool,

    /// Base of every link: where people reach the page. Default: http://localhost with the port of --listen.
    #[arg(long, env = "PORTAL_OPERATOR_PUBLIC_URL")]
    pub public_url: Option<String>,

    /// Address of the page and its JSON API. Port 0 lets the system choose; the log line `listening` tells.
    #[arg(long, env = "PORTAL_OPERATOR_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,

    /// Network of proxies whose X-Forwarded-For is believed, such as 10.0.0.0/8; repeatable. Who asks too often is told
    /// apart by it; without it all who come by one proxy count as one.
    #[arg(long = "trusted-proxy", env = "PORTAL_OPERATOR_TRUSTED_PROXY", value_name = "CIDR", value_delimiter = ',')]
    pub trusted_proxies: Vec<IpNet>,

    /// Address of /healthz, /readyz and /metrics.
    #[arg(long, env = "PORTAL_OPERATOR_METRICS_LISTEN", default_value = "0.0.0.0:9090")]
    pub metrics_listen: SocketAddr,

    /// Secret with the keys of links, as NAMESPACE/NAME; made at first start if absent. Default: portal-operator-link-keys
    /// in the operator's namespace.
    #[arg(long, env = "PORTAL_OPERATOR_LINK_KEYS_SECRET")]
    pub link_keys_secret: Option<String>,

    /// Life of a link where neither invitation nor tenant says otherwise (5m to 90d).
    #[arg(long, env = "PORTAL_OPERATOR_DEFAULT_EXPIRY", default_value = "24h")]
    pub default_expiry: HumanDuration,

    /// Elect one replica that acts; all serve the page.
    #[arg(long, env = "PORTAL_OPERATOR_LEADER_ELECT", default_value_t = true, action = ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub leader_elect: bool,

    /// Name of the Lease: installations that share a namespace need one each.
    #[arg(long, env = "PORTAL_OPERATOR_LEASE_NAME", default_value = "portal-operator")]
    pub lease_name: String,

    /// Namespace of the Lease. Default: the operator's namespace.
    #[arg(long, env = "PORTAL_OPERATOR_LEASE_NAMESPACE")]
    pub lease_namespace: Option<String>,

    /// Identity of this replica. Default: POD_NAME, else host name and a random part.
    #[arg(long, env = "PORTAL_OPERATOR_IDENTITY")]
    pub identity: Option<String>,

    /// How logs are written.
    #[arg(long, env = "PORTAL_OPERATOR_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// How kubectl's plugin is called (<https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/>).
const PLUGIN: &str = "kubectl-portal";

/// Reads the arguments of this process; with them, the command line by which they were read. Installed or linked as
/// `kubectl-portal`, it is `kubectl portal`.
pub fn parse() -> (Cli, clap::Command) {
    let name = std::env::args_os().next().map(PathBuf::from);
    let is_plugin = name.as_deref().and_then(|path| path.file_stem()).is_some_and(|stem| stem == PLUGIN);
    let whole = command(is_plugin);
    let matches = whole.clone().get_matches();
    (Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()), whole)
}

/// The command line, under the name by which it is called. As a plugin it is for people: what runs the operator is not
/// shown, and examples are written as kubectl's.
pub fn command(is_plugin: bool) -> clap::Command {
    let command = Cli::command();
    if is_plugin {
        let command = command.name(PLUGIN).bin_name("kubectl portal");
        return command.mut_subcommand("run", |run| run.hide(true)).mut_subcommand("crds", |crds| crds.hide(true));
    }
    command.mut_subcommands(|sub| match sub.get_after_help().map(ToString::to_string) {
        Some(help) => sub.after_help(help.replace("kubectl portal", "portal-operator")),
        None => sub,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound_under_both_names() {
        command(false).debug_assert();
        command(true).debug_assert();
    }

    #[test]
    fn every_command_for_people_has_a_sentence_and_an_example() {
        let shown = |sub: &&clap::Command| !["run", "crds", "help"].contains(&sub.get_name());
        for is_plugin in [false, true] {
            for sub in command(is_plugin).get_subcommands().filter(shown) {
                let (name, about) = (sub.get_name(), sub.get_about().map(ToString::to_string).unwrap_or_default());
                assert!(!about.is_empty() && about.len() <= 70, "{name}: {about:?}");
                let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
                let called = if is_plugin { "kubectl portal " } else { "portal-operator " };
                assert!(help.contains("Examples:\n  ") && help.contains(called), "{name}: {help}");
                assert!(
                    !help.contains(if is_plugin { "portal-operator " } else { "kubectl portal " }),
                    "{name}: {help}"
                );
            }
        }
    }
}
