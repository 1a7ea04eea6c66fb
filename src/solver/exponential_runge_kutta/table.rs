//! Tables of exponential Runge-Kutta methods: nodes `c_i` and weights `a_ij(z)`, `b_i(z)`.

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::weight::{Value, Weight, evaluate};
use crate::error::{BadInput, Result};

/// An explicit table, ready for use: `Y_i = e^{c_i z} y + h sum_j a_ij(z) N_j`, and `b` for `c = 1`
/// (Hochbruck & Ostermann 2005, eq. 1.2).
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Nodes, in units of the step; the first is 0.
    pub c: Vec<f64>,
    /// Weights of the stages, row `i` with `i` entries.
    pub a: Vec<Vec<Weight>>,
    /// Weights of the step, one a stage.
    pub b: Vec<Weight>,
}

/// A table as it is written: nodes and entries in the syntax of [`Weight`], zeros at the end of a row left out.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a, S, R> {
    /// Nodes, each a number.
    pub c: &'a [S],
    /// Names for what occurs more than once, in terms of the nodes.
    pub define: &'a [(&'a str, &'a str)],
    /// Rows of stages.
    pub a: &'a [R],
    /// The row of the step.
    pub b: &'a [S],
}

impl<S: AsRef<str>, R: AsRef<[S]>> Written<'_, S, R> {
    /// Reads the table; `given` are the values of free nodes by name.
    ///
    /// # Errors
    /// Names the entry that cannot be read, or the shape that is not that of an explicit table.
    pub fn read(&self, given: &[(&str, f64)]) -> Result<Table> {
        let mut names: Vec<(String, Value)> =
            given.iter().map(|(name, x)| (name.to_string(), Value::Number(*x))).collect();
        let c = self.nodes(&mut names)?;
        for (name, text) in self.define {
            let value = look_up(text, &names).map_err(|why| bad(name, text, why))?;
            names.push((name.to_string(), value));
        }
        let count = "give one row a stage, the first of them []";
        if self.a.len() != c.len() {
            let why = format!("has {} rows for {} nodes", self.a.len(), c.len());
            return Err(BadInput::about("a", why, count));
        }
        let mut a = Vec::new();
        for (i, row) in self.a.iter().enumerate() {
            let key = |j: usize| format!("a[{i}][{j}]");
            let weights = row_of(row.as_ref(), c[i], i, &key, &names)?;
            for (j, weight) in weights.iter().enumerate() {
                names.push((format!("a{}{}", i + 1, j + 1), Value::Weight(weight.clone())));
            }
            a.push(weights);
        }
        let b = row_of(self.b, 1.0, c.len(), &|j| format!("b[{j}]"), &names)?;
        Ok(Table { c, a, b })
    }

    /// Nodes, entered under their names.
    fn nodes(&self, names: &mut Vec<(String, Value)>) -> Result<Vec<f64>> {
        let mut c = Vec::new();
        for (i, text) in self.c.iter().enumerate() {
            let (key, text) = (format!("c[{i}]"), text.as_ref());
            let value = match look_up(text, names).map_err(|why| bad(&key, text, why))? {
                Value::Number(x) => x,
                _ => return Err(bad(&key, text, "is not a number".into())),
            };
            if !(0.0..=1.0).contains(&value) {
                return Err(BadInput::new(&key, text, "lies outside the step", "give nodes from 0 to 1"));
            }
            names.push((format!("c{}", i + 1), Value::Number(value)));
            c.push(value);
        }
        match c.first() {
            Some(0.0) => Ok(c),
            Some(first) => Err(BadInput::new(
                "c",
                first,
                "is a first node other than 0, and the table would not be explicit",
                "begin with 0",
            )),
            None => Err(BadInput::about("c", "is empty", "give at least the node 0")),
        }
    }
}

/// One row, its `rest` made out, padded to `len` with zeros.
fn row_of<S: AsRef<str>>(
    row: &[S],
    c: f64,
    len: usize,
    key: &dyn Fn(usize) -> String,
    names: &[(String, Value)],
) -> Result<Vec<Weight>> {
    if row.len() > len {
        let why = format!("is one entry too many: the row can use {len} stages");
        return Err(BadInput::new(&key(len), row[len].as_ref(), why, "the table must be explicit"));
    }
    let mut weights = vec![Weight::default(); len];
    let mut rest = None;
    for (j, text) in row.iter().map(|text| text.as_ref().trim()).enumerate() {
        if text == "rest" {
            rest = Some(j);
            continue;
        }
        let value = look_up(text, names).and_then(Value::weight);
        weights[j] = value.map_err(|why| bad(&key(j), text, why))?;
        if !weights[j].is_finite() {
            return Err(bad(&key(j), text, "divides by 0 for these nodes".into()));
        }
    }
    if let Some(j) = rest {
        let whole = Weight::phi(c, 1, c);
        weights[j] = weights.iter().fold(whole, |left, weight| left.plus(-1.0, weight));
    }
    Ok(weights)
}

fn look_up(text: &str, names: &[(String, Value)]) -> std::result::Result<Value, String> {
    evaluate(text, &|name| names.iter().rev().find(|(known, _)| known == name).map(|(_, v)| v.clone()))
}

fn bad(key: &str, text: &str, why: String) -> BadInput {
    BadInput::new(key, text, why, "write sums of numbers times phi1(c2 z), such as \"phi1/2 - phi2(c2 z)\"")
}

/// A table by its name, or written out.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// One of [`super::named::TABLES`].
    Named(String),
    /// `{ c = [...], a = [[...], ...], b = [...], order = p }`.
    Inline(Inline),
}

/// A table written out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inline {
    /// Nodes.
    pub c: Vec<Entry>,
    /// Rows of the stages, the first of them empty.
    pub a: Vec<Vec<Entry>>,
    /// Row of the step.
    pub b: Vec<Entry>,
    /// Order of convergence claimed.
    pub order: u32,
}

/// One entry: a number, or a weight in the syntax of [`Weight`].
#[derive(Clone, Debug, PartialEq)]
pub struct Entry(pub String);

impl AsRef<str> for Entry {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Inline {
    /// Reads it.
    ///
    /// # Errors
    /// As [`Written::read`].
    pub fn read(&self) -> Result<Table> {
        Written { c: &self.c, define: &[], a: &self.a, b: &self.b }.read(&[])
    }
}

impl Serialize for Choice {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Choice::Named(name) => serializer.serialize_str(name),
            Choice::Inline(table) => table.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Choice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct NameOrTable;
        impl<'de> Visitor<'de> for NameOrTable {
            type Value = Choice;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the name of a table, or { c = [...], a = [[...], ...], b = [...], order = p }")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> std::result::Result<Choice, E> {
                Ok(Choice::Named(name.into()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<Choice, A::Error> {
                Inline::deserialize(de::value::MapAccessDeserializer::new(map)).map(Choice::Inline)
            }
        }
        deserializer.deserialize_any(NameOrTable)
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Entry;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number, or a string such as \"phi1(c2 z)/2 - phi2(z)\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<Entry, E> {
                Ok(Entry(text.into()))
            }
            fn visit_f64<E: de::Error>(self, x: f64) -> std::result::Result<Entry, E> {
                Ok(Entry(format!("{x}")))
            }
            fn visit_i64<E: de::Error>(self, x: i64) -> std::result::Result<Entry, E> {
                Ok(Entry(format!("{x}")))
            }
        }
        deserializer.deserialize_any(Any)
    }
}
