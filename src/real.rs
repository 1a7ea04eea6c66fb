//! The two precisions that samples are computed in, with the functions that their scores and noises are made of.
//!
//! Every function here is branch-free, so that a loop over a block of samples becomes vector instructions, whatever
//! their width: see [`vectorised`]. Products are fused into sums by [`Real::mul_add`] everywhere, so that results do
//! not depend on the processor either (one without fused instructions is slower, not different).

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

use pulp::WithSimd;

use crate::registers::Registers;

/// `f32` or `f64`.
///
/// Largest errors in units of the last place, in `f32` and `f64` (`tests/real.rs` holds them to it): `exp` 1.0 and 1.1,
/// `ln` 0.8 in both; normals 3 and 2 units of their pair's radius.
pub trait Real:
    Copy
    + Debug
    + Default
    + PartialOrd
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + Registers
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Smallest that a variance is divided by: a point mass without noise is a very narrow one.
    const LEAST_VARIANCE: Self;
    /// `exp` of anything less is 0.
    const LEAST_EXPONENT: Self;

    /// The nearest value.
    fn from_f64(x: f64) -> Self;
    /// The same value.
    fn to_f64(self) -> f64;
    /// `self * a + b`, rounded once.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// The larger one; `other` where `self` is no number.
    fn max(self, other: Self) -> Self;
    /// Absolute value.
    fn abs(self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// `e^self`; 0 below [`Real::LEAST_EXPONENT`], infinite above 88.37 (`f32`) and 709.4 (`f64`).
    fn exp(self) -> Self;
    /// Natural logarithm of a positive normal number.
    fn ln(self) -> Self;
    /// Two independent standard normals from twice 32 random bits (Box & Muller 1958), the same two in either precision
    /// but for rounding; in `f64` a scramble of all 64 fills the bits that follow.
    fn normals(radius: u32, angle: u32) -> [Self; 2];
}

/// The widest vectors that this processor has, as far as they are used.
pub fn vectors() -> &'static str {
    let arch = format!("{:?}", pulp::Arch::new());
    match arch.split('(').next() {
        Some("V4") => "AVX-512",
        Some("V3") => "AVX2 and FMA",
        Some("Neon" | "NeonFcma") => "NEON",
        _ => "none",
    }
}

/// Runs `f` compiled for the widest vectors that this processor has. What `f` calls must be inlined into it
/// (`#[inline(always)]`) to be compiled so; `f` itself must be a struct, for a closure is not.
#[inline(always)]
pub fn vectorised<R>(f: impl WithSimd<Output = R>) -> R {
    pulp::Arch::new().dispatch(f)
}

/// `sum_i c_i x^i`, from the highest coefficient down.
macro_rules! horner {
    ($x:expr, $first:expr $(, $c:expr)*) => {{
        let x = $x;
        let sum = $first;
        $(let sum = sum.mul_add(x, $c);)*
        sum
    }};
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const LEAST_VARIANCE: Self = 1e-24;
    const LEAST_EXPONENT: Self = -87.3;

    #[inline(always)]
    fn from_f64(x: f64) -> Self {
        x as f32
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self.into()
    }
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        self.mul_add(a, b)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        if self > other { self } else { other }
    }
    #[inline(always)]
    fn abs(self) -> Self {
        self.abs()
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        self.sqrt()
    }

    #[inline(always)]
    fn exp(self) -> Self {
        // x = n ln 2 + r with |r| <= ln 2/2; adding 3 * 2^22 leaves n in the last bits.
        const SHIFT: f32 = 12_582_912.0;
        let inside = if self > Self::LEAST_EXPONENT { self } else { Self::LEAST_EXPONENT };
        let inside = if inside < 88.37 { inside } else { 88.37 };
        let shifted = inside.mul_add(std::f32::consts::LOG2_E, SHIFT);
        let n = shifted - SHIFT;
        let r = n.mul_add(2.121_944_4e-4, n.mul_add(-0.693_359_4, inside));
        let p =
            horner!(r, 1.987_569_2e-4f32, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5);
        let y = p.mul_add(r * r, r) + 1.0;
        let y = y * f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
        let y = if self < Self::LEAST_EXPONENT { 0.0 } else { y };
        if self > 88.37 { f32::INFINITY } else { y }
    }

    #[inline(always)]
    fn ln(self) -> Self {
        // x = 2^e m with m in [sqrt(1/2), sqrt(2)): the bits above those of sqrt(1/2) count the powers of two.
        const ROOT_HALF: u32 = 0x3f35_04f3;
        let up = self.to_bits().wrapping_sub(ROOT_HALF);
        let e = ((up as i32) >> 23) as f32;
        let f = f32::from_bits((up & 0x007f_ffff).wrapping_add(ROOT_HALF)) - 1.0;
        let p = horner!(
            f,
            7.037_683_6e-2f32,
            -1.151_461e-1,
            1.167_699_9e-1,
            -1.242_014_1e-1,
            1.424_932_3e-1,
            -1.666_805_8e-1,
            2.000_071_5e-1,
            -2.499_999_4e-1,
            3.333_333e-1
        );
        let y = e.mul_add(-2.121_944_4e-4, p * f * f * f);
        e.mul_add(0.693_359_4, (-0.5 * f).mul_add(f, y) + f)
    }

    #[inline(always)]
    fn normals(radius: u32, angle: u32) -> [Self; 2] {
        const ULP: f32 = 1.0 / 4_294_967_296.0;
        let radius = (-2.0 * Real::ln((radius as f32 + 0.5) * ULP)).sqrt();
        let angle = angle as i32 as f32 * ULP;
        // Turns to the nearest quarter; what is left has a sine and a cosine by short series.
        const SHIFT: f32 = 12_582_912.0;
        let shifted = angle.mul_add(4.0, SHIFT);
        let quarter = shifted.to_bits();
        let r = (shifted - SHIFT).mul_add(-0.25, angle) * std::f32::consts::TAU;
        let s = r * r;
        let sine = horner!(s, -1.951_529_6e-4f32, 8.332_161e-3, -1.666_665_5e-1);
        let sine = (sine * s).mul_add(r, r);
        let cosine = horner!(s, 2.443_315_7e-5f32, -1.388_731_6e-3, 4.166_664_6e-2, -0.5).mul_add(s, 1.0);
        let (x, y) = if quarter & 1 == 0 { (cosine, sine) } else { (sine, cosine) };
        // Signs: cosine is negative in the second and third quarter, sine in the third and fourth.
        let x = f32::from_bits(x.to_bits() ^ ((quarter.wrapping_add(1) & 2) << 30));
        let y = f32::from_bits(y.to_bits() ^ ((quarter & 2) << 30));
        [radius * x, radius * y]
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const LEAST_VARIANCE: Self = 1e-290;
    const LEAST_EXPONENT: Self = -708.3;

    #[inline(always)]
    fn from_f64(x: f64) -> Self {
        x
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        self.mul_add(a, b)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        if self > other { self } else { other }
    }
    #[inline(always)]
    fn abs(self) -> Self {
        self.abs()
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        self.sqrt()
    }

    #[inline(always)]
    fn exp(self) -> Self {
        // As in f32, with 3 * 2^51; ln 2 in two parts (Cody & Waite 1980).
        const SHIFT: f64 = 6_755_399_441_055_744.0;
        let inside = if self > Self::LEAST_EXPONENT { self } else { Self::LEAST_EXPONENT };
        let inside = if inside < 709.4 { inside } else { 709.4 };
        let shifted = inside.mul_add(std::f64::consts::LOG2_E, SHIFT);
        let n = shifted - SHIFT;
        let r = n.mul_add(-1.428_606_820_309_417_2e-6, n.mul_add(-6.931_457_519_531_25e-1, inside));
        let p = horner!(
            r,
            2.510_038_549_551_031e-8f64,
            2.762_008_844_540_974_8e-7,
            2.755_726_845_999_706_6e-6,
            2.480_152_129_595_437_5e-5,
            1.984_126_986_305_361_7e-4,
            1.388_888_891_721_371_7e-3,
            8.333_333_333_330_062e-3,
            4.166_666_666_662_413e-2,
            1.666_666_666_666_666_7e-1,
            0.500_000_000_000_000_1
        );
        let y = p.mul_add(r * r, r) + 1.0;
        let y = y * f64::from_bits((shifted.to_bits() << 52).wrapping_add(0x3ff0_0000_0000_0000));
        let y = if self < Self::LEAST_EXPONENT { 0.0 } else { y };
        if self > 709.4 { f64::INFINITY } else { y }
    }

    #[inline(always)]
    fn ln(self) -> Self {
        const ROOT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
        let up = self.to_bits().wrapping_sub(ROOT_HALF);
        // The exponent through the last bits of a large number: no vector instruction of older processors converts it.
        const SHIFT: f64 = 6_755_399_441_055_744.0;
        let e = f64::from_bits((((up as i64) >> 52) as u64).wrapping_add(SHIFT.to_bits())) - SHIFT;
        let f = f64::from_bits((up & 0x000f_ffff_ffff_ffff).wrapping_add(ROOT_HALF)) - 1.0;
        // ln(1 + f) = 2 artanh(s), s = f/(2 + f), as f - f^2/2 + s (f^2/2 + R(s^2)) (fdlibm's arrangement).
        let s = f / (2.0 + f);
        let z = s * s;
        let r = z * horner!(
            z,
            1.479_819_860_511_658_6e-1f64,
            1.531_383_769_920_937_3e-1,
            1.818_357_216_161_805e-1,
            2.222_219_843_214_978_4e-1,
            2.857_142_874_366_239e-1,
            3.999_999_999_940_942e-1,
            6.666_666_666_666_735e-1
        );
        let half = 0.5 * f * f;
        let low = s.mul_add(half + r, e * 1.908_214_929_270_587_7e-10);
        e.mul_add(6.931_471_803_691_238e-1, f - (half - low))
    }

    #[inline(always)]
    fn normals(radius: u32, angle: u32) -> [Self; 2] {
        const ULP: f64 = 1.0 / 9_007_199_254_740_992.0;
        let (radius, angle) = (u64::from(radius) << 32, u64::from(angle));
        let low = scramble(radius | angle);
        let u = ((radius | (low >> 32)) >> 11) as f64;
        let radius = (-2.0 * Real::ln((u + 0.5) * ULP)).sqrt();
        let angle = (((angle << 32 | (low & 0xffff_ffff)) as i64) >> 11) as f64 * ULP;
        const SHIFT: f64 = 6_755_399_441_055_744.0;
        let shifted = angle.mul_add(4.0, SHIFT);
        let quarter = shifted.to_bits();
        let r = (shifted - SHIFT).mul_add(-0.25, angle) * std::f64::consts::TAU;
        let s = r * r;
        let sine = horner!(
            s,
            1.589_623_015_765_465_6e-10f64,
            -2.505_074_776_285_780_7e-8,
            2.755_731_362_138_572_4e-6,
            -1.984_126_982_958_954e-4,
            8.333_333_333_322_118e-3,
            -1.666_666_666_666_663e-1
        );
        let sine = (sine * s).mul_add(r, r);
        let cosine = horner!(
            s,
            -1.135_853_652_138_768_2e-11f64,
            2.087_570_084_197_473e-9,
            -2.755_731_417_929_674e-7,
            2.480_158_728_885_171_8e-5,
            -1.388_888_888_887_305_6e-3,
            4.166_666_666_666_66e-2,
            -0.5
        )
        .mul_add(s, 1.0);
        let (x, y) = if quarter & 1 == 0 { (cosine, sine) } else { (sine, cosine) };
        let x = f64::from_bits(x.to_bits() ^ ((quarter.wrapping_add(1) & 2) << 62));
        let y = f64::from_bits(y.to_bits() ^ ((quarter & 2) << 62));
        [radius * x, radius * y]
    }
}

/// A bijection of 64 bits in which every bit depends on all (the finaliser of SplitMix64; Steele, Lea & Flood 2014).
#[inline(always)]
pub fn scramble(bits: u64) -> u64 {
    let z = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
