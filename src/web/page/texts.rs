//! The words of the page: one Fluent file per language, and which language a browser wants.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use fluent_syntax::ast::{Entry, Expression, InlineExpression, Pattern, PatternElement};
use fluent_syntax::parser;

/// The languages of the page, by their tags.
pub(super) const LANGUAGES: [(&str, &str); 5] = [
    ("da", include_str!("texts/da.ftl")),
    ("de", include_str!("texts/de.ftl")),
    ("en", include_str!("texts/en.ftl")),
    ("es", include_str!("texts/es.ftl")),
    ("fr", include_str!("texts/fr.ftl")),
];

/// The language for whom nothing better is known.
pub(super) const FALLBACK: &str = "en";

/// Messages by their names, with `{variable}` where the page puts something in.
pub(super) type Texts = BTreeMap<String, String>;

/// Reads a Fluent file. The page only puts variables in: selectors, functions, terms and attributes are refused here
/// rather than misread there. A number with its unit comes from the browser, which knows the plurals of all languages.
pub(super) fn read(source: &str) -> anyhow::Result<Texts> {
    let resource = parser::parse(source).map_err(|(_, errors)| anyhow::anyhow!("{errors:?}"))?;
    let mut texts = Texts::new();
    for entry in resource.body {
        let message = match entry {
            Entry::Message(message) => message,
            Entry::Comment(_) | Entry::GroupComment(_) | Entry::ResourceComment(_) => continue,
            other => bail!("neither a message nor a comment: {other:?}"),
        };
        let name = message.id.name;
        if !message.attributes.is_empty() {
            bail!("{name} has attributes");
        }
        let pattern = message.value.with_context(|| format!("{name} says nothing"))?;
        if texts.insert(name.to_owned(), flat(&pattern).with_context(|| name.to_owned())?).is_some() {
            bail!("{name} is there twice");
        }
    }
    Ok(texts)
}

fn flat(pattern: &Pattern<&str>) -> anyhow::Result<String> {
    let mut text = String::new();
    for element in &pattern.elements {
        match element {
            PatternElement::TextElement { value } => text.push_str(value),
            PatternElement::Placeable {
                expression: Expression::Inline(InlineExpression::VariableReference { id }),
            } => text.push_str(&format!("{{{}}}", id.name)),
            other => bail!("neither text nor a variable: {other:?}"),
        }
    }
    Ok(text)
}

/// The language of ours that a browser likes best, by its `Accept-Language` (RFC 9110, 12.5.4). A region does not matter;
/// `*` names none.
pub(super) fn preferred(accepted: &str) -> Option<&'static str> {
    let mut best: Option<(f32, &'static str)> = None;
    for range in accepted.split(',') {
        let (tag, quality) = range.split_once(';').unwrap_or((range, "q=1"));
        let primary = tag.trim().split('-').next().unwrap_or_default();
        let ours = LANGUAGES.iter().find(|(language, _)| language.eq_ignore_ascii_case(primary));
        let quality: f32 = quality.trim().strip_prefix("q=").and_then(|q| q.trim().parse().ok()).unwrap_or(0.0);
        if let Some((language, _)) = ours
            && quality > best.map_or(0.0, |(best, _)| best)
        {
            best = Some((quality, *language));
        }
    }
    best.map(|(_, language)| language)
}
