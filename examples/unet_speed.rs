//! How fast a U-Net runs on the CPU: forward, and forward with backward. See `benches/unet/compare.py`.
//!
//!     cargo run --release --features candle --example unet_speed -- FOLDER [--threads N] [--repeats N]
//!
//! FOLDER is a checkpoint in diffusers' layout with, beside it, `example.safetensors`: images `x`, time steps `t` and what
//! the network should make of them, `y`. Prints an object: the seconds of each repeat, and the largest difference from `y`.

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use candle_core::{DType, Device, Result, Tensor, Var};
use clap::Parser;
use scorebench::net::checkpoint::Checkpoint;
use scorebench::net::unet::UNet2DModel;
use scorebench::parallel;

#[derive(Parser)]
struct Options {
    /// A checkpoint, with `example.safetensors`.
    folder: PathBuf,
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// How often each is timed, after one that is not.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Images that a thread runs at once.
    #[arg(long, default_value_t = 8)]
    shard: usize,
    /// Time the gradient of the weights too.
    #[arg(long)]
    train: bool,
}

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let cpu = Device::Cpu;
    let folder = options.folder.display().to_string();
    let mut checkpoint = Checkpoint::open(&folder, &cpu, DType::F32)?;
    let example = candle_core::safetensors::load(options.folder.join("example.safetensors"), &cpu)?;
    let [x, t, y] = ["x", "t", "y"].map(|name| example[name].clone());

    let (model, shard) = (checkpoint.model()?, options.shard);
    let frozen = shards(&[&x, &t], shard)?;
    let forward = || parallel::map(&frozen, |part| model.forward(&part[0], &part[1], None));
    let outputs = parallel::with_threads(Some(options.threads), forward)?;
    let outputs = Tensor::cat(&outputs.into_iter().collect::<Result<Vec<_>>>()?, 0)?;
    let difference = (outputs - &y)?.abs()?.max_all()?.to_scalar::<f32>()?;
    let forward =
        seconds(options.threads, options.repeats, || forward().into_iter().try_for_each(|y| y.map(drop)))?;

    let mut training = Vec::new();
    if options.train {
        for weight in checkpoint.weights.values_mut() {
            *weight = Var::from_tensor(weight)?.into_inner();
        }
        let (model, parts) = (checkpoint.model()?, shards(&[&x, &t, &y], shard)?);
        let weights: Vec<&Tensor> = checkpoint.weights.values().collect();
        training =
            seconds(options.threads, options.repeats, || gradient(&model, &weights, &parts).map(drop))?;
    }
    println!(r#"{{"difference": {difference:e}, "forward": {forward:?}, "training": {training:?}}}"#);
    Ok(())
}

/// Tensors cut into pieces of so many images.
fn shards(tensors: &[&Tensor], size: usize) -> Result<Vec<Vec<Tensor>>> {
    let n = tensors[0].dim(0)?;
    let cut = |start: usize| tensors.iter().map(move |t| t.narrow(0, start, size.min(n - start))).collect();
    (0..n).step_by(size).map(cut).collect()
}

/// The gradient of the sum of squared differences, in the weights.
fn gradient(model: &UNet2DModel, weights: &[&Tensor], parts: &[Vec<Tensor>]) -> Result<Vec<Tensor>> {
    let parts = parallel::map(parts, |part| -> Result<Vec<Tensor>> {
        let loss = (model.forward(&part[0], &part[1], None)? - &part[2])?.sqr()?.sum_all()?;
        let gradients = loss.backward()?;
        Ok(weights.iter().map(|w| gradients.get(w).expect("every weight is used").clone()).collect())
    });
    let mut parts = parts.into_iter();
    let first = parts.next().expect("an image")?;
    parts.try_fold(first, |sum, part| sum.iter().zip(part?).map(|(a, b)| a + b).collect())
}

/// Of each of so many runs on so many threads.
fn seconds(
    threads: usize,
    repeats: usize,
    f: impl Fn() -> Result<()> + Sync,
) -> std::result::Result<Vec<f64>, Box<dyn Error>> {
    let timed = || {
        (0..repeats + 1)
            .map(|_| {
                let start = Instant::now();
                f().map(|()| start.elapsed().as_secs_f64())
            })
            .collect::<Result<Vec<_>>>()
    };
    Ok(parallel::with_threads(Some(threads), timed)??.split_off(1))
}
