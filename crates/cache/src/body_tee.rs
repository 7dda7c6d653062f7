//! An answer on its way to the client, copied as it passes.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use hyper::body::{Frame, SizeHint};

use super::metrics::NoStoreReason;

/// The copy of an answer that passed through whole, or why there is none.
pub(super) type CopiedBody = Result<Bytes, NoStoreReason>;

/// A body that hands a copy of itself to `done`, once. Bytes are passed on the moment they come,
/// whatever happens to the copy.
pub(super) struct BodyTee<F: FnOnce(CopiedBody)> {
    body: Body,
    copy: BytesMut,
    limit: usize,
    /// Gone once it was called.
    done: Option<F>,
}

impl<F: FnOnce(CopiedBody)> BodyTee<F> {
    pub(super) fn new(body: Body, limit: usize, done: F) -> Self {
        BodyTee { body, copy: BytesMut::new(), limit, done: Some(done) }
    }

    fn finish(&mut self, result: Result<(), NoStoreReason>) {
        if let Some(done) = self.done.take() {
            done(result.map(|()| std::mem::take(&mut self.copy).freeze()));
        }
    }
}

impl<F: FnOnce(CopiedBody) + Unpin> hyper::body::Body for BodyTee<F> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref().filter(|_| self.done.is_some()) {
                    if self.copy.len() + data.len() > self.limit {
                        self.copy = BytesMut::new();
                        self.finish(Err(NoStoreReason::TooLarge));
                    } else {
                        self.copy.extend_from_slice(data);
                    }
                }
                // The client may not ask again once it has all that was announced.
                if self.body.is_end_stream() {
                    self.finish(Ok(()));
                }
            }
            Some(Err(_)) => self.finish(Err(NoStoreReason::Incomplete)),
            None => self.finish(Ok(())),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<F: FnOnce(CopiedBody)> Drop for BodyTee<F> {
    fn drop(&mut self) {
        self.finish(Err(NoStoreReason::Abandoned));
    }
}
