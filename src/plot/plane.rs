//! A frame over a rectangle of the plane: shades of a density, lines and arrows cut at the frame, axes.

use plotters::style::RGBColor;
use plotters::style::colors::colormaps::{ColorMap, DerivedColorMap};

use super::axis::{Axis, TICK_SIZE, number};
use super::chart::{SMALL, upwards};
use super::contour::{region, simplified};
use super::panel::Frame;
use super::scene::{Anchor, HALF_HEIGHT, Point, Rgb, Shape, Stroke, WHITE};
use super::style::{GREY, INK};
use crate::geometry::Mesh;

/// Shades of a density, white not counted.
const SHADES: usize = 12;
/// Less than this nobody sees, in pixels.
const TOLERANCE: f64 = 0.12;

/// A scale from white to a colour on which ink can still be read; its lightness falls throughout, so that it says the
/// same in grey.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Shading {
    Blue,
    Grey,
}

impl Shading {
    /// The colour of a share between 0 and 1.
    fn colour(self, share: f64) -> Rgb {
        let corners = match self {
            Shading::Blue => [[255, 255, 255], [198, 219, 239], [120, 178, 218], [66, 140, 198]],
            Shading::Grey => [[255, 255, 255], [228, 228, 228], [200, 200, 200], [168, 168, 168]],
        };
        let map = DerivedColorMap::new(&corners.map(|[r, g, b]: Rgb| RGBColor(r, g, b)));
        let colour = map.get_color(share);
        [colour.0, colour.1, colour.2]
    }
}

/// A frame with its axes.
pub(super) struct Plane {
    pub frame: Frame,
    pub x: Axis,
    pub y: Axis,
}

impl Plane {
    pub fn new(frame: Frame, x: (f64, f64), y: (f64, f64)) -> Self {
        let axis = |(low, high), length| Axis::window(low, high, length);
        Plane { x: axis(x, frame.width), y: axis(y, frame.height), frame }
    }

    pub fn pixel(&self, p: Point) -> Point {
        self.frame.pixel(&(&self.x, &self.y), p)
    }

    /// Fills the frame with shades of the root of a mesh of shares, each over the lighter ones.
    pub fn shade(&self, out: &mut Vec<Shape>, mesh: &Mesh, shading: Shading) {
        let roots = Mesh { columns: mesh.columns, values: mesh.values.iter().map(|v| v.sqrt()).collect() };
        let cells = ((mesh.columns - 1) as f64, (mesh.values.len() / mesh.columns - 1) as f64);
        let Frame { left, width, height, .. } = self.frame;
        let pixel = |p: Point| (left + width * p.0 / cells.0, self.frame.bottom() - height * p.1 / cells.1);
        for k in 1..=SHADES {
            let share = k as f64 / (SHADES + 1) as f64;
            let outline =
                |line: Vec<Point>| simplified(&line.into_iter().map(pixel).collect::<Vec<_>>(), TOLERANCE);
            let loops: Vec<Vec<Point>> = region(&roots, share).into_iter().map(outline).collect();
            if !loops.is_empty() {
                out.push(Shape::Area { loops, colour: shading.colour(k as f64 / SHADES as f64) });
            }
        }
    }

    /// The parts of a line, given in the plane, that lie in the frame.
    pub fn visible(&self, line: &[Point]) -> Vec<Vec<Point>> {
        let pixels: Vec<Point> = line.iter().map(|&p| self.pixel(p)).collect();
        let runs = pixels.split(|&p| !self.holds(p)).filter(|run| !run.is_empty());
        runs.map(|run| simplified(run, TOLERANCE)).collect()
    }

    /// Whether the frame holds a pixel.
    pub fn holds(&self, (x, y): Point) -> bool {
        let Frame { left, top, .. } = self.frame;
        (left..=self.frame.right()).contains(&x) && (top..=self.frame.bottom()).contains(&y)
    }

    /// The frame, its ticks, and titles.
    pub fn draw_axes(&self, out: &mut Vec<Shape>, x_title: &str, y_title: &str) {
        let sharp = |v: f64| v.floor() + 0.5;
        let (left, right) = (sharp(self.frame.left), sharp(self.frame.right()));
        let (top, bottom) = (sharp(self.frame.top), sharp(self.frame.bottom()));
        let stroke = Stroke::solid(GREY, 1.0);
        for tick in &self.x.ticks {
            let x = sharp(self.pixel((tick.at, 0.0)).0);
            out.push(Shape::line(vec![(x, bottom), (x, bottom + 4.0)], stroke));
            let at = (x, bottom + 16.0);
            out.push(Shape::text(at, Anchor::Middle, TICK_SIZE, GREY, tick.label.clone()));
        }
        for tick in &self.y.ticks {
            let y = sharp(self.pixel((0.0, tick.at)).1);
            out.push(Shape::line(vec![(left - 4.0, y), (left, y)], stroke));
            let at = (left - 6.0, y + HALF_HEIGHT * TICK_SIZE);
            out.push(Shape::text(at, Anchor::End, TICK_SIZE, GREY, tick.label.clone()));
        }
        let corners = vec![(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
        out.push(Shape::line(corners, stroke));
        let middle = (0.5 * (left + right), bottom + 34.0);
        out.push(Shape::text(middle, Anchor::Middle, SMALL, INK, x_title));
        out.push(upwards((left - 34.0, 0.5 * (top + bottom)), y_title));
    }
}

/// Room for ticks and titles, left of a frame and below it.
pub(super) const MARGINS: Point = (48.0, 40.0);

/// A strip of the shades, with the shares that they begin at; the width it takes.
pub(super) fn draw_scale(out: &mut Vec<Shape>, (left, top): Point, shading: Shading) -> f64 {
    const SWATCH: Point = (13.0, 11.0);
    for k in 0..=SHADES {
        let x = left + SWATCH.0 * k as f64;
        let corners =
            vec![(x, top), (x + SWATCH.0, top), (x + SWATCH.0, top + SWATCH.1), (x, top + SWATCH.1)];
        let colour = if k == 0 { WHITE } else { shading.colour(k as f64 / SHADES as f64) };
        out.push(Shape::Fill { corners, colour });
    }
    let right = left + SWATCH.0 * (SHADES + 1) as f64;
    let border =
        vec![(left, top), (right, top), (right, top + SWATCH.1), (left, top + SWATCH.1), (left, top)];
    out.push(Shape::line(border, Stroke::solid(GREY, 0.6)));
    for share in [0.0, 0.04, 0.25, 1.0f64] {
        let at = (left + (right - left) * share.sqrt(), top + SWATCH.1 + 12.0);
        let label = if share == 0.04 { "0.04".into() } else { number(share) };
        out.push(Shape::text(at, Anchor::Middle, TICK_SIZE - 1.0, GREY, label));
    }
    right - left
}
