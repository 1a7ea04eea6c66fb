//! What a comparison says, to people and to programs.

use std::path::PathBuf;

use super::{Class, Comparison, Difference, Kind};

mod github;
mod json;
mod junit;
mod markdown;
mod text;

/// How a comparison is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Aligned tables for a terminal.
    Text,
    /// Tables for a pull request or a job's summary.
    Markdown,
    /// Annotations of GitHub Actions: one `::error file=...,line=...::` a row.
    Github,
    /// Everything, for programs. One object:
    ///
    /// | member | |
    /// |---|---|
    /// | `format` | 1; grows when a member is taken away or changes its meaning |
    /// | `baseline`, `new` | as they were named |
    /// | `failed` | whether the exit code is 1 |
    /// | `fail_on` | classes that fail |
    /// | `rows` | rows on either side, those of one key counted once |
    /// | `counts` | a member for each class |
    /// | `chance` | null, or `numbers`, `false_alarm`, `errors`, `median` (see [`super::Chance`]) |
    /// | `notes` | lines of text |
    /// | `tables` | `kind`, `file`, `rows` of each |
    /// | `differences` | the worst first: `class`, `table`, `key` (an object), `column`, `before`, `after`, `reason`, `file`, `line`, `changes` (`class`, `column`, `before`, `after`, `reason` of every column that differs) |
    /// | `timing` | null, or `overall` and `solvers`, each with `solver`, `ratio`, `cells`; `slower` |
    ///
    /// Numbers of tables (`before`, `after`, keys) are text, as written there: JSON has no `inf`.
    Json,
    /// For CI systems: a case a table, and one a row that differs.
    Junit,
}

impl Format {
    /// All of them.
    pub const ALL: &[Format] = &[Format::Text, Format::Markdown, Format::Github, Format::Json, Format::Junit];

    /// As it is written on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Markdown => "markdown",
            Format::Github => "github",
            Format::Json => "json",
            Format::Junit => "junit",
        }
    }
}

/// How much is written, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Every row that differs, instead of the worst twenty. (JSON and JUnit have all.)
    pub all: bool,
    /// Whether text has colours.
    pub colour: bool,
}

/// Rows that are shown unless all are asked for.
const TOP: usize = 20;

impl Comparison {
    /// The comparison in a format.
    pub fn write(&self, format: Format, look: Look) -> String {
        match format {
            Format::Text => text::write(self, look),
            Format::Markdown => markdown::write(self, look),
            Format::Github => github::write(self, look),
            Format::Json => json::write(self),
            Format::Junit => junit::write(self),
        }
    }

    fn shown(&self, look: Look) -> &[Difference] {
        let most = if look.all { self.differences.len() } else { TOP };
        &self.differences[..most.min(self.differences.len())]
    }

    /// How many rows are not shown.
    fn left_out(&self, look: Look) -> Option<String> {
        let left = self.differences.len() - self.shown(look).len();
        (left > 0).then(|| format!("{} more; --all shows them", thousands(left)))
    }

    fn fails(&self, class: Class) -> bool {
        self.fail_on.contains(&class)
    }

    /// What passes or fails, and by what.
    fn verdict(&self) -> String {
        let names: Vec<&str> = self.fail_on.iter().map(|c| c.name()).collect();
        let on = if names.is_empty() { "nothing".to_string() } else { names.join(", ") };
        format!("{} (fails on {on})", if self.failed() { "FAILED" } else { "passed" })
    }

    /// How sampled numbers were judged, in words.
    fn judged(&self) -> Option<String> {
        let chance = self.chance?;
        let s = if chance.numbers == 1 { "" } else { "s" };
        let median =
            chance.median.map_or(String::new(), |m| format!(" (median: {:.2} % of the value)", 100.0 * m));
        Some(format!(
            "{} sampled number{s} judged at a false-alarm rate of {} in all: {:.1} standard errors{median} are called a \
             difference",
            thousands(chance.numbers),
            chance.false_alarm,
            chance.errors
        ))
    }

    /// Ratios of times, in words; the slowest and the fastest solvers.
    fn times(&self, all: bool) -> Vec<String> {
        let Some(timing) = &self.timing else { return Vec::new() };
        let line = |name: &str, r: &super::Ratio| {
            format!("{:.3} times as long: {name} ({} cells)", r.ratio, r.cells)
        };
        let few = if all { timing.solvers.len() } else { 10 };
        let solvers = timing.solvers.iter().take(few).map(|r| line(&r.solver, r));
        std::iter::once(line("all solvers", &timing.overall)).chain(solvers).collect()
    }
}

/// Rows that are of one table and have something in common: what that is, and the columns in which they differ.
struct Group<'a> {
    kind: Kind,
    common: Vec<(&'static str, &'a str)>,
    names: Vec<&'static str>,
    rows: Vec<&'a Difference>,
}

/// By table, in the order of the worst row of each; what all rows of a table have in common is said once.
fn groups<'a>(rows: &'a [Difference]) -> Vec<Group<'a>> {
    let mut found: Vec<(Kind, Vec<&Difference>)> = Vec::new();
    for row in rows {
        match found.iter_mut().find(|(kind, _)| *kind == row.table) {
            Some((_, list)) => list.push(row),
            None => found.push((row.table, vec![row])),
        }
    }
    let group = |(kind, rows): (Kind, Vec<&'a Difference>)| {
        let keyed: Vec<&&Difference> = rows.iter().filter(|r| !r.key.is_empty()).collect();
        let (mut common, mut names) = (Vec::new(), Vec::new());
        for (k, (name, first)) in keyed.first().map_or(&[][..], |r| &r.key).iter().enumerate() {
            if keyed.len() > 1 && keyed.iter().any(|r| r.key[k].1 != *first) {
                names.push(*name);
            } else if keyed.len() > 1 || !matches!(*name, "solver" | "steps" | "metric") {
                common.push((*name, first.as_str()));
            } else {
                names.push(*name);
            }
        }
        Group { kind, common, names, rows }
    };
    found.into_iter().map(group).collect()
}

impl<'a> Group<'a> {
    /// A header, and a line of cells a row.
    fn cells(&self) -> Vec<Vec<String>> {
        let mut head = vec!["class".to_string()];
        head.extend(self.names.iter().map(|n| n.to_string()));
        head.extend(["column", "before", "after", "why"].map(String::from));
        let row = |d: &&Difference| {
            let key = |name: &&'static str| {
                d.key.iter().find(|(n, _)| n == name).map_or(String::new(), |(_, value)| value.clone())
            };
            let (before, after) = short(&d.before, &d.after);
            let mut cells = vec![d.class.name().to_string()];
            cells.extend(self.names.iter().map(key));
            cells.extend([d.column.clone(), before, after, d.reason.clone()]);
            cells
        };
        std::iter::once(head).chain(self.rows.iter().map(row)).collect()
    }

    fn heading(&self) -> String {
        let common: Vec<String> =
            self.common.iter().filter(|(_, v)| !v.is_empty()).map(|(n, v)| format!("{n} {v}")).collect();
        if common.is_empty() {
            self.kind.name().into()
        } else {
            format!("{}: {}", self.kind.name(), common.join(", "))
        }
    }
}

/// Numbers in six digits, unless that hides how they differ.
fn short(before: &str, after: &str) -> (String, String) {
    let brief = |cell: &str| match cell.parse::<f64>() {
        Ok(x) if x.is_finite() && cell.len() > 9 => format!("{x:.5e}"),
        _ => cell.to_string(),
    };
    let (a, b) = (brief(before), brief(after));
    if a == b && before != after { (before.into(), after.into()) } else { (a, b) }
}

/// `12,345`.
pub(super) fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).unwrap_or_default())
        .collect();
    groups.join(",")
}

/// The file of a row as it lies in the working tree: what is in a commit lies at its path.
fn in_tree(file: &str) -> String {
    let path = file.strip_prefix("git:").and_then(|rest| rest.split_once(':')).map_or(file, |(_, path)| path);
    PathBuf::from(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_unless_that_hides_how_they_differ() {
        assert_eq!([0, 999, 1000, 1234567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(short("1.23456789012e-3", "2e-3"), ("1.23457e-3".into(), "2e-3".into()));
        assert_eq!(short("1.2345678901e-3", "1.2345678902e-3").1, "1.2345678902e-3");
    }
}
