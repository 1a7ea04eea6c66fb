//! How a training went.

use super::panel::{Curve, Panel};
use super::style::Style;
use super::{Across, Chart, Figure, chart, curve};
use crate::record::LossRow;

/// Losses against updates: of the batches trained on, and of the averaged weights on held-out images where there are some.
pub fn loss(rows: &[LossRow], title: &str) -> Figure {
    let line = |k: usize, name: &str, value: fn(&LossRow) -> Option<f64>| {
        let points = rows.iter().map(|row| (row.step as f64, value(row).unwrap_or(f64::NAN)));
        curve(k, name.into(), Style::nth(k), points.collect())
    };
    let curves =
        [line(0, "trained on", |row| row.loss), line(1, "held out, averaged weights", |row| row.held_out)];
    let panel = Panel { title: String::new(), curves: curves.into_iter().filter(Curve::named).collect() };
    let scene = Chart {
        x: Across::Linear,
        x_title: "updates".into(),
        y_title: "loss".into(),
        panels: vec![panel],
        ..chart(title)
    };
    Figure { scene: scene.draw() }
}
