//! The door for charge points: accepts connections, keeps the list of links, carries text.
//!
//! A link has a number that rises for ever, over restarts too, so that whatever is said about an
//! older connection of a charge point can be told from what is said about its newest. The newest
//! connection of an identity wins: half-open TCP after a lost radio link is the normal case.
//!
//! Sending never waits: [`Links::send`] puts text into the queue of one peer, and a peer whose
//! queue is full is cut off.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration as RealDuration;

use futures_util::FutureExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::controller::message::{Input, Refusal};
use crate::ground::crowd::{Crowd, Full, Place};
use crate::ground::ids::{ChargePointId, LinkId};
use crate::ground::time::Duration;
use crate::model::event::EventKind;

use super::certificate;
use super::clock::Clock;
use super::gate::{Followed, Gate};
use super::handshake::{Caller, Refused, Shaken, Welcome, shake};
use super::inbox::Inbox;
use super::link::{End, Line, OUTGOING_MAX, Outgoing};
use super::strangers::Strangers;
use super::stream::{Stream, accepted};
use super::tls::{self, Failure, Tls};
use super::uploads::{Offer, Uploads};
use super::vault::Vault;

/// Connections at a time: twice what a large site has, since each may be there once half-open.
const LINKS_MAX: usize = 2048;

/// Handshakes at a time; more wait in the kernel. Bounds what strangers can hold: links beyond the
/// handshake are of charge points of the site, and the newest of each replaces the one before.
const HANDSHAKES_MAX: usize = 384;

/// Handshakes of one address: all chargers of a large site may stand behind one router, and come
/// back together when the power does. What is beyond is turned away and comes again.
const HANDSHAKES_OF_ONE_MAX: usize = 256;

/// From the TCP connection to the end of the handshake, in real time.
const HANDSHAKE_TIME: RealDuration = RealDuration::from_secs(10);

/// Numbers of links that one run may use; the run counts in the bits above.
const LINKS_PER_RUN: u64 = 1 << 32;

/// What the door has to know.
#[derive(Clone, Debug)]
pub struct Door {
    /// How often the daemon was started; makes link numbers rise over restarts.
    pub start: u64,
    /// The charge points of the site.
    pub known: BTreeSet<ChargePointId>,
    /// After this much total silence a peer counts as dead: three heartbeats, 90 s at least.
    pub silence: Duration,
    /// Who of them may come in.
    pub gate: Gate,
}

/// The links of all charge points; cheap to clone.
#[derive(Clone, Debug)]
pub struct Links(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    list: Mutex<List>,
    /// Held from the moment a link gets its number until the controller is told of it, so that it
    /// hears of links in the order of their numbers.
    introduction: AsyncMutex<()>,
    open: watch::Sender<usize>,
    gate: Gate,
    strangers: Strangers,
    uploads: Uploads,
    vault: Vault,
}

#[derive(Debug)]
struct List {
    links: BTreeMap<LinkId, Handle>,
    newest: BTreeMap<ChargePointId, LinkId>,
    known: BTreeSet<ChargePointId>,
    silence: Duration,
    next: u64,
    closed: bool,
}

#[derive(Debug)]
struct Handle {
    outgoing: mpsc::Sender<Outgoing>,
    /// The security profile it came with.
    profile: u8,
    /// The address under which it has reached this box.
    base: Option<String>,
    /// Dropped with the handle, which cuts the line.
    _cut: oneshot::Sender<()>,
}

/// A listening socket. Dropping it stops accepting; links that are open stay.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    acceptor: JoinHandle<()>,
}

impl Links {
    /// No link yet.
    pub fn new(door: Door) -> Self {
        let list = List {
            links: BTreeMap::new(),
            newest: BTreeMap::new(),
            known: door.known,
            silence: door.silence,
            next: door.start.saturating_mul(LINKS_PER_RUN),
            closed: false,
        };
        let (open, _) = watch::channel(0);
        let (list, introduction) = (Mutex::new(list), AsyncMutex::new(()));
        Self(Arc::new(Shared {
            list,
            introduction,
            open,
            gate: door.gate,
            strangers: Strangers::default(),
            uploads: Uploads::default(),
            vault: Vault::default(),
        }))
    }

    /// Sends a text, without waiting. A link that is gone is no error: its end is reported by an
    /// input of its own.
    pub fn send(&self, link: LinkId, text: String) {
        let mut list = self.list();
        let Some(handle) = list.links.get(&link) else { return };
        let Some(text) = self.0.vault.fill(text) else {
            log::warn!("a password came too late to be sent on link {}", link.0);
            return;
        };
        if handle.outgoing.try_send(Outgoing::Text(text)).is_err() {
            log::warn!("link {} takes nothing any more and is cut", link.0);
            list.links.remove(&link);
        }
    }

    /// Drops a link; `politely` with a Close frame, else by cutting the TCP connection.
    pub fn disconnect(&self, link: LinkId, politely: bool) {
        let mut list = self.list();
        let Some(handle) = list.links.get(&link) else { return };
        if !politely || handle.outgoing.try_send(Outgoing::Close).is_err() {
            list.links.remove(&link);
        }
    }

    /// Who may connect from here on. Links of others stay until they are disconnected.
    pub fn admit(&self, known: BTreeSet<ChargePointId>, silence: Duration) {
        let mut list = self.list();
        list.known = known;
        list.silence = silence;
    }

    /// Cuts all links and takes no more; returns when they have ended, or after `patience`.
    pub async fn cut_all(&self, patience: RealDuration) {
        {
            let mut list = self.list();
            list.closed = true;
            list.links.clear();
        }
        let mut open = self.0.open.subscribe();
        let _ = tokio::time::timeout(patience, open.wait_for(|open| *open == 0)).await;
    }

    /// Who may come in.
    pub fn gate(&self) -> &Gate {
        &self.0.gate
    }

    /// Secrets on their way to chargers.
    pub fn vault(&self) -> &Vault {
        &self.0.vault
    }

    /// Who knocked and is not of this site.
    pub fn strangers(&self) -> &Strangers {
        &self.0.strangers
    }

    /// Files that chargers upload.
    pub fn uploads(&self) -> &Uploads {
        &self.0.uploads
    }

    /// The address under which a charger has reached this box, as in `http://10.0.0.1:9000`; none
    /// where it is not connected, or over another's back-end.
    pub fn base(&self, charge_point: &ChargePointId) -> Option<String> {
        let list = self.list();
        list.links.get(list.newest.get(charge_point)?)?.base.clone()
    }

    /// The charge points of the site.
    pub fn known(&self) -> BTreeSet<ChargePointId> {
        self.list().known.clone()
    }

    /// The charge points that are connected, each with the security profile it came with.
    pub fn profiles(&self) -> BTreeMap<ChargePointId, u8> {
        let list = self.list();
        let newest = list.newest.iter();
        let profiles = newest.filter_map(|(id, link)| Some((id.clone(), list.links.get(link)?)));
        profiles.map(|(id, handle)| (id, handle.profile)).collect()
    }

    /// A link without a socket, for a charge point that another part of the program stands for.
    /// The controller is told that it is up.
    pub async fn attach(&self, charge_point: &ChargePointId, inbox: &Inbox) -> Option<Attached> {
        let introduction = self.0.introduction.lock().await;
        let Entered { link, older, outgoing, cut, .. } = self.enter(charge_point, 0, None)?;
        let address = "inside".to_owned();
        let up = Input::LinkUp { charge_point: charge_point.clone(), link, address };
        let told = inbox.put(up).await;
        drop(introduction);
        if let Some(older) = older {
            self.disconnect(older, false);
        }
        let (links, charge_point, inbox) = (self.clone(), charge_point.clone(), inbox.clone());
        let attached = Attached { links, charge_point, inbox, link, outgoing, cut };
        if told.is_err() {
            attached.leave().await;
            return None;
        }
        Some(attached)
    }

    /// How many links there are.
    pub fn count(&self) -> usize {
        *self.0.open.borrow()
    }

    fn is_known(&self, charge_point: &ChargePointId) -> bool {
        self.list().known.contains(charge_point)
    }

    /// Gives a connection its number.
    fn enter(
        &self,
        charge_point: &ChargePointId,
        profile: u8,
        base: Option<String>,
    ) -> Option<Entered> {
        let mut list = self.list();
        if list.closed {
            return None;
        }
        list.next += 1;
        let link = LinkId(list.next);
        let older = list.newest.insert(charge_point.clone(), link);
        let (sender, outgoing) = mpsc::channel(OUTGOING_MAX);
        let (ours, cut) = oneshot::channel();
        list.links.insert(link, Handle { outgoing: sender, profile, base, _cut: ours });
        self.0.open.send_modify(|open| *open += 1);
        Some(Entered { link, older, outgoing, cut, silence: list.silence })
    }

    fn leave(&self, charge_point: &ChargePointId, link: LinkId) {
        let mut list = self.list();
        list.links.remove(&link);
        if list.newest.get(charge_point) == Some(&link) {
            list.newest.remove(charge_point);
        }
        self.0.open.send_modify(|open| *open -= 1);
    }

    fn list(&self) -> MutexGuard<'_, List> {
        // Every change under the lock is whole, so a panic elsewhere leaves nothing half done.
        self.0.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A link without a socket.
#[derive(Debug)]
pub struct Attached {
    links: Links,
    charge_point: ChargePointId,
    inbox: Inbox,
    link: LinkId,
    outgoing: mpsc::Receiver<Outgoing>,
    cut: oneshot::Receiver<()>,
}

impl Attached {
    /// Its number.
    pub fn id(&self) -> LinkId {
        self.link
    }

    /// The next text for the charge point; none when the link is cut.
    pub async fn next(&mut self) -> Option<String> {
        tokio::select! {
            biased;
            sent = self.outgoing.recv() => match sent {
                Some(Outgoing::Text(text)) => Some(text),
                Some(Outgoing::Close) | None => None,
            },
            _ = &mut self.cut => None,
        }
    }

    /// It is gone; the controller is told.
    pub async fn leave(self) {
        self.links.leave(&self.charge_point, self.link);
        let (charge_point, link) = (self.charge_point, self.link);
        let _ = self.inbox.put(Input::LinkDown { charge_point, link }).await;
    }
}

struct Entered {
    link: LinkId,
    /// The link that is replaced by this one.
    older: Option<LinkId>,
    outgoing: mpsc::Receiver<Outgoing>,
    cut: oneshot::Receiver<()>,
    silence: Duration,
}

impl Server {
    /// Listens, inside TLS or without it, and reports everything that comes in.
    pub async fn open(
        address: SocketAddr,
        tls: Option<Tls>,
        links: Links,
        inbox: Inbox,
        clock: Clock,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let world = World { links, inbox, clock, tls };
        Ok(Self { address, acceptor: tokio::spawn(accept(listener, world)) })
    }

    /// Where it listens; the port that was chosen when port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

#[derive(Clone)]
struct World {
    links: Links,
    inbox: Inbox,
    clock: Clock,
    tls: Option<Tls>,
}

async fn accept(listener: TcpListener, world: World) {
    let seats = Arc::new(Semaphore::new(LINKS_MAX));
    let hands = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let crowd = Crowd::new(HANDSHAKES_MAX, HANDSHAKES_OF_ONE_MAX);
    loop {
        let Ok(hand) = Arc::clone(&hands).acquire_owned().await else { return };
        let (stream, from) = accepted(&listener).await;
        let hand = match crowd.enter(from.ip(), world.clock.now().mono) {
            Ok(place) => (hand, place),
            Err(Full(None)) => continue,
            Err(Full(Some(text))) => {
                let (kind, subject) = (EventKind::Crowded, "charge points".to_owned());
                let _ = world.inbox.put(Input::Noticed { kind, subject, text }).await;
                continue;
            }
        };
        match Arc::clone(&seats).try_acquire_owned() {
            Ok(seat) => {
                tokio::spawn(serve(stream, from, world.clone(), hand, seat));
            }
            Err(_) => {
                let why = Refusal::Handshake(format!("there are {LINKS_MAX} connections already"));
                refuse(&world, from, nobody(Some(why))).await;
            }
        }
    }
}

async fn serve(
    stream: TcpStream,
    from: SocketAddr,
    world: World,
    hand: (OwnedSemaphorePermit, Place),
    _seat: OwnedSemaphorePermit,
) {
    // Frames are small and each is waited for; a socket that cannot do this still works.
    let _ = stream.set_nodelay(true);
    // On the heap, and gone before the link begins: a handshake needs more room than a link.
    let shaken = tokio::time::timeout(HANDSHAKE_TIME, Box::pin(greet(stream, from, &world))).await;
    drop(hand);
    match shaken {
        Ok(Ok(Welcome::Known(shaken))) => live(shaken, from, world).await,
        Ok(Ok(Welcome::Stranger { identity, socket, agent })) => {
            let why = Some(Refusal::UnknownIdentity);
            refuse(&world, from, Refused { identity: identity.clone(), why, agent }).await;
            let now = world.clock.now().utc.unwrap_or_default();
            world.links.strangers().word(&identity, socket, now).await;
        }
        Ok(Ok(Welcome::Upload { offer, stream, beginning })) => {
            receive(offer, stream, beginning, from, &world).await;
        }
        Ok(Err(refused)) => refuse(&world, from, refused).await,
        Err(_) => {
            let why = format!("the handshake took more than {} s", HANDSHAKE_TIME.as_secs());
            refuse(&world, from, nobody(Some(Refusal::Handshake(why)))).await;
        }
    }
}

/// TLS where it is wanted, then HTTP, then frames.
async fn greet(stream: TcpStream, from: SocketAddr, world: &World) -> Result<Welcome, Refused> {
    let now = world.clock.now().mono;
    let curious = world.links.strangers().may_speak(now);
    let mut caller = Caller { from, now, encrypted: false, certificate: None, curious };
    let stream = match &world.tls {
        None => Stream::Plain(stream),
        Some(tls) => {
            let stream = tls.accept(stream).await.map_err(|error| match tls::failure(&error) {
                Failure::Gone => nobody(None),
                Failure::Certificate(why) => nobody(Some(Refusal::Certificate(why))),
                Failure::Handshake(why) => nobody(Some(Refusal::Handshake(why))),
            })?;
            caller.encrypted = true;
            let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
            caller.certificate = shown.map(|shown| {
                // What cannot be read names nobody, and so lets nobody in.
                certificate::facts(shown).map(|facts| facts.names).unwrap_or_default()
            });
            Stream::Tls(Box::new(stream))
        }
    };
    let known = |charge_point: &ChargePointId| world.links.is_known(charge_point);
    shake(stream, caller, world.links.gate(), known).await
}

/// Takes a file, and tells people of it.
async fn receive(
    offer: Offer,
    mut stream: Stream,
    beginning: Vec<u8>,
    from: SocketAddr,
    world: &World,
) {
    let (uploads, now) = (world.links.uploads(), world.clock.now().mono);
    let (kind, whose, text) = match uploads.take(offer, &mut stream, beginning, now).await {
        Ok((whose, file)) => {
            let text = format!("upload: {} has come, {} bytes", file.name, file.bytes);
            (EventKind::ChargerJob, whose, text)
        }
        Err(failed) => match failed.charge_point {
            None => return refuse(world, from, nobody(Some(Refusal::Handshake(failed.why)))).await,
            Some(whose) => (EventKind::ChargerJobFailed, whose, format!("upload: {}", failed.why)),
        },
    };
    let told = Input::Noticed { kind, subject: whose.to_string(), text };
    let _ = world.inbox.put(told).await;
}

fn nobody(why: Option<Refusal>) -> Refused {
    Refused { identity: String::new(), why, agent: String::new() }
}

/// The life of one link, from its number to its end.
async fn live(shaken: Shaken, from: SocketAddr, world: World) {
    let Shaken { charge_point, socket, admitted, base } = shaken;
    let World { links, inbox, clock, .. } = world;
    let introduction = links.0.introduction.lock().await;
    let Some(entered) = links.enter(&charge_point, admitted.profile, base) else {
        return;
    };
    let Entered { link, older, outgoing, cut, silence } = entered;
    let up = Input::LinkUp { charge_point: charge_point.clone(), link, address: from.to_string() };
    let told = inbox.put(up).await;
    drop(introduction);
    for followed in admitted.followed {
        let _ = inbox.put(notice(&charge_point, followed)).await;
    }
    if let Some(older) = older {
        // Only after the controller knows of its successor, so that it sees one replace the other.
        links.disconnect(older, false);
    }
    let line = Line { socket, charge_point: charge_point.clone(), link, outgoing, cut, silence };
    let end = match told {
        Ok(()) => AssertUnwindSafe(line.carry(&inbox, &clock)).catch_unwind().await,
        Err(_) => Ok(End::Closed),
    };
    links.leave(&charge_point, link);
    let broke = match end {
        Ok(End::Broke(why)) => Some(why),
        Ok(End::Silent) => {
            log::info!("charge point {charge_point} was silent for too long and is cut");
            None
        }
        Ok(End::Closed) => None,
        Err(_) => Some("the link stopped by a fault of ours; see the log".to_owned()),
    };
    if let Some(why) = broke {
        let (identity, address) = (charge_point.to_string(), from.to_string());
        let why = Refusal::Protocol(why);
        let _ = inbox.put(Input::LinkRefused { identity, address, why }).await;
    }
    let _ = inbox.put(Input::LinkDown { charge_point, link }).await;
}

/// What followed from the way a charger came in, for people.
fn notice(charge_point: &ChargePointId, followed: Followed) -> Input {
    let (kind, text) = match followed {
        Followed::Password => {
            let text = "its coming password was seen; the old one is not valid any more";
            (EventKind::PasswordSeen, text.to_owned())
        }
        Followed::Profile(profile) => {
            let text = format!("seen on security profile {profile}, which is its least now");
            (EventKind::ProfileSeen, text)
        }
        Followed::NotKept(why) => (EventKind::SecretsUnusable, why),
    };
    Input::Noticed { kind, subject: charge_point.to_string(), text }
}

async fn refuse(world: &World, from: SocketAddr, refused: Refused) {
    let Refused { identity, why, agent } = refused;
    if why == Some(Refusal::UnknownIdentity) && !identity.is_empty() {
        let (address, now) = (from.to_string(), world.clock.now().utc);
        world.links.strangers().knocked(&identity, &address, &agent, now);
    }
    match why {
        Some(why) => {
            let address = from.to_string();
            let _ = world.inbox.put(Input::LinkRefused { identity, address, why }).await;
        }
        None => log::debug!("a connection from {from} went away before it asked for anything"),
    }
}
