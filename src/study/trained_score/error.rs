//! How far a network is from the exact score at a noise level, and what the training objective says of it.

use std::ops::Range;

use super::network::Network;
use crate::batch::Batch;
use crate::data::{CLEAN, Data};
use crate::metric::estimate::Estimate;
use crate::noise::{Purpose, White};
use crate::parallel;
use crate::run::Denoiser;
use crate::schedule::Level;
use crate::state::State;

/// Means over pairs of data and noise at a level, each divided by the number of coordinates.
#[derive(Clone, Copy, Debug)]
pub struct AtLevel {
    /// `E |eps - eps*|^2`, which is `sigma^2 E |score - score*|^2`.
    pub error: Estimate,
    /// `E |eps - z|^2`: the loss.
    pub loss: Estimate,
    /// `2 E <eps - eps*, eps* - z>`, by which the loss differs from the sum of the error and [`irreducible`]. As
    /// `eps* = E[z | x_t]` it is nothing (Vincent 2011, sec. 4.2): what is minimised by the one is by the other.
    pub cross: Estimate,
}

/// Samples at a time.
const CHUNK: usize = 2048;

/// Measures a network on the pairs of these numbers.
pub fn at_level(network: &Network, data: &Data, at: &Level, seed: u64, pairs: Range<usize>) -> AtLevel {
    let starts: Vec<usize> = pairs.clone().step_by(CHUNK).collect();
    let terms =
        parallel::map(&starts, |&first| chunk(network, data, at, seed, first..pairs.end.min(first + CHUNK)));
    let mean = |k: usize| {
        let values: Vec<f64> = terms.iter().flatten().map(|row| row[k]).collect();
        Estimate::mean(&values).unwrap_or(Estimate { value: f64::NAN, stderr: f64::NAN })
    };
    AtLevel { error: mean(0), loss: mean(1), cross: mean(2) }
}

/// Error, loss and cross term of samples.
fn chunk(network: &Network, data: &Data, at: &Level, seed: u64, pairs: Range<usize>) -> Vec<[f64; 3]> {
    let (first, len) = (pairs.start as u64, pairs.len());
    let dim = data.dim();
    let clean = State(data.sample::<f64>(&CLEAN, seed, Purpose::Start, first, len));
    let z = White::of(seed, Purpose::Noise).draw(&clean);
    let x = (at.alpha * &clean + at.sigma * &z).eval();
    let (ours, exact) = (network.eps(&x, at).0.to_rows(), data.model::<f64>().eps(&x, at).0.to_rows());
    let z = z.0.to_rows();
    let one = |i: usize| {
        let sum = |f: &dyn Fn(usize) -> f64| (i * dim..(i + 1) * dim).map(f).sum::<f64>() / dim as f64;
        [
            sum(&|j| (ours[j] - exact[j]).powi(2)),
            sum(&|j| (ours[j] - z[j]).powi(2)),
            sum(&|j| 2.0 * (ours[j] - exact[j]) * (exact[j] - z[j])),
        ]
    };
    (0..len).map(one).collect()
}

/// The loss of the exact score, `1 - E |eps*|^2 / d`: in closed form for Gaussian data, by the trapezoidal rule on a grid
/// of a quarter of the narrowest mode for mixtures of up to two coordinates.
pub fn irreducible(data: &Data, at: &Level) -> f64 {
    match data {
        Data::Gaussian(data) => {
            let share = |c: &f64| at.sigma * at.sigma / at.marginal_variance(*c);
            1.0 - data.variance().iter().map(share).sum::<f64>() / data.modes() as f64
        }
        _ => 1.0 - mean_square(data, at),
    }
}

/// `E |eps*|^2 / d`.
fn mean_square(data: &Data, at: &Level) -> f64 {
    let dim = data.dim();
    let law = data.mixture().expect("a mixture").marginal(at);
    let (mut narrow, mut reach) = (f64::INFINITY, 0f64);
    for part in law.components() {
        let matrix = part.covariance.matrix(dim);
        for (j, mean) in part.mean.iter().enumerate() {
            let std = matrix[(j, j)].sqrt();
            narrow = narrow.min(std);
            reach = reach.max(mean.abs() + 9.0 * std);
        }
    }
    let side = (8.0 * reach / narrow).ceil() as usize + 1;
    let place = |i: usize| reach * (2.0 * i as f64 / (side - 1) as f64 - 1.0);
    let point = |i: usize| (0..dim).map(move |j| place(i / side.pow(j as u32) % side));
    let rows: Vec<usize> = (0..side.pow(dim as u32)).step_by(side).collect();
    let sums = parallel::map(&rows, |&first| {
        let x = State(Batch::from_rows(dim, (first..first + side).flat_map(point).collect()));
        let eps = data.model::<f64>().eps(&x, at).0.to_rows();
        let squares = eps.chunks_exact(dim).map(|e| e.iter().map(|e| e * e).sum::<f64>());
        data.log_density(&x.0, at).iter().zip(squares).map(|(log, square)| log.exp() * square).sum::<f64>()
    });
    sums.iter().sum::<f64>() * (2.0 * reach / (side - 1) as f64).powi(dim as i32) / dim as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::mixture::Covariance;
    use crate::data::{Gaussian, Mixture, preset};
    use crate::schedule::Schedule;
    use crate::study::trained_score::network::{Form, Senses};

    const SCHEDULE: Schedule = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };

    #[test]
    fn the_quadrature_of_the_exact_loss_is_its_closed_form() {
        let one = vec![(1.0, vec![0.5, -1.0], Covariance::Diagonal(vec![0.04, 1.0]))];
        let mixture = Data::Mixture(Mixture::new(one).unwrap());
        let gaussian = Data::Gaussian(Gaussian::new(vec![0.5, -1.0], vec![0.04, 1.0]).unwrap());
        for lambda in [-4.0, 0.0, 4.0] {
            let at = SCHEDULE.at_lambda(lambda);
            assert!((irreducible(&mixture, &at) - irreducible(&gaussian, &at)).abs() < 1e-10, "{lambda}");
        }
    }

    #[test]
    fn the_loss_of_any_network_is_its_error_and_that_of_the_exact_score() {
        let data = Data::Mixture(preset::Ring::default().mixture().unwrap());
        let senses = Senses { dim: 2, spread: 1.4, range: (-5.0, 5.0) };
        let shapes = senses.shapes(8, 1);
        let row: Vec<f64> = (0..100).map(|i| (1.0 + i as f64).sin()).collect();
        let network = Network::new(senses, Form::Noise, &shapes, &row);
        for lambda in [-1.0, 1.0, 3.0] {
            let at = SCHEDULE.at_lambda(lambda);
            let AtLevel { error, loss, cross } = at_level(&network, &data, &at, 1, 0..20_000);
            assert!(cross.z(0.0).abs() < 4.0, "{lambda}: {cross:?}");
            assert!(
                (loss.value - error.value - irreducible(&data, &at)).abs()
                    < 4.0 * loss.stderr.hypot(error.stderr)
            );
            // (Of a network that is far off.)
            assert!(error.value > 0.1);
        }
    }
}
