//! What page and API see and order of who may connect, of what chargers upload and of updates of
//! the box, without knowing
//! where that is kept: the doors stand on the same floor, and `serve` joins the two.

use std::pin::Pin;
use std::sync::Arc;

use crate::ground::time::Instant;
use crate::model::ask::{Ask, AskOutcome};
use crate::model::security::{SecurityDone, SecurityOrder, SecurityView};
use crate::model::update::{UpdateDone, UpdateOrder, UpdateView};
use crate::model::upload::UploadedFile;

use super::users::Users;

/// What an order comes to; the error is in words for people.
pub type Ordered = Pin<Box<dyn Future<Output = Result<SecurityDone, String>> + Send>>;

/// What a charger makes of an order to upload; the error is in words for people.
pub type Uploading = Pin<Box<dyn Future<Output = Result<AskOutcome, String>> + Send>>;

/// Reads or changes one file by its name; the error is in words for people.
pub type OfFile<T> = Arc<dyn Fn(&str) -> Result<T, String> + Send + Sync>;

/// Files that chargers have uploaded. All but the order is called on a thread that may block.
#[derive(Clone)]
pub struct Files {
    /// All of them, newest first.
    pub list: Arc<dyn Fn() -> Result<Vec<UploadedFile>, String> + Send + Sync>,
    /// The bytes of one; none where there is no such file.
    pub read: OfFile<Option<Vec<u8>>>,
    /// Removes one; whether there was one.
    pub remove: OfFile<bool>,
    /// Asks a charger to upload a file to this box.
    pub order: Arc<dyn Fn(String, Ask) -> Uploading + Send + Sync>,
}

/// What an order about updates comes to; the error is in words for people.
pub type Updating = Pin<Box<dyn Future<Output = Result<UpdateDone, String>> + Send>>;

/// Updates of the box itself.
#[derive(Clone)]
pub struct Updates {
    /// As they stand.
    pub look: Arc<dyn Fn() -> UpdateView + Send + Sync>,
    /// Does what is ordered.
    pub order: Arc<dyn Fn(UpdateOrder) -> Updating + Send + Sync>,
}

impl Updates {
    /// Where there are none.
    pub fn off() -> Self {
        const WORDS: &str = "this box is not updated: its configuration has no [update]";
        let view = || UpdateView { words: WORDS.to_owned(), ..UpdateView::default() };
        Self {
            look: Arc::new(view),
            order: Arc::new(|_| Box::pin(async { Err(WORDS.to_owned()) })),
        }
    }
}

/// Where people see and order who may connect.
#[derive(Clone)]
pub struct Counter {
    /// Everything as it stands.
    pub look: Arc<dyn Fn() -> SecurityView + Send + Sync>,
    /// Does what is ordered.
    pub order: Arc<dyn Fn(SecurityOrder) -> Ordered + Send + Sync>,
    /// What chargers upload.
    pub files: Files,
    /// Updates of the box itself.
    pub updates: Updates,
    /// Who may use page and API.
    pub users: Users,
    /// Hears that the page is crowded, in words for people.
    pub crowded: Arc<dyn Fn(String) + Send + Sync>,
    /// The moment, for how often that is told.
    pub moment: Arc<dyn Fn() -> Instant + Send + Sync>,
}

impl Counter {
    /// Where there is nothing to see and nothing to order.
    pub fn closed() -> Self {
        Self {
            look: Arc::new(SecurityView::default),
            order: Arc::new(|_| Box::pin(async { Err("not here".to_owned()) })),
            files: Files {
                list: Arc::new(|| Ok(Vec::new())),
                read: Arc::new(|_| Ok(None)),
                remove: Arc::new(|_| Ok(false)),
                order: Arc::new(|_, _| Box::pin(async { Err("not here".to_owned()) })),
            },
            updates: Updates::off(),
            users: Users::nobody(),
            crowded: Arc::new(drop),
            moment: Arc::new(|| Instant::START),
        }
    }
}
