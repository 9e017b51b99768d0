//! One object of each kind in which every field is set. What else is tested starts from these and changes one thing.

use serde_json::Value;

use crate::support::cluster::Manifest;

const ALL: &str = r#"
kind: Portal
metadata: {name: acme-portal}
spec:
  displayName: Acme Customer Portal
  url: https://portal.example.com
  invitationURL: https://invite.portal.example.com
  signUpURL: https://login.portal.example.com/register
  passwordResetURL: https://login.portal.example.com/reset
  locale: en
  invitations: {expiresAfter: 24h, remindBefore: 6h, delivery: Email, notifyInviter: [Accepted, Expired]}
  mail:
    from: Acme Portal <portal@example.com>
    replyTo: help@example.com
    smtpSecretRef: {name: relay}
    templatesRef: {name: mail-texts}
    hold: false
  permissions:
  - {name: devices.write, title: Move devices, requires: [devices.read]}
  - {name: devices.read}
  roles:
  - name: super-admin
    title: Super Administrator
    permissions: ["*"]
    scoped: Never
    exclusiveSet: system
    requires: [member]
    assignableBy: [super-admin]
    atLeastOne: true
    firstUser: Registered
    builtInGroup: administrators
    partnerOnly: false
    actsAs: member
  - {name: member, permissions: [devices.*]}
---
kind: Tenant
metadata: {name: acme}
spec:
  displayName: ACME Corporation
  portalActive: true
  portalRef: {name: acme-portal}
  url: https://acme.portal.example.com
  workloads:
  - {apiVersion: apps/v1, kind: Deployment, name: acme-portal}
  contact: {name: Ada Lovelace, email: ada@acme.example, phone: "+44 20 7946 0000"}
  contactPersonRef: {name: ada}
  activationMail: false
  type: Customer
  partnerRefs: [{name: contoso}]
  ceiling: {permissions: [devices.read]}
  userLimit: 50
  locale: en
  invitations: {expiresAfter: 14d, allowedEmailDomains: [acme.example]}
  externalRef: {system: crm, id: "4711"}
---
kind: PortalUser
metadata: {name: ada}
spec:
  tenantRef: {name: acme}
  email: ada@acme.example
  givenName: Ada
  familyName: Lovelace
  phone: "+44 20 7946 0000"
  locale: en
  roles: [owner]
  groups: [administrators, london-team]
  grants: [{scope: /projects/apollo, roles: [editor]}]
  homeTenantRef: {name: contoso}
  invitation:
    send: true
    expiresAfter: 24h
    message: "Welcome!\nSee you on board."
    sendAt: "2026-12-01T09:00:00Z"
    delivery: Email
    invitedByRef: {name: grace}
  state: Active
---
kind: Group
metadata: {name: london-team}
spec:
  tenantRef: {name: acme}
  displayName: London Team
  roles: [viewer]
  grants: [{scope: /london, roles: [admin]}]
---
kind: Invitation
metadata: {name: grace}
spec:
  tenantRef: {name: acme}
  email: grace@acme.example
  givenName: Grace
  familyName: Hopper
  phone: "+1 555 0100"
  locale: de-AT
  homeTenantRef: {name: contoso}
  message: "See you on board!\nAda"
  roles: [viewer]
  groups: [london-team]
  grants: [{scope: /, roles: [viewer, editor]}]
  invitedByRef: {name: ada}
  expiresAfter: 24h
  notAfter: "2027-01-01T00:00:00Z"
  delivery: Email
  sendAt: "2026-12-01T09:00:00Z"
  revoked: false
"#;

/// All of them.
pub fn all() -> Vec<Value> {
    ALL.documents()
}

/// The one of this kind.
pub fn of(kind: &str) -> Value {
    all().into_iter().find(|example| example["kind"] == kind).unwrap_or_else(|| panic!("no example of {kind}"))
}

/// The one of this kind with one value changed: `with("Tenant", "/spec/contact/name", …)`.
pub fn with(kind: &str, pointer: &str, value: impl Into<Value>) -> Value {
    let mut example = of(kind);
    *example.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer} in the example of {kind}")) = value.into();
    example
}
