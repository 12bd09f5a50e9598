//! How everything reaches the controller: one bounded channel, first come, first served.
//!
//! Senders wait when it is full, each with at most one message, so a charger that floods is slowed
//! down and the others get their turn. Besides the number of messages their bytes are bounded,
//! since one frame may be as large as a thousand others.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::controller::message::Input;

/// Messages that may wait. Each is worked off in well under a millisecond.
const MESSAGES_MAX: usize = 256;

/// Bytes of frames and payloads that may wait, in KiB: eight of the largest frames.
const KIBIBYTES_MAX: u32 = 8 * 1024;

/// One input with the room it takes up; the room is free again when it is dropped.
#[derive(Debug)]
pub struct Arrival {
    /// For the controller.
    pub input: Input,
    _room: Option<OwnedSemaphorePermit>,
}

/// Where inputs are put in; cheap to clone.
#[derive(Clone, Debug)]
pub struct Inbox {
    sender: mpsc::Sender<Arrival>,
    room: Arc<Semaphore>,
}

/// The other end of an [`Inbox`].
pub fn channel() -> (Inbox, mpsc::Receiver<Arrival>) {
    let (sender, receiver) = mpsc::channel(MESSAGES_MAX);
    (Inbox { sender, room: Arc::new(Semaphore::new(KIBIBYTES_MAX as usize)) }, receiver)
}

/// The controller is gone; there is nobody to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl Inbox {
    /// Puts an input in, waiting for room if need be.
    pub async fn put(&self, input: Input) -> Result<(), Gone> {
        let bytes = match &input {
            Input::Frame { text, .. } => text.len(),
            Input::Mqtt { payload, .. } | Input::Feed { payload, .. } => payload.len(),
            _ => 0,
        };
        let kibibytes = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX).min(KIBIBYTES_MAX);
        let room = match kibibytes {
            0 => None,
            many => {
                let room = Arc::clone(&self.room).acquire_many_owned(many).await;
                Some(room.map_err(|_| Gone)?)
            }
        };
        self.sender.send(Arrival { input, _room: room }).await.map_err(|_| Gone)
    }
}
