//! Basis noise: every draw is itself, so that a run records how its result depends on each.

use crate::affine::Affine;
use crate::run::Noise;
use crate::schedule::{Clock, Level};
use crate::state::State;

/// Hands out draw `0, 1, 2, ...` as [`Affine`] states over a range of modes, and remembers what each is of.
#[derive(Clone, Debug)]
pub struct Probe {
    first_mode: usize,
    modes: usize,
    draws: Vec<Draw>,
}

/// What a draw is, as a functional of the Brownian motion `B(kappa^2)` that drives the reverse SDE.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Draw {
    /// Of no path: the start, churn, Langevin noise.
    Fresh,
    /// The increment of `B` between two levels, normalised.
    Increment(Level, Level),
    /// The increment between two levels of the Brownian motion that a clock sees, `dW = |dkappa^2/du|^{-1/2} dB`.
    ClockIncrement(Level, Level, Clock),
    /// The part of the area under that motion that is independent of its increment.
    ClockArea(Level, Level, Clock),
}

impl Probe {
    /// A probe of `modes` modes, the first of which has this global index (the witness's numbers depend on it,
    /// so that results do not depend on how modes are cut into chunks).
    pub fn new(first_mode: usize, modes: usize) -> Self {
        Probe { first_mode, modes, draws: Vec::new() }
    }

    /// The next draw.
    pub fn draw(&mut self, what: Draw) -> State<Affine> {
        let k = self.draws.len();
        self.draws.push(what);
        let witness: Vec<f64> = (0..self.modes).map(|j| Self::witness(k, self.first_mode + j)).collect();
        State(Affine::draw(k, &witness))
    }

    /// Draws so far.
    pub fn draws(&self) -> &[Draw] {
        &self.draws
    }

    /// The witness's number for a draw and a mode: uniform, of unit variance, and a pure function of both.
    pub fn witness(draw: usize, mode: usize) -> f64 {
        // SplitMix64 (Steele, Lea & Flood 2014) of a combined counter.
        let mut z = (draw as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ (mode as u64).wrapping_mul(0xd134_2543_de82_ef95);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9).wrapping_add(0x1357_9bdf_0246_8ace);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let unit = (z >> 11) as f64 / (1u64 << 53) as f64;
        (2.0 * unit - 1.0) * 3f64.sqrt()
    }
}

impl Noise<Affine> for Probe {
    fn increment(&mut self, _: &State<Affine>, from: &Level, to: &Level) -> State<Affine> {
        self.draw(Draw::Increment(*from, *to))
    }
    fn fresh(&mut self, _: &State<Affine>) -> State<Affine> {
        self.draw(Draw::Fresh)
    }
    fn increment_and_area(
        &mut self,
        _: &State<Affine>,
        from: &Level,
        to: &Level,
        clock: Clock,
    ) -> (State<Affine>, State<Affine>) {
        (self.draw(Draw::ClockIncrement(*from, *to, clock)), self.draw(Draw::ClockArea(*from, *to, clock)))
    }
}
