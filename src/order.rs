//! The order at which errors fall as steps are added, and whether it bears out what a solver claims.
//!
//! ```
//! use scorebench::{order::{self, Verdict}, solver::Claim};
//! let fit = order::fit(&[(16, 4.2e-2), (32, 2.05e-2), (64, 1.01e-2), (128, 5.03e-3)], 1e-14);
//! assert!((fit.order.unwrap() - 1.02).abs() < 0.01);
//! assert_eq!(fit.verdict(&Claim::Order(1.0)).0, Verdict::Pass);
//! ```
//!
//! The order is the slope of `-ln error` on `ln steps` over the *window*: the longest run of last points, clear of
//! round-off, whose local orders stay within [`TOLERANCE`] of the last one. It has three points or more over at
//! least a factor of 3 in steps, and the local orders in it have stopped bending; else there is no order.
//!
//! The end of the ladder decides. Runs that fail at few steps are passed over, but errors that grow (or fail) at the
//! most steps leave no order, however nicely they fell before: an average such as |mean log2 ratio| cannot see that.
//! No test of this kind sees beyond the ladder: a floor far below the last error leaves no trace.

use std::fmt;

use crate::solver::Claim;

pub mod noisy;

/// The least-squares slope of `ln |y|` on `ln x`; none of fewer than two places, or where a number has no logarithm.
pub fn log_slope(points: &[(f64, f64)]) -> Option<f64> {
    let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.abs().ln())).collect();
    let n = logs.len() as f64;
    let mean = |f: fn(&(f64, f64)) -> f64| logs.iter().map(f).sum::<f64>() / n;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let across: f64 = logs.iter().map(|p| (p.0 - x).powi(2)).sum();
    let slope = logs.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>() / across;
    slope.is_finite().then_some(slope)
}

/// A claimed order holds if the measured one, and the last local one, are within this of it.
pub const TOLERANCE: f64 = 0.05;
/// Errors of up to this many times the given round-off may be nothing else.
pub const CLEAR: f64 = 100.0;
/// Neighbours on a fine ladder always agree: a window, or a rise, is one over this ratio of steps.
const SPAN: f64 = 3.0;
/// Below this order, the error does not fall.
const FLAT: f64 = 0.1;
/// Differences of local orders shrink towards a limit; they may grow by this much (noise).
const BEND: f64 = 0.02;
/// A claim is out of reach if as many more rungs, each with the last change of local order, do not lead to it.
const REACH: f64 = 8.0;
/// A rise that slows down faster than this from rung to rung may end: at a floor, or behind a change of sign.
const SLOWING: f64 = 0.8;

/// What the errors say.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// Fitted order, always positive; only where `behaviour` is [`Behaviour::Asymptotic`].
    pub order: Option<f64>,
    /// Its standard error, from the residuals: how far from a straight line, not how far from the limit.
    pub stderr: Option<f64>,
    /// Smallest and largest step count of the fit.
    pub window: Option<(usize, usize)>,
    /// Error at which it stops falling: the last one on a plateau, or the largest taken for round-off.
    pub floor: Option<f64>,
    /// What the errors do at the most steps.
    pub behaviour: Behaviour,
    /// Orders between neighbours of `points`, of either sign; NaN beside a failed run, infinite beside a zero.
    pub local: Vec<f64>,
    /// Step counts and errors by rising step count, each once; NaN or infinite where the run failed.
    pub points: Vec<(usize, f64)>,
}

/// What errors do at the largest step counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Fall with a settled order.
    Asymptotic,
    /// None of the others yet: local orders drift, or jump as where the error changes its sign.
    PreAsymptotic,
    /// Stay at a level above round-off.
    Plateau,
    /// Reach round-off before an order settles.
    RoundOff,
    /// Are within [`CLEAR`] times round-off wherever there is one.
    Exact,
    /// Grow, or are not finite.
    Diverging,
    /// Cannot tell: fewer than three, or over too small a range of steps.
    TooFew,
}

/// Whether a claim is borne out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Pass,
    /// It is not.
    Fail,
    /// These errors do not tell, or nothing is claimed.
    Inconclusive,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Inconclusive => "inconclusive",
        })
    }
}

/// Fits an order to `(steps, error)` in any order. `round_off` is the size of error that rounding alone explains.
///
/// A run that failed has a NaN or infinite error (a negative one is taken for NaN): leave out only what was never
/// run. Of two points with the same step count the worse counts; a step count of 0 is ignored.
pub fn fit(points: &[(usize, f64)], round_off: f64) -> Fit {
    let points = tidy(points);
    let local = points.windows(2).map(|w| local_order(w[0], w[1])).collect();
    let behaviour = Behaviour::TooFew;
    let mut fit = Fit { order: None, stderr: None, window: None, floor: None, behaviour, local, points };
    fit.behaviour = fit.judge(round_off.max(0.0));
    fit
}

impl Fit {
    /// Fills in `order`, `stderr`, `window` and `floor`, and says what the errors do.
    fn judge(&mut self, round_off: f64) -> Behaviour {
        let n = self.points.len();
        let start = self.points.iter().rposition(|p| !p.1.is_finite()).map_or(0, |i| i + 1);
        if n == 0 {
            return Behaviour::TooFew;
        } else if start == n {
            return Behaviour::Diverging;
        } else if self.points.iter().all(|p| p.1.is_nan() || p.1 <= CLEAR * round_off) {
            return Behaviour::Exact;
        }
        let end = self.end_above(round_off, start);
        self.floor = self.points[end..].iter().map(|p| p.1).reduce(f64::max);
        if end == n && self.grows(start) {
            return Behaviour::Diverging;
        }
        let Some(from) = self.window_start(start, end) else {
            let wide = |p: &[(usize, f64)]| p.len() > 2 && ratio(p[0], p[p.len() - 1]) >= SPAN;
            return match end {
                _ if end < n => Behaviour::RoundOff,
                _ if wide(&self.points[start..]) => Behaviour::PreAsymptotic,
                _ => Behaviour::TooFew,
            };
        };
        let (order, stderr) = slope(&self.points[from..end]);
        let (steps, error) = self.points[end - 1];
        if order.abs() <= FLAT {
            self.floor = Some(error);
            return Behaviour::Plateau;
        }
        // A change of sign leaves one small error behind; two of them (as in any window of negative order), and the
        // error has grown on the whole.
        let grown = self.points[..end].iter().filter(|p| p.1 < error).count() > 1;
        // A fall to round-off that the order does not explain is a change of sign too.
        let expected = |p: &(usize, f64)| error * ratio((steps, error), *p).powf(-order);
        let dropped = self.points.get(end).is_some_and(|p| expected(p) > 2.0 * CLEAR * round_off);
        if grown || dropped {
            self.floor = None;
            return Behaviour::PreAsymptotic;
        }
        (self.order, self.stderr) = (Some(order), Some(stderr));
        self.window = Some((self.points[from].0, steps));
        Behaviour::Asymptotic
    }

    /// The end of the points from `start` that are not round-off: those behind the last one that is clear of it
    /// still count as long as they go on in the same way.
    fn end_above(&self, round_off: f64, start: usize) -> usize {
        let clear = self.points[start..].iter().rposition(|p| p.1 > CLEAR * round_off);
        let mut end = clear.map_or(start, |i| start + i + 1);
        while end < self.points.len()
            && end >= start + 2
            && self.points[end].1 > round_off
            && (self.local[end - 1] - self.local[end - 2]).abs() <= BEND
        {
            end += 1;
        }
        end
    }

    /// Whether the errors from `start` end in a rise that no change of sign explains: above what they were [`SPAN`]
    /// times fewer steps ago (a dip between two of them does not lift the second above the first).
    fn grows(&self, start: usize) -> bool {
        let n = self.points.len();
        let [.., previous, last] = self.local[start..] else { return false };
        let error = self.points[n - 1].1;
        let before = &self.points[start..n - 2];
        let dying = previous < 0.0 && last > SLOWING * previous && before.iter().any(|p| p.1 > error);
        let earlier = before.iter().rev().find(|p| ratio(**p, self.points[n - 1]) >= SPAN);
        last < -FLAT && !dying && earlier.is_some_and(|p| p.1 < error)
    }

    /// Where the window that ends at `end` starts, if there is one.
    fn window_start(&self, start: usize, end: usize) -> Option<usize> {
        let local = self.local[start..].get(..(end - start).checked_sub(1)?)?;
        let last = local.last()?;
        if let [.., a, b, c] = local
            && (c - b).abs() > (b - a).abs() + BEND
        {
            return None;
        }
        let outside = local.iter().rposition(|q| (q - last).abs().is_nan() || (q - last).abs() > TOLERANCE);
        let from = start + outside.map_or(0, |i| i + 1);
        (end - from > 2 && ratio(self.points[from], self.points[end - 1]) >= SPAN).then_some(from)
    }

    /// Whether the errors bear out `claim`, and why, in words.
    ///
    /// Whatever the claim, diverging errors fail. [`Claim::Exact`] passes on round-off at every step count.
    /// [`Claim::Order`] passes on an order within [`TOLERANCE`] and fails on another order or on a plateau;
    /// while local orders still move towards the claim, or there is no order, nothing is concluded.
    pub fn verdict(&self, claim: &Claim) -> (Verdict, String) {
        let says = self.describe();
        match (claim, self.behaviour) {
            (_, Behaviour::Diverging) => (Verdict::Fail, says),
            (Claim::Floor, _) => (Verdict::Inconclusive, format!("no order is claimed; {says}")),
            (Claim::Exact, Behaviour::Exact) => (Verdict::Pass, says),
            (Claim::Exact, _) => {
                match self.points.iter().max_by(|a, b| a.1.max(0.0).total_cmp(&b.1.max(0.0))) {
                    Some((steps, error)) => (
                        Verdict::Fail,
                        format!("claimed exact, but the error is {error:.3e} at {steps} steps"),
                    ),
                    None => (Verdict::Inconclusive, says),
                }
            }
            (Claim::Order(_), Behaviour::Plateau) => (Verdict::Fail, says),
            (Claim::Order(claimed), Behaviour::Asymptotic) => self.compare(*claimed, says),
            (Claim::Order(_), _) => (Verdict::Inconclusive, says),
        }
    }

    /// The verdict on a claimed order where there is a measured one.
    fn compare(&self, claimed: f64, says: String) -> (Verdict, String) {
        let (_, to) = self.window.expect("an asymptotic fit has a window");
        let end = self.points.partition_point(|p| p.0 < to);
        let (previous, last) = (self.local[end - 2], self.local[end - 1]);
        let off = |order: f64| (order - claimed).abs();
        let hits = self.order.iter().chain([&last]).filter(|q| off(**q) <= TOLERANCE).count();
        let reach = REACH * (off(previous) - off(last));
        if hits == 2 {
            (Verdict::Pass, format!("{says}: within {TOLERANCE} of the claimed {claimed}"))
        } else if hits == 1 || off(last) - TOLERANCE <= reach {
            let drift = format!("but local orders still move ({previous:.3}, {last:.3})");
            (Verdict::Inconclusive, format!("{says}, {drift}: the claimed {claimed} is not settled"))
        } else {
            (Verdict::Fail, format!("{says}: the claimed {claimed} lies outside +-{TOLERANCE}"))
        }
    }

    /// The behaviour in words.
    fn describe(&self) -> String {
        let (steps, error) = self.points.last().copied().unwrap_or_default();
        let number = |x: Option<f64>| x.unwrap_or(f64::NAN);
        let (from, to) = self.window.unwrap_or_default();
        match self.behaviour {
            Behaviour::Asymptotic => {
                let (order, stderr) = (number(self.order), number(self.stderr));
                format!("measured {order:.3} (standard error {stderr:.1e}) from {from} to {to} steps")
            }
            Behaviour::PreAsymptotic => {
                let last = self.local.iter().rev().take(4).rev();
                let list: Vec<_> = last.map(|q| format!("{q:.2}")).collect();
                format!(
                    "no settled order (drift, a change of sign or a rise on the way): ..., {}",
                    list.join(", ")
                )
            }
            Behaviour::Plateau => format!("the error stays at {:.3e}, above round-off", number(self.floor)),
            Behaviour::RoundOff => {
                "the error reaches round-off before three points show a settled order".into()
            }
            Behaviour::Exact => "every error is no more than round-off".into(),
            Behaviour::Diverging if error.is_finite() => {
                format!("diverging: the error grows to {error:.3e} at {steps} steps, the most there are")
            }
            Behaviour::Diverging => {
                format!("diverging: no finite error at {steps} steps, the most there are")
            }
            Behaviour::TooFew => {
                format!("fewer than three errors, or over less than a factor of {SPAN} in steps")
            }
        }
    }
}

/// Points by rising step count, the worst of each.
fn tidy(points: &[(usize, f64)]) -> Vec<(usize, f64)> {
    let valid = points.iter().filter(|p| p.0 > 0);
    let mut points: Vec<_> = valid.map(|&(n, e)| (n, if e < 0.0 { f64::NAN } else { e.abs() })).collect();
    // NaN is the largest in the total order of numbers without a sign.
    points.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
    points.dedup_by_key(|p| p.0);
    points
}

/// Steps of `b` to steps of `a`.
fn ratio(a: (usize, f64), b: (usize, f64)) -> f64 {
    b.0 as f64 / a.0 as f64
}

/// The order between two points.
fn local_order(a: (usize, f64), b: (usize, f64)) -> f64 {
    if a.1.is_finite() && b.1.is_finite() { (a.1.ln() - b.1.ln()) / ratio(a, b).ln() } else { f64::NAN }
}

/// Least squares of `-ln error` on `ln steps`: the slope and its standard error.
fn slope(points: &[(usize, f64)]) -> (f64, f64) {
    let n = points.len() as f64;
    let xy: Vec<_> = points.iter().map(|p| ((p.0 as f64).ln(), -p.1.ln())).collect();
    let (x0, y0) = xy.iter().fold((0.0, 0.0), |m, p| (m.0 + p.0 / n, m.1 + p.1 / n));
    let sum = |f: &dyn Fn(f64, f64) -> f64| xy.iter().map(|p| f(p.0 - x0, p.1 - y0)).sum::<f64>();
    let sxx = sum(&|x, _| x * x);
    let slope = sum(&|x, y| x * y) / sxx;
    let residuals = sum(&|x, y| (y - slope * x).powi(2));
    (slope, (residuals / (n - 2.0) / sxx).sqrt())
}

#[cfg(test)]
mod tests;
