//! `envoy.service.ext_proc.v3.ExternalProcessor`: one stream per request, one answer per message.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio_stream::StreamExt;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, BoxStream, Service, http};
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::messages::{
    BodyResponse, CommonResponse, HeaderMutation, HeaderValue, HeaderValueOption, HeadersResponse,
    OVERWRITE, ProcessingRequest, ProcessingResponse,
};

/// From a body to the name of a cluster.
pub type Decide = dyn Fn(Vec<u8>) -> String + Send + Sync;

/// The service that routes by what `decide` says.
#[derive(Clone)]
pub struct Processor {
    decide: Arc<Decide>,
}

impl Processor {
    pub fn new(decide: Arc<Decide>) -> Self {
        Self { decide }
    }
}

impl NamedService for Processor {
    const NAME: &'static str = "envoy.service.ext_proc.v3.ExternalProcessor";
}

impl Service<http::Request<Body>> for Processor {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    /// `Process` is the only method of this service.
    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let streams = Streams { decide: Arc::clone(&self.decide) };
        Box::pin(async move {
            let mut grpc =
                Grpc::new(ProstCodec::<ProcessingResponse, ProcessingRequest>::default());
            Ok(grpc.streaming(streams, request).await)
        })
    }
}

struct Streams {
    decide: Arc<Decide>,
}

impl StreamingService<ProcessingRequest> for Streams {
    type Response = ProcessingResponse;
    type ResponseStream = BoxStream<ProcessingResponse>;
    type Future = BoxFuture<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: Request<Streaming<ProcessingRequest>>) -> Self::Future {
        let decide = Arc::clone(&self.decide);
        let answers = request.into_inner().map(move |message| Ok(answer(message?, &*decide)));
        Box::pin(async move { Ok(Response::new(Box::pin(answers) as Self::ResponseStream)) })
    }
}

fn answer(message: ProcessingRequest, decide: &Decide) -> ProcessingResponse {
    let Some(body) = message.request_body else {
        return ProcessingResponse {
            request_headers: Some(HeadersResponse {}),
            request_body: None,
        };
    };
    let target = decide(body.body);
    let header =
        HeaderValue { key: "x-pointsman-cluster".to_owned(), raw_value: target.into_bytes() };
    let mutation = HeaderMutation {
        set_headers: vec![HeaderValueOption { header: Some(header), append_action: OVERWRITE }],
    };
    let response = CommonResponse { header_mutation: Some(mutation), clear_route_cache: true };
    ProcessingResponse {
        request_headers: None,
        request_body: Some(BodyResponse { response: Some(response) }),
    }
}
