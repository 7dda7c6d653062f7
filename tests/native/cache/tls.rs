//! An upstream with a certificate of a private authority, as inside a company.
//!
//! `tests/cases/tls/` has the authority's certificate, and a certificate and a key of localhost.
//! They are good for nothing else: the authority's key was thrown away.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use pointsman_testkit::client::{self, Protocol, Response};
use pointsman_testkit::model::{Model, completion};
use pointsman_testkit::proxy::{Proxy, chat, outcome, post};
use pointsman_testkit::root;

fn file(name: &str) -> PathBuf {
    root().join("tests/cases/tls").join(name)
}

/// A model behind TLS. It serves until the process ends.
fn start() -> Result<SocketAddr> {
    let certificate = CertificateDer::from_pem_file(file("server.pem"))?;
    let key = PrivateKeyDer::from_pem_file(file("server.key"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            // Whoever does not trust the certificate breaks off.
            std::thread::spawn(move || answer(stream, config));
        }
    });
    Ok(address)
}

fn answer(stream: TcpStream, config: Arc<ServerConfig>) -> Result<()> {
    let connection = ServerConnection::new(config)?;
    let mut reader = BufReader::new(StreamOwned::new(connection, stream));
    let mut length = 0;
    loop {
        let mut line = String::new();
        anyhow::ensure!(reader.read_line(&mut line)? > 0, "closed");
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse()?;
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    let body = completion(0);
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
    let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    reader.get_mut().write_all(answer.as_bytes())?;
    reader.get_mut().flush()?;
    Ok(())
}

/// A cache with a second target in front of the model behind TLS; asks that target.
fn ask_twice(more: &[&str], environment: &str) -> Result<([Response; 2], String)> {
    let plain = Model::start()?;
    let upstream = format!("https://{}", start()?);
    let second = ["--anonymous", "--target", "tls", "--upstream", &upstream];
    let arguments = [&second[..], &["--listen", "127.0.0.1:0"], more].concat();
    let before = [environment, env!("CARGO_BIN_EXE_pointsman")];
    let proxy = Proxy::run(Path::new("/usr/bin/env"), &before, plain.address, "cheap", &arguments)?;
    let said = std::fs::read_to_string(&proxy.process.stderr)?;
    let line = said.lines().find_map(|line| line.strip_prefix("tls: listening on http://"));
    let address = line.context("no address")?.trim_end_matches('/').parse()?;
    let body = chat("What is love?");
    let ask = || client::exchange(address, Protocol::Http1, post(&body, &[])?);
    let answers = [ask()?, ask()?];
    Ok((answers, std::fs::read_to_string(&proxy.process.stderr)?))
}

#[test]
fn a_private_authority_is_trusted_when_it_is_named() -> Result<()> {
    let ca = file("ca.pem");
    let ca = ca.to_str().context("no UTF-8")?;
    let variable = format!("SSL_CERT_FILE={ca}");
    for (more, environment) in
        [(&["--upstream-ca", ca][..], "SSL_CERT_FILE="), (&[], variable.as_str())]
    {
        let ([first, again], said) = ask_twice(more, environment)?;
        assert_eq!((first.status, outcome(&first)), (200, "miss"), "{said}");
        assert_eq!((outcome(&again), &again.body), ("hit-exact", &first.body));
    }
    Ok(())
}

#[test]
fn a_certificate_that_is_not_trusted_is_named_as_the_reason() -> Result<()> {
    let ([first, again], said) = ask_twice(&[], "SSL_CERT_FILE=")?;
    assert_eq!((first.status, again.status), (502, 502));
    assert_eq!(said.matches("UnknownIssuer").count(), 1, "once, and not for each request: {said}");
    assert!(said.contains("warning: tls: ") && said.contains("hint: --upstream-ca"), "{said}");
    Ok(())
}

#[test]
fn a_file_without_certificates_is_refused() -> Result<()> {
    let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_pointsman"))
        .args(["cache", "--target", "a", "--upstream", "https://a", "--listen", "127.0.0.1:0"])
        .args(["--upstream-ca", "/no/where.pem"])
        .output()?;
    let said = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("/no/where.pem: "), "{said}");
    Ok(())
}
