//! Order conditions of exponential Runge-Kutta tables: classical, by rooted trees; stiff, by phi-functions; and what
//! a stiff problem shows.

use std::collections::BTreeMap;

use super::super::Condition;
use super::table::Table;
use crate::math::{factorial, phi};

/// What a residual of an order condition may be by round-off alone.
const ROUND_OFF: f64 = 1e-11;

/// Highest classical order looked for.
pub const MOST: u32 = 6;

/// A rooted tree of `y' = L y + N(t, y)`: how it enters a stage, and how the solution.
///
/// Nodes are `N` with any branches, `L` with one, and the leaves `t` (the clock) and `L^k y`. With `L` a number, trees
/// that differ in the places of their `L` alone have one elementary differential: they share `shape` and `linear`.
#[derive(Clone)]
struct Tree {
    /// Elementary weight in every stage.
    stages: Vec<f64>,
    /// Elementary weight in the solution: one over the density.
    exact: f64,
    /// Symmetry coefficient.
    symmetry: f64,
    shape: String,
    linear: u32,
    name: String,
}

/// All trees by order, starting with order 1 at index 0.
struct Forest<'a> {
    table: &'a Table,
    trees: Vec<Vec<Tree>>,
}

/// A root that the step's own weights act on: `L^k N(branches)`.
struct Root {
    step: f64,
    tree: Tree,
}

impl<'a> Forest<'a> {
    fn new(table: &'a Table) -> Self {
        Forest { table, trees: Vec::new() }
    }

    /// Adds the trees of the next order; its roots are what must be equal.
    fn grow(&mut self) -> Vec<Root> {
        let order = self.trees.len() + 1;
        let table = self.table;
        let mut roots = Vec::new();
        for linear in 0..order {
            for branches in self.multisets(order - 1 - linear, (0, 0)) {
                roots.push(self.root(linear as u32, &branches));
            }
        }
        let leaf = |stages, exact, shape: &str, linear| Tree {
            stages,
            exact,
            symmetry: 1.0,
            shape: shape.into(),
            linear,
            name: format!("{shape}{linear}"),
        };
        let k = order as u32;
        let powers = table.c.iter().map(|c| c.powi(k as i32) / factorial(k)).collect();
        let mut trees = vec![leaf(powers, 1.0 / factorial(k), "y", k)];
        if order == 1 {
            trees.push(leaf(table.c.clone(), 1.0, "t", 0));
        }
        trees.extend(roots.iter().map(|root| root.tree.clone()));
        self.trees.push(trees);
        roots
    }

    /// `L^linear N(branches)`, where a branch is (order - 1, index) with its multiplicity.
    fn root(&self, linear: u32, branches: &[((usize, usize), u32)]) -> Root {
        let table = self.table;
        let tree = |(order, index): (usize, usize)| &self.trees[order][index];
        let product = |stage: usize| -> f64 {
            branches.iter().map(|(b, many)| tree(*b).stages[stage].powi(*many as i32)).product()
        };
        let products: Vec<f64> = (0..table.c.len()).map(product).collect();
        let act = |row: &[super::Weight]| -> f64 {
            row.iter().zip(&products).map(|(w, p)| w.taylor(linear) * p).sum()
        };
        let below: usize = branches.iter().map(|((order, _), many)| (order + 1) * *many as usize).sum();
        let mut exact: f64 =
            branches.iter().map(|(b, many)| tree(*b).exact.powi(*many as i32)).product::<f64>()
                / (below + 1) as f64;
        exact /= (1..=linear).map(|k| (below + 1) as f64 + f64::from(k)).product::<f64>();
        let symmetry = branches
            .iter()
            .map(|(b, many)| tree(*b).symmetry.powi(*many as i32) * factorial(*many))
            .product();
        let mut shapes: Vec<&str> = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        let mut linears = linear;
        for (b, many) in branches {
            shapes.extend((0..*many).map(|_| tree(*b).shape.as_str()));
            names.extend((0..*many).map(|_| tree(*b).name.as_str()));
            linears += many * tree(*b).linear;
        }
        shapes.sort_unstable();
        let stages = table.a.iter().map(|row| act(row)).collect();
        let shape = format!("N({})", shapes.join(","));
        let name = format!("{}N({})", "L".repeat(linear as usize), names.join(","));
        Root { step: act(&table.b), tree: Tree { stages, exact, symmetry, shape, linear: linears, name } }
    }

    /// Multisets of trees with `order` nodes in all, from tree `first` on.
    fn multisets(&self, order: usize, first: (usize, usize)) -> Vec<Vec<((usize, usize), u32)>> {
        if order == 0 {
            return vec![Vec::new()];
        }
        let mut all = Vec::new();
        for size in first.0..order {
            let from = if size == first.0 { first.1 } else { 0 };
            for index in from..self.trees[size].len() {
                for many in 1..=order / (size + 1) {
                    for mut rest in self.multisets(order - many * (size + 1), (size, index + 1)) {
                        rest.push(((size, index), many as u32));
                        all.push(rest);
                    }
                }
            }
        }
        all
    }
}

/// What the trees say of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Classical {
    /// Order on `y' = L y + N(t, y)` with any matrix `L`, looked for up to [`MOST`].
    pub order: u32,
    /// Order where `L` is a number, as in diffusion; at least `order`.
    pub scalar: u32,
    /// A condition of the next order that does not hold, if one was found.
    pub fails: Option<String>,
}

/// Classical order, from the conditions for every tree of exponential integrators (Friedli 1978; Berland, Owren &
/// Skaflestad 2005, theorem 3.1).
pub fn classical(table: &Table) -> Classical {
    let mut found = Classical { order: 0, scalar: 0, fails: None };
    let mut forest = Forest::new(table);
    for order in 1..=MOST {
        let mut merged: BTreeMap<(String, u32), f64> = BTreeMap::new();
        for root in forest.grow() {
            let off = root.step - root.tree.exact;
            if off.abs() > ROUND_OFF && found.fails.is_none() {
                found.fails = Some(root.tree.name.clone());
            }
            *merged.entry((root.tree.shape, root.tree.linear)).or_default() += off / root.tree.symmetry;
        }
        if found.fails.is_none() {
            found.order = order;
        }
        if merged.values().any(|off| off.abs() > ROUND_OFF) {
            break;
        }
        found.scalar = order;
    }
    found
}

/// Every classical condition up to an order (at most [`MOST`]), named by its tree. Conditions of trees that differ in the
/// places of their `L` alone are one where `L` is a number, as in diffusion: they are taken together.
pub fn conditions(table: &Table, up_to: u32) -> Vec<Condition> {
    let mut forest = Forest::new(table);
    let mut found = Vec::new();
    for order in 1..=up_to.min(MOST) {
        let mut merged: BTreeMap<(String, u32), (String, f64, f64)> = BTreeMap::new();
        for Root { step, tree } in forest.grow() {
            let (_, got, want) = merged.entry((tree.shape, tree.linear)).or_insert((tree.name, 0.0, 0.0));
            *got += step / tree.symmetry;
            *want += tree.exact / tree.symmetry;
        }
        let each = |(name, got, want)| Condition::new(order, format!("tree {name}"), got, want, want);
        found.extend(merged.into_values().map(each));
    }
    found
}

/// Stiff order, from the order conditions of Hochbruck & Ostermann 2005, table 2, and Luan & Ostermann 2014, table 1,
/// at arguments from -1e-2 to -1e3: the largest `p` for which those of orders below `p` hold as they stand and those of
/// order `p` with `b_i(0)` for `b_i(z)` (Hochbruck & Ostermann 2005, theorem 4.7). Second, the largest `p` for which all
/// hold as they stand.
pub fn stiff(table: &Table) -> (u32, u32) {
    let conditions = Conditions::new(table);
    let strong = (1..=5).take_while(|p| conditions.off(*p, false) < ROUND_OFF).count() as u32;
    let weak = if strong < 5 && conditions.off(strong + 1, true) < ROUND_OFF { strong + 1 } else { strong };
    (weak, strong)
}

const ARGUMENTS: [f64; 7] = [-1e-2, -0.1, -1.0, -4.0, -20.0, -150.0, -1e3];

/// The weights of a table at [`ARGUMENTS`], and its defects there.
struct Conditions<'a> {
    table: &'a Table,
    /// `a_ij` at every argument.
    a: Vec<Vec<Vec<f64>>>,
    /// `b_i` at every argument, and at 0.
    b: Vec<Vec<f64>>,
    b0: Vec<Vec<f64>>,
    /// `psi_{j,i}` for `j` from 0 to 4 at every argument.
    stage: Vec<Vec<Vec<f64>>>,
}

type Row<'a> = &'a dyn Fn(usize) -> f64;

impl<'a> Conditions<'a> {
    fn new(table: &'a Table) -> Self {
        let value = |row: &[super::Weight], z: f64| row.iter().map(|w| w.at(z)).collect::<Vec<f64>>();
        let a: Vec<Vec<Vec<f64>>> =
            ARGUMENTS.iter().map(|z| table.a.iter().map(|row| value(row, *z)).collect()).collect();
        let b = ARGUMENTS.iter().map(|z| value(&table.b, *z)).collect();
        let b0 = vec![value(&table.b, 0.0)];
        let psi = |z: usize, j: u32, i: usize| defect(table.c[i], &a[z][i], &table.c, j, ARGUMENTS[z]);
        let stage = (0..ARGUMENTS.len())
            .map(|z| (0..5).map(|j| (0..table.c.len()).map(|i| psi(z, j, i)).collect()).collect())
            .collect();
        Conditions { table, a, b, b0, stage }
    }

    /// The largest residual of the conditions of order `p`.
    fn off(&self, p: u32, weak: bool) -> f64 {
        let c = &self.table.c;
        let psi = |j: usize, u: usize| move |i: usize| self.stage[u][j][i];
        let mut worst = self.quadrature(p, weak);
        let mut see = |x: Row| worst = worst.max(self.step(weak, x));
        // Operators stand between two weights, and they are arbitrary: every weight has an argument of its own.
        for u in 0..ARGUMENTS.len() {
            match p {
                3 => see(&psi(2, u)),
                4 => {
                    see(&psi(3, u));
                    see(&|i| c[i] * psi(2, u)(i));
                }
                5 => {
                    see(&psi(4, u));
                    see(&|i| c[i] * psi(3, u)(i));
                    see(&|i| c[i] * c[i] * psi(2, u)(i));
                }
                _ => {}
            }
            for v in 0..ARGUMENTS.len() {
                match p {
                    4 => see(&|i| self.inner(v, i, &psi(2, u))),
                    5 => {
                        see(&|i| psi(2, u)(i) * psi(2, v)(i));
                        see(&|i| self.inner(v, i, &psi(3, u)));
                        see(&|i| self.inner(v, i, &|j| c[j] * psi(2, u)(j)));
                        see(&|i| c[i] * self.inner(v, i, &psi(2, u)));
                        for w in 0..ARGUMENTS.len() {
                            see(&|i| self.inner(w, i, &|j| self.inner(v, j, &psi(2, u))));
                        }
                    }
                    _ => {}
                }
            }
        }
        worst
    }

    /// `psi_p = 0`, and for order 2 `psi_{1,i} = 0`.
    fn quadrature(&self, p: u32, weak: bool) -> f64 {
        let c = &self.table.c;
        let step = match weak {
            true => defect(1.0, &self.b0[0], c, p, 0.0).abs(),
            false => {
                let at = |(b, z): (&Vec<f64>, &f64)| defect(1.0, b, c, p, *z).abs();
                self.b.iter().zip(&ARGUMENTS).map(at).fold(0.0, f64::max)
            }
        };
        let stages = self.stage.iter().flat_map(|psi| &psi[1]).filter(|_| p == 2);
        stages.fold(step, |worst, psi| worst.max(psi.abs()))
    }

    /// Largest `|sum_i b_i x_i|` over the arguments of `b`.
    fn step(&self, weak: bool, x: Row) -> f64 {
        let rows = if weak { &self.b0 } else { &self.b };
        let sum = |b: &Vec<f64>| b.iter().enumerate().map(|(i, b)| b * x(i)).sum::<f64>().abs();
        rows.iter().map(sum).fold(0.0, f64::max)
    }

    /// `sum_j a_ij x_j` at argument `v`.
    fn inner(&self, v: usize, i: usize, x: Row) -> f64 {
        self.a[v][i].iter().enumerate().map(|(j, a)| a * x(j)).sum()
    }
}

/// `psi_j = c^j phi_j(c z) - sum_k w_k c_k^{j-1}/(j-1)!` of the row `w` with node `c`.
fn defect(c: f64, row: &[f64], nodes: &[f64], j: u32, z: f64) -> f64 {
    if j == 0 {
        return 0.0;
    }
    let power = j as i32 - 1;
    let sum: f64 = row.iter().zip(nodes).map(|(w, c)| w * c.powi(power)).sum();
    c.powi(j as i32) * phi(j, c * z) - sum / factorial(j - 1)
}

/// Slope of the error on a stiff problem between `steps` and four times as many:
/// `y_k' = -mu_k y_k + r_k sin(sum_l y_l) + g_k(t)` with `mu_k` from 1 to 1e6, four a decade, and `g` such that
/// `y_k = cos(t + k/20)/mu_k`: as for a smooth function of space, `mu_k y_k` does not grow with `mu_k`. The worst
/// component at the worst time counts.
pub fn measured(table: &Table, steps: usize) -> f64 {
    (worst_error(table, steps) / worst_error(table, 4 * steps)).log2() / 2.0
}

fn worst_error(table: &Table, steps: usize) -> f64 {
    const MODES: usize = 25;
    let mu: Vec<f64> = (0..MODES).map(|k| 10f64.powf(k as f64 / 4.0)).collect();
    let phase: Vec<(f64, f64)> = (0..MODES).map(|k| (k as f64 / 20.0).sin_cos()).collect();
    let share: Vec<f64> = (0..MODES).map(|k| 0.4 + 0.3 * (2.0 * k as f64).sin()).collect();
    // cos and sin of t + k/20.
    let wave = |k: usize, (sin, cos): (f64, f64)| {
        (cos * phase[k].1 - sin * phase[k].0, sin * phase[k].1 + cos * phase[k].0)
    };
    let exact = |k: usize, t: (f64, f64)| wave(k, t).0 / mu[k];
    let h = 1.0 / steps as f64;
    let at = |row: &[super::Weight], k: usize| row.iter().map(|w| h * w.at(-h * mu[k])).collect::<Vec<f64>>();
    let rows: Vec<Vec<Vec<f64>>> =
        table.a.iter().chain([&table.b]).map(|row| (0..MODES).map(|k| at(row, k)).collect()).collect();
    let nodes: Vec<f64> = table.c.iter().copied().chain([1.0]).collect();
    let keep: Vec<Vec<f64>> =
        nodes.iter().map(|c| mu.iter().map(|mu| (-c * h * mu).exp()).collect()).collect();
    let mut y: Vec<f64> = (0..MODES).map(|k| exact(k, (0.0, 1.0))).collect();
    let mut worst: f64 = 0.0;
    for n in 0..steps {
        let mut slopes: Vec<Vec<f64>> = Vec::new();
        let mut last = Vec::new();
        for (i, c) in nodes.iter().enumerate() {
            let t = ((n as f64 + c) * h).sin_cos();
            let stage = |k: usize| {
                let terms = rows[i][k].iter().zip(&slopes).map(|(w, slope)| w * slope[k]);
                keep[i][k] * y[k] + terms.sum::<f64>()
            };
            last = (0..MODES).map(stage).collect();
            let (here, right): (f64, f64) = (last.iter().sum(), (0..MODES).map(|k| exact(k, t)).sum());
            let excess = here.sin() - right.sin();
            let slope = |k: usize| wave(k, t).0 - wave(k, t).1 / mu[k] + share[k] * excess;
            slopes.push((0..MODES).map(slope).collect());
        }
        y = last;
        let t = ((n + 1) as f64 * h).sin_cos();
        worst = (0..MODES).map(|k| (y[k] - exact(k, t)).abs()).fold(worst, f64::max);
    }
    worst
}
