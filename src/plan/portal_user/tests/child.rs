//! An account's own Invitation, `<user>.invite`.

use super::*;

fn asking(fields: Value) -> Story {
    ada().with(json!({"invitation": fields}))
}

fn child_of(story: &Story) -> Invitation {
    story.seen.child.clone().expect("a child")
}

#[test]
fn nobody_is_mailed_by_omission() {
    for story in [ada(), asking(json!({"send": false})), asking(json!({})).with(json!({"state": "Suspended"}))] {
        assert_eq!(story.deeds(), []);
    }
}

#[test]
fn the_invitation_that_an_account_asks_for_is_made_whole() {
    let story = asking(json!({"expiresAfter": "14d", "message": "Hello!", "sendAt": t(60), "delivery": "Link",
        "invitedByRef": {"name": "boss"}}))
    .with(json!({"givenName": "Ada", "familyName": "Lovelace", "phone": "+44", "locale": "en",
        "homeTenantRef": {"name": "contoso"}, "groups": ["crew"]}));
    let [Effect::Make(Child::Invitation(child))] = &story.deeds()[..] else { panic!("{:?}", story.deeds()) };
    let wanted: Invitation = serde_json::from_value(json!({
        "apiVersion": "portal-operator.dev/v1alpha1", "kind": "Invitation",
        "metadata": {
            "name": "ada.invite", "namespace": "ns", "labels": {"portal-operator.dev/made-by": "ada"},
            "ownerReferences": [{"apiVersion": "portal-operator.dev/v1alpha1", "kind": "PortalUser", "name": "ada",
                "uid": "uid-ada", "controller": true}],
        },
        "spec": {
            "tenantRef": {"name": "acme"}, "email": "ada@acme.example", "givenName": "Ada", "familyName": "Lovelace",
            "phone": "+44", "locale": "en", "homeTenantRef": {"name": "contoso"}, "message": "Hello!",
            "invitedByRef": {"name": "boss"}, "expiresAfter": "14d", "delivery": "Link", "sendAt": t(60),
        },
    }))
    .expect("an Invitation");
    assert_eq!(**child, wanted, "roles stay with the account, whose spec wins");
}

#[test]
fn it_is_made_once() {
    let mut story = asking(json!({}));
    story.turn();
    assert_eq!(story.deeds(), []);
    story.turn();
    let asked = AskedInvitation { name: "ada.invite".into(), email: "ada@acme.example".into(), send_at: None };
    assert_eq!(story.status().invitation_ref, Some(asked));
}

#[test]
fn deleted_by_somebody_it_stays_deleted() {
    let mut story = asking(json!({}));
    story.turn();
    story.turn();
    story.seen.child = None;
    for second in [0, 60, 90 * 86_400] {
        assert_eq!(story.clone().at(second).deeds(), []);
    }
    story.set(json!({"invitation": {"message": "Please!"}}));
    assert_eq!(story.deeds(), [], "another message is no new question");
    story.set(json!({"invitation": {"sendAt": t(60)}}));
    assert!(matches!(&story.deeds()[..], [Effect::Make(Child::Invitation(_))]), "a later sendAt is one");
}

#[test]
fn it_follows_the_spec_of_its_account() {
    let mut story = asking(json!({}));
    story.turn();
    story.set(json!({"givenName": "Augusta", "invitation": {"expiresAfter": "1h", "sendAt": t(60)}}));
    let [Effect::Update(Child::Invitation(updated))] = &story.deeds()[..] else { panic!("{:?}", story.deeds()) };
    assert_eq!(updated.metadata.uid.as_deref(), Some("uid-child"), "the same object");
    assert_eq!(updated.spec.given_name.as_deref(), Some("Augusta"));
    assert_eq!(updated.spec.send_at, Some(Time(t(60))));
    story.turn();
    assert_eq!(story.deeds(), []);
}

#[test]
fn the_same_address_in_other_letters_leaves_what_is_immutable() {
    let mut story = asking(json!({}));
    story.turn();
    for email in ["Ada@ACME.example", " ada@acme.example "] {
        story.set(json!({"email": email}));
        assert_eq!(story.deeds(), [], "{email:?}");
        let mut renamed = story.clone().with(json!({"givenName": "Augusta"}));
        renamed.turn();
        assert_eq!(child_of(&renamed).spec.email, "ada@acme.example");
        assert_eq!(renamed.deeds(), [], "{email:?}");
    }
}

#[test]
fn it_is_revoked_when_it_is_not_asked_for_any_more() {
    for (what, fields) in [
        ("send: false", json!({"invitation": {"send": false}})),
        ("the block is removed", json!({"invitation": null})),
        ("suspended", json!({"state": "Suspended"})),
        ("deleted", json!({"state": "Deleted"})),
    ] {
        let mut story = asking(json!({}));
        story.turn();
        story.set(fields);
        let [Effect::Update(Child::Invitation(revoked))] = &story.deeds()[..] else {
            panic!("{what}: {:?}", story.deeds())
        };
        let mut wanted = child_of(&story);
        wanted.spec.revoked = true;
        assert_eq!(**revoked, wanted, "{what}: nothing else changes");
        story.turn();
        assert_eq!(story.deeds(), [], "{what}: once");
        story.set(json!({"invitation": {}, "state": "Active"}));
        story.turn();
        assert!(!child_of(&story).spec.revoked, "{what}: asked for again");
    }
}

#[test]
fn a_changed_address_ends_the_old_invitation_and_asks_anew() {
    let mut story = asking(json!({}));
    story.turn();
    story.turn();
    story.set(json!({"email": "ada@other.example"}));
    let gone = Effect::Delete(Child::Invitation(Box::new(child_of(&story))));
    assert_eq!(story.deeds(), [gone]);
    story.turn();
    let [Effect::Make(Child::Invitation(child))] = &story.deeds()[..] else { panic!("{:?}", story.deeds()) };
    assert_eq!(child.spec.email, "ada@other.example");
    story.turn();
    story.turn();
    assert_eq!(story.status().invitation_ref.map(|asked| asked.email).as_deref(), Some("ada@other.example"));
    assert_eq!(story.deeds(), []);
}

#[test]
fn an_address_that_is_changed_back_is_asked_again() {
    let mut story = asking(json!({}));
    story.turn();
    story.turn();
    story.set(json!({"email": "ada@other.example"}));
    story.turn(); // The operator takes the invitation back; nobody else deleted it.
    story.set(json!({"email": "ada@acme.example"}));
    assert!(matches!(&story.deeds()[..], [Effect::Make(Child::Invitation(_))]), "{:?}", story.deeds());
}

#[test]
fn a_registered_account_asks_nobody() {
    let story = ada().registered().with(json!({"invitation": {}}));
    assert_eq!(story.deeds(), []);
    let sibling = Some(Sibling { name: "anna".into(), registered: false });
    assert_eq!(asking(json!({})).seeing(|w| w.stands_before = sibling).deeds(), [], "nor does a second of an address");
    assert_eq!(asking(json!({})).with(json!({"email": "a..b@acme.example"})).deeds(), [], "nor one without a mailbox");
}

#[test]
fn somebody_elses_object_of_its_name_is_reported_and_never_touched() {
    let foreign = |change: fn(&mut Invitation)| {
        let mut story = asking(json!({}));
        story.turn();
        change(story.seen.child.as_mut().expect("a child"));
        story
    };
    for (what, story) in [
        ("no label", foreign(|c| c.metadata.labels = None)),
        (
            "another's label",
            foreign(|c| drop(c.metadata.labels.as_mut().unwrap().insert(marks::MADE_BY.into(), "eve".into()))),
        ),
    ] {
        for fields in [
            json!({}),
            json!({"invitation": null}),
            json!({"invitation": {"send": false}}),
            json!({"email": "ada@other.example"}),
            json!({"state": "Deleted"}),
        ] {
            assert_eq!(story.clone().with(fields.clone()).deeds(), [], "{what} {fields}");
        }
        assert_eq!(story.says()[0], "False/NameReserved", "{what}");
    }
    let restored = foreign(|c| c.metadata.owner_references = None);
    assert_eq!((restored.says()[0].as_str(), restored.deeds()), ("True/Ready", Vec::new()), "a restore strips owners");
}

#[test]
fn the_invitation_of_a_deleted_namesake_is_not_taken_for_the_own_one() {
    let mut story = asking(json!({}));
    story.turn();
    story.turn();
    // Deleted and made again before the garbage collector came: the child is still there.
    story.user.metadata.uid = Some("uid-again".into());
    story.user.status = None;
    let old = child_of(&story);
    for fields in [json!({}), json!({"invitation": null})] {
        let story = story.clone().with(fields);
        assert_eq!(story.deeds(), [Effect::Delete(Child::Invitation(Box::new(old.clone())))]);
        assert_eq!(story.status().invitation_ref, None, "it was not made for this account");
    }
    story.turn();
    story.seen.child = None;
    let [Effect::Make(Child::Invitation(child))] = &story.deeds()[..] else { panic!("{:?}", story.deeds()) };
    let owners = child.metadata.owner_references.as_ref().expect("an owner");
    assert_eq!(owners[0].uid, "uid-again");
}

#[test]
fn a_long_name_is_cut_to_a_label_that_is_still_recognised() {
    let mut story = asking(json!({}));
    story.user.metadata.name = Some(format!("{}.{}", "a".repeat(62), "b".repeat(100)));
    story.turn();
    let child = child_of(&story);
    assert_eq!(child.metadata.labels.and_then(|l| l.get(marks::MADE_BY).cloned()), Some("a".repeat(62)));
    assert_eq!((story.says()[0].as_str(), story.deeds()), ("True/Ready", Vec::new()));
}
