//! Connections whose client sends no more: it may have left for good, or wait for the answer. TCP does not tell which, so
//! such a connection has some time, which every byte that it takes begins anew.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::Response;
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How many requests of a connection are not answered to their end.
#[derive(Debug, Clone, Default)]
pub(super) struct UnderWay(Arc<AtomicUsize>);

/// One of them, as long as it lives.
#[derive(Debug)]
pub(super) struct Asked(Arc<AtomicUsize>);

impl UnderWay {
    pub(super) fn begin(&self) -> Asked {
        self.0.fetch_add(1, Ordering::Relaxed);
        Asked(Arc::clone(&self.0))
    }

    fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer: its request is under way until all of it is sent.
pub(super) struct Answer {
    body: Body,
    _asked: Asked,
}

impl Answer {
    pub(super) fn to(asked: Asked, response: Response<Body>) -> Response<Self> {
        response.map(|body| Self { body, _asked: asked })
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection that tells of the end of what it reads, while a request is under way, only after `patience` without a byte
/// written; what is told of it cuts the request off.
pub(super) struct Patient<IO> {
    io: IO,
    under_way: UnderWay,
    patience: Duration,
    /// Since the end was read.
    silence: Option<Pin<Box<Sleep>>>,
}

impl<IO> Patient<IO> {
    pub(super) fn new(io: IO, under_way: UnderWay, patience: Duration) -> Self {
        Self {
            io,
            under_way,
            patience,
            silence: None,
        }
    }

    fn wrote(&mut self, written: &io::Result<usize>) {
        if let (Some(silence), Ok(1..)) = (&mut self.silence, written) {
            silence.as_mut().reset(Instant::now() + self.patience);
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Patient<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.silence.is_none() {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.io).poll_read(context, buffer))?;
            if buffer.filled().len() > before || buffer.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        if this.under_way.any() {
            let silence = this.silence.get_or_insert_with(|| Box::pin(sleep(this.patience)));
            ready!(silence.as_mut().poll(context));
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Patient<IO> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(context, bytes));
        self.wrote(&written);
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write_vectored(context, parts));
        self.wrote(&written);
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
