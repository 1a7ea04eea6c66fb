//! States are vectors, and to a solver nothing more.
//!
//! A solver is generic in [`Space`], so all it can do with a state is form linear combinations
//! whose coefficients it computed from noise levels, ask the model, and ask for noise.
//!
//! ```
//! use scorebench::{batch::Batch, state::State};
//! let x = State(Batch::from_rows(2, vec![1.0, 2.0]));
//! let d = State(Batch::from_rows(2, vec![0.5, 0.0]));
//! let y = (2.0 * &x - (&x - &d) / 4.0).eval(); // one pass, one allocation
//! assert_eq!(y.0.to_rows(), [1.875, 3.5]);
//! ```

use std::ops::{Add, Div, Mul, Neg, Sub};

use crate::any::Any;
use crate::run::{Ctx, Recorded};

/// A batch of states on some device.
pub trait Space: Sized {
    /// `sum_k c_k v_k`, in one pass. Never called with no terms; all terms have one shape.
    fn combine(terms: &[(f64, &Self)]) -> Self;

    /// Root mean square over the coordinates (and over the batch or the law, where there is one).
    ///
    /// Solvers reach it through [`Ctx::rms`](crate::run::Ctx::rms) and
    /// [`Ctx::expected_rms`](crate::run::Ctx::expected_rms), which record the look; nobody else has a
    /// [`Recorded`] to show.
    ///
    /// ```compile_fail
    /// use scorebench::{run::Recorded, state::{Space, State}};
    /// fn look<V: Space>(x: &State<V>) -> f64 {
    ///     x.0.rms(&Recorded(()))
    /// }
    /// ```
    fn rms(&self, look: &Recorded) -> f64;

    /// Runs a solver whose type is forgotten, on states of [`Any`] backend. Every backend does this alike:
    /// `cx.with_any(x, run)`.
    #[doc(hidden)]
    fn with_any<T>(cx: &mut Ctx<Self>, x: State<Self>, run: impl FnOnce(&mut Ctx<Any>, State<Any>) -> T)
    -> T;

    /// What such a run ends with: `Backend::unwrap(x.0)`.
    #[doc(hidden)]
    fn from_any(x: State<Any>) -> State<Self>;
}

/// A state. The newtype carries the arithmetic, so that a backend implements [`Space`] only.
///
/// `+`, `-`, `*` by an `f64` and `/` by an `f64` build a [`Lin`]; [`Lin::eval`] computes it.
#[derive(Clone, Debug)]
pub struct State<V>(pub V);

/// An unevaluated linear combination of at most [`Lin::MAX`] states.
pub struct Lin<'a, V> {
    terms: [Option<(f64, &'a V)>; MAX],
    len: usize,
}

// What a 17-stage Runge-Kutta method needs, or four stages of a fourth-order multistep one.
const MAX: usize = 20;

impl<'a, V: Space> Lin<'a, V> {
    /// The most states one combination may name.
    pub const MAX: usize = MAX;

    /// `sum_k c_k v_k` for coefficients and states given as pairs: what a tableau wants.
    ///
    /// # Panics
    /// If the iterator is empty or names more than [`Lin::MAX`] distinct states.
    pub fn sum(terms: impl IntoIterator<Item = (f64, &'a State<V>)>) -> Self {
        let mut sum = Lin { terms: [None; MAX], len: 0 };
        for (c, v) in terms {
            sum.push(c, &v.0);
        }
        assert!(sum.len > 0, "a combination has a term");
        sum
    }

    /// Adds `c v`, where there is a `v`: noise that some parameters switch off.
    pub fn plus(mut self, c: f64, v: Option<&'a State<V>>) -> Self {
        if let Some(v) = v {
            self.push(c, &v.0);
        }
        self
    }

    /// Computes the combination in one pass over memory.
    pub fn eval(self) -> State<V> {
        let filler = self.terms[0].expect("a combination has a term");
        let mut flat = [filler; MAX];
        for (slot, term) in flat.iter_mut().zip(self.terms) {
            if let Some(term) = term {
                *slot = term;
            }
        }
        State(V::combine(&flat[..self.len]))
    }

    fn push(&mut self, c: f64, v: &'a V) {
        for (have, other) in self.terms.iter_mut().flatten() {
            if std::ptr::eq(*other, v) {
                *have += c;
                return;
            }
        }
        self.terms[self.len] = Some((c, v));
        self.len += 1;
    }

    fn scale(mut self, c: f64) -> Self {
        for (have, _) in self.terms.iter_mut().flatten() {
            *have *= c;
        }
        self
    }
}

impl<'a, V: Space> From<&'a State<V>> for Lin<'a, V> {
    fn from(x: &'a State<V>) -> Self {
        Lin::sum([(1.0, x)])
    }
}

macro_rules! arithmetic {
    ($left:ty) => {
        impl<'a, V: Space, R: Into<Lin<'a, V>>> Add<R> for $left {
            type Output = Lin<'a, V>;
            fn add(self, rhs: R) -> Lin<'a, V> {
                let (mut sum, rhs): (Lin<V>, Lin<V>) = (self.into(), rhs.into());
                for (c, v) in rhs.terms.into_iter().flatten() {
                    sum.push(c, v);
                }
                sum
            }
        }
        impl<'a, V: Space, R: Into<Lin<'a, V>>> Sub<R> for $left {
            type Output = Lin<'a, V>;
            fn sub(self, rhs: R) -> Lin<'a, V> {
                self + rhs.into().scale(-1.0)
            }
        }
        impl<'a, V: Space> Neg for $left {
            type Output = Lin<'a, V>;
            fn neg(self) -> Lin<'a, V> {
                Lin::from(self).scale(-1.0)
            }
        }
        impl<'a, V: Space> Div<f64> for $left {
            type Output = Lin<'a, V>;
            fn div(self, c: f64) -> Lin<'a, V> {
                Lin::from(self).scale(1.0 / c)
            }
        }
        impl<'a, V: Space> Mul<$left> for f64 {
            type Output = Lin<'a, V>;
            fn mul(self, x: $left) -> Lin<'a, V> {
                Lin::from(x).scale(self)
            }
        }
    };
}
arithmetic!(&'a State<V>);
arithmetic!(Lin<'a, V>);
