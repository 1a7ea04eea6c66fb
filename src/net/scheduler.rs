//! What a checkpoint's `scheduler_config.json` says about its training: noise levels, and what the network predicts.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

mod betas;

pub use betas::{BetaSchedule, Betas};

use crate::error::{BadInput, Result};

/// Noise levels and prediction of a checkpoint, by the keys of diffusers 0.42's scheduler configurations.
///
/// How diffusers' class of that name would sample is kept for writing, and otherwise left aside.
#[derive(Clone, Debug, PartialEq)]
pub struct Scheduler {
    /// The class in diffusers, such as `DDPMScheduler`.
    pub class_name: String,
    /// The noise levels of training.
    pub levels: Levels,
    /// Time steps of training.
    pub num_train_timesteps: usize,
    /// What the network returns.
    pub prediction_type: Prediction,
    /// Whether predicted images are clipped to `clip_sample_range` on either side of 0; not if `thresholding`.
    pub clip_sample: bool,
    /// See `clip_sample`.
    pub clip_sample_range: f64,
    /// Whether predicted images are thresholded dynamically (Saharia et al. 2022, 2.3): clipped to s, then divided by s, the
    /// `dynamic_thresholding_ratio` quantile of each image's absolute values, but s within 1 and `sample_max_value`.
    pub thresholding: bool,
    /// See `thresholding`.
    pub dynamic_thresholding_ratio: f64,
    /// See `thresholding`.
    pub sample_max_value: f64,
    /// Whether the network returns twice the channels, the second half being for a variance (Nichol & Dhariwal 2021).
    pub learned_variance: bool,
    /// Whether the checkpoint said nothing, and these are the defaults of diffusers' `DDPMScheduler`.
    pub assumed: bool,
    /// Other keys, of the class's way to sample; written back as they are.
    pub rest: Map<String, Value>,
}

/// Noise levels of training.
#[derive(Clone, Debug, PartialEq)]
pub enum Levels {
    /// A variance-preserving chain (Ho et al. 2020); the network is fed the number of the step, from 0.
    Betas(Betas),
    /// Variance-exploding (Song et al. 2021): sigma from the first to the second; the network is fed sigma.
    Ve(f64, f64),
    /// Preconditioned (Karras et al. 2022).
    Edm(Edm),
}

/// Sigma and its preconditioning (Karras et al. 2022, table 1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edm {
    /// Least sigma.
    pub sigma_min: f64,
    /// Greatest.
    pub sigma_max: f64,
    /// Standard deviation of the data.
    pub sigma_data: f64,
}

/// How a network F gives the denoised image D(x) = c_skip x + c_out F(c_in x, c_noise) (Karras et al. 2022, eq. 7).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preconditioning {
    /// Of the noisy image.
    pub c_skip: f64,
    /// Of the network's output.
    pub c_out: f64,
    /// Of its input.
    pub c_in: f64,
    /// Its time step, ln(sigma)/4.
    pub c_noise: f64,
}

/// Names of `prediction_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prediction {
    /// The noise; with [`Levels::Edm`], F of the preconditioning.
    Epsilon,
    /// The image.
    Sample,
    /// alpha eps - sigma x0 (Salimans & Ho 2022); with [`Levels::Edm`], minus F.
    VPrediction,
    /// The score; written for `ScoreSdeVeScheduler`, which has no such key.
    Score,
}

/// A class of diffusers: default betas, whether it clips (and by default), whether it thresholds.
struct Class(&'static str, (f64, f64, BetaSchedule), Option<bool>, bool);

const DDPM: (f64, f64, BetaSchedule) = (1e-4, 0.02, BetaSchedule::Linear);
const LATENT: (f64, f64, BetaSchedule) = (8.5e-4, 0.012, BetaSchedule::Linear);
const SCALED: (f64, f64, BetaSchedule) = (8.5e-4, 0.012, BetaSchedule::ScaledLinear);

/// Those with betas.
const CLASSES: [Class; 22] = [
    Class("DDPMScheduler", DDPM, Some(true), true),
    Class("DDPMParallelScheduler", DDPM, Some(true), true),
    Class("DDIMScheduler", DDPM, Some(true), true),
    Class("DDIMParallelScheduler", DDPM, Some(true), true),
    Class("DDIMInverseScheduler", DDPM, Some(true), false),
    Class("RePaintScheduler", DDPM, Some(true), false),
    Class("PNDMScheduler", DDPM, None, false),
    Class("LMSDiscreteScheduler", DDPM, None, false),
    Class("EulerDiscreteScheduler", DDPM, None, false),
    Class("EulerAncestralDiscreteScheduler", DDPM, None, false),
    Class("DEISMultistepScheduler", DDPM, None, true),
    Class("DPMSolverMultistepScheduler", DDPM, None, true),
    Class("DPMSolverMultistepInverseScheduler", DDPM, None, true),
    Class("DPMSolverSinglestepScheduler", DDPM, None, true),
    Class("SASolverScheduler", DDPM, None, true),
    Class("UniPCMultistepScheduler", DDPM, None, true),
    Class("DPMSolverSDEScheduler", LATENT, None, false),
    Class("HeunDiscreteScheduler", LATENT, Some(false), false),
    Class("KDPM2DiscreteScheduler", LATENT, None, false),
    Class("KDPM2AncestralDiscreteScheduler", LATENT, None, false),
    Class("LCMScheduler", SCALED, Some(false), true),
    Class("TCDScheduler", SCALED, Some(false), true),
];

const VE: &str = "ScoreSdeVeScheduler";
const EDM: [&str; 2] = ["EDMEulerScheduler", "EDMDPMSolverMultistepScheduler"];

impl Scheduler {
    /// Reads a `scheduler_config.json`; missing keys have the defaults of the class it names.
    ///
    /// # Errors
    /// Text that is not such an object; a class or value that is not supported, by its key.
    pub fn from_json(text: &str) -> Result<Self> {
        let object: Map<String, Value> = serde_json::from_str(text).map_err(|e| {
            BadInput::about("", format!("is not a JSON object: {e}"), "give diffusers' scheduler_config.json")
        })?;
        let mut keys = Keys(object);
        let class_name = keys.take("_class_name", Some("DDPMScheduler".to_string()))?;
        let class = CLASSES.iter().find(|class| class.0 == class_name);
        let levels = match class {
            Some(class) => Levels::Betas(Betas::read(&mut keys, class.1)?),
            None if class_name == VE => {
                Levels::Ve(keys.take("sigma_min", Some(0.01))?, keys.take("sigma_max", Some(1348.0))?)
            }
            None if EDM.contains(&&*class_name) => Levels::Edm(Edm::read(&mut keys)?),
            None => {
                let names: Vec<&str> = CLASSES.iter().map(|class| class.0).chain([VE]).chain(EDM).collect();
                let fix = format!("supported are {}", names.join(", "));
                return Err(BadInput::new("_class_name", class_name, "is not supported", fix));
            }
        };
        let ve = matches!(levels, Levels::Ve(..));
        let default_prediction = Some(if ve { Prediction::Score } else { Prediction::Epsilon });
        let scheduler = Scheduler {
            num_train_timesteps: keys.take("num_train_timesteps", Some(if ve { 2000 } else { 1000 }))?,
            prediction_type: keys.take("prediction_type", default_prediction)?,
            clip_sample: keys.take("clip_sample", Some(class.and_then(|class| class.2).unwrap_or(false)))?,
            clip_sample_range: keys.take("clip_sample_range", Some(1.0))?,
            thresholding: keys.take("thresholding", Some(false))?,
            dynamic_thresholding_ratio: keys.take("dynamic_thresholding_ratio", Some(0.995))?,
            sample_max_value: keys.take("sample_max_value", Some(1.0))?,
            learned_variance: matches!(keys.0.get("variance_type"), Some(Value::String(s)) if s.starts_with("learned")),
            assumed: false,
            rest: keys.rest(),
            class_name,
            levels,
        };
        scheduler.check()?;
        Ok(scheduler)
    }

    /// What diffusers' `DDPMScheduler` is without a configuration, marked as assumed.
    pub fn assume() -> Self {
        Scheduler {
            assumed: true,
            clip_sample: true,
            ..Self::ddpm(Betas::default(), 1000, Prediction::Epsilon)
        }
    }

    /// A chain of `num_train_timesteps` steps, without clipping.
    pub fn ddpm(betas: Betas, num_train_timesteps: usize, prediction_type: Prediction) -> Self {
        Scheduler {
            class_name: "DDPMScheduler".into(),
            levels: Levels::Betas(betas),
            num_train_timesteps,
            prediction_type,
            clip_sample: false,
            clip_sample_range: 1.0,
            thresholding: false,
            dynamic_thresholding_ratio: 0.995,
            sample_max_value: 1.0,
            learned_variance: false,
            assumed: false,
            rest: Map::new(),
        }
    }

    /// Karras et al.'s preconditioned network, `EDMEulerScheduler` in diffusers.
    pub fn edm(edm: Edm) -> Self {
        let ddpm = Self::ddpm(Betas::default(), 1000, Prediction::Epsilon);
        Scheduler { class_name: EDM[0].into(), levels: Levels::Edm(edm), ..ddpm }
    }

    /// Noise of standard deviation `sigma_min` to `sigma_max` on the image; the network returns the score.
    pub fn ve(sigma_min: f64, sigma_max: f64) -> Self {
        let ddpm = Self::ddpm(Betas::default(), 2000, Prediction::Score);
        Scheduler { class_name: VE.into(), levels: Levels::Ve(sigma_min, sigma_max), ..ddpm }
    }

    /// The betas of training, one a time step, in f64; `None` if its levels are not a chain.
    pub fn betas(&self) -> Option<Vec<f64>> {
        match &self.levels {
            Levels::Betas(betas) => Some(betas.values(self.num_train_timesteps)),
            _ => None,
        }
    }

    /// How the network's output becomes the denoised image at `sigma`; `None` unless its levels are EDM's.
    pub fn preconditioning(&self, sigma: f64) -> Option<Preconditioning> {
        let Levels::Edm(edm) = self.levels else { return None };
        let plain = edm.preconditioning(sigma);
        let sign = if self.prediction_type == Prediction::VPrediction { -1.0 } else { 1.0 };
        Some(Preconditioning { c_out: sign * plain.c_out, ..plain })
    }

    /// The text of a `scheduler_config.json` that [`Scheduler::from_json`] and diffusers read.
    pub fn to_json(&self) -> String {
        let mut object = Map::new();
        object.insert("_class_name".into(), json!(self.class_name));
        object.insert("_diffusers_version".into(), json!(super::unet::DIFFUSERS));
        object.insert("num_train_timesteps".into(), json!(self.num_train_timesteps));
        if self.prediction_type != Prediction::Score {
            object.insert("prediction_type".into(), json!(self.prediction_type));
        }
        match &self.levels {
            Levels::Betas(betas) => betas.write(&mut object),
            Levels::Ve(min, max) => {
                object.extend([("sigma_min".into(), json!(min)), ("sigma_max".into(), json!(max))])
            }
            Levels::Edm(edm) => edm.write(&mut object),
        }
        let class = CLASSES.iter().find(|class| class.0 == self.class_name);
        if class.is_some_and(|class| class.2.is_some()) || self.clip_sample {
            object.insert("clip_sample".into(), json!(self.clip_sample));
            object.insert("clip_sample_range".into(), json!(self.clip_sample_range));
        }
        if class.is_some_and(|class| class.3) || self.thresholding {
            object.insert("thresholding".into(), json!(self.thresholding));
            object.insert("dynamic_thresholding_ratio".into(), json!(self.dynamic_thresholding_ratio));
            object.insert("sample_max_value".into(), json!(self.sample_max_value));
        }
        object.extend(self.rest.clone());
        format!("{:#}\n", Value::Object(object))
    }

    fn check(&self) -> Result<()> {
        let Scheduler { num_train_timesteps: steps, rest, .. } = self;
        if *steps == 0 {
            return Err(BadInput::new(
                "num_train_timesteps",
                steps,
                "leaves no noise level",
                "give at least 1",
            ));
        }
        // Such a network is fed ln(sigma)/4 (Stable Video Diffusion), which no unconditional one is known to be.
        if rest.get("timestep_type").is_some_and(|kind| kind == "continuous") {
            return Err(BadInput::new(
                "timestep_type",
                "continuous",
                "is not supported",
                "supported is discrete",
            ));
        }
        let score = self.prediction_type == Prediction::Score;
        let fits = match &self.levels {
            Levels::Betas(betas) => {
                betas.check(*steps)?;
                !score
            }
            Levels::Ve(min, max) => {
                ordered(*min, *max)?;
                score
            }
            Levels::Edm(edm) => {
                edm.check()?;
                matches!(self.prediction_type, Prediction::Epsilon | Prediction::VPrediction)
            }
        };
        if fits {
            return Ok(());
        }
        let why = format!("is not what {} knows", self.class_name);
        Err(BadInput::new(
            "prediction_type",
            self.prediction_type,
            why,
            "supported are epsilon, sample, v_prediction",
        ))
    }
}

/// Keys yet to be read.
struct Keys(Map<String, Value>);

impl Keys {
    /// The value of `key`, or `default` where there is none.
    fn take<T: serde::de::DeserializeOwned>(&mut self, key: &str, default: Option<T>) -> Result<T> {
        match (self.0.remove(key), default) {
            (None, Some(default)) => Ok(default),
            (value, _) => serde_json::from_value(value.clone().unwrap_or_default()).map_err(|e| {
                BadInput::new(key, value, format!("cannot be read: {e}"), "see diffusers' schedulers")
            }),
        }
    }

    /// What nothing has taken; what a writer adds by itself is left out.
    fn rest(mut self) -> Map<String, Value> {
        self.0.remove("_diffusers_version");
        self.0
    }
}

impl Edm {
    /// How F becomes the denoised image at `sigma`.
    pub fn preconditioning(&self, sigma: f64) -> Preconditioning {
        let total = sigma.hypot(self.sigma_data);
        Preconditioning {
            c_skip: (self.sigma_data / total).powi(2),
            c_out: sigma * self.sigma_data / total,
            c_in: 1.0 / total,
            c_noise: sigma.ln() / 4.0,
        }
    }

    fn read(keys: &mut Keys) -> Result<Self> {
        Ok(Edm {
            sigma_min: keys.take("sigma_min", Some(0.002))?,
            sigma_max: keys.take("sigma_max", Some(80.0))?,
            sigma_data: keys.take("sigma_data", Some(0.5))?,
        })
    }

    fn write(&self, object: &mut Map<String, Value>) {
        object.extend([
            ("sigma_min".into(), json!(self.sigma_min)),
            ("sigma_max".into(), json!(self.sigma_max)),
            ("sigma_data".into(), json!(self.sigma_data)),
        ]);
    }

    fn check(&self) -> Result<()> {
        if self.sigma_data.is_nan() || self.sigma_data <= 0.0 {
            let why = "is no standard deviation of data";
            return Err(BadInput::new(
                "sigma_data",
                self.sigma_data,
                why,
                "give a positive number, such as 0.5",
            ));
        }
        ordered(self.sigma_min, self.sigma_max)
    }
}

/// Refuses a range of noise levels that is none.
fn ordered(min: f64, max: f64) -> Result<()> {
    if 0.0 < min && min < max && max.is_finite() {
        return Ok(());
    }
    Err(BadInput::new(
        "sigma_min",
        min,
        format!("and sigma_max = {max} are no range"),
        "give 0 < sigma_min < sigma_max",
    ))
}
