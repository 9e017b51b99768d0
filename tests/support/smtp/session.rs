//! One session of the scripted relay. Nothing here panics: what breaks ends the session.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{Act, Line, Mail, Shared, Step, TlsMaterial, When};

/// Longest command, and longest mail.
const MOST: usize = 64 << 20;

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let number = {
            let mut log = shared.log();
            log.connections += 1;
            log.open += 1;
            log.most_open = log.most_open.max(log.open);
            log.connections
        };
        let shared = shared.clone();
        tokio::spawn(async move {
            let open = Open(shared.clone());
            let mut session = Session {
                shared,
                number,
                stream: Stream::Plain(stream),
                input: Vec::new(),
                name: None,
                from: None,
                to: Vec::new(),
                logged_in: false,
                mails: 0,
            };
            if let Err(Broken::Cut) = session.run().await {
                session.cut();
            }
            // Closed first, counted afterwards: whoever sees the count knows that the connection is gone.
            drop(session);
            drop(open);
        });
    }
}

/// Counts a connection as open, also if its task ends by a panic in a hook.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.log().open -= 1;
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Gone,
}

impl Stream {
    async fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.read(into).await,
            Stream::Tls(stream) => stream.read(into).await,
            Stream::Gone => Ok(0),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.write_all(bytes).await,
            Stream::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
            Stream::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

/// Why a session is over.
enum Broken {
    /// The script says so.
    Cut,
    /// The client went, or the network failed.
    Gone,
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Broken::Gone
    }
}

type Done<T> = Result<T, Broken>;

struct Session {
    shared: Arc<Shared>,
    number: usize,
    stream: Stream,
    input: Vec<u8>,
    name: Option<String>,
    from: Option<(String, String)>,
    to: Vec<String>,
    logged_in: bool,
    mails: usize,
}

impl Session {
    async fn run(&mut self) -> Done<()> {
        let script = self.shared.script();
        self.step(Step::Connect, "", b"").await?;
        if let Some(material) = &script.implicit {
            self.protect(material).await?;
        }
        if script.most.is_some_and(|most| self.shared.log().open > most) {
            return self.write(b"421 4.7.0 too many connections\r\n").await;
        }
        let code = self.step(Step::Greeting, "", b"220 relay.test ESMTP\r\n").await?;
        if code == Some(421) {
            return Ok(());
        }
        loop {
            let line = self.line().await?;
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let code = match verb.to_ascii_uppercase().as_str() {
                "EHLO" | "HELO" => self.ehlo(rest).await?,
                "STARTTLS" => self.starttls().await?,
                "AUTH" => self.auth(rest).await?,
                "MAIL" => self.mail(rest).await?,
                "RCPT" => self.rcpt(rest).await?,
                "DATA" => self.data().await?,
                "RSET" => {
                    self.forget();
                    self.step(Step::Rset, "", b"250 2.0.0 Ok\r\n").await?
                }
                "NOOP" => self.step_less(b"250 2.0.0 Ok\r\n").await?,
                "QUIT" => {
                    self.step(Step::Quit, "", b"221 2.0.0 Bye\r\n").await?;
                    return Ok(());
                }
                _ => self.step_less(b"500 5.5.1 unknown command\r\n").await?,
            };
            // A relay that says 421 closes (RFC 5321, 3.8).
            if code == Some(421) {
                return Ok(());
            }
        }
    }

    fn forget(&mut self) {
        self.from = None;
        self.to.clear();
    }

    async fn ehlo(&mut self, name: &str) -> Done<Option<u16>> {
        self.name = Some(name.to_owned());
        self.forget();
        let script = self.shared.script();
        let protected = matches!(self.stream, Stream::Tls(_));
        let lines = script.ehlo.unwrap_or_else(|| {
            let mut lines =
                ["relay.test", "SIZE 10485760", "8BITMIME", "ENHANCEDSTATUSCODES"].map(str::to_owned).to_vec();
            let waits = script.starttls.is_some() && !protected;
            if waits {
                lines.push("STARTTLS".into());
            }
            if script.login.is_some() && !waits {
                lines.push("AUTH PLAIN LOGIN".into());
            }
            lines
        });
        let mut text = String::new();
        for (n, line) in lines.iter().enumerate() {
            let mark = if n + 1 == lines.len() { ' ' } else { '-' };
            text.push_str(&format!("250{mark}{line}\r\n"));
        }
        self.step(Step::Ehlo, "", text.as_bytes()).await
    }

    async fn starttls(&mut self) -> Done<Option<u16>> {
        let material = self.shared.script().starttls;
        let default: &[u8] = if material.is_some() { b"220 2.0.0 go\r\n" } else { b"502 5.5.1 no TLS here\r\n" };
        let code = self.step(Step::StartTls, "", default).await?;
        if let (Some(220), Some(material)) = (code, material) {
            self.protect(&material).await?;
            self.name = None;
        }
        Ok(code)
    }

    async fn protect(&mut self, material: &TlsMaterial) -> Done<()> {
        self.step(Step::Handshake, "", b"").await?;
        let Stream::Plain(stream) = std::mem::replace(&mut self.stream, Stream::Gone) else { return Err(Broken::Gone) };
        let stream = TlsAcceptor::from(material.config.clone()).accept(stream).await?;
        self.stream = Stream::Tls(Box::new(stream));
        // What was said in clear counts for nothing inside.
        self.input.clear();
        Ok(())
    }

    async fn auth(&mut self, rest: &str) -> Done<Option<u16>> {
        let decode =
            |text: &str| String::from_utf8_lossy(&STANDARD.decode(text.trim()).unwrap_or_default()).into_owned();
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        let mechanism = mechanism.to_ascii_uppercase();
        let (user, password) = if mechanism == "LOGIN" {
            let mut answers = [String::new(), String::new()];
            for (n, answer) in answers.iter_mut().enumerate() {
                let challenge: &[u8] = if n == 0 { b"334 VXNlcm5hbWU6\r\n" } else { b"334 UGFzc3dvcmQ6\r\n" };
                let code = self.step(Step::Auth, &mechanism, challenge).await?;
                if code != Some(334) {
                    return Ok(code);
                }
                *answer = decode(&self.line().await?);
            }
            let [user, password] = answers;
            (user, password)
        } else {
            let text = decode(initial);
            let mut parts = text.splitn(3, '\0').skip(1).map(str::to_owned);
            (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
        };
        self.shared.log().logins.push((user.clone(), password.clone()));
        let default: &[u8] = match self.shared.script().login {
            None => b"503 5.5.1 no login here\r\n",
            Some(login) if login == (user, password) => b"235 2.7.0 welcome\r\n",
            Some(_) => b"535 5.7.8 wrong user or password\r\n",
        };
        loop {
            let code = self.step(Step::Auth, &mechanism, default).await?;
            self.logged_in |= code == Some(235);
            if code != Some(334) {
                return Ok(code);
            }
            self.line().await?;
        }
    }

    async fn mail(&mut self, rest: &str) -> Done<Option<u16>> {
        let (address, parameters) = rest.split_once(':').map_or((rest, ""), |(_, rest)| path(rest));
        let default: &[u8] = if self.name.is_none() {
            b"503 5.5.1 EHLO first\r\n"
        } else if self.shared.script().login.is_some() && !self.logged_in {
            b"530 5.7.0 login first\r\n"
        } else if self.from.is_some() {
            b"503 5.5.1 nested MAIL\r\n"
        } else {
            b"250 2.1.0 Ok\r\n"
        };
        let code = self.step(Step::Mail, rest, default).await?;
        if is_yes(code) {
            self.from = Some((address.to_owned(), parameters.to_owned()));
        }
        Ok(code)
    }

    async fn rcpt(&mut self, rest: &str) -> Done<Option<u16>> {
        let (address, _) = rest.split_once(':').map_or((rest, ""), |(_, rest)| path(rest));
        let default: &[u8] = if self.from.is_none() { b"503 5.5.1 MAIL first\r\n" } else { b"250 2.1.5 Ok\r\n" };
        let code = self.step(Step::Rcpt, rest, default).await?;
        if is_yes(code) {
            self.to.push(address.to_owned());
        }
        Ok(code)
    }

    async fn data(&mut self) -> Done<Option<u16>> {
        let default: &[u8] = if self.to.is_empty() { b"503 5.5.1 RCPT first\r\n" } else { b"354 go ahead\r\n" };
        let code = self.step(Step::Data, "", default).await?;
        if code != Some(354) {
            return Ok(code);
        }
        self.step(Step::Body, "", b"").await?;
        let mut bytes = Vec::new();
        loop {
            let line = self.raw_line().await?;
            if line == b".\r\n" {
                break;
            }
            bytes.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            if bytes.len() > MOST {
                return Err(Broken::Cut);
            }
        }
        let (from, parameters) = self.from.take().unwrap_or_default();
        let to = std::mem::take(&mut self.to);
        let subject = to.join(" ");
        let script = self.shared.script();
        let refuses = script.acts(Step::Dot, &subject, self.mails).find_map(|act| match act {
            Act::Answer(bytes) => Some(matches!(code_of(bytes), Some(400..600))),
            _ => None,
        });
        if !refuses.unwrap_or(false) {
            let (at, session) = (Instant::now(), self.number);
            self.shared.keep(Mail { from, to, parameters, bytes, at, session });
        }
        let number = self.number;
        let code = self.step(Step::Dot, &subject, format!("250 2.0.0 Ok: queued as T{number}\r\n").as_bytes()).await?;
        self.mails += 1;
        Ok(code)
    }

    /// Does what the script says at this step, or else gives the default answer. Returns the code that was said.
    async fn step(&mut self, step: Step, subject: &str, default: &[u8]) -> Done<Option<u16>> {
        let script = self.shared.script();
        if let Some(hook) = &script.hook {
            hook(step, When::Before);
        }
        let acts: Vec<&Act> = script.acts(step, subject, self.mails).collect();
        if let Some(time) = acts.iter().find_map(|act| if let Act::Delay(time) = act { Some(*time) } else { None }) {
            tokio::time::sleep(time).await;
        }
        if acts.iter().any(|act| matches!(act, Act::CutBefore)) {
            return Err(Broken::Cut);
        }
        let mut said = default;
        match acts.iter().find(|act| !matches!(act, Act::Delay(_) | Act::CutAfter)) {
            Some(Act::Silence) => return self.be_silent(step).await,
            Some(Act::Answer(bytes)) => {
                said = bytes;
                self.write(bytes).await?;
            }
            Some(Act::Drip(bytes, pause)) => {
                said = bytes;
                for byte in bytes {
                    tokio::time::sleep(*pause).await;
                    self.write(&[*byte]).await?;
                }
            }
            Some(Act::Flood(pattern, total)) => {
                let block = pattern.repeat((64 * 1024 / pattern.len().max(1)).max(1));
                for _ in 0..*total / block.len().max(1) {
                    self.write(&block).await?;
                }
                return self.be_silent(step).await;
            }
            _ if !default.is_empty() => self.write(default).await?,
            _ => {}
        }
        if let Some(hook) = &script.hook {
            hook(step, When::After);
        }
        if acts.iter().any(|act| matches!(act, Act::CutAfter)) {
            return Err(Broken::Cut);
        }
        Ok(code_of(said))
    }

    async fn step_less(&mut self, answer: &[u8]) -> Done<Option<u16>> {
        self.write(answer).await?;
        Ok(code_of(answer))
    }

    /// Says nothing until the client goes. In the middle of a mail nothing is read either: its window closes.
    async fn be_silent<T>(&mut self, step: Step) -> Done<T> {
        if step == Step::Body {
            std::future::pending::<()>().await;
        }
        let mut chunk = [0u8; 4096];
        while self.stream.read(&mut chunk).await? > 0 {}
        Err(Broken::Gone)
    }

    async fn write(&mut self, bytes: &[u8]) -> Done<()> {
        self.stream.write(bytes).await?;
        self.shared.log().written += bytes.len();
        Ok(())
    }

    /// A command. It ends with CRLF.
    async fn line(&mut self) -> Done<String> {
        let line = self.raw_line().await?;
        let text = String::from_utf8_lossy(line.strip_suffix(b"\r\n").unwrap_or(&line)).into_owned();
        let protected = matches!(self.stream, Stream::Tls(_));
        self.shared.log().lines.push(Line { session: self.number, protected, text: text.clone() });
        Ok(text)
    }

    async fn raw_line(&mut self) -> Done<Vec<u8>> {
        let mut seen = 0;
        loop {
            if let Some(at) = self.input[seen..].windows(2).position(|pair| pair == b"\r\n") {
                return Ok(self.input.drain(..seen + at + 2).collect());
            }
            seen = self.input.len().saturating_sub(1);
            if self.input.len() > MOST {
                return Err(Broken::Cut);
            }
            let mut chunk = [0u8; 16 * 1024];
            match self.stream.read(&mut chunk).await? {
                0 => return Err(Broken::Gone),
                n => self.input.extend_from_slice(&chunk[..n]),
            }
        }
    }

    /// Closes the connection, by a reset if the script says so.
    fn cut(&mut self) {
        let stream = match &self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream.get_ref().0,
            Stream::Gone => return,
        };
        if self.shared.script().reset {
            let _ = stream.set_zero_linger();
        }
    }
}

fn is_yes(code: Option<u16>) -> bool {
    matches!(code, Some(200..300))
}

/// The code of the first line.
fn code_of(answer: &[u8]) -> Option<u16> {
    std::str::from_utf8(answer.get(..3)?).ok()?.parse().ok()
}

/// The address in angle brackets, and what follows it.
fn path(text: &str) -> (&str, &str) {
    let text = text.trim_start().trim_start_matches('<');
    let (address, rest) = text.split_once('>').unwrap_or((text, ""));
    (address, rest.trim())
}
