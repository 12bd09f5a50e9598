//! What energy costs on this site: the contract, without the market's prices of the day.

use serde::{Deserialize, Serialize};

use crate::ground::time::Duration;

/// The contract of a site. Prices in EUR per kWh; fees are part of each kWh of import.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tariff {
    /// The energy price follows the day-ahead market.
    pub market: bool,
    /// Fixed energy price where no period holds; with `market` it stands in while no market price
    /// is known.
    pub energy_eur_per_kwh: f64,
    /// Times with prices of their own; the first that holds and has one counts.
    pub periods: Vec<Period>,
    /// Grid fees, taxes and levies on each kWh of import.
    pub fees_eur_per_kwh: f64,
    /// What export earns.
    pub export: Export,
    /// What the highest import costs.
    pub peak: Option<Peak>,
    /// Power purchase agreements.
    pub ppa: Vec<Ppa>,
}

/// A time with prices of its own, by the clock on the wall.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Period {
    /// What people call it ("night").
    pub name: String,
    /// Whether it holds on Monday … Sunday.
    pub weekdays: [bool; 7],
    /// Whether it holds in January … December.
    pub months: [bool; 12],
    /// First minute of the local day.
    pub from_min: u16,
    /// Minute of the local day that it ends before; at or below `from_min` it ends on the next
    /// day, and that morning belongs to the weekday on which it began.
    pub until_min: u16,
    /// Energy price while it holds; with a market it stands in while that is silent.
    pub energy_eur_per_kwh: Option<f64>,
    /// Fees while it holds, in place of those of the contract.
    pub fees_eur_per_kwh: Option<f64>,
}

impl Period {
    /// Whether it holds in this month (0 is January), on this weekday (0 is Monday), at this
    /// minute of the local day.
    pub fn holds(&self, month: usize, today: usize, minute: u16) -> bool {
        let on = |weekday: usize| self.weekdays.get(weekday).copied().unwrap_or(false);
        if !self.months.get(month).copied().unwrap_or(false) {
            return false;
        }
        let has_begun = self.from_min <= minute;
        if self.from_min < self.until_min {
            return on(today) && has_begun && minute < self.until_min;
        }
        (on(today) && has_begun) || (on((today + 6) % 7) && minute < self.until_min)
    }
}

/// What export earns; never more than import costs at that time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Export {
    /// Nothing.
    #[default]
    Nothing,
    /// A fixed price.
    Fixed(f64),
    /// The market's price, less this.
    MarketLess(f64),
}

/// What the highest import of a billing period costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peak {
    /// EUR for each kW of it.
    pub eur_per_kw: f64,
    /// Import is averaged over this: 15 min or 1 h.
    pub basis: Duration,
    /// How long a billing period is.
    pub billing: Billing,
}

/// How long a billing period is, by the local calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Billing {
    /// A month.
    Month,
    /// A year.
    Year,
}

/// A power purchase agreement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ppa {
    /// What people call it.
    pub name: String,
    /// Its price.
    pub eur_per_kwh: f64,
    /// What is bought.
    pub kind: PpaKind,
}

/// What a [`Ppa`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PpaKind {
    /// The PV on this roof belongs to somebody else; what is used on site is paid, the rest is
    /// theirs.
    Pv,
    /// The first so many kW of import have this energy price at any time; fees come on top.
    Band(f64),
}
