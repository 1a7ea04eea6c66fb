//! AdamW and the average of weights, on all weights in one row.

use candle_core::{DType, Device, Result, Tensor};

use super::recipe::{Decay, Optimiser};

/// Weights and what an optimiser remembers of their past: rows of `n` numbers each.
#[derive(Clone, Debug)]
pub struct State {
    /// Updates made.
    pub step: u64,
    /// The weights.
    pub weights: Tensor,
    /// Their exponential moving average.
    pub average: Tensor,
    /// That of gradients.
    pub first: Tensor,
    /// That of their squares.
    pub second: Tensor,
}

impl State {
    /// Before the first update.
    ///
    /// # Errors
    /// The device's own.
    pub fn new(weights: Vec<f32>, device: &Device) -> Result<Self> {
        let weights = Tensor::new(weights, device)?;
        let zero = weights.zeros_like()?;
        Ok(State { step: 0, average: weights.clone(), weights, first: zero.clone(), second: zero })
    }

    /// An update by a gradient of that norm, which is scaled down to `clip_norm` if it is longer: AdamW (Loshchilov & Hutter
    /// 2019, algorithm 2, with the decay PyTorch's: `lr weight_decay` a step).
    ///
    /// # Errors
    /// The device's own.
    pub fn update(&mut self, gradient: &Tensor, norm: f64, rule: &Optimiser, lr: f64) -> Result<()> {
        let [beta1, beta2] = rule.betas;
        // PyTorch's 1e-6.
        let g = (gradient * (rule.clip_norm / (norm + 1e-6)).min(1.0))?;
        self.first = ((&self.first * beta1)? + (&g * (1.0 - beta1))?)?;
        self.second = ((&self.second * beta2)? + (g.sqr()? * (1.0 - beta2))?)?;
        let done = self.step as i32 + 1;
        let [bias1, bias2] = [beta1, beta2].map(|beta| 1.0 - beta.powi(done));
        let root = ((self.second.sqrt()? / bias2.sqrt())? + rule.eps)?;
        let ahead = ((&self.first / root)? * (lr / bias1))?;
        self.weights = ((&self.weights * (1.0 - lr * rule.weight_decay))? - ahead)?;
        let keep = averaging(rule.ema, self.step);
        self.average = ((&self.average * keep)? + (&self.weights * (1.0 - keep))?)?;
        self.step += 1;
        Ok(())
    }
}

/// What of the average an update after `step` others keeps: less at first, when weights have yet to become any good.
pub fn averaging(ema: f64, step: u64) -> f64 {
    let step = step as f64;
    ema.min((1.0 + step) / (10.0 + step))
}

/// The learning rate of an update after `step` others, of `steps`.
pub fn learning_rate(rule: &Optimiser, step: u64, steps: u64) -> f64 {
    if step < rule.warm_up {
        return rule.lr * (step + 1) as f64 / (rule.warm_up + 1) as f64;
    }
    match rule.decay {
        Decay::Constant => rule.lr,
        Decay::Cosine => {
            let share = (step - rule.warm_up) as f64 / steps.saturating_sub(rule.warm_up).max(1) as f64;
            rule.lr * 0.5 * (1.0 + (std::f64::consts::PI * share).cos())
        }
    }
}

/// Euclidean norm of a row.
///
/// # Errors
/// The device's own.
pub fn norm(row: &Tensor) -> Result<f64> {
    Ok(row.to_dtype(DType::F64)?.sqr()?.sum_all()?.to_scalar::<f64>()?.sqrt())
}
