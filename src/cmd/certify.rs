//! `scorebench certify`: every claim of a solver measured, as a table, as JSON, or spliced into the README.

use std::fmt::Write;
use std::path::Path;

use super::splice::Block;
use super::{Status, Talk, print, print_json, say, talk};
use crate::certify::{Certificate, Measured, Planned, certify, certify_as_sold};
use crate::config::{self, suggest};
use crate::error::{BadInput, Result};
use crate::experiment::file;
use crate::order::Verdict;
use crate::parallel;
use crate::solver::conditions::Residual;
use crate::solver::{Handle, registry};

#[derive(Debug, clap::Args)]
pub(super) struct Certify {
    /// Names of solvers (all variants of each), or labels such as "ddim(eta=0.5)"; all of the catalogue if none is given
    solvers: Vec<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Write the table into the README, between its markers; with --check, say whether it is stale and write nothing
    #[arg(long)]
    readme: bool,
    /// With --readme: exit with 1 if the README is stale, and leave it alone
    #[arg(long, requires = "readme")]
    check: bool,
    /// Hold solvers to the order they are sold as (by their name or the library that ships them), not to what they keep
    #[arg(long, conflicts_with = "readme")]
    as_sold: bool,
}

const BLOCK: Block = Block { verb: "certify", what: "the certificates" };

impl Certify {
    pub(super) fn go(&self) -> Result<Status> {
        if self.readme && !self.solvers.is_empty() {
            return Err(BadInput::about(
                "--readme",
                "is about the whole catalogue",
                "name no solvers beside it",
            ));
        }
        let solvers = self.chosen()?;
        let measure = if self.as_sold { certify_as_sold } else { certify };
        let certificates = parallel::map(&solvers, measure);
        if self.readme {
            return splice(&certificates, self.check);
        }
        if self.json {
            print_json(&certificates);
        } else {
            print(&table(&certificates, talk() == Talk::Verbose));
        }
        let count = |v: Verdict| certificates.iter().filter(|c| c.verdict == v).count();
        let none =
            certificates.iter().filter(|c| c.claim == "floor" && c.verdict == Verdict::Inconclusive).count();
        let (pass, fail) = (count(Verdict::Pass), count(Verdict::Fail));
        let open = certificates.len() - pass - fail - none;
        say(&format!(
            "{} solver{}: {pass} pass, {fail} fail, {open} inconclusive, {none} claim no order",
            certificates.len(),
            if certificates.len() == 1 { "" } else { "s" }
        ));
        Ok(if fail > 0 { Status::Failed } else { Status::Fine })
    }

    fn chosen(&self) -> Result<Vec<Handle>> {
        let all = registry::all();
        if self.solvers.is_empty() {
            return Ok(all.iter().flat_map(registry::Entry::variants).collect());
        }
        let mut chosen = Vec::new();
        for word in &self.solvers {
            match all.iter().find(|e| e.name == word) {
                Some(entry) => chosen.extend(entry.variants()),
                None => chosen.push(from_label(word, &all)?),
            }
        }
        Ok(chosen)
    }
}

/// The solver that a label such as `ddim(eta=0.5)` names: a variant of the catalogue, or any other parameters; those of a
/// file in `runge-kutta(file=mine.toml)`.
pub(super) fn from_label(word: &str, all: &[registry::Entry]) -> Result<Handle> {
    let variants = all.iter().flat_map(registry::Entry::variants);
    if let Some(variant) = variants.into_iter().find(|v| v.label() == word) {
        return Ok(variant);
    }
    let names: Vec<&str> = all.iter().map(|e| e.name).collect();
    let (name, rest) = word.split_once('(').unwrap_or((word, ""));
    if !names.contains(&name) {
        return Err(BadInput::new("solver", word, "is not known", suggest(name, &names)));
    }
    let mut table = toml::Table::from_iter([("name".to_string(), name.into())]);
    for pair in rest.trim_end_matches(')').split(',').filter(|p| !p.trim().is_empty()) {
        let Some((key, text)) = pair.split_once('=') else {
            let fix = "write name(key=value, ...), with file=mine.toml for what a file gives";
            return Err(BadInput::new("solver", word, "is no label", fix));
        };
        let text = text.trim();
        table.insert(key.trim().into(), config::value(text).unwrap_or_else(|| text.into()));
    }
    // A whole number is meant as what the parameter is.
    let here = Path::new(".");
    file::solver(table.clone().into(), here).or_else(|refused| {
        for (_, value) in &mut table {
            if let Some(n) = value.as_integer() {
                *value = (n as f64).into();
            }
        }
        file::solver(table.into(), here).map_err(|_| refused)
    })
}

/// Columns of the table.
const HEAD: [&str; COLUMNS] = [
    "solver", "order", "measured", "uneven", "strong", "proved", "calls", "draws", "W2 at 64", "constant",
    "step", "verdict",
];
const COLUMNS: usize = 12;

fn cells(c: &Certificate) -> [String; COLUMNS] {
    let mut order = c.claim.clone();
    if let Some(p) = c.weak.first().and_then(|m| m.claimed)
        && p.to_string() != order
        && c.sold_as != Some(p)
    {
        let _ = write!(order, " ({p} here)");
    }
    if let Some(p) = c.sold_as {
        let _ = write!(order, " (sold as {p})");
    }
    let per = |x: f64| if x.fract() == 0.0 { format!("{x}") } else { format!("{x:.2}") };
    let small = |x: Option<f64>| x.map_or(String::new(), |x| format!("{x:.3e}"));
    let step = match c.stable_step {
        None => String::new(),
        Some(f64::INFINITY) => "any".into(),
        Some(0.0) => "< 0.11".into(),
        Some(h) => format!("{h:.2}"),
    };
    let strong = match c.strong.first().and_then(|m| m.claimed) {
        Some(p) => format!("{p}: {}", range(&c.strong)),
        None => String::new(),
    };
    // "classical order" 4 and "stiff order" 3 as "classical 4, stiff 3"; order conditions by their number.
    let short = |what: &str| what.trim_end_matches(" order").replace("order conditions", "conditions");
    let proofs: Vec<String> = c.proofs.iter().map(|p| format!("{} {}", short(p.what), p.found)).collect();
    let uneven = c.uneven.as_ref().map_or(String::new(), |m| number(m.order));
    [
        c.solver.clone(),
        order,
        if c.claim == "exact" { c.verdict.to_string() } else { range(&c.weak) },
        uneven,
        strong,
        proofs.join(", "),
        per(c.calls_per_step),
        per(c.draws_per_step),
        // Digits near round-off are those of the processor's library, not of the method.
        c.w2_at_64.map_or(String::new(), |x| if x < 1e-11 { "< 1e-11".into() } else { format!("{x:.5e}") }),
        small(c.error_constant),
        step,
        if c.claim == "floor" { "no order claimed".into() } else { c.verdict.to_string() },
    ]
}

fn number(x: Option<f64>) -> String {
    x.map_or("?".into(), |x| format!("{x:.2}"))
}

/// Measured orders, least to greatest.
fn range(list: &[Measured]) -> String {
    let found: Vec<f64> = list.iter().filter_map(|m| m.order).collect();
    let (low, high) = found.iter().fold((f64::INFINITY, 0.0), |(l, h): (f64, f64), &p| (l.min(p), h.max(p)));
    match found.len() {
        0 => "?".into(),
        _ if format!("{low:.2}") == format!("{high:.2}") => number(Some(low)),
        _ => format!("{low:.2} to {high:.2}"),
    }
}

fn table(certificates: &[Certificate], verbose: bool) -> String {
    let rows: Vec<[String; COLUMNS]> =
        std::iter::once(HEAD.map(String::from)).chain(certificates.iter().map(cells)).collect();
    let widths: Vec<usize> =
        (0..HEAD.len()).map(|k| rows.iter().map(|r| r[k].chars().count()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    let mut line = |cells: &[String]| {
        let padded: Vec<String> = cells.iter().zip(&widths).map(|(c, w)| format!("{c:w$}")).collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    };
    line(&rows[0]);
    for (row, c) in rows[1..].iter().zip(certificates) {
        line(row);
        let all = || c.weak.iter().chain(&c.uneven).chain(&c.strong);
        if verbose {
            for m in all() {
                line(&[format!("    {}: {}", m.problem, m.reason)]);
            }
            if let Some(p) = &c.planned {
                let Planned { steps, calls, pilot_calls, w2 } = p;
                line(&[format!("    plans {steps} steps of {calls} calls with {pilot_calls}: W2 {w2:.2e}")]);
            }
            for p in &c.proofs {
                line(&[format!("    {}: {} claimed, {} found: {}", p.what, p.claimed, p.found, p.how)]);
            }
        }
        for r in c.residuals.iter().filter(|_| verbose) {
            let Residual { order, conditions, off, place } = r;
            line(&[format!(
                "    order {order}: {conditions} conditions, missed by at most {off:.1e} ({place})"
            )]);
        }
        for reason in c.reasons.iter().filter(|_| c.verdict != Verdict::Pass) {
            line(&[format!("    {reason}")]);
        }
    }
    text
}

/// The README's block: one line a solver of the catalogue, under the command that makes it.
fn markdown(certificates: &[Certificate]) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "| {} |\n|{}", HEAD.join(" | "), "---|".repeat(HEAD.len()));
    for c in certificates {
        let _ = writeln!(text, "| {} |", cells(c).join(" | "));
    }
    text
}

fn splice(certificates: &[Certificate], check: bool) -> Result<Status> {
    let status = BLOCK.splice(&markdown(certificates), check)?;
    let failed = certificates.iter().any(|c| c.verdict == Verdict::Fail);
    Ok(if failed { Status::Failed } else { status })
}
