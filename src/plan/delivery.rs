//! From what happened in an SMTP dialogue (RFC 5321) to a conclusion: by phase and code, never by the relay's words.
//!
//! Four things can be at fault: nobody (delivered), this mail (deferred or refused), the relay (nobody's invitation
//! fails for it), or the connection at the one moment after which nobody knows (RFC 1047).

use std::fmt;

use crate::api::condition::Reason;

/// How far a dialogue had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Finding the relay's address.
    Resolve,
    /// Opening the connection.
    Connect,
    /// Waiting for the greeting.
    Greeting,
    /// EHLO.
    Hello,
    /// STARTTLS (RFC 3207).
    StartTls,
    /// The TLS handshake.
    Handshake,
    /// AUTH (RFC 4954).
    Login,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Recipient,
    /// DATA, and the mail up to its final dot.
    Data,
    /// From the final dot on.
    Content,
}

/// An answer of the relay.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// Reply code (RFC 5321, 4.2).
    pub code: u16,
    /// Enhanced status code (RFC 3463), if there is one.
    pub enhanced: Option<(u8, u16, u16)>,
    /// Its words: printable, cut, and never trusted.
    pub text: String,
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        self.enhanced.map_or(Ok(()), |(class, subject, detail)| write!(f, " {class}.{subject}.{detail}"))
    }
}

/// Longest word of a relay that is shown: longer ones may be what it was told.
const LONGEST_WORD: usize = 24;

/// For logs. WARNING: relays quote what they do not like, among it the link of a mail: nothing that could be one is
/// shown.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |word| if str::len(word) > LONGEST_WORD { "…" } else { word };
        let words: Vec<&str> = self.text.split_whitespace().map(show).collect();
        write!(f, "{self} ({:?})", words.join(" "))
    }
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The name of the relay does not resolve.
    NotFound,
    /// The connection was refused, or there is no way.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// The connection was closed or reset.
    Reset,
    /// The answer is none that SMTP knows here.
    Protocol(&'static str),
    /// TLS could not be agreed on, or the certificate is not trusted.
    Tls(String),
    /// The relay offers no STARTTLS.
    TlsNotOffered,
    /// The relay offers no login, or none that both know.
    NoCommonMechanism,
    /// The address needs SMTPUTF8 (RFC 6531) and the relay does not offer it.
    NotAscii,
    /// The mail is larger than the relay takes (RFC 1870).
    TooLarge,
    /// The sender itself gave up before the final dot: too late, or no leader any more.
    GaveUp,
    /// The relay said no.
    Rejected(Reply),
}

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The relay took responsibility for the mail.
    Delivered {
        /// Its id for the mail, for its operators: printable, at most 64 bytes.
        queue_id: Option<String>,
    },
    /// Certainly not delivered; it is this mail's matter, and may pass.
    Deferred {
        /// Why.
        reason: Reason,
        /// A sentence with the codes.
        message: String,
    },
    /// Certainly not delivered, for good.
    Refused {
        /// Why.
        reason: Reason,
        /// A sentence with the codes.
        message: String,
    },
    /// Certainly not delivered; it is the relay's matter and concerns everybody.
    Relay {
        /// Why.
        reason: Reason,
        /// A sentence with the codes.
        message: String,
        /// A login was refused or is wanting: relays lock accounts that try too often.
        login: bool,
    },
    /// It may have been delivered.
    Unknown {
        /// A sentence about it.
        message: String,
    },
}

impl Outcome {
    /// All words of [`Outcome::as_str`].
    pub const WORDS: [&str; 5] = ["delivered", "deferred", "refused", "relay", "unknown"];

    /// Why it was not delivered, if it was not.
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Outcome::Delivered { .. } => None,
            Outcome::Deferred { reason, .. } | Outcome::Refused { reason, .. } | Outcome::Relay { reason, .. } => {
                Some(*reason)
            }
            Outcome::Unknown { .. } => Some(Reason::OutcomeUnknown),
        }
    }

    /// One word for metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Outcome::Delivered { .. } => "delivered",
            Outcome::Deferred { .. } => "deferred",
            Outcome::Refused { .. } => "refused",
            Outcome::Relay { .. } => "relay",
            Outcome::Unknown { .. } => "unknown",
        }
    }
}

fn relay(reason: Reason, message: impl Into<String>) -> Outcome {
    Outcome::Relay { reason, message: message.into(), login: false }
}

fn login(reason: Reason, message: impl Into<String>) -> Outcome {
    Outcome::Relay { reason, message: message.into(), login: true }
}

fn refused(reason: Reason, message: impl Into<String>) -> Outcome {
    Outcome::Refused { reason, message: message.into() }
}

fn deferred(reason: Reason, message: impl Into<String>) -> Outcome {
    Outcome::Deferred { reason, message: message.into() }
}

/// What follows from a failure at this stage.
pub fn conclude(stage: Stage, failure: Failure) -> Outcome {
    let after_dot = stage == Stage::Content;
    match failure {
        Failure::Rejected(reply) => rejected(stage, &reply),
        Failure::Timeout | Failure::Reset | Failure::Protocol(_) if after_dot => {
            Outcome::Unknown { message: "The relay's answer to the mail was lost: it may have taken it.".into() }
        }
        Failure::NotFound => relay(Reason::RelayNotFound, "The relay's name does not resolve."),
        Failure::Unreachable => relay(Reason::RelayUnreachable, "The relay cannot be reached."),
        Failure::Timeout => relay(Reason::RelayTimeout, silence(stage)),
        Failure::Reset if matches!(stage, Stage::Connect | Stage::Greeting) => {
            relay(Reason::RelayUnreachable, "The relay closed the connection at once.")
        }
        Failure::Reset => {
            relay(Reason::RelayReset, "The connection to the relay broke before the mail was handed over.")
        }
        Failure::Protocol(what) => relay(Reason::RelayProtocolError, format!("The relay does not speak SMTP: {what}.")),
        Failure::Tls(what) => relay(Reason::TLSFailed, format!("TLS with the relay failed: {what}.")),
        Failure::TlsNotOffered => {
            relay(Reason::TLSNotOffered, "The relay offers no STARTTLS, and nothing is sent in clear.")
        }
        Failure::NoCommonMechanism => {
            login(Reason::LoginUnavailable, "The relay offers no login that both sides know (PLAIN, LOGIN).")
        }
        Failure::NotAscii => refused(
            Reason::AddressNotDeliverable,
            "The local part of the address is not ASCII, and the relay does not offer SMTPUTF8.",
        ),
        Failure::TooLarge => refused(Reason::MessageTooLarge, "The mail is larger than the relay takes."),
        Failure::GaveUp => deferred(Reason::RelayTimeout, "The sender gave up before the mail was handed over."),
    }
}

fn silence(stage: Stage) -> &'static str {
    match stage {
        // Both sides wait for the other one where the port speaks TLS from the first byte.
        Stage::Greeting => "The relay sent no greeting in time. If its port is for implicit TLS (465), use smtps://.",
        Stage::Resolve => "The relay's name was not resolved in time.",
        Stage::Connect => "The relay did not take the connection in time.",
        _ => "The relay did not answer in time.",
    }
}

/// What follows from a no (or a wrong yes) at this stage.
fn rejected(stage: Stage, reply: &Reply) -> Outcome {
    let code = reply.code;
    let passing = (400..500).contains(&code);
    let (_, subject, detail) = reply.enhanced.unwrap_or((0, 0, 0));
    // These mean the same wherever they are said.
    match code {
        421 => return relay(Reason::RelayBusy, format!("The relay closes its doors for now ({reply}).")),
        530 => return login(Reason::LoginRequired, format!("The relay wants a login first ({reply}).")),
        534 | 535 | 538 => return login(Reason::LoginRefused, format!("The relay refused the login ({reply}).")),
        454 if stage == Stage::StartTls => {
            return relay(Reason::TLSUnavailable, format!("TLS is out of order at the relay ({reply})."));
        }
        454 => return login(Reason::LoginUnavailable, format!("The login is out of order at the relay ({reply}).")),
        // Microsoft 365 with basic authentication switched off says so only when a mail comes.
        550 if (subject, detail) == (7, 30) => {
            return login(Reason::LoginRefused, format!("The relay takes no passwords any more ({reply})."));
        }
        _ => {}
    }
    // A yes of the wrong kind, or no SMTP code at all.
    if !(400..600).contains(&code) {
        return conclude(stage, Failure::Protocol("it gave an answer that does not belong here"));
    }
    if (subject, detail) == (4, 5) && !matches!(stage, Stage::Content) {
        return relay(Reason::QuotaExceeded, format!("The sender's quota at the relay is used up ({reply})."));
    }
    match stage {
        Stage::Resolve | Stage::Connect | Stage::Greeting | Stage::Hello => {
            if passing {
                relay(Reason::RelayBusy, format!("The relay has no time for now ({reply})."))
            } else if matches!(code, 500 | 502) {
                relay(Reason::RelayProtocolError, format!("The relay does not know EHLO ({reply})."))
            } else {
                relay(Reason::RelayRefusedClient, format!("The relay does not want to talk to this client ({reply})."))
            }
        }
        Stage::StartTls | Stage::Handshake if passing => {
            relay(Reason::TLSUnavailable, format!("TLS is out of order at the relay ({reply})."))
        }
        Stage::StartTls | Stage::Handshake => {
            relay(Reason::TLSNotOffered, format!("The relay refused STARTTLS ({reply})."))
        }
        Stage::Login if passing => login(Reason::LoginUnavailable, format!("The login is out of order ({reply}).")),
        Stage::Login => login(Reason::LoginRefused, format!("The relay refused the login ({reply}).")),
        Stage::Mail => match code {
            400..500 => {
                relay(Reason::RelayDeferred, format!("The relay takes no mail of this sender for now ({reply})."))
            }
            552 => refused(Reason::MessageTooLarge, format!("The mail is larger than the relay takes ({reply}).")),
            500..=504 | 555 => relay(Reason::RelayProtocolError, format!("The relay does not know MAIL ({reply}).")),
            _ => relay(Reason::SenderRefused, format!("The relay refuses the sender's address ({reply}).")),
        },
        Stage::Recipient => recipient(reply, passing, subject, detail),
        Stage::Data if passing => relay(Reason::RelayDeferred, format!("The relay takes no mail for now ({reply}).")),
        Stage::Data if matches!(code, 500..=502) => {
            relay(Reason::RelayProtocolError, format!("The relay does not know DATA ({reply})."))
        }
        Stage::Content if passing => deferred(Reason::RelayDeferred, format!("The relay put the mail off ({reply}).")),
        Stage::Content if code == 552 => {
            refused(Reason::MessageTooLarge, format!("The mail is larger than the relay takes ({reply})."))
        }
        Stage::Data | Stage::Content => {
            refused(Reason::MessageRefused, format!("The relay refused the mail ({reply})."))
        }
    }
}

fn recipient(reply: &Reply, passing: bool, subject: u16, detail: u16) -> Outcome {
    if passing {
        return deferred(Reason::RecipientDeferred, format!("The relay put the recipient off ({reply})."));
    }
    let (reason, what) = match (reply.code, subject, detail) {
        (500..=504, _, _) => {
            return relay(Reason::RelayProtocolError, format!("The relay does not know RCPT ({reply})."));
        }
        (_, 1, 2 | 10) => (Reason::DomainUnknown, "The recipient's domain takes no mail"),
        (551, _, _) | (_, 1, 1 | 6) => (Reason::RecipientUnknown, "The mailbox does not exist"),
        (_, 3, 4) => (Reason::MessageTooLarge, "The mail is larger than the recipient takes"),
        (552, _, _) | (_, 2, 2) => (Reason::MailboxFull, "The mailbox is full"),
        (553, _, _) | (_, 1, 3) => (Reason::AddressRefused, "The relay refused the address"),
        (_, 7, _) | (554, _, _) => (Reason::RecipientRefused, "The relay refused the recipient by its policy"),
        _ => (Reason::RecipientUnknown, "The relay does not know the recipient"),
    };
    refused(reason, format!("{what} ({reply})."))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Letters of the table: W, R relay; L relay and login; D deferred; P refused; U unknown.
    fn letter(outcome: &Outcome) -> (char, Option<Reason>) {
        match outcome {
            Outcome::Delivered { .. } => ('A', None),
            Outcome::Deferred { reason, .. } => ('D', Some(*reason)),
            Outcome::Refused { reason, .. } => ('P', Some(*reason)),
            Outcome::Relay { reason, login: false, .. } => ('R', Some(*reason)),
            Outcome::Relay { reason, login: true, .. } => ('L', Some(*reason)),
            Outcome::Unknown { .. } => ('U', None),
        }
    }

    #[test]
    fn what_a_relay_quotes_is_not_shown() {
        let text =
            "5.7.1 on our list: <https://portal.example/invitation#AQAAAAEAAAAB>, see http://list.example".into();
        let shown = format!("{:?}", Reply { code: 550, enhanced: Some((5, 7, 1)), text });
        assert_eq!(shown, "550 5.7.1 (\"5.7.1 on our list: … see http://list.example\")");
    }

    #[test]
    fn every_answer_has_its_meaning_by_phase_and_code() {
        use Reason as R;
        use Stage as S;
        for (stage, code, enhanced, expected, reason) in [
            (S::Greeting, 421, None, 'R', R::RelayBusy),
            (S::Greeting, 554, None, 'R', R::RelayRefusedClient),
            (S::Hello, 550, None, 'R', R::RelayRefusedClient),
            (S::Hello, 502, None, 'R', R::RelayProtocolError),
            (S::StartTls, 454, None, 'R', R::TLSUnavailable),
            (S::StartTls, 501, None, 'R', R::TLSNotOffered),
            (S::Login, 535, Some((5, 7, 8)), 'L', R::LoginRefused),
            (S::Login, 534, None, 'L', R::LoginRefused),
            (S::Login, 538, None, 'L', R::LoginRefused),
            (S::Login, 454, None, 'L', R::LoginUnavailable),
            (S::Login, 504, None, 'L', R::LoginRefused),
            (S::Mail, 530, Some((5, 7, 0)), 'L', R::LoginRequired),
            (S::Mail, 550, Some((5, 7, 30)), 'L', R::LoginRefused),
            (S::Content, 550, Some((5, 7, 30)), 'L', R::LoginRefused),
            (S::Mail, 550, None, 'R', R::SenderRefused),
            (S::Mail, 553, None, 'R', R::SenderRefused),
            (S::Mail, 451, None, 'R', R::RelayDeferred),
            (S::Mail, 452, None, 'R', R::RelayDeferred),
            (S::Mail, 421, None, 'R', R::RelayBusy),
            (S::Mail, 555, None, 'R', R::RelayProtocolError),
            (S::Mail, 552, Some((5, 3, 4)), 'P', R::MessageTooLarge),
            (S::Recipient, 450, None, 'D', R::RecipientDeferred),
            (S::Recipient, 451, Some((4, 7, 1)), 'D', R::RecipientDeferred),
            (S::Recipient, 452, Some((4, 2, 2)), 'D', R::RecipientDeferred),
            (S::Recipient, 550, Some((5, 1, 1)), 'P', R::RecipientUnknown),
            (S::Recipient, 550, None, 'P', R::RecipientUnknown),
            (S::Recipient, 551, None, 'P', R::RecipientUnknown),
            (S::Recipient, 550, Some((5, 1, 2)), 'P', R::DomainUnknown),
            (S::Recipient, 556, Some((5, 1, 10)), 'P', R::DomainUnknown),
            (S::Recipient, 552, Some((5, 2, 2)), 'P', R::MailboxFull),
            (S::Recipient, 553, None, 'P', R::AddressRefused),
            (S::Recipient, 550, Some((5, 7, 1)), 'P', R::RecipientRefused),
            (S::Recipient, 554, Some((5, 7, 1)), 'P', R::RecipientRefused),
            (S::Recipient, 550, Some((5, 4, 5)), 'R', R::QuotaExceeded),
            (S::Recipient, 354, None, 'R', R::RelayProtocolError),
            (S::Recipient, 500, None, 'R', R::RelayProtocolError),
            (S::Data, 451, None, 'R', R::RelayDeferred),
            (S::Data, 250, None, 'R', R::RelayProtocolError),
            (S::Content, 451, None, 'D', R::RelayDeferred),
            (S::Content, 452, None, 'D', R::RelayDeferred),
            (S::Content, 550, None, 'P', R::MessageRefused),
            (S::Content, 552, None, 'P', R::MessageTooLarge),
            (S::Content, 554, None, 'P', R::MessageRefused),
        ] {
            let outcome = conclude(stage, Failure::Rejected(Reply { code, enhanced, text: "EVIL".into() }));
            assert_eq!(letter(&outcome), (expected, Some(reason)), "{stage:?} {code} {enhanced:?}");
            assert!(!format!("{outcome:?}").contains("EVIL"), "the relay's words are not repeated");
        }
    }

    #[test]
    fn only_after_the_final_dot_nobody_knows() {
        for failure in [Failure::Timeout, Failure::Reset, Failure::Protocol("x")] {
            assert_eq!(letter(&conclude(Stage::Content, failure.clone())).0, 'U');
            for stage in [Stage::Connect, Stage::Greeting, Stage::Hello, Stage::Mail, Stage::Recipient, Stage::Data] {
                assert_eq!(letter(&conclude(stage, failure.clone())).0, 'R', "{stage:?} {failure:?}");
            }
        }
        let nonsense = Reply { code: 354, enhanced: None, text: String::new() };
        assert_eq!(letter(&conclude(Stage::Content, Failure::Rejected(nonsense))).0, 'U');
    }
}
