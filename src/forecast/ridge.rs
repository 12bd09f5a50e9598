//! Least squares with a prior: few observations move little, many decide.

/// Number of terms of a line.
pub const TERMS: usize = 6;

/// The terms of one observation, or the factors of a line.
pub type Terms = [f64; TERMS];

/// Sums over observations.
#[derive(Clone, Debug, Default)]
pub struct Ridge {
    square: [Terms; TERMS],
    right: Terms,
    /// Sum of the weights.
    pub weight: f64,
}

/// What a line says of these terms.
pub fn apply(factors: &Terms, terms: &Terms) -> f64 {
    factors.iter().zip(terms).map(|(factor, term)| factor * term).sum()
}

impl Ridge {
    /// Takes one observation.
    pub fn add(&mut self, terms: &Terms, outcome: f64, weight: f64) {
        for (row, term) in terms.iter().enumerate() {
            for (cell, other) in self.square[row].iter_mut().zip(terms) {
                *cell += weight * term * other;
            }
            self.right[row] += weight * term * outcome;
        }
        self.weight += weight;
    }

    /// The factors that fit best; `strength` says how many observations the prior is worth.
    pub fn solve(&self, prior: &Terms, strength: f64) -> Terms {
        let mut square = self.square;
        let mut right = self.right;
        for index in 0..TERMS {
            // A spread of 0.3 is usual for a share between 0 and 1: the prior counts per term.
            let pull = strength * 0.1;
            square[index][index] += pull;
            right[index] += pull * prior[index];
        }
        for pivot in 0..TERMS {
            let best = (pivot..TERMS)
                .max_by(|one, other| {
                    square[*one][pivot].abs().total_cmp(&square[*other][pivot].abs())
                })
                .unwrap_or(pivot);
            square.swap(pivot, best);
            right.swap(pivot, best);
            let head = square[pivot][pivot];
            if head.abs() < 1e-12 {
                return *prior;
            }
            let pivot_row = square[pivot];
            for row in pivot + 1..TERMS {
                let factor = square[row][pivot] / head;
                for (cell, above) in square[row].iter_mut().zip(pivot_row).skip(pivot) {
                    *cell -= factor * above;
                }
                right[row] -= factor * right[pivot];
            }
        }
        let mut factors = [0.0; TERMS];
        for row in (0..TERMS).rev() {
            let known: f64 =
                (row + 1..TERMS).map(|other| square[row][other] * factors[other]).sum();
            factors[row] = (right[row] - known) / square[row][row];
        }
        if factors.iter().all(|factor| factor.is_finite()) { factors } else { *prior }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_moves_the_prior() {
        let mut sums = Ridge::default();
        let prior = [0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(sums.solve(&prior, 1.0), prior);
        for step in 0..1000 {
            let x = f64::from(step % 10) / 10.0;
            sums.add(&[1.0, x, 0.0, 0.0, 0.0, 0.0], 0.2 + 0.5 * x, 1.0);
        }
        let found = sums.solve(&prior, 1.0);
        assert!((apply(&found, &[1.0, 0.4, 0.0, 0.0, 0.0, 0.0]) - 0.4).abs() < 0.01, "{found:?}");
    }
}
