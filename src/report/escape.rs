//! Text of files in other languages: nothing that a file holds may be read as anything but text.

use crate::markup;

/// For HTML and SVG, in text and in quoted attributes.
pub(super) fn html(text: &str) -> String {
    markup::escaped(text, |c, out| out.push(if matches!(c, '\n' | '\t') { c } else { ' ' }))
}

/// A file within a `<script>` of another type. `page.js` undoes it, to the same bytes: HTML would end the element
/// at `</script`, read on after `<!--`, and take carriage returns and zeros for something else.
pub(super) fn script(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '<' => out.push_str("\\l"),
            '\r' => out.push_str("\\r"),
            '\0' => out.push_str("\\0"),
            c => out.push(c),
        }
    }
    out
}

/// JSON within a `<script>`.
pub(super) fn json(value: &serde_json::Value) -> String {
    value.to_string().replace('<', "\\u003c")
}

/// A name as an id and as the target of a link. Different names have different ids.
pub(super) fn id(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => out.push(char::from(byte)),
            other => out.push_str(&format!("_{other:02x}")),
        }
    }
    out
}

/// For a cell of a Markdown table, or a line of text in it.
pub(super) fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' => {
                out.push('\\');
                out.push(c);
            }
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// For LaTeX's text, as pdflatex sets it without packages.
pub(super) fn latex(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\textbackslash{}"),
            '{' | '}' | '$' | '&' | '#' | '%' | '_' => {
                out.push('\\');
                out.push(c);
            }
            '^' => out.push_str("\\textasciicircum{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '<' | '>' | '|' => out.push_str(&format!("\\ensuremath{{{c}}}")),
            '"' => out.push_str("{\\char34}"),
            '`' => out.push_str("{\\char96}"),
            // Two of them would be joined to a dash.
            '-' if out.ends_with('-') => out.push_str("{}-"),
            c if c.is_control() => out.push(' '),
            c if c.is_ascii() || ('\u{c0}'..='\u{ff}').contains(&c) => out.push(c),
            c => out.push_str(&beyond(c)),
        }
    }
    out
}

/// What pdflatex has no letter for: a command, or the number of the character.
fn beyond(c: char) -> String {
    const KNOWN: &[(char, &str)] = &[
        ('α', "\\alpha"),
        ('β', "\\beta"),
        ('γ', "\\gamma"),
        ('δ', "\\delta"),
        ('ε', "\\varepsilon"),
        ('η', "\\eta"),
        ('κ', "\\kappa"),
        ('λ', "\\lambda"),
        ('μ', "\\mu"),
        ('ρ', "\\rho"),
        ('σ', "\\sigma"),
        ('τ', "\\tau"),
        ('χ', "\\chi"),
        ('−', "-"),
        ('×', "\\times"),
        ('·', "\\cdot"),
        ('±', "\\pm"),
        ('≤', "\\le"),
        ('≥', "\\ge"),
        ('∞', "\\infty"),
        ('²', "^2"),
        ('³', "^3"),
    ];
    match (c, KNOWN.iter().find(|(known, _)| *known == c)) {
        (_, Some((_, command))) => format!("\\ensuremath{{{command}}}"),
        ('–', _) => "--".into(),
        ('—', _) => "---".into(),
        ('’', _) => "'".into(),
        ('\u{a0}', _) => "~".into(),
        _ => format!("[U+{:04X}]", u32::from(c)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_names_stays_text() {
        let name = "<script>alert('1')</script> & \"x\"";
        assert_eq!(html(name), "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;x&quot;");
        assert!(!script(name).contains('<') && !json(&name.into()).contains('<'));
        assert_eq!(markdown("a|b `c` <d>_e"), "a\\|b \\`c\\` &lt;d&gt;\\_e");
    }

    #[test]
    fn a_table_in_a_script_can_be_read_back() {
        let text = "a,\"<!-- </script>\\l\"\r\n\\\\0\0\n";
        let (mut back, hidden) = (String::new(), script(text));
        let mut chars = hidden.chars();
        while let Some(c) = chars.next() {
            back.push(match c {
                '\\' => match chars.next() {
                    Some('l') => '<',
                    Some('r') => '\r',
                    Some('0') => '\0',
                    Some(c) => c,
                    None => panic!("a lone backslash"),
                },
                c => c,
            });
        }
        assert_eq!(back, text);
        assert!(!hidden.contains(['<', '\r', '\0']));
    }

    #[test]
    fn ids_of_different_names_differ() {
        let ids: Vec<String> = ["a b", "a_b", "a_20b", "a-b", "ä"].iter().map(|n| id(n)).collect();
        assert_eq!(ids, ["a_20b", "a_5fb", "a_5f20b", "a-b", "_c3_a4"]);
    }

    #[test]
    fn what_latex_would_obey_is_escaped() {
        assert_eq!(
            latex("a_b 50% {x} $1 #2 & ~ ^ \\input"),
            "a\\_b 50\\% \\{x\\} \\$1 \\#2 \\& \\textasciitilde{} \\textasciicircum{} \\textbackslash{}input"
        );
        assert_eq!(latex("x-y --- z, λ, 字"), "x-y -{}-{}- z, \\ensuremath{\\lambda}, [U+5B57]");
    }
}
