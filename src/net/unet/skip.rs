//! The blocks of NCSN++ (Song et al. 2021, H.1): the image itself enters at every size on the way down, and is summed up at
//! every size on the way up; sums are divided by sqrt(2), sizes change by a FIR filter.

use std::f64::consts::SQRT_2;

use candle_core::{Result, Tensor};

use super::blocks::{Place, join, joined};
use super::config::Config;
use super::layers::{Activation, Attention, Common, Conv, Layout, Norm, Resnet, Shape, Weights};
use super::resize::Resample;
use crate::error::{self, BadInput};

/// Groups of the attention's norm, whatever the configuration says.
const ATTENTION_GROUPS: usize = 32;

/// Channels of the image: diffusers has written them into these blocks.
const IMAGE: usize = 3;

/// Residual layers on the way down, and the filtered image added at half the size.
pub(super) struct SkipDown {
    attentions: Vec<Attention>,
    resnets: Vec<Resnet>,
    halve: Option<(Resnet, Conv)>,
}

/// Groups of a norm over so many channels.
fn groups(channels: usize) -> usize {
    (channels / 4).min(32)
}

fn attention(l: &mut Layout, at: &str, channels: usize, c: &Common) -> error::Result<Attention> {
    Attention::new(l, at, channels, Some(ATTENTION_GROUPS), SQRT_2, c)
}

/// The residual layer that changes the size of `channels` channels.
fn resizing(
    l: &mut Layout,
    at: &str,
    channels: usize,
    resample: Resample,
    c: &Common,
) -> error::Result<Resnet> {
    let both = Some((groups(channels), groups(channels)));
    Resnet::new(
        l,
        at,
        &Shape { channels: (channels, channels), groups: both, resample, divide_by: SQRT_2 },
        c,
    )
}

/// Refuses images that these blocks cannot take in.
fn image_channels(key: &str, channels: usize, at: &str) -> error::Result<()> {
    if channels == IMAGE {
        return Ok(());
    }
    Err(BadInput::new(
        key,
        channels,
        format!("is not the 3 that {at} asks for"),
        "use 3, or blocks without Skip",
    ))
}

impl SkipDown {
    pub fn new(l: &mut Layout, place: &Place, config: &Config, c: &Common) -> error::Result<Self> {
        let &Place { at, output, .. } = place;
        let layers = config.layers_per_block;
        let attentions = (0..if place.kind.contains("Attn") { layers } else { 0 })
            .map(|i| attention(l, &format!("{at}.attentions.{i}"), output, c))
            .collect::<error::Result<_>>()?;
        let resnets = (0..layers)
            .map(|i| {
                let input = if i == 0 { place.input } else { output };
                let own = Some((groups(input), groups(output)));
                let shape = Shape { groups: own, divide_by: SQRT_2, ..Shape::new(input, output) };
                Resnet::new(l, &format!("{at}.resnets.{i}"), &shape, c)
            })
            .collect::<error::Result<_>>()?;
        let halve = if place.last {
            None
        } else {
            image_channels("in_channels", config.in_channels, at)?;
            let resnet = resizing(l, &format!("{at}.resnet_down"), output, Resample::FirHalve, c)?;
            Some((resnet, Conv::new(l, &format!("{at}.skip_conv"), IMAGE, output, 1)))
        };
        Ok(SkipDown { attentions, resnets, halve })
    }

    pub fn forward(
        &self,
        p: Weights,
        mut x: Tensor,
        time: &Tensor,
        skips: &mut Vec<Tensor>,
        image: &mut Tensor,
    ) -> Result<Tensor> {
        for (i, resnet) in self.resnets.iter().enumerate() {
            x = resnet.forward(p, &x, time)?;
            if let Some(attention) = self.attentions.get(i) {
                x = attention.forward(p, &x)?;
            }
            skips.push(x.clone());
        }
        if let Some((resnet, conv)) = &self.halve {
            *image = Resample::FirHalve.apply(image)?;
            x = (conv.forward(p, image)? + resnet.forward(p, &x, time)?)?;
            skips.push(x.clone());
        }
        Ok(x)
    }
}

/// Residual layers on the way up, attention after the last of them, and the image drawn so far.
pub(super) struct SkipUp {
    attention: Option<Attention>,
    resnets: Vec<Resnet>,
    double: Option<(Resnet, Conv, Norm)>,
}

impl SkipUp {
    pub fn new(
        l: &mut Layout,
        place: &Place,
        beside: usize,
        config: &Config,
        c: &Common,
    ) -> error::Result<Self> {
        let &Place { at, output, .. } = place;
        let layers = config.layers_per_block + 1;
        let attends = place.kind.contains("Attn");
        let attention =
            attends.then(|| attention(l, &format!("{at}.attentions.0"), output, c)).transpose()?;
        let resnets = (0..layers)
            .map(|i| {
                let (below, side) = joined(place, beside, i, layers);
                // diffusers' own precedence: with attention only what is beside is divided by 4.
                let first = if attends { (below + side / 4).min(32) } else { groups(below + side) };
                let own = Some((first, groups(output)));
                let shape = Shape { groups: own, divide_by: SQRT_2, ..Shape::new(below + side, output) };
                Resnet::new(l, &format!("{at}.resnets.{i}"), &shape, c)
            })
            .collect::<error::Result<_>>()?;
        let double = if place.last {
            None
        } else {
            image_channels("out_channels", config.out_channels, at)?;
            let resnet = resizing(l, &format!("{at}.resnet_up"), output, Resample::FirDouble, c)?;
            let conv = Conv::new(l, &format!("{at}.skip_conv"), output, IMAGE, 3);
            Some((resnet, conv, Norm::new(l, &format!("{at}.skip_norm"), output, groups(output), c.eps)?))
        };
        Ok(SkipUp { attention, resnets, double })
    }

    pub fn forward(
        &self,
        p: Weights,
        mut x: Tensor,
        time: &Tensor,
        skips: &mut Vec<Tensor>,
        image: &mut Option<Tensor>,
    ) -> Result<Tensor> {
        for resnet in &self.resnets {
            x = resnet.forward(p, &join(x, skips)?, time)?;
        }
        if let Some(attention) = &self.attention {
            x = attention.forward(p, &x)?;
        }
        *image = image.as_ref().map(|image| Resample::FirDouble.apply(image)).transpose()?;
        if let Some((resnet, conv, norm)) = &self.double {
            let drawn = conv.forward(p, &norm.activated(p, &x, Activation::Silu)?)?;
            *image = Some(match image.take() {
                Some(image) => (image + drawn)?,
                None => drawn,
            });
            x = resnet.forward(p, &x, time)?;
        }
        Ok(x)
    }
}
