//! A tiny world of one invitation, in which the operator is stopped between any two steps.
//!
//! A turn of the loop is *write, deliver, write*. Whatever it is stopped after, who comes next finds the stored status
//! and nothing else. It must end with the mail delivered: once, or once more for each stop between a delivery and the
//! record of its outcome, and then byte for byte as before.

use proptest::collection::vec;
use proptest::prelude::*;

use super::story::*;
use super::*;
use crate::api::InvitationState;
use crate::plan::Fact;
use crate::plan::dispatch::LONGEST_TRANSACTION;
use crate::plan::testing::{delivery, t};

/// After which step of its turn the operator stops.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stop {
    /// Nothing was written yet.
    Before,
    /// The attempt is recorded, nothing was sent.
    Recorded,
    /// The mail is out, its outcome is not recorded.
    Delivered,
    /// All is done.
    Done,
}

const STOPS: [Stop; 4] = [Stop::Before, Stop::Recorded, Stop::Delivered, Stop::Done];

/// Who comes after a stop.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Next {
    /// The same process under the same name.
    Same,
    /// Another name; nobody was elected.
    Other,
    /// Another name, elected.
    Leader,
}

/// The relay's side of it: what it took.
#[derive(Default)]
struct Relay {
    took: Vec<Delivery>,
}

/// One life of an operator: turns until it stops, or until nothing is left to do.
fn live(story: &mut Story, relay: &mut Relay, stop: Option<Stop>) {
    if stop == Some(Stop::Before) {
        return;
    }
    for _ in 0..4 {
        // The only write that may be followed by a mail is one that changed something.
        let before = story.status();
        let plan = story.look();
        match delivery(&plan.effects) {
            Some(delivery) => {
                assert_ne!(story.status(), before, "a mail without a record of it");
                if stop == Some(Stop::Recorded) {
                    return;
                }
                relay.took.push(delivery.clone());
                if stop == Some(Stop::Delivered) {
                    return;
                }
                let Delivery { purpose, serial, number, .. } = *delivery;
                story.learn(Fact::Delivery { purpose, serial, number, outcome: delivered(), at: story.now });
            }
            None if plan.wake.is_some() && story.state() == InvitationState::Pending => {
                // It waits for its moment.
                story.now = plan.wake.expect("a moment");
            }
            None => return,
        }
    }
}

/// Lives through these stops and then to the end. Returns the end and what the relay took.
fn survive(stops: &[(Stop, Next, i64)]) -> (Story, Vec<Delivery>) {
    let mut story = invite();
    let mut relay = Relay::default();
    for (index, (stop, next, gap)) in stops.iter().enumerate() {
        live(&mut story, &mut relay, Some(*stop));
        story.now += SignedDuration::from_secs(*gap);
        let me = &mut Arc::make_mut(&mut story.seen.settings).me;
        me.elected = *next == Next::Leader;
        if *next != Next::Same {
            me.identity = format!("operator-{index}");
        }
    }
    live(&mut story, &mut relay, None);
    (story, relay.took)
}

fn assert_survived(stops: &[(Stop, Next, i64)]) {
    let (story, took) = survive(stops);
    assert_eq!(story.state(), InvitationState::Sent, "{stops:?}");
    assert_eq!(
        (story.status().serial, story.plan().effects),
        (Some(1), Vec::new()),
        "{stops:?}: nothing is left to do"
    );
    // Every life before the mail was recorded as sent and that stopped right after a delivery sent one.
    let lives = stops.iter().take_while(|(stop, _, _)| *stop != Stop::Done);
    let doubts = lives.filter(|(stop, _, _)| *stop == Stop::Delivered).count();
    assert_eq!(took.len(), doubts + 1, "{stops:?}");
    // What the recipient can see of them is the same.
    let seen = |mail: &Delivery| Delivery { number: 0, begun: t(0), ..mail.clone() };
    for mail in &took {
        assert_eq!(seen(mail), seen(&took[0]), "{stops:?}");
    }
    let numbers: Vec<i64> = took.iter().map(|mail| mail.number).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{stops:?}: each try has a number of its own: {numbers:?}");
}

#[test]
fn wherever_it_is_stopped_once_the_mail_is_there_once_or_twice_alike() {
    for stop in STOPS {
        for next in [Next::Same, Next::Other, Next::Leader] {
            for gap in [0, 1, 60, 3600] {
                assert_survived(&[(stop, next, gap)]);
            }
        }
    }
}

#[test]
fn wherever_it_is_stopped_twice_the_mail_is_there() {
    for (first, second) in STOPS.iter().flat_map(|a| STOPS.iter().map(move |b| (*a, *b))) {
        for next in [Next::Same, Next::Leader] {
            assert_survived(&[(first, next, 1), (second, next, 1)]);
        }
    }
}

#[test]
fn who_was_not_elected_waits_until_the_silent_one_must_have_given_up() {
    let (story, took) = survive(&[(Stop::Recorded, Next::Other, 1)]);
    assert_eq!((story.now, took.len()), (t(0) + LONGEST_TRANSACTION, 1));
    let (story, _) = survive(&[(Stop::Recorded, Next::Leader, 1)]);
    assert_eq!(story.now, t(1));
}

/// Two operators without election read the same status; both plan. The API server takes the write of one.
#[test]
fn of_two_operators_that_see_the_same_one_mails() {
    let first = invite();
    let second = invite().set_up(|o| o.me.identity = "other".into());
    assert!(first.would_mail() && second.would_mail(), "both would");
    let mut winner = first;
    winner.look();
    // The loser's write is a conflict: it reads again, and sees whose the attempt is.
    let loser = Story { invitation: winner.invitation.clone(), ..second };
    let plan = loser.plan();
    assert_eq!((plan.delivers(), plan.status), (false, winner.status()));
    // Having waited for the longest transaction it takes over; the silent one finds it so and does not mail.
    let mut heir = loser;
    heir.now = t(0) + LONGEST_TRANSACTION;
    assert!(heir.look().delivers());
    let back = Story { invitation: heir.invitation.clone(), now: heir.now, ..winner };
    assert!(!back.would_mail(), "the attempt is the other's now");
}

/// The outcome of a mail meets a status that somebody changed meanwhile: it is told to the newer one and never lost.
#[test]
fn an_outcome_survives_whatever_was_written_meanwhile() {
    let mut story = invite();
    let mail = delivery(&story.look().effects).expect("a mail").clone();
    let learn = |mut story: Story| {
        story.ends(&mail, delivered());
        story
    };
    let taken_over = {
        let mut other = story.clone().set_up(|o| (o.me.identity, o.me.elected) = ("other".into(), true));
        other.look();
        other
    };
    let mut revoked = story.clone();
    revoked.set(serde_json::json!({"revoked": true}));
    let mut accepted = story.clone();
    accepted.accepts(1);
    for (what, story, state) in [
        ("nothing", story.clone(), InvitationState::Sent),
        ("taken over", taken_over, InvitationState::Sent),
        ("revoked", revoked, InvitationState::Revoked),
        ("accepted", accepted, InvitationState::Accepted),
    ] {
        let story = learn(story);
        assert_eq!((story.state(), story.status().serial, story.would_mail()), (state, Some(1), false), "{what}");
    }
}

fn stop() -> impl Strategy<Value = (Stop, Next, i64)> {
    let next = prop_oneof![Just(Next::Same), Just(Next::Other), Just(Next::Leader)];
    // All together less than the link's life: a link that died meanwhile is made afresh.
    (prop::sample::select(&STOPS[..]), next, 0..1800i64)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn however_often_it_is_stopped_the_mail_gets_there(stops in vec(stop(), 0..8)) {
        // Whoever waits for a silent holder does not come to its stop: those lives are covered by the tables above.
        let waits = stops.windows(2).any(|pair| pair[0].1 == Next::Other && pair[1].0 != Stop::Before);
        if !waits {
            assert_survived(&stops);
        } else {
            let (story, took) = survive(&stops);
            prop_assert_eq!(story.state(), InvitationState::Sent);
            let doubts = stops.iter().filter(|(stop, _, _)| *stop == Stop::Delivered).count();
            prop_assert!(!took.is_empty() && took.len() <= doubts + 1, "{} mails", took.len());
        }
    }
}
