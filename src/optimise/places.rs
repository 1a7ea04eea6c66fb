//! Where levels lie between two ends, and free coordinates for it.

use serde::{Deserialize, Serialize};

use super::Span;
use crate::error::Result;
use crate::grid::Grid;

/// Places of levels in `lambda`, from 0 at the start to 1 at the end, rising strictly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Places(pub Vec<f64>);

/// The shortest step, as a share of an even one: levels must not meet.
const SHORTEST: f64 = 1e-4;

impl Places {
    /// Levels equally spaced in lambda.
    pub fn even(steps: usize) -> Self {
        Places((0..=steps).map(|i| i as f64 / steps as f64).collect())
    }

    /// Those of a rule between the ends of a span.
    ///
    /// # Errors
    /// What the rule refuses.
    pub fn of(grid: &Grid, span: &Span, steps: usize) -> Result<Self> {
        let (a, b) = span.ends();
        let levels = grid.levels(&span.schedule, Some(steps))?;
        let place = |i: usize| match i {
            0 => 0.0,
            i if i == steps => 1.0,
            i => (levels[i].lambda() - a) / (b - a),
        };
        Ok(Places((0..=steps).map(place).collect()))
    }

    /// Steps between the levels.
    pub fn steps(&self) -> usize {
        self.0.len() - 1
    }

    /// Steps that are as short as they may be.
    pub fn idle(&self) -> usize {
        let shortest = 2.0 * SHORTEST / self.steps() as f64;
        self.0.windows(2).filter(|pair| pair[1] - pair[0] < shortest).count()
    }

    /// From one free number a step: the shares of the steps are the softmax of these, all a little more than nothing. So
    /// levels never meet or turn back, wherever an optimiser goes.
    pub(super) fn from_free(free: &[f64]) -> Self {
        let steps = free.len();
        let top = free.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = free.iter().map(|z| (z - top).exp()).collect();
        let sum: f64 = weights.iter().sum();
        let mut places = vec![0.0];
        let mut at = 0.0;
        for weight in &weights[..steps - 1] {
            at += SHORTEST / steps as f64 + (1.0 - SHORTEST) * weight / sum;
            places.push(at);
        }
        places.push(1.0);
        Places(places)
    }

    /// An inverse of [`Places::from_free`]: logarithms of the steps, those too short for it made a little longer.
    pub(super) fn free(&self) -> Vec<f64> {
        let shortest = SHORTEST / self.steps() as f64;
        let ln = |pair: &[f64]| (pair[1] - pair[0] - shortest).max(shortest).ln();
        self.0.windows(2).map(ln).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_numbers_and_places_are_inverse() {
        let places = Places(vec![0.0, 0.1, 0.15, 0.7, 1.0]);
        let back = Places::from_free(&places.free());
        for (a, b) in places.0.iter().zip(&back.0) {
            assert!((a - b).abs() < 1e-14, "{places:?} {back:?}");
        }
    }

    #[test]
    fn levels_rise_strictly_wherever_an_optimiser_goes() {
        for free in [[800.0, -800.0, 0.0, 1.0], [-800.0, -800.0, -800.0, 0.0], [0.0, 800.0, 800.0, 800.0]] {
            let places = Places::from_free(&free);
            assert!(places.0.windows(2).all(|p| p[1] > p[0]), "{places:?}");
            assert_eq!((places.0[0], places.0[4]), (0.0, 1.0));
            assert!(places.idle() > 0);
        }
        assert_eq!(Places::even(8).idle(), 0);
    }
}
