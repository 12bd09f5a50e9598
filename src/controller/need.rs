//! What a car needs and by when: the driver's word, corrected by how true such words proved, else
//! habit; and what habit learns when a session ends.

use crate::ground::ids::EvseIndex;
use crate::ground::spread;
use crate::ground::time::{Duration, Now, Utc};
use crate::ground::units::PhaseSet;
use crate::learn::habits::Question;
use crate::learn::stay::Stay;
use crate::model::policy::PlanPolicy;
use crate::model::session::Session;
use crate::plan::problem::{Car, Need};
use crate::plan::solution::CarPlan;

use super::message::Outbox;
use super::state::State;

/// A car should have what it needs so long before its driver comes: chargers and cars take their
/// time. The sun of the last minutes counts too, so that it is no longer than that.
const IN_HAND: Duration = Duration::minutes(2);

/// What is asked for beyond the need, in kWh: a car that is full stops by itself, and energy that
/// is asked for too much is bought although the sun would have sufficed.
const CUSHION_KWH: f64 = 0.03;

/// An hour of waiting costs a car without any time to spare so many times what it costs all …
const HASTE: f64 = 10.0;
/// … and a third of it with so much to spare.
const HASTE_SPARE_H: f64 = 1.0;

/// A car that stands there past its time may still be charged in the next quarter hour.
const OVERDUE: Duration = Duration::minutes(15);

impl State {
    /// What a session needs, weighted by how likely it is, and when the car leaves at the latest.
    pub fn needs(
        &self,
        utc: Utc,
        evse: EvseIndex,
        session: &Session,
        policy: &PlanPolicy,
    ) -> (Vec<Need>, Utc) {
        let said = self.preference(session.id);
        let energy = self.said_energy(session).or(self.terms(session).energy);
        let departure = said.and_then(|said| said.departure);
        let departure = departure.or_else(|| self.usual_departure(session));
        let wired = &self.site.diagram.evses[evse];
        let volts = self.site.diagram.voltage.as_f64();
        let expected = self.planning.habits.expect(&Question {
            token: Some(session.token.clone()),
            evse: session.evse.clone(),
            arrival: session.started,
            now: utc,
            energy_so_far_kwh: session.energy_wh.as_f64() / 1000.0,
            declared_kwh: energy.map(|energy| energy.as_f64() / 1000.0),
            declared_departure: departure,
            most_kw: wired.rated.as_f64() * wired.wiring.len() as f64 * volts / 1000.0,
        });
        let so_far = session.energy_wh.as_f64() / 1000.0;
        let says = match energy {
            Some(_) => self.who_says(session),
            None => expected.energy_source.clone(),
        };
        let mut needs = Vec::new();
        for (leaves, likely) in &expected.departures {
            let by = ready_by(*leaves, utc);
            for (kwh, also) in &expected.energies_kwh {
                needs.push(Need {
                    by,
                    kwh: cushioned(kwh - so_far),
                    eur_per_kwh: policy.missing_eur_per_kwh * likely * also,
                    cause: says.clone(),
                });
            }
        }
        let by = needs.iter().map(|need| need.by).min().unwrap_or(utc + OVERDUE);
        needs.extend(self.guaranteed(session, by, policy));
        let last = needs.iter().map(|need| need.by).max().unwrap_or(utc + OVERDUE);
        (needs, last + IN_HAND)
    }

    /// A session has ended: what there is to learn from it.
    pub fn learn(&mut self, now: Now, evse: EvseIndex, out: &mut Outbox) {
        let (Some(live), Some(utc)) = (self.evses[evse].live, now.utc) else { return };
        let Some(session) = self.book.session(live.session) else { return };
        let said = self.preference(session.id);
        let charge = said.and_then(|said| said.charge);
        let wired = &self.site.diagram.evses[evse];
        let phases = self.control.seen_phases(evse).map_or(0, PhaseSet::count);
        let takes = self.evses[evse].takes;
        let most = takes.unwrap_or(self.evses[evse].most_seen);
        let volts = self.site.diagram.voltage.as_f64();
        let stay = Stay {
            token: Some(session.token.clone()),
            evse: session.evse.clone(),
            arrival: session.started,
            departure: utc,
            energy_kwh: session.energy_wh.as_f64() / 1000.0,
            full: self.evses[evse].satisfied,
            declared_kwh: self.said_energy(session).map(|energy| energy.as_f64() / 1000.0),
            declared_departure: said.and_then(|said| said.departure),
            arrival_soc: charge.map(|charge| charge.arrival_percent),
            target_soc: charge.map(|charge| charge.target_percent),
            most_a: most.as_f64(),
            most_is_limit: takes.is_some_and(|takes| takes < wired.rated),
            phases: phases as u8,
            wires: wired.wiring.len() as u8,
            max_kw: most.as_f64() * phases as f64 * volts / 1000.0,
        };
        if self.site.plan.is_some() {
            let (asked, missed) = self.asked_and_missed(utc, evse, session);
            self.planning.shortage.observe(asked, missed);
        }
        let changed = self.planning.habits.observe(&stay);
        self.keep_habits(changed, out);
    }

    /// What a session that ends now asked for and what it missed, in kWh, as far as the plan in
    /// force knew that it would go short although its EVSE and its car could have given it in the
    /// time that it had. A driver who leaves early, or asks for more than that, tells nothing of
    /// the room.
    fn asked_and_missed(&self, utc: Utc, evse: EvseIndex, session: &Session) -> (f64, f64) {
        let got = session.energy_wh.as_f64() / 1000.0;
        let Some(active) = self.planning.active.as_ref().filter(|_| !self.evses[evse].satisfied)
        else {
            return (got, 0.0);
        };
        let own = |(car, _): &(&Car, &CarPlan)| car.session == Some(session.id.0);
        let found = active.problem.cars.iter().zip(&active.plan.cars).find(own);
        let missed = found.map_or(0.0, |(car, plan)| {
            let phases = car.phases.iter().filter(|loads| **loads).count() as f64;
            let full_kw = car.max_a * phases * active.problem.voltage_v / 1000.0;
            let could = full_kw * utc.since(session.started).as_hours() - got;
            likely_missing_kwh(&car.needs, &plan.missing_kwh).min(could).max(0.0)
        });
        (got + missed, missed)
    }
}

/// What is missed in at least half of what is likely: a need that is only feared counts for
/// nothing.
fn likely_missing_kwh(needs: &[Need], missing_kwh: &[f64]) -> f64 {
    let cases = needs.iter().zip(missing_kwh).map(|(need, kwh)| (*kwh, need.eur_per_kwh));
    spread::quantile(&spread::normal(cases.collect()), 0.5).unwrap_or(0.0)
}

/// What waiting costs a car on top of what it costs all, in EUR for each kWh and hour: on a crowded
/// site who has no time to spare misses what a cloud, a new car or the building takes; who has some
/// makes up for it later. So those with less to spare come first. `kw` is the most that it takes,
/// `hurry_per_h` the share of what is missed that an hour costs all.
pub fn haste_eur_per_kwh_h(now: Utc, needs: &[Need], kw: f64, hurry_per_h: f64) -> f64 {
    let each = needs.iter().filter(|need| 0.0 < need.kwh).map(|need| {
        let spare_h = (need.by.since(now).as_hours() - need.kwh / kw).max(0.0);
        need.eur_per_kwh * HASTE * hurry_per_h * (-spare_h / HASTE_SPARE_H).exp()
    });
    if 0.0 < kw { each.sum() } else { 0.0 }
}

/// When a car should have what it needs.
fn ready_by(leaves: Utc, utc: Utc) -> Utc {
    let by = leaves - IN_HAND;
    if by <= utc { utc + OVERDUE } else { by }
}

/// A need with its cushion; nothing stays nothing.
fn cushioned(kwh: f64) -> f64 {
    if kwh <= 0.0 { 0.0 } else { kwh + CUSHION_KWH }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_car_is_ready_before_it_leaves_and_one_past_its_time_is_still_charged() {
        let at = |text: &str| Utc::parse(text).expect("a time");
        let now = at("2019-05-06T15:00:00Z");
        assert_eq!(ready_by(at("2019-05-06T15:08:00Z"), now), at("2019-05-06T15:06:00Z"));
        assert_eq!(ready_by(at("2019-05-06T15:01:00Z"), now), at("2019-05-06T15:15:00Z"));
        assert_eq!(ready_by(at("2019-05-06T14:00:00Z"), now), at("2019-05-06T15:15:00Z"));
    }

    #[test]
    fn who_has_no_time_to_spare_is_in_haste() {
        let now = Utc::parse("2019-05-06T08:00:00Z").expect("a time");
        let need = |hours, kwh| Need {
            by: now + Duration::hours(hours),
            kwh,
            eur_per_kwh: 2.0,
            cause: "the driver".to_owned(),
        };
        let haste = |needs: &[Need]| haste_eur_per_kwh_h(now, needs, 11.0, 0.01);
        assert_eq!(haste(&[need(4, 44.0)]), 0.2, "nothing to spare");
        assert_eq!(haste(&[need(4, 60.0)]), 0.2, "it cannot be served anyhow");
        assert!((haste(&[need(4, 33.0)]) - 0.2 / std::f64::consts::E).abs() < 1e-12);
        assert!(haste(&[need(9, 11.0)]) < 1e-4);
        assert_eq!(haste(&[need(1, 0.0)]), 0.0);
        assert_eq!(haste_eur_per_kwh_h(now, &[need(4, 44.0)], 0.0, 0.01), 0.0);
        assert_eq!(haste_eur_per_kwh_h(now, &[need(4, 44.0)], 11.0, 0.0), 0.0, "there is room");
    }

    #[test]
    fn what_is_only_feared_is_not_missed() {
        let need = |eur_per_kwh| Need {
            by: Utc::from_millis(0),
            kwh: 10.0,
            eur_per_kwh,
            cause: "the driver".to_owned(),
        };
        assert_eq!(likely_missing_kwh(&[], &[]), 0.0);
        assert_eq!(likely_missing_kwh(&[need(2.0)], &[3.0]), 3.0);
        let needs = [need(0.5), need(1.2), need(0.3)];
        assert_eq!(likely_missing_kwh(&needs, &[8.0, 0.0, 5.0]), 0.0);
        assert_eq!(likely_missing_kwh(&needs, &[8.0, 2.0, 0.0]), 2.0);
    }
}
