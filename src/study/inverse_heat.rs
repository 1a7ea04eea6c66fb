//! The inverse heat equation is ill-posed, and the reverse flow of a diffusion model is not: the same perturbation is
//! sent through both.
//!
//! Undoing time `t` of `dx = dw` multiplies frequency `xi` of a density by `e^{+xi^2 t/2}`: finite for every frequency,
//! without bound over all of them (Hadamard 1923; Engl, Hanke & Neubauer 1996, sec. 1.5). The probability flow
//! `dx = -(1/2) score dt` (Song et al. 2021, eq. 13) moves mass instead: what it does to a perturbation is bounded by the
//! Lipschitz constant of a map. It is given the score, that is, the answer's law; it inverts nothing else.
//!
//! Three subjects: a density on the line ([`density`]), the same density under the flow ([`flow`]), and images of digits
//! ([`images`]), blurred and noised.

use serde::Deserialize;

use super::heat::{Cells, LineMixture};
use super::line::within;
use crate::error::{BadInput, Result};
use crate::study::{Findings, Quantity, Study};

mod density;
mod flow;
mod images;

/// Parameters.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InverseHeat {
    /// Density at time 0.
    pub data: LineMixture,
    /// Times from which the density is recovered.
    pub times: Vec<f64>,
    /// The one of spectra, of amplification by frequency, and of the dependence on the perturbation's size.
    pub time: f64,
    /// White noise that is added to the diffused density, relative to its maximum.
    pub perturbations: Vec<f64>,
    /// The line is cut to `[-half_width, half_width]`, with reflecting ends.
    pub half_width: f64,
    /// Cells, and as many frequencies.
    pub cells: usize,
    /// Draws of the noise; errors are root mean squares over them.
    pub repeats: usize,
    /// Times for which images are blurred, in squared pixels.
    pub blurs: Vec<f64>,
    /// Noise levels from which images are regenerated.
    pub sigmas: Vec<f64>,
    /// Digits that are degraded, the first of the file; none of them is among the data of the score.
    pub digits: usize,
    /// Digits of the score: the next of the file.
    pub data_digits: usize,
    /// Standard deviation of the score's data about each of them; pixels go from -1 to 1.
    pub std: f64,
    /// The same of the prior by which images are deblurred: about how far a digit is from the nearest of the data.
    pub prior_std: f64,
    /// Standard deviations of two modes at -1 and 1, for what separation does to the flow.
    pub widths: Vec<f64>,
    /// Of perturbations and noise.
    pub seed: u64,
}

impl Default for InverseHeat {
    fn default() -> Self {
        InverseHeat {
            data: LineMixture::default(),
            times: vec![0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0],
            time: 0.25,
            perturbations: vec![1e-10, 1e-6, 1e-2],
            half_width: 12.0,
            cells: 192,
            repeats: 8,
            blurs: vec![0.25, 0.5, 1.0, 2.0, 4.0, 8.0],
            sigmas: vec![0.5, 1.0, 2.0],
            digits: 10,
            data_digits: 600,
            std: 0.1,
            prior_std: 0.3,
            widths: vec![0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 1.0],
            seed: 1,
        }
    }
}

const SPECTRUM: &str = "spectrum";
const AMPLIFICATION: &str = "amplification by frequency";
const AGREEMENT: &str = "measured against exact amplification";
const FINER: &str = "amplification of white noise by the grid";
const CROSSOVER: &str = "frequency where the perturbation overtakes the density";
const ERROR: &str = "error of the recovered density";
const NAIVE: &str = "error of the naively recovered density";
const BY_SIZE: &str = "error by the size of the perturbation";
const LIPSCHITZ: &str = "Lipschitz constant of the reverse flow";
const BY_WIDTH: &str = "amplification by the width of two modes";
const AGAIN: &str = "amplification by the reverse flow";
const BIAS: &str = "response to a wrong score";
const IMAGE: &str = "error of the deblurred image";
const NAIVE_IMAGE: &str = "error of the naively deblurred image";
const REGENERATED: &str = "error of the regenerated image";
const STRETCH: &str = "amplification by the reverse flow of images";

impl Study for InverseHeat {
    const QUANTITIES: &'static [Quantity] = &[
        Quantity { name: SPECTRUM, across: "frequency xi", up: "size of the cosine coefficient" },
        Quantity { name: AMPLIFICATION, across: "frequency xi", up: "norm out over norm in" },
        Quantity { name: AGREEMENT, across: "", up: "largest |measured/e^{xi^2 t/2} - 1|" },
        Quantity { name: FINER, across: "largest frequency", up: "rms out over rms in" },
        Quantity { name: CROSSOVER, across: "t", up: "frequency xi" },
        Quantity { name: ERROR, across: "t", up: "L2 error relative to the density" },
        Quantity { name: NAIVE, across: "t", up: "L2 error relative to the density" },
        Quantity {
            name: BY_SIZE,
            across: "perturbation, of the maximum",
            up: "L2 error relative to the density",
        },
        Quantity { name: LIPSCHITZ, across: "t", up: "largest derivative of the map" },
        Quantity {
            name: BY_WIDTH,
            across: "standard deviation of modes at -1 and 1",
            up: "distance out over distance in",
        },
        Quantity { name: AGAIN, across: "t", up: "norm out over norm in" },
        Quantity { name: BIAS, across: "t", up: "largest displacement over the score's error" },
        Quantity { name: IMAGE, across: "t in squared pixels", up: "rms error of a pixel in [-1, 1]" },
        Quantity { name: NAIVE_IMAGE, across: "t in squared pixels", up: "rms error of a pixel in [-1, 1]" },
        Quantity { name: REGENERATED, across: "noise level sigma", up: "rms of a pixel in [-1, 1]" },
        Quantity { name: STRETCH, across: "noise level sigma", up: "distance out over distance in" },
    ];

    fn check(&self) -> Result<()> {
        self.data.law().map_err(|e| e.within("data"))?;
        let times = [&self.times[..], &[self.time]].concat();
        within("times", &self.times, 1e-4..=10.0)?;
        within("time", &[self.time], 1e-4..=10.0)?;
        within("perturbations", &self.perturbations, 1e-15..=0.1)?;
        within("blurs", &self.blurs, 1e-3..=40.0)?;
        within("sigmas", &self.sigmas, 1e-2..=100.0)?;
        within("std", &[self.std], 1e-2..=10.0)?;
        within("prior_std", &[self.prior_std], 1e-2..=10.0)?;
        within("widths", &self.widths, 0.05..=1.0)?;
        within("cells", &[self.cells], 16..=1024)?;
        within("repeats", &[self.repeats], 1..=1000)?;
        within("digits", &[self.digits], 1..=100)?;
        within("data_digits", &[self.data_digits], 1..=1600)?;
        let latest = times.iter().copied().fold(0.0, f64::max);
        // The two modes, no wider than 1, and the box on [-1, 1] lie within the same bound.
        let reach = self.data.reach(latest).max(1.0 + 9.0 * (1.0 + self.time).sqrt());
        if !(reach..=1e4).contains(&self.half_width) {
            let fix = format!("give at least {reach:.1}, nine standard deviations beyond the means");
            return Err(BadInput::new("half_width", self.half_width, "cuts the density off", fix));
        }
        let top = self.line().frequencies()[self.cells - 1];
        let most = (690.0 / latest).sqrt();
        if top > most {
            let fix =
                format!("keep pi cells/(2 half_width) below {most:.0}: the square of e^(xi^2 t/2) overflows");
            return Err(BadInput::new("cells", self.cells, "gives too high a frequency", fix));
        }
        Ok(())
    }

    fn make_quick(&mut self) {
        self.times.retain(|t| *t >= 0.1);
        if self.times.is_empty() {
            self.times.push(self.time);
        }
        self.repeats = self.repeats.min(2);
        self.digits = self.digits.min(4);
        self.data_digits = self.data_digits.min(100);
        self.blurs.retain(|t| (1.0..=4.0).contains(t));
        if self.blurs.is_empty() {
            self.blurs.push(1.0);
        }
        self.sigmas.truncate(2);
    }

    fn parts(&self) -> Vec<String> {
        ["density", "flow", "deblurring", "regeneration"].map(String::from).into()
    }

    fn measure(&self, part: &str) -> Findings {
        let mut found = Findings::default();
        // Parameters are checked before anything is measured.
        let Ok(law) = self.data.law() else { return found };
        match part {
            "density" => self.density(&law, &mut found),
            "flow" => self.flow(&law, &mut found),
            "deblurring" => self.deblurring(&mut found),
            _ => self.regeneration(&mut found),
        }
        found
    }
}

impl InverseHeat {
    fn line(&self) -> Cells {
        Cells { half_width: self.half_width, count: self.cells }
    }

    /// Frequencies whose amplification is shown: up to 20, some twenty-five of them, none of them 0.
    fn shown(&self) -> Vec<usize> {
        let xi = self.line().frequencies();
        let most = xi.partition_point(|xi| *xi <= 20.0);
        (1..most).step_by((most / 25).max(1)).collect()
    }
}

/// Errors of the naive inverse beyond this are only in a table of their own: nothing of the answer is left, and on one axis
/// with the others they would leave them no room.
const LOST: f64 = 10.0;

/// A size as tables write it: `1e-10`.
fn size(x: f64) -> String {
    format!("{x:e}")
}

/// Root mean square.
fn rms(v: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, n) = v.into_iter().fold((0.0, 0), |(sum, n), x| (sum + x * x, n + 1));
    (sum / f64::from(n)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_out_of_range_are_refused_and_quick_ones_are_not() {
        let mut quick = InverseHeat::default();
        assert!(quick.check().is_ok());
        quick.make_quick();
        assert!(quick.check().is_ok());
        for bad in [
            InverseHeat { times: vec![], ..Default::default() },
            InverseHeat { half_width: 5.0, ..Default::default() },
            InverseHeat { cells: 1024, ..Default::default() },
            InverseHeat { perturbations: vec![f64::NAN], ..Default::default() },
            InverseHeat { data_digits: 1797, ..Default::default() },
            InverseHeat { std: 0.0, ..Default::default() },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
