//! A request body that has to arrive in time, so that nobody holds a connection with a byte now and
//! then.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

/// Bytes for which a body has its time once more.
const SHARE: usize = 1 << 20;

/// A body with a deadline. Time in which nobody reads it does not count.
pub(super) struct Timely<B> {
    body: B,
    began: Instant,
    patience: Duration,
    received: usize,
    late: Pin<Box<Sleep>>,
}

/// The body did not arrive in time.
#[derive(Debug, thiserror::Error)]
#[error("the request body did not arrive in time")]
struct Late;

/// Whether this error, or what it comes from, is that of a body which did not arrive in time.
pub(super) fn is_late(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| error.source()).any(|error| error.is::<Late>())
}

impl<B> Timely<B> {
    /// A body that has this long, and as long again for each [`SHARE`] of it.
    pub(super) fn new(body: B, patience: Duration) -> Self {
        let began = Instant::now();
        let late = Box::pin(sleep_until(began + patience));
        Timely { body, began, patience, received: 0, late }
    }
}

impl<B> Body for Timely<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let shares = self.received / SHARE;
                self.received += frame.data_ref().map_or(0, Bytes::len);
                if self.received / SHARE > shares {
                    let shares = u32::try_from(self.received / SHARE).unwrap_or(u32::MAX - 1);
                    let end = self.began + self.patience.saturating_mul(shares + 1);
                    self.late.as_mut().reset(end);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(other) => Poll::Ready(other.map(|frame| frame.map_err(Into::into))),
            Poll::Pending => self.late.as_mut().poll(context).map(|()| Some(Err(Late.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use http_body_util::channel::Channel;

    use super::*;

    #[tokio::test]
    async fn a_body_that_trickles_ends_at_its_deadline() {
        let (mut sender, body) = Channel::<Bytes, std::convert::Infallible>::new(1);
        let mut body = Timely::new(body, Duration::from_millis(20));
        sender.send_data(Bytes::from_static(b"x")).await.unwrap();
        assert!(body.frame().await.unwrap().is_ok());
        let error = body.frame().await.unwrap().unwrap_err();
        assert!(is_late(&*error) && is_late(&axum::Error::new(error)));
        assert!(!is_late(&std::io::Error::other("another")));
    }

    #[tokio::test]
    async fn a_large_body_has_more_time() {
        let (mut sender, body) = Channel::<Bytes, std::convert::Infallible>::new(4);
        let patience = Duration::from_secs(3600);
        let mut body = Timely::new(body, patience);
        for (pieces, times) in [(0, 1), (1, 2), (1, 3)] {
            for _ in 0..pieces {
                sender.send_data(Bytes::from(vec![0; SHARE])).await.unwrap();
                body.frame().await.unwrap().unwrap();
            }
            assert_eq!(body.late.deadline(), body.began + times * patience);
        }
    }
}
