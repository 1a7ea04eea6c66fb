//! The sampling floor: what a sampler without error would show at the same number of samples.

use super::axis::Axis;
use super::guides::dense;
use super::panel::{Curve, Frame, Spread};
use super::scene::{Anchor, Point, Shape, Stroke, text_width};
use super::style::{GREY, GUIDE, thinned};

const SIZE: f64 = 9.5;
const NAME: &str = "sampling floor";

/// The least and the greatest floor of points.
pub(super) fn range(curves: &[Curve]) -> Option<(f64, f64)> {
    let floors = curves.iter().flat_map(|c| &c.spread).filter_map(|s| s.floor);
    floors.fold(None, |all, f| Some(all.map_or((f, f), |(low, high): (f64, f64)| (low.min(f), high.max(f)))))
}

/// Whether one band can stand for all. (Against exact ends of the same starts, floors fall with the error itself.)
pub(super) fn is_common((low, high): (f64, f64)) -> bool {
    high <= 2.0 * low
}

/// A short line for the floor of each point, in the curve's colour.
pub(super) fn draw_each(out: &mut Vec<Shape>, frame: &Frame, axes: &(&Axis, &Axis), curves: &[Curve]) {
    const HALF: f64 = 5.0;
    for curve in curves {
        let within = |f: &f64| (axes.1.low..=axes.1.high).contains(f);
        let line = |s: &Spread| {
            let (x, y) = frame.pixel(axes, (s.x, s.floor.filter(within)?));
            Some(vec![(x - HALF, y), (x + HALF, y)])
        };
        let paths: Vec<Vec<Point>> = curve.spread.iter().filter_map(line).collect();
        if !paths.is_empty() {
            let stroke = Stroke::solid(thinned(curve.style.colour, 0.6), 1.2);
            out.push(Shape::Lines { paths, stroke });
        }
    }
}

/// Draws a dashed line, or lines around a band where floors differ, and its name where the fewest points of `lines` (in
/// pixels) lie. A floor outside of the frame is not drawn.
pub(super) fn draw(
    out: &mut Vec<Shape>,
    frame: &Frame,
    y: &Axis,
    (low, high): (f64, f64),
    lines: &[Vec<Point>],
) {
    if high < y.low || low > y.high {
        return;
    }
    let height = |v: f64| (frame.bottom() - frame.height * y.share(v)).clamp(frame.top, frame.bottom());
    let (top, bottom) = (height(high), height(low));
    let (left, right) = (frame.left, frame.right());
    let stroke = Stroke { colour: GUIDE, width: 1.2, dash: &[5.0, 3.0] };
    if bottom - top > 2.0 {
        let corners = vec![(left, top), (right, top), (right, bottom), (left, bottom)];
        out.push(Shape::Fill { corners, colour: thinned(GUIDE, 0.25) });
        out.push(Shape::line(vec![(left, bottom), (right, bottom)], stroke));
    }
    out.push(Shape::line(vec![(left, top), (right, top)], stroke));
    let at = free_place(frame, (top, bottom), &dense(lines));
    out.push(Shape::text(at, Anchor::Start, SIZE, GREY, NAME));
}

/// Where the name starts, below or above the band.
fn free_place(frame: &Frame, (top, bottom): (f64, f64), points: &[Point]) -> Point {
    const STEPS: usize = 12;
    let width = text_width(NAME, SIZE);
    let room = frame.width - width - 12.0;
    let baselines = [bottom + SIZE + 2.0, top - 4.0];
    let inside = |y: &f64| *y - SIZE > frame.top && y + 3.0 < frame.bottom();
    let mut best = (usize::MAX, (frame.left + 6.0, baselines[1]));
    for y in baselines.into_iter().filter(inside) {
        for k in 0..=STEPS {
            let x = frame.left + 6.0 + room * k as f64 / STEPS as f64;
            let covers = |p: &&Point| {
                (x - 6.0..=x + width + 6.0).contains(&p.0) && (y - SIZE - 2.0..=y + 5.0).contains(&p.1)
            };
            let hidden = points.iter().filter(covers).count();
            if hidden < best.0 {
                best = (hidden, (x, y));
            }
        }
    }
    best.1
}
