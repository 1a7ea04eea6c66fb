//! What the score becomes near data of few dimensions as noise vanishes.

use std::f64::consts::TAU;

use super::super::line::{largest, mean};
use super::circle::Circle;
use super::uphill::{law, level, scores};
use super::{ScoreGeometry, dot};
use crate::batch::Batch;
use crate::data::{Data, Gaussian, Mixture};
use crate::math::gauss_legendre;
use crate::metric::wasserstein::normal_cdf;
use crate::noise::Purpose;
use crate::study::Findings;

pub(super) const COUNT: &str = "normal directions counted";
pub(super) const RATIO: &str = "score over distance/sigma^2";
pub(super) const NORM: &str = "norm of the score";
pub(super) const CURVATURE: &str = "curvature's part over its formula";
pub(super) const TANGENT: &str = "tangential part over its limit";
pub(super) const OBLIQUE: &str = "obliqueness";
pub(super) const STEEP: &str = "steepness of the score";
pub(super) const POINTS: &str = "points for a circle";

/// `sigma^2 E |score|^2` of laws on points, curves and surfaces.
pub(super) fn counting(study: &ScoreGeometry, found: &mut Findings) {
    for &sigma in &study.sigmas {
        let circle = circle_count(sigma);
        found.put(COUNT, "circle in R^2", sigma, circle);
        // Coordinates in which there are no data add 1 each: the score of N(0, sigma^2) is -z/sigma.
        found.put(COUNT, "circle in R^5", sigma, circle + 3.0);
        found.put(COUNT, "sphere in R^3", sigma, sphere_count(sigma));
        found.put(COUNT, "segment in R^3", sigma, segment_count(sigma) + 2.0);
        found.put(COUNT, "plane in R^5", sigma, plane_count(sigma));
        let sampled =
            [("64 points on a circle in R^2", points(64)), ("ring of wide modes in R^2", law("ring").0)];
        for (name, data) in sampled {
            found.sampled(COUNT, name, Some(sigma), sampled_count(&Data::Mixture(data), sigma, study));
        }
    }
}

/// Points evenly on the unit circle.
fn points(count: usize) -> Mixture {
    let at = |k: usize| (TAU * k as f64 / count as f64).sin_cos();
    let points = (0..count).map(at).map(|(sin, cos)| vec![cos, sin]).collect();
    Mixture::points(points).expect("there are points")
}

/// `E f(z)` for a standard normal by the trapezoidal rule, exact to round-off for analytic functions.
fn normal_mean(f: impl Fn(f64) -> f64) -> f64 {
    const STEP: f64 = 0.125;
    let node = |i: i32| STEP * f64::from(i);
    let weight = |z: f64| STEP * (-0.5 * z * z).exp() / TAU.sqrt();
    (-72..=72).map(node).map(|z| weight(z) * f(z)).sum()
}

/// The uniform circle: every point of it sees the same.
fn circle_count(sigma: f64) -> f64 {
    let circle = Circle { concentration: 0.0, sigma };
    let square = |z: [f64; 2]| {
        let score = circle.score([1.0 + sigma * z[0], sigma * z[1]]);
        sigma * sigma * dot(&score, &score)
    };
    normal_mean(|a| normal_mean(|b| square([a, b])))
}

/// The uniform sphere: `p(x)` is proportional to `exp(-r^2/(2 sigma^2)) sinh(w)/w`, `w = r/sigma^2`, so that the score is
/// along the radius and `(coth w - 1/w - r)/sigma^2`. The normals across the radius are polar: `rho e^{-rho^2/2} drho`.
fn sphere_count(sigma: f64) -> f64 {
    let square = |z: f64, rho: f64| {
        let r = (1.0 + sigma * z).hypot(sigma * rho);
        let w = r / (sigma * sigma);
        let mean = if w < 1e-3 { w / 3.0 } else { 1.0 / w.tanh() - 1.0 / w };
        ((mean - r) / sigma).powi(2)
    };
    let rule: Vec<(f64, f64)> = gauss_legendre(48).iter().map(|(x, w)| (4.5 * (1.0 + x), 4.5 * w)).collect();
    normal_mean(|z| rule.iter().map(|(rho, w)| w * rho * (-0.5 * rho * rho).exp() * square(z, *rho)).sum())
}

/// The uniform segment from -1 to 1, along itself.
fn segment_count(sigma: f64) -> f64 {
    let step = sigma / 16.0;
    let bell = |z: f64| (-0.5 * z * z).exp() / TAU.sqrt();
    let term = |x: f64| {
        // (Of the upper half: there both terms are lower tails, which have all their digits.)
        let (near, far) = ((1.0 - x) / sigma, (-1.0 - x) / sigma);
        let density = 0.5 * (normal_cdf(near) - normal_cdf(far));
        let slope = 0.5 * (bell(far) - bell(near)) / sigma;
        if density > 0.0 { slope * slope / density } else { 0.0 }
    };
    let count = ((1.0 + 9.0 * sigma) / step).ceil() as usize;
    let sum: f64 = (1..=count).map(|i| term(i as f64 * step)).sum();
    sigma * sigma * step * (term(0.0) + 2.0 * sum)
}

/// A Gaussian of variance 1 in two of five directions. The score is linear there, and `2 d` points, a standard deviation times
/// `sqrt(d)` along each axis, average a square exactly.
fn plane_count(sigma: f64) -> f64 {
    let variance = vec![1.0, 1.0, 0.0, 0.0, 0.0];
    let dim = variance.len();
    let data = Data::Gaussian(Gaussian::new(vec![0.0; dim], variance).expect("it is a law"));
    let at = level(sigma);
    let std: Vec<f64> = data.gaussian().map_or(Vec::new(), |g| g.marginal(&at).std);
    let mut x = Vec::new();
    for (k, std) in std.iter().enumerate() {
        for sign in [-1.0, 1.0] {
            x.extend((0..dim).map(|j| if j == k { sign * std * (dim as f64).sqrt() } else { 0.0 }));
        }
    }
    let score = scores(&data, &x, &at);
    sigma * sigma * dot(&score, &score) / (2 * dim) as f64
}

/// By samples.
fn sampled_count(data: &Data, sigma: f64, study: &ScoreGeometry) -> (f64, f64) {
    let at = level(sigma);
    let x: Batch<f64> = data.sample(&at, study.seed, Purpose::Reference, 0, study.samples);
    let score = scores(data, &x.to_rows(), &at);
    let square = |s: &[f64]| sigma * sigma * dot(s, s);
    mean(&score.chunks_exact(data.dim()).map(square).collect::<Vec<_>>())
}

/// Near and far from a circle.
pub(super) fn circle(sigmas: &[f64], found: &mut Findings) {
    // Distances from the circle, outwards; the last is its centre.
    let places = [("0.5 outside", 0.5), ("0.5 inside", -0.5), ("0.9 inside", -0.9), ("centre", -1.0)];
    for &sigma in sigmas {
        let circle = Circle { concentration: 0.0, sigma };
        for (name, r) in places {
            let norm = circle.score([1.0 + r, 0.0])[0].abs();
            let ratio = norm * sigma * sigma / f64::abs(r);
            found.put(RATIO, name, sigma, ratio);
            if name == "0.5 outside" {
                found.put(NORM, name, sigma, norm);
            }
            if name.starts_with("0.5") && sigma <= 0.2 {
                let formula = sigma * sigma / (2.0 * f64::abs(r) * (1.0 + r));
                found.put(CURVATURE, name, sigma, (ratio - 1.0).abs() / formula);
            }
        }
        tangential(sigma, found);
        steepness(sigma, found);
        found.put(POINTS, "circle", sigma, points_for_circle(sigma));
    }
}

/// The density `e^{cos theta}` on the circle, seen at the angle 1: its logarithm has the slope `-sin 1` there, and the
/// score off the circle that of the nearest point, by `1/(1 + r)`.
fn tangential(sigma: f64, found: &mut Findings) {
    let circle = Circle { concentration: 1.0, sigma };
    let (sin, cos) = 1f64.sin_cos();
    for (name, r) in [("on the circle", 0.0), ("0.5 outside", 0.5)] {
        let score = circle.score([(1.0 + r) * cos, (1.0 + r) * sin]);
        let (normal, tangent) = (dot(&score, &[cos, sin]), dot(&score, &[-sin, cos]));
        found.put(TANGENT, name, sigma, tangent / (-sin / (1.0 + r)));
        if r > 0.0 {
            // 1 - cosine without cancellation.
            let norm = normal.hypot(tangent);
            found.put(OBLIQUE, name, sigma, tangent * tangent / (norm * (norm + normal.abs())));
        }
    }
}

/// The largest derivative of the score, on the data and where it is equally far from several of them.
fn steepness(sigma: f64, found: &mut Findings) {
    let circle = Circle { concentration: 0.0, sigma };
    found.put(STEEP, "on a circle", sigma, largest(circle.slopes(1.0)));
    found.put(STEEP, "at the centre of a circle", sigma, largest(circle.slopes(0.0)));
    let two = Data::Mixture(Mixture::points(vec![vec![-1.0], vec![1.0]]).expect("there are points"));
    let slope = two.score_divergence(&Batch::from_rows(1, vec![0.0]), &level(sigma)).to_rows()[0];
    found.put(STEEP, "midway between two points", sigma, slope.abs());
}

/// The largest difference between the scores of 512 points and of the circle that they lie on, in units of `1/sigma`.
fn points_for_circle(sigma: f64) -> f64 {
    let (data, circle) = (Data::Mixture(points(512)), Circle { concentration: 0.0, sigma });
    let around = [(0.3, 0.1), (1.0 - sigma, 1.0), (1.0, 2.0), (1.0 + sigma, 3.0), (1.5, 4.001), (2.0, 5.3)];
    let x: Vec<f64> =
        around.iter().flat_map(|(r, angle)| [r * f64::cos(*angle), r * f64::sin(*angle)]).collect();
    let score = scores(&data, &x, &level(sigma));
    let off = x.chunks_exact(2).zip(score.chunks_exact(2)).map(|(x, score)| {
        let want = circle.score([x[0], x[1]]);
        (score[0] - want[0]).hypot(score[1] - want[1]) * sigma
    });
    largest(off)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_circle_counts_the_same_by_the_square_of_the_score_and_by_its_divergence() {
        for sigma in [0.02, 0.3, 1.0, 4.0] {
            let circle = Circle { concentration: 0.0, sigma };
            let divergence = |a: f64, b: f64| {
                let slopes = circle.slopes((1.0 + sigma * a).hypot(sigma * b));
                -sigma * sigma * (slopes[0] + slopes[1])
            };
            let other = normal_mean(|a| normal_mean(|b| divergence(a, b)));
            assert!((circle_count(sigma) / other - 1.0).abs() < 1e-9, "{sigma}: {other}");
        }
    }

    #[test]
    fn the_count_is_that_of_normal_directions_near_data_and_of_all_far_from_them() {
        let near = [circle_count(0.005), sphere_count(0.005), segment_count(0.005), plane_count(0.005)];
        for (count, want) in near.into_iter().zip([1.0, 1.0, 0.0, 3.0]) {
            assert!((count - want).abs() < 0.01, "{count} for {want}");
        }
        let far = [circle_count(50.0), sphere_count(50.0), segment_count(50.0), plane_count(50.0)];
        for (count, want) in far.into_iter().zip([2.0, 3.0, 1.0, 5.0]) {
            assert!((count - want).abs() < 0.002, "{count} for {want}");
        }
    }

    #[test]
    fn samples_of_a_fine_set_of_points_agree_with_the_circle() {
        let study = ScoreGeometry::default();
        let (count, error) = sampled_count(&Data::Mixture(points(64)), 0.3, &study);
        assert!((count - circle_count(0.3)).abs() < 4.0 * error && error < 0.02);
        assert!(points_for_circle(0.05) < 1e-12 && points_for_circle(0.005) > 0.1);
    }

    #[test]
    fn coordinates_without_data_add_one_each() {
        let lifted = (0..64).map(|k| (TAU * f64::from(k) / 64.0).sin_cos());
        let lifted = lifted.map(|(sin, cos)| vec![cos, sin, 0.0, 0.0, 0.0]).collect();
        let data = Data::Mixture(Mixture::points(lifted).expect("there are points"));
        let (count, error) = sampled_count(&data, 0.3, &ScoreGeometry::default());
        assert!((count - circle_count(0.3) - 3.0).abs() < 4.0 * error && error < 0.03, "{count}");
    }

    #[test]
    fn the_plane_is_a_closed_form() {
        let v = 0.3f64 * 0.3;
        assert!((plane_count(0.3) - (3.0 + 2.0 * v / (1.0 + v))).abs() < 1e-13);
    }
}
