//! A scene as SVG text. Written here rather than by plotters, which rounds to whole pixels, breaks a dashed line
//! into hundreds of elements, and knows no tooltips.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::markup;

use super::scene::{Anchor, Form, Point, Rgb, Scene, Shape, Stroke, WHITE};

/// The scene as a file. In a browser, pointing at a series dims the others, in all panels.
pub(super) fn write(scene: &Scene) -> String {
    let mut out = String::new();
    let (w, h) = (number(scene.width), number(scene.height));
    let title = escape(&scene.title);
    put(
        &mut out,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" \
             font-family=\"'DejaVu Sans', Verdana, 'Bitstream Vera Sans', sans-serif\" role=\"img\">\n\
             <title>{title}</title>\n"
        ),
    );
    put(&mut out, format_args!("<style>{}</style>\n", highlights(scene)));
    put(&mut out, format_args!("<rect width=\"{w}\" height=\"{h}\" fill=\"{}\"/>\n", hex(WHITE)));
    for shape in &scene.shapes {
        write_shape(&mut out, shape);
    }
    out.push_str("</svg>\n");
    out
}

fn put(out: &mut String, text: std::fmt::Arguments) {
    out.write_fmt(text).expect("writing to a string does not fail");
}

/// One rule a series: while one of its parts is pointed at, all others of the same picture fade.
fn highlights(scene: &Scene) -> String {
    let series: BTreeSet<usize> = scene
        .shapes
        .iter()
        .filter_map(|s| if let Shape::Group { series, .. } = s { Some(*series) } else { None })
        .collect();
    series.iter().map(|k| format!("svg:has(.s{k}:hover) .s:not(.s{k}){{opacity:.15}}")).collect()
}

fn write_shape(out: &mut String, shape: &Shape) {
    match shape {
        Shape::Line { points, stroke } => {
            put(out, format_args!("<path d=\"{}\" fill=\"none\"{}/>\n", path(points), stroke_style(stroke)));
        }
        Shape::Lines { paths, stroke } => {
            let d: String = paths.iter().map(|p| path(p)).collect();
            put(out, format_args!("<path d=\"{d}\" fill=\"none\"{}/>\n", stroke_style(stroke)));
        }
        Shape::Area { loops, colour } => {
            let d: String = loops.iter().map(|l| path(l) + "z").collect();
            put(out, format_args!("<path d=\"{d}\" fill=\"{}\" fill-rule=\"evenodd\"/>\n", hex(*colour)));
        }
        Shape::Fill { corners, colour } => {
            put(out, format_args!("<path d=\"{}z\" fill=\"{}\"/>\n", path(corners), hex(*colour)));
        }
        Shape::Markers { at, marker, radius, colour } => {
            let d: String = at.iter().map(|&p| marker_path(p, marker.form, *radius)).collect();
            let fill = hex(if marker.hollow { WHITE } else { *colour });
            put(out, format_args!("<path d=\"{d}\" fill=\"{fill}\" stroke=\"{}\"/>\n", hex(*colour)));
        }
        Shape::Text(t) => {
            let (x, y) = (number(t.at.0), number(t.at.1));
            let anchor = match t.anchor {
                Anchor::Start => "",
                Anchor::Middle => " text-anchor=\"middle\"",
                Anchor::End => " text-anchor=\"end\"",
            };
            let turn = if t.upwards { format!(" transform=\"rotate(-90 {x} {y})\"") } else { String::new() };
            let (size, fill, text) = (number(t.size), hex(t.colour), escape(&t.text));
            put(
                out,
                format_args!(
                    "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" fill=\"{fill}\"{anchor}{turn}>{text}</text>\n"
                ),
            );
        }
        Shape::Group { series, tooltip, shapes } => {
            put(out, format_args!("<g class=\"s s{series}\"><title>{}</title>\n", escape(tooltip)));
            for shape in shapes {
                write_shape(out, shape);
            }
            out.push_str("</g>\n");
        }
    }
}

fn stroke_style(stroke: &Stroke) -> String {
    let dash: Vec<String> = stroke.dash.iter().map(|d| number(*d)).collect();
    let dash =
        if dash.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{}\"", dash.join(" ")) };
    let (colour, width) = (hex(stroke.colour), number(stroke.width));
    format!(" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"{dash}")
}

/// A line, each point as its way from the one before, in tenths of pixels that do not add up their rounding.
fn path(points: &[Point]) -> String {
    let mut d = String::new();
    let tenths = |v: f64| (v * 10.0).round() as i64;
    let mut last = (0, 0);
    for (i, &(x, y)) in points.iter().enumerate() {
        let (x, y) = (tenths(x), tenths(y));
        d.push(match i {
            0 => 'M',
            1 => 'l',
            _ => ' ',
        });
        let (dx, dy) = (short(x - last.0), short(y - last.1));
        // A minus keeps numbers apart by itself.
        if i > 1 && dx.starts_with('-') {
            d.pop();
        }
        let between = if dy.starts_with('-') { "" } else { " " };
        put(&mut d, format_args!("{dx}{between}{dy}"));
        last = (x, y);
    }
    d
}

/// Tenths, with no zero that need not be there.
fn short(tenths: i64) -> String {
    let text = format!("{}", tenths as f64 / 10.0);
    match text.strip_prefix("0.").or(text.strip_prefix("-0.")) {
        Some(rest) if tenths < 0 => format!("-.{rest}"),
        Some(rest) => format!(".{rest}"),
        None => text,
    }
}

fn marker_path((x, y): Point, form: Form, r: f64) -> String {
    let corners = form.corners();
    if corners.is_empty() {
        let (left, r, d) = (number(x - r), number(r), number(2.0 * r));
        return format!("M{left} {}a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0z", number(y));
    }
    let at: Vec<Point> = corners.iter().map(|(dx, dy)| (x + r * dx, y + r * dy)).collect();
    path(&at) + "z"
}

/// To a twentieth of a pixel, without needless zeros.
fn number(x: f64) -> String {
    let rounded = (x * 20.0).round() / 20.0;
    format!("{}", if rounded == 0.0 { 0.0 } else { (rounded * 100.0).round() / 100.0 })
}

fn hex([r, g, b]: Rgb) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

fn escape(text: &str) -> String {
    // XML 1.0 has few control characters, not even escaped.
    markup::escaped(text, |_, out| out.push(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_text_is_escaped() {
        assert_eq!([12.0, 0.1 + 0.2, -0.001, 7.26].map(number), ["12", "0.3", "0", "7.25"]);
        assert_eq!([120, -5, 3, 0, -12].map(short), ["12", "-.5", ".3", "0", "-1.2"]);
        assert_eq!(path(&[(1.0, 2.04), (1.5, 1.0), (0.0, 1.06)]), "M1 2l.5-1-1.5 .1");
        assert_eq!(escape("a<b & \"c\"\u{1}"), "a&lt;b &amp; &quot;c&quot; ");
    }
}
