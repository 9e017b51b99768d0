//! Sent again: a later `sendAt` opens a new link from every end, and nothing else does.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};
use std::time::Duration;

use jiff::Timestamp;
use portal_operator::api::{Invitation, PortalUser};
use serde_json::{Value, json};

use crate::stagecraft::{acceptance, verdict, with, worth};
use crate::story::{Stage, invitation, seconds_from_now, time_of, user, while_nothing_happens};
use crate::support::now;
use crate::support::objects::status;
use crate::support::smtp::{Script, Step, When};

/// Waits until the link of this serial is out.
async fn sent(stage: &Stage, name: &str, serial: i64) -> Invitation {
    let is = |i: &Invitation| {
        let status = status(i);
        status["serial"] == serial && status["state"] == "Sent"
    };
    stage.ns.wait(name, format!("link {serial} is out"), is).await
}

/// When the latest attempt began.
fn began(invitation: &Invitation) -> Timestamp {
    status(invitation)["attempt"]["startTime"].as_str().and_then(|t| t.parse().ok()).expect("an attempt")
}

/// Waits until the operator has judged the present spec.
async fn judged(stage: &Stage, name: &str) -> Invitation {
    let is = |i: &Invitation| status(i)["observedGeneration"].as_i64() == i.metadata.generation;
    stage.ns.wait(name, "is judged", is).await
}

#[tokio::test]
async fn the_old_link_works_until_the_new_one_is_out_and_is_superseded_then() {
    let Some(stage) = Stage::set("superseded", Script::default()).await else { return };
    let grace = invitation("grace", "grace@acme.example", json!({"expiresAfter": "1h"}));
    stage.ns.apply(&grace).await;
    let old = stage.token_of("grace@").await;
    let first = sent(&stage, "grace", 1).await;
    // The relay keeps the second mail waiting.
    let open = Arc::new(AtomicBool::new(false));
    let gate = open.clone();
    stage.relay.set(Script::default().hook(Arc::new(move |step, when| {
        while step == Step::Rcpt && when == When::Before && !gate.load(Relaxed) {
            std::thread::sleep(Duration::from_millis(20));
        }
    })));
    let again = with(grace, json!({"sendAt": stage.after(began(&first)).await}));
    stage.ns.apply(&again).await;
    let under_way =
        stage.ns.wait("grace", "a second attempt", |i: &Invitation| status(i)["attempt"]["serial"] == 2).await;
    assert_eq!(status(&under_way)["serial"], 1);
    assert_eq!(worth(&stage.operator, &old).await, "Open", "the new one is not out");
    open.store(true, Relaxed);
    let second = sent(&stage, "grace", 2).await;
    assert_eq!(worth(&stage.operator, &old).await, "Superseded");
    assert_eq!(acceptance(&stage.operator, &old).await, (410, "Superseded".into()));
    let mails = stage.mails_to("grace@", 2).await;
    let new = mails[1].link().token;
    assert_ne!(old, new);
    let expiry = time_of(&second, |s| &s.expiration_time);
    assert_eq!(expiry.duration_since(began(&second)).as_secs(), 3600);
    assert!(expiry > time_of(&first, |s| &s.expiration_time), "the clock starts anew");
    for _ in 0..20 {
        stage.ns.apply(&again).await;
    }
    while_nothing_happens(Duration::from_secs(1)).await;
    assert_eq!(stage.mail_count(), 2, "the same sendAt mails nothing");
    assert_eq!(acceptance(&stage.operator, &new).await.0, 200);
}

#[tokio::test]
async fn an_answer_by_the_old_link_ends_the_new_one_that_is_on_its_way() {
    let Some(stage) = Stage::set("answered-old", Script::default()).await else { return };
    for name in ["accepted", "declined"] {
        stage.ns.apply(&invitation(name, &format!("{name}@acme.example"), json!({}))).await;
    }
    let (accepted, declined) = (stage.token_of("accepted@").await, stage.token_of("declined@").await);
    let later = began(&sent(&stage, "accepted", 1).await).max(began(&sent(&stage, "declined", 1).await));
    stage.relay.set(Script::default().reply(Step::Rcpt, "450 4.2.1 later"));
    let later = stage.after(later).await;
    for name in ["accepted", "declined"] {
        stage.ns.merge::<Invitation>(name, json!({"spec": {"sendAt": later}})).await;
        let deferred = |i: &Invitation| status(i)["attempt"]["failure"]["reason"] == "RecipientDeferred";
        stage.ns.wait(name, "a second link on its way", deferred).await;
    }
    assert_eq!(acceptance(&stage.operator, &accepted).await.0, 200);
    assert_eq!(stage.operator.decline(&declined).await.0, 200);
    // Were it still on its way, it would be mailed as soon as the account is deleted, or at once to who declined.
    stage.ns.wait_condition::<Invitation>("accepted", "Ready", "True", "Accepted").await;
    stage.ns.wait_condition::<Invitation>("declined", "Ready", "True", "Declined").await;
    stage.ns.wait_state::<Invitation>("declined", "Declined").await;
    assert_eq!(worth(&stage.operator, &accepted).await, "Accepted");
    assert_eq!(worth(&stage.operator, &declined).await, "Declined");
}

#[tokio::test]
async fn a_send_at_to_come_is_kept_to_its_second() {
    let Some(stage) = Stage::set("scheduled", Script::default()).await else { return };
    let at = seconds_from_now(5);
    let grace = invitation("grace", "grace@acme.example", json!({ "sendAt": at }));
    let known = invitation("known", "known@acme.example", json!({}));
    stage.ns.apply(&grace).await;
    stage.ns.apply(&known).await;
    let scheduled = stage.ns.wait_condition::<Invitation>("grace", "Ready", "True", "Scheduled").await;
    assert_eq!(status(&scheduled)["state"], "Pending");
    assert!(status(&scheduled)["attempt"].is_null(), "nothing is tried before");
    // A link that is out stays what it is until then.
    let open = sent(&stage, "known", 1).await;
    let token = stage.token_of("known@").await;
    stage.ns.apply(&with(known, json!({ "sendAt": at }))).await;
    let judged = judged(&stage, "known").await;
    if now() < at {
        assert_eq!(verdict(&judged, "Ready"), "True/Sent");
        assert_eq!(
            (worth(&stage.operator, &token).await.as_str(), status(&judged)["serial"].clone()),
            ("Open", json!(1))
        );
        assert_eq!(stage.relay.mails().len(), 1, "known@ alone, and once");
    }
    for (name, serial) in [("grace", 1), ("known", 2)] {
        let sent = sent(&stage, name, serial).await;
        let late = began(&sent).duration_since(at).as_secs();
        assert!((0..=1).contains(&late), "{name}: {late} s after its time");
    }
    assert!(began(&open) < at);
    assert_eq!(stage.mail_count(), 3);
}

#[tokio::test]
async fn a_later_send_at_opens_again_what_expired_was_declined_revoked_or_failed() {
    let refusing = Script::default().reply_to("failed@", Step::Rcpt, "550 5.1.1 no such user");
    let Some(stage) = Stage::set("reopened", refusing).await else { return };
    let ns = &stage.ns;
    let spec = |name: &str, more: Value| invitation(name, &format!("{name}@acme.example"), more);
    // Links live five minutes at least; notAfter ends one sooner.
    ns.apply(&spec("expired", json!({"notAfter": seconds_from_now(4)}))).await;
    for name in ["declined", "revoked", "failed"] {
        ns.apply(&spec(name, json!({}))).await;
    }
    let declined = stage.token_of("declined@").await;
    assert_eq!(stage.operator.decline(&declined).await.0, 200);
    let revoked = stage.token_of("revoked@").await;
    ns.apply(&spec("revoked", json!({"revoked": true}))).await;
    let ends = [("expired", "Expired"), ("declined", "Declined"), ("revoked", "Revoked"), ("failed", "Failed")];
    for (name, state) in ends {
        ns.wait_state::<Invitation>(name, state).await;
    }
    // Neither applying again, nor taking `revoked` or `notAfter` back, revives anything; nor does a time that was kept.
    stage.relay.set(Script::default());
    let before = stage.mail_count();
    for (name, state) in ends {
        ns.apply(&spec(name, json!({}))).await;
        assert_eq!(status(&judged(&stage, name).await)["state"], state, "{name}");
        ns.apply(&spec(name, json!({"sendAt": "2026-01-01T00:00:00Z"}))).await;
        assert_eq!(status(&judged(&stage, name).await)["state"], state, "{name}");
    }
    ns.apply(&spec("revoked", json!({"revoked": true, "sendAt": now()}))).await;
    judged(&stage, "revoked").await;
    assert_eq!(stage.mail_count(), before);
    let later = stage.after(now()).await;
    for (name, _) in ends {
        ns.apply(&spec(name, json!({ "sendAt": later }))).await;
    }
    for (name, _) in ends {
        let again = sent(&stage, name, 2).await;
        let end = time_of(&again, |s| &s.expiration_time);
        assert_eq!(end.duration_since(began(&again)).as_secs(), 24 * 3600, "{name}: a new clock");
        for over in ["declinedTime", "revokedTime", "expiredTime"] {
            assert!(status(&again)[over].is_null(), "{name}: {over} is of the old link");
        }
    }
    assert_eq!(stage.mail_count(), before + 4);
    for old in [declined, revoked] {
        assert_eq!(acceptance(&stage.operator, &old).await, (410, "Superseded".into()));
    }
    for (name, _) in ends {
        let mails = stage.mails_to(&format!("{name}@"), 1).await;
        let token = mails.last().expect("a mail").link().token;
        assert_eq!(acceptance(&stage.operator, &token).await.0, 200, "{name}");
    }
}

#[tokio::test]
async fn an_accepted_invitation_is_sent_again_only_when_its_account_is_gone() {
    let Some(stage) = Stage::set("accepted-again", Script::default()).await else { return };
    let ns = &stage.ns;
    let spec = |more: Value| invitation("grace", "grace@acme.example", more);
    ns.apply(&spec(json!({}))).await;
    let token = stage.token_of("grace@").await;
    assert_eq!(stage.operator.accept(&token).await.0, 200);
    let accepted = ns.wait_state::<Invitation>("grace", "Accepted").await;
    let account = accepted.status.as_ref().and_then(|s| s.user_ref.clone()).expect("an account");
    ns.wait_condition::<PortalUser>(&account.name, "Registered", "True", "Registered").await;

    ns.apply(&spec(json!({"sendAt": stage.after(began(&accepted)).await}))).await;
    let asked = judged(&stage, "grace").await;
    assert_eq!((status(&asked)["state"].as_str(), stage.mail_count()), (Some("Accepted"), 1));
    ns.apply(&spec(json!({}))).await;
    judged(&stage, "grace").await;

    ns.delete::<PortalUser>(&account.name).await;
    for _ in 0..5 {
        ns.apply(&spec(json!({}))).await;
    }
    while_nothing_happens(Duration::from_secs(1)).await;
    assert_eq!(stage.mail_count(), 1, "that the account is gone re-opens nothing by itself");

    ns.apply(&spec(json!({"sendAt": stage.after(now()).await}))).await;
    let again = sent(&stage, "grace", 2).await;
    assert!(status(&again)["userRef"].is_null(), "the old account is forgotten");
    assert_eq!(acceptance(&stage.operator, &token).await, (410, "Superseded".into()));
    let new = stage.mails_to("grace@", 2).await[1].link().token;
    assert_eq!(acceptance(&stage.operator, &new).await.0, 200);
    let accepted = ns.wait_state::<Invitation>("grace", "Accepted").await;
    let second = accepted.status.and_then(|s| s.user_ref).expect("an account");
    assert_eq!(second.name, account.name);
    assert_ne!(second.uid, account.uid, "an account of its own");
}

#[tokio::test]
async fn a_user_is_invited_again_by_the_send_at_of_their_own_invitation() {
    let Some(stage) = Stage::set("own-again", Script::default()).await else { return };
    let ada = |more: Value| user("ada", "ada@acme.example", json!({ "invitation": more }));
    stage.ns.apply(&ada(json!({}))).await;
    let old = stage.token_of("ada@").await;
    let first = sent(&stage, "ada.invite", 1).await;
    let later = stage.after(began(&first)).await;
    for _ in 0..10 {
        stage.ns.apply(&ada(json!({ "sendAt": later }))).await;
    }
    sent(&stage, "ada.invite", 2).await;
    let new = stage.mails_to("ada@", 2).await[1].link().token;
    assert_eq!(acceptance(&stage.operator, &old).await, (410, "Superseded".into()));
    assert_eq!(acceptance(&stage.operator, &new).await.0, 200);
    stage.ns.wait_condition::<PortalUser>("ada", "Registered", "True", "Registered").await;
    // A member is not asked again.
    stage.ns.apply(&ada(json!({"sendAt": stage.after(now()).await}))).await;
    stage.ns.wait_condition::<PortalUser>("ada", "Registered", "True", "Registered").await;
    judged(&stage, "ada.invite").await;
    while_nothing_happens(Duration::from_secs(1)).await;
    assert_eq!(stage.mail_count(), 2);
}
