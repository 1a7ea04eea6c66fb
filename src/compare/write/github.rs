//! Workflow commands of GitHub Actions.

use super::{Class, Comparison, Difference, Look, in_tree, short};

pub(super) fn write(found: &Comparison, look: Look) -> String {
    let mut text: String = found.shown(look).iter().map(|d| annotation(found, d)).collect();
    if let Some(left) = found.left_out(look) {
        text.push_str(&format!("::notice::{}\n", message(&left)));
    }
    let level = if found.failed() { "error" } else { "notice" };
    text.push_str(&format!("::{level}::{}\n", message(&format!("{}; {}", found.summary(), found.verdict()))));
    text
}

fn annotation(found: &Comparison, d: &Difference) -> String {
    let level = match d.class {
        class if found.fails(class) => "error",
        Class::New | Class::Improvement => "notice",
        _ => "warning",
    };
    let key: Vec<String> =
        d.key.iter().filter(|(_, v)| !v.is_empty()).map(|(n, v)| format!("{n} {v}")).collect();
    let (before, after) = short(&d.before, &d.after);
    let numbers =
        if before.is_empty() && after.is_empty() { String::new() } else { format!(": {before} -> {after}") };
    let said = format!("{}{numbers}, {}\n{}", d.column, d.reason, key.join(", "));
    let title = format!("{} in {}", d.class.name(), d.table.file());
    let (file, line) = (property(&in_tree(&d.file)), d.line);
    format!(
        "::{level} file={file},line={line},title={}::{}\n",
        property(&title),
        message(said.trim_start_matches(", "))
    )
}

/// What stands after `::`.
fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// What stands before it, where commas and colons have a meaning too.
fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_message_ends_it_or_adds_a_property() {
        assert_eq!(message("5 %\r\nx: y, z"), "5 %25%0D%0Ax: y, z");
        assert_eq!(property("a,b:c%2C\n"), "a%2Cb%3Ac%252C%0A");
    }
}
