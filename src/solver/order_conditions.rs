//! The order of a Runge-Kutta method from its table alone, explicit or implicit.
//!
//! A method has order `p` if and only if `sum_i b_i Phi_i(tau) = 1/gamma(tau)` for every rooted tree `tau` with at most
//! `p` vertices (Butcher 1963; Hairer, Norsett & Wanner 1993, II.2, theorem 2.13). There are 1, 1, 2, 4, 9, 20, 48, 115
//! trees with 1 to 8 vertices. Beyond that, Butcher's simplifying assumptions B, C and D decide (the same, II.7,
//! theorem 7.4; Hairer & Wanner 1996, IV.5, theorem 5.1), which methods of collocation satisfy.
use std::sync::OnceLock;

use super::{Condition, Proof};

/// Vertices of the largest trees that are tried.
pub const MOST: usize = 8;

/// What round-off may leave of a condition, relative to the sum of the absolute values of its terms.
const ROUND_OFF: f64 = 1e-12;

/// A rooted tree as the trees that hang on its root: indices into [`trees`], ascending.
struct Tree {
    vertices: usize,
    /// Product of the numbers of vertices of all its subtrees.
    gamma: f64,
    children: Vec<usize>,
}

/// All rooted trees of up to 8 vertices, smallest first.
fn trees() -> &'static [Tree] {
    static TREES: OnceLock<Vec<Tree>> = OnceLock::new();
    TREES.get_or_init(|| {
        let mut trees = Vec::new();
        for vertices in 1..=MOST {
            let mut found = Vec::new();
            plant(&trees, vertices - 1, trees.len(), &mut Vec::new(), &mut found);
            for children in found {
                let below: f64 = children.iter().map(|&k: &usize| trees[k].gamma).product();
                trees.push(Tree { vertices, gamma: vertices as f64 * below, children });
            }
        }
        trees
    })
}

/// Every multiset of trees with index below `limit` that has `left` vertices in all, appended to `children`.
fn plant(trees: &[Tree], left: usize, limit: usize, children: &mut Vec<usize>, found: &mut Vec<Vec<usize>>) {
    if left == 0 {
        found.push(children.iter().rev().copied().collect());
        return;
    }
    for k in (0..limit).filter(|&k| trees[k].vertices <= left) {
        children.push(k);
        plant(trees, left - trees[k].vertices, k + 1, children, found);
        children.pop();
    }
}

/// `sum_j a_ij v_j` and the sum of the absolute values, per stage.
fn apply(a: &[Vec<f64>], v: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let row = |row: &Vec<f64>| {
        row.iter().zip(v).fold([0.0, 0.0], |sum, (a, v)| [sum[0] + a * v[0], sum[1] + a.abs() * v[1]])
    };
    a.iter().map(row).collect()
}

/// The largest order up to 8 whose conditions the table `a`, `b` satisfies to 1e-12 of their terms. The nodes are the
/// sums of the rows. Some 200 products of a matrix and a vector.
pub fn order(a: &[Vec<f64>], b: &[f64]) -> usize {
    let mut hung: Vec<Vec<[f64; 2]>> = Vec::with_capacity(trees().len());
    let mut order = MOST;
    for tree in trees() {
        if tree.vertices > order {
            break;
        }
        let phi: Vec<[f64; 2]> = (0..b.len())
            .map(|i| {
                tree.children.iter().fold([1.0, 1.0], |p, &k| [p[0] * hung[k][i][0], p[1] * hung[k][i][1]])
            })
            .collect();
        let [sum, size] =
            b.iter().zip(&phi).fold([0.0, 0.0], |s, (b, phi)| [s[0] + b * phi[0], s[1] + b.abs() * phi[1]]);
        // (Written so that NaN fails.)
        let holds = (sum - 1.0 / tree.gamma).abs() <= ROUND_OFF * size.max(1.0 / tree.gamma);
        if !holds {
            order = tree.vertices - 1;
        }
        hung.push(apply(a, &phi));
    }
    order
}

/// Every condition up to an order (at most 8), the trees by their vertices: `[]` is one, `[[] []]` one with two on it.
pub fn conditions(up_to: usize, a: &[Vec<f64>], b: &[f64]) -> Vec<Condition> {
    let mut hung: Vec<Vec<[f64; 2]>> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut found = Vec::new();
    for tree in trees().iter().take_while(|tree| tree.vertices <= up_to) {
        let product = |i: usize| tree.children.iter().map(|&k| hung[k][i][0]).product::<f64>();
        let phi: Vec<[f64; 2]> = (0..b.len()).map(|i| [product(i), 0.0]).collect();
        let sum: f64 = b.iter().zip(&phi).map(|(b, phi)| b * phi[0]).sum();
        names.push(format!(
            "[{}]",
            tree.children.iter().map(|&k| names[k].as_str()).collect::<Vec<_>>().join(" ")
        ));
        let (order, want) = (tree.vertices as u32, 1.0 / tree.gamma);
        found.push(Condition::new(order, format!("tree {}", names[names.len() - 1]), sum, want, want));
        hung.push(apply(a, &phi));
    }
    found
}

/// The order that the simplifying assumptions prove: `min(p, q + r + 1, 2 q + 2)` where B(p), C(q) and D(r) hold.
pub fn simplified_order(c: &[f64], a: &[Vec<f64>], b: &[f64]) -> usize {
    let close = |x: f64, want: f64| (x - want).abs() <= ROUND_OFF * want.abs().max(1e-3);
    let power = |x: f64, k: usize| x.powi(k as i32 - 1);
    let first = |holds: &dyn Fn(usize) -> bool| (1..=20).take_while(|&k| holds(k)).count();
    let dot = |u: &[f64], k: usize| u.iter().zip(c).map(|(u, c)| u * power(*c, k)).sum::<f64>();
    let p = first(&|k| close(dot(b, k), 1.0 / k as f64));
    let q = first(&|k| a.iter().zip(c).all(|(row, c)| close(dot(row, k), c.powi(k as i32) / k as f64)));
    let column = |j: usize, k: usize| (0..b.len()).map(|i| b[i] * power(c[i], k) * a[i][j]).sum::<f64>();
    let r =
        first(&|k| (0..b.len()).all(|j| close(column(j, k), b[j] / k as f64 * (1.0 - c[j].powi(k as i32)))));
    p.min(q + r + 1).min(2 * q + 2)
}

/// The proof of a claimed order.
pub fn proof(claimed: usize, a: &[Vec<f64>], b: &[f64]) -> Proof {
    let found = order(a, b);
    let end = if found == MOST { "; larger trees are not tried" } else { "" };
    let how = format!("the conditions of all rooted trees up to {found} vertices hold{end}");
    Proof { what: "order conditions", claimed: claimed as f64, found: found as f64, how }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_200_rooted_trees_of_up_to_eight_vertices() {
        let count = |n| trees().iter().filter(|t| t.vertices == n).count();
        assert_eq!((1..=8).map(count).collect::<Vec<_>>(), [1, 1, 2, 4, 9, 20, 48, 115]);
        // The tall tree and the bush.
        assert!(trees().iter().any(|t| t.gamma == 40320.0) && trees().iter().any(|t| t.gamma == 8.0));
    }

    #[test]
    fn the_trees_of_a_size_weigh_as_much_as_there_are_orders_of_their_vertices() {
        // sum over trees of n vertices of n!/(gamma sigma) = (n-1)!, with sigma the symmetry (Butcher 2008, sec. 302).
        fn sigma(k: usize) -> f64 {
            let children = &trees()[k].children;
            let mut product = 1.0;
            for (i, &child) in children.iter().enumerate() {
                product *= sigma(child) * children[..=i].iter().filter(|&&c| c == child).count() as f64;
            }
            product
        }
        for n in 1..=MOST {
            let factorial = crate::math::factorial(n as u32);
            let all = (0..trees().len()).filter(|&k| trees()[k].vertices == n);
            let sum: f64 = all.map(|k| factorial / (trees()[k].gamma * sigma(k))).sum();
            assert!((sum * n as f64 / factorial - 1.0).abs() < 1e-12, "{n}: {sum}");
        }
    }

    #[test]
    fn conditions_say_which_tree_is_missed_and_by_how_much() {
        // Heun's method of order 2: of the trees of order 3, the bush wants 1/3 and gets 1/2, the tall one 1/6 and 0.
        let heun = conditions(3, &[vec![0.0, 0.0], vec![1.0, 0.0]], &[0.5, 0.5]);
        let told: Vec<_> =
            heun.iter().map(|c| (c.order, c.what.as_str(), (c.off * 1e9).round() / 1e9)).collect();
        let want =
            [(1, "tree []", 0.0), (2, "tree [[]]", 0.0), (3, "tree [[] []]", 0.5), (3, "tree [[[]]]", 1.0)];
        assert_eq!(told, want);
    }

    #[test]
    fn a_changed_coefficient_lowers_the_order() {
        let a = [vec![0.0; 4], vec![0.5, 0.0, 0.0, 0.0], vec![0.0, 0.5, 0.0, 0.0], vec![0.0, 0.0, 1.0, 0.0]];
        let b = [1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0];
        assert_eq!(order(&a, &b), 4);
        for (b, want) in
            [([1.0 / 6.0 + 1e-9, b[1], b[2], b[3]], 0), ([b[0], b[1] + 1e-9, b[2] - 1e-9, b[3]], 2)]
        {
            assert_eq!(order(&a, &b), want);
        }
        let mut bent = a.clone();
        bent[2] = vec![1e-9, 0.5 - 1e-9, 0.0, 0.0];
        assert_eq!(order(&bent, &b), 2);
        bent[0][0] = f64::NAN;
        assert_eq!(order(&bent, &b), 1);
    }
}
