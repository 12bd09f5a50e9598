//! The cars of the site as updates need to know them: what is left to charge, until when, and what
//! each could be given, by the plan in force where there is one.

use crate::controller::plan_view::CarPlanView;
use crate::controller::view::{EvseView, StayView, View};
use crate::ground::time::{Duration, Utc};
use crate::model::message::EvseStatus;
use crate::update::pause::{Span, Stay};

/// The limit in force counts this far ahead where there is no plan.
const AHEAD: Duration = Duration::hours(48);

/// Cars that charge or will; of a car that is full nothing is to be feared.
pub fn stays(view: &View) -> Vec<Stay> {
    let wants = |status: EvseStatus| match status {
        EvseStatus::SuspendedEv | EvseStatus::Finishing => false,
        EvseStatus::Unknown | EvseStatus::Available | EvseStatus::Preparing => true,
        EvseStatus::Charging | EvseStatus::SuspendedEvse | EvseStatus::Reserved => true,
        EvseStatus::Unavailable | EvseStatus::Faulted => true,
    };
    let cars = view.evses.iter().filter(|evse| wants(evse.status));
    cars.filter_map(|evse| evse.stay.map(|known| stay(view, evse, known))).collect()
}

fn stay(view: &View, evse: &EvseView, known: StayView) -> Stay {
    let plan = view.plan.as_ref();
    let planned = plan.and_then(|plan| plan.car(&evse.id));
    let planned = planned.filter(|car| car.session == evse.session);
    let mut could = match (plan, planned) {
        (Some(plan), Some(car)) => spans(&plan.grid, &car.most_kw),
        _ => Vec::new(),
    };
    if could.is_empty()
        && let Some(now) = view.at
    {
        could.push(Span { from: now, until: now + AHEAD, kw: known.power_kw });
    }
    let usual = planned.and_then(|car| car.by);
    let made = plan.and_then(|plan| plan.grid.first().copied());
    let left = |car: &CarPlanView| {
        let grid = plan.map_or(&[][..], |plan| plan.grid.as_slice());
        let since = made.zip(view.at).map_or(0.0, |(made, now)| {
            let flown = spans(grid, &car.power_kw).into_iter();
            let hours = |span: &Span| span.until.min(now).since(span.from.max(made)).as_hours();
            flown.map(|span| span.kw * hours(&span).max(0.0)).sum()
        });
        car.need_kwh.map(|need| (need - since).max(0.0))
    };
    Stay {
        evse: evse.id.clone(),
        leaves: known.leaves.or(usual),
        is_guess: known.leaves.is_none() && usual.is_some(),
        need_kwh: known.need_kwh.or_else(|| planned.and_then(left)),
        safe_kw: known.safe_kw,
        could,
    }
}

fn spans(grid: &[Utc], kw: &[f64]) -> Vec<Span> {
    let pairs = grid.windows(2).zip(kw);
    pairs.map(|(ends, kw)| Span { from: ends[0], until: ends[1], kw: *kw }).collect()
}
