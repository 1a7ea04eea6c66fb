//! Tensors between files and a network: all that is wrong with them is said at once.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use super::super::unet::Config;
use crate::error::{BadInput, Result};

/// Names of attention's weights before and after diffusers renamed them; checkpoints of 2022 have the former.
const RENAMED: [(&str, &str); 4] =
    [(".query.", ".to_q."), (".key.", ".to_k."), (".value.", ".to_v."), (".proj_attn.", ".to_out.0.")];

/// The weights of `config` from `files`, in `dtype` on `device`; what is stored goes into `hasher`.
pub(super) fn read(
    files: &[PathBuf],
    config: &Config,
    device: &Device,
    dtype: DType,
    hasher: &mut blake3::Hasher,
) -> Result<BTreeMap<String, Tensor>> {
    let contents = files.iter().map(|path| Ok((path, read_whole(path)?))).collect::<Result<Vec<_>>>()?;
    let mut views = BTreeMap::new();
    for (path, bytes) in &contents {
        let broken = |e| {
            BadInput::about("", format!("is no safetensors file: {e}"), "fetch or save it again").file(path)
        };
        views.extend(SafeTensors::deserialize(bytes).map_err(broken)?.tensors().into_iter().map(renamed));
    }
    let first = files.first().map_or(Path::new(""), PathBuf::as_path);
    let refused = |why: String, fix| BadInput::about("weights", why, fix).file(first);
    let wanted: BTreeMap<String, Vec<usize>> = config.tensors()?.into_iter().collect();
    let wrong = compare(&wanted, &views);
    if !wrong.is_empty() {
        let why = format!("do not fit config.json: {}", wrong.join(", "));
        return Err(refused(why, "check that both are of one checkpoint"));
    }
    let (mut weights, mut wild) = (BTreeMap::new(), Vec::new());
    for (name, view) in views {
        let shape: Vec<u64> = view.shape().iter().map(|&n| n as u64).collect();
        let header = format!("{name}\0{:?}\0{shape:?}\0", view.dtype());
        hasher.update(header.as_bytes()).update(view.data());
        let host = tensor(&view, dtype).map_err(|e| refused(format!("{name}: {e}"), ""))?;
        wild.extend(not_finite(&name, &host).map_err(|e| refused(format!("{name}: {e}"), ""))?);
        let placed =
            host.to_device(device).map_err(|e| refused(format!("do not go to the device: {e}"), ""))?;
        weights.insert(name, placed);
    }
    if !wild.is_empty() {
        let why = format!("are not finite as {}: {}", dtype.as_str(), wild.join(", "));
        return Err(refused(why, "train or convert it again, or ask for f32"));
    }
    Ok(weights)
}

/// The content of a safetensors file with the weights of `config`.
pub(super) fn to_bytes(config: &Config, weights: &BTreeMap<String, Tensor>) -> Result<Vec<u8>> {
    let refused = |why: String| BadInput::about("weights", why, "give the weights of this configuration");
    let (mut wrong, mut parts) = (Vec::new(), Vec::new());
    for (name, shape) in config.tensors()? {
        let Some(tensor) = weights.get(&name) else {
            wrong.push(format!("{name} {shape:?} is missing"));
            continue;
        };
        if tensor.dims() != shape {
            wrong.push(format!("{name} is {:?} and should be {shape:?}", tensor.dims()));
            continue;
        }
        let host = tensor.to_device(&Device::Cpu).map_err(|e| refused(format!("{name}: {e}")))?;
        wrong.extend(not_finite(&name, &host).map_err(|e| refused(format!("{name}: {e}")))?);
        let (dtype, data) = bytes(&host).map_err(|e| refused(format!("{name}: {e}")))?;
        parts.push((name, dtype, shape, data));
    }
    if !wrong.is_empty() {
        return Err(refused(format!("cannot be saved: {}", wrong.join(", "))));
    }
    let views = parts
        .iter()
        .map(|(name, dtype, shape, data)| Ok((name, TensorView::new(*dtype, shape.clone(), data)?)));
    // Readers of the format's torch flavour look for this mark.
    let mark = [("format".to_string(), "pt".to_string())].into();
    views
        .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
        .and_then(|views| serialize(views, Some(mark)))
        .map_err(|e| refused(format!("cannot be saved: {e}")))
}

fn read_whole(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| BadInput::about("", format!("cannot be read: {e}"), "").file(path))
}

/// A tensor by its present name.
fn renamed<T>((name, tensor): (String, T)) -> (String, T) {
    let attention = name.contains(".attentions.");
    let old = RENAMED.iter().find(|(old, _)| attention && name.contains(old));
    let name = old.map_or(name.clone(), |(old, new)| name.replace(old, new));
    (name, tensor)
}

/// Everything in which the tensors found differ from those wanted.
fn compare(wanted: &BTreeMap<String, Vec<usize>>, found: &BTreeMap<String, TensorView>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, shape) in wanted {
        match found.get(name) {
            None => wrong.push(format!("{name} {shape:?} is missing")),
            Some(view) if view.shape() != &shape[..] => {
                wrong.push(format!("{name} is {:?} and should be {shape:?}", view.shape()));
            }
            Some(view) if float(view.dtype()).is_none() => {
                wrong.push(format!("{name} holds {:?}", view.dtype()))
            }
            Some(_) => {}
        }
    }
    let extra = found.iter().filter(|(name, _)| !wanted.contains_key(*name));
    wrong.extend(extra.map(|(name, view)| format!("{name} {:?} is of no layer", view.shape())));
    wrong
}

/// candle's name of a type of the format, if weights may have it.
fn float(dtype: Dtype) -> Option<DType> {
    match dtype {
        Dtype::F16 => Some(DType::F16),
        Dtype::BF16 => Some(DType::BF16),
        Dtype::F32 => Some(DType::F32),
        Dtype::F64 => Some(DType::F64),
        _ => None,
    }
}

/// A stored tensor, in `dtype` on the host.
fn tensor(view: &TensorView, dtype: DType) -> candle_core::Result<Tensor> {
    let stored = float(view.dtype()).unwrap_or(DType::F32);
    Tensor::from_raw_buffer(view.data(), stored, view.shape(), &Device::Cpu)?.to_dtype(dtype)
}

/// `name` and how many values of a tensor on the host are NaN or infinite, if any are.
fn not_finite(name: &str, host: &Tensor) -> candle_core::Result<Option<String>> {
    let count = |bad: usize| (bad > 0).then(|| format!("{name} ({bad} of {} values)", host.elem_count()));
    let flat = host.flatten_all()?;
    Ok(count(match host.dtype() {
        DType::F64 => flat.to_vec1::<f64>()?.iter().filter(|v| !v.is_finite()).count(),
        _ => flat.to_dtype(DType::F32)?.to_vec1::<f32>()?.iter().filter(|v| !v.is_finite()).count(),
    }))
}

/// The values of a tensor on the host as the format stores them.
fn bytes(host: &Tensor) -> candle_core::Result<(Dtype, Vec<u8>)> {
    let flat = host.flatten_all()?;
    Ok(match host.dtype() {
        DType::F64 => (Dtype::F64, flat.to_vec1::<f64>()?.iter().flat_map(|v| v.to_le_bytes()).collect()),
        DType::F16 => {
            (Dtype::F16, flat.to_vec1::<half::f16>()?.iter().flat_map(|v| v.to_le_bytes()).collect())
        }
        DType::BF16 => {
            (Dtype::BF16, flat.to_vec1::<half::bf16>()?.iter().flat_map(|v| v.to_le_bytes()).collect())
        }
        _ => (
            Dtype::F32,
            flat.to_dtype(DType::F32)?.to_vec1::<f32>()?.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ),
    })
}
