//! Lines and replies, with a bound on everything that the other side may send.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::client::TlsStream;

use crate::plan::delivery::{Failure, Reply};

/// Longest text of a line that is kept (RFC 5321, 4.5.3.1.5 allows 512 octets); the rest is read and dropped.
const LINE: usize = 2_000;
/// Longest reply: a relay that goes on and on is cut off.
const REPLY: usize = 64 * 1024;
/// Longest text that is kept of a reply: it goes to logs only.
const TEXT: usize = 256;

/// A stream in clear or protected.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

macro_rules! each {
    ($me:expr, $stream:ident => $call:expr) => {
        match $me {
            Stream::Plain($stream) => $call,
            Stream::Tls($stream) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_shutdown(cx))
    }
}

/// A stream that is read reply by reply.
pub(super) struct Wire {
    stream: Stream,
    /// Read and not yet used. Empty between a reply and the next command, or the dialogue is over.
    buffer: Vec<u8>,
}

impl Wire {
    pub(super) fn new(stream: Stream) -> Self {
        Wire { stream, buffer: Vec::new() }
    }

    /// The stream, if nothing is left over.
    pub(super) fn into_stream(self) -> Option<Stream> {
        self.buffer.is_empty().then_some(self.stream)
    }

    /// Writes, and insists that nothing came unasked before: an extra reply would shift all later ones.
    pub(super) async fn write(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), Failure> {
        if !self.buffer.is_empty() {
            return Err(Failure::Protocol("it sent an answer that nobody asked for"));
        }
        let write = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout_at(deadline, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Failure::Reset),
            Err(_) => Err(Failure::Timeout),
        }
    }

    /// Reads one reply: all its lines, which must have one code.
    pub(super) async fn reply(&mut self, deadline: Instant) -> Result<(Reply, Vec<String>), Failure> {
        match timeout_at(deadline, self.read_reply()).await {
            Ok(reply) => reply,
            Err(_) => Err(Failure::Timeout),
        }
    }

    async fn read_reply(&mut self) -> Result<(Reply, Vec<String>), Failure> {
        let mut lines = Vec::new();
        let mut first: Option<u16> = None;
        let mut size = 0;
        loop {
            let line = self.line(&mut size).await?;
            let (code, last, text) = parse_line(&line)?;
            if *first.get_or_insert(code) != code {
                return Err(Failure::Protocol("the lines of one answer have different codes"));
            }
            lines.push(text);
            if last {
                let text = lines.first().cloned().unwrap_or_default();
                let enhanced = enhanced(&text, code);
                let text = text.chars().take(TEXT).collect();
                return Ok((Reply { code, enhanced, text }, lines));
            }
        }
    }

    /// One line without its end. LF alone ends a line too: such relays exist, and waiting for more would be for ever.
    async fn line(&mut self, size: &mut usize) -> Result<Vec<u8>, Failure> {
        let mut line = Vec::new();
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                line.extend(self.buffer.drain(..=end));
                *size += end;
                line.truncate(LINE);
                while line.last().is_some_and(|b| matches!(b, b'\r' | b'\n')) {
                    line.pop();
                }
                return Ok(line);
            }
            *size += self.buffer.len();
            let room = LINE.saturating_sub(line.len());
            line.extend(self.buffer.drain(..).take(room));
            if *size > REPLY {
                return Err(Failure::Protocol("its answer has no end"));
            }
            let mut chunk = [0u8; 4096];
            match self.stream.read(&mut chunk).await {
                Ok(0) | Err(_) => return Err(Failure::Reset),
                Ok(n) => self.buffer.extend_from_slice(&chunk[..n]),
            }
        }
    }
}

/// Code, whether it is the last line, and the text, printable.
fn parse_line(line: &[u8]) -> Result<(u16, bool, String), Failure> {
    const NO_REPLY: Failure = Failure::Protocol("what it sent is no answer of SMTP");
    let (code, rest) = line.split_at_checked(3).ok_or(NO_REPLY)?;
    if !code.iter().all(u8::is_ascii_digit) {
        return Err(NO_REPLY);
    }
    let code = code.iter().fold(0u16, |n, digit| n * 10 + u16::from(digit - b'0'));
    let last = match rest.first() {
        None | Some(b' ') => true,
        Some(b'-') => false,
        Some(_) => return Err(NO_REPLY),
    };
    let text = String::from_utf8_lossy(rest.get(1..).unwrap_or_default());
    Ok((code, last, text.chars().filter(|c| !c.is_control()).collect()))
}

/// The enhanced status code at the beginning of a text, of the class of the reply.
fn enhanced(text: &str, code: u16) -> Option<(u8, u16, u16)> {
    let mut parts = text.split_whitespace().next()?.splitn(3, '.');
    let (class, subject, detail) = (parts.next()?, parts.next()?, parts.next()?);
    let short = |part: &str| (part.len() <= 3).then(|| part.parse::<u16>().ok()).flatten();
    let class = class.parse::<u8>().ok().filter(|class| u16::from(*class) == code / 100)?;
    Some((class, short(subject)?, short(detail)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enhanced_codes_are_read_and_words_are_not() {
        assert_eq!(enhanced("5.7.30 Basic authentication is off", 550), Some((5, 7, 30)));
        for text in ["no", "5.7", "4.7.1 class differs", "5.x.1", "5.7.12345", ""] {
            assert_eq!(enhanced(text, 550), None, "{text}");
        }
    }

    #[test]
    fn a_line_is_a_code_and_printable_text() {
        assert_eq!(parse_line(b"250"), Ok((250, true, String::new())));
        assert_eq!(parse_line(b"250-a\x1b[31m\xe4b"), Ok((250, false, "a[31m\u{fffd}b".into())));
        for line in [&b"25"[..], b"abc", b"250x", b"SSH-2.0", b"HTTP/1.1 400"] {
            assert!(parse_line(line).is_err());
        }
    }
}
