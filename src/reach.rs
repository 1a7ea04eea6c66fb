//! Model calls that a solver needs until its error is small enough.

use crate::experiment::Reach;
use crate::record::{ReachRow, Row};

/// For every solver and target one row, from the rows of an experiment. See [`calls_to`].
pub fn calls(rows: &[Row], reach: &Reach) -> Vec<ReachRow> {
    let mut groups: Vec<(&Row, Vec<&Row>)> = Vec::new();
    for row in rows {
        match groups.iter_mut().find(|(g, _)| g.solver == row.solver && place(g) == place(row)) {
            Some((_, list)) => list.push(row),
            None => groups.push((row, vec![row])),
        }
    }
    let mut out = Vec::new();
    for (first, list) in &groups {
        let theirs = |baseline: &String| {
            groups
                .iter()
                .find(|(g, _)| g.solver == *baseline && place(g) == place(first))
                .map(|(_, list)| list)
        };
        let baselines: Vec<_> = reach.against.iter().map(|baseline| (baseline, theirs(baseline))).collect();
        for &target in &reach.targets {
            let calls = calls_to(list, target);
            let ratio = |(baseline, theirs): &(&String, Option<&Vec<&Row>>)| {
                let theirs = calls_to((*theirs)?, target)?;
                Some(format!("{baseline}: {}", four_digits(calls.unwrap_or(f64::INFINITY) / theirs)))
            };
            let ratios: Vec<String> = baselines.iter().filter_map(ratio).collect();
            out.push(ReachRow {
                experiment: first.experiment.clone(),
                data: first.data.clone(),
                schedule: first.schedule.clone(),
                grid: first.grid.clone(),
                init: first.init.clone(),
                solver: first.solver.clone(),
                target: Some(target),
                calls: calls.map(four_digits),
                ratios: ratios.join("; "),
            });
        }
    }
    out
}

/// What a solver is compared under.
fn place(r: &Row) -> [&str; 4] {
    [&r.data, &r.schedule, &r.grid, &r.init].map(String::as_str)
}

/// Interpolated numbers have no more.
fn four_digits(x: f64) -> f64 {
    format!("{x:.3e}").parse().expect("a number as written")
}

/// Calls at which W2 falls to `target` for good: between the last row above it and the next one, a straight line in
/// the logarithms. `None` if the last row is above it; the first row's calls if all are below.
pub fn calls_to(rows: &[&Row], target: f64) -> Option<f64> {
    let mut points: Vec<(f64, f64)> = rows
        .iter()
        .filter_map(|r| {
            Some((r.nfe.filter(|n| *n > 0)? as f64, r.w2.filter(|w| !w.is_nan()).unwrap_or(f64::INFINITY)))
        })
        .collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let above = points.iter().rposition(|p| p.1 > target);
    match above {
        None => points.first().map(|p| p.0),
        Some(i) => {
            let (a, b) = (points[i], *points.get(i + 1)?);
            if !a.1.is_finite() || b.1 == 0.0 {
                return Some(b.0);
            }
            let share = (a.1 / target).ln() / (a.1 / b.1).ln();
            Some((a.0.ln() + share * (b.0 / a.0).ln()).exp())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(nfe: usize, w2: f64) -> Row {
        Row { nfe: Some(nfe), w2: Some(w2), ..Row::default() }
    }

    #[test]
    fn calls_are_read_off_a_straight_line_in_the_logarithms() {
        let rows = [row(10, 1e-1), row(100, 1e-3), row(1000, 1e-5)];
        let rows: Vec<&Row> = rows.iter().collect();
        let near = |target: f64, want: f64| (calls_to(&rows, target).unwrap() / want - 1.0).abs() < 1e-12;
        assert!(near(1e-2, 10f64.powf(1.5)) && near(1e-3, 100.0) && near(1e-4, 10f64.powf(2.5)));
        assert_eq!(calls_to(&rows, 0.5), Some(10.0));
        assert_eq!(calls_to(&rows, 1e-6), None);
    }

    #[test]
    fn an_error_that_rises_again_has_not_reached_the_target() {
        let rows = [row(10, 1e-1), row(20, 1e-4), row(40, 1e-2), row(80, 1e-4), row(5, f64::NAN)];
        let calls = calls_to(&rows.iter().collect::<Vec<_>>(), 1e-3).unwrap();
        assert!((calls / 40.0 / 2f64.sqrt() - 1.0).abs() < 1e-12, "{calls}");
        let failed = Row { error: "diverged".into(), nfe: Some(8), ..Row::default() };
        assert_eq!(calls_to(&[&failed, &row(16, 1e-4)], 1e-3), Some(16.0));
    }
}
