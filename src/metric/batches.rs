//! Streaming means of functions of a sample, kept by batch, and standard errors from the spread between batches.

use super::estimate::{Distance, Estimate, Sum, Undefined, sum};

/// Samples `0..samples` cut into contiguous ranges of nearly equal length. Which batch a sample is in depends on its
/// global index alone, so not on how a run is cut into chunks, nor on threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batches {
    samples: u64,
    count: usize,
}

impl Batches {
    /// Enough for a standard error good to 9 % and intervals that cover 94.6 % where 95 % are asked for; few enough for
    /// each batch to be near normal.
    pub const DEFAULT: usize = 64;

    /// `count` batches, or one a sample where there are fewer samples.
    pub fn new(samples: u64, count: usize) -> Self {
        Batches { samples, count: (count.max(1) as u64).min(samples.max(1)) as usize }
    }

    /// All samples.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Number of batches.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The batch of a sample: `floor(index count/samples)`.
    pub fn of(&self, index: u64) -> usize {
        (u128::from(index) * self.count as u128 / u128::from(self.samples.max(1))) as usize
    }

    /// The samples of a batch: what one thread should run, in order.
    pub fn range(&self, batch: usize) -> std::ops::Range<u64> {
        let start = |b: usize| (b as u128 * u128::from(self.samples)).div_ceil(self.count as u128) as u64;
        start(batch)..start(batch + 1)
    }
}

/// Means of `width` functions of a sample, by batch. Memory: `3 count width` numbers, whatever the number of samples.
///
/// Bit for bit the same on any number of threads and for any size of chunk if each batch is pushed in order into one
/// `Means`; these may then be merged in any order.
#[derive(Clone, Debug)]
pub struct Means {
    batches: Batches,
    width: usize,
    sums: Vec<Option<Sums>>,
}

/// One batch. Sums are taken over leaves, and those added with compensation: round-off grows with `LEAF` instead of n, at
/// a few per cent of the cost of compensating every term.
#[derive(Clone, Debug)]
struct Sums {
    count: u64,
    not_finite: u64,
    leaf: Vec<f64>,
    total: Vec<Sum>,
}

const LEAF: u64 = 128;

impl Means {
    /// Nothing pushed yet.
    pub fn new(width: usize, batches: Batches) -> Self {
        Means { batches, width, sums: vec![None; batches.count] }
    }

    /// Adds the functions of sample `index`. A sample with a function that is not finite is counted, not added.
    ///
    /// # Panics
    /// If `index` is beyond the samples that were announced, or there are not `width` values.
    pub fn push(&mut self, index: u64, values: &[f64]) {
        assert!(
            index < self.batches.samples && values.len() == self.width,
            "a sample that was not announced"
        );
        let width = self.width;
        let sums = self.sums[self.batches.of(index)].get_or_insert_with(|| Sums {
            count: 0,
            not_finite: 0,
            leaf: vec![0.0; width],
            total: vec![Sum::default(); width],
        });
        if !values.iter().all(|v| v.is_finite()) {
            sums.not_finite += 1;
            return;
        }
        for (sum, v) in sums.leaf.iter_mut().zip(values) {
            *sum += v;
        }
        sums.count += 1;
        if sums.count.is_multiple_of(LEAF) {
            sums.flush();
        }
    }

    /// Takes over the batches of `other`; a batch that both have is added to.
    ///
    /// # Panics
    /// If the two have other functions or batches.
    pub fn merge(&mut self, other: Means) {
        assert_eq!((self.width, self.batches), (other.width, other.batches), "means of different things");
        for (mine, theirs) in self.sums.iter_mut().zip(other.sums) {
            match (mine.as_mut(), theirs) {
                (Some(mine), Some(theirs)) => mine.add(theirs),
                (None, theirs) => *mine = theirs,
                (_, None) => {}
            }
        }
    }

    /// How the samples are cut.
    pub fn batches(&self) -> Batches {
        self.batches
    }

    /// Samples pushed, those that are not finite included.
    pub fn pushed(&self) -> u64 {
        self.sums.iter().flatten().map(|s| s.count + s.not_finite).sum()
    }

    /// The mean of function `k`, with the standard error of batch means.
    ///
    /// # Errors
    /// As [`Means::left_out`].
    pub fn estimate(&self, k: usize) -> Result<Estimate, Undefined> {
        self.left_out()?.jackknife(|means| means[k]).estimate().finite()
    }

    /// The means with all batches, and with each left out.
    ///
    /// # Errors
    /// [`Undefined::NotFinite`] where a sample was not finite; [`Undefined::TooFew`] where fewer than two batches have
    /// a sample.
    pub fn left_out(&self) -> Result<LeftOut, Undefined> {
        let count = self.sums.iter().flatten().map(|s| s.not_finite).sum();
        if count > 0 {
            return Err(Undefined::NotFinite { count, of: self.pushed() });
        }
        let kept: Vec<&Sums> = self.sums.iter().flatten().filter(|s| s.count > 0).collect();
        if kept.len() < 2 {
            return Err(Undefined::TooFew { have: kept.len() as u64, need: 2 });
        }
        let totals: Vec<f64> = (0..self.width).map(|k| sum(kept.iter().map(|s| s.of(k)))).collect();
        let samples: u64 = kept.iter().map(|s| s.count).sum();
        let without = |s: &&Sums| {
            let n = (samples - s.count) as f64;
            (0..self.width).map(|k| (totals[k] - s.of(k)) / n).collect()
        };
        Ok(LeftOut {
            all: totals.iter().map(|t| t / samples as f64).collect(),
            without: kept.iter().map(without).collect(),
            shares: kept.iter().map(|s| s.count as f64 / samples as f64).collect(),
            samples,
        })
    }
}

impl Sums {
    /// Of function `k`.
    fn of(&self, k: usize) -> f64 {
        self.total[k].value() + self.leaf[k]
    }

    fn flush(&mut self) {
        for (total, leaf) in self.total.iter_mut().zip(&mut self.leaf) {
            total.add(std::mem::take(leaf));
        }
    }

    fn add(&mut self, mut other: Sums) {
        self.flush();
        other.flush();
        self.count += other.count;
        self.not_finite += other.not_finite;
        for (mine, theirs) in self.total.iter_mut().zip(&other.total) {
            mine.add(theirs.value());
        }
    }
}

/// Means over all batches and over all but one, for every one.
#[derive(Clone, Debug)]
pub struct LeftOut {
    /// Over all batches.
    pub all: Vec<f64>,
    /// Without batch `b`.
    pub without: Vec<Vec<f64>>,
    /// The share of the samples that batch `b` has.
    shares: Vec<f64>,
    /// All samples.
    pub samples: u64,
}

impl LeftOut {
    /// The means of both side by side, batch by batch: functions of two runs on common random numbers.
    ///
    /// # Panics
    /// If the two are cut differently.
    pub fn beside(&self, other: &LeftOut) -> LeftOut {
        assert_eq!(self.shares, other.shares, "runs cut into different batches");
        LeftOut {
            all: [&self.all[..], &other.all].concat(),
            without: self.without.iter().zip(&other.without).map(|(a, b)| [&a[..], b].concat()).collect(),
            shares: self.shares.clone(),
            samples: self.samples,
        }
    }

    /// The same beside numbers that are exact.
    pub fn beside_exact(&self, exact: &[f64]) -> LeftOut {
        LeftOut {
            all: [&self.all[..], exact].concat(),
            without: self.without.iter().map(|a| [&a[..], exact].concat()).collect(),
            shares: self.shares.clone(),
            samples: self.samples,
        }
    }

    /// A smooth function of the means, by the delete-one-batch jackknife (Quenouille 1956, Tukey 1958; for batches of
    /// unequal size Busing, Meijer & van der Leeden 1999, eq. 3 and 5). For a linear one this is batch means.
    ///
    /// For the square of a norm take [`LeftOut::norm`]: where that is 0 the function has no linear part to go by.
    pub fn jackknife(&self, f: impl Fn(&[f64]) -> f64) -> Jackknife {
        let value = f(&self.all);
        let without: Vec<f64> = self.without.iter().map(|means| f(means)).collect();
        let parts = || without.iter().zip(&self.shares);
        // B value - sum_b (1 - share_b) value_(-b), written as a correction so that nothing large cancels.
        let corrected = value + sum(parts().map(|(w, share)| (1.0 - share) * (value - w)));
        let spread = |(w, share): (&f64, &f64)| {
            let h = 1.0 / share;
            let pseudo = h * value - (h - 1.0) * w;
            (pseudo - corrected).powi(2) / (h - 1.0)
        };
        let variance = sum(parts().map(spread)) / without.len() as f64;
        Jackknife { value, corrected, stderr: variance.sqrt() }
    }
}

impl LeftOut {
    /// The norm of a vector `g` of smooth functions of the means. `excess` is `|g|^2` less its jackknife bias.
    ///
    /// Its standard error is the jackknife's, and never below what pure noise has: with `e_b` the deviations of batches
    /// from their mean, `sum_{a != b} <e_a, e_b>/(B (B-1))` has variance `2 mean_{a != b} <e_a, e_b>^2/(B (B-1))`
    /// (Serfling 1980, sec. 5.2.1, the degenerate case). The jackknife alone states next to nothing when `g` happens to
    /// come out small.
    ///
    /// # Errors
    /// [`Undefined::Overflow`].
    pub fn norm(&self, g: impl Fn(&[f64]) -> Vec<f64>) -> Result<Distance, Undefined> {
        let square = |means: &[f64]| g(means).iter().map(|v| v * v).sum::<f64>();
        let squared = self.jackknife(square);
        let noise = self.noise(&g);
        let excess = Estimate { value: squared.corrected, stderr: squared.stderr.max(noise) };
        Ok(Distance {
            value: self.jackknife(|means| square(means).sqrt()).estimate().finite()?,
            floor: (squared.value - squared.corrected).max(0.0).sqrt(),
            excess: excess.finite()?,
        })
    }

    /// Standard deviation of `|g|^2` less its bias where g is 0 but for noise.
    fn noise(&self, g: impl Fn(&[f64]) -> Vec<f64>) -> f64 {
        let all = g(&self.all);
        let deviation = |(means, share): (&Vec<f64>, &f64)| -> Vec<f64> {
            let scale = (1.0 / share - 1.0) * (1.0 - 1.0 / self.shares.len() as f64).sqrt().recip();
            g(means).iter().zip(&all).map(|(w, a)| scale * (a - w)).collect()
        };
        let deviations: Vec<Vec<f64>> = self.without.iter().zip(&self.shares).map(deviation).collect();
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let squares = (0..deviations.len())
            .flat_map(|a| (0..a).map(move |b| (a, b)))
            .map(|(a, b)| product(&deviations[a], &deviations[b]).powi(2));
        let pairs = (deviations.len() * (deviations.len() - 1)) as f64;
        (2.0 * 2.0 * sum(squares)).sqrt() / pairs
    }
}

/// A function of means, with and without its bias of first order in `1/n`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jackknife {
    /// The function of the means.
    pub value: f64,
    /// The same less its estimated bias; unbiased where the function is quadratic.
    pub corrected: f64,
    /// Standard error of either.
    pub stderr: f64,
}

impl Jackknife {
    /// The function of the means.
    pub fn estimate(&self) -> Estimate {
        Estimate { value: self.value, stderr: self.stderr }
    }

    /// The same less its bias.
    pub fn corrected(&self) -> Estimate {
        Estimate { value: self.corrected, stderr: self.stderr }
    }
}
