//! A certificate authority of one test, and what it signs.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A certificate authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A server's certificate and its key.
pub struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    /// A new one.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// Writes its own certificate, as those have it who trust it.
    pub fn write(&self, path: &Path) -> Result<()> {
        Ok(std::fs::write(path, &self.pem)?)
    }

    /// Signs a certificate for a host, valid today.
    pub fn issue(&self, host: &str) -> Result<Identity> {
        self.sign(CertificateParams::new([host.to_owned()])?)
    }

    /// Signs a certificate for a host that was valid until 2020.
    pub fn issue_expired(&self, host: &str) -> Result<Identity> {
        let mut params = CertificateParams::new([host.to_owned()])?;
        params.not_before = rcgen::date_time_ymd(2019, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Result<Identity> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.der().clone();
        Ok(Identity { certificate, key: PrivatePkcs8KeyDer::from(key.serialize_der()).into() })
    }
}

impl Identity {
    /// A server that shows this certificate, and speaks HTTP/2 on request.
    pub fn server(&self, http2: bool) -> Result<Arc<ServerConfig>> {
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let mut server = ServerConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key())?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        if http2 {
            server.alpn_protocols.insert(0, b"h2".to_vec());
        }
        Ok(Arc::new(server))
    }
}
