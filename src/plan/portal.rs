//! What follows for a portal, and what it means for the mail of its tenants.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use lettre::message::Mailbox;

use super::letter::{Texts, TextsSeen};
use super::roles::Catalogue;
use super::{Plan, RelayName, Settings};
use crate::api::condition::{Finding, Reason, Verdict, settle, types};
use crate::api::{Delivery, InvitationNews, Portal, PortalStatus};

/// The Secret with the relay that a portal mails by, as namespace and name. None: the operator's own relay.
pub fn relay_secret(portal: &Portal) -> Option<(String, String)> {
    let secret = portal.spec.mail.as_ref()?.smtp_secret_ref.as_ref()?;
    Some((portal.namespace().unwrap_or_default(), secret.name.clone()))
}

/// The ConfigMap with the texts of a portal, as namespace and name. None: it has the built-in ones.
pub fn own_texts(portal: &Portal) -> Option<(String, String)> {
    let texts = portal.spec.mail.as_ref()?.templates_ref.as_ref()?;
    Some((portal.namespace().unwrap_or_default(), texts.name.clone()))
}

/// What the world looks like to one portal.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// How many tenants name it.
    pub tenants: i64,
    /// How its mail goes out.
    pub post: Post,
    /// The ConfigMap with its own texts: its name, and what is known of it.
    pub texts: Option<(String, TextsSeen)>,
}

/// What is known of the Secret that holds a portal's relay.
#[derive(Clone, Debug, PartialEq)]
pub enum RelaySecret {
    /// It can be used.
    Usable,
    /// It was looked for and is not there.
    Missing,
    /// It cannot be used: why, in a sentence without its content.
    Invalid(String),
    /// Nobody has looked yet.
    Unseen,
}

/// How the mail of a tenant goes out.
#[derive(Clone, Debug, PartialEq)]
pub struct Post {
    /// By which relay.
    pub relay: RelayName,
    /// Sender, as it stands in the header. None: see `trouble`.
    pub from: Option<String>,
    /// Where answers go.
    pub reply_to: Option<String>,
    /// Domain of Message-IDs: that of the sender.
    pub domain: String,
    /// What keeps it from going out, in a sentence that helps.
    pub trouble: Option<(Reason, String)>,
    /// Who holds it back on purpose, in a sentence.
    pub held: Option<String>,
    /// Base of links, where it is not the operator's.
    pub base: Option<String>,
    /// The product's name, where it has one.
    pub product: Option<String>,
    /// The portal's own texts.
    pub texts: Arc<Texts>,
}

impl Post {
    /// With the portal's own texts, of the ConfigMap of this name. Until somebody has looked at it nothing is sent: a mail
    /// in doubt is repeated in the words that it had. That it is missing or wrong stops no mail.
    pub fn worded(self, name: &str, seen: &TextsSeen) -> Post {
        let unseen = || (Reason::TemplatesNotFound, format!("The ConfigMap {name:?} with the texts was not read yet."));
        let trouble = self.trouble.or_else(|| (*seen == TextsSeen::Unseen).then(unseen));
        Post { texts: seen.good(), trouble, ..self }
    }
}

/// What a portal says of invitations where neither invitation nor tenant does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Defaults {
    /// Life of links.
    pub expires_after: Option<SignedDuration>,
    /// How links travel.
    pub delivery: Option<Delivery>,
    /// Language.
    pub locale: Option<String>,
    /// How long before the end of a link its reminder goes out.
    pub remind_before: Option<SignedDuration>,
    /// What who invites is told.
    pub notify_inviter: Vec<InvitationNews>,
}

/// What this portal says of invitations.
pub fn defaults(portal: Option<&Portal>) -> Defaults {
    let Some(spec) = portal.map(|p| &p.spec) else { return Defaults::default() };
    let invitations = spec.invitations.as_ref();
    Defaults {
        expires_after: invitations.and_then(|i| Some(i.expires_after.as_ref()?.length())),
        delivery: invitations.and_then(|i| i.delivery),
        locale: spec.locale.clone(),
        remind_before: invitations.and_then(|i| Some(i.remind_before.as_ref()?.length())),
        notify_inviter: invitations.map(|i| i.notify_inviter.clone()).unwrap_or_default(),
    }
}

/// How the mail of this portal's tenants (or of those without a portal) goes out.
pub fn post(settings: &Settings, portal: Option<&Portal>, secret: &RelaySecret) -> Post {
    let mail = portal.and_then(|p| p.spec.mail.clone()).unwrap_or_default();
    let from = mail.from.or_else(|| settings.from.clone());
    let reply_to = mail.reply_to.or_else(|| settings.reply_to.clone());
    let relay = mail.smtp_secret_ref.map_or(RelayName::Own, |secret| RelayName::Secret(secret.name));
    let mailbox = |text: &String| text.parse::<Mailbox>().ok();
    let sender = from.as_ref().and_then(mailbox);
    let trouble = match (&relay, secret) {
        (RelayName::Own, _) if !settings.has_relay => {
            Some((Reason::NoRelay, "The operator was started without --mail-url: it has no relay to send by.".into()))
        }
        (RelayName::Secret(name), RelaySecret::Missing | RelaySecret::Unseen) => {
            let message =
                format!("There is no Secret {name:?} with the portal's relay (keys: url, optionally ca.crt).");
            Some((Reason::RelaySecretNotFound, message))
        }
        (RelayName::Secret(name), RelaySecret::Invalid(why)) => {
            Some((Reason::RelaySecretInvalid, format!("The Secret {name:?} holds no usable relay: {why}.")))
        }
        _ if from.is_none() => Some((
            Reason::SenderInvalid,
            "Neither the portal (mail.from) nor the operator (--mail-from) names a sender.".into(),
        )),
        _ if sender.is_none() => {
            Some((Reason::SenderInvalid, "mail.from is no mailbox: write `Name <address@example.com>`.".into()))
        }
        _ if reply_to.as_ref().is_some_and(|text| mailbox(text).is_none()) => {
            Some((Reason::SenderInvalid, "mail.replyTo is no mailbox: write `Name <address@example.com>`.".into()))
        }
        _ => None,
    };
    let held = if settings.hold {
        Some("The operator holds all mail back (--hold-mail).".into())
    } else {
        mail.hold.then(|| "The portal holds its mail back (mail.hold).".into())
    };
    Post {
        relay,
        domain: sender
            .and_then(|sender| idna::domain_to_ascii(sender.email.domain()).ok())
            .unwrap_or_else(|| "portal-operator.invalid".into()),
        from,
        reply_to,
        trouble,
        held,
        base: portal.and_then(|p| p.spec.invitation_url.clone()),
        product: portal.and_then(|p| p.spec.display_name.clone()),
        texts: Arc::default(),
    }
}

/// What follows for this portal.
pub fn plan(portal: &Portal, seen: &Seen, now: Timestamp) -> Plan<PortalStatus> {
    let stored = portal.status.clone().unwrap_or_default();
    let catalogue = Catalogue::of(&portal.spec);
    let mail = match (&seen.post.trouble, &seen.post.held) {
        (Some((reason, message)), _) => Finding::new(types::MAIL_READY, false, *reason, message.clone()),
        (None, Some(message)) => Finding::new(types::MAIL_READY, false, Reason::Held, message.clone()),
        (None, None) => Finding::new(types::MAIL_READY, true, Reason::Ready, "Mail of this portal can go out."),
    };
    let texts = seen.texts.as_ref().map(|(name, texts)| worded(name, texts));
    let circle = |what: &str, names: Vec<String>| {
        let message =
            format!("These {what} require each other in a circle and are worth nothing: {}.", names.join(", "));
        Finding::new(types::READY, false, Reason::RequirementCircle, message)
    };
    let (void, roles) = (catalogue.void(), catalogue.roles_in_circles());
    let ready = if !void.is_empty() {
        circle("permissions", void.iter().cloned().collect())
    } else if !roles.is_empty() {
        circle("roles", roles.into_iter().collect())
    } else if let Some((reason, message)) = &seen.post.trouble {
        Finding::new(types::READY, false, *reason, message.clone())
    } else if let Some(wrong) = texts.as_ref().filter(|texts| texts.verdict != Verdict::True) {
        Finding { condition: types::READY, ..wrong.clone() }
    } else {
        Finding::new(types::READY, true, Reason::Ready, "The portal can be used.")
    };
    let generation = portal.metadata.generation;
    let status = PortalStatus {
        observed_generation: generation,
        tenants: Some(seen.tenants),
        conditions: settle(&stored.conditions, [ready, mail].into_iter().chain(texts).collect(), generation, now),
    };
    Plan { status, effects: Vec::new(), wake: None }
}

/// What is said of a portal's own texts. Mail goes out in any case.
fn worded(name: &str, seen: &TextsSeen) -> Finding {
    let finding =
        |verdict: Verdict, reason, message: String| Finding::new(types::TEXTS_READY, verdict, reason, message);
    match seen {
        TextsSeen::Unseen => {
            let message = format!("The ConfigMap {name:?} with the texts was not read yet.");
            finding(Verdict::Unknown, Reason::Progressing, message)
        }
        TextsSeen::Missing { .. } => {
            let message = format!(
                "There is no ConfigMap {name:?} with the portal's texts, or the operator may not watch it. The last good \
                 texts go on being used, else the built-in ones."
            );
            finding(Verdict::False, Reason::TemplatesNotFound, message)
        }
        TextsSeen::Here { good, faults } if good.is_empty() && faults.is_empty() => {
            let message = format!("The ConfigMap {name:?} has no texts in its data: the built-in ones are used.");
            finding(Verdict::True, Reason::Ready, message)
        }
        TextsSeen::Here { faults, .. } if faults.is_empty() => {
            finding(Verdict::True, Reason::Ready, format!("The texts of the ConfigMap {name:?} are used."))
        }
        TextsSeen::Here { faults, .. } => {
            let shown: Vec<String> = faults.iter().take(3).map(ToString::to_string).collect();
            let more = faults.len().saturating_sub(shown.len());
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            let message = format!(
                "In the ConfigMap {name:?}: {}{more}. Instead, the last good text is used, else the built-in one.",
                shown.join("; ")
            );
            finding(Verdict::False, Reason::TemplateInvalid, message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{object, settings, t};
    use super::*;

    fn portal(spec: serde_json::Value) -> Portal {
        object("acme-portal", "Portal", spec)
    }

    fn reasons(portal: &Portal, secret: &RelaySecret) -> (String, String) {
        let seen = Seen { tenants: 2, post: post(&settings(), Some(portal), secret), texts: None };
        let status = plan(portal, &seen, t(0)).status;
        (status.conditions[0].reason.clone(), status.conditions[1].reason.clone())
    }

    #[test]
    fn a_portal_says_what_is_wrong_with_it() {
        let mail = |mail| portal(serde_json::json!({ "mail": mail }));
        let secret = serde_json::json!({"smtpSecretRef": {"name": "relay"}});
        for (portal, secret, ready, mail_ready) in [
            (portal(serde_json::json!({})), RelaySecret::Unseen, "Ready", "Ready"),
            (mail(secret.clone()), RelaySecret::Missing, "RelaySecretNotFound", "RelaySecretNotFound"),
            (mail(secret.clone()), RelaySecret::Invalid("x".into()), "RelaySecretInvalid", "RelaySecretInvalid"),
            (mail(secret), RelaySecret::Usable, "Ready", "Ready"),
            (mail(serde_json::json!({"hold": true})), RelaySecret::Unseen, "Ready", "Held"),
            (mail(serde_json::json!({"from": "Acme <a@b@c>"})), RelaySecret::Unseen, "SenderInvalid", "SenderInvalid"),
            (
                portal(serde_json::json!({"permissions": [{"name": "a", "requires": ["a"]}]})),
                RelaySecret::Unseen,
                "RequirementCircle",
                "Ready",
            ),
            (
                portal(
                    serde_json::json!({"roles": [{"name": "aa", "requires": ["bb"]}, {"name": "bb", "requires": ["aa"]}]}),
                ),
                RelaySecret::Unseen,
                "RequirementCircle",
                "Ready",
            ),
        ] {
            assert_eq!(reasons(&portal, &secret), (ready.into(), mail_ready.into()), "{:?}", portal.spec);
        }
    }

    #[test]
    fn a_portal_without_settings_mails_as_the_operator_does() {
        let post = post(&settings(), None, &RelaySecret::Unseen);
        assert_eq!((post.relay, post.trouble, post.held), (RelayName::Own, None, None));
        assert_eq!(post.domain, "portal.example");
    }
}
