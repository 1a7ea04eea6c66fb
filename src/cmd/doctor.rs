//! `scorebench doctor`: what this program finds on this machine.

use super::{Status, print};
use crate::error::Result;
use crate::{parallel, real, results};

/// Says what this program was built with, and what it finds here
#[derive(Debug, clap::Args)]
pub(super) struct Doctor {}

impl Doctor {
    pub(super) fn go(&self) -> Result<Status> {
        let features = results::features();
        let mut lines = vec![
            ("version", format!("{} ({})", env!("CARGO_PKG_VERSION"), env!("SCOREBENCH_COMMIT"))),
            ("features", if features.is_empty() { "none".into() } else { features.join(", ") }),
            ("threads", parallel::threads().to_string()),
            ("vectors", real::vectors().into()),
        ];
        lines.extend(devices().into_iter().map(|device| ("device", device)));
        lines.iter().for_each(|(key, value)| print(&format!("{key:<9} {value}\n")));
        Ok(Status::Fine)
    }
}

#[cfg(feature = "candle")]
fn devices() -> Vec<String> {
    crate::net::device::found()
}

#[cfg(not(feature = "candle"))]
fn devices() -> Vec<String> {
    vec!["host (networks need --features candle)".into()]
}
