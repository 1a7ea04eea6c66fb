//! Churn: noise put back before a step (Karras et al. 2022, algorithm 2, lines 4 to 6).
use super::*;
use crate::error::BadInput;

/// How much noise, where, and how strong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Churn {
    pub s_churn: f64,
    pub s_min: f64,
    pub s_max: f64,
    pub s_noise: f64,
}

impl Churn {
    /// `x` and its level before a step from `t` in a run of so many steps: `kappa` is raised by a factor
    /// `1 + min(S_churn/N, sqrt(2) - 1)` by adding noise to `x/alpha`.
    pub fn raise<V: Space>(
        &self,
        cx: &mut Ctx<V>,
        x: State<V>,
        t: &Level,
        steps: usize,
    ) -> (State<V>, Level) {
        let gamma = (self.s_churn / steps as f64).min(2f64.sqrt() - 1.0);
        if gamma > 0.0 && (self.s_min..=self.s_max).contains(&t.kappa()) {
            let up = cx.at_kappa(t.kappa() * (1.0 + gamma));
            let sd = self.s_noise * t.kappa() * (gamma * (2.0 + gamma)).sqrt();
            let z = cx.fresh(&x);
            return ((up.alpha / t.alpha * &x + up.alpha * sd * &z).eval(), up);
        }
        (x, *t)
    }

    /// The claim of a method of this order with churn before its steps.
    pub fn claim(&self, order: f64) -> Claim {
        // Raising the noise level by independent noise is exact, unless its size is falsified.
        if self.s_churn > 0.0 && self.s_noise != 1.0 { Claim::Floor } else { Claim::Order(order) }
    }

    /// Churn is no member of the family: its noise share depends on the grid.
    pub fn equation(&self) -> Option<f64> {
        if self.s_churn > 0.0 { None } else { Some(0.0) }
    }

    /// Noises in a run all of whose levels are churned.
    pub fn draws(&self, steps: usize) -> usize {
        if self.s_churn > 0.0 { steps } else { 0 }
    }

    /// Refuses parameters without a meaning, and churn in another clock than its own.
    pub fn check(&self, clock: Clock) -> Result<()> {
        let at_least_0 = "give a number of at least 0";
        for (key, x) in [
            ("s_churn", self.s_churn),
            ("s_min", self.s_min),
            ("s_max", self.s_max),
            ("s_noise", self.s_noise),
        ] {
            if x < 0.0 || (x.is_infinite() && key != "s_max") {
                return Err(BadInput::new(key, x, "is not allowed", at_least_0));
            }
        }
        if self.s_min > self.s_max {
            return Err(BadInput::new("s_min", self.s_min, "is above s_max", "swap the two"));
        }
        if self.s_churn > 0.0 && clock != Clock::Edm {
            return Err(BadInput::new(
                "s_churn",
                self.s_churn,
                "works in sigma/alpha",
                "add clock = \"edm\"",
            ));
        }
        Ok(())
    }
}
