//! What objects name beyond the five kinds is followed as long as somebody names it: workloads, relays' Secrets, texts.

use super::{call, concerns, push};
use crate::plan::tenant::known_workloads;
use crate::shell::kinds::Kind;
use crate::shell::table::{KindId, Name};
use crate::shell::{Shared, relays, texts, workloads};

/// Begins to follow what objects of a kind name beyond the five kinds.
pub(super) fn follow<K: Kind>(ctx: &Shared) {
    match K::ID {
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
                let concerns = concerns::of_workload(namespace, workload, &told.world.look());
                concerns.iter().for_each(|concern| push(&told, concern));
            }));
        }
    }
}

/// Follows the Secrets that portals mail by, and no others.
fn watch_relays(ctx: &Shared) {
    let begin = |name: Name| {
        let (served, told) = (ctx.clone(), ctx.clone());
        let changed = move |(namespace, secret): &Name| {
            let concerns = concerns::of_relay(namespace, secret, &told.world.look());
            concerns.iter().for_each(|concern| push(&told, concern));
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
            let concerns = concerns::of_texts(namespace, name, first, &told.world.look());
            concerns.iter().for_each(|concern| push(&told, concern));
        };
        tokio::spawn(texts::follow(ctx.clone(), name, changed)).abort_handle()
    };
    ctx.texts.only(|| texts::named(ctx), begin);
}
