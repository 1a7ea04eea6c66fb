//! Tables for a pull request or a job's summary.

use super::{Comparison, Look, groups};

pub(super) fn write(found: &Comparison, look: Look) -> String {
    let mut text = format!("### Results against {}\n\n", cell(&found.baseline));
    text.push_str(&format!("**{}**; {}\n\n", found.summary(), found.verdict()));
    for group in groups(found.shown(look)) {
        text.push_str(&format!("{}\n\n", cell(&group.heading())));
        for (i, line) in group.cells().iter().enumerate() {
            let cells: Vec<String> = line.iter().map(|c| cell(c)).collect();
            text.push_str(&format!("| {} |\n", cells.join(" | ")));
            if i == 0 {
                text.push_str(&format!("|{}\n", "---|".repeat(line.len())));
            }
        }
        text.push('\n');
    }
    let times = found.times(look.all);
    let lines = found.left_out(look).into_iter().chain(times).chain(found.judged());
    let notes = found.notes.iter().map(|n| format!("note: {n}"));
    let lines: Vec<String> = lines.chain(notes).map(|line| format!("- {}\n", cell(&line))).collect();
    if !lines.is_empty() {
        text.push_str(&lines.concat());
        text.push('\n');
    }
    text
}

/// Text that means itself.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c if c.is_control() => out.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '@' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}
