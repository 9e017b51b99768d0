//! What objects name beyond the five kinds is followed as long as somebody names it: workloads, relays' Secrets, texts.

use std::sync::Arc;

use super::{call, concerns, push_all};
use crate::plan::tenant::known_workloads;
use crate::shell::kinds::Kind;
use crate::shell::table::{Change, KindId, Mark, Name};
use crate::shell::{Shared, relays, texts, workloads};

/// Follows what objects name beyond the five kinds, where a change of one names something else.
pub(super) fn follow<K: Kind>(ctx: &Shared, change: &Change<K>) {
    let named = |side: &Option<Arc<K>>| -> Vec<Mark> {
        let marks = side.iter().flat_map(|object| object.marks());
        marks.filter(|mark| matches!(mark, Mark::Workload(..) | Mark::Relay(..) | Mark::Texts(..))).collect()
    };
    match K::ID {
        KindId::Tenant | KindId::Portal if named(&change.old) == named(&change.new) => {}
        KindId::Tenant => watch_workloads(ctx),
        KindId::Portal => {
            watch_relays(ctx);
            watch_texts(ctx);
        }
        _ => {}
    }
}

/// Begins to watch each kind of workload that some tenant lists.
fn watch_workloads(ctx: &Shared) {
    let listed: Vec<_> = {
        let tables = ctx.world.look();
        tables.tenants.all().flat_map(|t| known_workloads(t)).map(|w| workloads::sort(&w)).collect()
    };
    for sort in listed.into_iter().filter(|sort| ctx.sorts.is_new(sort)) {
        for namespace in &ctx.namespaces {
            let told = ctx.clone();
            tokio::spawn(workloads::watch(ctx.clone(), sort.clone(), namespace.clone(), move |namespace, workload| {
                push_all(&told, |tables| concerns::of_workload(namespace, workload, tables));
            }));
        }
    }
}

/// Follows the Secrets that portals mail by, and no others.
fn watch_relays(ctx: &Shared) {
    let begin = |name: Name| {
        let (served, told) = (ctx.clone(), ctx.clone());
        let changed = move |(namespace, secret): &Name| {
            push_all(&told, |tables| concerns::of_relay(namespace, secret, tables));
        };
        let serve = move |post| call(served.clone(), post);
        tokio::spawn(relays::follow(ctx.clone(), name, serve, changed)).abort_handle()
    };
    ctx.relays.followed.only(|| relays::named(ctx), begin);
}

/// Follows the ConfigMaps that portals word their mails by, and no others.
fn watch_texts(ctx: &Shared) {
    let begin = |name: Name| {
        let told = ctx.clone();
        let changed = move |(namespace, name): &Name, first| {
            push_all(&told, |tables| concerns::of_texts(namespace, name, first, tables));
        };
        tokio::spawn(texts::follow(ctx.clone(), name, changed)).abort_handle()
    };
    ctx.texts.only(|| texts::named(ctx), begin);
}
