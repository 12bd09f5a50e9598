//! What page and API know of users, without knowing where they are kept: the roster stands on the
//! same floor, and `serve` joins the two.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use crate::model::user::{LoginRefused, Standing, UserLine, UserName, UserOrder, UserRefused};

/// Somebody says a name and a password.
#[derive(Clone)]
pub struct Login {
    /// As it was written.
    pub name: String,
    /// As it was written.
    pub password: Vec<u8>,
    /// From where.
    pub from: IpAddr,
}

/// What a look at name and password comes to.
pub type Checking =
    Pin<Box<dyn Future<Output = Result<(UserName, Standing), LoginRefused>> + Send>>;

/// Who orders something about users.
#[derive(Clone, Debug)]
pub struct Whom {
    /// The user; none = this machine.
    pub name: Option<UserName>,
    /// From where.
    pub from: IpAddr,
}

/// What an order about users comes to.
pub type Ordering = Pin<Box<dyn Future<Output = Result<(), UserRefused>> + Send>>;

/// What is known of a user at this moment.
pub type Look = dyn Fn(&UserName) -> Option<Standing> + Send + Sync;

/// Hears of who has come in at the page, and from where.
pub type Hear = dyn Fn(&UserName, IpAddr) + Send + Sync;

/// Who may use page and API.
#[derive(Clone)]
pub struct Users {
    /// There are none, so that nobody is asked.
    pub none: Arc<dyn Fn() -> bool + Send + Sync>,
    /// What is known of one at this moment.
    pub standing: Arc<Look>,
    /// Looks at name and password.
    pub check: Arc<dyn Fn(Login) -> Checking + Send + Sync>,
    /// Somebody has come in at the page.
    pub entered: Arc<Hear>,
    /// All of them.
    pub list: Arc<dyn Fn() -> Vec<UserLine> + Send + Sync>,
    /// Does what is ordered, and tells people who ordered it.
    pub order: Arc<dyn Fn(UserOrder, Whom) -> Ordering + Send + Sync>,
    /// The token of this machine, which opens everything on loopback; none where it is not kept.
    pub token: Option<Arc<str>>,
}

impl Users {
    /// Where there are none.
    pub fn nobody() -> Self {
        Self {
            none: Arc::new(|| true),
            standing: Arc::new(|_| None),
            check: Arc::new(|_| Box::pin(async { Err(LoginRefused::Wrong) })),
            entered: Arc::new(|_, _| {}),
            list: Arc::new(Vec::new),
            order: Arc::new(|_, _| {
                Box::pin(async { Err(UserRefused::No("there are no users here".to_owned())) })
            }),
            token: None,
        }
    }
}
