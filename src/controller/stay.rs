//! A running charge as far as its end is concerned: what is left, until when, and with which power;
//! for whoever wants the box to be away for a while. Decides nothing.

use crate::ground::ids::EvseIndex;
use crate::ground::units::Amps;

use super::state::State;
use super::view::StayView;

impl State {
    /// Of the car at an EVSE; none where nobody charges, or the car takes no more.
    pub fn stay_view(&self, evse: EvseIndex) -> Option<StayView> {
        let state = &self.evses[evse];
        let live = state.live.filter(|_| !state.satisfied)?;
        let session = self.book.session(live.session)?;
        let said = self.preference(session.id);
        let energy = self.said_energy(session).or(self.terms(session).energy);
        let wired = &self.site.diagram.evses[evse];
        let volts = self.site.diagram.voltage.as_f64();
        let vehicle = self.planning.habits.vehicle(&session.token);
        let phases = self.phases(evse, vehicle).count() as f64;
        let takes = Amps::from_f64(self.most(evse, vehicle).0);
        let power_kw = |limit: Amps| match limit.min(takes) {
            less if less < wired.minimum => 0.0,
            limit => limit.as_f64() * phases * volts / 1000.0,
        };
        Some(StayView {
            leaves: said.and_then(|said| said.departure).or_else(|| self.usual_departure(session)),
            need_kwh: energy
                .map(|energy| (energy - session.energy_wh).at_least_zero().as_f64() / 1000.0),
            power_kw: self.control.limit(evse).map_or(0.0, power_kw),
            safe_kw: power_kw(wired.safe),
        })
    }
}
