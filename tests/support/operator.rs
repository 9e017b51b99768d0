//! The real binary, started for one namespace, killed for real.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use super::{
    PATIENCE,
    cluster::{Namespace, tail},
    http,
    process::Process,
    random, test_dir, until,
};

/// How an operator is started. Flags of the same name replace each other, so that a test can overrule every default.
pub struct Launch<'a> {
    namespace: &'a Namespace,
    flags: Vec<(String, Option<String>)>,
    env: Vec<(String, String)>,
    kubeconfig: PathBuf,
    identity: String,
}

impl Launch<'_> {
    /// Sets a flag: `flag("--default-expiry", "14d")`.
    pub fn flag(mut self, name: &str, value: impl Into<String>) -> Self {
        self.flags.retain(|(flag, _)| flag != name);
        self.flags.push((name.to_owned(), Some(value.into())));
        self
    }

    /// Leaves a flag out.
    pub fn without(mut self, name: &str) -> Self {
        self.flags.retain(|(flag, _)| flag != name);
        self
    }

    /// Adds an argument as it is: `arg("--hold-mail")`, or one that may be repeated.
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.flags.push((argument.into(), None));
        self
    }

    /// Sets an environment variable. The operator inherits none of ours that begin with `PORTAL_OPERATOR_`: they are
    /// its flags.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    pub fn mail_url(self, url: impl Into<String>) -> Self {
        self.flag("--mail-url", url)
    }

    pub fn public_url(self, url: impl Into<String>) -> Self {
        self.flag("--public-url", url)
    }

    /// `--identity`; the log is named after it.
    pub fn identity(mut self, identity: &str) -> Self {
        identity.clone_into(&mut self.identity);
        self.flag("--identity", identity)
    }

    /// Another way to the API server, such as a [`FaultProxy`](super::proxy::FaultProxy)'s.
    pub fn kubeconfig(mut self, path: impl AsRef<Path>) -> Self {
        path.as_ref().clone_into(&mut self.kubeconfig);
        self
    }

    /// Starts it and returns when it is ready.
    pub async fn start(self) -> Operator {
        let mut operator = self.start_unready();
        operator.ready().await;
        operator
    }

    /// Starts it without waiting for anything; [`Operator::ready`] waits later.
    pub fn start_unready(self) -> Operator {
        let log = test_dir().join(format!("{}-{}.log", self.namespace.name(), self.identity));
        self.namespace.report(log.clone());
        let mut command = Command::new(env!("CARGO_BIN_EXE_portal-operator"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PORTAL_OPERATOR_") || name == "POD_NAME" {
                command.env_remove(name);
            }
        }
        command.arg("run");
        for (flag, value) in &self.flags {
            match value {
                Some(value) => command.arg(format!("{flag}={value}")),
                None => command.arg(flag),
            };
        }
        command.env("KUBECONFIG", &self.kubeconfig).env("RUST_LOG", "portal_operator=trace,info").envs(self.env);
        let (process, offset) = spawn(&mut command, &log);
        Operator { command, process, log, offset, page: String::new(), metrics: String::new() }
    }

    /// Runs it until it ends by itself, as it has to where its arguments are wrong. Yields its exit code and its log.
    pub async fn run_to_its_end(self) -> (i32, String) {
        let operator = self.start_unready();
        let code = operator.end().await;
        (code, operator.log())
    }
}

/// Starts `command` with its output appended to `log`; yields where that output begins.
fn spawn(command: &mut Command, log: &Path) -> (Process, usize) {
    let out: File = OpenOptions::new().create(true).append(true).open(log).expect("a file");
    let offset = out.metadata().expect("a file").len() as usize;
    let err = out.try_clone().expect("a file");
    (Process::spawn(command.stdin(std::process::Stdio::null()).stdout(out).stderr(err)), offset)
}

/// A running operator; killed when dropped.
pub struct Operator {
    command: Command,
    process: Process,
    log: PathBuf,
    offset: usize,
    page: String,
    metrics: String,
}

impl Operator {
    /// An operator without any settings: whoever starts it brings all, with ports that the system chooses and a log in
    /// JSON. Its log belongs to the namespace.
    pub fn bare(namespace: &Namespace) -> Launch<'_> {
        Launch {
            namespace,
            flags: Vec::new(),
            env: Vec::new(),
            kubeconfig: PathBuf::from(std::env::var_os("KUBECONFIG").expect("a Namespace was there before")),
            identity: format!("bare-{}", random()),
        }
    }

    /// An operator for one namespace, with settings under which tests run side by side.
    pub fn in_namespace(namespace: &Namespace) -> Launch<'_> {
        Operator::bare(namespace)
            .flag("--namespace", namespace.name())
            .flag("--mail-from", "Portal <portal@portal.example>")
            .flag("--public-url", "http://127.0.0.1:1/")
            .flag("--listen", "127.0.0.1:0")
            .flag("--metrics-listen", "127.0.0.1:0")
            .flag("--link-keys-secret", format!("{}/link-keys", namespace.name()))
            .flag("--leader-elect", "false")
            .flag("--log-format", "json")
            .identity(&format!("operator-{}", random()))
    }

    /// Returns when it listens and calls itself ready.
    pub async fn ready(&mut self) {
        self.page = self.listening("page").await;
        self.metrics = self.listening("metrics").await;
        let url = format!("{}readyz", self.metrics);
        until("readyz", PATIENCE, || async {
            self.assert_alive();
            let answer = http::get(&url).await.map_err(|error| error.to_string())?;
            if answer.status == 200 { Ok(()) } else { Err(format!("{} {}", answer.status, answer.text())) }
        })
        .await;
    }

    /// GET of one of the pages that are not for people, such as `healthz`, of one that need not be ready: status and
    /// text.
    pub async fn get(&self, page: &str) -> (u16, String) {
        let base = if self.metrics.is_empty() { self.listening("metrics").await } else { self.metrics.clone() };
        let answer = http::get(&format!("{base}{page}")).await.expect("an answer");
        (answer.status, answer.text())
    }

    /// Whether it calls itself ready, and what it says of it.
    pub async fn readyz(&self) -> (u16, String) {
        self.get("readyz").await
    }

    /// The URL of one of its servers, taken from its log.
    async fn listening(&self, what: &str) -> String {
        until(format!("{what} to listen"), PATIENCE, || async {
            let told = self.told("listening").into_iter().find(|fields| fields["what"] == what);
            if told.is_none() {
                self.assert_alive();
            }
            told.and_then(|fields| Some(format!("http://{}/", fields["address"].as_str()?)))
        })
        .await
    }

    fn assert_alive(&self) {
        if let Some(code) = self.process.ended() {
            panic!("the operator ended with {code}:\n{}", tail(&self.log, 20));
        }
    }

    /// The fields of all log lines of this run with that message.
    pub fn told(&self, message: &str) -> Vec<Value> {
        let lines: Vec<Value> = self.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let fields = lines.into_iter().map(|mut line: Value| line["fields"].take());
        fields.filter(|fields| fields["message"] == message).collect()
    }

    /// What it has logged since it was started last.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(self.offset..).unwrap_or_default()).into_owned()
    }

    /// Where it serves the page, with a slash at the end.
    pub fn page_url(&self) -> &str {
        assert!(!self.page.is_empty(), "call ready() first");
        &self.page
    }

    /// GET of /metrics.
    pub async fn metrics(&self) -> String {
        self.get("metrics").await.1
    }

    /// The sum of all samples of a metric whose line contains each of `labels`, such as `outcome="sent"`.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let metrics = self.metrics().await;
        let samples = metrics.lines().filter(|line| {
            let rest = line.strip_prefix(name).unwrap_or_default();
            rest.starts_with(['{', ' ']) && labels.iter().all(|label| rest.contains(label))
        });
        samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    async fn answer(&self, verb: &str, token: &str) -> (u16, Value) {
        let url = format!("{}api/v1/invitations/{verb}", self.page_url());
        let answer = http::post(&url, &json!({ "token": token })).await.expect("an answer");
        (answer.status, answer.json())
    }

    /// POST of a token to the JSON API: status and body.
    pub async fn inspect(&self, token: &str) -> (u16, Value) {
        self.answer("inspect", token).await
    }

    pub async fn accept(&self, token: &str) -> (u16, Value) {
        self.answer("accept", token).await
    }

    pub async fn decline(&self, token: &str) -> (u16, Value) {
        self.answer("decline", token).await
    }

    /// A handle for those who kill it in the middle of something. After a restart it means a dead process.
    pub fn process(&self) -> Process {
        self.process.clone()
    }

    pub fn sigkill(&self) {
        self.process.kill();
    }

    /// Asks it to end and yields its exit code.
    pub async fn sigterm(&self) -> i32 {
        self.process.signal("TERM");
        self.end().await
    }

    /// Freezes it: a long pause of the machine, as others see it.
    pub fn sigstop(&self) {
        self.process.signal("STOP");
    }

    pub fn sigcont(&self) {
        self.process.signal("CONT");
    }

    /// Waits for its end and yields the exit code, 137 after a SIGKILL.
    pub async fn end(&self) -> i32 {
        until("the operator to end", PATIENCE, || async { self.process.ended() }).await
    }

    /// Kills it if it still runs and starts it again, with the same arguments and on other ports.
    pub async fn restart(&mut self) {
        self.restart_unready();
        self.ready().await;
    }

    pub fn restart_unready(&mut self) {
        self.process.kill();
        (self.process, self.offset) = spawn(&mut self.command, &self.log);
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.process.kill();
    }
}
