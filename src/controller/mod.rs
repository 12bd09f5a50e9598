//! Floor 4: the controller.
pub mod message;
pub mod view;
pub struct Controller;
