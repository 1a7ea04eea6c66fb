//! Seeded Gaussian noise for Monte-Carlo runs: one xoshiro256++ generator a sample, a block of them at a time.

use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::batch::{Aligned, Batch, LANES, Lanes, Precision};
use crate::real::{Real, scramble, vectorised};
use crate::run::Noise;
use crate::schedule::Level;
use crate::state::State;

/// What random numbers are for: the same seed gives each purpose its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Where samples start.
    Start,
    /// The noise of a run.
    Noise,
    /// Exact samples of a law, to compare with.
    Reference,
    /// A pilot run's start and noise.
    Pilot,
    /// Directions, resampling, perturbations of a score.
    Other,
    /// Brownian paths: see [`Path`](super::Path).
    Path,
}

/// The generator that a sample owns: a pure function of its arguments.
pub fn generator(seed: u64, purpose: Purpose, sample: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(key(seed, purpose).wrapping_add(sample))
}

pub(super) fn key(seed: u64, purpose: Purpose) -> u64 {
    // Far from the keys of other seeds and purposes: those of neighbouring samples are neighbours.
    scramble(scramble(seed).wrapping_add(purpose as u64))
}

/// Independent standard normals; every number is a pure function of (seed, sample, draw), the same in every precision
/// but for rounding. A draw takes 64 bits for every two coordinates.
#[derive(Clone, Debug)]
pub struct White {
    seed: u64,
    purpose: Purpose,
    streams: Option<Streams>,
}

impl White {
    /// The noise of a run, from a seed. One source serves one batch: its samples are those of the first draw.
    pub fn new(seed: u64) -> Self {
        White::of(seed, Purpose::Noise)
    }

    /// Noise for a purpose.
    pub fn of(seed: u64, purpose: Purpose) -> Self {
        White { seed, purpose, streams: None }
    }

    /// The next draw, shaped like `x`.
    ///
    /// # Panics
    /// If `x` holds other samples than the first draw did.
    pub fn draw<R: Precision>(&mut self, x: &State<Batch<R>>) -> State<Batch<R>> {
        let (first, blocks) = (x.0.first(), x.0.blocks().len());
        let (seed, purpose) = (self.seed, self.purpose);
        let streams = self.streams.get_or_insert_with(|| Streams::new(seed, purpose, first, blocks));
        assert_eq!(
            (streams.first, streams.blocks().len()),
            (first, blocks),
            "noise was asked for other samples"
        );
        let mut generators = streams.blocks().iter_mut();
        State(x.0.map_blocks(
            #[inline(always)]
            |_, to| fill(generators.next().expect("one a block"), to),
        ))
    }
}

/// Generators of blocks of samples.
#[derive(Clone, Debug)]
struct Streams {
    first: u64,
    words: Aligned<u64>,
}

/// Generators of a block of samples: the four words of each.
type Words = [Lanes<u64>; 4];

impl Streams {
    fn new(seed: u64, purpose: Purpose, first: u64, blocks: usize) -> Self {
        let mut streams = Streams { first, words: Aligned::filled(4 * blocks, 0) };
        vectorised(Seed { key: key(seed, purpose).wrapping_add(first), blocks: streams.blocks() });
        streams
    }

    fn blocks(&mut self) -> &mut [Words] {
        self.words.as_chunks_mut().0
    }
}

/// Seeds generators as `seed_from_u64` does: four numbers of SplitMix64.
struct Seed<'a> {
    key: u64,
    blocks: &'a mut [Words],
}

impl pulp::NullaryFnOnce for Seed<'_> {
    type Output = ();
    #[inline(always)]
    fn call(self) {
        for (b, block) in self.blocks.iter_mut().enumerate() {
            for (word, lanes) in block.iter_mut().enumerate() {
                for (i, state) in lanes.iter_mut().enumerate() {
                    let counter = self.key.wrapping_add((b * LANES + i) as u64);
                    let step = (word as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    *state = scramble(counter.wrapping_add(step));
                }
            }
        }
    }
}

/// Normals for two coordinates at a time, from one number of every sample's generator.
#[inline(always)]
fn fill<R: Real>(generators: &mut Words, to: &mut [Lanes<R>]) {
    for pair in to.chunks_mut(2) {
        let (mut radius, mut angle) = ([0; LANES], [0; LANES]);
        let bits = next(generators);
        for i in 0..LANES {
            (radius[i], angle[i]) = ((bits[i] >> 32) as u32, bits[i] as u32);
        }
        match pair {
            [x, y] => {
                for i in 0..LANES {
                    [x[i], y[i]] = R::normals(radius[i], angle[i]);
                }
            }
            [x, ..] => {
                for i in 0..LANES {
                    [x[i], _] = R::normals(radius[i], angle[i]);
                }
            }
            [] => {}
        }
    }
}

/// The next number of each: xoshiro256++ (Blackman & Vigna 2021).
#[inline(always)]
fn next([s0, s1, s2, s3]: &mut Words) -> Lanes<u64> {
    let mut out = [0; LANES];
    for i in 0..LANES {
        out[i] = s0[i].wrapping_add(s3[i]).rotate_left(23).wrapping_add(s0[i]);
        let t = s1[i] << 17;
        s2[i] ^= s0[i];
        s3[i] ^= s1[i];
        s1[i] ^= s2[i];
        s0[i] ^= s3[i];
        s2[i] ^= t;
        s3[i] = s3[i].rotate_left(45);
    }
    out
}

impl<R: Precision> Noise<Batch<R>> for White {
    fn increment(&mut self, x: &State<Batch<R>>, _: &Level, _: &Level) -> State<Batch<R>> {
        self.draw(x)
    }
    fn fresh(&mut self, x: &State<Batch<R>>) -> State<Batch<R>> {
        self.draw(x)
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn every_sample_owns_the_generator_that_its_number_seeds() {
        let mut streams = Streams::new(7, Purpose::Noise, 1000, 2);
        let mut ours: Vec<Vec<u64>> = vec![Vec::new(); 2 * LANES];
        for _ in 0..5 {
            for (b, block) in streams.blocks().iter_mut().enumerate() {
                for (i, x) in next(block).into_iter().enumerate() {
                    ours[b * LANES + i].push(x);
                }
            }
        }
        for (i, ours) in ours.iter().enumerate() {
            let mut one = generator(7, Purpose::Noise, 1000 + i as u64);
            assert_eq!(*ours, (0..5).map(|_| one.next_u64()).collect::<Vec<_>>());
        }
    }
}
