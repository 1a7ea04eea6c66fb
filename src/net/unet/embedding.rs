//! What a time step or a label becomes before it meets the residual layers.

use std::f32::consts::PI as PI_32;
use std::f64::consts::PI;

use candle_core::{DType, Result, Tensor};

use super::config::Config;
use super::layers::{Activation, Layout, Linear, Weights};
use crate::error::{self, BadInput};

/// Of a time step, before the layers that mix it.
pub(super) enum TimeProjection {
    Positional { width: usize, shift: f64, flip: bool },
    Fourier { frequencies: usize },
    Learned { table: usize, rows: usize },
}

impl TimeProjection {
    /// With the number of values it gives.
    pub fn new(l: &mut Layout, config: &Config) -> error::Result<(Self, usize)> {
        let width = config.block_out_channels[0];
        Ok(match config.time_embedding_type.as_str() {
            "fourier" => {
                (Self::Fourier { frequencies: l.declare("time_proj", "weight", &[width]) }, 2 * width)
            }
            "learned" => {
                let rows = config.num_train_timesteps.filter(|&rows| rows > 0).ok_or_else(|| {
                    let fix = "give the number of time steps it was trained on";
                    BadInput::about(
                        "num_train_timesteps",
                        "is missing where time_embedding_type is learned",
                        fix,
                    )
                })?;
                (Self::Learned { table: l.declare("time_proj", "weight", &[rows, width]), rows }, width)
            }
            _ => {
                let shift = config.freq_shift;
                if width / 2 > 0 && (width / 2) as f64 == shift {
                    let why = format!("leaves no range for the frequencies of {width} channels");
                    return Err(BadInput::new("freq_shift", shift, why, "use 0 or 1, or more channels"));
                }
                (Self::Positional { width, shift, flip: config.flip_sin_to_cos }, width)
            }
        })
    }

    /// Of `t` (n), in f64 if `t` (or, for Fourier, the frequencies) is, else in f32: (n, width).
    pub fn forward(&self, p: Weights, t: &Tensor) -> Result<Tensor> {
        let t = &if t.dtype() == DType::F64 { t.clone() } else { t.to_dtype(DType::F32)? };
        match *self {
            Self::Positional { width, shift, flip } => positional(t, width, shift, flip),
            Self::Fourier { frequencies } => fourier(&t.log()?, &p[frequencies]),
            Self::Learned { table, rows } => {
                let (steps, index) = (t.to_dtype(DType::F64)?.to_vec1::<f64>()?, t.to_dtype(DType::U32)?);
                if let Some(bad) =
                    steps.iter().find(|&&s| s.fract() != 0.0 || !(0.0..rows as f64).contains(&s))
                {
                    candle_core::bail!(
                        "time step {bad} is none of the {rows} of a learned time embedding (0, 1, ..)"
                    );
                }
                p[table].index_select(&index, 0)
            }
        }
    }
}

/// Sines and cosines of `t 10000^(-i/(half - shift))`, i < half (Vaswani et al. 2017, 3.5), in the precision of `t`.
fn positional(t: &Tensor, width: usize, shift: f64, flip: bool) -> Result<Tensor> {
    let half = width / 2;
    let ln = 1e4_f64.ln();
    // diffusers' own sequence of roundings: at t = 999 one less would move the angle by 6e-5.
    let in_f32 =
        |i| f64::from(f64::from(-(ln as f32) * i as f32 / (half as f64 - shift) as f32).exp() as f32);
    let in_f64 = |i| (-ln * i as f64 / (half as f64 - shift)).exp();
    let frequencies: Vec<f64> =
        (0..half).map(|i| if t.dtype() == DType::F64 { in_f64(i) } else { in_f32(i) }).collect();
    let frequencies = Tensor::new(frequencies, t.device())?.to_dtype(t.dtype())?;
    let angles = t.unsqueeze(1)?.broadcast_mul(&frequencies.unsqueeze(0)?)?;
    let (sin, cos) = (angles.sin()?, angles.cos()?);
    let both = if flip { Tensor::cat(&[cos, sin], 1)? } else { Tensor::cat(&[sin, cos], 1)? };
    both.pad_with_zeros(1, 0, width % 2)
}

/// Sines and cosines of `2 pi` times `x` (n) times each frequency (Tancik et al. 2020), in the wider precision of the two.
fn fourier(x: &Tensor, frequencies: &Tensor) -> Result<Tensor> {
    let wide = x.dtype() == DType::F64 || frequencies.dtype() == DType::F64;
    let dtype = if wide { DType::F64 } else { DType::F32 };
    let (x, frequencies) = (x.to_dtype(dtype)?.unsqueeze(1)?, frequencies.to_dtype(dtype)?.unsqueeze(0)?);
    // Frequencies are in the hundreds of turns: the order of these products is diffusers'.
    let pi = if wide { PI } else { f64::from(PI_32) };
    let angles = ((x.broadcast_mul(&frequencies)? * 2.0)? * pi)?;
    Tensor::cat(&[angles.sin()?, angles.cos()?], 1)
}

/// Two layers that mix an embedding.
pub(super) struct Mlp(Linear, Linear);

impl Mlp {
    pub fn new(l: &mut Layout, at: &str, input: usize, width: usize) -> Self {
        Mlp(
            Linear::new(l, &format!("{at}.linear_1"), input, width),
            Linear::new(l, &format!("{at}.linear_2"), width, width),
        )
    }

    pub fn forward(&self, p: Weights, x: &Tensor) -> Result<Tensor> {
        self.1.forward(p, &Activation::Silu.apply(&self.0.forward(p, x)?)?)
    }
}

/// What is made of labels.
pub(super) enum Classes {
    /// A learned row a class.
    Table { table: usize, classes: usize },
    /// Numbers, embedded as times are.
    Timestep(Mlp),
    /// Embeddings already.
    Identity,
}

impl Classes {
    pub fn new(l: &mut Layout, config: &Config, projected: usize) -> Option<Self> {
        let width = config.embedding_width();
        match (config.class_embed_type.as_deref(), config.num_class_embeds) {
            (Some("timestep"), _) => {
                Some(Classes::Timestep(Mlp::new(l, "class_embedding", projected, width)))
            }
            (Some(_), _) => Some(Classes::Identity),
            (None, Some(classes)) => Some(Classes::Table {
                table: l.declare("class_embedding", "weight", &[classes, width]),
                classes,
            }),
            (None, None) => None,
        }
    }

    /// `labels` to (n, width), or what broadcasts to it.
    pub fn forward(
        &self,
        p: Weights,
        labels: &Tensor,
        times: &TimeProjection,
        dtype: DType,
    ) -> Result<Tensor> {
        match self {
            &Classes::Table { table, classes } => {
                let labels = labels.to_dtype(DType::U32)?;
                if let Some(bad) = labels.to_vec1::<u32>()?.iter().find(|&&label| label as usize >= classes) {
                    candle_core::bail!("label {bad} is none of the network's {classes} classes (0, 1, ..)");
                }
                p[table].index_select(&labels, 0)
            }
            Classes::Timestep(mlp) => {
                let labels =
                    if labels.dtype().is_float() { labels.clone() } else { labels.to_dtype(DType::F32)? };
                mlp.forward(p, &times.forward(p, &labels)?.to_dtype(dtype)?)
            }
            Classes::Identity => labels.to_dtype(dtype),
        }
    }
}
