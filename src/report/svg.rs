//! SVG files as parts of a page: ids of their own, and nothing in them but shapes and text.
//!
//! Within a page, an id or a style of one picture would reach into all others, and a script in a file would run.
//! So a picture is taken apart, and only what is known to be harmless is put together again.

use std::fmt::Write;

use super::escape;
use crate::error::{BadInput, Result};

/// A picture that may stand in a page beside others.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Picture {
    /// Width and height in pixels, at full size.
    pub size: (f64, f64),
    /// Attributes of the `<svg>`.
    attributes: String,
    /// All that is in it, with [`PREFIX`] before every id.
    body: String,
}

/// Stands where the prefix of ids goes: a character that escaped text does not have.
const PREFIX: char = '\u{1}';

const ELEMENTS: &[&str] = &[
    "circle",
    "clipPath",
    "defs",
    "desc",
    "ellipse",
    "g",
    "line",
    "linearGradient",
    "path",
    "polygon",
    "polyline",
    "radialGradient",
    "rect",
    "stop",
    "symbol",
    "text",
    "title",
    "tspan",
    "use",
];
const ATTRIBUTES: &[&str] = &[
    "clip-path",
    "clip-rule",
    "clipPathUnits",
    "cx",
    "cy",
    "d",
    "dominant-baseline",
    "dx",
    "dy",
    "fill",
    "fill-opacity",
    "fill-rule",
    "font-family",
    "font-size",
    "font-style",
    "font-weight",
    "fx",
    "fy",
    "gradientTransform",
    "gradientUnits",
    "height",
    "letter-spacing",
    "offset",
    "opacity",
    "points",
    "r",
    "rx",
    "ry",
    "stop-color",
    "stop-opacity",
    "stroke",
    "stroke-dasharray",
    "stroke-dashoffset",
    "stroke-linecap",
    "stroke-linejoin",
    "stroke-miterlimit",
    "stroke-opacity",
    "stroke-width",
    "text-anchor",
    "transform",
    "viewBox",
    "width",
    "x",
    "x1",
    "x2",
    "y",
    "y1",
    "y2",
];

impl Picture {
    /// Takes an SVG file apart; what is neither shape nor text is left out.
    ///
    /// # Errors
    /// The text is not SVG.
    pub fn read(text: &str) -> Result<Self> {
        let bad = |why: String| BadInput::about("", format!("is no SVG: {why}"), "run the experiment again");
        Reader { rest: text }.picture().map_err(bad)
    }

    /// The picture with `prefix` before its ids, called `title`.
    pub fn inline(&self, prefix: &str, title: &str) -> String {
        let (w, h) = self.size;
        let title = escape::html(title);
        format!(
            "<svg{} width=\"{w}\" height=\"{h}\" role=\"img\" aria-labelledby=\"{prefix}title\">\
             <title id=\"{prefix}title\">{title}</title>{}</svg>",
            self.attributes.replace(PREFIX, prefix),
            self.body.replace(PREFIX, prefix)
        )
    }
}

struct Reader<'a> {
    rest: &'a str,
}

/// A tag, without its brackets.
struct Tag<'a> {
    name: &'a str,
    attributes: Vec<(&'a str, String)>,
    closed: bool,
}

type Found<T> = std::result::Result<T, String>;

impl<'a> Reader<'a> {
    fn picture(mut self) -> Found<Picture> {
        let root = loop {
            match self.next_tag(&mut String::new())? {
                Some(text) if !text.starts_with(['?', '!']) => break Tag::parse(text)?,
                Some(_) => {}
                None => return Err("nothing is in it".into()),
            }
        };
        if root.name != "svg" || root.closed {
            return Err(format!("it begins with <{}>", root.name));
        }
        let number = |key: &str| {
            let value =
                root.attributes.iter().find(|(k, _)| *k == key).map(|(_, v)| v.trim_end_matches("px"));
            value.and_then(|v| v.parse::<f64>().ok()).filter(|x| x.is_finite() && *x > 0.0)
        };
        let (Some(width), Some(height)) = (number("width"), number("height")) else {
            return Err("it has no width and height in pixels".into());
        };
        let mut attributes = String::new();
        if !root.attributes.iter().any(|(key, _)| *key == "viewBox") {
            let _ = write!(attributes, " viewBox=\"0 0 {width} {height}\"");
        }
        let kept = root.attributes.iter().filter(|(key, _)| *key != "width" && *key != "height");
        kept.for_each(|(key, value)| put(&mut attributes, key, value));
        Ok(Picture { size: (width, height), attributes, body: self.body()? })
    }

    /// All up to the `</svg>`.
    fn body(&mut self) -> Found<String> {
        let (mut out, mut open) = (String::new(), vec!["svg"]);
        // How many of the open elements are left out with all they hold, from the outermost such on.
        let mut dropped_from: Option<usize> = None;
        loop {
            let mut text = String::new();
            let Some(tag) = self.next_tag(&mut text)? else { return Err("it ends too early".into()) };
            let words = open.last().is_some_and(|n| ["text", "tspan", "title", "desc"].contains(n));
            if dropped_from.is_none() && words {
                out.push_str(&escape::html(&text));
            }
            if tag.starts_with(['?', '!']) {
                continue;
            }
            if let Some(name) = tag.strip_prefix('/') {
                let name = name.trim();
                if open.pop() != Some(name) {
                    return Err(format!("</{name}> closes nothing"));
                }
                if open.is_empty() {
                    return Ok(out);
                }
                match dropped_from {
                    Some(depth) if depth == open.len() => dropped_from = None,
                    Some(_) => {}
                    None => out.push_str(&format!("</{name}>")),
                }
                continue;
            }
            let tag = Tag::parse(tag)?;
            // The picture is given another title.
            let named = tag.name == "title" && open.len() == 1;
            if dropped_from.is_none() && (!ELEMENTS.contains(&tag.name) || named) {
                dropped_from = (!tag.closed).then_some(open.len());
            } else if dropped_from.is_none() {
                out.push('<');
                out.push_str(tag.name);
                tag.attributes.iter().for_each(|(key, value)| put(&mut out, key, value));
                out.push_str(if tag.closed { "/>" } else { ">" });
            }
            if !tag.closed {
                open.push(tag.name);
            }
        }
    }

    /// The next tag, and the text before it.
    fn next_tag(&mut self, before: &mut String) -> Found<Option<&'a str>> {
        let Some(from) = self.rest.find('<') else { return Ok(None) };
        *before = unescape(&self.rest[..from])?;
        let rest = &self.rest[from..];
        for (start, end) in [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")] {
            if rest.starts_with(start) {
                let to = rest.find(end).ok_or(format!("{start} is not closed"))?;
                self.rest = &rest[to + end.len()..];
                return Ok(Some("!"));
            }
        }
        // A bracket within quotes closes nothing.
        let mut quote = None;
        for (i, c) in rest.char_indices() {
            match (c, quote) {
                ('"' | '\'', None) => quote = Some(c),
                (c, Some(q)) if c == q => quote = None,
                ('>', None) => {
                    self.rest = &rest[i + 1..];
                    return Ok(Some(&rest[1..i]));
                }
                _ => {}
            }
        }
        Err("a tag is not closed".into())
    }
}

impl<'a> Tag<'a> {
    fn parse(text: &'a str) -> Found<Self> {
        let (text, closed) = text.strip_suffix('/').map_or((text, false), |t| (t, true));
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (name, mut rest) = (&text[..end], text[end..].trim());
        let mut attributes = Vec::new();
        while !rest.is_empty() {
            let broken = || format!("<{name}> has a broken attribute");
            let (key, after) = rest.split_once('=').ok_or_else(broken)?;
            let after = after.trim_start();
            let quote = after.chars().next().filter(|c| *c == '"' || *c == '\'').ok_or_else(broken)?;
            let (value, after) = after[1..].split_once(quote).ok_or_else(broken)?;
            attributes.push((key.trim(), unescape(value)?));
            rest = after.trim();
        }
        Ok(Tag { name, attributes, closed })
    }
}

/// Writes an attribute if it is known and does not reach out of the picture.
fn put(out: &mut String, key: &str, value: &str) {
    let local = |v: &str| v.strip_prefix('#').map(|id| format!("#{PREFIX}{}", escape::id(id)));
    let value = match key {
        "id" => Some(format!("{PREFIX}{}", escape::id(value))),
        "href" | "xlink:href" => local(value),
        // What belongs to a series, as figures mark it; other classes would be those of the page.
        "class" => {
            let ours = |c: &&str| c.strip_prefix('s').is_some_and(|k| k.bytes().all(|b| b.is_ascii_digit()));
            Some(value.split_whitespace().filter(ours).collect::<Vec<_>>().join(" "))
                .filter(|v| !v.is_empty())
        }
        _ if !ATTRIBUTES.contains(&key) => None,
        _ if value.contains("url") => {
            let inner = value.strip_prefix("url(").and_then(|v| v.strip_suffix(')'));
            inner.and_then(local).map(|v| format!("url({v})"))
        }
        _ => Some(value.to_string()),
    };
    if let Some(value) = value {
        let key = if key == "xlink:href" { "href" } else { key };
        // The prefix is not text.
        let parts: Vec<String> = value.split(PREFIX).map(escape::html).collect();
        let _ = write!(out, " {key}=\"{}\"", parts.join(&PREFIX.to_string()));
    }
}

fn unescape(text: &str) -> Found<String> {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let (entity, after) = after.split_once(';').ok_or("an & is not escaped")?;
        let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
        let c = match entity {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => match (entity.strip_prefix("#x"), entity.strip_prefix('#')) {
                (Some(hex), _) => number(hex, 16),
                (_, Some(digits)) => number(digits, 10),
                _ => None,
            },
        };
        out.push(c.ok_or(format!("&{entity}; is not known"))?);
        rest = after;
    }
    out.push_str(rest);
    // No text may look like a prefix.
    Ok(out.replace(PREFIX, " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "<svg xmlns='http://www.w3.org/2000/svg' width='10' height='5px'>";

    fn inlined(body: &str) -> String {
        let picture = Picture::read(&format!("<?xml version='1.0'?><!-- x > y -->\n{HEAD}{body}</svg>\n"));
        picture.expect("an SVG").inline("a-", "name")
    }

    #[test]
    fn shapes_and_text_stay_and_ids_are_the_pictures_own() {
        let body = "<title>old</title><defs><clipPath id=\"c\"><rect width=\"3\" height=\"4\"/></clipPath></defs>\
                    <g class=\"s s0 page\" clip-path=\"url(#c)\"><title>a &lt;b&gt;</title><use href=\"#c\"/></g>";
        assert_eq!(
            inlined(body),
            "<svg viewBox=\"0 0 10 5\" width=\"10\" height=\"5\" role=\"img\" aria-labelledby=\"a-title\">\
             <title id=\"a-title\">name</title><defs><clipPath id=\"a-c\"><rect width=\"3\" height=\"4\"/></clipPath></defs>\
             <g class=\"s s0\" clip-path=\"url(#a-c)\"><title>a &lt;b&gt;</title><use href=\"#a-c\"/></g></svg>"
        );
    }

    #[test]
    fn what_could_run_or_call_out_is_left_out() {
        let body = "<script>alert(1)</script><style>a{}</style><foreignObject><g><text>x</text></g></foreignObject>\
                    <g onclick=\"alert(1)\" style=\"fill:red\" fill=\"url(http://a.b/#c)\"><image href=\"http://a.b\"/>\
                    <use href=\"http://a.b/#c\"/><a href=\"javascript:alert(1)\"><text>y</text></a></g>";
        let out = inlined(body);
        assert!(out.ends_with("</title><g><use/></g></svg>"), "{out}");
    }

    #[test]
    fn what_is_no_svg_is_refused() {
        for text in ["", "hello", "<html></html>", "<svg>", "<svg width='1'></svg>"] {
            assert!(Picture::read(text).is_err(), "{text}");
        }
        for body in ["<g>", "</g>", "<g></path>", "<path d=x/>", "<text>&nbsp;</text>", "<path d=\"M0 0"] {
            assert!(Picture::read(&format!("{HEAD}{body}</svg>")).is_err(), "{body}");
        }
    }
}
