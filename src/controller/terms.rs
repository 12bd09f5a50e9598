//! What the policy of the site holds for a session: defaults where nothing was said, a guaranteed
//! minimum, the first energy fast, and who comes first.

use crate::ground::time::Utc;
use crate::ground::units::WattHours;
use crate::ground::zone::Zone;
use crate::model::drivers::Terms;
use crate::model::policy::PlanPolicy;
use crate::model::preference::StateOfCharge;
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

    /// What somebody asked for from the start of a session to its end.
    pub fn said_energy(&self, session: &Session) -> Option<WattHours> {
        self.preference(session.id)?.energy(self.seen_battery(session))
    }

    /// What fills the battery of a session's car from empty, by earlier stays of its token.
    fn seen_battery(&self, session: &Session) -> Option<WattHours> {
        let vehicle = self.planning.habits.vehicle(&session.token)?;
        vehicle.fill_kwh().map(|kwh| WattHours::from_f64(kwh * 1000.0))
    }

    /// Who says what a car needs, in words.
    pub fn who_says(&self, session: &Session) -> String {
        let said = self.said_energy(session).and_then(|_| self.preference(session.id));
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
            let fast = StateOfCharge { target_percent: percent, ..charge };
            fast.energy(self.seen_battery(session))
        });
        left(terms.fast.max(by_percent.unwrap_or_default()), session)
    }
}

/// What is left of an energy since the start of a session, in kWh.
fn left(whole: WattHours, session: &Session) -> f64 {
    (whole - session.energy_wh).at_least_zero().as_f64() / 1000.0
}
