//! Tensors on the CPU as slices, and back.

use candle_core::{CpuStorage, DType, Layout, Result, Storage, Tensor, WithDType, bail};

/// Runs `body` with `T` the type of the values.
macro_rules! in_precision {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            candle_core::DType::F32 => {
                type $T = f32;
                $body
            }
            candle_core::DType::F64 => {
                type $T = f64;
                $body
            }
            other => candle_core::bail!("networks on the CPU compute in f32 or f64, not in {other:?}"),
        }
    };
}
pub(super) use in_precision;

/// `f` of contiguous arguments, in f32 where they are in a precision that processors do not compute in.
pub(super) fn computed<const N: usize>(
    arguments: [&Tensor; N],
    f: impl FnOnce([&Tensor; N]) -> Result<Tensor>,
) -> Result<Tensor> {
    let dtype = arguments[0].dtype();
    let half = matches!(dtype, DType::F16 | DType::BF16);
    let ready = |t: &Tensor| if half { t.to_dtype(DType::F32)?.contiguous() } else { t.contiguous() };
    let ready = arguments.into_iter().map(ready).collect::<Result<Vec<_>>>()?;
    let y = f(std::array::from_fn(|i| &ready[i]))?;
    if half { y.to_dtype(dtype) } else { Ok(y) }
}

/// The values of a contiguous tensor.
pub(in crate::net) fn values<'a, T: WithDType>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&T::cpu_storage_as_slice(storage)?[start..end]),
        None => bail!("not contiguous: {layout:?}"),
    }
}

/// What is stored, given that it is on the CPU.
pub(in crate::net) fn on_cpu(storage: &Storage) -> Result<&CpuStorage> {
    match storage {
        Storage::Cpu(storage) => Ok(storage),
        other => bail!("an argument is on {:?}, the others on the CPU", other.device().location()),
    }
}

/// A name for the values of a contiguous tensor, for the rest of the block.
macro_rules! read {
    ($values:ident: $T:ty = $tensor:expr) => {
        let (storage, layout) = $tensor.storage_and_layout();
        let $values = super::host::values::<$T>(super::host::on_cpu(&storage)?, layout)?;
    };
}
pub(super) use read;
