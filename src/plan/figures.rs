//! A problem in plain figures, made once for all methods: hours, bounds, shared rows, prices.
//!
//! Whatever the problem says, these figures make sense: lengths agree, all values are finite, no
//! bound is negative, and nothing at all (every current zero) is always a plan.

use super::problem::Problem;
use super::rows::{self, Row};
use super::tariff::{Tariff, at};
use super::wish::{Wish, hours_since};

/// A problem in plain figures.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Boundaries of the steps in hours since the first.
    pub edges_h: Vec<f64>,
    /// In the order of the problem.
    pub wishes: Vec<Wish>,
    /// The limits that can bind, by step.
    pub rows: Vec<Row>,
    /// Price of the cars' power by step.
    pub tariffs: Vec<Tariff>,
    /// EUR for each kW of the cars above the smallest of `free_kw`.
    pub peak_eur_per_kw: f64,
    /// What the cars may take by step before the peak of the site rises, in kW.
    pub free_kw: Vec<f64>,
    /// EUR for each A and hour of room on a phase that may not be there.
    pub unsure_eur_per_a_h: f64,
    /// EUR for each kWh and hour that it comes later.
    pub early_eur_per_kwh_h: f64,
}

impl Figures {
    /// The figures of a problem.
    pub fn new(problem: &Problem) -> Self {
        let begin = problem.grid.first().copied().unwrap_or_default();
        let mut edges_h: Vec<f64> =
            problem.grid.iter().map(|edge| hours_since(begin, *edge)).collect();
        for at in 1..edges_h.len() {
            edges_h[at] = edges_h[at].max(edges_h[at - 1]);
        }
        let mut wishes: Vec<Wish> =
            problem.cars.iter().map(|car| Wish::new(problem, car, &edges_h)).collect();
        let rows = rows::build(problem, &mut wishes, &edges_h);
        let tariffs = Tariff::of_steps(problem);
        let want = &problem.objective;
        let base = tariffs.iter().map(|tariff| -tariff.surplus_kw);
        let base = base.fold(at(&[want.peak_so_far_kw], 0), f64::max);
        Self {
            free_kw: tariffs.iter().map(|tariff| base + tariff.surplus_kw).collect(),
            edges_h,
            wishes,
            rows,
            tariffs,
            peak_eur_per_kw: at(&[want.peak_eur_per_kw], 0).max(0.0),
            unsure_eur_per_a_h: at(&[want.unsure_eur_per_kwh * problem.voltage_v / 1000.0], 0)
                .max(0.0),
            early_eur_per_kwh_h: at(&[want.early_eur_per_kwh_h], 0),
        }
    }

    /// How many steps there are.
    pub fn steps(&self) -> usize {
        self.tariffs.len()
    }

    /// From when to when a step lasts.
    pub fn span_h(&self, step: usize) -> (f64, f64) {
        (self.edges_h[step], self.edges_h[step + 1])
    }

    /// Length of a step in hours.
    pub fn length_h(&self, step: usize) -> f64 {
        self.edges_h[step + 1] - self.edges_h[step]
    }

    /// The middle of a step in hours.
    pub fn middle_h(&self, step: usize) -> f64 {
        (self.edges_h[step + 1] + self.edges_h[step]) / 2.0
    }

    /// What one A of a car is expected to take from the site over the whole step, in kW.
    pub fn expected_kw_per_a(&self, car: usize, step: usize) -> f64 {
        let wish = &self.wishes[car];
        let length = self.length_h(step);
        if length <= 0.0 {
            return 0.0;
        }
        wish.kw_per_a * wish.presence[step] * wish.hours[step] / length
    }

    /// What a kWh costs a car by coming as late as in a step, in EUR.
    pub fn late_eur_per_kwh(&self, car: usize, step: usize) -> f64 {
        (self.early_eur_per_kwh_h + self.wishes[car].early_eur_per_kwh_h) * self.middle_h(step)
    }

    /// Nothing for anybody.
    pub fn nothing(&self) -> Vec<Vec<f64>> {
        vec![vec![0.0; self.steps()]; self.wishes.len()]
    }
}
