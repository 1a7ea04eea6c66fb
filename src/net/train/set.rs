//! Which images, levels and noises a network sees, in batches: all of it follows from the seed.

use rand::RngExt;
use rand_distr::StandardNormal;
use rand_xoshiro::Xoshiro256PlusPlus;

use candle_core::{Device, Result, Tensor};

use super::objective::{Level, Objective};
use crate::data::images::{Images, held_out};
use crate::noise::{Purpose, generator};

/// Pairs of image and noise behind a held-out loss.
const PAIRS: u64 = 1024;

/// The random numbers of a training: pure functions of the seed and of what they are for.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    seed: u64,
}

impl Draw {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Draw { seed }
    }

    /// Of the `i`th tensor's initial weights.
    pub fn weights(&self, i: u64) -> Xoshiro256PlusPlus {
        self.of(0, i)
    }

    /// Of the order of images in an epoch.
    fn epoch(&self, epoch: u64) -> Xoshiro256PlusPlus {
        self.of(1, epoch)
    }

    /// Of where the levels of a step begin.
    fn levels(&self, step: u64) -> Xoshiro256PlusPlus {
        self.of(2, step)
    }

    /// Of the noise on the `i`th image seen.
    fn noise(&self, i: u64) -> Xoshiro256PlusPlus {
        self.of(3, i)
    }

    /// Of the noise on the `i`th held-out pair.
    fn held_out(&self, i: u64) -> Xoshiro256PlusPlus {
        self.of(4, i)
    }

    fn of(&self, what: u64, i: u64) -> Xoshiro256PlusPlus {
        generator(self.seed, Purpose::Other, (what << 60) + i)
    }
}

/// Images, split in two.
#[derive(Clone, Debug)]
pub struct Set {
    images: Images,
    trained: Vec<usize>,
    held_out: Vec<usize>,
    draw: Draw,
}

/// An image, what becomes of it, and with which noise.
#[derive(Clone, Debug)]
pub struct Example {
    image: usize,
    level: Level,
    noise: Noise,
}

#[derive(Clone, Copy, Debug)]
enum Noise {
    Seen(u64),
    HeldOut(u64),
}

/// Examples as a network takes them.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Its input: (n, channels, height, width).
    pub input: Tensor,
    /// Its times (n).
    pub time: Tensor,
    /// Classes (n), of images that have them.
    pub labels: Option<Tensor>,
    /// What it should return.
    pub target: Tensor,
    /// Of the squared error of each (n, 1, 1, 1), over the numbers of an image.
    pub weight: Tensor,
}

impl Set {
    /// Every tenth image is held out.
    pub fn new(images: Images, draw: Draw) -> Self {
        let (held_out, trained) = (0..images.len()).partition(|i| held_out(*i));
        Set { images, trained, held_out, draw }
    }

    /// The images.
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// The `batch` examples of a step. Every image is seen once an epoch, in a new order; levels are spread evenly over a batch
    /// (Kingma et al. 2021, I.1), which takes most of their noise from the loss.
    pub fn batch(&self, step: u64, batch: usize, objective: &Objective) -> Vec<Example> {
        let first = step * batch as u64;
        let epochs = self.trained.len() as u64;
        let start: f64 = self.draw.levels(step).random();
        let mut order = (0, self.order(first / epochs));
        order.0 = first / epochs;
        let example = |slot: usize| {
            let i = first + slot as u64;
            if order.0 != i / epochs {
                order = (i / epochs, self.order(i / epochs));
            }
            let u = (start + slot as f64 / batch as f64).fract();
            let image = order.1[(i % epochs) as usize];
            Example { image, level: objective.level(u), noise: Noise::Seen(i) }
        };
        (0..batch).map(example).collect()
    }

    /// Images of an epoch.
    fn order(&self, epoch: u64) -> Vec<usize> {
        let mut generator = self.draw.epoch(epoch);
        let mut order = self.trained.clone();
        // Fisher and Yates.
        for i in (1..order.len()).rev() {
            order.swap(i, generator.random_range(0..=i as u64) as usize);
        }
        order
    }

    /// The same held-out images at the same levels under the same noise, always; none of sets of less than ten images.
    pub fn held_out(&self, objective: &Objective) -> Vec<Example> {
        let pairs = if self.held_out.is_empty() { 0 } else { PAIRS };
        let pair = |i: u64| {
            let level = objective.level((i as f64 + 0.5) / PAIRS as f64);
            Example {
                image: self.held_out[i as usize % self.held_out.len()],
                level,
                noise: Noise::HeldOut(i),
            }
        };
        (0..pairs).map(pair).collect()
    }

    /// Examples on a device, with labels if the network takes them.
    ///
    /// # Errors
    /// The device's own.
    pub fn tensors(&self, examples: &[Example], labels: bool, device: &Device) -> Result<Batch> {
        let shape = self.images.shape();
        let numbers = shape.numbers();
        let (mut input, mut target) = (Vec::new(), Vec::new());
        for example in examples {
            let Level { alpha, sigma, scale, target: (of_image, of_noise), .. } = example.level;
            let mut generator = match example.noise {
                Noise::Seen(i) => self.draw.noise(i),
                Noise::HeldOut(i) => self.draw.held_out(i),
            };
            for x in self.images.image(example.image) {
                let (x, eps) = (f64::from(*x), generator.sample::<f64, _>(StandardNormal));
                input.push((scale * (alpha * x + sigma * eps)) as f32);
                target.push((of_image * x + of_noise * eps) as f32);
            }
        }
        let n = examples.len();
        let dims = (n, shape.channels, shape.height, shape.width);
        let each =
            |f: &dyn Fn(&Level) -> f64| examples.iter().map(|e| f(&e.level) as f32).collect::<Vec<f32>>();
        let labels = match self.images.labels().filter(|_| labels) {
            Some(all) => {
                let labels: Vec<u32> = examples.iter().map(|e| all[e.image]).collect();
                Some(Tensor::from_vec(labels, n, device)?)
            }
            None => None,
        };
        Ok(Batch {
            input: Tensor::from_vec(input, dims, device)?,
            time: Tensor::from_vec(each(&|l| l.time), n, device)?,
            labels,
            target: Tensor::from_vec(target, dims, device)?,
            weight: Tensor::from_vec(each(&|l| l.weight / numbers as f64), (n, 1, 1, 1), device)?,
        })
    }
}
