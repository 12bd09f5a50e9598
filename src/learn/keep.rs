//! What was learned of drivers as small texts by name, for a store, and their deletion.
//!
//! `stay/017`: a stay of the site, in a ring, without a name; `token/…`: what is known of one
//! token. An empty text deletes. What is written and taken back is the same to the last digit.

use serde::{Deserialize, Serialize};

use crate::ground::calendar::Calendar;
use crate::ground::ids::IdToken;

use super::habits::{Habits, Known, SITE_MAX, TOKENS_MAX, key};
use super::stay::Past;

const TOKEN: &str = "token/";
const STAY: &str = "stay/";

/// A stay with its number, by which it is put back in order.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Numbered {
    #[serde(rename = "n")]
    number: u64,
    #[serde(rename = "stay")]
    past: Past,
}

impl Known {
    /// What deletes it.
    pub(super) fn gone(name: &str) -> (String, String) {
        (token_name(name), String::new())
    }

    /// As it is written down; nothing where it cannot be.
    pub(super) fn text(&self, name: &str) -> Option<(String, String)> {
        Some((token_name(name), serde_json::to_string(self).ok()?))
    }
}

impl Habits {
    /// Everything, as it is written down.
    pub fn texts(&self) -> Vec<(String, String)> {
        let first = self.seen.saturating_sub(self.site.len() as u64);
        let stays = self.site.iter().zip(first..).filter_map(|(past, number)| stay(*past, number));
        let tokens = self.tokens.iter().filter_map(|(name, known)| known.text(name));
        stays.chain(tokens).collect()
    }

    /// The stay that was taken in last.
    pub(super) fn newest_text(&self) -> Vec<(String, String)> {
        let newest = self.site.back().copied();
        newest.and_then(|past| stay(past, self.seen.saturating_sub(1))).into_iter().collect()
    }

    /// What was written down, by the local days of this place, and the names of what cannot be
    /// read: that is learned anew.
    pub fn remembering(calendar: Calendar, written: &[(&str, &str)]) -> (Self, Vec<String>) {
        let mut habits = Self::new(calendar);
        let mut stays: Vec<Numbered> = Vec::new();
        let mut unread = Vec::new();
        for (name, text) in written {
            if let Some(token) = name.strip_prefix(TOKEN) {
                match serde_json::from_str(text) {
                    Ok(known) => drop(habits.tokens.insert(token.to_owned(), known)),
                    Err(_) => unread.push("a driver's habits".to_owned()),
                }
            } else if name.starts_with(STAY) {
                match serde_json::from_str(text) {
                    Ok(stay) => stays.push(stay),
                    Err(_) => unread.push((*name).to_owned()),
                }
            } else {
                unread.push((*name).to_owned());
            }
        }
        stays.sort_by_key(|stay| stay.number);
        let newest = stays.last().map_or(0, |stay| stay.number.saturating_add(1));
        // What a ring holds of an earlier round, beside a gap, is older than what it keeps.
        stays.retain(|stay| newest <= stay.number.saturating_add(SITE_MAX as u64));
        habits.seen = newest;
        habits.site = stays.into_iter().map(|stay| stay.past).collect();
        while TOKENS_MAX < habits.tokens.len() {
            habits.tokens.pop_first();
        }
        (habits, unread)
    }

    /// Forgets a token; its stays among those of the site bear no name. Tells what is to be
    /// deleted from the store; nothing where it was not known.
    pub fn forget(&mut self, token: &IdToken) -> Vec<String> {
        let name = key(token);
        let known = self.tokens.remove(&name);
        known.map(|_| token_name(&name)).into_iter().collect()
    }

    /// Forgets everything. Tells what is to be deleted from the store.
    pub fn forget_all(&mut self) -> Vec<String> {
        let names = self.texts().into_iter().map(|(name, _)| name).collect();
        self.site.clear();
        self.tokens.clear();
        names
    }
}

/// The name of what is known of a token.
fn token_name(key: &str) -> String {
    format!("{TOKEN}{key}")
}

fn stay(past: Past, number: u64) -> Option<(String, String)> {
    let text = serde_json::to_string(&Numbered { number, past }).ok()?;
    Some((format!("{STAY}{:03}", number % SITE_MAX as u64), text))
}
