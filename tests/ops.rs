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

    #[test]
    fn doubling_joining_and_adding_equal_candles_own(
        n in 1usize..3, c in 1usize..4, more in 1usize..4, h in 1usize..6, w in 1usize..6,
    ) {
        let double = |t: &[Tensor]| t[0].reshape((n, c, h, 1, w, 1))?.broadcast_as((n, c, h, 2, w, 2))?.reshape((n, c, 2 * h, 2 * w));
        assert_same(&|t| ops::double(&t[0]), &double, &noises(&[&[n, c, h, w]]));
        let arguments = noises(&[&[n, c, h, w], &[n, more, h, w]]);
        assert_same(&|t| ops::join(&t[0], &t[1]), &|t| Tensor::cat(&t[..2], 1), &arguments);
        let arguments = noises(&[&[n, c, h, w]; 2].map(|s| &s[..]));
        assert_same(&|t| ops::add(&t[0], &t[1]), &|t| &t[0] + &t[1], &arguments);
    }

    #[test]
    fn zeros_may_differ_before_and_after(
        h in 3usize..12, w in 3usize..12, stride in 1usize..3, before in 0usize..3, after in 0usize..3,
    ) {
        let arguments = noises(&[&[2, 3, h, w], &[4, 3, 3, 3], &[4]]);
        let theirs = |t: &[Tensor]| {
            let x = t[0].pad_with_zeros(2, before, after)?.pad_with_zeros(3, before, after)?;
            conv2d(&[x, t[1].clone(), t[2].clone()], stride, 0)
        };
        assert_same(&|t| ops::conv2d_padded(&t[0], &t[1], &t[2], stride, [before, after]), &theirs, &arguments);
    }

    /// Bit for bit: shards of any size, on any number of threads, draw the same image.
    #[test]
    fn an_image_does_not_see_the_rest_of_its_batch(
        n in 2usize..6, c in 1usize..9, side in 1usize..40, k in prop::sample::select(vec![1usize, 3]), single in any::<bool>(),
    ) {
        let dtype = if single { DType::F32 } else { DType::F64 };
        let [x, w, b, gamma] = noises(&[&[n, 2 * c, side, side], &[3, 2 * c, k, k], &[3], &[2 * c]])
            .iter().map(|t| t.to_dtype(dtype).unwrap()).collect::<Vec<_>>().try_into().unwrap();
        let images: [(&str, Op); 4] = [
            ("conv2d", &|t| ops::conv2d(&t[0], &w, &b, 1, k / 2)),
            ("conv2d each 2", &|t| ops::conv2d(&t[0], &w, &b, 2, k / 2)),
            ("group_norm", &|t| ops::group_norm(&t[0], &gamma, &gamma, 2, 1e-5, true)),
            ("linear", &|t| ops::linear(&t[0].reshape((t[0].dim(0)?, ()))?, &w0(&x)?, &gamma)),
        ];
        for (name, op) in images {
            assert_alike(name, op, &x);
        }
        let tokens = x.reshape((n, 1, 2 * c, side * side)).unwrap();
        assert_alike("attention", &|t| ops::attention(&t[0], &t[0], &t[0]), &tokens);
    }
}

/// A matrix of some weights for the whole image.
fn w0(x: &Tensor) -> Result<Tensor> {
    noise(&[x.dim(1)?, x.elem_count() / x.dim(0)?], 7).to_dtype(x.dtype())
}

/// The values and the gradients of all images are those of each alone, bit for bit.
fn assert_alike(name: &str, op: Op, x: &Tensor) {
    let of = |x: &Tensor| {
        let y = op(std::slice::from_ref(x)).unwrap();
        let g = gradients(op, std::slice::from_ref(x), &y).remove(0);
        [y, g].map(|t| t.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap())
    };
    let [mut values, mut slopes] = [vec![], vec![]];
    for i in 0..x.dim(0).unwrap() {
        let [y, g] = of(&x.narrow(0, i, 1).unwrap());
        values.extend(y);
        slopes.extend(g);
    }
    assert!([values, slopes] == of(x), "{name} depends on the batch");
}

#[test]
fn arguments_may_lie_in_memory_as_they_like() -> Result<()> {
    let strided = |shape: &[usize], seed| {
        let mut turned = shape.to_vec();
        turned.reverse();
        noise(&turned, seed).permute((0..shape.len()).rev().collect::<Vec<_>>()).unwrap()
    };
    let check = |op: Op, shapes: &[&[usize]]| {
        let given: Vec<_> = shapes.iter().zip(1..).map(|(shape, seed)| strided(shape, seed)).collect();
        assert!(!given[0].is_contiguous());
        let copied: Vec<_> = given.iter().map(|t| t.contiguous().unwrap()).collect();
        assert_eq!(difference(&op(&given).unwrap(), &op(&copied).unwrap()), 0.0);
        let weights = strided(op(&given).unwrap().dims(), 9);
        for (a, b) in gradients(op, &given, &weights).iter().zip(gradients(op, &copied, &weights)) {
            assert_eq!(difference(a, &b), 0.0);
        }
    };
    check(&|t| ops::conv2d(&t[0], &t[1], &t[2], 1, 1), &[&[2, 3, 8, 6], &[4, 3, 3, 3], &[2, 4]]);
    check(&|t| ops::group_norm(&t[0], &t[1], &t[2], 2, 1e-5, true), &[&[2, 4, 8, 6], &[4], &[4]]);
    check(&|t| ops::linear(&t[0], &t[1], &t[2]), &[&[2, 4, 8], &[3, 8], &[3]]);
    check(&|t| ops::attention(&t[0], &t[1], &t[2]), &[&[2, 2, 9, 4][..]; 3]);
    check(&|t| ops::add(&t[0], &t[1]), &[&[2, 3, 4, 5][..]; 2]);
    check(&|t| ops::double(&t[0]), &[&[2, 3, 4, 5]]);
    check(&|t| ops::join(&t[0], &t[1]), &[&[2, 3, 4, 5], &[2, 1, 4, 5]]);
    Ok(())
}

#[test]
fn half_precision_computes_in_single() -> Result<()> {
    for dtype in [DType::F16, DType::BF16] {
        let half: Vec<_> = noises(&[&[2, 4, 6, 6], &[4, 4, 3, 3], &[4]])
            .iter()
            .map(|t| t.to_dtype(dtype).unwrap())
            .collect();
        let single: Vec<_> = half.iter().map(|t| t.to_dtype(DType::F32).unwrap()).collect();
        let op = |t: &[Tensor]| {
            ops::group_norm(&ops::conv2d(&t[0], &t[1], &t[2], 1, 1)?, &t[2], &t[2], 2, 1e-5, true)
        };
        let y = op(&half)?;
        assert_eq!(y.dtype(), dtype);
        let d = difference(&y, &op(&single)?);
        assert!(d < 0.02, "{dtype:?} differs by {d}");
        assert_eq!(gradients(&op, &half, &y)[1].dtype(), dtype);
    }
    Ok(())
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let t = |shape: &[usize]| noise(shape, 1);
    let x = t(&[2, 4, 5, 5]);
    let (w, b) = (t(&[6, 4, 3, 3]), t(&[6]));
    assert!(ops::conv2d(&x, &w, &b, 1, 1).is_ok());
    assert!(ops::conv2d(&t(&[2, 3, 5, 5]), &w, &b, 1, 1).is_err());
    assert!(ops::conv2d(&t(&[2, 4, 2, 5]), &w, &b, 1, 0).is_err());
    assert!(ops::conv2d(&x, &w, &t(&[4]), 1, 1).is_err());
    assert!(ops::conv2d(&x, &w, &t(&[3, 6]), 1, 1).is_err());
    assert!(ops::conv2d(&x, &w, &b, 0, 1).is_err());
    assert!(ops::conv2d(&x, &t(&[6, 4, 3, 1]), &b, 1, 1).is_err());
    assert!(ops::conv2d(&x, &w.to_dtype(DType::F32).unwrap(), &b, 1, 1).is_err());
    assert!(ops::group_norm(&x, &t(&[4]), &t(&[4]), 3, 1e-5, true).is_err());
    assert!(ops::group_norm(&x, &t(&[4]), &t(&[4]), 0, 1e-5, true).is_err());
    assert!(ops::group_norm(&x, &t(&[3]), &t(&[4]), 2, 1e-5, true).is_err());
    assert!(ops::linear(&x, &t(&[3, 4]), &t(&[3])).is_err());
    assert!(ops::linear(&x, &t(&[3, 5]), &t(&[2])).is_err());
    assert!(ops::attention(&x, &x, &t(&[2, 4, 6, 5])).is_err());
    assert!(ops::double(&t(&[2, 4, 5])).is_err());
    assert!(ops::join(&x, &t(&[2, 4, 5, 6])).is_err());
    assert!(ops::add(&x, &t(&[2, 4, 5, 1])).is_err());
    let none = t(&[0, 4, 5, 5]);
    assert_eq!(ops::conv2d(&none, &w, &b, 1, 1).unwrap().dims(), [0, 6, 5, 5]);
    assert_eq!(
        ops::group_norm(&none, &b.narrow(0, 0, 4).unwrap(), &t(&[4]), 2, 1e-5, true).unwrap().dims(),
        [0, 4, 5, 5]
    );
}
