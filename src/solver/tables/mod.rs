//! Butcher tables as their papers print them, and how such a text is read.
//!
//! A table is a heading `name | order | source`, a line `c : a_i1 a_i2 ...` a stage (trailing zeros may be left out),
//! then `b : ...` and, for embedded pairs, `e : ...`, the weights of an error estimate. Indented lines continue the one
//! above. A number is a decimal, a fraction `p/q`, or `p/q+r/s√n`.

mod explicit;
mod implicit;

pub(super) use explicit::EXPLICIT;
pub(super) use implicit::IMPLICIT;

use super::tableau::Tableau;

/// All tables of a text.
///
/// # Panics
/// If the text is not as described above: it is the crate's own.
pub(super) fn read(text: &str) -> Vec<Tableau> {
    let mut tables: Vec<Tableau> = Vec::new();
    for line in joined(text) {
        if let [name, order, source] = line.split('|').map(str::trim).collect::<Vec<_>>()[..] {
            let order = order.parse().unwrap_or_else(|e| panic!("{line}: {e}"));
            tables.push(Tableau { name: name.into(), order, source: source.into(), ..Tableau::default() });
            continue;
        }
        let table = tables.last_mut().unwrap_or_else(|| panic!("{line}: before a heading"));
        let (first, rest) = line.split_once(':').unwrap_or_else(|| panic!("{line}: no colon"));
        let numbers: Vec<f64> = rest.split_whitespace().map(number).collect();
        match first.trim() {
            "b" => table.b = numbers,
            "e" => table.errors.push(numbers),
            c => {
                table.c.push(number(c));
                table.a.push(numbers);
            }
        }
    }
    tables
}

/// Lines without comments and blanks, each with its continuations.
fn joined(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#')) {
        match lines.last_mut() {
            Some(last) if line.starts_with(' ') => last.push_str(line),
            _ => lines.push(line.into()),
        }
    }
    lines
}

/// A decimal, a fraction, or a fraction and a multiple of a square root.
fn number(text: &str) -> f64 {
    let Some((front, root)) = text.split_once('√') else { return fraction(text) };
    let root: f64 = root.parse::<f64>().unwrap_or_else(|e| panic!("{text}: {e}")).sqrt();
    match front.rfind(['+', '-']) {
        Some(at) if at > 0 => fraction(&front[..at]) + fraction(&front[at..]) * root,
        _ => fraction(front) * root,
    }
}

fn fraction(text: &str) -> f64 {
    let plain = |part: &str| part.parse::<f64>().unwrap_or_else(|e| panic!("{text}: {e}"));
    match text.split_once('/') {
        Some((p, q)) => plain(p) / plain(q),
        None => plain(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimals_fractions_and_surds() {
        assert_eq!((number("-2.5e-1"), number("1/3"), number("+3")), (-0.25, 1.0 / 3.0, 3.0));
        assert_eq!(number("1/2-1/2√2"), 0.5 - 0.5 * 2f64.sqrt());
        assert_eq!(
            (number("-1/3√3"), number("7/14+1/14√21")),
            (-3f64.sqrt() / 3.0, 0.5 + 21f64.sqrt() / 14.0)
        );
    }

    #[test]
    fn a_text_is_read_as_its_tables() {
        let tables = read(
            "# A comment.\none | 2 | A. B. 1900\n0 :\n1/2 : 1/4\n  1/4\nb : 0 1\ne : 1 -1\n\ntwo | 1 | C\n",
        );
        assert_eq!((tables.len(), tables[0].name.as_str(), tables[0].order), (2, "one", 2));
        assert_eq!(tables[0].a, [vec![], vec![0.25, 0.25]]);
        assert_eq!((&tables[0].b[..], &tables[0].errors[0][..]), (&[0.0, 1.0][..], &[1.0, -1.0][..]));
    }
}
