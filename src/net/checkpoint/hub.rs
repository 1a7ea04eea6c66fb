//! Repositories of the Hugging Face hub: in its cache on this machine, and fetched into it where that is wanted.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::source::{Files, in_folder};
use crate::error::{BadInput, Result};

/// `owner/name`, or `owner/name@revision`.
pub(super) struct Repository {
    id: String,
    revision: String,
}

impl Repository {
    /// What such an id says, if it is one.
    pub fn parse(source: &str) -> Option<Self> {
        let (id, revision) = source.split_once('@').unwrap_or((source, "main"));
        let (owner, name) = id.split_once('/')?;
        let word = |s: &str| {
            !s.is_empty()
                && !s.starts_with('.')
                && s.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        let known = word(owner) && word(name) && revision.split('/').all(word);
        known.then(|| Repository { id: id.into(), revision: revision.into() })
    }
}

/// Its files: those in the cache if they are complete, else fetched.
pub(super) fn find(repository: &Repository) -> Result<Files> {
    let Some(cache) = cache() else {
        let fix = "set HF_HOME to the folder of the Hugging Face cache, or give the checkpoint's own folder";
        return Err(BadInput::new(
            "checkpoint",
            &repository.id,
            "cannot be looked for: HOME is not set",
            fix,
        ));
    };
    let cached = match snapshot(&cache, repository) {
        Some(folder) => in_folder(&folder),
        None => Err(absent(repository, &cache)),
    };
    match cached {
        Ok(files) => Ok(files),
        Err(e) if offline() => Err(e),
        Err(e) => fetch(repository, &cache, e),
    }
}

/// Where the hub's clients keep what they fetch.
fn cache() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("HF_HUB_CACHE")
        .or_else(|| set("HUGGINGFACE_HUB_CACHE"))
        .or_else(|| Some(set("HF_HOME")?.join("hub")))
        .or_else(|| Some(set("XDG_CACHE_HOME")?.join("huggingface/hub")))
        .or_else(|| Some(env::home_dir()?.join(".cache/huggingface/hub")))
}

/// The folder of the wanted revision, if it is there: `models--owner--name/snapshots/COMMIT`.
fn snapshot(cache: &Path, repository: &Repository) -> Option<PathBuf> {
    let folder = cache.join(format!("models--{}", repository.id.replace('/', "--")));
    let commit = fs::read_to_string(folder.join("refs").join(&repository.revision));
    let commit = commit.unwrap_or_else(|_| repository.revision.clone());
    let snapshot = folder.join("snapshots").join(commit.trim());
    snapshot.is_dir().then_some(snapshot)
}

fn offline() -> bool {
    !cfg!(feature = "hub")
        || env::var("HF_HUB_OFFLINE").is_ok_and(|v| matches!(&*v.to_uppercase(), "1" | "ON" | "YES" | "TRUE"))
}

fn absent(repository: &Repository, cache: &Path) -> BadInput {
    let why = format!(
        "is no folder here, and {} is not in {}{}",
        repository.revision,
        cache.display(),
        if cfg!(feature = "hub") { "" } else { "; this build (without the feature `hub`) fetches nothing" }
    );
    let fix = "download it with the hub's own client (hf download ID) or give its folder";
    BadInput::new("checkpoint", &repository.id, why, fix)
}

#[cfg(not(feature = "hub"))]
fn fetch(_: &Repository, _: &Path, cached: BadInput) -> Result<Files> {
    Err(cached)
}

#[cfg(feature = "hub")]
fn fetch(repository: &Repository, cache: &Path, cached: BadInput) -> Result<Files> {
    use hf_hub::api::sync::ApiBuilder;
    use hf_hub::{Repo, RepoType};

    let failed = |e| {
        let why = format!("cannot be fetched: {e} (and in the cache: {cached})");
        let fix = "check the id and the network, or give a folder";
        BadInput::new("checkpoint", &repository.id, why, fix)
    };
    let api = ApiBuilder::from_env().with_cache_dir(cache.to_path_buf()).build().map_err(failed)?;
    let wanted = Repo::with_revision(repository.id.clone(), RepoType::Model, repository.revision.clone());
    let remote = api.repo(wanted);
    let names = remote.info().map_err(failed)?.siblings.into_iter().map(|file| file.rfilename).collect();
    let choice = super::source::choose(&names).map_err(|e| e.within(&repository.id))?;
    choice.resolve(|name| remote.get(name).map_err(failed))
}
