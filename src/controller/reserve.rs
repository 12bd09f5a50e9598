//! Reservations: made by people and partners, kept on disk, told to the chargers, and ended by the
//! charge they were made for, by time or by hand (OCPP 1.6 §5.2, §5.13).
//!
//! A charger that knows no reservations is no reason to refuse one: Ampgate turns other tokens away
//! there itself. Times need a trusted clock; without one nothing is reserved and nothing expires.

use crate::ground::ids::{ChargePointId, EvseIndex, IdToken, RequestId, TransactionId};
use crate::ground::time::{Duration, Instant, Now, Utc};
use crate::model::ask::{Ask, AskOutcome, TokenInfo};
use crate::model::event::EventKind;
use crate::model::message::Start;
use crate::model::record::Record;
use crate::model::reservation::{Reservation, ReservationId, ReservationState};
use crate::ocpp::traffic::Traffic;

use super::asker::Asker;
use super::message::{Answer, Outbox, Output};
use super::state::State;

/// Nobody keeps an EVSE from others for longer than this.
const AHEAD_MAX: Duration = Duration::hours(7 * 24);

/// Closed reservations kept in memory for people.
const CLOSED_MAX: usize = 50;

/// Ids stay positive.
const ID_MAX: i32 = i32::MAX;

/// What is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// An EVSE, or a charge point of which any EVSE will do.
    pub target: String,
    /// For whom.
    pub token: IdToken,
    /// Anybody of this group may use it too.
    pub group: Option<IdToken>,
    /// Until when.
    pub until: Utc,
}

impl State {
    /// A person reserves; none while the charger's answer is awaited.
    pub fn reserve(
        &mut self,
        now: Now,
        request: RequestId,
        wanted: Wanted,
        traffic: &mut Traffic,
        out: &mut Outbox,
    ) -> Option<Answer> {
        let (charge_point, evse) = match self.may_reserve(now, &wanted) {
            Ok(whom) => whom,
            Err(why) => return Some(Answer::Refused { why }),
        };
        let last = self.reservations.last_key_value().map_or(0, |(id, _)| id.0);
        let id = ReservationId(if last < ID_MAX { last + 1 } else { 1 });
        let known = self.site.access.tokens().iter().find(|known| known.id == wanted.token);
        let group = wanted.group.or_else(|| known.and_then(|known| known.group.clone()));
        let reservation = Reservation {
            id,
            charge_point: charge_point.clone(),
            evse: evse.map(|evse| self.site.diagram.evses[evse].id.clone()),
            token: wanted.token.clone(),
            group: group.clone(),
            until: wanted.until,
            state: ReservationState::Asked,
        };
        self.keep_reservation(reservation, out);
        let ask = Ask::Reserve {
            reservation: id.0,
            token: wanted.token,
            parent: group,
            until: wanted.until,
        };
        let asker = Asker::Reservation { id, request };
        self.ask(now, asker, &wanted.target, (charge_point, evse), ask, traffic);
        None
    }

    fn may_reserve(
        &self,
        now: Now,
        wanted: &Wanted,
    ) -> Result<(ChargePointId, Option<EvseIndex>), String> {
        let Some((charge_point, evse)) = self.target(&wanted.target) else {
            return Err(format!("there is no EVSE or charge point {}", wanted.target));
        };
        let Some(time) = now.utc else {
            return Err("the clock is not trusted yet, so nothing can be reserved".to_owned());
        };
        if wanted.until <= time {
            return Err(format!("{} is past", wanted.until));
        }
        if time + AHEAD_MAX < wanted.until {
            return Err("a reservation may last 7 days at most".to_owned());
        }
        let taken = |other: &&Reservation| {
            let place = other.evse.as_ref().and_then(|id| self.site.diagram.evse(id));
            other.is_open()
                && other.charge_point == charge_point
                && (place.is_none() || evse.is_none() || place == evse)
        };
        if let Some(other) = self.reservations.values().find(taken) {
            return Err(format!("reservation {} keeps it already until {}", other.id, other.until));
        }
        let info = self.admission(now, evse, &wanted.token);
        if !info.is_accepted() {
            return Err(format!("this token may not charge: {}", info.verdict.words()));
        }
        let evses = self.points.get(&charge_point).map(|point| point.evses.as_slice());
        let places = evses.unwrap_or_default().iter().copied();
        let mut here = places.filter(|index| evse.is_none_or(|evse| evse == *index)).peekable();
        if !here.peek().is_some_and(|index| self.is_online(*index)) {
            return Err(format!("{} is not connected", wanted.target));
        }
        if here.all(|index| self.evses[index].live.is_some()) {
            return Err(format!("{} is in use", wanted.target));
        }
        Ok((charge_point, evse))
    }

    /// The charger has answered.
    pub fn reserved(
        &mut self,
        now: Now,
        id: ReservationId,
        request: RequestId,
        outcome: &AskOutcome,
        out: &mut Outbox,
    ) {
        let Some(mut reservation) = self.reservations.get(&id).cloned() else { return };
        // What it cannot do at all is done for it; what it cannot do now is refused.
        let cannot = ["Rejected", "NotSupported", "NotImplemented"].contains(&&*outcome.status)
            || outcome.words.contains("does not know");
        let (state, words) = if outcome.accepted {
            (ReservationState::Held, format!("reservation {id} is kept by the charger"))
        } else if cannot {
            let words = "the charger takes no reservations, so Ampgate turns other tokens away";
            (ReservationState::Kept, format!("reservation {id}: {words}"))
        } else {
            let why = outcome.words.clone();
            (ReservationState::Refused { why: why.clone() }, why)
        };
        let is_refused = matches!(state, ReservationState::Refused { .. });
        let subject = subject(&reservation);
        reservation.state = state;
        let until = reservation.until;
        self.keep_reservation(reservation, out);
        let kind = match is_refused {
            true => EventKind::ReservationRefused,
            false => EventKind::Reserved,
        };
        self.event(now, kind, &subject, format!("{words}, until {until}"), out);
        let outcome = AskOutcome { accepted: !is_refused, words, ..outcome.clone() };
        out.push(Output::Reply { request, answer: Answer::Charger { outcome } });
        self.mark(now.mono);
    }

    /// Whoever knows the place and not the number gives a reservation up.
    pub fn give_up_at(
        &mut self,
        now: Now,
        target: &str,
        traffic: &mut Traffic,
        out: &mut Outbox,
    ) -> Answer {
        let open = self.reservations.values().find(|one| one.is_open() && subject(one) == target);
        match open.map(|one| one.id) {
            Some(id) => self.give_up(now, id, traffic, out),
            None => Answer::Refused { why: format!("nothing is reserved at {target}") },
        }
    }

    /// A person gives a reservation up.
    pub fn give_up(
        &mut self,
        now: Now,
        id: ReservationId,
        traffic: &mut Traffic,
        out: &mut Outbox,
    ) -> Answer {
        let Some(mut reservation) = self.reservations.get(&id).cloned() else {
            return Answer::Refused { why: format!("there is no reservation {id}") };
        };
        if !reservation.is_open() {
            let why = format!("reservation {id} is {} already", reservation.state.words());
            return Answer::Refused { why };
        }
        if reservation.state != ReservationState::Kept {
            self.tell_given_up(now, &reservation, traffic);
        }
        let subject = subject(&reservation);
        reservation.state = ReservationState::Cancelled;
        self.keep_reservation(reservation, out);
        let text = format!("reservation {id} was given up");
        self.event(now, EventKind::ReservationEnded, &subject, text, out);
        self.mark(now.mono);
        Answer::Done
    }

    fn tell_given_up(&mut self, now: Now, reservation: &Reservation, traffic: &mut Traffic) {
        let ask = Ask::CancelReservation { reservation: reservation.id.0 };
        let whom = (reservation.charge_point.clone(), None);
        let subject = subject(reservation);
        self.ask(now, Asker::Nobody, &subject, whom, ask, traffic);
    }

    /// A charge has begun: the reservation that it was made for has done its work.
    pub fn use_reservation(
        &mut self,
        now: Now,
        charge_point: &ChargePointId,
        start: &Start,
        transaction: TransactionId,
        out: &mut Outbox,
    ) {
        let group = self.site.access.tokens().iter().find(|known| known.id == start.token);
        let group = group.and_then(|known| known.group.clone());
        let here = start.evse.map(|evse| self.site.diagram.evses[evse].id.clone());
        let fits = |one: &&Reservation| {
            let named = start.reservation == Some(one.id.0);
            let place = one.evse.is_none() || one.evse == here;
            one.is_open()
                && one.charge_point == *charge_point
                && (named || place && one.admits(&start.token, group.as_ref()))
        };
        let Some(mut used) = self.reservations.values().find(fits).cloned() else { return };
        let text = format!("reservation {} is used by transaction {transaction}", used.id);
        let subject = subject(&used);
        used.state = ReservationState::Used { transaction };
        self.keep_reservation(used, out);
        self.event(now, EventKind::ReservationEnded, &subject, text, out);
    }

    /// Ends what is over, and keeps room for what is open.
    pub fn watch_reservations(&mut self, now: Now, out: &mut Outbox) {
        let over =
            |one: &&Reservation| one.is_open() && now.utc.is_some_and(|time| one.until <= time);
        let over: Vec<Reservation> = self.reservations.values().filter(over).cloned().collect();
        for mut one in over {
            let text = format!("reservation {} was not used in time", one.id);
            let subject = subject(&one);
            one.state = ReservationState::Expired;
            self.keep_reservation(one, out);
            self.event(now, EventKind::ReservationEnded, &subject, text, out);
        }
        let mut room = vec![false; self.evses.len()];
        for one in self.reservations.values().filter(|one| one.is_open()) {
            if let Some(evse) = self.place_for(one) {
                room[evse] = true;
            }
        }
        for (evse, is_kept) in room.into_iter().enumerate() {
            self.control.keep_room(evse, is_kept);
        }
    }

    /// The EVSE that a reservation keeps: its own, or a free one of its charge point.
    pub fn place_for(&self, reservation: &Reservation) -> Option<EvseIndex> {
        match &reservation.evse {
            Some(id) => self.site.diagram.evse(id),
            None => {
                let evses = self.points.get(&reservation.charge_point)?.evses.iter().copied();
                evses.into_iter().find(|evse| self.evses[*evse].live.is_none())
            }
        }
    }

    /// Whether an EVSE is kept for others than this token.
    pub fn is_kept_from(&self, evse: EvseIndex, token: &IdToken, info: &TokenInfo) -> bool {
        let running = self.book.newest_open(evse).is_some_and(|open| open.token == *token);
        let kept = |one: &Reservation| {
            one.is_open()
                && self.place_for(one) == Some(evse)
                && !one.admits(token, info.parent.as_ref())
        };
        !running && self.reservations.values().any(kept)
    }

    /// When the next reservation is over.
    pub fn reservation_wake_at(&self) -> Option<Instant> {
        let offset = self.clock_offset?;
        let open = self.reservations.values().filter(|one| one.is_open());
        open.map(|one| Instant::from_millis(one.until.as_millis() - offset)).min()
    }

    /// Takes a reservation as it stands, for memory and disk.
    fn keep_reservation(&mut self, reservation: Reservation, out: &mut Outbox) {
        out.push(Output::Record(Record::Reservation(reservation.clone())));
        self.reservations.insert(reservation.id, reservation);
        let closed = self.reservations.values().filter(|one| !one.is_open());
        let old: Vec<ReservationId> = closed.map(|one| one.id).collect();
        // The newest stays in any case, so that no number is given twice.
        for id in old.iter().take(old.len().saturating_sub(CLOSED_MAX)) {
            self.reservations.remove(id);
        }
    }
}

/// What people know its place by.
fn subject(reservation: &Reservation) -> String {
    match &reservation.evse {
        Some(evse) => evse.to_string(),
        None => reservation.charge_point.to_string(),
    }
}
