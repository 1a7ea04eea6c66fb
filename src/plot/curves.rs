//! What studies measure, along its places: a panel each quantity, with axes of its own.

use super::chart::{Across, Chart, Up};
use super::field::draw_heading;
use super::panel::{Curve, Panel, Spread};
use super::sampled::WIDE;
use super::scene::Scene;
use super::style::Style;
use super::{Figure, chart, curve, distinct};
use crate::record::MeasuredRow;

/// A panel: which quantity, and the titles of its axes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Along {
    /// The quantity.
    pub quantity: String,
    /// The title of the axis across.
    pub across: String,
    /// The title of the axis upwards.
    pub up: String,
}

/// How quantities are drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looks<'a> {
    /// Which cases; all, in the order of rows, if there are none.
    pub cases: &'a [String],
    /// Whether the axes, across and upwards, are logarithmic.
    pub log: (bool, bool),
    /// Whether slopes are orders, for which there are guides.
    pub orders: bool,
}

/// Frames of several panels.
const SMALLER: (f64, f64) = (330.0, 300.0);

/// Quantities along their places, a panel each, a curve each case.
pub fn curves(rows: &[MeasuredRow], title: &str, panels: &[Along], looks: &Looks) -> Figure {
    let Looks { cases, log, orders } = *looks;
    let wanted = |row: &&MeasuredRow| {
        panels.iter().any(|p| p.quantity == row.quantity) && (cases.is_empty() || cases.contains(&row.case))
    };
    let found = distinct(rows.iter().filter(wanted).map(|r| r.case.clone()));
    let cases = if cases.is_empty() { &found } else { cases };
    let one = |panel: &Along| {
        let curves = cases.iter().enumerate().map(|(k, case)| {
            let mine = rows.iter().filter(|r| r.quantity == panel.quantity && r.case == *case);
            along(k, case, mine, log)
        });
        let curves: Vec<Curve> = curves.filter(|c| !c.points.is_empty()).collect();
        let several = panels.len() > 1;
        let chart = Chart {
            x: if log.0 { Across::Log } else { Across::Linear },
            x_title: panel.across.clone(),
            y: if log.1 { Up::Errors } else { Up::Values },
            y_title: panel.up.clone(),
            slopes: orders,
            frame: several.then_some(SMALLER),
            panels: vec![Panel {
                title: if several { panel.quantity.clone() } else { String::new() },
                curves,
            }],
            ..chart("")
        };
        chart.draw()
    };
    let scenes: Vec<Scene> = panels.iter().map(one).collect();
    Figure { scene: together(scenes, title) }
}

fn along<'a>(
    series: usize,
    case: &str,
    rows: impl Iterator<Item = &'a MeasuredRow>,
    log: (bool, bool),
) -> Curve {
    let (mut points, mut spread) = (Vec::new(), Vec::new());
    for row in rows {
        let Some(x) = row.x.filter(|x| x.is_finite() && (!log.0 || *x > 0.0)) else { continue };
        points.push((x, row.value.unwrap_or(f64::NAN)));
        if let (Some(stderr), Some(value)) = (row.stderr, row.value) {
            let reach = WIDE * stderr;
            spread.push(Spread { x, reach, seen: value.abs() > reach, floor: None });
        }
    }
    Curve { spread, ..curve(series, case.into(), Style::nth(series), points) }
}

/// Scenes in two columns under one title.
fn together(scenes: Vec<Scene>, title: &str) -> Scene {
    let columns = if scenes.len() > 1 { 2 } else { 1 };
    let widths: Vec<f64> = (0..columns)
        .map(|c| scenes.iter().skip(c).step_by(columns).map(|s| s.width).fold(0.0, f64::max))
        .collect();
    let width: f64 = widths.iter().sum::<f64>().max(480.0);
    let mut shapes = Vec::new();
    let mut top = draw_heading(&mut shapes, title, "", width);
    let mut row = scenes.into_iter().peekable();
    while row.peek().is_some() {
        let (mut left, mut height) = (0.0, 0.0f64);
        for (scene, width) in row.by_ref().take(columns).zip(&widths) {
            height = height.max(scene.height);
            shapes.extend(scene.shapes.into_iter().map(|s| s.moved((left, top))));
            left += width;
        }
        top += height;
    }
    Scene { width, height: top, title: title.into(), shapes }
}
