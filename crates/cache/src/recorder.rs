//! An answer on its way to the client, copied as it passes.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use hyper::body::{Frame, SizeHint};

use super::metrics::NotStored;

/// How an answer ended.
pub(super) type Recording = Result<Bytes, NotStored>;

/// A body that tells, once, what passed through it. Bytes are passed on the moment they come,
/// whatever becomes of the copy.
pub(super) struct Recorder<F: FnOnce(Recording)> {
    body: Body,
    copy: BytesMut,
    limit: usize,
    /// Gone once it was told.
    tell: Option<F>,
}

impl<F: FnOnce(Recording)> Recorder<F> {
    pub(super) fn new(body: Body, limit: usize, tell: F) -> Self {
        Recorder { body, copy: BytesMut::new(), limit, tell: Some(tell) }
    }

    fn tell(&mut self, outcome: Result<(), NotStored>) {
        if let Some(tell) = self.tell.take() {
            tell(outcome.map(|()| std::mem::take(&mut self.copy).freeze()));
        }
    }
}

impl<F: FnOnce(Recording) + Unpin> hyper::body::Body for Recorder<F> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref().filter(|_| self.tell.is_some()) {
                    if self.copy.len() + data.len() > self.limit {
                        self.copy = BytesMut::new();
                        self.tell(Err(NotStored::TooLarge));
                    } else {
                        self.copy.extend_from_slice(data);
                    }
                }
                // The client may not ask again once it has all that was announced.
                if self.body.is_end_stream() {
                    self.tell(Ok(()));
                }
            }
            Some(Err(_)) => self.tell(Err(NotStored::Incomplete)),
            None => self.tell(Ok(())),
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

impl<F: FnOnce(Recording)> Drop for Recorder<F> {
    fn drop(&mut self) {
        self.tell(Err(NotStored::Abandoned));
    }
}
