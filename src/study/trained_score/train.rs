//! Denoising score matching (Vincent 2011) on endless exact samples.

use candle_core::{DType, Device, Result, Tensor, Var};

use super::network::{Form, Network, Senses};
use crate::batch::Batch;
use crate::data::{CLEAN, Data};
use crate::net::ops;
use crate::net::train::{Optimiser, State as Weights, learning_rate};
use crate::noise::{Purpose, White};
use crate::schedule::{Level, Schedule};
use crate::state::State;

/// A training.
#[derive(Clone, Copy, Debug)]
pub struct Recipe<'a> {
    /// The law to learn.
    pub data: &'a Data,
    /// Its noise.
    pub schedule: &'a Schedule,
    /// What the network returns.
    pub form: Form,
    /// What it is told.
    pub senses: Senses,
    /// Units of a hidden layer.
    pub width: usize,
    /// Hidden layers.
    pub hidden: usize,
    /// Updates.
    pub steps: usize,
    /// Samples behind each.
    pub batch: usize,
    /// The learning rate at its greatest.
    pub rate: f64,
    /// Of initial weights, samples and noise.
    pub seed: u64,
}

/// Minimises the mean of `|F - target|^2` over `lambda`, uniform between the ends of its range, and over samples: with
/// [`Form::Noise`] the loss of Ho et al. (2020, eq. 14) with uniform `lambda` in the place of uniform `t`. The average of
/// weights of the last updates, whose rate falls to 0 along half a cosine, is the network.
pub fn train(recipe: &Recipe) -> Network {
    run(recipe).expect("shapes of a perceptron fit, and the CPU has no errors of its own")
}

fn run(recipe: &Recipe) -> Result<Network> {
    let shapes = recipe.senses.shapes(recipe.width, recipe.hidden);
    let layers: Vec<(Var, Var)> = shapes.iter().map(|&(i, o)| zeros(i, o)).collect::<Result<_>>()?;
    let vars: Vec<&Var> = layers.iter().flat_map(|(weight, bias)| [weight, bias]).collect();
    let mut state = Weights::new(&initial(&shapes, recipe.seed)?)?;
    let rule = Optimiser { lr: recipe.rate, ..Optimiser::default() };
    for step in 0..recipe.steps {
        set(&vars, &state.weights()?)?;
        let (input, target) = examples(recipe, step)?;
        let loss = (answer(&layers, input)? - target)?.sqr()?.mean_all()?;
        let mut gradients = loss.backward()?;
        let flat = |var: &&Var| gradients.remove(var).expect("all weights matter").flatten_all();
        let gradient = Tensor::cat(&vars.iter().map(flat).collect::<Result<Vec<_>>>()?, 0)?;
        let norm = f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?).sqrt();
        let lr = learning_rate(&rule, step as u64, recipe.steps as u64);
        state.update(&gradient, norm, &rule, lr)?;
    }
    let [_, average, ..] = state.rows()?;
    let row: Vec<f64> = average.to_dtype(DType::F64)?.to_vec1()?;
    Ok(Network::new(recipe.senses, recipe.form, &shapes, &row))
}

fn zeros(inputs: usize, outputs: usize) -> Result<(Var, Var)> {
    let zeros = |shape: &[usize]| Var::zeros(shape, DType::F32, &Device::Cpu);
    Ok((zeros(&[outputs, inputs])?, zeros(&[outputs])?))
}

/// Normal weights of variance `1/inputs` and no biases; no answer at all before the first update.
fn initial(shapes: &[(usize, usize)], seed: u64) -> Result<Tensor> {
    let most: usize = shapes.iter().map(|(i, o)| i * o).sum();
    let mut normals =
        White::of(seed, Purpose::Pilot).draw(&State(Batch::<f64>::zeros(1, 0, most))).0.to_rows().into_iter();
    let mut row = Vec::new();
    for (k, &(inputs, outputs)) in shapes.iter().enumerate() {
        let scale = if k + 1 == shapes.len() { 0.0 } else { 1.0 / (inputs as f64).sqrt() };
        row.extend(normals.by_ref().take(inputs * outputs).map(|z| (scale * z) as f32));
        row.resize(row.len() + outputs, 0.0);
    }
    Tensor::new(row, &Device::Cpu)
}

/// Copies all weights in one row to where the network reads them.
fn set(vars: &[&Var], row: &Tensor) -> Result<()> {
    let mut start = 0;
    for var in vars {
        var.set(&row.narrow(0, start, var.elem_count())?.reshape(var.shape())?)?;
        start += var.elem_count();
    }
    Ok(())
}

fn answer(layers: &[(Var, Var)], mut x: Tensor) -> Result<Tensor> {
    for (k, (weight, bias)) in layers.iter().enumerate() {
        x = ops::linear(&if k > 0 { x.silu()? } else { x }, weight, bias)?;
    }
    Ok(x)
}

/// What the network is told in an update, and what it should have answered.
fn examples(recipe: &Recipe, step: usize) -> Result<(Tensor, Tensor)> {
    let Recipe { data, form, senses, batch, seed, .. } = *recipe;
    let (dim, first) = (senses.dim, (step * batch) as u64);
    let clean = data.sample::<f64>(&CLEAN, seed, Purpose::Start, first, batch).to_rows();
    let noise =
        White::of(seed, Purpose::Noise).draw(&State(Batch::<f64>::zeros(dim, first, batch))).0.to_rows();
    let (mut input, mut target) = (Vec::new(), Vec::new());
    for (i, (x0, z)) in clean.chunks_exact(dim).zip(noise.chunks_exact(dim)).enumerate() {
        let at = level(recipe, step, i);
        let (a, b) = form.coefficients(&at, senses.spread);
        let noisy = || x0.iter().zip(z).map(|(x0, z)| at.alpha * x0 + at.sigma * z);
        input.extend(noisy().map(|x| (senses.scale(&at) * x) as f32));
        input.extend(senses.of_level(&at).map(|u| u as f32));
        target.extend(noisy().zip(z).map(|(x, z)| ((z - a * x) / b) as f32));
    }
    let told = dim + Senses::OF_LEVEL;
    Ok((
        Tensor::from_vec(input, (batch, told), &Device::Cpu)?,
        Tensor::from_vec(target, (batch, dim), &Device::Cpu)?,
    ))
}

/// Levels of a batch lie evenly in `lambda`, a step's a golden section of their distance beyond the last one's.
fn level(recipe: &Recipe, step: usize, i: usize) -> Level {
    let shift = (step as f64 * 0.5 * (5f64.sqrt() - 1.0)).fract();
    let (low, high) = recipe.senses.range;
    recipe.schedule.at_lambda(low + (high - low) * (i as f64 + shift) / recipe.batch as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Gaussian;
    use crate::parallel;
    use crate::run::Denoiser;

    const SCHEDULE: Schedule = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };

    fn with<T>(form: Form, steps: usize, use_it: impl FnOnce(&Recipe) -> T) -> T {
        let data = Data::Gaussian(Gaussian::new(vec![1.0, 0.0], vec![0.25, 1.0]).unwrap());
        let senses = Senses { dim: 2, spread: 1.0, range: (-5.0, 4.0) };
        let (schedule, data) = (&SCHEDULE, &data);
        use_it(&Recipe {
            data,
            schedule,
            form,
            senses,
            width: 16,
            hidden: 2,
            steps,
            batch: 128,
            rate: 5e-3,
            seed: 3,
        })
    }

    #[test]
    fn on_the_host_a_network_says_what_it_said_in_training() {
        with(Form::Noise, 1, |recipe| {
            let shapes = recipe.senses.shapes(recipe.width, recipe.hidden);
            let layers: Vec<(Var, Var)> = shapes.iter().map(|&(i, o)| zeros(i, o).unwrap()).collect();
            let vars: Vec<&Var> = layers.iter().flat_map(|(weight, bias)| [weight, bias]).collect();
            let count: usize = vars.iter().map(|var| var.elem_count()).sum();
            let row: Vec<f64> = (0..count).map(|i| 0.5 * (1.0 + i as f64).sin()).collect();
            set(&vars, &Tensor::new(&row[..], &Device::Cpu).unwrap().to_dtype(DType::F32).unwrap()).unwrap();
            let theirs = answer(&layers, examples(recipe, 0).unwrap().0).unwrap().to_vec2::<f32>().unwrap();
            let network = Network::new(recipe.senses, recipe.form, &shapes, &row);
            for (i, theirs) in theirs.iter().enumerate().step_by(17) {
                let at = level(recipe, 0, i);
                let sample = |from: Batch<f64>| from.to_rows();
                let x0 = sample(recipe.data.sample(&CLEAN, 3, Purpose::Start, i as u64, 1));
                let zero = State(Batch::<f64>::zeros(2, i as u64, 1));
                let z = sample(White::of(3, Purpose::Noise).draw(&zero).0);
                let x = x0.iter().zip(&z).map(|(x0, z)| at.alpha * x0 + at.sigma * z).collect();
                let ours = network.eps(&State(Batch::from_rows(2, x)), &at).0.to_rows();
                assert!(
                    ours.iter().zip(theirs).all(|(a, b)| (a - f64::from(*b)).abs() < 1e-4),
                    "{ours:?} {theirs:?}"
                );
            }
        });
    }

    #[test]
    fn every_form_learns_the_score_and_the_same_on_any_number_of_threads() {
        for form in [Form::Noise, Form::Data, Form::Preconditioned] {
            with(form, 400, |recipe| {
                let once = parallel::with_threads(Some(1), || train(recipe)).unwrap();
                let pair =
                    parallel::with_threads(Some(2), || parallel::map(&[(), ()], |()| train(recipe))).unwrap();
                assert!(pair.iter().all(|network| *network == once));
                let at = SCHEDULE.at_lambda(0.0);
                let x = State(recipe.data.sample::<f64>(&at, 4, Purpose::Start, 0, 1000));
                let (ours, exact) =
                    (once.eps(&x, &at).0.to_rows(), recipe.data.model().eps(&x, &at).0.to_rows());
                let error = ours.iter().zip(&exact).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / 2000.0;
                assert!(error < 0.02, "{form:?}: {error}");
            });
        }
    }
}
