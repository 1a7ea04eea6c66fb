//! Euler's method in other coordinates: in time on every schedule, and in pairs of a coordinate and a clock.

use super::{KAPPA, apart};
use crate::batch::Batch;
use crate::data::mixture::Mixture;
use crate::run::Denoiser;
use crate::schedule::{Level, Schedule};
use crate::solver::ddim::Ddim;
use crate::solver::runge_kutta::Euler;
use crate::state::State;
use crate::study::Findings;

use super::super::line::{LineLaw, VP, law_named, run};
use super::super::reverse_transition::below;

/// Quantity: Euler in `t` from DDIM.
pub const SCHEDULE: &str = "euler in t from ddim";
/// Quantity: Euler in a coordinate and a clock from DDIM.
pub const COORDINATE: &str = "euler from ddim";

/// A coordinate `x/n` and a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coordinate {
    /// `x/(a alpha + b sigma)` and `(c alpha + d sigma)/(a alpha + b sigma)`.
    Projective { a: i32, b: i32, c: i32, d: i32 },
    /// `x/alpha` in `lambda`.
    LogRatio,
    /// `x/r` in the angle of `(alpha, sigma)`, `r` its length.
    Angle,
    /// `x` in `t`.
    Time,
}

const COORDINATES: [(&str, Coordinate); 6] = [
    ("x/alpha in sigma/alpha", Coordinate::Projective { a: 1, b: 0, c: 0, d: 1 }),
    ("x/sigma in alpha/sigma", Coordinate::Projective { a: 0, b: 1, c: 1, d: 0 }),
    ("x/(alpha+sigma) in sigma/(alpha+sigma)", Coordinate::Projective { a: 1, b: 1, c: 0, d: 1 }),
    ("x/alpha in lambda", Coordinate::LogRatio),
    ("x/r in the angle", Coordinate::Angle),
    ("x in t", Coordinate::Time),
];

impl Coordinate {
    /// The divisor and what the clock shows, each with its derivative in `t`; from `alpha' = f alpha` and
    /// `(sigma^2)' = g^2 + 2 f sigma^2`.
    fn at(self, at: &Level) -> ((f64, f64), (f64, f64)) {
        let Level { t, alpha, sigma, f, g2 } = *at;
        let (alpha_rate, sigma_rate) = (f * alpha, (g2 + 2.0 * f * sigma * sigma) / (2.0 * sigma));
        match self {
            Coordinate::Projective { a, b, c, d } => {
                let of = |a, b, x, y| f64::from(a) * x + f64::from(b) * y;
                let (n, n_rate) = (of(a, b, alpha, sigma), of(a, b, alpha_rate, sigma_rate));
                let (m, m_rate) = (of(c, d, alpha, sigma), of(c, d, alpha_rate, sigma_rate));
                ((n, n_rate), (m / n, (m_rate * n - m * n_rate) / (n * n)))
            }
            Coordinate::LogRatio => {
                ((alpha, alpha_rate), ((alpha / sigma).ln(), alpha_rate / alpha - sigma_rate / sigma))
            }
            Coordinate::Angle => {
                let r = alpha.hypot(sigma);
                let turn = (alpha * sigma_rate - sigma * alpha_rate) / (r * r);
                ((r, (alpha * alpha_rate + sigma * sigma_rate) / r), (sigma.atan2(alpha), turn))
            }
            Coordinate::Time => ((1.0, 0.0), (t, 1.0)),
        }
    }

    /// One step of Euler's method for `dx/dt = f x - g^2/2 score`, carried over to this coordinate and this clock.
    fn euler(self, data: &Mixture, t: &Level, s: &Level, x: &[f64]) -> Vec<f64> {
        let score = data.score(&State(Batch::from_rows(1, x.to_vec())), t).0.to_rows();
        let ((n, n_rate), (clock, clock_rate)) = self.at(t);
        let ((n_s, _), (clock_s, _)) = self.at(s);
        let step = |(x, score): (&f64, &f64)| {
            let rate = t.f * x - 0.5 * t.g2 * score;
            let slope = (rate / n - x * n_rate / (n * n)) / clock_rate;
            n_s * (x / n + slope * (clock_s - clock))
        };
        x.iter().zip(&score).map(step).collect()
    }
}

/// Schedules on which Euler's method takes its steps in their own time.
fn schedules() -> [(&'static str, Schedule); 7] {
    [
        ("vp-linear", VP),
        ("vp-cosine", Schedule::VpCosine {}),
        ("sub-vp", Schedule::SubVp { beta_min: 0.1, beta_max: 20.0 }),
        ("ve", Schedule::Ve { sigma_min: 0.01, sigma_max: 50.0 }),
        ("heat", Schedule::Heat {}),
        ("edm", Schedule::Edm {}),
        ("flow", Schedule::Flow {}),
    ]
}

/// Measures one step of each from the same level, on the law of two modes.
pub fn measure(steps: &[f64], found: &mut Findings) {
    let data = law_named("two-mode");
    let ddim = Ddim { eta: 0.0 };
    let start = |schedule: &Schedule| {
        let t = schedule.at_kappa(KAPPA);
        let nodes = LineLaw::marginal(&data, &t).nodes(10.0);
        let x: Vec<f64> = nodes.iter().map(|(x, _)| *x).collect();
        (t, nodes, x)
    };
    for (name, schedule) in schedules() {
        let (t, nodes, x) = start(&schedule);
        for &h in steps {
            let grid = [t, below(&schedule, &t, h)];
            let a = run(&ddim, &data, &schedule, &grid, &x, 0.0);
            let b = run(&Euler::default(), &data, &schedule, &grid, &x, 0.0);
            found.put(SCHEDULE, name, h, apart(&nodes, &a, &b) / grid[1].alpha);
        }
    }
    let schedule = VP;
    let (t, nodes, x) = start(&schedule);
    for (name, coordinate) in COORDINATES {
        for &h in steps {
            let s = below(&schedule, &t, h);
            let a = run(&ddim, &data, &schedule, &[t, s], &x, 0.0);
            found.put(COORDINATE, name, h, apart(&nodes, &a, &coordinate.euler(&data, &t, &s, &x)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(quantity: &str, case: &str) -> f64 {
        let mut found = Findings::default();
        measure(&[0.1], &mut found);
        found.rows.iter().find(|r| r.quantity == quantity && r.case == case).expect("measured").value
    }

    #[test]
    fn euler_is_ddim_in_ratios_of_linear_functions_of_alpha_and_sigma_and_not_in_others() {
        for (name, coordinate) in COORDINATES {
            let off = distance(COORDINATE, name);
            match coordinate {
                Coordinate::Projective { .. } => assert!(off < 1e-14, "{name}: {off:e}"),
                _ => assert!(off > 1e-4, "{name}: {off:e}"),
            }
        }
    }

    #[test]
    fn euler_in_t_is_ddim_where_alpha_and_sigma_are_linear_in_t() {
        for (name, _) in schedules() {
            let off = distance(SCHEDULE, name);
            assert_eq!(off < 1e-14, ["edm", "flow"].contains(&name), "{name}: {off:e}");
        }
    }

    #[test]
    fn euler_in_t_here_is_the_solver_of_that_name() {
        let (schedule, data, x) = (VP, law_named("skew"), [-1.0, 0.2, 0.9]);
        let t = schedule.at_kappa(KAPPA);
        let s = below(&schedule, &t, 0.3);
        let there = run(&Euler::default(), &data, &schedule, &[t, s], &x, 0.0);
        let here = Coordinate::Time.euler(&data, &t, &s, &x);
        assert!(here.iter().zip(&there).all(|(a, b)| (a - b).abs() < 1e-15));
    }
}
