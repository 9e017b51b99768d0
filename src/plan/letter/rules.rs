//! What a portal's own text may be made of: simple tags, words, and the one link.

/// Tags that a template may use: none of them keeps text for later, so that none makes much of little.
const TAGS: [&str; 7] = ["if", "elif", "else", "endif", "for", "endfor", "raw"];

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

/// Whether a template is made of simple tags and values alone. Else the line, and what is wrong.
pub(super) fn simple(source: &str) -> Result<(), (usize, String)> {
    let line_at = |at: usize| source[..at].matches('\n').count() + 1;
    let mut at = 0;
    while let Some(open) = source[at..].find(['{']).map(|open| at + open) {
        let inner = open + 2;
        let (close, is_tag) = match source.get(open..inner) {
            Some("{{") => ("}}", false),
            Some("{%") => ("%}", true),
            Some("{#") => ("#}", false),
            _ => {
                at = open + 1;
                continue;
            }
        };
        // What is never closed is the template engine's to tell.
        let Some(end) = source[inner..].find(close).map(|end| inner + end) else { return Ok(()) };
        let code = source[inner..end].trim_matches(['-', '+']).trim();
        if is_tag {
            let word: String = code.chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
            if !TAGS.contains(&word.as_str()) || word == "raw" {
                return Err((line_at(open), format!("the tag {word:?} is not for mails: use if and for")));
            }
        }
        if close != "#}" && operators(code) {
            return Err((line_at(open), "nothing is calculated in a mail: ~, + and * are not for it".into()));
        }
        at = end + close.len();
    }
    Ok(())
}

/// Whether there is an operator outside of quotes that makes text of text.
fn operators(code: &str) -> bool {
    let mut quote = None;
    for c in code.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '~' | '*' | '+') => return true,
            _ => {}
        }
    }
    false
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
