//! The model behind the cache.

use std::time::Duration;

use axum::body::Body;
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::hop_by_hop;
use super::trust::Trust;

/// Where a target's misses go. Cheap to clone.
#[derive(Clone)]
pub(super) struct Upstream {
    client: Client<HttpsConnector<HttpConnector>, Body>,
    scheme: Scheme,
    authority: Authority,
    /// What stands before every request's path.
    prefix: String,
}

/// Why a URL was rejected.
#[derive(Debug, thiserror::Error)]
#[error("{url:?} is not an http:// or https:// URL of a host, with or without a path")]
pub struct BadUrl {
    /// Without user and password.
    url: String,
}

impl BadUrl {
    pub(super) fn of(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        match rest.rsplit_once('@') {
            Some((_, host)) => BadUrl { url: format!("{scheme}://…@{host}") },
            None => BadUrl { url: url.to_owned() },
        }
    }
}

/// Why there is no answer to pass on.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("the request's path is too long")]
    Path,
    #[error(transparent)]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    /// Whoever reads the answer after us may find another end of it.
    #[error("the answer says in two ways, or in none that is known, how long it is")]
    Framing,
    #[error("the answer changes the protocol")]
    Switching,
}

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);

impl Upstream {
    pub(super) fn new(url: &str, trust: &Trust) -> Result<Self, BadUrl> {
        let (scheme, authority, path) = parts(url)?;
        let prefix = path.trim_end_matches('/').to_owned();
        Ok(Upstream { client: client(trust), scheme, authority, prefix })
    }

    /// Where a request goes: to this upstream, whatever it names.
    fn destination(&self, uri: &Uri) -> Result<Uri, SendError> {
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(format!("{}{path}", self.prefix))
            .build()
            .map_err(|_| SendError::Path)
    }

    /// Forwards a request. The answer is unchanged, except for headers about the connection.
    pub(super) async fn send(
        &self,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, SendError> {
        *request.uri_mut() = self.destination(request.uri())?;
        *request.version_mut() = http::Version::HTTP_11;
        hop_by_hop::strip(request.headers_mut());
        if let Ok(host) = HeaderValue::from_str(self.authority.as_str()) {
            request.headers_mut().insert(header::HOST, host);
        }
        let mut response = self.client.request(request).await?.map(Body::new);
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(SendError::Switching);
        }
        if !has_one_length(response.headers()) {
            return Err(SendError::Framing);
        }
        hop_by_hop::strip(response.headers_mut());
        Ok(response)
    }
}

/// Whether an answer says in one way where it ends (RFC 9112, 6.3).
fn has_one_length(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => {
            let chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked");
            chunked && !headers.contains_key(header::CONTENT_LENGTH)
        }
        (Some(_), Some(_)) => false,
    }
}

/// Scheme, host and path of a URL without a query.
pub(super) fn parts(url: &str) -> Result<(Scheme, Authority, String), BadUrl> {
    let bad = || BadUrl::of(url);
    let parts = url.parse::<Uri>().map_err(|_| bad())?.into_parts();
    let scheme = parts.scheme.filter(|it| *it == Scheme::HTTP || *it == Scheme::HTTPS);
    // User and password would be sent as the name of the host.
    let authority = parts.authority.filter(|it| !it.as_str().contains('@'));
    let (Some(scheme), Some(authority)) = (scheme, authority) else { return Err(bad()) };
    if parts.path_and_query.as_ref().is_some_and(|it| it.query().is_some()) {
        return Err(bad());
    }
    let path = parts.path_and_query.as_ref().map_or("", PathAndQuery::path).to_owned();
    Ok((scheme, authority, path))
}

pub(super) fn client(trust: &Trust) -> Client<HttpsConnector<HttpConnector>, Body> {
    let mut http = HttpConnector::new();
    http.set_nodelay(true);
    http.enforce_http(false);
    http.set_connect_timeout(Some(CONNECT));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(trust.tls.clone())
        .https_or_http()
        .enable_http1()
        .wrap_connector(http);
    Client::builder(TokioExecutor::new()).build(connector)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn upstream(url: &str) -> Upstream {
        Upstream::new(url, &Trust::new(None).unwrap()).unwrap()
    }

    proptest! {
        /// No target of a request leads anywhere but to the upstream.
        #[test]
        fn every_destination_is_the_upstream(
            scheme in "(http://|https://|//|)",
            host in "[a-z0-9.@:\\[\\]]{0,12}",
            path in "[/?#a-z0-9.@:%\\\\]{0,30}",
        ) {
            let Ok(uri) = format!("{scheme}{host}{path}").parse::<Uri>() else { return Ok(()) };
            for url in ["http://model:8080", "https://model:8080/base/"] {
                if let Ok(destination) = upstream(url).destination(&uri) {
                    prop_assert_eq!(destination.authority().unwrap().as_str(), "model:8080");
                }
            }
        }
    }

    #[test]
    fn a_destination_that_cannot_be_built_is_an_error() {
        let upstream = upstream("http://model/base");
        let long = format!("http://elsewhere/{}", "a".repeat(65_000));
        assert!(upstream.destination(&long.parse().unwrap()).is_ok());
        let longer = format!("/{}", "a".repeat(65_530));
        let found = upstream.destination(&longer.parse().unwrap());
        assert!(matches!(found, Err(SendError::Path)), "{found:?}");
    }

    #[test]
    fn a_url_with_a_password_is_refused_and_not_repeated() {
        for url in ["http://user:secret@host", "https://user:secret@host/v1", "user:secret@host"] {
            let refused = parts(url).unwrap_err().to_string();
            assert!(!refused.contains("secret"), "{refused}");
        }
        assert!(parts("http://host").is_ok());
    }

    #[test]
    fn only_one_length_is_taken() {
        for (pairs, expected) in [
            (&[][..], true),
            (&[("content-length", "5")], true),
            (&[("transfer-encoding", "Chunked")], true),
            (&[("transfer-encoding", "chunked"), ("content-length", "5")], false),
            (&[("transfer-encoding", "gzip")], false),
            (&[("transfer-encoding", "gzip, chunked")], false),
            (&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], false),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, HeaderValue::from_static(value));
            }
            assert_eq!(has_one_length(&headers), expected, "{pairs:?}");
        }
    }
}
