//! What is claimed of diffusion models, and what came out: words with numbers that are looked up in results.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{BadInput, Result};
use crate::order::log_slope;
use crate::record::{MeasuredRow, OrderRow, Row, SampledRow, read_csv};

/// A claim: a row of the table of claims.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// By which the table is sorted: `3`, `3b`, `E1` (errata), `A4` (the audit).
    pub id: String,
    /// Who claims it, and where.
    pub source: String,
    /// What is claimed.
    pub says: String,
    /// Whether it is so.
    pub verdict: Verdict,
    /// What came out, with `{0}`, `{1}` ... for the numbers.
    pub finding: String,
    /// Where the numbers are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<Pick>,
}

/// Whether a claim is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It is.
    #[serde(rename = "true")]
    True,
    /// It is under conditions, which the finding says.
    #[serde(rename = "true with conditions")]
    Conditional,
    /// It is not.
    #[serde(rename = "false")]
    False,
}

impl Verdict {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::True => "true",
            Verdict::Conditional => "true with conditions",
            Verdict::False => "false",
        }
    }
}

/// A number in a table of results. Labels are matched whole or by what stands before their `(`, those of solvers whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pick {
    /// Whose results, where they are not the claim's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experiment: Option<String>,
    /// Of a study: which quantity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<String>,
    /// Of a study: in which case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    /// Of a study: at which place; without it the quantity must have no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x: Option<f64>,
    /// Of a study: the slope of `ln |value|` on `ln x` instead.
    #[serde(skip_serializing_if = "is_false")]
    pub slope: bool,
    /// From which place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<f64>,
    /// To which place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<f64>,
    /// Of cells: the solver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solver: Option<String>,
    /// Of cells: the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Of cells: the schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Of cells: the grid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grid: Option<String>,
    /// Of cells: the law that runs start from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<String>,
    /// Of cells: the steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Of cells: the column or metric; `w2` if it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Of cells: the fitted order of the column instead.
    #[serde(skip_serializing_if = "is_false")]
    pub order: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// Tables of a result folder that numbers are looked up in.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// Cells, exact and sampled.
    pub rows: Vec<Row>,
    /// Fitted orders.
    pub orders: Vec<OrderRow>,
    /// Numbers of studies.
    pub measured: Vec<MeasuredRow>,
}

impl Tables {
    /// Those that lie in a folder.
    ///
    /// # Errors
    /// A table that cannot be read.
    pub fn read(folder: &Path) -> Result<Self> {
        fn table<T: for<'a> Deserialize<'a>>(folder: &Path, file: &str) -> Result<Vec<T>> {
            let path = folder.join(file);
            if path.is_file() { read_csv(&path) } else { Ok(Vec::new()) }
        }
        let mut rows: Vec<Row> = table(folder, "exact.csv")?;
        rows.extend(SampledRow::cells(table(folder, "sampled.csv")?));
        let (orders, measured) = (table(folder, "orders.csv")?, table(folder, "measured.csv")?);
        Ok(Tables { rows, orders, measured })
    }

    /// The slope of `ln |value|` on `ln x` of a quantity in a case, between two places.
    pub fn slope(&self, quantity: &str, case: &str, from: Option<f64>, to: Option<f64>) -> Option<f64> {
        let mine = self.measured.iter().filter(|m| m.quantity == quantity && m.case == case);
        let near = 1.0 + 1e-9;
        let points: Vec<(f64, f64)> = mine
            .filter_map(|m| Some((m.x?, m.value?)))
            .filter(|p| from.is_none_or(|a| p.0 * near >= a) && to.is_none_or(|b| p.0 <= b * near))
            .collect();
        log_slope(&points)
    }
}

impl Pick {
    /// The number, written for a reader: three digits, slopes and orders to two decimals.
    ///
    /// # Errors
    /// Says what is missing, or that several rows answer.
    pub fn look_up(&self, tables: &Tables) -> std::result::Result<String, String> {
        if let Some(quantity) = &self.quantity {
            return self.in_study(quantity, tables);
        }
        let column = self.column.as_deref().unwrap_or("w2");
        if self.order {
            let mine = tables.orders.iter().filter(|o| {
                self.is_of([&o.data, &o.schedule, &o.grid, &o.init, &o.solver]) && o.metric == column
            });
            let order = self.one(mine.map(|o| o.order))?;
            return order.map(|p| format!("{p:.2}")).ok_or_else(|| self.says("has no fitted order"));
        }
        let mine = tables.rows.iter().filter(|r| {
            self.is_of([&r.data, &r.schedule, &r.grid, &r.init, &r.solver])
                && self.steps.is_none_or(|n| n == r.steps)
        });
        self.one(mine.map(|r| r.number(column)))?.map(short).ok_or_else(|| self.says("has no such number"))
    }

    fn in_study(&self, quantity: &str, tables: &Tables) -> std::result::Result<String, String> {
        let case = self.case.as_deref().unwrap_or("");
        if self.slope {
            let slope = tables.slope(quantity, case, self.from, self.to);
            return slope.map(|p| format!("{p:.2}")).ok_or_else(|| self.says("has no slope"));
        }
        let mine = tables.measured.iter().filter(|m| {
            m.quantity == quantity
                && self.case.as_ref().is_none_or(|c| *c == m.case)
                && self.x.is_none_or(|x| m.is_at(x))
        });
        self.one(mine.map(|m| m.value))?.map(short).ok_or_else(|| self.says("has no number"))
    }

    /// The only one of several.
    fn one<T>(&self, mut all: impl Iterator<Item = T>) -> std::result::Result<T, String> {
        let first = all.next().ok_or_else(|| self.says("is in no row"))?;
        if all.next().is_some() {
            return Err(self.says("is in several rows"));
        }
        Ok(first)
    }

    fn is_of(&self, labels: [&String; 5]) -> bool {
        let [data, schedule, grid, init, solver] = labels;
        let like = |want: &Option<String>, label: &str| {
            want.as_ref().is_none_or(|w| w == label || label.split('(').next() == Some(w))
        };
        like(&self.data, data)
            && like(&self.schedule, schedule)
            && like(&self.grid, grid)
            && like(&self.init, init)
            && self.solver.as_ref().is_none_or(|s| s == solver)
    }

    fn says(&self, what: &str) -> String {
        let words = toml::to_string(self).expect("plain values");
        format!("{} {what}", words.trim().replace('\n', ", "))
    }
}

impl Claim {
    /// Whether placeholders and numbers go together.
    ///
    /// # Errors
    /// Names the key.
    pub fn check(&self) -> Result<()> {
        for k in 0..self.numbers.len() {
            if !self.finding.contains(&format!("{{{k}}}")) {
                let fix = format!("write {{{k}}} where it belongs, or leave it out");
                return Err(BadInput::new(&format!("numbers[{k}]"), k, "is not in the finding", fix));
            }
        }
        for (at, _) in self.finding.match_indices('{') {
            let inside = self.finding[at + 1..].split('}').next().unwrap_or("");
            if inside.parse::<usize>().map_or(true, |k| k >= self.numbers.len()) {
                let fix = "count from {0} to the last of `numbers`";
                return Err(BadInput::new("finding", format!("{{{inside}}}"), "is no number", fix));
            }
        }
        Ok(())
    }

    /// The finding with its numbers; `tables` gives those of an experiment (`None`: the claim's own).
    ///
    /// # Errors
    /// Says which number is missing.
    pub fn found<'a>(
        &self,
        tables: impl Fn(Option<&str>) -> Option<&'a Tables>,
    ) -> std::result::Result<String, String> {
        let mut text = self.finding.clone();
        for (k, pick) in self.numbers.iter().enumerate() {
            let own = pick.experiment.as_deref();
            let tables = tables(own).ok_or_else(|| format!("no results of {}", own.unwrap_or("its own")))?;
            text = text.replace(&format!("{{{k}}}"), &pick.look_up(tables)?);
        }
        Ok(text)
    }

    /// Where it stands among others: numbers first, in their order, then errata, then what is shipped.
    pub fn rank(&self) -> (String, u64, String) {
        let letters: String = self.id.chars().take_while(|c| !c.is_ascii_digit()).collect();
        let digits: String = self.id.chars().skip(letters.len()).take_while(char::is_ascii_digit).collect();
        (letters, digits.parse().unwrap_or(0), self.id.clone())
    }
}

/// Three significant digits; whole numbers as such.
pub(crate) fn short(x: f64) -> String {
    if x.fract() == 0.0 && x.abs() < 1e4 {
        return format!("{x}");
    }
    let text = format!("{x:.2e}");
    // What is written has the power of ten of what it is rounded to.
    match text.rsplit_once('e').and_then(|(_, power)| power.parse::<i32>().ok()) {
        Some(power @ -2..4) => format!("{x:.*}", (2 - power).max(0) as usize),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables() -> Tables {
        let measured = |x: f64, value: f64| MeasuredRow {
            quantity: "kl".into(),
            case: "ring".into(),
            x: Some(x),
            value: Some(value),
            ..MeasuredRow::default()
        };
        let row = |solver: &str, steps, w2| Row {
            solver: solver.into(),
            grid: "karras(n=1)".into(),
            steps,
            w2: Some(w2),
            ..Row::default()
        };
        Tables {
            rows: vec![row("ddim", 8, 0.25), row("ddim", 16, 1.25e-5), row("ddim(eta=1)", 8, 0.5)],
            orders: Vec::new(),
            measured: [0.1, 0.2, 0.4].map(|x| measured(x, 3.0 * x * x)).to_vec(),
        }
    }

    fn claim(finding: &str, numbers: &str) -> Claim {
        let text = format!(
            "id = \"3b\"\nsource = \"s\"\nsays = \"x\"\nverdict = \"true with conditions\"\nfinding = {finding:?}\nnumbers = [{numbers}]"
        );
        toml::from_str(&text).expect("a claim")
    }

    #[test]
    fn numbers_are_looked_up_and_follow_the_results() {
        let claim = claim(
            "{0} and {1}, slope {2}",
            r#"{ solver = "ddim", grid = "karras", steps = 16 }, { quantity = "kl", case = "ring", x = 0.2 },
               { quantity = "kl", case = "ring", slope = true }"#,
        );
        claim.check().expect("placeholders and numbers agree");
        let mut all = tables();
        assert_eq!(claim.found(|_| Some(&all)).as_deref(), Ok("1.25e-5 and 0.120, slope 2.00"));
        all.rows[1].w2 = Some(2.5e-5);
        assert_eq!(claim.found(|_| Some(&all)).as_deref(), Ok("2.50e-5 and 0.120, slope 2.00"));
    }

    #[test]
    fn what_is_missing_or_ambiguous_is_said() {
        let all = tables();
        let say = |numbers: &str| claim("{0}", numbers).found(|_| Some(&all)).expect_err(numbers);
        assert!(say(r#"{ solver = "ddim" }"#).contains("is in several rows"));
        assert!(say(r#"{ solver = "heun" }"#).contains("solver = \"heun\" is in no row"));
        assert!(say(r#"{ quantity = "kl", case = "ring" }"#).contains("several"));
        assert!(say(r#"{ quantity = "kl", case = "disc", slope = true }"#).contains("no slope"));
        assert!(claim("{0}", r#"{ experiment = "x", quantity = "kl" }"#).found(|_| None).is_err());
    }

    #[test]
    fn placeholders_without_numbers_are_refused() {
        assert!(claim("{0} {1}", r#"{ quantity = "kl" }"#).check().is_err());
        assert!(claim("none", r#"{ quantity = "kl" }"#).check().is_err());
        assert!(claim("{a}", "").check().is_err());
        assert!(claim("plain", "").check().is_ok());
    }

    #[test]
    fn claims_come_by_number_then_errata() {
        let rank = |id: &str| Claim { id: id.into(), ..claim("", "") }.rank();
        let mut ids = ["E1", "10", "A2", "3b", "2", "3", "E10", "E2"];
        ids.sort_by_key(|id| rank(id));
        assert_eq!(ids, ["2", "3", "3b", "10", "A2", "E1", "E2", "E10"]);
    }

    #[test]
    fn numbers_have_three_digits() {
        let all = [0.0, 1.0, 0.0123456, 123.4, 1e-5, 123456.0, -2.5, 0.99999].map(short);
        assert_eq!(all, ["0", "1", "0.0123", "123", "1.00e-5", "1.23e5", "-2.50", "1.00"]);
    }
}
