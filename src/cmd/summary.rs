//! What is said of an experiment's results on a terminal.

use super::{Status, aligned, say, warn};
use crate::experiment::{Experiment, StudyFile};
use crate::record::{MeasuredRow, OrderRow, RankRow, Row};
use crate::results::{Expected, Found, Summary, short};

/// The question, for every fit the order, the verdict and the error at the largest step count, and how well rankings were
/// predicted.
pub(super) fn table(experiment: &Experiment, rows: &[Row], orders: &[OrderRow]) -> String {
    let mut text = format!("# {}: {}\n", experiment.name, experiment.question);
    let mut lines = vec![["solver", "order", "claimed", "verdict", "error at N", "why"].map(String::from)];
    let mut place = String::new();
    let flush = |lines: &mut Vec<[String; 6]>, text: &mut String| {
        text.push_str(&aligned(lines));
        lines.truncate(1);
    };
    for order in orders {
        let here = [&order.data, &order.schedule, &order.grid, &order.init, &order.mode];
        let here =
            here.map(String::as_str).into_iter().filter(|l| !l.is_empty()).collect::<Vec<_>>().join(", ");
        if here != place {
            if !place.is_empty() {
                flush(&mut lines, &mut text);
            }
            text.push_str(&format!("\n{here}\n"));
            place = here;
        }
        let same = |r: &&Row| {
            (&r.data, r.sampling(), &r.schedule, &r.grid, &r.init, &r.solver)
                == (&order.data, &order.mode, &order.schedule, &order.grid, &order.init, &order.solver)
        };
        let last = rows.iter().filter(same).max_by_key(|r| r.steps);
        let number = |x: Option<f64>| x.map_or(String::new(), |x| format!("{x:.3}"));
        // Several errors of one solver are told apart.
        let metric =
            if experiment.metrics.len() > 1 { format!(" ({})", order.metric) } else { String::new() };
        let name = format!("{}{metric}", order.solver);
        lines.push([
            name,
            number(order.order),
            order.claimed.map_or(String::new(), |p| p.to_string()),
            order.verdict.clone(),
            last.map_or(String::new(), |r| {
                format!("{:.2e} at {}", r.number(&order.metric).unwrap_or(f64::NAN), r.steps)
            }),
            if order.verdict == "pass" { String::new() } else { order.reason.clone() },
        ]);
    }
    if !place.is_empty() {
        flush(&mut lines, &mut text);
    }
    text.push_str(&ranks(experiment, rows));
    text
}

/// A line for every ranking that is predicted, under what its runs have in common where that differs.
fn ranks(experiment: &Experiment, rows: &[Row]) -> String {
    let (mut text, mut place) = (String::from("\n"), None);
    let all: Vec<RankRow> = experiment.comparisons(rows).into_iter().map(|c| c.row).collect();
    for row in &all {
        let here = [&row.schedule, &row.grid, &row.init, &row.mode].map(String::as_str);
        if place.replace(here).is_some_and(|before| before != here) {
            text.push('\n');
        }
        let differs = |k: usize| all.iter().any(|r| [&r.schedule, &r.grid, &r.init, &r.mode][k] != here[k]);
        let labels: Vec<&str> = (0..here.len()).filter(|k| differs(*k)).map(|k| here[k]).collect();
        let labels = if labels.is_empty() { String::new() } else { format!(" ({})", labels.join(", ")) };
        text.push_str(&format!("rank{labels}: {row}\n"));
    }
    if all.is_empty() { String::new() } else { text }
}

/// The question of a study and the numbers of no place; of those along something, how many there are.
pub(super) fn measured(file: &StudyFile, rows: &[MeasuredRow]) -> String {
    let mut text = format!("# {}: {}\n", file.name, file.question);
    let mut lines = vec![["quantity", "case", "value"].map(String::from)];
    for one in rows.chunk_by(|a, b| (&a.quantity, &a.case) == (&b.quantity, &b.case)) {
        let first = &one[0];
        let value = match (one.len(), first.x, first.value) {
            (1, None, Some(value)) => short(value),
            (1, Some(x), Some(value)) => format!("{} at {}", short(value), short(x)),
            (n, ..) => format!("{n} numbers"),
        };
        lines.push([first.quantity.clone(), first.case.clone(), value]);
    }
    if lines.len() > 1 {
        text.push_str(&aligned(&lines));
    }
    text
}

/// Says on stderr which expectations failed or stay open. With `strict`, an open one counts as failed.
pub(super) fn report(summary: &Summary, strict: bool) -> Status {
    for Expected { verdict, text } in &summary.expectations {
        match verdict {
            Found::Met => {}
            Found::Open => say(&format!("open: {text}")),
            Found::Failed => warn(&format!("FAILED: {text}")),
        }
    }
    let count = |found| summary.expectations.iter().filter(|e| e.verdict == found).count();
    let (met, failed, open) = (count(Found::Met), count(Found::Failed), count(Found::Open));
    say(&format!("{}: {met} expectations met, {failed} failed, {open} open", summary.name));
    if failed > 0 || (strict && open > 0) { Status::Failed } else { Status::Fine }
}
