//! What the policy of the site holds for a session: defaults where nothing was said, a guaranteed
//! minimum, the first energy fast, and who comes first.

use crate::ground::time::Utc;
use crate::ground::units::WattHours;
use crate::ground::zone::Zone;
use crate::model::drivers::Terms;
use crate::model::policy::PlanPolicy;
use crate::model::session::Session;
use crate::plan::problem::Need;

use super::state::State;

/// A guaranteed kWh that is missed costs so many times what another one does.
const GUARANTEED_FACTOR: f64 = 4.0;

impl State {
    /// What holds for the driver of a session.
    pub fn terms(&self, session: &Session) -> &Terms {
        self.site.drivers.terms(&session.token)
    }

    /// When a car leaves by the policy of the site; none where it says nothing.
    pub fn usual_departure(&self, session: &Session) -> Option<Utc> {
        self.terms(session).departure(session.started, &Zone::new(&self.site.zone))
    }

    /// Who says what a car needs, in words.
    pub fn who_says(&self, session: &Session) -> String {
        let said = self.preference(session.id).filter(|said| said.energy().is_some());
        match (said, &self.terms(session).group) {
            (Some(said), _) => said.source.words().to_owned(),
            (None, Some(group)) => format!("the rule for {group}"),
            (None, None) => "the rule of the site".to_owned(),
        }
    }

    /// What every car is to get before the wishes of others count; none where it has it.
    pub fn guaranteed(&self, session: &Session, by: Utc, policy: &PlanPolicy) -> Option<Need> {
        let kwh = left(self.terms(session).guaranteed, session);
        (0.0 < kwh).then(|| Need {
            by,
            kwh,
            eur_per_kwh: GUARANTEED_FACTOR * policy.missing_eur_per_kwh,
            cause: "the guaranteed minimum".to_owned(),
        })
    }

    /// What is to be charged as fast as breakers allow from here on, in kWh.
    pub fn fast_kwh(&self, session: &Session) -> f64 {
        let terms = self.terms(session);
        let charge = self.preference(session.id).and_then(|said| said.charge);
        let by_percent = terms.fast_percent.zip(charge).and_then(|(percent, charge)| {
            let share = (percent - charge.arrival_percent).max(0.0) / 100.0;
            charge.capacity_wh.map(|capacity| WattHours::from_f64(capacity.as_f64() * share))
        });
        left(terms.fast.max(by_percent.unwrap_or_default()), session)
    }
}

/// What is left of an energy since the start of a session, in kWh.
fn left(whole: WattHours, session: &Session) -> f64 {
    (whole - session.energy_wh).at_least_zero().as_f64() / 1000.0
}
