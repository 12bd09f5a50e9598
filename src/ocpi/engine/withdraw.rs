//! Tariffs that have left the configuration: each partner that may have them is asked to delete
//! them (OCPI 2.2.1 §11.2.2), after it has the location without them. What it has yet to be
//! told is kept over a restart.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::ocpi::http::Method;

use super::Engine;
use super::desk::{Change, Desk, Output};
use super::push::{Pushed, Wanted};

/// By partner, the ids of tariffs that it is to delete.
pub type Withdrawn = BTreeMap<String, BTreeSet<String>>;

const PREFIX: &str = "withdrawn/";

fn key(partner: &str, id: &str) -> String {
    format!("{PREFIX}{partner}/{id}")
}

/// What is kept of it.
pub fn known(kept: &BTreeMap<String, Value>) -> Withdrawn {
    let mut all = Withdrawn::new();
    for name in kept.keys() {
        let parts = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('/'));
        if let Some((partner, id)) = parts {
            all.entry(partner.to_owned()).or_default().insert(id.to_owned());
        }
    }
    all
}

impl Engine {
    /// The tariffs of the configuration are these; every other that is known goes.
    pub(super) fn withdraw(&mut self, desk: &mut Desk<'_>, ids: &BTreeSet<String>) {
        for (partner, gone) in &mut self.withdrawn {
            let back: Vec<String> = gone.intersection(ids).cloned().collect();
            for id in back {
                gone.remove(&id);
                desk.out.push(Output::Keep(Change::Drop { key: key(partner, &id) }));
            }
        }
        for id in self.gateway.unknown_tariffs(ids) {
            desk.out.push(Output::Keep(Change::Drop { key: format!("tariff/{id}") }));
            for partner in self.site.partners.iter().filter(|one| one.gateway) {
                if self.links.get(&partner.id).is_some_and(|link| link.registered) {
                    desk.keep(key(&partner.id, &id), &json!(true));
                    self.withdrawn.entry(partner.id.clone()).or_default().insert(id.clone());
                }
            }
        }
    }

    pub(super) fn next_withdrawal(&self, partner: &str, url: &str) -> Option<Wanted> {
        let id = self.withdrawn.get(partner)?.first()?;
        let url = self.ours(url, &[id]);
        Some((Pushed::Withdrawal(id.clone()), Method::Delete, url, Value::Null))
    }

    /// The partner has it no more, or will not hear of it.
    pub(super) fn withdrawal_over(&mut self, desk: &mut Desk<'_>, partner: &str, id: &str) {
        if let Some(gone) = self.withdrawn.get_mut(partner) {
            gone.remove(id);
        }
        desk.out.push(Output::Keep(Change::Drop { key: key(partner, id) }));
    }
}
