//! Whether a provider is there, and is who it says.

use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pointsman_gateway::file::Url;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

const PATIENCE: Duration = Duration::from_secs(10);

/// Resolves the name and connects; the address that answered.
pub(super) fn connect(url: &Url) -> Result<String, String> {
    stream(url).map(|(_, address)| address)
}

fn stream(url: &Url) -> Result<(TcpStream, String), String> {
    let authority = (url.host.as_str(), url.port);
    let addresses = authority
        .to_socket_addrs()
        .map_err(|error| format!("{}: the name does not resolve: {error}", url.host))?;
    let mut why = format!("{}: the name has no address", url.host);
    for address in addresses {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return Ok((stream, address.to_string())),
            Err(error) => why = format!("{address}: {error}"),
        }
    }
    Err(why)
}

/// A TLS handshake that verifies name and chain, and nothing after it.
pub(super) fn handshake(url: &Url, ca: &Path) -> Result<String, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(ca)?);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(url.host.clone()).map_err(|error| error.to_string())?;
    let (mut stream, address) = stream(url)?;
    let patience = |stream: &TcpStream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))
    };
    patience(&stream).map_err(|error| error.to_string())?;
    let mut connection =
        ClientConnection::new(Arc::new(config), name).map_err(|error| error.to_string())?;
    while connection.is_handshaking() {
        connection
            .complete_io(&mut stream)
            .map_err(|error| format!("{address}: no verified TLS connection: {error}"))?;
    }
    Ok(format!("{} at {address}, verified with {}", url.host, ca.display()))
}

fn certificates(ca: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let of_file = |error| format!("{}: {error}", ca.display());
    let all = CertificateDer::pem_file_iter(ca).map_err(of_file)?;
    let all: Vec<_> = all.collect::<Result<_, _>>().map_err(of_file)?;
    if all.is_empty() {
        return Err(format!("{}: there is no certificate in it", ca.display()));
    }
    Ok(all)
}

/// A client that trusts these authorities alone.
pub(super) fn agent(ca: &Path, patience: Duration) -> Result<ureq::Agent, String> {
    let roots = certificates(ca)?.iter().map(|it| Certificate::from_der(it).to_owned()).collect();
    let tls = TlsConfig::builder().root_certs(RootCerts::Specific(Arc::new(roots))).build();
    Ok(ureq::Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(patience))
        // A key goes where it was meant to go, and nowhere that somebody else names.
        .max_redirects(0)
        .proxy(None)
        .http_status_as_error(false)
        .build()
        .into())
}
