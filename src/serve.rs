//! Floor 8: joins the page to a running daemon: the view, the orders of people, the store's past,
//! and who may come in.
//!
//! ```text
//! this machine ─ http on loopback ──────────────┐
//! other machines ─ https, once there is a user ─┴─▶ one page and API
//! ```
//! The door for other machines opens when there are a user and a certificate, and is tried again
//! until then; nothing else waits for it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::daemon::Handle;
use crate::desk::Desk;
use crate::ground::time::Instant;
use crate::io::clock::Clock;
use crate::io::https::HttpsListener;
use crate::io::key;
use crate::io::local::LocalDoor;
use crate::io::roster::Roster;
use crate::io::tls::{Tls, TlsFiles};
use crate::io::users::UserFile;
use crate::model::drivers::PageUrl;
use crate::model::event::EventKind;
use crate::model::session::Session;
use crate::model::user::{UserName, UserOrder, UserRefused};
use crate::store::error::StoreError;
use crate::store::reader::StoreReader;
use crate::ui::door::Door;
use crate::ui::history::{History, Page};
use crate::ui::pass::{self, DriverDoor, SECRET_BYTES};
use crate::ui::security::{Counter, Files, Updates};
use crate::ui::state::{Shared, UiState};
use crate::ui::users::{Login, Users, Whom};
use crate::ui::{self, UiError};
use crate::updater::Updater;

/// The door for other machines is tried again after this long.
const OPEN_AGAIN: Duration = Duration::from_secs(5);

/// Where page and API are served.
#[derive(Clone, Debug)]
pub struct PageOptions {
    /// As configured.
    pub address: SocketAddr,
    /// What the address shows inside TLS, and names of the box beside those in the certificate;
    /// none = it is on loopback, without TLS.
    pub outer: Option<(TlsFiles, Vec<String>)>,
    /// Where drivers reach their page; none = on this machine alone.
    pub page_url: Option<PageUrl>,
}

/// Serves page and API of a daemon. Comes back with the address that was bound for this machine:
/// the configured one, or a port that the system chose where that one is inside TLS.
pub async fn page(
    handle: &Handle,
    desk: Desk,
    updater: Option<Updater>,
    options: PageOptions,
) -> Result<(JoinHandle<()>, SocketAddr), UiError> {
    let PageOptions { address, outer, page_url } = options;
    let here = match outer {
        None => address,
        Some(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    };
    let (listener, bound) = ui::bind(here).await?;
    let (roster, token) = (roster(handle).await, token(handle.data(), bound));
    let (view, orders) = (handle.view.clone(), handle.orders.clone());
    let drivers = DriverDoor { secret: secret(handle.data()), page_url };
    let (partners, partner_states) = (handle.field.wishes(), handle.field.partners());
    let (users, crowded) = (users(handle, &roster, token), crowded(handle));
    let clock = Clock::real();
    let moment = Arc::new(move || clock.now().mono);
    let security = Counter { users, crowded, moment, ..counter(desk, updater) };
    let machine = handle.clone();
    let shared = Arc::new(Shared::new(UiState {
        view,
        orders,
        history: history(&handle.store),
        security,
        drivers,
        partners,
        partner_states,
        machine: Arc::new(move || machine.machine()),
    }));
    let renewal = handle.field.look_after_users(roster.clone(), Clock::real());
    let outer = outer.map(|(files, names)| Outer {
        address,
        files,
        names,
        roster,
        handle: handle.clone(),
        shared: shared.clone(),
    });
    let handle = tokio::spawn(async move {
        let _renewal = renewal;
        tokio::select! {
            () = ui::attend(shared.clone(), listener, Door::local()) => {}
            () = ui::keep(shared) => {}
            () = open_outside(outer) => {}
        }
    });
    Ok((handle, bound))
}

/// Who may use page and API. Where that cannot be read nobody may, and people are told.
async fn roster(handle: &Handle) -> Roster {
    let (roster, problem) = Roster::open(UserFile::in_data(handle.data()));
    if let Some(error) = problem {
        let words = format!("the users of the page cannot be read, nobody may log in: {error}");
        handle.tell(EventKind::SecretsUnusable, "users".to_owned(), words).await;
    }
    roster
}

/// The token of this machine, made anew. Where it cannot be kept, commands have to name a user.
fn token(data: &Path, bound: SocketAddr) -> Option<Arc<str>> {
    let door = LocalDoor::fresh(format!("http://{bound}"));
    match door.keep(data) {
        Ok(()) => Some(door.token.into()),
        Err(error) => {
            log::warn!("the token for commands on this machine cannot be kept: {error}");
            None
        }
    }
}

fn users(handle: &Handle, roster: &Roster, token: Option<Arc<str>>) -> Users {
    let (none, standing, check) = (roster.clone(), roster.clone(), roster.clone());
    let (list, order) = (roster.clone(), roster.clone());
    let (here, entered, orders) = (handle.clone(), handle.clone(), handle.clone());
    let clock = Clock::real();
    Users {
        none: Arc::new(move || none.is_empty()),
        standing: Arc::new(move |name| standing.standing(name)),
        check: Arc::new(move |Login { name, password, from }| {
            let (roster, handle, now) = (check.clone(), here.clone(), clock.now().mono);
            Box::pin(async move {
                let checked = roster.check(&name, &password, from, now).await;
                match checked {
                    Ok(found) => Ok(found),
                    Err(away) => {
                        if let Some(words) = away.told {
                            let (kind, about) = (EventKind::UserLoginRefused, "users".to_owned());
                            handle.tell(kind, about, words).await;
                        }
                        Err(away.why)
                    }
                }
            })
        }),
        entered: Arc::new(move |name: &UserName, from: IpAddr| {
            let (handle, words) = (entered.clone(), format!("{name} has logged in from {from}"));
            tokio::spawn(async move {
                handle.tell(EventKind::UserLogin, "users".to_owned(), words).await;
            });
        }),
        list: Arc::new(move || list.lines()),
        order: Arc::new(move |wish: UserOrder, whom: Whom| {
            let (roster, handle) = (order.clone(), orders.clone());
            Box::pin(async move { change_users(&roster, &handle, wish, whom).await })
        }),
        token,
    }
}

/// Does what is ordered of users, and tells people what was changed and by whom.
async fn change_users(
    roster: &Roster,
    handle: &Handle,
    order: UserOrder,
    whom: Whom,
) -> Result<(), UserRefused> {
    let Whom { name, from } = whom;
    let changed = roster.order(order, name.clone()).await?;
    let by = name.map_or_else(|| "this machine".to_owned(), |name| name.to_string());
    let found = changed.found.into_iter().map(|text| format!("{text}, by a command on the box"));
    let done = changed.done.into_iter().map(|text| format!("{text}, by {by} from {from}"));
    for text in found.chain(done) {
        handle.tell(EventKind::UserChanged, "users".to_owned(), text).await;
    }
    Ok(())
}

/// The door for other machines.
struct Outer {
    address: SocketAddr,
    files: TlsFiles,
    names: Vec<String>,
    roster: Roster,
    handle: Handle,
    shared: Arc<Shared>,
}

/// Opens it once it may be, and serves there for ever.
async fn open_outside(outer: Option<Outer>) {
    let Some(outer) = outer else { return std::future::pending().await };
    let mut told = String::new();
    loop {
        match outer.open().await {
            Ok((listener, tls)) => outer.serve(listener, tls).await,
            Err(why) if why != told => {
                outer.handle.tell(EventKind::PageShut, String::new(), why.clone()).await;
                told = why;
            }
            Err(_) => {}
        }
        tokio::time::sleep(OPEN_AGAIN).await;
    }
}

impl Outer {
    async fn open(&self) -> Result<(HttpsListener, Tls), String> {
        let address = self.address;
        let shut = |why: &str| format!("the page is not open on {address} yet: {why}");
        if self.roster.is_empty() {
            let data = self.handle.data().display();
            let command = format!("ampgate user add NAME --role admin --data {data}");
            return Err(shut(&format!("there is no user; `{command}` makes the first")));
        }
        let files = self.files.clone();
        let loaded = tokio::task::spawn_blocking(move || Tls::load(files)).await;
        let tls = loaded.map_err(|error| shut(&error.to_string()))?.map_err(|error| {
            let words = "`ampgate ca init` makes a certificate, or set web.certificate_file and \
                         web.key_file";
            shut(&format!("{error}; {words}"))
        })?;
        let listener =
            TcpListener::bind(address).await.map_err(|error| shut(&error.to_string()))?;
        let tell = self.shared.security.crowded.clone();
        let listener = HttpsListener::new(listener, Some(tls.clone()), tell);
        Ok((listener.map_err(|error| shut(&error.to_string()))?, tls))
    }

    async fn serve(&self, listener: HttpsListener, tls: Tls) {
        if let Ok(bound) = axum::serve::Listener::local_addr(&listener) {
            log::info!("page and API for other machines at https://{bound}");
        }
        let field = &self.handle.field;
        let _renewal = field.look_after(tls.clone(), "page certificate", Clock::real());
        let names = self.names.clone();
        let knows = move |host: &str| {
            names.iter().any(|name| name == host)
                || tls.server().names.iter().any(|name| covers(name, host))
        };
        ui::attend(self.shared.clone(), listener, Door::outer(Arc::new(knows))).await;
    }
}

/// Whether a name in a certificate, which may begin with `*.`, stands for a host.
fn covers(name: &str, host: &str) -> bool {
    let name = name.to_ascii_lowercase();
    match name.strip_prefix("*.") {
        None => name == host,
        Some(domain) => host.split_once('.').is_some_and(|(_, rest)| rest == domain),
    }
}

fn counter(desk: Desk, updater: Option<Updater>) -> Counter {
    let files = files(&desk);
    let (look, order) = (desk.clone(), desk);
    Counter {
        look: Arc::new(move || look.view()),
        order: Arc::new(move |wish| {
            let desk = order.clone();
            Box::pin(async move { desk.order(wish).await })
        }),
        files,
        updates: updater.map_or_else(Updates::off, updates),
        users: Users::nobody(),
        crowded: Arc::new(drop),
        moment: Arc::new(|| Instant::START),
    }
}

/// Tells people that the page is crowded.
fn crowded(handle: &Handle) -> Arc<dyn Fn(String) + Send + Sync> {
    let handle = handle.clone();
    Arc::new(move |words| {
        let handle = handle.clone();
        tokio::spawn(async move {
            handle.tell(EventKind::Crowded, "page".to_owned(), words).await;
        });
    })
}

fn updates(updater: Updater) -> Updates {
    let looked = updater.clone();
    Updates {
        look: Arc::new(move || looked.view()),
        order: Arc::new(move |order| {
            let updater = updater.clone();
            Box::pin(async move { updater.order(order).await })
        }),
    }
}

fn files(desk: &Desk) -> Files {
    let words = |error: std::io::Error| error.to_string();
    let (list, read, remove) = (desk.clone(), desk.clone(), desk.clone());
    let asks = desk.clone();
    Files {
        list: Arc::new(move || list.uploads().list().map_err(words)),
        read: Arc::new(move |name| read.uploads().read(name).map_err(words)),
        remove: Arc::new(move |name| remove.uploads().remove(name).map_err(words)),
        order: Arc::new(move |target, ask| {
            let desk = asks.clone();
            Box::pin(async move { desk.upload(&target, ask).await })
        }),
    }
}

/// What the codes of drivers are signed with. Where it cannot be kept, the site goes on with one
/// that lasts until the daemon ends.
fn secret(data: &Path) -> [u8; SECRET_BYTES] {
    let file = data.join("drivers.key");
    let fresh = pass::random();
    match key::keep(&file, fresh) {
        Ok((secret, open)) => {
            if let Some(words) = open {
                log::warn!("{words}: expected mode 600");
            }
            secret
        }
        Err(error) => {
            let file = file.display();
            log::warn!("{file}: {error}; printed QR codes for drivers do not work until then");
            fresh
        }
    }
}

fn history(store: &StoreReader) -> History {
    let store = || store.clone();
    let (sessions, events, setpoints, readings) = (store(), store(), store(), store());
    History {
        sessions: Arc::new(move |Page { skip, count }| {
            let with = |session: Session| {
                let transaction = sessions.transaction(session.transaction)?;
                Ok((session, transaction))
            };
            let found = sessions.sessions(skip, count).map_err(words)?;
            found.into_iter().map(with).collect::<Result<_, _>>().map_err(words)
        }),
        events: Arc::new(move |Page { skip, count }| events.events(skip, count).map_err(words)),
        setpoints: Arc::new(move |evse, Page { skip, count }| {
            setpoints.setpoints(evse, skip, count).map_err(words)
        }),
        readings: Arc::new(move |evse, Page { skip, count }| {
            readings.readings(evse, skip, count).map_err(words)
        }),
    }
}

fn words(error: StoreError) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_in_a_certificate_stands_for_one_label() {
        assert!(covers("Box.example", "box.example"));
        assert!(covers("*.example", "box.example"));
        for host in ["example", "a.box.example", "box.example.org", "boxexample"] {
            assert!(!covers("*.example", host), "{host}");
        }
    }
}
