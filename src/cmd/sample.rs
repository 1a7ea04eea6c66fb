//! `scorebench sample`: images from a network, or samples of a data law, with any solver.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use toml::{Table, Value};

use super::certify::from_label;
use super::{Status, print, progress, warn};
use crate::config;
use crate::data::classifier::Classifier;
use crate::data::images::Images;
use crate::error::{BadInput, Result};
use crate::experiment::{Pictures, Subject, sampler};
use crate::law::Init;
use crate::monte_carlo::{Model, NoRun, Precision, Run, Sampling};
use crate::parallel;
use crate::picture::{View, npy_header};
use crate::record::write_atomically;
use crate::schedule::{Level, Schedule};
use crate::solver::{Handle, registry};

/// Writes samples.npy, and for images grid.png (and more, as asked for).
#[derive(Debug, clap::Args)]
pub(super) struct Sample {
    /// A network: a folder that holds a checkpoint, or its id on the Hugging Face hub
    #[arg(long, required_unless_present = "data")]
    checkpoint: Option<String>,
    /// A data law instead of a network: a name such as digits, or a TOML table such as '{ name = "ring", modes = 5 }'
    #[arg(long, conflicts_with = "checkpoint")]
    data: Option<String>,
    /// The solver, such as ddim or "heun(clock=edm)"
    #[arg(long, default_value = "dpmpp-2m")]
    solver: String,
    /// Steps of the grid
    #[arg(long, default_value_t = 20)]
    steps: usize,
    /// How many samples
    #[arg(long, short = 'n', default_value_t = 100)]
    count: u64,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder to write to
    #[arg(long, default_value = "samples")]
    out: PathBuf,
    /// The forward process, as in an experiment; without it that of the checkpoint, or vp-linear
    #[arg(long, value_name = "TOML")]
    schedule: Option<String>,
    /// The grid, as in an experiment; without it Karras's with a last step to no noise, or uniform-lambda for data laws
    #[arg(long, value_name = "TOML")]
    grid: Option<String>,
    /// Precision of states: f32 or f64
    #[arg(long, default_value = "f32", value_parser = precision)]
    precision: Precision,
    /// Where a network runs: cpu, cuda or cuda:1
    #[arg(long, default_value = "cpu")]
    device: String,
    /// What a network computes in: f32, f64, f16 or bf16
    #[arg(long, default_value = "f32")]
    dtype: String,
    /// Images that a network takes at a time
    #[arg(long)]
    batch: Option<usize>,
    /// The class to draw, for networks that know classes; all in turn without it
    #[arg(long)]
    class: Option<u32>,
    /// Do not clip denoised images, even if the checkpoint's scheduler would
    #[arg(long)]
    no_clip: bool,
    /// Every image as a PNG of its own, in images/
    #[arg(long)]
    individual: bool,
    /// How the first images come about, at so many levels: trajectory.png
    #[arg(long, value_name = "LEVELS")]
    trajectory: Option<usize>,
    /// Labelled images to compare with: a classifier trained on them says what it sees
    #[arg(long, value_name = "DATA")]
    like: Option<String>,
    /// Threads (all cores if not given); results do not depend on it
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

/// Images on a sheet, at most.
const SHEET: u64 = 400;
/// Images whose coming about is shown.
const TRAJECTORIES: u64 = 8;

impl Sample {
    pub(super) fn go(&self) -> Result<Status> {
        parallel::with_threads(self.threads.map(usize::from), || self.run())?
    }

    fn run(&self) -> Result<Status> {
        if self.count == 0 {
            return Err(BadInput::new("--count", 0, "asks for nothing", "give at least 1"));
        }
        let solver = from_label(&self.solver, &registry::all())?;
        let subject = sampler::subject(&self.subject_table()?)?;
        let like = self.like.as_deref().map(|text| pictures(&subject, text)).transpose()?;
        let schedule = match &self.schedule {
            Some(text) => sampler::schedule(table(text)?).map_err(|e| e.within("--schedule"))?,
            None => sampler::default_schedule(&subject),
        };
        let levels = match &self.grid {
            Some(text) => {
                sampler::levels(table(text)?, &schedule, self.steps).map_err(|e| e.within("--grid"))?
            }
            None => {
                sampler::default_levels(&subject, &schedule, self.steps).map_err(|e| e.within("--steps"))?
            }
        };
        sampler::check(&solver, &subject, &schedule, &levels)?;
        let job =
            Job { sample: self, subject: &subject, solver: &solver, schedule: &schedule, levels: &levels };
        let failed = job.write(like.as_deref())?;
        if failed > 0 {
            let all = self.count;
            warn(&format!(
                "{failed} of {all} samples are not finite: {} diverged on this grid",
                solver.label()
            ));
            return Ok(Status::Failed);
        }
        Ok(Status::Fine)
    }

    /// The network or law as an experiment's `data` would name it.
    fn subject_table(&self) -> Result<Value> {
        let Some(checkpoint) = &self.checkpoint else {
            return table(self.data.as_deref().expect("one of the two is given"));
        };
        let mut table = Table::new();
        let mut put = |key: &str, value: Option<Value>| {
            value.map(|value| table.insert(key.into(), value));
        };
        put("name", Some("network".into()));
        put("checkpoint", Some(checkpoint.clone().into()));
        put("device", Some(self.device.clone().into()));
        put("dtype", Some(self.dtype.clone().into()));
        put("batch", self.batch.map(|n| Value::Integer(n as i64)));
        put("class", self.class.map(|n| Value::Integer(n.into())));
        put("clip", self.no_clip.then_some(false.into()));
        Ok(table.into())
    }
}

/// All that a run needs.
struct Job<'a> {
    sample: &'a Sample,
    subject: &'a Subject,
    solver: &'a Handle,
    schedule: &'a Schedule,
    levels: &'a [Level],
}

impl Job<'_> {
    fn fold<A: Send>(
        &self,
        levels: &[Level],
        count: u64,
        fresh: impl Fn(usize) -> A + Sync,
        push: impl Fn(&mut A, u64, &[f64]) + Sync,
    ) -> Result<Vec<A>> {
        let Sample { seed, precision, .. } = *self.sample;
        let run = Run {
            solver: self.solver,
            data: &self.subject.value,
            model: self.subject.engine.as_deref().map_or(Model::Exact, Model::Engine),
            schedule: self.schedule,
            levels,
            init: Init::Prior,
            sampling: Sampling { samples: count, seed, precision },
        };
        run.fold(fresh, push).map(|out| out.batches).map_err(|why| {
            let fix = if let NoRun::Refused(_) = why { "give another solver or another grid" } else { "" };
            BadInput::about(&self.sample.solver, format!("cannot be run: {why}"), fix)
        })
    }

    /// Samples as an array, and as images where they are. How many of them are not finite.
    fn write(&self, like: Option<&Pictures>) -> Result<u64> {
        let (out, count, dim) = (&self.sample.out, self.sample.count, self.subject.value.dim());
        let view = self.subject.view();
        let single = view.filter(|_| self.sample.individual).map(|view| (view, out.join("images")));
        let folder = single.as_ref().map_or(out, |(_, images)| images);
        std::fs::create_dir_all(folder).map_err(|e| refused(folder, &e))?;
        let classifier = like.and_then(Pictures::classifier);
        let bar = progress(count, "samples {wide_bar} {pos}/{len}, {per_sec}, {eta} left");

        let array = Array::create(&out.join("samples.npy"), count, view, dim)?;
        let seen = self.fold(
            self.levels,
            count,
            |_| Seen::default(),
            |seen, first, rows| {
                array.write(first, rows, dim);
                seen.classes.extend(classifier.iter().flat_map(|c| c.classes(rows)));
                for (number, row) in (first..).zip(rows.chunks_exact(dim)) {
                    seen.failed += u64::from(row.iter().any(|x| !x.is_finite()));
                    if number < SHEET {
                        seen.rows.extend_from_slice(row);
                    }
                    if let Some((view, images)) = &single {
                        array.keep(write_atomically(
                            &images.join(format!("{number:06}.png")),
                            &view.image(row),
                        ));
                    }
                    bar.inc(1);
                }
            },
        )?;
        bar.finish_and_clear();
        let mut files = vec![array.finish()?];
        if let Some(view) = view {
            let columns = (count.min(SHEET) as f64).sqrt().ceil() as usize;
            let rows: Vec<f64> = seen.iter().flat_map(|s| s.rows.iter().copied()).collect();
            files.push(self.picture("grid.png", &view.sheet(&rows, columns))?);
            if let Some(levels) = self.sample.trajectory {
                files.push(self.picture("trajectory.png", &self.strip(view, levels.max(2))?)?);
            }
        }
        files.iter().for_each(|file| print(&format!("{}\n", file.display())));
        let failed = seen.iter().map(|s| s.failed).sum();
        if let (Some(like), Some(classifier)) = (like, classifier) {
            let classes: Vec<(u32, f64)> = seen.into_iter().flat_map(|s| s.classes).collect();
            print(&comparison(&like.images, classifier, &classes));
        }
        Ok(failed)
    }

    fn picture(&self, name: &str, png: &[u8]) -> Result<PathBuf> {
        let path = self.sample.out.join(name);
        write_atomically(&path, png).map_err(|e| refused(&path, &e))?;
        Ok(path)
    }

    /// The first images at levels spread evenly over the grid, a row each: a run to each of the levels, for the noise of a
    /// sample does not depend on where its run ends. Noisy levels are scaled to the size that clean images have.
    fn strip(&self, view: View, levels: usize) -> Result<Vec<u8>> {
        let (last, count) = (self.levels.len() - 1, self.sample.count.min(TRAJECTORIES));
        let mut columns = Vec::new();
        for k in 0..levels {
            // A run has a step at least.
            let to = (k * (last - 1)).div_ceil(levels - 1) + 1;
            let at = &self.levels[to];
            let rows = self.fold(
                &self.levels[..=to],
                count,
                |_| Vec::new(),
                |all, _, rows| all.extend_from_slice(rows),
            )?;
            let scale = 1.0 / at.alpha.hypot(at.sigma);
            columns.push(rows.concat().into_iter().map(|x| x * scale).collect::<Vec<f64>>());
        }
        let size = view.shape.numbers();
        let image = |i: usize, k: usize| columns[k][i * size..(i + 1) * size].to_vec();
        let rows = (0..count as usize).flat_map(|i| (0..levels).flat_map(move |k| image(i, k)));
        Ok(view.sheet(&rows.collect::<Vec<f64>>(), levels))
    }
}

/// What is kept of samples as they come.
#[derive(Default)]
struct Seen {
    /// Those on the sheet.
    rows: Vec<f64>,
    /// The likeliest class of each, and its probability.
    classes: Vec<(u32, f64)>,
    /// How many are not finite.
    failed: u64,
}

/// What a classifier makes of samples, beside what it makes of the images that it was trained on.
fn comparison(images: &Images, classifier: &Classifier, samples: &[(u32, f64)]) -> String {
    let data = classifier.classes(&images.points().concat());
    let percent = |of: &[(u32, f64)], wanted: &dyn Fn(&(u32, f64)) -> bool| {
        100.0 * of.iter().filter(|c| wanted(c)).count() as f64 / of.len() as f64
    };
    let sure = |c: &(u32, f64)| c.1 > 0.9;
    let mut text = format!(
        "a classifier that is right on {:.1} % of held-out images is sure (p > 0.9) of {:.1} % of samples and {:.1} % of images\n\
         class  samples   images\n",
        100.0 * classifier.accuracy(),
        percent(samples, &sure),
        percent(&data, &sure),
    );
    for class in 0..classifier.class_count() as u32 {
        let name = images.classes().get(class as usize).cloned().unwrap_or(class.to_string());
        let [drawn, true_share] = [samples, &data[..]].map(|of| percent(of, &|c| c.0 == class));
        text += &format!("{name:>5}  {drawn:>6.1}%  {true_share:>6.1}%\n");
    }
    text
}

/// A numpy array that is written as samples come, in whatever order, and is there when all have come.
struct Array {
    path: PathBuf,
    part: PathBuf,
    header: u64,
    file: Mutex<File>,
    trouble: Mutex<Option<std::io::Error>>,
}

impl Array {
    fn create(path: &Path, count: u64, view: Option<View>, dim: usize) -> Result<Self> {
        let mut shape = vec![count as usize];
        match view {
            Some(View { shape: s, .. }) => shape.extend([s.channels, s.height, s.width]),
            None => shape.push(dim),
        }
        let header = npy_header(&shape);
        let part = path.with_extension(format!("npy.{}.tmp", std::process::id()));
        let made = File::create(&part).and_then(|mut file| file.write_all(&header).map(|()| file));
        let file = Mutex::new(made.map_err(|e| refused(&part, &e))?);
        Ok(Array { path: path.into(), part, header: header.len() as u64, file, trouble: Mutex::new(None) })
    }

    /// Rows of the samples from number `first` on.
    fn write(&self, first: u64, rows: &[f64], dim: usize) {
        let bytes: Vec<u8> = rows.iter().flat_map(|x| (*x as f32).to_le_bytes()).collect();
        let mut file = self.file.lock().expect("no writer panics");
        let place = SeekFrom::Start(self.header + 4 * first * dim as u64);
        self.keep(file.seek(place).and_then(|_| file.write_all(&bytes)));
    }

    /// Remembers the first thing that went wrong.
    fn keep(&self, done: std::io::Result<()>) {
        if let Err(e) = done {
            self.trouble.lock().expect("no writer panics").get_or_insert(e);
        }
    }

    fn finish(self) -> Result<PathBuf> {
        let file = self.file.into_inner().expect("no writer panics");
        let trouble = self.trouble.into_inner().expect("no writer panics");
        let done = trouble.map_or(Ok(()), Err).and_then(|()| file.sync_all());
        done.and_then(|()| std::fs::rename(&self.part, &self.path)).map_err(|e| {
            let _ = std::fs::remove_file(&self.part);
            refused(&self.path, &e)
        })?;
        Ok(self.path)
    }
}

fn refused(path: &Path, e: &std::io::Error) -> BadInput {
    BadInput::about("", format!("cannot be written: {e}"), "give --out another folder").file(path)
}

/// Labelled images to compare with, of the same shape as the samples.
fn pictures(subject: &Subject, text: &str) -> Result<Arc<Pictures>> {
    let like = sampler::subject(&table(text)?).map_err(|e| e.within("--like"))?;
    let images = like.images.filter(|p| p.classifier().is_some());
    let Some(pictures) = images else {
        let fix = "give labelled images of several classes, such as digits";
        return Err(BadInput::new("--like", text, "has no classes to tell apart", fix));
    };
    let (wanted, dim) = (subject.value.dim(), pictures.images.shape().numbers());
    if wanted != dim {
        let why = format!("has images of {dim} numbers, and samples have {wanted}");
        return Err(BadInput::new("--like", text, why, "give images of the same shape"));
    }
    Ok(pictures)
}

/// A bare name, or a TOML value.
pub(super) fn table(text: &str) -> Result<Value> {
    if text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Ok(Value::Table(Table::from_iter([("name".to_string(), text.into())])));
    }
    let fix = "give a name, or a table such as '{ name = \"ring\", modes = 5 }'";
    config::value(text).ok_or_else(|| BadInput::new("", text, "is no TOML", fix))
}

fn precision(text: &str) -> std::result::Result<Precision, String> {
    match text {
        "f32" => Ok(Precision::F32),
        "f64" => Ok(Precision::F64),
        _ => Err("give f32 or f64".into()),
    }
}
