//! Tables that are made from rows: fitted orders, calls to reach an error, rankings.

use crate::error::{BadInput, Result};

use super::rules::{Cells, Rule};
use super::table::Table;
use super::work::Work;
use super::{Class, Options, exact};

fn cells<'a>(tables: (&'a Table, &'a Table), rows: (usize, usize), column: &'a str) -> Cells<'a> {
    let both = |name: &str| (tables.0.named(rows.0, name), tables.1.named(rows.1, name));
    let (before, after) = both(column);
    Cells { column, before, after, failures: both("error") }
}

/// `orders.csv`: by verdict; fitted numbers do not count, as their own errors make the verdict.
pub(super) fn orders(work: &mut Work, both: &[(usize, usize)]) -> Result<()> {
    let tables = work.tables();
    for &rows in both {
        let found = cells(tables, rows, "verdict");
        let (before, after) =
            (standing(found.before, tables.0, rows.0)?, standing(found.after, tables.1, rows.1)?);
        let claimed = cells(tables, rows, "claimed").judge(Rule::Fact, 0.0, work.options);
        work.add(rows, claimed.map(|c| super::Change { class: Class::Changed, ..c }));
        let class = match before.cmp(&after) {
            std::cmp::Ordering::Greater => Some(Class::Regression),
            std::cmp::Ordering::Less => Some(Class::Improvement),
            std::cmp::Ordering::Equal => None,
        };
        let mode = cells(tables, rows, "mode");
        let change = match class {
            None => None,
            Some(class) if mode.before == mode.after => {
                let reason = tables.1.named(rows.1, "reason");
                Some(found.change(class, f64::from(before.abs_diff(after)), reason.into()))
            }
            // A verdict near its threshold turns by chance, and nothing is known of how often: the errors behind it are
            // judged in their own table.
            Some(_) => {
                let reason = "on other random numbers, where a verdict may turn by chance";
                Some(found.change(Class::Changed, 0.0, reason.into()))
            }
        };
        work.add(rows, change);
    }
    Ok(())
}

/// The more the better.
fn standing(verdict: &str, table: &Table, row: usize) -> Result<u8> {
    match verdict {
        "pass" => Ok(2),
        "inconclusive" => Ok(1),
        "fail" => Ok(0),
        _ => {
            let key = format!("line {}: verdict", table.line(row));
            let why = "is no verdict (pass, fail, inconclusive)";
            Err(BadInput::new(&key, verdict, why, "make it anew with `scorebench run`").file(&table.file))
        }
    }
}

/// `calls.csv`: numbers of four digits, of which the last may round either way.
pub(super) fn calls(work: &mut Work, both: &[(usize, usize)]) {
    const LAST_DIGIT: f64 = 1.001e-3;
    let tables = work.tables();
    let options = Options { rtol: work.options.rtol.max(LAST_DIGIT), ..work.options.clone() };
    let unknown =
        exact::plan(tables.0, tables.1, |name| (!["calls", "ratios"].contains(&name)).then_some(Rule::Fact));
    for &rows in both {
        let mut change = cells(tables, rows, "calls").judge(Rule::Error, 0.0, &options);
        if let Some(change) = &mut change {
            match (change.before.is_empty(), change.after.is_empty()) {
                (false, true) => change.reason = "the error is not reached any more".into(),
                (true, false) if change.class != Class::Regression => {
                    (change.class, change.reason) = (Class::Improvement, "the error is reached now".into());
                }
                _ => {}
            }
        }
        work.add(rows, change);
        for (column, ..) in &unknown {
            let change = cells(tables, rows, column).judge(Rule::Fact, 0.0, work.options);
            work.add(rows, change);
        }
    }
}

/// `ranks.csv`: how rankings agree is neither good nor bad, but that there is no answer any more is.
pub(super) fn ranks(work: &mut Work, both: &[(usize, usize)]) {
    let tables = work.tables();
    let unknown = exact::plan(tables.0, tables.1, |name| (!RANKS.contains(&name)).then_some(Rule::Fact));
    for &rows in both {
        let options = work.options;
        let fact = |column: &'static str| cells(tables, rows, column).judge(Rule::Fact, 0.0, options);
        let failure = cells(tables, rows, "error").judge(Rule::Failure, 0.0, options);
        let mode = cells(tables, rows, "mode");
        let same = mode.before == mode.after;
        let apart = same || apart(tables, rows);
        let lost = |c: &super::Change| c.class != Class::Changed;
        let mut found = vec![failure, fact("solvers"), fact("rho").filter(|c| lost(c) || apart)];
        if same {
            found.extend(["tau", "best", "regret"].map(fact));
        }
        found.extend(
            unknown.iter().map(|(column, ..)| cells(tables, rows, column).judge(Rule::Fact, 0.0, options)),
        );
        found.into_iter().for_each(|change| work.add(rows, change));
    }
}

const RANKS: &[&str] = &[
    "solvers",
    "rho",
    "rho_low",
    "rho_high",
    "tau",
    "p_value",
    "noise_low",
    "noise_high",
    "best",
    "regret",
    "error",
];

/// Whether what noise makes of the one rho has nothing in common with what it makes of the other.
fn apart(tables: (&Table, &Table), rows: (usize, usize)) -> bool {
    let number = |table: &Table, row, name| table.named(row, name).parse::<f64>().ok();
    let range = |table, row| Some((number(table, row, "noise_low")?, number(table, row, "noise_high")?));
    match (range(tables.0, rows.0), range(tables.1, rows.1)) {
        (Some(a), Some(b)) => a.1 < b.0 || b.1 < a.0,
        _ => true,
    }
}
