//! The weights of a network as variables, and all in one row.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Result, Tensor, Var};
use rand::RngExt;
use rand_distr::StandardNormal;

use super::set::Draw;

/// Variables by the names and in the order of [`Config::tensors`](crate::net::unet::Config::tensors).
#[derive(Debug)]
pub struct Parameters(Vec<(String, Var)>);

impl Parameters {
    /// Zeros, on a device.
    ///
    /// # Errors
    /// The device's own.
    pub fn new(layout: &[(String, Vec<usize>)], device: &Device) -> Result<Self> {
        let var = |(name, shape): &(String, Vec<usize>)| {
            Ok((name.clone(), Var::zeros(&shape[..], DType::F32, device)?))
        };
        layout.iter().map(var).collect::<Result<_>>().map(Parameters)
    }

    /// Numbers in all of them.
    pub fn count(&self) -> usize {
        self.0.iter().map(|(_, var)| var.elem_count()).sum()
    }

    /// As a network takes them.
    pub fn by_name(&self) -> BTreeMap<String, Tensor> {
        self.0.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect()
    }

    /// Sets all of them.
    ///
    /// # Errors
    /// The device's own.
    pub fn set(&self, row: &Tensor) -> Result<()> {
        self.parts(row)?.iter().zip(&self.0).try_for_each(|(part, (_, var))| var.set(part))
    }

    /// A row taken apart, by name.
    ///
    /// # Errors
    /// The device's own.
    pub fn named(&self, row: &Tensor) -> Result<BTreeMap<String, Tensor>> {
        Ok(self.0.iter().map(|(name, _)| name.clone()).zip(self.parts(row)?).collect())
    }

    fn parts(&self, row: &Tensor) -> Result<Vec<Tensor>> {
        let mut start = 0;
        let part = |(_, var): &(String, Var)| {
            let part = row.narrow(0, start, var.elem_count())?.reshape(var.shape());
            start += var.elem_count();
            part
        };
        self.0.iter().map(part).collect()
    }

    /// Gradients as one row; what the loss does not depend on has none.
    ///
    /// # Errors
    /// The device's own.
    pub fn row(&self, gradients: &GradStore) -> Result<Tensor> {
        let flat = |(_, var): &(String, Var)| match gradients.get(var.as_tensor()) {
            Some(gradient) => gradient.flatten_all(),
            None => var.zeros_like()?.flatten_all(),
        };
        Tensor::cat(&self.0.iter().map(flat).collect::<Result<Vec<_>>>()?, 0)
    }
}

/// Initial weights in one row: PyTorch's own (uniform within `1/sqrt(inputs)` for convolutions and linear maps and their biases,
/// normal for embeddings), but nothing where a residual layer, attention or the network returns (Ho et al. 2020, B).
pub fn initial(layout: &[(String, Vec<usize>)], draw: &Draw) -> Vec<f32> {
    let mut row = Vec::new();
    let mut bound = 0.0;
    for (i, (name, shape)) in layout.iter().enumerate() {
        let mut generator = draw.weights(i as u64);
        let count = shape.iter().product();
        let last = ["conv2.", "to_out.0.", "conv_out."].iter().any(|part| name.contains(part));
        if name.ends_with(".weight") {
            // Norms have one number a channel, whose bias is nothing.
            bound = if shape.len() > 1 {
                1.0 / (shape[1..].iter().product::<usize>() as f64).sqrt()
            } else {
                0.0
            };
        }
        match (name.ends_with(".weight"), shape.len()) {
            _ if last => row.resize(row.len() + count, 0.0),
            (true, 1) => row.resize(row.len() + count, 1.0),
            _ if name == "class_embedding.weight" => {
                row.extend((0..count).map(|_| generator.sample::<f64, _>(StandardNormal) as f32));
            }
            _ => row.extend((0..count).map(|_| (bound * (2.0 * generator.random::<f64>() - 1.0)) as f32)),
        }
    }
    row
}
