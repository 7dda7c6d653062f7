//! Which certificates a server may show.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, RootCertStore};

/// What TLS connections to upstreams trust.
#[derive(Clone, Debug)]
pub struct Trust {
    pub(super) tls: ClientConfig,
}

/// Why a file of certificates was rejected.
#[derive(Debug, thiserror::Error)]
pub enum BadTrust {
    #[error("{}: {error}", .path.display())]
    File { path: PathBuf, error: pem::Error },
    #[error("{}: there is no usable certificate in it", .path.display())]
    Empty { path: PathBuf },
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

impl Trust {
    /// Trusts the built-in authorities, which are Mozilla's, and those in this file of PEM
    /// certificates.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or has no certificate that can be used.
    pub fn new(file: Option<&Path>) -> Result<Self, BadTrust> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(path) = file {
            let of_file = |error| BadTrust::File { path: path.to_owned(), error };
            let certificates = CertificateDer::pem_file_iter(path).map_err(of_file)?;
            let certificates: Vec<_> = certificates.collect::<Result<_, _>>().map_err(of_file)?;
            // Bundles of systems have some that only other libraries read.
            let (usable, _) = roots.add_parsable_certificates(certificates);
            if usable == 0 {
                return Err(BadTrust::Empty { path: path.to_owned() });
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Trust { tls })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_good_certificate_is_refused_by_name() {
        assert!(Trust::new(None).is_ok());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        let refused = || Trust::new(Some(&path)).unwrap_err().to_string();
        let absent = refused();
        std::fs::write(&path, "no certificate\n").unwrap();
        let empty = refused();
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        std::fs::write(&path, broken).unwrap();
        for message in [absent, empty, refused()] {
            assert!(message.contains("ca.pem: "), "{message}");
        }
    }
}
