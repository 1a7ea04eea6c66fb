//! The strong error of a sampler on Gaussian data: its root mean square distance from the exact solution of its own
//! equation, on the same start and the same Brownian path. No sampling, and no refined path either.
//!
//! On a mode N(mu, c), with `v = alpha^2 c + sigma^2`, the member `l` of the family (see [`crate::solver::Solver::equation`])
//! is linear, and its solution from `T` down to `s` is, with `B` a Brownian motion in `kappa^2`,
//!
//! `x_s - alpha_s mu = Phi(s, T) (x_T - alpha_T mu) + sqrt(l) int Phi(s, u) alpha_u dB_u`,
//! `Phi(s, u) = (v_s/v_u)^{(1+l)/2} (alpha_u/alpha_s)^l`,
//!
//! since `d ln Phi = -(f + (1+l)/2 g^2/v) dt`, `g^2/v dt = d ln v - 2 d ln alpha` and `g^2 dt = alpha^2 dkappa^2`.
//! A sampler's output is `bias + sum_k w_k z_k`, where `z_0` is the start and `z_k = int psi_k dB` with a known kernel
//! `psi_k` of unit norm on its own interval ([`Draw`]). Hence, by the isometry of Ito, the mean square distance is
//! `(difference of means)^2 + (difference of gains)^2 Var x_T + int (sum_k w_k psi_k - sqrt(l) Phi alpha)^2 dkappa^2`.
//! The integral is taken by Gauss-Legendre quadrature in `lambda` inside every step: a sum of squares, so that nothing
//! cancels and the error is known to nearly full relative precision however small it is.
//!
//! # What a number of draws a step can reach
//! Over a step of length `h` in some clock the exact solution weighs the path by a smooth kernel `F(u)`. One increment a
//! step offers a constant in its place. Whatever the method, what is left is at least the distance of `F` from its mean,
//! `h |F'|/sqrt(12)`, and squares add up over steps since increments are independent: the root of
//! `int h^2 F'^2/12 du` is of order 1, and **no method that sees increments alone has a higher strong order** (Clark &
//! Cameron 1980), though its weak order may be anything: laws need only the norm of `F`. With the area under the path
//! as well, the best straight line comes in its place, and what is left is `h^2 |F''|/sqrt(720)`: order 2 on linear
//! problems. Methods of strong order 1.5 (Roessler's SRA) reach that on Gaussian data: what keeps them at 1.5 elsewhere
//! is the iterated integral of `f'' g^2`, and on Gaussian data the drift is linear, `f'' = 0`.

use std::f64::consts::FRAC_PI_2;

use crate::math::gauss_legendre;
use crate::noise::Draw;
use crate::schedule::{Clock, Level, Schedule};

/// The exact solution's path, cut into the intervals that a run drew noise over.
#[derive(Clone, Debug)]
pub struct Path {
    l: f64,
    start: Level,
    end: Level,
    pieces: Vec<Piece>,
    nodes: Vec<Node>,
    fresh: Vec<usize>,
}

/// One interval of the path: the draws that are functionals of it (at most two), and its nodes of the quadrature.
#[derive(Clone, Debug)]
struct Piece {
    draws: Vec<usize>,
    nodes: std::ops::Range<usize>,
}

/// A node of the quadrature: all of it that no mode changes.
#[derive(Clone, Debug)]
struct Node {
    /// In `kappa^2`.
    weight: f64,
    alpha2: f64,
    sigma2: f64,
    /// `sqrt(l) (alpha/alpha_end)^l alpha`: the exact kernel but for its power of `v_end/v`.
    factor: f64,
    /// The kernels of the piece's draws.
    kernels: [f64; 2],
}

/// The longest panel, in `lambda`, that one Gauss-Legendre rule is used on.
const PANEL: f64 = 1.0;
/// The rules aim at a relative error of the square of `e^-28 = 7e-13`.
const DIGITS: f64 = 28.0;
/// Down to `sigma = 0`, `lambda` has no end; `kappa` falls by this many powers of e, to 4e-18 of what it was.
pub(crate) const LAST: f64 = 40.0;
/// Relative difference of `kappa` below which two levels are one.
const SAME: f64 = 1e-12;

impl Path {
    /// The path of a run over `grid` that made these draws (the first is the start), for member `l` of the family.
    ///
    /// `None` where there is no such error: noise from a start where it is infinite, draws over intervals that overlap
    /// or leave the grid.
    pub fn new(schedule: &Schedule, grid: &[Level], draws: &[Draw], l: f64) -> Option<Self> {
        Self::with_digits(schedule, grid, draws, l, DIGITS)
    }

    fn with_digits(schedule: &Schedule, grid: &[Level], draws: &[Draw], l: f64, digits: f64) -> Option<Self> {
        let (start, end) = (grid[0], grid[grid.len() - 1]);
        let falls = start.kappa() > end.kappa() && (l == 0.0 || start.kappa().is_finite());
        if !falls {
            return None;
        }
        let mut path = Path { l, start, end, pieces: Vec::new(), nodes: Vec::new(), fresh: Vec::new() };
        if l == 0.0 {
            // The exact solution has no noise: whatever is drawn is too much.
            path.fresh = (1..draws.len()).collect();
            return Some(path);
        }
        let mut intervals: Vec<(Level, Level, Vec<usize>)> = Vec::new();
        for (k, draw) in draws.iter().enumerate().skip(1) {
            match *draw {
                Draw::Fresh => path.fresh.push(k),
                Draw::ClockArea(from, to, clock) => {
                    // Independent of nothing but its own increment.
                    let (_, _, list) = intervals.last_mut()?;
                    if list.len() != 1 || draws[list[0]] != Draw::ClockIncrement(from, to, clock) {
                        return None;
                    }
                    list.push(k);
                }
                Draw::Increment(from, to) | Draw::ClockIncrement(from, to, _) => {
                    intervals.push((from, to, vec![k]));
                }
            }
        }
        // Where a method draws nothing, the exact solution has its noise all the same.
        let mut here = start;
        for (from, to, list) in intervals {
            let slack = SAME * here.kappa();
            let gap = here.kappa() - from.kappa();
            if gap < -slack || from.kappa() <= to.kappa() {
                return None;
            }
            if gap > slack {
                path.piece(schedule, &here, &from, &[], draws, digits);
            }
            path.piece(schedule, &from, &to, &list, draws, digits);
            here = to;
        }
        if here.kappa() < end.kappa() * (1.0 - SAME) {
            return None;
        }
        if here.kappa() > end.kappa() * (1.0 + SAME) {
            path.piece(schedule, &here, &end, &[], draws, digits);
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
        let shrink = v_end / self.start.marginal_variance(c);
        let gain = match self.l {
            0.0 => shrink.sqrt(),
            l => shrink.powf(0.5 * (1.0 + l)) * (self.start.alpha / self.end.alpha).powf(l),
        };
        let exact_mean = self.end.alpha * mean + gain * (start_mean - self.start.alpha * mean);
        let weight = |k: usize| weights.get(k).copied().unwrap_or(0.0);
        let start = (bias - exact_mean).powi(2) + (weight(0) - gain * start_std).powi(2);
        let fresh: f64 = self.fresh.iter().map(|&k| weight(k).powi(2)).sum();
        // The reverse SDE itself needs no power: a run of many steps has millions of these to take.
        let path = match self.l {
            0.0 => 0.0,
            1.0 => self.integral(c, weight, |v| v_end / v),
            l => self.integral(c, weight, |v| (v_end / v).powf(0.5 * (1.0 + l))),
        };
        start + fresh + path
    }

    /// `int (sum_k w_k psi_k - sqrt(l) Phi alpha)^2 dkappa^2`, with the power of `v_end/v` in `Phi` as a function of `v`.
    #[inline(always)]
    fn integral(&self, c: f64, weight: impl Fn(usize) -> f64, power: impl Fn(f64) -> f64) -> f64 {
        let mut integral = 0.0;
        for piece in &self.pieces {
            let w = [0, 1].map(|i| piece.draws.get(i).map_or(0.0, |&k| weight(k)));
            for node in &self.nodes[piece.nodes.clone()] {
                let exact = node.factor * power(node.alpha2 * c + node.sigma2);
                let ours = w[0] * node.kernels[0] + w[1] * node.kernels[1];
                integral += node.weight * (ours - exact).powi(2);
            }
        }
        integral
    }

    /// Adds the interval from `t` to `s`, as panels of a quadrature rule in `lambda`.
    fn piece(
        &mut self,
        schedule: &Schedule,
        t: &Level,
        s: &Level,
        list: &[usize],
        draws: &[Draw],
        digits: f64,
    ) {
        let first = self.nodes.len();
        let mut ends = vec![t.lambda(), if s.sigma == 0.0 { t.lambda() + LAST } else { s.lambda() }];
        if list.iter().any(|&k| matches!(draws[k], Draw::ClockIncrement(_, _, Clock::T))) {
            // What time shows has a kink at every entry of a table.
            ends.splice(1..1, kinks(schedule, t, s).into_iter().map(|at| at.lambda()));
        }
        for pair in ends.windows(2) {
            let panels = ((pair[1] - pair[0]) / PANEL).ceil().max(1.0);
            let half = 0.5 * (pair[1] - pair[0]) / panels;
            let rule = gauss_legendre(points(half, list.len(), digits));
            for panel in 0..panels as usize {
                let middle = pair[0] + (2 * panel + 1) as f64 * half;
                for (x, w) in &rule {
                    let at = schedule.at_lambda(middle + half * x);
                    self.nodes.push(self.node(&at, w * half, list.iter().map(|&k| &draws[k])));
                }
            }
        }
        self.pieces.push(Piece { draws: list.to_vec(), nodes: first..self.nodes.len() });
    }

    /// A node at this level, of a rule whose weight in `lambda` is given.
    fn node<'a>(&self, at: &Level, weight: f64, draws: impl Iterator<Item = &'a Draw>) -> Node {
        let mut kernels = [0.0; 2];
        for (to, draw) in kernels.iter_mut().zip(draws) {
            *to = kernel(draw, at);
        }
        Node {
            weight: 2.0 * at.kappa().powi(2) * weight,
            alpha2: at.alpha * at.alpha,
            sigma2: at.sigma * at.sigma,
            factor: self.l.sqrt() * (at.alpha / self.end.alpha).powf(self.l) * at.alpha,
            kernels,
        }
    }
}

/// Points of the Gauss-Legendre rule for a panel of this half width.
///
/// All that is integrated is analytic up to `Im lambda = pi/2`, where `kappa^2` is negative and some `v` may vanish, so
/// the error falls like `rho^-2n` with the ellipse of Bernstein that reaches that far. But it falls from the size
/// on that ellipse, and a difference that a fit of so many draws has left grows like `rho^draws`.
fn points(half: f64, draws: usize, digits: f64) -> usize {
    let reach = FRAC_PI_2 / half.abs();
    let rho = reach + reach.hypot(1.0);
    draws + (digits / (2.0 * rho.ln())).ceil().max(1.0) as usize
}

/// Levels strictly inside a step at which the schedule, as a function of time, is not smooth.
pub(crate) fn kinks(schedule: &Schedule, t: &Level, s: &Level) -> Vec<Level> {
    if !matches!(schedule, Schedule::DdpmDiscrete(_)) {
        return Vec::new();
    }
    let (first, last) = (s.t.floor() as i64 + 1, t.t.ceil() as i64 - 1);
    (first..=last).rev().map(|i| schedule.at(i as f64)).collect()
}

/// The kernel of a draw, as a function of `kappa^2`, at a level inside its interval.
pub(crate) fn kernel(draw: &Draw, at: &Level) -> f64 {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Grid;

    /// Every kind of draw, one kind a step, and gaps between them; coefficients as of a fair solver or near it.
    fn paths(schedule: &Schedule, grid: &[Level], l: f64, digits: f64, kind: usize) -> Option<(Path, usize)> {
        let mut draws = vec![Draw::Fresh];
        for (t, s) in grid.windows(2).map(|p| (p[0], p[1])) {
            match kind {
                0 => draws.push(Draw::Increment(t, s)),
                4 => {}
                _ => {
                    let clock = Clock::ALL[kind - 1];
                    draws.extend([Draw::ClockIncrement(t, s, clock), Draw::ClockArea(t, s, clock)]);
                }
            }
        }
        Path::with_digits(schedule, grid, &draws, l, digits).map(|path| (path, draws.len()))
    }

    #[test]
    fn the_quadrature_has_converged() {
        let json = |text: &str| serde_json::from_str::<Schedule>(text).unwrap();
        let schedules = [
            r#"{"vp-linear":{}}"#,
            r#"{"vp-cosine":{}}"#,
            r#"{"ve":{}}"#,
            r#"{"edm":{}}"#,
            r#"{"sub-vp":{}}"#,
            r#"{"flow":{}}"#,
            r#"{"ddpm-discrete":{"steps":50,"beta_start":0.002,"beta_end":0.3}}"#,
            r#"{"heat":{}}"#,
        ];
        for schedule in schedules.map(json) {
            for (kappas, kind) in [(40.0, 0.01), (40.0, 0.0), (0.3, 0.2)]
                .iter()
                .flat_map(|k| (0..5).map(move |kind| (*k, kind)))
            {
                for steps in [1, 3, 20, 200] {
                    let (from, to) = (schedule.at_kappa(kappas.0), schedule.at_kappa(kappas.1));
                    if to.sigma == 0.0 && kind == 3 || !(from.t.is_finite() && to.t.is_finite()) {
                        continue; // lambda shows no end there
                    }
                    let rule = Grid::QuadraticT { start: from.t, end: to.t };
                    let Ok(grid) = rule.levels(&schedule, Some(steps)) else { continue };
                    for l in [0.5, 1.0, 2.0] {
                        let Some((path, draws)) = paths(&schedule, &grid, l, DIGITS, kind) else { continue };
                        let (finer, _) = paths(&schedule, &grid, l, 3.0 * DIGITS, kind).unwrap();
                        for c in [0.0, 1e-4, 0.3, 4.0] {
                            // The best coefficients are those of the exact kernel; 0 is as good as none.
                            for weights in [vec![0.0; draws], projections(&finer, c, draws)] {
                                let square = |path: &Path| path.square(0.0, c, 0.0, 0.0, 0.0, &weights);
                                let (got, want) = (square(&path), square(&finer));
                                // Where a fit is good, what is left is a difference of near-equal kernels.
                                let round_off = 1e-15 * want.sqrt();
                                let off = (got - want).abs();
                                assert!(
                                    off <= 1e-10 * want + round_off,
                                    "{schedule:?} {kappas:?} kind {kind}, {steps} steps, l = {l}, c = {c}: {got:e} for {want:e}"
                                );
                            }
                        }
                    }
                }
            }
        }
    }

    /// Coefficients of the draws that leave the least: the exact kernel's scalar products with theirs.
    fn projections(path: &Path, c: f64, draws: usize) -> Vec<f64> {
        let mut weights = vec![0.0; draws];
        let v_end = path.end.marginal_variance(c);
        for piece in &path.pieces {
            for node in &path.nodes[piece.nodes.clone()] {
                let v = node.alpha2 * c + node.sigma2;
                let exact = node.factor * (v_end / v).powf(0.5 * (1.0 + path.l));
                for (&k, psi) in piece.draws.iter().zip(node.kernels) {
                    weights[k] += node.weight * psi * exact;
                }
            }
        }
        weights
    }

    #[test]
    fn kernels_have_unit_norm_and_an_increment_is_independent_of_its_area() {
        let schedule = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };
        let grid = Grid::QuadraticT { start: 1.0, end: 1e-3 }.levels(&schedule, Some(7)).unwrap();
        for kind in 0..4 {
            let (path, _) = paths(&schedule, &grid, 1.0, DIGITS, kind).unwrap();
            for piece in &path.pieces {
                let product = |i: usize, j: usize| -> f64 {
                    path.nodes[piece.nodes.clone()]
                        .iter()
                        .map(|n| n.weight * n.kernels[i] * n.kernels[j])
                        .sum()
                };
                assert!((product(0, 0) - 1.0).abs() < 1e-12, "kind {kind}");
                if kind > 0 {
                    assert!((product(1, 1) - 1.0).abs() < 1e-12, "kind {kind}: {:e}", product(1, 1) - 1.0);
                    assert!(product(0, 1).abs() < 1e-12, "kind {kind}");
                }
            }
        }
    }

    #[test]
    fn draws_that_are_not_independent_have_no_strong_error() {
        let schedule = Schedule::Edm {};
        let at = |kappa| schedule.at_kappa(kappa);
        let grid = [at(3.0), at(2.0), at(1.0)];
        let none = |draws: &[Draw]| {
            let all: Vec<Draw> = std::iter::once(Draw::Fresh).chain(draws.iter().copied()).collect();
            Path::new(&schedule, &grid, &all, 1.0).is_none()
        };
        let (a, b, c) = (grid[0], grid[1], grid[2]);
        assert!(!none(&[]));
        assert!(!none(&[Draw::Increment(a, b)])); // a gap at the end
        assert!(!none(&[Draw::Increment(b, c)])); // and at the start
        assert!(!none(&[Draw::Fresh, Draw::Increment(a, b), Draw::Fresh, Draw::Increment(b, c)]));
        assert!(none(&[Draw::Increment(a, c), Draw::Increment(b, c)])); // overlap
        assert!(none(&[Draw::Increment(a, b), Draw::Increment(a, b)])); // the same twice
        assert!(none(&[Draw::Increment(b, c), Draw::Increment(a, b)])); // out of order
        assert!(none(&[Draw::Increment(at(4.0), b)])); // off the grid
        assert!(none(&[Draw::Increment(a, at(0.5))]));
        assert!(none(&[Draw::Increment(b, a)])); // upwards
        let (w, area) = (Draw::ClockIncrement(a, b, Clock::T), Draw::ClockArea(a, b, Clock::T));
        assert!(!none(&[w, area]));
        assert!(none(&[area, w]));
        assert!(none(&[w, area, area]));
        assert!(none(&[Draw::Increment(a, b), area]));
        assert!(none(&[Draw::ClockIncrement(a, b, Clock::Edm), area]));
        // From infinite noise only the flow has a distance.
        let (flow, grid) = (Schedule::Flow {}, [Schedule::Flow {}.at(1.0), Schedule::Flow {}.at(0.5)]);
        assert!(Path::new(&flow, &grid, &[Draw::Fresh], 0.0).is_some());
        assert!(Path::new(&flow, &grid, &[Draw::Fresh], 1.0).is_none());
    }
}
