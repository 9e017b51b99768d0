//! What a portal's own text may be made of: simple tags, words, and the one link.

use std::cmp::Reverse;

use minijinja::machinery::Token;

use super::engine::{self, Form, LONGEST};

/// The most bytes that a tag may have, with its braces.
const LONGEST_TAG: u32 = 500;

/// The most words and signs that a tag may have: each may stand in the one before.
const MOST_WORDS: usize = 60;

/// The most tags that a text may have.
const MOST_TAGS: usize = 500;

/// How deep tags may stand in each other.
const DEEPEST: usize = 20;

/// How many `elif` a text may have: each stands in the one before.
const MOST_BRANCHES: usize = 20;

/// The line, from 1, on which this word stands by itself.
pub(super) fn line_of(source: &str, word: &str) -> Option<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let has = |line: &str| line.split(|c: char| !is_word(c)).any(|found| found == word);
    source.lines().position(has).map(|line| line + 1)
}

/// Whether a template is made of few, short and simple tags. Else the line, and what is wrong. The engine parses and runs
/// by recursion: what passes here is so shallow that its stack suffices, whatever somebody wrote.
pub(super) fn simple(source: &str) -> Result<(), (usize, String)> {
    if source.len() > LONGEST {
        return Err((1, format!("it is longer than {LONGEST} bytes")));
    }
    let (mut tags, mut branches, mut depth) = (0, 0, 0_usize);
    let (mut start, mut tokens, mut word) = (0, 0, None);
    for token in engine::tokens(source) {
        // What is no template is the engine's to tell: it reads no further than here.
        let Ok((token, span)) = token else { return Ok(()) };
        let wrong = |what: String| Err((usize::from(span.start_line), what));
        match &token {
            Token::TemplateData(_) => continue,
            Token::VariableStart | Token::BlockStart => {
                (start, tokens, tags) = (span.start_offset, 0, tags + 1);
                if tags > MOST_TAGS {
                    return wrong(format!("it has more than {MOST_TAGS} tags"));
                }
                word = matches!(token, Token::VariableStart).then_some("{{");
                continue;
            }
            Token::Tilde | Token::Plus | Token::Mul | Token::Pow => {
                return wrong("nothing is calculated in a mail: ~, + and * are not for it".into());
            }
            Token::Ident(name) if word.is_none() => {
                word = Some(name);
                match *name {
                    "if" | "for" => depth += 1,
                    "endif" | "endfor" => depth = depth.saturating_sub(1),
                    "elif" => branches += 1,
                    "else" => {}
                    name => return wrong(format!("the tag {name:?} is not for mails: use if and for")),
                }
                if depth > DEEPEST {
                    return wrong(format!("more than {DEEPEST} tags stand in each other"));
                }
                if branches > MOST_BRANCHES {
                    return wrong(format!("it has more than {MOST_BRANCHES} elif"));
                }
            }
            Token::Ident("recursive") => return wrong("a loop that calls itself is not for mails".into()),
            _ => {}
        }
        tokens += 1;
        if tokens > MOST_WORDS || span.end_offset - start > LONGEST_TAG {
            return wrong(format!("a tag has at most {LONGEST_TAG} bytes, and {MOST_WORDS} words and signs"));
        }
    }
    Ok(())
}

/// Whether a template itself names no address, in any of its branches: samples do not go down each. Else the line, and
/// what is wrong.
pub(super) fn names_no_address(source: &str, form: Form) -> Result<(), (usize, String)> {
    for (token, span) in engine::tokens(source).map_while(Result::ok) {
        let written: &str = match &token {
            Token::TemplateData(text) | Token::Str(text) => text,
            Token::String(text) => text,
            _ => continue,
        };
        for (at, line) in written.split('\n').enumerate() {
            let is_address = |word: &&str| {
                let lower = word.to_ascii_lowercase();
                // Names of schemas, which nobody fetches.
                let is_schema = form == Form::Html && lower.starts_with("http://www.w3.org/");
                !is_schema && (is_link(word) || lower.contains("http:") || lower.contains("https:"))
            };
            if let Some(word) = line.split(ends).find(is_address) {
                let no_images = if form == Form::Html { ", and no remote images" } else { "" };
                let what = format!("a mail has one link, {{{{ url }}}}{no_images}: take {word:?} out");
                return Err((usize::from(span.start_line) + at, what));
            }
        }
    }
    Ok(())
}

/// Whether a text has no link besides this one, and those in what people wrote.
pub(super) fn no_other_link(text: &str, url: &str, said: &[&str]) -> Result<(), String> {
    let mut known: Vec<&str> = said.iter().flat_map(|said| said.split(ends).filter(|word| is_link(word))).collect();
    known.sort_by_key(|word| Reverse(word.len()));
    let url = Some(url).filter(|url| !url.is_empty());
    let rest = url.into_iter().chain(known).fold(text.to_owned(), |rest, known| rest.replace(known, " "));
    match rest.split(ends).find(|word| is_link(word)) {
        None => Ok(()),
        Some(word) => Err(format!("a mail has one link, {{{{ url }}}}: take {word:?} out")),
    }
}

/// What stands beside a link.
fn ends(c: char) -> bool {
    c.is_whitespace() || "<>()\"'=".contains(c)
}

/// Whether mail programs make a link of a word.
fn is_link(word: &str) -> bool {
    let is_host = |rest: &str| rest.starts_with(|c: char| c.is_alphanumeric());
    word.contains("://")
        || word.strip_prefix("//").is_some_and(is_host)
        || word.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("www."))
}
