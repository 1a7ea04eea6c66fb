//! What a U-Net is stacked from: blocks on the way down, in the middle and on the way up.

use candle_core::{Result, Tensor};

use super::config::Config;
use super::layers::{Attention, Common, Conv, Layout, Resnet, Shape, Weights};
use super::resize::Resample;
use super::skip::{SkipDown, SkipUp};
use crate::error;
use crate::net::ops;

/// Names that `down_block_types` may hold.
pub(super) const DOWN_BLOCKS: [&str; 5] =
    ["DownBlock2D", "AttnDownBlock2D", "ResnetDownsampleBlock2D", "SkipDownBlock2D", "AttnSkipDownBlock2D"];

/// Names that `up_block_types` may hold.
pub(super) const UP_BLOCKS: [&str; 5] =
    ["UpBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D", "SkipUpBlock2D", "AttnSkipUpBlock2D"];

/// A block on the way down.
pub(super) enum Down {
    Plain(PlainDown),
    Skip(SkipDown),
}

/// Where a block sits: its name, its channels, whether it is the last of its row (and so keeps the size).
pub(super) struct Place<'a> {
    pub at: &'a str,
    pub kind: &'a str,
    pub input: usize,
    pub output: usize,
    pub last: bool,
}

impl Down {
    pub fn new(l: &mut Layout, place: &Place, config: &Config, common: &Common) -> error::Result<Self> {
        Ok(if place.kind.contains("Skip") {
            Down::Skip(SkipDown::new(l, place, config, common)?)
        } else {
            Down::Plain(PlainDown::new(l, place, config, common)?)
        })
    }

    /// `x` to the next level; what the way up will want is put on `skips`. `image` is the input at this level, for blocks
    /// that take it in again.
    pub fn forward(
        &self,
        p: Weights,
        x: Tensor,
        time: &Tensor,
        skips: &mut Vec<Tensor>,
        image: &mut Tensor,
    ) -> Result<Tensor> {
        match self {
            Down::Plain(block) => block.forward(p, x, time, skips),
            Down::Skip(block) => block.forward(p, x, time, skips, image),
        }
    }
}

/// Residual layers, each with attention or none, then half the size.
pub(super) struct PlainDown {
    attentions: Vec<Attention>,
    resnets: Vec<Resnet>,
    halve: Option<Halve>,
}

enum Halve {
    Conv(Conv),
    Resnet(Resnet),
}

impl PlainDown {
    fn new(l: &mut Layout, place: &Place, config: &Config, c: &Common) -> error::Result<Self> {
        let &Place { at, output, .. } = place;
        let layers = config.layers_per_block;
        let attentions = attentions(l, place, layers, c)?;
        let resnets = (0..layers)
            .map(|i| {
                let input = if i == 0 { place.input } else { output };
                Resnet::new(l, &format!("{at}.resnets.{i}"), &Shape::new(input, output), c)
            })
            .collect::<error::Result<_>>()?;
        let by_resnet = by_resnet(place.kind, config.downsample_type.as_deref());
        let halve = match (place.last, by_resnet) {
            (true, _) => None,
            (false, true) => {
                let shape = Shape { resample: Resample::Halve, ..Shape::new(output, output) };
                Some(Halve::Resnet(Resnet::new(l, &format!("{at}.downsamplers.0"), &shape, c)?))
            }
            (false, false) => {
                let mut conv = Conv::new(l, &format!("{at}.downsamplers.0.conv"), output, output, 3);
                // Without zeros around, one row and one column of them come after the last.
                let padding = config.downsample_padding;
                (conv.stride, conv.padding) = (2, [padding, padding.max(1)]);
                Some(Halve::Conv(conv))
            }
        };
        Ok(PlainDown { attentions, resnets, halve })
    }

    fn forward(&self, p: Weights, mut x: Tensor, time: &Tensor, skips: &mut Vec<Tensor>) -> Result<Tensor> {
        for (i, resnet) in self.resnets.iter().enumerate() {
            x = resnet.forward(p, &x, time)?;
            if let Some(attention) = self.attentions.get(i) {
                x = attention.forward(p, &x)?;
            }
            skips.push(x.clone());
        }
        if let Some(halve) = &self.halve {
            x = match halve {
                Halve::Resnet(resnet) => resnet.forward(p, &x, time)?,
                Halve::Conv(conv) => conv.forward(p, &x)?,
            };
            skips.push(x.clone());
        }
        Ok(x)
    }
}

/// Whether a block resizes by a residual layer: those named so do, and those with attention where the configuration says so;
/// diffusers lets plain blocks ignore it.
fn by_resnet(kind: &str, asked: Option<&str>) -> bool {
    kind.contains("sample") || (kind.contains("Attn") && asked == Some("resnet"))
}

/// Between the ways down and up: a residual layer, attention, a residual layer.
pub(super) struct Mid {
    attention: Option<Attention>,
    resnets: [Resnet; 2],
}

impl Mid {
    pub fn new(l: &mut Layout, channels: usize, config: &Config, c: &Common) -> error::Result<Self> {
        let divide_by = config.mid_block_scale_factor;
        let own = c.groups.unwrap_or(32.min(channels / 4));
        let groups = config.attn_norm_num_groups.or((!c.scale_shift).then_some(own));
        let attention = config
            .add_attention
            .then(|| Attention::new(l, "mid_block.attentions.0", channels, groups, divide_by, c))
            .transpose()?;
        let shape = Shape { groups: Some((own, own)), divide_by, ..Shape::new(channels, channels) };
        let mut resnet = |i| Resnet::new(l, &format!("mid_block.resnets.{i}"), &shape, c);
        Ok(Mid { attention, resnets: [resnet(0)?, resnet(1)?] })
    }

    pub fn forward(&self, p: Weights, x: &Tensor, time: &Tensor) -> Result<Tensor> {
        let mut x = self.resnets[0].forward(p, x, time)?;
        if let Some(attention) = &self.attention {
            x = attention.forward(p, &x)?;
        }
        self.resnets[1].forward(p, &x, time)
    }
}

/// A block on the way up.
pub(super) enum Up {
    Plain(PlainUp),
    Skip(SkipUp),
}

impl Up {
    /// `place.input` is what comes from below; `beside` the channels of the level after this one (what the first layer of
    /// that level's way down received).
    pub fn new(
        l: &mut Layout,
        place: &Place,
        beside: usize,
        config: &Config,
        c: &Common,
    ) -> error::Result<Self> {
        Ok(if place.kind.contains("Skip") {
            Up::Skip(SkipUp::new(l, place, beside, config, c)?)
        } else {
            Up::Plain(PlainUp::new(l, place, beside, config, c)?)
        })
    }

    /// `x` joined with what the way down left on `skips`, at the size of the level above. `image` is what blocks of the
    /// `Skip` kind have drawn so far.
    pub fn forward(
        &self,
        p: Weights,
        x: Tensor,
        time: &Tensor,
        skips: &mut Vec<Tensor>,
        image: &mut Option<Tensor>,
    ) -> Result<Tensor> {
        match self {
            Up::Plain(block) => block.forward(p, x, time, skips),
            Up::Skip(block) => block.forward(p, x, time, skips, image),
        }
    }
}

/// Residual layers, each fed what the way down left and followed by attention or none, then twice the size.
pub(super) struct PlainUp {
    attentions: Vec<Attention>,
    resnets: Vec<Resnet>,
    double: Option<Double>,
}

enum Double {
    Conv(Conv),
    Resnet(Resnet),
}

/// Channels from below and beside of the `i`th of `layers` layers on the way up.
pub(super) fn joined(place: &Place, beside: usize, i: usize, layers: usize) -> (usize, usize) {
    let below = if i == 0 { place.input } else { place.output };
    (below, if i + 1 == layers { beside } else { place.output })
}

impl PlainUp {
    fn new(l: &mut Layout, place: &Place, beside: usize, config: &Config, c: &Common) -> error::Result<Self> {
        let &Place { at, output, .. } = place;
        let layers = config.layers_per_block + 1;
        let attentions = attentions(l, place, layers, c)?;
        let resnets = (0..layers)
            .map(|i| {
                let (below, side) = joined(place, beside, i, layers);
                Resnet::new(l, &format!("{at}.resnets.{i}"), &Shape::new(below + side, output), c)
            })
            .collect::<error::Result<_>>()?;
        let by_resnet = by_resnet(place.kind, config.upsample_type.as_deref());
        let double = match (place.last, by_resnet) {
            (true, _) => None,
            (false, true) => {
                let shape = Shape { resample: Resample::Double, ..Shape::new(output, output) };
                Some(Double::Resnet(Resnet::new(l, &format!("{at}.upsamplers.0"), &shape, c)?))
            }
            (false, false) => {
                Some(Double::Conv(Conv::new(l, &format!("{at}.upsamplers.0.conv"), output, output, 3)))
            }
        };
        Ok(PlainUp { attentions, resnets, double })
    }

    fn forward(&self, p: Weights, mut x: Tensor, time: &Tensor, skips: &mut Vec<Tensor>) -> Result<Tensor> {
        for (i, resnet) in self.resnets.iter().enumerate() {
            x = resnet.forward(p, &join(x, skips)?, time)?;
            if let Some(attention) = self.attentions.get(i) {
                x = attention.forward(p, &x)?;
            }
        }
        match &self.double {
            Some(Double::Resnet(resnet)) => resnet.forward(p, &x, time),
            Some(Double::Conv(conv)) => conv.forward(p, &ops::double(&x)?),
            None => Ok(x),
        }
    }
}

/// `x` and what was last put on `skips`, channels beside each other.
pub(super) fn join(x: Tensor, skips: &mut Vec<Tensor>) -> Result<Tensor> {
    match skips.pop() {
        Some(skip) => ops::join(&x, &skip),
        None => candle_core::bail!("the way up has more layers than the way down left tensors"),
    }
}

/// One attention a layer, in blocks that have any.
fn attentions(l: &mut Layout, place: &Place, layers: usize, c: &Common) -> error::Result<Vec<Attention>> {
    let layers = if place.kind.contains("Attn") { layers } else { 0 };
    let name = |i| format!("{}.attentions.{i}", place.at);
    (0..layers).map(|i| Attention::new(l, &name(i), place.output, c.groups, 1.0, c)).collect()
}
