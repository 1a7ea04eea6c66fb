//! The report as GitHub-flavoured Markdown, and the README's block.

use std::fmt::Write;

use super::claims;
use super::escape::markdown as escape;
use super::html::OFTEN;
use super::read::Section;
use super::tally::{self, Calls, Expected, Orders, place, short};
use crate::record::OrderRow;
use crate::results::Found;

/// All that the page says but for figures and rows.
pub(super) fn document(sections: &[Section]) -> String {
    let (expected, orders) = tally::total(sections);
    let mut out = format!(
        "# Results\n\nExpectations: {}. Orders, against what is claimed: {}.\n\n{OFTEN}\n\n",
        said(&expected),
        counted(&orders)
    );
    overview(&mut out, sections);
    write_claims(&mut out, sections);
    for section in sections {
        one(&mut out, section);
    }
    out
}

/// Verdicts of every question, and calls of well-known solvers.
pub(super) fn block(sections: &[Section]) -> String {
    let mut out = String::new();
    overview(&mut out, sections);
    for (section, calls) in sections.iter().filter_map(|s| Some((s, tally::calls(s)?))) {
        let _ = writeln!(out, "\n{}\n", caption(section, &calls));
        write_calls(&mut out, &calls);
    }
    out
}

fn overview(out: &mut String, sections: &[Section]) {
    out.push_str("| experiment | question | expectations | orders |\n|---|---|---|---|\n");
    for section in sections {
        let question = section.summary.as_ref().map_or("", |s| &s.question);
        let expected = match tally::expected(section) {
            Some(e) => said(&e),
            None if section.is_training() => "none".into(),
            None => "not stated".into(),
        };
        let orders = tally::orders(section);
        let orders = if section.numbers.orders.is_empty() { String::new() } else { counted(&orders) };
        let _ = writeln!(out, "| {} | {} | {expected} | {orders} |", escape(&section.name), escape(question));
    }
}

/// A table for claims, errata and what is shipped each.
fn write_claims(out: &mut String, sections: &[Section]) {
    let all = claims::all(sections);
    for group in all.chunk_by(|a, b| claims::group(a.claim) == claims::group(b.claim)) {
        let title = claims::group(group[0].claim).1;
        let _ = writeln!(
            out,
            "\n## {title}\n\n| | claim | verdict | finding | experiment |\n|---|---|---|---|---|"
        );
        for f in group {
            let claim = f.claim;
            let (says, finding) = (prose(&claim.says), prose(&f.finding));
            let (id, source, name) = (escape(&claim.id), escape(&claim.source), escape(f.experiment));
            let verdict = claim.verdict.name();
            let _ = writeln!(out, "| {id} | {says} ({source}) | {verdict} | {finding} | {name} |");
        }
    }
}

/// Only what is not zero, but always what was met.
fn said(e: &Expected) -> String {
    if *e == Expected::default() {
        return "none".into();
    }
    let more = |n, word: &str| if n == 0 { String::new() } else { format!(", {n} {word}") };
    format!("{} met{}{}", e.met, more(e.failed, "**failed**"), more(e.open, "open"))
}

fn counted(o: &Orders) -> String {
    let more = |n, word: &str| if n == 0 { String::new() } else { format!(", {n} {word}") };
    format!("{} pass{}{}", o.pass, more(o.fail, "fail"), more(o.inconclusive, "inconclusive"))
}

fn one(out: &mut String, section: &Section) {
    let _ = writeln!(out, "\n## {}\n\n`{}`", escape(section.title()), section.name.replace('`', "'"));
    match &section.summary {
        None if section.is_training() => {}
        None => out.push_str("\nNo `summary.toml`: what was asked and expected is not stated.\n"),
        Some(summary) => {
            if !summary.analysis.trim().is_empty() {
                let _ = writeln!(out, "\n{}", prose(&summary.analysis));
            }
            let mut all: Vec<_> = summary.expectations.iter().collect();
            all.sort_by_key(|e| e.verdict);
            if !all.is_empty() {
                out.push('\n');
            }
            let (others, met): (Vec<_>, Vec<_>) = all.into_iter().partition(|e| e.verdict != Found::Met);
            for e in others {
                let verdict = if e.verdict == Found::Failed { "**failed**" } else { "open" };
                let _ = writeln!(out, "- {verdict}: {}", escape(&e.text));
            }
            let list: String = met.iter().map(|e| format!("- met: {}\n", escape(&e.text))).collect();
            match met.len() {
                0..=4 => out.push_str(&list),
                n => out.push_str(&format!("\n<details><summary>{n} met</summary>\n\n{list}\n</details>\n")),
            }
        }
    }
    if let Some(calls) = tally::calls(section) {
        let _ = writeln!(out, "\n{}\n", caption(section, &calls));
        write_calls(out, &calls);
    }
    write_ranks(out, section);
    write_orders(out, section);
    let of = |key| section.came_from(key).map(|v| escape(&v.chars().take(60).collect::<String>()));
    if let (Some(command), Some(commit), Some(date)) = (of("command"), of("commit"), of("date")) {
        let _ = writeln!(out, "\nMade by {command}, commit {commit}, {date}.");
    }
}

/// Plain paragraphs: what stands between backticks is left as it is.
fn prose(text: &str) -> String {
    let mut parts = text.trim().split('`').peekable();
    let (mut out, mut code) = (String::new(), false);
    while let Some(part) = parts.next() {
        match (code, parts.peek()) {
            (true, Some(_)) => out.push_str(&format!("`{part}`")),
            (true, None) => out.push_str(&format!("\\`{}", lines(part))),
            _ => out.push_str(&lines(part)),
        }
        code = !code;
    }
    out
}

fn lines(text: &str) -> String {
    text.split('\n').map(escape).collect::<Vec<_>>().join("\n")
}

fn caption(section: &Section, calls: &Calls) -> String {
    let several = match calls.problems {
        1 => String::new(),
        n => format!(", least to greatest of {n} problems (\"from\": not on all of them)"),
    };
    format!(
        "{}: model calls until W2 stays below a target{several}; empty where it is not reached.",
        escape(&section.name)
    )
}

fn write_calls(out: &mut String, calls: &Calls) {
    let head: Vec<String> = calls.targets.iter().map(|t| format!("{t:e}")).collect();
    let _ = writeln!(out, "| solver | {} |\n|---|{}", head.join(" | "), "---:|".repeat(calls.targets.len()));
    for (solver, cells) in &calls.rows {
        let _ = writeln!(out, "| {} | {} |", escape(solver), cells.join(" | "));
    }
}

fn write_ranks(out: &mut String, section: &Section) {
    if section.ranks.is_empty() {
        return;
    }
    out.push('\n');
    for row in &section.ranks {
        let _ = writeln!(out, "- {}", escape(&row.to_string()));
    }
}

/// Folded, a table for each place.
fn write_orders(out: &mut String, section: &Section) {
    if section.numbers.orders.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n<details><summary>{} orders</summary>", section.numbers.orders.len());
    let several = section.numbers.orders.iter().any(|o| o.metric != section.numbers.orders[0].metric);
    for group in section.numbers.orders.chunk_by(|a, b| place(a) == place(b)) {
        let labels: Vec<String> =
            place(&group[0]).iter().filter(|l| !l.is_empty()).map(|l| escape(l)).collect();
        let metric = if several { " error |" } else { "" };
        let rule = if several { "---|" } else { "" };
        let _ = writeln!(
            out,
            "\n{}\n\n| solver |{metric} order | claimed | verdict |\n|---|{rule}---:|---:|---|",
            labels.join(", ")
        );
        for o in group {
            let metric = if several { format!(" {} |", escape(&o.metric)) } else { String::new() };
            let claimed = o.claimed.map_or(String::new(), |p| p.to_string());
            let (solver, verdict) = (escape(&o.solver), escape(&o.verdict));
            let _ = writeln!(out, "| {solver} |{metric} {} | {claimed} | {verdict} |", measured(o));
        }
    }
    out.push_str("\n</details>\n");
}

/// An order with its standard error.
pub(super) fn measured(o: &OrderRow) -> String {
    match (o.order, o.stderr) {
        (Some(p), Some(se)) => format!("{p:.3} ({})", short(se)),
        (Some(p), None) => format!("{p:.3}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_stays_and_markup_does_not() {
        assert_eq!(prose("a_b `c_d`\n\n*e* `f"), "a\\_b `c_d`\n\n\\*e\\* \\`f");
    }

    #[test]
    fn failures_are_never_left_out() {
        let e = Expected { met: 0, failed: 2, open: 0 };
        assert_eq!(said(&e), "0 met, 2 **failed**");
        assert_eq!(said(&Expected::default()), "none");
    }
}
