//! A small classifier of a labelled data set: what generated samples look like to something that was trained on the same data.
//!
//! ```
//! use scorebench::data::{classifier::Classifier, digits};
//! let all = digits::all();
//! let points: Vec<Vec<f64>> = all.iter().map(|d| d.pixels.iter().map(|p| f64::from(*p) / 8.0 - 1.0).collect()).collect();
//! let labels: Vec<u32> = all.iter().map(|d| d.class.into()).collect();
//! let classifier = Classifier::train(&points, &labels, 1);
//! assert!(classifier.accuracy() > 0.95);
//! let (class, probability) = classifier.classes(&points[0])[0];
//! assert!(class == 0 && probability > 0.9);
//! ```

use nalgebra::{DMatrix, DVector};
use rand::RngExt;
use rand::seq::SliceRandom;

use super::images::held_out;
use crate::noise::{Purpose, generator};

/// Hidden units: the features.
const HIDDEN: usize = 64;
/// Points a step.
const BATCH: usize = 256;
/// Steps of Adam, whose rate falls linearly to nothing.
const STEPS: usize = 1000;
const RATE: f64 = 5e-3;
/// Decay of weights a step, in units of the rate (Loshchilov & Hutter 2019).
const DECAY: f64 = 1e-2;

/// A perceptron with one hidden layer of tanh, trained to the class probabilities of a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct Classifier {
    hidden: Layer,
    out: Layer,
    accuracy: f64,
}

impl Classifier {
    /// Trains one on points with their classes, numbered from 0. The result is a function of the arguments alone; about a
    /// second for the digits.
    ///
    /// # Panics
    /// If there are fewer than two points, or not as many labels as points.
    pub fn train(points: &[Vec<f64>], labels: &[u32], seed: u64) -> Self {
        assert!(points.len() == labels.len() && points.len() > 1, "every point has a label");
        let (dim, classes) = (points[0].len(), 1 + *labels.iter().max().expect("a label") as usize);
        let mut rng = generator(seed, Purpose::Other, 0);
        let hidden = Layer::new(dim, HIDDEN, &mut rng);
        let mut net = Classifier { hidden, out: Layer::new(HIDDEN, classes, &mut rng), accuracy: 0.0 };
        let (test, mut train): (Vec<usize>, Vec<usize>) = (0..points.len()).partition(|i| held_out(*i));
        let columns = |of: &[usize]| DMatrix::from_fn(dim, of.len(), |k, i| points[of[i]][k]);
        let mut next = train.len();
        for step in 0..STEPS {
            if next + BATCH > train.len() {
                train.shuffle(&mut rng);
                next = 0;
            }
            let batch = &train[next..(next + BATCH).min(train.len())];
            next += BATCH;
            let truth: Vec<usize> = batch.iter().map(|&i| labels[i] as usize).collect();
            net.step(&columns(batch), &truth, step);
        }
        let right = |i: &&usize| net.classes(&points[**i])[0].0 == labels[**i];
        net.accuracy = test.iter().filter(right).count() as f64 / test.len().max(1) as f64;
        net
    }

    /// Share of held-out points (every tenth) that it classifies rightly.
    pub fn accuracy(&self) -> f64 {
        self.accuracy
    }

    /// Number of classes.
    pub fn class_count(&self) -> usize {
        self.out.bias.len()
    }

    /// What its hidden units make of rows of points, one row of as many numbers a point: what Frechet distances between
    /// features are taken of.
    pub fn features(&self, rows: &[f64]) -> Vec<f64> {
        self.activations(rows).as_slice().to_vec()
    }

    /// Features a point.
    pub fn feature_count(&self) -> usize {
        self.hidden.bias.len()
    }

    /// The likeliest class of every row, and its probability.
    pub fn classes(&self, rows: &[f64]) -> Vec<(u32, f64)> {
        let probabilities = softmax(self.out.apply(&self.activations(rows)));
        let best = |(class, p): (usize, f64)| (class as u32, p);
        probabilities.column_iter().map(|p| best(p.argmax())).collect()
    }

    fn activations(&self, rows: &[f64]) -> DMatrix<f64> {
        let dim = self.hidden.weight.ncols();
        self.hidden.apply(&DMatrix::from_column_slice(dim, rows.len() / dim, rows)).map(f64::tanh)
    }

    /// One step of Adam (Kingma & Ba 2015) on the mean cross entropy of a batch.
    fn step(&mut self, x: &DMatrix<f64>, truth: &[usize], step: usize) {
        let h = self.hidden.apply(x).map(f64::tanh);
        let mut slope = softmax(self.out.apply(&h));
        truth.iter().enumerate().for_each(|(i, &class)| slope[(class, i)] -= 1.0);
        slope /= truth.len() as f64;
        let behind = (self.out.weight.tr_mul(&slope)).component_mul(&h.map(|h| 1.0 - h * h));
        let rate = RATE * (1.0 - step as f64 / STEPS as f64);
        self.out.update(&(&slope * h.transpose()), &slope.column_sum(), rate, step);
        self.hidden.update(&(&behind * x.transpose()), &behind.column_sum(), rate, step);
    }
}

/// Probabilities of the classes, a column a point.
fn softmax(mut logits: DMatrix<f64>) -> DMatrix<f64> {
    for mut column in logits.column_iter_mut() {
        let most = column.max();
        column.apply(|x| *x = (*x - most).exp());
        let sum = column.sum();
        column /= sum;
    }
    logits
}

/// An affine map, and Adam's means of its slopes.
#[derive(Clone, Debug, PartialEq)]
struct Layer {
    weight: DMatrix<f64>,
    bias: DVector<f64>,
    weight_means: [Vec<f64>; 2],
    bias_means: [Vec<f64>; 2],
}

impl Layer {
    fn new(inputs: usize, outputs: usize, rng: &mut impl rand::Rng) -> Self {
        let bound = 1.0 / (inputs as f64).sqrt();
        let weight = DMatrix::from_fn(outputs, inputs, |_, _| rng.random_range(-bound..bound));
        let none = |count| [vec![0.0; count], vec![0.0; count]];
        let (weight_means, bias_means) = (none(inputs * outputs), none(outputs));
        Layer { weight, bias: DVector::zeros(outputs), weight_means, bias_means }
    }

    fn apply(&self, x: &DMatrix<f64>) -> DMatrix<f64> {
        let mut y = &self.weight * x;
        y.column_iter_mut().for_each(|mut column| column += &self.bias);
        y
    }

    fn update(&mut self, weight: &DMatrix<f64>, bias: &DVector<f64>, rate: f64, step: usize) {
        self.weight *= 1.0 - rate * DECAY;
        adam(self.weight.as_mut_slice(), weight.as_slice(), &mut self.weight_means, rate, step);
        adam(self.bias.as_mut_slice(), bias.as_slice(), &mut self.bias_means, rate, step);
    }
}

fn adam(values: &mut [f64], slopes: &[f64], [first, second]: &mut [Vec<f64>; 2], rate: f64, step: usize) {
    let (b1, b2): (f64, f64) = (0.9, 0.999);
    let (c1, c2) = (1.0 - b1.powi(step as i32 + 1), 1.0 - b2.powi(step as i32 + 1));
    let means = first.iter_mut().zip(second);
    for ((value, slope), (m, v)) in values.iter_mut().zip(slopes).zip(means) {
        *m = b1 * *m + (1.0 - b1) * slope;
        *v = b2 * *v + (1.0 - b2) * slope * slope;
        *value -= rate * (*m / c1) / ((*v / c2).sqrt() + 1e-8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::digits;

    fn digits() -> (Vec<Vec<f64>>, Vec<u32>) {
        let all = digits::all();
        let scaled = |d: &digits::Digit| d.pixels.iter().map(|p| f64::from(*p) / 8.0 - 1.0).collect();
        (all.iter().map(scaled).collect(), all.iter().map(|d| d.class.into()).collect())
    }

    #[test]
    fn digits_are_told_apart_and_noise_is_not_taken_for_evenly_spread_digits() {
        let (points, labels) = digits();
        let classifier = Classifier::train(&points, &labels, 1);
        assert!(classifier.accuracy() >= 0.96, "{}", classifier.accuracy());
        assert_eq!((classifier.class_count(), classifier.feature_count()), (10, 64));
        let upside_down: Vec<f64> = points.iter().flat_map(|p| p.iter().rev().copied()).collect();
        let wrong = |(got, want): (&(u32, f64), &u32)| got.0 != *want;
        let missed = classifier.classes(&upside_down).iter().zip(&labels).filter(|&p| wrong(p)).count();
        assert!(missed > points.len() / 3, "{missed}");
    }

    #[test]
    fn features_of_rows_are_those_of_each() {
        let (points, labels) = digits();
        let classifier = Classifier::train(&points[..300], &labels[..300], 2);
        assert_eq!(classifier, Classifier::train(&points[..300], &labels[..300], 2));
        let both = classifier.features(&points[..2].concat());
        let each = [classifier.features(&points[0]), classifier.features(&points[1])].concat();
        assert!(both.iter().zip(&each).all(|(a, b)| (a - b).abs() < 1e-12));
        assert!(both.iter().all(|f| f.abs() <= 1.0));
    }

    #[test]
    fn a_step_goes_down_the_slope_of_the_cross_entropy() {
        let (points, labels) = digits();
        let x = DMatrix::from_fn(64, 32, |k, i| points[i][k]);
        let truth: Vec<usize> = labels[..32].iter().map(|&l| l as usize).collect();
        let mut rng = generator(3, Purpose::Other, 0);
        let hidden = Layer::new(64, 8, &mut rng);
        let net = Classifier { hidden, out: Layer::new(8, 10, &mut rng), accuracy: 0.0 };
        let loss = |net: &Classifier| {
            let p = softmax(net.out.apply(&net.hidden.apply(&x).map(f64::tanh)));
            -truth.iter().enumerate().map(|(i, &c)| p[(c, i)].ln()).sum::<f64>() / 32.0
        };
        // The first mean that Adam keeps is a tenth of the slope.
        let mut after = net.clone();
        after.step(&x, &truth, 0);
        for (row, column) in [(0, 0), (3, 20), (7, 63)] {
            let nudged = |by: f64| {
                let mut net = net.clone();
                net.hidden.weight[(row, column)] += by;
                loss(&net)
            };
            let slope = (nudged(1e-6) - nudged(-1e-6)) / 2e-6;
            let found = 10.0 * after.hidden.weight_means[0][row + 8 * column];
            assert!((slope - found).abs() < 1e-8 + 1e-6 * slope.abs(), "{slope} {found}");
        }
    }
}
