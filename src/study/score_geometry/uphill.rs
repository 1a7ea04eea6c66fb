//! Where the score points.

use super::super::line::{largest, mean};
use super::{ScoreGeometry, cosine, dot};
use crate::batch::Batch;
use crate::data::preset::{RandomMixture, Ring, TwoMode};
use crate::data::{CLEAN, Data, Mixture};
use crate::noise::Purpose;
use crate::schedule::{Level, Schedule};
use crate::state::State;
use crate::study::Findings;

pub(super) const SHARE: &str = "share uphill";
pub(super) const SLOPE: &str = "slope along the score two ways";
pub(super) const OWN: &str = "share away from its own x_0";
pub(super) const NEAREST: &str = "share away from the nearest mode";
pub(super) const MEAN: &str = "cosine to the mean of all data";

/// Laws that are looked at.
pub(super) const LAWS: [&str; 3] = ["two-mode", "ring", "random-mixture"];

/// A law of [`LAWS`], and the least standard deviation that it has in any direction.
pub(super) fn law(name: &str) -> (Mixture, f64) {
    let (law, std) = match name {
        "two-mode" => (TwoMode {}.mixture(), 0.2),
        "ring" => (Ring::default().mixture(), 0.1),
        _ => (RandomMixture::default().mixture(), 0.5),
    };
    (law.expect("it is a law"), std)
}

/// The level with this noise on unscaled data.
pub(super) fn level(sigma: f64) -> Level {
    Schedule::Edm {}.at(sigma)
}

/// Score of every sample, row after row.
pub(super) fn scores(data: &Data, x: &[f64], at: &Level) -> Vec<f64> {
    let batch = Batch::from_rows(data.dim(), x.to_vec());
    data.model::<f64>().score(&State(batch), at).0.to_rows()
}

/// All that is asked of one law.
pub(super) fn measure(name: &str, study: &ScoreGeometry, found: &mut Findings) {
    let (mixture, std) = law(name);
    let data = Data::Mixture(mixture.clone());
    let (dim, n) = (data.dim(), study.samples);
    let centre = data.mean(&CLEAN);
    // The same numbers give the same component and normals at every level: x_0 and z apart are two draws.
    let x_0: Batch<f64> = data.sample(&CLEAN, study.seed, Purpose::Start, 0, n);
    let z = standard_normals(study.seed, dim, n);
    let (mut up, mut worst) = (0usize, 0.0f64);
    for &sigma in &study.sigmas {
        let at = level(sigma);
        let x: Vec<f64> = x_0.to_rows().iter().zip(&z).map(|(x, z)| x + sigma * z).collect();
        let score = scores(&data, &x, &at);
        let (uphill, slope) = climbs(&data, &x, &score, &at, (std * std + sigma * sigma).sqrt());
        (up, worst) = (up + uphill, largest([worst, slope]));
        let cosines = |to: &dyn Fn(usize, &[f64]) -> Vec<f64>| -> Vec<f64> {
            let rows = x.chunks_exact(dim).zip(score.chunks_exact(dim)).enumerate();
            rows.map(|(i, (x, s))| cosine(s, &to(i, x).iter().zip(x).map(|(t, x)| t - x).collect::<Vec<_>>()))
                .collect()
        };
        let rows = x_0.to_rows();
        let obtuse = |c: Vec<f64>| mean(&c.iter().map(|c| f64::from(*c < 0.0)).collect::<Vec<_>>());
        let own = cosines(&|i, _| rows[i * dim..(i + 1) * dim].to_vec());
        found.sampled(OWN, name, Some(sigma), obtuse(own));
        found.sampled(NEAREST, name, Some(sigma), obtuse(cosines(&|_, x| nearest(&mixture, x))));
        found.sampled(MEAN, name, Some(sigma), mean(&cosines(&|_, _| centre.clone())));
    }
    found.single(SHARE, name, up as f64 / (n * study.sigmas.len()) as f64);
    found.single(SLOPE, name, worst);
}

/// Standard normals that belong to no sample of a law: those of a standard normal law.
pub(super) fn standard_normals(seed: u64, dim: usize, n: usize) -> Vec<f64> {
    let normal = crate::data::Gaussian::new(vec![0.0; dim], vec![1.0; dim]).expect("it is a law");
    let z: Batch<f64> = normal.sample(&CLEAN, seed, Purpose::Other, 0, n);
    z.to_rows()
}

/// How many points a step along the score takes uphill, and the largest difference between the slope of `ln p` along the
/// score, by central differences, and the score's norm, in units of `1/std`. The Hessian of `ln p` is at least `-1/std^2`, so
/// that any step below `2 std^2 score` must go up.
fn climbs(data: &Data, x: &[f64], score: &[f64], at: &Level, std: f64) -> (usize, f64) {
    let dim = data.dim();
    let moved = |by: &dyn Fn(f64) -> f64| -> Vec<f64> {
        let rows = x.chunks_exact(dim).zip(score.chunks_exact(dim));
        let there = rows.flat_map(|(x, s)| {
            let by = by(dot(s, s).sqrt());
            x.iter().zip(s).map(move |(x, s)| x + by * s).collect::<Vec<_>>()
        });
        data.log_density(&Batch::from_rows(dim, there.collect()), at)
    };
    let (here, there) = (moved(&|_| 0.0), moved(&|_| 0.1 * std * std));
    let up = here.iter().zip(&there).filter(|(here, there)| there > here).count();
    let h = 1e-4 * std;
    let (ahead, behind) = (moved(&|norm| h / norm), moved(&|norm| -h / norm));
    let norms = score.chunks_exact(dim).map(|s| dot(s, s).sqrt());
    let slopes = ahead.iter().zip(&behind).map(|(a, b)| (a - b) / (2.0 * h));
    (up, largest(slopes.zip(norms).map(|(slope, norm)| (slope - norm) * std)))
}

/// The nearest mean of a component.
fn nearest(law: &Mixture, x: &[f64]) -> Vec<f64> {
    let off = |m: &[f64]| m.iter().zip(x).map(|(m, x)| (m - x).powi(2)).sum::<f64>();
    let means = law.components().iter().map(|c| &c.mean);
    means.min_by(|a, b| off(a).total_cmp(&off(b))).expect("a component").clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_the_slope_of_the_density_and_no_way_back_to_where_a_sample_came_from() {
        let study = ScoreGeometry { sigmas: vec![0.01, 10.0], samples: 1024, ..ScoreGeometry::default() };
        for name in LAWS {
            let mut found = Findings::default();
            measure(name, &study, &mut found);
            let of = |quantity: &str, x| {
                let row = found.rows.iter().find(|r| r.quantity == quantity && r.x == x);
                row.map(|r| r.value).expect("it was measured")
            };
            assert!(of(SHARE, None) == 1.0 && of(SLOPE, None) < 1e-6, "{name}");
            assert!(of(OWN, Some(0.01)) > 0.35 && of(OWN, Some(10.0)) < 0.06, "{name}");
            assert!(of(MEAN, Some(10.0)) > 0.99, "{name}");
        }
    }
}
