//! States on whichever backend: what solvers run on whose type is forgotten, so that each is compiled once.
//!
//! A new backend is one more variant of [`Any`] and one `variant!` line.

#[cfg(feature = "candle")]
use candle_core::Tensor;

use crate::affine::Affine;
use crate::batch::{Batch, Precision};
use crate::run::{Ctx, Denoiser, Noise, Recorded};
use crate::schedule::{Clock, Level};
use crate::state::{Lin, Space, State};

/// A state of one of the backends.
#[derive(Debug)]
pub enum Any {
    /// An affine function of the noises.
    Affine(State<Affine>),
    /// Samples in `f64`.
    F64(State<Batch<f64>>),
    /// Samples in `f32`.
    F32(State<Batch<f32>>),
    /// Samples on a device.
    #[cfg(feature = "candle")]
    Tensor(State<Tensor>),
}

/// A space whose states [`Any`] holds.
pub trait Backend: Space {
    /// The state as any.
    fn wrap(x: State<Self>) -> Any;
    /// The state again.
    ///
    /// # Panics
    /// If it is of another backend: a run has one.
    fn unwrap(x: Any) -> State<Self>;
    /// A look at the state, likewise.
    fn peek(x: &Any) -> &State<Self>;
}

/// The three functions of a trait that takes states of `Space` to their variant and back.
macro_rules! variant {
    ($Trait:ident for $Type:ty: $Variant:ident of $Space:ty) => {
        impl $Trait for $Type {
            fn wrap(x: State<$Space>) -> Any {
                Any::$Variant(x)
            }
            fn unwrap(x: Any) -> State<$Space> {
                match x {
                    Any::$Variant(x) => x,
                    _ => unreachable!("a run has one backend"),
                }
            }
            fn peek(x: &Any) -> &State<$Space> {
                match x {
                    Any::$Variant(x) => x,
                    _ => unreachable!("a run has one backend"),
                }
            }
        }
    };
}
variant!(Backend for Affine: Affine of Affine);
variant!(Precision for f64: F64 of Batch<f64>);
variant!(Precision for f32: F32 of Batch<f32>);
#[cfg(feature = "candle")]
variant!(Backend for Tensor: Tensor of Tensor);

impl<R: Precision> Backend for Batch<R> {
    fn wrap(x: State<Self>) -> Any {
        R::wrap(x)
    }
    fn unwrap(x: Any) -> State<Self> {
        R::unwrap(x)
    }
    fn peek(x: &Any) -> &State<Self> {
        R::peek(x)
    }
}

impl Space for Any {
    fn combine(terms: &[(f64, &Self)]) -> Self {
        match terms[0].1 {
            Any::Affine(_) => combine_as::<Affine>(terms),
            Any::F64(_) => combine_as::<Batch<f64>>(terms),
            Any::F32(_) => combine_as::<Batch<f32>>(terms),
            #[cfg(feature = "candle")]
            Any::Tensor(_) => combine_as::<Tensor>(terms),
        }
    }

    fn rms(&self, look: &Recorded) -> f64 {
        match self {
            Any::Affine(x) => x.0.rms(look),
            Any::F64(x) => x.0.rms(look),
            Any::F32(x) => x.0.rms(look),
            #[cfg(feature = "candle")]
            Any::Tensor(x) => x.0.rms(look),
        }
    }

    fn with_any<T>(
        cx: &mut Ctx<Self>,
        x: State<Self>,
        run: impl FnOnce(&mut Ctx<Any>, State<Any>) -> T,
    ) -> T {
        run(cx, x)
    }

    fn from_any(x: State<Any>) -> State<Self> {
        x
    }
}

fn combine_as<V: Backend>(terms: &[(f64, &Any)]) -> Any {
    let mut flat = [(terms[0].0, &V::peek(terms[0].1).0); Lin::<Any>::MAX];
    for (slot, (c, x)) in flat.iter_mut().zip(terms) {
        *slot = (*c, &V::peek(x).0);
    }
    V::wrap(State(V::combine(&flat[..terms.len()])))
}

/// A model of a backend as one of any.
pub(crate) struct AnyModel<'a, V>(pub(crate) &'a dyn Denoiser<V>);

impl<V: Backend> Denoiser<Any> for AnyModel<'_, V> {
    fn denoise(&self, x: &State<Any>, at: &Level) -> State<Any> {
        State(V::wrap(self.0.denoise(V::peek(&x.0), at)))
    }
    fn eps(&self, x: &State<Any>, at: &Level) -> State<Any> {
        State(V::wrap(self.0.eps(V::peek(&x.0), at)))
    }
    fn score(&self, x: &State<Any>, at: &Level) -> State<Any> {
        State(V::wrap(self.0.score(V::peek(&x.0), at)))
    }
    fn flow(&self, x: &State<Any>, t: &Level, s: &Level) -> Option<State<Any>> {
        self.0.flow(V::peek(&x.0), t, s).map(|x| State(V::wrap(x)))
    }
    fn posterior_noise(&self, z: &State<Any>, t: &Level, s: &Level) -> Option<State<Any>> {
        self.0.posterior_noise(V::peek(&z.0), t, s).map(|z| State(V::wrap(z)))
    }
}

/// Noise of a backend as that of any.
pub(crate) struct AnyNoise<'a, V>(pub(crate) &'a mut dyn Noise<V>);

impl<V: Backend> Noise<Any> for AnyNoise<'_, V> {
    fn increment(&mut self, x: &State<Any>, from: &Level, to: &Level) -> State<Any> {
        State(V::wrap(self.0.increment(V::peek(&x.0), from, to)))
    }
    fn fresh(&mut self, x: &State<Any>) -> State<Any> {
        State(V::wrap(self.0.fresh(V::peek(&x.0))))
    }
    fn increment_and_area(
        &mut self,
        x: &State<Any>,
        from: &Level,
        to: &Level,
        clock: Clock,
    ) -> (State<Any>, State<Any>) {
        let (w, area) = self.0.increment_and_area(V::peek(&x.0), from, to, clock);
        (State(V::wrap(w)), State(V::wrap(area)))
    }
}
