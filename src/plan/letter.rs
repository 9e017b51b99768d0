//! The words of a mail: subject, text and HTML.
//!
//! Letters are data until the last moment; the link is added by whoever delivers, and is kept nowhere else.

use std::fmt;
use std::sync::OnceLock;

use jiff::Timestamp;
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};

/// What a letter is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// Somebody is invited.
    Invitation,
    /// A customer's portal was switched on for the first time.
    Activation {
        /// Its address.
        url: String,
    },
}

/// All that a letter says, but for the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// What it is about.
    pub occasion: Occasion,
    /// Language.
    pub locale: Option<String>,
    /// The product's name, where it has one.
    pub portal: Option<String>,
    /// The customer's name.
    pub tenant: String,
    /// The reader's given name.
    pub given_name: Option<String>,
    /// Who invites.
    pub inviter: Option<String>,
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
}

impl fmt::Debug for Composed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Composed(…)")
    }
}

/// Instructions that one template may take: a letter needs a few hundred.
const FUEL: u64 = 50_000;

const TEMPLATES: &[(&str, &str)] = &[
    ("invitation.subject", include_str!("letter/invitation.subject")),
    ("invitation.txt", include_str!("letter/invitation.txt")),
    ("invitation.html", include_str!("letter/invitation.html")),
    ("activation.subject", include_str!("letter/activation.subject")),
    ("activation.txt", include_str!("letter/activation.txt")),
    ("activation.html", include_str!("letter/activation.html")),
];

/// The built-in templates, parsed once. A constant in effect: it depends on nothing but the program's text.
fn templates() -> &'static Environment<'static> {
    static PARSED: OnceLock<Environment<'static>> = OnceLock::new();
    PARSED.get_or_init(|| {
        // A line that holds only a tag leaves nothing behind.
        let layout = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().unwrap_or_default();
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_syntax(layout);
        environment.set_auto_escape_callback(
            |name| {
                if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None }
            },
        );
        for (name, source) in TEMPLATES {
            environment.add_template(name, source).expect("a test renders every built-in template");
        }
        environment
    })
}

impl Letter {
    /// The words with their link. An error means that a template is broken.
    pub fn compose(&self, link: &str) -> Result<Composed, minijinja::Error> {
        let (name, url) = match &self.occasion {
            Occasion::Invitation => ("invitation", link),
            Occasion::Activation { url } => ("activation", url.as_str()),
        };
        let message = self.message.as_deref().unwrap_or_default().trim();
        let words = context! {
            portal => one_line(self.portal.as_deref().unwrap_or_default()),
            tenant => one_line(&self.tenant),
            given_name => one_line(self.given_name.as_deref().unwrap_or_default()),
            inviter => one_line(self.inviter.as_deref().unwrap_or_default()),
            message_lines => message.lines().map(str::to_owned).collect::<Vec<_>>(),
            expiration => self.expiration.map(in_words).unwrap_or_default(),
            url => url.to_owned(),
        };
        let render = |part: &str| templates().get_template(&format!("{name}.{part}"))?.render(&words);
        let subject = render("subject")?.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(Composed { subject, text: render("txt")?, html: render("html")? })
    }
}

/// A name, on one line whatever somebody managed to store.
fn one_line(name: &str) -> String {
    name.split(|c: char| c.is_control() || c.is_whitespace()).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A time with date and zone, as people read it.
fn in_words(at: Timestamp) -> String {
    at.strftime("%A, %-d %B %Y, %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::super::testing::t;
    use super::*;

    fn letter(occasion: Occasion) -> Letter {
        Letter {
            occasion,
            locale: None,
            portal: None,
            tenant: "ACME & Söhne <b>".into(),
            given_name: Some("Grace".into()),
            inviter: Some("Ada Lovelace".into()),
            message: Some("See you on board!\n<script>alert(1)</script>".into()),
            expiration: Some(t(0)),
        }
    }

    #[test]
    fn text_and_html_carry_the_same_one_link() {
        let mail = letter(Occasion::Invitation).compose("https://portal.example/invitation#abc").expect("composed");
        for part in [&mail.text, &mail.html] {
            assert_eq!(part.matches("https://portal.example/invitation#abc").count(), 1, "{part}");
            assert!(part.contains("15 January 2027, 08:00 UTC"), "{part}");
            assert!(part.contains("Ada Lovelace"), "{part}");
        }
    }

    #[test]
    fn what_people_wrote_is_never_html() {
        let html = letter(Occasion::Invitation).compose("https://x.example/#a").expect("composed").html;
        assert!(!html.contains("<script>") && html.contains("ACME &amp; Söhne &lt;b&gt;"), "{html}");
    }

    #[test]
    fn a_product_is_called_by_its_name() {
        let mut words = letter(Occasion::Invitation);
        words.portal = Some("Rotor <Portal>".into());
        let mail = words.compose("l").expect("composed");
        assert_eq!(mail.subject, "Ada Lovelace invites you to Rotor <Portal> for ACME & Söhne <b>");
        assert!(
            mail.text.contains("Ada Lovelace invites you to Rotor <Portal> for ACME & Söhne <b>."),
            "{}",
            mail.text
        );
        assert!(mail.html.contains("Rotor &lt;Portal&gt;"), "{}", mail.html);
    }

    #[test]
    fn a_subject_is_one_line() {
        let subject = letter(Occasion::Invitation).compose("l").expect("composed").subject;
        assert_eq!(subject, "Ada Lovelace invites you to the portal of ACME & Söhne <b>");
    }

    #[test]
    fn an_activation_carries_the_address_of_the_portal() {
        let mail = letter(Occasion::Activation { url: "https://acme.example/".into() }).compose("").expect("composed");
        assert!(mail.text.contains("https://acme.example/") && mail.html.contains("https://acme.example/"));
    }

    #[test]
    fn nothing_of_a_composed_letter_is_shown_by_debug() {
        let mail = letter(Occasion::Invitation).compose("https://secret.example/").expect("composed");
        assert_eq!(format!("{mail:?}"), "Composed(…)");
    }
}
