//! What a training file says: data, network, process, optimiser, and how long.

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::process::{Chain, Process};
use crate::config;
use crate::data::images::Shape;
use crate::error::{BadInput, Result};
use crate::net::unet::{Config, SampleSize};

/// A training file, read and checked as far as it can be without its data.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// What is asked.
    pub question: String,
    /// What was found, for readers of the results.
    pub analysis: String,
    /// The image set, as [`read_images`](crate::experiment::read_images) takes it.
    pub data: Value,
    /// Of initial weights, order of images, noise levels and noise.
    pub seed: u64,
    /// Keys of [`Config`] but for those that follow from the data.
    model: Table,
    /// What is learned about which noise levels.
    pub process: Process,
    /// How weights follow gradients.
    pub optimiser: Optimiser,
    /// How long.
    pub run: Run,
    /// Greatest held-out loss at the end that is as expected.
    pub expect: Option<f64>,
}

/// `[optimiser]`: AdamW (Loshchilov & Hutter 2019), its defaults PyTorch's but for `weight_decay`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Optimiser {
    /// Learning rate at its greatest.
    pub lr: f64,
    /// Decay of the averages of gradients and of their squares.
    pub betas: [f64; 2],
    /// Added to roots of averaged squares.
    pub eps: f64,
    /// Share of a weight that `lr` = 1 would take off in a step.
    pub weight_decay: f64,
    /// Greatest norm of a gradient; longer ones are scaled down to it.
    pub clip_norm: f64,
    /// Steps in which the learning rate grows from 0.
    pub warm_up: u64,
    /// What it does afterwards.
    pub decay: Decay,
    /// Decay of the average of weights, at its greatest.
    pub ema: f64,
}

/// What the learning rate does after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// Falls to 0 along half a wave (Loshchilov & Hutter 2017).
    Cosine,
    /// Stays.
    Constant,
}

/// `[run]`
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Updates of the weights.
    pub steps: u64,
    /// Images behind each.
    pub batch: usize,
    /// Steps between saves.
    #[serde(default = "every_500")]
    pub save_every: u64,
    /// Steps between rows of the loss curve.
    #[serde(default = "every_100")]
    pub log_every: u64,
}

fn every_500() -> u64 {
    500
}

fn every_100() -> u64 {
    100
}

impl Default for Optimiser {
    fn default() -> Self {
        Optimiser {
            lr: 1e-3,
            betas: [0.9, 0.999],
            eps: 1e-8,
            weight_decay: 0.0,
            clip_norm: 1.0,
            warm_up: 100,
            decay: Decay::Cosine,
            ema: 0.999,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    question: String,
    #[serde(default)]
    analysis: String,
    data: Value,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    model: Table,
    process: Option<Value>,
    #[serde(default)]
    optimiser: Optimiser,
    run: Run,
    expect: Option<Expect>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    held_out_below: f64,
}

impl Recipe {
    /// Reads a training file's table.
    ///
    /// # Errors
    /// Names the key, the value and the fix.
    pub fn read(table: Table) -> Result<Self> {
        let raw: Raw = config::read(Value::Table(table))?;
        let process = match raw.process {
            Some(value) => {
                config::read_named(value, &["ddpm-discrete", "edm"]).map_err(|e| e.within("process"))?
            }
            None => Process::DdpmDiscrete(Chain::default()),
        };
        process.check().map_err(|e| e.within("process"))?;
        raw.optimiser.check().map_err(|e| e.within("optimiser"))?;
        raw.run.check().map_err(|e| e.within("run"))?;
        let recipe = Recipe {
            question: raw.question,
            analysis: raw.analysis,
            data: raw.data,
            seed: raw.seed,
            model: raw.model,
            process,
            optimiser: raw.optimiser,
            run: raw.run,
            expect: raw.expect.map(|e| e.held_out_below),
        };
        // All that can be known without the data, before those are read.
        recipe.config(Shape { channels: 1, height: 64, width: 64 })?;
        Ok(recipe)
    }

    /// The network for images of a shape.
    ///
    /// # Errors
    /// A key that follows from the data, values that do not fit, what training does not support.
    pub fn config(&self, shape: Shape) -> Result<Config> {
        let bad = |e: BadInput| e.within("model");
        let known = keys();
        let known: Vec<&str> =
            known.iter().map(String::as_str).filter(|key| !FOLLOWS.contains(key)).collect();
        if let Some((key, value)) = self.model.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            let (why, fix) = match FOLLOWS.contains(&key.as_str()) {
                true => ("follows from the data", "remove it".into()),
                false => ("is not a known key", config::suggest(key, &known)),
            };
            return Err(bad(BadInput::new(key, config::Plain(value), why, fix)));
        }
        let mut config: Config = config::read(Value::Table(self.model.clone())).map_err(bad)?;
        let Shape { channels, height, width } = shape;
        (config.in_channels, config.out_channels) = (channels, channels);
        let square = height == width;
        config.sample_size =
            Some(if square { SampleSize::Square(height) } else { SampleSize::Sides([height, width]) });
        config.tensors().map_err(bad)?;
        let unit = 1 << (config.block_out_channels.len() - 1);
        if height % unit != 0 || width % unit != 0 {
            let why = format!("halve {height} x {width} pixels too often");
            let fix = format!("give fewer levels, or images of multiples of {unit} pixels");
            return Err(bad(BadInput::new("block_out_channels", &config.block_out_channels, why, fix)));
        }
        if config.time_embedding_type != "positional" {
            let fix = "use positional";
            return Err(bad(BadInput::new(
                "time_embedding_type",
                config.time_embedding_type,
                "is not trained here",
                fix,
            )));
        }
        if let Some(kind) = config.class_embed_type {
            return Err(bad(BadInput::new(
                "class_embed_type",
                kind,
                "is not trained here",
                "use num_class_embeds",
            )));
        }
        if config.dropout != 0.0 {
            return Err(bad(BadInput::new("dropout", config.dropout, "is not applied here", "remove it")));
        }
        Ok(config)
    }

    /// What the weights depend on, in text: two runs with the same are the same, bit for bit.
    pub fn identity(&self) -> serde_json::Value {
        serde_json::json!({
            "data": self.data,
            "seed": self.seed,
            "model": self.model,
            "process": self.process,
            "optimiser": self.optimiser,
            // How often it is saved is no matter.
            "run": { "steps": self.run.steps, "batch": self.run.batch, "log_every": self.run.log_every },
        })
    }
}

/// Keys of a [`Config`] that the images decide.
const FOLLOWS: [&str; 3] = ["in_channels", "out_channels", "sample_size"];

/// Keys of a [`Config`].
fn keys() -> Vec<String> {
    let all = serde_json::to_value(Config::default()).unwrap_or_default();
    all.as_object().into_iter().flat_map(|all| all.keys().cloned()).collect()
}

pub(super) fn positive(key: &str, value: f64, example: f64) -> Result<()> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(BadInput::new(key, value, "is not a positive number", format!("give one, such as {example}")))
}

impl Optimiser {
    fn check(&self) -> Result<()> {
        positive("lr", self.lr, 1e-3)?;
        positive("eps", self.eps, 1e-8)?;
        positive("clip_norm", self.clip_norm, 1.0)?;
        let share = |key: &str, value: f64| {
            if (0.0..1.0).contains(&value) {
                return Ok(());
            }
            Err(BadInput::new(key, value, "is no share", "give a number from 0 to below 1"))
        };
        share("betas[0]", self.betas[0])?;
        share("betas[1]", self.betas[1])?;
        share("ema", self.ema)?;
        if self.weight_decay.is_finite() && self.weight_decay >= 0.0 {
            return Ok(());
        }
        Err(BadInput::new("weight_decay", self.weight_decay, "is negative or no number", "give 0 or more"))
    }
}

impl Run {
    fn check(&self) -> Result<()> {
        let counts = [
            ("steps", self.steps),
            ("batch", self.batch as u64),
            ("save_every", self.save_every),
            ("log_every", self.log_every),
        ];
        for (key, value) in counts {
            if !(1..1 << 32).contains(&value) {
                return Err(BadInput::new(
                    key,
                    value,
                    "is out of range",
                    "give at least 1 and less than 2^32",
                ));
            }
        }
        Ok(())
    }
}
