//! Maps: a number as a colour over steps (across) and data (upwards), one panel a solver.

use super::axis::power_of_ten;
use super::chart::{MARGIN, PANEL_TITLE, SMALL, TITLE, upwards};
use super::scene::{Anchor, Point, Rgb, Scene, Shape, text_width, wrap};
use super::style::{GREY, INK};
use super::{Figure, distinct};
use crate::record::Row;

/// Size of a cell, room between panels, and panels side by side.
const CELL: Point = (13.0, 12.0);
const GAP: Point = (16.0, 40.0);
const COLUMNS: usize = 5;
/// Decades of colour on either side of 1.
const DECADES: f64 = 3.0;
/// A failed run.
const FAILED: Rgb = [0, 0, 0];
/// Light where nothing changes, through two colours that colour-blind readers tell apart.
const LOW: [Rgb; 2] = [[146, 197, 222], [5, 48, 97]];
const HIGH: [Rgb; 2] = [[244, 165, 130], [165, 15, 21]];

/// How much a run amplifies its start (`amplification`): blue where it damps it, red where it makes it grow. Steps
/// across, data upwards in the order of the rows, one panel a solver.
pub fn amplification(rows: &[Row], title: &str) -> Figure {
    let solvers = distinct(rows.iter().map(|r| r.solver.clone()));
    let data = distinct(rows.iter().map(|r| r.data.clone()));
    let mut steps: Vec<usize> = rows.iter().map(|r| r.steps).collect();
    steps.sort_unstable();
    steps.dedup();
    let labels = data.iter().map(|d| text_width(d, SMALL - 1.5)).fold(0.0, f64::max);
    let panel = (CELL.0 * steps.len() as f64, CELL.1 * data.len() as f64);
    let columns = COLUMNS.min(solvers.len()).max(1);
    let left = MARGIN + 20.0 + labels + 6.0;
    let width = (left + columns as f64 * (panel.0 + GAP.0) + MARGIN).max(520.0);
    let mut shapes = Vec::new();
    let mut top = MARGIN;
    for line in wrap(title, TITLE, width - 2.0 * MARGIN) {
        top += 1.3 * TITLE;
        shapes.push(Shape::text((MARGIN, top - 0.3 * TITLE), Anchor::Start, TITLE, INK, line));
    }
    top += 34.0;
    let rows_of_panels = solvers.len().div_ceil(columns);
    for (k, solver) in solvers.iter().enumerate() {
        let (column, row) = (k % columns, k / columns);
        let at = (left + column as f64 * (panel.0 + GAP.0), top + row as f64 * (panel.1 + GAP.1));
        for (i, line) in wrap(solver, PANEL_TITLE - 2.5, panel.0 + GAP.0 - 4.0).iter().rev().enumerate() {
            let place = (at.0, at.1 - 6.0 - 12.0 * i as f64);
            shapes.push(Shape::text(place, Anchor::Start, PANEL_TITLE - 2.5, INK, line.clone()));
        }
        let mine: Vec<&Row> = rows.iter().filter(|r| r.solver == *solver).collect();
        shapes.extend(mine.iter().map(|row| cell(row, k, at, panel.1, &steps, &data)));
        if column == 0 {
            for (j, name) in data.iter().enumerate() {
                let place = (at.0 - 5.0, at.1 + panel.1 - CELL.1 * (j as f64 + 0.2));
                shapes.push(Shape::text(place, Anchor::End, SMALL - 1.5, INK, name.clone()));
            }
            shapes.push(upwards((MARGIN + SMALL, at.1 + 0.5 * panel.1), "variance of the data"));
        }
        if k + columns >= solvers.len() {
            draw_steps(&mut shapes, (at.0, at.1 + panel.1), &steps);
        }
    }
    let bottom = top + rows_of_panels as f64 * (panel.1 + GAP.1) + 14.0;
    draw_legend(&mut shapes, (left, bottom));
    Figure { scene: Scene { width, height: bottom + 46.0, title: title.into(), shapes } }
}

fn cell(row: &Row, series: usize, at: Point, height: f64, steps: &[usize], data: &[String]) -> Shape {
    let column = steps.iter().position(|n| *n == row.steps).expect("a step count of the rows") as f64;
    let line = data.iter().position(|d| *d == row.data).expect("data of the rows") as f64;
    let (x, y) = (at.0 + CELL.0 * column, at.1 + height - CELL.1 * (line + 1.0));
    let (w, h) = (CELL.0 - 0.5, CELL.1 - 0.5);
    let value = row.amplification.filter(|a| a.is_finite());
    let fill =
        Shape::Fill { corners: vec![(x, y), (x + w, y), (x + w, y + h), (x, y + h)], colour: colour(value) };
    let said = value.map_or("no finite result".into(), |a| format!("{a:.3e}"));
    let tooltip = format!("{}, {} steps, {}: {said}", row.solver, row.steps, row.data);
    Shape::Group { series, tooltip, shapes: vec![fill] }
}

/// Blue below 1, red above, white at 1; the deeper the further.
fn colour(value: Option<f64>) -> Rgb {
    let Some(value) = value else { return FAILED };
    let decades = value.max(1e-300).log10().clamp(-DECADES, DECADES) / DECADES;
    let [near, far] = if decades > 0.0 { HIGH } else { LOW };
    let depth = decades.abs();
    let mix = |a: u8, b: u8, share: f64| (f64::from(a) + share * (f64::from(b) - f64::from(a))).round() as u8;
    let pick = |k: usize| {
        if depth < 0.5 { mix(255, near[k], 2.0 * depth) } else { mix(near[k], far[k], 2.0 * depth - 1.0) }
    };
    // A few tints, so that figures stay small. Growth is never white.
    let colour = [pick(0), pick(1), pick(2)];
    if decades > 0.0 && depth < 0.02 { mix_all([255; 3], near, 0.3) } else { colour.map(|c| c / 8 * 8 + 7) }
}

fn mix_all(a: Rgb, b: Rgb, share: f64) -> Rgb {
    let mix = |k: usize| (f64::from(a[k]) + share * (f64::from(b[k]) - f64::from(a[k]))).round() as u8;
    [mix(0), mix(1), mix(2)]
}

/// Step counts below a panel, as many as fit.
fn draw_steps(shapes: &mut Vec<Shape>, at: Point, steps: &[usize]) {
    let mut free = f64::NEG_INFINITY;
    for (i, n) in steps.iter().enumerate() {
        let (x, text) = (at.0 + CELL.0 * (i as f64 + 0.5), n.to_string());
        let half = 0.5 * text_width(&text, SMALL - 1.5);
        if x - half > free {
            free = x + half + 3.0;
            shapes.push(Shape::text((x, at.1 + 13.0), Anchor::Middle, SMALL - 1.5, INK, text));
        }
    }
    let middle = (at.0 + 0.5 * CELL.0 * steps.len() as f64, at.1 + 28.0);
    shapes.push(Shape::text(middle, Anchor::Middle, SMALL, INK, "steps N"));
}

fn draw_legend(shapes: &mut Vec<Shape>, at: Point) {
    let decades = DECADES as i32;
    let tints = 4 * (2 * decades) + 1;
    for k in 0..tints {
        let value = 10f64.powf(-DECADES + 2.0 * DECADES * f64::from(k) / f64::from(tints - 1));
        let x = at.0 + 9.0 * f64::from(k);
        let corners = vec![(x, at.1), (x + 9.0, at.1), (x + 9.0, at.1 + 10.0), (x, at.1 + 10.0)];
        shapes.push(Shape::Fill { corners, colour: colour(Some(value)) });
        if k % 4 == 0 {
            let label = power_of_ten(k / 4 - decades);
            let place = (x + 4.5, at.1 + 23.0);
            shapes.push(Shape::text(place, Anchor::Middle, SMALL - 1.5, INK, label));
        }
    }
    let text = "|d x_out / d x_T|; black: no finite result";
    let place = (at.0 + 9.0 * f64::from(tints) + 12.0, at.1 + 9.0);
    shapes.push(Shape::text(place, Anchor::Start, SMALL - 0.5, GREY, text));
}
