//! Paths of samples: in the plane, and against noise.

use super::Figure;
use super::chart::{MARGIN, PANEL_TITLE, SMALL};
use super::field::draw_heading;
use super::label::{Key, tell_apart};
use super::panel::Frame;
use super::plane::{MARGINS, Plane, Shading};
use super::scene::{Anchor, Form, Marker, Point, Rgb, Scene, Shape, Stroke, wrap};
use super::style::{GREY, INK, Style, thinned};
use crate::geometry::Paths;

/// What a row of panels is of.
#[derive(Clone, Debug)]
pub struct PathsOf {
    /// Label of the data.
    pub data: String,
    /// Label of the schedule.
    pub schedule: String,
    /// Label of the grid.
    pub grid: String,
    /// Label of the solver.
    pub solver: String,
    /// Its paths, or why there are none.
    pub paths: Result<Paths, String>,
}

const SIDE: f64 = 300.0;
const LONG: f64 = 470.0;
const GAP: f64 = 26.0;
const HEAD: f64 = 28.0;
/// Paths drawn so that the eye can follow them.
const FOLLOWED: usize = 3;
/// Tints by which a path in the plane grows darker.
const TINTS: usize = 6;
/// Points of a path that are drawn.
const POINTS: usize = 200;

/// Paths of samples through solvers' grids, a row of panels each: in the plane, over the density of the data at the last
/// level (two coordinates), and the first coordinate against lambda, over its exact density.
pub fn paths(rows: &[PathsOf], title: &str) -> Figure {
    let key = |r: &PathsOf| -> Key {
        vec![
            ("solver", r.solver.clone()),
            ("data", r.data.clone()),
            ("schedule", r.schedule.clone()),
            ("grid", r.grid.clone()),
            ("steps", r.paths.as_ref().map_or(String::new(), |p| format!("N = {}", p.levels.len() - 1))),
        ]
    };
    let (context, own) = tell_apart(&rows.iter().map(key).collect::<Vec<_>>());
    let planar = rows.iter().any(|r| r.paths.as_ref().is_ok_and(|p| p.dim == 2));
    let first = if planar { MARGINS.0 + SIDE + GAP } else { 0.0 };
    let width = 2.0 * MARGIN + first + MARGINS.0 + LONG;
    let mut shapes = Vec::new();
    let mut top = draw_heading(&mut shapes, title, &context.join(" · "), width);
    for (row, own) in rows.iter().zip(own) {
        let name = if own.is_empty() { String::new() } else { own.join(", ") };
        top += HEAD;
        shapes.push(Shape::text((MARGIN + MARGINS.0, top - 9.0), Anchor::Start, PANEL_TITLE, INK, name));
        let left = MARGIN + MARGINS.0;
        let long = Frame { left: left + first, top, width: LONG, height: SIDE };
        match &row.paths {
            Err(why) => {
                let middle = (left + 0.5 * (width - left), top + 0.5 * SIDE);
                shapes.push(Shape::text(middle, Anchor::Middle, 12.0, GREY, format!("no paths: {why}")));
            }
            Ok(paths) => {
                if paths.dim == 2 {
                    draw_plane(&mut shapes, Frame { left, width: SIDE, ..long }, paths);
                }
                draw_against_noise(&mut shapes, long, paths);
            }
        }
        top += SIDE + MARGINS.1 + 10.0;
    }
    let text = "Grey: the exact density (shades even in its root), in the plane at the last level, beside it of x₁ at each \
                level. Paths run from noise (rings, pale) to data (dots, dark); three are coloured.";
    let text = if planar {
        text
    } else {
        "Grey: the exact density of x₁ at each level (shades even in its root)."
    };
    for line in wrap(text, SMALL - 0.5, width - 2.0 * MARGIN) {
        top += 15.0;
        shapes.push(Shape::text((MARGIN, top), Anchor::Start, SMALL - 0.5, GREY, line));
    }
    Figure { scene: Scene { width, height: top + MARGIN, title: title.into(), shapes } }
}

/// Every so many levels, and the last one.
fn drawn_levels(paths: &Paths) -> Vec<usize> {
    let last = paths.levels.len() - 1;
    let every = last.div_ceil(POINTS).max(1);
    let mut levels: Vec<usize> = (0..last).step_by(every).collect();
    levels.push(last);
    levels
}

fn count(paths: &Paths) -> usize {
    paths.states[0].len() / paths.dim
}

/// Colour and width of a path; those that can be followed come last, over the others.
fn looks(k: usize, count: usize) -> (Rgb, f64) {
    let back = count - 1 - k;
    if back < FOLLOWED { (Style::nth([1, 2, 0][back]).colour, 1.7) } else { (INK, 0.6) }
}

fn draw_plane(out: &mut Vec<Shape>, frame: Frame, paths: &Paths) {
    let plane = Plane::new(frame, paths.window.x, paths.window.y);
    if let Some(density) = &paths.density {
        plane.shade(out, density, Shading::Grey);
    }
    let levels = drawn_levels(paths);
    let at = |level: usize, k: usize| (paths.states[level][2 * k], paths.states[level][2 * k + 1]);
    let count = count(paths);
    for tint in 0..TINTS {
        // Neighbouring pieces share a point.
        let cut = |t: usize| t * (levels.len() - 1) / TINTS;
        let piece = &levels[cut(tint)..=cut(tint + 1)];
        let line = |k: usize| piece.iter().map(|&l| at(l, k)).collect::<Vec<_>>();
        let lines = (0..count).flat_map(|k| plane.visible(&line(k))).filter(|l| l.len() > 1).collect();
        let share = 0.12 + 0.88 * ((tint + 1) as f64 / TINTS as f64).powi(2);
        out.push(Shape::Lines { paths: lines, stroke: Stroke::solid(thinned(INK, share), 0.7) });
    }
    for k in count.saturating_sub(FOLLOWED)..count {
        let line: Vec<Point> = levels.iter().map(|&l| at(l, k)).collect();
        let lines = plane.visible(&line).into_iter().filter(|l| l.len() > 1).collect();
        out.push(Shape::Lines { paths: lines, stroke: Stroke::solid(looks(k, count).0, 1.3) });
    }
    let ends = |level: usize| -> Vec<Point> {
        (0..count).map(|k| plane.pixel(at(level, k))).filter(|&p| plane.holds(p)).collect()
    };
    let mut dots = |level: usize, hollow: bool, colour: Rgb| {
        let marker = Marker { form: Form::Circle, hollow };
        out.push(Shape::Markers { at: ends(level), marker, radius: 1.9, colour });
    };
    dots(0, true, thinned(INK, 0.55));
    dots(paths.levels.len() - 1, false, INK);
    plane.draw_axes(out, "x₁", "x₂");
}

fn draw_against_noise(out: &mut Vec<Shape>, frame: Frame, paths: &Paths) {
    let plane = Plane::new(frame, paths.lambda, paths.window.x);
    if let Some(marginal) = &paths.marginal {
        plane.shade(out, marginal, Shading::Grey);
    }
    let levels = drawn_levels(paths);
    let count = count(paths);
    for k in 0..count {
        let at = |&l: &usize| (paths.levels[l].lambda(), paths.states[l][paths.dim * k]);
        let line: Vec<Point> = levels.iter().map(at).collect();
        let (colour, width) = looks(k, count);
        let lines = plane.visible(&line).into_iter().filter(|l| l.len() > 1).collect();
        out.push(Shape::Lines { paths: lines, stroke: Stroke::solid(colour, width) });
    }
    plane.draw_axes(out, "λ = ln(α/σ), from noise to data", "x₁");
}
