//! The JSON API: inspect, accept, decline. Every answer rests on the live objects, so that replicas cannot contradict
//! each other, and an answer of a person is recorded by compare-and-swap.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::HeaderMap;
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use kube::api::{Api as KubeApi, DeleteParams, PostParams, Preconditions};
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::guard::{self, Limiter};
use super::peer;
use super::problem::{self, Problem};
use crate::api::{AccountRef, AccountState, Invitation, Portal, PortalUser, Tenant};
use crate::plan::address::Address;
use crate::plan::invitation::{self, Answer, Found, Place, account};
use crate::plan::{Effect, Fact, portal_user, tenant as tenants};
use crate::shell::Shared;
use crate::shell::error::Error;
use crate::shell::kinds::Kind;
use crate::shell::link::Claim;
use crate::shell::status::{self, Written, call};

/// Questions that are looked up at the same time: a flood of genuine links must not become one of API calls.
const LOOKUPS: usize = 64;
/// Rounds of a race that is lost by conflict before somebody is asked to try again.
const ROUNDS: usize = 8;
/// An account without a recorded acceptance that is so old may be cleaned away at any moment: it is made anew.
const STALE_ACCOUNT: SignedDuration = SignedDuration::from_mins(4);

/// What the handlers share.
#[derive(Clone)]
pub(super) struct Api(Arc<Inner>);

struct Inner {
    ctx: Shared,
    proxies: Vec<IpNet>,
    limiter: Limiter,
    lookups: Semaphore,
}

impl Api {
    pub(super) fn new(ctx: Shared, proxies: Vec<IpNet>) -> Self {
        Api(Arc::new(Inner { ctx, proxies, limiter: Limiter::default(), lookups: Semaphore::new(LOOKUPS) }))
    }

    /// The claim of a genuine token. A forged one dies here, before anything is looked up.
    async fn claim(&self, peer: SocketAddr, headers: &HeaderMap, body: Body) -> Result<Claim, Problem> {
        let ctx = &self.0.ctx;
        let client = peer::client(peer.ip(), headers, &self.0.proxies);
        if !self.0.limiter.admits(client, ctx.clock.now().as_second()) {
            return Err(problem::TOO_MANY);
        }
        let token = guard::token(headers, body, &ctx.public_url).await?;
        if ctx.keys.signing().is_none() {
            // Nobody can tell whether it is genuine: no key was read yet, or all are gone.
            return Err(problem::UNAVAILABLE);
        }
        ctx.keys.verify(&token).ok_or(problem::NOT_FOUND)
    }
}

/// The live objects of a genuine claim. None: withdrawn.
struct Live {
    invitation: Invitation,
    tenant: Tenant,
    /// The Portal that the tenant names, as it is known here: its texts and addresses may be a moment old.
    portal: Option<Arc<Portal>>,
}

async fn live(ctx: &Shared, claim: &Claim) -> Result<Option<Live>, Error> {
    if !ctx.namespaces.iter().any(|ns| ns.as_ref().is_none_or(|ns| *ns == claim.namespace)) {
        return Ok(None); // No longer of this operator: nothing may be read there.
    }
    let invitations: KubeApi<Invitation> = KubeApi::namespaced(ctx.client.clone(), &claim.namespace);
    let found = call("read an Invitation", invitations.get_opt(&claim.name)).await?;
    let same = |i: &Invitation| i.uid().as_deref() == Some(&claim.uid) && i.meta().deletion_timestamp.is_none();
    let Some(invitation) = found.filter(same) else { return Ok(None) };
    let tenants: KubeApi<Tenant> = KubeApi::namespaced(ctx.client.clone(), &claim.namespace);
    let tenant = call("read a Tenant", tenants.get_opt(&invitation.spec.tenant_ref.name)).await?;
    let tenant = tenant.filter(|t| t.meta().deletion_timestamp.is_none());
    Ok(tenant.map(|tenant| {
        let named = tenant.spec.portal_ref.as_ref();
        let portal = named.and_then(|p| ctx.world.look().portals.get(&claim.namespace, &p.name).cloned());
        Live { invitation, tenant, portal }
    }))
}

impl Live {
    fn answer(&self, claim: &Claim, now: Timestamp) -> Answer {
        let status = self.invitation.status.clone().unwrap_or_default();
        invitation::answer(&self.invitation.spec, &status, claim.serial, now)
    }

    /// Whether the portal takes anybody: it is on, and the Portal that it names exists.
    fn is_active(&self) -> bool {
        self.tenant.spec.portal_active && (self.tenant.spec.portal_ref.is_none() || self.portal.is_some())
    }

    /// Where an accepted person goes on: to the portal's sign-up, else to the tenant's address, else to the portal's.
    fn onward(&self) -> Option<String> {
        let portal = self.portal.as_ref().map(|p| &p.spec);
        let own = || self.tenant.spec.url.clone();
        portal.and_then(|p| p.sign_up_url.clone()).or_else(own).or_else(|| portal.and_then(|p| p.url.clone()))
    }

    /// The language of its mails.
    fn locale(&self) -> Option<String> {
        let of_portal = || self.portal.as_ref().and_then(|p| p.spec.locale.clone());
        self.invitation.spec.locale.clone().or_else(|| self.tenant.spec.locale.clone()).or_else(of_portal)
    }

    /// The product's name for people.
    fn product(&self) -> String {
        let named = self.portal.as_ref().and_then(|p| p.spec.display_name.clone());
        named.unwrap_or_else(|| tenants::display_name(&self.tenant))
    }

    fn answered(&self, wish: Wish) -> Json<Value> {
        match wish {
            Wish::Accept => Json(json!({ "state": wish.state(), "continueURL": self.onward() })),
            Wish::Decline => Json(json!({ "state": wish.state() })),
        }
    }
}

fn failed(error: &Error) -> Problem {
    tracing::warn!(%error, "a request could not be answered");
    problem::UNAVAILABLE
}

/// What a link is about. Personal data only while it is open.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Inspection {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    portal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    given_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invited_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<String>,
    #[serde(rename = "continueURL", skip_serializing_if = "Option::is_none")]
    continue_url: Option<String>,
    /// The language of the mail: for whom has a browser that asks for none that the page speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    locale: Option<String>,
}

impl Inspection {
    fn state(state: &'static str) -> Self {
        Inspection {
            state,
            expiration_time: None,
            portal: None,
            tenant: None,
            email: None,
            given_name: None,
            message: None,
            invited_by: None,
            contact: None,
            continue_url: None,
            locale: None,
        }
    }
}

/// Says what a link is worth. Changes nothing.
pub(super) async fn inspect(
    State(api): State<Api>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Inspection>, Problem> {
    let claim = api.claim(peer, &headers, body).await?;
    let _place = api.0.lookups.acquire().await.map_err(|_| problem::UNAVAILABLE)?;
    let ctx = &api.0.ctx;
    let Some(live) = live(ctx, &claim).await.map_err(|e| failed(&e))? else {
        return Ok(Json(Inspection::state("Withdrawn")));
    };
    let contact = live.tenant.spec.contact.as_ref().and_then(|c| c.name.clone().or_else(|| c.email.clone()));
    let state = match live.answer(&claim, ctx.clock.now()) {
        Answer::Open { until } if live.is_active() => {
            let seen = ctx.world.look().invitation_seen(&live.invitation, Place::Free, ctx.clock.now());
            let spec = &live.invitation.spec;
            return Ok(Json(Inspection {
                expiration_time: Some(until),
                portal: Some(live.product()),
                tenant: Some(tenants::display_name(&live.tenant)),
                email: Some(spec.email.clone()),
                given_name: spec.given_name.clone(),
                message: spec.message.clone(),
                invited_by: match seen.inviter {
                    Found::Here(inviter) => Some(inviter.display_name),
                    _ => None,
                },
                contact,
                locale: live.locale(),
                ..Inspection::state("Open")
            }));
        }
        Answer::Open { .. } => "PortalInactive",
        Answer::Accepted => "Accepted",
        Answer::Declined => "Declined",
        Answer::Revoked => "Revoked",
        Answer::Superseded => "Superseded",
        Answer::Expired => "Expired",
    };
    let continue_url = live.onward().filter(|_| state == "Accepted");
    // Whom to ask is no personal data of the invited person, and the way out for who cannot use the link.
    Ok(Json(Inspection { contact, continue_url, locale: live.locale(), ..Inspection::state(state) }))
}

/// What a person answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Accept,
    Decline,
}

/// Accepts. Repeated, it gives the same answer.
pub(super) async fn accept(
    State(api): State<Api>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let claim = api.claim(peer, &headers, body).await?;
    answer(&api, &claim, Wish::Accept).await
}

/// Declines. Repeated, it gives the same answer.
pub(super) async fn decline(
    State(api): State<Api>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let claim = api.claim(peer, &headers, body).await?;
    answer(&api, &claim, Wish::Decline).await
}

/// Judges the live objects and records the answer; who loses a race judges them again.
async fn answer(api: &Api, claim: &Claim, wish: Wish) -> Result<Json<Value>, Problem> {
    let _place = api.0.lookups.acquire().await.map_err(|_| problem::UNAVAILABLE)?;
    let ctx = &api.0.ctx;
    for _ in 0..ROUNDS {
        let live = live(ctx, claim).await.map_err(|e| failed(&e))?.ok_or(problem::WITHDRAWN)?;
        let now = ctx.clock.now();
        match (live.answer(claim, now), wish) {
            (Answer::Open { .. }, _) => {}
            (Answer::Accepted, Wish::Accept) | (Answer::Declined, Wish::Decline) => return Ok(live.answered(wish)),
            (other, _) => return Err(refusal(other)),
        }
        if !live.is_active() {
            return Err(problem::PORTAL_INACTIVE);
        }
        let serial = claim.serial;
        let fact = match wish {
            Wish::Accept => match account_of(ctx, &live).await {
                Ok(user) => Fact::Accepted { serial, user, at: now },
                // Another click may have been ahead, and its account be registered already: the same answer to both.
                Err(problem) => return accepted_meanwhile(ctx, claim, now).await.ok_or(problem),
            },
            Wish::Decline => Fact::Declined { serial, at: now },
        };
        if record(ctx, &live, fact, now).await? {
            ctx.metrics.answered(wish.state());
            return Ok(live.answered(wish));
        }
    }
    Err(problem::UNAVAILABLE)
}

/// The answer to an acceptance that was recorded while this one was judged, if it was.
async fn accepted_meanwhile(ctx: &Shared, claim: &Claim, now: Timestamp) -> Option<Json<Value>> {
    let live = live(ctx, claim).await.ok().flatten()?;
    (live.answer(claim, now) == Answer::Accepted).then(|| live.answered(Wish::Accept))
}

impl Wish {
    /// The state that it leads to, as the API names it.
    fn state(self) -> &'static str {
        match self {
            Wish::Accept => "Accepted",
            Wish::Decline => "Declined",
        }
    }
}

fn refusal(answer: Answer) -> Problem {
    match answer {
        Answer::Accepted => problem::ACCEPTED,
        Answer::Declined => problem::DECLINED,
        Answer::Revoked => problem::REVOKED,
        Answer::Superseded => problem::SUPERSEDED,
        Answer::Expired | Answer::Open { .. } => problem::EXPIRED,
    }
}

/// Records an answer by the same plan that the controller uses. False: somebody was ahead.
async fn record(ctx: &Shared, live: &Live, fact: Fact, now: Timestamp) -> Result<bool, Problem> {
    let plan = live.invitation.plan(&ctx.world.look(), Place::Full, &vec![fact], now);
    match status::write(ctx, &live.invitation, &plan.status).await {
        // The same status: a fact that changed nothing is no answer.
        Ok(Written::Same) => Ok(false),
        Ok(Written::New(..)) => {
            // Whoever writes what happened tells it: the controller will find nothing new. All else is the controller's.
            for effect in &plan.effects {
                if let Effect::Tell { reason, note, warning } = effect {
                    ctx.events.tell(&live.invitation, reason, note, *warning);
                }
            }
            Ok(true)
        }
        Err(error) if error.is_conflict() || error.is_not_found() => Ok(false),
        Err(error) => Err(failed(&error)),
    }
}

/// The account that the acceptance registers: the one that exists, else a new one.
async fn account_of(ctx: &Shared, live: &Live) -> Result<AccountRef, Problem> {
    let spec = &live.invitation.spec;
    let namespace = live.invitation.namespace().unwrap_or_default();
    let users: KubeApi<PortalUser> = KubeApi::namespaced(ctx.client.clone(), &namespace);
    let address = Address::parse(&spec.email).ok_or(problem::WITHDRAWN)?;
    let known: Vec<String> = {
        let tables = ctx.world.look();
        tables.accounts(&namespace, &spec.tenant_ref.name, &address).iter().map(|u| u.name_any()).collect()
    };
    let belongs = |user: &PortalUser| {
        user.spec.tenant_ref == spec.tenant_ref
            && Address::parse(&user.spec.email).as_ref() == Some(&address)
            && user.meta().deletion_timestamp.is_none()
    };
    for name in known {
        let found = call("read a PortalUser", users.get_opt(&name)).await.map_err(|e| failed(&e))?;
        if let Some(user) = found.filter(belongs) {
            return existing(&user);
        }
    }
    let seen = ctx.world.look().invitation_seen(&live.invitation, Place::Full, ctx.clock.now());
    let wanted = account(&live.invitation, &seen).ok_or(problem::WITHDRAWN)?;
    for _ in 0..2 {
        match call("make a PortalUser", users.create(&PostParams::default(), &wanted)).await {
            Ok(made) => return Ok(AccountRef { name: made.name_any(), uid: made.uid() }),
            Err(error) if error.is_conflict() => {
                let found =
                    call("read a PortalUser", users.get_opt(&wanted.name_any())).await.map_err(|e| failed(&e))?;
                let Some(user) = found else { continue };
                let age = user.metadata.creation_timestamp.as_ref().map(|t| ctx.clock.now().duration_since(t.0));
                let stale = age.is_some_and(|age| age > STALE_ACCOUNT) && portal_user::registration(&user).is_none();
                if !stale {
                    return if belongs(&user) { existing(&user) } else { Err(problem::UNAVAILABLE) };
                }
                let preconditions = Preconditions { uid: user.uid(), resource_version: user.resource_version() };
                let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
                let _ = call("make an account anew", users.delete(&user.name_any(), &params)).await;
            }
            Err(error) => return Err(failed(&error)),
        }
    }
    Err(problem::UNAVAILABLE)
}

/// What an account that exists says to an acceptance.
fn existing(user: &PortalUser) -> Result<AccountRef, Problem> {
    match user.spec.state {
        AccountState::Suspended | AccountState::Deleted => Err(problem::USER_SUSPENDED),
        AccountState::Active if portal_user::is_registered(user) => Err(problem::ALREADY_MEMBER),
        AccountState::Active => Ok(AccountRef { name: user.name_any(), uid: user.uid() }),
    }
}
