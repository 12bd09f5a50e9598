//! A listener for HTTP inside TLS, or without it.
//!
//! Invariants: a handshake takes a bounded time, so many are under way at most, and one that never
//! ends holds up nobody. The settings of TLS are asked for with each connection, so a renewed
//! certificate is shown to the next one that comes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_rustls::server::TlsStream;

use super::stream::{Stream, accepted};
use super::tls::Tls;

/// Handshakes that may be under way at a time.
const HANDSHAKES_MAX: usize = 32;

/// A handshake takes at most this long.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// Who is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// A listening socket. Dropping it stops accepting.
#[derive(Debug)]
pub struct HttpsListener {
    address: SocketAddr,
    ready: mpsc::Receiver<(Stream, SocketAddr)>,
    acceptor: JoinHandle<()>,
}

impl HttpsListener {
    /// Accepts from here on.
    pub fn new(listener: TcpListener, tls: Option<Tls>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (done, ready) = mpsc::channel(HANDSHAKES_MAX);
        Ok(Self { address, ready, acceptor: tokio::spawn(accept(listener, tls, done)) })
    }
}

impl Drop for HttpsListener {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

async fn accept(listener: TcpListener, tls: Option<Tls>, done: mpsc::Sender<(Stream, SocketAddr)>) {
    let hands = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let Ok(hand) = Arc::clone(&hands).acquire_owned().await else { return };
        let (stream, from) = accepted(&listener).await;
        let (tls, done) = (tls.clone(), done.clone());
        tokio::spawn(async move {
            let shaken = tokio::time::timeout(HANDSHAKE_TIME, greet(stream, tls)).await;
            drop(hand);
            match shaken {
                // An error means that the listener is gone.
                Ok(Ok(stream)) => drop(done.send((stream, from)).await),
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
    type Io = Stream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Stream, SocketAddr) {
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
