//! What holds for every tenant, whatever it says and whatever happens to its workloads.

use jiff::SignedDuration;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde_json::json;

use super::tests::{Story, with_workloads, workload};
use super::*;
use crate::api::SavedWorkload;
use crate::plan::testing::deeds;

/// Something that happens.
#[derive(Clone, Debug)]
enum Act {
    /// Time passes.
    Pass(i64),
    /// The operator looks, writes and performs.
    Turn,
    /// The operator looks and writes; it dies before it performs anything.
    Crash,
    /// Somebody applies this.
    Switch(bool),
    List(Vec<&'static str>),
    /// Somebody scales a workload; None: it is deleted.
    Scale(&'static str, Option<i32>),
    Trouble(&'static str, bool),
    Needed(&'static str, bool),
    /// A restore wipes status or annotations.
    LoseStatus,
    LoseAnnotations,
}

const NAMES: [&str; 3] = ["web", "worker", "idle"];

impl Story {
    fn act(&mut self, act: &Act) {
        match act {
            Act::Pass(seconds) => self.now += SignedDuration::from_secs(*seconds),
            Act::Turn => drop(self.turn()),
            Act::Crash => self.tenant.status = Some(self.plan().status),
            Act::Switch(on) => self.switch(*on),
            Act::List(names) => self.set(json!({"workloads": names.iter().map(|n| workload(n)).collect::<Vec<_>>()})),
            Act::Scale(name, replicas) => self.workload(name).replicas = *replicas,
            Act::Trouble(name, there) => self.workload(name).trouble = there.then(|| "it may not.".into()),
            Act::Needed(name, needed) => self.workload(name).needed_by_others = *needed,
            Act::LoseStatus => self.tenant.status = None,
            Act::LoseAnnotations => self.tenant.metadata.annotations = None,
        }
    }
}

fn name() -> BoxedStrategy<&'static str> {
    prop::sample::select(&NAMES[..]).boxed()
}

fn act() -> BoxedStrategy<Act> {
    prop_oneof![
        2 => prop_oneof![1..5i64, 1..1000i64].prop_map(Act::Pass),
        5 => Just(Act::Turn),
        2 => Just(Act::Crash),
        2 => any::<bool>().prop_map(Act::Switch),
        1 => proptest::sample::subsequence(&NAMES[..], 0..=3).prop_map(Act::List),
        2 => (name(), of(0..9i32)).prop_map(|(name, replicas)| Act::Scale(name, replicas)),
        1 => (name(), any::<bool>()).prop_map(|(name, there)| Act::Trouble(name, there)),
        1 => (name(), any::<bool>()).prop_map(|(name, needed)| Act::Needed(name, needed)),
        1 => prop_oneof![Just(Act::LoseStatus), Just(Act::LoseAnnotations)],
    ]
    .boxed()
}

fn start() -> Story {
    with_workloads(&[("web", 3), ("worker", 1), ("idle", 0)])
}

fn lived(acts: &[Act]) -> Story {
    let mut story = start();
    acts.iter().for_each(|act| story.act(act));
    story
}

/// Until nothing is left to do; a fight that is paced is waited for.
fn at_rest(mut story: Story) -> Story {
    for _ in 0..20 {
        let plan = story.turn();
        match story.plan() {
            next if next.status == story.status() && deeds(&next.effects).is_empty() => match next.wake {
                None => return story,
                Some(wake) => story.now = wake,
            },
            _ => drop(plan),
        }
    }
    panic!("never at rest: {:?} {:?}", story.plan(), story.status());
}

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_happened_the_workloads_end_as_the_switch_says(acts in vec(act(), 0..30)) {
        let mut story = at_rest(lived(&acts));
        let (active, listed) = (story.tenant.spec.portal_active, story.tenant.spec.workloads.clone());
        for name in NAMES {
            let seen = story.workload(name).clone();
            let down = !active && listed.contains(&workload(name)) && !seen.needed_by_others;
            if down {
                prop_assert!(seen.replicas.is_none_or(|n| n == 0), "{name} is up: {acts:?}");
            } else if seen.replicas == Some(0) {
                let saved = story.saved().into_iter().find(|(saved, _)| saved == name);
                prop_assert!(saved.is_none(), "{name} was not brought back: {acts:?}");
            }
        }
        let annotation = story.tenant.annotations().contains_key(marks::REPLICAS);
        prop_assert_eq!(annotation, !story.saved().is_empty(), "status and annotation agree: {:?}", acts);
    }

    /// Switches, crashes and a lost status (or annotation), in any order: on again, each has what it had.
    #[test]
    fn a_count_is_never_lost(acts in vec(prop_oneof![
        3 => Just(Act::Turn),
        2 => Just(Act::Crash),
        3 => any::<bool>().prop_map(Act::Switch),
        1 => (1..1000i64).prop_map(Act::Pass),
    ], 0..30), restore in any::<bool>(), status in any::<bool>()) {
        let mut story = lived(&acts);
        if restore {
            story.turn(); // A restore takes what was once at rest, not what a crash left half done.
            story.act(if status { &Act::LoseStatus } else { &Act::LoseAnnotations });
        }
        story.switch(true);
        let mut story = at_rest(story);
        for (name, replicas) in [("web", 3), ("worker", 1), ("idle", 0)] {
            prop_assert_eq!(story.replicas(name), Some(replicas), "{}: {:?}", name, acts);
        }
    }

    #[test]
    fn wake_is_the_moment_of_another_plan_and_not_before(acts in vec(act(), 0..30), share in 0.0..1.0f64) {
        let mut story = lived(&acts);
        story.turn();
        story.turn();
        let plan = story.plan();
        let same = |at: Timestamp| {
            let mut later = story.clone();
            later.now = at;
            later.plan() == plan
        };
        // Where something is left to do now, the next turn does it; time is not waited for.
        prop_assume!(plan.status == story.status() && deeds(&plan.effects).is_empty());
        match plan.wake {
            Some(wake) => {
                let span = wake.duration_since(story.now).as_secs();
                prop_assert!(span > 0);
                for at in [(span as f64 * share) as i64, span - 1] {
                    prop_assert!(same(story.now + SignedDuration::from_secs(at.clamp(0, span - 1))), "{acts:?}");
                }
                let mut then = story.clone();
                then.now = wake;
                prop_assert!(then.plan().status != plan.status, "nothing happens then: {acts:?}");
            }
            None => {
                for seconds in [1, 600, 400 * 86_400] {
                    prop_assert!(same(story.now + SignedDuration::from_secs(seconds)), "{acts:?}");
                }
            }
        }
    }

    #[test]
    fn every_input_has_a_plan(
        words in any::<String>(),
        (replicas, contested, scaled) in (any::<i32>(), any::<i32>(), of(any::<i64>())),
        (on, annotation, now) in (any::<bool>(), of(any::<String>()), any::<i64>()),
    ) {
        let moment = |n: i64| Timestamp::from_second(n % 250_000_000_000).unwrap_or(Timestamp::MAX);
        let mut story = start();
        story.now = moment(now);
        story.set(json!({
            "displayName": words, "portalActive": on, "activationMail": true, "url": words,
            "contact": {"name": words, "email": format!("{words}@acme.example")},
        }));
        for key in [marks::REPLICAS, marks::ACTIVATED, marks::FIRST_USER] {
            story.annotate(key, annotation.as_deref());
        }
        let saved = SavedWorkload {
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            name: "web".into(),
            replicas,
            contested,
            contested_by: None,
            scaled_time: scaled.map(|n| Time(moment(n))),
        };
        if on {
            let portal = PortalSwitch { workloads: vec![saved], ..PortalSwitch::default() };
            story.tenant.status = Some(TenantStatus { portal: Some(portal), ..TenantStatus::default() });
        }
        story.workload("web").replicas = Some(replicas.wrapping_neg());
        story.workload("web").scaled_by = Some(words);
        let plan = story.plan();
        prop_assert!(plan.wake.is_none_or(|wake| wake > story.now));
        prop_assert!(plan.status.conditions.iter().all(|c| c.message.len() <= 1024));
    }
}
