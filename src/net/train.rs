//! Training: denoising score matching on an image set, to a checkpoint that this program and diffusers read.
//!
//! Everything random follows from the seed and a count, and sums are made in a fixed order: a training that was cut off and
//! resumed ends with the same weights, bit for bit, as one that was not, on any number of threads.

use std::path::Path;

use candle_core::{Device, Tensor};

mod objective;
mod optimiser;
mod parameters;
mod process;
mod recipe;
mod set;
mod state;

pub use objective::{Level, Objective};
pub use optimiser::{State, averaging, learning_rate};
pub use process::{Chain, Preconditioned, Process, Time, Weighting};
pub use recipe::{Decay, Optimiser, Recipe, Run};
pub use state::{Found, announce, forget, look};

use crate::data::images::Images;
use crate::error::{BadInput, Result};
use crate::net::scheduler::Scheduler;
use crate::net::unet::{Config, UNet2DModel};
use crate::parallel;
use crate::record::LossRow;
use parameters::Parameters;
use set::{Draw, Example, Set};

/// Images that one thread takes at a time. Sums over a batch are sums over shards, so results depend on it.
const SHARD: usize = 16;

/// A network in training.
pub struct Training {
    recipe: Recipe,
    scheduler: Scheduler,
    config: Config,
    objective: Objective,
    set: Set,
    device: Device,
    parameters: Parameters,
    network: UNet2DModel,
    state: State,
    rows: Vec<LossRow>,
    since: Since,
}

/// Sums over the steps since the last row.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Since {
    loss: f64,
    norm: f64,
    steps: u64,
}

impl Training {
    /// Before the first step.
    ///
    /// # Errors
    /// A network that does not fit the images, no images to train on, classes that are not theirs; what the device refuses.
    pub fn new(recipe: Recipe, images: Images, device: &Device) -> Result<Self> {
        let config = recipe.config(images.shape())?;
        check_labels(&config, &images)?;
        let layout = config.tensors()?;
        let draw = Draw::new(recipe.seed);
        let parameters = Parameters::new(&layout, device).map_err(refused)?;
        let initial = Tensor::new(parameters::initial(&layout, &draw), device);
        let state = initial.and_then(|row| State::new(&row)).map_err(refused)?;
        state.weights().and_then(|row| parameters.set(&row)).map_err(refused)?;
        let network = UNet2DModel::new(&config, &parameters.by_name())?;
        Ok(Training {
            scheduler: recipe.process.scheduler(),
            objective: Objective::new(&recipe.process),
            set: Set::new(images, draw),
            device: device.clone(),
            recipe,
            config,
            parameters,
            network,
            state,
            rows: Vec::new(),
            since: Since::default(),
        })
    }

    /// Where a training of the same recipe was when it last saved, if it did.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn resume(&mut self, folder: &Path) -> Result<()> {
        let Some((state, since)) =
            state::read(folder, &self.identity(), self.parameters.count(), &self.device)?
        else {
            return Ok(());
        };
        self.rows = state::read_rows(folder, state.step)?;
        (self.state, self.since) = (state, since);
        self.state.weights().and_then(|row| self.parameters.set(&row)).map_err(refused)
    }

    /// One update of the weights; at times, a row of the loss curve.
    ///
    /// # Errors
    /// A loss that is not finite; what the device refuses.
    pub fn step(&mut self) -> Result<()> {
        let Run { steps, batch, log_every, .. } = self.recipe.run;
        let step = self.state.step;
        let lr = learning_rate(&self.recipe.optimiser, step, steps);
        let examples = self.set.batch(step, batch, &self.objective);
        let (loss, gradient) = self.loss_and_gradient(&examples)?;
        let norm = optimiser::norm(&gradient).map_err(refused)?;
        if !(loss.is_finite() && norm.is_finite()) {
            let why = format!("made the loss {loss} at step {}", step + 1);
            return Err(BadInput::new("optimiser.lr", self.recipe.optimiser.lr, why, "use a smaller one"));
        }
        self.state.update(&gradient, norm, &self.recipe.optimiser, lr).map_err(refused)?;
        self.state.weights().and_then(|row| self.parameters.set(&row)).map_err(refused)?;
        let Since { loss: sum, norm: norms, steps: n } = self.since;
        self.since = Since { loss: sum + loss, norm: norms + norm, steps: n + 1 };
        let done = self.state.step;
        if done.is_multiple_of(log_every) || done == steps {
            let n = self.since.steps as f64;
            self.rows.push(LossRow {
                step: done,
                loss: Some(self.since.loss / n),
                held_out: self.held_out_loss()?,
                grad_norm: Some(self.since.norm / n),
                lr: Some(lr),
            });
            self.since = Since::default();
        }
        Ok(())
    }

    /// Loss and gradient of a batch, in a row.
    fn loss_and_gradient(&self, examples: &[Example]) -> Result<(f64, Tensor)> {
        let parts = self.on_shards(examples, |shard| {
            let loss = (self.sum_of_losses(&self.network, shard)? / examples.len() as f64)?;
            let gradient = self.parameters.row(&loss.backward()?)?;
            Ok((f64::from(loss.to_scalar::<f32>()?), gradient))
        })?;
        let mut parts = parts.into_iter();
        let first = parts.next().expect("a batch is not empty");
        parts.try_fold(first, |(loss, sum), (l, g)| Ok((loss + l, (sum + g)?))).map_err(refused)
    }

    /// Loss of the averaged weights on images that were not trained on, at fixed levels and noises; none if there are too few.
    ///
    /// # Errors
    /// What the device refuses.
    pub fn held_out_loss(&self) -> Result<Option<f64>> {
        let examples = self.set.held_out(&self.objective);
        if examples.is_empty() {
            return Ok(None);
        }
        let network = UNet2DModel::new(&self.config, &self.averaged()?)?;
        let losses = self.on_shards(&examples, |shard| {
            Ok(f64::from(self.sum_of_losses(&network, shard)?.to_scalar::<f32>()?))
        })?;
        Ok(Some(losses.iter().sum::<f64>() / examples.len() as f64))
    }

    /// `f` of every shard, in order. A card takes all at once.
    fn on_shards<T: Send>(
        &self,
        examples: &[Example],
        f: impl Fn(&[Example]) -> candle_core::Result<T> + Sync + Send,
    ) -> Result<Vec<T>> {
        let size = if self.device.is_cpu() { SHARD } else { self.recipe.run.batch };
        let shards: Vec<&[Example]> = examples.chunks(size).collect();
        parallel::map(&shards, |shard| f(shard))
            .into_iter()
            .collect::<candle_core::Result<_>>()
            .map_err(refused)
    }

    fn sum_of_losses(&self, network: &UNet2DModel, examples: &[Example]) -> candle_core::Result<Tensor> {
        let batch = self.set.tensors(examples, self.config.num_class_embeds.is_some(), &self.device)?;
        let answer = network.forward(&batch.input, &batch.time, batch.labels.as_ref())?;
        (answer - batch.target)?.sqr()?.broadcast_mul(&batch.weight)?.sum_all()
    }

    fn averaged(&self) -> Result<std::collections::BTreeMap<String, Tensor>> {
        self.state.average().and_then(|row| self.parameters.named(&row)).map_err(refused)
    }

    /// Writes the loss curve, the checkpoint (of averaged weights) and all that is needed to go on, in this order, each file
    /// whole or not at all: a crash at any moment loses at most the steps since the save before.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        state::write_rows(folder, &self.rows)?;
        crate::net::checkpoint::Checkpoint::save(folder, &self.config, &self.scheduler, &self.averaged()?)?;
        state::write(folder, &self.identity(), &self.state, self.since)
    }

    /// What the weights depend on: recipe and images.
    pub fn identity(&self) -> serde_json::Value {
        let mut identity = self.recipe.identity();
        identity["images"] = self.set.images().hash().into();
        identity
    }

    /// Updates made.
    pub fn steps_done(&self) -> u64 {
        self.state.step
    }

    /// The loss curve so far.
    pub fn rows(&self) -> &[LossRow] {
        &self.rows
    }

    /// What is being trained, and how.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Weights, their average, and the optimiser's moments.
    pub fn state(&self) -> &State {
        &self.state
    }
}

fn check_labels(config: &Config, images: &Images) -> Result<()> {
    let Some(classes) = config.num_class_embeds else { return Ok(()) };
    let bad = |why: String, fix: String| Err(BadInput::new("model.num_class_embeds", classes, why, fix));
    match images.labels() {
        None => bad("asks for classes, which the images have not".into(), "remove it".into()),
        Some(labels) => match labels.iter().max() {
            Some(&most) if most as usize >= classes => {
                bad(format!("leaves no room for class {most}"), format!("give {} or more", most + 1))
            }
            _ => Ok(()),
        },
    }
}

fn refused(error: candle_core::Error) -> BadInput {
    BadInput::about("", format!("cannot be trained: {error}"), "")
}
