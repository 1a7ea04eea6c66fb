//! Correlation of images with kernels, forward and backward, as products with matrices of patches.

use std::borrow::Cow;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor, WithDType, bail};

use super::host::{in_precision, read, values};
use super::normalise::total;
use super::product::{Left, Right, Run, add_product, run_length};
use crate::real::Real;

/// Images are treated together until they have so many pixels.
const PIXELS: usize = 1024;

/// Images `x` (n, c, h, w) with kernels `w` (o, c, k, k), plus `b`, (o) or (n, o). All contiguous, `w` square.
pub(super) struct Convolution {
    /// At least 1.
    pub stride: usize,
    /// Zeros before and after each axis: fewer than `k`, and as many as it takes for one patch.
    pub padding: [usize; 2],
}

impl CustomOp3 for Convolution {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, o, patches) = self.patches(x_layout.shape(), w_layout.shape())?;
        let [h, w_out] = patches.out;
        if b_layout.dims() != [o] && b_layout.dims() != [n, o] {
            bail!("{o} kernels and {n} images, but a bias of shape {:?}", b_layout.shape());
        }
        let y = in_precision!(x.dtype(), T => {
            let (x, w, b) = (values::<T>(x, x_layout)?, values(w, w_layout)?, values(b, b_layout)?);
            let depth: Vec<usize> = (0..w.len() / o).collect();
            let w = Left::pack(w, o, depth.len(), &depth);
            T::to_cpu_storage_owned(patches.flat().times(&w, o, x, b))
        });
        Ok((y, (n, o, h, w_out).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (_, o, patches) = self.patches(x.shape(), w.shape())?;
        let g = g.contiguous()?;
        in_precision!(x.dtype(), T => {
            read!(gradient: T = g);
            read!(images: T = x);
            read!(kernels: T = w);
            let made = |values: Vec<T>, like: &Tensor| Tensor::from_vec(values, like.shape(), &Device::Cpu);
            let dx = || made(patches.image_gradient(kernels, gradient, o), x);
            let dw = || made(patches.flat().kernel_gradient(images, gradient, o), w);
            let db = || made(bias_gradient(gradient, b.elem_count(), patches.out[0] * patches.out[1]), b);
            let wanted = |t: &Tensor, f: &dyn Fn() -> Result<Tensor>| t.track_op().then(f).transpose();
            Ok((wanted(x, &dx)?, wanted(w, &dw)?, wanted(b, &db)?))
        })
    }
}

impl Convolution {
    /// Images, kernels and patches.
    fn patches(&self, x: &Shape, w: &Shape) -> Result<(usize, usize, Patches)> {
        let (n, c, height, width) = x.dims4()?;
        let (o, c_w, k, _) = w.dims4()?;
        let [before, after] = self.padding;
        let padded = [height + before + after, width + before + after];
        if c != c_w {
            bail!("images of shape {x:?} with kernels of shape {w:?}");
        }
        let out = padded.map(|size| (size - k) / self.stride + 1);
        let patches =
            Patches { c, image: [height, width], spread: 1, before, padded, k, stride: self.stride, out };
        Ok((n, o, patches))
    }
}

/// The k x k patches of padded images of c channels.
#[derive(Clone)]
struct Patches {
    c: usize,
    image: [usize; 2],
    /// Distance of an image's pixels once it is padded: with zeros in between if more than 1.
    spread: usize,
    /// Zeros before each axis.
    before: usize,
    padded: [usize; 2],
    k: usize,
    /// Distance of patches.
    stride: usize,
    out: [usize; 2],
}

impl Patches {
    /// Where patches are pixels, an image may as well be one row.
    fn flat(&self) -> Self {
        let row = |size: [usize; 2]| [1, size[0] * size[1]];
        let flat = self.k == 1 && self.stride == 1 && self.padded == self.image;
        let (image, padded, out) = if flat {
            (row(self.image), row(self.padded), row(self.out))
        } else {
            (self.image, self.padded, self.out)
        };
        Self { image, padded, out, ..*self }
    }

    /// Every patch times `o` kernels, plus a bias for each (or for each and each image).
    fn times<T: Real>(&self, kernels: &Left<T>, o: usize, images: &[T], bias: &[T]) -> Vec<T> {
        let (size, pixels) = (self.c * self.image[0] * self.image[1], self.out[0] * self.out[1]);
        let together = self.together();
        let (depth, [height, width]) = (self.entries(), self.padded);
        let length = if self.stride == 1 { run_length::<T>(self.out[1]) } else { 1 };
        let mut runs = Vec::with_capacity(together * pixels / length);
        for image in 0..together {
            for pixel in (0..pixels).step_by(length) {
                let from = image * self.c * height * width + self.corner(pixel);
                runs.push(Run { from, to: image * o * pixels + pixel });
            }
        }
        let mut biases = bias.chunks_exact(o).cycle();
        let mut y = Vec::with_capacity(images.len() / size * o * pixels);
        for images in images.chunks(together * size) {
            let (start, n) = (y.len(), images.len() / size);
            for bias in biases.by_ref().take(n) {
                for &b in bias {
                    y.resize(y.len() + pixels, b);
                }
            }
            let runs = &runs[..n * pixels / length];
            let b = Right { values: &self.pad(images), depth: &depth, runs, length };
            add_product(kernels, b, &mut y[start..], pixels);
        }
        y
    }

    /// The gradient of the images, given that of the patches' products with `o` kernels: its own patches times the
    /// kernels turned round.
    fn image_gradient<T: Real>(&self, kernels: &[T], gradient: &[T], o: usize) -> Vec<T> {
        let (k, square) = (self.k, self.k * self.k);
        let turned = |i: usize| i / square * self.c * square + square - 1 - i % square;
        let depth: Vec<usize> = (0..o * square).map(turned).collect();
        let kernels = Left::pack(kernels, self.c, square, &depth);
        let patches = Self {
            c: o,
            image: self.out,
            spread: self.stride,
            before: k - 1 - self.before,
            padded: self.image.map(|size| size + k - 1),
            k,
            stride: 1,
            out: self.image,
        };
        patches.flat().times(&kernels, self.c, gradient, &vec![T::ZERO; self.c])
    }

    /// The gradient of `o` kernels: that of their products times the patches, over all pixels of all images.
    fn kernel_gradient<T: Real>(&self, images: &[T], gradient: &[T], o: usize) -> Vec<T> {
        let (size, pixels) = (self.c * self.image[0] * self.image[1], self.out[0] * self.out[1]);
        let (together, [height, width], square) = (self.together(), self.padded, self.k * self.k);
        let places = (0..together).flat_map(|image| (0..pixels).map(move |pixel| (image, pixel)));
        let here: Vec<_> =
            places.clone().map(|(image, p)| (image * height * width + self.corner(p)) * self.c).collect();
        let there: Vec<_> = places.map(|(image, pixel)| image * o * pixels + pixel).collect();
        let length = run_length::<T>(self.c);
        let run = |column: usize| {
            let (i, c) = (column / self.c, column % self.c);
            Run { from: (i / self.k * width + i % self.k) * self.c + c, to: column }
        };
        let runs: Vec<_> = (0..square * self.c).step_by(length).map(run).collect();
        let mut sum = vec![T::ZERO; o * square * self.c];
        for (images, g) in images.chunks(together * size).zip(gradient.chunks(together * o * pixels)) {
            let n = images.len() / size;
            let g = Left::pack(g, o, pixels, &there[..n * pixels]);
            let images = channels_last(&self.pad(images), self.c, height * width);
            let b = Right { values: &images, depth: &here[..n * pixels], runs: &runs, length };
            add_product(&g, b, &mut sum, square * self.c);
        }
        sum.chunks_exact(square * self.c).flat_map(|kernel| transposed(kernel, square)).collect()
    }

    fn together(&self) -> usize {
        PIXELS.div_ceil(self.out[0] * self.out[1])
    }

    /// Offset of a patch's first entry in its image.
    fn corner(&self, pixel: usize) -> usize {
        (pixel / self.out[1] * self.padded[1] + pixel % self.out[1]) * self.stride
    }

    /// Offsets of a patch's entries from its first, channel by channel.
    fn entries(&self) -> Vec<usize> {
        let ([height, width], k) = (self.padded, self.k);
        let entry = |i: usize| (i / (k * k) * height + i / k % k) * width + i % k;
        (0..self.c * k * k).map(entry).collect()
    }

    /// The images, spread and with zeros around.
    fn pad<'a, T: Real>(&self, images: &'a [T]) -> Cow<'a, [T]> {
        let ([height, width], [h, w], before) = (self.padded, self.image, self.before);
        if self.padded == self.image {
            return Cow::Borrowed(images);
        }
        let mut padded = vec![T::ZERO; images.len() / (h * w) * height * width];
        for (image, padded) in images.chunks_exact(h * w).zip(padded.chunks_exact_mut(height * width)) {
            let rows = padded.chunks_exact_mut(width).skip(before).step_by(self.spread);
            for (row, padded) in image.chunks_exact(w).zip(rows) {
                if self.spread == 1 {
                    padded[before..before + w].copy_from_slice(row);
                } else {
                    for (&x, to) in row.iter().zip(padded[before..].iter_mut().step_by(self.spread)) {
                        *to = x;
                    }
                }
            }
        }
        Cow::Owned(padded)
    }
}

/// Images (n, c, pixels) as (n, pixels, c).
fn channels_last<T: Real>(images: &[T], c: usize, pixels: usize) -> Vec<T> {
    images.chunks_exact(c * pixels).flat_map(|image| transposed(image, c)).collect()
}

/// A matrix of so many rows, transposed.
fn transposed<T: Real>(matrix: &[T], rows: usize) -> Vec<T> {
    let columns = matrix.len() / rows;
    let mut to = vec![T::ZERO; matrix.len()];
    for (r, row) in matrix.chunks_exact(columns).enumerate() {
        for (&x, to) in row.iter().zip(to[r..].iter_mut().step_by(rows)) {
            *to = x;
        }
    }
    to
}

/// The gradient of as many biases, given that of images of so many pixels.
fn bias_gradient<T: Real>(gradient: &[T], biases: usize, pixels: usize) -> Vec<T> {
    let mut sums = vec![T::ZERO; biases];
    for (i, g) in gradient.chunks_exact(pixels).enumerate() {
        sums[i % biases] += T::from_f64(total(g));
    }
    sums
}
