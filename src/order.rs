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
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROUND_OFF: f64 = 1e-15;

    /// Errors at 8, 16, 32, ...
    fn ladder(errors: &[f64]) -> Vec<(usize, f64)> {
        errors.iter().enumerate().map(|(i, &e)| (8 << i, e)).collect()
    }

    /// `error` at 8, 16, ..., of as many rungs.
    fn of(rungs: usize, error: impl Fn(f64) -> f64) -> Vec<(usize, f64)> {
        (0..rungs).map(|i| (8 << i, error((8 << i) as f64))).collect()
    }

    fn verdict(points: &[(usize, f64)], claim: Claim) -> (Behaviour, Verdict) {
        let fit = fit(points, ROUND_OFF);
        (fit.behaviour, fit.verdict(&claim).0)
    }

    /// Errors with the given local orders on a doubling ladder.
    fn with_orders(orders: &[f64]) -> Vec<(usize, f64)> {
        let mut errors = vec![0.3];
        errors.extend(orders.iter().scan(0.3, |e, q| {
            *e *= (-q).exp2();
            Some(*e)
        }));
        ladder(&errors)
    }

    proptest! {
        #[test]
        fn a_power_law_gives_back_its_order_on_any_ladder(
            c in -14.0f64..14.0,
            p in prop_oneof![Just(0.5), Just(1.0), Just(2.0), Just(4.0), 0.2f64..6.0],
            mut steps in prop::collection::btree_set(2usize..100_000, 2..9),
        ) {
            steps.insert(3 * steps.first().unwrap());
            let points: Vec<_> = steps.iter().rev().map(|&n| (n, (c - p * (n as f64).ln()).exp())).collect();
            let fit = fit(&points, 0.0);
            prop_assert!((fit.order.unwrap() - p).abs() < 1e-9, "{fit:?}");
            prop_assert!(fit.stderr.unwrap() < 1e-9);
            prop_assert_eq!(fit.window, Some((*steps.first().unwrap(), *steps.last().unwrap())));
            prop_assert_eq!(fit.verdict(&Claim::Order(p)).0, Verdict::Pass);
            prop_assert_eq!(fit.verdict(&Claim::Order(p + 0.06)).0, Verdict::Fail);
            prop_assert_eq!(fit.verdict(&Claim::Exact).0, Verdict::Fail);
        }

        #[test]
        fn errors_that_end_in_growth_or_failure_have_no_order_and_never_pass(
            p in 0.2f64..4.0,
            head in prop::collection::vec(
                prop_oneof![
                    4 => Just(1.0),
                    1 => prop::sample::select(vec![0.0, f64::NAN, f64::INFINITY]),
                    1 => 1e-9f64..1e9,
                ],
                0..9,
            ),
            low in -28.0f64..3.0,
            rise in prop_oneof![Just(f64::NAN), Just(f64::INFINITY), 1.0001f64..1.2, 1f64..1e6],
            steps in prop_oneof![Just(vec![2.0; 9]), prop::collection::vec(1.1f64..12.0, 9)],
        ) {
            let mut n = 8.0;
            let mut points = Vec::new();
            for (factor, step) in head.iter().zip(&steps) {
                points.push((n as usize, factor * f64::powf(n, -p)));
                n = f64::ceil(n * step);
            }
            points.extend([(n as usize, low.exp()), (n as usize * 2, low.exp() * rise)]);
            let fit = fit(&points, ROUND_OFF);
            prop_assert_eq!(fit.order, None);
            for claim in [Claim::Order(p), Claim::Order(1.0), Claim::Exact, Claim::Floor] {
                prop_assert_ne!(fit.verdict(&claim).0, Verdict::Pass, "{:?} {:?}", claim, fit);
            }
        }
    }

    #[test]
    fn errors_that_fall_and_then_grow_or_fail_at_the_most_steps_fail_any_claim() {
        let fell = [1e-1, 5e-2, 2.5e-2, 1.25e-2, 6.25e-3];
        let ends: [&[f64]; 7] = [
            &[f64::NAN],
            &[f64::INFINITY],
            &[-1e-9],
            &[1e3],
            &[1e-2, 2e-2],
            &[1e-2, 1e1, 1e2],
            &[3.1e-3, f64::INFINITY, f64::NAN],
        ];
        for end in ends {
            let points = ladder(&[&fell[..], end].concat());
            for claim in [Claim::Order(1.0), Claim::Exact, Claim::Floor] {
                assert_eq!(verdict(&points, claim), (Behaviour::Diverging, Verdict::Fail), "{end:?}");
            }
        }
        // One rise that stays below the error of a quarter of the steps may be a change of sign.
        let points = ladder(&[&fell[..], &[7e-3]].concat());
        assert_eq!(verdict(&points, Claim::Order(1.0)), (Behaviour::PreAsymptotic, Verdict::Inconclusive));
    }

    #[test]
    fn instability_at_few_steps_does_not_count() {
        for head in [[f64::INFINITY, f64::NAN], [1e3, f64::INFINITY], [1e200, 1e9]] {
            let points = ladder(&[&head[..], &[4e-2, 1e-2, 2.5e-3]].concat());
            assert_eq!(verdict(&points, Claim::Order(2.0)), (Behaviour::Asymptotic, Verdict::Pass));
            assert_eq!(fit(&points, ROUND_OFF).window, Some((32, 128)));
        }
        // But an error that was smaller before it blew up has not been shown to converge.
        let points = ladder(&[1e-3, 5e-4, f64::INFINITY, 4e-1, 1e-1, 2.5e-2]);
        assert_eq!(verdict(&points, Claim::Order(2.0)), (Behaviour::PreAsymptotic, Verdict::Inconclusive));
    }

    #[test]
    fn another_order_than_the_claimed_one_fails_even_a_better_one() {
        let points = of(6, |n| 3.0 / (n * n) + 1.0 / n.powi(3));
        for (claimed, expected) in [(1.0, Verdict::Fail), (2.0, Verdict::Pass), (3.0, Verdict::Fail)] {
            assert_eq!(verdict(&points, Claim::Order(claimed)), (Behaviour::Asymptotic, expected));
        }
        let reason = fit(&points, ROUND_OFF).verdict(&Claim::Order(1.0)).1;
        assert!(reason.starts_with("measured 2.0") && reason.contains("claimed 1 lies outside"), "{reason}");
        assert_eq!(verdict(&points, Claim::Floor).1, Verdict::Inconclusive);
    }

    #[test]
    fn orders_that_still_drift_are_inconclusive_and_slow_drift_passes() {
        let cases: [(&[f64], Verdict); 8] = [
            (&[0.60, 0.75, 0.85], Verdict::Inconclusive),
            (&[0.85, 0.93, 0.965, 0.98], Verdict::Pass),
            (&[0.80, 0.84, 0.87, 0.89], Verdict::Inconclusive),
            (&[0.785, 0.79, 0.7925], Verdict::Fail),
            // On the way down to a floor: the last order has left the claim, or the fall speeds up.
            (&[0.99, 0.965, 0.94], Verdict::Inconclusive),
            (&[0.999, 0.998, 0.96], Verdict::Inconclusive),
            // Leaving a transient order of 3.
            (&[2.9975, 2.99, 2.96], Verdict::Inconclusive),
            (&[0.74, 1.26, 0.74, 1.26, 0.74], Verdict::Inconclusive),
        ];
        for (orders, expected) in cases {
            assert_eq!(verdict(&with_orders(orders), Claim::Order(1.0)).1, expected, "{orders:?}");
        }
        for rungs in 3..12 {
            let v = verdict(&of(rungs, |n| n.ln() / n), Claim::Order(1.0)).1;
            assert_eq!(v, Verdict::Inconclusive, "a logarithm is no other order");
        }
    }

    #[test]
    fn a_mixture_of_orders_has_none_until_the_lowest_rules() {
        let mut seen = Vec::new();
        for rungs in 3..14 {
            let fit = fit(&of(rungs, |n| 1.0 / n + 4096.0 / n.powi(3)), ROUND_OFF);
            assert!(fit.order.is_none_or(|p| (p - 1.0).abs() < 0.05 || p > 2.9), "{fit:?}");
            seen.push(fit.behaviour);
        }
        assert!(seen[1..5].iter().all(|b| *b == Behaviour::PreAsymptotic), "{seen:?}");
        assert!(seen[7..].iter().all(|b| *b == Behaviour::Asymptotic), "{seen:?}");
    }

    #[test]
    fn the_steep_fall_into_a_change_of_sign_is_no_order() {
        for zero in [24.0, 40.0, 64.0, 90.0] {
            for rungs in 3..12 {
                let points = of(rungs, |n| (1.0 / n - zero / (n * n)).abs());
                let fit = fit(&points, ROUND_OFF);
                assert!(fit.order.is_none_or(|p| (p - 1.0).abs() < 0.06), "{zero}: {fit:?}");
                assert_ne!(fit.behaviour, Behaviour::Diverging, "{zero}: {fit:?}");
            }
            let long = of(12, |n| (1.0 / n - zero / (n * n)).abs());
            assert_eq!(verdict(&long, Claim::Order(1.0)), (Behaviour::Asymptotic, Verdict::Pass));
        }
        // An error that vanishes at the most steps, far above round-off, is such a change too.
        let points = ladder(&[1e-1, 5e-2, 2.5e-2, 1.25e-2, 0.0]);
        assert_eq!(verdict(&points, Claim::Order(1.0)), (Behaviour::PreAsymptotic, Verdict::Inconclusive));
    }

    proptest! {
        #[test]
        fn noise_at_the_round_off_floor_is_neither_an_order_nor_divergence(
            noise in prop::collection::vec(-1.0f64..1.0, 12),
            c in 0.1f64..10.0,
        ) {
            let rung = |i: usize| (8usize << i, c * (8.0f64 * (1 << i) as f64).powi(-4) + ROUND_OFF * noise[i]);
            let points: Vec<_> = (0..12).map(rung).map(|(n, e)| (n, e.abs())).collect();
            let fit = fit(&points, ROUND_OFF);
            prop_assert!((fit.order.unwrap() - 4.0).abs() < 0.01, "{fit:?}");
            prop_assert!(fit.floor.unwrap() < CLEAR * ROUND_OFF);
            let only: Vec<_> = noise.iter().map(|z| z.abs() * ROUND_OFF).collect();
            prop_assert_eq!(verdict(&ladder(&only), Claim::Exact), (Behaviour::Exact, Verdict::Pass));
            prop_assert_eq!(verdict(&ladder(&only), Claim::Order(4.0)).1, Verdict::Inconclusive);
        }
    }

    #[test]
    fn round_off_before_three_points_is_inconclusive() {
        let points = ladder(&[1e-6, 1e-11, 3e-15, 0.0, 9e-15, 2e-14]);
        assert_eq!(verdict(&points, Claim::Order(8.0)), (Behaviour::RoundOff, Verdict::Inconclusive));
        assert_eq!(verdict(&points, Claim::Exact), (Behaviour::RoundOff, Verdict::Fail));
        assert_eq!(fit(&points, ROUND_OFF).floor, Some(2e-14));
        // What goes on as before still counts below 100 times round-off, down to round-off itself.
        let points = of(14, |n| 6.4e-12 / n);
        assert_eq!(fit(&points, ROUND_OFF).window, Some((8, 4096)));
        assert_eq!(fit(&points, 5.0 * ROUND_OFF).behaviour, Behaviour::RoundOff);
    }

    #[test]
    fn a_plateau_fails_an_order_once_three_points_show_it() {
        let claim = Claim::Order(1.0);
        let points = of(14, |n| 1e-3 + 1.0 / n);
        assert_eq!(verdict(&points, claim), (Behaviour::Plateau, Verdict::Fail));
        assert!((fit(&points, ROUND_OFF).floor.unwrap() - 1e-3).abs() < 2e-5);
        assert_eq!(verdict(&points, Claim::Floor), (Behaviour::Plateau, Verdict::Inconclusive));
        assert_eq!(verdict(&points[..8], claim), (Behaviour::PreAsymptotic, Verdict::Inconclusive));
        let two = with_orders(&[1.0, 1.0, 0.5, 0.0]);
        assert_eq!(verdict(&two, claim), (Behaviour::PreAsymptotic, Verdict::Inconclusive));
        // A floor approached from below is no divergence.
        for rungs in 5..14 {
            let fit = fit(&of(rungs, |n| (1e-2 - 0.2 / n).abs()), ROUND_OFF);
            assert_ne!(fit.verdict(&Claim::Floor).0, Verdict::Fail, "{fit:?}");
            assert_eq!(fit.order, None);
        }
    }

    #[test]
    fn exact_is_round_off_at_every_step_count() {
        let small = [1e-15, 0.0, 9e-14];
        assert_eq!(verdict(&ladder(&small), Claim::Exact).1, Verdict::Pass);
        assert_eq!(verdict(&ladder(&[small[0], 2e-13, 0.0]), Claim::Exact).1, Verdict::Fail);
        assert_eq!(verdict(&ladder(&[f64::INFINITY, 0.0, 0.0]), Claim::Exact).1, Verdict::Fail);
        assert_eq!(verdict(&[], Claim::Exact), (Behaviour::TooFew, Verdict::Inconclusive));
    }

    #[test]
    fn too_few_points_or_too_close_ones_have_no_order() {
        let near: Vec<_> = (100..110).map(|n| (n, 1.0 / n as f64)).collect();
        for points in [&near[..], &[], &[(8, 1.0)], &[(8, 1.0), (64, 0.125)], &[(8, 1.0), (64, 8.0)]] {
            assert_eq!(verdict(points, Claim::Order(1.0)), (Behaviour::TooFew, Verdict::Inconclusive));
        }
    }

    #[test]
    fn points_are_sorted_the_worse_of_two_counts_and_the_standard_error_is_that_of_a_line() {
        let points = [(32, 0.25), (8, 1.0), (0, 7.0), (16, 0.5), (16, 0.1), (32, 0.25)];
        let fit = fit(&points, 0.0);
        assert_eq!(fit.points, [(8, 1.0), (16, 0.5), (32, 0.25)]);
        assert_eq!(fit.local, [1.0, 1.0]);
        // Residuals of -1, 2, -1 thirds of 0.02 ln 2 about a slope of 1.02.
        let bent = super::fit(&with_orders(&[1.0, 1.04]), 0.0);
        assert!((bent.order.unwrap() - 1.02).abs() < 1e-12);
        assert!((bent.stderr.unwrap() - 0.04 / 12f64.sqrt()).abs() < 1e-12);
        let repeated = [&points[..], &[(32, f64::NAN)]].concat();
        assert_eq!(super::fit(&repeated, 0.0).behaviour, Behaviour::Diverging);
    }
}
