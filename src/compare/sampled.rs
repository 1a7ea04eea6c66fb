//! Rows of `sampled.csv`: what may be chance, and what may not.

use crate::metric::SAMPLED;

use super::chance::{self, Distance, Value};
use super::rules::{self, Cells, Change, Rule};
use super::table::Table;
use super::work::{Place, Work};
use super::{Chance, Class, Options, exact};

/// A difference that waits until it is known how many numbers share the rate of false alarms.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub place: Place,
    pub what: What,
    pub distance: Distance,
    /// The same of their sizes, where numbers of either sign are bad when they are large.
    pub sizes: Option<Distance>,
    /// What it is if it is no chance.
    pub class: Option<Class>,
    /// What it is otherwise; nothing where it then is nothing.
    pub otherwise: Option<Class>,
}

/// What is judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum What {
    /// The number in a column, and what an error of it is to be seen beside.
    Number(&'static str, f64),
    /// The p-value of a test.
    Test,
    /// A test that need not be compared, but rejects or does not.
    Rejection(f64, f64),
}

/// Columns of the two tables.
struct Side<'a> {
    table: &'a Table,
    row: usize,
}

impl<'a> Side<'a> {
    fn cell(&self, name: &str) -> &'a str {
        self.table.named(self.row, name)
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.cell(name).parse().ok().filter(|x: &f64| x.is_finite())
    }

    fn samples(&self) -> Option<u64> {
        self.cell("samples").parse().ok()
    }

    /// A number that has a standard error.
    fn value(&self, column: &str, stderr: &str) -> Option<Value> {
        let (value, samples) = (self.number(column)?, self.samples());
        let mut stderr = self.number(stderr).filter(|s| *s >= 0.0)?;
        let metric = self.cell("metric");
        if column == "excess" {
            stderr = stderr.max(self.least(metric));
        }
        Some(Value { value, stderr, samples, freedom: chance::freedom(metric, samples) })
    }

    /// What the standard error of an excess is at least. Below the sampling floor the excess of a sorted distance is a small
    /// error times a potential that is itself noise, of either sign: its own standard error is right on average, but at
    /// times a tenth of what it should be. That of the distance is not.
    fn least(&self, metric: &str) -> f64 {
        let (value, stderr) = (self.number("value").unwrap_or(0.0), self.number("stderr").unwrap_or(0.0));
        match metric {
            "sliced_w1" => stderr,
            "sliced_w2" => 2.0 * value * stderr,
            _ => 0.0,
        }
    }
}

pub(super) fn rows(work: &mut Work, both: &[(usize, usize)]) {
    let (base, new) = work.tables();
    let unknown = exact::plan(base, new, |name| (!KNOWN.contains(&name)).then_some(Rule::Fact));
    for &(a, b) in both {
        let sides = (Side { table: base, row: a }, Side { table: new, row: b });
        let row = Row { same: sides.0.cell("mode") == sides.1.cell("mode"), base: sides.0, new: sides.1 };
        row.facts(work);
        row.number(work);
        row.test(work);
        for &(column, own, other, rule) in &unknown {
            let (before, after) = (base.cell(a, own), new.cell(b, other));
            let cells = Cells { column, before, after, failures: row.failures() };
            work.add((a, b), cells.judge(rule, 0.0, work.options));
        }
    }
}

/// Metrics that are roots of means of squares.
const ROOTS: &[&str] = &["rmse", "strong_error", "nll_bits", "nll_bits_hutchinson"];

const KNOWN: &[&str] = &[
    "nfe",
    "draws",
    "pilot_nfe",
    "value",
    "stderr",
    "floor",
    "excess",
    "excess_stderr",
    "p_value",
    "samples",
    "error",
];

/// Two rows of one measure.
struct Row<'a> {
    base: Side<'a>,
    new: Side<'a>,
    /// Whether both drew the same random numbers.
    same: bool,
}

impl<'a> Row<'a> {
    fn at(&self) -> (usize, usize) {
        (self.base.row, self.new.row)
    }

    fn failures(&self) -> (&'a str, &'a str) {
        (self.base.cell("error"), self.new.cell("error"))
    }

    fn cells(&self, column: &'static str) -> Cells<'a> {
        let (before, after) = (self.base.cell(column), self.new.cell(column));
        Cells { column, before, after, failures: self.failures() }
    }

    /// What random numbers do not change, or what they share.
    fn facts(&self, work: &mut Work) {
        let options = work.options;
        let mut add = |change| work.add(self.at(), change);
        add(self.cells("error").judge(Rule::Failure, 0.0, options));
        // An adaptive method plans its steps from what it draws.
        let planned = !self.same && !self.base.cell("pilot_nfe").is_empty();
        let cost = if planned { Rule::Fact } else { Rule::Cost };
        add(self.cells("nfe").judge(cost, 0.0, options));
        add(self.cells("pilot_nfe").judge(cost, 0.0, options));
        add(self.cells("draws").judge(Rule::Fact, 0.0, options));
        let fewer = || self.new.samples() < self.base.samples();
        if self.same {
            add(self.cells("steps").judge(Rule::Fact, 0.0, options));
            add(self.cells("samples").judge(Rule::Fact, 0.0, options));
            for column in ["stderr", "floor", "excess_stderr"] {
                add(self
                    .cells(column)
                    .judge(Rule::Fact, self.size(), options)
                    .filter(|c| c.class == Class::Changed));
            }
        } else if fewer() {
            let cells = self.cells("samples");
            add(Some(cells.change(Class::Changed, 0.0, "fewer samples: less is seen".into())));
        }
    }

    /// The size of what is subtracted in an excess: its round-off is of that size.
    fn size(&self) -> f64 {
        let floor = self.base.number("floor").unwrap_or(0.0);
        let value = self.base.number("value").unwrap_or(0.0);
        match self.base.cell("metric") {
            "sliced_w2" | "mean_error" | "cov_error" => value.abs().max(value * value).max(floor * floor),
            _ => value.abs().max(floor.abs()),
        }
    }

    /// The number that solvers are compared by: the excess of a distance, else the value.
    fn number(&self, work: &mut Work) {
        let options = work.options;
        let distance = !self.base.cell("excess").is_empty();
        let (column, stderr) = if distance { ("excess", "excess_stderr") } else { ("value", "stderr") };
        let cells = self.cells(column);
        let scale = if distance { self.size() } else { 0.0 };
        // The value of a distance is not judged by itself, but must be there; on the same random numbers it is a fact.
        if distance {
            let change = self.cells("value").judge(Rule::Fact, 0.0, options);
            work.add(self.at(), change.filter(|c| self.same || c.class == Class::Regression));
        }
        let fact = cells.judge(Rule::Fact, scale, options);
        let finite = self.base.number(column).is_some() && self.new.number(column).is_some();
        if !finite {
            return work.add(self.at(), fact);
        }
        if self.same && fact.is_none() {
            return;
        }
        match (self.base.value(column, stderr), self.new.value(column, stderr)) {
            (Some(a), Some(b)) => {
                let (distance, sizes, class) = self.judge(&a, &b);
                let size = if ROOTS.contains(&self.base.cell("metric")) {
                    2.0 * a.value * a.value
                } else {
                    a.value.abs()
                };
                self.wait(work, What::Number(column, size), distance, sizes, class);
            }
            (Some(_), None) => {
                let reason = "has no standard error any more, so that nothing can be said of it";
                work.add(self.at(), Some(cells.change(Class::Regression, 1e300, reason.into())));
            }
            _ => match self.kolmogorov() {
                Some((distance, class)) => {
                    self.wait(work, What::Number(column, f64::NAN), distance, None, class);
                }
                None if fact.is_some() => {
                    let why = if self.same { "differs on the same random numbers" } else { "differs" };
                    let reason = format!("{why}, and has no standard error to be judged by");
                    work.add(self.at(), Some(cells.change(Class::Changed, 0.0, reason)));
                }
                None => {}
            },
        }
    }

    /// How far apart two numbers are, and their sizes where it is those that count, and which way.
    fn judge(&self, a: &Value, b: &Value) -> (Distance, Option<Distance>, Class) {
        let metric = self.base.cell("metric");
        if metric == "mode_weights" {
            return (chance::between_largest(a, b), None, direction(b.value.abs() - a.value.abs()));
        }
        // A few outliers can make up a mean square. They are in its standard error as well, but not in that of the side that
        // has none, and a root counts them twice: it is 2 r'/(r + r') times as many errors away as its square.
        if ROOTS.contains(&metric) {
            let square =
                |x: &Value| Value { value: x.value * x.value, stderr: 2.0 * x.value.abs() * x.stderr, ..*x };
            return (chance::between(&square(a), &square(b)), None, direction(b.value - a.value));
        }
        let distance = chance::between(a, b);
        // Of metrics that are not known, either sign may be bad.
        if metric != "fourth_error" && SAMPLED.iter().any(|(name, _)| *name == metric) {
            return (distance, None, direction(b.value - a.value));
        }
        let size = |x: &Value| Value { value: x.value.abs(), ..*x };
        let sizes = chance::between(&size(a), &size(b));
        (distance, Some(sizes), direction(b.value.abs() - a.value.abs()))
    }

    fn kolmogorov(&self) -> Option<(Distance, Class)> {
        let (a, b) = (self.base.number("value")?, self.new.number("value")?);
        let (n, m) = (self.base.samples()?, self.new.samples()?);
        (self.base.cell("metric") == "ks").then(|| (chance::between_kolmogorov(a, n, b, m), direction(b - a)))
    }

    /// The p-value of a test, where its statistic is not judged already.
    fn test(&self, work: &mut Work) {
        let cells = self.cells("p_value");
        let is_one = |p: &f64| (0.0..=1.0).contains(p);
        let found = (self.base.number("p_value").filter(is_one), self.new.number("p_value").filter(is_one));
        let (Some(a), Some(b)) = found else {
            if found.0.is_some() {
                let reason = "is no probability any more";
                work.add(self.at(), Some(cells.change(Class::Regression, 1e300, reason.into())));
            }
            return;
        };
        let fact = cells.judge(Rule::Fact, 0.0, work.options);
        if self.same && fact.is_none() {
            return;
        }
        let alike = self.base.samples() == self.new.samples() && self.base.cell("metric") != "ks";
        if alike {
            let class = direction(a - b);
            self.wait(work, What::Test, chance::between_tests(a, b), None, class);
        } else if self.same {
            work.add(self.at(), fact);
        }
        let none = Distance { errors: 0.0, p: 1.0, stderr: 0.0 };
        let place = (work.pairs.len() - 1, self.base.row, self.new.row);
        let (class, otherwise) = (None, Some(Class::Changed));
        let what = What::Rejection(a, b);
        work.judged.push(Judged { place, what, distance: none, sizes: None, class, otherwise });
    }

    fn wait(&self, work: &mut Work, what: What, distance: Distance, sizes: Option<Distance>, class: Class) {
        let place = (work.pairs.len() - 1, self.base.row, self.new.row);
        let otherwise = self.same.then_some(Class::Changed);
        work.judged.push(Judged { place, what, distance, sizes, class: Some(class), otherwise });
    }
}

fn direction(by: f64) -> Class {
    if by > 0.0 { Class::Regression } else { Class::Improvement }
}

impl Judged {
    /// Whether it shares the rate.
    fn counts(&self) -> bool {
        !matches!(self.what, What::Rejection(..))
    }
}

/// Tells chance from the rest.
pub(super) fn settle(
    judged: &[Judged],
    pairs: &[(&Table, &Table)],
    options: &Options,
) -> (Option<Chance>, Vec<(Place, Change)>) {
    let numbers = judged.iter().filter(|j| j.counts()).count();
    let p_values = judged.iter().filter(|j| j.counts()).map(|j| j.distance.p);
    let level = chance::level(p_values, options.false_alarm);
    let found = judged.iter().filter_map(|one| {
        let (base, new) = pairs[one.place.0];
        let sides = (Side { table: base, row: one.place.1 }, Side { table: new, row: one.place.2 });
        Some((one.place, one.say(&sides, level, numbers)?))
    });
    let found = found.collect();
    if numbers == 0 {
        return (None, found);
    }
    let errors = chance::needed(options.false_alarm / numbers as f64, 126.0);
    let share = |j: &Judged| match j.what {
        What::Number(_, size) if size > 0.0 => Some(errors * j.distance.stderr / size),
        _ => None,
    };
    let mut shares: Vec<f64> = judged.iter().filter_map(share).collect();
    shares.sort_by(f64::total_cmp);
    let median = shares.get(shares.len() / 2).copied();
    (Some(Chance { numbers, false_alarm: options.false_alarm, errors, median }), found)
}

impl Judged {
    fn say(&self, sides: &(Side, Side), level: f64, numbers: usize) -> Option<Change> {
        let column = match self.what {
            What::Number(column, _) => column,
            What::Test | What::Rejection(..) => "p_value",
        };
        let (before, after) = (sides.0.cell(column), sides.1.cell(column));
        let cells = Cells { column, before, after, failures: ("", "") };
        if let What::Rejection(a, b) = self.what {
            let turned = (a <= level) != (b <= level);
            let which = if b <= level { "rejects now, and did not before" } else { "rejected before" };
            let reason = format!("the test {which} (at {level:.1e}), which may be chance");
            return turned.then(|| cells.change(Class::Changed, 0.0, reason));
        }
        let real = self.distance.p <= level;
        let class = match (real, self.sizes) {
            // From +1 to -1 is a change, and no harm.
            (true, Some(sizes)) if sizes.p > level => Class::Changed,
            (true, _) => self.class?,
            (false, _) => self.otherwise?,
        };
        let Distance { errors, p, .. } = self.distance;
        let by = match (before.parse(), after.parse()) {
            (Ok(a), Ok(b)) if self.what != What::Test => format!("{}, ", rules::ratio(a, b)),
            _ => String::new(),
        };
        let reason = match real {
            false => format!("{by}{errors:+.1} standard errors; differs on the same random numbers"),
            true => format!("{by}{errors:+.1} standard errors, p = {p:.0e} (one of {numbers} numbers)"),
        };
        Some(cells.change(class, errors.abs().min(1e290), reason))
    }
}
