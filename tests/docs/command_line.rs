//! docs/command-line.md: its reference is the help of the commands, and its examples and those of the help are read.

use std::path::Path;

use clap::Command;

use super::{read, repository};

const DOCUMENT: &str = "docs/command-line.md";
const MARK: &str = "<!-- reference: written by `make command-line` from --help -->\n";

/// Those that are for people.
fn commands() -> Vec<Command> {
    let mut whole = portal_operator::cli::command(true);
    whole.build();
    whole.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help").cloned().collect()
}

/// The help of every command. What all of them say of the cluster is said once, at the end.
fn reference() -> String {
    let mut cluster = String::new();
    let mut text = String::new();
    for mut command in commands() {
        let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
        let help = command.render_help().to_string();
        let lines: Vec<&str> = help.lines().skip(2).map(str::trim_end).collect();
        let sections = lines.join("\n");
        let (of_cluster, own): (Vec<&str>, Vec<&str>) =
            sections.split("\n\n").partition(|section| section.starts_with("Cluster:\n"));
        text +=
            &format!("\n### {}\n\n{}\n\n```text\n{}\n```\n", command.get_name(), about.trim(), own.join("\n\n").trim());
        cluster = of_cluster.first().map_or(cluster, ToString::to_string);
    }
    assert!(!cluster.is_empty(), "there are commands that ask a cluster");
    format!("{text}\n### All that ask a cluster\n\n```text\n{}\n```\n", cluster.trim_end())
}

#[test]
fn the_reference_of_the_command_line_is_its_help() {
    let document = read(DOCUMENT);
    let (text, written) = document.split_once(MARK).expect("a mark before the reference");
    if std::env::var_os("WRITE").is_some() {
        std::fs::write(repository(DOCUMENT), format!("{text}{MARK}{}", reference())).expect("written");
        return;
    }
    assert!(written == reference(), "the reference is not what --help says: make command-line");
}

/// The words of a line of a shell, as far as examples need it.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for character in line.chars() {
        match character {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            '>' | '|' | '&' | ')' if !quoted => break,
            _ => word.push(character),
        }
    }
    words.push(word);
    words.into_iter().filter(|word| !word.is_empty()).collect()
}

#[test]
fn every_example_of_the_command_line_is_understood() {
    let mut count = 0;
    let documents = [DOCUMENT, "README.md"].map(read);
    for text in documents.iter() {
        for line in text.lines() {
            for name in ["kubectl portal ", "portal-operator "] {
                let Some(at) = line.find(name) else { continue };
                let whole = portal_operator::cli::command(name.starts_with("kubectl"));
                let words = words(&line[at + name.len()..]);
                let known = whole.get_subcommands().map(Command::get_name).collect::<Vec<_>>();
                // A sentence may name the program, too; of code it is only what stands alone.
                let is_code = !line.contains('`') && !line.contains("Usage:") && line.trim_start().find(name).is_some();
                let Some(first) = words.first().filter(|first| is_code && known.contains(&first.as_str())) else {
                    continue;
                };
                let read = whole.clone().try_get_matches_from(std::iter::once(&"portal".to_owned()).chain(&words));
                if let Err(error) = read {
                    assert!(line.ends_with('\\'), "{first}: {line}: {error}");
                }
                count += 1;
            }
        }
    }
    assert!(count > 40, "{count} examples");
}

#[test]
fn shells_complete_it_and_manuals_tell_of_every_command() {
    let program = env!("CARGO_BIN_EXE_portal-operator");
    let script = "source <(\"$0\" completion bash); COMP_WORDS=(portal-operator who-); COMP_CWORD=1; _portal__operator portal-operator who- portal-operator; echo \"${COMPREPLY[@]}\"";
    let said = std::process::Command::new("bash").args(["-c", script, program]).output().expect("bash runs");
    assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), "who-can", "{}", String::from_utf8_lossy(&said.stderr));

    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("man-{}", std::process::id()));
    let arguments = ["man", "--dir", &folder.to_string_lossy()];
    assert!(std::process::Command::new(program).args(arguments).status().expect("it runs").success());
    for command in commands() {
        let page = folder.join(format!("portal-operator-{}.1", command.get_name()));
        let text = std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        assert!(text.contains(".TH") && text.contains("Examples"), "{text}");
    }
    std::fs::remove_dir_all(folder).expect("removed");
}
