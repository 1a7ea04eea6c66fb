//! A scene as a PNG file, at twice its size.
//!
//! plotters fills the polygons that lines and markers are made of, at six times the size; averaging three by three
//! gives smooth edges. Letters are placed with their side bearings, which plotters leaves out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ab_glyph::ScaleFont;
use plotters::backend::{BitMapBackend, DrawingBackend};
use plotters::style::{Color, RGBColor, ShapeStyle};

use super::scene::{Marker, Point, Rgb, Scene, Shape, Stroke, Text, WHITE, font_of_size, text_width};
use super::style::thinned;

/// Pixels of the file to a scene's, along each side.
const SCALE: usize = 2;
/// Most pixels to draw before averaging: 300 MB. Figures of very many panels have rougher edges.
const MOST_PIXELS: usize = 100_000_000;

/// The scene as a file.
pub(super) fn encode(scene: &Scene) -> Vec<u8> {
    let (width, height) = (SCALE * scene.width.ceil() as usize, SCALE * scene.height.ceil() as usize);
    let side = [3, 2].into_iter().find(|s| width * s * height * s <= MOST_PIXELS).unwrap_or(1);
    let mut fine = vec![255; width * side * height * side * 3];
    let size = ((width * side) as u32, (height * side) as u32);
    let mut canvas =
        Canvas { area: BitMapBackend::with_buffer(&mut fine, size), scale: (SCALE * side) as f64 };
    for shape in &scene.shapes {
        canvas.draw(shape);
    }
    drop(canvas);
    let palette = palette(&scene.shapes);
    let pixels = nearest(&averaged(&fine, width * side, side), &palette);
    png_file(&pixels, &palette, width, height)
}

/// Means of squares of `side` by `side` pixels.
fn averaged(fine: &[u8], width: usize, side: usize) -> Vec<u8> {
    let row = 3 * width;
    let mut out = Vec::with_capacity(fine.len() / (side * side));
    let mut sums = vec![0u16; row / side];
    for rows in fine.chunks_exact(side * row) {
        sums.fill(0);
        for line in rows.chunks_exact(row) {
            for (sum, block) in sums.chunks_exact_mut(3).zip(line.chunks_exact(3 * side)) {
                for pixel in block.chunks_exact(3) {
                    sum[0] += u16::from(pixel[0]);
                    sum[1] += u16::from(pixel[1]);
                    sum[2] += u16::from(pixel[2]);
                }
            }
        }
        out.extend(sums.iter().map(|s| (s / (side * side) as u16) as u8));
    }
    out
}

/// White, and the scene's colours in as many tints as an indexed file has room for: edges are tints.
fn palette(shapes: &[Shape]) -> Vec<Rgb> {
    fn collect(shapes: &[Shape], colours: &mut BTreeSet<Rgb>) {
        for shape in shapes {
            match shape {
                Shape::Line { stroke, .. } | Shape::Lines { stroke, .. } => {
                    colours.insert(stroke.colour);
                }
                Shape::Fill { colour, .. } | Shape::Area { colour, .. } | Shape::Markers { colour, .. } => {
                    colours.insert(*colour);
                }
                Shape::Text(text) => {
                    colours.insert(text.colour);
                }
                Shape::Group { shapes, .. } => collect(shapes, colours),
            }
        }
    }
    let mut colours = BTreeSet::new();
    collect(shapes, &mut colours);
    let tints = (255 / colours.len().max(1)).clamp(1, 16);
    let tinted = colours.iter().flat_map(|&c| (1..=tints).map(move |k| thinned(c, k as f64 / tints as f64)));
    std::iter::once(WHITE).chain(tinted).take(256).collect()
}

/// The index of the nearest colour of the palette, for each pixel.
fn nearest(pixels: &[u8], palette: &[Rgb]) -> Vec<u8> {
    let distance =
        |a: &[u8], b: &Rgb| -> u32 { a.iter().zip(b).map(|(x, y)| u32::from(x.abs_diff(*y)).pow(2)).sum() };
    let find =
        |pixel: &[u8]| (0..palette.len()).min_by_key(|&k| distance(pixel, &palette[k])).unwrap_or(0) as u8;
    let mut known = HashMap::new();
    let mut last = ([255; 3], 0);
    let index = |pixel: &[u8]| {
        // Most pixels are like the one before.
        if pixel != last.0 {
            let pixel = [pixel[0], pixel[1], pixel[2]];
            last = (pixel, *known.entry(pixel).or_insert_with(|| find(&pixel)));
        }
        last.1
    };
    pixels.chunks_exact(3).map(index).collect()
}

fn png_file(pixels: &[u8], palette: &[Rgb], width: usize, height: usize) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width as u32, height as u32);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_palette(palette.concat());
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Best);
    // Differences of indices mean nothing.
    encoder.set_filter(png::FilterType::NoFilter);
    let mut writer = encoder.write_header().expect("writing to memory does not fail");
    writer.write_image_data(pixels).expect("as many pixels as the header says");
    writer.finish().expect("writing to memory does not fail");
    file
}

struct Canvas<'a> {
    area: BitMapBackend<'a>,
    /// Drawn pixels to a scene's.
    scale: f64,
}

impl Canvas<'_> {
    fn draw(&mut self, shape: &Shape) {
        match shape {
            Shape::Line { points, stroke } => {
                for piece in dashes(points, stroke.dash) {
                    self.stroke(&piece, stroke);
                }
            }
            Shape::Lines { paths, stroke } => {
                for piece in paths.iter().flat_map(|p| dashes(p, stroke.dash)) {
                    self.stroke(&piece, stroke);
                }
            }
            Shape::Fill { corners, colour } => self.fill(corners, *colour),
            Shape::Area { loops, colour } => self.area(loops, *colour),
            Shape::Markers { at, marker, radius, colour } => {
                for &centre in at {
                    self.marker(centre, *marker, *radius, *colour);
                }
            }
            Shape::Text(text) => self.text(text),
            Shape::Group { shapes, .. } => shapes.iter().for_each(|s| self.draw(s)),
        }
    }

    /// A line with flat ends and round joints.
    fn stroke(&mut self, points: &[Point], stroke: &Stroke) {
        // A filled polygon includes the pixels of its border: half a drawn pixel too much on each side.
        let half = (0.5 * stroke.width - 0.5 / self.scale).max(0.1);
        for pair in points.windows(2) {
            let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
            let length = (x1 - x0).hypot(y1 - y0);
            if length == 0.0 {
                continue;
            }
            let (nx, ny) = (half * (y1 - y0) / length, half * (x0 - x1) / length);
            self.fill(
                &[(x0 + nx, y0 + ny), (x1 + nx, y1 + ny), (x1 - nx, y1 - ny), (x0 - nx, y0 - ny)],
                stroke.colour,
            );
        }
        for &joint in points.iter().skip(1).take(points.len().saturating_sub(2)) {
            self.fill(&circle(joint, half), stroke.colour);
        }
    }

    fn marker(&mut self, centre: Point, marker: Marker, radius: f64, colour: Rgb) {
        let corners = marker.form.corners();
        let outline = |r: f64| -> Vec<Point> {
            if corners.is_empty() {
                return circle(centre, r);
            }
            corners.iter().map(|(x, y)| (centre.0 + r * x, centre.1 + r * y)).collect()
        };
        // The border of width 1 lies half outside.
        self.fill(&outline(radius + 0.4), colour);
        if marker.hollow {
            self.fill(&outline(radius - 0.8), WHITE);
        }
    }

    fn fill(&mut self, corners: &[Point], [r, g, b]: Rgb) {
        let scaled = |v: f64| (v * self.scale).round().clamp(-1e5, 1e5) as i32;
        let corners: Vec<_> = corners.iter().map(|&(x, y)| (scaled(x), scaled(y))).collect();
        let style: ShapeStyle = RGBColor(r, g, b).filled();
        self.area.fill_polygon(corners, &style).expect("drawing to memory does not fail");
    }

    /// Fills what an odd number of loops go around, line by line. (plotters knows no holes.)
    fn area(&mut self, loops: &[Vec<Point>], [r, g, b]: Rgb) {
        let corner = |p: &Point| (p.0 * self.scale, p.1 * self.scale);
        let sides: Vec<(Point, Point)> = loops
            .iter()
            .flat_map(|l| l.iter().zip(l.iter().cycle().skip(1)))
            .map(|(a, b)| (corner(a), corner(b)))
            .collect();
        // For each line of pixels, where the sides cross its middle.
        let mut crossings: BTreeMap<i32, Vec<f64>> = BTreeMap::new();
        for (a, b) in sides {
            let (a, b) = if a.1 <= b.1 { (a, b) } else { (b, a) };
            for line in (a.1 - 0.5).ceil() as i32..(b.1 - 0.5).ceil() as i32 {
                let share = (f64::from(line) + 0.5 - a.1) / (b.1 - a.1);
                crossings.entry(line).or_default().push(a.0 + share * (b.0 - a.0));
            }
        }
        let style: ShapeStyle = RGBColor(r, g, b).filled();
        for (line, mut across) in crossings {
            across.sort_by(f64::total_cmp);
            for pair in across.chunks_exact(2) {
                let (from, to) = ((pair[0] - 0.5).ceil() as i32, (pair[1] - 0.5).ceil() as i32 - 1);
                if from <= to {
                    let drawn = self.area.draw_line((from, line), (to, line), &style);
                    drawn.expect("drawing to memory does not fail");
                }
            }
        }
    }

    fn text(&mut self, t: &Text) {
        let fine = self.scale;
        let font = font_of_size(t.size * fine);
        let [r, g, b] = t.colour;
        let ink = RGBColor(r, g, b);
        let mut pen = -t.anchor.share() * text_width(&t.text, t.size * fine);
        let mut last = None;
        for c in t.text.chars() {
            let id = font.glyph_id(c);
            pen += last.map_or(0.0, |before| f64::from(font.kern(before, id)));
            last = Some(id);
            let glyph = id.with_scale_and_position(font.scale(), ab_glyph::point(pen as f32, 0.0));
            pen += f64::from(font.h_advance(id));
            let Some(outline) = font.outline_glyph(glyph) else { continue };
            let corner = outline.px_bounds().min;
            outline.draw(|x, y, cover| {
                let (along, down) = (f64::from(corner.x) + f64::from(x), f64::from(corner.y) + f64::from(y));
                let (dx, dy) = if t.upwards { (down, -along) } else { (along, down) };
                let at = ((t.at.0 * fine + dx).round() as i32, (t.at.1 * fine + dy).round() as i32);
                let ink = ink.mix(f64::from(cover.clamp(0.0, 1.0)));
                self.area.draw_pixel(at, ink.to_backend_color()).expect("drawing to memory does not fail");
            });
        }
    }
}

fn circle((x, y): Point, r: f64) -> Vec<Point> {
    const CORNERS: usize = 24;
    let corner = |k: usize| {
        let (sin, cos) = (std::f64::consts::TAU * k as f64 / CORNERS as f64).sin_cos();
        (x + r * cos, y + r * sin)
    };
    (0..CORNERS).map(corner).collect()
}

/// The inked pieces of a line.
fn dashes(points: &[Point], pattern: &[f64]) -> Vec<Vec<Point>> {
    if pattern.is_empty() || points.is_empty() {
        return vec![points.to_vec()];
    }
    let mut pieces = vec![vec![points[0]]];
    let (mut k, mut left) = (0, pattern[0]);
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        let length = (x1 - x0).hypot(y1 - y0);
        let mut done = 0.0;
        while length - done > left {
            done += left;
            let at = (x0 + (x1 - x0) * done / length, y0 + (y1 - y0) * done / length);
            if k % 2 == 0 {
                pieces.last_mut().expect("starts with one").push(at);
            } else {
                pieces.push(vec![at]);
            }
            k += 1;
            left = pattern[k % pattern.len()];
        }
        left -= length - done;
        if k % 2 == 0 {
            pieces.last_mut().expect("starts with one").push((x1, y1));
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_have_their_lengths_and_follow_corners() {
        let pieces = dashes(&[(0.0, 0.0), (5.0, 0.0), (5.0, 5.0)], &[4.0, 2.0]);
        assert_eq!(pieces, [vec![(0.0, 0.0), (4.0, 0.0)], vec![(5.0, 1.0), (5.0, 5.0)]]);
        assert_eq!(dashes(&[(0.0, 0.0), (9.0, 0.0)], &[]).len(), 1);
        assert!(dashes(&[], &[1.0, 1.0])[0].is_empty());
    }

    #[test]
    fn squares_are_averaged() {
        let line = [[[0; 3], [90; 3], [180; 3]], [[9; 3]; 3]].concat().concat();
        let fine = [line.clone(), line.clone(), line].concat();
        assert_eq!(averaged(&fine, 6, 3), [90, 90, 90, 9, 9, 9]);
    }

    #[test]
    fn pixels_take_the_nearest_colour_that_is_drawn() {
        let line = Shape::line(vec![], Stroke::solid([0, 0, 255], 1.0));
        let palette = palette(&[line]);
        assert_eq!((palette.len(), palette[0], palette[16]), (17, WHITE, [0, 0, 255]));
        assert_eq!(nearest(&[255, 255, 255, 0, 0, 250, 2, 2, 255], &palette), [0, 16, 16]);
    }
}
