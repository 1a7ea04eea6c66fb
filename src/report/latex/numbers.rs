//! Numbers as macros that are looked up by what they are of. One that is not there is an error of LaTeX.

use std::fmt::Write;

use super::super::claims;
use super::super::read::Section;
use super::super::tally::{self, short};
use super::{escape, groups, letters, maths};
use crate::record::Row;
use crate::solver::registry;

/// Columns of `exact.csv` that have macros.
const COLUMNS: &[&str] = &["w2", "w2_data", "kl", "strong_error", "amplification", "floor", "nfe"];

const LOOK_UP: &str = r"% \scorebenchorder{EXPERIMENT}{NUMBER OF THE PROBLEM}{SOLVER}{ERROR}: a fitted order.
% After \scorebenchload{EXPERIMENT}:
% \scorebenchvalue{EXPERIMENT}{NUMBER OF THE PROBLEM}{SOLVER}{STEPS}{COLUMN}: an error.
% \scorebenchmeasured{EXPERIMENT}{QUANTITY}{CASE}{X}: a number of a study, X as in measured.csv.
% \scorebenchslope{EXPERIMENT}{QUANTITY}{CASE}: the slope of its logarithm on that of X.
\makeatletter
\newcommand{\scorebenchget}[1]{\ifcsname scorebench:#1\endcsname\csname scorebench:#1\endcsname
  \else\@latex@error{No result has the number #1}{Run the experiment, or correct the macro.}\textbf{??}\fi}
\newcommand{\scorebenchset}[2]{\expandafter\gdef\csname scorebench:#1\endcsname{#2}}
\makeatother
\newcommand{\scorebenchorder}[4]{\scorebenchget{#1:#2:#3:#4}}
\newcommand{\scorebenchvalue}[5]{\scorebenchget{#1:#2:#3:#4:#5}}
\newcommand{\scorebenchmeasured}[4]{\scorebenchget{#1:#2:#3:at:#4}}
\newcommand{\scorebenchslope}[3]{\scorebenchget{#1:#2:#3:slope}}
\providecommand{\scorebenchfolder}{}
\newcommand{\scorebenchload}[1]{\input{\scorebenchfolder#1-numbers}}
";

/// `numbers.tex`: a macro for every count, and all fitted orders.
pub(super) fn common(sections: &[Section], claimed: &[claims::Found]) -> String {
    let mut out = String::from("% Made by `scorebench report --latex`.\n");
    let mut taken = std::collections::BTreeSet::new();
    let mut put = |name: String, value: String| {
        // Names that differ in signs only: the first keeps its macro.
        if taken.insert(name.clone()) {
            let _ = writeln!(out, "\\newcommand{{\\scorebench{name}}}{{{value}}}");
        }
    };
    let counts = |e: tally::Expected, o: tally::Orders| {
        [
            ("ExpectationsMet", e.met),
            ("ExpectationsFailed", e.failed),
            ("ExpectationsOpen", e.open),
            ("OrdersPass", o.pass),
            ("OrdersFail", o.fail),
            ("OrdersInconclusive", o.inconclusive),
        ]
    };
    let (e, o) = tally::total(sections);
    counts(e, o).into_iter().for_each(|(name, n)| put(name.into(), n.to_string()));
    put("version".into(), env!("CARGO_PKG_VERSION").into());
    let variants: usize = registry::all().iter().map(|entry| entry.variants().len()).sum();
    put("solvers".into(), variants.to_string());
    for (name, verdict) in [("True", "true"), ("Conditional", "true with conditions"), ("False", "false")] {
        for (group, _) in claims::GROUPS {
            let mine = claimed.iter().filter(|f| claims::group(f.claim).0 == group);
            let count = mine.filter(|f| f.claim.verdict.name() == verdict).count();
            put(format!("{}{name}", letters(group)), count.to_string());
        }
    }
    for section in sections {
        let name = letters(&section.name);
        let all = counts(tally::expected(section).unwrap_or_default(), tally::orders(section));
        all.into_iter().for_each(|(what, n)| put(format!("{name}{what}"), n.to_string()));
        put(format!("{name}Rows"), section.errors().map_or(0, |t| t.rows).to_string());
        put(format!("{name}Solvers"), section.solvers.len().to_string());
        for (solver, cells) in tally::calls(section).map_or(Vec::new(), |c| c.rows) {
            for (cell, target) in cells.iter().zip(["A", "B", "C", "D", "E", "F"]) {
                put(format!("{name}Calls{}{target}", letters(&solver)), escape(cell));
            }
        }
    }
    out.push_str(LOOK_UP);
    for section in sections {
        for (k, group) in groups(section).enumerate() {
            for o in group {
                if let Some(order) = o.order {
                    let number = (k + 1).to_string();
                    set(&mut out, &[&section.name, &number, &o.solver, &o.metric], &format!("{order:.2}"));
                }
            }
        }
    }
    out
}

/// `NAME-numbers.tex`: every error of cells and every number of a study.
pub(super) fn of(section: &Section) -> String {
    let mut out = format!("% Made by `scorebench report --latex` from the tables of {}.\n", section.name);
    let rows = &section.numbers.rows;
    let groups = rows.chunk_by(|a, b| problem(a) == problem(b));
    for (k, row) in groups.enumerate().flat_map(|(k, rows)| rows.iter().map(move |r| (k + 1, r))) {
        let measures = row.measures.iter().map(|m| m.metric.as_str());
        for column in COLUMNS.iter().copied().chain(measures) {
            if let Some(value) = row.number(column) {
                let (k, steps) = (k.to_string(), row.steps.to_string());
                set(&mut out, &[&section.name, &k, &row.solver, &steps, column], &number(value));
            }
        }
    }
    let mut sloped = std::collections::BTreeSet::new();
    for m in &section.numbers.measured {
        let x = m.x.map_or(String::new(), |x| format!("{x:e}"));
        if let Some(value) = m.value {
            set(&mut out, &[&section.name, &m.quantity, &m.case, "at", &x], &number(value));
        }
        let slope = || section.numbers.slope(&m.quantity, &m.case, None, None);
        if sloped.insert((&m.quantity, &m.case))
            && let Some(slope) = slope()
        {
            set(&mut out, &[&section.name, &m.quantity, &m.case, "slope"], &format!("{slope:.2}"));
        }
    }
    out
}

/// What a panel of a figure shows, as [`place`] has it of orders.
fn problem(r: &Row) -> [&str; 5] {
    [&r.data, &r.schedule, &r.grid, &r.init, r.sampling()]
}

fn set(out: &mut String, parts: &[&str], value: &str) {
    let key = parts.iter().map(|p| key(p)).collect::<Vec<_>>().join(":");
    let _ = writeln!(out, "\\scorebenchset{{{key}}}{{{value}}}");
}

/// Only what means itself within \csname.
fn key(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_graphic() && !"\\{}%#~^&$\"_".contains(c) || c == ' ' { c } else { '?' })
        .collect()
}

/// Three digits, powers of ten as such.
pub(super) fn number(x: f64) -> String {
    if !x.is_finite() {
        let sign = if x < 0.0 { "-" } else { "" };
        return if x.is_nan() { "nan".into() } else { format!("\\ensuremath{{{sign}\\infty}}") };
    }
    maths::set(&short(x))
}

#[cfg(test)]
mod tests {
    use super::super::super::tally::place;
    use super::*;
    use crate::record::OrderRow;

    #[test]
    fn numbers_are_set_as_powers_of_ten() {
        assert_eq!(number(1.7e-3), "\\ensuremath{1.70\\cdot10^{-3}}");
        assert_eq!(
            [number(0.25), number(12.0), number(f64::INFINITY)],
            ["0.250", "12", "\\ensuremath{\\infty}"]
        );
        assert_eq!(number(-2.5), "\\ensuremath{-2.50}");
    }

    #[test]
    fn keys_mean_themselves() {
        assert_eq!(key("heun(s=1)\\x#1 λ"), "heun(s=1)?x?1 ?");
    }

    #[test]
    fn problems_of_orders_and_of_errors_are_told_apart_alike() {
        let order =
            OrderRow { data: "a".into(), grid: "g".into(), init: "marginal".into(), ..OrderRow::default() };
        let row = Row {
            data: "a".into(),
            grid: "g".into(),
            init: "marginal".into(),
            mode: "exact".into(),
            ..Row::default()
        };
        assert_eq!(place(&order), problem(&row));
        assert_ne!(place(&order), problem(&Row { grid: "h".into(), ..row }));
    }
}
