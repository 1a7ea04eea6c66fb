//! What a difference between two cells means.

use super::{Class, Options};

/// What a column is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// An error: larger is worse.
    Error,
    /// Model calls: more is worse.
    Cost,
    /// A number or word of which neither more nor less is better.
    Fact,
    /// Why there is no result.
    Failure,
}

/// One column of a row that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What the difference means.
    pub class: Class,
    /// The column, or of `sampled.csv` the metric where it is judged as a whole.
    pub column: String,
    /// What the baseline says, as written there.
    pub before: String,
    /// What the new table says, as written there.
    pub after: String,
    /// Why it is in its class.
    pub reason: String,
    /// How bad, among those of its class.
    pub(super) weight: f64,
}

/// A cell of a number column.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    Empty,
    Nan,
    Infinite(f64),
    Finite(f64),
}

impl Number {
    fn of(cell: &str) -> Self {
        match cell.parse::<f64>() {
            Err(_) => Number::Empty,
            Ok(x) if x.is_nan() => Number::Nan,
            Ok(x) if x.is_infinite() => Number::Infinite(x),
            Ok(x) => Number::Finite(x),
        }
    }
}

/// Two cells of one row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cells<'a> {
    pub column: &'a str,
    pub before: &'a str,
    pub after: &'a str,
    /// What `error` says in the two rows.
    pub failures: (&'a str, &'a str),
}

impl Cells<'_> {
    pub fn change(&self, class: Class, weight: f64, reason: String) -> Change {
        let (column, before, after) = (self.column.into(), self.before.into(), self.after.into());
        Change { class, column, before, after, reason, weight }
    }

    /// What differs, if anything does. `scale` is the size of the number where that is not its own: one that is left when
    /// others cancel has their round-off.
    pub fn judge(&self, rule: Rule, scale: f64, options: &Options) -> Option<Change> {
        let nan_under_other_errors =
            || Number::of(self.before) == Number::Nan && self.failures.0 != self.failures.1;
        if self.before == self.after && !nan_under_other_errors() {
            return None;
        }
        match rule {
            Rule::Failure => self.failure(),
            Rule::Fact if !self.numeric() => {
                Some(self.change(Class::Changed, 0.0, "says something else".into()))
            }
            _ => self.number(rule, scale, options),
        }
    }

    fn numeric(&self) -> bool {
        [self.before, self.after].iter().all(|c| c.is_empty() || c.parse::<f64>().is_ok())
    }

    fn failure(&self) -> Option<Change> {
        let (class, reason) = match (self.before.is_empty(), self.after.is_empty()) {
            (true, _) => (Class::Regression, "the run fails now"),
            (_, true) => (Class::Improvement, "the run failed before"),
            _ => (Class::Changed, "the run fails for another reason"),
        };
        // The cause comes before its effects.
        Some(self.change(class, f64::INFINITY, reason.into()))
    }

    fn number(&self, rule: Rule, scale: f64, options: &Options) -> Option<Change> {
        use Number::{Empty, Finite, Infinite, Nan};
        let repaired = !self.failures.0.is_empty() && self.failures.1.is_empty();
        let verdict = |class, reason: &str| Some(self.change(class, 1e300, reason.into()));
        match (Number::of(self.before), Number::of(self.after)) {
            (Empty, Empty) => None,
            (Nan, Nan) if self.failures.0 == self.failures.1 => None,
            (Infinite(a), Infinite(b)) if a == b => None,
            (Finite(a), Finite(b)) => self.finite(rule, a, b, scale, options),
            (Finite(_), Infinite(_) | Nan) => verdict(Class::Regression, "is not finite any more"),
            (_, Empty) => verdict(Class::Regression, "has no value any more"),
            (Infinite(_) | Nan, Finite(_)) => verdict(Class::Improvement, "is finite now"),
            (Empty, Finite(_)) if repaired => verdict(Class::Improvement, "has a value now"),
            (Empty, Finite(_)) => verdict(Class::Changed, "has a value now, where there was none"),
            (Empty, _) if repaired => verdict(Class::Changed, "has a value now, which is not finite"),
            (Empty, _) => verdict(Class::Regression, "is not finite, where there was no value"),
            _ => verdict(Class::Changed, "is not finite, in another way"),
        }
    }

    fn finite(&self, rule: Rule, a: f64, b: f64, scale: f64, options: &Options) -> Option<Change> {
        let tolerance = match rule {
            Rule::Cost => 0.0,
            _ => options.rtol * a.abs().max(scale) + options.atol,
        };
        let difference = b - a;
        // Two huge numbers may be infinitely far apart, which is beyond any tolerance.
        if difference.abs() <= tolerance {
            return None;
        }
        let class = match rule {
            Rule::Error | Rule::Cost if difference > 0.0 => Class::Regression,
            Rule::Error | Rule::Cost => Class::Improvement,
            _ => Class::Changed,
        };
        Some(self.change(class, weight(a, b), ratio(a, b)))
    }
}

/// How much larger or smaller, on a scale on which twice and half are alike.
pub(super) fn weight(a: f64, b: f64) -> f64 {
    let weight = (b.abs().max(f64::MIN_POSITIVE) / a.abs().max(f64::MIN_POSITIVE)).ln().abs();
    if weight.is_finite() { weight } else { 1e3 }
}

/// How much larger or smaller, in words.
pub(super) fn ratio(a: f64, b: f64) -> String {
    let ratio = b / a;
    if !ratio.is_finite() || ratio <= 0.0 {
        return format!("by {:+.3e}", b - a);
    }
    match ratio {
        r if r >= 2.0 => format!("{} times as large", three(r)),
        r if r <= 0.5 => format!("1/{} of it", three(1.0 / r)),
        r if (r - 1.0).abs() >= 1e-4 => format!("{:+.2} %", 100.0 * (r - 1.0)),
        _ => format!("{:+.1e} of it", (b - a) / a),
    }
}

fn three(x: f64) -> String {
    if x < 100.0 { format!("{x:.3}") } else { format!("{x:.2e}") }
}
