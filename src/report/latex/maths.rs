//! Text as people write it, with numbers, powers, indices and Greek letters set as mathematics.

use super::super::escape::latex as escape;

const GREEK: &[&str] =
    &["alpha", "beta", "gamma", "delta", "eps", "eta", "kappa", "lambda", "mu", "xi", "rho", "sigma", "tau"];

/// `1.70e-3`, `h^2`, `e^(-xi^2 t)`, `sigma_t` and `kappa` in running text; all else as it is.
pub(super) fn set(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let (mut out, mut at) = (String::new(), 0);
    let mut plain = String::new();
    while at < chars.len() {
        let starts = at == 0 || !chars[at - 1].is_alphanumeric() || matches!(chars[at], ')' | '|');
        let found = match chars[at] {
            // Of a word.
            '^' => power(&chars[at + 1..]).map(|(raised, length)| (format!("{{}}^{{{raised}}}"), 1 + length)),
            _ if starts => number(&chars[at..]).or_else(|| symbol(&chars[at..])),
            _ => None,
        };
        match found {
            Some((maths, length)) => {
                out.push_str(&escape(&std::mem::take(&mut plain)));
                out.push_str(&format!("\\ensuremath{{{maths}}}"));
                at += length;
            }
            None => {
                plain.push(chars[at]);
                at += 1;
            }
        }
    }
    out.push_str(&escape(&plain));
    out
}

/// A number with an exponent or a sign, and how many characters it has.
fn number(chars: &[char]) -> Option<(String, usize)> {
    let digits = |from: usize| {
        let run = chars[from.min(chars.len())..].iter();
        run.take_while(|c| c.is_ascii_digit() || **c == '.').count()
    };
    let sign = usize::from(chars[0] == '-');
    let whole = digits(sign);
    // A full stop ends the sentence.
    let whole = if whole > 0 && chars[sign + whole - 1] == '.' { whole - 1 } else { whole };
    if whole == 0 {
        return None;
    }
    let end = sign + whole;
    let mantissa: String = chars[..end].iter().collect();
    if chars.get(end) == Some(&'e') {
        let minus = usize::from(chars.get(end + 1) == Some(&'-'));
        let places =
            chars[(end + 1 + minus).min(chars.len())..].iter().take_while(|c| c.is_ascii_digit()).count();
        if places > 0 {
            let length = end + 1 + minus + places;
            let exponent: String = chars[end + 1..length].iter().collect();
            let factor = if mantissa == "1" { String::new() } else { format!("{mantissa}\\cdot") };
            return Some((format!("{factor}10^{{{exponent}}}"), length));
        }
    }
    (sign == 1).then_some((mantissa, end))
}

/// A letter or Greek name with its index and power; a Greek name alone.
fn symbol(chars: &[char]) -> Option<(String, usize)> {
    let mut at = chars.iter().take_while(|c| c.is_ascii_alphabetic()).count();
    let name: String = chars[..at].iter().collect();
    let greek = GREEK.contains(&name.as_str());
    // (|score|^2 and the like.)
    let bar = at == 0 && matches!(chars[0], ')' | '|') && chars.get(1) == Some(&'^');
    if !(greek || at == 1 || bar) {
        return None;
    }
    at += usize::from(bar);
    let mut maths = if bar { chars[0].to_string() } else { letter(&name) };
    let plain = maths.len();
    if chars.get(at) == Some(&'_') {
        let index: String = chars[at + 1..].iter().take_while(|c| c.is_ascii_alphanumeric()).collect();
        // Longer ones are words.
        if !(1..=2).contains(&index.len()) {
            return None;
        }
        maths.push_str(&format!("_{{{index}}}"));
        at += 1 + index.len();
    }
    if chars.get(at) == Some(&'^') {
        let (power, length) = power(&chars[at + 1..])?;
        maths.push_str(&format!("^{{{power}}}"));
        at += 1 + length;
    }
    let word = chars.get(at).is_some_and(|c| c.is_alphanumeric() || *c == '_');
    ((greek || maths.len() > plain) && !word).then_some((maths, at))
}

/// What is raised: in parentheses, or a number or letter with its sign.
fn power(chars: &[char]) -> Option<(String, usize)> {
    if chars.first() == Some(&'(') {
        let close = chars.iter().position(|c| *c == ')')?;
        let inside: String = chars[1..close].iter().collect();
        let words: Vec<String> = inside.split(' ').map(raised).collect();
        return Some((words.join(" "), close + 1));
    }
    let minus = usize::from(chars.first() == Some(&'-'));
    let mut run = chars[minus..].iter().take_while(|c| c.is_ascii_alphanumeric() || **c == '.').count();
    // A full stop ends the sentence.
    while run > 0 && chars[minus + run - 1] == '.' {
        run -= 1;
    }
    (run > 0).then(|| (chars[..minus + run].iter().collect(), minus + run))
}

/// A factor in an exponent.
fn raised(word: &str) -> String {
    let (sign, rest) = word.strip_prefix('-').map_or(("", word), |rest| ("-", rest));
    let (base, power) = rest.split_once('^').map_or((rest, String::new()), |(b, p)| (b, format!("^{{{p}}}")));
    let kept: String = base.chars().filter(|c| c.is_ascii_alphanumeric() || "/.+-".contains(*c)).collect();
    format!("{sign}{}{power}", letter(&kept))
}

fn letter(name: &str) -> String {
    match name {
        "eps" => "\\varepsilon".into(),
        greek if GREEK.contains(&greek) => format!("\\{greek}"),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::set;

    #[test]
    fn numbers_are_set_as_powers_of_ten() {
        assert_eq!(
            set("W2 (1.25e-5), 3e4."),
            "W2 (\\ensuremath{1.25\\cdot10^{-5}}), \\ensuremath{3\\cdot10^{4}}."
        );
        assert_eq!(set("1e-10"), "\\ensuremath{10^{-10}}");
        assert_eq!(set("from -2.50 to 7."), "from \\ensuremath{-2.50} to 7.");
        assert_eq!(set("e2e x-1 2-3 DPM-2"), "e2e x-1 2-3 DPM-2");
    }

    #[test]
    fn powers_indices_and_greek_names_are_mathematics() {
        assert_eq!(set("h^2, x_t"), "\\ensuremath{h^{2}}, \\ensuremath{x_{t}}");
        assert_eq!(set("sigma_t^2 by lambda"), "\\ensuremath{\\sigma_{t}^{2}} by \\ensuremath{\\lambda}");
        assert_eq!(set("e^(-xi^2 t/2)"), "\\ensuremath{e^{-\\xi^{2} t/2}}");
        assert_eq!(set("N^-1 h^(3/2)"), "\\ensuremath{N^{-1}} \\ensuremath{h^{3/2}}");
        assert_eq!(set("updates^-0.99, R^3."), "updates\\ensuremath{{}^{-0.99}}, \\ensuremath{R^{3}}.");
        assert_eq!(set("(x/alpha)^2"), "(x/\\ensuremath{\\alpha}\\ensuremath{)^{2}}");
    }

    #[test]
    fn words_with_underscores_and_odd_signs_stay_text() {
        assert_eq!(
            set("noise_sampler a_long ^ _ x^"),
            "noise\\_sampler a\\_long \\textasciicircum{} \\_ x\\textasciicircum{}"
        );
        assert_eq!(set("alphabet I a"), "alphabet I a");
        assert_eq!(set("e^(open"), "e\\textasciicircum{}(open");
    }
}
