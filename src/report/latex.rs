//! The report as LaTeX: tables that need booktabs only, and numbers as macros.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;

use super::escape::latex as escape;
use super::markdown::measured;
use super::read::Section;
use super::tally::{self, place};
use crate::record::OrderRow;
use crate::results::Found;

/// Rows that fit a page.
const ROWS: usize = 48;
/// Tables that LaTeX may hold back before it must have a page to put them on.
const FLOATS: usize = 8;

const PREAMBLE: &str = r"% Made by `scorebench report --latex`. A document of all; each NAME.tex can be \input elsewhere.
\documentclass[a4paper]{article}
\usepackage{booktabs}
\setlength{\textwidth}{165mm}
\setlength{\oddsidemargin}{0pt}
\setlength{\textheight}{235mm}
\setlength{\topmargin}{-10mm}
\input{numbers}
\begin{document}
";

/// File names and bytes.
pub(super) fn files(sections: &[Section]) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut document = String::from(PREAMBLE);
    files.push(("numbers.tex".to_string(), numbers(sections).into_bytes()));
    let mut taken = BTreeSet::from(["numbers".to_string(), "scorebench".to_string()]);
    for section in sections {
        let mut name = file_name(&section.name);
        while !taken.insert(name.to_lowercase()) {
            name.push('-');
        }
        let mut text = String::new();
        one(&mut text, section, &name, &mut files);
        let _ = writeln!(document, "\\input{{{name}}}\n\\clearpage");
        files.push((format!("{name}.tex"), text.into_bytes()));
    }
    document.push_str("\\end{document}\n");
    files.push(("scorebench.tex".into(), document.into_bytes()));
    files
}

/// What \input takes without quoting.
fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' }).collect()
}

/// A name in letters, as names of commands have to be: `01-sde` is `ZeroOneSde`.
fn letters(name: &str) -> String {
    const DIGITS: [&str; 10] =
        ["Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine"];
    let (mut out, mut first) = (String::new(), true);
    for c in name.chars() {
        match c {
            '0'..='9' => out.push_str(DIGITS[c as usize - '0' as usize]),
            c if c.is_ascii_alphabetic() && first => out.push(c.to_ascii_uppercase()),
            c if c.is_ascii_alphabetic() => out.push(c),
            _ => {}
        }
        first = !c.is_ascii_alphabetic();
    }
    out
}

/// A macro for every count, and one that gives any fitted order.
fn numbers(sections: &[Section]) -> String {
    let mut out = String::from("% Made by `scorebench report --latex`.\n");
    let mut taken = BTreeSet::new();
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
    out.push_str(
        "% \\scorebenchorder{EXPERIMENT}{NUMBER OF THE PROBLEM}{SOLVER}{ERROR}: a fitted order, to three digits.\n\
         \\newcommand{\\scorebenchorder}[4]{\\csname scorebench:#1:#2:#3:#4\\endcsname}\n\
         \\newcommand{\\scorebenchset}[2]{\\expandafter\\gdef\\csname scorebench:#1\\endcsname{#2}}\n",
    );
    for section in sections {
        for (k, group) in groups(section).enumerate() {
            for o in group {
                if let Some(order) = o.order {
                    let key = [&section.name, &(k + 1).to_string(), &o.solver, &o.metric].map(|s| key(s));
                    let _ = writeln!(out, "\\scorebenchset{{{}}}{{{order:.3}}}", key.join(":"));
                }
            }
        }
    }
    out
}

/// Only what means itself within \csname.
fn key(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_graphic() && !"\\{}%#~^&$\"".contains(c) || c == ' ' { c } else { '?' })
        .collect()
}

/// Orders of one problem each: data, schedule, grid, start and mode.
fn groups(section: &Section) -> impl Iterator<Item = &[OrderRow]> {
    section.orders.chunk_by(|a, b| place(a) == place(b))
}

fn one(out: &mut String, section: &Section, file: &str, files: &mut Vec<(String, Vec<u8>)>) {
    let _ = writeln!(
        out,
        "% Made by `scorebench report --latex`.\n\\section*{{{}}}\n\\noindent\\texttt{{{}}}\\par",
        escape(section.title()),
        escape(&section.name)
    );
    if let Some(summary) = &section.summary {
        let paragraphs = summary.analysis.trim().split("\n\n").filter(|p| !p.trim().is_empty());
        paragraphs.for_each(|p| out.push_str(&format!("\n{}\n", prose(p))));
        let met = summary.expectations.iter().filter(|e| e.verdict == Found::Met).count();
        if met > 0 {
            let _ = writeln!(out, "\nExpectations met: {met}.");
        }
        let mut others: Vec<_> = summary.expectations.iter().filter(|e| e.verdict != Found::Met).collect();
        others.sort_by_key(|e| e.verdict);
        if !others.is_empty() {
            out.push_str("\\begin{itemize}\\raggedright\\small\n");
            for e in &others {
                let verdict = if e.verdict == Found::Failed { "\\textbf{failed}" } else { "open" };
                let _ = writeln!(out, "\\item {verdict}: {}", escape(&e.text));
            }
            out.push_str("\\end{itemize}\n");
        }
    }
    for figure in &section.figures {
        let Some(bytes) = figure.png.as_ref().and_then(|p| fs::read(p).ok()) else { continue };
        let name = format!("{file}-{}.png", file_name(&figure.stem));
        let _ = writeln!(
            out,
            "\\ifdefined\\includegraphics\\begin{{figure}}[htbp]\\centering\\includegraphics[width=\\linewidth]{{{name}}}\
             \\caption{{{}}}\\end{{figure}}\\fi",
            escape(section.title())
        );
        files.push((name, bytes));
    }
    let mut tables = calls(section).into_iter().chain(orders(section)).peekable();
    let mut n = 0;
    while let Some(table) = tables.next() {
        out.push_str(&table);
        n += 1;
        if n % FLOATS == 0 && tables.peek().is_some() {
            out.push_str("\\clearpage\n");
        }
    }
}

/// A paragraph, with what stands between backticks as code.
fn prose(text: &str) -> String {
    let mut parts = text.split('`').peekable();
    let (mut out, mut code) = (String::new(), false);
    while let Some(part) = parts.next() {
        // Line breaks stay for the reader of the source.
        let part_of = |p: &str| p.split('\n').map(|l| escape(l.trim_end())).collect::<Vec<_>>().join("\n");
        match (code, parts.peek()) {
            (true, Some(_)) => out.push_str(&format!("\\texttt{{{}}}", part_of(part))),
            _ if part.ends_with(' ') => out.push_str(&format!("{} ", part_of(part))),
            _ => out.push_str(&part_of(part)),
        }
        code = !code;
    }
    out
}

/// A table, with lines of cells.
fn table(caption: &str, columns: &str, head: &str, lines: &[String]) -> String {
    // Labels of many parameters are long.
    let longest = lines.iter().map(|l| l.chars().count()).max().unwrap_or(0);
    let (size, columns) = match longest {
        0..=100 => ("\\footnotesize", columns.to_string()),
        _ => ("\\scriptsize", columns.replacen('l', "p{75mm}", 1)),
    };
    format!(
        "\\begin{{table}}[htbp]\\centering{size}\n\\caption{{{caption}}}\\smallskip\n\\begin{{tabular}}{{{columns}}}\n\\toprule\n\
         {head} \\\\\n\\midrule\n{}\\bottomrule\n\\end{{tabular}}\n\\end{{table}}\n",
        lines.iter().map(|l| format!("{l} \\\\\n")).collect::<String>()
    )
}

fn calls(section: &Section) -> Option<String> {
    let calls = tally::calls(section)?;
    let head: String = calls.targets.iter().map(|t| format!(" & $10^{{{}}}$", t.log10())).collect();
    // Targets that are no powers of ten are written out.
    let head = if calls.targets.iter().all(|t| t.log10().fract() == 0.0) {
        head
    } else {
        calls.targets.iter().map(|t| format!(" & {t:e}")).collect()
    };
    let line = |(solver, cells): &(String, Vec<String>)| {
        format!("{} & {}", escape(solver), cells.iter().map(|c| escape(c)).collect::<Vec<_>>().join(" & "))
    };
    let several = match calls.problems {
        1 => String::new(),
        n => format!(", least to greatest of {n} problems"),
    };
    let caption = format!("Model calls until $W_2$ stays below a target{several}.");
    let columns = format!("@{{}}l{}@{{}}", "r".repeat(calls.targets.len()));
    Some(table(
        &caption,
        &columns,
        &format!("solver{head}"),
        &calls.rows.iter().map(line).collect::<Vec<_>>(),
    ))
}

fn orders(section: &Section) -> Vec<String> {
    let mut out = Vec::new();
    let several = section.orders.iter().any(|o| o.metric != section.orders[0].metric);
    for (k, group) in groups(section).enumerate() {
        let labels: Vec<String> =
            place(&group[0]).iter().filter(|l| !l.is_empty()).map(|l| escape(l)).collect();
        for (i, part) in group.chunks(ROWS).enumerate() {
            let line = |o: &OrderRow| {
                let metric = if several { format!(" & {}", escape(&o.metric)) } else { String::new() };
                let claimed = o.claimed.map_or(String::new(), |p| p.to_string());
                format!(
                    "{}{metric} & {} & {claimed} & {}",
                    escape(&o.solver),
                    measured(o),
                    escape(&o.verdict)
                )
            };
            let more = if i == 0 { "" } else { " (continued)" };
            let caption = format!("Orders, problem {}{more}: {}.", k + 1, labels.join(", "));
            let (columns, head) = match several {
                true => ("@{}llrrl@{}", "solver & error & order & claimed & verdict"),
                false => ("@{}lrrl@{}", "solver & order & claimed & verdict"),
            };
            out.push(table(&caption, columns, head, &part.iter().map(line).collect::<Vec<_>>()));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_letters() {
        assert_eq!(letters("01-convergence"), "ZeroOneConvergence");
        assert_eq!(letters("unipc(order=3)"), "UnipcOrderThree");
        assert_eq!(letters("../x y"), "XY");
        assert_eq!(file_name("a b/c_d.e"), "a-b-c-d-e");
        assert_eq!(key("heun(s=1)\\x#1 λ"), "heun(s=1)?x?1 ?");
    }
}
