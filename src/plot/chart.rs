//! A figure of panels with common axes: ranges, sizes, places, title and notes.

use super::axis::{Axis, TICK_SIZE};
use super::floor;
use super::panel::{Frame, LEAST_ERROR, Panel};
use super::scene::{Anchor, Point, Scene, Shape, Text, text_width, wrap};
use super::style::{GREY, INK};

/// What is to be drawn.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    pub title: String,
    /// What all panels have in common.
    pub context: Vec<String>,
    pub x: Across,
    pub x_title: String,
    pub y: Up,
    pub y_title: String,
    pub panels: Vec<Panel>,
    /// Whether slopes in the panels are orders.
    pub slopes: bool,
    /// Width and height of frames, where their number does not say.
    pub frame: Option<Point>,
}

/// The kind of a horizontal axis.
#[derive(Clone, Debug)]
pub(super) enum Across {
    /// Counts; the axis spans these, or where there are none, the points.
    Counts(Vec<f64>),
    Linear,
    /// Any numbers above 0, on a logarithmic scale.
    Log,
    /// Places on a logarithmic scale, and what is written at them.
    Sizes(Vec<(f64, String)>),
    Categories(Vec<String>),
}

/// The kind of a vertical axis.
#[derive(Clone, Copy, Debug)]
pub(super) enum Up {
    Errors,
    /// Any numbers, on a linear scale.
    Values,
    Integers {
        low: f64,
        high: f64,
    },
}

pub(super) const MARGIN: f64 = 18.0;
pub(super) const TITLE: f64 = 17.0;
pub(super) const SMALL: f64 = 11.5;
pub(super) const PANEL_TITLE: f64 = 13.0;
/// Below a frame: ticks and their labels, and then the axis title.
const TICKS: f64 = 22.0;
const AXIS_TITLE: f64 = 20.0;
const BETWEEN: f64 = 18.0;
/// Curves below this throughout are round-off, which gets no say in the range.
const ROUND_OFF: f64 = 1e-12;

/// Sizes that all panels share.
struct Layout {
    columns: usize,
    frame: Point,
    /// Left of a frame: tick labels.
    before: f64,
    /// Right of a frame: names.
    after: f64,
    /// Lines of the longest panel title.
    title_lines: usize,
}

impl Chart {
    pub fn draw(self) -> Scene {
        let log = matches!(self.y, Up::Errors);
        if self.panels.iter().flat_map(|p| &p.curves).all(|c| c.drawable(log).next().is_none()) {
            return self.draw_empty();
        }
        let y = self.y_axis(300.0);
        let layout = self.layout(&y);
        let (x, y) = (self.x_axis(layout.frame.0), self.y_axis(layout.frame.1));
        let rows = self.panels.len().div_ceil(layout.columns);
        let width = 2.0 * MARGIN + AXIS_TITLE + layout.columns as f64 * layout.cell_width() - BETWEEN;
        let mut shapes = Vec::new();
        let top = self.draw_heading(&mut shapes, width);
        for (k, panel) in self.panels.iter().enumerate() {
            let (column, row) = (k % layout.columns, k / layout.columns);
            let frame = layout.frame_at(column, row, top);
            panel.draw(&mut shapes, frame, (&x, &y), self.slopes);
            let titles = wrap(&panel.title, PANEL_TITLE, layout.frame.0 + layout.after);
            for (k, line) in titles.iter().rev().enumerate() {
                let at = (frame.left, frame.top - 10.0 - 16.0 * k as f64);
                shapes.push(Shape::text(at, Anchor::Start, PANEL_TITLE, INK, line.clone()));
            }
            if column == 0 {
                let at = (MARGIN + SMALL, frame.top + 0.5 * frame.height);
                shapes.push(upwards(at, &self.y_title));
            }
            if k + layout.columns >= self.panels.len() {
                let at = (frame.left + 0.5 * frame.width, frame.bottom() + TICKS + 13.0);
                shapes.push(Shape::text(at, Anchor::Middle, SMALL, INK, self.x_title.clone()));
            }
        }
        let bottom = top + rows as f64 * layout.cell_height() + AXIS_TITLE;
        let height = self.draw_notes(&mut shapes, &y, width, bottom);
        Scene { width, height, title: self.title, shapes }
    }

    fn draw_empty(self) -> Scene {
        let width = 640.0;
        let mut shapes = Vec::new();
        let top = self.draw_heading(&mut shapes, width);
        shapes.push(Shape::text((0.5 * width, top + 70.0), Anchor::Middle, 14.0, GREY, "no finite data"));
        Scene { width, height: top + 140.0, title: self.title, shapes }
    }

    /// Title and context; the height below them.
    fn draw_heading(&self, shapes: &mut Vec<Shape>, width: f64) -> f64 {
        let mut y = MARGIN;
        let context = self.context.join(" · ");
        for (text, size, colour) in [(&self.title, TITLE, INK), (&context, SMALL, GREY)] {
            for line in wrap(text, size, width - 2.0 * MARGIN) {
                y += 1.3 * size;
                shapes.push(Shape::text((MARGIN, y - 0.3 * size), Anchor::Start, size, colour, line));
            }
        }
        y + 8.0
    }

    /// Notes; the height below them.
    fn draw_notes(&self, shapes: &mut Vec<Shape>, axis: &Axis, width: f64, mut y: f64) -> f64 {
        for note in self.range_notes(axis) {
            for line in wrap(&note, SMALL - 0.5, width - 2.0 * MARGIN) {
                y += 16.0;
                shapes.push(Shape::text((MARGIN, y), Anchor::Start, SMALL - 0.5, GREY, line));
            }
        }
        y + MARGIN
    }

    /// What the ranges do not show.
    fn range_notes(&self, y: &Axis) -> Vec<String> {
        let mut notes = Vec::new();
        let curves = || self.panels.iter().flat_map(|p| &p.curves);
        let last = |test: &dyn Fn(f64) -> bool| {
            curves().any(|c| c.named() && c.points.iter().rfind(|p| !p.1.is_nan()).is_some_and(|p| test(p.1)))
        };
        if last(&|v| v > y.high) {
            notes.push("▲ above the axis, or failed, at the last point.".into());
        }
        if last(&|v| v < y.low) {
            notes.push("▼ below the axis at the last point.".into());
        }
        if curves().any(|c| c.spread.iter().any(|s| s.reach > 0.0)) {
            notes.push("Bars: two standard errors to either side, where a marker does not hide them.".into());
        }
        if curves().any(|c| c.spread.iter().any(|s| !s.seen)) {
            notes.push(
                "Hollow: no error was seen (within two standard errors of none, or of the sampling floor)."
                    .into(),
            );
        }
        if self.panels.iter().any(|p| floor::range(&p.curves).is_some_and(|f| !floor::is_common(f))) {
            notes.push("Short lines: the sampling floor of each point.".into());
        }
        let tiny = |v: f64| v.is_finite() && v < LEAST_ERROR;
        if y.log && curves().any(|c| c.points.iter().any(|p| tiny(p.1))) {
            notes.push("Errors below 10⁻¹⁶ are not drawn.".into());
        }
        for panel in &self.panels {
            let failed: Vec<&str> = panel.curves.iter().filter(|c| !c.named()).map(|c| &c.name[..]).collect();
            if !failed.is_empty() {
                let place =
                    if self.panels.len() > 1 { format!(" in {}", panel.title) } else { String::new() };
                notes.push(format!("No finite value{place}: {}.", failed.join(", ")));
            }
        }
        notes
    }

    fn layout(&self, y: &Axis) -> Layout {
        let names = self.panels.iter().map(|p| p.names_width(y)).fold(0.0, f64::max);
        let count = self.panels.len();
        let columns = match count {
            0..=3 => count,
            4 => 2,
            7.. if names < 130.0 => 4,
            _ => 3,
        };
        let width = self.frame.map_or([560.0, 350.0, 255.0, 210.0][columns - 1], |f| f.0);
        let labels = y.ticks.iter().map(|t| text_width(&t.label, TICK_SIZE)).fold(0.0, f64::max);
        let lines = |p: &Panel| wrap(&p.title, PANEL_TITLE, width + names).len();
        let names_height = self.panels.iter().map(|p| p.names_height(y)).fold(0.0, f64::max);
        let least = self.frame.map_or(if columns > 3 { 240.0 } else { 380.0 }, |f| f.1);
        Layout {
            columns,
            frame: (width, names_height.max(least)),
            before: labels + 10.0,
            after: names,
            title_lines: self.panels.iter().map(lines).max().unwrap_or(0),
        }
    }

    fn x_axis(&self, length: f64) -> Axis {
        let curves = self.panels.iter().flat_map(|p| &p.curves);
        let values: Vec<f64> = curves.flat_map(|c| &c.points).map(|p| p.0).collect();
        match &self.x {
            Across::Counts(named) => Axis::counts(if named.is_empty() { &values } else { named }, length),
            Across::Linear => Axis::linear(&values, length),
            Across::Log => Axis::errors_around(&values, length),
            Across::Sizes(places) => Axis::named(places, length),
            Across::Categories(labels) => Axis::categories(labels, length),
        }
    }

    fn y_axis(&self, length: f64) -> Axis {
        match self.y {
            Up::Integers { low, high } => Axis::integers(low, high),
            Up::Values => {
                let curves = self.panels.iter().flat_map(|p| &p.curves);
                let values: Vec<f64> = curves.flat_map(|c| c.drawable(false)).map(|p| p.1).collect();
                Axis::values(&values, length)
            }
            Up::Errors => {
                let (low, high) = error_range(&self.panels);
                Axis::errors(low, high, length)
            }
        }
    }
}

/// The errors that the panels should show. Curves of nothing but round-off do not stretch the axis down (unless there
/// are no others), and runs that blow up at few steps do not stretch it up.
fn error_range(panels: &[Panel]) -> (f64, f64) {
    let curves: Vec<Vec<f64>> = panels
        .iter()
        .flat_map(|p| &p.curves)
        .map(|c| c.drawable(true).map(|p| p.1).collect::<Vec<f64>>())
        .filter(|values| !values.is_empty())
        .collect();
    let above = |values: &&Vec<f64>| values.iter().any(|v| *v >= ROUND_OFF);
    let mut main: Vec<&Vec<f64>> = curves.iter().filter(above).collect();
    if main.is_empty() {
        main = curves.iter().collect();
    }
    let mut firsts: Vec<f64> = main.iter().map(|values| values[0]).collect();
    firsts.sort_by(f64::total_cmp);
    let last = main.iter().map(|values| values[values.len() - 1]).fold(0.0, f64::max);
    let most = (1e3 * firsts[firsts.len() / 2]).max(1e2 * last);
    let all = || main.iter().flat_map(|values| values.iter().copied());
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max).min(most));
    // A floor far below says nothing that the errors do not.
    let floors = panels.iter().filter_map(|p| floor::range(&p.curves)).filter(|f| f.1 > low / 30.0);
    let floors = floors.filter(|f| floor::is_common(*f));
    floors.fold((low, high), |(low, high), floor| (low.min(floor.0), high.max(floor.1)))
}

pub(super) fn upwards(at: Point, text: &str) -> Shape {
    Shape::Text(Text {
        at,
        text: text.into(),
        size: SMALL,
        colour: INK,
        anchor: Anchor::Middle,
        upwards: true,
    })
}

impl Layout {
    fn cell_width(&self) -> f64 {
        self.before + self.frame.0 + self.after + BETWEEN
    }

    fn head(&self) -> f64 {
        if self.title_lines == 0 { 10.0 } else { 22.0 + 16.0 * self.title_lines as f64 }
    }

    fn cell_height(&self) -> f64 {
        self.head() + self.frame.1 + TICKS
    }

    fn frame_at(&self, column: usize, row: usize, top: f64) -> Frame {
        let left = MARGIN + AXIS_TITLE + column as f64 * self.cell_width() + self.before;
        let top = top + row as f64 * self.cell_height() + self.head();
        Frame { left: left.round(), top: top.round(), width: self.frame.0, height: self.frame.1 }
    }
}
