//! `portalActive` and what it does to workloads.

use jiff::SignedDuration;

use super::*;

#[test]
fn a_new_tenant_is_what_its_spec_says_and_nothing_is_scaled() {
    for on in [true, false] {
        let mut story = acme(json!({"portalActive": on}));
        let plan = story.turn();
        assert_eq!((plan.effects, plan.wake), (Vec::new(), None), "a first look is no change of the switch");
        let portal = story.status().portal.expect("a switch");
        assert_eq!((portal.state == PortalState::Active, portal.since), (on, Some(Time(t(0)))));
        let word = if on { "Active" } else { "Inactive" };
        assert_eq!(story.says(types::READY), format!("True/{word}"), "an inactive portal is no fault");
        let holds = if on { "True" } else { "False" };
        assert_eq!(story.says(types::PORTAL_ACTIVE), format!("{holds}/{word}"));
    }
}

#[test]
fn off_saves_the_count_in_two_places_before_it_scales_down() {
    let mut story = with_workloads(&[("web", 3)]);
    story.settle();
    story.now = t(60);
    story.switch(false);
    let plan = story.turn();
    let annotation = r#"[{"apiVersion":"apps/v1","kind":"Deployment","name":"web","replicas":3}]"#;
    let note = "The portal was switched off.".to_owned();
    assert_eq!(
        plan.effects,
        [
            Effect::Annotate { key: marks::REPLICAS, value: Some(annotation.into()) },
            scale_to("web", 0),
            Effect::Tell { reason: "PortalDeactivated", note, warning: false },
        ]
    );
    assert_eq!(
        (story.saved(), story.status().portal.and_then(|p| p.since)),
        (vec![("web".into(), 3)], Some(Time(t(60))))
    );
    story.settle();
    assert_eq!((story.replicas("web"), story.says(types::READY).as_str()), (Some(0), "True/Inactive"));
}

#[test]
fn on_brings_every_count_back_and_forgets_it_once_it_was_seen() {
    let mut story = with_workloads(&[("web", 3), ("worker", 1), ("idle", 0)]);
    story.switch(false);
    story.settle();
    assert_eq!(story.saved(), [("web".into(), 3), ("worker".into(), 1)], "what was at 0 stays there");
    story.switch(true);
    let plan = story.turn();
    assert_eq!(events(&plan.effects), ["PortalActivated"]);
    assert_eq!(deeds(&plan.effects), [&scale_to("web", 3), &scale_to("worker", 1)]);
    assert_eq!(story.saved().len(), 2, "kept until they were seen up");
    let plan = story.turn();
    assert_eq!(deeds(&plan.effects), [&Effect::Annotate { key: marks::REPLICAS, value: None }]);
    assert_eq!(story.saved(), []);
    story.settle();
    assert_eq!((story.replicas("web"), story.replicas("worker"), story.replicas("idle")), (Some(3), Some(1), Some(0)));
}

#[test]
fn off_and_on_again_at_once_loses_nothing() {
    let mut story = with_workloads(&[("web", 3)]);
    for _ in 0..5 {
        story.switch(false);
        story.turn();
        story.switch(true);
        story.turn();
    }
    story.settle();
    assert_eq!((story.replicas("web"), story.saved()), (Some(3), Vec::new()));
}

#[test]
fn a_crash_between_record_and_scaling_changes_nothing() {
    let mut story = with_workloads(&[("web", 3)]);
    story.switch(false);
    // The status is written; the process dies before it annotates or scales.
    story.tenant.status = Some(story.plan().status);
    story.now = t(10);
    story.settle();
    assert_eq!((story.replicas("web"), story.saved()), (Some(0), vec![("web".into(), 3)]));
    story.switch(true);
    story.tenant.status = Some(story.plan().status);
    story.settle();
    assert_eq!(story.replicas("web"), Some(3));
}

#[test]
fn who_scales_up_while_the_portal_is_off_is_named_and_the_fight_is_paced() {
    let mut story = with_workloads(&[("web", 3)]);
    story.switch(false);
    story.settle();
    let mut pauses = Vec::new();
    for _ in 0..12 {
        let web = story.workload("web");
        (web.replicas, web.scaled_by) = (Some(5), Some("horizontal-pod-autoscaler".into()));
        let plan = story.plan();
        assert_eq!(says(&plan.status.conditions, types::READY), "False/ScaleContested");
        assert_eq!(says(&plan.status.conditions, types::PORTAL_ACTIVE), "False/ScaleContested");
        assert_eq!(
            tells(&plan.status.conditions, types::READY),
            "Deployment \"web\" was scaled up by horizontal-pod-autoscaler while the portal is off; it goes down again."
        );
        let mut pause = 0;
        if deeds(&plan.effects).is_empty() {
            let wake = plan.wake.expect("a time for the next turn");
            pause = wake.duration_since(story.now).as_secs();
            let mut before = story.clone();
            before.now = wake - SignedDuration::from_secs(1);
            assert_eq!(before.deeds(), [], "not before");
            story.now = wake;
        }
        pauses.push(pause);
        assert_eq!(deeds(&story.turn().effects), [&scale_to("web", 0)]);
        story.turn();
        assert_eq!(story.says(types::READY), "False/ScaleContested", "told as long as the truce lasts");
        let mut later = story.clone();
        later.now = story.plan().wake.expect("the end of the truce");
        later.turn();
        assert_eq!(later.says(types::READY), "True/Inactive", "down for good: nothing is wrong");
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    story.switch(true);
    story.settle();
    assert_eq!(story.replicas("web"), Some(3), "what counts is what it had when the portal went off");
}

#[test]
fn a_workload_that_another_active_tenant_needs_stays_up() {
    let mut story = with_workloads(&[("web", 3), ("shared", 2)]);
    story.workload("shared").needed_by_others = true;
    story.switch(false);
    story.settle();
    assert_eq!((story.replicas("web"), story.replicas("shared")), (Some(0), Some(2)));
    story.workload("shared").needed_by_others = false;
    story.settle();
    assert_eq!(story.replicas("shared"), Some(0), "until the other one is off too");
    story.workload("shared").needed_by_others = true;
    story.settle();
    assert_eq!((story.replicas("shared"), story.saved()), (Some(2), vec![("web".into(), 3)]), "up for the other one");
}

#[test]
fn the_count_of_a_workload_that_another_tenant_brought_down_is_saved_here_too() {
    let mut story = with_workloads(&[("web", 3), ("shared", 0)]);
    story.switch(false);
    story.settle();
    assert_eq!(story.saved(), [("web".into(), 3)], "what was at 0 of itself stays there");
    story.workload("shared").saved_by_others = Some(2);
    story.settle();
    assert_eq!(story.saved(), [("web".into(), 3), ("shared".into(), 2)]);
    let mut off_the_list = story.clone();
    off_the_list.set(json!({"workloads": [workload("web")]}));
    off_the_list.settle();
    assert_eq!(off_the_list.replicas("shared"), Some(0), "the other one keeps it down, and brings it back");
    assert_eq!(off_the_list.saved(), [("web".into(), 3)]);
    story.workload("shared").saved_by_others = None; // The other one is deleted.
    story.switch(true);
    story.settle();
    assert_eq!((story.replicas("shared"), story.saved()), (Some(2), Vec::new()));
}

#[test]
fn a_workload_that_is_taken_off_the_list_comes_back_up() {
    let mut story = with_workloads(&[("web", 3), ("worker", 2)]);
    story.switch(false);
    story.settle();
    story.set(json!({"workloads": [workload("web")]}));
    assert_eq!(story.deeds(), [scale_to("worker", 2)]);
    story.settle();
    assert_eq!((story.replicas("web"), story.replicas("worker")), (Some(0), Some(2)));
    assert_eq!(story.saved(), [("web".into(), 3)]);
}

#[test]
fn a_workload_that_is_added_while_off_goes_down_too() {
    let mut story = with_workloads(&[("web", 3)]);
    story.switch(false);
    story.settle();
    story.set(json!({"workloads": [workload("web"), workload("new")]}));
    story.workload("new").replicas = Some(4);
    story.settle();
    assert_eq!((story.replicas("new"), story.saved()), (Some(0), vec![("web".into(), 3), ("new".into(), 4)]));
}

#[test]
fn a_workload_that_is_missing_is_reported_and_its_count_is_kept() {
    let mut story = with_workloads(&[("web", 3), ("worker", 2)]);
    story.switch(false);
    story.settle();
    story.workload("web").replicas = None;
    story.turn();
    assert_eq!(story.says(types::READY), "False/WorkloadNotFound");
    assert_eq!(story.says(types::PORTAL_ACTIVE), "False/WorkloadNotFound");
    assert_eq!(story.saved(), [("web".into(), 3), ("worker".into(), 2)]);
    story.switch(true);
    assert_eq!(story.deeds(), [scale_to("worker", 2)], "the others are not kept waiting");
    story.settle();
    story.workload("web").replicas = Some(0);
    story.settle();
    assert_eq!((story.replicas("web"), story.says(types::READY).as_str()), (Some(3), "True/Active"));
}

#[test]
fn a_workload_that_cannot_be_scaled_is_reported_with_the_reason_and_blames_nobody() {
    let mut story = with_workloads(&[("web", 3), ("worker", 2)]);
    story.switch(false);
    story.turn();
    // The operator was not allowed to: the workload is as it was.
    let web = story.workload("web");
    (web.replicas, web.trouble) = (Some(3), Some("the operator has no right to scale it".into()));
    for second in [0, 1, 600] {
        story.now = t(second);
        let conditions = story.plan().status.conditions;
        assert_eq!(says(&conditions, types::READY), "False/ScaleFailed", "at {second}");
        assert_eq!(tells(&conditions, types::READY), "Deployment \"web\": the operator has no right to scale it");
    }
    assert_eq!(story.replicas("worker"), Some(0), "the others are not kept waiting");
    story.now = t(600);
    assert_eq!(story.deeds(), [scale_to("web", 0)], "and it is tried again");
    story.workload("web").trouble = None;
    story.settle();
    assert_eq!((story.replicas("web"), story.says(types::READY).as_str()), (Some(0), "True/Inactive"));
}

#[test]
fn a_restore_without_status_brings_the_counts_back_from_the_annotation() {
    let mut story = with_workloads(&[("web", 3)]);
    story.switch(false);
    story.settle();
    story.tenant.status = None;
    assert_eq!(known_workloads(&story.tenant), [workload("web")]);
    story.settle();
    assert_eq!(story.saved(), [("web".into(), 3)]);
    story.tenant.status = None;
    story.switch(true);
    story.settle();
    assert_eq!((story.replicas("web"), story.saved()), (Some(3), Vec::new()));
}

#[test]
fn an_annotation_scales_nothing_that_the_spec_does_not_list() {
    let mut story = with_workloads(&[("web", 3), ("foreign", 0)]);
    story.tenant.spec.workloads.retain(|w| w.name == "web");
    let forged = r#"[{"apiVersion":"apps/v1","kind":"Deployment","name":"foreign","replicas":2147483647}]"#;
    story.annotate(marks::REPLICAS, Some(forged));
    assert_eq!(known_workloads(&story.tenant), [workload("web")]);
    story.settle();
    assert_eq!((story.replicas("foreign"), story.replicas("web")), (Some(0), Some(3)));
}

#[test]
fn a_lost_annotation_is_written_again() {
    let mut story = with_workloads(&[("web", 3)]);
    story.switch(false);
    story.settle();
    let before = story.tenant.metadata.annotations.take();
    story.settle();
    assert_eq!(story.tenant.metadata.annotations, before);
}

#[test]
fn an_annotation_that_cannot_be_read_saves_nothing() {
    for text in ["", "3", "{}", "[{}]", r#"[{"name":"web","replicas":"3"}]"#] {
        let mut story = with_workloads(&[("web", 3)]);
        story.annotate(marks::REPLICAS, Some(text));
        story.switch(false);
        story.settle();
        assert_eq!(story.saved(), [("web".into(), 3)], "{text:?}");
    }
}
