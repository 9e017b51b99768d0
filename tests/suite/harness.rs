//! The harness itself: a fault that is not played proves nothing, a count that misses writes proves less.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, Config,
    api::{DeleteParams, PostParams, WatchEvent, WatchParams},
    config::Kubeconfig,
};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::support::{
    audit::Audit,
    cluster::Namespace,
    mailpit::Mailpit,
    objects::status,
    process::Process,
    proxy::{Calls, FaultProxy, Next, Then},
    until,
};

fn map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}})).expect("a ConfigMap")
}

/// What an operator behind the proxy would use: no retries, and a name for the audit log.
async fn through(proxy: &FaultProxy, namespace: &Namespace) -> Api<ConfigMap> {
    let access = Kubeconfig::read_from(proxy.kubeconfig()).expect("a kubeconfig");
    let mut config = Config::from_custom_kubeconfig(access, &Default::default()).await.expect("complete");
    config.default_retry = false;
    config.headers.push(("user-agent".parse().expect("a name"), "portal-operator/test".parse().expect("a value")));
    Api::namespaced(Client::try_from(config).expect("complete"), namespace.name())
}

fn code(error: kube::Error) -> u16 {
    match error {
        kube::Error::Api(status) => status.code,
        _ => 0,
    }
}

#[tokio::test]
async fn the_proxy_refuses_before_and_after_the_work() {
    let Some(ns) = Namespace::new("proxy-refuses").await else { return };
    let proxy = FaultProxy::start().await;
    let api = through(&proxy, &ns).await;
    let create = async |name: &str| api.create(&PostParams::default(), &map(name)).await.map(drop).map_err(code);

    let creates = || Calls::writes().of("configmaps");
    proxy.before(creates().nth(1), Then::Refuse(409));
    proxy.after(creates().nth(2), Then::Refuse(503));
    proxy.before(creates().nth(3), Then::Drop);
    let lost = proxy.after(creates().nth(4), Then::Drop);
    assert_eq!(create("a").await, Err(409));
    assert_eq!(create("b").await, Err(503));
    assert_eq!(create("c").await, Err(0));
    assert_eq!(create("d").await, Err(0));
    assert_eq!(create("e").await, Ok(()));
    assert_eq!((lost.met(), lost.fired()), (5, 1));

    let mut made: Vec<_> = ns.list::<ConfigMap>().await.into_iter().filter_map(|map| map.metadata.name).collect();
    made.retain(|name| name.len() == 1); // every namespace gets a map with the root certificate
    assert_eq!(made, ["b", "d", "e"], "those before the work were never done");
    let calls: Vec<_> = proxy.writes().into_iter().map(|call| (call.name, call.status)).collect();
    let expected = [("a", Some(409)), ("b", Some(503)), ("c", None), ("d", None), ("e", Some(201))];
    assert_eq!(calls, expected.map(|(name, status)| (name.to_owned(), status)));
}

#[tokio::test]
async fn the_proxy_delays_swallows_and_calls_hooks() {
    let Some(ns) = Namespace::new("proxy-delays").await else { return };
    let proxy = FaultProxy::start().await;
    let api = through(&proxy, &ns).await;

    let slow = proxy.before(Calls::verb("list"), Then::Delay(Duration::from_millis(300)));
    let start = Instant::now();
    api.list(&Default::default()).await.expect("a list");
    assert!(start.elapsed() >= Duration::from_millis(300));
    slow.lift();

    let hole = proxy.after(Calls::verb("create"), Then::BlackHole);
    let (client, name) = (ns.client(), ns.name().to_owned());
    proxy.before(
        Calls::verb("get").named("hooked"),
        Then::hook(move |call| {
            assert_eq!((call.resource.as_str(), &call.namespace), ("configmaps", &name));
            let _ = &client;
            Next::Drop
        }),
    );
    let swallowed = tokio::spawn({
        let api = api.clone();
        async move { api.create(&PostParams::default(), &map("swallowed")).await }
    });
    hole.wait_fired(1).await;
    ns.wait::<ConfigMap>("swallowed", "is made", |_| true).await;
    assert!(!swallowed.is_finished(), "nothing comes out of a black hole");
    proxy.lift_all();
    swallowed.await.expect("no panic").expect_err("its answer was lost");
}

#[tokio::test]
async fn a_process_is_killed_in_the_middle_of_a_call() {
    let Some(ns) = Namespace::new("proxy-kills").await else { return };
    let proxy = FaultProxy::start().await;
    let api = through(&proxy, &ns).await;
    let sleeper = Process::spawn(std::process::Command::new("sleep").arg("600"));
    sleeper.signal("STOP");
    sleeper.signal("CONT");
    assert_eq!(sleeper.ended(), None);

    proxy.after(Calls::verb("create"), Then::Kill(sleeper.clone()));
    api.create(&PostParams::default(), &map("last")).await.expect_err("the answer is lost");
    assert_eq!(sleeper.ended(), Some(137));
    ns.get::<ConfigMap>("last").await;
}

#[tokio::test]
async fn watches_stream_and_can_be_held_cut_and_ended() {
    let Some(ns) = Namespace::new("proxy-watches").await else { return };
    let proxy = FaultProxy::start().await;
    let api = through(&proxy, &ns).await;
    let direct = ns.api::<ConfigMap>();
    let make = async |name: &str| direct.create(&PostParams::default(), &map(name)).await.map(drop).expect("made");
    let seen = |event: WatchEvent<ConfigMap>| match event {
        WatchEvent::Added(map) => map.metadata.name.unwrap_or_default(),
        WatchEvent::Deleted(map) => format!("-{}", map.metadata.name.unwrap_or_default()),
        WatchEvent::Error(status) => status.code.to_string(),
        other => panic!("{other:?}"),
    };
    let version = direct.list(&Default::default()).await.expect("a list").metadata.resource_version.expect("one");
    let fields = WatchParams::default().fields("metadata.name!=kube-root-ca.crt").disable_bookmarks();
    let watch = async || api.watch(&fields, &version).await.expect("a watch").map_ok(seen).boxed();
    let pause = Duration::from_millis(300);

    let mut events = watch().await;
    make("a").await;
    assert_eq!(events.try_next().await.expect("an event"), Some("a".to_owned()));
    assert_eq!((proxy.open_watches("configmaps"), proxy.open_watches("secrets")), (1, 0));

    proxy.hold_watches("configmaps");
    make("b").await;
    assert!(tokio::time::timeout(pause, events.next()).await.is_err(), "held back");
    proxy.release_watches();
    assert_eq!(events.try_next().await.expect("an event"), Some("b".to_owned()));

    proxy.hold_watches("");
    make("c").await;
    direct.delete("c", &DeleteParams::default()).await.expect("deleted");
    let mut late = watch().await; // a watch that begins while all are held is held, too
    assert!(tokio::time::timeout(pause, late.next()).await.is_err(), "held back");
    proxy.release_watches_as_gone();
    assert_eq!(events.try_next().await.expect("an event"), Some("410".to_owned()), "c was never seen");
    assert_eq!(late.try_next().await.expect("an event"), Some("410".to_owned()));

    let mut events = watch().await;
    assert_eq!(events.try_next().await.expect("an event"), Some("a".to_owned()));
    proxy.cut_watches("configmaps");
    let broken = async { while let Some(Ok(_)) = events.next().await {} };
    tokio::time::timeout(pause * 10, broken).await.expect("the watch breaks");
    until("the watches to be forgotten", pause * 10, async || proxy.open_watches("") == 0).await;
}

#[tokio::test]
async fn the_audit_log_knows_who_wrote_what() {
    let Some(ns) = Namespace::new("audit").await else { return };
    let proxy = FaultProxy::start().await;
    let api = through(&proxy, &ns).await;
    let audit = Audit::from_now(&ns);
    ns.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: foreign}}").await;
    api.create(&PostParams::default(), &map("own")).await.expect("made");
    api.get("own").await.expect("there");
    api.create(&PostParams::default(), &map("own")).await.expect_err("there already");
    api.delete("own", &DeleteParams::default()).await.expect("deleted");

    let writes: Vec<_> = audit.writes().iter().map(|write| (write.verb.clone(), write.code)).collect();
    assert_eq!(writes, [("create", 201), ("create", 409), ("delete", 200)].map(|(verb, code)| (verb.to_owned(), code)));
    assert_eq!(audit.requests().len(), 4);
    assert_eq!(audit.writes_to("configmaps", "own"), audit.writes(), "creates bear the name too");
    audit.quiet_for(Duration::from_millis(200), Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_mail_and_its_link_are_read_back() {
    let Some(_ns) = Namespace::new("mailpit").await else { return };
    let mailpit = Mailpit::start().await;
    let stream = TcpStream::connect(mailpit.smtp_address()).await.expect("a connection");
    let mut stream = BufReader::new(stream);
    let mail = "From: Portal <portal@portal.example>\r\nTo: Grace <grace@acme.example>\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n\
        Message-ID: <1@portal.example>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/alternative; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
        Welcome: http://127.0.0.1:1/invitation#to=\r\nken\r\n\r\n\
        --b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n\
        <a href=\"http://127.0.0.1:1/invitation#token\">Welcome</a>\r\n--b--\r\n.\r\n";
    let steps = [
        "EHLO test\r\n",
        "MAIL FROM:<portal@portal.example>\r\n",
        "RCPT TO:<grace@acme.example>\r\n",
        "DATA\r\n",
        mail,
    ];
    let mut line = String::new();
    stream.read_line(&mut line).await.expect("a greeting");
    for step in steps {
        stream.write_all(step.as_bytes()).await.expect("sent");
        line.clear();
        while line.is_empty() || line.as_bytes()[3] == b'-' {
            line.clear();
            stream.read_line(&mut line).await.expect("an answer");
        }
        assert!(line.starts_with(['2', '3']), "{step}: {line}");
    }

    let mail = mailpit.mail_to("grace@acme.example").await;
    assert_eq!((mail.subject.as_str(), mail.message_id.as_str()), ("Grüße", "1@portal.example"));
    assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
    assert_eq!(mail.link().token, "token");
    assert_eq!(mail.link().url, "http://127.0.0.1:1/invitation#token");
    assert!(!format!("{:?}", mail.link()).contains("token"));
    mailpit.clear().await;
    assert_eq!(mailpit.messages().await.len(), 0);
}

#[tokio::test]
async fn a_condition_is_waited_for_until_it_fits_the_generation() {
    use portal_operator::api::Invitation;
    let Some(ns) = Namespace::new("conditions").await else { return };
    ns.apply("{kind: Invitation, metadata: {name: grace}, spec: {tenantRef: {name: acme}, email: grace@acme.example}}")
        .await;
    assert_eq!(status(&ns.get::<Invitation>("grace").await)["observedGeneration"], -1);
    let ready = json!({"type": "Ready", "status": "False", "reason": "TenantNotFound", "message": "no acme",
        "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let patch = json!({"status": {"observedGeneration": 1, "state": "Pending", "conditions": [ready]}});
    ns.merge_status::<Invitation>("grace", patch).await;
    ns.wait_state::<Invitation>("grace", "Pending").await;
    ns.wait_condition::<Invitation>("grace", "Ready", "False", "TenantNotFound").await;
    assert!(ns.dump().await.contains("reason: TenantNotFound"));
    assert_eq!(ns.list_where::<Invitation>("status.state=Pending").await.len(), 1);

    let revoked = ns.merge::<Invitation>("grace", json!({"spec": {"revoked": true}})).await;
    assert_eq!(revoked.metadata.generation, Some(2));
    let stale = ns.wait_condition::<Invitation>("grace", "Ready", "False", "TenantNotFound");
    assert!(tokio::time::timeout(Duration::from_millis(300), stale).await.is_err(), "judged on generation 1");
    ns.delete::<Invitation>("grace").await;
    assert!(ns.find::<Invitation>("grace").await.is_none());
}
