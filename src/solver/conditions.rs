//! Conditions on the numbers of a method, and by how much they are missed.

use std::collections::BTreeMap;

use serde::Serialize;

/// What may be missed where numbers are written with six digits; more is an error in them.
pub const WRITTEN: f64 = 1e-6;

/// One condition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Condition {
    /// The order that a method keeps only if this holds; 1 and below are consistency, without which nothing converges.
    pub order: u32,
    /// What it says, or of what part of the numbers.
    pub what: String,
    /// The step that it is about, counted from 0, where the numbers are those of single steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// What the numbers give.
    pub got: f64,
    /// What they should.
    pub want: f64,
    /// How far that is off, relative to what it should be (as it stands where that is 0).
    pub off: f64,
}

impl Condition {
    /// A condition of the numbers as a whole, to be met in units of `unit` (1 where that is 0).
    pub fn new(order: u32, what: impl Into<String>, got: f64, want: f64, unit: f64) -> Self {
        let unit = if unit == 0.0 { 1.0 } else { unit.abs() };
        Condition { order, what: what.into(), step: None, got, want, off: (got - want).abs() / unit }
    }

    /// The same of one step.
    pub fn at(self, step: usize) -> Self {
        Condition { step: Some(step), ..self }
    }

    /// Whether it is missed by more than this, or by what is no number.
    pub fn misses(&self, tolerance: f64) -> bool {
        self.off.is_nan() || self.off > tolerance
    }

    /// "at step 3: constant d", or what it is about alone.
    pub fn place(&self) -> String {
        self.step.map_or(self.what.clone(), |step| format!("step {step}: {}", self.what))
    }
}

/// The conditions of one order, taken together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Residual {
    /// The order.
    pub order: u32,
    /// How many conditions it has.
    pub conditions: usize,
    /// The largest miss.
    pub off: f64,
    /// Where that is.
    pub place: String,
}

/// The largest miss of every order, the lowest order first.
pub fn residuals(conditions: &[Condition]) -> Vec<Residual> {
    let mut orders: BTreeMap<u32, Vec<&Condition>> = BTreeMap::new();
    for condition in conditions {
        orders.entry(condition.order).or_default().push(condition);
    }
    let worst = |(order, list): (u32, Vec<&Condition>)| {
        let worst = worst(list.iter().copied()).expect("an order has a condition");
        Residual { order, conditions: list.len(), off: worst.off, place: worst.place() }
    };
    orders.into_iter().map(worst).collect()
}

/// The largest order up to which every condition is met.
pub fn order(conditions: &[Condition], tolerance: f64) -> u32 {
    let met = |r: &Residual| r.off <= tolerance;
    residuals(conditions).iter().take_while(|r| met(r)).map(|r| r.order).last().unwrap_or(0)
}

/// The condition of consistency that is missed most, if one is missed by more than this.
pub fn inconsistency(conditions: &[Condition], tolerance: f64) -> Option<&Condition> {
    worst(conditions.iter().filter(|c| c.order <= 1 && c.misses(tolerance)))
}

/// The one that is missed most; what is no number is worst.
fn worst<'a>(conditions: impl Iterator<Item = &'a Condition>) -> Option<&'a Condition> {
    let size = |c: &Condition| if c.off.is_nan() { f64::INFINITY } else { c.off };
    conditions.max_by(|a, b| size(a).total_cmp(&size(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_last_condition_before_the_first_that_fails() {
        let at = |order, off: f64| Condition::new(order, "x", 1.0 + off, 1.0, 1.0);
        assert_eq!(order(&[at(1, 0.0), at(2, 1e-9), at(3, 1e-3), at(4, 0.0)], WRITTEN), 2);
        assert_eq!(order(&[at(1, 0.0), at(2, f64::NAN)], WRITTEN), 1);
        assert_eq!(order(&[at(1, 1e-3)], WRITTEN), 0);
        let all = [at(1, 1e-5), at(1, 1e-4), at(2, 1.0)];
        assert!((inconsistency(&all, WRITTEN).unwrap().off - 1e-4).abs() < 1e-12);
        assert_eq!(inconsistency(&all, 1e-3), None);
        assert_eq!(residuals(&all).iter().map(|r| r.conditions).collect::<Vec<_>>(), [2, 1]);
    }
}
