//! What the plant asks of the world around it: the twin's queue, or real sockets in the demo.

use crate::ground::ids::ChargePointId;

/// One thing that the plant does towards the outside.
#[derive(Clone, Debug, PartialEq)]
pub enum PlantOutput {
    /// This charge point wants to connect; tell it `connected` or `disconnected`.
    Connect(ChargePointId),
    /// This charge point sends a frame to the central system.
    Frame {
        /// Who.
        charge_point: ChargePointId,
        /// The frame.
        text: String,
    },
    /// This charge point drops its connection.
    Close(ChargePointId),
    /// A meter publishes.
    Mqtt {
        /// Where.
        topic: String,
        /// What.
        payload: Vec<u8>,
        /// Kept by the broker for later subscribers.
        retained: bool,
    },
}
