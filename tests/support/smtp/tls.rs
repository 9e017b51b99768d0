//! Certificates for the scripted relay, fresh for each test.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing: for `localhost` and 127.0.0.1, by the authority that the client is told of.
    None,
    /// By another authority of the same name.
    Untrusted,
    /// For another host.
    WrongHost,
    /// Out of date.
    Expired,
}

/// A relay's certificate with its key, and the authority that a client should trust.
#[derive(Clone)]
pub struct TlsMaterial {
    pub(super) config: Arc<rustls::ServerConfig>,
    root: String,
}

impl TlsMaterial {
    /// A certificate that is all right.
    pub fn good() -> Self {
        Self::with(Flaw::None)
    }

    /// A certificate with a flaw.
    pub fn with(flaw: Flaw) -> Self {
        let (root, issuer) = authority();
        let (_, stranger) = authority();
        let names = if flaw == Flaw::WrongHost { ["other.test", "127.0.0.2"] } else { ["localhost", "127.0.0.1"] };
        let mut params = CertificateParams::new(names.map(str::to_owned)).expect("names for a certificate");
        params.distinguished_name.push(DnType::CommonName, "relay");
        if flaw == Flaw::Expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2020, 2, 1);
        }
        let key = KeyPair::generate().expect("a key");
        let issuer = if flaw == Flaw::Untrusted { &stranger } else { &issuer };
        let certificate = params.signed_by(&key, issuer).expect("a certificate");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a certificate with its key");
        TlsMaterial { config: Arc::new(config), root }
    }

    /// The authority's certificate (PEM), for clients.
    pub fn root(&self) -> &str {
        &self.root
    }
}

fn authority() -> (String, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "authority of a test");
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("an authority's certificate");
    (certificate.pem(), Issuer::new(params, key))
}
