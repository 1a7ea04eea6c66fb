//! The strong error of a sampler on Gaussian data: its root mean square distance from the exact solution of its own
//! equation, on the same start and the same Brownian path. No sampling, and no refined path either.
//!
//! On a mode N(mu, c), with `v = alpha^2 c + sigma^2`, the member `l` of the family (see [`crate::solver::Solver::equation`])
//! is linear, and its solution from `T` down to `s` is, with `B` a Brownian motion in `kappa^2`,
//!
//! `x_s - alpha_s mu = Phi(s, T) (x_T - alpha_T mu) + sqrt(l) int Phi(s, u) alpha_u dB_u`,
//! `Phi(s, u) = (v_s/v_u)^{(1+l)/2} (alpha_u/alpha_s)^l`.
//!
//! A sampler's output is `gain x_T + bias + sum_k w_k z_k`, where `z_k = int psi_k dB` with a known kernel `psi_k` of
//! unit norm on its own interval ([`Draw`]). Hence, by the isometry of Ito, the mean square distance is
//! `(difference of means)^2 + (difference of gains)^2 Var x_T + int (sum_k w_k psi_k - sqrt(l) Phi alpha)^2 d kappa^2`.
//! The integral is taken by Gauss-Legendre quadrature in `lambda` inside every step: a sum of squares, so that nothing
//! cancels and the error is known to nearly full relative precision however small it is.

use crate::math::gauss_legendre;
use crate::noise::Draw;
use crate::schedule::{Level, Schedule};

/// The exact solution's path, cut into the intervals that a run drew noise over.
#[derive(Clone, Debug)]
pub struct Path {
    l: f64,
    start: Level,
    end: Level,
    pieces: Vec<Piece>,
    fresh: Vec<usize>,
}

/// One interval of the path: the draws that are functionals of it, and a quadrature rule.
#[derive(Clone, Debug)]
struct Piece {
    draws: Vec<usize>,
    nodes: Vec<Node>,
}

/// A node of the rule, with the kernels of the piece's draws there.
#[derive(Clone, Debug)]
struct Node {
    weight: f64,
    alpha: f64,
    sigma: f64,
    kernels: Vec<f64>,
}

/// Points of the quadrature rule, and the longest panel of `lambda` that it is used on.
const POINTS: usize = 8;
const PANEL: f64 = 0.5;

impl Path {
    /// The path of a run over `grid` that made these draws (the first is the start), for member `l` of the family.
    ///
    /// `None` where there is no such error: a start at infinite noise, or draws over intervals that overlap or leave
    /// the grid.
    pub fn new(schedule: &Schedule, grid: &[Level], draws: &[Draw], l: f64) -> Option<Self> {
        let (start, end) = (grid[0], grid[grid.len() - 1]);
        let falls = start.kappa().is_finite() && start.kappa() > end.kappa();
        if !falls {
            return None;
        }
        let mut path = Path { l, start, end, pieces: Vec::new(), fresh: Vec::new() };
        let mut intervals: Vec<(Level, Level, Vec<usize>)> = Vec::new();
        for (k, draw) in draws.iter().enumerate().skip(1) {
            match *draw {
                Draw::Fresh => path.fresh.push(k),
                Draw::Increment(from, to)
                | Draw::ClockIncrement(from, to, _)
                | Draw::ClockArea(from, to, _) => match intervals.last_mut() {
                    Some((a, b, list)) if (*a, *b) == (from, to) => list.push(k),
                    _ => intervals.push((from, to, vec![k])),
                },
            }
        }
        if l > 0.0 {
            // Where a method draws nothing, the exact solution has its noise all the same.
            let mut here = start;
            for (from, to, list) in intervals {
                let gap = here.kappa() - from.kappa();
                let slack = 1e-9 * here.kappa();
                if gap < -slack || from.kappa() <= to.kappa() {
                    return None;
                }
                if gap > slack {
                    path.pieces.push(piece(schedule, &here, &from, &[], draws));
                }
                path.pieces.push(piece(schedule, &from, &to, &list, draws));
                here = to;
            }
            if here.kappa() < end.kappa() * (1.0 - 1e-9) {
                return None;
            }
            if here.kappa() > end.kappa() * (1.0 + 1e-9) {
                path.pieces.push(piece(schedule, &here, &end, &[], draws));
            }
        } else {
            path.fresh.extend(intervals.into_iter().flat_map(|(_, _, list)| list));
        }
        Some(path)
    }

    /// Mean square distance in one mode of data N(mean, c). `bias` is the output for no noise from a start at its own
    /// mean `start_mean` with deviation `start_std`; `weights[k]` the output's coefficient of draw `k`.
    pub fn square(
        &self,
        mean: f64,
        c: f64,
        start_mean: f64,
        start_std: f64,
        bias: f64,
        weights: &[f64],
    ) -> f64 {
        let v_end = self.end.marginal_variance(c);
        let phi = |alpha: f64, v: f64| {
            let r = v_end / v;
            match self.l {
                0.0 => r.sqrt(),
                1.0 => r * (alpha / self.end.alpha),
                l => r.powf(0.5 * (1.0 + l)) * (alpha / self.end.alpha).powf(l),
            }
        };
        let gain = phi(self.start.alpha, self.start.marginal_variance(c));
        let exact_mean = self.end.alpha * mean + gain * (start_mean - self.start.alpha * mean);
        let weight = |k: usize| weights.get(k).copied().unwrap_or(0.0);
        let mut square = (bias - exact_mean).powi(2) + (weight(0) - gain * start_std).powi(2);
        square += self.fresh.iter().map(|&k| weight(k).powi(2)).sum::<f64>();
        let root = self.l.sqrt();
        for piece in &self.pieces {
            for node in &piece.nodes {
                let v = node.alpha * node.alpha * c + node.sigma * node.sigma;
                let exact = root * phi(node.alpha, v) * node.alpha;
                let ours: f64 = piece.draws.iter().zip(&node.kernels).map(|(&k, psi)| weight(k) * psi).sum();
                square += node.weight * (ours - exact).powi(2);
            }
        }
        square
    }
}

/// The interval from `t` to `s` as panels of a quadrature rule in `lambda`.
fn piece(schedule: &Schedule, t: &Level, s: &Level, list: &[usize], draws: &[Draw]) -> Piece {
    // Down to sigma = 0, lambda has no end: what is left of kappa^2 after 40 halvings of kappa is nothing.
    let (from, to) = (t.lambda(), if s.sigma == 0.0 { t.lambda() + 28.0 } else { s.lambda() });
    let panels = ((to - from) / PANEL).ceil().max(1.0);
    let rule = gauss_legendre(POINTS);
    let mut nodes = Vec::new();
    for panel in 0..panels as usize {
        let half = 0.5 * (to - from) / panels;
        let middle = from + (2 * panel + 1) as f64 * half;
        for (x, w) in &rule {
            let at = schedule.at_lambda(middle + half * x);
            nodes.push(Node {
                weight: w * half * 2.0 * at.kappa().powi(2),
                alpha: at.alpha,
                sigma: at.sigma,
                kernels: list.iter().map(|&k| kernel(&draws[k], &at)).collect(),
            });
        }
    }
    Piece { draws: list.to_vec(), nodes }
}

/// The kernel of a draw, as a function of `kappa^2`, at a level inside its interval.
fn kernel(draw: &Draw, at: &Level) -> f64 {
    match *draw {
        Draw::Fresh => 0.0,
        Draw::Increment(t, s) => 1.0 / ((t.kappa() - s.kappa()) * (t.kappa() + s.kappa())).sqrt(),
        Draw::ClockIncrement(t, s, clock) => {
            1.0 / (clock.length(&t, &s).abs() * clock.brownian_rate(at)).sqrt()
        }
        Draw::ClockArea(t, s, clock) => {
            let h = clock.length(&t, &s).abs();
            let run = (clock.of(at) - clock.of(&t)).abs();
            12f64.sqrt() * (0.5 - run / h) / (h * clock.brownian_rate(at)).sqrt()
        }
    }
}
