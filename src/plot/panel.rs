//! One panel: a frame, its grid, the curves, and their names at the right.

use super::MOST;
use super::axis::{Axis, TICK_SIZE, number};
use super::bars::{bars, draw_bars};
use super::floor;
use super::guides;
use super::label::place;
use super::scene::{Anchor, Form, HALF_HEIGHT, Marker, Point, Shape, Stroke, text_width, wrap};
use super::style::{GREY, GRID, Style, thinned};

/// Size of the names of curves, and the height of a line of them.
const NAME_SIZE: f64 = 11.0;
const NAME_LINE: f64 = 13.0;
/// A longer name is broken.
const NAME_WIDTH: f64 = 152.0;
/// From the frame to the sample beside a name, the sample, and the gap after it.
const LEADER: f64 = 28.0;
const SAMPLE: f64 = 20.0;
const GAP: f64 = 5.0;

/// Errors below are not drawn: no f64 computation on data of unit size means them.
pub(super) const LEAST_ERROR: f64 = 1e-16;

/// A part of a figure with axes of its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Panel {
    pub title: String,
    pub curves: Vec<Curve>,
}

/// One line. Points ascend in x; y is NaN where there is no value, infinite where the run failed.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    /// The same number in all panels for what is the same.
    pub series: usize,
    pub name: String,
    pub style: Style,
    pub points: Vec<Point>,
    /// What is known of the uncertainty of points, for those from samples.
    pub spread: Vec<Spread>,
}

/// The uncertainty of the point at `x`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub x: f64,
    /// How far the error bar reaches to either side.
    pub reach: f64,
    /// Whether the error stands out from chance.
    pub seen: bool,
    /// The sampling floor, where there is one.
    pub floor: Option<f64>,
}

/// Where a curve is when it arrives at the right.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Inside(Point),
    Above(f64),
    Below(f64),
}

impl Curve {
    /// Points that an axis can show.
    pub fn drawable(&self, log: bool) -> impl Iterator<Item = Point> {
        let shown = move |p: &Point| p.1.is_finite() && (!log || p.1 >= LEAST_ERROR);
        self.points.iter().copied().filter(shown)
    }

    /// Whether there is anything to say about it beside that it failed.
    pub fn named(&self) -> bool {
        self.points.iter().any(|p| p.1.is_finite())
    }

    pub fn spread_at(&self, x: f64) -> Option<&Spread> {
        self.spread.iter().find(|s| s.x == x)
    }

    fn end(&self, y: &Axis) -> Option<End> {
        let &(x, last) = self.points.iter().rfind(|p| !p.1.is_nan())?;
        Some(if last > y.high {
            End::Above(x)
        } else if last < y.low {
            End::Below(x)
        } else {
            End::Inside((x, last))
        })
    }

    /// The last value, by which names are ordered.
    fn last(&self) -> f64 {
        self.points.iter().rfind(|p| !p.1.is_nan()).map_or(f64::NAN, |p| p.1)
    }

    /// The name as written; a curve that is below the axis altogether also says how far.
    fn lines(&self, y: &Axis) -> Vec<String> {
        let most = self.points.iter().map(|p| p.1).filter(|v| !v.is_nan()).fold(f64::NEG_INFINITY, f64::max);
        let mut lines = broken(&self.name);
        if y.log && most < y.low {
            lines.push(if most == 0.0 { "= 0".into() } else { format!("≤ {}", number(most.max(0.0))) });
        }
        lines
    }
}

/// A name on one line, or its parameters on lines of their own.
fn broken(name: &str) -> Vec<String> {
    match name.find('(') {
        Some(at) if text_width(name, NAME_SIZE) > NAME_WIDTH => {
            let mut lines = wrap(&name[..at], NAME_SIZE, NAME_WIDTH);
            lines.extend(wrap(&name[at..], NAME_SIZE, NAME_WIDTH));
            lines
        }
        _ => wrap(name, NAME_SIZE, NAME_WIDTH),
    }
}

/// A rectangle of pixels in which axes are shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

impl Frame {
    pub fn right(&self) -> f64 {
        self.left + self.width
    }

    pub fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// The pixel of a value; far outside where the value is.
    pub fn pixel(&self, (x, y): &(&Axis, &Axis), p: Point) -> Point {
        (self.left + self.width * x.share(p.0), self.bottom() - self.height * y.share(p.1))
    }
}

impl Panel {
    fn named(&self) -> impl Iterator<Item = &Curve> {
        self.curves.iter().filter(|c| c.named())
    }

    /// Room at the right that the names need.
    pub fn names_width(&self, y: &Axis) -> f64 {
        let widths = self.named().flat_map(|c| c.lines(y)).map(|l| text_width(&l, NAME_SIZE));
        LEADER + SAMPLE + GAP + widths.fold(0.0, f64::max)
    }

    /// Height that the names need.
    pub fn names_height(&self, y: &Axis) -> f64 {
        NAME_LINE * self.named().map(|c| c.lines(y).len()).sum::<usize>() as f64
    }

    /// Draws all but the axes' titles.
    pub fn draw(&self, out: &mut Vec<Shape>, frame: Frame, axes: (&Axis, &Axis), slopes: bool) {
        draw_grid(out, &frame, &axes);
        let paths: Vec<Vec<Vec<Point>>> = self.curves.iter().map(|c| paths(c, &frame, &axes)).collect();
        let mut taken = paths.concat();
        taken.extend(self.curves.iter().flat_map(|c| bars(c, &frame, &axes)).map(|b| b.line(&frame)));
        match floor::range(&self.curves) {
            Some(one) if floor::is_common(one) => floor::draw(out, &frame, axes.1, one, &taken),
            Some(_) => floor::draw_each(out, &frame, &axes, &self.curves),
            None => {}
        }
        if slopes {
            guides::draw(out, &frame, &axes, &taken);
        }
        let shown = |c: &Curve| c.drawable(axes.1.log).next().is_some();
        if !self.curves.iter().any(shown) {
            let middle = (frame.left + 0.5 * frame.width, frame.top + 0.5 * frame.height);
            out.push(Shape::text(middle, Anchor::Middle, 12.0, GREY, "no finite data"));
        }
        let mut curves: Vec<(&Curve, &Vec<Vec<Point>>)> =
            self.curves.iter().zip(&paths).filter(|(c, _)| c.named()).collect();
        curves.sort_by(|a, b| b.0.last().total_cmp(&a.0.last()));
        let places = self.name_places(&curves, &frame, &axes);
        let thick = if curves.len() <= 8 { 1.8 } else { 1.4 };
        let mut placed: Vec<_> = curves.into_iter().zip(places).collect();
        // Later series have the gaps, through which one sees what they cover.
        placed.sort_by_key(|((c, _), _)| c.series);
        for ((curve, _), _) in &placed {
            draw_bars(out, curve, &frame, &axes);
        }
        for ((curve, paths), at) in placed {
            let mut shapes = Vec::new();
            draw_leader(&mut shapes, curve, &frame, &axes, at);
            draw_curve(&mut shapes, curve, paths, (&frame, &axes), thick);
            draw_name(&mut shapes, curve, &frame, &axes, at);
            let tooltip = tooltip(curve);
            out.push(Shape::Group { series: curve.series, tooltip, shapes });
        }
    }

    /// Heights at which the names stand.
    fn name_places(
        &self,
        curves: &[(&Curve, &Vec<Vec<Point>>)],
        frame: &Frame,
        axes: &(&Axis, &Axis),
    ) -> Vec<f64> {
        let wanted: Vec<f64> = curves.iter().map(|(c, _)| arrival(c, frame, axes).1).collect();
        let heights: Vec<f64> =
            curves.iter().map(|(c, _)| NAME_LINE * c.lines(axes.1).len() as f64).collect();
        place(&wanted, &heights, frame.top - 4.0, frame.bottom() + 4.0)
    }
}

/// Lines at the ticks, and their labels at the left and below.
pub(super) fn draw_grid(out: &mut Vec<Shape>, frame: &Frame, axes: &(&Axis, &Axis)) {
    let sharp = |v: f64| v.floor() + 0.5;
    let (left, right) = (sharp(frame.left), frame.right());
    let (top, bottom) = (frame.top, sharp(frame.bottom()));
    for tick in &axes.1.ticks {
        let y = sharp(frame.bottom() - frame.height * axes.1.share(tick.at));
        out.push(Shape::line(vec![(left, y), (right, y)], Stroke::solid(GRID, 1.0)));
        let at = (left - 6.0, y + HALF_HEIGHT * TICK_SIZE);
        out.push(Shape::text(at, Anchor::End, TICK_SIZE, GREY, tick.label.clone()));
    }
    for tick in &axes.0.ticks {
        let x = sharp(frame.left + frame.width * axes.0.share(tick.at));
        out.push(Shape::line(vec![(x, top), (x, bottom)], Stroke::solid(GRID, 1.0)));
        out.push(Shape::line(vec![(x, bottom), (x, bottom + 4.0)], Stroke::solid(GREY, 1.0)));
        out.push(Shape::text((x, bottom + 16.0), Anchor::Middle, TICK_SIZE, GREY, tick.label.clone()));
    }
    out.push(Shape::line(vec![(left, top), (left, bottom), (right, bottom)], Stroke::solid(GREY, 1.0)));
}

/// The line of a curve in pixels, broken where a value is missing and cut at the frame.
pub(super) fn paths(curve: &Curve, frame: &Frame, axes: &(&Axis, &Axis)) -> Vec<Vec<Point>> {
    let shown = |p: &Point| p.1.is_finite() && (!axes.1.log || p.1 >= LEAST_ERROR);
    let runs = curve.points.split(|p| !shown(p));
    runs.flat_map(|run| {
        let pixels: Vec<Point> = run.iter().map(|&p| frame.pixel(axes, p)).collect();
        cut(&pixels, frame.top, frame.bottom())
    })
    .collect()
}

/// The parts of a line between two heights. A single point within is a line of one point.
fn cut(line: &[Point], top: f64, bottom: f64) -> Vec<Vec<Point>> {
    let mut parts: Vec<Vec<Point>> = Vec::new();
    let inside = |p: &Point| (top..=bottom).contains(&p.1);
    let mut open = false;
    for (i, &q) in line.iter().enumerate() {
        let crossings = i.checked_sub(1).map(|k| crossings(line[k], q, top, bottom)).unwrap_or_default();
        for p in crossings.into_iter().chain(inside(&q).then_some(q)) {
            if !open {
                parts.push(Vec::new());
            }
            open = true;
            parts.last_mut().expect("just opened").push(p);
        }
        open = inside(&q);
    }
    parts
}

/// Where the way from `p` to `q` crosses the two heights, in that order.
fn crossings(p: Point, q: Point, top: f64, bottom: f64) -> Vec<Point> {
    let mut shares: Vec<(f64, f64)> = [top, bottom]
        .into_iter()
        .filter(|y| (p.1 < *y) != (q.1 < *y) && p.1 != *y && q.1 != *y)
        .map(|y| ((y - p.1) / (q.1 - p.1), y))
        .collect();
    shares.sort_by(|a, b| a.0.total_cmp(&b.0));
    shares.into_iter().map(|(s, y)| (p.0 + s * (q.0 - p.0), y)).collect()
}

/// The pixel from which a name is led to its curve.
fn arrival(curve: &Curve, frame: &Frame, axes: &(&Axis, &Axis)) -> Point {
    match curve.end(axes.1) {
        Some(End::Inside(p)) => frame.pixel(axes, p),
        Some(End::Above(x)) => (frame.pixel(axes, (x, 1.0)).0, frame.top),
        Some(End::Below(x)) => (frame.pixel(axes, (x, 1.0)).0, frame.bottom()),
        None => (frame.right(), frame.bottom()),
    }
}

fn draw_leader(out: &mut Vec<Shape>, curve: &Curve, frame: &Frame, axes: &(&Axis, &Axis), at: f64) {
    let from = arrival(curve, frame, axes);
    let edge = (frame.right(), from.1);
    let stroke = Stroke::solid(thinned(curve.style.colour, 0.45), 0.8);
    // A long way within the frame must not look like data.
    let dash: &[f64] = if edge.0 - from.0 > 20.0 { &[0.8, 3.2] } else { &[] };
    out.push(Shape::line(vec![from, edge], Stroke { dash, ..stroke }));
    out.push(Shape::line(vec![edge, (edge.0 + LEADER, at)], stroke));
}

pub(super) fn draw_curve(
    out: &mut Vec<Shape>,
    curve: &Curve,
    paths: &[Vec<Point>],
    (frame, axes): (&Frame, &(&Axis, &Axis)),
    thick: f64,
) {
    let Style { colour, dash, marker } = curve.style;
    for path in paths.iter().filter(|p| p.len() > 1) {
        out.push(Shape::line(path.clone(), Stroke { colour, width: thick, dash }));
    }
    let within = |p: &&Point| (axes.1.low..=axes.1.high).contains(&p.1);
    let points: Vec<&Point> = curve.points.iter().filter(within).collect();
    // Many points: markers that touch say nothing.
    let every = (points.len() as f64 * 9.0 / frame.width).ceil().max(1.0) as usize;
    let (mut at, mut hollow) = (Vec::new(), Vec::new());
    for p in points.into_iter().rev().step_by(every) {
        if curve.spread_at(p.0).is_none_or(|s| s.seen) { &mut at } else { &mut hollow }
            .push(frame.pixel(axes, *p));
    }
    for (at, hollow) in [(at, marker.hollow), (hollow, true)] {
        if !at.is_empty() {
            let marker = Marker { hollow, ..marker };
            out.push(Shape::Markers { at, marker, radius: 1.4 + 0.8 * thick, colour });
        }
    }
    let arrow = |form| Marker { form, hollow: false };
    let outside = match curve.end(axes.1) {
        Some(End::Above(_)) => Some(arrow(Form::Up)),
        Some(End::Below(_)) => Some(arrow(Form::Down)),
        _ => None,
    };
    if let Some(marker) = outside {
        let at = vec![arrival(curve, frame, axes)];
        out.push(Shape::Markers { at, marker, radius: 3.5, colour });
    }
}

/// A sample of the line and the name, in the middle of the height `at`.
fn draw_name(out: &mut Vec<Shape>, curve: &Curve, frame: &Frame, axes: &(&Axis, &Axis), at: f64) {
    let Style { colour, dash, marker } = curve.style;
    let left = frame.right() + LEADER;
    out.push(Shape::line(vec![(left, at), (left + SAMPLE, at)], Stroke { colour, width: 1.6, dash }));
    let middle = vec![(left + 0.5 * SAMPLE, at)];
    out.push(Shape::Markers { at: middle, marker, radius: 2.6, colour });
    let lines = curve.lines(axes.1);
    for (k, line) in lines.iter().enumerate() {
        let down = (k as f64 - 0.5 * (lines.len() as f64 - 1.0)) * NAME_LINE;
        let baseline = (left + SAMPLE + GAP, at + down + HALF_HEIGHT * NAME_SIZE);
        out.push(Shape::text(baseline, Anchor::Start, NAME_SIZE, curve.style.text(), line.clone()));
    }
}

pub(super) fn tooltip(curve: &Curve) -> String {
    let values: Vec<String> = curve
        .points
        .iter()
        .filter(|p| !p.1.is_nan())
        .map(|&(x, y)| match curve.spread_at(x) {
            Some(Spread { reach, .. }) if *reach > 0.0 => format!("{x}: {y:.3e} ± {reach:.1e}"),
            _ if y < MOST => format!("{x}: {y:.3e}"),
            _ => format!("{x}: failed"),
        })
        .collect();
    format!("{}\n{}", curve.name, values.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_at_the_frame() {
        let zigzag = [(0.0, 5.0), (10.0, -5.0), (20.0, 15.0), (30.0, 5.0)];
        let parts = cut(&zigzag, 0.0, 10.0);
        let want =
            [vec![(0.0, 5.0), (5.0, 0.0)], vec![(12.5, 0.0), (17.5, 10.0)], vec![(25.0, 10.0), (30.0, 5.0)]];
        assert_eq!(parts, want);
        assert_eq!(cut(&[(0.0, 5.0)], 0.0, 10.0), [[(0.0, 5.0)]]);
        assert!(cut(&[(0.0, 50.0), (1.0, 60.0)], 0.0, 10.0).is_empty());
        assert!(cut(&[], 0.0, 10.0).is_empty());
        assert_eq!(cut(&[(0.0, 0.0), (1.0, 10.0)], 0.0, 10.0).len(), 1);
    }

    #[test]
    fn long_names_are_broken_before_their_parameters() {
        assert_eq!(broken("ddim(eta=1)"), ["ddim(eta=1)"]);
        assert_eq!(
            broken("exponential-integrator(frozen=score)"),
            ["exponential-integrator", "(frozen=score)"]
        );
    }
}
