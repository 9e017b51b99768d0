//! How answers are written: tables as kubectl's, YAML, JSON, names.

use std::io::{self, Write};

use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::Failure;

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For Git.
    Yaml,
    /// For programs.
    Json,
    /// Names alone, as kubectl takes them.
    Name,
}

/// The choice of a format.
#[derive(Clone, Copy, Debug, Args)]
pub struct Output {
    /// How the answer is written.
    #[arg(short = 'o', long = "output", value_name = "FORMAT", default_value = "table")]
    pub format: Format,
}

/// Where work reports that has to go on when nobody reads any more (`| head -1`): what is written then is lost, and no
/// failure.
pub struct Unheard<'a>(pub &'a mut dyn Write);

impl Write for Unheard<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(bytes.len()),
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.flush() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            flushed => flushed,
        }
    }
}

/// Rows under headings, in columns as wide as they need.
pub fn table(out: &mut dyn Write, headings: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let widest = |column: usize| rows.iter().map(|row| row[column].width()).max().unwrap_or(0);
    let widths: Vec<usize> = headings.iter().enumerate().map(|(at, h)| h.width().max(widest(at))).collect();
    let headings: Vec<String> = headings.iter().map(ToString::to_string).collect();
    for row in [&headings].into_iter().chain(rows) {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.width())));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("   ").trim_end())?;
    }
    Ok(())
}

/// A value as YAML or JSON.
pub fn value(out: &mut dyn Write, format: Format, value: &impl Serialize) -> Result<(), Failure> {
    if format == Format::Json {
        let text = serde_json::to_string_pretty(value).map_err(|error| Failure::new(error.to_string()))?;
        writeln!(out, "{text}")?;
    } else {
        write!(out, "{}", serde_saphyr::to_string(value)?)?;
    }
    Ok(())
}

/// Objects as documents of YAML, or as a list in JSON.
pub fn objects(out: &mut dyn Write, format: Format, objects: &[serde_json::Value]) -> Result<(), Failure> {
    if format == Format::Json {
        return value(out, format, &serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects}));
    }
    for (at, object) in objects.iter().enumerate() {
        write!(out, "{}{}", if at == 0 { "" } else { "---\n" }, serde_saphyr::to_string(object)?)?;
    }
    Ok(())
}

/// How long ago something was, as kubectl writes it: `5d`, `3h`, `12m`. Empty where it never was.
pub fn ago(time: Option<&Time>, now: Timestamp) -> String {
    let Some(time) = time else { return String::new() };
    let seconds = now.duration_since(time.0).max(SignedDuration::ZERO).as_secs();
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_shown_in_them() {
        let mut out = Vec::new();
        let rows = [vec!["王小明".into(), "a".into()], vec!["Ada".into(), "".into()]];
        table(&mut out, &["NAME", "X"], &rows).expect("written");
        assert_eq!(String::from_utf8(out).expect("text"), "NAME     X\n王小明   a\nAda\n");
    }

    #[test]
    fn ages_are_written_as_kubectl_writes_them() {
        let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).expect("in range");
        let age = |seconds: i64| ago(Some(&Time(at(0))), at(seconds));
        assert_eq!(
            (age(90), age(600), age(7200), age(200_000)),
            ("90s".into(), "10m".into(), "2h".into(), "2d".into())
        );
        assert_eq!((age(-5), ago(None, at(0))), ("0s".into(), String::new()));
    }
}
