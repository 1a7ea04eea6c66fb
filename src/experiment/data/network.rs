//! A network in the place of the exact score.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use toml::Value;

use super::super::Subject;
use super::{label, read_pictured, stem, take_label};
use crate::config;
use crate::data::{Data, Gaussian};
use crate::error::{BadInput, Result};
use crate::net::{checkpoint::Checkpoint, device, network::Network, network::Options};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    checkpoint: String,
    of: Option<Value>,
    #[serde(default = "cpu")]
    device: String,
    #[serde(default)]
    dtype: device::Type,
    batch: Option<usize>,
    clip: Option<bool>,
    class: Option<u32>,
}

fn cpu() -> String {
    "cpu".into()
}

/// Reads `{ name = "network", checkpoint = "...", of = { ... } }`: a checkpoint and the data that it was trained on.
pub(super) fn read(value: Value, folder: &Path) -> Result<Subject> {
    let (_, mut table) = config::split_name(value, &["network"])?;
    let given = take_label(&mut table)?;
    let raw: Raw = config::read(Value::Table(table.clone()))?;
    let device = device::open(&raw.device)?;
    let beside = folder.join(&raw.checkpoint);
    let source = if beside.exists() { beside.to_string_lossy().into_owned() } else { raw.checkpoint.clone() };
    let checkpoint = Checkpoint::open(&source, &device, raw.dtype.into())?;
    let mut options = Options { class: raw.class, ..Options::default() };
    options.clip = raw.clip.unwrap_or(options.clip);
    options.batch = raw.batch.unwrap_or(device::batch(&device, &checkpoint.config));
    if options.batch == 0 {
        return Err(BadInput::new("batch", 0, "runs nothing", "give at least 1"));
    }
    let network = Network::new(&checkpoint, options)?;
    let numbers = network.shape().iter().product();
    // Where it runs, and on what it is measured, is no matter of what it is called.
    for key in ["of", "device", "batch"] {
        table.remove(key);
    }
    table.insert("checkpoint".into(), stem(&raw.checkpoint).into());
    let law = raw.of.map(|of| read_pictured(of, folder, None)).transpose().map_err(|e| e.within("of"))?;
    let (law, images) = law.map_or((None, None), |(law, images)| (Some(law), images));
    if let Some(law) = law.as_ref().filter(|law| law.value.dim() != numbers) {
        let why = format!("has {} coordinates, and images of the network {numbers}", law.value.dim());
        return Err(BadInput::about("of", why, "give the data that it was trained on"));
    }
    let stands_in = || Ok(Data::Gaussian(Gaussian::new(vec![0.0; numbers], vec![1.0; numbers])?));
    Ok(Subject {
        label: given.unwrap_or_else(|| label("network", table)),
        images,
        lawless: law.is_none(),
        value: law.map_or_else(stands_in, |law| Ok(law.value))?,
        engine: Some(Arc::new(network)),
    })
}
