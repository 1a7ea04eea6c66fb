//! A network in the place of the exact score.

use std::path::Path;

use toml::Value;

use super::super::Subject;
use crate::error::{BadInput, Result};

/// Reads `{ name = "network", checkpoint = "...", of = { ... } }`.
#[cfg(not(feature = "candle"))]
pub(super) fn read(_: Value, _: &Path) -> Result<Subject> {
    let fix = "build with --features candle";
    Err(BadInput::new("name", "network", "needs a program that was built with networks", fix))
}
