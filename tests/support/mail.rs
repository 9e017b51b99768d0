//! A mail as its reader sees it, and the link that it carries.

use std::fmt;

use mail_parser::MessageParser;

/// A parsed mail. It does not come from the parser of whoever sent it: that one would forgive its own mistakes.
#[derive(Clone, Debug)]
pub struct Mail {
    /// As it went over the wire.
    pub raw: String,
    pub subject: String,
    /// Addresses of From, To, Cc and Bcc, without names.
    pub from: Vec<String>,
    pub to: Vec<String>,
    pub message_id: String,
    /// All parts that are plain text, decoded.
    pub text: String,
    /// All parts that are HTML, decoded.
    pub html: String,
}

/// The link that an invited person clicks. Its `Debug` shows no token: tests print into logs that people keep.
#[derive(Clone, PartialEq, Eq)]
pub struct Link {
    pub url: String,
    pub token: String,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({}#…)", self.url.split('#').next().unwrap_or_default())
    }
}

impl Mail {
    pub fn parse(raw: &[u8]) -> Self {
        let message = MessageParser::default().parse(raw).expect("a mail");
        let addresses = |header: Option<&mail_parser::Address>| -> Vec<String> {
            let all = header.into_iter().flat_map(|addresses| addresses.iter());
            all.filter_map(|address| address.address()).map(str::to_owned).collect()
        };
        let (mut text, mut html) = (String::new(), String::new());
        for part in &message.parts {
            match &part.body {
                mail_parser::PartType::Text(body) => text += body,
                mail_parser::PartType::Html(body) => html += body,
                _ => {}
            }
        }
        Mail {
            subject: message.subject().unwrap_or_default().to_owned(),
            from: addresses(message.from()),
            to: [message.to(), message.cc(), message.bcc()].into_iter().flat_map(addresses).collect(),
            message_id: message.message_id().unwrap_or_default().to_owned(),
            text,
            html,
            raw: String::from_utf8_lossy(raw).into_owned(),
        }
    }

    /// A header as it stands in the mail, unfolded; empty where it is absent.
    pub fn header(&self, name: &str) -> String {
        let head = self.raw.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n ", " ").replace("\r\n\t", " ");
        let prefix = format!("{}:", name.to_ascii_lowercase());
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&prefix));
        line.map_or("", |line| line[prefix.len()..].trim()).to_owned()
    }

    /// The one link of the mail: the same, and alone, in its text and in its HTML.
    pub fn link(&self) -> Link {
        let in_text = links(&self.text);
        assert_eq!(in_text.len(), 1, "links in the text: {in_text:?}");
        let mut in_html = links(&self.html.replace("&amp;", "&").replace("&#x2f;", "/").replace("&#x2F;", "/"));
        in_html.dedup();
        assert_eq!(in_text, in_html, "text and HTML carry the same link");
        in_text[0].clone()
    }
}

/// Everything that looks like a link to an invitation.
fn links(text: &str) -> Vec<Link> {
    let ends = |c: char| c.is_whitespace() || "\"'<>()".contains(c);
    let urls = text.split(ends).filter(|word| word.starts_with("http") && word.contains("/invitation#"));
    urls.filter_map(|url| Some(Link { url: url.to_owned(), token: url.split_once('#')?.1.to_owned() })).collect()
}
