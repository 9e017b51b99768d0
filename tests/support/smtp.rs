//! A relay that keeps to a script: an SMTP server on a real socket, for tests.
//!
//! Without a script it takes every mail. A script says what happens at which step: another answer, silence, a broken
//! connection, delay. It runs on threads of its own, so that a test may block, and it is strict where relays differ:
//! a line ends with CRLF, a mail with CRLF, dot, CRLF, and nothing else.

// Each test binary has a copy of this module and uses its own share of it.
#![allow(dead_code)]

#[path = "smtp/session.rs"]
mod session;
#[path = "smtp/tls.rs"]
mod tls;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::watch;

pub use tls::{Flaw, TlsMaterial};

/// A moment of a session at which a script may interfere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The connection is taken; nothing is said yet.
    Connect,
    /// The greeting. With implicit TLS it is said inside.
    Greeting,
    /// EHLO.
    Ehlo,
    /// STARTTLS.
    StartTls,
    /// The TLS handshake. It has no answer: it can be delayed, left out or cut.
    Handshake,
    /// AUTH, and each answer to a challenge. Its subject is the mechanism.
    Auth,
    /// MAIL FROM. Its subject is what follows the colon.
    Mail,
    /// RCPT TO. Its subject is what follows the colon.
    Rcpt,
    /// DATA.
    Data,
    /// Between the answer to DATA and the mail. It has no answer; silence means that nothing is read any more.
    Body,
    /// The mail's final dot. Its subject is the recipient.
    Dot,
    /// RSET.
    Rset,
    /// QUIT.
    Quit,
}

/// Whether a step's answer has been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The command was read, nothing is answered.
    Before,
    /// The answer was written.
    After,
}

/// Called at each step, on the relay's thread: the session waits for it.
pub type Hook = Arc<dyn Fn(Step, When) + Send + Sync>;

#[derive(Clone)]
enum Act {
    Answer(Vec<u8>),
    Drip(Vec<u8>, Duration),
    Flood(Vec<u8>, usize),
    Silence,
    CutBefore,
    CutAfter,
    Delay(Duration),
}

#[derive(Clone)]
struct Rule {
    step: Step,
    /// What the step's subject contains.
    only: Option<String>,
    /// How many mails this session must have brought before.
    after: usize,
    act: Act,
}

/// What a relay does differently from one that takes everything. Of several answers to one step the last one counts.
#[derive(Clone, Default)]
pub struct Script {
    rules: Vec<Rule>,
    ehlo: Option<Vec<String>>,
    implicit: Option<TlsMaterial>,
    starttls: Option<TlsMaterial>,
    login: Option<(String, String)>,
    most: Option<usize>,
    reset: bool,
    hook: Option<Hook>,
}

impl Script {
    /// Answers a step with this line (or these lines, with `\r\n` in between). The relay does what the answer says: it
    /// goes on only after a yes that belongs to the step.
    pub fn reply(self, step: Step, line: &str) -> Self {
        self.raw(step, format!("{line}\r\n"))
    }

    /// The same, if the step's subject contains `only`.
    pub fn reply_to(self, only: &str, step: Step, line: &str) -> Self {
        let act = Act::Answer(format!("{line}\r\n").into_bytes());
        self.rule(Rule { step, only: Some(only.to_owned()), after: 0, act })
    }

    /// The same, once a session has brought so many mails.
    pub fn reply_after(self, mails: usize, step: Step, line: &str) -> Self {
        let act = Act::Answer(format!("{line}\r\n").into_bytes());
        self.rule(Rule { step, only: None, after: mails, act })
    }

    /// Answers a step with these bytes.
    pub fn raw(self, step: Step, bytes: impl Into<Vec<u8>>) -> Self {
        self.act(step, Act::Answer(bytes.into()))
    }

    /// Answers a step with these bytes one by one, each after a pause.
    pub fn drip(self, step: Step, bytes: impl Into<Vec<u8>>, pause: Duration) -> Self {
        self.act(step, Act::Drip(bytes.into(), pause))
    }

    /// Answers a step with this pattern again and again, `total` bytes altogether, and then not at all.
    pub fn flood(self, step: Step, pattern: impl Into<Vec<u8>>, total: usize) -> Self {
        self.act(step, Act::Flood(pattern.into(), total))
    }

    /// Says nothing at this step, and nothing more in this session.
    pub fn silent_at(self, step: Step) -> Self {
        self.act(step, Act::Silence)
    }

    /// Closes the connection instead of answering.
    pub fn cut_before(self, step: Step) -> Self {
        self.act(step, Act::CutBefore)
    }

    /// Closes the connection right after answering.
    pub fn cut_after(self, step: Step) -> Self {
        self.act(step, Act::CutAfter)
    }

    /// Cuts are resets (RST), not ends (FIN).
    pub fn with_resets(mut self) -> Self {
        self.reset = true;
        self
    }

    /// Waits before it answers a step.
    pub fn delay(self, step: Step, time: Duration) -> Self {
        self.act(step, Act::Delay(time))
    }

    /// Waits before it answers a mail's final dot.
    pub fn mail_takes(self, time: Duration) -> Self {
        self.delay(Step::Dot, time)
    }

    /// Greets with this line.
    pub fn greeting(self, line: &str) -> Self {
        self.reply(Step::Greeting, line)
    }

    /// Answers EHLO with these lines, the first of which is the relay's name, and with nothing else.
    pub fn ehlo(mut self, lines: &[&str]) -> Self {
        self.ehlo = Some(lines.iter().map(ToString::to_string).collect());
        self
    }

    /// Offers STARTTLS, and the login only inside.
    pub fn starttls(mut self, material: &TlsMaterial) -> Self {
        self.starttls = Some(material.clone());
        self
    }

    /// Speaks TLS from the first byte.
    pub fn implicit_tls(mut self, material: &TlsMaterial) -> Self {
        self.implicit = Some(material.clone());
        self
    }

    /// Takes mail only after this login, by PLAIN or LOGIN.
    pub fn auth(mut self, user: &str, password: &str) -> Self {
        self.login = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// Greets with 421 while it has so many connections.
    pub fn max_connections(mut self, most: usize) -> Self {
        self.most = Some(most);
        self
    }

    /// Calls this at each step.
    pub fn hook(mut self, hook: Hook) -> Self {
        self.hook = Some(hook);
        self
    }

    fn act(self, step: Step, act: Act) -> Self {
        self.rule(Rule { step, only: None, after: 0, act })
    }

    fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// What happens at this step, the last rule first.
    fn acts<'a>(&'a self, step: Step, subject: &'a str, mails: usize) -> impl Iterator<Item = &'a Act> {
        let applies = move |rule: &&Rule| {
            rule.step == step && rule.after <= mails && rule.only.as_ref().is_none_or(|only| subject.contains(only))
        };
        self.rules.iter().rev().filter(applies).map(|rule| &rule.act)
    }
}

/// A mail whose final dot arrived, and which the relay did not refuse: whether the client learned of it or not.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Sender.
    pub from: String,
    /// Recipients.
    pub to: Vec<String>,
    /// What followed the sender: SIZE, BODY and the like.
    pub parameters: String,
    /// The mail, dots unstuffed, without the final dot.
    pub bytes: Vec<u8>,
    /// When its final dot arrived.
    pub at: Instant,
    /// The session that brought it, counted from 1.
    pub session: usize,
}

/// A command as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The session, counted from 1.
    pub session: usize,
    /// Whether it came through TLS.
    pub protected: bool,
    /// Its text, without the line's end.
    pub text: String,
}

#[derive(Default)]
struct Log {
    mails: Vec<Mail>,
    logins: Vec<(String, String)>,
    lines: Vec<Line>,
    connections: usize,
    open: usize,
    most_open: usize,
    written: usize,
}

struct Shared {
    script: Mutex<Script>,
    log: Mutex<Log>,
    mails: watch::Sender<usize>,
}

impl Shared {
    fn script(&self) -> Script {
        lock(&self.script).clone()
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        lock(&self.log)
    }

    fn keep(&self, mail: Mail) {
        let mut log = self.log();
        log.mails.push(mail);
        self.mails.send_replace(log.mails.len());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running relay. It stops when it is dropped.
pub struct ScriptedRelay {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Drop for ScriptedRelay {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl ScriptedRelay {
    /// Starts a relay on a free port of 127.0.0.1.
    pub fn start(script: Script) -> Self {
        Self::start_at(0, script)
    }

    /// Starts a relay on this port: one that comes back, say.
    pub fn start_at(port: u16, script: Script) -> Self {
        // Two threads: a hook that waits must not hold up the other sessions.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime for the relay");
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a port for the relay");
        let address = listener.local_addr().expect("the relay's address");
        listener.set_nonblocking(true).expect("a non-blocking listener");
        let shared = Arc::new(Shared {
            script: Mutex::new(script),
            log: Mutex::new(Log::default()),
            mails: watch::Sender::new(0),
        });
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener).expect("a listener for the relay")
        };
        runtime.spawn(session::serve(listener, shared.clone()));
        ScriptedRelay { address, shared, runtime: Some(runtime) }
    }

    /// Changes the script, for running sessions too: their next step goes by it. TLS holds for new sessions.
    pub fn set(&self, script: Script) {
        *lock(&self.shared.script) = script;
    }

    /// `smtp://127.0.0.1:PORT`, for `--mail-url`.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The mails that it took, in the order of their final dots.
    pub fn mails(&self) -> Vec<Mail> {
        self.shared.log().mails.clone()
    }

    /// The logins that were tried: user and password.
    pub fn logins(&self) -> Vec<(String, String)> {
        self.shared.log().logins.clone()
    }

    /// The commands that came.
    pub fn lines(&self) -> Vec<Line> {
        self.shared.log().lines.clone()
    }

    /// How many commands began with this word.
    pub fn count(&self, verb: &str) -> usize {
        self.shared.log().lines.iter().filter(|line| line.text.starts_with(verb)).count()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.shared.log().connections
    }

    /// How many connections there are.
    pub fn open_connections(&self) -> usize {
        self.shared.log().open
    }

    /// How many connections there were at one time, at most.
    pub fn most_connections(&self) -> usize {
        self.shared.log().most_open
    }

    /// How many bytes clients took.
    pub fn written(&self) -> usize {
        self.shared.log().written
    }

    /// Waits until so many mails were taken, or the time is over: returns those that came.
    pub async fn wait_for(&self, mails: usize, time: Duration) -> Vec<Mail> {
        let mut count = self.shared.mails.subscribe();
        let _ = tokio::time::timeout(time, count.wait_for(|count| *count >= mails)).await;
        self.mails()
    }
}
