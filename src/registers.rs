//! Vectors of either precision, as wide as the processor has them.

use pulp::Simd;

/// The registers of a processor. Loops over [`Lanes`](crate::batch::Lanes) become vector instructions by themselves only
/// where their bodies are long (`exp`, normals): short ones are unrolled first and come out as single numbers or
/// gathers, and sums are stored and loaded again in every pass of an outer loop. Those are written with registers.
pub trait Registers: Sized {
    /// As many values as a register of `S` holds.
    type Register<S: Simd>: Copy;
    /// Values as registers, whole ones only.
    fn registers<S: Simd>(values: &[Self]) -> &[Self::Register<S>];
    /// The same, to write to.
    fn registers_mut<S: Simd>(values: &mut [Self]) -> &mut [Self::Register<S>];
    /// A register full of one value.
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Register<S>;
    /// `a + b`.
    fn plus<S: Simd>(simd: S, a: Self::Register<S>, b: Self::Register<S>) -> Self::Register<S>;
    /// `a - b`.
    fn minus<S: Simd>(simd: S, a: Self::Register<S>, b: Self::Register<S>) -> Self::Register<S>;
    /// `a b`.
    fn times<S: Simd>(simd: S, a: Self::Register<S>, b: Self::Register<S>) -> Self::Register<S>;
    /// `a / b`.
    fn over<S: Simd>(simd: S, a: Self::Register<S>, b: Self::Register<S>) -> Self::Register<S>;
    /// The larger one of each two.
    fn larger<S: Simd>(simd: S, a: Self::Register<S>, b: Self::Register<S>) -> Self::Register<S>;
    /// The largest value in a register.
    fn largest<S: Simd>(simd: S, a: Self::Register<S>) -> Self;
    /// `a b + c`, rounded once.
    fn fused<S: Simd>(
        simd: S,
        a: Self::Register<S>,
        b: Self::Register<S>,
        c: Self::Register<S>,
    ) -> Self::Register<S>;
}

macro_rules! registers {
    ($real:ty, $register:ident, $from:ident, $from_mut:ident, $splat:ident, $fused:ident, $largest:ident, $($name:ident = $op:ident),*) => {
        impl Registers for $real {
            type Register<S: Simd> = S::$register;
            #[inline(always)]
            fn registers<S: Simd>(values: &[Self]) -> &[S::$register] {
                S::$from(values).0
            }
            #[inline(always)]
            fn registers_mut<S: Simd>(values: &mut [Self]) -> &mut [S::$register] {
                S::$from_mut(values).0
            }
            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> S::$register {
                simd.$splat(value)
            }
            #[inline(always)]
            fn fused<S: Simd>(simd: S, a: S::$register, b: S::$register, c: S::$register) -> S::$register {
                simd.$fused(a, b, c)
            }
            #[inline(always)]
            fn largest<S: Simd>(simd: S, a: S::$register) -> Self {
                simd.$largest(a)
            }
            $(#[inline(always)]
            fn $name<S: Simd>(simd: S, a: S::$register, b: S::$register) -> S::$register {
                simd.$op(a, b)
            })*
        }
    };
}
registers!(
    f32,
    f32s,
    as_simd_f32s,
    as_mut_simd_f32s,
    splat_f32s,
    mul_add_f32s,
    reduce_max_f32s,
    plus = add_f32s,
    minus = sub_f32s,
    times = mul_f32s,
    over = div_f32s,
    larger = max_f32s
);
registers!(
    f64,
    f64s,
    as_simd_f64s,
    as_mut_simd_f64s,
    splat_f64s,
    mul_add_f64s,
    reduce_max_f64s,
    plus = add_f64s,
    minus = sub_f64s,
    times = mul_f64s,
    over = div_f64s,
    larger = max_f64s
);
