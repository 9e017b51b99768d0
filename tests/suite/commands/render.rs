//! A mail from files says what the mail from the operator says.

use portal_operator::api::{Invitation, Portal, Tenant};

use super::Hand;
use crate::story::Stage;
use crate::support::mail::Mail;
use crate::support::smtp::Script;

const FILES: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: mail-texts}
data:
  invitation.de.subject: "{{ tenant }}: Ihr Zugang zu {{ portal }}"
---
apiVersion: portal-operator.dev/v1alpha1
kind: Portal
metadata: {name: product}
spec:
  displayName: Rotor & Söhne
  invitationURL: https://invite.example.com
  mail: {from: Rotor <rotor@example.com>, replyTo: help@example.com, templatesRef: {name: mail-texts}}
---
apiVersion: portal-operator.dev/v1alpha1
kind: Tenant
metadata: {name: acme}
spec: {displayName: ACME Corporation, portalRef: {name: product}, locale: de}
---
apiVersion: portal-operator.dev/v1alpha1
kind: PortalUser
metadata: {name: ada}
spec:
  tenantRef: {name: acme}
  email: ada@acme.example
  givenName: Ada
  locale: fr
  invitation: {expiresAfter: 14d, message: "À bientôt!"}
---
apiVersion: portal-operator.dev/v1alpha1
kind: Invitation
metadata: {name: grace}
spec: {tenantRef: {name: acme}, email: grace@acme.example, givenName: Grace, expiresAfter: 3d}
"#;

#[tokio::test]
async fn a_mail_from_files_says_what_the_relay_gets() {
    let Some(stage) = Stage::set("render", Script::default()).await else { return };
    let ns = &stage.ns;
    let (portal, people) =
        FILES.split_at(FILES.find("---\napiVersion: portal-operator.dev/v1alpha1\nkind: PortalUser").expect("people"));
    ns.apply(portal).await;
    ns.wait_condition::<Portal>("product", "TextsReady", "True", "Ready").await;
    ns.wait_condition::<Tenant>("acme", "Ready", "True", "Active").await;
    ns.apply(people).await;
    for (name, invitation, address) in
        [("grace", "grace", "grace@acme.example"), ("ada", "ada.invite", "ada@acme.example")]
    {
        let sent = stage.mail_to(address).await;
        let attempt =
            ns.get::<Invitation>(invitation).await.status.and_then(|status| status.attempt).expect("an attempt");
        let at = attempt.start_time.expect("a start").0.to_string();
        let said = Hand::of(ns).alone().fed(FILES).says(&["render", "-", "--invitation", name, "--at", &at]).await;
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
        let shown = Mail::parse(said.out.as_bytes());
        for header in
            ["From", "To", "Reply-To", "Subject", "Date", "Content-Language", "Auto-Submitted", "MIME-Version"]
        {
            assert_eq!(shown.header(header), sent.header(header), "{header}");
        }
        let token = sent.link().token;
        assert_eq!(shown.link().url, sent.link().url.replace(&token, "THIS-IS-NO-LINK"));
        assert_eq!(shown.text, sent.text.replace(&token, "THIS-IS-NO-LINK"));
        assert_eq!(shown.html, sent.html.replace(&token, "THIS-IS-NO-LINK"));
    }
    let wrong = FILES.replace("{{ portal }}\"", "{{ product }}\"");
    let said = Hand::of(ns).alone().fed(&wrong).says(&["render", "-", "-i", "grace"]).await;
    assert!(said.code == 1 && said.out.contains("To: grace@acme.example"), "{said:?}");
    assert!(said.err.contains("own text is not used: invitation.de.subject"), "{said:?}");
    let said = Hand::of(ns).alone().fed(FILES).says(&["render", "-", "-i", "nobody"]).await;
    assert!(
        said.code == 1 && said.err.contains("the files have no Invitation, or invited PortalUser, \"nobody\""),
        "{said:?}"
    );
    let held = FILES.replace("email: grace@acme.example", "roles: [no-such-role], email: grace@acme.example");
    let said = Hand::of(ns).alone().fed(&held).says(&["render", "-", "-i", "grace"]).await;
    assert!(said.code == 0 && said.err.contains("it would be held back: There is no role"), "{said:?}");
}
