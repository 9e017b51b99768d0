//! What the integration tests stand on: real servers, started and stopped by each test, and ways to hurt them.
//!
//! * [`cluster`]: a namespace per test on a real API server.
//! * [`objects`]: what tests do with objects, as methods of the namespace.
//! * [`operator`]: the real binary, killed for real.
//! * [`proxy`]: a reverse proxy in front of the API server that loses, delays and refuses.
//! * [`audit`]: what the API server says that the operator asked for.
//! * [`mailpit`] and [`mail`]: a mail server, and mails as their readers see them.
//! * [`secrets`]: looks for what must not be told.
//! * [`http`] and [`process`]: the two tools beneath.
#![allow(dead_code, unused_imports, reason = "a harness offers more than each test target uses")]

pub mod audit;
pub mod cluster;
pub mod http;
pub mod mail;
pub mod mailpit;
pub mod objects;
pub mod operator;
pub mod process;
pub mod proxy;
pub mod secrets;
pub mod smtp;

use std::{
    fmt::Display,
    io::Write,
    panic::Location,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use jiff::Timestamp;

/// How long a test waits for what has to happen. Generous: a whole suite shares two cores; nothing waits it out unless
/// it fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What a poll saw: the thing waited for, or something to show when patience ends.
pub trait Sight<T> {
    fn sight(self) -> Result<T, String>;
}

impl<T> Sight<T> for Option<T> {
    fn sight(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing".to_owned())
    }
}

impl<T, E: Display> Sight<T> for Result<T, E> {
    fn sight(self) -> Result<T, String> {
        self.map_err(|error| error.to_string())
    }
}

impl Sight<()> for bool {
    fn sight(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("false".to_owned()) }
    }
}

/// Polls `look` every 50 ms until it sees what is waited for. `look` yields an Option, a bool, or a Result whose error
/// is what it saw instead: the message of a failure carries the last one.
#[track_caller]
pub fn until<T, S: Sight<T>, F: Future<Output = S>>(
    what: impl Display,
    patience: Duration,
    look: impl FnMut() -> F,
) -> impl Future<Output = T> {
    until_at(Location::caller(), what, patience, look)
}

/// [`until`] on behalf of a caller, whose line the message of a failure names.
pub async fn until_at<T, S: Sight<T>, F: Future<Output = S>>(
    caller: &Location<'_>,
    what: impl Display,
    patience: Duration,
    mut look: impl FnMut() -> F,
) -> T {
    let start = Instant::now();
    loop {
        match look().await.sight() {
            Ok(found) => return found,
            Err(seen) if start.elapsed() >= patience => {
                panic!("{caller}: waited {patience:?} for {what}; last seen: {seen}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// The folder of the control plane: audit.log, logs and numbers of the servers. Tests put their own files there too.
pub fn test_dir() -> PathBuf {
    PathBuf::from(std::env::var_os("PORTAL_OPERATOR_TEST_DIR").expect("a Namespace was there before"))
}

/// A file of this repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The time, in whole seconds like all times of the API.
#[expect(clippy::disallowed_methods, reason = "tests have to set dates that lie around now")]
pub fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).expect("in range")
}

/// Eight hexadecimal digits that no other test has.
pub fn random() -> String {
    format!("{:08x}", getrandom::u32().expect("the system has random numbers"))
}

/// Prints past the test runner, which hides the output of tests that pass.
pub fn say_loudly(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
