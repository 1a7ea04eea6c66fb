//! Rows of `exact.csv`: the same numbers but for round-off, or not.

use super::Kind;
use super::rules::{Cells, Rule};
use super::table::Table;
use super::work::Work;

/// Columns that are errors. Of the others more is neither better nor worse.
const ERRORS: &[&str] =
    &["w2", "w2_data", "kl", "mean_error", "cov_error", "strong_error", "budget_discretisation"];

/// Columns that both tables have, and what each is about; not those of keys and hashes.
pub(super) fn plan<'a>(
    base: &'a Table,
    new: &Table,
    about: impl Fn(&str) -> Option<Rule>,
) -> Vec<(&'a str, usize, usize, Rule)> {
    let one = |(column, name): (usize, &'a String)| {
        let known = !base.kind.keys().contains(&name.as_str()) && !["key", "check"].contains(&name.as_str());
        let other = new.column(name).filter(|_| known)?;
        Some((name.as_str(), column, other, about(name)?))
    };
    base.header.iter().enumerate().filter_map(one).collect()
}

pub(super) fn rows(work: &mut Work, both: &[(usize, usize)]) {
    judge(work, both, |name| match name {
        "error" => Rule::Failure,
        "nfe" | "pilot_nfe" => Rule::Cost,
        name if ERRORS.contains(&name) => Rule::Error,
        _ => Rule::Fact,
    });
    content(work, both);
}

/// Rows of `measured.csv`: of most numbers of a study neither more nor less is better; what they must be, its expectations say.
pub(super) fn measured(work: &mut Work, both: &[(usize, usize)]) {
    judge(work, both, |_| Rule::Fact);
}

/// Every cell that both sides have, by what its column is about.
fn judge(work: &mut Work, both: &[(usize, usize)], about: impl Fn(&str) -> Rule) {
    let (base, new) = work.tables();
    let columns = plan(base, new, |name| Some(about(name)));
    let failure = (base.column("error"), new.column("error"));
    for &(a, b) in both {
        for &(column, own, other, rule) in &columns {
            let (before, after) = (base.cell(a, own), new.cell(b, other));
            let failures =
                (failure.0.map_or("", |c| base.cell(a, c)), failure.1.map_or("", |c| new.cell(b, c)));
            let cells = Cells { column, before, after, failures };
            work.add((a, b), cells.judge(rule, 0.0, work.options));
        }
    }
}

/// A label may stand for something else than it did.
fn content(work: &mut Work, both: &[(usize, usize)]) {
    let (base, new) = work.tables();
    let (Some(own), Some(other)) = (base.column("key"), new.column("key")) else { return };
    let changed = both.iter().filter(|(a, b)| base.cell(*a, own) != new.cell(*b, other)).count();
    if changed > 0 && base.kind == Kind::Exact {
        let rows = if changed == 1 { "row has" } else { "rows have" };
        work.notes.push(format!(
            "{}: {changed} {rows} another content key than the baseline's: under the same labels, data, schedule, grid, start \
             or solver are others",
            new.file
        ));
    }
}
