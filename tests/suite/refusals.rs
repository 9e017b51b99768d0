//! What the API server does not let in, and what it has to.

use futures::{StreamExt, stream};
use serde_json::{Value, json};

use crate::{
    api::{schemas, walk},
    examples::{of, with},
    support::cluster::Namespace,
};

/// Characters that forge lines or hide letters, wherever a text may be shown.
const HOSTILE: &str = "\0\u{7}\t\n\u{b}\r\u{1b}\u{7f}\u{80}\u{85}\u{9b}\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}\u{feff}";

/// Every text that users write, by kind and pointer.
fn texts() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (kind, schema) in schemas() {
        walk(&schema["properties"]["spec"], "/spec", &mut |pointer, schema| {
            if schema["type"] == "string" {
                found.push((kind.clone(), pointer.to_owned()));
            }
        });
    }
    found
}

/// `/spec/grants/0/scope` as the API server calls it: `spec.grants[0].scope`.
fn path(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace("/0", "[0]").replace('/', ".")
}

#[tokio::test]
async fn no_text_takes_characters_that_forge_lines_or_hide_letters() {
    let Some(ns) = Namespace::new("hostile").await else { return };
    let mut cases = Vec::new();
    for (kind, pointer) in texts() {
        for hostile in HOSTILE.chars() {
            if hostile == '\n' && pointer.ends_with("/message") {
                continue;
            }
            let example = of(&kind);
            let value = example.pointer(&pointer).and_then(Value::as_str).expect("a text").to_owned();
            // In its middle, at its beginning and its end: trimming must not hide one.
            let middle = value.char_indices().nth(value.chars().count() / 2).map_or(0, |(at, _)| at);
            for at in [middle, 0, value.len()] {
                let mut value = value.clone();
                value.insert(at, hostile);
                cases.push((kind.clone(), pointer.clone(), value));
            }
        }
    }
    assert!(cases.len() > 2000, "{}", cases.len());
    let wrong: Vec<String> = stream::iter(cases)
        .map(async |(kind, pointer, value)| match ns.objection(with(&kind, &pointer, value.as_str())).await {
            Some(objection) if objection.contains(&path(&pointer)) => None,
            other => Some(format!("{kind}{pointer} {value:?}: {other:?}")),
        })
        .buffer_unordered(16)
        .filter_map(async |wrong| wrong)
        .collect()
        .await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn names_of_all_scripts_are_welcome() {
    let Some(ns) = Namespace::new("scripts").await else { return };
    let names = [
        "नेपाली क्‍ष",
        "می‌خواهم",
        "Nguyễn Thị",
        "Łukasz O’Brien-Żółć",
        "王小明",
        "👩‍👩‍👧",
        "José (Pepe) \"JR\" & Söhne <GmbH>",
    ];
    let fields = [
        ("Tenant", "/spec/displayName"),
        ("Tenant", "/spec/contact/name"),
        ("PortalUser", "/spec/givenName"),
        ("PortalUser", "/spec/familyName"),
        ("PortalUser", "/spec/invitation/message"),
        ("Group", "/spec/displayName"),
        ("Invitation", "/spec/givenName"),
        ("Invitation", "/spec/familyName"),
        ("Invitation", "/spec/message"),
    ];
    for (kind, pointer) in fields {
        for name in names {
            assert_eq!(ns.objection(with(kind, pointer, name)).await, None, "{kind}{pointer}: {name}");
        }
    }
}

/// Values by kind and pointer, each with words that the answer has to contain.
pub fn wrong() -> Vec<(&'static str, &'static str, Value, &'static str)> {
    let many = |count: usize| Value::from((0..count).map(|n| format!("role-{n}")).collect::<Vec<_>>());
    let long = |length: usize| Value::from("x".repeat(length));
    let duration = "between 5m and 90d";
    vec![
        ("Invitation", "/spec/expiresAfter", json!("4m"), duration),
        ("Invitation", "/spec/expiresAfter", json!("4m59s"), duration),
        ("Invitation", "/spec/expiresAfter", json!("91d"), duration),
        ("Invitation", "/spec/expiresAfter", json!("99999w"), duration),
        ("Invitation", "/spec/expiresAfter", json!("99999w99999w99999w99999w99999w"), duration),
        ("Invitation", "/spec/expiresAfter", json!("2160h1s"), duration),
        ("Invitation", "/spec/expiresAfter", json!("abc"), "expiresAfter"),
        ("Invitation", "/spec/expiresAfter", json!("-24h"), "expiresAfter"),
        ("Invitation", "/spec/expiresAfter", json!("1.5h"), "expiresAfter"),
        ("Invitation", "/spec/expiresAfter", json!("1M"), "expiresAfter"),
        ("Invitation", "/spec/expiresAfter", json!(""), "expiresAfter"),
        ("Invitation", "/spec/expiresAfter", json!(24), "must be of type duration"),
        ("PortalUser", "/spec/invitation/expiresAfter", json!("4m"), duration),
        ("Tenant", "/spec/invitations/expiresAfter", json!("91d"), duration),
        ("Invitation", "/spec/roles", json!(["viewer", "editor", "viewer"]), "a role is named twice"),
        ("PortalUser", "/spec/groups", json!(["staff", "staff"]), "a group is named twice"),
        ("PortalUser", "/spec/grants/0/roles", json!(["editor", "editor"]), "a role is named twice"),
        ("Invitation", "/spec/roles", many(33), "at most 32"),
        ("PortalUser", "/spec/roles", many(10_000), "at most 32"),
        ("PortalUser", "/spec/groups", many(17), "at most 16"),
        ("PortalUser", "/spec/grants/0/roles", many(5), "at most 4"),
        ("PortalUser", "/spec/grants/0/roles", json!([]), "at least 1"),
        ("Group", "/spec/roles", many(10_000), "at most 32"),
        ("Invitation", "/spec/roles/0", json!("n"), "spec.roles[0]"),
        ("Invitation", "/spec/roles", json!([false]), "spec.roles[0]"),
        ("Invitation", "/spec/roles/0", json!("Viewer"), "spec.roles[0]"),
        ("Invitation", "/spec/roles/0", json!("*"), "spec.roles[0]"),
        ("Invitation", "/spec/roles/0", long(64), "spec.roles[0]"),
        ("Tenant", "/spec/displayName", long(65_536), "200"),
        ("Invitation", "/spec/givenName", long(65_536), "100"),
        ("Invitation", "/spec/message", long(2001), "2000"),
        ("Invitation", "/spec/email", long(65_536), "254"),
        ("Invitation", "/spec/email", json!("grace"), "spec.email"),
        ("Invitation", "/spec/email", json!("grace@"), "spec.email"),
        ("Invitation", "/spec/email", json!("@acme.example"), "spec.email"),
        ("Invitation", "/spec/email", json!("a@b@acme.example"), "spec.email"),
        ("Invitation", "/spec/email", json!("grace@acme.example,ada@acme.example"), "spec.email"),
        ("Invitation", "/spec/email", json!("Grace <grace@acme.example>"), "spec.email"),
        ("Invitation", "/spec/email", json!("\"grace\"@acme.example"), "spec.email"),
        ("Invitation", "/spec/email", json!("grace@[127.0.0.1]"), "spec.email"),
        ("Invitation", "/spec/email", json!("grace hopper@acme.example"), "spec.email"),
        ("Invitation", "/spec/email", json!(format!("{}@acme.example", "x".repeat(65))), "spec.email"),
        ("PortalUser", "/spec/grants/0/scope", json!(""), "spec.grants[0].scope"),
        ("PortalUser", "/spec/grants/0/scope", json!("london"), "spec.grants[0].scope"),
        ("PortalUser", "/spec/grants/0/scope", json!("/london/"), "spec.grants[0].scope"),
        ("PortalUser", "/spec/grants/0/scope", json!("//london"), "spec.grants[0].scope"),
        ("PortalUser", "/spec/grants/0/scope", json!("/lon don"), "spec.grants[0].scope"),
        ("PortalUser", "/spec/grants/0/scope", json!("/a".repeat(17)), "spec.grants[0].scope"),
        ("PortalUser", "/spec/grants/0/scope", json!("/london/../paris"), "spec.grants[0].scope"),
        ("Tenant", "/spec/url", json!("javascript:alert(1)"), "spec.url"),
        ("Tenant", "/spec/url", json!("ftp://acme.example"), "spec.url"),
        ("Tenant", "/spec/url", json!("http://acme.example"), "spec.url"),
        ("Tenant", "/spec/url", json!("http://localhost.evil.example"), "spec.url"),
        ("Tenant", "/spec/url", json!("http://localhost@evil.example"), "spec.url"),
        ("Tenant", "/spec/url", json!("https://"), "spec.url"),
        ("Tenant", "/spec/url", json!("https:// acme.example"), "spec.url"),
        ("Tenant", "/spec/url", json!("https://user:secret@acme.example"), "spec.url"),
        ("Tenant", "/spec/url", json!("https://acme.example/\"><script>"), "spec.url"),
        ("Tenant", "/spec/url", json!("HTTPS://acme.example\r\nBcc: all"), "spec.url"),
        ("Invitation", "/spec/sendAt", json!("tomorrow"), "spec.sendAt"),
        ("Invitation", "/spec/sendAt", json!("2026-12-01"), "spec.sendAt"),
        ("Invitation", "/spec/sendAt", json!("2026-12-01T09:00:00"), "spec.sendAt"),
        ("Invitation", "/spec/sendAt", json!("2026-13-01T09:00:00Z"), "spec.sendAt"),
        ("Invitation", "/spec/sendAt", json!("2026-02-30T09:00:00Z"), "spec.sendAt"),
        ("Invitation", "/spec/sendAt", json!("2026-12-01T25:00:00Z"), "spec.sendAt"),
        ("Invitation", "/spec/sendAt", json!("2026-12-01T09:00:60Z"), "spec.sendAt"),
        ("Invitation", "/spec/sendAt", json!("9999-12-31T23:59:59-23:59"), "spec.sendAt"),
        ("Invitation", "/spec/notAfter", json!("0000-00-00T00:00:00Z"), "spec.notAfter"),
        ("PortalUser", "/spec/invitation/sendAt", json!("2026-12-01T09:00:00+99:00"), "spec.invitation.sendAt"),
        ("Invitation", "/spec/delivery", json!("Pigeon"), "supported values: \"Email\", \"Link\""),
        ("Tenant", "/spec/type", json!("customer"), "supported values: \"Customer\", \"Partner\""),
        ("PortalUser", "/spec/state", json!("Inactive"), "supported values"),
        ("Tenant", "/spec/portalActive", json!("yes"), "boolean"),
        ("Tenant", "/spec/userLimit", json!(-1), "spec.userLimit"),
        ("Tenant", "/spec/userLimit", json!(1_000_001), "spec.userLimit"),
        ("Tenant", "/spec/locale", json!("english please"), "spec.locale"),
        ("Tenant", "/spec/ceiling/permissions/0", json!("devices read"), "spec.ceiling.permissions[0]"),
        ("Tenant", "/spec/ceiling/permissions/0", json!("*.read"), "spec.ceiling.permissions[0]"),
        ("Tenant", "/spec/invitations/allowedEmailDomains/0", json!("@acme.example"), "allowedEmailDomains[0]"),
        ("Tenant", "/spec/invitations/allowedEmailDomains/0", json!("acme example"), "allowedEmailDomains[0]"),
        ("Tenant", "/spec/invitations/allowedEmailDomains/0", json!("*.acme.example"), "allowedEmailDomains[0]"),
        ("Tenant", "/spec/workloads/0/kind", json!("deployment"), "spec.workloads[0].kind"),
        ("Tenant", "/spec/partnerRefs", json!([{"name": "contoso"}, {"name": "contoso"}]), "named twice"),
        (
            "Portal",
            "/spec/roles/1/permissions/0",
            json!("devices.fly"),
            "a permission that the portal does not declare",
        ),
        ("Portal", "/spec/permissions/0/requires/0", json!("devices.fly"), "requires one that the portal does not"),
        ("Portal", "/spec/roles/0/assignableBy/0", json!("nobody"), "assignable by a role that the portal does not"),
        ("Portal", "/spec/roles/0/requires/0", json!("nobody"), "requires a role that the portal does not declare"),
        ("Portal", "/spec/roles/0/actsAs", json!("nobody"), "acts as a role that the portal does not declare"),
        ("Portal", "/spec/roles/1/name", json!("super-admin"), "a role is declared twice"),
        ("Portal", "/spec/permissions/1/name", json!("devices.write"), "a permission is declared twice"),
        ("Portal", "/spec/roles/0/firstUser", json!("Invited"), "supported values: \"Added\", \"Registered\""),
        ("Portal", "/spec/roles/0/scoped", json!("Sometimes"), "supported values"),
        ("Portal", "/spec/mail/from", json!("nobody"), "spec.mail.from"),
        ("Portal", "/spec/mail/from", json!("Eve <eve@evil.example>\r\nBcc: all@evil.example"), "spec.mail.from"),
        ("Portal", "/spec/mail/from", json!("a@b.example, c@d.example"), "spec.mail.from"),
        ("Portal", "/spec/invitationURL", json!("http://invite.example"), "spec.invitationURL"),
        ("Portal", "/spec/signUpURL", json!("javascript:alert(1)"), "spec.signUpURL"),
        ("Portal", "/spec/invitations/expiresAfter", json!("91d"), duration),
        ("Portal", "/spec/invitations/remindBefore", json!("59s"), "remindBefore is between 1m and 90d"),
        ("Portal", "/spec/invitations/remindBefore", json!("91d"), "remindBefore is between 1m and 90d"),
        ("Portal", "/spec/invitations/notifyInviter", json!(["Accepted", "Accepted"]), "one is named twice"),
        ("Portal", "/spec/invitations/notifyInviter", json!(["Declined"]), "notifyInviter"),
        ("Portal", "/spec/mail/templatesRef/name", json!("Mail Texts"), "templatesRef.name"),
        ("Invitation", "/spec/tenantRef/name", json!("other/acme"), "spec.tenantRef.name"),
        ("Invitation", "/spec/tenantRef/name", json!("../acme"), "spec.tenantRef.name"),
        ("Invitation", "/spec/tenantRef", json!({"name": "acme", "namespace": "other"}), "unknown field"),
        ("Tenant", "/metadata/name", json!("acme.example"), "no dots"),
        ("Tenant", "/metadata/name", long(64), "at most 63"),
        ("Group", "/metadata/name", long(128), "at most 127"),
        ("PortalUser", "/metadata/name", long(231), "at most 230"),
        ("Invitation", "/metadata/name", long(241), "at most 240"),
    ]
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_words_that_help() {
    let Some(ns) = Namespace::new("wrong").await else { return };
    let mut failures = Vec::new();
    for (kind, pointer, value, words) in wrong() {
        let shown: String = value.to_string().chars().take(60).collect();
        match ns.objection(with(kind, pointer, value)).await {
            None => failures.push(format!("{kind}{pointer} = {shown} is accepted")),
            Some(objection) if !objection.contains(words) => {
                let objection: String = objection.chars().take(400).collect();
                failures.push(format!("{kind}{pointer} = {shown}: without {words:?}: {objection}"));
            }
            Some(objection) if objection.len() > 4096 => {
                failures.push(format!("{kind}{pointer} = {shown}: an answer of {} characters", objection.len()));
            }
            Some(_) => {}
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Values that look wrong at first and are not.
pub fn right() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("Invitation", "/spec/expiresAfter", json!("14d")),
        ("Invitation", "/spec/expiresAfter", json!("24h")),
        ("Invitation", "/spec/expiresAfter", json!("1w2d")),
        ("Invitation", "/spec/expiresAfter", json!("5m")),
        ("Invitation", "/spec/expiresAfter", json!("90d")),
        ("Invitation", "/spec/expiresAfter", json!("2160h")),
        ("PortalUser", "/spec/invitation", json!({})),
        ("PortalUser", "/spec/email", json!("  Ada+portal@Acme.Example ")),
        ("PortalUser", "/spec/email", json!("o'brien!#$%&*=?^_`{|}~@acme.example")),
        ("PortalUser", "/spec/email", json!("дед@пример.рф")),
        ("PortalUser", "/spec/email", json!("root@localhost")),
        ("PortalUser", "/spec/grants/0/scope", json!("/")),
        ("PortalUser", "/spec/grants/0/scope", json!("/münchen/haus-1/müller.räume")),
        ("PortalUser", "/spec/grants/0/scope", json!("/a".repeat(16))),
        ("Tenant", "/spec/url", json!("http://localhost:8080/portal?x=1#y")),
        ("Tenant", "/spec/url", json!("http://[::1]:8080")),
        ("Tenant", "/spec/url", json!("https://acme.example:8443/a%20b?q=ü")),
        ("Tenant", "/spec/ceiling/permissions", json!([])),
        ("Tenant", "/spec/ceiling/permissions", json!(["*", "devices.*", "devices.sub.read"])),
        (
            "Tenant",
            "/spec/invitations/allowedEmailDomains",
            json!(["acme.example", "Sub.Acme-1.example", "münchen.example"]),
        ),
        ("Tenant", "/spec/userLimit", json!(0)),
        ("Tenant", "/metadata/name", json!("x".repeat(63))),
        ("Tenant", "/metadata/name", json!("1")),
        ("Invitation", "/spec/sendAt", json!("2026-12-01T09:00:00+05:45")),
        ("Invitation", "/spec/sendAt", json!("2026-12-01t09:00:00.5z")),
        ("Invitation", "/spec/sendAt", json!("2028-02-29T09:00:00-12:00")),
        ("Invitation", "/spec/message", json!("one\ntwo\n\nthree")),
        ("Invitation", "/spec/locale", json!("zh-Hant-TW")),
        ("Invitation", "/metadata/name", json!("x".repeat(240))),
    ]
}

#[tokio::test]
async fn what_is_unusual_but_right_is_accepted() {
    let Some(ns) = Namespace::new("right").await else { return };
    for (kind, pointer, value) in right() {
        let example = with(kind, pointer, value.clone());
        assert_eq!(ns.objection(&example).await, None, "{kind}{pointer} = {value}");
        let read = match kind {
            "Tenant" => serde_json::from_value::<portal_operator::api::Tenant>(served(example)).map(drop),
            "PortalUser" => serde_json::from_value::<portal_operator::api::PortalUser>(served(example)).map(drop),
            _ => serde_json::from_value::<portal_operator::api::Invitation>(served(example)).map(drop),
        };
        read.unwrap_or_else(|error| panic!("accepted but not understood: {kind}{pointer} = {value}: {error}"));
    }
}

fn served(mut example: Value) -> Value {
    example["apiVersion"] = json!("portal-operator.dev/v1alpha1");
    example
}

#[tokio::test]
async fn tenant_and_address_cannot_be_changed() {
    let Some(ns) = Namespace::new("immutable").await else { return };
    for kind in ["PortalUser", "Group", "Invitation"] {
        ns.apply(of(kind)).await;
        let moved = ns.objection(with(kind, "/spec/tenantRef/name", "contoso")).await.unwrap_or_default();
        assert!(moved.contains(&format!("tenantRef is immutable: make another {kind} instead")), "{moved}");
    }
    let sent_elsewhere = ns.objection(with("Invitation", "/spec/email", "eve@acme.example")).await.unwrap_or_default();
    assert!(sent_elsewhere.contains("email is immutable: make another Invitation instead"), "{sent_elsewhere}");
    assert_eq!(
        ns.objection(with("PortalUser", "/spec/email", "ada@new.example")).await,
        None,
        "people do change theirs"
    );
}

#[tokio::test]
async fn required_fields_are_named() {
    let Some(ns) = Namespace::new("required").await else { return };
    for (kind, field) in [
        ("PortalUser", "tenantRef"),
        ("PortalUser", "email"),
        ("Group", "tenantRef"),
        ("Invitation", "tenantRef"),
        ("Invitation", "email"),
    ] {
        let mut example = of(kind);
        example["spec"].as_object_mut().expect("a spec").remove(field);
        let objection = ns.objection(&example).await.unwrap_or_default();
        assert!(objection.contains(&format!("spec.{field}: Required value")), "{objection}");
    }
    let mut bare = of("Tenant");
    bare.as_object_mut().expect("an object").remove("spec");
    let objection = ns.objection(&bare).await.unwrap_or_default();
    assert!(objection.contains("spec: Required value"), "{objection}");
    let mut misspelt = of("Invitation");
    misspelt["spec"]["expireAfter"] = json!("24h");
    let objection = ns.objection(&misspelt).await.unwrap_or_default();
    assert!(objection.contains("expireAfter"), "{objection}");
}
