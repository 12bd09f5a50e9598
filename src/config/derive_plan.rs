//! `[plan]` as the controller knows it: presets filled in.

use crate::model::policy::{PlanPolicy, Planner};

use super::derive;
use super::file_plan::{ObjectiveWord, Plan, PlannerWord};

/// The tie-break of every objective: earlier is better, if it costs nothing.
const TIE_EUR_PER_KWH_H: f64 = 1e-4;

/// The policy with the presets of its objective; none where the objective is missing.
pub fn policy(plan: &Plan) -> Option<PlanPolicy> {
    let objective = plan.objective?;
    let preset = |given: Option<f64>, of: ObjectiveWord, value: f64| {
        given.unwrap_or(if objective == of { value } else { 0.0 })
    };
    let early = match objective {
        ObjectiveWord::Early => 0.1,
        ObjectiveWord::SelfProduction
        | ObjectiveWord::Cost
        | ObjectiveWord::Co2
        | ObjectiveWord::Peak
        | ObjectiveWord::Mix => TIE_EUR_PER_KWH_H,
    };
    let cost = match objective {
        ObjectiveWord::Cost | ObjectiveWord::Mix => 1.0,
        ObjectiveWord::SelfProduction
        | ObjectiveWord::Co2
        | ObjectiveWord::Peak
        | ObjectiveWord::Early => 0.0,
    };
    Some(PlanPolicy {
        name: name(objective).to_owned(),
        planner: match plan.planner {
            PlannerWord::Program => Planner::Program,
            PlannerWord::Rule => Planner::Rule,
        },
        cost: plan.cost_weight.unwrap_or(cost),
        grid_eur_per_kwh: preset(plan.grid_eur_per_kwh, ObjectiveWord::SelfProduction, 0.5),
        co2_eur_per_kg: preset(plan.co2_eur_per_kg, ObjectiveWord::Co2, 1.0),
        peak_eur_per_kw: preset(plan.peak_eur_per_kw, ObjectiveWord::Peak, 10.0),
        early_eur_per_kwh_h: plan.early_eur_per_kwh_h.unwrap_or(early),
        missing_eur_per_kwh: plan.missing_eur_per_kwh.unwrap_or(match objective {
            ObjectiveWord::SelfProduction => 2.0,
            ObjectiveWord::Cost
            | ObjectiveWord::Co2
            | ObjectiveWord::Peak
            | ObjectiveWord::Early
            | ObjectiveWord::Mix => 1.0,
        }),
        horizon: derive::seconds(plan.horizon_h * 3600.0),
    })
}

/// What people call it.
fn name(objective: ObjectiveWord) -> &'static str {
    match objective {
        ObjectiveWord::SelfProduction => "self-production",
        ObjectiveWord::Cost => "cost",
        ObjectiveWord::Co2 => "CO2",
        ObjectiveWord::Peak => "peak demand",
        ObjectiveWord::Early => "early finish",
        ObjectiveWord::Mix => "mix",
    }
}
