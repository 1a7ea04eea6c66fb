//! AdamW and the average of weights, on all weights in one row.

use candle_core::{CpuStorage, DType, InplaceOp2, Layout, Result, Tensor, bail};

use super::recipe::{Decay, Optimiser};
use crate::real::Real;

/// Weights and what an optimiser remembers of their past.
#[derive(Debug)]
pub struct State {
    /// Updates made.
    pub step: u64,
    /// (4, n): the weights, their exponential moving average, that of gradients, and that of their squares.
    rows: Tensor,
}

impl State {
    /// Before the first update of `n` weights.
    ///
    /// # Errors
    /// The device's own.
    pub fn new(weights: &Tensor) -> Result<Self> {
        let zero = weights.zeros_like()?;
        State::from_rows(0, &[weights.clone(), weights.clone(), zero.clone(), zero])
    }

    /// After `step` updates, from what [`State::rows`] gave then.
    ///
    /// # Errors
    /// Rows of different lengths.
    pub fn from_rows(step: u64, rows: &[Tensor; 4]) -> Result<Self> {
        Ok(State { step, rows: Tensor::stack(rows, 0)? })
    }

    /// The weights, their average, and the averages of gradients and of their squares. They follow updates.
    ///
    /// # Errors
    /// The device's own.
    pub fn rows(&self) -> Result<[Tensor; 4]> {
        Ok([self.rows.get(0)?, self.rows.get(1)?, self.rows.get(2)?, self.rows.get(3)?])
    }

    /// The weights.
    ///
    /// # Errors
    /// The device's own.
    pub fn weights(&self) -> Result<Tensor> {
        self.rows.get(0)
    }

    /// Their exponential moving average.
    ///
    /// # Errors
    /// The device's own.
    pub fn average(&self) -> Result<Tensor> {
        self.rows.get(1)
    }

    /// An update by a gradient of that norm, which is scaled down to `clip_norm` if it is longer: AdamW (Loshchilov & Hutter
    /// 2019, algorithm 2, with the decay PyTorch's: `lr weight_decay` a step).
    ///
    /// # Errors
    /// The device's own.
    pub fn update(&mut self, gradient: &Tensor, norm: f64, rule: &Optimiser, lr: f64) -> Result<()> {
        let update = Update::new(self.step, norm, rule, lr);
        if gradient.device().is_cpu() {
            self.rows.inplace_op2(&gradient.contiguous()?, &update)?;
        } else {
            self.rows = update.on_device(&self.rows()?, gradient)?;
        }
        self.step += 1;
        Ok(())
    }
}

/// The numbers of an update.
struct Update {
    /// Of the gradient.
    scale: f64,
    betas: [f64; 2],
    eps: f64,
    /// Over the root of averaged squares: these begin too small.
    root: f64,
    /// The learning rate, likewise.
    ahead: f64,
    /// Of the weights.
    shrink: f64,
    /// Of their average.
    keep: f64,
}

impl Update {
    fn new(step: u64, norm: f64, rule: &Optimiser, lr: f64) -> Self {
        let bias = |beta: f64| 1.0 - beta.powf((step + 1) as f64);
        Update {
            // PyTorch's 1e-6.
            scale: (rule.clip_norm / (norm + 1e-6)).min(1.0),
            betas: rule.betas,
            eps: rule.eps,
            root: 1.0 / bias(rule.betas[1]).sqrt(),
            ahead: lr / bias(rule.betas[0]),
            shrink: 1.0 - lr * rule.weight_decay,
            keep: averaging(rule.ema, step),
        }
    }

    /// One pass over memory.
    fn on_host<T: Real>(&self, rows: &mut [T], gradient: &[T]) {
        let of = T::from_f64;
        let [beta1, beta2] = self.betas;
        let (scale, eps, root, ahead) = (of(self.scale), of(self.eps), of(self.root), of(self.ahead));
        let (shrink, keep, new) = (of(self.shrink), of(self.keep), of(1.0 - self.keep));
        let (beta1, new1, beta2, new2) = (of(beta1), of(1.0 - beta1), of(beta2), of(1.0 - beta2));
        let (weights, rest) = rows.split_at_mut(gradient.len());
        let (averages, rest) = rest.split_at_mut(gradient.len());
        let (first, second) = rest.split_at_mut(gradient.len());
        let past = first.iter_mut().zip(second);
        for (((w, a), (m, v)), g) in weights.iter_mut().zip(averages).zip(past).zip(gradient) {
            let g = *g * scale;
            *m = *m * beta1 + g * new1;
            *v = *v * beta2 + g * g * new2;
            *w = *w * shrink - *m / (v.sqrt() * root + eps) * ahead;
            *a = *a * keep + *w * new;
        }
    }

    /// The same, tensor by tensor.
    fn on_device(
        &self,
        [weights, average, first, second]: &[Tensor; 4],
        gradient: &Tensor,
    ) -> Result<Tensor> {
        let [beta1, beta2] = self.betas;
        let g = (gradient * self.scale)?;
        let first = ((first * beta1)? + (&g * (1.0 - beta1))?)?;
        let second = ((second * beta2)? + (g.sqr()? * (1.0 - beta2))?)?;
        let root = ((second.sqrt()? * self.root)? + self.eps)?;
        let weights = ((weights * self.shrink)? - ((&first / root)? * self.ahead)?)?;
        let average = ((average * self.keep)? + (&weights * (1.0 - self.keep))?)?;
        Tensor::stack(&[weights, average, first, second], 0)
    }
}

impl InplaceOp2 for Update {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(&self, rows: &mut CpuStorage, _: &Layout, gradient: &CpuStorage, at: &Layout) -> Result<()> {
        let Some((start, end)) = at.contiguous_offsets() else { bail!("a gradient in pieces") };
        match (rows, gradient) {
            (CpuStorage::F32(rows), CpuStorage::F32(gradient)) => self.on_host(rows, &gradient[start..end]),
            (CpuStorage::F64(rows), CpuStorage::F64(gradient)) => self.on_host(rows, &gradient[start..end]),
            _ => bail!("weights and gradient are not both f32 or f64"),
        }
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

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn tensor_by_tensor_an_update_is_what_it_is_in_one_pass() -> Result<()> {
        let row = |k: f64| {
            Tensor::new((0..50).map(|i| (k * f64::from(i)).sin()).collect::<Vec<f64>>(), &Device::Cpu)
        };
        let rule = Optimiser { weight_decay: 0.1, ..Optimiser::default() };
        let rows = [row(1.0)?, row(2.0)?, row(3.0)?, row(4.0)?.sqr()?];
        for norm in [0.1, 10.0] {
            let update = Update::new(7, norm, &rule, 0.1);
            let theirs = update.on_device(&rows, &row(5.0)?)?;
            let ours = Tensor::stack(&rows, 0)?;
            ours.inplace_op2(&row(5.0)?, &update)?;
            assert!((ours - theirs)?.abs()?.max_all()?.to_scalar::<f64>()? < 1e-15);
        }
        Ok(())
    }
}
