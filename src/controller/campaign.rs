//! Firmware campaigns: who is updated when, and what came of it (OCPP 1.6 §5.19, §6.19 and the
//! security whitepaper's SignedUpdateFirmware).
//!
//! A charger that installs firmware restarts, and may come back with other habits. So: only without
//! a car, never two under one breaker at once, and at most [`AT_ONCE_MAX`] on the site. Its limits
//! stay reserved meanwhile, as those of any charger that cannot be reached.
//!
//! Invariants: every charger of a campaign comes to exactly one end; what was begun is on disk, so
//! a restart of the box goes on where it was and asks nobody twice.

use std::collections::BTreeSet;

use crate::ground::ids::{ChargePointId, NodeIndex};
use crate::ground::time::{Duration, Instant, Now};
use crate::model::ask::{Ask, AskOutcome, Signed};
use crate::model::campaign::{Campaign, CampaignCharger, CampaignId, CampaignState};
use crate::model::event::EventKind;
use crate::model::message::EvseStatus;
use crate::model::record::Record;
use crate::ocpp::traffic::Traffic;

use super::asker::Asker;
use super::message::{Answer, Outbox, Output};
use super::state::State;
use super::view::{CampaignChargerView, CampaignView};

/// Chargers that are updated at a time, however many breakers there are: their downloads share one
/// uplink, and what a firmware breaks is seen before it is everywhere.
pub const AT_ONCE_MAX: usize = 3;

/// A charger that says nothing for this long has failed. Slow modems download for hours, and tell
/// so in between.
pub const SILENT_MAX: Duration = Duration::hours(3);

/// The same word again says that it is still at it; kept no more often than this.
const REPEATED: Duration = Duration::minutes(10);

/// A charger that does not answer is asked again, this often in all.
const ASKED_MAX: u32 = 3;

/// Chargers of a campaign.
const CHARGERS_MAX: usize = 1000;

/// Campaigns that are kept for people; open ones stay in any case.
const CAMPAIGNS_MAX: usize = 20;

/// While something is to be done, it is looked for this often.
const LOOK_EVERY: Duration = Duration::seconds(10);

/// What is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Where the firmware is.
    pub location: String,
    /// With certificate and signature.
    pub signed: Option<Signed>,
    /// Charge points, or EVSEs of them; all of the site where it is empty.
    pub targets: Vec<String>,
}

impl State {
    /// A person begins a campaign.
    pub fn begin_campaign(&mut self, now: Now, wanted: Wanted, out: &mut Outbox) -> Answer {
        let chargers = match self.campaign_chargers(&wanted) {
            Ok(chargers) => chargers,
            Err(why) => return Answer::Refused { why },
        };
        let last = self.campaigns.last_key_value().map_or(0, |(id, _)| id.0);
        let id = CampaignId(last.checked_add(1).unwrap_or(1));
        let number = chargers.len();
        let Wanted { location, signed, .. } = wanted;
        // Each request has the number of its campaign, so that reports can be told apart.
        let signed = signed.map(|signed| Signed { request: id.0, ..signed });
        let text = format!("campaign {id} has begun for {number} chargers: {location}");
        self.keep_campaign(Campaign { id, location, signed, chargers }, out);
        self.event(now, EventKind::Campaign, "", text, out);
        self.mark(now.mono);
        let words = format!("campaign {id} has begun; see ampgate firmware status");
        let status = "Accepted".to_owned();
        Answer::Charger { outcome: AskOutcome { accepted: true, status, words, details: None } }
    }

    fn campaign_chargers(&self, wanted: &Wanted) -> Result<Vec<CampaignCharger>, String> {
        let known = ["http://", "https://", "ftp://", "ftps://", "sftp://"];
        let location = &wanted.location;
        let fits = known.iter().any(|scheme| location.starts_with(scheme));
        if !fits || location.contains(' ') || 512 < location.len() {
            let expected = "expected a URL like http://10.0.0.1/file, at most 512 characters";
            return Err(format!("{location} is no address; {expected}"));
        }
        let mut names: Vec<ChargePointId> = Vec::new();
        for target in &wanted.targets {
            let found = self.target(target);
            let (charge_point, _) =
                found.ok_or_else(|| format!("there is no EVSE or charge point {target}"))?;
            if !names.contains(&charge_point) {
                names.push(charge_point);
            }
        }
        if wanted.targets.is_empty() {
            names.extend(self.points.keys().cloned());
        }
        if names.is_empty() || CHARGERS_MAX < names.len() {
            let many = names.len();
            return Err(format!("{many} chargers; expected 1 to {CHARGERS_MAX}"));
        }
        let busy = |id: &&ChargePointId| {
            let open = self.campaigns.values().flat_map(|campaign| &campaign.chargers);
            open.into_iter().any(|other| other.charge_point == **id && !other.state.is_over())
        };
        if let Some(other) = names.iter().find(busy) {
            return Err(format!("{other} is in another campaign that is not over"));
        }
        let charger = |charge_point: ChargePointId| CampaignCharger {
            before: self.firmware_of(&charge_point),
            charge_point,
            asked: 0,
            state: CampaignState::Waiting,
        };
        Ok(names.into_iter().map(charger).collect())
    }

    /// A person calls off what has not begun.
    pub fn cancel_campaign(&mut self, now: Now, id: CampaignId, out: &mut Outbox) -> Answer {
        let Some(mut campaign) = self.campaigns.get(&id).cloned() else {
            return Answer::Refused { why: format!("there is no campaign {id}") };
        };
        if campaign.is_over() {
            return Answer::Refused { why: format!("campaign {id} is over already") };
        }
        for charger in &mut campaign.chargers {
            if charger.state == CampaignState::Waiting {
                charger.state = CampaignState::Cancelled;
            }
        }
        self.keep_campaign(campaign, out);
        let text = format!("campaign {id} was called off; what is being installed goes on");
        self.event(now, EventKind::Campaign, "", text, out);
        Answer::Done
    }

    /// When something may be due.
    pub fn campaign_wake_at(&self, seen: Instant) -> Option<Instant> {
        let open = self.campaigns.values().any(|campaign| !campaign.is_over());
        open.then(|| seen + LOOK_EVERY)
    }

    /// Gives up those that are silent, and begins those whose turn has come.
    pub fn watch_campaigns(&mut self, now: Now, out: &mut Outbox) {
        let open = self.campaigns.values().filter(|campaign| !campaign.is_over());
        let open: Vec<CampaignId> = open.map(|campaign| campaign.id).collect();
        for id in open {
            self.give_up_silent(now, id, out);
            let chargers = self.campaigns.get(&id).map(|campaign| campaign.chargers.clone());
            for charger in chargers.unwrap_or_default() {
                let is_waiting = charger.state == CampaignState::Waiting;
                if is_waiting && self.campaign_obstacle(&charger.charge_point).is_none() {
                    self.begin_update(now, id, &charger.charge_point, out);
                }
            }
        }
    }

    /// What is begun is written down first; the charger is asked in the same step.
    fn begin_update(
        &mut self,
        now: Now,
        id: CampaignId,
        charge_point: &ChargePointId,
        out: &mut Outbox,
    ) {
        let Some(mut campaign) = self.campaigns.get(&id).cloned() else { return };
        let before = self.firmware_of(charge_point);
        let its = |charger: &&mut CampaignCharger| charger.charge_point == *charge_point;
        for charger in campaign.chargers.iter_mut().filter(its) {
            charger.asked += 1;
            charger.before = before.clone();
            charger.state = CampaignState::Running { since: now.utc, status: "asked".to_owned() };
        }
        self.keep_campaign(campaign.clone(), out);
        self.ask_update(now, &campaign, charge_point, out);
    }

    fn ask_update(&mut self, now: Now, campaign: &Campaign, id: &ChargePointId, out: &mut Outbox) {
        let ask = Ask::Firmware {
            location: campaign.location.clone(),
            retrieve_at: None,
            signed: campaign.signed.clone(),
        };
        let asker = Asker::Campaign { id: campaign.id, charge_point: id.clone() };
        let mut traffic = Traffic::default();
        self.ask(now, asker, id.as_str(), (id.clone(), None), ask, &mut traffic);
        self.absorb(now, traffic, out);
    }

    fn give_up_silent(&mut self, now: Now, id: CampaignId, out: &mut Outbox) {
        let Some(time) = now.utc else { return };
        let Some(mut campaign) = self.campaigns.get(&id).cloned() else { return };
        let mut failed = Vec::new();
        for charger in &mut campaign.chargers {
            let CampaignState::Running { since, status } = &mut charger.state else { continue };
            // What was begun before the clock was trusted counts from here.
            if time.since(*since.get_or_insert(time)) <= SILENT_MAX {
                continue;
            }
            let why = format!("nothing was heard of it for {SILENT_MAX} after \"{status}\"");
            failed.push((charger.charge_point.to_string(), why.clone()));
            charger.state = CampaignState::Failed { why };
        }
        if self.campaigns.get(&id) != Some(&campaign) {
            self.keep_campaign(campaign, out);
        }
        for (subject, why) in failed {
            let text = format!("campaign {id}: {why}");
            self.event(now, EventKind::CampaignFailed, &subject, text, out);
        }
    }

    /// Why a charger cannot be updated at this moment, in words.
    fn campaign_obstacle(&self, id: &ChargePointId) -> Option<String> {
        let Some(point) = self.points.get(id) else {
            return Some("it is not in the configuration any more".to_owned());
        };
        if point.online_since.is_none() {
            return Some("it is not connected".to_owned());
        }
        for index in &point.evses {
            let evse = &self.evses[*index];
            let free = [EvseStatus::Available, EvseStatus::Unavailable, EvseStatus::Faulted];
            let is_kept = self.reservations.values().any(|one| {
                one.is_open() && one.charge_point == *id && self.place_for(one) == Some(*index)
            });
            if evse.live.is_some() || !free.contains(&evse.status) {
                return Some(format!("there is a car at {}", self.evse_name(*index)));
            }
            if is_kept {
                return Some(format!("{} is reserved", self.evse_name(*index)));
            }
        }
        let own = self.breakers_of(id);
        let mut running = self.running_updates().collect::<Vec<_>>();
        running.retain(|other| *other != id);
        let beside = running.iter().find(|other| !self.breakers_of(other).is_disjoint(&own));
        if let Some(other) = beside {
            return Some(format!("{other} under the same breaker is being updated"));
        }
        let full = AT_ONCE_MAX <= running.len();
        full.then(|| format!("{AT_ONCE_MAX} chargers are being updated"))
    }

    fn running_updates(&self) -> impl Iterator<Item = &ChargePointId> {
        let all = self.campaigns.values().flat_map(|campaign| &campaign.chargers);
        let running = all.filter(|one| matches!(one.state, CampaignState::Running { .. }));
        running.map(|charger| &charger.charge_point)
    }

    /// The nodes that its EVSEs hang on.
    fn breakers_of(&self, id: &ChargePointId) -> BTreeSet<NodeIndex> {
        let evses = self.points.get(id).map(|point| point.evses.as_slice()).unwrap_or_default();
        evses.iter().map(|index| self.site.diagram.evses[*index].node).collect()
    }

    fn firmware_of(&self, id: &ChargePointId) -> String {
        let identity = self.points.get(id).and_then(|point| point.record.identity.as_ref());
        identity.map(|identity| identity.firmware.clone()).unwrap_or_default()
    }

    /// The charger has answered, or has not.
    pub fn campaign_answered(
        &mut self,
        now: Now,
        (id, charge_point): (CampaignId, &ChargePointId),
        outcome: &AskOutcome,
        out: &mut Outbox,
    ) {
        if outcome.accepted {
            return self.campaign_heard(now, charge_point, &outcome.words, out);
        }
        let silent = outcome.status.is_empty() && !outcome.words.contains("does not know");
        let Some(charger) = self.running_charger(charge_point) else { return };
        let state = match silent && charger.asked < ASKED_MAX {
            true => CampaignState::Waiting,
            false => CampaignState::Failed { why: outcome.words.clone() },
        };
        if let CampaignState::Failed { why } = &state {
            let text = format!("campaign {id}: {why}");
            self.event(now, EventKind::CampaignFailed, charge_point.as_str(), text, out);
        }
        self.set_campaign_state(charge_point, state, out);
        self.mark(now.mono);
    }

    /// A charger tells how far it is.
    pub fn campaign_heard(
        &mut self,
        now: Now,
        charge_point: &ChargePointId,
        status: &str,
        out: &mut Outbox,
    ) {
        let Some(charger) = self.running_charger(charge_point) else { return };
        if let CampaignState::Running { status: before, since } = &charger.state
            && before == status
            && since.zip(now.utc).is_none_or(|(since, time)| time.since(since) <= REPEATED)
        {
            return;
        }
        let word = status.to_lowercase();
        let is_bad = ["fail", "invalid", "revoked", "error"].iter().any(|bad| word.contains(bad));
        let state = if is_bad {
            CampaignState::Failed { why: format!("the charger says {status}") }
        } else if word == "installed" {
            CampaignState::Done { words: "the charger says that it is installed".to_owned() }
        } else {
            CampaignState::Running { since: now.utc, status: status.to_owned() }
        };
        self.conclude_charger(now, charge_point, state, out);
    }

    /// A charger has told who it is: another firmware than before means that it was installed.
    pub fn campaign_identified(
        &mut self,
        now: Now,
        charge_point: &ChargePointId,
        out: &mut Outbox,
    ) {
        let firmware = self.firmware_of(charge_point);
        let Some(charger) = self.running_charger(charge_point) else { return };
        let before = charger.before.clone();
        if firmware.is_empty() || before.is_empty() || firmware == before {
            return;
        }
        let words = format!("{before} became {firmware}");
        self.conclude_charger(now, charge_point, CampaignState::Done { words }, out);
    }

    fn conclude_charger(
        &mut self,
        now: Now,
        charge_point: &ChargePointId,
        state: CampaignState,
        out: &mut Outbox,
    ) {
        let told = match &state {
            CampaignState::Done { words } => Some((EventKind::Campaign, words.clone())),
            CampaignState::Failed { why } => Some((EventKind::CampaignFailed, why.clone())),
            _ => None,
        };
        self.set_campaign_state(charge_point, state, out);
        if let Some((kind, text)) = told {
            self.event(now, kind, charge_point.as_str(), format!("firmware: {text}"), out);
        }
        self.mark(now.mono);
    }

    fn running_charger(&self, id: &ChargePointId) -> Option<&CampaignCharger> {
        let all = self.campaigns.values().flat_map(|campaign| &campaign.chargers);
        let mut running = all.filter(|one| matches!(one.state, CampaignState::Running { .. }));
        running.find(|charger| charger.charge_point == *id)
    }

    fn set_campaign_state(&mut self, of: &ChargePointId, state: CampaignState, out: &mut Outbox) {
        let is_it = |one: &CampaignCharger| {
            one.charge_point == *of && matches!(one.state, CampaignState::Running { .. })
        };
        let found = self.campaigns.values().find(|campaign| campaign.chargers.iter().any(is_it));
        let Some(mut campaign) = found.cloned() else { return };
        for charger in campaign.chargers.iter_mut().filter(|charger| is_it(charger)) {
            charger.state = state.clone();
        }
        self.keep_campaign(campaign, out);
    }

    /// Takes a campaign as it stands, for memory and disk.
    fn keep_campaign(&mut self, campaign: Campaign, out: &mut Outbox) {
        out.push(Output::Record(Record::Campaign(campaign.clone())));
        self.campaigns.insert(campaign.id, campaign);
        let over = self.campaigns.values().filter(|campaign| campaign.is_over());
        let old: Vec<CampaignId> = over.map(|campaign| campaign.id).collect();
        for id in old.iter().take(old.len().saturating_sub(CAMPAIGNS_MAX)) {
            self.campaigns.remove(id);
        }
    }

    /// Campaigns for people, newest first.
    pub fn campaign_views(&self) -> Vec<CampaignView> {
        let charger = |charger: &CampaignCharger| {
            let (state, words) = match &charger.state {
                CampaignState::Waiting => {
                    let obstacle = self.campaign_obstacle(&charger.charge_point);
                    ("waiting", obstacle.unwrap_or_else(|| "its turn comes".to_owned()))
                }
                CampaignState::Running { status, .. } => ("running", status.clone()),
                CampaignState::Done { words } => ("done", words.clone()),
                CampaignState::Failed { why } => ("failed", why.clone()),
                CampaignState::Cancelled => ("cancelled", "called off before its turn".to_owned()),
            };
            let charge_point = charger.charge_point.to_string();
            CampaignChargerView { charge_point, state: state.to_owned(), words }
        };
        let view = |campaign: &Campaign| CampaignView {
            id: campaign.id.0,
            location: campaign.location.clone(),
            signed: campaign.signed.is_some(),
            over: campaign.is_over(),
            chargers: campaign.chargers.iter().map(charger).collect(),
        };
        self.campaigns.values().rev().map(view).collect()
    }
}
