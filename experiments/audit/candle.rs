//! What candle-transformers 0.11.1 makes of Gaussian data, for experiments/20-audit-packages.toml.
//!
//! To run: `cargo new x`, this as src/main.rs, `cargo add candle-core@=0.11.1 candle-transformers@=0.11.1 --no-default-features`.
//! It prints lines of packages.csv (`quantity,case,x,value`); packages.py says what they are of.

use candle_core::{Device, Result, Tensor};
use candle_transformers::models::stable_diffusion::ddim::DDIMSchedulerConfig;
use candle_transformers::models::stable_diffusion::ddpm::{
    DDPMScheduler, DDPMSchedulerConfig, DDPMVarianceType,
};
use candle_transformers::models::stable_diffusion::schedulers::{
    BetaSchedule, PredictionType, Scheduler, SchedulerConfig, TimestepSpacing,
};
use candle_transformers::models::stable_diffusion::uni_pc::{
    CorrectorConfiguration, KarrasSigmaSchedule, SigmaSchedule, SolverType, TimestepSchedule,
    UniPCSchedulerConfig,
};

const MEAN: [f64; 5] = [0.0, 1.0, -0.5, 0.0, 0.3];
const VARIANCE: [f64; 5] = [1.0, 0.25, 4.0, 1e-2, 1e-4];
/// So many that rounding a timestep to a whole number does not matter.
const TRAINING: usize = 1_000_000_000;

/// A tensor of rows of five modes, in the four dimensions that uni_pc wants.
fn tensor(rows: &[Vec<f64>]) -> Result<Tensor> {
    let data: Vec<f64> = rows.concat();
    Tensor::from_vec(data, (rows.len(), 1, 1, 5), &Device::Cpu)
}

/// `alpha` and `sigma` of a timestep, as `add_noise` has them.
fn level(scheduler: &dyn Scheduler, t: usize) -> Result<(f64, f64)> {
    let (one, zero) = (Tensor::new(&[1f64], &Device::Cpu)?, Tensor::new(&[0f64], &Device::Cpu)?);
    let alpha = scheduler.add_noise(&one, zero.clone(), t)?.to_vec1::<f64>()?[0];
    let sigma = scheduler.add_noise(&zero, one, t)?.to_vec1::<f64>()?[0];
    Ok((alpha, sigma))
}

/// W2 to the exact marginal at the last level, from the exact one at the first: the map is affine, so two rows give it.
fn w2(config: &UniPCSchedulerConfig, steps: usize) -> Result<f64> {
    // A step leads from a timestep to the next; the last has none (it goes to timestep 0 again).
    let mut scheduler = config.build(steps + 1)?;
    let times = scheduler.timesteps().to_vec();
    let mut x = tensor(&[vec![0.0; 5], vec![1.0; 5]])?;
    for &t in &times[..steps] {
        let (alpha, sigma) = level(scheduler.as_ref(), t)?;
        let rows: Vec<Vec<f64>> = x
            .reshape((2, 5))?
            .to_vec2::<f64>()?
            .into_iter()
            .map(|row| {
                let d = |(x, (m, v)): (f64, (f64, f64))| {
                    m + alpha * v / (alpha * alpha * v + sigma * sigma) * (x - alpha * m)
                };
                row.into_iter().zip(MEAN.into_iter().zip(VARIANCE)).map(d).collect()
            })
            .collect();
        x = scheduler.step(&tensor(&rows)?, t, &x)?;
    }
    let rows = x.reshape((2, 5))?.to_vec2::<f64>()?;
    let ((a0, s0), (a1, s1)) =
        (level(scheduler.as_ref(), times[0])?, level(scheduler.as_ref(), times[steps])?);
    let mut square = 0.0;
    for k in 0..5 {
        let gain = rows[1][k] - rows[0][k];
        let (v0, v1) = (a0 * a0 * VARIANCE[k] + s0 * s0, a1 * a1 * VARIANCE[k] + s1 * s1);
        square += (rows[0][k] + gain * a0 * MEAN[k] - a1 * MEAN[k]).powi(2);
        square += (gain.abs() * v0.sqrt() - v1.sqrt()).powi(2);
    }
    Ok(square.sqrt())
}

fn main() -> Result<()> {
    let karras = KarrasSigmaSchedule { sigma_min: 0.01, sigma_max: 150.0, rho: 7.0 };
    for order in [1, 2, 3] {
        for corrector in [false, true] {
            let config = UniPCSchedulerConfig {
                corrector: match corrector {
                    true => CorrectorConfiguration::new([0]),
                    false => CorrectorConfiguration::Disabled,
                },
                sigma_schedule: SigmaSchedule::Karras(karras),
                timestep_schedule: TimestepSchedule::Linspace,
                solver_order: order,
                prediction_type: PredictionType::Sample,
                num_training_timesteps: TRAINING,
                solver_type: SolverType::Bh2,
                lower_order_final: false,
                ..Default::default()
            };
            for steps in [20, 40, 80, 160, 320] {
                let name = if corrector { "uni_pc" } else { "uni_pc without corrector" };
                match w2(&config, steps) {
                    Ok(w) if w.is_finite() => println!("w2,\"{name}, order {order}\",{steps},{w:e}"),
                    Ok(_) => println!("finite,\"{name}, order {order}\",{steps},0"),
                    Err(e) => eprintln!("{name} order {order} N {steps}: {e}"),
                }
            }
        }
    }
    let cosine = DDIMSchedulerConfig { beta_schedule: BetaSchedule::SquaredcosCapV2, ..Default::default() }
        .build(50)?;
    for t in [1, 500, 998, 999] {
        println!(
            "alpha bar,DDIMScheduler with SquaredcosCapV2,{t},{:e}",
            level(cosine.as_ref(), t)?.0.powi(2)
        );
        let f = |t: f64| ((t / 1000.0 + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2);
        println!("alpha bar,cosine schedule,{t},{:e}", f(t as f64 + 1.0) / f(0.0));
    }
    for n in [10, 30, 50] {
        let trailing =
            DDIMSchedulerConfig { timestep_spacing: TimestepSpacing::Trailing, ..Default::default() };
        println!("steps made,DDIMScheduler with Trailing,{n},{}", trailing.build(n)?.timesteps().len());
    }
    for (name, variance_type) in
        [("fixed large log", DDPMVarianceType::FixedLargeLog), ("fixed large", DDPMVarianceType::FixedLarge)]
    {
        let scheduler = DDPMScheduler::new(50, DDPMSchedulerConfig { variance_type, ..Default::default() })?;
        let x = Tensor::ones((1, 1, 1, 5), candle_core::DType::F64, &Device::Cpu)?;
        let out = scheduler.step(&x, scheduler.timesteps()[0], &x)?.flatten_all()?.to_vec1::<f64>()?;
        println!("finite,\"DDPMScheduler, {name}\",50,{}", u8::from(out.iter().all(|v| v.is_finite())));
    }
    Ok(())
}
