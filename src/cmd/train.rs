//! `scorebench train`: a network from a training file and an image set.

use std::path::PathBuf;

use super::Status;
use crate::error::Result;

#[cfg(feature = "candle")]
mod with_candle;

/// Writes a checkpoint (model_index.json, unet/, scheduler/), the loss curve, and what it takes to go on after a crash
#[derive(Debug, clap::Args)]
pub(super) struct Train {
    /// What to train on which images, in TOML
    file: PathBuf,
    /// Folder of result folders
    #[arg(long, default_value = "results")]
    out: PathBuf,
    /// Threads (all cores if not given); results do not depend on it
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Forget what an earlier run did
    #[arg(long)]
    fresh: bool,
    /// Where the network is: cpu, cuda or cuda:1
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Override a key of the file, as in --set optimiser.lr=5e-4
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Train {
    /// Networks need the feature `candle`.
    #[cfg(not(feature = "candle"))]
    pub(super) fn go(&self) -> Result<Status> {
        let why = "trains a network, which this program was built without";
        Err(crate::error::BadInput::about("train", why, "build it with --features candle"))
    }

    /// Trains, or goes on training.
    #[cfg(feature = "candle")]
    pub(super) fn go(&self) -> Result<Status> {
        with_candle::without_candles_threads();
        crate::parallel::with_threads(self.threads.map(usize::from), || self.run())?
    }
}
