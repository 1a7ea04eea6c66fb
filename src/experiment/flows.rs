//! Exact ends of the starts of runs without noise: what their paths are held to. One flow serves all solvers and step
//! counts that start and end alike.

use std::collections::HashMap;
use std::path::Path;

use super::cell::Cell;
use crate::batch::{Batch, LANES};
use crate::data::Data;
use crate::flow::{self, NoFlow};
use crate::monte_carlo::{Engine, Run, Sampling};
use crate::schedule::Level;
use crate::solver::Handle;

/// Exact ends, by what they follow from.
#[derive(Debug, Default)]
pub struct Flows {
    known: HashMap<String, Ends>,
}

/// Exact ends of the first so many starts, or why there are none.
pub(super) type Ends = Result<Followed, String>;

/// Where a flow took the first so many starts of a run.
#[derive(Debug)]
pub(super) struct Followed {
    /// One after the other.
    pub(super) rows: Vec<f64>,
    /// What is not known of them, where it is more than round-off: how far a tenth of the accuracy takes them elsewhere, root mean
    /// square.
    pub(super) unsure: Option<f64>,
}

/// Samples times components times coordinates that are followed by integration, at most: a minute or so.
const MOST_WORK: usize = 1 << 29;

/// The same, through the model of an engine.
const MOST_THROUGH_ENGINES: usize = 512;

impl Flows {
    /// Computes what the cells need, or reads it from the folder where earlier runs left it. (Before cells run side by side:
    /// none has to wait for another.)
    pub fn prepare<'a>(cells: impl Iterator<Item = &'a Cell<'a>>, folder: Option<&Path>) -> Self {
        let mut known = HashMap::new();
        for cell in cells {
            if let Some((key, levels, sampling)) = cell.flow_needed() {
                // A flow needs no more of the levels than both ends.
                known.entry(key).or_insert_with(|| ends(&cell.monte_carlo(&levels, sampling), folder));
            }
        }
        Flows { known }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Ends> {
        self.known.get(key)
    }
}

/// Where the probability flow takes the first starts of a run.
fn ends(run: &Run<Handle>, folder: Option<&Path>) -> Ends {
    let (from, to) = (&run.levels[0], &run.levels[run.levels.len() - 1]);
    let count = most_kept(run).min(followed(run));
    let starts = run.starts(0, count);
    if let Some(engine) = run.model.engine() {
        return ends_on(engine, run.data, [from, to], &starts, folder);
    }
    let end = match folder {
        Some(folder) if run.data.mixture().is_some() => flow::cached(folder, run.data, from, to, &starts),
        _ => flow::reference(run.data, from, to, &starts),
    };
    end.map(|x| Followed { rows: x.to_rows(), unsure: None }).map_err(|why| why.to_string())
}

/// Where the flow of an engine's own model takes them.
fn ends_on(
    engine: &dyn Engine,
    data: &Data,
    [from, to]: [&Level; 2],
    starts: &Batch<f64>,
    folder: Option<&Path>,
) -> Ends {
    let flow = |starts: &Batch<f64>, tolerance: f64| {
        let compute = || {
            let mut end = Err(NoFlow::Storage("nothing was run".into()));
            let mut run = || end = flow::integrate_engine(engine, data, from, to, starts, tolerance);
            engine.guarded(&mut run).map_err(|why| NoFlow::Device(why.to_string()))?;
            end
        };
        let content = [engine.bytes(), data.bytes(), tolerance.to_le_bytes().to_vec()].concat();
        let end = match folder {
            Some(folder) => flow::cached_as(folder, &content, from, to, starts, compute),
            None => compute(),
        };
        end.map(|x| x.to_rows()).map_err(|why| why.to_string())
    };
    let rows = flow(starts, engine.tolerance())?;
    let few = Batch::from_rows(data.dim(), first_of(starts)).numbered(starts.first());
    let coarse = flow(&few, 10.0 * engine.tolerance())?;
    let squares = coarse.iter().zip(&rows).map(|(x, y)| (x - y).powi(2)).sum::<f64>();
    let unsure = (squares / few.len() as f64).sqrt();
    Ok(Followed { rows, unsure: Some(unsure) })
}

/// A block of samples: enough to see what is not known of all.
fn first_of(starts: &Batch<f64>) -> Vec<f64> {
    let mut rows = starts.to_rows();
    rows.truncate(LANES * starts.dim());
    rows
}

/// Values that are kept where metrics need all samples at once (256 MiB): further samples still count in metrics that
/// stream.
const MOST_KEPT: usize = 1 << 25;

/// How many samples of a run are kept, or followed, at most.
pub(super) fn most_kept(run: &Run<Handle>) -> usize {
    run.sampling.samples.min((MOST_KEPT / run.data.dim()) as u64) as usize
}

/// How many samples integration can follow.
fn followed(run: &Run<Handle>) -> usize {
    if run.model.engine().is_some() {
        return MOST_THROUGH_ENGINES;
    }
    let work = run.data.mixture().map_or(1, |m| m.components().len()) * run.data.dim();
    (MOST_WORK / work).max(256)
}

/// What the exact ends of a run follow from.
pub(super) fn key(data: &[u8], schedule_ends: [&Level; 2], init: &str, sampling: &Sampling) -> String {
    let mut hasher = blake3::Hasher::new();
    let ends = schedule_ends.iter().flat_map(|l| [l.alpha, l.sigma]).flat_map(f64::to_le_bytes);
    hasher.update(&(data.len() as u64).to_le_bytes()).update(data).update(&ends.collect::<Vec<u8>>());
    hasher.update(init.as_bytes()).update(format!("{sampling:?}").as_bytes());
    hasher.finalize().to_hex()[..16].to_string()
}
