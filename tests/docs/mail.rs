//! docs/mail.md: its YAML is read by the types and by the judge of texts, its URLs by the operator, its tables name what
//! there is.

use std::collections::{BTreeMap, BTreeSet};

use portal_operator::api::Portal;
use portal_operator::plan::Purpose;
use portal_operator::plan::letter::{Texts, VARIABLES};
use portal_operator::shell::mail_url::{MailTarget, parse};
use serde_json::Value;

use super::{code, read, read_as, rows, within};

const DOCUMENT: &str = "docs/mail.md";

/// The YAML of fenced blocks.
fn documents() -> Vec<Value> {
    let text = read(DOCUMENT);
    let blocks = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.map(|block| serde_saphyr::from_str(block).unwrap_or_else(|error| panic!("{error} in {block}"))).collect()
}

fn document(kind: &str) -> Value {
    documents().into_iter().find(|document| document["kind"] == kind).unwrap_or_else(|| panic!("a {kind}"))
}

#[test]
fn the_portal_that_is_shown_is_read_without_a_rest() {
    let portal = document("Portal");
    assert!(within(&portal, &read_as::<Portal>(&portal)), "{portal}");
    assert_eq!(portal["spec"]["mail"]["templatesRef"]["name"], document("ConfigMap")["metadata"]["name"]);
}

#[test]
fn the_texts_that_are_shown_can_be_used() {
    let data: BTreeMap<String, String> = serde_json::from_value(document("ConfigMap")["data"].clone()).expect("texts");
    let (_, faults) = Texts::read(&data, &Texts::default());
    assert!(data.len() > 3 && faults.is_empty(), "{faults:?}");
}

#[test]
fn the_variables_and_mails_that_are_named_are_those_that_there_are() {
    let text = read(DOCUMENT);
    let named: BTreeSet<String> = rows(&text).into_iter().collect();
    assert_eq!(named, VARIABLES.iter().map(|name| (*name).to_owned()).collect());
    let first = text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let mails: BTreeSet<&str> = first.filter(|cell| Purpose::ALL.iter().any(|p| p.as_str() == *cell)).collect();
    assert_eq!(mails.len(), Purpose::ALL.len(), "{mails:?}");
}

#[test]
fn the_relays_that_are_shown_are_understood() {
    let text = read(DOCUMENT);
    let words = code(&text).into_iter().flat_map(|line| {
        let ends = |c: char| c.is_whitespace() || "'\"|".contains(c);
        line.split(ends).map(|word| word.trim_start_matches("--from-literal=url=").to_owned()).collect::<Vec<_>>()
    });
    let mut relays = 0;
    for url in words.filter(|word| word.starts_with("smtp") && word.contains("://") && !word.ends_with("://")) {
        assert!(matches!(parse(&url, None), Ok(MailTarget::Smtp(_))), "{url}");
        relays += 1;
    }
    assert!(relays >= 7, "{relays}");
}

#[test]
fn the_pictures_are_there_and_small() {
    let text = read(DOCUMENT);
    let pictures: Vec<&str> = text.split("](pictures/").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(pictures.len() >= 2, "{pictures:?}");
    for picture in pictures {
        let file = std::fs::metadata(super::repository(&format!("docs/pictures/{picture}")));
        assert!(file.is_ok_and(|file| file.len() < 60_000), "{picture}");
    }
}
