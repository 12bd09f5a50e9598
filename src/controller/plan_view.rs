//! A plan as people may see it: the site by step, and of each car what it needs, by when, what it
//! will get and why. Plain data, made from a problem and its plan; decides nothing.

use serde::{Deserialize, Serialize};

use crate::ground::quantiles::Quantiles;
use crate::ground::time::Utc;
use crate::ground::zone::Zone;
use crate::plan::problem::{Car, CarKind, Need, Problem};
use crate::plan::solution::{CarPlan, Method, Plan, Reason};

use super::savings::{self, Savings};
use super::spare;

/// Less than this is nothing on a screen, in kWh.
const ENERGY_NONE: f64 = 0.05;

/// Less than this is no charging on a screen, in kW.
const POWER_NONE: f64 = 0.05;

/// The plan that is in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanView {
    /// When it was made.
    pub made: Option<Utc>,
    /// How it was found.
    pub method: Method,
    /// What is wanted, in the words of the configuration ("self-production").
    pub objective: String,
    /// The plan in a few sentences.
    pub words: String,
    /// How far forecasts were off lately and how often drivers kept their word, in words; empty
    /// where nothing is known.
    pub forecast: String,
    /// Boundaries of the steps: step `k` is from `grid[k]` to `grid[k + 1]`.
    pub grid: Vec<Utc>,
    /// Generation that is expected, in kW by step.
    pub pv_kw: Vec<f64>,
    /// Building and everything else, in kW by step.
    pub load_kw: Vec<f64>,
    /// All cars together, in kW by step.
    pub charging_kw: Vec<f64>,
    /// Import less export of the site, in kW by step.
    pub import_kw: Vec<f64>,
    /// Price of import, in EUR per kWh by step; empty where it never changes.
    pub price_eur_per_kwh: Vec<f64>,
    /// The cars, in the order of the EVSEs.
    pub cars: Vec<CarPlanView>,
    /// Energy that cars will miss, in kWh.
    pub missing_kwh: f64,
    /// What it saves against charging at once; none where nothing is charged.
    #[serde(default)]
    pub savings: Option<Savings>,
}

/// The plan of one car.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CarPlanView {
    /// The EVSE.
    pub evse: String,
    /// Its session; none for a car that is only expected or has reserved.
    pub session: Option<u64>,
    /// Whether it stands there, has reserved, or is expected.
    pub kind: CarKind,
    /// What it needs from now on, in kWh; none where nobody can say.
    pub need_kwh: Option<f64>,
    /// By when.
    pub by: Option<Utc>,
    /// Who says so, in words.
    pub says: String,
    /// What it will have got by then, from now on, in kWh.
    pub will_kwh: f64,
    /// What is missing then, in kWh.
    pub missing_kwh: f64,
    /// Power by step, in kW.
    pub power_kw: Vec<f64>,
    /// The most it could be given in each step while everybody else keeps to the plan, in kW.
    #[serde(default)]
    pub most_kw: Vec<f64>,
    /// The same in spans of one power and one reason, without those in which it is away.
    pub course: Vec<Stretch>,
    /// Why it is planned so, in a sentence.
    pub words: String,
}

/// A span of time in which a car is planned to charge with one power, for one reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stretch {
    /// From …
    pub from: Utc,
    /// … until.
    pub until: Utc,
    /// Mean power, in kW.
    pub power_kw: f64,
    /// Why not more, in words.
    pub reason: String,
}

impl PlanView {
    /// Of a plan and the problem that it solves; `forecast` says how far forecasts were off.
    pub fn new(problem: &Problem, plan: &Plan, forecast: String) -> Self {
        let zone = Zone::new(&problem.zone);
        let steps = plan.grid.len().saturating_sub(1);
        // Cars to come have no EVSE yet.
        let cars = plan.cars.iter().zip(&problem.cars).zip(spare::most_kw(problem, plan));
        let cars = cars.filter(|((_, car), _)| car.kind != CarKind::Expected);
        let cars: Vec<CarPlanView> = cars
            .map(|((planned, car), most_kw)| CarPlanView {
                most_kw,
                ..car_view(plan, planned, car, &zone)
            })
            .collect();
        let sum = |step: usize| {
            let at = |car: &CarPlanView| car.power_kw.get(step).copied().unwrap_or(0.0);
            cars.iter().map(at).sum()
        };
        let prices = &problem.series.import_eur_per_kwh;
        let moves = prices.iter().any(|price| prices.first() != Some(price));
        let series = |values: &[Quantiles]| values.iter().map(|value| value.mid).collect();
        Self {
            made: problem.grid.first().copied(),
            method: plan.method,
            objective: problem.objective.name.clone(),
            words: plan.words.clone(),
            forecast,
            grid: plan.grid.clone(),
            pv_kw: series(&problem.series.pv_kw),
            load_kw: series(&problem.series.load_kw),
            charging_kw: (0..steps).map(sum).collect(),
            import_kw: plan.import_kw.clone(),
            price_eur_per_kwh: if moves { prices.clone() } else { Vec::new() },
            missing_kwh: cars.iter().map(|car| car.missing_kwh).sum(),
            savings: savings::savings(problem, plan),
            cars,
        }
    }

    /// The plan of the car at an EVSE that stands there.
    pub fn car(&self, evse: &str) -> Option<&CarPlanView> {
        self.cars.iter().find(|car| car.evse == evse && car.kind == CarKind::Present)
    }
}

fn car_view(plan: &Plan, planned: &CarPlan, car: &Car, zone: &Zone) -> CarPlanView {
    let most = |one: &(usize, &Need), other: &(usize, &Need)| one.1.kwh.total_cmp(&other.1.kwh);
    let need = car.needs.iter().enumerate().max_by(most);
    let by = need.map_or(car.until, |(_, need)| need.by);
    let missing = need.and_then(|(index, _)| planned.missing_kwh.get(index).copied());
    let missing = missing.unwrap_or(0.0);
    CarPlanView {
        evse: planned.evse.clone(),
        session: planned.session,
        kind: car.kind,
        need_kwh: need.map(|(_, need)| need.kwh),
        by: need.map(|(_, need)| need.by),
        says: need.map(|(_, need)| need.cause.clone()).unwrap_or_default(),
        will_kwh: energy_until(&plan.grid, &planned.power_kw, by),
        missing_kwh: if missing < ENERGY_NONE { 0.0 } else { missing },
        power_kw: planned.power_kw.clone(),
        most_kw: Vec::new(),
        course: course(&plan.grid, planned, zone),
        words: planned.words.clone(),
    }
}

/// Energy of a course up to a moment, in kWh.
fn energy_until(grid: &[Utc], power_kw: &[f64], until: Utc) -> f64 {
    let spans = grid.windows(2).zip(power_kw);
    spans
        .map(|(ends, power)| {
            let hours = ends[1].min(until).since(ends[0]).as_hours();
            power * hours.max(0.0)
        })
        .sum()
}

/// Steps of about the same power and the same reason become one span.
fn course(grid: &[Utc], planned: &CarPlan, zone: &Zone) -> Vec<Stretch> {
    let now = grid.first().copied();
    let mut course: Vec<Stretch> = Vec::new();
    let steps = grid.windows(2).zip(&planned.power_kw).zip(&planned.reasons);
    for ((ends, power), reason) in steps {
        if *reason == Reason::Away {
            continue;
        }
        let reason = reason_words(reason, zone, now);
        let same = |last: &&mut Stretch| {
            last.until == ends[0]
                && last.reason == reason
                && (last.power_kw - power).abs() < POWER_NONE
        };
        match course.last_mut().filter(same) {
            Some(last) => last.until = ends[1],
            None => course.push(Stretch {
                from: ends[0],
                until: ends[1],
                power_kw: if *power < POWER_NONE { 0.0 } else { *power },
                reason,
            }),
        }
    }
    course
}

/// Why a car gets no more in a step, for people.
pub fn reason_words(reason: &Reason, zone: &Zone, now: Option<Utc>) -> String {
    match reason {
        Reason::Breaker { node, phase: Some(phase) } => format!("breaker {node}, phase {phase}"),
        Reason::Breaker { node, phase: None } => format!("total of {node}"),
        Reason::Most { cause } | Reason::Limit { cause } => cause.clone(),
        Reason::Sun { until } => format!("waiting for sun until {}", zone.words(*until, now)),
        Reason::Price { until } => {
            format!("waiting for a lower price until {}", zone.words(*until, now))
        }
        Reason::Peak => "more would raise the highest import".to_owned(),
        Reason::Enough => "it has what it needs".to_owned(),
        Reason::Minimum => "less than the least it can charge with is left".to_owned(),
        Reason::Away => "the car is not there".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::ground::time::Duration;
    use crate::ground::units::Phase;
    use crate::plan::problem::{FORMAT, Objective, Series};
    use crate::plan::solution::CostTerms;

    const NOON: Utc = Utc::from_millis(1_551_441_600_000); // 2019-03-01T12:00:00Z

    fn hour(number: i64) -> Utc {
        NOON + Duration::hours(number)
    }

    fn problem(prices: [f64; 4]) -> Problem {
        Problem {
            format: FORMAT,
            site: "Yard".to_owned(),
            zone: "Europe/Paris".to_owned(),
            grid: (0..5).map(hour).collect(),
            voltage_v: 230.0,
            nodes: Vec::new(),
            cars: vec![Car {
                evse: "E1".to_owned(),
                session: Some(7),
                kind: CarKind::Present,
                node: 0,
                phases: [true, false, false],
                min_a: 6.0,
                max_a: 16.0,
                max_cause: "rating of the EVSE".to_owned(),
                bounds: Vec::new(),
                now_a: 0.0,
                switched: None,
                from: hour(0),
                until: hour(3),
                presence: Vec::new(),
                room_kwh: None,
                needs: vec![
                    Need { by: hour(1), kwh: 1.0, eur_per_kwh: 1.0, cause: "habit".to_owned() },
                    Need {
                        by: hour(3),
                        kwh: 8.0,
                        eur_per_kwh: 1.0,
                        cause: "the driver".to_owned(),
                    },
                ],
                taper: None,
                priority: 0,
                fast_kwh: 0.0,
                early_eur_per_kwh_h: 0.0,
            }],
            series: Series {
                pv_kw: vec![Quantiles { low: 1.0, mid: 4.0, high: 6.0 }; 4],
                load_kw: vec![Quantiles::certain(2.0); 4],
                import_eur_per_kwh: prices.to_vec(),
                export_eur_per_kwh: vec![0.0; 4],
                co2_g_per_kwh: Vec::new(),
                origins: BTreeMap::new(),
            },
            objective: Objective { name: "self-production".to_owned(), ..Objective::default() },
        }
    }

    fn plan() -> Plan {
        let most = || Reason::Most { cause: "rating of the EVSE".to_owned() };
        Plan {
            grid: (0..5).map(hour).collect(),
            method: Method::Program,
            cars: vec![CarPlan {
                evse: "E1".to_owned(),
                session: Some(7),
                current_a: vec![0.0, 16.0, 16.0, 0.0],
                power_kw: vec![0.0, 3.68, 3.68, 0.0],
                reasons: vec![Reason::Sun { until: hour(1) }, most(), most(), Reason::Away],
                missing_kwh: vec![1.0, 0.64],
                worth_eur_per_kwh: 0.2,
                loss_eur_per_kwh: 0.0,
                words: "charges with the sun".to_owned(),
            }],
            import_kw: vec![-2.0, 1.7, 1.7, -2.0],
            cost: CostTerms::default(),
            words: "The sun is enough.".to_owned(),
            note: String::new(),
        }
    }

    #[test]
    fn a_car_is_told_by_its_last_need_and_its_course_in_spans() {
        let view = PlanView::new(&problem([0.2; 4]), &plan(), "PV within 1.2 kW".to_owned());
        let car = view.car("E1").expect("it stands there");
        assert_eq!(
            (car.need_kwh, car.by, car.says.as_str()),
            (Some(8.0), Some(hour(3)), "the driver")
        );
        assert!((car.will_kwh - 7.36).abs() < 1e-9, "{}", car.will_kwh);
        assert_eq!((car.missing_kwh, view.missing_kwh), (0.64, 0.64));
        let course: Vec<String> = car
            .course
            .iter()
            .map(|part| format!("{} {:.1} {}", part.from, part.power_kw, part.reason))
            .collect();
        assert_eq!(
            course,
            [
                "2019-03-01T12:00:00Z 0.0 waiting for sun until 14:00",
                "2019-03-01T13:00:00Z 3.7 rating of the EVSE"
            ]
        );
        assert_eq!((view.charging_kw[1], view.pv_kw[0], view.load_kw[3]), (3.68, 4.0, 2.0));
        // A price that never changes is no curve.
        assert_eq!(view.price_eur_per_kwh, Vec::<f64>::new());
        let moving = PlanView::new(&problem([0.2, 0.3, 0.2, 0.1]), &plan(), String::new());
        assert_eq!(moving.price_eur_per_kwh, [0.2, 0.3, 0.2, 0.1]);
    }

    #[test]
    fn nobody_charges_at_once_before_the_car_is_there() {
        let (mut problem, plan) = (problem([0.1, 0.3, 0.5, 0.1]), plan());
        problem.series.pv_kw = vec![Quantiles::certain(0.0); 4];
        let cost = |problem: &Problem| {
            let found = savings::savings(problem, &plan).expect("it charges");
            (found.cost_eur, found.cost_at_once_eur, found.words)
        };
        let (by_plan, at_once, _) = cost(&problem);
        assert!((by_plan - at_once - 3.68 * 0.4).abs() < 1e-9, "{by_plan} {at_once}");
        problem.cars[0].from = hour(1);
        let (by_plan, at_once, words) = cost(&problem);
        assert!((by_plan - at_once).abs() < 1e-9, "{by_plan} {at_once}");
        assert_eq!(words, "", "it charges as soon as it is there");
    }

    #[test]
    fn every_reason_is_told_in_words() {
        let zone = Zone::new("Europe/Paris");
        let text = |reason: &Reason| reason_words(reason, &zone, Some(NOON));
        let breaker = |phase| Reason::Breaker { node: "IBST 63A".to_owned(), phase };
        for (reason, words) in [
            (breaker(Some(Phase::L2)), "breaker IBST 63A, phase L2"),
            (breaker(None), "total of IBST 63A"),
            (
                Reason::Limit { cause: "limited by the grid operator".to_owned() },
                "limited by the grid operator",
            ),
            (Reason::Price { until: hour(11) }, "waiting for a lower price until Sat 00:00"),
            (Reason::Peak, "more would raise the highest import"),
            (Reason::Enough, "it has what it needs"),
            (Reason::Minimum, "less than the least it can charge with is left"),
        ] {
            assert_eq!(text(&reason), words);
        }
    }
}
