//! What a figure is made of: lines, markers and text in pixels, y downwards. `svg` and `bitmap` draw the same list.

use std::sync::OnceLock;

use ab_glyph::{Font, FontRef, PxScale, PxScaleFont, ScaleFont};

/// Pixels from the left and from the top.
pub(super) type Point = (f64, f64);
/// Red, green, blue.
pub(super) type Rgb = [u8; 3];

pub(super) const WHITE: Rgb = [255; 3];

/// A drawing, back to front.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub width: f64,
    pub height: f64,
    pub title: String,
    pub shapes: Vec<Shape>,
}

#[derive(Clone, Debug)]
pub(super) enum Shape {
    Line {
        points: Vec<Point>,
        stroke: Stroke,
    },
    /// Many lines of one look.
    Lines {
        paths: Vec<Vec<Point>>,
        stroke: Stroke,
    },
    Fill {
        corners: Vec<Point>,
        colour: Rgb,
    },
    /// What an odd number of loops go around.
    Area {
        loops: Vec<Vec<Point>>,
        colour: Rgb,
    },
    Markers {
        at: Vec<Point>,
        marker: Marker,
        radius: f64,
        colour: Rgb,
    },
    Text(Text),
    /// What belongs to one series, wherever in the figure: highlighted together, with a tooltip.
    Group {
        series: usize,
        tooltip: String,
        shapes: Vec<Shape>,
    },
}

/// Dashes are lengths of ink and gap in turn; none is a solid line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stroke {
    pub colour: Rgb,
    pub width: f64,
    pub dash: &'static [f64],
}

impl Stroke {
    pub fn solid(colour: Rgb, width: f64) -> Self {
        Stroke { colour, width, dash: &[] }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marker {
    pub form: Form,
    /// White inside.
    pub hollow: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Circle,
    Square,
    Up,
    Diamond,
    Down,
    Right,
    Left,
}

impl Form {
    /// Corners around the origin, of about the same area for all; a circle has none.
    pub fn corners(self) -> &'static [Point] {
        match self {
            Form::Circle => &[],
            Form::Square => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
            Form::Diamond => &[(0.0, -1.35), (1.2, 0.0), (0.0, 1.35), (-1.2, 0.0)],
            Form::Up => &[(0.0, -1.3), (1.2, 0.9), (-1.2, 0.9)],
            Form::Down => &[(0.0, 1.3), (-1.2, -0.9), (1.2, -0.9)],
            Form::Right => &[(1.3, 0.0), (-0.9, 1.2), (-0.9, -1.2)],
            Form::Left => &[(-1.3, 0.0), (0.9, -1.2), (0.9, 1.2)],
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Text {
    /// On the baseline.
    pub at: Point,
    pub text: String,
    /// Of the em, in pixels.
    pub size: f64,
    pub colour: Rgb,
    pub anchor: Anchor,
    /// Reads upwards instead of to the right.
    pub upwards: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    /// The share of the text's width that lies before the anchor.
    pub fn share(self) -> f64 {
        match self {
            Anchor::Start => 0.0,
            Anchor::Middle => 0.5,
            Anchor::End => 1.0,
        }
    }
}

/// Half the height of a lower-case letter or a digit, in ems: from the middle of a line to its baseline.
pub(super) const HALF_HEIGHT: f64 = 0.34;

impl Shape {
    /// The same elsewhere.
    pub fn moved(self, by: Point) -> Self {
        let to = |p: Point| (p.0 + by.0, p.1 + by.1);
        let all = |points: Vec<Point>| points.into_iter().map(to).collect::<Vec<_>>();
        match self {
            Shape::Line { points, stroke } => Shape::Line { points: all(points), stroke },
            Shape::Lines { paths, stroke } => {
                Shape::Lines { paths: paths.into_iter().map(all).collect(), stroke }
            }
            Shape::Fill { corners, colour } => Shape::Fill { corners: all(corners), colour },
            Shape::Area { loops, colour } => {
                Shape::Area { loops: loops.into_iter().map(all).collect(), colour }
            }
            Shape::Markers { at, marker, radius, colour } => {
                Shape::Markers { at: all(at), marker, radius, colour }
            }
            Shape::Text(text) => Shape::Text(Text { at: to(text.at), ..text }),
            Shape::Group { series, tooltip, shapes } => {
                let shapes = shapes.into_iter().map(|s| s.moved(by)).collect();
                Shape::Group { series, tooltip, shapes }
            }
        }
    }

    pub fn line(points: Vec<Point>, stroke: Stroke) -> Self {
        Shape::Line { points, stroke }
    }

    pub fn text(at: Point, anchor: Anchor, size: f64, colour: Rgb, text: impl Into<String>) -> Self {
        Shape::Text(Text { at, text: text.into(), size, colour, anchor, upwards: false })
    }
}

/// DejaVu Sans, carried in the program: the same letters on every machine.
pub(super) fn font() -> &'static FontRef<'static> {
    static FONT: OnceLock<FontRef<'static>> = OnceLock::new();
    FONT.get_or_init(|| {
        let bytes = include_bytes!("../../assets/DejaVuSans.ttf");
        FontRef::try_from_slice(bytes).expect("the embedded font is sound")
    })
}

/// The font with an em of `size` pixels.
pub(super) fn font_of_size(size: f64) -> PxScaleFont<&'static FontRef<'static>> {
    let font = font();
    let units = f64::from(font.units_per_em().expect("the embedded font has an em"));
    font.as_scaled(PxScale::from((size * f64::from(font.height_unscaled()) / units) as f32))
}

/// Pixels from the start of `text` to its end.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    let font = font_of_size(size);
    let ids: Vec<_> = text.chars().map(|c| font.glyph_id(c)).collect();
    let advance: f32 = ids.iter().map(|&id| font.h_advance(id)).sum();
    let kern: f32 = ids.windows(2).map(|pair| font.kern(pair[0], pair[1])).sum();
    f64::from(advance + kern)
}

/// Breaks `text` between words into lines of at most `width` pixels. A longer word is broken before a bracket or after
/// an equals sign, or else cut with an ellipsis.
pub(super) fn wrap(text: &str, size: f64, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut words: Vec<&str> = text.split_whitespace().rev().collect();
    while let Some(mut word) = words.pop() {
        if text_width(word, size) > width {
            let mut breaks = word.char_indices().filter_map(|(i, c)| match c {
                '(' if i > 0 => Some(i),
                '=' => Some(i + 1),
                _ => None,
            });
            let fits = |at: &usize| *at < word.len() && text_width(&word[..*at], size) <= width;
            if let Some(at) = breaks.rfind(fits) {
                words.push(&word[at..]);
                word = &word[..at];
            }
        }
        match lines.last_mut() {
            Some(line) if text_width(&format!("{line} {word}"), size) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(shorten(word, size, width)),
        }
    }
    lines
}

/// `text`, or as much of its two ends as fits into `width` pixels.
pub(super) fn shorten(text: &str, size: f64, width: f64) -> String {
    if text_width(text, size) <= width {
        return text.into();
    }
    let letters: Vec<char> = text.chars().collect();
    let cut = |keep: usize| -> String {
        let (head, tail) = (keep.div_ceil(2), keep / 2);
        letters[..head].iter().chain(&['…']).chain(&letters[letters.len() - tail..]).collect()
    };
    (0..letters.len()).rev().map(cut).find(|t| text_width(t, size) <= width).unwrap_or_else(|| "…".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_long_words_are_cut() {
        let lines = wrap("one two three four five six", 11.0, 60.0);
        assert!(lines.len() > 1 && lines.iter().all(|l| text_width(l, 11.0) <= 60.0), "{lines:?}");
        assert_eq!(lines.join(" "), "one two three four five six");
        let long = "(predictor=ddpm(variance=fixed-large),";
        assert_eq!(wrap(long, 11.0, 152.0), ["(predictor=ddpm", "(variance=fixed-large),"]);
        let cut = shorten("a-name-much-too-long(x=1)", 11.0, 80.0);
        assert!(cut.starts_with("a-na") && cut.ends_with("=1)") && cut.contains('…'), "{cut}");
        assert_eq!(shorten("abc", 11.0, 1.0), "…");
        assert!(wrap("", 11.0, 10.0).is_empty());
    }

    #[test]
    fn the_font_has_every_letter_that_figures_write() {
        for c in "⁰¹²³⁴⁵⁶⁷⁸⁹⁻₁₂…·≈▲▼×→±λρστ√".chars() {
            assert_ne!(font().glyph_id(c).0, 0, "{c}");
        }
    }
}
