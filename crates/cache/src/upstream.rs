//! The model behind the cache.

use axum::body::Body;
use http::header::{self, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::hop_by_hop;

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
    url: String,
}

impl BadUrl {
    pub(super) fn of(url: &str) -> Self {
        BadUrl { url: url.to_owned() }
    }
}

impl Upstream {
    pub(super) fn new(url: &str) -> Result<Self, BadUrl> {
        let (scheme, authority, path) = parts(url)?;
        let prefix = path.trim_end_matches('/').to_owned();
        Ok(Upstream { client: client(), scheme, authority, prefix })
    }

    /// Forwards a request. The answer is unchanged, except for headers about the connection.
    pub(super) async fn send(
        &self,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, hyper_util::client::legacy::Error> {
        let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
        let path = format!("{}{path}", self.prefix);
        let uri = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path)
            .build();
        if let Ok(uri) = uri {
            *request.uri_mut() = uri;
        }
        *request.version_mut() = http::Version::HTTP_11;
        hop_by_hop::strip(request.headers_mut());
        if let Ok(host) = HeaderValue::from_str(self.authority.as_str()) {
            request.headers_mut().insert(header::HOST, host);
        }
        let mut response = self.client.request(request).await?.map(Body::new);
        hop_by_hop::strip(response.headers_mut());
        Ok(response)
    }
}

/// Scheme, host and path of a URL without a query.
pub(super) fn parts(url: &str) -> Result<(Scheme, Authority, String), BadUrl> {
    let bad = || BadUrl::of(url);
    let parts = url.parse::<Uri>().map_err(|_| bad())?.into_parts();
    let scheme = parts.scheme.filter(|it| *it == Scheme::HTTP || *it == Scheme::HTTPS);
    let (Some(scheme), Some(authority)) = (scheme, parts.authority) else { return Err(bad()) };
    if parts.path_and_query.as_ref().is_some_and(|it| it.query().is_some()) {
        return Err(bad());
    }
    let path = parts.path_and_query.as_ref().map_or("", PathAndQuery::path).to_owned();
    Ok((scheme, authority, path))
}

pub(super) fn client() -> Client<HttpsConnector<HttpConnector>, Body> {
    let mut http = HttpConnector::new();
    http.set_nodelay(true);
    http.enforce_http(false);
    let connector = HttpsConnectorBuilder::new()
        .with_webpki_roots()
        .https_or_http()
        .enable_http1()
        .wrap_connector(http);
    Client::builder(TokioExecutor::new()).build(connector)
}
