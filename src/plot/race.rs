//! A race: a small panel a problem, the new solver in bold, and below them by how much it wins or loses.

use super::Figure;
use super::axis::{Axis, TICK_SIZE, Tick, number};
use super::bars::draw_bars;
use super::chart::{MARGIN, SMALL, upwards};
use super::field::draw_heading;
use super::panel::{Curve, Frame, LEAST_ERROR, Spread, draw_curve, draw_grid, paths, tooltip};
use super::scene::{
    Anchor, Form, HALF_HEIGHT, Marker, Point, Scene, Shape, Stroke, shorten, text_width, wrap,
};
use super::style::{GREY, GUIDE, INK, Style, thinned};
use crate::race::compare;
use crate::race::{Contest, Found, Standing};

/// As wide as both columns of a page, with letters that are read there.
const WIDTH: f64 = 780.0;
/// Heights of frames, by how many are side by side.
const HEIGHTS: [f64; 4] = [260.0, 210.0, 150.0, 118.0];
/// Left of a frame: tick labels. Above: its title. Below: ticks. Between cells.
const BEFORE: f64 = 34.0;
const HEAD: f64 = 22.0;
const FOOT: f64 = 20.0;
const GAP: f64 = 10.0;
const AXIS_TITLE: f64 = 18.0;
/// Lines of the new solver and of the others.
const BOLD: f64 = 2.6;
const THIN: f64 = 1.3;
/// Errors so many times the middle first one leave the frame.
const BEYOND: f64 = 4.0;
/// A row of the table: its height, and the places of what it holds, from the left.
const ROW: f64 = 17.0;
const SAMPLE: f64 = 26.0;
const NAME: f64 = 34.0;
const FOREST: f64 = 225.0;
const RATIO: f64 = 472.0;
const COUNT: f64 = 638.0;
const VALUE: f64 = WIDTH - 2.0 * MARGIN;
const FOREST_WIDTH: f64 = 230.0;

/// Work-precision of all solvers on every problem, each with an axis of its own; and a row for each baseline: the geometric mean
/// of error ratios with its interval, the problems won, tied and lost, and how likely that is by chance.
pub fn race(found: &Found, labels: &[String], title: &str) -> Figure {
    let all = &found.contests;
    let columns = match all.len() {
        0..=3 => all.len().max(1),
        4 => 2,
        5 | 6 | 9 => 3,
        _ => 4,
    };
    let mut shapes = Vec::new();
    let context = "error against model calls; on every problem an axis of its own";
    let top = draw_heading(&mut shapes, title, context, WIDTH);
    let cell = (WIDTH - 2.0 * MARGIN - AXIS_TITLE + GAP) / columns as f64;
    let height = HEIGHTS[columns - 1];
    let rows = all.len().div_ceil(columns);
    for (k, contest) in all.iter().enumerate() {
        let (column, row) = (k % columns, k / columns);
        let left = MARGIN + AXIS_TITLE + column as f64 * cell + BEFORE;
        let y = top + row as f64 * (HEAD + height + FOOT) + HEAD;
        let width = cell - BEFORE - GAP;
        let frame = Frame { left: left.round(), top: y.round(), width, height };
        draw_contest(&mut shapes, frame, contest, labels);
        if column == 0 {
            shapes.push(upwards((MARGIN + SMALL, y + 0.5 * height), "error"));
        }
        if k + columns >= all.len() {
            let at = (left + 0.5 * width, frame.bottom() + 31.0);
            shapes.push(Shape::text(at, Anchor::Middle, SMALL - 1.0, INK, "model calls"));
        }
    }
    let mut y = top + rows as f64 * (HEAD + height + FOOT) + AXIS_TITLE + 8.0;
    y = draw_table(&mut shapes, labels, &found.standings, y);
    for line in notes(found, labels).iter().flat_map(|n| wrap(n, SMALL - 1.5, WIDTH - 2.0 * MARGIN)) {
        y += 14.0;
        shapes.push(Shape::text((MARGIN, y), Anchor::Start, SMALL - 1.5, GREY, line));
    }
    Figure { scene: Scene { width: WIDTH, height: y + MARGIN, title: title.into(), shapes } }
}

/// Told apart by dashes and markers also where there is no colour.
fn style(k: usize) -> Style {
    const FORMS: [Form; 6] = [Form::Square, Form::Up, Form::Diamond, Form::Down, Form::Right, Form::Left];
    const DASHES: [&[f64]; 4] = [&[6.0, 2.5], &[1.6, 2.2], &[9.0, 2.2, 1.6, 2.2], &[]];
    let Some(k) = k.checked_sub(1) else {
        return Style { colour: [0; 3], dash: &[], marker: Marker { form: Form::Circle, hollow: false } };
    };
    // The seventh colour is black.
    let colour = Style::nth(k % 6).colour;
    let marker = Marker { form: FORMS[k % FORMS.len()], hollow: false };
    Style { colour, dash: DASHES[(k + k / 6) % DASHES.len()], marker }
}

fn draw_contest(out: &mut Vec<Shape>, frame: Frame, contest: &Contest, labels: &[String]) {
    let curves: Vec<Curve> = contest.curves.iter().filter_map(|c| drawn(c, labels)).collect();
    let error = match contest.metric.as_str() {
        "w2" => "W₂".into(),
        "rmse" => "RMSE".into(),
        "sliced_w2" => "SW₂".into(),
        "sliced_w1" => "SW₁".into(),
        other => other.replace('_', " "),
    };
    let size = SMALL - 1.0;
    let room = frame.width - text_width(&error, size) - 8.0;
    let name = shorten(&contest.name, SMALL, room);
    out.push(Shape::text((frame.left, frame.top - 6.0), Anchor::Start, SMALL, INK, name));
    out.push(Shape::text((frame.right(), frame.top - 6.0), Anchor::End, size, GREY, error));
    let Some((x, y)) = axes(&curves, contest.calls.as_deref(), &frame) else {
        let middle = (frame.left + 0.5 * frame.width, frame.top + 0.5 * frame.height);
        out.push(Shape::text(middle, Anchor::Middle, SMALL, GREY, "no finite data"));
        return;
    };
    let axes = (&x, &y);
    draw_grid(out, &frame, &axes);
    // The new solver lies over all.
    for curve in curves.iter().rev() {
        draw_bars(out, curve, &frame, &axes);
        let mut shapes = Vec::new();
        let thick = if curve.series == 0 { BOLD } else { THIN };
        draw_curve(&mut shapes, curve, &paths(curve, &frame, &axes), (&frame, &axes), thick);
        out.push(Shape::Group { series: curve.series, tooltip: tooltip(curve), shapes });
    }
}

/// A curve as panels draw it: what noise hides stands at the most it may be, hollow.
fn drawn(curve: &compare::Curve, labels: &[String]) -> Option<Curve> {
    let series = labels.iter().position(|l| *l == curve.solver)?;
    let points = curve.nodes.iter().map(|n| (n.calls as f64, curve.upper(n)));
    let points: Vec<Point> =
        points.map(|(x, y)| (x, if y < super::MOST { y } else { f64::INFINITY })).collect();
    let spread = curve.nodes.iter().filter_map(|n| {
        let (reach, seen) = curve.uncertainty(n)?;
        Some(Spread { x: n.calls as f64, reach, seen, floor: None })
    });
    Some(Curve { series, name: curve.solver.clone(), style: style(series), points, spread: spread.collect() })
}

/// Calls across, at the ladder's rungs, and errors upwards.
fn axes(curves: &[Curve], ladder: Option<&[usize]>, frame: &Frame) -> Option<(Axis, Axis)> {
    let shown = || curves.iter().flat_map(|c| c.drawable(true));
    let calls: Vec<f64> = curves.iter().flat_map(|c| &c.points).map(|p| p.0).collect();
    let low = shown().map(|p| p.1).reduce(f64::min)?.max(LEAST_ERROR);
    let mut firsts: Vec<f64> = curves.iter().filter_map(|c| c.drawable(true).next()).map(|p| p.1).collect();
    firsts.sort_by(f64::total_cmp);
    let most = BEYOND * firsts[firsts.len() / 2];
    let high = shown().map(|p| p.1).fold(low, f64::max).min(most);
    let x = Axis::counts(&calls, frame.width);
    let x = match ladder {
        None => x,
        Some(ladder) => {
            let rungs: Vec<(f64, String)> = ladder.iter().map(|c| (*c as f64, c.to_string())).collect();
            Axis { ticks: Axis::named(&rungs, frame.width).ticks, ..x }
        }
    };
    let y = Axis::errors(low, high, frame.height);
    Some((x, Axis { ticks: ticks(y.low, y.high, frame.height / 20.0), ..y }))
}

/// Powers of ten, or as many multiples of them as it takes to have two, all named where there are few.
fn ticks(low: f64, high: f64, most: f64) -> Vec<Tick> {
    let of = |mantissas: &[f64]| -> Vec<f64> {
        let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
        let all = decades.flat_map(|k| mantissas.iter().map(move |m| m * 10f64.powi(k)));
        all.filter(|v| (low..=high).contains(v)).collect()
    };
    let sets =
        [&[1.0][..], &[1.0, 3.0], &[1.0, 2.0, 5.0], &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]];
    let values = sets.into_iter().map(of).find(|v| v.len() > 1).unwrap_or_default();
    let every = (values.len() as f64 / most).ceil().max(1.0) as usize;
    let name = |v: f64| if values.len() < 3 && (0.01..100.0).contains(&v) { plain(v) } else { number(v) };
    let label = |(k, v): (usize, &f64)| if k % every == 0 { name(*v) } else { String::new() };
    values.iter().enumerate().map(|t| Tick { at: *t.1, label: label(t) }).collect()
}

/// A row a solver; the height below them.
fn draw_table(out: &mut Vec<Shape>, labels: &[String], standings: &[Standing], top: f64) -> f64 {
    let size = SMALL - 0.5;
    let head = [
        (FOREST + 0.5 * FOREST_WIDTH, Anchor::Middle, format!("error of {} by theirs", labels[0])),
        (RATIO, Anchor::Start, "mean [95 %]".into()),
        (COUNT, Anchor::Middle, "won–tied–lost".into()),
        (VALUE, Anchor::End, "p (Holm)".into()),
    ];
    let mut y = top + ROW;
    for (x, anchor, text) in head {
        let text = shorten(&text, size, FOREST_WIDTH);
        out.push(Shape::text((MARGIN + x, y), anchor, size, GREY, text));
    }
    let axis = forest_axis(standings);
    let frame = Frame {
        left: MARGIN + FOREST,
        top: y + 6.0,
        width: FOREST_WIDTH,
        height: ROW * (labels.len() as f64) + 2.0,
    };
    draw_forest_grid(out, &frame, &axis);
    for (k, label) in labels.iter().enumerate() {
        y += ROW;
        let (style, middle, base) = (style(k), y - 2.0, y - 2.0 + HALF_HEIGHT * size);
        let mut shapes = Vec::new();
        let thick = if k == 0 { BOLD } else { THIN };
        let line = Stroke { colour: style.colour, width: thick, dash: style.dash };
        shapes.push(Shape::line(vec![(MARGIN, middle), (MARGIN + SAMPLE, middle)], line));
        let at = vec![(MARGIN + 0.5 * SAMPLE, middle)];
        let radius = 1.4 + 0.8 * thick;
        shapes.push(Shape::Markers { at, marker: style.marker, radius, colour: style.colour });
        let name = shorten(label, size, FOREST - NAME - 8.0);
        let mut tell = label.clone();
        shapes.push(Shape::text((MARGIN + NAME, base), Anchor::Start, size, style.text(), name));
        if let Some(standing) = k.checked_sub(1).and_then(|k| standings.get(k)) {
            draw_standing(&mut shapes, standing, &style, (&frame, &axis), (middle, base));
            tell = format!("{label}\n{}", said(standing));
        }
        out.push(Shape::Group { series: k, tooltip: tell, shapes });
    }
    y + 26.0
}

fn draw_standing(
    out: &mut Vec<Shape>,
    standing: &Standing,
    style: &Style,
    (frame, axis): (&Frame, &Axis),
    (middle, base): Point,
) {
    let size = SMALL - 0.5;
    let place = |v: f64| frame.left + frame.width * axis.share(v).clamp(0.0, 1.0);
    if let Some(ratio) = standing.ratio {
        if let (Some(low), Some(high)) = (standing.ratio_low, standing.ratio_high) {
            let ends = vec![(place(low), middle), (place(high), middle)];
            out.push(Shape::line(ends, Stroke::solid(style.colour, 1.6)));
        }
        let at = vec![(place(ratio), middle)];
        out.push(Shape::Markers { at, marker: style.marker, radius: 3.4, colour: style.colour });
    }
    let count = format!("{}–{}–{}", standing.won, standing.tied, standing.lost);
    let ratio = said(standing);
    let p = standing
        .p_holm
        .map_or(String::new(), |p| if p < 0.001 { "< 0.001".into() } else { format!("{p:.3}") });
    for (x, anchor, text) in
        [(RATIO, Anchor::Start, ratio), (COUNT, Anchor::Middle, count), (VALUE, Anchor::End, p)]
    {
        out.push(Shape::text((MARGIN + x, base), anchor, size, INK, text));
    }
}

/// `0.42 [0.31, 0.57]`.
fn said(standing: &Standing) -> String {
    let ratio = standing.ratio.map_or("no common calls".into(), two_digits);
    match standing.ratio_low.zip(standing.ratio_high) {
        Some((low, high)) => format!("{ratio} [{}, {}]", two_digits(low), two_digits(high)),
        None => ratio,
    }
}

/// In full, but to two digits.
fn plain(v: f64) -> String {
    let rounded: f64 = format!("{v:.1e}").parse().unwrap_or(v);
    rounded.to_string()
}

fn two_digits(x: f64) -> String {
    let places = (1 - x.log10().floor() as i32).clamp(0, 3) as usize;
    format!("{x:.places$}")
}

/// Ratios, with 1 among them.
fn forest_axis(standings: &[Standing]) -> Axis {
    let all = standings.iter().flat_map(|s| [s.ratio, s.ratio_low, s.ratio_high]).flatten();
    let (low, high) = all.filter(|r| *r > 0.0).fold((0.8f64, 1.25f64), |(l, h), r| (l.min(r), h.max(r)));
    let (low, high) = (low / 1.1, high * 1.1);
    let mut ticks = ticks(low, high, 8.0);
    ticks.iter_mut().for_each(|t| t.label = plain(t.at));
    Axis { log: true, low, high, ticks }
}

fn draw_forest_grid(out: &mut Vec<Shape>, frame: &Frame, axis: &Axis) {
    let x = |v: f64| (frame.left + frame.width * axis.share(v)).floor() + 0.5;
    let (top, bottom) = (frame.top, frame.bottom());
    out.push(Shape::line(vec![(frame.left, bottom), (frame.right(), bottom)], Stroke::solid(GREY, 1.0)));
    out.push(Shape::line(vec![(x(1.0), top), (x(1.0), bottom)], Stroke::solid(GUIDE, 1.2)));
    for tick in &axis.ticks {
        out.push(Shape::line(
            vec![(x(tick.at), bottom), (x(tick.at), bottom + 3.5)],
            Stroke::solid(GREY, 1.0),
        ));
        let at = (x(tick.at), bottom + 14.0);
        out.push(Shape::text(at, Anchor::Middle, TICK_SIZE - 1.0, GREY, tick.label.clone()));
    }
    let name = "better";
    let (left, y) = (x(1.0) - 4.0, top + 8.0);
    if left - text_width(name, TICK_SIZE - 1.0) - 14.0 > frame.left {
        out.push(Shape::text(
            (left, y),
            Anchor::End,
            TICK_SIZE - 1.0,
            thinned(GREY, 0.9),
            format!("← {name}"),
        ));
    }
}

fn notes(found: &Found, labels: &[String]) -> Vec<String> {
    let least = found.standings.iter().filter_map(|s| s.p_least).fold(1.0, f64::min);
    let too_few = if least > 0.05 { " So few problems cannot give p of 0.05 or less." } else { "" };
    let mut notes = vec![format!(
        "Mean: geometric, over problems, of the error of {} by the other's at equal calls; its 95 % interval is over \
         problems like these. p: two-sided sign test on problems won and lost, corrected for \
         the number of solvers (Holm).{}",
        labels[0], too_few
    )];
    let curves = || found.contests.iter().flat_map(|c| &c.curves);
    let unseen = |c: &compare::Curve| c.nodes.iter().any(|n| c.uncertainty(n).is_some_and(|u| !u.1));
    if curves().any(unseen) {
        notes.push("Hollow: no error was seen above noise; drawn at the most it may be.".into());
    }
    if curves().any(|c| c.nodes.last().is_some_and(|n| !n.all.is_finite())) {
        notes.push("▲ failed at the last point.".into());
    }
    notes
}
