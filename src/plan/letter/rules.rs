//! What a portal's own text may be made of: simple tags, words, and the one link.

use minijinja::machinery::Token;

use super::engine::{self, LONGEST};

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

/// Attributes that lead somewhere, or fetch something.
const LEADING: [&str; 9] = ["href", "src", "srcset", "background", "action", "formaction", "poster", "data", "cite"];

/// Elements that do more than show words.
const ACTIVE: [&str; 9] = ["<script", "<iframe", "<form", "<object", "<embed", "<link", "<base", "<video", "<audio"];

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

/// How often HTML leads to this address.
pub(super) fn leading_to(html: &str, url: &str) -> usize {
    leads(html).iter().filter(|lead| **lead == url).count()
}

/// Whether a text has no link besides this one.
pub(super) fn no_other_link(text: &str, url: &str) -> Result<(), String> {
    let rest = if url.is_empty() { text.to_owned() } else { text.replace(url, " ") };
    let ends = |c: char| c.is_whitespace() || "<>()\"'".contains(c);
    let is_link = |word: &&str| word.contains("://") || word.to_ascii_lowercase().starts_with("www.");
    match rest.split(ends).find(is_link) {
        None => Ok(()),
        Some(word) => Err(format!("a mail has one link, {{{{ url }}}}: take {word:?} out")),
    }
}

/// Whether HTML is words, and leads nowhere but to this address: no other link, nothing from elsewhere, nothing active.
pub(super) fn only_words(html: &str, url: &str) -> Result<(), String> {
    let lower = html.to_ascii_lowercase();
    if let Some(element) = ACTIVE.iter().find(|element| lower.contains(*element)) {
        return Err(format!("{element}> is not for mails"));
    }
    if lower.contains("@import") || lower.contains("http-equiv=\"refresh") {
        return Err("a mail fetches nothing from elsewhere".into());
    }
    let in_styles = lower.split("url(").skip(1).map(|rest| rest.trim_start_matches(['"', '\'', ' ']));
    if in_styles.into_iter().any(|rest| !rest.starts_with("data:")) {
        return Err("a mail fetches nothing from elsewhere: take url(…) out of its styles".into());
    }
    let harmless = |lead: &&str| {
        let lower = lead.trim().to_ascii_lowercase();
        let starts = ["mailto:", "tel:", "cid:", "data:image/", "#"];
        *lead == url || lower.is_empty() || starts.iter().any(|start| lower.starts_with(start))
    };
    match leads(html).into_iter().find(|lead| !harmless(lead)) {
        None => Ok(()),
        Some(lead) => Err(format!("a mail has one link, {{{{ url }}}}, and no remote images: take {lead:?} out")),
    }
}

/// The values of all attributes that lead somewhere.
fn leads(html: &str) -> Vec<&str> {
    let lower = html.to_ascii_lowercase();
    let (mut found, mut inside) = (Vec::new(), false);
    for (at, sign) in lower.bytes().enumerate() {
        match sign {
            b'<' => inside = true,
            b'>' => inside = false,
            _ => {}
        }
        if !inside || sign != b'=' {
            continue;
        }
        let before = lower[..at].trim_end();
        let name =
            before.rsplit(|c: char| !(c.is_ascii_alphanumeric() || "-_:".contains(c))).next().unwrap_or_default();
        if !LEADING.contains(&name.rsplit(':').next().unwrap_or_default()) {
            continue;
        }
        let value = html[at + 1..].trim_start();
        let end = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value[1..].find(quote).map(|end| (1, end + 1)),
            _ => value.find(|c: char| c.is_whitespace() || c == '>').map(|end| (0, end)),
        };
        if let Some((start, end)) = end {
            found.push(&value[start..end]);
        }
    }
    found
}
