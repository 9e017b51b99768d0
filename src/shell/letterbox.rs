//! A delivery and its link become the bytes of a mail (RFC 5322, RFC 2046). The same delivery gives the same bytes.

use std::time::{Duration, SystemTime};

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message};

use super::error::Error;
use crate::plan::Delivery;

/// A mail as it goes to the relay.
pub struct Mime {
    /// The sender's address, for the envelope.
    pub from: Address,
    /// The bytes.
    pub bytes: Vec<u8>,
}

const DOING: &str = "build a mail";

/// The bytes of a mail.
pub fn mime(delivery: &Delivery, link: &str) -> Result<Mime, Error> {
    let words = delivery.letter.compose(link).map_err(Error::words)?;
    let other = |e: &dyn std::fmt::Display| Error::other(DOING, e.to_string());
    let mailbox = |text: &str| {
        let written = text.parse::<Mailbox>().ok();
        written.and_then(in_ascii).ok_or_else(|| Error::other(DOING, "sender or Reply-To is no mailbox"))
    };
    let from = mailbox(&delivery.from)?;
    let to: Address = delivery.to.parse().map_err(|_| Error::other(DOING, "the address cannot be mailed"))?;
    let seconds = u64::try_from(delivery.start.as_second()).map_err(|e| other(&e))?;
    // Automatic mail says so (RFC 3834), and asks Exchange not to answer it.
    let automatic =
        |name: &'static str, value: &str| HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned());
    let mut builder = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(header_safe(&words.subject))
        .date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
        .message_id(Some(format!("<{}>", delivery.message_id)))
        .raw_header(automatic("Content-Language", &words.language))
        .raw_header(automatic("Auto-Submitted", "auto-generated"))
        .raw_header(automatic("X-Auto-Response-Suppress", "All"));
    if let Some(reply_to) = &delivery.reply_to {
        builder = builder.reply_to(mailbox(reply_to)?);
    }
    let part = |content_type, body: String| SinglePart::builder().header(content_type).body(body);
    // The boundary is derived from the Message-ID: a random one would make a repeated mail another mail.
    let boundary: String = delivery.message_id.chars().filter(char::is_ascii_alphanumeric).take(60).collect();
    let body = MultiPart::alternative()
        .boundary(format!("{boundary}--alternative"))
        .singlepart(part(ContentType::TEXT_PLAIN, words.text))
        .singlepart(part(ContentType::TEXT_HTML, words.html));
    let bytes = builder.multipart(body).map_err(|e| other(&e))?.formatted();
    Ok(Mime { from: from.email, bytes })
}

/// A mailbox with its domain in ASCII (IDNA): relays without SMTPUTF8 know no other.
fn in_ascii(mailbox: Mailbox) -> Option<Mailbox> {
    let domain = idna::domain_to_ascii(mailbox.email.domain()).ok()?;
    Some(Mailbox::new(mailbox.name, Address::new(mailbox.email.user(), domain).ok()?))
}

/// A subject that already looks like an encoded word (RFC 2047) would be passed on as it is, and decoded by mail
/// programs to whatever its author wrote: a joiner of no width takes that look from it.
fn header_safe(subject: &str) -> String {
    let one_line: String = subject.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    one_line.replace("=?", "=\u{200d}?")
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::plan::letter::{Letter, Occasion};
    use crate::plan::{Channel, Purpose, RelayName};

    fn mail(tenant: &str, message: &str) -> String {
        let delivery = Delivery {
            purpose: Purpose::Invitation,
            channel: Channel::Relay,
            relay: RelayName::Own,
            from: "Portal <portal@portal.example>".into(),
            reply_to: None,
            base: None,
            serial: 1,
            number: 1,
            key_id: "key-1".into(),
            start: Timestamp::from_second(1_800_000_000).expect("in range"),
            begun: Timestamp::from_second(1_800_000_000).expect("in range"),
            due: None,
            message_id: "uid.1.invitation@portal.example".into(),
            to: "grace@acme.example".into(),
            letter: Letter {
                occasion: Occasion::Invitation,
                locales: vec!["en".into()],
                texts: std::sync::Arc::default(),
                portal: None,
                tenant: tenant.into(),
                given_name: Some("Grace".into()),
                inviter: None,
                invitee: None,
                message: Some(message.into()),
                expiration: Some(Timestamp::from_second(1_800_086_400).expect("in range")),
            },
        };
        String::from_utf8(mime(&delivery, "https://portal.example/invitation#abc").expect("a mail").bytes)
            .expect("text")
    }

    #[test]
    fn the_same_delivery_gives_the_same_bytes() {
        assert_eq!(mail("ACME", "Hi"), mail("ACME", "Hi"));
    }

    #[test]
    fn an_automatic_mail_says_so_and_names_one_recipient() {
        let mail = mail("ACME", "Hi");
        for header in [
            "To: grace@acme.example\r\n",
            "Message-ID: <uid.1.invitation@portal.example>\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "Date: Fri, 15 Jan 2027 08:00:00 +0000\r\n",
        ] {
            assert!(mail.contains(header), "{header} in {mail}");
        }
    }

    #[test]
    fn what_looks_like_an_encoded_word_is_not_passed_on_as_one() {
        let mail = mail("=?utf-8?Q?evil?=", "Hi");
        assert!(!mail.contains("Subject: Your invitation to the customer portal of =?utf-8?Q?evil?="), "{mail}");
    }

    #[test]
    fn no_bare_line_feed_or_header_gets_into_a_mail() {
        let mail = mail("ACME\r\nBcc: eve@evil.example", "a\r\n.\r\nMAIL FROM:<x>\nb");
        assert!(!mail.contains("\nBcc:") && !mail.replace("\r\n", "").contains(['\n', '\r']), "{mail}");
    }
}
