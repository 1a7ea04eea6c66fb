//! Text in HTML, SVG and XML: nothing in it may be read as anything but text.

/// Text for elements and for quoted attributes; `control` writes what stands for a control character.
pub(crate) fn escaped(text: &str, control: impl Fn(char, &mut String)) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => control(c, &mut out),
            c => out.push(c),
        }
    }
    out
}
