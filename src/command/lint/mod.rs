//! `lint`: files of a Git repository against all that can be told without a cluster.
//!
//! What the API server would refuse is found by the CRDs' own schemas, what the operator would report by its own plans:
//! the linter has no opinion of its own.

mod people;
mod report;
pub(super) mod repository;
mod rule;
mod rules;
mod schema;
pub(super) mod source;
mod tenants;

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use self::repository::{Finding, Repository};
use self::rule::Level;
use super::{Answer, Failure};

/// Check files before they are applied. Needs no cluster.
///
/// Schema, references, roles, addresses, limits: what the API server would refuse, and what the operator would report.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 nothing is wrong (warnings aside, unless --deny-warnings), 1 something is, 2 what was given cannot be read.

Examples:
  kubectl portal lint .
  kubectl portal lint customers/ portal.yaml --deny-warnings
  kustomize build overlays/production | kubectl portal lint -
  kubectl portal lint --format sarif . > portal.sarif")]
pub struct Lint {
    /// Files, folders (recursively: *.yaml, *.yml, *.json), or - for standard input.
    #[arg(value_name = "FILE|DIR", required_unless_present = "rules")]
    paths: Vec<PathBuf>,

    /// How findings are written.
    #[arg(long, default_value = "human")]
    format: Format,

    /// Warnings fail, too.
    #[arg(long)]
    deny_warnings: bool,

    /// A rule that is not applied; repeatable.
    #[arg(long, value_name = "RULE")]
    ignore: Vec<String>,

    /// Print all rules.
    #[arg(long)]
    rules: bool,
}

/// How findings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Human,
    /// For programs.
    Json,
    /// For code scanning: SARIF 2.1.0.
    Sarif,
}

impl Lint {
    /// Looks at the files, and says what is wrong with them.
    pub fn run(self, out: &mut dyn Write) -> Answer {
        if self.rules {
            for rule in rule::ALL {
                writeln!(out, "{:<26} {:<8} {}", rule.id, rule.level.as_str(), rule.about)?;
            }
            return Ok(true);
        }
        if let Some(unknown) = self.ignore.iter().find(|id| rule::find(id).is_none()) {
            return Err(Failure::unusable(format!("there is no rule {unknown:?}: see --rules")));
        }
        let sources = source::read(&self.paths).map_err(Failure::unusable)?;
        if !sources.templates.is_empty() {
            let folders = sources.templates.iter().map(|folder| folder.display().to_string());
            let folders = folders.collect::<Vec<_>>().join(", ");
            aside!("note: templates of Helm are not looked at ({folders}): `helm template` makes YAML of them");
        }
        let extent = report::Extent { files: sources.files, objects: sources.documents.len() };
        let mut findings = findings(sources);
        findings.retain(|finding| !self.ignore.iter().any(|id| id == finding.rule.id));
        report::write(out, self.format, &findings, extent)?;
        let fails = |finding: &Finding| self.deny_warnings || finding.rule.level == Level::Error;
        Ok(!findings.iter().any(fails))
    }
}

/// All that is wrong, in the order of files and lines.
fn findings(sources: source::Sources) -> Vec<Finding> {
    let mut repository = Repository::new(sources);
    for document in repository.documents.clone() {
        match document.kind() {
            "Portal" => repository.portal(&document),
            "Tenant" => repository.tenant(&document),
            "PortalUser" => repository.user(&document),
            "Group" => repository.group(&document),
            "Invitation" => repository.invitation(&document),
            _ => {}
        }
    }
    let mut findings = repository.findings;
    let order = |finding: &Finding| (finding.place.clone(), finding.rule.id, finding.message.clone());
    findings.sort_by_key(order);
    findings.dedup_by_key(|finding| order(finding));
    findings
}
