//! Findings for people, for programs (JSON), and for code scanning (SARIF 2.1.0).

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use super::Format;
use super::repository::Finding;
use super::rule::{self, Level};

/// What was looked at.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// How many files.
    pub files: usize,
    /// How many objects of our kinds they hold.
    pub objects: usize,
}

/// Writes findings.
pub fn write(out: &mut dyn Write, format: Format, findings: &[Finding], extent: Extent) -> io::Result<()> {
    match format {
        Format::Human => human(out, findings, extent),
        Format::Json => writeln!(out, "{:#}", as_json(findings, extent)),
        Format::Sarif => writeln!(out, "{:#}", as_sarif(findings)),
    }
}

fn count(findings: &[Finding], level: Level) -> usize {
    findings.iter().filter(|finding| finding.rule.level == level).count()
}

fn human(out: &mut dyn Write, findings: &[Finding], extent: Extent) -> io::Result<()> {
    let bold = Style::new().bold();
    for finding in findings {
        let colour = match finding.rule.level {
            Level::Error => AnsiColor::Red,
            Level::Warning => AnsiColor::Yellow,
        };
        let style = colour.on_default().bold();
        let (place, level) = (&finding.place, finding.rule.level.as_str());
        let object = if finding.object.is_empty() { String::new() } else { format!("{}: ", finding.object) };
        let (file, line, column) = (&place.file, place.line, place.column);
        writeln!(
            out,
            "{bold}{file}:{line}:{column}:{bold:#} {style}{level}{style:#}: {object}{} [{}]",
            finding.message, finding.rule.id
        )?;
    }
    let (errors, warnings) = (count(findings, Level::Error), count(findings, Level::Warning));
    let Extent { files, objects } = extent;
    writeln!(
        out,
        "{}, {} in {} and {}",
        plural(errors, "error"),
        plural(warnings, "warning"),
        plural(objects, "object"),
        plural(files, "file")
    )
}

fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn as_json(findings: &[Finding], extent: Extent) -> Value {
    let one = |f: &Finding| {
        json!({
            "rule": f.rule.id, "level": f.rule.level.as_str(), "message": f.message, "object": f.object,
            "file": f.place.file, "line": f.place.line, "column": f.place.column,
        })
    };
    json!({
        "errors": count(findings, Level::Error), "warnings": count(findings, Level::Warning),
        "files": extent.files, "objects": extent.objects,
        "findings": findings.iter().map(one).collect::<Vec<_>>(),
    })
}

fn as_sarif(findings: &[Finding]) -> Value {
    let rule = |rule: &rule::Rule| {
        json!({
            "id": rule.id,
            "shortDescription": {"text": rule.about},
            "defaultConfiguration": {"level": rule.level.as_str()},
        })
    };
    let result = |finding: &Finding| {
        let object = if finding.object.is_empty() { String::new() } else { format!("{}: ", finding.object) };
        json!({
            "ruleId": finding.rule.id,
            "ruleIndex": rule::ALL.iter().position(|rule| rule.id == finding.rule.id),
            "level": finding.rule.level.as_str(),
            "message": {"text": format!("{object}{}", finding.message)},
            "locations": [{"physicalLocation": {
                "artifactLocation": {"uri": uri(&finding.place.file)},
                "region": {"startLine": finding.place.line, "startColumn": finding.place.column},
            }}],
        })
    };
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "portal-operator lint",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/command-line.md"),
                "rules": rule::ALL.iter().map(rule).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": findings.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

/// A path as a reference of RFC 3986: what such a reference may not hold is escaped.
fn uri(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let path = if path == "-" { "stdin" } else { path.strip_prefix("./").unwrap_or(path) };
    path.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
