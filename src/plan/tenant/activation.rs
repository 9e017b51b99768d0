//! The mail of the first activation: the portal's address, once, to the contact.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::{Seen, display_name};
use crate::api::{Attempt, Dispatch, Tenant, TenantStatus, marks};
use crate::plan::address::Address;
use crate::plan::dispatch::{self, Fresh, Next};
use crate::plan::invitation::Place;
use crate::plan::letter::{Letter, Occasion, languages};
use crate::plan::{Channel, Delivery, Effect, Facts, Purpose};

/// The mail of the first activation. Returns when to look again.
pub(super) fn activation(
    tenant: &Tenant,
    seen: &Seen,
    facts: &Facts,
    status: &mut TenantStatus,
    effects: &mut Vec<Effect>,
    now: Timestamp,
) -> Option<Timestamp> {
    let uid = tenant.uid().unwrap_or_default();
    let annotation = tenant.annotations().get(marks::ACTIVATED);
    let mut dispatch = status.activation.clone().unwrap_or_default();
    if dispatch.sent_time.is_none() && dispatch.attempt.is_none() {
        dispatch.sent_time = annotation.and_then(|text| text.parse().ok().map(Time));
    }
    dispatch::learn(&mut dispatch, Purpose::Activation, &uid, facts);
    let sent = dispatch.sent_time.as_ref().map(|t| t.0.to_string());
    if sent.is_some() && annotation.is_none() {
        effects.push(Effect::Annotate { key: marks::ACTIVATED, value: sent });
    }
    let mut wake = None;
    if dispatch.sent_time.is_none()
        && let Some((contact, url)) = wants_activation_mail(tenant, seen)
    {
        // Somebody who mends the contact's address wants another mail, also after a refusal for good.
        let last = dispatch.attempt.as_ref().map_or(0, |attempt| attempt.serial);
        let same = dispatch.email.as_deref() == Some(contact.canonical());
        let serial = if same { last.max(1) } else { last + 1 };
        match dispatch::next(dispatch.attempt.as_ref(), serial, &fresh(&uid, seen), &seen.settings.me, now) {
            Next::Deliver(attempt) if seen.place == Place::Free => {
                effects.extend(
                    activation_letter(tenant, seen, &attempt, &contact, url).map(|d| Effect::Deliver(Box::new(d))),
                );
                dispatch.attempt = Some(attempt);
                dispatch.email = Some(contact.canonical().to_owned());
            }
            Next::Wait(at) => wake = Some(at),
            Next::Deliver(_) | Next::Rest => {}
        }
    }
    status.activation = (dispatch != Dispatch::default()).then_some(dispatch);
    wake
}

fn fresh<'a>(uid: &'a str, seen: &'a Seen) -> Fresh<'a> {
    Fresh { uid, purpose: Purpose::Activation, mail_domain: &seen.post.domain, key_id: "", expiration: None }
}

/// To whom the activation mail goes, and which address it carries; None while it must not or need not go.
fn wants_activation_mail(tenant: &Tenant, seen: &Seen) -> Option<(Address, String)> {
    let spec = &tenant.spec;
    let ready = spec.activation_mail && spec.portal_active && seen.missing_portal.is_none();
    let equipped = seen.post.trouble.is_none() && seen.post.held.is_none();
    contact_and_url(tenant, seen).filter(|_| ready && equipped)
}

/// Whom to tell, and which address.
fn contact_and_url(tenant: &Tenant, seen: &Seen) -> Option<(Address, String)> {
    let spec = &tenant.spec;
    let contact = spec.contact.as_ref().and_then(|c| c.email.as_deref()).and_then(Address::parse)?;
    Some((contact, spec.url.clone().or_else(|| seen.portal_url.clone())?))
}

/// Whether an activation mail is asked for that nobody could send, for somebody to mend.
pub(super) fn lacks_something(tenant: &Tenant, seen: &Seen, status: &TenantStatus) -> bool {
    let sent = status.activation.as_ref().is_some_and(|dispatch| dispatch.sent_time.is_some());
    tenant.spec.activation_mail && !sent && contact_and_url(tenant, seen).is_none()
}

/// The mail of the first activation as its recorded attempt has it, else as it would go out now: for a look at it. None:
/// there is nobody to send it to, or no address to tell.
pub fn mail(tenant: &Tenant, seen: &Seen, now: Timestamp) -> Option<Delivery> {
    let (contact, url) = contact_and_url(tenant, seen)?;
    let recorded = tenant.status.as_ref().and_then(|s| s.activation.as_ref()?.attempt.clone());
    let uid = tenant.uid().unwrap_or_default();
    let begun = || dispatch::begun(1, &fresh(&uid, seen), &seen.settings.me, now);
    activation_letter(tenant, seen, &recorded.or_else(begun)?, &contact, url)
}

fn activation_letter(
    tenant: &Tenant,
    seen: &Seen,
    attempt: &Attempt,
    contact: &Address,
    url: String,
) -> Option<Delivery> {
    let post = &seen.post;
    let name = tenant.spec.contact.as_ref().and_then(|c| c.name.clone());
    Some(Delivery {
        purpose: Purpose::Activation,
        channel: Channel::Relay,
        relay: post.relay.clone(),
        from: post.from.clone().unwrap_or_default(),
        reply_to: post.reply_to.clone(),
        base: None,
        serial: attempt.serial,
        number: attempt.number,
        key_id: String::new(),
        start: attempt.start_time.as_ref()?.0,
        begun: dispatch::begun_at(attempt)?,
        due: None,
        message_id: attempt.message_id.clone(),
        to: contact.mailbox().to_owned(),
        letter: Letter {
            occasion: Occasion::Activation { url },
            locales: languages([&None, &tenant.spec.locale], seen.portal_locale.as_ref()),
            texts: post.texts.clone(),
            portal: post.product.clone(),
            tenant: display_name(tenant),
            given_name: name,
            inviter: None,
            invitee: None,
            message: None,
            expiration: None,
        },
    })
}
