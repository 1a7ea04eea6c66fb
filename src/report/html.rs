//! The report as one page: no other file, no network, nothing that runs but its own script.

use std::fmt::Write;

use super::claims;
use super::escape;
use super::read::{Kind, Section};
use super::tally;
use crate::results::{Found, Verdict};

const STYLE: &str = include_str!("page.css");
/// Why an order that fails is not always one that should not.
pub(super) const OFTEN: &str = "Expectations are what each experiment is checked for. A claimed order can fail without one: under a \
                                wrong score, in half precision, or where runs are too coarse to show it.";

/// In the order in which they use one another.
const SCRIPTS: &[&str] = &[
    include_str!("csv.js"),
    include_str!("style.js"),
    include_str!("axis.js"),
    include_str!("plot.js"),
    include_str!("table.js"),
    include_str!("page.js"),
];

/// The whole page.
pub(super) fn page(sections: &[Section]) -> String {
    let mut body = String::new();
    overview(&mut body, sections);
    all_claims(&mut body, sections);
    let mut figures = 0;
    for section in sections {
        one(&mut body, section, &mut figures);
    }
    let data = data(sections);
    // A script that a file brings along cannot know the hash of what it is in.
    let nonce = &blake3::hash(format!("{body}{data}").as_bytes()).to_hex()[..32];
    let script = SCRIPTS.concat();
    let links: String = sections.iter().map(link).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'nonce-{nonce}'; \
         script-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>scorebench: report</title>\n\
         <style nonce=\"{nonce}\">\n{STYLE}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#main\">Skip to the results</a>\n\
         <header class=\"top\"><a class=\"brand\" href=\"#overview\">scorebench</a> <span>report of results</span>\
         <button type=\"button\" id=\"theme\" aria-pressed=\"false\" hidden>Dark</button></header>\n\
         <nav aria-label=\"Experiments\" class=\"contents\"><details open><summary>Experiments</summary>\n\
         <ol>\n{links}</ol></details></nav>\n\
         <main id=\"main\" tabindex=\"-1\">\n{body}</main>\n\
         <footer>Made by <code>scorebench report</code> from the tables and figures of its result folders, which this \
         page holds in full.</footer>\n{data}<script nonce=\"{nonce}\">\n'use strict';\n(() => {{\n{script}}})();\n\
         </script>\n</body>\n</html>\n"
    )
}

fn put(out: &mut String, text: std::fmt::Arguments) {
    out.write_fmt(text).expect("writing to a string does not fail");
}

fn link(section: &Section) -> String {
    let (id, name) = (escape::id(&section.name), escape::html(&section.name));
    format!("<li><a href=\"#{id}\">{name}</a></li>\n")
}

/// A verdict with its number: told by a sign and a word as well as by its colour.
fn chip(class: &str, n: usize, word: &str) -> String {
    let sign = match class {
        "good" => "\u{2713}",
        "bad" => "\u{2717}",
        _ => "\u{25cb}",
    };
    let class = if n == 0 { "none" } else { class };
    format!("<span class=\"chip {class}\"><span aria-hidden=\"true\">{sign}</span> {n} {word}</span>")
}

fn expected_chips(e: &tally::Expected) -> [String; 3] {
    [chip("good", e.met, "met"), chip("bad", e.failed, "failed"), chip("open", e.open, "open")]
}

fn order_chips(o: &tally::Orders) -> [String; 3] {
    [chip("good", o.pass, "pass"), chip("bad", o.fail, "fail"), chip("open", o.inconclusive, "inconclusive")]
}

/// Chips of what there is; the first where there is nothing.
fn without_zeros(chips: &[String; 3]) -> String {
    let some: Vec<&str> = chips.iter().map(String::as_str).filter(|c| !c.contains("chip none")).collect();
    if some.is_empty() { chips[0].clone() } else { some.join(" ") }
}

/// 13,419.
fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

fn overview(out: &mut String, sections: &[Section]) {
    let (expected, orders) = tally::total(sections);
    let rows: usize = sections.iter().filter_map(Section::errors).map(|t| t.rows).sum();
    let silent = sections.iter().filter(|s| s.summary.is_none() && !s.is_training()).count();
    put(
        out,
        format_args!(
            "<section id=\"overview\" aria-labelledby=\"overview-title\">\n<h1 id=\"overview-title\">How far are \
             samplers from the equations they claim to solve?</h1>\n\
             <p class=\"lead\">{} result folders, {} rows of errors.</p>\n<dl class=\"verdicts\">\n\
             <div><dt>Expectations</dt><dd>{}</dd></div>\n<div><dt>Orders, against what is claimed</dt><dd>{}</dd></div>\n\
             </dl>\n<p class=\"note\">{OFTEN}</p>\n",
            sections.len(),
            grouped(rows),
            expected_chips(&expected).join(" "),
            order_chips(&orders).join(" ")
        ),
    );
    if silent > 0 {
        put(
            out,
            format_args!(
                "<p class=\"note\">Folders without a <code>summary.toml</code>: {silent}. They do not say what was asked \
                 and expected; running their experiments again adds it.</p>\n"
            ),
        );
    }
    out.push_str(
        "<table class=\"overview\"><caption class=\"unseen\">Verdicts of all experiments</caption>\n<thead><tr>\
         <th scope=\"col\">Experiment</th><th scope=\"col\">Question</th><th scope=\"col\">Expectations</th>\
         <th scope=\"col\">Orders</th></tr></thead>\n<tbody>\n",
    );
    for section in sections {
        let (id, name) = (escape::id(&section.name), escape::html(&section.name));
        let question = match &section.summary {
            Some(summary) => &summary.question,
            None if section.is_training() => "a training",
            None => "not stated",
        };
        let expected = match tally::expected(section) {
            None if section.is_training() => "none".into(),
            None => "not stated".into(),
            Some(e) if e == tally::Expected::default() => "none".into(),
            Some(e) => without_zeros(&expected_chips(&e)),
        };
        let orders = tally::orders(section);
        let orders = if section.numbers.orders.is_empty() {
            "none fitted".into()
        } else {
            without_zeros(&order_chips(&orders))
        };
        put(
            out,
            format_args!(
                "<tr><th scope=\"row\"><a href=\"#{id}\">{name}</a></th><td>{}</td><td data-of=\"Expectations\">{expected}\
                 </td><td data-of=\"Orders\">{orders}</td></tr>\n",
                escape::html(question)
            ),
        );
    }
    out.push_str("</tbody></table>\n</section>\n");
}

/// What is claimed, a table for claims, errata and what is shipped each.
fn all_claims(out: &mut String, sections: &[Section]) {
    let all = claims::all(sections);
    for group in all.chunk_by(|a, b| claims::group(a.claim) == claims::group(b.claim)) {
        let (id, title) = claims::group(group[0].claim);
        put(
            out,
            format_args!(
                "<section aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">{title}</h2>\n\
                 <table class=\"overview claims\"><thead><tr><th scope=\"col\">No.</th><th scope=\"col\">Claim</th>\
                 <th scope=\"col\">Verdict</th><th scope=\"col\">Finding</th></tr></thead>\n<tbody>\n"
            ),
        );
        for f in group {
            let (class, sign) = match f.claim.verdict {
                Verdict::True => ("good", "\u{2713}"),
                Verdict::Conditional => ("open", "\u{25cb}"),
                Verdict::False => ("bad", "\u{2717}"),
            };
            put(
                out,
                format_args!(
                    "<tr><th scope=\"row\"><a href=\"#{}\">{}</a></th><td>{} <i>{}</i></td><td data-of=\"Verdict\"><span \
                     class=\"chip {class}\"><span aria-hidden=\"true\">{sign}</span> {}</span></td>\
                     <td data-of=\"Finding\">{}</td></tr>\n",
                    escape::id(f.experiment),
                    escape::html(&f.claim.id),
                    inline(&f.claim.says),
                    escape::html(&f.claim.source),
                    f.claim.verdict.name(),
                    inline(&f.finding)
                ),
            );
        }
        out.push_str("</tbody></table>\n</section>\n");
    }
}

/// One folder.
fn one(out: &mut String, section: &Section, figures: &mut usize) {
    let (id, name) = (escape::id(&section.name), escape::html(&section.name));
    put(
        out,
        format_args!(
            "<section class=\"experiment\" id=\"{id}\" aria-labelledby=\"{id}-title\">\n<p class=\"name\">{name}</p>\n\
             <h2 id=\"{id}-title\">{}</h2>\n",
            escape::html(section.title())
        ),
    );
    verdicts(out, section);
    for figure in &section.figures {
        *figures += 1;
        let title = format!("Figure {figures}: {} of {}. {}", figure.stem, section.name, section.title());
        let picture = figure.svg.inline(&format!("{id}-{}-", escape::id(&figure.stem)), &title);
        put(
            out,
            format_args!(
                "<figure class=\"plate\"><div class=\"paper\" tabindex=\"0\" role=\"group\" aria-label=\"Figure {figures}\">\
                 {picture}</div><figcaption><b>Figure {figures}.</b> <code>{name}/{}.svg</code><button type=\"button\" \
                 class=\"full\" aria-pressed=\"false\" hidden>Full size</button></figcaption></figure>\n",
                escape::html(&figure.stem)
            ),
        );
    }
    if let Some(summary) = &section.summary {
        if !summary.analysis.trim().is_empty() {
            put(
                out,
                format_args!("<h3>Analysis</h3>\n<div class=\"prose\">{}</div>\n", prose(&summary.analysis)),
            );
        }
        expectations(out, section);
    }
    known_calls(out, section);
    explore(out, section);
    provenance(out, section);
    out.push_str("</section>\n");
}

fn verdicts(out: &mut String, section: &Section) {
    out.push_str("<dl class=\"verdicts\">\n");
    if let Some(expected) = tally::expected(section).filter(|e| *e != tally::Expected::default()) {
        put(
            out,
            format_args!(
                "<div><dt>Expectations</dt><dd>{}</dd></div>\n",
                expected_chips(&expected).join(" ")
            ),
        );
    }
    if !section.numbers.orders.is_empty() {
        let chips = order_chips(&tally::orders(section)).join(" ");
        put(out, format_args!("<div><dt>Orders</dt><dd>{chips}</dd></div>\n"));
    }
    let n = section.solvers.len();
    if n > 0 {
        let rows = section.errors().map_or(0, |t| t.rows);
        let failed = match section.failed_runs {
            0 => String::new(),
            1 => "; 1 run has no finite result".into(),
            n => format!("; {n} runs have no finite result"),
        };
        put(out, format_args!("<div><dt>Data</dt><dd>{rows} rows of {n} solvers{failed}</dd></div>\n"));
    }
    out.push_str("</dl>\n");
    if section.summary.is_none() {
        let why = if section.is_training() {
            "A training, not an experiment: nothing was asked or expected."
        } else {
            "No <code>summary.toml</code> lies here: what was asked, expected and found is not stated. Running the \
             experiment again adds it."
        };
        put(out, format_args!("<p class=\"note\">{why}</p>\n"));
    }
}

/// Paragraphs and `code`.
fn prose(text: &str) -> String {
    let paragraph =
        |p: &str| format!("<p>{}</p>", inline(&p.split_whitespace().collect::<Vec<_>>().join(" ")));
    let lines: Vec<&str> = text.trim().lines().map(str::trim).collect();
    lines.split(|l| l.is_empty()).filter(|p| !p.is_empty()).map(|p| paragraph(&p.join(" "))).collect()
}

/// Text and `code`.
fn inline(text: &str) -> String {
    let mut parts = text.split('`').peekable();
    let (mut html, mut code) = (String::new(), false);
    while let Some(part) = parts.next() {
        match (code, parts.peek()) {
            (true, Some(_)) => html.push_str(&format!("<code>{}</code>", escape::html(part))),
            // A backtick that nothing closes.
            (true, None) => html.push_str(&format!("`{}", escape::html(part))),
            _ => html.push_str(&escape::html(part)),
        }
        code = !code;
    }
    html
}

/// What failed and what stays open is seen at once; what was met, on asking if it is much.
fn expectations(out: &mut String, section: &Section) {
    let Some(summary) = section.summary.as_ref().filter(|s| !s.expectations.is_empty()) else { return };
    let list = |verdict: Found| {
        let (class, sign, word) = match verdict {
            Found::Met => ("good", "\u{2713}", "met"),
            Found::Failed => ("bad", "\u{2717}", "failed"),
            Found::Open => ("open", "\u{25cb}", "open"),
        };
        let of = summary.expectations.iter().filter(move |e| e.verdict == verdict);
        let item = |text: &str| {
            format!(
                "<li class=\"{class}\"><span aria-hidden=\"true\">{sign}</span> <b>{word}</b> {}</li>\n",
                escape::html(text)
            )
        };
        of.map(|e| item(&e.text)).collect::<String>()
    };
    out.push_str("<h3>Expectations</h3>\n");
    let first = list(Found::Failed) + &list(Found::Open);
    if !first.is_empty() {
        put(out, format_args!("<ul class=\"expectations\">\n{first}</ul>\n"));
    }
    let met = summary.expectations.iter().filter(|e| e.verdict == Found::Met).count();
    match met {
        0 => {}
        1..=4 => put(out, format_args!("<ul class=\"expectations\">\n{}</ul>\n", list(Found::Met))),
        n => put(
            out,
            format_args!(
                "<details class=\"fold\"><summary>{n} met</summary>\n<ul class=\"expectations\">\n{}</ul></details>\n",
                list(Found::Met)
            ),
        ),
    }
}

fn known_calls(out: &mut String, section: &Section) {
    let Some(calls) = tally::calls(section) else { return };
    let head: String =
        calls.targets.iter().map(|t| format!("<th scope=\"col\" class=\"number\">{t:e}</th>")).collect();
    put(
        out,
        format_args!(
            "<h3>Calls until W2 is small enough</h3>\n<div class=\"wide\" tabindex=\"0\" role=\"group\" \
             aria-label=\"Calls of well-known solvers\"><table class=\"book\"><caption>Model calls of well-known solvers until \
             W2 stays below a target{}; empty where it is not reached. All solvers are in the tables below.\
             </caption>\n<thead><tr><th scope=\"col\">Solver</th>{head}</tr></thead>\n<tbody>\n",
            match calls.problems {
                1 => String::new(),
                n => format!(", least to greatest of {n} problems (<i>from</i>: not on all of them)"),
            }
        ),
    );
    for (solver, cells) in &calls.rows {
        let cells: String = cells.iter().map(|c| format!("<td class=\"number\">{c}</td>")).collect();
        put(out, format_args!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", escape::html(solver)));
    }
    out.push_str("</tbody></table></div>\n");
}

/// Places that the script fills when they are opened.
fn explore(out: &mut String, section: &Section) {
    let id = escape::id(&section.name);
    let place = |what: &str, title: &str| {
        format!(
            "<details class=\"explore\" id=\"{id}-{what}\" data-of=\"{id}\" data-build=\"{what}\"><summary><h3>{title}</h3>\
             </summary><div class=\"built\"><p class=\"note\">Needs JavaScript; without it, the tables are in the source of \
             this page.</p></div></details>\n"
        )
    };
    if section.errors().is_some_and(|t| t.rows > 0) {
        out.push_str(&place("plot", "Interactive plot"));
    }
    out.push_str(&place("tables", "Tables and downloads"));
}

fn provenance(out: &mut String, section: &Section) {
    if section.manifest.is_empty() {
        let why = "No <code>manifest.toml</code>: where these results come from is not recorded.";
        put(out, format_args!("<p class=\"source\">{why}</p>\n"));
        return;
    }
    let of = |key| escape::html(section.came_from(key).unwrap_or("unknown"));
    let commit: String = of("commit").chars().take(10).collect();
    let dirty = if section.came_from("dirty") == Some("true") { " with changes" } else { "" };
    let date: String = of("date").chars().take(10).collect();
    let rows = section.manifest.iter().map(|(key, value)| {
        format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escape::html(key), escape::html(value))
    });
    put(
        out,
        format_args!(
            "<p class=\"source\"><code>{}</code>, commit <code>{commit}</code>{dirty}, {date}</p>\n\
             <details class=\"fold provenance\"><summary><h3>Provenance</h3></summary>\n<dl class=\"manifest\">\n{}</dl></details>\n",
            of("command"),
            rows.collect::<String>()
        ),
    );
}

/// All tables, and a list of them for the script.
fn data(sections: &[Section]) -> String {
    let mut out = String::new();
    let mut list = Vec::new();
    for section in sections {
        let id = escape::id(&section.name);
        let mut tables = Vec::new();
        for table in &section.tables {
            let file = table.kind.file();
            let element = format!("{id}-csv-{}", file.trim_end_matches(".csv"));
            tables.push(serde_json::json!({
                "element": element, "file": file, "title": table.kind.title(), "rows": table.rows,
                "errors": matches!(table.kind, Kind::Exact | Kind::Sampled),
            }));
            put(
                &mut out,
                format_args!(
                    "<script type=\"text/csv\" id=\"{element}\">{}</script>\n",
                    escape::script(&table.text)
                ),
            );
        }
        list.push(serde_json::json!({
            "id": id, "name": section.name, "metric": section.metric, "tables": tables,
            "first": tally::to_begin_with(&section.solvers),
        }));
    }
    let list = escape::json(&serde_json::Value::Array(list));
    out + &format!("<script type=\"application/json\" id=\"contents\">{list}</script>\n")
}
