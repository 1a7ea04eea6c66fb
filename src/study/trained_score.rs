//! Does the training objective recover the score? Small networks trained by denoising score matching on laws whose score is
//! known, how far from it they end, level by level, and what that does to the output law of solvers.
//!
//! With `eps* = E[z | x_t]` the loss is `E |eps - z|^2 = E |eps - eps*|^2 + E |eps* - z|^2` (Vincent 2011): an error that
//! training can take away and a part that it cannot. By Girsanov's theorem the first bounds what the reverse SDE generates:
//! `KL(p_0 || q_0) <= KL(p_T || q_T) + 1/2 int g^2 E |score - score*|^2 dt`, and as `g^2 dt = -2 sigma^2 dlambda` the
//! integral is `int E |eps - eps*|^2 dlambda` (Song et al. 2021b, thm. 1; Kingma et al. 2021): the loss with uniform
//! `lambda`, but for what cannot be learned. For the probability flow there is no such bound (Lu et al. 2022b).

use serde::Deserialize;

use crate::data::{Data, Gaussian, preset};
use crate::error::{BadInput, Result};
use crate::study::{Findings, Quantity, Study};

use super::line::within;

mod bench;
mod error;
mod line;
mod network;
mod samples;
mod train;

use bench::Bench;

/// `trained-score`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainedScore {
    /// Laws to learn: `gaussian` (five modes), `two-mode` (on the line), `ring` (eight modes in the plane).
    pub data: Vec<Law>,
    /// Updates of the trainings, in rising order; what is measured of one network is of the longest.
    pub updates: Vec<usize>,
    /// Samples behind an update.
    pub batch: usize,
    /// Units of a hidden layer.
    pub width: usize,
    /// Hidden layers.
    pub hidden: usize,
    /// Learning rate at its greatest.
    pub rate: f64,
    /// Model calls of a sampler, in rising order.
    pub calls: Vec<usize>,
    /// Steps that stand for infinitely many, where KLs are held to the bound.
    pub steps: usize,
    /// Samples behind a mean.
    pub samples: usize,
    /// Seed of everything random.
    pub seed: u64,
}

impl Default for TrainedScore {
    fn default() -> Self {
        TrainedScore {
            data: vec![Law::Gaussian, Law::TwoMode, Law::Ring],
            updates: vec![500, 2000, 8000],
            batch: 512,
            width: 32,
            hidden: 3,
            rate: 5e-3,
            calls: vec![8, 16, 32, 64, 256],
            steps: 1024,
            samples: 40_000,
            seed: 1,
        }
    }
}

/// A law whose score is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Law {
    /// Five independent modes, of means 0, 1, -0.5, 0, 0.3 and variances 1, 0.25, 4, 0.01, 0.1.
    Gaussian,
    /// [`preset::TwoMode`].
    TwoMode,
    /// [`preset::Ring`] of eight modes.
    Ring,
}

impl Law {
    const ALL: [Law; 3] = [Law::Gaussian, Law::TwoMode, Law::Ring];

    fn name(self) -> &'static str {
        match self {
            Law::Gaussian => "gaussian",
            Law::TwoMode => "two-mode",
            Law::Ring => "ring",
        }
    }

    fn data(self) -> Data {
        match self {
            Law::Gaussian => {
                let (mean, variance) = (vec![0.0, 1.0, -0.5, 0.0, 0.3], vec![1.0, 0.25, 4.0, 0.01, 0.1]);
                Gaussian::new(mean, variance).map(Data::Gaussian)
            }
            Law::TwoMode => preset::TwoMode::default().mixture().map(Data::Mixture),
            Law::Ring => preset::Ring::default().mixture().map(Data::Mixture),
        }
        .expect("a law of fixed parameters")
    }
}

const ERROR: &str = "score error";
const LOSS: &str = "denoising loss";
const IRREDUCIBLE: &str = "loss of the exact score";
const CROSS: &str = "largest cross term";
const BOUND: &str = "bound on the KL";
const KL_SDE: &str = "KL of the SDE";
const KL_FLOW: &str = "KL of the flow";
const W2: &str = "W2";
const CELLS: &str = "KL over cells";
const W2_FAMILY: &str = "W2 by noise share";
const CELLS_FAMILY: &str = "KL over cells by noise share";

impl Study for TrainedScore {
    const QUANTITIES: &'static [Quantity] = &[
        Quantity { name: ERROR, across: "lambda", up: "E |eps - eps*|^2 / d" },
        Quantity { name: LOSS, across: "lambda", up: "E |eps - z|^2 / d" },
        Quantity { name: IRREDUCIBLE, across: "lambda", up: "E |eps* - z|^2 / d" },
        Quantity { name: CROSS, across: "", up: "standard errors" },
        Quantity { name: BOUND, across: "updates", up: "nats" },
        Quantity { name: KL_SDE, across: "updates", up: "nats" },
        Quantity { name: KL_FLOW, across: "updates", up: "nats" },
        Quantity { name: W2, across: "model calls", up: "W2 to the exact marginal" },
        Quantity { name: CELLS, across: "model calls", up: "nats" },
        Quantity { name: W2_FAMILY, across: "noise share lambda", up: "W2 to the exact marginal" },
        Quantity { name: CELLS_FAMILY, across: "noise share lambda", up: "nats" },
    ];

    fn check(&self) -> Result<()> {
        if self.data.is_empty() || (1..self.data.len()).any(|k| self.data[..k].contains(&self.data[k])) {
            return Err(BadInput::about("data", "is empty or repeats a law", "name each law once"));
        }
        within("updates", &self.updates, 1..=1_000_000)?;
        within("calls", &self.calls, 2..=1024)?;
        for (key, list) in [("updates", &self.updates), ("calls", &self.calls)] {
            if !list.is_sorted_by(|a, b| a < b) {
                return Err(BadInput::new(key, list, "do not rise", "give each once, in rising order"));
            }
        }
        if let Some(n) = self.calls.iter().find(|n| *n % 2 == 1) {
            let fix = "give an even number: a step of Heun's method is two calls";
            return Err(BadInput::new("calls", n, "is odd", fix));
        }
        within("width", &[self.width], 1..=1024)?;
        within("hidden", &[self.hidden], 1..=16)?;
        // Candle would spread larger tensors over threads of its own, which wait by spinning.
        if !(1..65_536_usize.div_ceil(self.width.max(8))).contains(&self.batch) {
            let fix = "give at least 1, and less than 65536 for batch times width";
            return Err(BadInput::new("batch", self.batch, "is no batch here", fix));
        }
        if !(self.rate > 0.0 && self.rate <= 1.0) {
            return Err(BadInput::new("rate", self.rate, "is no learning rate", "give one such as 5e-3"));
        }
        within("steps", &[self.steps], 2..=10_000)?;
        within("samples", &[self.samples], 1000..=1_000_000)
    }

    fn make_quick(&mut self) {
        self.updates = vec![100, 400];
        self.batch = 256;
        self.calls = vec![8, 32];
        self.steps = 128;
        self.samples = 2000;
    }

    fn parts(&self) -> Vec<String> {
        self.data.iter().map(|law| law.name().into()).collect()
    }

    fn measure(&self, part: &str) -> Findings {
        let law = Law::ALL.into_iter().find(|law| law.name() == part).expect("one of the parts");
        Bench::new(self, law).findings()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quick() -> TrainedScore {
        let mut study = TrainedScore::default();
        study.make_quick();
        study
    }

    #[test]
    fn what_it_is_by_default_and_quickly_makes_sense() {
        TrainedScore::default().check().unwrap();
        quick().check().unwrap();
        let refused = |key: &str, change: fn(&mut TrainedScore)| {
            let mut study = TrainedScore::default();
            change(&mut study);
            assert!(study.check().unwrap_err().to_string().contains(key), "{key}");
        };
        refused("batch", |s| s.batch = 4096);
        // (A product that would overflow.)
        refused("batch", |s| s.batch = usize::MAX / 2);
        refused("calls", |s| s.calls = vec![9]);
        refused("updates", |s| s.updates = vec![20, 10]);
        refused("data", |s| s.data = vec![Law::Ring, Law::Ring]);
    }

    #[test]
    fn the_reverse_sde_keeps_to_girsanovs_bound() {
        let found = quick().measure("two-mode");
        let named = |name: &str| TrainedScore::QUANTITIES.iter().any(|q| q.name == name);
        assert!(found.rows.iter().all(|row| row.value.is_finite() && named(&row.quantity)));
        let all = |quantity: &str| {
            let rows = found.rows.iter().filter(|row| row.quantity == quantity && row.x.is_some());
            rows.map(|row| (row.case.clone(), row.x, row.value)).collect::<Vec<_>>()
        };
        let (bounds, kls) = (all(BOUND), all(KL_SDE));
        assert_eq!(bounds.len(), kls.len());
        for (bound, kl) in bounds.iter().zip(&kls) {
            assert_eq!((&bound.0, bound.1), (&kl.0, kl.1));
            assert!(kl.2 < bound.2, "{kl:?} {bound:?}");
        }
    }
}
