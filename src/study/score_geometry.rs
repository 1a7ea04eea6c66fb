//! The score as geometry: where it points, what its means are, what an error of it costs, and what it becomes near data of
//! few dimensions.
//!
//! With `x = x_0 + sigma z` the score is `(E[x_0 | x] - x)/sigma^2` (Tweedie's formula: Robbins 1956, Efron 2011): it
//! points to a mean over all data, not to the nearest, and uphill by definition. Its means follow from integration by parts
//! (Stein 1981, Hyvarinen 2005); its mean square distance to that of another law of the same process is the rate at which
//! the two laws lose their divergence (de Bruijn's identity: Lyu 2009, theorem 1; Song, Durkan, Murray & Ermon 2021,
//! theorems 1 and 2).

mod circle;
mod divergence;
mod identities;
mod manifold;
mod uphill;

use serde::Deserialize;

use crate::error::Result;
use crate::study::{Findings, Quantity, Study};

use super::line::within;

/// The study.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScoreGeometry {
    /// Noise levels `sigma` at `alpha = 1`; the scale of the data is 1.
    pub sigmas: Vec<f64>,
    /// Samples of every law.
    pub samples: usize,
    /// Times at which divergences are put down, both ends included.
    pub times: usize,
    /// Samples of different seeds are independent.
    pub seed: u64,
}

impl Default for ScoreGeometry {
    fn default() -> Self {
        let sigmas = vec![0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
        ScoreGeometry { sigmas, samples: 32768, times: 11, seed: 1 }
    }
}

impl Study for ScoreGeometry {
    const QUANTITIES: &'static [Quantity] = &[
        Quantity {
            name: uphill::SHARE,
            across: "",
            up: "share of points where a step along the score raises p",
        },
        Quantity {
            name: uphill::SLOPE,
            across: "",
            up: "largest difference of the two, in units of 1/standard deviation",
        },
        Quantity { name: uphill::OWN, across: "sigma", up: "share with an obtuse angle to x_0 - x" },
        Quantity {
            name: uphill::NEAREST,
            across: "sigma",
            up: "share with an obtuse angle to the nearest mode",
        },
        Quantity { name: uphill::MEAN, across: "sigma", up: "mean cosine of score and E[x_0] - x" },
        Quantity { name: identities::MEAN, across: "sigma", up: "|E score| sigma" },
        Quantity { name: identities::STEIN, across: "sigma", up: "|E score x^T + I|, largest entry" },
        Quantity {
            name: identities::FISHER,
            across: "sigma",
            up: "(E |score|^2 + E div score) over E |score|^2",
        },
        Quantity { name: divergence::KL, across: "t", up: "KL(p_t || q_t), nats" },
        Quantity {
            name: divergence::RATE,
            across: "t",
            up: "g^2/2 E |score_p - score_q|^2, nats per unit of t",
        },
        Quantity {
            name: divergence::LOST,
            across: "",
            up: "integral of g^2/2 E |score_p - score_q|^2, nats",
        },
        Quantity {
            name: divergence::GAP,
            across: "",
            up: "|KL(p_0||q_0) - integral - KL(p_1||q_1)| over KL(p_0||q_0)",
        },
        Quantity { name: divergence::SHARE, across: "", up: "KL of the samples over its bound" },
        Quantity { name: manifold::COUNT, across: "sigma", up: "sigma^2 E |score|^2" },
        Quantity {
            name: manifold::RATIO,
            across: "sigma",
            up: "|score| sigma^2 over the distance to the data",
        },
        Quantity { name: manifold::NORM, across: "sigma", up: "|score|" },
        Quantity {
            name: manifold::CURVATURE,
            across: "sigma",
            up: "| |score| sigma^2/r - 1 | over sigma^2/(2 r (R +- r))",
        },
        Quantity {
            name: manifold::TANGENT,
            across: "sigma",
            up: "tangential part of the score over d ln p on the circle",
        },
        Quantity { name: manifold::OBLIQUE, across: "sigma", up: "1 - cosine of score and normal" },
        Quantity {
            name: manifold::STEEP,
            across: "sigma",
            up: "largest derivative of the score, of either sign",
        },
        Quantity { name: manifold::POINTS, across: "sigma", up: "difference of the scores, times sigma" },
    ];

    fn check(&self) -> Result<()> {
        within("sigmas", &self.sigmas, 0.003..=100.0)?;
        within("samples", &[self.samples], 2..=1_000_000)?;
        within("times", &[self.times], 2..=1001)
    }

    fn make_quick(&mut self) {
        self.sigmas = vec![0.01, 0.1, 1.0, 2.0, 10.0];
        self.times = 3;
    }

    fn parts(&self) -> Vec<String> {
        let laws = uphill::LAWS.map(|law| format!("uphill on {law}"));
        let rest = ["identities", "divergence", "counting", "circle"].map(String::from);
        laws.into_iter().chain(rest).collect()
    }

    fn measure(&self, part: &str) -> Findings {
        let mut found = Findings::default();
        match part {
            "identities" => {
                identities::line(&self.sigmas, &mut found);
                identities::plane(self, &mut found);
            }
            "divergence" => divergence::measure(self.times, &mut found),
            "counting" => manifold::counting(self, &mut found),
            "circle" => manifold::circle(&self.sigmas, &mut found),
            part => {
                if let Some(law) = part.strip_prefix("uphill on ") {
                    uphill::measure(law, self, &mut found);
                }
            }
        }
        found
    }
}

/// Inner product.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Cosine of the angle between two vectors.
fn cosine(a: &[f64], b: &[f64]) -> f64 {
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_is_by_default_and_quickly_makes_sense_and_what_measures_nothing_does_not() {
        let mut quick = ScoreGeometry::default();
        quick.make_quick();
        assert!(ScoreGeometry::default().check().is_ok() && quick.check().is_ok());
        for bad in [
            ScoreGeometry { sigmas: vec![], ..ScoreGeometry::default() },
            ScoreGeometry { sigmas: vec![0.0], ..ScoreGeometry::default() },
            ScoreGeometry { samples: 1, ..ScoreGeometry::default() },
            ScoreGeometry { times: 1, ..ScoreGeometry::default() },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
