//! The README of the chart: its table of values is made of the comments in values.yaml.

use crate::support::repository;
use crate::tools::CHART;

const BEGIN: &str = "<!-- values: written by `make chart` -->\n";
const END: &str = "<!-- /values -->\n";

/// A value, as its comment and default tell.
struct Row {
    path: String,
    default: String,
    words: String,
}

/// Reads values.yaml line by line: a comment right above a key describes it. A key without a value of its own opens a
/// group.
fn rows(text: &str) -> Vec<Row> {
    let (mut rows, mut words, mut groups) = (Vec::<Row>::new(), Vec::new(), Vec::<(usize, String)>::new());
    for line in text.lines() {
        let (content, indent) = (line.trim_start(), line.len() - line.trim_start().len());
        if content.is_empty() {
            words.clear();
        } else if let Some(comment) = content.strip_prefix("# ") {
            words.push(comment.to_owned());
        } else if let Some((key, value)) = content.split_once(':').filter(|(key, _)| !key.contains([' ', '{'])) {
            groups.retain(|(depth, _)| *depth < indent);
            // What belongs to a described value is its default, not a value of its own.
            let inside =
                rows.last().is_some_and(|row| row.default.is_empty() && groups.iter().any(|(_, g)| *g == row.path));
            let path = groups.iter().map(|(_, group)| group.rsplit('.').next().unwrap_or_default()).chain([key]);
            let path = path.collect::<Vec<_>>().join(".");
            if value.trim().is_empty() {
                groups.push((indent, path.clone()));
            }
            assert!(!words.is_empty() || value.trim().is_empty() || inside, "values.yaml says nothing about {path}");
            if !words.is_empty() {
                rows.push(Row { path, default: value.trim().to_owned(), words: words.join(" ") });
                words.clear();
            }
        }
    }
    rows
}

/// The table.
fn table(values: &str) -> String {
    let mut table = "| value | default | what it does |\n|---|---|---|\n".to_owned();
    for Row { path, default, words } in rows(values) {
        let default = if default.is_empty() { "see values.yaml".to_owned() } else { format!("`{default}`") };
        table += &format!("| `{path}` | {default} | {} |\n", words.replace('|', "\\|"));
    }
    table
}

#[test]
fn the_readme_tells_every_value_as_it_is() {
    let file = repository(&format!("{CHART}/README.md"));
    let readme = std::fs::read_to_string(&file).expect("a README");
    let values = std::fs::read_to_string(repository(&format!("{CHART}/values.yaml"))).expect("values");
    let (before, rest) = readme.split_once(BEGIN).expect("a place for the table");
    let (_, after) = rest.split_once(END).expect("its end");
    let right = format!("{before}{BEGIN}{}{END}{after}", table(&values));
    if std::env::var_os("WRITE").is_some() {
        std::fs::write(&file, &right).expect("written");
    } else {
        assert!(readme == right, "the README of the chart is out of date: run `make chart`");
    }
}

#[test]
fn a_value_without_a_comment_is_noticed() {
    let rows = rows("# About a.\na: 1\n\nb:\n  # About c, in\n  # two lines.\n  c: [x]\n# About d.\nd:\n  e: {f: 1}\n");
    let told: Vec<_> = rows.iter().map(|r| (r.path.as_str(), r.default.as_str(), r.words.as_str())).collect();
    assert_eq!(told, [("a", "1", "About a."), ("b.c", "[x]", "About c, in two lines."), ("d", "", "About d.")]);
    assert!(std::panic::catch_unwind(|| self::rows("b:\n  c: 1\n").len()).is_err());
}
