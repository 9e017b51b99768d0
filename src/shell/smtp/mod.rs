//! SMTP submission (RFC 5321, RFC 6409), on a stream that trusts nobody.
//!
//! Our own, because the one library there is waits for ever on a silent relay and, after an extra reply line, takes the
//! answer to DATA for the answer to the mail. It still builds the mails.

mod gate;
mod session;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use secrecy::SecretString;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use crate::plan::delivery::{Failure, Stage};
pub use gate::Gate;
pub use session::{Connection, Envelope};
use wire::{Stream, Wire};

/// How a connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Not at all: on this machine, or where somebody asked for it aloud.
    None,
    /// By STARTTLS, which must succeed (RFC 3207).
    Starttls,
    /// From the first byte (RFC 8314).
    Implicit,
}

/// A login.
#[derive(Clone)]
pub struct Credentials {
    /// User name.
    pub user: String,
    /// Password.
    pub password: SecretString,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// A relay, and how to talk to it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Protection.
    pub tls: Tls,
    /// Login.
    pub credentials: Option<Credentials>,
    /// Certificates (PEM) that are trusted besides the platform's.
    pub extra_root: Option<Vec<u8>>,
    /// How long to wait.
    pub limits: Limits,
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For the connection, and for the TLS handshake.
    pub connect: Duration,
    /// For each answer before the final dot.
    pub reply: Duration,
    /// For everything before the final dot: well within the time after which another replica takes over.
    pub before_dot: Duration,
    /// For the answer to the final dot: 10 minutes (RFC 5321, 4.5.3.2.6). Less makes duplicates of slow relays.
    pub content: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connect: Duration::from_secs(20),
            reply: Duration::from_secs(45),
            before_dot: Duration::from_secs(100),
            content: Duration::from_secs(600),
        }
    }
}

/// What went wrong, and how far it had come.
pub type Trouble = (Stage, Failure);

/// Opens a connection, protected as the endpoint asks.
async fn dial(endpoint: &Endpoint, deadline: Instant) -> Result<Wire, Trouble> {
    let wait = endpoint.limits.connect;
    let lookup = timeout(wait, tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port))).await;
    let addresses: Vec<_> = match lookup {
        Err(_) => return Err((Stage::Resolve, Failure::Timeout)),
        Ok(Err(_)) => return Err((Stage::Resolve, Failure::NotFound)),
        Ok(Ok(addresses)) => addresses.collect(),
    };
    let mut failure = Failure::NotFound;
    for address in addresses {
        match timeout_at(deadline.min(Instant::now() + wait), TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Body and final dot must not wait for an acknowledgement (Nagle): it costs 40 ms a mail.
                let _ = stream.set_nodelay(true);
                let wire = Wire::new(Stream::Plain(stream));
                if endpoint.tls == Tls::Implicit { return protect(wire, endpoint).await } else { return Ok(wire) }
            }
            Ok(Err(_)) => failure = Failure::Unreachable,
            Err(_) => failure = Failure::Timeout,
        }
    }
    Err((Stage::Connect, failure))
}

/// Puts TLS over a connection. Nothing that was said in clear may be left over: it would be taken for said inside.
async fn protect(wire: Wire, endpoint: &Endpoint) -> Result<Wire, Trouble> {
    let tls = |what: &dyn fmt::Display| (Stage::Handshake, Failure::Tls(what.to_string()));
    let stream = match wire.into_stream() {
        Some(Stream::Plain(stream)) => stream,
        _ => return Err(tls(&"something was sent in clear before TLS began")),
    };
    let name =
        ServerName::try_from(endpoint.host.clone()).map_err(|_| tls(&"the host is no name for a certificate"))?;
    let config = client_config(endpoint.extra_root.as_deref()).map_err(|what| tls(&what))?;
    let handshake = TlsConnector::from(config).connect(name, stream);
    match timeout(endpoint.limits.connect, handshake).await {
        Err(_) => Err((Stage::Handshake, Failure::Timeout)),
        Ok(Err(error)) => Err((Stage::Handshake, tls_failure(&error))),
        Ok(Ok(stream)) => Ok(Wire::new(Stream::Tls(Box::new(stream)))),
    }
}

fn tls_failure(error: &std::io::Error) -> Failure {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(why)) => Failure::Tls(certificate(why).into()),
        Some(rustls::Error::InvalidMessage(_)) => Failure::Tls("the port does not speak TLS".into()),
        Some(_) => Failure::Tls("no common version or cipher, or the relay gave up".into()),
        None => Failure::Reset,
    }
}

/// What is wrong with a certificate, without a word of what stands in it: it goes into conditions, and whoever answers
/// at the relay's address wrote it.
fn certificate(why: &rustls::CertificateError) -> &'static str {
    use rustls::CertificateError as E;
    match why {
        E::Expired | E::ExpiredContext { .. } => "the certificate is out of date",
        E::NotValidYet | E::NotValidYetContext { .. } => "the certificate is not valid yet",
        E::NotValidForName | E::NotValidForNameContext { .. } => "the certificate is for another host",
        E::UnknownIssuer => "the certificate is by nobody whom the operator trusts (--mail-ca-file adds somebody)",
        E::Revoked => "the certificate was revoked",
        _ => "the certificate is not trusted",
    }
}

/// TLS 1.2 or later, with the platform's certificates and those that were added.
fn client_config(extra_root: Option<&[u8]>) -> Result<Arc<rustls::ClientConfig>, String> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    use rustls_platform_verifier::Verifier;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let extra: Vec<CertificateDer<'static>> = match extra_root {
        None => Vec::new(),
        Some(pem) => CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|_| "the added certificates cannot be read")?,
    };
    let verifier = Verifier::new_with_extra_roots(extra, provider.clone()).map_err(|e| e.to_string())?;
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}
