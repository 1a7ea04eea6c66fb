//! Means of the score.

use super::super::line::mean;
use super::uphill::{law, level, scores};
use super::{ScoreGeometry, dot};
use crate::batch::Batch;
use crate::data::Data;
use crate::noise::Purpose;
use crate::study::Findings;

pub(super) const MEAN: &str = "mean of the score";
pub(super) const STEIN: &str = "mean of score times x";
pub(super) const FISHER: &str = "Fisher information two ways";

/// Nodes on the line that hold all of a law, with `p(x) dx` of each: sums over them are integrals to round-off, since all
/// derivatives vanish at the ends.
pub(super) fn nodes(data: &Data, at: &crate::schedule::Level) -> (Vec<f64>, Vec<f64>) {
    let spread = (1.0 + at.sigma * at.sigma).sqrt();
    let (low, high) = (-1.0 - 14.0 * spread, 1.5 + 14.0 * spread);
    let narrowest = (0.2f64.powi(2) * at.alpha * at.alpha + at.sigma * at.sigma).sqrt();
    let count = ((high - low) / (narrowest / 12.0)).ceil() as usize;
    let step = (high - low) / count as f64;
    let x: Vec<f64> = (0..=count).map(|i| low + step * i as f64).collect();
    let density = data.log_density(&Batch::from_rows(1, x.clone()), at);
    (x, density.iter().map(|l| step * l.exp()).collect())
}

/// On the line, by quadrature.
pub(super) fn line(sigmas: &[f64], found: &mut Findings) {
    let data = Data::Mixture(law("two-mode").0);
    for &sigma in sigmas {
        let at = level(sigma);
        let (x, weights) = nodes(&data, &at);
        let score = scores(&data, &x, &at);
        let slope = data.score_divergence(&Batch::from_rows(1, x.clone()), &at).to_rows();
        let expect = |f: &dyn Fn(usize) -> f64| (0..x.len()).map(|i| weights[i] * f(i)).sum::<f64>();
        let fisher = expect(&|i| score[i].powi(2));
        found.put(MEAN, "two-mode", sigma, expect(&|i| score[i]).abs() * sigma);
        found.put(STEIN, "two-mode", sigma, (expect(&|i| score[i] * x[i]) + 1.0).abs());
        found.put(FISHER, "two-mode", sigma, (fisher + expect(&|i| slope[i])).abs() / fisher);
    }
}

/// In the plane, by samples, at three noise levels of those that there are. Of a vector or a matrix the largest entry is
/// put down, with the standard error of this entry.
pub(super) fn plane(study: &ScoreGeometry, found: &mut Findings) {
    for name in ["ring", "random-mixture"] {
        let data = Data::Mixture(law(name).0);
        for &sigma in study.sigmas.iter().filter(|s| [0.1, 1.0, 10.0].contains(s)) {
            let at = level(sigma);
            let x: Batch<f64> = data.sample(&at, study.seed, Purpose::Reference, 0, study.samples);
            let (rows, slope) = (x.to_rows(), data.score_divergence(&x, &at).to_rows());
            let score = scores(&data, &rows, &at);
            let pairs: Vec<(&[f64], &[f64])> = score.chunks_exact(2).zip(rows.chunks_exact(2)).collect();
            let of = |f: &dyn Fn(&[f64], &[f64]) -> f64| {
                mean(&pairs.iter().map(|(s, x)| f(s, x)).collect::<Vec<_>>())
            };
            let first = (0..2).map(|i| of(&|s, _| sigma * s[i]));
            found.sampled(MEAN, name, Some(sigma), largest(first));
            let identity = |i, j| f64::from(i == j);
            let second =
                (0..4).map(|k| (k / 2, k % 2)).map(|(i, j)| of(&|s, x| s[i] * x[j] + identity(i, j)));
            found.sampled(STEIN, name, Some(sigma), largest(second));
            let fisher = of(&|s, _| dot(s, s)).0;
            let both: Vec<f64> =
                pairs.iter().zip(&slope).map(|((s, _), slope)| (dot(s, s) + slope) / fisher).collect();
            found.sampled(FISHER, name, Some(sigma), largest(std::iter::once(mean(&both))));
        }
    }
}

/// The entry of largest size, and its standard error.
fn largest(entries: impl Iterator<Item = (f64, f64)>) -> (f64, f64) {
    entries.map(|(m, e)| (m.abs(), e)).max_by(|a, b| a.0.total_cmp(&b.0)).expect("there are entries")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identities_hold_to_round_off_by_quadrature_and_to_their_errors_by_samples() {
        let mut found = Findings::default();
        line(&[0.05, 1.0, 20.0], &mut found);
        assert!(found.rows.len() == 9 && found.rows.iter().all(|r| r.value < 1e-13));
        let mut found = Findings::default();
        plane(&ScoreGeometry { samples: 2048, ..ScoreGeometry::default() }, &mut found);
        // (The largest of up to four entries.)
        assert!(found.rows.len() == 18 && found.rows.iter().all(|r| r.value < 4.0 * r.stderr.unwrap_or(0.0)));
    }
}
