//! Counts, contact person, first user, and what is missing.

use super::*;

#[test]
fn the_first_user_is_recorded_once_and_never_passed_on() {
    let mut story = acme(json!({})).seeing(|w| w.first_user = Some("ada".into()));
    let plan = story.turn();
    assert_eq!(plan.effects, [Effect::Annotate { key: marks::FIRST_USER, value: Some("ada".into()) }]);
    assert_eq!(story.status().first_user.as_deref(), Some("ada"));
    for now_first in [Some("grace"), None] {
        story.seen.first_user = now_first.map(str::to_owned);
        story.settle();
        assert_eq!(story.status().first_user.as_deref(), Some("ada"), "{now_first:?}: though ada is gone");
    }
}

#[test]
fn the_first_user_outlives_a_lost_status_and_a_lost_annotation() {
    let mut story = acme(json!({})).seeing(|w| w.first_user = Some("ada".into()));
    story.settle();
    story.seen.first_user = Some("grace".into());
    story.tenant.status = None;
    story.settle();
    assert_eq!(story.status().first_user.as_deref(), Some("ada"));
    story.tenant.metadata.annotations = None;
    story.settle();
    let annotations = story.tenant.metadata.annotations.as_ref().expect("annotations");
    assert_eq!(annotations.get(marks::FIRST_USER).map(String::as_str), Some("ada"));
}

#[test]
fn the_contact_person_is_the_one_named_or_the_first_user() {
    let mut story = acme(json!({}));
    story.turn();
    assert_eq!(story.status().contact_person, None);
    story.seen.first_user = Some("ada".into());
    story.turn();
    assert_eq!(story.status().contact_person.as_deref(), Some("ada"));
    story.set(json!({"contactPersonRef": {"name": "grace"}}));
    story.turn();
    assert_eq!(story.status().contact_person.as_deref(), Some("grace"));
    story.seen.contact_person_exists = false;
    story.turn();
    assert_eq!((story.status().contact_person, story.says(types::READY).as_str()), (None, "False/ReferenceNotFound"));
}

#[test]
fn seats_are_counted_against_the_limit_and_nobody_is_thrown_out() {
    for (registered, invited, limit, verdict) in [
        (0, 0, None, "True/Unlimited"),
        (70, 30, None, "True/Unlimited"),
        (2, 1, Some(3), "True/WithinLimit"),
        (2, 2, Some(3), "False/OverLimit"),
        (0, 0, Some(0), "True/WithinLimit"),
        (1, 0, Some(0), "False/OverLimit"),
    ] {
        let users = UserCounts { registered, invited, suspended: 1, limit };
        let mut story = acme(json!({"userLimit": limit})).seeing(|w| w.users = users.clone());
        let plan = story.turn();
        assert_eq!(story.says(types::WITHIN_USER_LIMIT), verdict, "{users:?}");
        assert_eq!((story.status().users, story.says(types::READY).as_str()), (Some(users), "True/Active"));
        assert!(deeds(&plan.effects).is_empty());
    }
}

#[test]
fn a_tenant_without_administrator_is_ready_and_says_so() {
    let story = acme(json!({})).seeing(|w| w.holders = [("owner".into(), Holder::Nobody)].into());
    assert_eq!(story.says(types::ADMINISTRATOR_PRESENT), "False/NoAdministrator");
    assert_eq!(story.says(types::READY), "True/Active");
    for (holder, said) in [(Holder::Present, "True/Present"), (Holder::Kept("ada".into()), "True/LastHolder")] {
        let story = acme(json!({})).seeing(|w| w.holders = [("owner".into(), holder)].into());
        assert_eq!(story.says(types::ADMINISTRATOR_PRESENT), said);
    }
}

#[test]
fn a_portal_that_does_not_exist_is_said_before_all_else() {
    let story = with_workloads(&[("web", 3)])
        .with(json!({"portalRef": {"name": "p"}, "contactPersonRef": {"name": "nobody"}}))
        .seeing(|w| {
            w.missing_portal = Some("p".into());
            w.contact_person_exists = false;
            w.workloads.clear();
        });
    assert_eq!(story.says(types::READY), "False/PortalNotFound");
    assert_eq!(story.says(types::PORTAL_ACTIVE), "True/WorkloadNotFound", "each condition keeps its own matter");
}

#[test]
fn every_situation_has_all_conditions_with_a_sentence() {
    for story in [
        acme(json!({})),
        acme(json!({"portalActive": false, "userLimit": 0})),
        with_workloads(&[("web", 3)]).with(json!({"portalActive": false})),
        acme(json!({"contactPersonRef": {"name": "x"}})).seeing(|w| w.contact_person_exists = false),
    ] {
        let mut story = story;
        story.settle();
        let conditions = story.status().conditions;
        let all: Vec<&str> = conditions.iter().map(|c| c.type_.as_str()).collect();
        assert_eq!(all, ["Ready", "PortalActive", "AdministratorPresent", "WithinUserLimit"]);
        assert!(conditions.iter().all(|c| c.message.ends_with('.')), "{conditions:?}");
        assert_eq!(story.status().observed_generation, story.tenant.metadata.generation);
    }
}

#[test]
fn a_tenant_is_called_by_its_display_name_if_it_has_one() {
    for (name, called) in [(json!("ACME Corporation"), "ACME Corporation"), (json!(" "), "acme"), (json!(null), "acme")]
    {
        assert_eq!(display_name(&acme(json!({})).with(json!({"displayName": name})).tenant), called);
    }
}

#[test]
fn at_rest_a_tenant_stays_as_it_is_whatever_the_time() {
    let mut story = with_workloads(&[("web", 3)]).with(json!({"portalActive": false}));
    story.settle();
    let rest = story.plan();
    for second in [1, 3600, 400 * 86_400] {
        assert_eq!(story.clone().at(second).plan(), rest);
    }
    assert_eq!((rest.wake, rest.effects), (None, Vec::new()));
}
