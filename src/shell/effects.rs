//! Effects, performed: one exhaustive match. Execution has no choices left.

use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Resource, ResourceExt};
use serde_json::json;

use super::Context;
use super::alarm::Slot;
use super::error::Error;
use super::kinds::Kind;
use super::link::Claim;
use super::relay::Place;
use super::status::{Fence, call};
use super::table::Change;
use super::workloads;
use crate::api::condition::Reason;
use crate::api::marks;
use crate::plan::delivery::Outcome;
use crate::plan::{Channel, Child, Delivery, Effect, Fact, Facts, dispatch};

/// What performing effects brought: facts for the next thought, changes of rows, and the first thing that failed.
#[derive(Debug)]
pub struct Performed<K> {
    /// Facts, which must not be lost.
    pub facts: Facts,
    /// Changes of this object by its own effects.
    pub changes: Vec<Change<K>>,
    /// What failed: harmless effects are repeated.
    pub error: Option<Error>,
}

/// Performs the effects of a plan, in order. Only a fence of this turn lets a delivery out, and only one.
pub async fn perform<K: Kind>(
    ctx: &Context,
    object: &K,
    effects: Vec<Effect>,
    mut fence: Option<Fence>,
    mut place: Option<Place>,
) -> Performed<K> {
    let mut done = Performed { facts: Facts::new(), changes: Vec::new(), error: None };
    for effect in effects {
        let result = match effect {
            Effect::Deliver(delivery) => {
                if let Some(fence) = fence.take() {
                    let outcome = deliver(ctx, object, &delivery, fence).await;
                    place = None;
                    ctx.metrics.delivered(&delivery, &outcome, ctx.clock.exact());
                    let at = ctx.clock.now();
                    let Delivery { purpose, serial, number, .. } = *delivery;
                    done.facts.push(Fact::Delivery { purpose, serial, number, outcome, at });
                }
                Ok(())
            }
            Effect::RemoveLink => match remove_link(ctx, object).await {
                Ok(()) => {
                    done.facts.push(Fact::LinkRemoved);
                    Ok(())
                }
                Err(error) => Err(error),
            },
            Effect::Make(Child::Invitation(child)) => make(ctx, &*child).await,
            Effect::Make(Child::Group(child)) => make(ctx, &*child).await,
            Effect::Update(Child::Invitation(child)) => update(ctx, &*child).await,
            Effect::Update(Child::Group(child)) => update(ctx, &*child).await,
            Effect::Delete(Child::Invitation(child)) => remove(ctx, &*child).await,
            Effect::Delete(Child::Group(child)) => remove(ctx, &*child).await,
            Effect::DeleteThisUser => {
                let api: Api<K> = Api::namespaced(ctx.client.clone(), &namespace(object));
                delete(&api, &object.name_any(), object.uid(), object.resource_version()).await
            }
            Effect::Annotate { key, value } => match annotate(ctx, object, key, value).await {
                Ok(stored) => {
                    done.changes.extend(stored.and_then(|stored| ctx.world.absorb(stored)));
                    Ok(())
                }
                Err(error) => Err(error),
            },
            Effect::Scale { workload, replicas } => {
                workloads::scale(ctx, &namespace(object), &workload, replicas).await
            }
            Effect::MeasureExpiry { due } => {
                ctx.metrics.expired(due, ctx.clock.exact());
                Ok(())
            }
            Effect::Tell { reason, note, warning } => {
                ctx.events.tell(object, reason, &note, warning);
                Ok(())
            }
        };
        if let Err(error) = result {
            done.error.get_or_insert(error);
        }
    }
    drop(place);
    done
}

fn namespace(object: &impl ResourceExt) -> String {
    object.namespace().unwrap_or_default()
}

async fn deliver<K: Kind>(ctx: &Context, object: &K, delivery: &Delivery, _fence: Fence) -> Outcome {
    let claim = Claim {
        namespace: namespace(object),
        name: object.name_any(),
        uid: object.uid().unwrap_or_default(),
        serial: delivery.serial,
    };
    let base = delivery.base.as_deref().unwrap_or(&ctx.public_url);
    let link = match delivery.letter.occasion.has_secret_link() {
        true => match ctx.keys.link(base, &delivery.key_id, &claim) {
            Some(link) => Some(link),
            None => {
                let message = "The key that signs this link is gone from its Secret.".into();
                return Outcome::Deferred { reason: Reason::KeyMissing, message };
            }
        },
        false => None,
    };
    let link = link.as_ref().map_or("", |link| link.expose());
    match delivery.channel {
        Channel::Relay => {
            // Whoever waited so long that another one may have taken the attempt over must not finish it.
            let in_time = || {
                let age = ctx.clock.exact().duration_since(delivery.begun);
                age < dispatch::LAST_DOT && ctx.lead.holds()
            };
            let Some(post) = ctx.relays.get(&claim.namespace, &delivery.relay) else {
                let message = "The Secret with the portal's relay is gone.".into();
                return Outcome::Deferred { reason: Reason::RelaySecretNotFound, message };
            };
            let outcome = post.mailer.deliver(delivery, link, in_time).await;
            for waiting in post.relay.learn(&outcome) {
                ctx.alarm.at_the_latest(&waiting, Slot::Nudge, ctx.clock.exact());
            }
            outcome
        }
        Channel::Secret => match write_link(ctx, object, link).await {
            Ok(()) => Outcome::Delivered { queue_id: None },
            Err(error) => {
                tracing::warn!(%error, "a link Secret was not written");
                let message = "The Secret for the link could not be written; the operator needs the right to.".into();
                Outcome::Deferred { reason: Reason::SecretNotWritten, message }
            }
        },
    }
}

type SecretApi = Api<k8s_openapi::api::core::v1::Secret>;

/// Writes the link Secret, whole, as its only manager. It belongs to the invitation and goes with it.
async fn write_link<K: Kind>(ctx: &Context, object: &K, link: &str) -> Result<(), Error> {
    let api: SecretApi = Api::namespaced(ctx.client.clone(), &namespace(object));
    let invitation = object.name_any();
    let name = format!("{invitation}.link");
    let label = crate::plan::portal_user::label_of(&invitation);
    if let Some(found) = call("read a link Secret", api.get_opt(&name)).await?
        && found.labels().get(marks::INVITATION) != Some(&label)
    {
        return Err(Error::other("write a link Secret", "a Secret of its name exists that is not the operator's"));
    }
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "labels": { marks::INVITATION: label, marks::MADE_BY: label },
            "ownerReferences": [{
                "apiVersion": K::api_version(&()), "kind": K::kind(&()), "name": invitation, "uid": object.uid(),
                "controller": true,
            }],
        },
        "type": "portal-operator.dev/link",
        "stringData": { "url": link },
    });
    let params = PatchParams::apply("portal-operator").force();
    call("write a link Secret", api.patch(&name, &params, &Patch::Apply(&secret))).await.map(|_| ())
}

async fn remove_link<K: Kind>(ctx: &Context, object: &K) -> Result<(), Error> {
    let api: SecretApi = Api::namespaced(ctx.client.clone(), &namespace(object));
    let name = format!("{}.link", object.name_any());
    let Some(found) = call("read a link Secret", api.get_opt(&name)).await? else { return Ok(()) };
    if !found.labels().contains_key(marks::INVITATION) {
        return Ok(());
    }
    delete(&api, &name, found.uid(), None).await
}

/// Makes a child. That it exists is as good.
async fn make<K: Kind>(ctx: &Context, child: &K) -> Result<(), Error> {
    let api: Api<K> = Api::namespaced(ctx.client.clone(), &namespace(child));
    match call("make a child", api.create(&PostParams::default(), child)).await {
        Err(error) if error.is_conflict() => Ok(()),
        other => other.map(|_| ()),
    }
}

/// Brings a child to its spec. Somebody who was ahead is looked at again by watch.
async fn update<K: Kind>(ctx: &Context, child: &K) -> Result<(), Error> {
    let api: Api<K> = Api::namespaced(ctx.client.clone(), &namespace(child));
    match call("update a child", api.replace(&child.name_any(), &PostParams::default(), child)).await {
        Err(error) if error.is_conflict() || error.is_not_found() => Ok(()),
        other => other.map(|_| ()),
    }
}

/// Deletes a child, if it is still this very object.
async fn remove<K: Kind>(ctx: &Context, child: &K) -> Result<(), Error> {
    let api: Api<K> = Api::namespaced(ctx.client.clone(), &namespace(child));
    delete(&api, &child.name_any(), child.uid(), None).await
}

async fn delete<K>(api: &Api<K>, name: &str, uid: Option<String>, version: Option<String>) -> Result<(), Error>
where
    K: Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let params = DeleteParams {
        preconditions: Some(Preconditions { uid, resource_version: version }),
        ..DeleteParams::default()
    };
    match call("delete an object of the operator's own", api.delete(name, &params)).await {
        Err(error) if error.is_conflict() || error.is_not_found() => Ok(()),
        other => other.map(|_| ()),
    }
}

/// Sets one annotation of this very object: the UID in the body makes a patch of another object a conflict.
async fn annotate<K: Kind>(
    ctx: &Context,
    object: &K,
    key: &'static str,
    value: Option<String>,
) -> Result<Option<K>, Error> {
    let api: Api<K> = Api::namespaced(ctx.client.clone(), &namespace(object));
    let patch = json!({ "metadata": { "uid": object.uid(), "annotations": { key: value } } });
    let params = PatchParams::default();
    match call("annotate an object", api.patch(&object.name_any(), &params, &Patch::Merge(&patch))).await {
        Err(error) if error.is_conflict() || error.is_not_found() => Ok(None),
        other => other.map(Some),
    }
}
