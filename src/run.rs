//! `run`: settings become a context, and the context is set to work until a signal ends it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::SignedDuration;
use kube::{Client, Config};
use lettre::message::Mailbox;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::cli::Run;
use crate::controller;
use crate::plan::{Me, Settings};
use crate::shell::mail_source::MailSource;
use crate::shell::{self, Context, Shared, keyring};
use crate::web;

/// Turns under way when a signal comes get so long.
const DRAIN: Duration = Duration::from_secs(20);

/// Runs the operator until SIGTERM or SIGINT.
pub async fn run(settings: Run) -> anyhow::Result<()> {
    let (stop, stopped) = watch::channel(false);
    let mut term = signal(SignalKind::terminate())?;
    let work = operate(settings, stopped);
    tokio::pin!(work);
    tokio::select! {
        ended = &mut work => return ended,
        _ = term.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    tracing::info!("ending: no new turns, what is under way may end");
    stop.send_replace(true);
    work.await
}

async fn operate(run: Run, mut stopped: watch::Receiver<bool>) -> anyhow::Result<()> {
    let metrics = shell::metrics::Metrics::default();
    let client = client(metrics.traffic()).await?;
    let identity = identity(&run)?;
    let source = MailSource {
        url: run.mail_url.clone(),
        url_file: run.mail_url_file.clone(),
        ca_file: run.mail_ca_file.clone(),
    };
    let (target, print) = source.read().map_err(anyhow::Error::msg)?.unzip();
    if target.is_some() && run.mail_from.is_none() {
        bail!("--mail-from is needed together with --mail-url");
    }
    let expiry = run.default_expiry.length();
    if expiry < SignedDuration::from_mins(5) || expiry > SignedDuration::from_hours(90 * 24) {
        bail!("--default-expiry is between 5m and 90d");
    }
    let own_namespace = std::env::var("POD_NAMESPACE").unwrap_or_else(|_| client.default_namespace().to_owned());
    let secret = run.link_keys_secret.clone().unwrap_or_else(|| format!("{own_namespace}/portal-operator-link-keys"));
    let (secret_namespace, secret_name) = secret.split_once('/').context("--link-keys-secret is NAMESPACE/NAME")?;
    let (secret_namespace, secret_name) = (secret_namespace.to_owned(), secret_name.to_owned());
    let has_scheme = |url: &String| url.starts_with("https://") || url.starts_with("http://");
    if !run.public_url.as_ref().is_none_or(has_scheme) {
        bail!("--public-url begins with https:// (or http:// on this machine)");
    }

    let page = TcpListener::bind(run.listen).await.with_context(|| format!("cannot listen at {}", run.listen))?;
    let internal = TcpListener::bind(run.metrics_listen)
        .await
        .with_context(|| format!("cannot listen at {}", run.metrics_listen))?;
    let page_address = page.local_addr()?;
    tracing::info!(what = "page", address = %page_address, "listening");
    tracing::info!(what = "metrics", address = %internal.local_addr()?, "listening");

    // Said after the port is known: links to a port that the system did not choose would lead nowhere.
    let public_url = run.public_url.unwrap_or_else(|| format!("http://localhost:{}", page_address.port()));
    let public_url = public_url.trim_end_matches('/').to_owned();

    let (clock, troubles) = (shell::clock::Clock, shell::trouble::Troubles::default());
    let (election, lead) = if run.leader_elect {
        let namespace = run.lease_namespace.clone().unwrap_or(own_namespace);
        let (client, lease, clock) = (client.clone(), run.lease_name.as_str(), clock.clone());
        let (election, lead) = shell::lease::Election::new(client, &namespace, lease, &identity, clock, &troubles);
        (Some(election), lead)
    } else {
        (None, shell::lease::Lead::always())
    };
    let namespaces =
        if run.namespaces.is_empty() { vec![None] } else { run.namespaces.iter().cloned().map(Some).collect() };
    let world = shell::world::World::new(Settings {
        default_expiry: expiry,
        hold: run.hold_mail,
        has_relay: target.is_some(),
        from: mailbox("--mail-from", run.mail_from.as_ref())?,
        reply_to: mailbox("--mail-reply-to", run.mail_reply_to.as_ref())?,
        signing_key: None,
        me: Me { identity: identity.clone(), elected: lead.is_elected() },
    });
    let (events, tell) = shell::events::Events::new(client.clone(), identity);
    let ctx: Shared = Arc::new(Context {
        world,
        queue: shell::queue::Queue::default(),
        alarm: shell::alarm::Alarm::default(),
        relays: shell::relays::Relays::new(target, run.mail_connections),
        texts: shell::followed::Followed::default(),
        keys: shell::link::Keys::default(),
        events,
        clock,
        lead,
        metrics,
        troubles,
        sorts: shell::workloads::Sorts::default(),
        public_url,
        namespaces,
        client,
    });

    let public = web::serve(page, web::public(ctx.clone(), run.trusted_proxies)?, stopped.clone());
    let private = web::serve(internal, web::internal(ctx.clone()), stopped.clone());
    let keys_ctx = ctx.clone();
    let keys = async move {
        let answered = || {
            if keyring::answered(&keys_ctx) {
                controller::look_at_everything(&keys_ctx);
            }
        };
        keyring::ensured(&keys_ctx, &secret_namespace, &secret_name, answered).await;
        let looked_at = keys_ctx.clone();
        keyring::follow(keys_ctx, secret_namespace, secret_name, move || controller::look_at_everything(&looked_at))
            .await;
    };
    let mail = source.follow(ctx.clone(), print);
    // The lease outlives the turns that end: given back earlier, the next leader would repeat their mails. It does not wait
    // for people who are slow to read a page.
    let (give_back, lease_stop) = watch::channel(false);
    let vote = async move {
        match election {
            Some(election) => election.run(lease_stop).await,
            None => std::future::pending().await,
        }
    };
    let background = tokio::spawn(async move { tokio::join!(keys, tell, mail) });
    let vote = tokio::spawn(vote);
    let serving = tokio::spawn(async move { tokio::join!(public, private) });
    let mut reconcile = tokio::spawn(controller::run(ctx.clone(), stopped.clone()));
    tokio::select! {
        ended = &mut reconcile => return ended.context("the controller panicked"),
        _ = stopped.wait_for(|stop| *stop) => {}
    }
    match tokio::time::timeout(DRAIN, &mut reconcile).await {
        Ok(ended) => ended.context("the controller panicked")?,
        Err(_) => {
            tracing::warn!(seconds = DRAIN.as_secs(), "what was under way is broken off; mails in doubt are repeated");
            reconcile.abort();
            let _ = reconcile.await; // It says that it was aborted.
        }
    }
    give_back.send_replace(true);
    if ctx.lead.is_elected() {
        vote.await.context("the election panicked")?;
    }
    serving.await.context("the web server panicked")?;
    background.abort();
    tracing::info!("ended");
    Ok(())
}

/// A client with deadlines: nothing waits for a silent API server for ever.
async fn client(traffic: Arc<shell::wire::Traffic>) -> anyhow::Result<Client> {
    let mut config = Config::infer().await.context("no kubeconfig and no service account were found")?;
    // Watches say something at least once in WATCH_SECONDS; calls have a deadline of their own.
    config.read_timeout = Some(Duration::from_secs(u64::from(shell::watch::WATCH_SECONDS) + 5));
    config.reset_reader_on_write = true;
    // A write that was answered by 503 or 504 may have been applied: whether it is repeated is the caller's decision.
    config.default_retry = false;
    let agent = concat!("portal-operator/", env!("CARGO_PKG_VERSION"));
    config.headers.push((http::header::USER_AGENT, http::HeaderValue::from_static(agent)));
    let builder = kube::client::ClientBuilder::try_from(config);
    let builder = builder.context("the API server's address or credentials cannot be used")?;
    let counted = tower::layer::layer_fn(move |inner| shell::wire::Counted::new(inner, traffic.clone()));
    Ok(builder.with_layer(&counted).build())
}

fn identity(run: &Run) -> anyhow::Result<String> {
    if let Some(identity) = run.identity.clone().or_else(|| std::env::var("POD_NAME").ok()) {
        return Ok(identity);
    }
    let host = std::env::var("HOSTNAME")
        .ok()
        .or_else(|| std::fs::read_to_string("/etc/hostname").ok())
        .map_or_else(|| "portal-operator".into(), |h| h.trim().to_owned());
    Ok(format!("{host}-{:08x}", getrandom::u32()?))
}

/// A mailbox of the command line: refused at start rather than found out by the first mail.
fn mailbox(what: &str, text: Option<&String>) -> anyhow::Result<Option<String>> {
    let parsed = text.map(|text| {
        text.parse::<Mailbox>().with_context(|| format!("{what} is no mailbox: write `Name <address@example.com>`"))
    });
    Ok(parsed.transpose()?.map(|mailbox| mailbox.to_string()))
}
