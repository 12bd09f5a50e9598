//! Contacts that limit while they are closed (a grid operator's dimming, §14a EnWG): read outside,
//! steadied in [`super::contact_state`], and in force from the start until a reading says that the
//! contact is open. They only ever lower, like every limit from outside.

use crate::ground::ids::EvseIndex;
use crate::ground::time::{Instant, Now};
use crate::ground::units::{Amps, Watts};
use crate::model::diagram::Diagram;
use crate::model::event::EventKind;
use crate::model::limit::{Contact as Wired, ContactLimit};
use crate::model::site::Site;

use super::contact_state::{Contact, ContactState};
use super::message::Outbox;
use super::state::State;

/// What a contact limits at this moment.
pub struct Held<'s> {
    /// As it is configured.
    pub wired: &'s Wired,
    /// For people, e.g. `limit of 4.2 kW by §14a contact`.
    pub words: String,
}

impl State {
    /// A contact was read, or could not be.
    pub fn contact_read(&mut self, now: Now, id: &str, read: Result<bool, String>) {
        let Some(index) = self.site.contacts.iter().position(|known| known.id == id) else {
            return;
        };
        self.contacts[index].hear(now.mono, read);
        let before = self.contacts[index].is(now.mono);
        self.contacts[index].settle(now.mono, self.site.contacts[index].debounce);
        let after = self.contacts[index].is(now.mono);
        if before != after || self.contacts[index].told.as_ref() != Some(&after) {
            self.mark(now.mono);
        }
        if after != Contact::Open && self.contacts[index].told != Some(Contact::Closed) {
            self.mark_urgent(now.mono);
        }
    }

    /// The contacts under another configuration: one that is read as before goes on.
    pub fn contacts_under(&self, site: &Site, now: Instant) -> Vec<ContactState> {
        let known = |wired: &Wired| {
            let place = |one: &Wired| (one.id.clone(), one.place.clone());
            self.site.contacts.iter().position(|one| place(one) == place(wired))
        };
        let state = |wired: &Wired| match known(wired) {
            Some(index) => self.contacts[index].clone(),
            None => ContactState::new(now),
        };
        site.contacts.iter().map(state).collect()
    }

    /// Steadies the contacts and tells what has changed.
    pub fn watch_contacts(&mut self, now: Now, out: &mut Outbox) {
        let site = self.site.clone();
        for (index, wired) in site.contacts.iter().enumerate() {
            self.contacts[index].settle(now.mono, wired.debounce);
            let is = self.contacts[index].is(now.mono);
            if !self.contacts[index].is_news(now.mono, &is) {
                if self.contacts[index].told.is_none() && is == Contact::Open {
                    self.contacts[index].told = Some(is);
                    self.planning.changed();
                }
                continue;
            }
            let (kind, text) = match &is {
                Contact::Open => (EventKind::OuterLimit, "open: its limit is over".to_owned()),
                Contact::Closed => (EventKind::OuterLimit, format!("closed: {}", words(wired))),
                Contact::Unsure(why) => {
                    (EventKind::ContactUnsure, format!("{why}: {} all the same", words(wired)))
                }
            };
            self.contacts[index].told = Some(is);
            self.planning.changed();
            self.event_or_seldom(now, (kind, &wired.id), text, out);
        }
    }

    /// A contact that falters is told of now and then.
    fn event_or_seldom(
        &mut self,
        now: Now,
        (kind, subject): (EventKind, &str),
        text: String,
        out: &mut Outbox,
    ) {
        match kind {
            EventKind::ContactUnsure => self.event_seldom(now, kind, subject, text, out),
            _ => self.event(now, kind, subject, text, out),
        }
    }

    /// The contacts whose limits hold.
    pub fn contacts_held(&self, now: Instant) -> Vec<Held<'_>> {
        let pairs = self.site.contacts.iter().zip(&self.contacts);
        let held = pairs.filter_map(|(wired, state)| {
            let words = match state.is(now) {
                Contact::Open => return None,
                Contact::Closed => words(wired),
                Contact::Unsure(why) => format!("{} ({why})", words(wired)),
            };
            Some(Held { wired, words })
        });
        held.collect()
    }

    /// When time changes what a contact comes to.
    pub fn contacts_wake_at(&self, seen: Instant) -> Option<Instant> {
        let pairs = self.site.contacts.iter().zip(&self.contacts);
        pairs.filter_map(|(wired, state)| state.wake_at(seen, wired.debounce)).min()
    }
}

impl Held<'_> {
    /// The most on each phase of an EVSE; none where it is another's or a limit on all.
    pub fn on_evse(&self, diagram: &Diagram, evse: EvseIndex) -> Option<Amps> {
        match &self.wired.limit {
            ContactLimit::Charging(_) => None,
            ContactLimit::Evses { limit, evses } => {
                let id = &diagram.evses[evse].id;
                (evses.is_empty() || evses.contains(id)).then_some(*limit)
            }
        }
    }

    /// The most of all chargers together.
    pub fn on_all(&self) -> Option<Watts> {
        match &self.wired.limit {
            ContactLimit::Charging(limit) => Some(*limit),
            ContactLimit::Evses { .. } => None,
        }
    }
}

fn words(wired: &Wired) -> String {
    match &wired.limit {
        ContactLimit::Charging(limit) => {
            format!("limit of {:.1} kW by {}", limit.as_f64() / 1000.0, wired.id)
        }
        ContactLimit::Evses { limit, .. } => {
            format!("limit of {:.1} A by {}", limit.as_f64(), wired.id)
        }
    }
}
