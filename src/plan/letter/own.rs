//! A portal's own texts: the entries of a ConfigMap, checked when they change by rendering them with samples. What is
//! wrong is told with key and line; the last good text goes on being used, and without one the built-in text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use minijinja::{Error, ErrorKind};

use super::engine::{Form, names, render};
use super::words::{self, Language};
use super::{Composed, Letter, Occasion, html, layout, rules};

/// What a template may take from outside.
pub const VARIABLES: [&str; 10] =
    ["portal", "tenant", "given_name", "inviter", "invitee", "message", "message_lines", "expiration", "url", "lang"];

/// The parts of a text, as keys end.
const PARTS: [&str; 3] = ["subject", "txt", "html"];

/// The most keys that a ConfigMap may have: five occasions with three parts in thirty languages.
const MOST_KEYS: usize = 500;

/// What is wrong with a portal's own text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key of the ConfigMap.
    pub key: String,
    /// The line of its text.
    pub line: Option<usize>,
    /// A sentence about it.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.map(|line| format!(", line {line}")).unwrap_or_default();
        write!(f, "{}{line}: {}", self.key, self.what)
    }
}

/// What is known of the ConfigMap with a portal's texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum TextsSeen {
    /// Nobody has looked yet.
    #[default]
    Unseen,
    /// It was looked for and is not there, or may not be read.
    Missing {
        /// The last good texts.
        good: Arc<Texts>,
    },
    /// It is there.
    Here {
        /// The texts that can be used.
        good: Arc<Texts>,
        /// What is wrong with others.
        faults: Vec<Fault>,
    },
}

impl TextsSeen {
    /// The texts that can be used.
    pub fn good(&self) -> Arc<Texts> {
        match self {
            TextsSeen::Unseen => Arc::default(),
            TextsSeen::Missing { good } | TextsSeen::Here { good, .. } => good.clone(),
        }
    }

    /// What is known once the ConfigMap has these entries. None: there is no ConfigMap.
    pub fn after(&self, entries: Option<&BTreeMap<String, String>>) -> TextsSeen {
        let before = self.good();
        let Some(entries) = entries else { return TextsSeen::Missing { good: before } };
        let (good, faults) = Texts::read(entries, &before);
        TextsSeen::Here { good: Arc::new(good), faults }
    }
}

/// A portal's own texts that can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts(BTreeMap<String, Set>);

/// The parts of one text in one language.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Set {
    subject: Option<String>,
    text: Option<String>,
    html: Option<String>,
}

/// A part that is wrong, the line, and what about it.
pub(super) struct Wrong {
    part: &'static str,
    line: Option<usize>,
    what: String,
}

impl Texts {
    /// The text for an occasion in a language; without one, that which names none.
    pub(super) fn get(&self, occasion: &str, tag: &str) -> Option<&Set> {
        self.0.get(&joined(occasion, tag))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The texts of these entries that can be used, and what is wrong with others. For a wrong one, the one before.
    pub fn read(entries: &BTreeMap<String, String>, before: &Texts) -> (Texts, Vec<Fault>) {
        if let Some(key) = entries.keys().nth(MOST_KEYS) {
            let what = format!("there are more than {MOST_KEYS} keys, of which none is read");
            return (before.clone(), vec![Fault { key: key.clone(), line: None, what }]);
        }
        let (mut sets, mut faults) = (BTreeMap::<String, Set>::new(), Vec::new());
        // The name of a text as its keys have it: a language in capitals is the same one.
        let mut written: BTreeMap<String, String> = BTreeMap::new();
        for (key, source) in entries {
            let Some((occasion, tag, part)) = parsed(key) else {
                let what = format!(
                    "no such text: a key is <occasion>.<part> or <occasion>.<language>.<part>; occasions are {}, parts \
                     are {}",
                    Occasion::WORDS.join(", "),
                    PARTS.join(", ")
                );
                faults.push(Fault { key: key.clone(), line: None, what });
                continue;
            };
            let name = joined(occasion, &tag.to_ascii_lowercase());
            let stem = key.strip_suffix(part).unwrap_or(key).trim_end_matches('.').to_owned();
            written.insert(name.clone(), stem);
            let set = sets.entry(name).or_default();
            let entry = match part {
                "subject" => &mut set.subject,
                "txt" => &mut set.text,
                _ => &mut set.html,
            };
            *entry = Some(source.clone());
        }
        let mut good = BTreeMap::new();
        for (name, set) in sets {
            let (occasion, tag) = name.split_once('.').unwrap_or((&name, ""));
            match set.check(occasion, tag) {
                Ok(()) => drop(good.insert(name, set)),
                Err(Wrong { part, line, what }) => {
                    let stem = written.get(&name).map_or(name.as_str(), String::as_str);
                    faults.push(Fault { key: format!("{stem}.{part}"), line, what });
                    good.extend(before.0.get(&name).map(|set| (name.clone(), set.clone())));
                }
            }
        }
        (Texts(good), faults)
    }
}

fn joined(occasion: &str, tag: &str) -> String {
    if tag.is_empty() { occasion.to_owned() } else { format!("{occasion}.{tag}") }
}

/// Occasion, language and part of a key.
fn parsed(key: &str) -> Option<(&str, &str, &'static str)> {
    let (stem, part) = key.rsplit_once('.')?;
    let part = PARTS.into_iter().find(|known| *known == part)?;
    let (occasion, tag) = stem.split_once('.').unwrap_or((stem, ""));
    let is_tag = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (Occasion::WORDS.contains(&occasion) && tag.chars().all(is_tag) && !stem.ends_with('.'))
        .then_some((occasion, tag, part))
}

impl Set {
    /// The letter in these words.
    pub(super) fn compose(
        &self,
        letter: &Letter,
        url: &str,
        language: &Language,
        tag: &str,
    ) -> Result<Composed, Wrong> {
        let say = |part: &'static str, source: &str, form| {
            let values = layout::values(letter, url, language, tag, form).map_err(|error| wrong(part, &error))?;
            render(source, form, &values).map_err(|error| wrong(part, &error))
        };
        let built_in = || layout::built_in(letter, url, language).map_err(|error| wrong("subject", &error));
        let subject = match &self.subject {
            Some(source) => layout::subject(&say("subject", source, Form::Text)?),
            None => built_in()?.subject,
        };
        if subject.is_empty() {
            return Err(Wrong { part: "subject", line: None, what: "the subject is empty".into() });
        }
        // What people wrote may name addresses, as it may in the built-in words.
        let names = [&letter.portal, &letter.given_name, &letter.inviter, &letter.invitee, &letter.message];
        let said: Vec<&str> = names.into_iter().flatten().chain([&letter.tenant]).map(String::as_str).collect();
        if self.subject.is_some() {
            let judged = rules::no_other_link(&subject, "", &said);
            judged.map_err(|what| Wrong { part: "subject", line: None, what })?;
        }
        let Some(source) = &self.text else { return Ok(Composed { subject, ..built_in()? }) };
        let text = say("txt", source, Form::Text)?.trim_end().to_owned() + "\n";
        let html = match &self.html {
            Some(source) => say("html", source, Form::Html)?,
            None => layout::of_text(letter, url, language, tag, &subject, &text).map_err(|e| wrong("html", &e))?,
        };
        let needed = !matches!(letter.occasion, Occasion::Accepted { .. } | Occasion::Expired { .. });
        for (part, found, most) in [
            ("txt", if url.is_empty() { 0 } else { text.matches(url).count() }, 1),
            ("html", if url.is_empty() { 0 } else { html::leading_to(&html, url) }, 2),
        ] {
            if found == 0 && needed {
                return Err(Wrong { part, line: None, what: "it has no link: write {{ url }}".into() });
            }
            if found > most {
                return Err(Wrong { part, line: None, what: "it has the link more than once".into() });
            }
        }
        // The samples were judged too, and still: a branch may be one that no sample takes.
        rules::no_other_link(&text, url, &said).map_err(|what| Wrong { part: "txt", line: None, what })?;
        if self.html.is_some() {
            html::only_words(&html, url, &said).map_err(|what| Wrong { part: "html", line: None, what })?;
        }
        Ok(Composed { subject, text, html, language: tag.to_owned() })
    }

    /// Whether it can be used, by samples with everything and with as little as there may be.
    fn check(&self, occasion: &str, tag: &str) -> Result<(), Wrong> {
        if self.html.is_some() && self.text.is_none() {
            let what = "it has no text beside it: write the same key with .txt too".into();
            return Err(Wrong { part: "html", line: None, what });
        }
        if self.subject.is_none() && !tag.is_empty() && words::built_in(tag).is_none() {
            let what = "it has no subject beside it, and this language has no built-in one: write the same key with \
                        .subject too"
                .into();
            return Err(Wrong { part: "txt", line: None, what });
        }
        for (part, source) in [("subject", &self.subject), ("txt", &self.text), ("html", &self.html)] {
            let Some(source) = source else { continue };
            let form = if part == "html" { Form::Html } else { Form::Text };
            rules::simple(source)
                .and_then(|()| rules::names_no_address(source, form))
                .map_err(|(line, what)| Wrong { part, line: Some(line), what })?;
            let known: BTreeSet<&str> = VARIABLES.into();
            let mut unknown: Vec<String> = names(source).map_err(|error| wrong(part, &error))?.into_iter().collect();
            unknown.retain(|name| !known.contains(name.as_str()));
            unknown.sort();
            if let Some(name) = unknown.first() {
                let what = format!("unknown variable {name}; there are {}", VARIABLES.join(", "));
                return Err(Wrong { part, line: rules::line_of(source, name), what });
            }
        }
        let language = words::nearest(if tag.is_empty() { "en" } else { tag });
        for letter in samples(occasion) {
            let url = letter.occasion.url("https://portal.example/invitation#sample");
            let composed = self.compose(&letter, url, language, if tag.is_empty() { "en" } else { tag })?;
            if composed.subject.chars().count() > layout::LONGEST_SUBJECT {
                let what = format!("the subject is longer than {} characters", layout::LONGEST_SUBJECT);
                return Err(Wrong { part: "subject", line: None, what });
            }
        }
        Ok(())
    }
}

/// Letters that a text has to be able to say: one with everything, one with as little as there may be.
fn samples(occasion: &str) -> [Letter; 2] {
    let url = "https://acme.portal.example/".to_owned();
    let occasion = |url: Option<String>| match occasion {
        "reminder" => Occasion::Reminder,
        "activation" => Occasion::Activation { url: "https://acme.portal.example/".into() },
        "accepted" => Occasion::Accepted { url },
        "expired" => Occasion::Expired { url },
        _ => Occasion::Invitation,
    };
    let bare = Letter {
        occasion: occasion(None),
        locales: vec!["en".into()],
        texts: Arc::default(),
        portal: None,
        tenant: "ACME Corporation".into(),
        given_name: None,
        inviter: None,
        invitee: None,
        message: None,
        expiration: None,
    };
    let whole = Letter {
        occasion: occasion(Some(url)),
        portal: Some("Customer Portal".into()),
        given_name: Some("Grace".into()),
        inviter: Some("Ada Lovelace".into()),
        invitee: Some("Grace Hopper (grace@acme.example)".into()),
        message: Some("See you on board!\nAda".into()),
        expiration: Timestamp::from_second(1_800_000_000).ok(),
        ..bare.clone()
    };
    [whole, bare]
}

/// What a template's error means to who wrote it.
fn wrong(part: &'static str, error: &Error) -> Wrong {
    let what = match error.kind() {
        ErrorKind::OutOfFuel => "it takes too long".to_owned(),
        ErrorKind::WriteFailure => format!("it writes more than {} bytes", super::engine::LONGEST),
        kind => error.detail().map_or_else(|| kind.to_string(), str::to_owned),
    };
    Wrong { part, line: error.line(), what }
}
