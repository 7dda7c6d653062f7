//! Embeddings from another server: any with OpenAI's `/v1/embeddings`.
//!
//! It may be slow, gone or wrong at any time, and may delay a request by no more than
//! [`PATIENCE`]: a question without a vector in time is looked up in the exact tier only.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use http::header::{self, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use serde::Deserialize;
use serde_json::json;

use super::now_ms;
use super::trust::Trust;
use super::upstream::{BadUrl, client, parts};

/// How long a request waits for its vector.
pub const PATIENCE: Duration = Duration::from_millis(500);
/// How long a server that failed is not asked again, so that its time-outs do not delay every miss.
const PAUSE: Duration = Duration::from_secs(1);
/// Largest answer that is read: a batch of long vectors in JSON.
const MAX_ANSWER: usize = 64 << 20;

/// A server of embeddings.
pub struct Endpoint {
    client: Client<HttpsConnector<HttpConnector>, Body>,
    uri: Uri,
    model: String,
    authorization: Option<HeaderValue>,
    /// When it may be asked again, in milliseconds since the epoch.
    resumes_ms: AtomicU64,
}

/// Why there is no vector.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    #[error("the server is unreachable: {0}")]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    #[error("the server did not answer in time")]
    Slow,
    #[error("the server failed a moment ago and is not asked yet")]
    Paused,
    #[error("the server answered with status {0}")]
    Status(StatusCode),
    #[error("the answer is not {wanted} vectors of finite numbers and equal length")]
    Answer { wanted: usize },
}

/// Why an endpoint was rejected.
#[derive(Debug, thiserror::Error)]
pub enum BadEndpoint {
    #[error(transparent)]
    Url(#[from] BadUrl),
    #[error("the key of the embeddings has characters that a header cannot hold")]
    Key,
}

#[derive(Deserialize)]
struct ProviderAnswer {
    data: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    index: usize,
    embedding: Vec<f32>,
}

impl Endpoint {
    /// `url` is the whole address, `https://host/v1/embeddings`; the key goes into the header
    /// `authorization`.
    ///
    /// # Errors
    ///
    /// When the URL is invalid, or the key cannot be sent in a header.
    pub fn new(
        url: &str,
        model: &str,
        key: Option<&str>,
        trust: &Trust,
    ) -> Result<Self, BadEndpoint> {
        let (_, _, path) = parts(url)?;
        let uri = url.parse().ok().filter(|_| !path.is_empty()).ok_or_else(|| BadUrl::of(url))?;
        let authorization = key.map(|key| {
            let value = HeaderValue::from_str(&format!("Bearer {key}"));
            let mut value = value.map_err(|_| BadEndpoint::Key)?;
            value.set_sensitive(true);
            Ok::<_, BadEndpoint>(value)
        });
        Ok(Endpoint {
            client: client(trust),
            uri,
            model: model.to_owned(),
            authorization: authorization.transpose()?,
            resumes_ms: AtomicU64::new(0),
        })
    }

    /// The name of the model. Vectors of two models cannot be compared.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The vectors of these texts, in their order.
    ///
    /// # Errors
    ///
    /// When the server does not give them all within `patience`, or failed just before.
    pub async fn embed(
        &self,
        texts: &[&str],
        patience: Duration,
    ) -> Result<Vec<Vec<f32>>, EndpointError> {
        if now_ms() < self.resumes_ms.load(Ordering::Relaxed) {
            return Err(EndpointError::Paused);
        }
        let asked = tokio::time::timeout(patience, self.ask(texts)).await;
        let result = asked.unwrap_or(Err(EndpointError::Slow));
        if result.is_err() {
            self.resumes_ms.store(now_ms() + PAUSE.as_millis() as u64, Ordering::Relaxed);
        }
        result
    }

    async fn ask(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EndpointError> {
        let body = json!({"model": self.model, "input": texts, "encoding_format": "float"});
        let mut request = Request::new(Body::from(body.to_string()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(header::AUTHORIZATION, authorization.clone());
        }
        let response = self.client.request(request).await?;
        if response.status() != StatusCode::OK {
            return Err(EndpointError::Status(response.status()));
        }
        let wanted = texts.len();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|_| EndpointError::Answer { wanted })?.to_bytes();
        vectors(&body, wanted).ok_or(EndpointError::Answer { wanted })
    }
}

/// The vectors of an answer, when it holds one for each text and all can be compared.
fn vectors(body: &[u8], wanted: usize) -> Option<Vec<Vec<f32>>> {
    let ProviderAnswer { mut data } = serde_json::from_slice(body).ok()?;
    data.sort_by_key(|row| row.index);
    let whole = data.len() == wanted && data.iter().enumerate().all(|(at, row)| row.index == at);
    let length = data.first().map_or(0, |row| row.embedding.len());
    let alike = |row: &Row| row.embedding.len() == length && length > 0;
    let finite = |row: &Row| row.embedding.iter().all(|number| number.is_finite());
    let good = whole && data.iter().all(|row| alike(row) && finite(row));
    good.then(|| data.into_iter().map(|row| row.embedding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_vector_for_each_text_is_taken() {
        let body = br#"{"data":[{"index":1,"embedding":[3,4]},{"index":0,"embedding":[1,2]}]}"#;
        assert_eq!(vectors(body, 2), Some(vec![vec![1.0, 2.0], vec![3.0, 4.0]]));
        assert_eq!(vectors(body, 3), None);
        for bad in [
            &br#"{"data":[{"index":0,"embedding":[1,2]},{"index":0,"embedding":[1,2]}]}"#[..],
            br#"{"data":[{"index":0,"embedding":[1,2]},{"index":1,"embedding":[1]}]}"#,
            br#"{"data":[{"index":0,"embedding":[]},{"index":1,"embedding":[]}]}"#,
            br#"{"data":[{"index":0,"embedding":[1e39]},{"index":1,"embedding":[1]}]}"#,
            br#"{"error":{}}"#,
        ] {
            assert_eq!(vectors(bad, 2), None, "{}", String::from_utf8_lossy(bad));
        }
    }
}
