//! JUnit XML: a case a table, which says how many rows it has, and one a row that differs.

use super::{Comparison, Difference};
use crate::markup;

pub(super) fn write(found: &Comparison) -> String {
    let failures = found.differences.iter().filter(|d| found.fails(d.class)).count();
    let tests = found.tables.len() + found.differences.len();
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let totals = format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\"");
    text.push_str(&format!("<testsuites name=\"scorebench compare\" {totals}>\n"));
    text.push_str(&format!(
        "  <testsuite name=\"{}\" {totals}>\n",
        escaped(&format!("against {}", found.baseline))
    ));
    for table in &found.tables {
        let (class, name) = (table.kind.name(), escaped(&format!("{}: {} rows", table.file, table.rows)));
        text.push_str(&format!("    <testcase classname=\"{class}\" name=\"{name}\"/>\n"));
    }
    found.differences.iter().for_each(|d| text.push_str(&case(found, d)));
    text.push_str(&format!("    <system-out>{}</system-out>\n", escaped(&found.summary())));
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

fn case(found: &Comparison, d: &Difference) -> String {
    let key: Vec<&str> = d.key.iter().map(|(_, v)| v.as_str()).filter(|v| !v.is_empty()).collect();
    let column = if d.column.is_empty() { String::new() } else { format!(" {}", d.column) };
    let name = escaped(&format!("{}{column}", key.join(" ")));
    let numbers = if d.before == d.after { String::new() } else { format!("{} -> {}: ", d.before, d.after) };
    let said = escaped(&format!("{numbers}{}", d.reason));
    let place = escaped(&format!("{}:{}", d.file, d.line));
    let class = d.class.name();
    let body = if found.fails(d.class) {
        format!("<failure type=\"{class}\" message=\"{said}\">{place}</failure>")
    } else {
        format!("<system-out>{class}: {said} ({place})</system-out>")
    };
    format!("    <testcase classname=\"{}\" name=\"{name}\">{body}</testcase>\n", d.table.name())
}

/// What XML 1.0 cannot hold at all becomes U+FFFD; what attributes would make spaces of is kept.
fn escaped(text: &str) -> String {
    let text = text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}");
    markup::escaped(&text, |c, out| match c {
        '\n' | '\r' | '\t' => out.push_str(&format!("&#{};", c as u32)),
        c if (c as u32) < 0x20 => out.push('\u{fffd}'),
        c => out.push(c),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_well_formed() {
        assert_eq!(
            escaped("<a b=\"c\">&'\u{1}\n\u{7f}"),
            "&lt;a b=&quot;c&quot;&gt;&amp;&#39;\u{fffd}&#10;\u{7f}"
        );
    }
}
