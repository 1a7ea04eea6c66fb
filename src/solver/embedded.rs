//! Adaptive Runge-Kutta methods: pairs whose second solution estimates the error of the first.
//!
//! Steps are measured in `t` by default, with `rtol = atol = 1e-5`: the black-box use of Song et al. 2021 (sec. 4.3 and
//! D.4). The propagated solution is the one of higher order, as in all modern codes.
use super::adaptive::{Control, check_tolerances};
use super::tableau::{self, Tableau};
use super::*;

/// The error estimate at the end of a step from `t` to `s`, in units of `x`.
fn estimate<V: Space>(
    table: &Tableau,
    clock: Clock,
    cx: &mut Ctx<V>,
    (t, s): (&Level, &Level),
    slopes: &[State<V>],
) -> State<V> {
    let h = clock.length(t, s) * if clock == Clock::T { 1.0 } else { s.alpha };
    let weighted = |weights: &[f64]| {
        let terms = weights.iter().zip(slopes).filter(|(e, _)| **e != 0.0);
        crate::state::Lin::sum(terms.map(|(e, k)| (h * e, k))).eval()
    };
    let error = weighted(&table.errors[0]);
    let Some(coarser) = table.errors.get(1) else { return error };
    // DOP853: the errors of orders 5 and 3 make one that falls like h^8 (Hairer, Norsett & Wanner 1993, II.10, eq. 10.17).
    let coarser = weighted(coarser);
    let (fine, coarse) = (cx.expected_rms(&error), cx.expected_rms(&coarser));
    let share = if fine == 0.0 { 0.0 } else { fine / fine.hypot(0.1 * coarse) };
    (share * &error).eval()
}

/// The levels that a pair visits. Slopes known from the step before, or from a rejected one, are not asked for again.
fn plan<V: Space>(
    table: &Tableau,
    control: Control,
    clock: Clock,
    cx: &mut Ctx<V>,
    grid: &[Level],
    x: State<V>,
) -> Vec<Level> {
    if clock == Clock::Edm && grid[grid.len() - 1].sigma == 0.0 {
        cx.refuse(
            "a step to sigma = 0 has no error estimate in kappa; end the grid earlier, or give clock = \"t\"",
        );
    }
    let at_end = table.errors[0].len() > table.b.len();
    let mut known: Option<(Level, Level, Vec<State<V>>)> = None;
    control.plan(cx, clock, grid, x, |cx, x, t, s| {
        let first = known.take().and_then(|(from, to, mut slopes)| {
            if from == *t {
                Some(slopes.swap_remove(0))
            } else if at_end && to == *t {
                slopes.pop()
            } else {
                None
            }
        });
        let mut slopes = table.slopes(clock, cx, x, (t, s), first);
        let new = clock.advance(x, t, s, clock.length(t, s), &table.b, &slopes);
        if at_end {
            slopes.push(clock.slope(cx, &new, s));
        }
        let error = estimate(table, clock, cx, (t, s), &slopes);
        known = Some((*t, *s, slopes));
        (new, error)
    })
}

macro_rules! pair {
    ($type:ident, $table:literal, $control:ident, $q:literal, $name:literal, $about:literal, $source:literal) => {
        #[doc = $about]
        #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $type {
            /// Tolerated error relative to the root mean square of the state.
            pub rtol: f64,
            /// Tolerated error in units of `x`.
            pub atol: f64,
            /// The variable that steps are taken in.
            pub clock: Clock,
        }

        impl Default for $type {
            fn default() -> Self {
                $type { rtol: 1e-5, atol: 1e-5, clock: Clock::T }
            }
        }

        impl $type {
            fn tableau() -> &'static Tableau {
                tableau::named($table).expect("it is in the list")
            }
        }

        impl Sample for $type {
            fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], x: State<V>) -> State<V> {
                Self::tableau().run(self.clock, cx, grid, x)
            }
            fn plan<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], x: State<V>) -> Option<Vec<Level>> {
                let control = Control::$control(self.rtol, self.atol, $q);
                Some(plan(Self::tableau(), control, self.clock, cx, grid, x))
            }
        }

        impl Solver for $type {
            const NAME: &'static str = $name;
            const ABOUT: &'static str = $about;
            const SOURCE: &'static str = $source;

            fn claim(&self) -> Claim {
                Claim::Order(Self::tableau().order.into())
            }
            fn equation(&self) -> Option<f64> {
                Some(0.0)
            }
            fn needs(&self, _: &Schedule) -> Needs {
                Needs::of(self.clock)
            }
            fn check(&self) -> Result<()> {
                check_tolerances(self.rtol, self.atol)
            }
            fn calls(&self, steps: usize) -> usize {
                Self::tableau().b.len() * steps
            }
            fn proofs(&self) -> Vec<Proof> {
                vec![runge_kutta::order_proof(Self::tableau())]
            }
            fn adaptive(&self) -> bool {
                true
            }
            fn catalogue() -> Vec<Self> {
                Clock::ALL.map(|clock| $type { clock, ..$type::default() }).into()
            }
        }
    };
}

pair!(
    Bs23,
    "ralston-3",
    pi,
    3,
    "bs23",
    "adaptive: the pair of orders 3 and 2 of Bogacki & Shampine, PI step control",
    "Bogacki & Shampine 1989"
);
pair!(
    Dopri5,
    "dopri5",
    pi,
    5,
    "dopri5",
    "adaptive: the pair of orders 5 and 4 of Dormand & Prince, PI step control",
    "Hairer, Norsett & Wanner 1993, II.4 and II.5, code DOPRI5"
);
pair!(
    Rk45,
    "dopri5",
    elementary,
    5,
    "rk45",
    "adaptive: what scipy and score_sde call RK45, Dormand & Prince's pair under elementary step control",
    "Song et al. 2021, sec. 4.3 and D.4; Dormand & Prince 1980"
);
pair!(
    Dop853,
    "dop853",
    pi,
    8,
    "dop853",
    "adaptive: order 8 with error estimates of orders 5 and 3, PI step control",
    "Hairer, Norsett & Wanner 1993, II.10, code DOP853"
);
