//! From a noise level to the number that a network was told its time by.

/// What a network takes for time.
#[derive(Clone, Debug, PartialEq)]
pub enum Clock {
    /// An index of the table of betas that it was trained with, also between entries.
    Table(Table),
    /// `kappa = sigma/alpha` itself (score_sde's VE models).
    Sigma,
    /// `ln(kappa)/4` (Karras et al. 2022, table 1).
    QuarterLog,
}

impl Clock {
    /// The time at `kappa`.
    pub fn time(&self, kappa: f64) -> f64 {
        match self {
            Clock::Table(table) => table.time(-kappa.ln()),
            Clock::Sigma => kappa,
            Clock::QuarterLog => 0.25 * kappa.ln(),
        }
    }
}

/// Time as a function of `lambda` that meets every entry of a table: a cubic spline, so that what a network makes of it has
/// two continuous derivatives. (Time on straight lines between entries, as elsewhere, has none, and methods of higher order
/// then show less than their order on fine grids.)
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// `lambda` of the entries, from the last one, which is the noisiest.
    lambda: Vec<f64>,
    /// Second derivatives of time there.
    curvature: Vec<f64>,
}

impl Table {
    /// From `beta_i`, with `alpha_i^2 = prod_{j<=i} (1 - beta_j)`.
    pub fn new(betas: &[f64]) -> Self {
        let mut lambda = lambdas(betas);
        // Entries without any image left (Lin et al. 2024) have no lambda.
        lambda.retain(|l| l.is_finite());
        lambda.reverse();
        let curvature = curvatures(&lambda);
        Table { lambda, curvature }
    }

    /// Least and greatest `kappa` of the entries.
    pub fn range(&self) -> (f64, f64) {
        ((-self.lambda[self.lambda.len() - 1]).exp(), (-self.lambda[0]).exp())
    }

    /// Time at `lambda`; beyond the table, that of its nearest entry.
    pub fn time(&self, lambda: f64) -> f64 {
        let last = self.lambda.len() - 1;
        let lambda = lambda.clamp(self.lambda[0], self.lambda[last]);
        let above = self.lambda.partition_point(|l| *l < lambda).clamp(1, last);
        let (h, below) = (self.lambda[above] - self.lambda[above - 1], above - 1);
        let (a, b) = ((self.lambda[above] - lambda) / h, (lambda - self.lambda[below]) / h);
        let straight = (last - below) as f64 - b;
        let [m, n] = [self.curvature[below], self.curvature[above]].map(|m| m * h * h / 6.0);
        // Slopes -1 - 2m - n and -1 + m + 2n of one step of time, of a cubic that falls throughout if both are in [-3, 0]
        // (Fritsch & Carlson 1980); where the table jumps, the straight line.
        let falls = |slope: f64| (-3.0..=0.0).contains(&slope);
        if !(falls(-1.0 - 2.0 * m - n) && falls(-1.0 + m + 2.0 * n)) {
            return straight;
        }
        straight + (a * a - 1.0) * a * m + (b * b - 1.0) * b * n
    }
}

/// `lambda = ln(alpha/sigma)` after every entry of a table of `beta_i`.
pub(super) fn lambdas(betas: &[f64]) -> Vec<f64> {
    let mut log_alpha = 0.0;
    let mut next = |beta: &f64| {
        log_alpha += 0.5 * (-beta).ln_1p();
        // sigma^2 = 1 - alpha^2 without cancellation.
        log_alpha - 0.5 * (0.0 - (2.0 * log_alpha).exp_m1()).ln()
    };
    betas.iter().map(&mut next).collect()
}

/// Second derivatives of the natural cubic spline of time, which falls by 1 from each node to the next.
fn curvatures(x: &[f64]) -> Vec<f64> {
    let n = x.len();
    let mut curvature = vec![0.0; n];
    // Thomas's algorithm: eliminate downwards, substitute upwards.
    let mut upper = vec![0.0; n];
    for i in 1..n - 1 {
        let (h, k) = (x[i] - x[i - 1], x[i + 1] - x[i]);
        let pivot = 2.0 * (h + k) - h * upper[i - 1];
        upper[i] = k / pivot;
        curvature[i] = (6.0 * (1.0 / h - 1.0 / k) - h * curvature[i - 1]) / pivot;
    }
    for i in (1..n - 1).rev() {
        curvature[i] -= upper[i] * curvature[i + 1];
    }
    curvature
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Betas, Schedule, TableParameters};

    fn table(beta: Betas) -> (Table, Schedule) {
        let made = TableParameters { beta, ..TableParameters::default() }.try_into();
        let made: crate::schedule::Table = made.expect("a table");
        (Table::new(made.betas()), Schedule::DdpmDiscrete(made))
    }

    #[test]
    fn time_meets_every_entry_and_falls_between_them() {
        for beta in [Betas::Linear, Betas::ScaledLinear, Betas::Cosine] {
            let (table, schedule) = table(beta);
            for i in 0..1000 {
                assert!((table.time(schedule.at(i as f64).lambda()) - i as f64).abs() < 1e-6, "{beta:?} {i}");
            }
            let (low, high) = table.range();
            let points =
                (0..=100_000).map(|i| table.time(-(low * (high / low).powf(f64::from(i) / 1e5)).ln()));
            let points: Vec<f64> = points.collect();
            assert!(points.windows(2).all(|w| w[0] <= w[1]), "{beta:?}");
            assert!((points[0], points[100_000]) == (0.0, 999.0), "{beta:?}");
        }
    }

    #[test]
    fn time_is_smooth_where_straight_lines_are_not() {
        let (table, schedule) = table(Betas::Linear);
        let lambda = schedule.at(500.0).lambda();
        let second = |time: &dyn Fn(f64) -> f64| {
            let (h, d) = (1e-4, 2e-3);
            let slope = |x: f64| (time(x + h) - time(x - h)) / (2.0 * h);
            (slope(lambda + h) - slope(lambda - h)).abs() / (slope(lambda + d) - slope(lambda - d)).abs()
        };
        // Over a twentieth of the way, a smooth slope changes by a twentieth; one with a kink by all of it.
        assert!(second(&|x| table.time(x)) < 0.1);
        assert!(second(&|x| schedule.at_lambda(x).t) > 0.5);
    }
}
