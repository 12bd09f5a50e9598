//! Sites out of a seed, for the planner's tests and benches: trees, cars, sun and prices as they
//! occur, loose or tight, on the grid that the controller uses (quarter hours first, then hours).

use ampgate::ground::quantiles::Quantiles;
use ampgate::ground::time::{Duration, Utc};
use ampgate::plan::problem::{
    Car, CarKind, FORMAT, Need, NodeLimit, Objective, Problem, ProblemNode, Series,
};

/// Chance with a memory, the same on every machine (xorshift64*).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Equal seeds roll equal.
    pub fn new(seed: u64) -> Self {
        let mut dice = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        dice.roll();
        dice
    }

    /// From 0 to below 1.
    pub fn roll(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Between two numbers.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.roll()
    }

    /// With this probability.
    pub fn hits(&mut self, probability: f64) -> bool {
        self.roll() < probability
    }

    /// A whole number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        ((self.roll() * end as f64) as usize).min(end.saturating_sub(1))
    }
}

/// What kind of site.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Places to charge.
    pub evses: usize,
    /// Group breakers and connection that cannot serve all.
    pub tight: bool,
    /// All cars load all three phases.
    pub three_phase: bool,
    /// What is wanted.
    pub want: Want,
}

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Little energy from the grid.
    Sun,
    /// Little money.
    Cost,
    /// Little money, and a price on the peak.
    Peak,
}

/// The begin of all problems: a Friday in March, 07:00 UTC.
pub fn begin() -> Utc {
    Utc::parse("2019-03-01T07:00:00Z").expect("a valid time")
}

/// Sixteen quarter hours, then twenty hours.
pub fn grid() -> Vec<Utc> {
    let minutes = (0..=16).map(|k| k * 15).chain((1..=20).map(|k| 240 + k * 60));
    minutes.map(|minutes| begin() + Duration::minutes(minutes)).collect()
}

/// Noon of the problem's first day, in hours from its begin.
const NOON_H: f64 = 4.5;

/// A site out of a seed.
pub fn problem(kind: Kind, seed: u64) -> Problem {
    let mut dice = Dice::new(seed);
    let grid = grid();
    let middle: Vec<f64> = grid
        .windows(2)
        .map(|pair| (pair[0].since(begin()).as_hours() + pair[1].since(begin()).as_hours()) / 2.0)
        .collect();
    let evses = kind.evses as f64;
    let (mut nodes, homes) = tree(kind, &mut dice);
    let load: Vec<f64> = middle.iter().map(|_| evses * dice.between(0.1, 0.6)).collect();
    for (step, load) in load.iter().enumerate() {
        nodes[0].other_a[step] = [load / 0.69; 3];
    }
    let cars = (0..kind.evses)
        .filter_map(|evse| match dice.hits(0.8) {
            true => Some(car(kind, evse, homes[evse], &mut dice)),
            false => None,
        })
        .collect();
    let clear = dice.between(0.3, 1.0) * evses * 2.5;
    let series = Series {
        pv_kw: middle.iter().map(|hour| sun(*hour, clear, &mut dice)).collect(),
        load_kw: load
            .iter()
            .map(|kw| Quantiles { low: kw * 0.8, mid: *kw, high: kw * 1.3 })
            .collect(),
        import_eur_per_kwh: middle
            .iter()
            .map(|hour| 0.22 + 0.08 * (hour / 3.8).sin() + dice.between(-0.02, 0.02))
            .collect(),
        export_eur_per_kwh: middle.iter().map(|_| 0.06).collect(),
        co2_g_per_kwh: middle.iter().map(|_| dice.between(50.0, 400.0)).collect(),
        origins: std::collections::BTreeMap::new(),
    };
    Problem {
        format: FORMAT,
        site: format!("site {seed}"),
        zone: String::from("Europe/Paris"),
        grid,
        voltage_v: 230.0,
        nodes,
        cars,
        series,
        objective: objective(kind.want, evses),
    }
}

fn objective(want: Want, evses: f64) -> Objective {
    let tie = Objective { early_eur_per_kwh_h: 1e-4, ..Objective::default() };
    match want {
        Want::Sun => {
            Objective { name: String::from("self-production"), grid_eur_per_kwh: 0.2, ..tie }
        }
        Want::Cost => Objective { name: String::from("cost"), cost: 1.0, ..tie },
        Want::Peak => Objective {
            name: String::from("cost and peak"),
            cost: 1.0,
            peak_eur_per_kw: 3.0,
            peak_so_far_kw: evses,
            ..tie
        },
    }
}

fn sun(hour: f64, clear_kw: f64, dice: &mut Dice) -> Quantiles {
    let day = (hour + 12.0 - NOON_H) % 24.0 - 12.0;
    let shape = (1.0 - (day / 5.0).powi(2)).max(0.0) * clear_kw;
    let mid = shape * dice.between(0.4, 0.9);
    Quantiles { low: mid * 0.5, mid, high: (mid * 1.4).min(shape) }
}

/// Root, feeders of 24, groups of 4 to 8; and the group of each EVSE.
fn tree(kind: Kind, dice: &mut Dice) -> (Vec<ProblemNode>, Vec<usize>) {
    let steps = grid().len() - 1;
    let node = |name: String, parent: Option<usize>, rating: f64| ProblemNode {
        id: name.to_lowercase(),
        name,
        parent,
        rating_a: Some([rating; 3]),
        power_limit_kw: None,
        imbalance_a: None,
        other_a: vec![[0.0; 3]; steps],
        unsure_a: Vec::new(),
        limits: Vec::new(),
    };
    let share = if kind.tight { 0.2 } else { 0.7 };
    let root = kind.evses as f64 * (24.0 * share + 1.0);
    let mut nodes = vec![node(String::from("Grid"), None, root)];
    let mut homes = Vec::new();
    while homes.len() < kind.evses {
        let in_feeder = (kind.evses - homes.len()).min(24);
        let rating = in_feeder as f64 * 32.0 * if kind.tight { 0.4 } else { 0.8 };
        nodes.push(node(format!("F{}", nodes.len()), Some(0), rating));
        let feeder = nodes.len() - 1;
        let end = homes.len() + in_feeder;
        while homes.len() < end {
            let members = (4 + dice.below(5)).min(end - homes.len());
            let rating = if kind.tight { dice.between(32.0, 50.0) } else { 16.0 * members as f64 };
            nodes.push(node(format!("B{}", nodes.len()), Some(feeder), rating));
            homes.extend(std::iter::repeat_n(nodes.len() - 1, members));
        }
    }
    (nodes, homes)
}

fn car(kind: Kind, evse: usize, node: usize, dice: &mut Dice) -> Car {
    let single = !kind.three_phase && dice.hits(0.35);
    let phase = dice.below(3);
    let phases = if single { [phase == 0, phase == 1, phase == 2] } else { [true; 3] };
    let max_a = [16.0, 16.0, 32.0][dice.below(3)];
    let from_h = if dice.hits(0.6) { 0.0 } else { dice.between(0.0, 4.0) };
    let until_h = from_h + dice.between(3.0, 12.0);
    let kw = max_a * 0.23 * if single { 1.0 } else { 3.0 };
    let kwh = dice.between(3.0, 40.0).min(kw * (until_h - from_h) * 0.9);
    let time = |hours: f64| begin() + Duration::seconds((hours * 3600.0) as i64);
    let expected = 0.0 < from_h;
    Car {
        evse: format!("EVSE-{:03}", evse + 1),
        session: (!expected).then_some(evse as u64),
        kind: if expected { CarKind::Expected } else { CarKind::Present },
        node,
        phases,
        min_a: 6.0,
        max_a,
        max_cause: String::from("rating of the EVSE"),
        bounds: Vec::new(),
        now_a: if dice.hits(0.3) { 6.0 } else { 0.0 },
        switched: None,
        from: time(from_h),
        until: time(until_h),
        presence: Vec::new(),
        room_kwh: Some(kwh * 1.3),
        needs: vec![Need {
            by: time(until_h),
            kwh,
            eur_per_kwh: 1.0,
            cause: String::from("the driver"),
        }],
        taper: None,
        priority: 0,
        fast_kwh: 0.0,
        early_eur_per_kwh_h: 0.0,
    }
}

/// A problem with all that a site can have: limits from outside, imbalance, power limits, several
/// needs, uneven phases, cars that are barely there. With `senseless` also what no site has.
pub fn wild(seed: u64, senseless: bool) -> Problem {
    let mut dice = Dice::new(seed ^ 0xA5A5);
    let want = [Want::Sun, Want::Cost, Want::Peak][dice.below(3)];
    let evses = 1 + dice.below(14);
    let kind = Kind { evses, tight: dice.hits(0.5), three_phase: dice.hits(0.3), want };
    let mut problem = problem(kind, seed);
    let time =
        |dice: &mut Dice| begin() + Duration::seconds((dice.between(-2.0, 26.0) * 3600.0) as i64);
    for node in &mut problem.nodes {
        if dice.hits(0.2) {
            node.power_limit_kw = Some(dice.between(0.0, 40.0));
        }
        if dice.hits(0.2) {
            node.imbalance_a = Some(dice.between(0.0, 20.0));
        }
        if dice.hits(0.2) {
            node.limits.push(NodeLimit {
                limit_kw: dice.between(-1.0, 20.0),
                from: time(&mut dice),
                until: dice.hits(0.5).then(|| time(&mut dice)),
                cause: String::from("the network operator"),
            });
        }
        if dice.hits(0.2) {
            let step = dice.below(node.other_a.len());
            node.other_a[step] = [dice.between(-20.0, 200.0), 0.0, dice.between(0.0, 30.0)];
            node.unsure_a = vec![[dice.between(-5.0, 50.0), 0.0, 9.0]; step];
        }
    }
    for car in &mut problem.cars {
        twist(car, &mut dice);
    }
    if dice.hits(0.3) {
        let step = dice.below(problem.grid.len() - 1);
        problem.series.import_eur_per_kwh[step] = dice.between(-0.3, 0.0);
        problem.series.export_eur_per_kwh[step] = -0.3;
    }
    if dice.hits(0.2) {
        problem.objective.early_eur_per_kwh_h = dice.between(-1e-4, 1e-3);
    }
    if senseless {
        spoil(&mut problem, &mut dice);
    }
    problem
}

fn twist(car: &mut Car, dice: &mut Dice) {
    let hours = |hours: f64| Duration::seconds((hours * 3600.0) as i64);
    if dice.hits(0.3) {
        let need = car.needs[0].clone();
        for _ in 0..dice.below(5) {
            let mut other = need.clone();
            other.by = need.by - hours(dice.between(0.0, 6.0));
            other.kwh = need.kwh * dice.between(0.2, 1.5);
            other.eur_per_kwh = dice.between(0.0, 0.5);
            car.needs.push(other);
        }
    }
    if dice.hits(0.2) {
        car.bounds.push(ampgate::plan::problem::CarLimit {
            limit_a: dice.between(0.0, 32.0),
            from: begin() + hours(dice.between(-1.0, 8.0)),
            until: dice.hits(0.7).then(|| begin() + hours(dice.between(-1.0, 12.0))),
            cause: String::from("the charge point operator"),
        });
    }
    if dice.hits(0.2) {
        car.fast_kwh = dice.between(0.0, 10.0);
    }
    if dice.hits(0.2) {
        car.priority = dice.below(5) as i32 - 2;
    }
    if dice.hits(0.2) {
        car.room_kwh = dice.hits(0.7).then(|| dice.between(0.0, 30.0));
    }
    if dice.hits(0.2) {
        car.presence = (0..36).map(|step| 0.97_f64.powi(step)).collect();
    }
    if let (Some(room), true) = (car.room_kwh, dice.hits(0.2)) {
        car.taper = Some(ampgate::plan::problem::Taper {
            knee_kwh: room * dice.between(0.0, 1.0),
            end_share: dice.between(0.05, 1.0),
        });
    }
}

fn spoil(problem: &mut Problem, dice: &mut Dice) {
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1e12, 1e12, -5.0, 0.0];
    for _ in 0..1 + dice.below(6) {
        let value = odd[dice.below(odd.len())];
        let node = dice.below(problem.nodes.len());
        let step = dice.below(problem.grid.len().max(1));
        match dice.below(14) {
            0 => problem.nodes[node].parent = Some(dice.below(problem.nodes.len() + 3)),
            1 => problem.nodes[node].rating_a = Some([value, 16.0, value]),
            2 => problem.nodes[node].other_a.truncate(step),
            3 => problem.grid.truncate(step),
            4 => problem.grid.reverse(),
            5 => problem.series.pv_kw.truncate(step),
            6 => problem.series.import_eur_per_kwh = vec![value],
            7 => problem.objective.early_eur_per_kwh_h = value,
            8 => problem.voltage_v = value,
            9 => problem.objective.peak_so_far_kw = value,
            10 => problem.zone = String::from("Nowhere/At all"),
            _ => {
                for car in &mut problem.cars {
                    match dice.below(8) {
                        0 => car.max_a = value,
                        1 => car.min_a = value,
                        2 => std::mem::swap(&mut car.from, &mut car.until),
                        3 => car.node = dice.below(40),
                        4 => car.phases = [false; 3],
                        5 => car.needs[0].kwh = value,
                        6 => car.room_kwh = Some(value),
                        _ => car.fast_kwh = value,
                    }
                }
            }
        }
    }
}
