//! Slope guides: what order 1, 2 and 4 look like, drawn where there is no data.

use super::axis::Axis;
use super::label::place;
use super::panel::Frame;
use super::scene::{Anchor, HALF_HEIGHT, Point, Shape, Stroke, text_width};
use super::style::{GREY, GUIDE};

const ORDERS: [f64; 3] = [1.0, 2.0, 4.0];
const SIZE: f64 = 9.5;

/// A fan of guides from a common point, to the right and down.
struct Fan {
    width: f64,
    /// Pixels down that a guide of order 1 falls over the width.
    fall: f64,
    /// Room for the names at the right.
    names: f64,
}

/// Draws the guides under all curves, where the fewest points of `lines` (in pixels) lie.
pub(super) fn draw(out: &mut Vec<Shape>, frame: &Frame, (x, y): &(&Axis, &Axis), lines: &[Vec<Point>]) {
    let across = frame.width / (x.high / x.low).log10();
    let down = frame.height / (y.high / y.low).log10();
    let decades = (0.34 * frame.width / across).min(0.3 * frame.height / (4.0 * down));
    let names = text_width("order 4", SIZE) + 4.0;
    let fan = Fan { width: decades * across, fall: decades * down, names };
    let (left, top) = fan.free_place(frame, &dense(lines));
    let ends: Vec<f64> = ORDERS.iter().map(|p| top + p * fan.fall).collect();
    let names = place(&ends, &[SIZE + 1.5; 3], top - SIZE, frame.bottom());
    for ((order, end), name) in ORDERS.iter().zip(ends).zip(names) {
        let right = left + fan.width;
        out.push(Shape::line(vec![(left, top), (right, end)], Stroke::solid(GUIDE, 1.0)));
        let at = (right + 4.0, name + HALF_HEIGHT * SIZE);
        out.push(Shape::text(at, Anchor::Start, SIZE, GREY, format!("order {order}")));
    }
}

/// Points a few pixels apart along the lines.
pub(super) fn dense(lines: &[Vec<Point>]) -> Vec<Point> {
    let mut points = Vec::new();
    for line in lines {
        points.extend(line.first());
        for pair in line.windows(2) {
            let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
            let parts = ((x1 - x0).hypot(y1 - y0) / 4.0).ceil().max(1.0);
            points.extend((1..=parts as usize).map(|k| {
                let s = k as f64 / parts;
                (x0 + s * (x1 - x0), y0 + s * (y1 - y0))
            }));
        }
    }
    points
}

impl Fan {
    /// Whether a point lies on the fan or its names, seen from the common point.
    fn covers(&self, (dx, dy): Point) -> bool {
        let share = (dx / self.width).min(1.0);
        (-6.0..=self.width + self.names + 4.0).contains(&dx)
            && (share * self.fall - 9.0..=4.0 * share * self.fall + 9.0).contains(&dy)
    }

    /// The common point that leaves the fewest of these under the fan; of equals, the one nearest to the lower left
    /// corner, where the curves of low errors at few steps would be.
    fn free_place(&self, frame: &Frame, points: &[Point]) -> Point {
        const STEPS: usize = 24;
        let free = (frame.width - self.width - self.names - 14.0, frame.height - 4.0 * self.fall - 20.0);
        let mut best = (usize::MAX, (frame.left, frame.top));
        for j in (0..=STEPS).rev() {
            for i in 0..=STEPS {
                let share = |k: usize| k as f64 / STEPS as f64;
                let at = (frame.left + 8.0 + free.0 * share(i), frame.top + 10.0 + free.1 * share(j));
                let hidden = points.iter().filter(|p| self.covers((p.0 - at.0, p.1 - at.1))).count();
                if hidden < best.0 {
                    best = (hidden, at);
                }
            }
        }
        best.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guides_keep_away_from_data() {
        let frame = Frame { left: 0.0, top: 0.0, width: 300.0, height: 300.0 };
        let fan = Fan { width: 60.0, fall: 20.0, names: 40.0 };
        // A band of data over the lower half: the guides go above it.
        let points = dense(&[vec![(0.0, 290.0), (300.0, 290.0)], vec![(0.0, 160.0), (300.0, 160.0)]]);
        let (left, top) = fan.free_place(&frame, &points);
        assert!(points.iter().all(|p| !fan.covers((p.0 - left, p.1 - top))), "{left} {top}");
        assert!(top + 80.0 < 290.0);
        assert_eq!(fan.free_place(&frame, &[]), (8.0, 290.0 - 80.0));
    }
}
