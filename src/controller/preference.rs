//! What drivers want: checked, kept with their session, and told to whoever plans.
//!
//! ```text
//! said while a car waits for its transaction ─▶ intent of the EVSE ─┐ the session begins
//!                                                                   ▼
//! said while a session runs ─────────────────────────▶ preference of the session
//! ```
//! Both are durable, so that a restart forgets nothing that a driver was told is noted. An intent
//! goes when the car does; a preference stays with its session. The last word counts, whoever says
//! it. Nothing here decides what a car gets: a wish is an input of the plan and moves no breaker.

use crate::ground::ids::{EvseId, EvseIndex, SessionId};
use crate::ground::time::{Duration, Now, Utc};
use crate::ground::units::WattHours;
use crate::ground::zone::Zone;
use crate::model::event::EventKind;
use crate::model::message::EvseStatus;
use crate::model::preference::{Intent, Preference, PreferenceSource, StateOfCharge, Wish};
use crate::model::record::Record;

use super::message::{Answer, Outbox, Output};
use super::state::State;
use super::view::PreferenceView;

/// The least energy that is worth a wish.
pub const ENERGY_MIN: WattHours = WattHours::new(100);

/// The most: a large truck, and room.
pub const ENERGY_MAX: WattHours = WattHours::new(1_000_000);

/// The latest departure from now on: a car that stands for a holiday.
pub const DEPARTURE_MAX: Duration = Duration::hours(14 * 24);

/// An intent is for the car that stands there; after this long it may be another.
const INTENT_MAX: Duration = Duration::hours(24);

/// A wish as it was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// Where the car stands.
    pub evse: EvseId,
    /// The session it was said for, where somebody looked at one: it must still be running.
    pub session: Option<SessionId>,
    /// What is wanted; empty to take back what was said.
    pub wish: Wish,
    /// Who says it.
    pub source: PreferenceSource,
}

/// What a wish is for.
enum Place {
    Session(SessionId),
    Waiting,
}

impl State {
    /// What was said of a session; none where nothing was, or it was taken back.
    pub fn preference(&self, session: SessionId) -> Option<&Preference> {
        self.preferences.get(&session).filter(|known| !known.wish().is_empty())
    }

    /// Takes a wish in, or says in words why not.
    pub fn prefer(&mut self, now: Now, asked: Asked, out: &mut Outbox) -> Answer {
        let place = self.place(&asked).and_then(|found| {
            check(&asked.wish, now.utc, &Zone::new(&self.site.zone)).map(|()| found)
        });
        let (evse, place) = match place {
            Ok(found) => found,
            Err(why) => return Answer::Refused { why },
        };
        let (wish, source, at) = (asked.wish, asked.source, now.utc);
        let before = match &place {
            Place::Session(session) => self.preferences.get(session).map(Preference::wish),
            Place::Waiting => self.intents.get(&evse).map(|intent| intent.wish),
        };
        if before.unwrap_or_default() == wish {
            return Answer::Done;
        }
        match place {
            Place::Session(session) => {
                self.keep_preference(Preference::new(session, wish, source, at), out);
            }
            Place::Waiting => {
                self.keep_intent(evse, Intent { evse: asked.evse, wish, source, at }, out);
            }
        }
        let text = match wish.is_empty() {
            true => format!("{} takes back what was said", source.words()),
            false => {
                let zone = Zone::new(&self.site.zone);
                format!("{} wants {}", source.words(), words(&wish, &zone, now.utc))
            }
        };
        let name = self.evse_name(evse);
        self.event(now, EventKind::PreferenceChanged, &name, text, out);
        self.planning.changed();
        self.mark(now.mono);
        Answer::Done
    }

    /// A session begins at an EVSE: what was said of its car is said of it.
    pub fn adopt_intent(
        &mut self,
        now: Now,
        evse: EvseIndex,
        session: SessionId,
        out: &mut Outbox,
    ) {
        let Some(intent) = self.intents.get(&evse).cloned() else { return };
        self.drop_intent(evse, out);
        let old = now.utc.zip(intent.at).is_some_and(|(now, at)| INTENT_MAX < now.since(at));
        let gone = now.utc.zip(intent.wish.departure).is_some_and(|(now, leaves)| leaves <= now);
        if old || gone || self.preferences.contains_key(&session) {
            return;
        }
        let Intent { wish, source, at, .. } = intent;
        self.keep_preference(Preference::new(session, wish, source, at), out);
    }

    /// The car has left, or its session has begun.
    pub fn drop_intent(&mut self, evse: EvseIndex, out: &mut Outbox) {
        if let Some(intent) = self.intents.remove(&evse) {
            let nothing = Intent { wish: Wish::default(), ..intent };
            out.push(Output::Record(Record::Intent(nothing)));
        }
    }

    /// What was said at an EVSE, for people.
    pub fn preference_view(&self, evse: EvseIndex, now: Now) -> Option<PreferenceView> {
        let said = match self.session_at(evse) {
            Some(session) => {
                let known = self.preference(session)?;
                (Some(session.0), known.wish(), known.source, known.at)
            }
            None => {
                let intent = self.intents.get(&evse)?;
                (None, intent.wish, intent.source, intent.at)
            }
        };
        let (session, wish, source, at) = said;
        let Wish { energy_wh, charge, departure } = wish;
        let words = words(&wish, &Zone::new(&self.site.zone), now.utc);
        Some(PreferenceView { session, energy_wh, charge, departure, source, at, words })
    }

    fn keep_preference(&mut self, preference: Preference, out: &mut Outbox) {
        let book = &self.book;
        self.preferences.retain(|session, _| book.session(*session).is_some());
        out.push(Output::Record(Record::Preference(preference.clone())));
        self.preferences.insert(preference.session, preference);
    }

    fn keep_intent(&mut self, evse: EvseIndex, intent: Intent, out: &mut Outbox) {
        if intent.wish.is_empty() {
            return self.drop_intent(evse, out);
        }
        out.push(Output::Record(Record::Intent(intent.clone())));
        self.intents.insert(evse, intent);
    }

    /// The session that runs at an EVSE, also where a restart leaves it open whether it draws.
    fn session_at(&self, evse: EvseIndex) -> Option<SessionId> {
        let state = &self.evses[evse];
        let open = || {
            let here = !state.is_empty() && state.status != EvseStatus::Preparing;
            self.book.newest_open(evse).filter(|_| here).map(|open| open.session)
        };
        state.live.map(|live| live.session).or_else(open)
    }

    fn place(&self, asked: &Asked) -> Result<(EvseIndex, Place), String> {
        let name = &asked.evse;
        let Some(evse) = self.site.diagram.evse(name) else {
            return Err(format!("there is no EVSE {name}"));
        };
        let running = self.session_at(evse);
        if let Some(wanted) = asked.session
            && running != Some(wanted)
        {
            return Err(format!("session {wanted} does not run at {name} any more"));
        }
        if let Some(session) = running {
            return Ok((evse, Place::Session(session)));
        }
        match self.evses[evse].status {
            EvseStatus::Preparing
            | EvseStatus::Charging
            | EvseStatus::SuspendedEv
            | EvseStatus::SuspendedEvse => Ok((evse, Place::Waiting)),
            EvseStatus::Unknown => Err(format!("{name} has not been heard yet; plug in first")),
            EvseStatus::Finishing => {
                Err(format!("the session at {name} is over; unplug, and plug in again"))
            }
            EvseStatus::Available | EvseStatus::Reserved => {
                Err(format!("no car is plugged in at {name}; plug in first"))
            }
            EvseStatus::Unavailable | EvseStatus::Faulted => {
                Err(format!("{name} is out of order; use another"))
            }
        }
    }
}

/// Whether a wish makes sense; an empty one does: it takes back what was said.
fn check(wish: &Wish, now: Option<Utc>, zone: &Zone) -> Result<(), String> {
    let kwh = |energy: WattHours| energy.as_f64() / 1000.0;
    let energy = |energy: WattHours, what: &str| {
        if (ENERGY_MIN..=ENERGY_MAX).contains(&energy) {
            return Ok(());
        }
        let (least, most) = (kwh(ENERGY_MIN), kwh(ENERGY_MAX));
        Err(format!("{what} of {} kWh: expected {least} to {most} kWh", kwh(energy)))
    };
    if let Some(wanted) = wish.energy_wh {
        energy(wanted, "an energy")?;
    }
    if let Some(charge) = &wish.charge {
        check_charge(charge)?;
        if let Some(capacity) = charge.capacity_wh {
            energy(capacity, "a battery")?;
        }
    }
    let Some(departure) = wish.departure else { return Ok(()) };
    let Some(now) = now else {
        return Err("the clock of the site is not set yet; try again in some minutes".to_owned());
    };
    let said = zone.words(departure, Some(now));
    if departure <= now {
        let time = zone.words(now, Some(now));
        return Err(format!("a departure at {said}: it is {time} by the clock of the site"));
    }
    if now + DEPARTURE_MAX < departure {
        let days = DEPARTURE_MAX.as_seconds() / 86_400;
        return Err(format!("a departure at {said}: expected within the next {days} days"));
    }
    Ok(())
}

fn check_charge(charge: &StateOfCharge) -> Result<(), String> {
    let (from, to) = (charge.arrival_percent, charge.target_percent);
    let valid = |percent: f64| (0.0..=100.0).contains(&percent);
    if !valid(from) || !valid(to) {
        return Err(format!("a state of charge of {from} % to {to} %: expected 0 to 100 %"));
    }
    if to <= from {
        return Err(format!("a state of charge of {to} % is wanted and {from} % is there already"));
    }
    Ok(())
}

/// `20.0 kWh by 17:30`.
fn words(wish: &Wish, zone: &Zone, now: Option<Utc>) -> String {
    let kwh = |energy: WattHours| format!("{:.1} kWh", energy.as_f64() / 1000.0);
    let mut text = match (wish.energy_wh, &wish.charge) {
        (Some(energy), _) => kwh(energy),
        (None, Some(charge)) => {
            let of = charge.capacity_wh.map(|capacity| format!(" of {}", kwh(capacity)));
            let (from, to) = (charge.arrival_percent, charge.target_percent);
            format!("{from} % to {to} %{}", of.unwrap_or_default())
        }
        (None, None) => "to charge".to_owned(),
    };
    if let Some(departure) = wish.departure {
        text.push_str(&format!(" by {}", zone.words(departure, now)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Utc = Utc::from_millis(1_551_441_600_000); // 2019-03-01T12:00:00Z

    fn wish(kwh: Option<f64>, departure: Option<Utc>) -> Wish {
        let energy_wh = kwh.map(|kwh| WattHours::from_f64(kwh * 1000.0));
        Wish { energy_wh, departure, charge: None }
    }

    fn said(wish: Wish) -> Result<(), String> {
        check(&wish, Some(NOON), &Zone::new("Europe/Paris"))
    }

    #[test]
    fn senseless_wishes_are_refused_in_words() {
        let charge = |arrival_percent, target_percent, capacity: Option<i64>| Wish {
            charge: Some(StateOfCharge {
                arrival_percent,
                target_percent,
                capacity_wh: capacity.map(WattHours::new),
            }),
            ..Wish::default()
        };
        for (wish, words) in [
            (wish(Some(0.0), None), "an energy of 0 kWh: expected 0.1 to 1000 kWh"),
            (wish(Some(-3.0), None), "an energy of -3 kWh"),
            (wish(Some(5000.0), None), "an energy of 5000 kWh"),
            (wish(None, Some(NOON)), "a departure at 13:00: it is 13:00 by the clock"),
            (wish(None, Some(NOON + Duration::hours(400))), "within the next 14 days"),
            (charge(80.0, 20.0, None), "20 % is wanted and 80 % is there already"),
            (charge(20.0, 101.0, None), "expected 0 to 100 %"),
            (charge(f64::NAN, 80.0, None), "expected 0 to 100 %"),
            (charge(20.0, 80.0, Some(0)), "a battery of 0 kWh"),
        ] {
            let why = said(wish).expect_err(words);
            assert!(why.contains(words), "{why}");
        }
        let unset = check(&wish(None, Some(NOON)), None, &Zone::new("Europe/Paris"));
        assert!(unset.expect_err("no clock").contains("clock of the site is not set"));
        for good in [
            wish(Some(20.0), Some(NOON + Duration::hours(5))),
            wish(None, None),
            charge(20.0, 80.0, Some(60_000)),
            charge(0.0, 100.0, None),
        ] {
            assert_eq!(said(good), Ok(()));
        }
    }

    #[test]
    fn wishes_read_like_people_say_them() {
        let zone = Zone::new("Europe/Paris");
        let text = |wish: &Wish| words(wish, &zone, Some(NOON));
        let evening = Some(NOON + Duration::hours(5));
        assert_eq!(text(&wish(Some(20.0), evening)), "20.0 kWh by 18:00");
        assert_eq!(text(&wish(None, evening)), "to charge by 18:00");
        let capacity_wh = Some(WattHours::new(60_000));
        let charge = StateOfCharge { arrival_percent: 20.0, target_percent: 80.0, capacity_wh };
        let by_percent = Wish { charge: Some(charge), ..Wish::default() };
        assert_eq!(text(&by_percent), "20 % to 80 % of 60.0 kWh");
    }
}
