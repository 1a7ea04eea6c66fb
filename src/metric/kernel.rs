//! Energy distance and maximum mean discrepancy, squared and unbiased (so of either sign about 0).
//!
//! Both are `E k(x, x') + E k(y, y') - 2 E k(x, y)`, with `k = -|x - y|` (Székely & Rizzo 2013, eq. 5) or a Gaussian
//! kernel (Gretton et al. 2012, eq. 3). The estimator leaves out `i = j` in all three sums (Gretton et al. 2012,
//! eq. 4), so that it stays unbiased where row `i` of both came from the same start.

use super::batches::Batches;
use super::estimate::{Estimate, Samples, Sum, Undefined, mean, sum};
use super::wasserstein::stderr;
use crate::parallel;

/// The energy distance on the line, from all pairs, in time `n log n`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Energy {
    /// `2 E|x - y| - E|x - x'| - E|y - y'|`, unbiased. Standard error by influence; too large where the laws are equal.
    pub squared: Estimate,
    /// The same with the pairs `i = j` left in, `2 int (F - G)^2 dx` for the empirical CDFs: never negative, biased by the
    /// floor. Its root is scipy's `energy_distance`.
    pub v_statistic: f64,
}

/// Energy distance between numbers. Pairs of rows where the sizes are equal, as in [`super::wasserstein::wasserstein`].
///
/// # Errors
/// [`Undefined::NotFinite`]; [`Undefined::TooFew`] below two of either.
pub fn energy_on_the_line(x: &[f64], y: &[f64]) -> Result<Energy, Undefined> {
    Undefined::check(x, 1, 2)?;
    Undefined::check(y, 1, 2)?;
    // The sums of distances are differences of sums of values: those are kept small.
    let centre = mean(y);
    let centred = |v: &[f64]| v.iter().map(|v| v - centre).collect::<Vec<f64>>();
    let (x, y) = (centred(x), centred(y));
    let ((n, m), (xs, ys)) = ((x.len() as f64, y.len() as f64), (Prefix::new(&x), Prefix::new(&y)));
    let distances = |from: &[f64], to: &Prefix| from.iter().map(|v| to.distances(*v)).collect::<Vec<f64>>();
    let (x_to_y, x_to_x) = (distances(&x, &ys), distances(&x, &xs));
    let (y_to_x, y_to_y) = (distances(&y, &xs), distances(&y, &ys));

    let (cross, within_x, within_y) = (mean(&x_to_y) / m, mean(&x_to_x) / n, mean(&y_to_y) / m);
    let paired = x.len() == y.len();
    // Without the pairs i = j, where rows are pairs.
    let own = if paired { sum(x.iter().zip(&y).map(|(a, b)| (a - b).abs())) } else { 0.0 };
    let pairs = if paired { n * (n - 1.0) } else { n * m };
    let value = 2.0 * (n * m * cross - own) / pairs - within_x * n / (n - 1.0) - within_y * m / (m - 1.0);
    let effects = |to_other: &[f64], to_own: &[f64], others: f64, own: f64| -> Vec<f64> {
        to_other.iter().zip(to_own).map(|(a, b)| 2.0 * (a / others - b / (own - 1.0))).collect()
    };
    let stderr = stderr(&[&effects(&x_to_y, &x_to_x, m, n), &effects(&y_to_x, &y_to_y, n, m)]);
    let v_statistic = (2.0 * cross - within_x - within_y).max(0.0);
    Ok(Energy { squared: Estimate { value, stderr }.finite()?, v_statistic })
}

/// Sorted numbers and the sums of the first k of them.
struct Prefix {
    sorted: Vec<f64>,
    sums: Vec<f64>,
}

impl Prefix {
    fn new(x: &[f64]) -> Self {
        let mut sorted = x.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let (mut sum, mut sums) = (Sum::default(), vec![0.0]);
        for v in &sorted {
            sum.add(*v);
            sums.push(sum.value());
        }
        Prefix { sorted, sums }
    }

    /// `sum_j |v - x_j|`.
    fn distances(&self, v: f64) -> f64 {
        let n = self.sorted.len();
        let below = self.sorted.partition_point(|x| *x < v);
        (below as f64 - (n - below) as f64) * v + self.sums[n] - 2.0 * self.sums[below]
    }
}

/// Largest number of rows in a block of [`energy`] and [`mmd`] unless told otherwise.
pub const BLOCK: usize = 512;

/// Energy distance in any dimension, squared: see [`mmd`] for the estimator, its cost and its errors.
///
/// # Errors
/// See [`mmd`].
///
/// # Panics
/// If dimensions differ.
pub fn energy(x: Samples, y: Samples, block: usize) -> Result<Estimate, Undefined> {
    by_blocks(x, y, block, |square| -square.sqrt())
}

/// Squared maximum mean discrepancy with `k = exp(-|x - y|^2/(2 bandwidth^2))`: the mean over blocks of consecutive rows
/// of the unbiased estimate from each, and its standard error from their spread (Zaremba et al. 2013). Linear in
/// the number of rows: `2 n block` distances. Rows beyond the shorter sample are not used.
///
/// # Errors
/// [`Undefined::NotFinite`]; [`Undefined::TooFew`] where there are no two blocks of two rows.
///
/// # Panics
/// If dimensions differ.
pub fn mmd(x: Samples, y: Samples, bandwidth: f64, block: usize) -> Result<Estimate, Undefined> {
    let rate = -0.5 / (bandwidth * bandwidth);
    by_blocks(x, y, block, |square| (rate * square).exp())
}

/// The median distance between rows of a sample (its first thousand), the usual bandwidth of a Gaussian kernel (Gretton
/// et al. 2012, sec. 8). Take it from the reference, so that all solvers are measured with one kernel.
///
/// # Errors
/// [`Undefined::NotFinite`]; [`Undefined::TooFew`] below two rows.
pub fn median_distance(reference: Samples) -> Result<f64, Undefined> {
    reference.check(2)?;
    let rows: Vec<&[f64]> = reference.rows().take(1000).collect();
    let mut squares: Vec<f64> = (0..rows.len())
        .flat_map(|i| rows[..i].iter().map(|r| square(rows[i], r)).collect::<Vec<_>>())
        .collect();
    let middle = squares.len() / 2;
    let (_, median, _) = squares.select_nth_unstable_by(middle, f64::total_cmp);
    Ok(median.sqrt())
}

fn by_blocks(
    x: Samples,
    y: Samples,
    most: usize,
    kernel: impl Fn(f64) -> f64 + Sync,
) -> Result<Estimate, Undefined> {
    assert_eq!(x.dim(), y.dim(), "samples of one dimension");
    x.check(4)?;
    y.check(4)?;
    let rows = x.len().min(y.len());
    // Enough blocks for a standard error, even where each could hold more.
    let size = most.min(rows / 32).max(2);
    let blocks = Batches::new(rows as u64, rows / size);
    let all: Vec<usize> = (0..blocks.count()).collect();
    let one = |&b: &usize| {
        let range = blocks.range(b);
        unbiased(x, y, range.start as usize..range.end as usize, &kernel)
    };
    let values = parallel::map(&all, one);
    if values.iter().any(|v| !v.is_finite()) {
        return Err(Undefined::Overflow);
    }
    Estimate::mean(&values)
}

/// `mean over i != j of k(x_i, x_j) + k(y_i, y_j) - k(x_i, y_j) - k(x_j, y_i)`.
fn unbiased(x: Samples, y: Samples, rows: std::ops::Range<usize>, kernel: impl Fn(f64) -> f64) -> f64 {
    let n = rows.len() as f64;
    let k = |a: &[f64], b: &[f64]| kernel(square(a, b));
    let one = |i: usize| {
        let (xi, yi) = (x.row(i), y.row(i));
        (rows.start..i)
            .map(|j| {
                let (xj, yj) = (x.row(j), y.row(j));
                k(xi, xj) + k(yi, yj) - k(xi, yj) - k(xj, yi)
            })
            .sum::<f64>()
    };
    2.0 * sum(rows.clone().map(one)) / (n * (n - 1.0))
}

/// `|a - b|^2`.
fn square(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}
