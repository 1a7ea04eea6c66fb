//! Pictures of samples: grids of images as PNG, arrays for numpy.

use std::io::Cursor;

use image::{ColorType, ImageEncoder, codecs::png::PngEncoder};

use crate::data::images::Shape;

/// How samples are images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// Channels (1 or 3; of others the first is shown), height and width.
    pub shape: Shape,
    /// Values of the darkest and the brightest pixel; what lies outside is cut.
    pub range: (f64, f64),
}

/// Sides that small images are blown up to, at least, in pixels.
const LEAST_SIDE: usize = 48;
/// Between images.
const GAP: usize = 2;
const PAPER: u8 = 255;

impl View {
    /// Images in rows of `columns` on one sheet, each pixel blown up to a square where they are small: a PNG.
    ///
    /// # Panics
    /// If rows are not of whole images, or there are none.
    pub fn sheet(&self, rows: &[f64], columns: usize) -> Vec<u8> {
        let Shape { channels, height, width } = self.shape;
        let size = self.shape.numbers();
        assert!(!rows.is_empty() && rows.len().is_multiple_of(size), "rows are of whole images");
        let (count, colours) = (rows.len() / size, if channels == 3 { 3 } else { 1 });
        let zoom = LEAST_SIDE.div_ceil(height.min(width)).max(1);
        let (tall, wide) = (height * zoom + GAP, width * zoom + GAP);
        let (h, w) = (count.div_ceil(columns) * tall + GAP, columns.min(count) * wide + GAP);
        let mut sheet = vec![PAPER; h * w * colours];
        for (i, image) in rows.chunks_exact(size).enumerate() {
            let (top, left) = (i / columns * tall + GAP, i % columns * wide + GAP);
            for (y, x) in (0..height * zoom).flat_map(|y| (0..width * zoom).map(move |x| (y, x))) {
                for c in 0..colours {
                    let value = image[(c * height + y / zoom) * width + x / zoom];
                    sheet[((top + y) * w + left + x) * colours + c] = self.byte(value);
                }
            }
        }
        png(&sheet, w, h, colours)
    }

    /// One image as it is: a PNG.
    pub fn image(&self, row: &[f64]) -> Vec<u8> {
        let Shape { channels, height, width } = self.shape;
        let colours = if channels == 3 { 3 } else { 1 };
        let plane = height * width;
        let bytes: Vec<u8> =
            (0..plane * colours).map(|k| self.byte(row[k % colours * plane + k / colours])).collect();
        png(&bytes, width, height, colours)
    }

    fn byte(&self, value: f64) -> u8 {
        let (dark, bright) = self.range;
        // What is no number is shown as paper.
        if value.is_nan() { PAPER } else { (255.0 * (value - dark) / (bright - dark)).round() as u8 }
    }
}

fn png(bytes: &[u8], width: usize, height: usize, colours: usize) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let colour = if colours == 3 { ColorType::Rgb8 } else { ColorType::L8 };
    let encoder = PngEncoder::new(&mut file);
    let written = encoder.write_image(bytes, width as u32, height as u32, colour.into());
    written.expect("writing to memory does not fail");
    file.into_inner()
}

/// The first bytes of a numpy file of little-endian `f32` numbers in C order (NEP 1, version 1.0).
pub fn npy_header(shape: &[usize]) -> Vec<u8> {
    let list: String = shape.iter().map(|n| format!("{n}, ")).collect();
    let mut dictionary = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({list}), }}");
    // Data start at a multiple of 64.
    let padding = (64 - (10 + dictionary.len() + 1) % 64) % 64;
    dictionary.extend(std::iter::repeat_n(' ', padding));
    dictionary.push('\n');
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend((dictionary.len() as u16).to_le_bytes());
    header.extend(dictionary.as_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREY: View = View { shape: Shape { channels: 1, height: 2, width: 3 }, range: (-1.0, 1.0) };

    #[test]
    fn an_image_reads_back_as_it_was_drawn() {
        let colours = View { shape: Shape { channels: 3, height: 1, width: 2 }, range: (0.0, 1.0) };
        let png = colours.image(&[1.0, 0.0, 0.0, 0.5, 2.0, -1.0]);
        let read = image::load_from_memory(&png).expect("a PNG").to_rgb8();
        assert_eq!(read.into_raw(), [255, 0, 255, 0, 128, 0]);
        let png = GREY.image(&[-1.0, 0.0, 1.0, -2.0, f64::NAN, 0.5]);
        assert_eq!(
            image::load_from_memory(&png).expect("a PNG").to_luma8().into_raw(),
            [0, 128, 255, 0, 255, 191]
        );
    }

    #[test]
    fn a_sheet_has_a_place_for_every_image() {
        let rows: Vec<f64> = (0..5).flat_map(|i| [f64::from(i) / 2.0 - 1.0; 6]).collect();
        let sheet = image::load_from_memory(&GREY.sheet(&rows, 2)).expect("a PNG").to_luma8();
        let zoom = 24;
        assert_eq!(sheet.dimensions(), (2 * (3 * zoom + 2) + 2, 3 * (2 * zoom + 2) + 2));
        for (i, want) in [0, 64, 128, 191, 255].into_iter().enumerate() {
            let (column, row) = (i as u32 % 2, i as u32 / 2);
            let at = (column * (3 * zoom + 2) + 5, row * (2 * zoom + 2) + 5);
            assert_eq!(sheet.get_pixel(at.0, at.1).0, [want]);
        }
    }

    #[test]
    fn numpy_headers_end_where_numbers_may_begin() {
        for shape in [&[7][..], &[100, 1, 8, 8], &[123_456, 3, 256, 256]] {
            let header = npy_header(shape);
            assert!(header.len().is_multiple_of(64) && header.ends_with(b"\n"));
            let length = u16::from_le_bytes([header[8], header[9]]) as usize;
            assert_eq!(length + 10, header.len());
        }
        assert!(String::from_utf8_lossy(&npy_header(&[2, 3])).contains("'shape': (2, 3, )"));
    }
}
