//! Paths between two codes, and how steep the decoder is between two modes.

use std::f64::consts::TAU;

use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::super::line::mean;
use super::{CLEAN_TIME, SCHEDULE};
use crate::batch::Batch;
use crate::data::Data;
use crate::data::mixture::{Covariance, Mixture};
use crate::data::preset::Ring;
use crate::flow;
use crate::noise::Purpose;
use crate::study::Findings;

pub(super) const NORM: &str = "norm of codes between";
pub(super) const DISTANCE: &str = "distance to the data between";
pub(super) const OFF: &str = "share off the data between";
pub(super) const PATH: &str = "one path between";
pub(super) const SLOPE: &str = "largest slope of the decoder";
pub(super) const SLOPE_RATIO: &str = "largest slope over its formula";
pub(super) const JUMP: &str = "share of data between modes";

/// Coordinates of the ring whose samples are joined: the circle lies in the first two.
const DIM: usize = 16;

/// Modes of the ring.
const MODES: usize = 8;

/// How two points are joined.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Join {
    LineInData,
    LineInCodes,
    SphereInCodes,
}

impl Join {
    const ALL: [Join; 3] = [Join::LineInData, Join::LineInCodes, Join::SphereInCodes];

    fn name(self) -> &'static str {
        match self {
            Join::LineInData => "line between data",
            Join::LineInCodes => "line between codes",
            Join::SphereInCodes => "sphere between codes",
        }
    }

    /// The point a share `u` of the way from `a` to `b`; on a sphere by Shoemake's formula (1985, sec. 3.3).
    fn between(self, a: &[f64], b: &[f64], u: f64) -> Vec<f64> {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let (keep, go) = match self {
            Join::LineInData | Join::LineInCodes => (1.0 - u, u),
            Join::SphereInCodes => {
                let angle = (dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()).clamp(-1.0, 1.0).acos();
                let share = |u: f64| if angle == 0.0 { u } else { (u * angle).sin() / angle.sin() };
                (share(1.0 - u), share(u))
            }
        };
        a.iter().zip(b).map(|(a, b)| keep * a + go * b).collect()
    }
}

/// Eight modes of standard deviation 0.1 on a circle of radius 2, in the plane of the first two of `dim` coordinates.
fn ring(dim: usize) -> Data {
    let plane = Ring { modes: MODES, ..Ring::default() }.mixture().expect("it is a law");
    let lift = |mean: &[f64]| [mean, &vec![0.0; dim - mean.len()]].concat();
    let parts = plane.components().iter().map(|c| (c.weight, lift(&c.mean), c.covariance.clone()));
    Data::Mixture(Mixture::new(parts.collect()).expect("it is a law"))
}

/// A way of joining, with the points joined and what `decode` makes of points between them.
fn decoded(law: &Data, join: Join, points: Batch<f64>) -> Option<Batch<f64>> {
    match join {
        Join::LineInData => Some(points),
        _ => flow::reference(law, &SCHEDULE.at(1.0), &SCHEDULE.at(CLEAN_TIME), &points).ok(),
    }
}

/// What lies between pairs of samples: norms of codes, and how far it is from the data.
pub(super) fn codes(pairs: usize, places: usize, seed: u64, found: &mut Findings) {
    let law = ring(DIM);
    let (clean, noise) = (SCHEDULE.at(CLEAN_TIME), SCHEDULE.at(1.0));
    let data: Batch<f64> = law.sample(&clean, seed, Purpose::Start, 0, 2 * pairs);
    let Ok(codes) = flow::reference(&law, &clean, &noise, &data) else { return };
    let (data, codes) = (data.to_rows(), codes.to_rows());
    let spread = clean.marginal_variance(0.1 * 0.1);
    let far = spread * ChiSquared::new(DIM as f64).expect("there are coordinates").inverse_cdf(0.999);
    for place in 0..places {
        let u = place as f64 / (places - 1) as f64;
        for join in Join::ALL {
            let ends = if join == Join::LineInData { &data } else { &codes };
            let (a, b) = ends.split_at(pairs * DIM);
            let points: Vec<f64> = a
                .chunks_exact(DIM)
                .zip(b.chunks_exact(DIM))
                .flat_map(|(a, b)| join.between(a, b, u))
                .collect();
            if join != Join::LineInData {
                let usual = law.second_moment(&noise);
                let norms: Vec<f64> = points.chunks_exact(DIM).map(|z| square(z) / usual).collect();
                found.sampled(NORM, join.name(), Some(u), mean(&norms));
            }
            let Some(end) = decoded(&law, join, Batch::from_rows(DIM, points)) else { continue };
            let squares: Vec<f64> = end.to_rows().chunks_exact(DIM).map(|x| nearest(&law, x)).collect();
            let over: Vec<f64> = squares.iter().map(|s| s / (DIM as f64 * spread)).collect();
            let off: Vec<f64> = squares.iter().map(|s| f64::from(*s > far)).collect();
            found.sampled(DISTANCE, join.name(), Some(u), mean(&over));
            found.sampled(OFF, join.name(), Some(u), mean(&off));
        }
    }
}

/// `|x|^2`.
fn square(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum()
}

/// Squared distance to the nearest mode, as the clean level has it.
fn nearest(law: &Data, x: &[f64]) -> f64 {
    let alpha = SCHEDULE.at(CLEAN_TIME).alpha;
    let Some(law) = law.mixture() else { return f64::NAN };
    let to = |mean: &[f64]| x.iter().zip(mean).map(|(x, m)| (x - alpha * m).powi(2)).sum::<f64>();
    law.components().iter().map(|c| to(&c.mean)).fold(f64::INFINITY, f64::min)
}

/// Where one path runs on the ring in the plane, from a mode to the third after it: between codes it waits at modes and
/// jumps.
pub(super) fn path(places: usize, found: &mut Findings) {
    let law = ring(2);
    let (clean, noise) = (SCHEDULE.at(CLEAN_TIME), SCHEDULE.at(1.0));
    let Some(mixture) = law.mixture() else { return };
    let ends: Vec<f64> = [0, 3].iter().flat_map(|k| mixture.components()[*k].mean.clone()).collect();
    let ends: Vec<f64> = ends.iter().map(|m| clean.alpha * m).collect();
    let Ok(codes) = flow::reference(&law, &clean, &noise, &Batch::from_rows(2, ends.clone())) else { return };
    let codes = codes.to_rows();
    // More places than averages have: there are jumps to be seen.
    let last = 2 * (places - 1);
    for join in [Join::LineInData, Join::SphereInCodes] {
        let ends = if join == Join::LineInData { &ends } else { &codes };
        let at = |i: usize| i as f64 / last as f64;
        let points = (0..=last).flat_map(|i| join.between(&ends[..2], &ends[2..], at(i))).collect();
        let Some(end) = decoded(&law, join, Batch::from_rows(2, points)) else { continue };
        for (i, x) in end.to_rows().chunks_exact(2).enumerate() {
            found.put(PATH, join.name(), at(i), x[1].atan2(x[0]) / TAU * MODES as f64);
        }
    }
}

/// The largest slope of the decoder of two equal modes at -1 and 1: at the middle, where the flow between marginals
/// has slope `p_T(0)/p_0(0)`, about `s exp(1/(2 s^2))`.
pub(super) fn slopes(widths: &[f64], found: &mut Findings) {
    let (clean, noise) = (SCHEDULE.at(CLEAN_TIME), SCHEDULE.at(1.0));
    for &s in widths {
        let law = two_modes(s);
        let data = Data::Mixture(law.clone());
        let middle = Batch::from_rows(1, vec![0.0]);
        let density = |at| data.log_density(&middle, at)[0].exp();
        let formula = density(&noise) / density(&clean);
        // Far enough for the tolerance of the integration, near enough for the slope to be that of the middle.
        let z = 1e-3 * s / formula;
        let Ok(x) = flow::integrate(&data, &noise, &clean, &Batch::from_rows(1, vec![z]), flow::TOLERANCE)
        else {
            continue;
        };
        let slope = x.to_rows()[0] / z;
        found.put(SLOPE, "two modes", s, slope);
        found.put(SLOPE, "s exp(1/(2 s^2))", s, s * (0.5 / (s * s)).exp());
        found.put(SLOPE_RATIO, "two modes", s, slope / formula);
        if let Some(line) = law.line(&clean) {
            found.put(JUMP, "two modes", s, line.cdf(0.5) - line.cdf(-0.5));
        }
    }
}

/// Equal modes of standard deviation `s` at -1 and 1.
fn two_modes(s: f64) -> Mixture {
    let mode = |mean| (0.5, vec![mean], Covariance::Isotropic(s * s));
    Mixture::new(vec![mode(-1.0), mode(1.0)]).expect("it is a law")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sphere_keeps_the_norm_that_the_line_loses() {
        let (a, b) = ([3.0, 0.0, 0.0, 4.0], [0.0, 5.0, 0.0, 0.0]);
        for u in [0.0, 0.25, 0.5, 0.9, 1.0] {
            let norm = |join: Join| square(&join.between(&a, &b, u)) / 25.0;
            assert!((norm(Join::SphereInCodes) - 1.0).abs() < 1e-14);
            assert!((norm(Join::LineInCodes) - ((1.0 - u).powi(2) + u * u)).abs() < 1e-14);
        }
        assert_eq!(Join::SphereInCodes.between(&a, &a, 0.3), Join::LineInCodes.between(&a, &a, 0.3));
    }

    #[test]
    fn the_decoder_is_as_steep_between_modes_as_the_ratio_of_the_densities() {
        let mut found = Findings::default();
        slopes(&[0.25, 0.6], &mut found);
        let ratios = found.rows.iter().filter(|r| r.quantity == SLOPE_RATIO);
        assert!(ratios.clone().count() == 2 && ratios.clone().all(|r| (r.value - 1.0).abs() < 1e-4));
    }

    #[test]
    fn a_path_between_codes_ends_where_the_data_are_and_line_and_sphere_have_the_same_ends() {
        let mut found = Findings::default();
        codes(8, 2, 3, &mut found);
        let at = |case: &str, u| {
            let mine =
                |r: &&crate::study::Measured| r.quantity == DISTANCE && r.case == case && r.x == Some(u);
            found.rows.iter().find(mine).map(|r| r.value).expect("it was measured")
        };
        for u in [0.0, 1.0] {
            let data = at("line between data", u);
            assert!((at("line between codes", u) / data - 1.0).abs() < 1e-10);
            assert!((at("sphere between codes", u) / data - 1.0).abs() < 1e-10);
        }
    }
}
