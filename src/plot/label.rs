//! Names: where they are put without overlap, and how a label `name(key=value, ...)` is taken apart.

use super::axis;

/// Centres of boxes of these heights, stacked within `low..high` in the order given without overlap, as near to
/// `wanted` (which must ascend) as possible in the sum of squares. Where they do not fit, they go on below `high`.
///
/// In coordinates from which the heights of all boxes before are subtracted, "without overlap" reads "ascending":
/// pooling neighbours that violate it is the exact solution (isotonic regression).
pub(super) fn place(wanted: &[f64], heights: &[f64], low: f64, high: f64) -> Vec<f64> {
    let mut before = 0.0;
    let offsets: Vec<f64> = heights
        .iter()
        .map(|h| {
            before += h;
            before - 0.5 * h
        })
        .collect();
    // Pools of neighbours that touch: the sum and the number of what they want.
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for (want, offset) in wanted.iter().zip(&offsets) {
        let mut pool = (want - offset, 1);
        while let Some(&(sum, n)) = pools.last()
            && sum / n as f64 >= pool.0 / pool.1 as f64
        {
            pools.pop();
            pool = (pool.0 + sum, pool.1 + n);
        }
        pools.push(pool);
    }
    let spread = pools.iter().flat_map(|&(sum, n)| std::iter::repeat_n(sum / n as f64, n));
    spread.zip(&offsets).map(|(at, offset)| at.min(high - before).max(low) + offset).collect()
}

/// A label taken apart; one without parentheses is all name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Label<'a> {
    pub name: &'a str,
    /// `key=value`, as written.
    pub parameters: Vec<&'a str>,
}

impl<'a> Label<'a> {
    pub fn parse(text: &'a str) -> Self {
        match text.split_once('(') {
            Some((name, rest)) if rest.ends_with(')') => {
                Label { name, parameters: split_outside(&rest[..rest.len() - 1]) }
            }
            _ => Label { name: text, parameters: Vec::new() },
        }
    }

    /// What a parameter is set to, as written.
    pub fn text(&self, key: &str) -> Option<&'a str> {
        self.parameters
            .iter()
            .find_map(|p| p.strip_prefix(key)?.trim_start().strip_prefix('='))
            .map(str::trim)
    }

    /// The number that a parameter is set to.
    pub fn value(&self, key: &str) -> Option<f64> {
        self.text(key)?.parse().ok()
    }

    /// Whether a parameter is set, to whatever.
    pub fn has(&self, key: &str) -> bool {
        self.parameters.iter().any(|p| key_of(p) == key)
    }

    /// The label without a parameter.
    pub fn without(&self, key: &str) -> String {
        let rest: Vec<&str> = self.parameters.iter().copied().filter(|p| key_of(p) != key).collect();
        if rest.is_empty() { self.name.into() } else { format!("{}({})", self.name, rest.join(", ")) }
    }
}

fn key_of(parameter: &str) -> &str {
    parameter.split('=').next().unwrap_or_default().trim()
}

/// Splits at the commas that no bracket holds.
fn split_outside(text: &str) -> Vec<&str> {
    let (mut depth, mut from, mut parts) = (0, 0, Vec::new());
    for (i, c) in text.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[from..i].trim());
                from = i + 1;
            }
            _ => {}
        }
    }
    parts.push(text[from..].trim());
    parts.retain(|p| !p.is_empty());
    parts
}

/// The end time in a grid's label, and its number as a figure writes it; for a grid without one, the whole label.
pub(super) fn end_time(grid: &str) -> (Option<f64>, String) {
    match Label::parse(grid).value("end") {
        Some(end) => (Some(end), axis::number(end)),
        None => (None, grid.into()),
    }
}

/// Labels, each with what it is of.
pub(super) type Key = Vec<(&'static str, String)>;

/// What all of these lists share, place by place, and what is left to each. A place is what the label is of, and the
/// label; names and parameters are compared one by one.
pub(super) fn tell_apart(lists: &[Key]) -> (Vec<String>, Vec<Vec<String>>) {
    let (mut shared, mut own) = (Vec::new(), vec![Vec::new(); lists.len()]);
    let places = lists.first().map_or(0, Vec::len);
    for place in 0..places {
        let labels: Vec<Label> = lists.iter().map(|list| Label::parse(&list[place].1)).collect();
        let first = &labels[0];
        let common: Vec<&str> = first
            .parameters
            .iter()
            .copied()
            .filter(|p| labels.iter().all(|l| l.parameters.contains(p)))
            .collect();
        let same_name = labels.iter().all(|l| l.name == first.name);
        if same_name || !common.is_empty() {
            shared.push(if same_name {
                join(first.name, &common)
            } else {
                format!("{} {}", lists[0][place].0, common.join(", "))
            });
        }
        for (label, own) in labels.iter().zip(&mut own) {
            let rest: Vec<&str> = label.parameters.iter().copied().filter(|p| !common.contains(p)).collect();
            let mut all_keys = labels.iter().flat_map(|l| &l.parameters).map(|p| key_of(p));
            own.push(match all_keys.find(|key| !label.has(key)) {
                // A parameter that only others set is at its default here: say so, or the panel has no name.
                Some(key) if same_name && rest.is_empty() => format!("{key} by default"),
                _ => join(if same_name { "" } else { label.name }, &rest),
            });
        }
    }
    shared.retain(|s| !s.is_empty());
    own.iter_mut().for_each(|o| o.retain(|s| !s.is_empty()));
    (shared, own)
}

fn join(name: &str, parameters: &[&str]) -> String {
    match (name.is_empty(), parameters.is_empty()) {
        (true, _) => parameters.join(", "),
        (_, true) => name.into(),
        _ => format!("{name}({})", parameters.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn labels_never_overlap_keep_their_order_and_stay_inside(
            boxes in prop::collection::vec((0.0..500.0f64, 5.0..40.0f64), 0..30),
        ) {
            let (mut wanted, heights): (Vec<f64>, Vec<f64>) = boxes.into_iter().unzip();
            wanted.sort_by(f64::total_cmp);
            let at = place(&wanted, &heights, 20.0, 480.0);
            prop_assert_eq!(at.len(), wanted.len());
            for k in 1..at.len() {
                let gap = at[k] - at[k - 1] - 0.5 * (heights[k] + heights[k - 1]);
                prop_assert!(gap > -1e-9, "{:?}", at);
            }
            let total: f64 = heights.iter().sum();
            for (y, h) in at.iter().zip(&heights) {
                prop_assert!(y - 0.5 * h > 20.0 - 1e-9);
                prop_assert!(total > 460.0 || y + 0.5 * h < 480.0 + 1e-9);
            }
        }
    }

    #[test]
    fn labels_that_have_room_stay_where_they_belong() {
        assert_eq!(place(&[10.0, 50.0, 90.0], &[10.0; 3], 0.0, 100.0), [10.0, 50.0, 90.0]);
        assert_eq!(place(&[50.0, 50.0], &[10.0; 2], 0.0, 100.0), [45.0, 55.0]);
        assert_eq!(place(&[0.0, 100.0], &[10.0; 2], 0.0, 100.0), [5.0, 95.0]);
    }

    #[test]
    fn end_times_are_read_from_grid_labels() {
        assert_eq!(end_time("uniform-t(start=1, end=0.001)"), (Some(1e-3), "10⁻³".into()));
        assert_eq!(end_time("uniform-t(end=3e-4, start=1)"), (Some(3e-4), "3·10⁻⁴".into()));
        assert_eq!(end_time("karras(sigma_max=80)"), (None, "karras(sigma_max=80)".into()));
        assert_eq!(end_time("x(bend=1, end=oops)"), (None, "x(bend=1, end=oops)".into()));
        assert_eq!(end_time("grid(end=1").0, None);
    }

    #[test]
    fn labels_are_taken_apart_at_outer_commas() {
        let label = Label::parse("pc(predictor=ddim(eta=0, a=1), step=0.05, t=[1, 2])");
        assert_eq!(label.parameters, ["predictor=ddim(eta=0, a=1)", "step=0.05", "t=[1, 2]"]);
        assert_eq!((label.value("step"), label.value("ste"), label.value("eta")), (Some(0.05), None, None));
        assert_eq!(label.without("step"), "pc(predictor=ddim(eta=0, a=1), t=[1, 2])");
        assert_eq!(Label::parse("ddim(eta=1)").without("eta"), "ddim");
        assert_eq!(Label::parse("ddim"), Label { name: "ddim", parameters: vec![] });
    }

    #[test]
    fn panels_are_named_by_what_differs() {
        let key = |grid: &str| {
            vec![("data", "gaussian(modes=5)".into()), ("grid", grid.into()), ("init", "prior".into())]
        };
        let (uniform, lambda) =
            (key("uniform-t(start=1, end=0.001)"), key("uniform-lambda(start=1, end=0.001)"));
        let (shared, own) = tell_apart(&[uniform.clone(), lambda]);
        assert_eq!(shared, ["gaussian(modes=5)", "grid start=1, end=0.001", "prior"]);
        assert_eq!(own, [["uniform-t"], ["uniform-lambda"]]);
        let (shared, own) =
            tell_apart(&["ddim(eta=1)", "ddim", "ddim(eta=0.5)"].map(|s| vec![("solver", s.into())]));
        assert_eq!(
            (shared, own.concat()),
            (vec!["ddim".to_string()], vec!["eta=1".into(), "eta by default".into(), "eta=0.5".to_string()])
        );
        let (shared, own) = tell_apart(&[uniform]);
        assert_eq!((shared.len(), own), (3, vec![vec![]]));
        assert_eq!(tell_apart(&[]), (vec![], vec![]));
    }
}
