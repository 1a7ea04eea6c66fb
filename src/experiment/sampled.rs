//! A cell that is run on samples: from a solver on a grid to measures with their uncertainty.

use std::cell::OnceCell;

use super::Pictures;
use super::cell::Cell;
use super::flows::{self, Ends, Flows, most_kept};
use super::mode::Mode;
use crate::batch::Batch;
use crate::data::Data;
use crate::law::Init;
use crate::likelihood::{self, NoLikelihood, Probe, Trace};
use crate::metric::batches::Batches;
use crate::metric::frechet::{Fit, frechet_above_floor, frechet_to_above_floor};
use crate::metric::kernel::{BLOCK, energy, median_distance, mmd};
use crate::metric::kolmogorov::kolmogorov_smirnov_each;
use crate::metric::paired;
use crate::metric::significance::holm;
use crate::metric::sliced::{Directions, sliced_above_floor};
use crate::metric::wasserstein::AboveFloor;
use crate::metric::weak::{Expected, TestFunctions, Weak, WeakErrors};
use crate::metric::{Distance, Estimate, Samples, Undefined};
use crate::monte_carlo::strong::{Reference, StrongError};
use crate::monte_carlo::{Model, NoRun, Outcome, Run, Sampling};
use crate::noise::Purpose;
use crate::record::{Measure, Row};
use crate::schedule::Level;
use crate::solver::Handle;

/// Directions of sliced distances, but for the line.
const DIRECTIONS: usize = 64;

/// Samples whose density is followed.
const MOST_LIKELIHOODS: u64 = 4096;

/// Rows that distances between all pairs are taken of.
const MOST_PAIRED: usize = 1 << 15;

/// What a stretch of samples leaves behind.
struct Kept {
    rows: Vec<f64>,
    weak: Option<Weak>,
}

/// Everything measures are made from.
struct Sampled<'a> {
    run: &'a Run<'a, Handle>,
    /// Those visited: what an adaptive method planned, or the grid's.
    levels: Vec<Level>,
    end: Level,
    rows: Vec<f64>,
    /// Test functions of all samples, where they are not those of the rows and their exact ends.
    weak: Option<Weak>,
    /// Exact ends of the first starts, for a method without noise.
    flow: Option<&'a Ends>,
    pictures: Option<&'a Pictures>,
    /// What several metrics are read from, computed for the first of them.
    errors: OnceCell<Result<WeakErrors, String>>,
    sliced: OnceCell<Result<AboveFloor, String>>,
    reference: OnceCell<Vec<f64>>,
}

impl Cell<'_> {
    /// Runs the solver on samples and measures what it made of them.
    pub(super) fn run_on_samples(
        &self,
        levels: &[Level],
        sampling: &Sampling,
        flows: &Flows,
        row: Row,
    ) -> Row {
        let run = self.monte_carlo(levels, sampling);
        match self.sample(&run, flows) {
            Err(why) => Row { error: why.to_string(), ..row },
            Ok((outcome, sampled)) => Row {
                nfe: Some(outcome.nfe),
                draws: Some(outcome.draws),
                steps: outcome.plan.as_ref().map_or(row.steps, |(levels, _)| levels.len() - 1),
                pilot_nfe: outcome.plan.as_ref().map(|(_, nfe)| *nfe),
                mode: if outcome.mean_field { format!("{} mean-field", row.mode) } else { row.mode },
                measures: self.metrics.iter().flat_map(|m| sampled.measure(m)).collect(),
                ..row
            },
        }
    }

    pub(super) fn monte_carlo<'a>(&'a self, levels: &'a [Level], sampling: &Sampling) -> Run<'a, Handle> {
        Run {
            solver: &self.solver.value,
            data: &self.data.value,
            model: self.model(),
            schedule: &self.schedule.value,
            levels,
            init: self.init,
            sampling: sampling.clone(),
        }
    }

    /// What the solver sees of the data.
    fn model(&self) -> Model<'_> {
        match (&self.data.engine, self.wrong) {
            (Some(engine), _) => Model::Engine(&**engine),
            (None, Some(wrong)) => Model::Wrong(wrong),
            (None, None) => Model::Exact,
        }
    }

    /// The flow that measures of the cell are taken against, if any is, and the key of its ends.
    pub(super) fn flow_needed(&self) -> Option<(String, [Level; 2], &Sampling)> {
        let Mode::MonteCarlo(sampling) = self.mode else { return None };
        let solver = &self.solver.value;
        let silent = solver.equation() == Some(0.0) && solver.draws(8) == 0;
        (silent && self.wants(PAIRED)).then(|| {
            let levels = self.levels();
            let ends = [levels[0], levels[levels.len() - 1]];
            let key = flows::key(&self.data.bytes(), [&ends[0], &ends[1]], self.init.name(), sampling);
            (key, ends, sampling)
        })
    }

    fn wants(&self, names: &[&str]) -> bool {
        self.metrics.iter().any(|m| names.contains(&m.as_str()))
    }

    fn sample<'a>(
        &'a self,
        run: &'a Run<Handle>,
        flows: &'a Flows,
    ) -> Result<(Outcome<()>, Sampled<'a>), NoRun> {
        let (data, n) = (run.data, run.sampling.samples);
        let end = run.levels[run.levels.len() - 1];
        let flow = self.flow_needed().and_then(|(key, ..)| flows.get(&key));
        let followed = flow.and_then(|ends| ends.as_ref().ok()).map(|ends| ends.rows.len() / data.dim());
        // Against exact ends, weak errors are those of the rows that have one; weights of modes are taken of all samples.
        let apart = followed.is_none() || run.model.engine().is_some();
        let streams = self.wants(&["mode_weights"]) || (apart && self.wants(WEAK));
        let kept = if self.wants(KEPT) { most_kept(run) } else { followed.unwrap_or(0) } as u64;
        let functions = test_functions(data, &end);
        let batches = Batches::new(n, Batches::DEFAULT);
        let modes = functions.modes;
        let outcome = run.fold(
            |_| Kept { rows: Vec::new(), weak: streams.then(|| Weak::new(functions.clone(), batches)) },
            |all, first, rows| {
                let dim = data.dim();
                let keep = kept.saturating_sub(first).min((rows.len() / dim) as u64) as usize;
                all.rows.extend(&rows[..keep * dim]);
                let Some(weak) = &mut all.weak else { return };
                let posterior = match data.mixture().filter(|_| modes > 0) {
                    Some(mixture) => mixture.responsibilities(&Batch::from_rows(dim, rows.to_vec()), &end),
                    None => Vec::new(),
                };
                for (i, row) in rows.chunks_exact(dim).enumerate() {
                    weak.push(first + i as u64, row, &posterior[i * modes..(i + 1) * modes]);
                }
            },
        )?;
        let Outcome { batches, nfe, draws, mean_field, plan } = outcome;
        let (mut rows, mut weak) = (Vec::new(), None::<Weak>);
        for batch in batches {
            rows.extend(batch.rows);
            match (&mut weak, batch.weak) {
                (Some(all), Some(one)) => all.merge(one),
                (None, one) => weak = one,
                (Some(_), None) => {}
            }
        }
        let levels = plan.as_ref().map_or(run.levels, |(levels, _)| levels).to_vec();
        let sampled = Sampled {
            run,
            levels,
            end,
            rows,
            weak,
            flow,
            pictures: self.data.images.as_deref(),
            errors: OnceCell::new(),
            sliced: OnceCell::new(),
            reference: OnceCell::new(),
        };
        Ok((Outcome { batches: Vec::new(), nfe, draws, mean_field, plan }, sampled))
    }
}

/// Errors of expectations: they take every sample once, and keep none.
const WEAK: &[&str] = &["mean_error", "cov_error", "fourth_error"];
/// Metrics that need samples side by side.
const KEPT: &[&str] =
    &["rmse", "median_error", "sliced_w1", "sliced_w2", "frechet", "frechet_features", "energy", "mmd", "ks"];
/// Metrics that are sharper where the exact end of the same start is known.
const PAIRED: &[&str] =
    &["rmse", "median_error", "sliced_w1", "sliced_w2", "mean_error", "cov_error", "fourth_error"];

/// Moments, and the weights of modes.
fn test_functions(data: &Data, end: &Level) -> TestFunctions {
    // Posterior probabilities of thousands of point masses would cost more than the run.
    let modes = data.mixture().map_or(0, |m| m.components().len());
    TestFunctions { centre: data.mean(end), radii: Vec::new(), modes: if modes > 64 { 0 } else { modes } }
}

impl Sampled<'_> {
    fn measure(&self, metric: &str) -> Option<Measure> {
        let named = |found: Result<Measure, String>| {
            let measure = found.unwrap_or_else(|error| Measure { error, ..Measure::default() });
            Measure { metric: metric.into(), ..measure }
        };
        let kept = Some((self.rows.len() / self.run.data.dim()) as u64);
        let found = match metric {
            "rmse" | "median_error" => {
                let flow = self.flow?;
                flow.as_ref().map_err(String::clone).and_then(|ends| {
                    let exact = Samples::new(self.run.data.dim(), &ends.rows);
                    let pairs = if metric == "rmse" { paired::rmse } else { paired::median };
                    let found = pairs(self.first(ends.rows.len()), exact).map_err(words)?;
                    let samples = Some(exact.len() as u64);
                    Ok(Measure { samples, floor: ends.unsure, ..estimate(found) })
                })
            }
            "sliced_w1" | "sliced_w2" => {
                let found = self.sliced.get_or_init(|| self.sliced()).clone();
                let pick = |d: AboveFloor| if metric == "sliced_w1" { d.w1 } else { d.w2 };
                found.map(|d| Measure { samples: kept, ..distance(pick(d)) })
            }
            "frechet" => self.frechet().map(|d| Measure { samples: kept, ..distance(d) }),
            "frechet_features" => self.features()?.map(|d| Measure { samples: kept, ..distance(d) }),
            "energy" | "mmd" => self.kernel(metric).map(|e| Measure { samples: kept, ..estimate(e) }),
            "strong_error" => self.strong()?,
            "nll_bits" | "nll_bits_hutchinson" | "kl" => self.likelihood(metric)?,
            "ks" => self.kolmogorov().map(|m| Measure { samples: kept, ..m }),
            "mode_weights" => self.mode_weights()?,
            _ => self.errors.get_or_init(|| self.errors()).clone().map(|errors| {
                let samples = Some(errors.samples);
                let measure = match metric {
                    "mean_error" => distance(errors.mean_error),
                    "cov_error" => distance(errors.cov_error),
                    _ => estimate(errors.fourth),
                };
                Measure { samples, ..measure }
            }),
        };
        Some(named(found))
    }

    /// As many samples as so many values are of.
    fn first(&self, values: usize) -> Samples<'_> {
        Samples::new(self.run.data.dim(), &self.rows[..values])
    }

    /// Exact samples of the last level, as many as were kept.
    fn exact(&self, purpose: Purpose) -> Vec<f64> {
        let count = self.rows.len() / self.run.data.dim();
        self.run.data.sample::<f64>(&self.end, self.run.sampling.seed, purpose, 0, count).to_rows()
    }

    /// Exact samples that share nothing with the run's.
    fn reference(&self) -> &[f64] {
        self.reference.get_or_init(|| self.exact(Purpose::Reference))
    }

    fn sliced(&self) -> Result<AboveFloor, String> {
        let dim = self.run.data.dim();
        // The exact ends of the same starts are the sharpest control; else exact samples of the same numbers.
        let control = match self.law_flow() {
            Some(end) if end.len() == self.rows.len() => end,
            _ => &self.exact(Purpose::Start),
        };
        let directions = Directions::new(dim, if dim == 1 { 1 } else { DIRECTIONS }, 0);
        let (control, reference) = (Samples::new(dim, control), Samples::new(dim, self.reference()));
        sliced_above_floor(self.first(self.rows.len()), control, reference, &directions).map_err(words)
    }

    /// Of means and covariances, to those of the law.
    fn frechet(&self) -> Result<Distance, String> {
        let (dim, data) = (self.run.data.dim(), self.run.data);
        let law = Fit::exact(&data.mean(&self.end), data.covariance(&self.end)).map_err(words)?;
        let control = self.exact(Purpose::Start);
        frechet_to_above_floor(self.first(self.rows.len()), Samples::new(dim, &control), &law).map_err(words)
    }

    /// Of what a classifier sees; none where there is nothing to train one on.
    fn features(&self) -> Option<Result<Distance, String>> {
        let classifier = self.pictures?.classifier()?;
        if self.rows.iter().any(|x| !x.is_finite()) {
            return Some(Err("diverged: a sample is not finite".into()));
        }
        let count = classifier.feature_count();
        let of = |rows: &[f64]| classifier.features(rows);
        let (x, control, reference) = (of(&self.rows), of(&self.exact(Purpose::Start)), of(self.reference()));
        let [x, control, reference] = [&x, &control, &reference].map(|rows| Samples::new(count, rows));
        Some(frechet_above_floor(x, control, reference).map_err(words))
    }

    fn kernel(&self, metric: &str) -> Result<Estimate, String> {
        let (dim, reference) = (self.run.data.dim(), self.reference());
        let most = self.rows.len().min(MOST_PAIRED * dim);
        let (x, y) = (Samples::new(dim, &self.rows[..most]), Samples::new(dim, &reference[..most]));
        let found = match metric {
            "energy" => energy(x, y, BLOCK),
            _ => median_distance(y).and_then(|bandwidth| mmd(x, y, bandwidth, BLOCK)),
        };
        found.map_err(words)
    }

    /// The largest statistic of any coordinate; the p-value is the smallest after Holm's correction for their number.
    fn kolmogorov(&self) -> Result<Measure, String> {
        let cdf = self.run.data.coordinate_cdf(&self.end);
        let tests = kolmogorov_smirnov_each(self.first(self.rows.len()), cdf).map_err(words)?;
        let p_values: Vec<f64> = tests.iter().map(|t| t.p_value).collect();
        let value = tests.iter().map(|t| t.statistic).reduce(f64::max);
        Ok(Measure { value, p_value: holm(&p_values).into_iter().reduce(f64::min), ..Measure::default() })
    }

    /// Where the solver takes its noise from a path.
    fn strong(&self) -> Option<Result<Measure, String>> {
        let run = self.run;
        let l = run
            .solver
            .equation()
            .filter(|_| run.solver.strong().is_some() && matches!(run.model, Model::Exact))?;
        let found = run.strong_error(l, Reference::of(run.data));
        let samples = Some(run.sampling.samples);
        // The error of the reference itself is what a perfect solver would show.
        let measure =
            |e: StrongError| Measure { samples, floor: Some(e.reference_error), ..estimate(e.rmse) };
        Some(found.map(measure).map_err(|why| why.to_string()))
    }

    /// Errors of what the solver says of the density, where it can say anything: it draws no noise, and its starts have a
    /// known density.
    fn likelihood(&self, metric: &str) -> Option<Result<Measure, String>> {
        let run = self.run;
        if run.init != Init::Marginal
            || run.solver.equation() != Some(0.0)
            || !matches!(run.model, Model::Exact)
        {
            return None;
        }
        let count = run.sampling.samples.min(MOST_LIKELIHOODS);
        let (starts, levels) = (run.starts(0, count as usize), &self.levels[..]);
        let trace = match metric {
            "nll_bits_hutchinson" => Trace::Hutchinson { seed: run.sampling.seed, probe: Probe::Rademacher },
            _ => Trace::Exact,
        };
        let (solver, data, schedule) = (run.solver, run.data, run.schedule);
        let found = match metric {
            "kl" => likelihood::transported(solver, data, schedule, levels, &starts),
            _ => likelihood::generated(solver, data, schedule, levels, &starts, trace),
        };
        let found = match found {
            Ok(found) => found,
            // A method that draws noise has none.
            Err(NoLikelihood::Noisy) => return None,
            Err(why) => return Some(Err(why.to_string())),
        };
        let value = match metric {
            "kl" => paired::kl_by_control_variate(&found.estimate, &found.exact),
            _ => {
                let bits = found.bits();
                paired::rmse(Samples::new(1, &bits), Samples::new(1, &vec![0.0; bits.len()]))
            }
        };
        Some(value.map(|e| Measure { samples: Some(count), ..estimate(e) }).map_err(words))
    }

    /// The largest error of a weight, and a test of all; none where there are no modes to tell apart.
    fn mode_weights(&self) -> Option<Result<Measure, String>> {
        let weak = self.weak.as_ref()?;
        let errors = match weak.errors(&self.expected()) {
            Ok(errors) => errors,
            Err(why) => return Some(Err(words(why))),
        };
        let worst = errors.modes.iter().copied().max_by(|a, b| a.value.abs().total_cmp(&b.value.abs()))?;
        let p_value = errors.modes_test.map(|t| t.p_value);
        Some(Ok(Measure { samples: Some(errors.samples), p_value, ..estimate(worst) }))
    }

    /// Against the exact ends of the same starts most of the noise cancels; else against the law.
    fn errors(&self) -> Result<WeakErrors, String> {
        match (self.law_flow(), &self.weak) {
            (Some(end), _) => self.weak_of(&self.rows[..end.len()]).versus(&self.weak_of(end)),
            (_, Some(weak)) => weak.errors(&self.expected()),
            (_, None) => unreachable!("streamed wherever there are no exact ends"),
        }
        .map_err(words)
    }

    /// The exact ends of the same starts, where they are of the law that samples are held to. (A network's flow is its own.)
    fn law_flow(&self) -> Option<&[f64]> {
        let of_law = self.run.model.engine().is_none();
        self.flow.and_then(|ends| ends.as_ref().ok()).filter(|_| of_law).map(|ends| &ends.rows[..])
    }

    fn expected(&self) -> Expected {
        let (data, end) = (self.run.data, &self.end);
        let modes = test_functions(data, end).modes;
        let components = data.mixture().filter(|_| modes > 0).map_or(&[][..], |m| m.components());
        Expected {
            mean: data.mean(end),
            covariance: data.covariance(end).as_slice().to_vec(),
            fourth: data.fourth_moment(end),
            tails: Vec::new(),
            modes: components.iter().map(|c| c.weight).collect(),
        }
    }

    /// The test functions (but for modes) on rows in hand.
    fn weak_of(&self, rows: &[f64]) -> Weak {
        let dim = self.run.data.dim();
        let functions = TestFunctions { modes: 0, ..test_functions(self.run.data, &self.end) };
        let mut weak = Weak::new(functions, Batches::new((rows.len() / dim) as u64, Batches::DEFAULT));
        for (i, row) in rows.chunks_exact(dim).enumerate() {
            weak.push(i as u64, row, &[]);
        }
        weak
    }
}

fn words(why: Undefined) -> String {
    why.to_string()
}

fn estimate(e: Estimate) -> Measure {
    Measure { value: Some(e.value), stderr: Some(e.stderr), ..Measure::default() }
}

fn distance(d: Distance) -> Measure {
    let (excess, excess_stderr) = (Some(d.excess.value), Some(d.excess.stderr));
    Measure { floor: Some(d.floor), excess, excess_stderr, ..estimate(d.value) }
}
