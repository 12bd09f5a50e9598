//! What a provider inside is told besides OCPI, as a site is that plans: prices of the market when
//! they are published, and what its meters measure. Both come as from outside, through the daemon's
//! one channel.

use std::sync::Arc;

use tokio::runtime::Handle as Runtime;

use crate::controller::message::Input;
use crate::ground::time::{Instant, Now};
use crate::ground::units::PerPhase;
use crate::io::field::Field;
use crate::simulate::feeds::Feeds;
use crate::simulate::world::World as Site;
use crate::twin::electric::{Electric, Flow};
use crate::twin::meters::Meters;
use crate::twin::output::PlantOutput;
use crate::twin::scenario::MeterModel;

/// The provider's ways to know.
#[derive(Debug)]
pub struct Senses {
    field: Field,
    site: Arc<Site>,
    feeds: Feeds,
    /// None where nothing is said of building and sun: then the meters stay silent.
    meters: Option<Meters>,
    electric: Electric,
}

impl Senses {
    /// Of a daemon that stands for this site.
    pub fn new(field: Field, site: Arc<Site>) -> Self {
        let diagram = &site.site.diagram;
        let meters =
            || Meters::new(diagram, &site.site.meters, MeterModel::default(), Instant::START);
        let meters = (!site.power.is_empty()).then(meters);
        let electric = Electric::new(diagram);
        Self { field, feeds: Feeds::default(), meters, electric, site }
    }

    /// Tells what there is to tell. `drawn` is the current of each EVSE's car, in A of a phase, and
    /// on how many.
    pub fn tell(&mut self, now: Now, drawn: &[(f64, usize)], runtime: &Runtime) {
        let Some(utc) = now.utc else { return };
        let due = self.feeds.due(&self.site, utc);
        let mut inputs: Vec<Input> =
            due.into_iter().map(|(kind, received)| Input::Series { kind, received }).collect();
        if let Some(meters) = &mut self.meters {
            let currents: Vec<PerPhase<f64>> = drawn
                .iter()
                .enumerate()
                .map(|(evse, (amps, phases))| self.electric.grid_current(evse, *amps, *phases))
                .collect();
            let (equipment, _) = self.site.equipment_at(utc);
            let mut flow = Flow::default();
            self.electric.flow(&currents, &equipment, &mut flow);
            let mut out = Vec::new();
            meters.wake(now.mono, (&flow, &equipment), true, &mut out);
            inputs.extend(out.into_iter().filter_map(|output| match output {
                PlantOutput::Mqtt { topic, payload, retained } => {
                    Some(Input::Mqtt { topic, payload, retained })
                }
                _ => None,
            }));
        }
        if inputs.is_empty() {
            return;
        }
        let field = self.field.clone();
        runtime.spawn(async move {
            for input in inputs {
                if !field.put(input).await {
                    return;
                }
            }
        });
    }
}
