//! What a folder's tables come to: counts of verdicts, and the calls of well-known solvers.

use super::read::Section;
use crate::record::{OrderRow, ReachRow};
use crate::results::Found;
pub(super) use crate::results::short;

/// Solvers that a reader looks for first. Others are in the tables.
const KNOWN: &[&str] = &[
    "ddim",
    "ddpm",
    "euler-maruyama",
    "euler-ancestral",
    "heun(clock=edm)",
    "dpm2",
    "dpmpp-2s",
    "dpmpp-2m",
    "dpmpp-3m",
    "unipc",
    "unipc(order=3)",
    "deis",
    "dpmpp-sde",
    "dpmpp-2m-sde",
    "er-sde",
    "rk4",
];

/// Expectations by what came of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    pub met: usize,
    pub failed: usize,
    pub open: usize,
}

/// Fitted orders by their verdict on what is claimed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Orders {
    pub pass: usize,
    pub fail: usize,
    pub inconclusive: usize,
}

/// What came of a folder's expectations, where it says.
pub(super) fn expected(section: &Section) -> Option<Expected> {
    let list = &section.summary.as_ref()?.expectations;
    let count = |verdict| list.iter().filter(|e| e.verdict == verdict).count();
    Some(Expected { met: count(Found::Met), failed: count(Found::Failed), open: count(Found::Open) })
}

pub(super) fn orders(section: &Section) -> Orders {
    let count = |verdict: &str| section.numbers.orders.iter().filter(|o| o.verdict == verdict).count();
    Orders { pass: count("pass"), fail: count("fail"), inconclusive: count("inconclusive") }
}

/// Sums over all folders.
pub(super) fn total(sections: &[Section]) -> (Expected, Orders) {
    let (mut e, mut o) = (Expected::default(), Orders::default());
    for section in sections {
        let (one, fits) = (expected(section).unwrap_or_default(), orders(section));
        e = Expected { met: e.met + one.met, failed: e.failed + one.failed, open: e.open + one.open };
        o = Orders {
            pass: o.pass + fits.pass,
            fail: o.fail + fits.fail,
            inconclusive: o.inconclusive + fits.inconclusive,
        };
    }
    (e, o)
}

/// Solvers to begin with, of more than a picture can show: the known ones, else the first dozen.
pub(super) fn to_begin_with(solvers: &[String]) -> Vec<&str> {
    let known: Vec<&str> = KNOWN.iter().copied().filter(|k| solvers.iter().any(|s| s == k)).collect();
    if known.len() >= 3 { known } else { solvers.iter().take(12).map(String::as_str).collect() }
}

/// Calls until W2 is at most each target.
pub(super) struct Calls {
    pub targets: Vec<f64>,
    /// A solver and, for each target, its calls: least to greatest where there are several problems.
    pub rows: Vec<(String, Vec<String>)>,
    /// Problems behind each number.
    pub problems: usize,
}

/// Calls of the known solvers, if they were counted.
pub(super) fn calls(section: &Section) -> Option<Calls> {
    let mut targets: Vec<f64> = section.calls.iter().filter_map(|c| c.target).collect();
    targets.sort_by(|a, b| b.total_cmp(a));
    targets.dedup();
    let place = |c: &ReachRow| [&c.data, &c.schedule, &c.grid, &c.init].map(String::clone);
    let problems: std::collections::BTreeSet<_> = section.calls.iter().map(place).collect();
    let row = |solver: &str| {
        let cell = |target: &f64| {
            let mine = section.calls.iter().filter(|c| c.solver == solver && c.target == Some(*target));
            range(&mine.map(|c| c.calls).collect::<Vec<_>>())
        };
        (solver.to_string(), targets.iter().map(cell).collect())
    };
    let mut all: Vec<String> = Vec::new();
    for c in &section.calls {
        if all.last() != Some(&c.solver) && !all.contains(&c.solver) {
            all.push(c.solver.clone());
        }
    }
    let rows: Vec<_> = to_begin_with(&all).into_iter().map(row).collect();
    (!rows.is_empty()).then_some(Calls { targets, rows, problems: problems.len() })
}

/// `18 to 19`; `from 300` where not all problems get there, nothing where none does.
fn range(calls: &[Option<f64>]) -> String {
    let found: Vec<f64> = calls.iter().filter_map(|c| *c).collect();
    // Interpolated between rows: a part of a call says nothing.
    let low = found.iter().copied().fold(f64::INFINITY, f64::min).round();
    let high = found.iter().copied().fold(0.0, f64::max).round();
    match found.len() {
        0 => String::new(),
        n if n < calls.len() => format!("from {low}"),
        _ if low == high => format!("{low}"),
        _ => format!("{low} to {high}"),
    }
}

/// A data law, schedule, grid, start and mode: what a panel of a figure shows.
pub(super) fn place(o: &OrderRow) -> [&str; 5] {
    [&o.data, &o.schedule, &o.grid, &o.init, &o.mode]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_are_not_reached_are_not_made_up() {
        assert_eq!(range(&[]), "");
        assert_eq!(range(&[None, None]), "");
        assert_eq!(range(&[Some(12.2), None]), "from 12");
        assert_eq!(range(&[Some(12.8), Some(13.4)]), "13");
        assert_eq!(range(&[Some(85.1), Some(115.0)]), "85 to 115");
    }

    #[test]
    fn known_solvers_come_first_and_others_only_without_them() {
        let labels = |list: &[&str]| list.iter().map(|s| s.to_string()).collect::<Vec<_>>();
        let mine = labels(&["a", "b", "ddim", "c"]);
        assert_eq!(to_begin_with(&mine), ["a", "b", "ddim", "c"]);
        assert_eq!(to_begin_with(&labels(&["x", "unipc", "deis", "ddim"])), ["ddim", "unipc", "deis"]);
    }
}
