//! A listener that serves only so many connections at a time, and none that is silent for long;
//! more wait in the kernel's queue.
//!
//! The page shares its process, and so its file handles, with the chargers' links: who opens
//! sockets without end must not take them away. Each door has places of its own, so that nobody
//! from elsewhere takes those of this machine.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

/// Connections at a time: every live page with room for its other questions.
const CONNECTIONS_MAX: usize = 128;

/// A connection on which nothing moves for this long is cut. The longest answer that is waited for
/// takes 100 s; live pages are told something every few seconds.
const SILENT_MAX: Duration = Duration::from_secs(150);

/// Who is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// A listener with a limit.
pub struct Bounded<L> {
    listener: L,
    places: Arc<Semaphore>,
}

/// A connection and the place it takes.
pub struct Seated<S> {
    stream: S,
    silent: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl<L> Bounded<L> {
    /// Around a listener.
    pub fn new(listener: L) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(CONNECTIONS_MAX)) }
    }
}

impl<L: Listener<Addr = SocketAddr>> Listener for Bounded<L> {
    type Io = Seated<L::Io>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        let place = self.places.clone().acquire_owned().await;
        let place = place.expect("the semaphore lives as long as this and is never closed");
        let (stream, address) = self.listener.accept().await;
        let silent = Box::pin(sleep(SILENT_MAX));
        (Seated { stream, silent, _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl<L: Listener<Addr = SocketAddr>> Connected<IncomingStream<'_, Bounded<L>>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Bounded<L>>) -> Self {
        Self(*stream.remote_addr())
    }
}

impl<S> Seated<S> {
    /// Something has moved: the silence begins anew.
    fn moved(&mut self, context: &mut Context<'_>) {
        self.silent.set(sleep(SILENT_MAX));
        // Polled once, so that it wakes the connection when it is over.
        let _ = self.silent.as_mut().poll(context);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Seated<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        if read.is_ready() {
            self.moved(context);
        } else if self.silent.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Seated<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if written.is_ready() {
            self.moved(context);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
