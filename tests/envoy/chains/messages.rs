//! The messages of `envoy.service.ext_proc.v3` and `envoy.service.ratelimit.v3`, as far as they are
//! used here; a decoder skips fields that it does not know. Of a `oneof`, one field is there.

use prost::Message;

#[derive(Message)]
pub(super) struct ProcessingRequest {
    #[prost(message, optional, tag = "2")]
    pub request_headers: Option<HttpHeaders>,
    #[prost(message, optional, tag = "3")]
    pub response_headers: Option<HttpHeaders>,
    #[prost(message, optional, tag = "4")]
    pub request_body: Option<HttpBody>,
    #[prost(message, optional, tag = "5")]
    pub response_body: Option<HttpBody>,
    #[prost(message, optional, tag = "6")]
    pub request_trailers: Option<HttpTrailers>,
    #[prost(message, optional, tag = "7")]
    pub response_trailers: Option<HttpTrailers>,
}

#[derive(Message)]
pub(super) struct HttpHeaders {
    #[prost(bool, tag = "3")]
    pub end_of_stream: bool,
}

#[derive(Message)]
pub(super) struct HttpBody {
    #[prost(bytes = "vec", tag = "1")]
    pub body: Vec<u8>,
    #[prost(bool, tag = "2")]
    pub end_of_stream: bool,
}

#[derive(Message)]
pub(super) struct HttpTrailers {}

#[derive(Message)]
pub(super) struct ProcessingResponse {
    #[prost(message, optional, tag = "1")]
    pub request_headers: Option<HeadersResponse>,
    #[prost(message, optional, tag = "2")]
    pub response_headers: Option<HeadersResponse>,
    #[prost(message, optional, tag = "3")]
    pub request_body: Option<BodyResponse>,
    #[prost(message, optional, tag = "4")]
    pub response_body: Option<BodyResponse>,
    #[prost(message, optional, tag = "5")]
    pub request_trailers: Option<TrailersResponse>,
    #[prost(message, optional, tag = "6")]
    pub response_trailers: Option<TrailersResponse>,
}

#[derive(Message)]
pub(super) struct HeadersResponse {
    #[prost(message, optional, tag = "1")]
    pub response: Option<CommonResponse>,
}

#[derive(Message)]
pub(super) struct BodyResponse {
    #[prost(message, optional, tag = "1")]
    pub response: Option<CommonResponse>,
}

#[derive(Message)]
pub(super) struct TrailersResponse {}

/// Its status is CONTINUE where it is absent.
#[derive(Message)]
pub(super) struct CommonResponse {
    #[prost(message, optional, tag = "2")]
    pub header_mutation: Option<HeaderMutation>,
    #[prost(message, optional, tag = "3")]
    pub body_mutation: Option<BodyMutation>,
    #[prost(bool, tag = "5")]
    pub clear_route_cache: bool,
}

#[derive(Message)]
pub(super) struct BodyMutation {
    #[prost(message, optional, tag = "3")]
    pub streamed: Option<StreamedBody>,
}

#[derive(Message)]
pub(super) struct StreamedBody {
    #[prost(bytes = "vec", tag = "1")]
    pub body: Vec<u8>,
    #[prost(bool, tag = "2")]
    pub end_of_stream: bool,
}

#[derive(Message)]
pub(super) struct HeaderMutation {
    #[prost(message, repeated, tag = "1")]
    pub set: Vec<HeaderValueOption>,
}

#[derive(Message)]
pub(super) struct HeaderValueOption {
    #[prost(message, optional, tag = "1")]
    pub header: Option<Pair>,
}

#[derive(Message)]
pub(super) struct Pair {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(bytes = "vec", tag = "3")]
    pub raw: Vec<u8>,
}

#[derive(Message)]
pub(super) struct RateLimitRequest {
    #[prost(message, repeated, tag = "2")]
    pub descriptors: Vec<Descriptor>,
}

#[derive(Message)]
pub(super) struct Descriptor {
    #[prost(message, repeated, tag = "1")]
    pub entries: Vec<Entry>,
}

#[derive(Message)]
pub(super) struct Entry {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

/// OK is 1, OVER_LIMIT is 2.
#[derive(Message)]
pub(super) struct RateLimitResponse {
    #[prost(int32, tag = "1")]
    pub code: i32,
}
