//! Error bars.

use super::axis::Axis;
use super::panel::{Curve, Frame, Spread, tooltip};
use super::scene::{Point, Shape, Stroke};
use super::style::thinned;

/// An error bar in pixels, which may leave the frame.
pub(super) struct Bar {
    x: f64,
    top: f64,
    bottom: f64,
    seen: bool,
}

impl Bar {
    /// What the frame shows of it.
    pub fn line(&self, frame: &Frame) -> Vec<Point> {
        vec![(self.x, self.top.max(frame.top)), (self.x, self.bottom.min(frame.bottom()))]
    }
}

/// The bars of the points that the frame shows, but for those that a marker hides.
pub(super) fn bars(curve: &Curve, frame: &Frame, axes: &(&Axis, &Axis)) -> Vec<Bar> {
    let height = |p: Point| if axes.1.log && p.1 <= 0.0 { f64::INFINITY } else { frame.pixel(axes, p).1 };
    let bar = |&(x, y): &Point| {
        let Spread { reach, seen, .. } = *curve.spread_at(x)?;
        let at = frame.pixel(axes, (x, y)).0;
        Some(Bar { x: at, top: height((x, y + reach)), bottom: height((x, y - reach)), seen })
    };
    let within = |p: &&Point| (axes.1.low..=axes.1.high).contains(&p.1);
    curve.points.iter().filter(within).filter_map(bar).filter(|b| b.bottom - b.top > 6.0).collect()
}

/// Error bars, under all curves, with a serif at each end that is not cut off by the frame; pale where nothing was seen.
pub(super) fn draw_bars(out: &mut Vec<Shape>, curve: &Curve, frame: &Frame, axes: &(&Axis, &Axis)) {
    const SERIF: f64 = 2.5;
    let mut shapes = Vec::new();
    for bar in bars(curve, frame, axes) {
        let share = if bar.seen { 1.0 } else { 0.45 };
        let stroke = Stroke::solid(thinned(curve.style.colour, share), 0.9);
        let inside = |y: &f64| (frame.top..=frame.bottom()).contains(y);
        let serifs = [bar.top, bar.bottom].into_iter().filter(inside);
        let serifs = serifs.map(|y| vec![(bar.x - SERIF, y), (bar.x + SERIF, y)]);
        let paths = std::iter::once(bar.line(frame)).chain(serifs).collect();
        shapes.push(Shape::Lines { paths, stroke });
    }
    if !shapes.is_empty() {
        out.push(Shape::Group { series: curve.series, tooltip: tooltip(curve), shapes });
    }
}
