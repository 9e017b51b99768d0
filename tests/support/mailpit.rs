//! A real mail server, one for each test that wants one.

use std::{
    fs::File,
    net::TcpListener,
    process::{Command, Stdio},
    sync::OnceLock,
};

use serde_json::{Value, json};

use super::{PATIENCE, http, mail::Mail, process::Process, random, repository, test_dir, until};

/// A running Mailpit; stopped when dropped.
pub struct Mailpit {
    process: Process,
    smtp: u16,
    http: u16,
}

/// A mail in Mailpit's list.
#[derive(Clone, Debug)]
pub struct Listed {
    pub id: String,
    /// Addresses of To, without names.
    pub to: Vec<String>,
    pub subject: String,
    pub message_id: String,
}

impl Mailpit {
    /// Starts one on ports that were free a moment ago, on others if somebody was faster.
    pub async fn start() -> Self {
        // Built once, which may take a minute.
        static PROGRAM: OnceLock<String> = OnceLock::new();
        let program = tokio::task::spawn_blocking(|| PROGRAM.get_or_init(program)).await.expect("Mailpit");
        for _ in 0..10 {
            let started = Mailpit::spawn(program);
            let url = started.url("/readyz");
            let alive = until("Mailpit to be ready", PATIENCE, || async {
                let ready = http::get(&url).await.is_ok_and(|answer| answer.status == 200);
                // It ends when it cannot listen. Another process may answer in its place, so that is asked last.
                match started.process.ended() {
                    Some(_) => Some(false),
                    None => ready.then_some(true),
                }
            })
            .await;
            if alive {
                return started;
            }
        }
        panic!("Mailpit ended ten times, its logs are in {}", test_dir().display());
    }

    fn spawn(program: &str) -> Self {
        let free = || TcpListener::bind("127.0.0.1:0").expect("a port");
        let (smtp, http) = (free(), free()); // both held until both are known, so that they differ
        let port = |listener: TcpListener| listener.local_addr().expect("bound").port();
        let (smtp, http) = (port(smtp), port(http));
        let log = File::create(test_dir().join(format!("mailpit-{}.log", random()))).expect("a file");
        let mut command = Command::new(program);
        command.args(["--smtp", &format!("127.0.0.1:{smtp}"), "--listen", &format!("127.0.0.1:{http}")]);
        command.args(["--max", "0", "--disable-version-check", "--smtp-disable-rdns", "--verbose"]);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
        command.env("TMPDIR", test_dir()); // its database goes with the control plane
        Mailpit { process: Process::spawn(&mut command), smtp, http }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.http)
    }

    /// What `--mail-url` takes.
    pub fn mail_url(&self) -> String {
        format!("smtp://localhost:{}", self.smtp)
    }

    /// Host and port of its SMTP server.
    pub fn smtp_address(&self) -> String {
        format!("127.0.0.1:{}", self.smtp)
    }

    /// All mails, oldest first.
    pub async fn messages(&self) -> Vec<Listed> {
        let mut all = Vec::new();
        loop {
            let url = self.url(&format!("/api/v1/messages?limit=1000&start={}", all.len()));
            let answer = http::get(&url).await.expect("Mailpit answers").json();
            let page = answer["messages"].as_array().unwrap_or_else(|| panic!("no list of mails: {answer}"));
            all.extend(page.iter().map(listed));
            if page.is_empty() || all.len() as u64 >= answer["total"].as_u64().unwrap_or_default() {
                break;
            }
        }
        all.reverse();
        all
    }

    /// The mails to one address, oldest first.
    pub async fn messages_to(&self, address: &str) -> Vec<Listed> {
        let mut all = self.messages().await;
        all.retain(|mail| mail.to.iter().any(|to| to == address));
        all
    }

    /// A mail as it came over the wire.
    pub async fn raw(&self, id: &str) -> Vec<u8> {
        let answer = http::get(&self.url(&format!("/api/v1/message/{id}/raw"))).await.expect("Mailpit answers");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.body.to_vec()
    }

    /// A mail, parsed.
    pub async fn mail(&self, id: &str) -> Mail {
        Mail::parse(&self.raw(id).await)
    }

    /// Waits until there are `count` mails to an address and yields them, oldest first.
    #[track_caller]
    pub fn wait_for(&self, address: &str, count: usize) -> impl Future<Output = Vec<Mail>> {
        let waiting = until(format!("{count} mails to {address}"), PATIENCE, move || async move {
            let listed = self.messages_to(address).await;
            if listed.len() == count { Ok(listed) } else { Err(format!("{listed:?}")) }
        });
        async move {
            let mut mails = Vec::new();
            for listed in waiting.await {
                mails.push(self.mail(&listed.id).await);
            }
            mails
        }
    }

    /// Waits for the only mail to an address.
    pub async fn mail_to(&self, address: &str) -> Mail {
        self.wait_for(address, 1).await.remove(0)
    }

    /// Forgets all mails.
    pub async fn clear(&self) {
        let answer = http::send_json(hyper::Method::DELETE, &self.url("/api/v1/messages"), &json!({})).await;
        assert_eq!(answer.expect("Mailpit answers").status, 200);
    }
}

fn listed(message: &Value) -> Listed {
    let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
    let to = message["To"].as_array().into_iter().flatten();
    Listed {
        id: text("ID"),
        to: to.filter_map(|to| to["Address"].as_str()).map(str::to_owned).collect(),
        subject: text("Subject"),
        message_id: text("MessageID"),
    }
}

/// Where Mailpit is, as the script says that provides it.
fn program() -> String {
    let output = Command::new(repository("tests/tools/mailpit")).stderr(Stdio::inherit()).output().expect("a script");
    assert!(output.status.success(), "tests/tools/mailpit failed");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl Drop for Mailpit {
    fn drop(&mut self) {
        self.process.kill();
    }
}
