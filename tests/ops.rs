//! What a U-Net is made of equals candle's own composition of it, in value and in gradient, and treats every image alike.
#![cfg(feature = "candle")]

use candle_core::{D, DType, Device, Result, Tensor, Var};
use proptest::prelude::*;
use scorebench::net::ops;

type Op<'a> = &'a dyn Fn(&[Tensor]) -> Result<Tensor>;

/// Values in -1..1 that differ by seed.
fn noise(shape: &[usize], seed: u64) -> Tensor {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1u32 << 30) - 1.0
    };
    let values: Vec<f64> = (0..shape.iter().product()).map(next).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn noises(shapes: &[&[usize]]) -> Vec<Tensor> {
    shapes.iter().zip(1..).map(|(shape, seed)| noise(shape, seed)).collect()
}

/// The largest difference, relative to the largest value of `b` or to 1.
fn difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    if a.elem_count() == 0 {
        return 0.0;
    }
    let (a, b) = (a.to_dtype(DType::F64).unwrap(), b.to_dtype(DType::F64).unwrap());
    let largest = |t: Tensor| t.abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap();
    largest((&a - &b).unwrap()) / largest(b).max(1.0)
}

/// The gradients of `sum(weights * op)`.
fn gradients(op: Op, arguments: &[Tensor], weights: &Tensor) -> Vec<Tensor> {
    let vars: Vec<_> = arguments.iter().map(|t| Var::from_tensor(t).unwrap()).collect();
    let tensors: Vec<_> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let sum = (op(&tensors).unwrap() * weights).unwrap().sum_all().unwrap();
    let grads = sum.backward().unwrap();
    vars.iter().map(|v| grads.get(v).expect("a gradient").clone()).collect()
}

/// Equal in value (f64 and f32) and gradient, and the gradient equal to a finite difference along some direction.
fn assert_same(ours: Op, theirs: Op, arguments: &[Tensor]) {
    let (y, expected) = (ours(arguments).unwrap(), theirs(arguments).unwrap());
    assert!(difference(&y, &expected) < 1e-12, "values differ by {}", difference(&y, &expected));
    let single: Vec<_> = arguments.iter().map(|t| t.to_dtype(DType::F32).unwrap()).collect();
    let d = difference(&ours(&single).unwrap(), &expected);
    assert!(d < 1e-5, "values in f32 differ by {d}");

    let weights = noise(y.dims(), 99);
    let (mine, other) = (gradients(ours, arguments, &weights), gradients(theirs, arguments, &weights));
    for (i, (a, b)) in mine.iter().zip(&other).enumerate() {
        assert!(difference(a, b) < 1e-10, "gradient {i} differs by {}", difference(a, b));
    }

    let directions: Vec<_> = arguments.iter().zip(50..).map(|(t, seed)| noise(t.dims(), seed)).collect();
    let sum = |t: Tensor| t.sum_all().unwrap().to_scalar::<f64>().unwrap();
    let along = |step: f64| {
        let moved = arguments.iter().zip(&directions).map(|(t, d)| (t + (d * step).unwrap()).unwrap());
        sum((ours(&moved.collect::<Vec<_>>()).unwrap() * &weights).unwrap())
    };
    let slope = (along(1e-5) - along(-1e-5)) / 2e-5;
    let expected: f64 = mine.iter().zip(&directions).map(|(g, d)| sum((g * d).unwrap())).sum();
    assert!(
        (slope - expected).abs() < 1e-6 * expected.abs().max(10.0),
        "{slope} along, {expected} by gradient"
    );
}

/// Every patch, then only those `stride` apart: candle has no gradient of strided convolutions of images that are not square.
fn conv2d(t: &[Tensor], stride: usize, padding: usize) -> Result<Tensor> {
    let mut y = t[0].conv2d(&t[1], padding, 1, 1, 1)?;
    for axis in 2..4 {
        let kept: Vec<_> = (0..y.dim(axis)? as u32).step_by(stride).collect();
        y = y.index_select(&Tensor::new(kept, &Device::Cpu)?, axis)?;
    }
    y.broadcast_add(&t[2].reshape(((), t[1].dim(0)?, 1, 1))?)
}

fn group_norm(t: &[Tensor], groups: usize, eps: f64, silu: bool) -> Result<Tensor> {
    let rows = t[0].reshape((t[0].dim(0)?, groups, ()))?;
    let centred = rows.broadcast_sub(&rows.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let y = centred.broadcast_div(&(variance + eps)?.sqrt()?)?.reshape(t[0].shape())?;
    let channels = |t: &Tensor| t.reshape((1, (), 1, 1));
    let y = y.broadcast_mul(&channels(&t[1])?)?.broadcast_add(&channels(&t[2])?)?;
    if silu { y.silu() } else { Ok(y) }
}

fn attention(t: &[Tensor]) -> Result<Tensor> {
    let logits = (t[0].matmul(&t[1].t()?.contiguous()?)? / (t[0].dim(3)? as f64).sqrt())?;
    let weights = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?.exp()?;
    weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?.matmul(&t[2])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn convolutions_equal_candles_own(
        n in 1usize..4, c in 1usize..20, o in 1usize..20, h in 3usize..20, w in 3usize..20,
        k in prop::sample::select(vec![1usize, 2, 3, 5]), stride in 1usize..4, padding in 0usize..3, own in any::<bool>(),
    ) {
        prop_assume!(h + 2 * padding >= k && w + 2 * padding >= k && (padding < k || stride == 1));
        let bias: &[usize] = if own { &[n, o] } else { &[o] };
        let arguments = noises(&[&[n, c, h, w], &[o, c, k, k], bias]);
        assert_same(&|t| ops::conv2d(&t[0], &t[1], &t[2], stride, padding), &|t| conv2d(t, stride, padding), &arguments);
    }

    #[test]
    fn group_norms_equal_candles_own(
        n in 1usize..4, groups in 1usize..5, each in 1usize..5, h in 1usize..12, w in 2usize..12, silu in any::<bool>(),
    ) {
        let c = groups * each;
        let arguments = noises(&[&[n, c, h, w], &[c], &[c]]);
        let ours = |t: &[Tensor]| ops::group_norm(&t[0], &t[1], &t[2], groups, 1e-3, silu);
        assert_same(&ours, &|t| group_norm(t, groups, 1e-3, silu), &arguments);
    }

    #[test]
    fn linear_maps_equal_candles_own(rows in 1usize..20, more in 1usize..4, i in 1usize..40, o in 1usize..40) {
        let theirs = |t: &[Tensor]| t[0].broadcast_matmul(&t[1].t()?)?.broadcast_add(&t[2]);
        let arguments = noises(&[&[more, rows, i], &[o, i], &[o]]);
        assert_same(&|t| ops::linear(&t[0], &t[1], &t[2]), &theirs, &arguments);
    }

    #[test]
    fn attentions_equal_candles_own(n in 1usize..3, heads in 1usize..4, tokens in 1usize..70, d in 1usize..20) {
        let arguments = noises(&[&[n, heads, tokens, d][..]; 3]);
        assert_same(&|t| ops::attention(&t[0], &t[1], &t[2]), &attention, &arguments);
    }
}
