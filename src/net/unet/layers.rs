//! Layers as places in a list of parameters, so that one description yields names, shapes and the network.

use std::ops::Index;

use candle_core::{DType, Device, Result, Tensor};

use super::resize::Resample;
use crate::error::{self, BadInput};
use crate::net::ops;

/// Residual layer (He et al. 2016; Ho et al. 2020, B): norm, nonlinearity, convolution, time, and the same again, added to its
/// input.
pub(super) struct Resnet {
    norm1: Norm,
    conv1: Conv,
    time: Linear,
    norm2: Norm,
    conv2: Conv,
    shortcut: Option<Conv>,
    resample: Resample,
    scale_shift: bool,
    activation: Activation,
    divide_by: f64,
}

/// What is common to the residual layers of a network.
#[derive(Clone, Copy)]
pub(super) struct Common {
    pub time_width: usize,
    pub groups: Option<usize>,
    pub eps: f64,
    pub activation: Activation,
    pub scale_shift: bool,
    pub head_dim: Option<usize>,
}

/// Where a residual layer departs from (in, out) channels under the network's own groups.
pub(super) struct Shape {
    pub channels: (usize, usize),
    pub groups: Option<(usize, usize)>,
    pub resample: Resample,
    pub divide_by: f64,
}

impl Shape {
    /// An ordinary layer of so many channels.
    pub fn new(input: usize, output: usize) -> Self {
        Shape { channels: (input, output), groups: None, resample: Resample::No, divide_by: 1.0 }
    }
}

impl Resnet {
    pub fn new(l: &mut Layout, at: &str, shape: &Shape, c: &Common) -> error::Result<Self> {
        let (input, output) = shape.channels;
        let fir = matches!(shape.resample, Resample::FirHalve | Resample::FirDouble);
        let groups = |own: Option<usize>| {
            let fix = "give a number, or use only Skip blocks";
            own.or(c.groups)
                .ok_or_else(|| BadInput::about("norm_num_groups", format!("is null, and {at} needs it"), fix))
        };
        let (first, second) = (groups(shape.groups.map(|g| g.0))?, groups(shape.groups.map(|g| g.1))?);
        Ok(Resnet {
            norm1: Norm::new(l, &format!("{at}.norm1"), input, first, c.eps)?,
            conv1: Conv::new(l, &format!("{at}.conv1"), input, output, 3),
            time: Linear::new(
                l,
                &format!("{at}.time_emb_proj"),
                c.time_width,
                output << usize::from(c.scale_shift),
            ),
            norm2: Norm::new(l, &format!("{at}.norm2"), output, second, c.eps)?,
            conv2: Conv::new(l, &format!("{at}.conv2"), output, output, 3),
            shortcut: (input != output || fir)
                .then(|| Conv::new(l, &format!("{at}.conv_shortcut"), input, output, 1)),
            resample: shape.resample,
            scale_shift: c.scale_shift,
            activation: c.activation,
            divide_by: shape.divide_by,
        })
    }

    /// `x` (n, in, h, w) and the activated time embedding `time` (n, width) to (n, out, h', w').
    pub fn forward(&self, p: Weights, x: &Tensor, time: &Tensor) -> Result<Tensor> {
        let h = self.norm1.activated(p, x, self.activation)?;
        let h = self.resample.apply(&h)?;
        let time = self.time.forward(p, time)?;
        let h = if self.scale_shift {
            let h = self.conv1.forward(p, &h)?;
            let time = time.unsqueeze(2)?.unsqueeze(3)?;
            let half = time.dim(1)? / 2;
            let (scale, shift) = (time.narrow(1, 0, half)?, time.narrow(1, half, half)?);
            let h = self.norm2.forward(p, &h)?.broadcast_mul(&(scale + 1.0)?)?.broadcast_add(&shift)?;
            self.activation.apply(&h)?
        } else {
            self.norm2.activated(p, &self.conv1.shifted(p, &h, &time)?, self.activation)?
        };
        let h = self.conv2.forward(p, &h)?;
        let x = self.resample.apply(x)?;
        let x = match &self.shortcut {
            Some(conv) => conv.forward(p, &x)?,
            None => x,
        };
        divided(ops::add(&x, &h), self.divide_by)
    }
}

/// Self-attention over pixels, added to its input (Vaswani et al. 2017; Ho et al. 2020, B).
pub(super) struct Attention {
    norm: Option<Norm>,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    heads: usize,
    divide_by: f64,
}

impl Attention {
    /// `groups` of its norm, if it has one.
    pub fn new(
        l: &mut Layout,
        at: &str,
        channels: usize,
        groups: Option<usize>,
        divide_by: f64,
        c: &Common,
    ) -> error::Result<Self> {
        let dim = c.head_dim.unwrap_or(channels);
        if dim == 0 || dim > channels {
            let why = format!("leaves no head for the {channels} channels of {at}");
            return Err(BadInput::new("attention_head_dim", dim, why, "give 1 to that many, or null"));
        }
        let heads = channels / dim;
        // Where the head's size does not divide the channels, the heads together are narrower than the input.
        let inner = heads * dim;
        let norm = groups
            .map(|groups| Norm::new(l, &format!("{at}.group_norm"), channels, groups, c.eps))
            .transpose()?;
        let mut linear = |name: &str, from, to| Linear::new(l, &format!("{at}.{name}"), from, to);
        Ok(Attention {
            norm,
            query: linear("to_q", channels, inner),
            key: linear("to_k", channels, inner),
            value: linear("to_v", channels, inner),
            out: linear("to_out.0", inner, channels),
            heads,
            divide_by,
        })
    }

    pub fn forward(&self, p: Weights, x: &Tensor) -> Result<Tensor> {
        let (n, _, h, w) = x.dims4()?;
        let tokens = match &self.norm {
            Some(norm) => norm.forward(p, x)?,
            None => x.clone(),
        };
        // Pixels stay side by side throughout, which saves turning images into tokens and back.
        let heads =
            |map: &Linear| map.pixels(p, &tokens)?.reshape((n, self.heads, (), h * w))?.transpose(2, 3);
        let y = ops::attention(&heads(&self.query)?, &heads(&self.key)?, &heads(&self.value)?)?;
        let y = self.out.pixels(p, &y.transpose(2, 3)?.reshape((n, (), h, w))?)?;
        divided(ops::add(x, &y), self.divide_by)
    }
}

/// A sum over a constant that is mostly 1.
fn divided(sum: Result<Tensor>, by: f64) -> Result<Tensor> {
    if by == 1.0 { sum } else { sum? / by }
}

/// Group norm.
pub(super) struct Norm {
    weight: usize,
    bias: usize,
    groups: usize,
    eps: f64,
}

impl Norm {
    pub fn new(l: &mut Layout, at: &str, channels: usize, groups: usize, eps: f64) -> error::Result<Self> {
        if groups == 0 || !channels.is_multiple_of(groups) {
            let why = format!("does not divide the {channels} channels of {at}");
            let fix =
                "choose groups and block_out_channels that divide each other (up blocks join two levels)";
            return Err(BadInput::new("norm_num_groups", groups, why, fix));
        }
        Ok(Norm {
            weight: l.declare(at, "weight", &[channels]),
            bias: l.declare(at, "bias", &[channels]),
            groups,
            eps,
        })
    }

    pub fn forward(&self, p: Weights, x: &Tensor) -> Result<Tensor> {
        ops::group_norm(x, &p[self.weight], &p[self.bias], self.groups, self.eps, false)
    }

    pub fn activated(&self, p: Weights, x: &Tensor, activation: Activation) -> Result<Tensor> {
        match activation {
            Activation::Silu => {
                ops::group_norm(x, &p[self.weight], &p[self.bias], self.groups, self.eps, true)
            }
            other => other.apply(&self.forward(p, x)?),
        }
    }
}

/// Convolution.
pub(super) struct Conv {
    weight: usize,
    bias: usize,
    pub stride: usize,
    /// Zeros before and after each axis.
    pub padding: [usize; 2],
}

impl Conv {
    /// `size` x `size` kernels at every pixel, zeros around: as many pixels come out.
    pub fn new(l: &mut Layout, at: &str, input: usize, output: usize, size: usize) -> Self {
        let weight = l.declare(at, "weight", &[output, input, size, size]);
        Conv { weight, bias: l.declare(at, "bias", &[output]), stride: 1, padding: [size / 2; 2] }
    }

    pub fn forward(&self, p: Weights, x: &Tensor) -> Result<Tensor> {
        ops::conv2d_padded(x, &p[self.weight], &p[self.bias], self.stride, self.padding)
    }

    /// The same plus a value `by` (n, out) for each image and channel.
    pub fn shifted(&self, p: Weights, x: &Tensor, by: &Tensor) -> Result<Tensor> {
        let bias = by.broadcast_add(&p[self.bias])?;
        ops::conv2d_padded(x, &p[self.weight], &bias, self.stride, self.padding)
    }
}

/// Affine map.
pub(super) struct Linear {
    weight: usize,
    bias: usize,
}

impl Linear {
    pub fn new(l: &mut Layout, at: &str, input: usize, output: usize) -> Self {
        Linear { weight: l.declare(at, "weight", &[output, input]), bias: l.declare(at, "bias", &[output]) }
    }

    pub fn forward(&self, p: Weights, x: &Tensor) -> Result<Tensor> {
        ops::linear(x, &p[self.weight], &p[self.bias])
    }

    /// The same of the channels of every pixel of `x` (n, in, h, w).
    pub fn pixels(&self, p: Weights, x: &Tensor) -> Result<Tensor> {
        ops::conv2d(x, &p[self.weight].unsqueeze(2)?.unsqueeze(3)?, &p[self.bias], 1, 0)
    }
}

/// Names that `act_fn` may have.
pub(super) const ACTIVATIONS: [&str; 5] = ["silu", "swish", "relu", "gelu", "mish"];

/// Nonlinearity.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Activation {
    Silu,
    Relu,
    Gelu,
    Mish,
}

impl Activation {
    /// By its name among [`ACTIVATIONS`].
    pub fn named(name: &str) -> Self {
        match name.to_lowercase().as_str() {
            "relu" => Activation::Relu,
            "gelu" => Activation::Gelu,
            "mish" => Activation::Mish,
            _ => Activation::Silu,
        }
    }

    pub fn apply(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Activation::Silu => x.silu(),
            Activation::Relu => x.relu(),
            Activation::Gelu => x.gelu_erf(),
            // x tanh(ln(1 + e^x)) (Misra 2019), with ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|).
            Activation::Mish => {
                let softplus = (x.relu()? + (x.abs()?.neg()?.exp()? + 1.0)?.log()?)?;
                x * softplus.tanh()?
            }
        }
    }
}

/// Names and shapes of parameters, in the order in which layers declare them.
#[derive(Default)]
pub(super) struct Layout(Vec<(String, Vec<usize>)>);

impl Layout {
    /// Place of the parameter `at.name`.
    pub fn declare(&mut self, at: &str, name: &str, shape: &[usize]) -> usize {
        self.0.push((format!("{at}.{name}"), shape.to_vec()));
        self.0.len() - 1
    }

    pub fn into_tensors(self) -> Vec<(String, Vec<usize>)> {
        self.0
    }
}

/// Parameters, by place.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a>(pub &'a [Tensor]);

impl Index<usize> for Weights<'_> {
    type Output = Tensor;

    fn index(&self, place: usize) -> &Tensor {
        &self.0[place]
    }
}

/// The type in which a network of `dtype` computes on `device`: candle's processor kernels know f32 and f64 only.
pub(super) fn compute_dtype(dtype: DType, device: &Device) -> DType {
    match dtype {
        DType::F16 | DType::BF16 if device.is_cpu() => DType::F32,
        other => other,
    }
}
