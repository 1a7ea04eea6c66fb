//! A trained network as the model of a sampler, on states of any schedule.
//!
//! A network knows one forward process. What it says of `x_t` depends on `kappa = sigma/alpha` alone once `x_t` is scaled, so it
//! serves every schedule: `x_t` is brought to the network's own scale and `kappa` to its own [`Clock`].

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;

use candle_core::{DType, Device, Result, Tensor};

use super::checkpoint::Checkpoint;
use super::clock::{Clock, Table};
use super::scheduler::{Levels, Preconditioning, Prediction, Scheduler};
use super::tensor::{Uploaded, Uploads, download, must, upload};
use super::unet::UNet2DModel;
use crate::batch::Batch;
use crate::data::images::Shape;
use crate::error::{self, BadInput};
use crate::monte_carlo::{Engine, NoRun, Solve, Start};
use crate::noise::White;
use crate::picture::View;
use crate::real::Real;
use crate::run::{Ctx, Denoiser};
use crate::schedule::{Level, Schedule};
use crate::state::{Lin, State};

/// How a network is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Images at a time.
    pub batch: usize,
    /// Whether denoised images are clipped or thresholded as the checkpoint's scheduler says. What is clipped is not smooth, and
    /// solvers lose their order on it.
    pub clip: bool,
    /// The class to draw; without one, image `i` is of class `i` modulo their number. For networks that know classes.
    pub class: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Options { batch: 16, clip: true, class: None }
    }
}

/// A checkpoint put to use.
pub struct Network {
    unet: UNet2DModel,
    /// The same weights in double precision, where somebody asked.
    exact: OnceLock<Result<UNet2DModel>>,
    weights: BTreeMap<String, Tensor>,
    scheduler: Scheduler,
    hash: String,
    clock: Clock,
    range: (f64, f64),
    shape: [usize; 3],
    options: Options,
}

impl Network {
    /// Of a checkpoint, on its device and in its type.
    ///
    /// # Errors
    /// A network that makes something else of an image than an image of that shape.
    pub fn new(checkpoint: &Checkpoint, options: Options) -> error::Result<Self> {
        let Checkpoint { config, scheduler, hash, .. } = checkpoint;
        let (clock, range) = match &scheduler.levels {
            Levels::Betas(_) => {
                let table = Table::new(&scheduler.betas().expect("a chain has betas"));
                let range = table.range();
                (Clock::Table(table), range)
            }
            Levels::Ve(min, max) => (Clock::Sigma, (*min, *max)),
            Levels::Edm(edm) => (Clock::QuarterLog, (edm.sigma_min, edm.sigma_max)),
        };
        let returned = config.in_channels * if scheduler.learned_variance { 2 } else { 1 };
        if config.out_channels != returned {
            let fix = format!("give a network that returns {returned} channels");
            return Err(BadInput::new(
                "out_channels",
                config.out_channels,
                "is no prediction of an image",
                fix,
            ));
        }
        if config.class_embed_type.as_deref() == Some("identity") {
            let why = "asks for an embedding with every image, where classes are all there is";
            return Err(BadInput::new(
                "class_embed_type",
                "identity",
                why,
                "give a network with num_class_embeds",
            ));
        }
        let Some(size) = config.sample_size else {
            let fix = "add it to config.json: the side of an image, or [height, width]";
            return Err(BadInput::about("sample_size", "is missing", fix));
        };
        let [h, w] = size.sides();
        Ok(Network {
            unet: checkpoint.model()?,
            exact: OnceLock::new(),
            weights: checkpoint.weights.clone(),
            scheduler: scheduler.clone(),
            hash: hash.clone(),
            clock,
            range,
            shape: [config.in_channels, h, w],
            options,
        })
    }

    /// Channels, height and width of an image.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// What the checkpoint was trained on.
    pub fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// The network itself.
    pub fn unet(&self) -> &UNet2DModel {
        &self.unet
    }

    /// The network in double precision.
    fn exact(&self) -> Result<&UNet2DModel> {
        if self.unet.dtype() == DType::F64 {
            return Ok(&self.unet);
        }
        let doubled = || {
            let double = |(name, w): (&String, &Tensor)| Ok((name.clone(), w.to_dtype(DType::F64)?));
            let weights = self.weights.iter().map(double).collect::<Result<_>>()?;
            UNet2DModel::new(self.unet.config(), &weights).map_err(candle_core::Error::wrap)
        };
        self.exact.get_or_init(doubled).as_ref().map_err(|e| candle_core::Error::Msg(e.to_string()))
    }

    /// What one of its networks predicts of images (n, c h w), numbered from `first`, in their own type.
    fn output(&self, unet: &UNet2DModel, x: &Tensor, at: &Level, first: u64) -> Result<Tensor> {
        let (n, [c, h, w]) = (x.dim(0)?, self.shape);
        let input = (x * self.own_scale(at))?.reshape((n, c, h, w))?;
        // Doubles, or the time embedding would be rough at the fifth digit.
        let times = Tensor::full(self.clock.time(at.kappa()), n, x.device())?;
        let labels = self.labels(first, n, x.device())?;
        let out = unet.forward(&input, &times, labels.as_ref())?;
        let out = if self.scheduler.learned_variance { out.narrow(1, 0, c)? } else { out };
        out.contiguous()?.reshape(x.shape())
    }

    /// What an image of a level is multiplied by to be the network's input.
    fn own_scale(&self, at: &Level) -> f64 {
        match self.preconditioning(at) {
            Some(Preconditioning { c_in, .. }) => c_in / at.alpha,
            None => match self.scheduler.levels {
                Levels::Ve(..) => 1.0 / at.alpha,
                _ => 1.0 / at.alpha.hypot(at.sigma),
            },
        }
    }

    fn preconditioning(&self, at: &Level) -> Option<Preconditioning> {
        self.scheduler.preconditioning(at.kappa())
    }

    fn labels(&self, first: u64, n: usize, device: &Device) -> Result<Option<Tensor>> {
        let config = self.unet.config();
        let classes = match (&config.class_embed_type, config.num_class_embeds) {
            (Some(_), classes) => classes.unwrap_or(self.scheduler.num_train_timesteps),
            (None, Some(classes)) => classes,
            (None, None) => return Ok(None),
        };
        let class = |i: u64| self.options.class.unwrap_or((i % classes as u64) as u32);
        let labels: Vec<u32> = (first..first + n as u64).map(class).collect();
        Tensor::from_vec(labels, n, device).map(Some)
    }

    /// `d` and `eps` at a level, each as coefficients of the image and of the network's output.
    fn forms(&self, at: &Level) -> [(f64, f64); 2] {
        let (a, s) = (at.alpha, at.sigma);
        let r = a.hypot(s);
        if let Some(Preconditioning { c_skip, c_out, c_in, .. }) = self.preconditioning(at) {
            // 1 - c_skip = (kappa c_in)^2.
            return [(c_skip / a, c_out), ((at.kappa() * c_in).powi(2) / s, -c_out * a / s)];
        }
        match self.scheduler.prediction_type {
            Prediction::Epsilon => [(1.0 / a, -s / a), (0.0, 1.0)],
            Prediction::Sample => [(0.0, 1.0), (1.0 / s, -a / s)],
            // x/r = (a d + s eps)/r and v = (a eps - s d)/r (Salimans & Ho 2022, appendix D).
            Prediction::VPrediction => [(a / (r * r), -s / r), (s / (r * r), a / r)],
            // Of x/alpha, whose noise is kappa.
            Prediction::Score => [(1.0 / a, (s / a).powi(2)), (0.0, -s / a)],
        }
    }

    /// A denoised image as the checkpoint's scheduler bounds it; none if it does not, or is not asked to.
    fn clipped(&self, d: &Tensor) -> Result<Option<Tensor>> {
        let Scheduler { clip_sample_range: bound, thresholding, .. } = self.scheduler;
        match (self.clips(), thresholding) {
            (false, _) => Ok(None),
            (true, true) => self.thresholded(d).map(Some),
            (true, false) => d.clamp(-bound, bound).map(Some),
        }
    }

    fn clips(&self) -> bool {
        self.options.clip && (self.scheduler.clip_sample || self.scheduler.thresholding)
    }

    /// Clipped to `s` and divided by it, `s` a quantile of the image's own magnitudes, but from 1 to a bound (Saharia et al.
    /// 2022, 2.3).
    fn thresholded(&self, d: &Tensor) -> Result<Tensor> {
        let Scheduler { dynamic_thresholding_ratio: ratio, sample_max_value: most, .. } = self.scheduler;
        let n = d.dim(0)?;
        let rows = d.abs()?.reshape((n, ()))?.to_dtype(DType::F64)?.to_device(&Device::Cpu)?;
        let quantile = |mut row: Vec<f64>| {
            row.sort_by(f64::total_cmp);
            let at = ratio * (row.len() - 1) as f64;
            let (below, above) = (row[at.floor() as usize], row[at.ceil() as usize]);
            (below + at.fract() * (above - below)).clamp(1.0, most.max(1.0))
        };
        let s: Vec<f64> = rows.to_vec2::<f64>()?.into_iter().map(quantile).collect();
        let shape: Vec<usize> = std::iter::once(n).chain(d.dims()[1..].iter().map(|_| 1)).collect();
        let s = Tensor::from_vec(s, shape, d.device())?.to_dtype(d.dtype())?.broadcast_as(d.shape())?;
        d.minimum(&s)?.maximum(&s.neg()?)?.div(&s)
    }

    /// Whatever runs out of memory says which batch to try.
    fn explain(&self, error: &candle_core::Error) -> NoRun {
        let said = error.to_string();
        let batch = self.options.batch;
        if said.to_lowercase().replace('_', " ").contains("out of memory") {
            let half = (batch / 2).max(1);
            return NoRun::Device(format!(
                "the device has not enough memory for batches of {batch} images; try batch = {half}"
            ));
        }
        NoRun::Device(format!("the device failed: {said}"))
    }

    /// What thrown errors of a device become.
    fn caught<T>(&self, run: impl FnOnce() -> T) -> std::result::Result<T, NoRun> {
        std::panic::catch_unwind(AssertUnwindSafe(run)).map_err(|thrown| {
            match thrown.downcast::<candle_core::Error>() {
                Ok(error) => self.explain(&error),
                Err(other) => std::panic::resume_unwind(other),
            }
        })
    }

    fn run_as<R: Uploaded>(
        &self,
        start: &Batch<R>,
        noise: White,
        schedule: &Schedule,
        solve: &mut Solve,
    ) -> Vec<f64> {
        let device = self.unet.device();
        let x = must(upload(start, device));
        let mut noise = Uploads::new(noise, start, device);
        let model = Images { network: self, unet: &self.unet, first: start.first() };
        let mut cx = Ctx::new(&model, &mut noise, schedule);
        let out = cx.with_any(State(x), solve);
        let out: State<Tensor> = crate::state::Space::from_any(out);
        must(download::<R>(&out.0, start.first())).to_rows().into_iter().map(Real::to_f64).collect()
    }
}

/// Images numbered from `first`, as a network sees them.
struct Images<'a> {
    network: &'a Network,
    unet: &'a UNet2DModel,
    first: u64,
}

impl Images<'_> {
    fn form(&self, x: &State<Tensor>, at: &Level, which: usize) -> State<Tensor> {
        let out = State(must(self.network.output(self.unet, &x.0, at, self.first)));
        let (of_x, of_out) = self.network.forms(at)[which];
        match of_x {
            0.0 => (of_out * &out).eval(),
            _ => Lin::sum([(of_x, x), (of_out, &out)]).eval(),
        }
    }
}

impl Denoiser<Tensor> for Images<'_> {
    fn denoise(&self, x: &State<Tensor>, at: &Level) -> State<Tensor> {
        let d = self.form(x, at, 0);
        must(self.network.clipped(&d.0)).map_or(d, State)
    }

    fn eps(&self, x: &State<Tensor>, at: &Level) -> State<Tensor> {
        if self.network.clips() {
            let d = self.denoise(x, at);
            return ((x - at.alpha * &d) / at.sigma).eval();
        }
        self.form(x, at, 1)
    }
}

/// On host batches, in double precision throughout: what the network would say if it did not round.
impl Denoiser<Batch<f64>> for Network {
    fn denoise(&self, x: &State<Batch<f64>>, at: &Level) -> State<Batch<f64>> {
        self.on_host(x, |model, x| model.denoise(x, at))
    }

    fn eps(&self, x: &State<Batch<f64>>, at: &Level) -> State<Batch<f64>> {
        self.on_host(x, |model, x| model.eps(x, at))
    }
}

impl Network {
    fn on_host(
        &self,
        x: &State<Batch<f64>>,
        ask: impl FnOnce(&Images, &State<Tensor>) -> State<Tensor>,
    ) -> State<Batch<f64>> {
        let first = x.0.first();
        let here = State(must(upload(&x.0, self.unet.device())));
        let images = Images { network: self, unet: must(self.exact()), first };
        State(must(download(&ask(&images, &here).0, first)))
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Network({})", self.hash)
    }
}

impl Engine for Network {
    fn bytes(&self) -> Vec<u8> {
        let Options { clip, class, batch: _ } = self.options;
        format!("{} {:?} {clip} {class:?}", self.hash, self.unet.dtype()).into_bytes()
    }

    fn range(&self) -> (f64, f64) {
        self.range
    }

    fn schedule(&self) -> Option<Schedule> {
        match &self.scheduler.levels {
            Levels::Betas(betas) => {
                betas.table(self.scheduler.num_train_timesteps).map(Schedule::DdpmDiscrete)
            }
            Levels::Ve(sigma_min, sigma_max) => {
                Some(Schedule::Ve { sigma_min: *sigma_min, sigma_max: *sigma_max })
            }
            Levels::Edm(_) => Some(Schedule::Edm {}),
        }
    }

    fn view(&self) -> Option<View> {
        let [channels, height, width] = self.shape;
        // score_sde's VE models are trained on images from 0 to 1.
        let range = if let Levels::Ve(..) = self.scheduler.levels { (0.0, 1.0) } else { (-1.0, 1.0) };
        Some(View { shape: Shape { channels, height, width }, range })
    }

    fn batch(&self) -> usize {
        self.options.batch
    }

    fn concurrent(&self) -> bool {
        self.unet.device().is_cpu()
    }

    fn run(
        &self,
        start: Start,
        noise: White,
        schedule: &Schedule,
        solve: &mut Solve,
    ) -> std::result::Result<Vec<f64>, NoRun> {
        self.caught(|| match &start {
            Start::F32(start) => self.run_as(start, noise, schedule, solve),
            Start::F64(start) => self.run_as(start, noise, schedule, solve),
        })
    }

    fn tolerance(&self) -> f64 {
        1e-9
    }

    fn guarded(&self, run: &mut dyn FnMut()) -> std::result::Result<(), NoRun> {
        self.caught(run)
    }
}
