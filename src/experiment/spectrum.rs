//! A spectrum from a file: one variance a line; and where files are.

use std::path::{Path, PathBuf};

use crate::error::{BadInput, Result};

/// Reads variances from a CSV file of one column; a first line that is a word is a header.
pub(super) fn read(file: &str, folder: &Path) -> Result<Vec<f64>> {
    let path = find("spectrum", file, folder)?;
    let unreadable = |why: String, fix: &str| BadInput::new("spectrum", file, why, fix);
    let bytes = std::fs::read(&path).map_err(|e| {
        unreadable(format!("cannot be read: {e}"), "give the path of a file with one variance a line")
    })?;
    let text =
        String::from_utf8(bytes).map_err(|_| unreadable("is not UTF-8 text".into(), "give a CSV file"))?;
    let mut variances = Vec::new();
    for (i, line) in text.lines().enumerate().map(|(i, line)| (i, line.trim())) {
        let bad =
            |why: &str| unreadable(format!("line {}: {line:?} {why}", i + 1), "give one variance a line");
        match line.parse::<f64>() {
            Ok(c) if c.is_finite() && c >= 0.0 => variances.push(c),
            Ok(c) if c < 0.0 => return Err(bad("is negative")),
            Ok(_) => return Err(bad("is not finite")),
            Err(_) if line.is_empty() => {}
            Err(_) if i == 0 && line.starts_with(|c: char| c.is_alphabetic()) && !line.contains(',') => {}
            Err(_) => return Err(bad("is not a number")),
        }
    }
    if variances.is_empty() {
        return Err(unreadable("holds no variance".into(), "give one variance a line"));
    }
    Ok(variances)
}

/// Where a file or folder is: a relative path is looked for beside the experiment, then in the current folder.
pub(super) fn find(key: &str, file: &str, folder: &Path) -> Result<PathBuf> {
    if file.is_empty() {
        let fix = format!("write a path there, or add --set data.{key}=FILE.csv");
        return Err(BadInput::new(key, file, "is left for you to fill", fix).unfilled());
    }
    let beside = folder.join(file);
    Ok(if beside.exists() { beside } else { file.into() })
}
