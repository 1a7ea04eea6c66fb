//! Checkpoints: a network's configuration, weights and noise levels, in the folders that diffusers reads and writes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde_json::json;

mod hub;
mod source;
mod weights;

use crate::error::{BadInput, Result};
use crate::net::scheduler::Scheduler;
use crate::net::unet::{Config, UNet2DModel};
use crate::record::put;

/// A U-Net as it lies in a folder, read whole.
pub struct Checkpoint {
    /// What the network is made of.
    pub config: Config,
    /// What it was trained on; [`Scheduler::assume`] if the checkpoint does not say.
    pub scheduler: Scheduler,
    /// Its weights, by the names of [`Config::tensors`].
    pub weights: BTreeMap<String, Tensor>,
    /// A hash of configuration, noise levels and weights as stored (names, types, shapes, values), in hexadecimal: the same
    /// however they are spread over files and whatever type they were asked for in.
    pub hash: String,
    /// The files that were read.
    pub files: Vec<PathBuf>,
}

impl Checkpoint {
    /// Reads `source`: a folder, or the id `owner/name` (or `owner/name@revision`) of a repository on the Hugging Face hub, which
    /// is looked for in its cache on this machine (`HF_HUB_CACHE`, `HF_HOME`) and, with the feature `hub` and unless
    /// `HF_HUB_OFFLINE` is set, fetched into it.
    ///
    /// A folder holds `config.json` and the weights, or `unet/` with these; the noise levels are in `scheduler_config.json` or
    /// `scheduler/`. Weights are in `diffusion_pytorch_model.safetensors`, in pieces listed by its `.index.json`, or in a variant
    /// (`diffusion_pytorch_model.fp16.safetensors`) where that is all there is. Weights come in `dtype` on `device`.
    ///
    /// # Errors
    /// A source that is not there or not complete; pickled weights (never opened); a configuration that is not supported; all
    /// tensors that are missing, extra, mis-shaped or not finite, in one error; what the device refuses.
    pub fn open(source: &str, device: &Device, dtype: DType) -> Result<Self> {
        let files = source::find(source)?;
        let config = read_text(&files.config)?;
        let config = Config::from_json(&config).map_err(|e| e.file(&files.config))?;
        let scheduler = match &files.scheduler {
            Some(path) => Scheduler::from_json(&read_text(path)?).map_err(|e| e.file(path))?,
            None => Scheduler::assume(),
        };
        let mut hasher = blake3::Hasher::new();
        for text in [config.to_json(), scheduler.to_json()] {
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        }
        let weights = weights::read(&files.weights, &config, device, dtype, &mut hasher)?;
        let hash = hasher.finalize().to_hex().to_string();
        let files = [files.config].into_iter().chain(files.scheduler).chain(files.weights).collect();
        Ok(Checkpoint { config, scheduler, weights, hash, files })
    }

    /// The network.
    ///
    /// # Errors
    /// A configuration or weights changed since they were read, so that they do not fit.
    pub fn model(&self) -> Result<UNet2DModel> {
        UNet2DModel::new(&self.config, &self.weights)
    }

    /// Writes a folder that [`Checkpoint::open`] and diffusers' `DDPMPipeline.from_pretrained` read: `model_index.json`, `unet/`,
    /// `scheduler/`. Tensors not of the configuration are left out. Each file appears whole or not at all, the weights last.
    ///
    /// # Errors
    /// Weights that are missing, mis-shaped or not finite; a folder that cannot be written.
    pub fn save(
        folder: &Path,
        config: &Config,
        scheduler: &Scheduler,
        weights: &BTreeMap<String, Tensor>,
    ) -> Result<()> {
        let bytes = weights::to_bytes(config, weights)?;
        let index = json!({
            "_class_name": "DDPMPipeline",
            "_diffusers_version": super::unet::DIFFUSERS,
            "scheduler": ["diffusers", scheduler.class_name],
            "unet": ["diffusers", "UNet2DModel"],
        });
        put(&folder.join("model_index.json"), format!("{index:#}\n").as_bytes())?;
        put(&folder.join("scheduler/scheduler_config.json"), scheduler.to_json().as_bytes())?;
        put(&folder.join("unet/config.json"), config.to_json().as_bytes())?;
        put(&folder.join("unet").join(source::WEIGHTS), &bytes)
    }
}

/// A file's text.
fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|e| BadInput::about("", format!("cannot be read: {e}"), "").file(path))
}
