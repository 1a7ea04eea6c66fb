//! How series are told apart: Okabe and Ito's colours (all but the yellow, unreadable on white), dashes and markers.

use plotters::style::colors::colormaps::{ColorMap, ViridisRGB};

use super::scene::{Form, Marker, Rgb};

/// Text and axes.
pub(super) const INK: Rgb = [34, 34, 34];
/// What is read second.
pub(super) const GREY: Rgb = [105, 105, 105];
/// Slope guides.
pub(super) const GUIDE: Rgb = [165, 165, 165];
/// Lines at ticks.
pub(super) const GRID: Rgb = [232, 232, 232];

/// One series' looks, the same in all panels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub colour: Rgb,
    pub dash: &'static [f64],
    pub marker: Marker,
}

const COLOURS: [Rgb; 7] =
    [[0, 114, 178], [213, 94, 0], [0, 158, 115], [204, 121, 167], [86, 180, 233], [230, 159, 0], [0, 0, 0]];
const DASHES: [&[f64]; 4] = [&[], &[6.0, 2.5], &[1.6, 2.2], &[9.0, 2.2, 1.6, 2.2]];
const FORMS: [Form; 7] =
    [Form::Circle, Form::Square, Form::Up, Form::Diamond, Form::Down, Form::Right, Form::Left];

impl Style {
    /// The looks of the `k`-th series: 28 different ones.
    pub fn nth(k: usize) -> Self {
        let round = k / COLOURS.len();
        let marker = Marker { form: FORMS[(k + round) % FORMS.len()], hollow: round % 2 == 1 };
        Style { colour: COLOURS[k % COLOURS.len()], dash: DASHES[round % DASHES.len()], marker }
    }

    /// The looks of the `k`-th of `n` series that are in an order: dark to light.
    pub fn ordered(k: usize, n: usize) -> Self {
        // The last fifth of the map is too light on white.
        let share = 0.8 * k as f64 / n.saturating_sub(1).max(1) as f64;
        let colour = ViridisRGB.get_color(share as f32);
        let marker = Marker { form: FORMS[k % FORMS.len()], hollow: false };
        Style { colour: [colour.0, colour.1, colour.2], dash: &[], marker }
    }

    /// The colour for text: darkened until it reads well on white (contrast 4.5, as WCAG 2 asks).
    pub fn text(&self) -> Rgb {
        let mut colour = self.colour;
        while 1.05 / (luminance(colour) + 0.05) < 4.5 {
            colour = colour.map(|c| (f64::from(c) * 0.96) as u8);
        }
        colour
    }
}

/// A colour thinned with white: `share` of it is left.
pub(super) fn thinned(colour: Rgb, share: f64) -> Rgb {
    colour.map(|c| (255.0 - share * (255.0 - f64::from(c))).round() as u8)
}

/// Relative luminance of an sRGB colour.
fn luminance(colour: Rgb) -> f64 {
    let [r, g, b] = colour.map(|c| {
        let c = f64::from(c) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_differ_and_their_names_can_be_read() {
        let all: std::collections::BTreeSet<String> =
            (0..28).map(|k| format!("{:?}", (Style::nth(k).colour, Style::nth(k).dash))).collect();
        assert_eq!(all.len(), 28);
        for k in 0..28 {
            assert!(1.05 / (luminance(Style::nth(k).text()) + 0.05) >= 4.5);
        }
        assert_eq!(Style::ordered(0, 1).dash, Style::ordered(3, 4).dash);
    }
}
