//! All that a part of the study measures: trainings on one law, and what becomes of them.

use super::super::line::{VP, largest};
use super::error::{at_level, irreducible};
use super::network::{Form, Network, Senses};
use super::train::{Recipe, train};
use super::{
    BOUND, CELLS, CELLS_FAMILY, CROSS, ERROR, IRREDUCIBLE, KL_FLOW, KL_SDE, LOSS, Law, TrainedScore, W2,
    W2_FAMILY,
};
use super::{line, samples};
use crate::batch::Batch;
use crate::data::mixture::Line;
use crate::data::{CLEAN, Data, Mixture};
use crate::grid::Grid;
use crate::metric::Estimate;
use crate::parallel;
use crate::run::Denoiser;
use crate::schedule::{Clock, Level, Schedule};
use crate::solver::{
    Handle, ddim::Ddim, ddpm::Ddpm, dpmpp_2m::DpmPp2m, euler_maruyama::EulerMaruyama, runge_kutta::Heun,
};
use crate::study::Findings;

/// Levels that errors are integrated over, of which every third is reported.
const LEVELS: usize = 25;
/// Quantiles of laws on the line.
const QUANTILES: usize = 4096;
/// Noise shares of the family `dx = [f x - (1+l)/2 g^2 score] dt + sqrt(l) g dw`.
const SHARES: [f64; 5] = [0.0, 0.5, 1.0, 2.0, 4.0];

/// A law and all that is trained on it.
pub struct Bench<'a> {
    study: &'a TrainedScore,
    name: &'static str,
    data: Data,
    schedule: Schedule,
    range: (f64, f64),
    /// By form and updates.
    networks: Vec<(Form, usize, Network)>,
}

impl<'a> Bench<'a> {
    /// Trains.
    pub fn new(study: &'a TrainedScore, law: Law) -> Self {
        let (data, schedule) = (law.data(), VP);
        let dim = data.dim();
        let spread = (data.second_moment(&CLEAN) / dim as f64).sqrt();
        let range = (schedule.at(1.0).lambda(), schedule.at(1e-3).lambda());
        let longest = study.updates[study.updates.len() - 1];
        // The longest first, for the sake of threads.
        let mut jobs = vec![(Form::Preconditioned, longest), (Form::Data, longest)];
        jobs.extend(study.updates.iter().rev().map(|steps| (Form::Noise, *steps)));
        let networks = parallel::map(&jobs, |&(form, steps)| {
            let recipe = Recipe {
                data: &data,
                schedule: &schedule,
                form,
                senses: Senses { dim, spread, range },
                width: study.width,
                hidden: study.hidden,
                steps,
                batch: study.batch,
                rate: study.rate,
                seed: study.seed,
            };
            (form, steps, train(&recipe))
        });
        Bench { study, name: law.name(), data, schedule, range, networks }
    }

    /// Measures.
    pub fn findings(&self) -> Findings {
        let mut found = Findings::default();
        self.errors(&mut found);
        if self.data.dim() == 1 {
            self.divergences(&mut found);
        }
        self.solvers(&mut found);
        self.family(&mut found);
        found
    }

    /// The network that noise is predicted by, trained longest.
    fn network(&self) -> &Network {
        let noise = self.networks.iter().find(|(form, ..)| *form == Form::Noise);
        &noise.expect("trainings come longest first").2
    }

    fn case(&self, form: Form) -> String {
        match form {
            Form::Noise => self.name.into(),
            Form::Data => format!("{}, data predicted", self.name),
            Form::Preconditioned => format!("{}, preconditioned", self.name),
        }
    }

    /// Errors of all networks by level, and the parts of the loss.
    fn errors(&self, found: &mut Findings) {
        let (low, high) = self.range;
        let lambda = |k: usize| low + (high - low) * k as f64 / (LEVELS - 1) as f64;
        let levels: Vec<Level> = (0..LEVELS).map(|k| self.schedule.at_lambda(lambda(k))).collect();
        let longest = self.study.updates[self.study.updates.len() - 1];
        for (form, updates, network) in &self.networks {
            let (case, mut all, mut worst) = (self.case(*form), Vec::new(), 0f64);
            for (k, at) in levels.iter().enumerate() {
                // Other pairs than those trained on, and others at every level.
                let pairs = k * self.study.samples..(k + 1) * self.study.samples;
                let here = at_level(network, &self.data, at, self.study.seed + 1, pairs);
                all.push(here.error.value);
                worst = largest([worst, here.cross.z(0.0)]);
                if k % 3 > 0 || *updates < longest {
                    continue;
                }
                let pair = |of: Estimate| (of.value, of.stderr);
                found.sampled(ERROR, &case, Some(lambda(k)), pair(here.error));
                if *form == Form::Noise {
                    found.sampled(LOSS, &case, Some(lambda(k)), pair(here.loss));
                    found.put(IRREDUCIBLE, &case, lambda(k), irreducible(&self.data, at));
                }
            }
            let ends = 0.5 * (all[0] + all[LEVELS - 1]);
            let area = (all.iter().sum::<f64>() - ends) * (high - low) / (LEVELS - 1) as f64;
            found.put(BOUND, &case, *updates as f64, self.data.dim() as f64 * area);
            if *updates == longest {
                found.single(CROSS, &case, worst);
            }
        }
    }

    fn levels(&self, steps: usize) -> Vec<Level> {
        let grid = Grid::UniformLambda { start: 1.0, end: 1e-3 };
        grid.levels(&self.schedule, Some(steps)).expect("a grid within the schedule")
    }

    /// On the line, KLs of what all networks generate, with as good as no error of the solver.
    fn divergences(&self, found: &mut Findings) {
        let levels = self.levels(self.study.steps);
        let line = self.line(&levels[levels.len() - 1]);
        let kl = |solver: &Handle, model: &dyn Denoiser<Batch<f64>>| {
            let run = line::Run { solver, model, schedule: &self.schedule, levels: &levels };
            run.law(&self.data, QUANTILES).kl_from(&line)
        };
        let (sde, flow) = (
            Handle::new(EulerMaruyama::default()),
            Handle::new(Heun { clock: Clock::Edm, ..Heun::default() }),
        );
        let each = |(form, updates, network): &(Form, usize, Network)| {
            (self.case(*form), *updates, kl(&sde, network), kl(&flow, network))
        };
        for (case, updates, of_sde, of_flow) in parallel::map(&self.networks, each) {
            found.put(KL_SDE, &case, updates as f64, of_sde);
            found.put(KL_FLOW, &case, updates as f64, of_flow);
        }
        found.single(KL_SDE, format!("{}, exact score", self.name), kl(&sde, self.data.model()));
        found.single(KL_FLOW, format!("{}, exact score", self.name), kl(&flow, self.data.model()));
    }

    /// Errors of solvers by model calls, with the network and with the exact score.
    fn solvers(&self, found: &mut Findings) {
        let solvers = [
            (Handle::new(Ddim::default()), 1),
            (Handle::new(Heun { clock: Clock::Edm, ..Heun::default() }), 2),
            (Handle::new(DpmPp2m::default()), 1),
            (Handle::new(EulerMaruyama::default()), 1),
            (Handle::new(Ddpm::default()), 1),
        ];
        for (solver, calls_a_step) in &solvers {
            for calls in &self.study.calls {
                let errors = self.errors_of(solver, &self.levels(calls / calls_a_step));
                self.put(found, [W2, CELLS], &solver.label(), *calls as f64, errors);
            }
        }
    }

    /// Errors of the family by the share of noise, at the most calls.
    fn family(&self, found: &mut Findings) {
        let levels = self.levels(self.study.calls[self.study.calls.len() - 1]);
        for lambda in SHARES {
            let errors = self.errors_of(&Handle::new(EulerMaruyama { lambda }), &levels);
            self.put(found, [W2_FAMILY, CELLS_FAMILY], "family", lambda, errors);
        }
    }

    fn put(&self, found: &mut Findings, names: [&str; 2], label: &str, x: f64, errors: [Error; 2]) {
        let name = if self.in_cells().is_some() { names[1] } else { names[0] };
        for (model, (value, stderr)) in ["trained", "exact score"].iter().zip(errors) {
            let case = format!("{}, {label}, {model}", self.name);
            match stderr {
                Some(stderr) => found.sampled(name, case, Some(x), (value, stderr)),
                None => found.put(name, case, x, value),
            }
        }
    }

    /// The mixture, where it is one in several coordinates: `W2` would not see the weights of its modes through less than a
    /// million samples.
    fn in_cells(&self) -> Option<&Mixture> {
        self.data.mixture().filter(|mixture| mixture.dim() > 1)
    }

    /// Distance of what a solver makes with the network, and with the exact score, to the exact marginal.
    fn errors_of(&self, solver: &Handle, levels: &[Level]) -> [Error; 2] {
        let run = samples::Run {
            solver,
            data: &self.data,
            schedule: &self.schedule,
            levels,
            seed: self.study.seed + 2,
            samples: self.study.samples,
        };
        let known = |e: Estimate| (e.value, Some(e.stderr));
        if let Some(gaussian) = self.data.gaussian() {
            let (exact, trained) = run.gaussian(gaussian, self.network());
            return [trained.map_or((f64::NAN, None), known), (exact, None)];
        }
        if let Some(mixture) = self.in_cells() {
            return [known(run.over_cells(mixture, self.network())), known(run.over_cells(mixture, mixture))];
        }
        let end = self.line(&levels[levels.len() - 1]);
        [self.network(), self.data.model()].map(|model: &dyn Denoiser<Batch<f64>>| {
            let run = line::Run { solver, model, schedule: &self.schedule, levels };
            (run.law(&self.data, QUANTILES).w2(&end), None)
        })
    }

    /// The exact law on the line.
    fn line(&self, at: &Level) -> Line {
        self.data.mixture().and_then(|data| data.line(at)).expect("a mixture on the line")
    }
}

/// A distance, and its standard error where it is of samples.
type Error = (f64, Option<f64>);
