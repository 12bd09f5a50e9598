//! stub
use crate::ground::ids::*;
use crate::ground::time::*;
use crate::ground::units::*;
use crate::model::event::EventKind;
use crate::model::message::*;
use crate::model::site::*;
#[derive(Clone, Debug, PartialEq)]
pub struct PointSetup {
    pub id: ChargePointId,
    pub connectors: Vec<ConnectorSetup>,
    pub identity: Option<Identity>,
    pub capability: Option<String>,
}
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectorSetup {
    pub connector: u32,
    pub evse: EvseIndex,
    pub safe: Amps,
    pub rated: Amps,
    pub phases: usize,
}
#[derive(Clone, Debug, PartialEq)]
pub struct FrameOut {
    pub charge_point: ChargePointId,
    pub link: LinkId,
    pub text: String,
    pub after_commit: bool,
}
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Traffic {
    pub frames: Vec<FrameOut>,
    pub reports: Vec<Report>,
    pub events: Vec<(EventKind, String, String)>,
    pub disconnects: Vec<(ChargePointId, LinkId, bool)>,
}
#[derive(Clone, Debug, PartialEq)]
pub struct Central;
impl Central {
    pub fn new(_: Vec<PointSetup>, _: ChargingPolicy, _: LeasePolicy, _: Volts) -> Self {
        todo!()
    }
    pub fn link_up(&mut self, _: Now, _: &ChargePointId, _: LinkId, _: &str, _: &mut Traffic) {}
    pub fn link_down(&mut self, _: Now, _: &ChargePointId, _: LinkId, _: &mut Traffic) {}
    pub fn frame(&mut self, _: Now, _: &ChargePointId, _: LinkId, _: &str, _: &mut Traffic) {}
    pub fn command(&mut self, _: Now, _: Command, _: &mut Traffic) {}
    pub fn answer(&mut self, _: Now, _: &Call, _: Answer, _: bool, _: &mut Traffic) {}
    pub fn wake(&mut self, _: Now, _: &mut Traffic) {}
    pub fn wake_at(&self) -> Option<Instant> {
        None
    }
    pub fn capability_words(&self, _: &ChargePointId) -> String {
        todo!()
    }
}
