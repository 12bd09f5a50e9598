//! What the cars' power costs in one step, while the sun is uncertain: a convex line in pieces.
//!
//! Sun less load is taken at three levels (Swanson's rule: 0.3 low, 0.4 mid, 0.3 high). Below a
//! level, one more kWh of the cars costs what its export would have earned; above it, what its
//! import costs. The load of the building is never charged to the cars.

use crate::ground::quantiles::Quantiles;

use super::problem::Problem;

/// Weights of the low, middle and high level (Swanson's rule for 10, 50 and 90 of 100).
const WEIGHTS: [f64; 3] = [0.3, 0.4, 0.3];
/// What waiting for sun that nobody counts on is worth, as a share of the price of import.
const WAITING: f64 = 0.02;
/// Levels closer than this are one, in kW.
const MERGED_KW: f64 = 1e-3;

/// Price of the cars' power in one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Tariff {
    /// Rising, in kW: piece `k` reaches to `ends_kw[k]`; one piece follows the last end.
    pub ends_kw: Vec<f64>,
    /// By piece, never falling, in EUR per kWh.
    pub eur_per_kwh: Vec<f64>,
    /// Sun less load as it is expected in the middle, in kW.
    pub surplus_kw: f64,
}

/// A figure of a series: the last known one goes on, and what is no number is nothing.
pub fn at(series: &[f64], step: usize) -> f64 {
    let value = series.get(step).or(series.last()).copied().unwrap_or(0.0);
    if value.is_finite() { value } else { 0.0 }
}

impl Tariff {
    /// Of all steps. What is bought can wait while sun may still come that nobody counts on: the
    /// later, the cheaper, by a little, down to where no such sun is left.
    pub fn of_steps(problem: &Problem) -> Vec<Self> {
        let steps = problem.grid.len().saturating_sub(1);
        let mut tariffs: Vec<Self> = (0..steps).map(|step| Self::new(problem, step)).collect();
        let perhaps = |step: usize| {
            let ends = &tariffs[step].ends_kw;
            let kw = ends.last().copied().unwrap_or(0.0) - ends.first().copied().unwrap_or(0.0);
            kw * problem.grid[step + 1].since(problem.grid[step]).as_hours().max(0.0)
        };
        let perhaps: Vec<f64> = (0..steps).map(perhaps).collect();
        let all_kwh: f64 = perhaps.iter().sum();
        let mut gone_kwh = 0.0;
        for (tariff, kwh) in tariffs.iter_mut().zip(perhaps) {
            if let (Some((price, before)), true) =
                (tariff.eur_per_kwh.split_last_mut(), 0.0 < all_kwh)
            {
                let waited = *price - price.max(0.0) * WAITING * gone_kwh / all_kwh;
                // Where export earns what import costs there is nothing to wait for.
                *price = before.last().map_or(waited, |before| waited.max(*before));
            }
            gone_kwh += kwh;
        }
        tariffs
    }

    /// Of step `step`.
    fn new(problem: &Problem, step: usize) -> Self {
        let series = &problem.series;
        let want = &problem.objective;
        let level = |all: &[Quantiles]| {
            let one = all.get(step).or(all.last()).copied().unwrap_or_default();
            [one.low, one.mid, one.high].map(|value| if value.is_finite() { value } else { 0.0 })
        };
        let (pv, load) = (level(&series.pv_kw), level(&series.load_kw));
        let surplus = [pv[0] - load[2], pv[1] - load[1], pv[2] - load[0]];
        let outside = want.cost * at(&series.import_eur_per_kwh, step)
            + want.grid_eur_per_kwh
            + want.co2_eur_per_kg * at(&series.co2_g_per_kwh, step) / 1000.0;
        let outside = if outside.is_finite() { outside } else { 0.0 };
        let inside = want.cost * at(&series.export_eur_per_kwh, step);
        let inside = if inside.is_finite() { inside.min(outside) } else { outside };
        Self::from_levels(surplus, inside, outside)
    }

    fn from_levels(surplus_kw: [f64; 3], inside: f64, outside: f64) -> Self {
        let mut levels: Vec<(f64, f64)> =
            surplus_kw.iter().map(|level| level.max(0.0)).zip(WEIGHTS).collect();
        levels.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut tariff =
            Self { ends_kw: Vec::new(), eur_per_kwh: Vec::new(), surplus_kw: surplus_kw[1] };
        let mut passed = 0.0;
        for (level, weight) in levels {
            let last = tariff.ends_kw.last().copied().unwrap_or(0.0);
            if last + MERGED_KW < level {
                tariff.eur_per_kwh.push(inside + (outside - inside) * passed);
                tariff.ends_kw.push(level);
            }
            passed += weight;
        }
        tariff.eur_per_kwh.push(outside);
        tariff
    }

    /// What the next kWh costs where the cars already take `kw`.
    pub fn marginal(&self, kw: f64) -> f64 {
        let passed = self.ends_kw.iter().take_while(|end| **end <= kw + 1e-9).count();
        self.eur_per_kwh[passed]
    }

    /// Where the piece ends that `kw` lies in; without end in the last.
    pub fn end_of_piece(&self, kw: f64) -> f64 {
        self.ends_kw.iter().copied().find(|end| kw + 1e-9 < *end).unwrap_or(f64::INFINITY)
    }

    /// What an hour at `kw` costs, in EUR.
    pub fn cost_per_hour(&self, kw: f64) -> f64 {
        let mut cost = 0.0;
        let mut from = 0.0;
        for (piece, price) in self.eur_per_kwh.iter().enumerate() {
            let end = self.ends_kw.get(piece).copied().unwrap_or(f64::INFINITY).min(kw);
            cost += price * (end - from).max(0.0);
            from = end.max(from);
        }
        cost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certain_sun_has_two_prices_and_no_sun_one() {
        let sunny = Tariff::from_levels([5.0, 5.0, 5.0], 0.05, 0.25);
        assert_eq!(sunny.ends_kw, [5.0]);
        assert_eq!(sunny.eur_per_kwh, [0.05, 0.25]);
        let night = Tariff::from_levels([-3.0, -2.0, -1.0], 0.05, 0.25);
        assert!(night.ends_kw.is_empty(), "{night:?}");
        assert_eq!(night.marginal(0.0), 0.25);
    }

    #[test]
    fn waiting_makes_what_is_bought_a_little_cheaper_and_no_price_falls() {
        let mut problem = crate::plan::sample::office();
        problem.series.pv_kw[2] = Quantiles { low: 1.0, mid: 2.0, high: 4.0 };
        problem.series.pv_kw[6] = Quantiles { low: 0.0, mid: 2.0, high: 3.0 };
        let bought = |problem: &Problem| -> Vec<f64> {
            let last = |tariff: &Tariff| tariff.eur_per_kwh.last().copied().unwrap_or(0.0);
            Tariff::of_steps(problem).iter().map(last).collect()
        };
        let prices = bought(&problem);
        assert_eq!((prices[0], prices[2]), (0.2, 0.2));
        assert!((prices[3] - 0.197).abs() < 1e-9 && (prices[7] - 0.196).abs() < 1e-9, "{prices:?}");
        problem.series.export_eur_per_kwh = vec![0.2; 8];
        for tariff in Tariff::of_steps(&problem) {
            assert!(tariff.eur_per_kwh.is_sorted(), "{tariff:?}");
        }
    }

    #[test]
    fn uncertain_sun_rises_in_steps() {
        let tariff = Tariff::from_levels([-1.0, 4.0, 10.0], 0.0, 0.2);
        assert_eq!(tariff.ends_kw, [4.0, 10.0]);
        for (kw, price) in [(0.0, 0.06), (4.0, 0.14), (9.9, 0.14), (10.0, 0.2)] {
            assert!((tariff.marginal(kw) - price).abs() < 1e-9, "{kw} {tariff:?}");
        }
        let cost = tariff.cost_per_hour(11.0);
        assert!((cost - (4.0 * 0.06 + 6.0 * 0.14 + 0.2)).abs() < 1e-9, "{cost}");
        assert_eq!(tariff.end_of_piece(4.0), 10.0);
    }
}
