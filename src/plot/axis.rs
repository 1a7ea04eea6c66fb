//! Scales, ticks and the numbers written at them.

use super::scene::text_width;

/// Size of tick labels.
pub(super) const TICK_SIZE: f64 = 11.0;

/// Values from `low` to `high`, with what is written beside them.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub log: bool,
    pub low: f64,
    pub high: f64,
    pub ticks: Vec<Tick>,
}

/// A place on an axis; without a label it is marked but not named.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub at: f64,
    pub label: String,
}

impl Axis {
    /// The share of the axis below `value`; below 0 or above 1 outside of it.
    pub fn share(&self, value: f64) -> f64 {
        let scale = |x: f64| if self.log { x.log10() } else { x };
        (scale(value) - scale(self.low)) / (scale(self.high) - scale(self.low))
    }

    /// A linear axis with a given range and a tick at every integer.
    pub fn integers(low: f64, high: f64) -> Self {
        let ticks =
            (low.ceil() as i32..=high.floor() as i32).map(|k| Tick::new(f64::from(k), minus(k.to_string())));
        Axis { log: false, low, high, ticks: ticks.collect() }
    }

    /// A linear axis with a place for each label.
    pub fn categories(labels: &[String], length: f64) -> Self {
        let all: Vec<Tick> = labels.iter().enumerate().map(|(k, l)| Tick::new(k as f64, l.clone())).collect();
        let (low, high) = (-0.4, labels.len() as f64 - 0.6);
        Axis { log: false, low, high, ticks: Vec::new() }.with_ticks(all, length)
    }

    /// A linear axis from one value to another, `length` pixels long.
    pub fn window(low: f64, high: f64, length: f64) -> Self {
        let ticks = round_steps(low, high, (length / 45.0).min(7.0));
        Axis { log: false, low, high, ticks: Vec::new() }.with_ticks(ticks, length)
    }

    /// A linear axis around `values`, `length` pixels long.
    pub fn linear(values: &[f64], length: f64) -> Self {
        let (low, high) = range(values);
        let pad = if high > low { 0.04 * (high - low) } else { 0.5 * high.abs().max(1.0) };
        let (low, high) = (low - pad, high + pad);
        let ticks = round_steps(low, high, length / 45.0);
        Axis { log: false, low, high, ticks: Vec::new() }.with_ticks(ticks, length)
    }

    /// A linear axis around `values`, `length` pixels high.
    pub fn values(values: &[f64], length: f64) -> Self {
        let Axis { low, high, .. } = Axis::linear(values, length);
        Axis { log: false, low, high, ticks: round_steps(low, high, length / 36.0) }
    }

    /// A logarithmic axis around counts, `length` pixels long, lying: labels side by side must not touch.
    pub fn counts(values: &[f64], length: f64) -> Self {
        let (low, high) = range(values);
        let pad = if high > low { (high / low).powf(0.035) } else { 2.0 };
        let axis = Axis { log: true, low: low / pad, high: high * pad, ticks: Vec::new() };
        let distinct = ascending(values);
        if distinct.len() <= 12 {
            let ticks = distinct.iter().map(|&v| Tick::new(v, count(v))).collect();
            return axis.with_ticks(ticks, length);
        }
        let decades = || axis.low.log10().floor() as i32..=axis.high.log10().ceil() as i32;
        let ticks = |mantissas: &[f64]| -> Vec<Tick> {
            let values = decades().flat_map(|k| mantissas.iter().map(move |m| m * 10f64.powi(k)));
            values.filter(|v| (axis.low..=axis.high).contains(v)).map(|v| Tick::new(v, count(v))).collect()
        };
        let named = |ticks: Vec<Tick>| axis.clone().with_ticks(ticks, length);
        let fits = |axis: &Axis| axis.ticks.len() > 1 && axis.ticks.iter().all(|t| !t.label.is_empty());
        let choices = [&[1.0, 2.0, 5.0][..], &[1.0, 3.0]].map(|mantissas| named(ticks(mantissas)));
        choices.into_iter().find(fits).unwrap_or_else(|| named(ticks(&[1.0])))
    }

    /// A logarithmic axis around places with names of their own, `length` pixels long.
    pub fn named(places: &[(f64, String)], length: f64) -> Self {
        let values = ascending(&places.iter().map(|p| p.0).collect::<Vec<_>>());
        let name = |v: f64| places.iter().find(|p| p.0 == v).map_or(String::new(), |p| p.1.clone());
        let ticks = values.iter().map(|&v| Tick::new(v, name(v))).collect();
        Axis { ticks: Vec::new(), ..Axis::counts(&values, length) }.with_ticks(ticks, length)
    }

    /// A logarithmic axis around errors, `length` pixels high.
    pub fn errors(low: f64, high: f64, length: f64) -> Self {
        let pad = if high > 2.0 * low { (high / low).powf(0.03).max(1.1) } else { 2.0 };
        Axis::errors_within(low / pad, high * pad, length)
    }

    /// A logarithmic axis from one error to another, `length` pixels high.
    pub fn errors_within(low: f64, high: f64, length: f64) -> Self {
        Axis { log: true, low, high, ticks: error_ticks(low, high, length / 24.0) }
    }

    /// The same `length` pixels long, lying.
    pub fn errors_across(low: f64, high: f64, length: f64) -> Self {
        let ticks = error_ticks(low, high, length / 36.0);
        Axis { log: true, low, high, ticks: Vec::new() }.with_ticks(ticks, length)
    }

    /// The same around `values`.
    pub fn errors_around(values: &[f64], length: f64) -> Self {
        let (low, high) = range(values);
        let pad = if high > low { (high / low).powf(0.035) } else { 2.0 };
        Axis::errors_across(low / pad, high * pad, length)
    }

    /// Names every tick, or every second from the last, or every third: as many as fit side by side.
    fn with_ticks(mut self, mut ticks: Vec<Tick>, length: f64) -> Self {
        let fits = |every: &usize| {
            let mut named = ticks.iter().rev().step_by(*every).map(|tick| {
                let half = 0.5 * text_width(&tick.label, TICK_SIZE);
                (length * self.share(tick.at) - half, length * self.share(tick.at) + half)
            });
            let mut free = f64::INFINITY;
            named.all(|(left, right)| std::mem::replace(&mut free, left - 5.0) >= right)
        };
        let every = (1..=ticks.len()).find(fits).unwrap_or(1);
        for (k, tick) in ticks.iter_mut().rev().enumerate() {
            if k % every != 0 {
                tick.label.clear();
            }
        }
        self.ticks = ticks;
        self
    }
}

impl Tick {
    fn new(at: f64, label: String) -> Self {
        Tick { at, label }
    }
}

/// Each value once, in order.
fn ascending(values: &[f64]) -> Vec<f64> {
    let mut distinct = values.to_vec();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    distinct
}

fn range(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &v| (a.min(v), b.max(v)))
}

/// Round numbers, at most `most` of them.
fn round_steps(low: f64, high: f64, most: f64) -> Vec<Tick> {
    let least = (high - low) / most;
    let unit = 10f64.powf(least.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].map(|m| m * unit).into_iter().find(|s| *s >= least).unwrap_or(10.0 * unit);
    let places = (-(step * 1.0001).log10().floor()).clamp(0.0, 12.0) as usize;
    let ticks = ((low / step).ceil() as i64..=(high / step).floor() as i64).map(|k| {
        let at = k as f64 * step;
        Tick::new(at, minus(format!("{at:.places$}")))
    });
    ticks.collect()
}

/// Powers of ten; where the range holds fewer than two, multiples of them; where it holds few of those, round steps.
fn error_ticks(low: f64, high: f64, most: f64) -> Vec<Tick> {
    let within = |v: &f64| (low..=high).contains(v);
    let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let powers: Vec<i32> = decades.clone().filter(|&k| within(&10f64.powi(k))).collect();
    if powers.len() >= 3 {
        let every = (1..).find(|n| powers.len() as f64 / f64::from(*n) <= most).unwrap_or(1);
        let label = |k: i32| if k % every == 0 { power_of_ten(k) } else { String::new() };
        return powers.into_iter().map(|k| Tick::new(10f64.powi(k), label(k))).collect();
    }
    for mantissas in [&[1.0, 2.0, 5.0][..], &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]] {
        let values = decades.clone().flat_map(|k| mantissas.iter().map(move |m| m * 10f64.powi(k)));
        let ticks: Vec<Tick> = values.filter(within).map(|v| Tick::new(v, number(v))).collect();
        if (3.0..=most).contains(&(ticks.len() as f64)) {
            return ticks;
        }
    }
    round_steps(low, high, most.min(5.0)).into_iter().map(|t| Tick::new(t.at, number(t.at))).collect()
}

/// With a minus sign, as wide as the plus, for the hyphen.
fn minus(number: String) -> String {
    number.replace('-', "−")
}

/// `10⁻³`.
pub(super) fn power_of_ten(k: i32) -> String {
    match k {
        0 => "1".into(),
        1 => "10".into(),
        _ => format!("10{}", superscript(k)),
    }
}

/// `⁻³`.
pub(super) fn superscript(k: i32) -> String {
    let raised = |c: char| match c {
        '-' => '⁻',
        '0' => '⁰',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4' => '⁴',
        '5' => '⁵',
        '6' => '⁶',
        '7' => '⁷',
        '8' => '⁸',
        _ => '⁹',
    };
    k.to_string().chars().map(raised).collect()
}

/// A number to two digits: `0.25`, `3·10⁻⁴`, `10⁻⁵`.
pub(super) fn number(v: f64) -> String {
    let text = format!("{v:.1e}");
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    let power = power_of_ten(exponent.parse().expect("an exponent is an integer"));
    match mantissa.trim_end_matches(".0") {
        "1" => power,
        _ if v == 0.0 || (0.1..1000.0).contains(&v.abs()) => {
            let rounded: f64 = text.parse().expect("written by format!");
            minus(rounded.to_string())
        }
        mantissa => minus(format!("{mantissa}·{power}")),
    }
}

/// A count in full, or from a million on as [`number`].
fn count(v: f64) -> String {
    if v < 1e6 { format!("{v}") } else { number(v) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_written_with_superscripts() {
        assert_eq!(superscript(-1_234_567_890), "⁻¹²³⁴⁵⁶⁷⁸⁹⁰");
        assert_eq!([-3, 0, 1, 12].map(power_of_ten), ["10⁻³", "1", "10", "10¹²"]);
        let want = ["0.25", "3·10⁻⁴", "10⁻⁵", "1", "2.5·10³", "0", "3·10⁻²", "10⁻¹", "−5", "NaN"];
        assert_eq!([0.25, 3e-4, 1e-5, 1.0, 2500.0, 0.0, 0.03, 0.1, -5.0, f64::NAN].map(number), want);
        assert_eq!(number(9.96e-5), "10⁻⁴");
    }

    #[test]
    fn every_range_has_ticks_within_it_and_room_for_their_labels() {
        for (low, high) in [(1e-16, 10.0), (1e-7, 1e-4), (2e-3, 3e-3), (1e-3, 1.0001e-3), (4.0, 4e5)] {
            let axis = Axis::errors(low, high, 300.0);
            let named = axis.ticks.iter().filter(|t| !t.label.is_empty()).count();
            assert!((2..=13).contains(&named), "{low} {high}: {:?}", axis.ticks);
            assert!(axis.ticks.iter().all(|t| (0.0..=1.0).contains(&axis.share(t.at))), "{low} {high}");
        }
        let names = |values: &[f64]| -> Vec<String> {
            let axis = Axis::counts(values, 200.0);
            axis.ticks.into_iter().map(|t| t.label).filter(|l| !l.is_empty()).collect()
        };
        let doubling: Vec<f64> = (3..=10).map(|k| 2f64.powi(k)).collect();
        assert_eq!(names(&doubling), ["16", "64", "256", "1024"]);
        let many: Vec<f64> = (1..50).map(|k| f64::from(k * k)).collect();
        assert_eq!(names(&many), ["1", "10", "100", "1000"]);
        assert_eq!(names(&[7.0]), ["7"]);
        let linear = Axis::linear(&[0.0, 0.5, 2.0], 200.0);
        assert_eq!(
            linear.ticks.iter().map(|t| &t.label[..]).collect::<Vec<_>>(),
            ["0.0", "0.5", "1.0", "1.5", "2.0"]
        );
        assert_eq!(Axis::linear(&[1.0], 200.0).ticks.len(), 3);
    }
}
