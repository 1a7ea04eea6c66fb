//! The sampling floor: what a sampler without error would show at the same number of samples.

use super::axis::Axis;
use super::guides::dense;
use super::panel::Frame;
use super::scene::{Anchor, Point, Shape, Stroke, text_width};
use super::style::{GREY, GUIDE, thinned};

const SIZE: f64 = 9.5;
const NAME: &str = "sampling floor";

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
