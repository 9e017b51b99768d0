//! The words of a mail: subject, text and HTML.
//!
//! Letters are data until the last moment; the link is added by whoever delivers, and is kept nowhere else. The words are
//! a portal's own where it has some that can be used, else the built-in ones: a wrong template stops no mail.

mod engine;
mod html;
mod layout;
mod own;
mod rules;
#[cfg(test)]
mod tests;
mod words;

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

pub use own::{Fault, Texts, TextsSeen, VARIABLES};
use words::Language;

/// What a letter is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// Somebody is invited.
    Invitation,
    /// Somebody was invited and has not answered.
    Reminder,
    /// A customer's portal was switched on for the first time.
    Activation {
        /// Its address.
        url: String,
    },
    /// Somebody accepted: for who invited.
    Accepted {
        /// The portal's address, if it has one.
        url: Option<String>,
    },
    /// Somebody did not answer in time: for who invited.
    Expired {
        /// The portal's address, if it has one.
        url: Option<String>,
    },
}

impl Occasion {
    /// All words of [`Occasion::as_str`].
    pub const WORDS: [&str; 5] = ["invitation", "reminder", "activation", "accepted", "expired"];

    /// The word for it, as the keys of a portal's own texts have it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Occasion::Invitation => "invitation",
            Occasion::Reminder => "reminder",
            Occasion::Activation { .. } => "activation",
            Occasion::Accepted { .. } => "accepted",
            Occasion::Expired { .. } => "expired",
        }
    }

    /// Whether its mail carries the invitation's link, and not an address that everybody may know.
    pub const fn has_secret_link(&self) -> bool {
        matches!(self, Occasion::Invitation | Occasion::Reminder)
    }

    /// The address that its mail carries; empty where it carries none.
    fn url<'a>(&'a self, link: &'a str) -> &'a str {
        match self {
            Occasion::Invitation | Occasion::Reminder => link,
            Occasion::Activation { url } => url,
            Occasion::Accepted { url } | Occasion::Expired { url } => url.as_deref().unwrap_or_default(),
        }
    }
}

/// All that a letter says, but for the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// What it is about.
    pub occasion: Occasion,
    /// Languages (BCP 47), the most wanted first. The last one is the portal's.
    pub locales: Vec<String>,
    /// The portal's own texts.
    pub texts: Arc<Texts>,
    /// The product's name, where it has one.
    pub portal: Option<String>,
    /// The customer's name.
    pub tenant: String,
    /// The reader's given name.
    pub given_name: Option<String>,
    /// Who invites.
    pub inviter: Option<String>,
    /// Who was invited, in a mail to who invites.
    pub invitee: Option<String>,
    /// A personal message; it may have several lines.
    pub message: Option<String>,
    /// From when on the link can no longer be used.
    pub expiration: Option<Timestamp>,
}

/// A letter with its link: what goes into the mail.
///
/// WARNING: it holds the link. It has no `Display` and no `Serialize`, and its `Debug` tells nothing.
pub struct Composed {
    /// Subject, one line.
    pub subject: String,
    /// The plain text part.
    pub text: String,
    /// The HTML part.
    pub html: String,
    /// The language that it is written in (BCP 47).
    pub language: String,
}

impl fmt::Debug for Composed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Composed(…)")
    }
}

/// Whose words a letter takes.
enum Choice<'a> {
    /// The portal's own of this key (`invitation.de`), in this language.
    Own(&'a own::Set, String),
    /// The built-in ones.
    BuiltIn,
}

impl Letter {
    /// The words with their link. An error means that a built-in template is broken.
    pub fn compose(&self, link: &str) -> Result<Composed, minijinja::Error> {
        let (choice, language) = self.choose();
        if let Choice::Own(set, tag) = choice {
            // Checked when it changed, and still: what people wrote may lead it where no sample did.
            let own = set.compose(self, self.occasion.url(link), language, &tag);
            if let Ok(composed) = own {
                return Ok(Composed { subject: layout::cut(composed.subject), ..composed });
            }
        }
        layout::built_in(self, self.occasion.url(link), language)
    }

    /// Whose words, and in which language. For each wanted language, the portal's own; then its own without language;
    /// then the first wanted language that is built in; then English.
    fn choose(&self) -> (Choice<'_>, &'static Language) {
        let occasion = self.occasion.as_str();
        let general = self.texts.get(occasion, "");
        for locale in &self.locales {
            for tag in words::tags(locale) {
                if let Some(set) = self.texts.get(occasion, &tag) {
                    return (Choice::Own(set, tag), words::nearest(locale));
                }
            }
            if let Some(language) = words::built_in(locale).filter(|_| general.is_none()) {
                return (Choice::BuiltIn, language);
            }
        }
        let portal = self.locales.last().map_or("en", String::as_str);
        match general {
            Some(set) => (Choice::Own(set, portal.to_owned()), words::nearest(portal)),
            None => (Choice::BuiltIn, words::english()),
        }
    }
}

/// The languages of a letter: those of the reader and the customer where they have one, and the portal's, else English.
pub fn languages(wanted: [&Option<String>; 2], portal: Option<&String>) -> Vec<String> {
    let portal = portal.map_or("en", String::as_str);
    wanted.into_iter().flatten().map(String::as_str).chain([portal]).map(str::to_owned).collect()
}

/// A name, on one line whatever somebody managed to store.
fn one_line(name: &str) -> String {
    name.split(|c: char| c.is_control() || c.is_whitespace()).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ")
}
