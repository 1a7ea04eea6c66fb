//! Seeded Gaussian noise for Monte-Carlo runs.

use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::batch::Batch;
use crate::run::Noise;
use crate::schedule::Level;
use crate::state::State;

/// Independent standard normals; every number is a pure function of (seed, sample, draw).
#[derive(Clone, Debug)]
pub struct White {
    seed: u64,
    draws: u64,
}

impl White {
    /// Noise from a seed; draw 0 comes first.
    pub fn new(seed: u64) -> Self {
        White { seed, draws: 0 }
    }

    /// The next draw, shaped like `x`.
    pub fn draw(&mut self, x: &State<Batch>) -> State<Batch> {
        let (seed, draw) = (self.seed, self.draws);
        self.draws += 1;
        State(x.0.map_rows(|sample, _, to| {
            // Odd multipliers keep distinct (seed, sample, draw) apart; `seed_from_u64` then mixes them.
            let key = seed
                ^ sample.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17)
                ^ draw.wrapping_mul(0xd134_2543_de82_ef95).rotate_left(41);
            let mut generator = Xoshiro256PlusPlus::seed_from_u64(key);
            to.fill_with(|| StandardNormal.sample(&mut generator));
        }))
    }
}

impl Noise<Batch> for White {
    fn increment(&mut self, x: &State<Batch>, _: &Level, _: &Level) -> State<Batch> {
        self.draw(x)
    }
    fn fresh(&mut self, x: &State<Batch>) -> State<Batch> {
        self.draw(x)
    }
}
