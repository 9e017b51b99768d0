//! Templates become text: strict about unknown names, with a bound on how long they run and how much they write.

use std::collections::HashSet;
use std::io;
use std::sync::OnceLock;

use minijinja::machinery::{Span, Token, tokenize};
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, HtmlEscape, Template, UndefinedBehavior, Value, filters};

/// Instructions that one template may take: a letter needs a few hundred.
const FUEL: u64 = 20_000;

/// The most that one part of a letter may have, in bytes. What is longer is cut by mail programs (Gmail: 102 kB).
pub(super) const LONGEST: usize = 200_000;

/// The name of the built-in page.
const PAGE: &str = "letter.html";

/// What a template is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Plain text: written as it is.
    Text,
    /// HTML: what is filled in is escaped.
    Html,
}

/// An environment without functions, tests, includes or loops over anything but what is filled in; with the filters that a
/// letter may need, none of which makes much of little.
fn environment(form: Form) -> &'static Environment<'static> {
    static MADE: OnceLock<[Environment<'static>; 2]> = OnceLock::new();
    let [text, html] = MADE.get_or_init(|| [made(Form::Text), made(Form::Html)]);
    if form == Form::Html { html } else { text }
}

/// A line that holds only a tag leaves nothing behind.
fn syntax() -> SyntaxConfig {
    SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().unwrap_or_default()
}

/// A template in pieces, as the parser gets them: who judges by them cannot be of another opinion about where a tag ends.
/// Nothing is recursive here, in contrast to what the parser makes of them.
pub(super) fn tokens(source: &str) -> impl Iterator<Item = Result<(Token<'_>, Span), Error>> {
    tokenize(source, false, syntax())
}

fn made(form: Form) -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_syntax(syntax());
    environment.set_auto_escape_callback(move |_| if form == Form::Html { AutoEscape::Html } else { AutoEscape::None });
    environment.add_filter("upper", filters::upper);
    environment.add_filter("lower", filters::lower);
    environment.add_filter("title", filters::title);
    environment.add_filter("capitalize", filters::capitalize);
    environment.add_filter("trim", filters::trim);
    environment.add_filter("length", filters::length);
    environment.add_filter("default", filters::default);
    if form == Form::Html {
        environment.add_template(PAGE, include_str!("letter.html")).expect("a test renders it");
    }
    environment
}

/// Renders a template with these values.
pub(super) fn render(source: &str, form: Form, values: &Value) -> Result<String, Error> {
    written(&environment(form).template_from_str(source)?, values)
}

/// The page of a letter, with these values.
pub(super) fn page(values: &Value) -> Result<String, Error> {
    written(&environment(Form::Html).get_template(PAGE)?, values)
}

fn written(template: &Template<'_, '_>, values: &Value) -> Result<String, Error> {
    let mut text = Bounded(Vec::new());
    template.render_captured_to(values.clone(), &mut text)?;
    String::from_utf8(text.0).map_err(|_| Error::new(ErrorKind::WriteFailure, "no text"))
}

/// The names that a template takes from outside.
pub(super) fn names(source: &str) -> Result<HashSet<String>, Error> {
    Ok(environment(Form::Text).template_from_str(source)?.undeclared_variables(false))
}

/// Text that stands in HTML as it is written.
pub(super) fn escaped(text: &str) -> String {
    HtmlEscape(text).to_string()
}

/// Takes so much, and no more.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LONGEST {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
