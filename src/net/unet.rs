//! The unconditional U-Net of the checkpoints people have: diffusers' `UNet2DModel` (0.42), by its configuration keys and tensor
//! names, on any device of candle, differentiable in its weights and its input.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Result, Tensor};

mod blocks;
mod config;
mod embedding;
mod layers;
mod resize;
mod skip;

pub use config::{Config, SampleSize};

use crate::error::{self, BadInput};
use blocks::{Down, Mid, Place, Up};
use embedding::{Classes, Mlp, TimeProjection};
use layers::{Activation, Common, Conv, Layout, Norm, Weights, compute_dtype};

/// The version of diffusers whose format is read and written.
pub(super) const DIFFUSERS: &str = "0.42.1";

/// A U-Net over images (Ho et al. 2020, B), with its weights.
///
/// Nothing in it is random and dropout is not applied: an output is a function of the image, the time step and the label.
/// Images of a batch do not see each other.
pub struct UNet2DModel {
    config: Config,
    network: Network,
    weights: Vec<Tensor>,
}

impl UNet2DModel {
    /// The network of `config` with `weights` by the names of [`Config::tensors`]; more names are ignored.
    ///
    /// It shares storage with them: where they are `candle_core::Var`s, it follows their updates and its outputs are
    /// differentiable in them. The exception is f16 and bf16 on the processor, where candle lacks the kernels: the network then
    /// computes in f32 with a copy of the rounded weights.
    ///
    /// # Errors
    /// A configuration that [`Config::tensors`] refuses; all missing and mis-shaped tensors, in one error.
    pub fn new(config: &Config, weights: &BTreeMap<String, Tensor>) -> error::Result<Self> {
        let mut layout = Layout::default();
        let network = Network::new(config, &mut layout)?;
        let wanted = layout.into_tensors();
        let mut wrong = Vec::new();
        let mut found = Vec::with_capacity(wanted.len());
        for (name, shape) in &wanted {
            match weights.get(name) {
                None => wrong.push(format!("{name} {shape:?} is missing")),
                Some(w) if w.dims() != &shape[..] => {
                    wrong.push(format!("{name} is {:?} and should be {shape:?}", w.dims()));
                }
                Some(w) => found.push(w),
            }
        }
        if !wrong.is_empty() {
            return Err(BadInput::about(
                "weights",
                wrong.join(", "),
                "give the weights of this configuration",
            ));
        }
        let refused = |e| BadInput::about("weights", format!("cannot be converted: {e}"), "");
        let weights = found
            .into_iter()
            .map(|w| w.to_dtype(compute_dtype(w.dtype(), w.device())).map_err(refused))
            .collect::<error::Result<_>>()?;
        Ok(UNet2DModel { config: config.clone(), network, weights })
    }

    /// What it is made of.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The type in which it computes.
    pub fn dtype(&self) -> DType {
        self.weights[0].dtype()
    }

    /// Where its weights are.
    pub fn device(&self) -> &Device {
        self.weights[0].device()
    }

    /// What the network makes of images `x` (n, in_channels, h, w) at `timesteps` (n, in the units it was trained on; they may be
    /// fractional) with `labels`: (n, out_channels, h, w), in the type of `x`.
    ///
    /// `labels` are (n) numbers of classes (`num_class_embeds`), (n) numbers of any kind (`class_embed_type = "timestep"`) or
    /// embeddings (n, width) (`"identity"`). Times are embedded in the precision of `timesteps`: in f32 with diffusers' own
    /// roundings, whose angles near step 1000 are good to 6e-5; f64 makes the network as smooth in time as it is in `x`.
    ///
    /// # Errors
    /// Shapes that do not fit the configuration; sides that cannot be halved at every level; labels missing, unexpected or out
    /// of range; what the device refuses.
    pub fn forward(&self, x: &Tensor, timesteps: &Tensor, labels: Option<&Tensor>) -> Result<Tensor> {
        self.check(x, timesteps, labels)?;
        let (p, dtype) = (Weights(&self.weights), self.dtype());
        let y = self.network.forward(p, &x.to_dtype(dtype)?, timesteps, labels)?.to_dtype(x.dtype())?;
        if self.config.time_embedding_type == "fourier" {
            return y.broadcast_div(&timesteps.to_dtype(y.dtype())?.reshape(((), 1, 1, 1))?);
        }
        Ok(y)
    }

    fn check(&self, x: &Tensor, timesteps: &Tensor, labels: Option<&Tensor>) -> Result<()> {
        let (n, c, h, w) = x.dims4()?;
        if c != self.config.in_channels {
            candle_core::bail!(
                "images have {c} channels where the network takes {}",
                self.config.in_channels
            );
        }
        let unit = 1 << (self.config.block_out_channels.len() - 1);
        if h % unit != 0 || w % unit != 0 {
            candle_core::bail!(
                "images of {h} x {w} pixels cannot be halved at every level: use multiples of {unit}"
            );
        }
        if timesteps.dims() != [n] || !timesteps.dtype().is_float() {
            let dtype = timesteps.dtype();
            candle_core::bail!(
                "time steps are {:?} {dtype:?} for {n} images: give [{n}] floats",
                timesteps.dims()
            );
        }
        match (&self.network.classes, labels) {
            (Some(_), None) => {
                candle_core::bail!("the network is conditioned on a class: give one label an image")
            }
            (None, Some(_)) => candle_core::bail!("the network knows no classes: give no labels"),
            (Some(_), Some(labels)) if labels.dim(0)? != n => {
                candle_core::bail!("there are {} labels for {n} images", labels.dim(0)?)
            }
            _ => Ok(()),
        }
    }
}

/// The layers, without their weights.
struct Network {
    center: bool,
    conv_in: Conv,
    times: TimeProjection,
    time_mlp: Mlp,
    classes: Option<Classes>,
    down: Vec<Down>,
    up: Vec<Up>,
    mid: Option<Mid>,
    norm_out: Norm,
    conv_out: Conv,
    activation: Activation,
}

impl Network {
    /// Layers in the order in which diffusers registers their parameters: the middle block comes after the way up.
    fn new(config: &Config, l: &mut Layout) -> error::Result<Self> {
        config.check()?;
        let channels = &config.block_out_channels;
        let common = Common {
            time_width: config.embedding_width(),
            groups: config.norm_num_groups,
            eps: config.norm_eps,
            activation: Activation::named(&config.act_fn),
            scale_shift: config.resnet_time_scale_shift == "scale_shift",
            head_dim: config.attention_head_dim,
        };
        let conv_in = Conv::new(l, "conv_in", config.in_channels, channels[0], 3);
        let (times, projected) = TimeProjection::new(l, config)?;
        let time_mlp = Mlp::new(l, "time_embedding", projected, common.time_width);
        let classes = Classes::new(l, config, projected);
        let down = ways_down(l, config, &common)?;
        let up = ways_up(l, config, &common)?;
        let mid = config
            .mid_block_type
            .as_ref()
            .map(|_| Mid::new(l, channels[channels.len() - 1], config, &common))
            .transpose()?;
        let groups = common.groups.unwrap_or(32.min(channels[0] / 4));
        let norm_out = Norm::new(l, "conv_norm_out", channels[0], groups, config.norm_eps)?;
        let conv_out = Conv::new(l, "conv_out", channels[0], config.out_channels, 3);
        let (center, activation) = (config.center_input_sample, common.activation);
        Ok(Network {
            center,
            conv_in,
            times,
            time_mlp,
            classes,
            down,
            up,
            mid,
            norm_out,
            conv_out,
            activation,
        })
    }

    fn forward(&self, p: Weights, x: &Tensor, timesteps: &Tensor, labels: Option<&Tensor>) -> Result<Tensor> {
        let mut image = if self.center { x.affine(2.0, -1.0)? } else { x.clone() };
        let mut time = self.time_mlp.forward(p, &self.times.forward(p, timesteps)?.to_dtype(x.dtype())?)?;
        if let (Some(classes), Some(labels)) = (&self.classes, labels) {
            time = time.broadcast_add(&classes.forward(p, labels, &self.times, x.dtype())?)?;
        }
        // Every residual layer starts with it.
        let time = self.activation.apply(&time)?;

        let mut x = self.conv_in.forward(p, &image)?;
        let mut skips = vec![x.clone()];
        for block in &self.down {
            x = block.forward(p, x, &time, &mut skips, &mut image)?;
        }
        if let Some(mid) = &self.mid {
            x = mid.forward(p, &x, &time)?;
        }
        let mut drawn = None;
        for block in &self.up {
            x = block.forward(p, x, &time, &mut skips, &mut drawn)?;
        }
        let x = self.conv_out.forward(p, &self.norm_out.activated(p, &x, Activation::Silu)?)?;
        match drawn {
            Some(drawn) => x + drawn,
            None => Ok(x),
        }
    }
}

fn ways_down(l: &mut Layout, config: &Config, common: &Common) -> error::Result<Vec<Down>> {
    let channels = &config.block_out_channels;
    (0..channels.len())
        .map(|i| {
            let place = Place {
                at: &format!("down_blocks.{i}"),
                kind: &config.down_block_types[i],
                input: channels[i.saturating_sub(1)],
                output: channels[i],
                last: i + 1 == channels.len(),
            };
            Down::new(l, &place, config, common)
        })
        .collect()
}

fn ways_up(l: &mut Layout, config: &Config, common: &Common) -> error::Result<Vec<Up>> {
    let channels: Vec<usize> = config.block_out_channels.iter().rev().copied().collect();
    let last = channels.len() - 1;
    (0..channels.len())
        .map(|i| {
            let place = Place {
                at: &format!("up_blocks.{i}"),
                kind: &config.up_block_types[i],
                input: channels[i.saturating_sub(1)],
                output: channels[i],
                last: i == last,
            };
            Up::new(l, &place, channels[(i + 1).min(last)], config, common)
        })
        .collect()
}
