//! The shape of a letter: a greeting, what it is about, the link, and what is worth knowing. One shape for text and HTML,
//! for the built-in words and for a portal's own text without HTML.

use minijinja::{Error, Value, context};

use super::engine::{self, Form, escaped, render};
use super::words::{Language, Sentences};
use super::{Composed, Letter, one_line};

/// Behind the preheader: without it lists of mails go on with whatever the mail begins with.
const FILLER: &str = "&#8199;&#847;";

/// The most characters that a portal's own subject has.
pub(super) const LONGEST_SUBJECT: usize = 200;

/// A paragraph, or what somebody else says.
struct Block {
    quote: bool,
    /// Lines of HTML.
    lines: Vec<String>,
}

impl Block {
    fn value(&self) -> Value {
        let lines: Vec<Value> = self.lines.iter().cloned().map(Value::from_safe_string).collect();
        context! { quote => self.quote, lines => lines }
    }
}

/// What is filled in. The values of HTML are escaped by the engine; names may be emphasised.
pub(super) fn values(letter: &Letter, url: &str, language: &Language, tag: &str, form: Form) -> Result<Value, Error> {
    let message = letter.message.as_deref().unwrap_or_default().trim();
    let name = |name: &Option<String>| one_line(name.as_deref().unwrap_or_default());
    let url = if form == Form::Html { Value::from_safe_string(in_attribute(url)) } else { Value::from(url) };
    Ok(context! {
        portal => name(&letter.portal),
        tenant => one_line(&letter.tenant),
        given_name => name(&letter.given_name),
        inviter => name(&letter.inviter),
        invitee => name(&letter.invitee),
        message => message,
        message_lines => lines(message),
        expiration => letter.expiration.map_or(Ok(String::new()), |at| language.in_words(at))?,
        url => url,
        lang => tag,
    })
}

/// The lines of a message.
fn lines(message: &str) -> Vec<String> {
    message.lines().map(str::to_owned).collect()
}

/// An address as an attribute has it: its slashes stay readable.
pub(super) fn in_attribute(url: &str) -> String {
    url.replace('&', "&amp;").replace('"', "&quot;").replace('\'', "&#39;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A letter in the built-in words.
pub(super) fn built_in(letter: &Letter, url: &str, language: &Language) -> Result<Composed, Error> {
    let words = language.sentences(letter.occasion.as_str());
    let message = letter.message.as_deref().unwrap_or_default().trim();
    let text = Speaker::new(letter, url, language, Form::Text)?;
    let mut paragraphs = vec![text.say(&language.greeting)?, text.say(&words.lead)?];
    if !message.is_empty() {
        paragraphs.push(lines(message).iter().map(|line| format!("> {line}")).collect::<Vec<_>>().join("\n"));
    }
    if !url.is_empty() {
        paragraphs.extend([text.say(&words.call)?, url.to_owned()]);
    }
    let notes = words.notes.iter().map(|note| text.say(note)).collect::<Result<Vec<_>, _>>()?;
    paragraphs.push(notes.join("\n"));
    let subject = subject(&text.say(&words.subject)?);

    let html = Speaker::new(letter, url, language, Form::Html)?;
    let paragraph = |source| Ok(Block { quote: false, lines: vec![html.say(source)?] });
    let mut before = vec![paragraph(&language.greeting)?, paragraph(&words.lead)?];
    if !message.is_empty() {
        before.push(Block { quote: true, lines: lines(message).iter().map(|line| escaped(line)).collect() });
    }
    let after = words.notes.iter().map(|note| paragraph(note)).collect::<Result<Vec<_>, Error>>()?;
    let preheader = html.say(&words.preheader)?;
    let html = page(letter, url, language, language.tag, &subject, &preheader, &before, &after)?;
    Ok(Composed { subject, text: paragraphs.join("\n\n") + "\n", html, language: language.tag.into() })
}

/// Says sentences of one language about one letter.
struct Speaker {
    form: Form,
    values: Value,
}

impl Speaker {
    fn new(letter: &Letter, url: &str, language: &Language, form: Form) -> Result<Self, Error> {
        let values = values(letter, url, language, language.tag, form)?;
        let to_place = render(&language.to_place, form, &values)?;
        let to_place = if form == Form::Html { Value::from_safe_string(to_place) } else { Value::from(to_place) };
        Ok(Speaker { form, values: context! { to_place, ..values } })
    }

    fn say(&self, source: &str) -> Result<String, Error> {
        render(source, self.form, &self.values)
    }
}

/// One line, whatever was filled in.
pub(super) fn subject(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A subject that is not longer than it may be, whatever was filled in.
pub(super) fn cut(subject: String) -> String {
    if subject.chars().count() <= LONGEST_SUBJECT {
        return subject;
    }
    subject.chars().take(LONGEST_SUBJECT - 1).chain(['…']).collect()
}

/// HTML for a text that has none of its own: its paragraphs, with a button for the link.
pub(super) fn of_text(
    letter: &Letter,
    url: &str,
    language: &Language,
    tag: &str,
    subject: &str,
    text: &str,
) -> Result<String, Error> {
    let (above, below) = match text.split_once(url).filter(|_| !url.is_empty()) {
        Some((above, below)) => (above, below),
        None => (text, ""),
    };
    let preheader = paragraphs(above).into_iter().nth(1).map(|block| block.lines.join(" ")).unwrap_or_default();
    page(letter, url, language, tag, subject, &preheader, &paragraphs(above), &paragraphs(below))
}

/// The paragraphs of a text; lines that begin with `>` are quoted.
fn paragraphs(text: &str) -> Vec<Block> {
    let text = text.replace("\r\n", "\n");
    let lines = |paragraph: &str| paragraph.lines().map(str::to_owned).collect::<Vec<_>>();
    let blocks = text.split("\n\n").map(lines).filter(|lines| lines.iter().any(|line| !line.trim().is_empty()));
    let block = |lines: Vec<String>| {
        let quote = lines.iter().all(|line| line.starts_with('>'));
        let bare = |line: &String| escaped(if quote { line[1..].trim() } else { line.trim() });
        Block { quote, lines: lines.iter().filter(|line| !line.is_empty()).map(bare).collect() }
    };
    blocks.map(block).collect()
}

/// Whether a language is written from right to left. Not by what people wrote: a name of another script would turn the
/// whole page round. A message goes by its own words.
fn is_right_to_left(tag: &str) -> bool {
    let language = tag.split('-').next().unwrap_or_default();
    ["ar", "arc", "ckb", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"].contains(&language)
}

#[allow(clippy::too_many_arguments)] // What stands on a page.
fn page(
    letter: &Letter,
    url: &str,
    language: &Language,
    tag: &str,
    subject: &str,
    preheader: &str,
    before: &[Block],
    after: &[Block],
) -> Result<String, Error> {
    let words: &Sentences = language.sentences(letter.occasion.as_str());
    let blocks = |blocks: &[Block]| blocks.iter().map(Block::value).collect::<Vec<_>>();
    let title = letter.portal.as_deref().filter(|name| !name.trim().is_empty()).unwrap_or(&letter.tenant);
    let values = context! {
        lang => tag,
        dir => if is_right_to_left(tag) { "rtl" } else { "ltr" },
        title => one_line(title),
        subject => subject,
        preheader => Value::from_safe_string(preheader.to_owned()),
        filler => Value::from_safe_string(FILLER.repeat(60)),
        before => blocks(before),
        after => blocks(after),
        url => Value::from_safe_string(in_attribute(url)),
        action => &words.action,
        hint => &language.hint,
    };
    engine::page(&values)
}
