//! The dialogue: greeting, EHLO, TLS, login, and mails one after another.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use tokio::time::Instant;

use super::wire::Wire;
use super::{Credentials, Endpoint, Gate, Limits, Tls, Trouble, dial, protect};
use crate::plan::delivery::{Failure, Outcome, Reply, Stage, conclude};

/// Challenges that a login may take: LOGIN takes two. A relay that asks on and on is given up.
const CHALLENGES: usize = 10;

/// The last bytes of a mail: its last line end, and the final dot.
const END: usize = b"\r\n.\r\n".len();

/// Sender and recipient, as they go into MAIL and RCPT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Sender.
    pub from: String,
    /// Recipient, its domain in ASCII.
    pub to: String,
}

/// A connection that is logged in and ready for a mail.
pub struct Connection {
    wire: Wire,
    limits: Limits,
    offers: Vec<String>,
    usable: bool,
    mails: usize,
    closed_while_idle: bool,
}

impl Connection {
    /// Connects, protects and logs in, through the gate that all connections to this relay share. `hello` is the name that
    /// this client gives itself: the sender's domain, for relays check that it exists and a pod's own name does not.
    pub async fn open(endpoint: &Endpoint, gate: &Gate, hello: &str) -> Result<Connection, Trouble> {
        let deadline = Instant::now() + endpoint.limits.before_dot;
        let wire = dial(endpoint, deadline).await?;
        let limits = endpoint.limits;
        let mut connection =
            Connection { wire, limits, offers: Vec::new(), usable: false, mails: 0, closed_while_idle: false };
        connection.expect(Stage::Greeting, deadline, 220).await?;
        connection.hello(hello, deadline).await?;
        if endpoint.tls == Tls::Starttls {
            if connection.offer("STARTTLS").is_none() {
                return Err((Stage::StartTls, Failure::TlsNotOffered));
            }
            connection.command("STARTTLS", Stage::StartTls, deadline, 220).await?;
            connection.wire = protect(connection.wire, endpoint).await?;
            // What was offered in clear counts for nothing inside (RFC 3207, 4.2).
            connection.hello(hello, deadline).await?;
        }
        if let Some(credentials) = &endpoint.credentials {
            if endpoint.tls == Tls::None {
                return Err((Stage::Login, Failure::TlsNotOffered));
            }
            gate.pass(deadline, connection.login(credentials, deadline)).await?;
        }
        connection.usable = true;
        Ok(connection)
    }

    /// Whether the connection can carry another mail.
    pub fn is_usable(&self) -> bool {
        self.usable
    }

    /// Whether the relay had closed the connection before the last mail began: then nothing of that mail was said.
    pub fn was_closed_while_idle(&self) -> bool {
        self.closed_while_idle
    }

    /// Sends one mail. `may_finish` is asked right before the final dot, after which there is no way back.
    pub async fn send(&mut self, envelope: &Envelope, mail: &[u8], may_finish: impl Fn() -> bool) -> Outcome {
        self.usable = false;
        self.mails += 1;
        let deadline = Instant::now() + self.limits.before_dot;
        match self.transfer(envelope, mail, may_finish, deadline).await {
            Ok(queue_id) => {
                self.usable = true;
                Outcome::Delivered { queue_id }
            }
            Err((stage, failure)) => {
                self.recover(stage, &failure, deadline).await;
                tracing::debug!(?stage, ?failure, "a mail was not taken");
                conclude(stage, failure)
            }
        }
    }

    /// Says goodbye, without waiting long for an answer.
    pub async fn quit(mut self) {
        let soon = Instant::now() + std::time::Duration::from_secs(2);
        if self.wire.write(b"QUIT\r\n", soon).await.is_ok() {
            let _ = self.wire.reply(soon).await;
        }
    }

    async fn transfer(
        &mut self,
        envelope: &Envelope,
        mail: &[u8],
        may_finish: impl Fn() -> bool,
        deadline: Instant,
    ) -> Result<Option<String>, Trouble> {
        let mut parameters = String::new();
        if let Some(most) = self.offer("SIZE") {
            // A limit of 0, or none, is no limit (RFC 1870, 4).
            if most.parse::<usize>().is_ok_and(|most| most > 0 && mail.len() > most) {
                return Err((Stage::Mail, Failure::TooLarge));
            }
            parameters = format!(" SIZE={}", mail.len());
        }
        if !envelope.to.is_ascii() || !envelope.from.is_ascii() {
            if self.offer("SMTPUTF8").is_none() {
                return Err((Stage::Mail, Failure::NotAscii));
            }
            parameters.push_str(" SMTPUTF8");
        }
        if !mail.is_ascii() && self.offer("8BITMIME").is_some() {
            parameters.push_str(" BODY=8BITMIME");
        }
        let from = format!("MAIL FROM:<{}>{parameters}", envelope.from);
        match self.command(&from, Stage::Mail, deadline, 250).await {
            Err((stage, Failure::Reset)) if self.mails > 1 => {
                self.closed_while_idle = true;
                return Err((stage, Failure::Reset));
            }
            other => other?,
        };
        let to = format!("RCPT TO:<{}>", envelope.to);
        match self.command(&to, Stage::Recipient, deadline, 250).await {
            // The relay passes it on, or cannot tell and takes it (RFC 5321, 3.5.3).
            Err((Stage::Recipient, Failure::Rejected(Reply { code: 251 | 252, .. }))) => {}
            other => {
                other?;
            }
        }
        self.command("DATA", Stage::Data, deadline, 354).await?;
        let body = dotted(mail);
        // The end is kept back until the sender may finish: what breaks before it has certainly delivered nothing.
        let (most, end) = body.split_at(body.len() - END);
        self.wire.write(most, deadline).await.map_err(|failure| (Stage::Data, failure))?;
        if !may_finish() {
            return Err((Stage::Data, Failure::GaveUp));
        }
        self.wire.write(end, deadline).await.map_err(|failure| (Stage::Content, failure))?;
        let reply = self.expect(Stage::Content, Instant::now() + self.limits.content, 250).await?;
        Ok(queue_id(&reply))
    }

    /// After a no that leaves the dialogue sound, RSET makes the connection ready for the next mail.
    async fn recover(&mut self, stage: Stage, failure: &Failure, deadline: Instant) {
        let sound = match failure {
            Failure::Rejected(reply) => {
                (400..600).contains(&reply.code)
                    && reply.code != 421
                    && matches!(stage, Stage::Mail | Stage::Recipient | Stage::Data | Stage::Content)
            }
            Failure::TooLarge | Failure::NotAscii => true,
            _ => false,
        };
        if sound {
            let soon = deadline.min(Instant::now() + self.limits.reply);
            self.usable = self.command("RSET", Stage::Mail, soon, 250).await.is_ok();
        }
    }

    async fn hello(&mut self, name: &str, deadline: Instant) -> Result<(), Trouble> {
        let text = format!("EHLO {name}");
        self.write(text.as_bytes(), Stage::Hello, deadline).await?;
        let (reply, lines) = self.reply(Stage::Hello, deadline).await?;
        if reply.code != 250 {
            return Err((Stage::Hello, Failure::Rejected(reply)));
        }
        self.offers = lines.into_iter().skip(1).collect();
        Ok(())
    }

    /// The parameters of an extension that the relay offers.
    fn offer(&self, keyword: &str) -> Option<&str> {
        self.offers.iter().find_map(|offer| {
            let (name, parameters) = offer.split_once([' ', '=']).unwrap_or((offer, ""));
            name.eq_ignore_ascii_case(keyword).then_some(parameters)
        })
    }

    async fn login(&mut self, credentials: &Credentials, deadline: Instant) -> Result<(), Trouble> {
        let mechanisms = self.offer("AUTH").ok_or((Stage::Login, Failure::NoCommonMechanism))?.to_ascii_uppercase();
        let offered = |name: &str| mechanisms.split_whitespace().any(|m| m == name);
        let (user, password) = (&credentials.user, credentials.password.expose_secret());
        let (first, mut answers) = if offered("PLAIN") {
            (format!("AUTH PLAIN {}", STANDARD.encode(format!("\0{user}\0{password}"))), Vec::new())
        } else if offered("LOGIN") {
            ("AUTH LOGIN".to_owned(), vec![STANDARD.encode(password), STANDARD.encode(user)])
        } else {
            return Err((Stage::Login, Failure::NoCommonMechanism));
        };
        self.write(first.as_bytes(), Stage::Login, deadline).await?;
        for _ in 0..CHALLENGES {
            let (reply, _) = self.reply(Stage::Login, deadline).await?;
            match reply.code {
                235 => return Ok(()),
                334 => {
                    let answer = answers.pop().unwrap_or_default();
                    self.write(answer.as_bytes(), Stage::Login, deadline).await?;
                }
                // Some repeat what they heard: their words are not even logged.
                _ => return Err((Stage::Login, Failure::Rejected(Reply { text: String::new(), ..reply }))),
            }
        }
        let reply = Reply { code: 535, enhanced: None, text: "too many challenges".into() };
        Err((Stage::Login, Failure::Rejected(reply)))
    }

    async fn command(&mut self, text: &str, stage: Stage, deadline: Instant, code: u16) -> Result<Reply, Trouble> {
        self.write(text.as_bytes(), stage, deadline).await?;
        self.expect(stage, deadline, code).await
    }

    async fn write(&mut self, text: &[u8], stage: Stage, deadline: Instant) -> Result<(), Trouble> {
        // Addresses were parsed, names are our own: a line end in a command would be a second command.
        if text.iter().any(|b| matches!(b, b'\r' | b'\n')) {
            return Err((stage, Failure::Protocol("a command would have had two lines")));
        }
        let line = [text, b"\r\n"].concat();
        self.wire.write(&line, self.soon(deadline)).await.map_err(|failure| (stage, failure))
    }

    async fn expect(&mut self, stage: Stage, deadline: Instant, code: u16) -> Result<Reply, Trouble> {
        let (reply, _) = self.reply(stage, deadline).await?;
        if reply.code == code { Ok(reply) } else { Err((stage, Failure::Rejected(reply))) }
    }

    async fn reply(&mut self, stage: Stage, deadline: Instant) -> Result<(Reply, Vec<String>), Trouble> {
        let by = if stage == Stage::Content { deadline } else { self.soon(deadline) };
        self.wire.reply(by).await.map_err(|failure| (stage, failure))
    }

    fn soon(&self, deadline: Instant) -> Instant {
        deadline.min(Instant::now() + self.limits.reply)
    }
}

/// A mail as it goes over the wire: CRLF at each line's end, dots stuffed (RFC 5321, 4.5.2), the final dot behind. No
/// bare CR or LF passes: relays disagree on them, and what one takes for text another takes for a command.
fn dotted(mail: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(mail.len() + mail.len() / 50 + 5);
    let text = mail.strip_suffix(b"\r\n").or_else(|| mail.strip_suffix(b"\n")).unwrap_or(mail);
    for line in text.split(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.first() == Some(&b'.') {
            out.push(b'.');
        }
        out.extend(line.iter().map(|b| if *b == b'\r' { b' ' } else { *b }));
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

/// The relay's id for a mail, for its operators: what follows "queued as", or the last word. Printable and short.
fn queue_id(reply: &Reply) -> Option<String> {
    let words = reply.text.rsplit_once("queued as ").map_or(reply.text.as_str(), |(_, id)| id);
    let id: String = words.split_whitespace().last()?.chars().filter(char::is_ascii_graphic).take(64).collect();
    (!id.is_empty()).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_stuffed_and_no_bare_line_end_passes() {
        let sent = dotted(b"a\n.\r\n.MAIL\rFROM\r\n\r\n");
        assert_eq!(String::from_utf8_lossy(&sent), "a\r\n..\r\n..MAIL FROM\r\n\r\n.\r\n");
    }

    #[test]
    fn a_queue_id_is_found_and_cut() {
        let reply = |text: &str| Reply { code: 250, enhanced: None, text: text.into() };
        assert_eq!(queue_id(&reply("2.0.0 Ok: queued as 4F8")).as_deref(), Some("4F8"));
        assert_eq!(queue_id(&reply("")), None);
        assert_eq!(queue_id(&reply(&"x".repeat(500))).map(|id| id.len()), Some(64));
    }
}
