//! What an experiment asked and whether it was answered as expected: `summary.toml`, beside the tables.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Claim;
use crate::config;
use crate::error::{BadInput, Result};

/// The words of an experiment: everything a report says that is no number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Name of the experiment.
    #[serde(default)]
    pub name: String,
    /// What is asked.
    pub question: String,
    /// What was found, in paragraphs; may be empty.
    #[serde(default)]
    pub analysis: String,
    /// Stems of the figures beside it, in order.
    #[serde(default)]
    pub figures: Vec<String>,
    /// What was expected, and whether it is so.
    #[serde(default, rename = "expectation")]
    pub expectations: Vec<Expected>,
    /// What is claimed of its subject.
    #[serde(default, rename = "claim", skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<Claim>,
}

/// One expectation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// Whether it is met.
    pub verdict: Found,
    /// What it is, and what was found.
    pub text: String,
}

/// Whether an expectation is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Found {
    /// It is not.
    Failed,
    /// The results do not tell.
    Open,
    /// It is.
    Met,
}

impl Summary {
    /// The file's name in a result folder.
    pub const FILE: &'static str = "summary.toml";

    /// As text of the file.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("plain values")
    }

    /// The summary in a result folder; `None` where there is none (results of an older version).
    ///
    /// # Errors
    /// A file that cannot be read or is no summary.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(Self::FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(BadInput::about("", format!("cannot be read: {e}"), "").file(path)),
        };
        let bad = |e: toml::de::Error| {
            // The parser's own message goes over lines and shows the text.
            let why = format!("is no TOML: {}", e.message().replace('\n', " "));
            BadInput::about("", why, "make it anew with `scorebench run`").file(&path)
        };
        let table: toml::Table = text.parse().map_err(bad)?;
        config::read(table.into()).map(Some).map_err(|e| e.file(&path))
    }
}
