//! A listener that serves only so many connections at a time, and none that is silent for long;
//! more wait in the kernel's queue. One address has half of the places: what it wants beyond them
//! is turned away, so that others are served.
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
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep, timeout};

use crate::ground::crowd::{Crowd, Full, Place};
use crate::ground::time::Instant;

/// Connections at a time …
const CONNECTIONS_MAX: usize = 256;

/// … and of one address: every live page with room for its other questions. A proxy in front of the
/// pages of drivers is one address, and so is this machine.
const OF_ONE_MAX: usize = 128;

/// What is said to one too many.
const TOO_MANY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 10\r\n\
    Content-Type: text/plain\r\nConnection: close\r\nContent-Length: 39\r\n\r\n\
    too many connections from this address\n";

/// It is said to a fresh connection, which takes it at once or not at all.
const SAY_TIME: Duration = Duration::from_millis(200);

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
    crowd: Crowd,
    tell: Arc<dyn Fn(String) + Send + Sync>,
    moment: Arc<dyn Fn() -> Instant + Send + Sync>,
}

/// A connection and the place it takes.
pub struct Seated<S> {
    stream: S,
    silent: Pin<Box<Sleep>>,
    _places: (OwnedSemaphorePermit, Place),
}

impl<L> Bounded<L> {
    /// Around a listener; `tell` hears when an address wants more than its most.
    pub fn new(
        listener: L,
        tell: Arc<dyn Fn(String) + Send + Sync>,
        moment: Arc<dyn Fn() -> Instant + Send + Sync>,
    ) -> Self {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let crowd = Crowd::new(CONNECTIONS_MAX, OF_ONE_MAX);
        Self { listener, places, crowd, tell, moment }
    }
}

impl<L: Listener<Addr = SocketAddr>> Listener for Bounded<L> {
    type Io = Seated<L::Io>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        let place = self.places.clone().acquire_owned().await;
        let place = place.expect("the semaphore lives as long as this and is never closed");
        loop {
            let (mut stream, address) = self.listener.accept().await;
            match self.crowd.enter(address.ip(), (self.moment)()) {
                Ok(own) => {
                    let silent = Box::pin(sleep(SILENT_MAX));
                    return (Seated { stream, silent, _places: (place, own) }, address);
                }
                Err(Full(words)) => {
                    words.into_iter().for_each(|words| (self.tell)(words));
                    let _ = timeout(SAY_TIME, stream.write_all(TOO_MANY)).await;
                }
            }
        }
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
