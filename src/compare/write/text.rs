//! Aligned tables for a terminal.

use super::{Class, Comparison, Look, groups};

pub(super) fn write(found: &Comparison, look: Look) -> String {
    let mut text = String::new();
    for group in groups(found.shown(look)) {
        text.push_str(&format!("{}\n", clean(&group.heading())));
        let lines: Vec<Vec<String>> =
            group.cells().into_iter().map(|line| line.iter().map(|c| clean(c)).collect()).collect();
        let columns = lines[0].len();
        let width = |k: usize| lines.iter().map(|l| l[k].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (i, line) in lines.iter().enumerate() {
            let cells: Vec<String> = line.iter().zip(&widths).map(|(c, w)| format!("{c:w$}")).collect();
            let mut out = cells.join("  ").trim_end().to_string();
            if let Some(row) = i.checked_sub(1).and_then(|i| group.rows.get(i)) {
                // The class is the first cell, and keeps its width.
                let (class, rest) = out.split_at(widths[0].min(out.len()));
                out = format!("{}{rest}", painted(class, row.class, look.colour));
            }
            text.push_str(&format!("  {out}\n"));
        }
        text.push('\n');
    }
    if let Some(left) = found.left_out(look) {
        text.push_str(&format!("... {left}\n\n"));
    }
    let times = found.times(look.all);
    times.iter().for_each(|line| text.push_str(&format!("{}\n", clean(line))));
    if !times.is_empty() {
        text.push('\n');
    }
    found.notes.iter().for_each(|note| text.push_str(&format!("note: {}\n", clean(note))));
    if let Some(judged) = found.judged() {
        text.push_str(&format!("{judged}\n"));
    }
    text.push_str(&format!("{}; {}\n", found.summary(), found.verdict()));
    text
}

/// One line, whatever a cell holds: no control character reaches a terminal.
fn clean(cell: &str) -> String {
    cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Red is worse, green is better.
fn painted(word: &str, class: Class, colour: bool) -> String {
    let code = match class {
        Class::Regression | Class::Missing | Class::Timing => 31,
        Class::Changed => 33,
        Class::Improvement => 32,
        Class::New => 36,
    };
    if colour { format!("\u{1b}[{code}m{word}\u{1b}[0m") } else { word.into() }
}
