//! Weights of exponential integrators, `sum of c phi_k(r z)`, and how they are written.

use std::fmt;

use crate::math::{factorial, phi};

/// A linear combination of phi-functions: the weight `a_ij(z)` or `b_i(z)` of a table.
///
/// Written as in the papers: `phi1(c2 z)/2 - phi2(z)`. There are numbers, `phi0` to `phi9` of a multiple of `z` (`phi2`
/// alone is `phi2(z)`), the nodes `c1`, `c2`, ..., earlier entries `a32`, `+ - * / ^` and parentheses; a product needs no
/// sign. `rest`, in place of an entry, is what makes its row sum to `c_i phi1(c_i z)`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weight(Vec<Term>);

/// `scale phi_k(r z)`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Term {
    scale: f64,
    k: u32,
    r: f64,
}

impl Weight {
    /// `scale phi_k(r z)`.
    pub fn phi(scale: f64, k: u32, r: f64) -> Self {
        Weight(vec![Term { scale, k, r }])
    }

    /// Its value at `z`.
    pub fn at(&self, z: f64) -> f64 {
        self.0.iter().map(|term| term.scale * phi(term.k, term.r * z)).sum()
    }

    /// The coefficient of `z^m` in its power series.
    pub fn taylor(&self, m: u32) -> f64 {
        self.0.iter().map(|term| term.scale * term.r.powi(m as i32) / factorial(m + term.k)).sum()
    }

    /// Whether it is 0 for every `z`, as written.
    pub fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every number in it is finite.
    pub fn is_finite(&self) -> bool {
        self.0.iter().all(|term| term.scale.is_finite() && term.r.is_finite())
    }

    /// `self + factor other`, like terms collected.
    pub fn plus(mut self, factor: f64, other: &Weight) -> Self {
        for term in &other.0 {
            let same = self.0.iter_mut().find(|have| (have.k, have.r) == (term.k, term.r));
            match same {
                Some(have) => have.scale += factor * term.scale,
                None => self.0.push(Term { scale: factor * term.scale, ..*term }),
            }
        }
        self.0.retain(|term| term.scale != 0.0);
        self
    }
}

/// What an expression can be worth.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number.
    Number(f64),
    /// A multiple of `z`: the argument of a phi-function.
    Z(f64),
    /// A combination of phi-functions.
    Weight(Weight),
}

impl Value {
    /// As a weight; a number is itself times `phi_0(0)`.
    pub fn weight(self) -> Result<Weight, String> {
        match self {
            Value::Number(0.0) => Ok(Weight::default()),
            Value::Number(x) => Ok(Weight::phi(x, 0, 0.0)),
            Value::Weight(weight) => Ok(weight),
            Value::Z(_) => Err("has a z outside the argument of a phi-function".into()),
        }
    }

    fn plus(self, sign: f64, other: Value) -> Result<Value, String> {
        Ok(match (self, other) {
            (Value::Number(x), Value::Number(y)) => Value::Number(x + sign * y),
            (Value::Z(x), Value::Z(y)) => Value::Z(x + sign * y),
            (x, y) => Value::Weight(x.weight()?.plus(sign, &y.weight()?)),
        })
    }

    fn times(self, other: Value) -> Result<Value, String> {
        Ok(match (self, other) {
            (Value::Number(x), Value::Number(y)) => Value::Number(x * y),
            (Value::Number(x), Value::Z(y)) | (Value::Z(y), Value::Number(x)) => Value::Z(x * y),
            (Value::Number(x), Value::Weight(y)) | (Value::Weight(y), Value::Number(x)) => {
                Value::Weight(Weight::default().plus(x, &y))
            }
            _ => return Err("multiplies two functions of z: write the product as a sum".into()),
        })
    }

    fn over(self, other: Value) -> Result<Value, String> {
        match other {
            Value::Number(y) => self.times(Value::Number(1.0 / y)),
            _ => Err("divides by a function of z".into()),
        }
    }
}

/// The value of `text`, in which `name` tells what a name such as `c2` means.
///
/// # Errors
/// What is wrong, as a phrase continuing `text`.
pub fn evaluate(text: &str, name: &dyn Fn(&str) -> Option<Value>) -> Result<Value, String> {
    let mut parser = Parser { rest: text.trim_start(), name };
    let value = parser.sum()?;
    if parser.rest.is_empty() { Ok(value) } else { Err(parser.stuck()) }
}

struct Parser<'a> {
    rest: &'a str,
    name: &'a dyn Fn(&str) -> Option<Value>,
}

impl<'a> Parser<'a> {
    fn stuck(&self) -> String {
        let at = if self.rest.is_empty() { "its end".into() } else { format!("{:?}", self.rest) };
        format!("cannot be read at {at}")
    }

    fn skip(&mut self, bytes: usize) -> &'a str {
        let (word, rest) = self.rest.split_at(bytes);
        self.rest = rest.trim_start();
        word
    }

    fn eat(&mut self, sign: char) -> bool {
        let found = self.rest.starts_with(sign);
        if found {
            self.skip(sign.len_utf8());
        }
        found
    }

    /// `product (+|- product)*`
    fn sum(&mut self) -> Result<Value, String> {
        let mut sum = self.product()?;
        loop {
            let sign = match self.rest.chars().next() {
                Some('+') => 1.0,
                Some('-') => -1.0,
                _ => return Ok(sum),
            };
            self.skip(1);
            sum = sum.plus(sign, self.product()?)?;
        }
    }

    /// `[+|-] factor ([*|/] factor)*`
    fn product(&mut self) -> Result<Value, String> {
        let sign = if self.eat('-') { -1.0 } else { 1.0 };
        self.eat('+');
        let mut product = Value::Number(sign).times(self.factor()?)?;
        loop {
            product = if self.eat('/') {
                product.over(self.factor()?)?
            } else if self.eat('*') || self.rest.starts_with(|c: char| c.is_alphanumeric() || c == '(') {
                product.times(self.factor()?)?
            } else {
                return Ok(product);
            };
        }
    }

    /// `atom [^ digit]`
    fn factor(&mut self) -> Result<Value, String> {
        let atom = self.atom()?;
        if !self.eat('^') {
            return Ok(atom);
        }
        let digits = self.rest.chars().take_while(char::is_ascii_digit).count();
        match (atom, self.skip(digits).parse()) {
            (Value::Number(x), Ok(power)) => Ok(Value::Number(x.powi(power))),
            _ => Err("raises something other than a number to a power, or to one that is not whole".into()),
        }
    }

    fn atom(&mut self) -> Result<Value, String> {
        if self.eat('(') {
            let value = self.sum()?;
            return if self.eat(')') { Ok(value) } else { Err(self.stuck()) };
        }
        let number = self.rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').count();
        if number > 0 {
            let stuck = self.stuck();
            return self.skip(number).parse().map(Value::Number).map_err(|_| stuck);
        }
        let stuck = self.stuck();
        let word = self.rest.chars().take_while(char::is_ascii_alphanumeric).count();
        let word = self.skip(word);
        if word == "z" {
            return Ok(Value::Z(1.0));
        }
        if let Some(k) = word.strip_prefix("phi") {
            return self.phi(k);
        }
        (self.name)(word).ok_or(stuck)
    }

    /// What follows `phi`: its index, and `(r z)` unless it is `z` itself.
    fn phi(&mut self, k: &str) -> Result<Value, String> {
        let k = k.parse().ok().filter(|k| *k <= 9);
        let k = k.ok_or("has a phi without an index from 0 to 9")?;
        if !self.eat('(') {
            return Ok(Value::Weight(Weight::phi(1.0, k, 1.0)));
        }
        match self.sum()? {
            _ if !self.eat(')') => Err(self.stuck()),
            Value::Z(r) => Ok(Value::Weight(Weight::phi(1.0, k, r))),
            Value::Number(0.0) => Ok(Value::Number(1.0 / factorial(k))),
            _ => Err("has a phi-function of something other than a multiple of z".into()),
        }
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let write = |term: &Term| format!("{:?} phi{}({:?} z)", term.scale, term.k, term.r);
        let terms: Vec<String> = self.0.iter().map(write).collect();
        f.write_str(if terms.is_empty() { "0" } else { "" })?;
        f.write_str(&terms.join(" + "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Weight, String> {
        let c2 = |name: &str| (name == "c2").then_some(Value::Number(0.25));
        evaluate(text, &c2)?.weight()
    }

    #[test]
    fn an_expression_is_worth_what_it_says() {
        for (text, at) in [
            ("phi1(z)", phi(1, -0.7)),
            ("phi1(c2 z)/2 - phi2(z)", phi(1, -0.175) / 2.0 - phi(2, -0.7)),
            ("-phi2 + 4 phi3", 4.0 * phi(3, -0.7) - phi(2, -0.7)),
            ("1/2 phi0(z/2)", 0.5 * (-0.35f64).exp()),
            ("c2^2/(2 - 3 c2) phi2(2*c2 z)", 0.0625 / 1.25 * phi(2, -0.35)),
            ("2(phi1 - phi1(c2 z)) c2", 0.5 * (phi(1, -0.7) - phi(1, -0.175))),
            ("1/3", 1.0 / 3.0),
            ("0.5 phi2(0 z) - 0", 0.25),
            ("phi1 - phi1", 0.0),
        ] {
            let got = read(text).unwrap().at(-0.7);
            assert!((got - at).abs() < 1e-15, "{text}: {got} for {at}");
        }
        assert!(read("phi1 - phi1(z)").unwrap().is_zero());
    }

    #[test]
    fn what_cannot_be_read_is_said_where() {
        for (text, why) in [
            ("phi1 phi2", "multiplies two functions"),
            ("1/phi1", "divides by a function"),
            ("z phi1", "multiplies two functions"),
            ("phi1(2)", "something other than a multiple of z"),
            ("phi12", "index from 0 to 9"),
            ("phi", "index from 0 to 9"),
            ("phi1(c2 z", "at its end"),
            ("c3 phi1", "at \"c3 phi1\""),
            ("phi1 +", "at its end"),
            ("1..2", "at \"1..2\""),
            ("phi1^2", "power"),
            ("2^-1", "power"),
            ("phi1 \u{3c6}", "at \"\u{3c6}\""),
            ("", "at its end"),
            ("z", "outside the argument"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }

    #[test]
    fn the_power_series_is_that_of_the_value() {
        let weight = read("phi1(c2 z)/2 - 3 phi2 + phi0(z/2)").unwrap();
        let series = (0..25).map(|m| weight.taylor(m) * (-0.7f64).powi(m as i32)).sum::<f64>();
        assert!((series - weight.at(-0.7)).abs() < 1e-15);
    }
}
