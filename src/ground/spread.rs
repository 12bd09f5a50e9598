//! A distribution as a few weighted cases, so that a plan can look at each.

/// A value with its weight.
pub type Weighted = (f64, f64);

/// Sorts the values, drops what is no number and scales the weights to a sum of one.
pub fn normal(mut values: Vec<Weighted>) -> Vec<Weighted> {
    values.retain(|(value, weight)| value.is_finite() && weight.is_finite() && 0.0 < *weight);
    values.sort_by(|one, other| one.0.total_cmp(&other.0));
    let total: f64 = values.iter().map(|(_, weight)| weight).sum();
    if 0.0 < total {
        for (_, weight) in &mut values {
            *weight /= total;
        }
    }
    values
}

/// The means between the cuts, with the weight of each; `values` as [`normal`] leaves them.
pub fn cases(values: &[Weighted], cuts: &[f64]) -> Vec<Weighted> {
    let mut cases: Vec<Weighted> = Vec::with_capacity(cuts.len());
    let mut rest = values.iter().copied();
    let mut part = rest.next();
    let mut done = 0.0;
    for cut in cuts {
        let (mut sum, mut weight) = (0.0, 0.0);
        while let Some((value, left)) = part {
            let room = cut - done;
            if room <= 1e-12 {
                break;
            }
            let taken = left.min(room);
            sum += value * taken;
            weight += taken;
            done += taken;
            part = if left - taken <= 1e-12 { rest.next() } else { Some((value, left - taken)) };
        }
        if 1e-9 < weight {
            cases.push((sum / weight, weight));
        }
    }
    merged(cases)
}

/// The value below which this share lies; `values` as [`normal`] leaves them.
pub fn quantile(values: &[Weighted], share: f64) -> Option<f64> {
    let mut sum = 0.0;
    let reached = values.iter().find(|(_, weight)| {
        sum += weight;
        share <= sum
    });
    reached.or(values.last()).map(|(value, _)| *value)
}

/// Energies of which some are only known to be at least as large: the weight of such a one is
/// shared among the larger ones (Kaplan and Meier), the largest keeps its own with something on
/// top. `values` are (value, weight, known).
pub fn uncensored(mut values: Vec<(f64, f64, bool)>) -> Vec<Weighted> {
    const ON_TOP: f64 = 1.2;
    values.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut larger: f64 = values.iter().map(|(_, weight, _)| weight).sum();
    let mut factor = 1.0;
    let mut found = Vec::with_capacity(values.len());
    for (value, weight, known) in values {
        larger -= weight;
        if known {
            found.push((value, weight * factor));
        } else if 1e-9 < larger {
            factor *= (larger + weight) / larger;
        } else {
            found.push((value * ON_TOP, weight * factor));
        }
    }
    found
}

/// Cases that are all but one become one, and weights sum to one.
fn merged(cases: Vec<Weighted>) -> Vec<Weighted> {
    let mut kept: Vec<Weighted> = Vec::with_capacity(cases.len());
    for (value, weight) in cases {
        match kept.last_mut() {
            Some((last, sum)) if (value - *last).abs() <= 1e-6 * value.abs().max(1.0) => {
                *sum += weight;
            }
            _ => kept.push((value, weight)),
        }
    }
    let total: f64 = kept.iter().map(|(_, weight)| weight).sum();
    for (_, weight) in &mut kept {
        *weight /= total;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_keep_the_mean_and_the_whole() {
        let values = normal((0..100).map(|at| (f64::from(at), 2.0)).collect());
        let cases = cases(&values, &[0.08, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(cases.len(), 5);
        let mean: f64 = cases.iter().map(|(value, weight)| value * weight).sum();
        let whole: f64 = cases.iter().map(|(_, weight)| weight).sum();
        assert!((mean - 49.5).abs() < 1e-9 && (whole - 1.0).abs() < 1e-9);
        assert_eq!(quantile(&values, 0.5), Some(49.0));
    }

    #[test]
    fn what_is_certain_is_one_case() {
        let values = normal(vec![(5.0, 1.0), (5.0, 3.0), (f64::NAN, 1.0), (9.0, 0.0)]);
        assert_eq!(cases(&values, &[0.3, 1.0]), [(5.0, 1.0)]);
        assert_eq!(cases(&[], &[0.3, 1.0]), []);
    }

    #[test]
    fn a_car_that_was_cut_short_counts_with_those_that_took_more() {
        let found = uncensored(vec![(5.0, 1.0, false), (10.0, 1.0, true), (20.0, 1.0, true)]);
        assert_eq!(found, [(10.0, 1.5), (20.0, 1.5)]);
        assert_eq!(uncensored(vec![(5.0, 1.0, false)]), [(6.0, 1.0)]);
    }
}
