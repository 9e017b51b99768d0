//! What the HTML of a portal's own text may be made of: elements and attributes that show words, and the one link. All
//! else is refused, for nobody knows all that fetches or runs something in some mail program.

use html5gum::emitters::default::DefaultEmitter;
use html5gum::{StartTag, Token, Tokenizer};

use super::rules::no_other_link;

/// Elements that show words. `xml` and `o:…` are what Outlook wants to know of a mail's resolution.
const ELEMENTS: &str = "a abbr acronym address article aside b bdi bdo big blockquote body br caption center cite code col \
    colgroup dd del dfn div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 head header hr html i img ins kbd li \
    main mark meta nav o:allowpng o:officedocumentsettings o:pixelsperinch ol p pre q s samp section small span strike \
    strong style sub sup table tbody td tfoot th thead time title tr tt u ul var wbr xml";

/// Attributes that lead nowhere and run nothing.
const ATTRIBUTES: &str = "abbr align alt bgcolor border bordercolor cellpadding cellspacing char charset class clear color \
    cols colspan compact content datetime dir face frame headers height hidden hspace id lang media name noshade nowrap rel \
    reversed role rows rowspan rules scope size span start style summary tabindex target title translate type valign value \
    vspace width xml:lang xmlns";

/// What a style may not say, as it fetches something or runs something.
const FETCHING: [&str; 8] =
    ["@import", "image-set(", "image(", "src(", "cross-fade(", "expression(", "behavior:", "-moz-binding"];

fn has(list: &str, name: &str) -> bool {
    list.split_whitespace().any(|known| known == name)
}

/// HTML in pieces, as a browser takes it.
fn tokens(html: &str) -> impl Iterator<Item = Token> {
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    Tokenizer::new_with_emitter(html, emitter).filter_map(Result::ok)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// How often HTML leads to this address.
pub(super) fn leading_to(html: &str, url: &str) -> usize {
    let is_lead = |token: &Token| match token {
        Token::StartTag(tag) => {
            tag.attributes.get(&b"href"[..]).is_some_and(|value| value.as_slice() == url.as_bytes())
        }
        _ => false,
    };
    tokens(html).filter(is_lead).count()
}

/// Whether HTML is words, and leads nowhere but to this address: no other link, nothing from elsewhere, nothing active.
/// `said` is what people wrote, who may write of addresses.
pub(super) fn only_words(html: &str, url: &str, said: &[&str]) -> Result<(), String> {
    judge(html, url, said, true)
}

fn judge(html: &str, url: &str, said: &[&str], outside: bool) -> Result<(), String> {
    let (mut words, mut styles, mut in_style) = (String::new(), String::new(), false);
    for token in tokens(html) {
        match token {
            Token::StartTag(tag) => {
                in_style = *tag.name == b"style";
                words.push(' ');
                element(&tag, url)?;
            }
            Token::EndTag(_) => {
                in_style = false;
                words.push(' ');
            }
            Token::String(string) if in_style => styles.push_str(&text(&string)),
            Token::String(string) => words.push_str(&text(&string)),
            // Outlook reads what stands in <!--[if mso]>…<![endif]-->.
            Token::Comment(comment) => {
                let comment = text(&comment);
                if comment.contains("<!--") {
                    return Err("a comment in a comment is not for mails".into());
                }
                if outside {
                    judge(&comment, url, said, false)?;
                }
            }
            Token::Doctype(_) | Token::Error(_) => {}
        }
    }
    style(&styles)?;
    no_other_link(&words, url, said)
}

fn element(tag: &StartTag<()>, url: &str) -> Result<(), String> {
    let name = text(&tag.name);
    if !has(ELEMENTS, &name) {
        return Err(format!("<{name}> is not for mails"));
    }
    for (attribute, value) in &tag.attributes {
        let (attribute, value) = (text(attribute), text(value));
        let lower = value.trim().to_ascii_lowercase();
        let begins = |starts: &[&str]| lower.is_empty() || starts.iter().any(|start| lower.starts_with(start));
        let is_harmless = match (name.as_str(), attribute.as_str()) {
            ("a", "href") => value == url && !url.is_empty() || begins(&["mailto:", "tel:", "#"]),
            ("img", "src") | (_, "background") => begins(&["cid:", "data:image/"]),
            ("meta", "http-equiv") => ["content-type", "content-language", "x-ua-compatible"].contains(&lower.as_str()),
            (_, "style") => {
                style(&value)?;
                true
            }
            (_, other) if has(ATTRIBUTES, other) || other.starts_with("aria-") || other.starts_with("xmlns:") => true,
            (name, other) => return Err(format!("the attribute {other} of <{name}> is not for mails")),
        };
        if !is_harmless {
            return Err(format!("a mail has one link, {{{{ url }}}}, and no remote images: take {value:?} out"));
        }
    }
    Ok(())
}

/// Whether a style fetches nothing.
fn style(style: &str) -> Result<(), String> {
    let lower = style.to_ascii_lowercase();
    if lower.contains('\\') {
        return Err("a \\ in a style is not for mails".into());
    }
    if let Some(word) = FETCHING.iter().find(|word| lower.contains(*word)) {
        return Err(format!("a mail fetches nothing from elsewhere: take {word} out of its styles"));
    }
    let mut addresses = lower.split("url(").skip(1).map(|rest| rest.trim_start().trim_start_matches(['"', '\'']));
    if addresses.any(|address| !address.starts_with("data:image/")) {
        return Err("a mail fetches nothing from elsewhere: take url(…) out of its styles".into());
    }
    Ok(())
}
