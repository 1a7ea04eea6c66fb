//! Flows kept on disk: a file a flow, named by the content that it follows from.
//!
//! Layout, all numbers little-endian: 8 bytes `SBFLOW01`, 32 bytes key, the samples one after the other as `f64`, and 32
//! bytes blake3 of everything before. What is not exactly that is computed again and written anew.

use std::path::Path;

use blake3::Hasher;

use super::{NoFlow, TOLERANCE, check, reference};
use crate::batch::Batch;
use crate::data::Data;
use crate::record::write_atomically;
use crate::schedule::Level;

const MAGIC: &[u8; 8] = b"SBFLOW01";

/// Raised whenever [`reference()`] gives other digits.
const METHOD: u32 = 1;

/// [`reference()`], from the file in `folder` that holds it; computed, and the file written, where there is none.
///
/// The key is a hash of all that the result follows from: the data's parameters, `alpha` and `sigma` of both levels, the
/// samples and their numbers, the method.
///
/// # Errors
/// See [`NoFlow`]: those of [`reference()`], and a folder that cannot be written to.
pub fn cached(
    folder: &Path,
    data: &Data,
    from: &Level,
    to: &Level,
    x: &Batch<f64>,
) -> Result<Batch<f64>, NoFlow> {
    check(data, x)?;
    cached_as(folder, &data.bytes(), from, to, x, || reference(data, from, to, x))
}

/// Another flow, which follows from `content`, both levels and the samples.
///
/// # Errors
/// Those of `compute`, and a folder that cannot be written to.
pub fn cached_as(
    folder: &Path,
    content: &[u8],
    from: &Level,
    to: &Level,
    x: &Batch<f64>,
    compute: impl FnOnce() -> Result<Batch<f64>, NoFlow>,
) -> Result<Batch<f64>, NoFlow> {
    let key = key(content, from, to, x);
    let path = folder.join(format!("{}.flow", &blake3::Hash::from(key).to_hex()[..32]));
    if let Some(rows) = std::fs::read(&path).ok().and_then(|bytes| samples(&bytes, &key))
        && rows.len() == x.len() * x.dim()
    {
        return Ok(Batch::from_rows(x.dim(), rows).numbered(x.first()));
    }
    let done = compute()?;
    let refused = |e: std::io::Error| {
        NoFlow::Storage(format!("{}: cannot be written: {e}; give a folder that can", path.display()))
    };
    std::fs::create_dir_all(folder).map_err(refused)?;
    write_atomically(&path, &file(&done, &key)).map_err(refused)?;
    Ok(done)
}

fn key(content: &[u8], from: &Level, to: &Level, x: &Batch<f64>) -> [u8; 32] {
    let mut hasher = Hasher::new();
    hasher.update(format!("flow {METHOD} {TOLERANCE:?}").as_bytes()).update(content);
    for level in [from, to] {
        hasher.update(&level.alpha.to_le_bytes()).update(&level.sigma.to_le_bytes());
    }
    for n in [x.dim() as u64, x.first(), x.len() as u64] {
        hasher.update(&n.to_le_bytes());
    }
    hasher.update(&bytes(x));
    hasher.finalize().into()
}

fn bytes(x: &Batch<f64>) -> Vec<u8> {
    x.to_rows().into_iter().flat_map(f64::to_le_bytes).collect()
}

fn file(x: &Batch<f64>, key: &[u8; 32]) -> Vec<u8> {
    let mut file = [&MAGIC[..], key, &bytes(x)].concat();
    let sum = blake3::hash(&file);
    file.extend(sum.as_bytes());
    file
}

/// The samples of a file that is whole and has this key.
fn samples(file: &[u8], key: &[u8; 32]) -> Option<Vec<f64>> {
    let (content, sum) = file.split_last_chunk::<32>()?;
    let body = content.strip_prefix(MAGIC)?.strip_prefix(key)?;
    let (numbers, []) = body.as_chunks::<8>() else { return None };
    (blake3::hash(content) == *sum).then(|| numbers.iter().map(|n| f64::from_le_bytes(*n)).collect())
}
