//! Forecasts and prices from outside: read, refused in words, missed when they fall silent.
//!
//! A feed that is silent or wrong stops nothing: the site's own forecasts and the contract go on,
//! and people are told once.

use crate::forecast::source;
use crate::ground::time::{Duration, Instant, Now};
use crate::model::event::EventKind;
use crate::model::feed::{Feed, FeedKind, Place};
use crate::model::site::Site;

use super::feed_state::FeedState;
use super::forecast_view::{FeedView, ForecastView};
use super::message::Outbox;
use super::state::State;

/// A feed that was never heard is missed after this.
const PATIENCE: Duration = Duration::hours(1);

impl State {
    /// A message was published: whether it is one of a feed, which then has it.
    pub fn published(&mut self, now: Now, topic: &str, payload: &[u8], out: &mut Outbox) -> bool {
        let is_of = |feed: &&Feed| feed.place == Place::Topic(topic.to_owned());
        let names: Vec<String> =
            self.site.feeds.iter().filter(is_of).map(|feed| feed.id.clone()).collect();
        for name in &names {
            self.fed(now, name, payload, out);
        }
        !names.is_empty()
    }

    /// A document of a feed.
    pub fn fed(&mut self, now: Now, name: &str, payload: &[u8], out: &mut Outbox) {
        let site = self.site.clone();
        let Some(index) = site.feeds.iter().position(|feed| feed.id == name) else { return };
        let feed = &site.feeds[index];
        let Some(utc) = now.utc else {
            // Without a clock nobody can say whether it is of today.
            self.feeds[index].waiting = Some(payload.to_vec());
            return;
        };
        match source::read(feed, payload, utc) {
            Err(why) => {
                let text = format!("{}: {why}", feed.place.words());
                self.feed_trouble(now, index, EventKind::FeedRefused, text, out);
            }
            Ok(received) => {
                let known = &mut self.feeds[index];
                known.heard = Some(utc);
                (known.issued, known.until) = (Some(received.issued), Some(received.until));
                if known.trouble.take().is_some() {
                    let text = format!("{} is there again", feed.kind.words());
                    self.event(now, EventKind::FeedHeard, name, text, out);
                }
                self.planning.outlook.receive(feed.kind, received);
                self.planning.changed();
                self.mark(now.mono);
            }
        }
    }

    /// A feed could not be had.
    pub fn feed_failed(&mut self, now: Now, name: &str, why: &str, out: &mut Outbox) {
        let Some(index) = self.site.feeds.iter().position(|feed| feed.id == name) else { return };
        let text = format!("{}: {why}", self.site.feeds[index].place.words());
        self.feed_trouble(now, index, EventKind::FeedSilent, text, out);
    }

    /// Tells of feeds that have run out or were never heard.
    pub fn watch_feeds(&mut self, now: Now, out: &mut Outbox) {
        let Some(utc) = now.utc else { return };
        let site = self.site.clone();
        for (index, feed) in site.feeds.iter().enumerate() {
            if let Some(payload) = self.feeds[index].waiting.take() {
                self.fed(now, &feed.id, &payload, out);
            }
            let known = &self.feeds[index];
            let text = match known.until {
                Some(until) if until <= utc => {
                    format!("the {} has run out at {until}", feed.kind.words())
                }
                None if PATIENCE <= now.mono.since(known.since) => {
                    format!("no {} was heard so far", feed.kind.words())
                }
                _ => continue,
            };
            if known.trouble.is_none() {
                let text = format!("{}: {text}", feed.place.words());
                self.feed_trouble(now, index, EventKind::FeedSilent, text, out);
            }
        }
    }

    /// People are told once, and again when it is another trouble.
    fn feed_trouble(
        &mut self,
        now: Now,
        index: usize,
        kind: EventKind,
        text: String,
        out: &mut Outbox,
    ) {
        let feed = &self.site.feeds[index];
        let goes_on = match feed.kind {
            FeedKind::Pv | FeedKind::Load => "the site's own forecast goes on",
            FeedKind::Price => "earlier days and the tariff stand in",
            FeedKind::Co2 => "earlier days stand in",
        };
        let (name, words) = (feed.id.clone(), format!("{text}; {goes_on}"));
        if self.feeds[index].trouble.replace(text.clone()) != Some(text) {
            self.event_seldom(now, kind, &name, words, out);
        }
    }

    /// The feeds under another configuration: what is known of those that stay is kept.
    pub fn feeds_under(&self, site: &Site, now: Instant) -> Vec<FeedState> {
        let known = |feed: &Feed| {
            let before = self.site.feeds.iter().position(|known| known == feed);
            before.map_or_else(|| FeedState::new(now), |before| self.feeds[before].clone())
        };
        site.feeds.iter().map(known).collect()
    }

    /// What is expected of the coming day, how far it was off, and what came from outside.
    pub fn forecast_views(&self, now: Now) -> Vec<ForecastView> {
        let feed_of = |kind: FeedKind| {
            let index = self.site.feeds.iter().position(|feed| feed.kind == kind)?;
            let (feed, known) = (&self.site.feeds[index], &self.feeds[index]);
            Some(FeedView {
                id: feed.id.clone(),
                place: feed.place.words(),
                heard: known.heard,
                issued: known.issued,
                until: known.until,
                trouble: known.trouble.clone(),
                leads: self.planning.outlook.proofs(kind),
            })
        };
        let mut views = self.planning.outlook.forecast_views(now.utc.unwrap_or_default());
        for view in &mut views {
            view.received = feed_of(view.kind);
        }
        views.retain(|view| !view.source.is_empty() || view.received.is_some());
        views
    }
}
