//! Where networks run, and in which type.

use candle_core::{DType, Device};
use serde::Deserialize;

use super::unet::Config;
use crate::error::{BadInput, Result};

/// The type that a network computes in, as written in an experiment. States have their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Type {
    /// 24 bits.
    #[default]
    F32,
    /// 53 bits.
    F64,
    /// 11 bits; on the processor only weights are rounded to it.
    F16,
    /// 8 bits; likewise.
    Bf16,
}

impl From<Type> for DType {
    fn from(dtype: Type) -> Self {
        match dtype {
            Type::F32 => DType::F32,
            Type::F64 => DType::F64,
            Type::F16 => DType::F16,
            Type::Bf16 => DType::BF16,
        }
    }
}

/// Opens `cpu`, `cuda` or `cuda:1`.
///
/// # Errors
/// Another name, a program without CUDA, and no such card.
pub fn open(name: &str) -> Result<Device> {
    if name == "cpu" {
        return Ok(Device::Cpu);
    }
    let number = match name.split_once(':') {
        None if name == "cuda" => Some(0),
        Some(("cuda", number)) => number.parse().ok(),
        _ => None,
    };
    let Some(number) = number else {
        return Err(BadInput::new("device", name, "is no device", "give cpu, cuda or cuda:1"));
    };
    if !cfg!(feature = "cuda") {
        let fix = "build with --features cuda, or give cpu";
        return Err(BadInput::new("device", name, "needs a program that was built with CUDA", fix));
    }
    Device::new_cuda(number).map_err(|e| {
        let fix = "`scorebench doctor` says which devices answer; or give cpu";
        BadInput::new("device", name, format!("cannot be used: {}", first_line(&e)), fix)
    })
}

/// Which devices answer, one a line: what `doctor` says.
pub fn found() -> Vec<String> {
    if !cfg!(feature = "cuda") {
        return vec!["cpu (built without CUDA)".into()];
    }
    let mut found = vec!["cpu".into()];
    for number in 0.. {
        match Device::new_cuda(number) {
            Ok(device) => found.push(format!("cuda:{number}{}", describe(&device))),
            Err(e) if number == 0 => {
                found.push(format!("cuda: no card answers ({})", first_line(&e)));
                break;
            }
            Err(_) => break,
        }
    }
    found
}

/// The card's own name.
#[cfg(feature = "cuda")]
fn describe(device: &Device) -> String {
    let name = device.as_cuda_device().ok().and_then(|d| d.cuda_stream().context().name().ok());
    name.map_or(String::new(), |name| format!(" ({name})"))
}

#[cfg(not(feature = "cuda"))]
fn describe(_: &Device) -> String {
    String::new()
}

/// Images at a time where nobody says: on the processor as many as fit its caches (threads take a batch each), on a card as
/// many as keep it busy.
pub fn batch(device: &Device, config: &Config) -> usize {
    let pixels = config.sample_size.map_or(1024, |size| size.sides().iter().product());
    let most = if device.is_cpu() { 2048 } else { 1 << 18 };
    (most / pixels).clamp(1, if device.is_cpu() { 16 } else { 256 })
}

fn first_line(e: &candle_core::Error) -> String {
    e.to_string().lines().next().unwrap_or_default().to_string()
}
