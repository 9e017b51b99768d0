//! Attempts: what to do next about one mail that is wanted. One mechanism for invitations, reminders,
//! activations and notices.
//!
//! ```text
//!  wanted ──▶ Begin(number 1) ──no outcome, holder gone──▶ Repeat(number + 1, same start, same bytes, repeat time)
//!                   │                                            │
//!                   ├── certainly not delivered ── retryTime ──▶ Begin(number + 1, new start)
//!                   ├── in doubt ────────────────── retryTime ──▶ Repeat
//!                   └── delivered, or refused for good: Rest
//! ```

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::delivery::Outcome;
use super::{Fact, Facts, Me, Purpose};
use crate::api::condition::Reason;
use crate::api::{Attempt, AttemptFailure, Dispatch};

/// The longest SMTP transaction (D): who is not the leader may take a silent holder's attempt over after it. It leaves
/// room for a sender who writes the final dot at the last moment ([`LAST_DOT`]) and then waits 10 minutes for the answer
/// (RFC 5321, 4.5.3.2.6).
pub const LONGEST_TRANSACTION: SignedDuration = SignedDuration::from_mins(12);

/// The final dot is written within this time from the beginning of the try, or not at all.
pub const LAST_DOT: SignedDuration = SignedDuration::from_secs(100);

/// First pause after a refusal that may pass; doubles with each try. RFC 5321 (4.5.4.1) advises 30 minutes for a queue;
/// greylisting relays accept after a minute, and a person is waiting.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(30);
/// Longest pause between two tries.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(30);

/// What to do next about one wanted mail.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Record this attempt and deliver it.
    Deliver(Attempt),
    /// Nothing before this time.
    Wait(Timestamp),
    /// Nothing: it was refused for good.
    Rest,
}

/// What a new try looks like.
pub struct Fresh<'a> {
    /// UID of the object that the mail is about.
    pub uid: &'a str,
    /// What the mail is for.
    pub purpose: Purpose,
    /// Domain of the Message-ID.
    pub mail_domain: &'a str,
    /// Key that signs the link.
    pub key_id: &'a str,
    /// Until when the link of a try that starts now can be used.
    pub expiration: Option<Timestamp>,
}

/// The try with which the mail of this serial would begin now.
pub fn begun(serial: i64, fresh: &Fresh<'_>, me: &Me, now: Timestamp) -> Option<Attempt> {
    match next(None, serial, fresh, me, now) {
        Next::Deliver(attempt) => Some(attempt),
        Next::Wait(_) | Next::Rest => None,
    }
}

/// What to do next about the mail of this serial.
pub fn next(last: Option<&Attempt>, serial: i64, fresh: &Fresh<'_>, me: &Me, now: Timestamp) -> Next {
    let begin = |number| {
        Next::Deliver(Attempt {
            serial,
            number,
            holder: me.identity.clone(),
            start_time: Some(Time(now)),
            repeat_time: None,
            message_id: format!("{}.{serial}.{}@{}", fresh.uid, fresh.purpose.as_str(), fresh.mail_domain),
            key_id: fresh.key_id.to_owned(),
            expiration_time: fresh.expiration.map(Time),
            failure: None,
        })
    };
    let Some(last) = last.filter(|a| a.serial == serial) else { return begin(1) };
    // A mail whose link is dead on arrival helps nobody: begin afresh instead of repeating it.
    let dead = last.expiration_time.as_ref().is_some_and(|t| t.0 <= now);
    let again = |last: &Attempt| {
        let repeated = Attempt {
            number: last.number.saturating_add(1),
            holder: me.identity.clone(),
            repeat_time: Some(Time(now)),
            failure: None,
            ..last.clone()
        };
        if dead { begin(last.number.saturating_add(1)) } else { Next::Deliver(repeated) }
    };
    match &last.failure {
        Some(failure) if failure.is_final => Next::Rest,
        Some(failure) => match &failure.retry_time {
            Some(retry) if retry.0 > now => Next::Wait(retry.0),
            _ if failure.in_doubt => again(last),
            _ => begin(last.number.saturating_add(1)),
        },
        None => match taken_over_at(last, me) {
            Some(at) if at > now => Next::Wait(at),
            _ => again(last),
        },
    }
}

/// From when on this process may take over an attempt without an outcome. None: at once.
fn taken_over_at(attempt: &Attempt, me: &Me) -> Option<Timestamp> {
    // The holder itself: it crashed, for one object has one turn at a time. The leader: whoever lost the lease gives
    // up before the final dot.
    if attempt.holder == me.identity || me.elected {
        return None;
    }
    begun_at(attempt).and_then(|begun| begun.checked_add(LONGEST_TRANSACTION).ok())
}

/// When this very try began: not its Date, which a repetition keeps. By the Date, whoever repeats an old mail would be
/// late before it began, and two who wait for the same time would take it from each other again and again.
pub fn begun_at(attempt: &Attempt) -> Option<Timestamp> {
    attempt.repeat_time.as_ref().or(attempt.start_time.as_ref()).map(|time| time.0)
}

/// Takes what was learned of a mail besides the invitation into its record. Whoever delivered it: the mail is out.
pub fn learn(record: &mut Dispatch, purpose: Purpose, uid: &str, facts: &Facts) {
    for fact in facts {
        let Fact::Delivery { purpose: of, serial, number, outcome, at } = fact else { continue };
        let Some(attempt) = record.attempt.as_mut().filter(|a| *of == purpose && a.serial == *serial) else { continue };
        if matches!(outcome, Outcome::Delivered { .. }) {
            record.sent_time.get_or_insert(Time(*at));
        } else if attempt.number == *number {
            attempt.failure = failure(outcome, uid, attempt, *at);
        }
    }
}

/// How a try that delivered nothing (or nobody knows) is recorded.
pub fn failure(outcome: &Outcome, uid: &str, attempt: &Attempt, at: Timestamp) -> Option<AttemptFailure> {
    let retry = || at.checked_add(pause(uid, attempt.serial, attempt.number)).ok().map(Time);
    let (reason, message, retry_time, in_doubt, is_final) = match outcome {
        Outcome::Delivered { .. } => return None,
        Outcome::Deferred { reason, message } => (*reason, message, retry(), false, false),
        Outcome::Refused { reason, message } => (*reason, message, None, false, true),
        Outcome::Relay { reason, message, .. } => (*reason, message, None, false, false),
        Outcome::Unknown { message } => (Reason::OutcomeUnknown, message, retry(), true, false),
    };
    let (reason, message) = (reason.as_str().to_owned(), message.clone());
    Some(AttemptFailure { reason, message, time: Some(Time(at)), retry_time, in_doubt, is_final })
}

/// The pause after try `number`: doubled each time, between half and the whole of it, so that many do not come back
/// together. The share is drawn from the object's identity: plans have no randomness.
fn pause(uid: &str, serial: i64, number: i64) -> SignedDuration {
    let doublings = u32::try_from(number.clamp(1, 8) - 1).unwrap_or(0);
    let whole = FIRST_PAUSE.as_secs().saturating_mul(1 << doublings).min(LONGEST_PAUSE.as_secs());
    // FNV-1a.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in uid.bytes().chain(serial.to_le_bytes()).chain(number.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let half = whole / 2;
    SignedDuration::from_secs(half + i64::try_from(hash >> 33).unwrap_or(0) % (half + 1))
}

#[cfg(test)]
mod tests {
    use super::super::testing::t;
    use super::*;

    fn fresh() -> Fresh<'static> {
        Fresh { uid: "u", purpose: Purpose::Invitation, mail_domain: "d", key_id: "key-1", expiration: Some(t(86_400)) }
    }

    fn me(elected: bool) -> Me {
        Me { identity: "me".into(), elected }
    }

    fn attempt(holder: &str) -> Attempt {
        match next(None, 1, &fresh(), &Me { identity: holder.into(), elected: false }, t(0)) {
            Next::Deliver(attempt) => attempt,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_holder_repeats_its_own_attempt_at_once_and_byte_for_byte() {
        let first = attempt("me");
        let Next::Deliver(second) = next(Some(&first), 1, &fresh(), &me(false), t(5)) else { panic!("delivers") };
        assert_eq!(second, Attempt { number: 2, repeat_time: Some(Time(t(5))), ..first });
    }

    #[test]
    fn somebody_elses_attempt_is_taken_over_after_the_longest_transaction_only() {
        let first = attempt("other");
        let due = t(0) + LONGEST_TRANSACTION;
        assert_eq!(next(Some(&first), 1, &fresh(), &me(false), t(5)), Next::Wait(due));
        let Next::Deliver(second) = next(Some(&first), 1, &fresh(), &me(false), due) else { panic!("delivers") };
        let repeat_time = Some(Time(due));
        assert_eq!(second, Attempt { number: 2, holder: "me".into(), repeat_time, ..first });
        // Who lost this race waits anew.
        let third = Me { identity: "third".into(), elected: false };
        let again = due + LONGEST_TRANSACTION;
        assert_eq!(next(Some(&second), 1, &fresh(), &third, due), Next::Wait(again));
        assert!(matches!(next(Some(&second), 1, &fresh(), &third, again), Next::Deliver(_)));
    }

    #[test]
    fn the_leader_takes_over_at_once() {
        assert!(matches!(next(Some(&attempt("other")), 1, &fresh(), &me(true), t(1)), Next::Deliver(_)));
    }

    #[test]
    fn a_deferred_mail_is_tried_afresh_after_its_pause() {
        let mut first = attempt("me");
        let outcome = Outcome::Deferred { reason: Reason::RecipientDeferred, message: "later".into() };
        first.failure = failure(&outcome, "u", &first, t(1));
        let Next::Wait(at) = next(Some(&first), 1, &fresh(), &me(false), t(1)) else { panic!("waits") };
        assert!(at >= t(16) && at <= t(31), "{at}");
        let Next::Deliver(second) = next(Some(&first), 1, &fresh(), &me(false), at) else { panic!("delivers") };
        assert_eq!((second.number, second.start_time.map(|s| s.0)), (2, Some(at)));
        assert_eq!(second.message_id, first.message_id);
    }

    #[test]
    fn a_mail_in_doubt_is_repeated_as_it_was_after_a_pause() {
        let mut first = attempt("me");
        first.failure = failure(&Outcome::Unknown { message: "cut".into() }, "u", &first, t(1));
        let Next::Wait(at) = next(Some(&first), 1, &fresh(), &me(false), t(1)) else { panic!("waits") };
        let Next::Deliver(second) = next(Some(&first), 1, &fresh(), &me(false), at) else { panic!("delivers") };
        assert_eq!(second, Attempt { number: 2, repeat_time: Some(Time(at)), failure: None, ..first });
    }

    #[test]
    fn trouble_of_the_relay_waits_for_the_relay_and_a_refusal_for_nobody() {
        let mut first = attempt("me");
        let relay = Outcome::Relay { reason: Reason::LoginRefused, message: "535".into(), login: true };
        first.failure = failure(&relay, "u", &first, t(1));
        assert!(matches!(next(Some(&first), 1, &fresh(), &me(false), t(1)), Next::Deliver(a) if a.number == 2));
        let refused = Outcome::Refused { reason: Reason::RecipientUnknown, message: "550".into() };
        first.failure = failure(&refused, "u", &first, t(1));
        assert_eq!(next(Some(&first), 1, &fresh(), &me(false), t(99)), Next::Rest);
    }

    #[test]
    fn pauses_grow_to_half_an_hour() {
        let longest = (1..40).map(|n| pause("u", 1, n)).max();
        assert!(longest <= Some(LONGEST_PAUSE) && longest > Some(SignedDuration::from_mins(15)));
    }
}
