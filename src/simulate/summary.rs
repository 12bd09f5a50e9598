//! The figures of one policy, under the names that other people's scripts rely on.

use serde::Serialize;

use super::account::Account;

/// A session counts as short if it missed more than this, in Wh.
const SHORT_WH: f64 = 100.0;

/// What became of one session.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Delivered {
    /// What the car wanted, in Wh.
    pub need_wh: f64,
    /// What it got, in Wh.
    pub got_wh: f64,
}

/// What came of running one policy.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The figures.
    pub summary: Summary,
    /// The energies behind them.
    pub account: Account,
    /// What became of each session, in the order of the world's.
    pub delivered: Vec<Delivered>,
    /// What the checker found, in words.
    pub violations: Vec<String>,
}

/// One policy's run.
#[derive(Debug)]
pub struct Run {
    /// Its name in files.
    pub policy: &'static str,
    /// What came of it.
    pub outcome: Outcome,
}

/// One policy's figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Sessions of the file in the span.
    pub sessions: usize,
    /// Energy into cars.
    pub ev_energy_kwh: f64,
    /// Energy that cars wanted and did not get.
    pub unmet_energy_kwh: f64,
    /// Sessions that missed more than 0.1 kWh.
    pub sessions_short: usize,
    /// Energy from the roof.
    pub pv_energy_kwh: f64,
    /// Energy from the roof into cars.
    pub pv_to_ev_kwh: f64,
    /// Share of the cars' energy that came from the roof.
    pub self_production_ratio: f64,
    /// Share of the roof's energy that went into cars.
    pub self_consumption_ratio: f64,
    /// Energy that the cars took from the grid.
    pub grid_energy_kwh: f64,
    /// What the site pays: import less export, and peaks, by tariff and price.
    pub energy_cost_eur: f64,
    /// Its CO2 at the given intensity.
    pub co2_kg: f64,
    /// Highest mean import of a quarter hour, building and cars together.
    pub peak_import_kw: f64,
    /// Time in which a node carried more than its rating, apart from the next two.
    pub overload_seconds: f64,
    /// The same within 10 s after a step of sun or building.
    pub overload_reaction_seconds: f64,
    /// The same from the building alone.
    pub overload_foreign_seconds: f64,
    /// Limits sent to chargers.
    pub setpoints_sent: u64,
    /// How often a car began to draw: closings of contactors.
    pub switches: u64,
    /// Plans made.
    pub plans: u64,
    /// Median time of a plan.
    pub plan_ms_p50: f64,
    /// 99th percentile of the same.
    pub plan_ms_p99: f64,
    /// Time that the run took.
    pub wall_seconds: f64,
}

impl Summary {
    /// Of an account and what became of the sessions; overloads and counts are zero.
    pub fn new(account: &Account, delivered: &[Delivered]) -> Self {
        let total = account.total();
        let missed = |one: &Delivered| (one.need_wh - one.got_wh).max(0.0);
        let unmet_wh: f64 = delivered.iter().map(missed).sum();
        let ratio = |part: f64, whole: f64| if 0.0 < whole { part / whole } else { 0.0 };
        Self {
            sessions: delivered.len(),
            ev_energy_kwh: round(total.ev, 3),
            unmet_energy_kwh: round(unmet_wh / 1000.0, 3),
            sessions_short: delivered.iter().filter(|one| SHORT_WH < missed(one)).count(),
            pv_energy_kwh: round(total.pv, 3),
            pv_to_ev_kwh: round(total.pv_to_ev, 3),
            self_production_ratio: round(ratio(total.pv_to_ev, total.ev), 6),
            self_consumption_ratio: round(ratio(total.pv_to_ev, total.pv), 6),
            grid_energy_kwh: round(total.ev - total.pv_to_ev, 3),
            energy_cost_eur: round(account.cost_eur(), 2),
            co2_kg: round(account.co2_kg, 3),
            peak_import_kw: round(account.peak_import_kw(), 3),
            overload_seconds: 0.0,
            overload_reaction_seconds: 0.0,
            overload_foreign_seconds: 0.0,
            setpoints_sent: 0,
            switches: 0,
            plans: 0,
            plan_ms_p50: 0.0,
            plan_ms_p99: 0.0,
            wall_seconds: 0.0,
        }
    }
}

/// Rounded to some decimals, so that a run compares as text.
pub fn round(value: f64, decimals: i32) -> f64 {
    let scale = 10f64.powi(decimals);
    (value * scale).round() / scale
}
