//! Times, as ratios: machines differ, so these say something only of two runs on one.

use std::collections::{BTreeMap, HashMap};

use super::table::Table;
use super::{Change, Class, Difference, Kind};

/// How much longer cells took.
#[derive(Clone, Debug, PartialEq)]
pub struct Timing {
    /// Of all cells.
    pub overall: Ratio,
    /// Of each solver's, the slowest first.
    pub solvers: Vec<Ratio>,
    /// A ratio above this is slower.
    pub slower: f64,
    file: String,
}

/// A geometric mean of ratios, new to baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Ratio {
    /// Whose; empty for all.
    pub solver: String,
    /// Above 1 is slower.
    pub ratio: f64,
    /// Cells behind it.
    pub cells: usize,
}

impl Ratio {
    fn of(solver: &str, logs: &[f64]) -> Self {
        let ratio = (logs.iter().sum::<f64>() / logs.len() as f64).exp();
        Ratio { solver: solver.into(), ratio, cells: logs.len() }
    }
}

/// Cells that both sides timed, on as many threads.
pub(super) fn of(pairs: &[(&Table, &Table)], slower: f64, notes: &mut Vec<String>) -> Option<Timing> {
    let mut by_solver: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let (mut apart, mut threads) = (0, 0);
    for (base, new) in pairs {
        let there: HashMap<&str, usize> = (0..new.len()).map(|row| (new.named(row, "key"), row)).collect();
        for row in 0..base.len() {
            let Some(&other) = there.get(base.named(row, "key")) else {
                apart += 1;
                continue;
            };
            if base.named(row, "threads") != new.named(other, "threads") {
                threads += 1;
                continue;
            }
            let seconds = |table: &Table, row| {
                table.named(row, "seconds").parse::<f64>().ok().filter(|s| s.is_finite() && *s > 0.0)
            };
            let Some((a, b)) = seconds(base, row).zip(seconds(new, other)) else {
                apart += 1;
                continue;
            };
            by_solver.entry(base.named(row, "solver")).or_default().push((b / a).ln());
        }
    }
    for (count, why) in
        [(apart, "were not timed on both sides"), (threads, "were timed on other numbers of threads")]
    {
        if count > 0 {
            notes.push(format!("timing: {count} cells {why}"));
        }
    }
    let all: Vec<f64> = by_solver.values().flatten().copied().collect();
    if all.is_empty() {
        notes.push("timing: no cell was timed on both sides".into());
        return None;
    }
    let mut solvers: Vec<Ratio> = by_solver.iter().map(|(solver, logs)| Ratio::of(solver, logs)).collect();
    solvers.sort_by(|a, b| b.ratio.total_cmp(&a.ratio));
    let file = pairs.first().map_or(String::new(), |(_, new)| new.file.clone());
    Some(Timing { overall: Ratio::of("", &all), solvers, slower, file })
}

impl Timing {
    pub(super) fn differences(&self) -> Vec<Difference> {
        let slow = |r: &&Ratio| r.ratio > self.slower;
        let one = |r: &Ratio| {
            let name = if r.solver.is_empty() { "all solvers" } else { &r.solver };
            let reason = format!("takes {:.3} times as long (geometric mean of {} cells)", r.ratio, r.cells);
            let change = Change {
                class: Class::Timing,
                column: "seconds".into(),
                before: String::new(),
                after: String::new(),
                reason: reason.clone(),
                weight: r.ratio,
            };
            Difference {
                class: Class::Timing,
                table: Kind::Timing,
                key: vec![("solver", name.into())],
                column: "seconds".into(),
                before: String::new(),
                after: String::new(),
                reason,
                file: self.file.clone(),
                line: 1,
                changes: vec![change],
            }
        };
        std::iter::once(&self.overall).chain(&self.solvers).filter(slow).map(one).collect()
    }
}
