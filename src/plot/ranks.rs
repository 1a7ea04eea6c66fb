//! Errors of solvers on one data law against those on another: whether one ranking predicts the other.

use super::Figure;
use super::axis::{Axis, TICK_SIZE, power_of_ten};
use super::chart::{MARGIN, PANEL_TITLE, SMALL, upwards};
use super::field::draw_heading;
use super::label::{Key, tell_apart};
use super::panel::{Curve, Frame, LEAST_ERROR, Panel, Spread};
use super::sampled::axis_title;
use super::scene::{Anchor, Point, Scene, Shape, Stroke, shorten, text_width, wrap};
use super::style::{GREY, GUIDE, INK, Style};
use super::{circumstances, distinct};
use crate::record::{Comparison, RankRow, RankedError};

/// The side of a frame, by how many are side by side.
const SIDES: [f64; 4] = [430.0, 350.0, 290.0, 260.0];
/// Above a frame: its title, and rho. Below it: ticks and the axis title. Between cells.
const HEAD: f64 = 46.0;
const FOOT: f64 = 42.0;
const GAP: f64 = 20.0;
/// Errors below are round-off, which gets no say in the range.
const ROUND_OFF: f64 = 1e-12;
/// Nor do errors so many times the middle one.
const BEYOND: f64 = 1e3;
/// Size of what is written at the line of one ratio.
const RATIO_SIZE: f64 = 9.5;
/// Bars reach so many standard errors to either side.
const WIDE: f64 = 2.0;

/// The error of each solver on the data whose ranking predicts (across) and on the other data (upwards): a panel for each
/// comparison, with Spearman's rho and its 95 % interval. Names stand in the order of the errors on the other data. A line
/// of slope 1 joins errors of one ratio, the power of ten that is nearest to the middle one.
pub fn ranks(comparisons: &[Comparison], title: &str) -> Figure {
    let keys: Vec<Key> = comparisons.iter().map(|c| key(&c.row)).collect();
    let (context, own) = tell_apart(&keys);
    let solvers = distinct(comparisons.iter().flat_map(|c| &c.pairs).map(|p| p.solver.clone()));
    let scatters: Vec<Scatter> =
        comparisons.iter().zip(own).map(|(c, own)| Scatter::new(c, own.join(", "), &solvers)).collect();
    let columns = columns(comparisons);
    let names = scatters.iter().map(|s| s.panel.names_width(&s.y)).fold(0.0, f64::max);
    let height = scatters.iter().map(|s| s.panel.names_height(&s.y)).fold(0.0, f64::max);
    let side = height.max(SIDES[columns - 1]);
    let labels = scatters.iter().flat_map(|s| &s.y.ticks).map(|t| text_width(&t.label, TICK_SIZE));
    let before = 20.0 + labels.fold(0.0, f64::max) + 10.0;
    let cell = (before + side + names + GAP, HEAD + side + FOOT + GAP);
    let width = (2.0 * MARGIN + columns as f64 * cell.0 - GAP).max(640.0);
    let mut shapes = Vec::new();
    let top = draw_heading(&mut shapes, title, &context.join(" · "), width);
    for (k, scatter) in scatters.into_iter().enumerate() {
        let (column, row) = ((k % columns) as f64, (k / columns) as f64);
        let corner = (MARGIN + column * cell.0 + before, top + row * cell.1 + HEAD);
        let frame = Frame { left: corner.0.round(), top: corner.1.round(), width: side, height: side };
        scatter.draw(&mut shapes, frame, side + names);
    }
    let mut bottom = top + comparisons.len().div_ceil(columns) as f64 * cell.1;
    if comparisons.is_empty() {
        shapes.push(Shape::text((0.5 * width, top + 70.0), Anchor::Middle, 14.0, GREY, "no finite data"));
        bottom += 140.0;
    }
    for line in notes(comparisons).iter().flat_map(|n| wrap(n, SMALL - 0.5, width - 2.0 * MARGIN)) {
        bottom += 16.0;
        shapes.push(Shape::text((MARGIN, bottom), Anchor::Start, SMALL - 0.5, GREY, line));
    }
    Figure { scene: Scene { width, height: bottom + MARGIN, title: title.into(), shapes } }
}

/// What a panel stands for.
fn key(row: &RankRow) -> Key {
    let mut key = circumstances(&row.data, &row.schedule, &row.grid, &row.init);
    key.push(("mode", row.mode.clone()));
    key.push(("budget", format!("{} {}", row.budget, row.unit)));
    key
}

/// A row of panels for each data, where its budgets fit side by side.
fn columns(comparisons: &[Comparison]) -> usize {
    let first = comparisons.chunk_by(|a, b| a.row.data == b.row.data).next().map_or(0, <[_]>::len);
    let most = SIDES.len();
    match (comparisons.len(), first) {
        (count, 0 | 1) => count.clamp(1, most - 1),
        (_, first) if first <= most => first,
        _ => most - 1,
    }
}

fn notes(comparisons: &[Comparison]) -> Vec<String> {
    let any = |test: fn(&RankedError, &RankedError) -> bool| {
        comparisons.iter().flat_map(|c| &c.pairs).any(|p| test(&p.by, &p.on))
    };
    let mut notes = vec![
        "ρ: Spearman's rank correlation of n solvers and its 95 % interval; τ: Kendall's tau. Names are in the order of the \
         errors upwards."
            .to_string(),
    ];
    if comparisons.iter().any(|c| c.row.noise_low.is_some()) {
        notes.push("Noise: the middle 95 % of ρ as errors move within their standard errors.".into());
    }
    if any(|by, on| [by, on].iter().any(|e| e.value.is_finite() && e.stderr.is_some())) {
        notes.push("Bars: two standard errors to either side, where a marker does not hide them.".into());
    }
    if any(|by, on| by.value.is_infinite() || on.value.is_infinite()) {
        notes.push("At the right edge, ▲ at the top: diverged (or beyond the axis).".into());
    }
    let unseen = |e: &RankedError| e.value < LEAST_ERROR;
    if comparisons.iter().flat_map(|c| &c.pairs).any(|p| unseen(&p.by) || unseen(&p.on)) {
        notes.push(
            "At the left edge, ▼ at the bottom: no error above round-off or the sampling floor.".into(),
        );
    }
    notes
}

/// A panel and its axes.
struct Scatter {
    title: String,
    /// Rho and its interval, or why there is none.
    found: String,
    titles: [String; 2],
    panel: Panel,
    /// How far the bar of each curve's point reaches across.
    across: Vec<f64>,
    x: (f64, f64),
    y: Axis,
}

impl Scatter {
    fn new(Comparison { row, pairs }: &Comparison, title: String, solvers: &[String]) -> Self {
        let (x, y) = alike(range(pairs.iter().map(|p| p.by.value)), range(pairs.iter().map(|p| p.on.value)));
        let curves = pairs.iter().map(|p| {
            let series = solvers.iter().position(|s| *s == p.solver).expect("one of all");
            // To four digits, as a tooltip shows it.
            let at = format!("{:.3e}", p.by.value.clamp(x.0, x.1)).parse().expect("a number as written");
            let reach = WIDE * p.on.stderr.unwrap_or(0.0);
            let mut style = Style::nth(series);
            style.dash = &[];
            Curve {
                series,
                name: p.solver.clone(),
                style,
                // An infinite error would not be drawn.
                points: vec![(at, p.on.value.min(f64::MAX))],
                spread: vec![Spread { x: at, reach, seen: true, floor: None }],
            }
        });
        let panel = Panel { title: String::new(), curves: curves.collect() };
        let across =
            pairs.iter().map(|p| WIDE * p.by.stderr.filter(|_| p.by.value.is_finite()).unwrap_or(0.0));
        let error = axis_title(&row.metric);
        Scatter {
            title,
            found: found(row),
            titles: [&row.by, &row.data].map(|data| format!("{error}: {data}")),
            across: across.collect(),
            panel,
            x,
            y: Axis::errors_within(y.0, y.1, 300.0),
        }
    }

    /// `width` is that of frame and names.
    fn draw(&self, out: &mut Vec<Shape>, frame: Frame, width: f64) {
        let x = Axis::errors_across(self.x.0, self.x.1, frame.width);
        let axes = (&x, &self.y);
        for (line, size, colour, up) in
            [(&self.title, PANEL_TITLE, INK, 27.0), (&self.found, SMALL, GREY, 9.0)]
        {
            let at = (frame.left, frame.top - up);
            out.push(Shape::text(at, Anchor::Start, size, colour, shorten(line, size, width)));
        }
        self.draw_ratio(out, &frame, &axes);
        self.draw_across(out, &frame, &axes);
        self.panel.draw(out, frame, axes, false);
        let [across, up] = self.titles.each_ref().map(|t| shorten(t, SMALL, frame.width));
        let middle = (frame.left + 0.5 * frame.width, frame.bottom() + 34.0);
        out.push(Shape::text(middle, Anchor::Middle, SMALL, INK, across));
        let labels = self.y.ticks.iter().map(|t| text_width(&t.label, TICK_SIZE)).fold(0.0, f64::max);
        out.push(upwards((frame.left - labels - 16.0, frame.top + 0.5 * frame.height), &up));
    }
}

impl Scatter {
    /// Where the error upwards is the one across times the power of ten that is nearest to the middle ratio.
    fn draw_ratio(&self, out: &mut Vec<Shape>, frame: &Frame, axes: &(&Axis, &Axis)) {
        // Not those at an edge.
        let shown = |p: &Point| self.x.0 < p.0 && p.0 < self.x.1 && (LEAST_ERROR..f64::MAX).contains(&p.1);
        let points: Vec<Point> = self.panel.curves.iter().map(|c| c.points[0]).filter(shown).collect();
        let ratios = points.iter().map(|(x, y)| (y / x).log10()).collect();
        let Some(power) = middle(ratios).map(f64::round) else { return };
        let ratio = 10f64.powf(power);
        let low = self.x.0.max(axes.1.low / ratio);
        let high = self.x.1.min(axes.1.high / ratio);
        if low >= high {
            return;
        }
        let ends = [low, high].map(|x| frame.pixel(axes, (x, ratio * x)));
        out.push(Shape::line(ends.to_vec(), Stroke::solid(GUIDE, 1.2)));
        let name =
            if power == 0.0 { "y = x".into() } else { format!("y = {} x", power_of_ten(power as i32)) };
        let points: Vec<Point> = points.into_iter().map(|p| frame.pixel(axes, p)).collect();
        let at = below(ends, text_width(&name, RATIO_SIZE), &points);
        out.push(Shape::text(at, Anchor::Start, RATIO_SIZE, GREY, name));
    }

    /// Bars of the errors across, cut at the frame.
    fn draw_across(&self, out: &mut Vec<Shape>, frame: &Frame, axes: &(&Axis, &Axis)) {
        for (curve, reach) in self.panel.curves.iter().zip(&self.across) {
            let (x, y) = curve.points[0];
            let low = (x - reach).max(self.x.0);
            let ends = [low, (x + reach).min(self.x.1)].map(|x| frame.pixel(axes, (x, y)));
            if (axes.1.low..=axes.1.high).contains(&y) && ends[1].0 - ends[0].0 > 6.0 {
                let stroke = Stroke::solid(curve.style.colour, 0.9);
                out.push(Shape::line(ends.to_vec(), stroke));
            }
        }
    }
}

/// Where a name of this width starts, below a rising line: the place that covers the fewest points.
fn below([from, to]: [Point; 2], width: f64, points: &[Point]) -> Point {
    const STEPS: usize = 16;
    let place = |k: usize| {
        let share = 0.8 * k as f64 / STEPS as f64;
        (from.0 + share * (to.0 - from.0) + 16.0, from.1 + share * (to.1 - from.1) - 3.0)
    };
    let hidden = |at: &Point| {
        let (across, up) = (at.0 - 6.0..=at.0 + width + 6.0, at.1 - RATIO_SIZE - 5.0..=at.1 + 6.0);
        points.iter().filter(|p| across.contains(&p.0) && up.contains(&p.1)).count()
    };
    (0..=STEPS).map(place).min_by_key(hidden).expect("some places")
}

/// The finite errors that an axis should show: round-off does not stretch it down (unless there is nothing else), nor runs
/// that blow up, up.
fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let mut all: Vec<f64> = values.filter(|v| v.is_finite() && *v >= LEAST_ERROR).collect();
    if all.iter().any(|v| *v >= ROUND_OFF) {
        all.retain(|v| *v >= ROUND_OFF);
    }
    let most = BEYOND * middle(all.clone())?;
    let (low, high) =
        (all.iter().copied().fold(f64::INFINITY, f64::min), all.into_iter().fold(0.0, f64::max));
    Some((low, high.min(most)))
}

/// The upper median.
fn middle(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Two ranges with some room, of as many decades each, so that lines of one ratio have slope 1.
fn alike(x: Option<(f64, f64)>, y: Option<(f64, f64)>) -> ((f64, f64), (f64, f64)) {
    let logs = [x, y].map(|range| range.unwrap_or((0.1, 1.0))).map(|(low, high)| (low.log10(), high.log10()));
    let span = logs.iter().map(|(low, high)| high - low).fold(0.5, f64::max);
    let half = 0.5 * span + 0.06 * span + 0.06;
    let [x, y] = logs.map(|(low, high)| {
        let centre = 0.5 * (low + high);
        (10f64.powf(centre - half), 10f64.powf(centre + half))
    });
    (x, y)
}

/// Rho, its interval, and how many solvers it is of.
fn found(row: &RankRow) -> String {
    match (row.rho, row.rho_low, row.rho_high, row.tau) {
        (Some(rho), Some(low), Some(high), Some(tau)) => {
            let noise = row.noise_low.zip(row.noise_high);
            let noise = noise.map_or(String::new(), |(low, high)| format!(", noise [{low:.2}, {high:.2}]"));
            let text =
                format!("ρ = {rho:.2} [{low:.2}, {high:.2}]{noise}, τ = {tau:.2}, n = {}", row.solvers);
            text.replace('-', "−")
        }
        _ => row.error.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Pair;

    fn comparison(budget: usize, errors: &[(f64, f64)]) -> Comparison {
        let error = |value| RankedError { value, stderr: None };
        let pair = |(k, &(by, on)): (usize, &(f64, f64))| Pair {
            solver: format!("solver-{k}"),
            by: error(by),
            on: error(on),
        };
        let (rho, tau) = (Some(-0.5), Some(0.25));
        let row = RankRow {
            data: "network".into(),
            by: "gaussian".into(),
            metric: "w2".into(),
            unit: "calls".into(),
            budget,
            solvers: errors.len(),
            rho,
            rho_low: Some(-0.9),
            rho_high: Some(0.1),
            tau,
            ..RankRow::default()
        };
        Comparison { row, pairs: errors.iter().enumerate().map(pair).collect() }
    }

    #[test]
    fn axes_have_the_same_decades_and_hold_what_is_neither_round_off_nor_blown_up() {
        let (x, y) = alike(Some((1e-3, 1e-1)), Some((2.0, 3.0)));
        let decades = |(low, high): (f64, f64)| (high / low).log10();
        assert!((decades(x) - decades(y)).abs() < 1e-12 && decades(x) < 2.5);
        assert!(x.0 < 1e-3 && x.1 > 1e-1 && y.0 < 2.0 && y.1 > 3.0);
        assert_eq!(range([1e-15, 1e-3, 1e-2, f64::INFINITY, -1.0].into_iter()), Some((1e-3, 1e-2)));
        assert_eq!(range([1e-15, 1e-14].into_iter()), Some((1e-15, 1e-14)));
        assert_eq!(range([1e-3, 1e-3, 1e9].into_iter()), Some((1e-3, 1.0)));
        assert_eq!(range([f64::INFINITY, 0.0].into_iter()), None);
    }

    #[test]
    fn every_solver_is_named_and_the_ratio_is_that_of_the_middle_one() {
        let errors =
            [(1e-3, 1.1e-2), (2e-3, 2e-2), (4e-3, 9e-2), (1e-1, f64::INFINITY), (f64::INFINITY, 0.5)];
        let figure = ranks(&[comparison(8, &errors), comparison(16, &errors[..3])], "?").svg();
        for part in [
            ">8 calls</text>",
            ">16 calls</text>",
            ">error W₂: gaussian</text>",
            ">error W₂: network</text>",
            ">ρ = −0.50 [−0.90, 0.10], τ = 0.25, n = 5</text>",
            ">y = 10 x</text>",
            "▲ at the top: diverged",
        ] {
            assert!(figure.contains(part), "{part}");
        }
        for (k, panels) in [(0, 2), (1, 2), (2, 2), (3, 1), (4, 1)] {
            assert_eq!(figure.matches(&format!(">solver-{k}</text>")).count(), panels, "{k}");
        }
        assert!(figure.contains("solver-3 0.1: failed"), "{figure}");
    }

    #[test]
    fn nothing_to_compare_gives_a_figure_that_says_so() {
        for all in [&[][..], &[comparison(8, &[])], &[comparison(8, &[(f64::INFINITY, f64::INFINITY)])]] {
            let figure = ranks(all, "?");
            assert!(figure.png().starts_with(b"\x89PNG"));
            let empty = all.first().is_none_or(|c| c.pairs.is_empty());
            assert_eq!(figure.svg().contains(">no finite data</text>"), empty);
        }
    }
}
