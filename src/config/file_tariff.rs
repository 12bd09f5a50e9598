//! `[tariff]` as it is written: what energy costs. Doc comments are the manual, see
//! [`super::file`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What energy costs: the contract, over the prices of the market where those are known. A kWh of
/// import costs its energy price and the fees.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tariff {
    /// The energy price follows the day-ahead market, where that is known. Where it is silent for
    /// long, the periods and at last `energy_eur_per_kwh` stand in.
    pub market: bool,
    /// Energy price where no period holds and there is no market price, in EUR per kWh.
    #[schemars(range(min = -10, max = 10))]
    pub energy_eur_per_kwh: f64,
    /// Grid fees, taxes and levies on each kWh of import, in EUR.
    #[schemars(range(min = -10, max = 10))]
    pub fees_eur_per_kwh: f64,
    /// What a kWh of export earns, in EUR; never more than import costs at that time.
    #[schemars(range(min = -10, max = 10))]
    pub export_eur_per_kwh: f64,
    /// Export earns the market's price less this, in EUR per kWh, in place of
    /// `export_eur_per_kwh`.
    #[schemars(range(min = -10, max = 10), example = 0.004)]
    pub export_market_less_eur_per_kwh: Option<f64>,
    /// What each kW of the highest import costs in each billing period, in EUR.
    #[schemars(range(min = 0, max = 1000))]
    pub peak_eur_per_kw: f64,
    /// The highest import is the highest mean over this many minutes of the clock: 15, 30 or 60.
    /// 15 where it is left out.
    #[schemars(range(min = 15, max = 60), example = 15)]
    pub peak_basis_min: Option<f64>,
    /// How long a billing period of the highest import is, by the local calendar. A month where it
    /// is left out.
    pub peak_billing: Option<Billing>,
    /// Times with prices of their own, by the clock on the wall, also across summer time.
    #[schemars(length(max = 50))]
    pub period: Vec<Period>,
    /// Power purchase agreements.
    #[schemars(length(max = 10))]
    pub ppa: Vec<Ppa>,
}

/// A time with prices of its own. Of several that hold at once the first in the file counts; an
/// energy price and fees are looked for apart.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// What people call it.
    #[schemars(required, length(min = 1, max = 36), example = &"night")]
    pub id: Option<String>,
    /// When it begins, by the clock on the wall.
    #[schemars(required, length(min = 1, max = 5), example = &"22:00")]
    pub from: Option<String>,
    /// When it ends. At or before `from` means on the next day, and that morning belongs to the
    /// weekday on which it began: "00:00" to "00:00" is the whole day.
    #[schemars(required, length(min = 1, max = 5), example = &"06:00")]
    pub to: Option<String>,
    /// On these days. Every day where it is left out.
    #[schemars(length(min = 1, max = 7), example = ["mon", "tue"])]
    pub weekdays: Option<Vec<Weekday>>,
    /// In these months, 1 to 12. In every month where it is left out.
    #[schemars(length(min = 1, max = 12), inner(range(min = 1, max = 12)), example = [11, 12, 1])]
    pub months: Option<Vec<u8>>,
    /// Energy price while it holds, in EUR per kWh. With `market = true` it stands in while the
    /// market is silent.
    #[schemars(range(min = -10, max = 10))]
    pub energy_eur_per_kwh: Option<f64>,
    /// Grid fees, taxes and levies while it holds, in EUR per kWh, in place of those of `[tariff]`.
    #[schemars(range(min = -10, max = 10))]
    pub fees_eur_per_kwh: Option<f64>,
}

/// A power purchase agreement.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ppa {
    /// What people call it.
    #[schemars(required, length(min = 1, max = 36), example = &"roof")]
    pub id: Option<String>,
    /// What is bought.
    #[schemars(required)]
    pub kind: Option<PpaKind>,
    /// Its price, in EUR per kWh. Fees come on top of a band, not of the roof.
    #[schemars(required, range(min = -10, max = 10))]
    pub eur_per_kwh: Option<f64>,
    /// The power of a band, in kW.
    #[schemars(range(min = 0.1, max = 100_000))]
    pub band_kw: Option<f64>,
}

/// What a power purchase agreement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PpaKind {
    /// The PV on this roof belongs to somebody else: what is used on site is paid for, the rest is
    /// theirs.
    Roof,
    /// The first `band_kw` of import have this energy price at any time. It counts in what the
    /// site pays; plans reckon with the price beyond the band.
    Band,
}

/// How long a billing period of the highest import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Billing {
    /// A calendar month.
    Month,
    /// A calendar year.
    Year,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Weekday {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Default for Tariff {
    fn default() -> Self {
        Self {
            market: true,
            energy_eur_per_kwh: 0.0,
            fees_eur_per_kwh: 0.0,
            export_eur_per_kwh: 0.0,
            export_market_less_eur_per_kwh: None,
            peak_eur_per_kw: 0.0,
            peak_basis_min: None,
            peak_billing: None,
            period: Vec::new(),
            ppa: Vec::new(),
        }
    }
}
