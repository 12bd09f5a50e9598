//! What a demonstration came to: the reasons that were seen, the figures, the safety checks.

use std::collections::BTreeMap;

use crate::controller::view::View;
use crate::ground::time::Duration;
use crate::model::bound::Cause;

use super::field::Truth;
use super::upstream::Seen;

/// Collects what the daemon said while it ran.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// A sentence of each kind of reason, and how many pictures it was seen in.
    reasons: BTreeMap<&'static str, (String, u64)>,
    pictures: u64,
}

impl Watch {
    /// Takes a picture in.
    pub fn look(&mut self, view: &View) {
        self.pictures += 1;
        for evse in view.evses.iter().filter(|evse| evse.session.is_some()) {
            let seen = self.reasons.entry(kind(&evse.cause)).or_default();
            seen.0 = format!("{}: {}", evse.id, evse.reason);
            seen.1 += 1;
        }
    }

    /// Prints the summary. True when no safety check has failed.
    pub fn print(&self, truth: &Truth, view: &View, operator: &Seen) -> bool {
        let registers: f64 = truth.state.evses.iter().map(|evse| evse.register_wh).sum();
        let billed: f64 = view.sessions.iter().map(|session| session.energy_wh.as_f64()).sum();
        println!();
        println!("The day");
        println!("  transactions    {}", view.totals.transactions);
        println!("  energy          {:.1} kWh into cars", registers / 1000.0);
        println!("  setpoints       {}", view.totals.setpoints);
        println!("  frames          {} in, {} out", view.totals.frames_in, view.totals.frames_out);
        println!(
            "  told sessions   {:.1} kWh in the newest {}",
            billed / 1000.0,
            view.sessions.len()
        );
        println!(
            "  operator        {} sessions, {} CDRs of {:.1} kWh and {:.2} EUR before VAT",
            operator.sessions, operator.cdrs, operator.kwh, operator.cost
        );
        println!("Reasons seen (one of each kind)");
        for (words, times) in self.reasons.values() {
            println!("  {words}   ({:.0} % of the pictures)", 100.0 * self.part(*times, view));
        }
        self.print_checks(truth)
    }

    fn part(&self, times: u64, view: &View) -> f64 {
        times as f64 / (self.pictures.max(1) * view.evses.len().max(1) as u64) as f64
    }

    fn print_checks(&self, truth: &Truth) -> bool {
        let checker = &truth.checker;
        let over = checker.overload != Duration::ZERO;
        println!("Safety checks");
        println!("  breakers above their rating   {} s", checker.overload.as_seconds());
        println!("  reaction to load not ours     {} s", checker.reaction.as_seconds());
        println!("  broken rules                  {}", checker.violated);
        for violation in checker.violations.iter().take(10) {
            println!("    {violation}");
        }
        !over && checker.violated == 0
    }
}

fn kind(cause: &Cause) -> &'static str {
    match cause {
        Cause::Breaker { .. } => "breaker",
        Cause::Imbalance { .. } => "imbalance",
        Cause::MeterSilent { .. } => "meter",
        Cause::WaitingTurn { .. } => "turn",
        Cause::Rated => "rated",
        Cause::CarTakesLess { .. } => "less",
        Cause::CarPaused => "paused",
        Cause::WaitingForOthers { .. } => "others",
        Cause::Rising => "rising",
        Cause::WaitingForSun { .. } | Cause::FollowsSun => "sun",
        Cause::WaitingForPrice { .. } | Cause::PeakOfImport => "price",
        Cause::EnoughInTime | Cause::Policy { .. } => "plan",
        Cause::Idle => "idle",
        Cause::Partner { .. } => "partner",
        Cause::LinkLost { .. } => "link",
        Cause::NeverConnected => "never",
        Cause::NotControllable => "control",
        Cause::Disobeys { .. } => "disobeys",
    }
}
