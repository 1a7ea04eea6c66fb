//! From errors to tables: points, problems, standings, and calls until an error is small enough.

use super::compare::{Curve, Margin, Node, Outcome, Point, meetings, point};
use super::confidence::{least_p, mean_interval, sign_test};
use super::{CallsRow, Contest, PointRow, ProblemRow, Standing, holm};
use crate::reach::calls_to;
use crate::record::Row;
use crate::suite::Kind;

/// Claims of a difference are wrong at most so often, where there is none.
const LEVEL: f64 = 0.05;

/// Every point of the new solver (the first label) with every other, and their count on each problem.
pub(super) fn points(
    labels: &[String],
    contests: &[Contest],
    margin: Margin,
) -> (Vec<PointRow>, Vec<ProblemRow>) {
    let (mut points, mut problems) = (Vec::new(), Vec::new());
    for contest in contests {
        let of = |label: &String| contest.curves.iter().find(|c| c.solver == *label);
        for against in &labels[1..] {
            let (Some(new), Some(old)) = (of(&labels[0]), of(against)) else { continue };
            let calls = meetings(new, old, contest.calls.as_deref());
            let met: Vec<_> = calls.iter().filter_map(|c| point(new, old, *c, margin)).collect();
            points.extend(met.iter().map(|p| PointRow {
                problem: contest.name.clone(),
                metric: contest.metric.clone(),
                solver: labels[0].clone(),
                against: against.clone(),
                calls: p.calls,
                error: Some(p.errors[0]),
                error_against: Some(p.errors[1]),
                ratio: Some(p.ln_ratio.exp()),
                ln_stderr: p.ln_stderr,
                outcome: p.outcome.name().into(),
            }));
            let count = |outcome| met.iter().filter(|p| p.outcome == outcome).count();
            let mean = met.iter().map(|p| p.ln_ratio).sum::<f64>() / met.len() as f64;
            let shown = |p: &Point| if p.outcome == Outcome::Tie { 0.0 } else { p.ln_ratio };
            let outcome = median(met.iter().map(shown).collect()).map_or("", |middle| match middle {
                m if m < 0.0 => "won",
                m if m > 0.0 => "lost",
                _ => "tied",
            });
            problems.push(ProblemRow {
                problem: contest.name.clone(),
                kind: kind_name(contest.kind).into(),
                metric: contest.metric.clone(),
                solver: labels[0].clone(),
                against: against.clone(),
                wins: count(Outcome::Win),
                ties: count(Outcome::Tie),
                losses: count(Outcome::Loss),
                ratio: (!met.is_empty()).then(|| mean.exp()),
                outcome: outcome.into(),
            });
        }
    }
    (points, problems)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    (n > 0).then(|| 0.5 * (values[(n - 1) / 2] + values[n / 2]))
}

pub(super) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Spectrum => "spectrum",
        Kind::Mixture => "mixture",
        Kind::Images => "images",
    }
}

/// One row a baseline.
pub(super) fn standings(labels: &[String], problems: &[ProblemRow], seed: u64) -> Vec<Standing> {
    let mut standings: Vec<Standing> = labels[1..]
        .iter()
        .map(|against| {
            // Without a point there is no problem.
            let mine: Vec<&ProblemRow> =
                problems.iter().filter(|p| p.against == *against && p.ratio.is_some()).collect();
            standing(&labels[0], against, &mine, seed)
        })
        .collect();
    let p_values: Vec<f64> = standings.iter().filter_map(|s| s.p_value).collect();
    for (standing, p_holm) in standings.iter_mut().zip(holm(&p_values)) {
        standing.p_holm = Some(p_holm);
        let (low, high) = (standing.ratio_low.unwrap_or(0.0), standing.ratio_high.unwrap_or(f64::INFINITY));
        standing.verdict = match p_holm <= LEVEL {
            true if standing.won > standing.lost && high < 1.0 => "better",
            true if standing.lost > standing.won && low > 1.0 => "worse",
            _ => "undecided",
        }
        .into();
    }
    standings
}

fn standing(solver: &str, against: &str, problems: &[&ProblemRow], seed: u64) -> Standing {
    let count = |outcome: &str| problems.iter().filter(|p| p.outcome == outcome).count();
    let sum = |of: fn(&ProblemRow) -> usize| problems.iter().map(|p| of(p)).sum();
    let logs = |kind: Option<Kind>| -> Vec<f64> {
        let of = |p: &&&ProblemRow| kind.is_none_or(|kind| p.kind == kind_name(kind));
        problems.iter().filter(of).filter_map(|p| p.ratio).map(f64::ln).collect()
    };
    let mean = |kind: Option<Kind>| {
        let logs = logs(kind);
        (!logs.is_empty()).then(|| (logs.iter().sum::<f64>() / logs.len() as f64).exp())
    };
    let interval = mean_interval(&logs(None), seed);
    let (won, lost) = (count("won"), count("lost"));
    Standing {
        solver: solver.into(),
        against: against.into(),
        wins: sum(|p| p.wins),
        ties: sum(|p| p.ties),
        losses: sum(|p| p.losses),
        problems: problems.len(),
        won,
        tied: count("tied"),
        lost,
        ratio: mean(None),
        ratio_low: interval.map(|i| i.0.exp()),
        ratio_high: interval.map(|i| i.1.exp()),
        ratio_spectra: mean(Some(Kind::Spectrum)),
        ratio_mixtures: mean(Some(Kind::Mixture)),
        ratio_images: mean(Some(Kind::Images)),
        p_value: Some(sign_test(won, lost)),
        p_holm: None,
        p_least: Some(least_p(problems.len())),
        verdict: String::new(),
    }
}

/// Calls until the error is a share of the data's size, for every problem, target and solver.
pub(super) fn calls(labels: &[String], contests: &[Contest], targets: &[f64]) -> Vec<CallsRow> {
    let mut rows = Vec::new();
    for contest in contests {
        for &fraction in targets {
            let target = fraction * contest.scale;
            let new = contest.curves.iter().find(|c| c.solver == labels[0]).and_then(|c| reached(c, target));
            for curve in &contest.curves {
                let calls = reached(curve, target);
                let ratio = calls.map(|theirs| new.unwrap_or(f64::INFINITY) / theirs);
                rows.push(CallsRow {
                    problem: contest.name.clone(),
                    metric: contest.metric.clone(),
                    fraction: Some(fraction),
                    target: Some(four_digits(target)),
                    solver: curve.solver.clone(),
                    calls: calls.map(four_digits),
                    ratio: ratio.filter(|_| curve.solver != labels[0]).map(four_digits),
                });
            }
        }
    }
    rows
}

/// What noise hides has not reached anything.
fn reached(curve: &Curve, target: f64) -> Option<f64> {
    let row = |n: &Node| Row { nfe: Some(n.calls), w2: Some(curve.upper(n)), ..Row::default() };
    let rows: Vec<Row> = curve.nodes.iter().map(row).collect();
    calls_to(&rows.iter().collect::<Vec<_>>(), target)
}

/// Interpolated numbers have no more.
fn four_digits(x: f64) -> f64 {
    if x.is_finite() { format!("{x:.3e}").parse().unwrap_or(x) } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::race::compare::MOST_RATIO;

    fn contest(name: &str, errors: &[(&str, f64)]) -> Contest {
        let curve = |&(solver, error): &(&str, f64)| Curve {
            solver: solver.into(),
            nodes: [5, 10, 20].iter().map(|&c| Node::exact(c, error / (c * c) as f64)).collect(),
            power: 1,
            floored: false,
        };
        Contest {
            name: name.into(),
            kind: Kind::Spectrum,
            metric: "w2".into(),
            scale: 1.0,
            calls: Some(vec![5, 10, 20]),
            curves: errors.iter().map(curve).collect(),
        }
    }

    fn race(labels: [&str; 2], contests: &[Contest]) -> Standing {
        let labels = labels.map(String::from);
        let (_, problems) = points(&labels, contests, Margin(0.05));
        standings(&labels, &problems, 1).remove(0)
    }

    #[test]
    fn wins_of_one_are_losses_of_the_other_and_ratios_are_inverse() {
        let factors = [0.5, 0.9, 0.99, 1.2, 0.3, 0.7, 2e3];
        let contests: Vec<Contest> = factors.iter().map(|f| contest("p", &[("a", *f), ("b", 1.0)])).collect();
        let (ab, ba) = (race(["a", "b"], &contests), race(["b", "a"], &contests));
        assert_eq!((ab.wins, ab.ties, ab.losses), (12, 3, 6));
        assert_eq!((ab.won, ab.tied, ab.lost), (4, 1, 2));
        assert_eq!((ba.wins, ba.ties, ba.losses, ba.won, ba.lost), (6, 3, 12, 2, 4));
        assert_eq!(ab.p_value, ba.p_value);
        let inverse =
            |x: Option<f64>, y: Option<f64>| (x.unwrap_or(0.0) * y.unwrap_or(0.0) - 1.0).abs() < 1e-12;
        assert!(inverse(ab.ratio, ba.ratio) && inverse(ab.ratio_low, ba.ratio_high));
        // Beyond 1000 a ratio counts as that.
        let capped = factors[..6].iter().product::<f64>() * MOST_RATIO;
        assert!((ab.ratio.map_or(0.0, |r| r.powi(7)) / capped - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_verdict_takes_both_the_count_and_the_interval() {
        let of = |factors: &[f64]| {
            let contests: Vec<Contest> =
                factors.iter().map(|f| contest("p", &[("a", *f), ("b", 1.0)])).collect();
            race(["a", "b"], &contests).verdict
        };
        assert_eq!(of(&[0.5; 11]), "better");
        assert_eq!(of(&[2.0; 11]), "worse");
        assert_eq!(of(&[1.0; 11]), "undecided");
        // All won, but too few.
        assert_eq!(of(&[0.5; 5]), "undecided");
        // Ten small wins and one disaster.
        let mut mixed = [0.9; 11];
        mixed[4] = 1e3;
        assert_eq!(of(&mixed), "undecided");
    }

    #[test]
    fn calls_are_counted_to_shares_of_the_size_of_the_data() {
        let contests =
            [Contest { scale: 10.0, ..contest("p", &[("new", 4.0), ("old", 8.0), ("late", 1e3)]) }];
        let labels = ["new", "old", "late"].map(String::from);
        let rows = calls(&labels, &contests, &[2e-3, 1e-9]);
        // error = e/calls^2 = 0.02
        let four_digits = (0.5f64.sqrt() * 1e4).round() / 1e4;
        let want = [(Some(14.14), None), (Some(20.0), Some(four_digits)), (None, None)];
        let found: Vec<_> = rows[..3].iter().map(|r| (r.calls, r.ratio)).collect();
        assert_eq!(found, want);
        assert!(rows[3..].iter().all(|r| r.calls.is_none() && r.ratio.is_none()));
        let turned = calls(&["late", "old", "new"].map(String::from), &contests, &[2e-3]);
        assert_eq!(turned[1].ratio, Some(f64::INFINITY));
    }
}
