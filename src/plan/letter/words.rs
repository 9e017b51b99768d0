//! The built-in words: one file of data for each language.

use std::sync::OnceLock;

use jiff::{Timestamp, tz::TimeZone};
use minijinja::context;
use serde::Deserialize;

use super::engine::{Form, render};

/// The words of one language. Each text is a template.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Language {
    /// Its tag (BCP 47).
    #[serde(skip)]
    pub tag: &'static str,
    /// "to the customer portal of ACME".
    pub to_place: String,
    /// The first line.
    pub greeting: String,
    /// What to do where a button cannot be pressed.
    pub hint: String,
    /// A date and time, with zone.
    pub date: String,
    weekdays: [String; 7],
    months: [String; 12],
    /// Words of the invitation.
    pub invitation: Sentences,
    /// Words of the reminder.
    pub reminder: Sentences,
    /// Words of the activation of a portal.
    pub activation: Sentences,
    /// Words of the notice that somebody accepted.
    pub accepted: Sentences,
    /// Words of the notice that somebody did not answer.
    pub expired: Sentences,
}

/// The words of one occasion.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sentences {
    pub subject: String,
    /// What lists of mails show behind the subject.
    pub preheader: String,
    pub lead: String,
    /// What stands above the link in the text.
    pub call: String,
    /// What stands on the button.
    pub action: String,
    /// What stands below the link.
    pub notes: Vec<String>,
}

const FILES: [(&str, &str); 5] = [
    ("en", include_str!("en.yaml")),
    ("de", include_str!("de.yaml")),
    ("fr", include_str!("fr.yaml")),
    ("es", include_str!("es.yaml")),
    ("da", include_str!("da.yaml")),
];

/// The built-in languages, English first. Constants in effect: they depend on nothing but the program's text.
pub(super) fn languages() -> &'static [Language] {
    static READ: OnceLock<Vec<Language>> = OnceLock::new();
    READ.get_or_init(|| {
        let read = |(tag, text)| {
            let language: Language = serde_saphyr::from_str(text).expect("a test reads every language");
            Language { tag, ..language }
        };
        FILES.into_iter().map(read).collect()
    })
}

/// English.
pub(super) fn english() -> &'static Language {
    &languages()[0]
}

/// The tags that a locale is looked for by: `de-AT`, then `de`.
pub(super) fn tags(locale: &str) -> Vec<String> {
    let mut parts: Vec<&str> = locale.trim().split(['-', '_']).collect();
    let mut tags = Vec::new();
    while !parts.is_empty() {
        tags.push(parts.join("-").to_ascii_lowercase());
        parts.pop();
    }
    tags
}

/// The built-in language of a locale, a regional one by its language.
pub(super) fn built_in(locale: &str) -> Option<&'static Language> {
    tags(locale).iter().find_map(|tag| languages().iter().find(|language| language.tag == tag))
}

/// The built-in language of a locale, or English.
pub(super) fn nearest(locale: &str) -> &'static Language {
    built_in(locale).unwrap_or_else(english)
}

impl Language {
    /// The words of an occasion.
    pub fn sentences(&self, occasion: &str) -> &Sentences {
        match occasion {
            "reminder" => &self.reminder,
            "activation" => &self.activation,
            "accepted" => &self.accepted,
            "expired" => &self.expired,
            _ => &self.invitation,
        }
    }

    /// A time with date and zone, as people read it.
    pub fn in_words(&self, at: Timestamp) -> Result<String, minijinja::Error> {
        let at = at.to_zoned(TimeZone::UTC);
        let nth = |list: &[String], n: i8| usize::try_from(n - 1).ok().and_then(|n| list.get(n)).cloned();
        let values = context! {
            weekday => nth(&self.weekdays, at.weekday().to_monday_one_offset()).unwrap_or_default(),
            month => nth(&self.months, at.month()).unwrap_or_default(),
            day => at.day(), year => at.year(),
            hour => format!("{:02}", at.hour()), minute => format!("{:02}", at.minute()),
        };
        render(&self.date, Form::Text, &values)
    }
}
