//! Certificates: what a solver claims, measured on a fixed set of Gaussian problems.
//!
//! ```
//! use scorebench::{certify::certify, order::Verdict, solver::{Handle, ddim::Ddim}};
//! let certificate = certify(&Handle::new(Ddim { eta: 0.0 }));
//! assert_eq!(certificate.verdict, Verdict::Pass);
//! assert!((certificate.weak[0].order.unwrap() - 1.0).abs() < 0.05);
//! ```
//!
//! The data are five modes with means of either sign and variances from 0.01 to 4. Weak orders (of W2 to the exact
//! marginal, started at the exact marginal) and strong orders are fitted on every problem of [`PROBLEMS`]: a claim
//! passes if it is borne out on one of the even grids at least, and contradicted on none. An order above the claim is
//! no contradiction, but a claim that is exceeded everywhere is not passed either. From order 5 on, where runs reach
//! round-off before their order settles, the order conditions of the table decide, if runs do not contradict them. The last grid alternates long and short steps in
//! lambda, which tells multistep weights that know their steps from those that do not.

use serde::Serialize;

use crate::data::Gaussian;
use crate::grid::{Grid, KarrasFinal};
use crate::law::{self, Init, NoLaw};
use crate::metric::w2;
use crate::order::{self, Behaviour, TOLERANCE, Verdict};
use crate::schedule::{Level, Schedule};
use crate::solver::conditions::{Residual, residuals};
use crate::solver::{Claim, Handle, Proof, registry};

/// Everything that was found of one solver.
#[derive(Clone, Debug, Serialize)]
pub struct Certificate {
    /// Label: name and parameters that differ from the default.
    pub solver: String,
    /// Where it is published.
    pub source: String,
    /// What it claims of its weak order: a number, `exact` or `floor`.
    pub claim: String,
    /// The order that its name or its library promises, where that is not what it claims here.
    pub sold_as: Option<f64>,
    /// Weak orders on the even grids.
    pub weak: Vec<Measured>,
    /// Weak order on steps that alternate in length.
    pub uneven: Option<Measured>,
    /// Strong orders on the even grids, where one is claimed.
    pub strong: Vec<Measured>,
    /// Model calls a step.
    pub calls_per_step: f64,
    /// Injected noises a step.
    pub draws_per_step: f64,
    /// `C` in `W2 = C N^-p` with the claimed `p`, from the largest `N` of the first problem's fit.
    pub error_constant: Option<f64>,
    /// W2 of 64 steps on the first problem: the number that tells a method from its cousins.
    pub w2_at_64: Option<f64>,
    /// Longest step in lambda, equal steps down the `edm` schedule from 80 to 0.002, at which (and below which) no
    /// mode is amplified; infinite if a single step over all of it does not.
    #[serde(serialize_with = "number")]
    pub stable_step: Option<f64>,
    /// What an adaptive method plans on the first problem.
    pub planned: Option<Planned>,
    /// What is proved apart from runs.
    pub proofs: Vec<ProofRow>,
    /// The largest miss of the conditions of every order, for methods whose numbers can be given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub residuals: Vec<Residual>,
    /// Whether every claim holds.
    #[serde(serialize_with = "text")]
    pub verdict: Verdict,
    /// Why it does not, or is not known to.
    pub reasons: Vec<String>,
}

/// One fitted order.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Schedule and grid.
    pub problem: &'static str,
    /// The claim on this problem; none for methods without an order.
    pub claimed: Option<f64>,
    /// Fitted order.
    pub order: Option<f64>,
    /// Its standard error.
    pub stderr: Option<f64>,
    /// Smallest and largest number of steps of the fit.
    pub steps: Option<(usize, usize)>,
    /// Whether the claim is borne out here.
    #[serde(serialize_with = "text")]
    pub verdict: Verdict,
    /// What the errors do, in words.
    pub reason: String,
}

/// The levels that an adaptive method finds at its default tolerances.
#[derive(Clone, Debug, Serialize)]
pub struct Planned {
    /// Steps planned.
    pub steps: usize,
    /// Model calls of the pilot run that planned them.
    pub pilot_calls: usize,
    /// Model calls of the run over them.
    pub calls: usize,
    /// W2 of that run.
    pub w2: f64,
}

/// A [`Proof`], as written.
#[derive(Clone, Debug, Serialize)]
pub struct ProofRow {
    /// What it is about.
    pub what: &'static str,
    /// The order claimed.
    pub claimed: f64,
    /// The order found.
    pub found: f64,
    /// How it was found.
    pub how: String,
}

/// The even grids, and the uneven one: names of schedule and grid.
pub const PROBLEMS: [&str; 5] = ["vp uniform-lambda", "vp quadratic-t", "edm karras", MIDDLE, UNEVEN];
const MIDDLE: &str = "vp from the middle";
const UNEVEN: &str = "vp uneven";

/// A schedule and the rule that makes its levels.
struct Problem {
    name: &'static str,
    schedule: Schedule,
    grid: Option<Grid>,
}

impl Problem {
    fn of(name: &'static str) -> Self {
        let (start, end) = (1.0, 1e-3);
        let grid = match name {
            "vp uniform-lambda" => Some(Grid::UniformLambda { start, end }),
            // At t = 1, where d hardly changes yet, the low orders that a multistep method starts with do not show, nor at
            // t = 1e-3 those that it ends with.
            MIDDLE => Some(Grid::QuadraticT { start: 0.3, end: 0.02 }),
            "vp quadratic-t" => Some(Grid::QuadraticT { start, end }),
            "edm karras" => Some(Grid::Karras {
                rho: 7.0,
                sigma_max: 80.0,
                sigma_min: 0.002,
                last: KarrasFinal::SigmaMin,
            }),
            _ => None,
        };
        let vp = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };
        let schedule = if name.starts_with("edm") { Schedule::Edm {} } else { vp };
        Problem { name, schedule, grid }
    }

    /// The chains' own problems: they run from data to noise.
    fn forward(solver: &Handle) -> Vec<Self> {
        let vp = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };
        let ve = Schedule::Ve { sigma_min: 0.01, sigma_max: 50.0 };
        let schedule = if solver.check_schedule(&vp).is_ok() { vp } else { ve };
        // Not to t = 1, where the published scales of SMLD meet the exact ones.
        let to = |name, end| Problem {
            name,
            schedule: schedule.clone(),
            grid: Some(Grid::UniformT { start: 0.0, end }),
        };
        vec![to("forward to t = 0.75", 0.75), to("forward to t = 0.5", 0.5)]
    }

    fn levels(&self, steps: usize) -> Vec<Level> {
        match &self.grid {
            Some(grid) => grid.levels(&self.schedule, Some(steps)).expect("a valid rule"),
            None => uneven(&self.schedule, steps),
        }
    }
}

/// Levels from t = 1 to 1e-3 whose steps in lambda are long and short in turn, 2 : 1.
fn uneven(schedule: &Schedule, steps: usize) -> Vec<Level> {
    let (start, end) = (schedule.at(1.0), schedule.at(1e-3));
    let place = |i: usize| (3 * (i / 2) + 2 * (i % 2)) as f64;
    let level = |i: usize| match i {
        0 => start,
        _ if i == steps => end,
        _ => {
            let share = place(i) / place(steps);
            schedule.at_lambda(start.lambda() + share * (end.lambda() - start.lambda()))
        }
    };
    (0..=steps).map(level).collect()
}

/// The five modes on which orders are measured.
pub fn data() -> Gaussian {
    Gaussian::new(vec![0.0, 1.0, -0.5, 0.0, 0.3], vec![1.0, 0.25, 4.0, 0.01, 0.1]).expect("legal")
}

/// More noises than this in a run and the certificate would take minutes.
const MOST_DRAWS: usize = 4096;

/// Measures everything a solver claims.
pub fn certify(solver: &Handle) -> Certificate {
    certify_against(solver, solver.on_gaussian_data())
}

/// The same, but holds the solver to the order it is sold as, where it is sold as more than it claims.
pub fn certify_as_sold(solver: &Handle) -> Certificate {
    certify_against(solver, solver.sold_as().map_or(solver.on_gaussian_data(), Claim::Order))
}

/// With a claim of the weak order on the even grids.
fn certify_against(solver: &Handle, even: Claim) -> Certificate {
    let data = data();
    let problems: Vec<Problem> = if solver.forward() {
        Problem::forward(solver)
    } else {
        PROBLEMS.into_iter().map(Problem::of).collect()
    };
    let ladders: Vec<(&Problem, Vec<Point>)> =
        problems.iter().map(|p| (p, ladder(solver, &data, p))).collect();
    let on = |p: &Problem| if p.grid.is_some() { even } else { solver.on_uneven_steps() };
    let fitted = ladders.iter().filter(|(_, points)| !points.is_empty());
    let all: Vec<Measured> = fitted.clone().map(|(p, points)| measure(p, points, on(p), |e| e.w2)).collect();
    let (weak, uneven): (Vec<_>, Vec<_>) = all.into_iter().partition(|m| m.problem != UNEVEN);
    let strong = match solver.strong_on_gaussian_data() {
        Some(order) if solver.equation().is_some_and(|l| l > 0.0) => fitted
            .filter(|(p, _)| p.grid.is_some())
            .map(|(p, points)| measure(p, points, Claim::Order(order), |e| e.strong))
            .collect(),
        _ => Vec::new(),
    };
    let first = ladders.first().map_or(&[][..], |(_, points)| points);
    let at = |steps: usize| first.iter().find(|p| p.steps == steps).map(|p| p.w2);
    let error_constant =
        weak.first().and_then(|m| Some(at(m.steps?.1)? * (m.steps?.1 as f64).powf(m.claimed?)));
    let (calls, draws) = (solver.calls(1000) as f64 / 1000.0, solver.draws(1000) as f64 / 1000.0);
    let proofs = solver.proofs();
    let mut reasons = Vec::new();
    let mut verdict = judge("weak order", &weak, &mut reasons);
    // Where round-off comes before the order settles, the conditions of the table decide.
    let proved = proofs
        .iter()
        .any(|p| matches!(p.what, "order conditions" | "classical order") && p.found >= p.claimed);
    if verdict == Verdict::Inconclusive && proved && matches!(solver.claim(), Claim::Order(p) if p >= 5.0) {
        verdict = Verdict::Pass;
    }
    if solver.claim() == Claim::Floor {
        (verdict, reasons) = (Verdict::Inconclusive, vec!["no order is claimed".into()]);
    }
    if ladders.iter().all(|(_, points)| points.is_empty()) {
        let problem = &problems[0];
        let refused = solver.check_grid(&problem.schedule, &problem.levels(64));
        reasons.extend(refused.err().map(|why| format!("not run on {}: {why}", problem.name)));
    }
    for (what, list) in &[("order on uneven steps", &uneven), ("strong order", &strong)] {
        if !list.is_empty() && solver.claim() != Claim::Floor {
            let found = judge(what, list, &mut reasons);
            // More than was claimed on uneven steps, or an error that changes its sign there, takes nothing away.
            let kept = *what == "order on uneven steps" && found == Verdict::Inconclusive;
            verdict = if kept { verdict } else { worse(verdict, found) };
        }
    }
    for p in proofs.iter().filter(|p| p.found < p.claimed - TOLERANCE) {
        verdict = Verdict::Fail;
        reasons.push(format!("{}: {} claimed, {} found ({})", p.what, p.claimed, p.found, p.how));
    }
    for point in ladders.iter().flat_map(|(_, points)| points).filter(|p| p.miscounted) {
        verdict = Verdict::Fail;
        reasons.push(format!("calls or draws of {} steps are not those it says", point.steps));
    }
    let planned = plan(solver, &data, &problems[0]);
    if solver.adaptive() && planned.is_none() {
        verdict = Verdict::Fail;
        reasons.push(format!("it plans no levels on {}", problems[0].name));
    }
    let row = |p: Proof| ProofRow { what: p.what, claimed: p.claimed, found: p.found, how: p.how };
    Certificate {
        solver: solver.label(),
        source: registry::all().iter().find(|e| e.name == solver.name()).map_or("", |e| e.source).into(),
        claim: match solver.claim() {
            Claim::Order(p) => p.to_string(),
            Claim::Exact => "exact".into(),
            Claim::Floor => "floor".into(),
        },
        sold_as: solver.sold_as(),
        uneven: uneven.into_iter().next(),
        w2_at_64: at(64),
        weak,
        strong,
        calls_per_step: calls,
        draws_per_step: draws,
        error_constant,
        stable_step: stable_step(solver),
        planned,
        proofs: proofs.into_iter().map(row).collect(),
        residuals: residuals(&solver.conditions(None)),
        verdict,
        reasons,
    }
}

/// Errors of one run.
#[derive(Clone, Copy, Debug)]
struct Point {
    steps: usize,
    w2: f64,
    strong: f64,
    miscounted: bool,
}

/// The errors of a solver on a ladder of step counts; none where it is not defined on the problem. (An adaptive method
/// is a method of fixed steps on the levels it plans, so its order is that of fixed steps.)
fn ladder(solver: &Handle, data: &Gaussian, problem: &Problem) -> Vec<Point> {
    let steps: &[usize] = match solver.on_gaussian_data() {
        Claim::Exact => &[1, 4, 64],
        Claim::Order(p) if p > 6.0 => &[4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64],
        Claim::Order(p) if p > 4.0 => &[4, 6, 8, 12, 16, 22, 32, 44, 64, 90, 128, 180, 256],
        Claim::Order(p) if p > 2.0 => &[8, 12, 16, 22, 32, 44, 64, 90, 128, 180, 256, 362, 512],
        _ => &[16, 32, 64, 128, 256, 512, 1024],
    };
    let mut points: Vec<Point> = steps.iter().filter_map(|&n| point(solver, data, problem, n)).collect();
    let claim = solver.on_gaussian_data();
    let Claim::Order(claimed) = claim else { return points };
    if claimed > 2.0 || problem.name != MIDDLE {
        return points;
    }
    // Some errors settle late. Without noise, more steps cost next to nothing.
    let late: &[usize] = if solver.draws(1000) == 0 { &[2048, 4096, 8192] } else { &[2048, 4096] };
    for &n in late {
        let found = measure(problem, &points, claim, |e| e.w2);
        let above = found.order.is_some_and(|p| p >= claimed + 0.3);
        if found.verdict != Verdict::Inconclusive || above {
            break;
        }
        points.extend(point(solver, data, problem, n));
    }
    points
}

/// The errors of one run of about `n` steps: of whole cycles of the solver.
fn point(solver: &Handle, data: &Gaussian, problem: &Problem, n: usize) -> Option<Point> {
    let n = n.div_ceil(solver.cycle()) * solver.cycle();
    let grid = problem.levels(n);
    if solver.draws(n) > MOST_DRAWS || solver.check_grid(&problem.schedule, &grid).is_err() {
        return None;
    }
    let law = law::law_on_path(solver, data, &problem.schedule, &grid, Init::Marginal, solver.equation());
    let (calls, draws) = (solver.calls(n), solver.draws(n));
    Some(match law {
        Ok(law) => Point {
            steps: n,
            w2: w2(&law.moments, &data.marginal(&grid[n])),
            strong: law.strong_error.unwrap_or(f64::NAN),
            miscounted: if solver.draws_vary() {
                law.nfe > calls || law.draws > draws
            } else {
                (law.nfe, law.draws) != (calls, draws)
            },
        },
        Err(why) => {
            let error = if matches!(why, NoLaw::Diverged { .. }) { f64::INFINITY } else { f64::NAN };
            Point { steps: n, w2: error, strong: error, miscounted: false }
        }
    })
}

/// What an adaptive method plans on the first problem, and how good that is.
fn plan(solver: &Handle, data: &Gaussian, problem: &Problem) -> Option<Planned> {
    if !solver.adaptive() {
        return None;
    }
    let plan = law::plan(solver, data, &problem.schedule, &problem.levels(1), Init::Marginal, None).ok()?;
    let law = law::law(solver, data, &problem.schedule, &plan.levels, Init::Marginal).ok()?;
    let steps = plan.levels.len() - 1;
    let w2 = w2(&law.moments, &data.marginal(&plan.levels[steps]));
    Some(Planned { steps, pilot_calls: plan.nfe, calls: law.nfe, w2 })
}

/// Fits one error against a claim.
fn measure(problem: &Problem, points: &[Point], claim: Claim, error: fn(&Point) -> f64) -> Measured {
    let list: Vec<(usize, f64)> = points.iter().map(|p| (p.steps, error(p))).collect();
    let data = data().moments();
    let size: f64 = data.mean.iter().chain(&data.std).map(|x| x * x).sum::<f64>().sqrt();
    // A few ulps of the law's size; the fit keeps a hundred times clear of it.
    let fit = order::fit(&list, 4.0 * f64::EPSILON * (1.0 + size));
    let (mut verdict, mut reason) = fit.verdict(&claim);
    let claimed = if let Claim::Order(p) = claim { Some(p) } else { None };
    if let (Some(p), Some(found), Behaviour::Asymptotic) = (claimed, fit.order, fit.behaviour)
        && verdict == Verdict::Fail
        && found > p
    {
        (verdict, reason) = (Verdict::Inconclusive, format!("{reason}, above it"));
    }
    Measured {
        problem: problem.name,
        claimed,
        order: fit.order,
        stderr: fit.stderr,
        steps: fit.window,
        verdict,
        reason,
    }
}

/// A claim holds if it is borne out somewhere and contradicted nowhere.
fn judge(what: &str, list: &[Measured], reasons: &mut Vec<String>) -> Verdict {
    let passed = list.iter().any(|m| m.verdict == Verdict::Pass);
    let mut verdict = if passed { Verdict::Pass } else { Verdict::Inconclusive };
    for m in list {
        if m.verdict == Verdict::Fail || !passed {
            reasons.push(format!("{what} on {}: {}", m.problem, m.reason));
        }
        if m.verdict == Verdict::Fail {
            verdict = Verdict::Fail;
        }
    }
    verdict
}

fn worse(a: Verdict, b: Verdict) -> Verdict {
    match (a, b) {
        (Verdict::Fail, _) | (_, Verdict::Fail) => Verdict::Fail,
        (Verdict::Inconclusive, _) | (_, Verdict::Inconclusive) => Verdict::Inconclusive,
        _ => Verdict::Pass,
    }
}

/// See [`Certificate::stable_step`].
fn stable_step(solver: &Handle) -> Option<f64> {
    const MOST: usize = 96;
    if solver.forward() || solver.draws(MOST) > MOST_DRAWS {
        return None;
    }
    let schedule = Schedule::Edm {};
    let grid = Grid::UniformLambda { start: 80.0, end: 0.002 };
    let variance: Vec<f64> = std::iter::once(0.0).chain((0..=8).map(|k| 10f64.powi(k - 8))).collect();
    let data = Gaussian::new(vec![0.0; variance.len()], variance).expect("legal");
    let amplifies = |n: usize| {
        let levels = grid.levels(&schedule, Some(n)).expect("a valid rule");
        solver.check_grid(&schedule, &levels).ok()?;
        let law = law::law(solver, &data, &schedule, &levels, Init::Marginal);
        Some(law.map_or(true, |law| law.gain.iter().any(|g| g.is_nan() || g.abs() > 1.0)))
    };
    let worst = (1..=MOST).rev().find(|&n| amplifies(n) == Some(true));
    amplifies(MOST)?;
    let whole = (schedule.at(80.0).lambda() - schedule.at(0.002).lambda()).abs();
    Some(match worst {
        None => f64::INFINITY,
        Some(n) if n == MOST => 0.0,
        Some(n) => whole / (n + 1) as f64,
    })
}

fn text<S: serde::Serializer>(verdict: &Verdict, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(verdict)
}

/// JSON has no infinity.
fn number<S: serde::Serializer>(x: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match x {
        Some(x) if x.is_finite() => serializer.serialize_f64(*x),
        Some(x) => serializer.collect_str(x),
        None => serializer.serialize_none(),
    }
}
