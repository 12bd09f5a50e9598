//! What the site as a whole draws at this moment: sun, building and cars apart.

use crate::ground::time::Now;
use crate::ground::units::{PerPhase, Watts};
use crate::model::diagram::EquipmentKind;

use super::outlook::SitePower;
use super::state::State;

impl State {
    /// Sun, building and cars as they are measured; none while a meter that tells it is silent.
    pub fn site_power(&self, now: Now) -> Option<SitePower> {
        let diagram = &self.site.diagram;
        let ev: f64 = (0..diagram.evses.len()).map(|evse| self.drawn_w(evse, now)).sum();
        let read = |id: &crate::ground::ids::MeterId| -> Option<f64> {
            let index = self.site.meters.iter().position(|meter| &meter.id == id)?;
            let meter = &self.site.meters[index];
            self.meters[index].power(meter, now.mono, diagram.voltage).map(Watts::as_f64)
        };
        let of_kind =
            |kind: EquipmentKind| diagram.equipment.iter().filter(move |item| item.kind == kind);
        let roofs: Option<Vec<f64>> = of_kind(EquipmentKind::Pv)
            .filter_map(|item| item.meter.as_ref())
            .map(|id| read(id).map(|power| (-power).max(0.0)))
            .collect();
        let has_roof_meters = of_kind(EquipmentKind::Pv).any(|item| item.meter.is_some());
        let pv: f64 = roofs?.iter().sum();
        let mut roots = diagram.nodes.iter().filter(|node| node.parent.is_none()).peekable();
        let is_metered = roots.peek().is_some() && roots.clone().all(|node| node.meter.is_some());
        if is_metered {
            let net: f64 = roots
                .filter_map(|node| node.meter.as_ref())
                .map(read)
                .collect::<Option<Vec<f64>>>()?
                .iter()
                .sum();
            let other = net - ev;
            return Some(if has_roof_meters {
                SitePower { pv, load: (other + pv).max(0.0), ev }
            } else {
                SitePower { pv: (-other).max(0.0), load: other.max(0.0), ev }
            });
        }
        let loads: Option<Vec<f64>> =
            of_kind(EquipmentKind::Load).filter_map(|item| item.meter.as_ref()).map(read).collect();
        Some(SitePower { pv, load: loads?.iter().sum::<f64>().max(0.0), ev })
    }

    /// What an EVSE was last measured to draw, in W; nothing without a session.
    fn drawn_w(&self, evse: usize, now: Now) -> f64 {
        let state = &self.evses[evse];
        if state.live.is_none() && self.is_online(evse) {
            return 0.0;
        }
        let fresh = state.fresh(now.mono, self.reading_max_age());
        let current = fresh.map_or(PerPhase::ZERO, |reading| reading.current);
        current.power(self.site.diagram.voltage).as_f64()
    }
}
