//! A listener for HTTP inside TLS, or without it.
//!
//! Invariants: no address takes the places of all others, neither of connections nor of handshakes:
//! what it wants beyond its most is turned away at once. A handshake takes a bounded time, so many
//! are under way at most, and one that never ends holds up nobody. The settings of TLS are asked
//! for with each connection, so a renewed certificate is shown to the next one that comes.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_rustls::server::TlsStream;

use crate::ground::crowd::{Crowd, Full, Place};

use super::clock::Clock;
use super::stream::{Stream, accepted};
use super::tls::Tls;

/// Handshakes that may be under way at a time …
const HANDSHAKES_MAX: usize = 96;

/// … and of one address: a browser opens six at once, and many may be behind one router.
const HANDSHAKES_OF_ONE_MAX: usize = 64;

/// Connections at a time …
const CONNECTIONS_MAX: usize = 256;

/// … and of one address: half, since an office of people or a proxy in front may be one.
pub const CONNECTIONS_OF_ONE_MAX: usize = 128;

/// What is said to one too many, where nothing is encrypted.
const TOO_MANY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 10\r\n\
    Content-Type: text/plain\r\nConnection: close\r\nContent-Length: 39\r\n\r\n\
    too many connections from this address\n";

/// Hears that it is crowded, in words for people.
pub type Tell = Arc<dyn Fn(String) + Send + Sync>;

/// Leaves it to the log, where nobody keeps events.
pub fn to_the_log() -> Tell {
    Arc::new(|words| log::warn!("{words}"))
}

/// A handshake takes at most this long.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// Who is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// A listening socket. Dropping it stops accepting.
#[derive(Debug)]
pub struct HttpsListener {
    address: SocketAddr,
    ready: mpsc::Receiver<(Seated, SocketAddr)>,
    acceptor: JoinHandle<()>,
}

impl HttpsListener {
    /// Accepts from here on.
    pub fn new(listener: TcpListener, tls: Option<Tls>, tell: Tell) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (done, ready) = mpsc::channel(HANDSHAKES_MAX);
        Ok(Self { address, ready, acceptor: tokio::spawn(accept(listener, tls, tell, done)) })
    }
}

impl Drop for HttpsListener {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<Tls>,
    tell: Tell,
    done: mpsc::Sender<(Seated, SocketAddr)>,
) {
    let hands = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let shaking = Crowd::new(HANDSHAKES_MAX, HANDSHAKES_OF_ONE_MAX);
    let crowd = Crowd::new(CONNECTIONS_MAX, CONNECTIONS_OF_ONE_MAX);
    let clock = Clock::real();
    loop {
        let Ok(hand) = Arc::clone(&hands).acquire_owned().await else { return };
        let (stream, from) = accepted(&listener).await;
        let now = clock.now().mono;
        let places = || -> Result<(Place, Option<Place>), Full> {
            let shake = tls.as_ref().map(|_| shaking.enter(from.ip(), now)).transpose()?;
            Ok((crowd.enter(from.ip(), now)?, shake))
        };
        let (place, shake) = match places() {
            Ok(places) => places,
            Err(Full(words)) => {
                if let (None, Ok(mut stream)) = (&tls, stream.into_std()) {
                    // As much as goes out at once; whoever wants too much is not waited for.
                    let _ = stream.write(TOO_MANY);
                }
                words.into_iter().for_each(|words| tell(words));
                continue;
            }
        };
        let (tls, done) = (tls.clone(), done.clone());
        tokio::spawn(async move {
            let shaken = tokio::time::timeout(HANDSHAKE_TIME, greet(stream, tls)).await;
            drop((hand, shake));
            match shaken {
                // An error means that the listener is gone.
                Ok(Ok(stream)) => {
                    drop(done.send((Seated { stream, _place: place }, from)).await);
                }
                Ok(Err(error)) => log::debug!("no TLS with {from}: {error}"),
                Err(_) => log::debug!("no TLS with {from} in time"),
            }
        });
    }
}

async fn greet(stream: TcpStream, tls: Option<Tls>) -> io::Result<Stream> {
    // A socket that cannot do this still works.
    let _ = stream.set_nodelay(true);
    Ok(match tls {
        None => Stream::Plain(stream),
        Some(tls) => {
            let stream: TlsStream<TcpStream> = tls.accept(stream).await?;
            Stream::Tls(Box::new(stream))
        }
    })
}

impl Listener for HttpsListener {
    type Io = Seated;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Seated, SocketAddr) {
        match self.ready.recv().await {
            Some(ready) => ready,
            // The acceptor has ended, which it does with the runtime alone.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl Connected<IncomingStream<'_, HttpsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, HttpsListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// A connection and the place it takes.
#[derive(Debug)]
pub struct Seated {
    stream: Stream,
    _place: Place,
}

impl AsyncRead for Seated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Seated {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
