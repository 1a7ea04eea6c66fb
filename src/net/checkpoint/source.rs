//! Which files make up a checkpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{hub, read_text};
use crate::error::{BadInput, Result};

/// Where diffusers puts weights.
pub(super) const WEIGHTS: &str = "diffusion_pytorch_model.safetensors";

/// Endings of files that are pickles, which run code when they are opened.
const PICKLES: [&str; 6] = [".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"];

/// The files of a checkpoint.
#[derive(Debug)]
pub(super) struct Files {
    pub config: PathBuf,
    pub scheduler: Option<PathBuf>,
    pub weights: Vec<PathBuf>,
}

/// Of a folder or a repository.
pub(super) fn find(source: &str) -> Result<Files> {
    let path = Path::new(source);
    if path.is_dir() {
        return in_folder(path);
    }
    if path.exists() {
        let why = match is_pickle(source) {
            true => "is a pickle, which can run any code when opened, and is not read",
            false => "is a file",
        };
        return Err(BadInput::new(
            "checkpoint",
            source,
            why,
            "give the folder with config.json and the weights",
        ));
    }
    match hub::Repository::parse(source) {
        Some(repository) => hub::find(&repository),
        None => {
            let why = "is no folder here, nor the id of a repository (owner/name)";
            Err(BadInput::new("checkpoint", source, why, "check the path"))
        }
    }
}

/// Of a folder in which all of them must be.
pub(super) fn in_folder(folder: &Path) -> Result<Files> {
    let mut names = BTreeSet::new();
    for part in ["", "unet", "scheduler"] {
        let Ok(entries) = folder.join(part).read_dir() else { continue };
        let entries = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.extend(entries.map(|name| if part.is_empty() { name } else { format!("{part}/{name}") }));
    }
    let choice = choose(&names).map_err(|e| e.file(folder))?;
    choice.resolve(|name| Ok(folder.join(name)))
}

/// The files to read, by their names in the checkpoint.
pub(super) struct Choice {
    config: String,
    scheduler: Option<String>,
    weights: String,
}

/// Chooses among the `names` of a checkpoint's files: parts in their own folders before those at the root.
pub(super) fn choose(names: &BTreeSet<String>) -> Result<Choice> {
    let first = |options: [&str; 2]| options.into_iter().find(|name| names.contains(*name)).map(String::from);
    let Some(config) = first(["unet/config.json", "config.json"]) else {
        let fix = "give a folder as diffusers saves a UNet2DModel or a pipeline with one in unet/";
        return Err(BadInput::about("config.json", "is missing, here and in unet/", fix));
    };
    let within = config.strip_suffix("config.json").unwrap_or_default();
    let index = format!("{within}{WEIGHTS}.index.json");
    // Variants: diffusion_pytorch_model.fp16.safetensors, or in pieces by diffusion_pytorch_model.safetensors.index.fp16.json.
    let variant = |name: &&String| {
        let name = name.strip_prefix(within).unwrap_or_default();
        name.starts_with("diffusion_pytorch_model.")
            && (name.ends_with(".safetensors") || (name.starts_with(WEIGHTS) && name.ends_with(".json")))
    };
    let weights = [format!("{within}{WEIGHTS}"), index].into_iter().find(|name| names.contains(name));
    let Some(weights) = weights.or_else(|| names.iter().find(variant).cloned()) else {
        return Err(without_weights(names, within));
    };
    Ok(Choice {
        scheduler: first(["scheduler/scheduler_config.json", "scheduler_config.json"]),
        config,
        weights,
    })
}

/// Why there are no weights to read.
fn without_weights(names: &BTreeSet<String>, within: &str) -> BadInput {
    let beside = |name: &&String| name.strip_prefix(within).is_some_and(|rest| !rest.contains('/'));
    match names.iter().filter(beside).find(|name| is_pickle(name)) {
        Some(pickle) => {
            let why = "is a pickle, which can run any code when opened, and is not read";
            let fix = "convert it where you trust it: UNet2DModel.from_pretrained(.., use_safetensors=False)\
                       .save_pretrained(..) in diffusers";
            BadInput::about(pickle, why, fix)
        }
        None => BadInput::about(&format!("{within}{WEIGHTS}"), "is missing", "give a folder that holds it"),
    }
}

fn is_pickle(name: &str) -> bool {
    PICKLES.iter().any(|ending| name.to_lowercase().ends_with(ending))
}

impl Choice {
    /// The files, each brought here by `get` from its name in the checkpoint.
    pub fn resolve(self, get: impl Fn(&str) -> Result<PathBuf>) -> Result<Files> {
        let config = get(&self.config)?;
        let scheduler = self.scheduler.map(|name| get(&name)).transpose()?;
        let weights = if self.weights.ends_with(".json") {
            let index = get(&self.weights)?;
            let within =
                self.weights.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
            let pieces = pieces(&index)?;
            pieces.iter().map(|piece| get(&format!("{within}{piece}"))).collect::<Result<_>>()?
        } else {
            vec![get(&self.weights)?]
        };
        Ok(Files { config, scheduler, weights })
    }
}

/// Names of the files that an index spreads the weights over.
fn pieces(index: &Path) -> Result<BTreeSet<String>> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let refused = |why: String| BadInput::about("weight_map", why, "save the checkpoint again").file(index);
    let read: Index =
        serde_json::from_str(&read_text(index)?).map_err(|e| refused(format!("cannot be read: {e}")))?;
    let pieces: BTreeSet<String> = read.weight_map.into_values().collect();
    match pieces.iter().find(|piece| piece.contains(['/', '\\']) || !piece.ends_with(".safetensors")) {
        Some(bad) => Err(refused(format!("names {bad:?}, which is no safetensors file beside it"))),
        None => Ok(pieces),
    }
}
