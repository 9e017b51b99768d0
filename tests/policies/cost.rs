//! What the policies cost, and that it does not grow with the number of tenants.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use serde_json::{Value, json};

use crate::installation::Installation;
use crate::people::{Person, allowed, on};
use crate::story::user;
use crate::support::cluster::Namespace;
use crate::support::say_loudly;

const WRITES: usize = 150;

/// Makes what `object` tells of each number from 1 to `count`.
async fn make(ns: &Namespace, count: usize, object: impl Fn(usize) -> Value) {
    stream::iter(1..=count).for_each_concurrent(16, async |n| drop(ns.apply(object(n)).await)).await;
}

fn tenant(n: usize) -> Value {
    json!({"kind": "Tenant", "metadata": {"name": format!("tenant-{n}")}, "spec": {}})
}

/// A manager of that tenant. RBAC looks through all bindings of a namespace, for every check.
fn manager(n: usize) -> Value {
    let group = "rbac.authorization.k8s.io";
    json!({"apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": {"name": format!("manager-{n}")},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": format!("manager-{n}")},
        "subjects": [{"kind": "User", "apiGroup": group, "name": format!("manager@tenant-{n}.example")}]})
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Writes by turns, so that whatever else the machine does hits both; who is first changes, too. Every check is made: two
/// roles and two groups change hands each time.
async fn compare(writers: [&Person<'_>; 2]) -> [Duration; 2] {
    let spec = |n: usize| -> Value {
        match n % 2 {
            0 => json!({"roles": ["editor"], "groups": ["crew"]}),
            _ => json!({"roles": ["viewer"], "groups": ["team"]}),
        }
    };
    let mut times = [Vec::new(), Vec::new()];
    for n in 0..WRITES {
        for which in if n % 4 < 2 { [0, 1] } else { [1, 0] } {
            let start = Instant::now();
            allowed(writers[which].writes_spec("PortalUser", "ada", spec(n)).await);
            times[which].push(start.elapsed());
        }
    }
    times.map(median)
}

#[tokio::test]
async fn a_thousand_tenants_in_a_namespace_cost_a_write_no_more_than_a_fifth() {
    let Some(installation) = Installation::strict().await else { return };
    let (Some(few), Some(many)) = (installation.guard("few").await, installation.guard("many").await) else { return };
    make(&many, 1000, tenant).await;
    let rules = [
        on("tenants", "manage", &["acme"]),
        on("roles", "assign", &["viewer", "editor"]),
        on("groups", "assign", &["team", "crew"]),
    ];
    let mut writers = Vec::new();
    for ns in [&few, &many] {
        ns.apply(json!({"kind": "Tenant", "metadata": {"name": "acme"}, "spec": {}})).await;
        ns.apply(user("ada", "ada@acme.example", json!({"roles": ["viewer"], "groups": ["team"]}))).await;
        writers.push(Person::named("clerk@example.com", ns).await.may(&rules).await);
    }
    let [beside_one, beside_many] = compare([&writers[0], &writers[1]]).await;
    let ratio = beside_many.as_secs_f64() / beside_one.as_secs_f64();
    say_loudly(&format!("a guarded write beside 1 tenant {beside_one:?}, beside 1,000 {beside_many:?}: {ratio:.3}"));
    assert!(ratio <= 1.2, "{beside_one:?} and {beside_many:?}: {ratio:.3}");

    // A thousand bindings are RBAC's own burden, worth knowing.
    make(&many, 1000, manager).await;
    let [beside_one, beside_many] = compare([&writers[0], &writers[1]]).await;
    let ratio = beside_many.as_secs_f64() / beside_one.as_secs_f64();
    say_loudly(&format!("with 1,000 RoleBindings as well {beside_one:?} and {beside_many:?}: {ratio:.3}"));
    assert!(ratio <= 2.0, "{beside_one:?} and {beside_many:?}: {ratio:.3}");
}
