//! The report as LaTeX: tables that need booktabs only, and numbers as macros.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::claims;
use super::escape::latex as escape;
use super::markdown::measured;
use super::pdf;
use super::read::Section;
use super::tally::{self, place};
use crate::record::OrderRow;
use crate::results::Found;

mod maths;
mod numbers;

/// Rows that fit a page.
const ROWS: usize = 48;
/// Tables that LaTeX may hold back before it must have a page to put them on.
const FLOATS: usize = 8;

const PREAMBLE: &str = r"% Made by `scorebench report --latex`. A document of all; each NAME.tex can be \input elsewhere.
\documentclass[a4paper]{article}
\usepackage{booktabs,longtable,array}
\setlength{\textwidth}{165mm}
\setlength{\oddsidemargin}{0pt}
\setlength{\textheight}{235mm}
\setlength{\topmargin}{-10mm}
\input{numbers}
\begin{document}
";

/// File names and bytes.
pub(super) fn files(sections: &[Section]) -> Vec<(String, Vec<u8>)> {
    let claimed = claims::all(sections);
    let mut files = Vec::new();
    let mut document = String::from(PREAMBLE);
    files.push(("numbers.tex".to_string(), numbers::common(sections, &claimed).into_bytes()));
    let names = ["numbers", "scorebench"].into_iter().chain(claims::GROUPS.map(|g| g.0));
    let mut taken: BTreeSet<String> = names.map(String::from).collect();
    for (group, _) in claims::GROUPS {
        let text = claims(&claimed, group);
        if !text.is_empty() {
            let _ = writeln!(document, "\\input{{{group}}}\n\\clearpage");
            files.push((format!("{group}.tex"), text.into_bytes()));
        }
    }
    for section in sections {
        let mut name = file_name(&section.name);
        while !taken.insert(name.to_lowercase()) {
            name.push('-');
        }
        let mut text = String::new();
        one(&mut text, section, &name, &mut files);
        let _ = writeln!(document, "\\input{{{name}}}\n\\clearpage");
        files.push((format!("{name}.tex"), text.into_bytes()));
        files.push((format!("{name}-numbers.tex"), numbers::of(section).into_bytes()));
        if let Some(text) = side_by_side(section) {
            files.push((format!("{name}-orders.tex"), text.into_bytes()));
        }
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

/// Orders of one problem each: data, schedule, grid, start and mode.
fn groups(section: &Section) -> impl Iterator<Item = &[OrderRow]> {
    section.numbers.orders.chunk_by(|a, b| place(a) == place(b))
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
        let name = format!("{file}-{}.pdf", file_name(&figure.stem));
        let bytes = match pdf::page(&figure.text) {
            Ok(bytes) => bytes,
            Err(why) => {
                let _ = writeln!(out, "% {name} cannot be drawn: {}", why.replace('\n', " "));
                continue;
            }
        };
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

/// A long table of the claims of a group; empty where there is none.
fn claims(all: &[claims::Found], group: &str) -> String {
    let mine: Vec<_> = all.iter().filter(|f| claims::group(f.claim).0 == group).collect();
    if mine.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "% Made by `scorebench report --latex`.\n{\\small\\setlength{\\LTpre}{0pt}\\setlength{\\LTpost}{0pt}\n\
         \\begin{longtable}{@{}l>{\\raggedright}p{0.34\\linewidth}>{\\raggedright}p{0.1\\linewidth}\
         >{\\raggedright\\arraybackslash}p{0.44\\linewidth}@{}}\n\\toprule\n & claim & verdict & finding \\\\\n\\midrule\n\
         \\endhead\n\\bottomrule\n\\endfoot\n",
    );
    for f in mine {
        let verdict = f.claim.verdict.name().replace("true with conditions", "with conditions");
        let _ = writeln!(
            out,
            "{} & {} \\emph{{{}}} & {verdict} & {} \\\\",
            escape(&f.claim.id),
            coded(&f.claim.says),
            escape(&f.claim.source),
            coded(&f.finding)
        );
    }
    out.push_str("\\end{longtable}}\n");
    out
}

/// Text with mathematics set as such, and with what stands between backticks as code.
fn coded(text: &str) -> String {
    let part = |(k, part): (usize, &str)| match k % 2 {
        1 => format!("\\texttt{{{}}}", escape(part)),
        _ => maths::set(part),
    };
    text.split('`').enumerate().map(part).collect()
}

/// Orders of all solvers, a column each problem; none where only one problem or several errors were fitted.
fn side_by_side(section: &Section) -> Option<String> {
    let problems: Vec<&[OrderRow]> = groups(section).collect();
    let metric = &section.numbers.orders.first()?.metric;
    if problems.len() < 2 || problems.len() > 6 || section.numbers.orders.iter().any(|o| o.metric != *metric)
    {
        return None;
    }
    let columns = "r".repeat(problems.len());
    let heads: Vec<String> = (1..=problems.len()).map(|k| format!("({k})")).collect();
    let mut out = format!(
        "% Made by `scorebench report --latex`.\n{{\\small\\setlength{{\\LTpre}}{{0pt}}\\setlength{{\\LTpost}}{{0pt}}\n\
         \\begin{{longtable}}{{@{{}}lr{columns}l@{{}}}}\n\\toprule\nsolver & claimed & {} & \\\\\n\\midrule\n\\endhead\n\
         \\bottomrule\n\\endfoot\n",
        heads.join(" & ")
    );
    for solver in &section.solvers {
        let rows: Vec<Option<&OrderRow>> =
            problems.iter().map(|p| p.iter().find(|o| o.solver == *solver)).collect();
        let cells: Vec<String> = rows
            .iter()
            .map(|o| o.and_then(|o| o.order).map_or(String::new(), |p| format!("{p:.2}")))
            .collect();
        let claimed = rows.iter().flatten().find_map(|o| o.claimed);
        let mut verdicts: Vec<&str> = rows.iter().flatten().map(|o| o.verdict.as_str()).collect();
        verdicts.sort_unstable();
        verdicts.dedup();
        let _ = writeln!(
            out,
            "{} & {} & {} & {} \\\\",
            escape(solver),
            claimed.map_or(String::new(), |p| p.to_string()),
            cells.join(" & "),
            verdicts.join(", ")
        );
    }
    out.push_str("\\end{longtable}}\n");
    Some(out)
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
    let several = section.numbers.orders.iter().any(|o| o.metric != section.numbers.orders[0].metric);
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
    }
}
