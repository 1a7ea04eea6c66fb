//! Sliced Wasserstein distances: `SW_p^p` is the mean over directions of `W_p^p` between projections (Rabin et al. 2012;
//! Bonneel et al. 2015, sec. 3), here over directions that are fixed, so that they add no noise between solvers.
//!
//! Two independent samples of one law are apart too, by the *sampling floor*: of order `n^(-1/2)`, and soon more than
//! the solver's error. [`sliced_above_floor`] measures it on a control sample and takes it off; with common
//! random numbers in the two the noise of both cancels as well.

use super::estimate::{Samples, Undefined};
use super::wasserstein::{AboveFloor, Transport, Wasserstein};
use crate::batch::Batch;
use crate::noise::White;
use crate::parallel;
use crate::state::State;

/// Unit vectors of one dimension.
#[derive(Clone, Debug, PartialEq)]
pub struct Directions {
    dim: usize,
    values: Vec<f64>,
}

impl Directions {
    /// `count` directions in `dim` dimensions: one on the line; equally spaced angles in the plane; beyond,
    /// orthonormal bases turned at random (normals of `seed`, made orthogonal; Rowland et al. 2019), the last one cut
    /// short. Where `count` is a multiple of `dim` a shift by `m` costs exactly `|m|^2/dim`.
    ///
    /// # Panics
    /// If either number is 0.
    pub fn new(dim: usize, count: usize, seed: u64) -> Self {
        assert!(dim > 0 && count > 0, "a direction has a coordinate");
        let values = match dim {
            1 => vec![1.0],
            2 => (0..count)
                .flat_map(|k| {
                    let (sin, cos) = (std::f64::consts::PI * (k as f64 + 0.5) / count as f64).sin_cos();
                    [cos, sin]
                })
                .collect(),
            _ => {
                let shape = State(Batch::from_rows(dim, vec![0.0; dim * count]));
                let mut values = White::new(seed).draw(&shape).0.to_rows();
                values.chunks_mut(dim * dim).for_each(|basis| orthonormalise(basis, dim));
                values
            }
        };
        Directions { dim, values }
    }

    /// The directions in order.
    pub fn iter(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks_exact(self.dim)
    }
}

/// Gram-Schmidt on rows, twice each, which is enough for orthogonality to round-off (Giraud et al. 2005).
fn orthonormalise(rows: &mut [f64], dim: usize) {
    for k in 0..rows.len() / dim {
        let (before, row) = rows.split_at_mut(k * dim);
        let row = &mut row[..dim];
        for other in before.chunks_exact(dim).chain(before.chunks_exact(dim)) {
            let along: f64 = row.iter().zip(other).map(|(a, b)| a * b).sum();
            row.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
        }
        let norm = row.iter().map(|a| a * a).sum::<f64>().sqrt();
        row.iter_mut().for_each(|a| *a /= norm);
    }
}

/// Between two samples; pairs of rows where the sizes are equal, as in [`super::wasserstein::wasserstein`].
///
/// # Errors
/// [`Undefined::NotFinite`]; [`Undefined::TooFew`] below two rows of either.
///
/// # Panics
/// If dimensions differ.
pub fn sliced(x: Samples, y: Samples, directions: &Directions) -> Result<Wasserstein, Undefined> {
    x.check(2)?;
    y.check(2)?;
    transport(x, y, directions).distances()
}

/// Between `x` and an exact sample `reference` that is independent of it, above the floor that `control` has: an exact
/// sample as large as `x`, independent of the reference too. Rows of `x` and `control` are pairs (common random numbers)
/// where their sizes are equal.
///
/// With another solver's sample as `control` the excess is the difference between the two solvers.
///
/// # Errors
/// As [`sliced`].
///
/// # Panics
/// If dimensions differ.
pub fn sliced_above_floor(
    x: Samples,
    control: Samples,
    reference: Samples,
    directions: &Directions,
) -> Result<AboveFloor, Undefined> {
    for samples in [x, control, reference] {
        samples.check(2)?;
    }
    transport(x, reference, directions).above(&transport(control, reference, directions))
}

/// The mean over directions, a few at a time: memory stays a small multiple of the samples' own, and the order of the
/// sum does not depend on threads.
fn transport(x: Samples, y: Samples, directions: &Directions) -> Transport {
    const AT_A_TIME: usize = 8;
    assert!(
        x.dim() == directions.dim && y.dim() == directions.dim,
        "samples and directions of one dimension"
    );
    let all: Vec<&[f64]> = directions.iter().collect();
    let mut mean = Transport::zero(x.len(), y.len());
    for some in all.chunks(AT_A_TIME) {
        for one in parallel::map(some, |d| Transport::between(&x.project(d), &y.project(d))) {
            mean.add(1.0 / all.len() as f64, &one);
        }
    }
    mean
}
