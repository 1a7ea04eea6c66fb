//! The density and the score of `x_t` in the plane.

use super::Figure;
use super::chart::{MARGIN, PANEL_TITLE, SMALL, TITLE};
use super::label::{Key, tell_apart};
use super::panel::Frame;
use super::plane::{MARGINS, Plane, Shading, draw_scale};
use super::scene::{Anchor, Point, Scene, Shape, Stroke, wrap};
use super::style::{GREY, INK};
use crate::geometry::{Field, Moment, Window};

/// Room between panels, and above a row of them.
const GAP: f64 = 14.0;
const HEAD: f64 = 26.0;
/// Of a mesh width of arrows, the longest.
const LONGEST: f64 = 0.92;

/// The density of `x_t` in shades, and its score as arrows, one panel a time; a row of panels for each field, with the
/// labels of its data and schedule.
pub fn field(fields: &[(String, String, Field)], title: &str) -> Figure {
    let keys: Vec<Key> = fields
        .iter()
        .map(|(data, schedule, _)| vec![("data", data.clone()), ("schedule", schedule.clone())])
        .collect();
    let (context, own) = tell_apart(&keys);
    let columns = fields.iter().map(|f| f.2.moments.len()).max().unwrap_or(1).max(2);
    let side = [300.0, 300.0, 260.0, 230.0, 200.0, 180.0][columns.min(6) - 1];
    let cell = (MARGINS.0 + side + GAP, HEAD + side + MARGINS.1 + GAP);
    let width = 2.0 * MARGIN + cell.0 * columns as f64;
    let mut shapes = Vec::new();
    let top = draw_heading(&mut shapes, title, &context.join(" · "), width);
    for (row, ((_, _, field), own)) in fields.iter().zip(&own).enumerate() {
        for (column, moment) in field.moments.iter().enumerate() {
            let left = MARGIN + cell.0 * column as f64 + MARGINS.0;
            let frame = Frame { left, top: top + cell.1 * row as f64 + HEAD, width: side, height: side };
            draw_moment(&mut shapes, frame, moment, &field.window);
            let name = [&[moment_title(moment)], &own[..]].concat().join(", ");
            shapes.push(Shape::text((left, frame.top - 8.0), Anchor::Start, PANEL_TITLE - 1.0, INK, name));
        }
    }
    let bottom = top + cell.1 * fields.len() as f64 + 4.0;
    let height = draw_key(&mut shapes, (MARGIN + MARGINS.0, bottom), width);
    Figure { scene: Scene { width, height, title: title.into(), shapes } }
}

fn moment_title(moment: &Moment) -> String {
    let lambda = moment.at.lambda();
    let lambda =
        if lambda.is_finite() { format!(", λ = {lambda:.2}").replace('-', "−") } else { String::new() };
    format!("t = {}{lambda}", moment.at.t)
}

fn draw_moment(out: &mut Vec<Shape>, frame: Frame, moment: &Moment, window: &Window) {
    let plane = Plane::new(frame, window.x, window.y);
    plane.shade(out, &moment.density, Shading::Blue);
    let mesh = frame.width / (moment.arrows.len() as f64).sqrt().max(1.0);
    let arrows =
        moment.arrows.iter().flat_map(|(place, a)| arrow(plane.pixel((place[0], place[1])), *a, mesh));
    out.push(Shape::Lines { paths: arrows.collect(), stroke: Stroke::solid(INK, 0.7) });
    plane.draw_axes(out, "x₁", "x₂");
}

/// A shaft around its place and an open head. Lengths are bounded: m becomes m/sqrt(1 + m^2).
fn arrow(at: Point, [x, y]: [f64; 2], mesh: f64) -> Vec<Vec<Point>> {
    let m = x.hypot(y);
    let length = LONGEST * mesh * m / (1.0 + m * m).sqrt();
    if length.is_nan() || length < 0.6 {
        return Vec::new();
    }
    // Pixels go down.
    let (ux, uy) = (x / m, -y / m);
    let along = |s: f64, aside: f64| (at.0 + s * ux - aside * uy, at.1 + s * uy + aside * ux);
    let head = 0.36 * length.min(0.8 * mesh);
    let (tip, neck) = (0.5 * length, 0.5 * length - head);
    vec![
        vec![along(-0.5 * length, 0.0), along(tip, 0.0)],
        vec![along(neck, 0.55 * head), along(tip, 0.0), along(neck, -0.55 * head)],
    ]
}

/// Title and context; the height below them.
pub(super) fn draw_heading(shapes: &mut Vec<Shape>, title: &str, context: &str, width: f64) -> f64 {
    let mut y = MARGIN;
    for (text, size, colour) in [(title, TITLE, INK), (context, SMALL, GREY)] {
        for line in wrap(text, size, width - 2.0 * MARGIN) {
            y += 1.3 * size;
            shapes.push(Shape::text((MARGIN, y - 0.3 * size), Anchor::Start, size, colour, line));
        }
    }
    y + 8.0
}

/// The scale of shades and what arrows are; the height below.
fn draw_key(shapes: &mut Vec<Shape>, (left, top): Point, width: f64) -> f64 {
    let scale = draw_scale(shapes, (left, top), Shading::Blue);
    let text = "density, as a share of the panel's largest (shades even in its root). Arrows: σ times the score; a length \
                of m is drawn as m/√(1 + m²).";
    let from = left + scale + 18.0;
    let mut y = top - 4.0;
    for line in wrap(text, SMALL - 0.5, width - from - MARGIN) {
        y += 14.0;
        shapes.push(Shape::text((from, y), Anchor::Start, SMALL - 0.5, GREY, line));
    }
    y.max(top + 24.0) + MARGIN
}
