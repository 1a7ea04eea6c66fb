//! The probability flow as a map that can be inverted: data encoded to noise and decoded again, and what lies between two
//! codes.
//!
//! A solver run up the levels is an encoder, run down again a decoder (DDIM inversion: Song, Meng & Ermon 2021, sec. 4.3 and
//! 5.4). Let one step of length `h` be `phi_h + C h^{p+1}`, `phi` the exact flow. The step back has length `-h`, so that the
//! pair returns to `x + C (h^{p+1} + (-h)^{p+1}) + O(h^{p+2})`: errors cancel where the order `p` is even, and add where
//! it is odd. A round trip is therefore of the least odd order that is not below `p`, whatever the code is off by; and without
//! error for a symmetric method (Hairer, Lubich & Wanner 2006, II.3 and V.1).

mod between;
mod methods;
mod round_trip;

use serde::Deserialize;

use crate::error::Result;
use crate::schedule::Schedule;
use crate::study::{Findings, Quantity, Study};

use super::line::{VP, within};

/// The study.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Inversion {
    /// Numbers of steps of either way.
    pub steps: Vec<usize>,
    /// Samples of the ring that are sent round.
    pub samples: usize,
    /// Pairs of samples that are joined by a path.
    pub pairs: usize,
    /// Places on a path, both ends included.
    pub places: usize,
    /// Standard deviations of the modes at -1 and 1 whose decoder's slope is measured.
    pub widths: Vec<f64>,
    /// Samples of different seeds are independent.
    pub seed: u64,
}

impl Default for Inversion {
    fn default() -> Self {
        Inversion {
            steps: vec![16, 64, 256, 512],
            samples: 2048,
            pairs: 512,
            places: 11,
            widths: vec![0.2, 0.25, 0.3, 0.4, 0.5, 0.7],
            seed: 1,
        }
    }
}

impl Study for Inversion {
    const QUANTITIES: &'static [Quantity] = &[
        Quantity {
            name: round_trip::THERE_AND_BACK,
            across: "model calls there and back",
            up: "root mean square of x - decode(encode(x))",
        },
        Quantity {
            name: round_trip::CODE,
            across: "model calls there and back",
            up: "root mean square of x - exact decode(encode(x))",
        },
        Quantity {
            name: round_trip::RATIO,
            across: "steps either way",
            up: "round trip over error of the code",
        },
        Quantity { name: round_trip::LAW, across: "steps either way", up: "W2 of the codes to N(0, I)" },
        Quantity {
            name: round_trip::NOISY,
            across: "steps either way",
            up: "root mean square of x - decode(encode(x)), over that of two samples",
        },
        Quantity {
            name: between::NORM,
            across: "share u of the way",
            up: "mean square norm of the code over that of codes",
        },
        Quantity {
            name: between::DISTANCE,
            across: "share u of the way",
            up: "mean square distance to modes over that of data",
        },
        Quantity {
            name: between::OFF,
            across: "share u of the way",
            up: "share farther from modes than 0.999 of the data",
        },
        Quantity { name: between::PATH, across: "share u of the way", up: "angle on the ring, in modes" },
        Quantity {
            name: between::SLOPE,
            across: "standard deviation of the modes at -1 and 1",
            up: "largest dx/dz of the decoder",
        },
        Quantity {
            name: between::SLOPE_RATIO,
            across: "standard deviation of the modes at -1 and 1",
            up: "largest dx/dz over p_T(0)/p_0(0)",
        },
        Quantity {
            name: between::JUMP,
            across: "standard deviation of the modes at -1 and 1",
            up: "share of data with |x| < 1/2",
        },
    ];

    fn check(&self) -> Result<()> {
        // Multistep methods need a history.
        within("steps", &self.steps, 4..=4096)?;
        within("samples", &[self.samples], 2..=1_000_000)?;
        within("pairs", &[self.pairs], 2..=100_000)?;
        within("places", &[self.places], 2..=1001)?;
        // Narrower modes have a slope above 1e6 between them, wider ones are one mode.
        within("widths", &self.widths, 0.18..=0.9)
    }

    fn make_quick(&mut self) {
        self.steps = vec![64, 256];
        self.samples = 256;
        self.pairs = 64;
        self.places = 5;
        self.widths = vec![0.25, 0.5];
    }

    fn parts(&self) -> Vec<String> {
        ["gaussian", "two-mode", "ring", "with noise", "between codes", "slope"].map(String::from).into()
    }

    fn measure(&self, part: &str) -> Findings {
        let mut found = Findings::default();
        match part {
            "gaussian" => round_trip::gaussian(&self.steps, &mut found),
            "two-mode" => round_trip::line(&self.steps, &mut found),
            "ring" => round_trip::ring(&self.steps, self.samples, self.seed, &mut found),
            "with noise" => round_trip::noisy(&self.steps, &mut found),
            "between codes" => {
                between::codes(self.pairs, self.places, self.seed, &mut found);
                between::path(self.places, &mut found);
            }
            "slope" => between::slopes(&self.widths, &mut found),
            _ => {}
        }
        found
    }
}

/// The forward process of the study; data are taken at `CLEAN_TIME`, codes at time 1.
const SCHEDULE: Schedule = VP;

/// Where round trips start: a level without noise has no finite `lambda`.
const CLEAN_TIME: f64 = 1e-3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_is_by_default_and_quickly_makes_sense_and_what_measures_nothing_does_not() {
        let mut quick = Inversion::default();
        quick.make_quick();
        assert!(Inversion::default().check().is_ok() && quick.check().is_ok());
        for bad in [
            Inversion { steps: vec![], ..Inversion::default() },
            Inversion { steps: vec![3], ..Inversion::default() },
            Inversion { samples: 1, ..Inversion::default() },
            Inversion { places: 1, ..Inversion::default() },
            Inversion { widths: vec![f64::NAN], ..Inversion::default() },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
