//! Gaussian kernels that stand for `p(x_s | x_t)`, how far they are from it, and how far theory says.

use std::f64::consts::TAU;

use super::super::line::{LineLaw, REACH, bend, defect, fall_of_noise, largest, run, trapezoid};
use crate::data::CLEAN;
use crate::data::mixture::Mixture;
use crate::schedule::{Level, Schedule};
use crate::solver::ddpm::{Ddpm, Variance};
use crate::solver::euler_maruyama::EulerMaruyama;

/// A Gaussian in the place of `p(x_s | x_t)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// Mean and variance of `p(x_s | x_t)` itself, at every `x_t`: the best there is.
    ExactMoments,
    /// The exact mean, and the best variance that is the same for all `x_t`: `E Var(x_s | x_t)` (Bao et al. 2022,
    /// Analytic-DPM, theorem 1).
    OptimalVariance,
    /// `ddpm(variance=fixed-small)`.
    FixedSmall,
    /// `ddpm(variance=fixed-large)`.
    FixedLarge,
    /// `euler-maruyama`: mean `x_t - [f - g^2 score] dt`, variance `g^2 dt`, all at `t`.
    EulerMaruyama,
}

impl Kernel {
    /// All of them.
    pub const ALL: [Kernel; 5] = [
        Kernel::ExactMoments,
        Kernel::OptimalVariance,
        Kernel::FixedSmall,
        Kernel::FixedLarge,
        Kernel::EulerMaruyama,
    ];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Kernel::ExactMoments => "exact moments",
            Kernel::OptimalVariance => "optimal variance",
            Kernel::FixedSmall => "fixed-small",
            Kernel::FixedLarge => "fixed-large",
            Kernel::EulerMaruyama => "euler-maruyama",
        }
    }
}

/// A mean and a variance.
#[derive(Clone, Copy, Debug)]
struct Normal {
    mean: f64,
    variance: f64,
}

/// The step from `t` to `s` on a law of data, on the nodes of a quadrature over `p_t`.
pub struct Step<'a> {
    data: &'a Mixture,
    schedule: &'a Schedule,
    t: Level,
    s: Level,
    /// Where `x_t` is, and how probable.
    pub nodes: Vec<(f64, f64)>,
    /// `p(x_s | x_t)` there.
    posteriors: Vec<LineLaw>,
}

/// Points in a standard deviation: over `p_t`, whose integrands change where one mode takes over from another, and over
/// `p(x_s | x_t)`.
const PER_SD: (f64, f64) = (10.0, 4.0);

impl<'a> Step<'a> {
    /// The step.
    pub fn new(data: &'a Mixture, schedule: &'a Schedule, t: Level, s: Level) -> Self {
        Step::finer(data, schedule, (t, s), 1.0)
    }

    /// The same with `factor` times as many nodes over `p_t`.
    pub fn finer(data: &'a Mixture, schedule: &'a Schedule, (t, s): (Level, Level), factor: f64) -> Self {
        let nodes = LineLaw::marginal(data, &t).nodes(factor * PER_SD.0);
        let posteriors = nodes.iter().map(|(x, _)| LineLaw::reverse(data, &t, &s, *x)).collect();
        Step { data, schedule, t, s, nodes, posteriors }
    }

    /// Mean over `p_t` of a number for each node.
    fn mean(&self, values: impl Iterator<Item = f64>) -> f64 {
        let total: f64 = self.nodes.iter().map(|(_, w)| w).sum();
        self.nodes.iter().zip(values).map(|((_, w), v)| w * v).sum::<f64>() / total
    }

    /// The kernel at every node.
    fn normals(&self, kernel: Kernel) -> Vec<Normal> {
        let exact: Vec<Normal> = self
            .posteriors
            .iter()
            .map(|p| p.moments())
            .map(|m| Normal { mean: m.mean, variance: m.variance })
            .collect();
        match kernel {
            Kernel::ExactMoments => exact,
            Kernel::OptimalVariance => {
                let variance = self.mean(exact.iter().map(|n| n.variance));
                exact.iter().map(|n| Normal { variance, ..*n }).collect()
            }
            Kernel::FixedSmall => self.solver(&Ddpm { variance: Variance::FixedSmall }),
            Kernel::FixedLarge => self.solver(&Ddpm { variance: Variance::FixedLarge }),
            Kernel::EulerMaruyama => self.solver(&EulerMaruyama::default()),
        }
    }

    /// The kernel that a step of a solver is: run without noise it returns the mean, with noise 1 the mean plus a
    /// standard deviation.
    fn solver(&self, solver: &impl crate::solver::Sample) -> Vec<Normal> {
        let x: Vec<f64> = self.nodes.iter().map(|(x, _)| *x).collect();
        let at = |z| run(solver, self.data, self.schedule, &[self.t, self.s], &x, z);
        at(0.0)
            .into_iter()
            .zip(at(1.0))
            .map(|(mean, up)| Normal { mean, variance: (up - mean).powi(2) })
            .collect()
    }

    /// Largest distance between the mean of a kernel and the exact one, in standard deviations of `x_s` given `x_t`.
    pub fn mean_error(&self, kernel: Kernel) -> f64 {
        let off = |(n, p): (&Normal, &LineLaw)| {
            let exact = p.moments();
            (n.mean - exact.mean).abs() / exact.variance.sqrt()
        };
        largest(self.normals(kernel).iter().zip(&self.posteriors).map(off))
    }

    /// `KL(p(x_s | x_t) || kernel)`, averaged over `x_t`, of every kernel.
    pub fn kl(&self) -> [f64; 5] {
        let normals = Kernel::ALL.map(|k| self.normals(k));
        let each: Vec<[f64; 5]> = self
            .posteriors
            .iter()
            .enumerate()
            .map(|(i, p)| divergences(p, std::array::from_fn(|k| normals[k][i])))
            .collect();
        std::array::from_fn(|k| self.mean(each.iter().map(|kl| kl[k])))
    }

    /// The leading term of that for a small step `h` in lambda.
    ///
    /// With `V`, `K3` the variance and third cumulant of `x_0` given `x_t`: the third cumulant of `x_s` given `x_t` is
    /// `c^3 K3`, `c = alpha_s b/sigma_t^2`, so that exact moments leave a squared skewness over 12; a variance that is off by a
    /// share `r` costs `r^2/4`. To second order the exact variance is
    /// `2 h sigma_t^2 [1 - h - 2 h A + 2 h V/kappa_t^2]`, with `A` that of [`fall_of_noise`].
    pub fn predicted(&self, kernel: Kernel) -> f64 {
        let (t, h) = (&self.t, self.s.lambda() - self.t.lambda());
        let clean: Vec<_> =
            self.nodes.iter().map(|(x, _)| LineLaw::reverse(self.data, t, &CLEAN, *x).moments()).collect();
        let square = t.kappa().powi(2);
        let a = fall_of_noise(t);
        let excess = |off: f64| {
            h * h / 4.0 * self.mean(clean.iter().map(|m| (2.0 * m.variance / square - off).powi(2)))
        };
        match kernel {
            Kernel::ExactMoments => {
                2.0 / 3.0 * h.powi(3) * self.mean(clean.iter().map(|m| m.third.powi(2))) / square.powi(3)
            }
            Kernel::OptimalVariance => excess(2.0 * self.mean(clean.iter().map(|m| m.variance)) / square),
            Kernel::FixedSmall => excess(0.0),
            Kernel::FixedLarge => excess(2.0 * a),
            Kernel::EulerMaruyama => excess(1.0 + 2.0 * a - 0.5 * bend(self.schedule, t)),
        }
    }
}

/// `KL(p || q_k)` for a few Gaussians `q_k`, by one quadrature of [`defect`].
fn divergences(p: &LineLaw, q: [Normal; 5]) -> [f64; 5] {
    let all = || {
        let parts = p.parts.iter().filter(|part| part.weight > 1e-18);
        parts
            .map(|part| (part.mean, part.variance.sqrt()))
            .chain(q.iter().map(|n| (n.mean, n.variance.sqrt())))
    };
    let lo = all().map(|(m, sd)| m - REACH * sd).fold(f64::INFINITY, f64::min);
    let hi = all().map(|(m, sd)| m + REACH * sd).fold(f64::NEG_INFINITY, f64::max);
    let sd = all().map(|(_, sd)| sd).fold(f64::INFINITY, f64::min);
    let constants = q.map(|n| -0.5 * (TAU * n.variance).ln());
    let mut sums = [0.0; 5];
    for (x, dx) in trapezoid(lo, hi, sd / PER_SD.1) {
        let ln_p = p.ln_density(x);
        for (k, n) in q.iter().enumerate() {
            let ln_q = constants[k] - 0.5 * (x - n.mean).powi(2) / n.variance;
            sums[k] += dx * defect(ln_p, ln_q);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::super::super::line::{Part, VP, law_named};
    use super::*;

    #[test]
    fn divergences_of_gaussians_are_their_closed_form_near_and_far() {
        let p = LineLaw { parts: vec![Part { weight: 1.0, mean: 0.3, variance: 0.5 }] };
        for (dm, ratio) in [(0.0, 1.0), (1e-6, 1.0), (0.0, 1.0 + 1e-5), (0.2, 0.7), (-1.0, 3.0)] {
            let variance = 0.5 / ratio;
            let q = Normal { mean: 0.3 + dm, variance };
            let u: f64 = ratio - 1.0;
            let want = 0.5 * (u - u.ln_1p()) + dm * dm / (2.0 * variance);
            let got = divergences(&p, [q; 5])[0];
            assert!((got - want).abs() <= 1e-8 * want + 1e-28, "{dm}, {ratio}: {got:e} for {want:e}");
        }
    }

    #[test]
    fn twice_the_nodes_change_nothing() {
        let (schedule, data) = (VP, law_named("two-mode"));
        for kappa in [3.0, 0.7, 0.05] {
            let (t, s) = (schedule.at_kappa(kappa), schedule.at_kappa(0.8 * kappa));
            let one = Step::new(&data, &schedule, t, s).kl();
            let two = Step::finer(&data, &schedule, (t, s), 2.0).kl();
            for (a, b) in one.iter().zip(two) {
                assert!((a - b).abs() < 1e-9 * b, "at kappa = {kappa}: {a:e}, {b:e}");
            }
        }
    }

    #[test]
    fn leading_terms_are_what_short_steps_show() {
        for schedule in [VP, Schedule::Ve { sigma_min: 0.01, sigma_max: 50.0 }] {
            let data = law_named("skew");
            let (t, s) = (schedule.at_kappa(0.7), schedule.at_kappa(0.7 * (-2e-3f64).exp()));
            let step = Step::new(&data, &schedule, t, s);
            for (k, kl) in Kernel::ALL.into_iter().zip(step.kl()) {
                let ratio = kl / step.predicted(k);
                assert!((ratio - 1.0).abs() < 5e-3, "{}: {ratio}", k.name());
            }
        }
    }
}
