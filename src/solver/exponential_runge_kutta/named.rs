//! Tables of exponential Runge-Kutta methods, as published.

use super::table::{Table, Written};
use crate::error::{BadInput, Result};

/// A table with what its source says of it.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    /// Its name in experiments.
    pub name: &'static str,
    /// Paper with equation or table number.
    pub source: &'static str,
    /// Free nodes and their defaults.
    pub free: &'static [(&'static str, f64)],
    /// Classical order and stiff order for these nodes.
    pub orders: fn(&[f64]) -> (u32, u32),
    c: &'static [&'static str],
    define: &'static [(&'static str, &'static str)],
    a: &'static [&'static [&'static str]],
    b: &'static [&'static str],
}

impl Named {
    /// The table of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn find(name: &str) -> Result<&'static Named> {
        TABLES.iter().find(|table| table.name == name).ok_or_else(|| {
            let names: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
            BadInput::new("table", name, "is not known", crate::config::suggest(name, &names))
        })
    }

    /// The table with these free nodes (the rest at their defaults).
    ///
    /// # Errors
    /// A node outside the step, or one for which the weights divide by 0.
    pub fn with(&self, nodes: &[(&str, f64)]) -> Result<Table> {
        let value = |name: &str, default| nodes.iter().find(|(n, _)| *n == name).map_or(default, |(_, x)| *x);
        let given: Vec<(&str, f64)> =
            self.free.iter().map(|(name, default)| (*name, value(name, *default))).collect();
        for (name, x) in &given {
            if !(*x > 0.0 && *x <= 1.0) {
                return Err(BadInput::new(name, x, "is not inside the step", "give a number in (0, 1]"));
            }
        }
        Written { c: self.c, define: self.define, a: self.a, b: self.b }.read(&given).map_err(|_| {
            let (name, x) = given.last().expect("only nodes given can divide by 0");
            BadInput::new(name, x, "makes a weight divide by 0", "choose another")
        })
    }
}

const NONE: &[(&str, &str)] = &[];
const CLASSIC: &[&str] = &["0", "1/2", "1/2", "1"];
const COX_MATTHEWS: &[&str] = &["rest", "2 phi2 - 4 phi3", "2 phi2 - 4 phi3", "4 phi3 - phi2"];
const SIMPSON: &[&str] = &["rest", "0", "4 phi2 - 8 phi3", "4 phi3 - phi2"];

/// Every named table; the first is the default.
pub const TABLES: &[Named] = &[
    Named {
        name: "res-2s",
        source: "Zhang, Song & Chen 2023, RES with 2 stages; Hochbruck & Ostermann 2005, eq. 5.3",
        free: &[("c2", 0.5)],
        orders: |_| (2, 2),
        c: &["0", "c2"],
        define: NONE,
        a: &[&[], &["rest"]],
        b: &["rest", "phi2/c2"],
    },
    Named {
        name: "res-3s",
        source: "Zhang, Song & Chen 2023, RES with 3 stages; Hochbruck & Ostermann 2005, eq. 5.8",
        free: &[("c2", 0.5), ("c3", 1.0)],
        orders: |_| (3, 3),
        c: &["0", "c2", "c3"],
        define: &[("gamma", "(3 c3^2 - 2 c3)/(c2 (2 - 3 c2))")],
        a: &[&[], &["rest"], &["rest", "gamma c2 phi2(c2 z) + c3^2/c2 phi2(c3 z)"]],
        b: &["rest", "gamma/(gamma c2 + c3) phi2", "1/(gamma c2 + c3) phi2"],
    },
    Named {
        // The cube is right at c3 = 1 alone, which is what its users run.
        name: "res-3s-shipped",
        source: "RES4LYF, res_3s: res-3s with c3^3 where its gamma has c3^2",
        free: &[("c2", 0.5), ("c3", 1.0)],
        orders: |c| if c[2] == 1.0 { (3, 3) } else { (2, 2) },
        c: &["0", "c2", "c3"],
        define: &[("gamma", "(3 c3^3 - 2 c3)/(c2 (2 - 3 c2))")],
        a: &[&[], &["rest"], &["rest", "gamma c2 phi2(c2 z) + c3^2/c2 phi2(c3 z)"]],
        b: &["rest", "gamma/(gamma c2 + c3) phi2", "1/(gamma c2 + c3) phi2"],
    },
    Named {
        name: "dpm-2s",
        source: "Lu et al. 2022a, algorithm 1 (form = eps); Lu et al. 2022b, algorithm 1 (form = d); \
                 Hochbruck & Ostermann 2005, eq. 5.4",
        free: &[("c2", 0.5)],
        orders: |_| (2, 2),
        c: &["0", "c2"],
        define: NONE,
        a: &[&[], &["rest"]],
        b: &["rest", "phi1/(2 c2)"],
    },
    Named {
        name: "dpm-3s",
        source: "Lu et al. 2022a, algorithm 2 (form = eps); c3 = 2/3 is Hochbruck & Ostermann 2005, eq. 5.9",
        free: &[("c2", 1.0 / 3.0), ("c3", 2.0 / 3.0)],
        orders: |c| if (c[2] - 2.0 / 3.0).abs() < 1e-12 { (3, 3) } else { (2, 2) },
        c: &["0", "c2", "c3"],
        define: NONE,
        a: &[&[], &["rest"], &["rest", "c3^2/c2 phi2(c3 z)"]],
        b: &["rest", "0", "phi2/c3"],
    },
    Named {
        name: "euler-1",
        source: "Norsett 1969; Hochbruck & Ostermann 2010, eq. 2.18",
        free: &[],
        orders: |_| (1, 1),
        c: &["0"],
        define: NONE,
        a: &[&[]],
        b: &["rest"],
    },
    Named {
        name: "etdrk2",
        source: "Cox & Matthews 2002, eq. 22",
        free: &[],
        orders: |_| (2, 2),
        c: &["0", "1"],
        define: NONE,
        a: &[&[], &["rest"]],
        b: &["rest", "phi2"],
    },
    Named {
        name: "etdrk3",
        source: "Cox & Matthews 2002, eq. 23 to 25",
        free: &[],
        orders: |_| (3, 2),
        c: &["0", "1/2", "1"],
        define: NONE,
        a: &[&[], &["rest"], &["rest", "2 phi1"]],
        b: &["rest", "4 phi2 - 8 phi3", "4 phi3 - phi2"],
    },
    Named {
        name: "etd2cf3",
        source: "Celledoni, Marthinsen & Owren 2003, as an ETD method in Minchev & Wright 2005",
        free: &[],
        orders: |_| (3, 3),
        c: &["0", "1/3", "2/3"],
        define: NONE,
        a: &[&[], &["rest"], &["rest", "4/3 phi2(c3 z)"]],
        b: &["rest", "6 phi2 - 18 phi3", "9 phi3 - 3/2 phi2"],
    },
    Named {
        name: "cox-matthews-4",
        source: "Cox & Matthews 2002, eq. 26 to 29 (ETDRK4)",
        free: &[],
        orders: |_| (4, 2),
        c: CLASSIC,
        define: NONE,
        a: &[&[], &["rest"], &["0", "phi1(c3 z)/2"], &["rest", "0", "phi1(c3 z)"]],
        b: COX_MATTHEWS,
    },
    Named {
        name: "krogstad-4",
        source: "Krogstad 2005, eq. 51 (ETDRK4-B)",
        free: &[],
        orders: |_| (4, 3),
        c: CLASSIC,
        define: NONE,
        a: &[&[], &["rest"], &["rest", "phi2(c3 z)"], &["rest", "0", "2 phi2"]],
        b: COX_MATTHEWS,
    },
    Named {
        name: "strehmel-weiner-4",
        source: "Strehmel & Weiner 1992, example 4.5.5; Hochbruck & Ostermann 2005, sec. 5.3",
        free: &[],
        orders: |_| (4, 3),
        c: CLASSIC,
        define: NONE,
        a: &[&[], &["rest"], &["rest", "phi2(c3 z)/2"], &["rest", "-2 phi2", "4 phi2"]],
        b: SIMPSON,
    },
    Named {
        name: "friedli-4",
        source: "Friedli 1978; Minchev & Wright 2005, sec. 5",
        free: &[],
        orders: |_| (4, 3),
        c: CLASSIC,
        define: NONE,
        a: &[
            &[],
            &["rest"],
            &["rest", "phi2(c3 z)/2"],
            &["rest", "2/25 phi2 - 26/25 phi1", "26/25 phi1 + 48/25 phi2"],
        ],
        b: SIMPSON,
    },
    Named {
        name: "minchev-4",
        source: "Minchev 2004; Montanelli & Bootland 2020, appendix",
        free: &[],
        orders: |_| (4, 2),
        c: CLASSIC,
        define: NONE,
        a: &[
            &[],
            &["rest"],
            &["rest", "2/25 phi1(c3 z) + 6/25 phi2(c3 z)"],
            &["rest", "21/5 phi2 - 108/5 phi3", "1/20 phi1 - 33/10 phi2 + 123/5 phi3"],
        ],
        b: &[
            "rest",
            "1/5 phi2 - 1/10 phi1 - 4 phi3 + 12 phi4",
            "1/30 phi1 + 23/5 phi2 - 8 phi3 - 4 phi4",
            "1/30 phi1 - 7/5 phi2 + 6 phi3 - 4 phi4",
        ],
    },
    Named {
        name: "cfree-4",
        source: "Celledoni, Marthinsen & Owren 2003, eq. 7, affine action",
        free: &[],
        orders: |_| (4, 2),
        c: CLASSIC,
        define: NONE,
        a: &[&[], &["rest"], &["0", "phi1(c3 z)/2"], &["rest", "0", "phi1(c3 z)"]],
        b: &["rest", "phi1/3", "phi1/3", "phi1(z/2)/3 - phi1/6"],
    },
    Named {
        name: "rkmk-4t",
        source: "Munthe-Kaas 1999, affine action, dexp^{-1} truncated; Minchev & Wright 2005",
        free: &[],
        orders: |_| (4, 2),
        c: CLASSIC,
        define: NONE,
        // z phi1(z) = phi0(z) - 1.
        a: &[
            &[],
            &["rest"],
            &["(phi0(c3 z) - 1)/4", "phi1(c3 z)/2 - (phi0(c3 z) - 1)/4"],
            &["0", "0", "phi1"],
        ],
        b: &["phi1/6 + (phi0 - 1)/12", "phi1/3", "phi1/3", "phi1/6 - (phi0 - 1)/12"],
    },
    Named {
        name: "hochbruck-ostermann-4",
        source: "Hochbruck & Ostermann 2005, eq. 5.19",
        free: &[],
        orders: |_| (4, 4),
        c: &["0", "1/2", "1/2", "1", "1/2"],
        define: &[("a52", "phi2(c5 z)/2 - phi3 + phi2/4 - phi3(c5 z)/2")],
        a: &[
            &[],
            &["rest"],
            &["rest", "phi2(c3 z)"],
            &["rest", "phi2", "phi2"],
            &["rest", "a52", "a52", "phi2(c5 z)/4 - a52"],
        ],
        b: &["rest", "0", "0", "4 phi3 - phi2", "4 phi2 - 8 phi3"],
    },
    Named {
        name: "luan-4",
        source: "Luan 2021, expRK4s6",
        free: &[],
        orders: |_| (4, 4),
        c: &["0", "1/2", "1/2", "1/3", "1/3", "5/6"],
        define: NONE,
        a: &[
            &[],
            &["rest"],
            &["rest", "c3^2/c2 phi2(c3 z)"],
            &["rest", "c4^2/c2 phi2(c4 z)"],
            &[
                "rest",
                "0",
                "(2 c5^3 phi3(c5 z) - c4 c5^2 phi2(c5 z))/(c3 (c3 - c4))",
                "(2 c5^3 phi3(c5 z) - c3 c5^2 phi2(c5 z))/(c4 (c4 - c3))",
            ],
            &[
                "rest",
                "0",
                "(2 c6^3 phi3(c6 z) - c4 c6^2 phi2(c6 z))/(c3 (c3 - c4))",
                "(2 c6^3 phi3(c6 z) - c3 c6^2 phi2(c6 z))/(c4 (c4 - c3))",
            ],
        ],
        b: &["rest", "0", "0", "0", "(2 phi3 - c6 phi2)/(c5 (c5 - c6))", "(2 phi3 - c5 phi2)/(c6 (c6 - c5))"],
    },
    Named {
        name: "luan-ostermann-5",
        source: "Luan & Ostermann 2014, expRK5s8",
        free: &[],
        orders: |_| (5, 5),
        c: &["0", "1/2", "1/2", "1/4", "1/2", "1/5", "2/3", "1"],
        define: &[
            ("a64", "8/25 phi2(c6 z) - 32/125 phi3(c6 z)"),
            (
                "psi",
                "5/32 a64 - 1/28 phi2(c6 z) + 36/175 phi2(c7 z) - 48/25 phi3(c7 z) + 6/175 phi4(c6 z) \
                 + 192/35 phi4(c7 z) + 6 phi4",
            ),
        ],
        a: &[
            &[],
            &["rest"],
            &["rest", "1/2 phi2(c3 z)"],
            &["rest", "0", "1/8 phi2(c4 z)"],
            &["rest", "0", "2 phi3(c5 z) - 1/2 phi2(c5 z)", "2 phi2(c5 z) - 4 phi3(c5 z)"],
            &["rest", "0", "0", "a64", "2/25 phi2(c6 z) - 1/2 a64"],
            &[
                "rest",
                "0",
                "0",
                "-125/162 a64",
                "125/1944 a64 - 16/27 phi2(c7 z) + 320/81 phi3(c7 z)",
                "3125/3888 a64 + 100/27 phi2(c7 z) - 800/81 phi3(c7 z)",
            ],
            &[
                "rest",
                "0",
                "0",
                "0",
                "208/3 phi3 - 16/3 phi2 - 40 psi",
                "250/21 phi2 - 250/3 phi3 + 250/7 psi",
                "27/14 phi2 - 27 phi3 + 135/7 psi",
            ],
        ],
        b: &[
            "rest",
            "0",
            "0",
            "0",
            "0",
            "125/14 phi2 - 625/14 phi3 + 1125/14 phi4",
            "162/7 phi3 - 27/14 phi2 - 405/7 phi4",
            "1/2 phi2 - 13/2 phi3 + 45/2 phi4",
        ],
    },
    Named {
        name: "lawson-1",
        source: "Lawson 1967: Euler's method with the integrating factor",
        free: &[],
        orders: |_| (1, 1),
        c: &["0"],
        define: NONE,
        a: &[&[]],
        b: &["phi0"],
    },
    Named {
        name: "lawson-2",
        source: "Lawson 1967: the midpoint rule with the integrating factor",
        free: &[],
        orders: |_| (2, 1),
        c: &["0", "1/2"],
        define: NONE,
        a: &[&[], &["phi0(c2 z)/2"]],
        b: &["0", "phi0(z/2)"],
    },
    Named {
        name: "lawson-2-trapezoidal",
        source: "Lawson 1967: Heun's method with the integrating factor",
        free: &[],
        orders: |_| (2, 1),
        c: &["0", "1"],
        define: NONE,
        a: &[&[], &["phi0"]],
        b: &["phi0/2", "1/2"],
    },
    Named {
        name: "lawson-4",
        source: "Lawson 1967: the classical Runge-Kutta method with the integrating factor",
        free: &[],
        orders: |_| (4, 1),
        c: CLASSIC,
        define: NONE,
        a: &[&[], &["phi0(c2 z)/2"], &["0", "1/2"], &["0", "0", "phi0(z/2)"]],
        b: &["phi0/6", "phi0(z/2)/3", "phi0(z/2)/3", "1/6"],
    },
    Named {
        name: "generalized-lawson-4",
        source: "Krogstad 2005, sec. 3 (GL1/cRK4, genlawson41)",
        free: &[],
        orders: |_| (4, 2),
        c: CLASSIC,
        define: NONE,
        a: &[&[], &["rest"], &["rest", "1/2"], &["rest", "0", "phi0(z/2)"]],
        b: &["rest", "phi0(z/2)/3", "phi0(z/2)/3", "1/6"],
    },
    Named {
        name: "modified-lawson-4",
        source: "Minchev & Wright 2005, modified generalized Lawson (modgenlawson41)",
        free: &[],
        orders: |_| (4, 2),
        c: CLASSIC,
        define: NONE,
        a: &[&[], &["rest"], &["rest", "1/2"], &["rest", "0", "phi0(z/2)"]],
        b: &["rest", "phi0(z/2)/3", "phi0(z/2)/3", "phi2 - phi0(z/2)/3"],
    },
];
