//! Two solvers on one problem, at as many model calls.
//!
//! Between its rows a solver's error is a straight line in the logarithms of calls and error, as in [`crate::reach`]; beyond
//! them nothing is said. On samples every run is cut into batches (a seed each, the same for all solvers), and whatever is
//! computed from errors is computed once more without each batch: the jackknife over batches, which sees that solvers share
//! their starts, reference samples and flows.

use super::confidence::student;
use crate::record::Measure;

/// A ratio beyond this (or of a run that failed) counts as this: one problem shall not speak for all.
pub const MOST_RATIO: f64 = 1e3;

/// A solver's errors on one problem.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its label.
    pub solver: String,
    /// Its runs, by calls.
    pub nodes: Vec<Node>,
    /// What power of the error nodes hold: that which is averaged over samples.
    pub power: i32,
    /// Whether the sampling floor was taken off, so that noise can hide the error.
    pub floored: bool,
}

/// An error at so many calls, as a power.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Model calls.
    pub calls: usize,
    /// From all samples; infinite where a run failed.
    pub all: f64,
    /// Without each batch; none of exact laws.
    pub without: Vec<f64>,
}

/// How a point is told from a tie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Margin(pub f64);

/// Two solvers at as many calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Model calls.
    pub calls: usize,
    /// Errors; below 0 where a distance of samples is below its sampling floor.
    pub errors: [f64; 2],
    /// `ln` of the first's error by the second's, at most [`MOST_RATIO`] either way. An error that is not seen above noise
    /// counts as the most it may be, up to that of the other; where neither is seen, this is 0.
    pub ln_ratio: f64,
    /// Standard error of that, where both are seen on samples.
    pub ln_stderr: Option<f64>,
    /// Of the first.
    pub outcome: Outcome,
}

/// Of the first of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Its error is smaller, by more than margin and noise.
    Win,
    /// Neither.
    Tie,
    /// Its error is larger, by more than both.
    Loss,
}

impl Outcome {
    /// In lower case.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Win => "win",
            Outcome::Tie => "tie",
            Outcome::Loss => "loss",
        }
    }
}

impl Node {
    /// From the values of batches of equal size; infinite if one of them failed.
    pub fn of_batches(calls: usize, values: &[f64]) -> Self {
        let (sum, n) = (values.iter().sum::<f64>(), values.len() as f64);
        if !sum.is_finite() {
            return Node { calls, all: f64::INFINITY, without: vec![f64::INFINITY; values.len()] };
        }
        let without = values.iter().map(|v| (sum - v) / (n - 1.0)).collect();
        Node { calls, all: sum / n, without }
    }

    /// Of an exact law.
    pub fn exact(calls: usize, value: f64) -> Self {
        Node { calls, all: value, without: Vec::new() }
    }

    /// Half the 95 % interval of the value.
    fn reach(&self) -> f64 {
        reach(&self.without)
    }

    fn positive(&self) -> bool {
        self.all > 0.0 && self.without.iter().all(|v| *v > 0.0)
    }
}

impl Curve {
    /// The error at so many calls: none beyond the first and last row.
    pub fn at(&self, calls: usize) -> Option<Node> {
        let k = self.nodes.partition_point(|n| n.calls < calls);
        let right = self.nodes.get(k)?;
        if right.calls == calls {
            return Some(right.clone());
        }
        let left = &self.nodes[k.checked_sub(1)?];
        let share = (calls as f64 / left.calls as f64).ln() / (right.calls as f64 / left.calls as f64).ln();
        // What is drowned in noise may be below 0, and has no logarithm.
        let logs = left.positive() && right.positive();
        let between = |a: f64, b: f64| match (a.is_finite() && b.is_finite(), logs) {
            (false, _) => f64::INFINITY,
            (true, true) => (a.ln() + share * (b.ln() - a.ln())).exp(),
            (true, false) => a + share * (b - a),
        };
        let without = left.without.iter().zip(&right.without).map(|(a, b)| between(*a, *b)).collect();
        Some(Node { calls, all: between(left.all, right.all), without })
    }

    /// The error whose power a value is, with its sign.
    pub fn root(&self, value: f64) -> f64 {
        if self.power == 1 { value } else { value.abs().powf(1.0 / f64::from(self.power)).copysign(value) }
    }

    /// The error of a node, or the most that it may be where it is not seen above noise.
    pub fn upper(&self, node: &Node) -> f64 {
        self.root(if self.sees(node) { node.all } else { node.all.max(0.0) + node.reach() })
    }

    /// Whether the error stands out from noise.
    fn sees(&self, node: &Node) -> bool {
        !self.floored || (node.positive() && node.all > node.reach())
    }

    /// Half the 95 % interval of the error, and whether it is seen above noise; none of exact laws.
    pub fn uncertainty(&self, node: &Node) -> Option<(f64, bool)> {
        if node.without.is_empty() || !node.all.is_finite() {
            return None;
        }
        if !self.sees(node) {
            return Some((0.0, false));
        }
        // d x^(1/p) = x^(1/p) dx/(p x)
        Some((self.root(node.all) * node.reach() / (f64::from(self.power) * node.all), true))
    }

    fn range(&self) -> Option<(usize, usize)> {
        Some((self.nodes.first()?.calls, self.nodes.last()?.calls))
    }
}

/// Calls at which two are compared: those of the ladder that both ranges hold (one just beyond an end is moved there, as a
/// solver of three calls a step has none of 40); without a ladder, all that either has a row at.
pub fn meetings(a: &Curve, b: &Curve, ladder: Option<&[usize]>) -> Vec<usize> {
    let (Some(of_a), Some(of_b)) = (a.range(), b.range()) else { return Vec::new() };
    let (low, high) = (of_a.0.max(of_b.0), of_a.1.min(of_b.1));
    if low > high {
        return Vec::new();
    }
    let mut calls: Vec<usize> = match ladder {
        None => {
            a.nodes.iter().chain(&b.nodes).map(|n| n.calls).filter(|c| (low..=high).contains(c)).collect()
        }
        Some(ladder) => {
            let apart = |x: usize, y: usize| (x as f64 / y as f64).ln().abs();
            let nearest =
                |to: usize| ladder.iter().copied().min_by(|x, y| apart(*x, to).total_cmp(&apart(*y, to)));
            let place = |&c: &usize| match c.clamp(low, high) {
                same if same == c => Some(c),
                end => (nearest(end) == Some(c)).then_some(end),
            };
            ladder.iter().filter_map(place).collect()
        }
    };
    calls.sort_unstable();
    calls.dedup();
    calls
}

/// Two solvers at so many calls, which both ranges must hold.
pub fn point(a: &Curve, b: &Curve, calls: usize, margin: Margin) -> Option<Point> {
    let (x, y) = (a.at(calls)?, b.at(calls)?);
    let errors = [a.root(x.all), b.root(y.all)];
    let made = |ln_ratio: f64, ln_stderr, seen: bool| {
        let most = MOST_RATIO.ln();
        let ln_ratio = ln_ratio.clamp(-most, most);
        let outcome = match seen && ln_ratio.abs() > margin.0.ln_1p() {
            false => Outcome::Tie,
            true if ln_ratio < 0.0 => Outcome::Win,
            true => Outcome::Loss,
        };
        Some(Point { calls, errors, ln_ratio, ln_stderr, outcome })
    };
    match (x.all.is_finite(), y.all.is_finite()) {
        (false, false) => return made(0.0, None, false),
        (false, true) => return made(f64::INFINITY, None, true),
        (true, false) => return made(f64::NEG_INFINITY, None, true),
        (true, true) => {}
    }
    let power = f64::from(a.power);
    let ln = |x: f64, y: f64| (x / y).ln() / power;
    if a.sees(&x) && b.sees(&y) {
        let without: Vec<f64> = x.without.iter().zip(&y.without).map(|(x, y)| ln(*x, *y)).collect();
        let ln_ratio = ln(x.all, y.all);
        let ln_stderr = (!without.is_empty()).then(|| jackknife(&without));
        return made(ln_ratio, ln_stderr, ln_ratio.abs() > reach(&without));
    }
    // A distance of samples, and at least one that noise hides.
    let difference: Vec<f64> = x.without.iter().zip(&y.without).map(|(x, y)| x - y).collect();
    let seen = (x.all - y.all).abs() > reach(&difference);
    let (x, y) = (a.upper(&x).powi(a.power), b.upper(&y).powi(b.power));
    match errors[0] < errors[1] {
        _ if !seen => made(0.0, None, false),
        true => made(ln(x, y).min(0.0), None, true),
        false => made(ln(x, y).max(0.0), None, true),
    }
}

/// Standard error from values without one batch each.
fn jackknife(without: &[f64]) -> f64 {
    let n = without.len() as f64;
    let mean = without.iter().sum::<f64>() / n;
    ((n - 1.0) / n * without.iter().map(|v| (v - mean).powi(2)).sum::<f64>()).sqrt()
}

/// Half a 95 % interval; nothing for exact values.
fn reach(without: &[f64]) -> f64 {
    if without.is_empty() { 0.0 } else { student(without.len() - 1) * jackknife(without) }
}

/// What of a measure is averaged over samples: of the power that [`power`] says.
pub fn averaged(measure: &Measure) -> f64 {
    let value = measure.value.unwrap_or(f64::INFINITY);
    match (measure.metric.as_str(), measure.excess) {
        (_, Some(excess)) => excess,
        ("rmse", None) => value * value,
        // Of squares already, or no mean at all.
        _ => value,
    }
}

/// The power of the error that is averaged over samples, and whether that has a sampling floor taken off.
pub fn power(metric: &str) -> (i32, bool) {
    match metric {
        "rmse" => (2, false),
        "median_error" => (1, false),
        "sliced_w1" => (1, true),
        _ => (2, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(nodes: &[(usize, f64)]) -> Curve {
        let nodes = nodes.iter().map(|&(calls, error)| Node::exact(calls, error)).collect();
        Curve { solver: "a".into(), nodes, power: 1, floored: false }
    }

    fn sampled(floored: bool, batches: &[(usize, [f64; 4])]) -> Curve {
        let nodes = batches.iter().map(|(calls, values)| Node::of_batches(*calls, values)).collect();
        Curve { solver: "a".into(), nodes, power: 2, floored }
    }

    const FIVE: Margin = Margin(0.05);

    #[test]
    fn errors_between_rows_lie_on_a_straight_line_in_the_logarithms_and_there_are_none_beyond() {
        let a = curve(&[(4, 4f64.powi(-3)), (10, 1e-3), (40, 40f64.powi(-3))]);
        for calls in [4, 5, 7, 10, 20, 39, 40] {
            let error = a.at(calls).expect("within").all;
            assert!((error * (calls as f64).powi(3) - 1.0).abs() < 1e-12, "{calls}: {error}");
        }
        assert_eq!((a.at(3), a.at(41), curve(&[]).at(4)), (None, None, None));
        // Squares lie on the line of their roots.
        let b = sampled(false, &[(4, [4f64.powi(-6); 4]), (40, [40f64.powi(-6); 4])]);
        let error = b.root(b.at(20).expect("within").all);
        assert!((error * 8000.0 - 1.0).abs() < 1e-12, "{error}");
    }

    #[test]
    fn a_failed_run_spoils_what_lies_between_it_and_the_next() {
        let a = curve(&[(4, f64::INFINITY), (10, 1e-1), (20, 1e-2)]);
        assert_eq!(a.at(7).map(|n| n.all), Some(f64::INFINITY));
        assert_eq!(a.at(10).map(|n| n.all), Some(1e-1));
        let b = curve(&[(4, 1.0), (20, 1.0)]);
        let outcomes = [5, 10].map(|c| point(&a, &b, c, FIVE).map(|p| (p.outcome, p.ln_ratio.exp())));
        assert_eq!(outcomes[0].map(|o| o.0), Some(Outcome::Loss));
        assert!((outcomes[0].map_or(0.0, |o| o.1) / MOST_RATIO - 1.0).abs() < 1e-12);
        assert_eq!(outcomes[1].map(|o| o.0), Some(Outcome::Win));
        let both = point(&a, &a, 5, FIVE).expect("within");
        assert_eq!((both.outcome, both.ln_ratio), (Outcome::Tie, 0.0));
    }

    #[test]
    fn solvers_meet_where_both_have_rows_on_either_side() {
        let ladder = [5, 7, 10, 14, 20, 28, 40];
        let one = curve(&ladder.map(|c| (c, 1.0)));
        let two = curve(&[4, 6, 10, 14, 20, 28, 40].map(|c| (c, 1.0)));
        let three = curve(&[3, 6, 9, 12, 18, 27, 39].map(|c| (c, 1.0)));
        let late = curve(&[(6, 1.0), (40, 1.0)]);
        let adaptive = curve(&[(23, 1.0)]);
        let far = curve(&[(57, 1.0)]);
        assert_eq!(meetings(&one, &two, Some(&ladder)), ladder);
        assert_eq!(meetings(&one, &three, Some(&ladder)), [5, 7, 10, 14, 20, 28, 39]);
        assert_eq!(meetings(&one, &late, Some(&ladder)), [7, 10, 14, 20, 28, 40]);
        assert_eq!(meetings(&one, &adaptive, Some(&ladder)), [23]);
        assert!(meetings(&one, &far, Some(&ladder)).is_empty());
        assert_eq!(meetings(&one, &three, None), [5, 6, 7, 9, 10, 12, 14, 18, 20, 27, 28, 39]);
        for (a, b) in [(&one, &three), (&two, &late), (&three, &adaptive)] {
            assert_eq!(meetings(a, b, Some(&ladder)), meetings(b, a, Some(&ladder)));
            assert!(meetings(a, b, Some(&ladder)).iter().all(|c| point(a, b, *c, FIVE).is_some()));
        }
    }

    #[test]
    fn what_differs_by_the_margin_or_less_is_a_tie_both_ways() {
        let b = curve(&[(10, 1.0)]);
        for (error, outcome, turned) in [
            (1.0, Outcome::Tie, Outcome::Tie),
            (1.04, Outcome::Tie, Outcome::Tie),
            (1.06, Outcome::Loss, Outcome::Win),
            (0.96, Outcome::Tie, Outcome::Tie),
            (0.94, Outcome::Win, Outcome::Loss),
        ] {
            let a = curve(&[(10, error)]);
            let (one, other) = (point(&a, &b, 10, FIVE), point(&b, &a, 10, FIVE));
            assert_eq!(one.map(|p| p.outcome), Some(outcome), "{error}");
            assert_eq!(other.map(|p| p.outcome), Some(turned), "{error}");
            assert!((one.map_or(0.0, |p| p.ln_ratio) + other.map_or(0.0, |p| p.ln_ratio)).abs() < 1e-15);
        }
    }

    #[test]
    fn noise_that_two_share_does_not_hide_their_difference_and_noise_that_they_do_not_does() {
        let shared = [4.0, 2.0, 1.0, 3.0];
        let b = sampled(false, &[(10, shared)]);
        let a = sampled(false, &[(10, shared.map(|v| 0.81 * v))]);
        let p = point(&a, &b, 10, FIVE).expect("met");
        assert_eq!(p.outcome, Outcome::Win);
        assert!((p.ln_ratio - 0.9f64.ln()).abs() < 1e-12 && p.ln_stderr.is_some_and(|s| s < 1e-12));
        let a = sampled(false, &[(10, [1.0, 3.0, 4.0, 0.1])]);
        let p = point(&a, &b, 10, FIVE).expect("met");
        assert!(p.ln_ratio < -0.05 && p.outcome == Outcome::Tie, "{p:?}");
    }

    #[test]
    fn the_jackknife_of_a_mean_is_its_standard_error() {
        let node = Node::of_batches(10, &[4.0, 2.0, 1.0, 3.0]);
        // Squared deviations sum to 5: 5/(4 * 3).
        assert!((jackknife(&node.without) - (5.0f64 / 12.0).sqrt()).abs() < 1e-12 && node.all == 2.5);
    }

    #[test]
    fn errors_that_noise_hides_count_as_the_most_they_may_be() {
        let unseen = sampled(true, &[(10, [0.01, -0.01, 0.02, -0.02])]);
        let seen = sampled(true, &[(10, [4.0, 4.1, 3.9, 4.0])]);
        let p = point(&unseen, &seen, 10, FIVE).expect("met");
        let most = student(3) * jackknife(&unseen.nodes[0].without);
        assert!((p.ln_ratio - 0.5 * (most / 4.0).ln()).abs() < 1e-12 && p.outcome == Outcome::Win, "{p:?}");
        let turned = point(&seen, &unseen, 10, FIVE).expect("met");
        assert!(turned.ln_ratio == -p.ln_ratio && turned.outcome == Outcome::Loss);
        let both = point(&unseen, &sampled(true, &[(10, [-0.01, 0.01, 0.01, 0.0])]), 10, FIVE).expect("met");
        assert_eq!((both.ln_ratio, both.outcome), (0.0, Outcome::Tie));
    }

    #[test]
    fn a_distance_from_the_exact_flow_is_an_error_however_unsure() {
        // One sample in four near a divide.
        let a = sampled(false, &[(10, [1e-6, 1e-6, 1e-6, 4.0])]);
        assert_eq!(a.upper(&a.nodes[0]), a.root(a.nodes[0].all));
        let b = sampled(false, &[(10, [4e-6, 4e-6, 4e-6, 4.0])]);
        let p = point(&a, &b, 10, FIVE).expect("met");
        assert!(p.outcome == Outcome::Tie && p.ln_ratio < 0.0);
    }
}
