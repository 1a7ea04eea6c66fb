//! What a count of won and lost problems, and ratios on a few of them, say of more problems like them.

use rand::RngExt;
use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, StudentsT};
use statrs::function::erf::erfc;

use crate::noise::{Purpose, generator};

/// Two-sided sign test: the probability that so many fair coins fall at least as unevenly (exact binomial; ties are left
/// out). 1 where there is nothing to count.
///
/// ```
/// use scorebench::race::sign_test;
/// assert_eq!(sign_test(5, 0), 2.0 / 32.0);
/// assert_eq!(sign_test(1, 9), sign_test(9, 1));
/// ```
pub fn sign_test(won: usize, lost: usize) -> f64 {
    let (n, few) = (won + lost, won.min(lost));
    let tail = if n <= EXACT {
        // C(n, k)/2^n, from k = 0 on: without round-off up to n = 50.
        let mut term = 0.5f64.powi(n as i32);
        let mut tail = 0.0;
        for k in 0..=few {
            tail += term;
            term *= (n - k) as f64;
            term /= (k + 1) as f64;
        }
        tail
    } else {
        Binomial::new(0.5, n as u64).map_or(1.0, |law| law.cdf(few as u64))
    };
    // With as many won as lost both tails hold the middle.
    (2.0 * tail).min(1.0)
}

/// Beyond, 2^-n underflows.
const EXACT: usize = 1000;

/// The least p-value that so many problems can give.
pub fn least_p(problems: usize) -> f64 {
    sign_test(problems, 0)
}

/// Fewer values have no interval: the range of n values misses the median of their law with probability `2^(1 - n)`, and a
/// bootstrap never leaves that range.
const FEWEST: usize = 5;
const RESAMPLES: u64 = 10_000;

/// 95 % interval of the mean of a law, of which these are independent values: percentiles of the means of 10,000
/// resamples, drawn by the seed, at levels widened for few values (the expanded percentile bootstrap, Hesterberg 2015).
/// None of fewer than five values, or of any that is not finite.
pub fn mean_interval(values: &[f64], seed: u64) -> Option<(f64, f64)> {
    let n = values.len();
    if n < FEWEST || values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let mean = |k: u64| {
        let mut random = generator(seed, Purpose::Other, k);
        let pick = |_| values[random.random_range(0..n as u64) as usize];
        (0..n).map(pick).sum::<f64>() / n as f64
    };
    let mut means: Vec<f64> = (0..RESAMPLES).map(mean).collect();
    means.sort_by(f64::total_cmp);
    // A resample varies by n - 1 where values do by n, and Student's tails are wider than the normal's.
    let z = student(n - 1) * (n as f64 / (n as f64 - 1.0)).sqrt();
    let level = 0.5 * erfc(z / std::f64::consts::SQRT_2);
    let from = (level * RESAMPLES as f64) as usize;
    Some((means[from], means[means.len() - 1 - from]))
}

/// Student's 97.5 % quantile.
pub(super) fn student(freedom: usize) -> f64 {
    StudentsT::new(0.0, 1.0, freedom as f64).map_or(f64::INFINITY, |law| law.inverse_cdf(0.975))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_distr::StandardNormal;

    #[test]
    fn p_values_are_those_worked_by_hand() {
        // (1 + 11 + 55)/2^11, twice.
        for (won, lost, p) in [
            (0, 0, 1.0),
            (1, 0, 1.0),
            (3, 3, 1.0),
            (5, 0, 0.0625),
            (11, 0, 2.0 / 2048.0),
            (9, 2, 134.0 / 2048.0),
            (7, 4, 1124.0 / 2048.0),
            (2, 9, 134.0 / 2048.0),
        ] {
            assert!((sign_test(won, lost) - p).abs() < 1e-14, "{won} {lost}: {}", sign_test(won, lost));
        }
        // 2^2000 is no f64.
        let p = sign_test(1044, 956);
        assert!((p - 0.0516).abs() < 1e-3, "{p}");
        assert_eq!(least_p(11), 1.0 / 1024.0);
    }

    #[test]
    fn intervals_are_of_the_seed_and_turn_with_the_sign() {
        let values = [-1.0, -0.5, 0.2, -0.7, -0.1, 0.3];
        let (low, high) = mean_interval(&values, 1).expect("six values");
        assert!(low < -0.3 && -0.3 < high && low >= -1.0 && high <= 0.3);
        assert_eq!(mean_interval(&values, 1), Some((low, high)));
        let turned = mean_interval(&values.map(|v| -v), 1).expect("six values");
        assert!((turned.0 + high).abs() < 1e-12 && (turned.1 + low).abs() < 1e-12);
        assert_eq!(mean_interval(&[0.0; 5], 1), Some((0.0, 0.0)));
        assert_eq!(mean_interval(&values[..4], 1), None);
        assert_eq!(mean_interval(&[f64::INFINITY, 1.0, 1.0, 1.0, 1.0], 1), None);
    }

    #[test]
    fn intervals_of_eleven_values_cover_the_mean_as_often_as_they_say() {
        let covers = |k: u64| {
            let mut random = generator(7, Purpose::Start, k);
            let values: Vec<f64> = (0..11).map(|_| random.sample::<f64, _>(StandardNormal)).collect();
            mean_interval(&values, k).is_some_and(|(low, high)| low <= 0.0 && 0.0 <= high)
        };
        let covered = (0..400).filter(|k| covers(*k)).count();
        // Three standard deviations of 400 coins that fall at 0.95; plain percentiles cover 0.90.
        assert!((367..=393).contains(&covered), "{covered} of 400");
    }
}
