//! Regions of a mesh where a value is reached, by marching squares.

use std::collections::BTreeMap;

use super::scene::Point;
use crate::geometry::Mesh;

/// A side between two neighbouring nodes: that of the lower or left one, and whether it goes upwards.
type Side = (i64, i64, bool);

/// The region where the mesh is at least `least`, as loops of (column, row) with holes by the even-odd rule. Between nodes
/// values are linear; the region ends with the mesh.
pub(super) fn region(mesh: &Mesh, least: f64) -> Vec<Vec<Point>> {
    let (columns, rows) = (mesh.columns as i64, (mesh.values.len() / mesh.columns) as i64);
    let value = |(i, j): (i64, i64)| {
        let inside = (0..columns).contains(&i) && (0..rows).contains(&j);
        if inside { mesh.values[(j * columns + i) as usize] } else { f64::NEG_INFINITY }
    };
    let mut next: BTreeMap<Side, Side> = BTreeMap::new();
    for j in -1..rows {
        for i in -1..columns {
            // Corners and sides, counterclockwise from the lower left.
            let corners = [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)].map(value);
            let sides = [(i, j, false), (i + 1, j, true), (i, j + 1, false), (i, j, true)];
            link(&mut next, corners, sides, least);
        }
    }
    let place = |&(i, j, up): &Side| {
        let (a, b) = ((i, j), if up { (i, j + 1) } else { (i + 1, j) });
        let (va, vb) = (value(a), value(b));
        let share = if va.is_infinite() {
            1.0
        } else if vb.is_infinite() {
            0.0
        } else {
            (least - va) / (vb - va)
        };
        let between = |a: i64, b: i64| a as f64 + share * (b - a) as f64;
        (between(a.0, b.0), between(a.1, b.1))
    };
    let mut loops = Vec::new();
    while let Some((&first, _)) = next.first_key_value() {
        let (mut side, mut points) = (first, Vec::new());
        while let Some(after) = next.remove(&side) {
            points.push(place(&side));
            side = after;
        }
        loops.push(points);
    }
    loops
}

/// The parts of the border within a cell, each from the side by which it enters to that by which it leaves: the region is
/// to the left.
fn link(next: &mut BTreeMap<Side, Side>, corners: [f64; 4], sides: [Side; 4], least: f64) {
    let inside = corners.map(|v| v >= least);
    let leaves: Vec<usize> = (0..4).filter(|&k| inside[k] && !inside[(k + 1) % 4]).collect();
    let enters: Vec<usize> = (0..4).filter(|&k| !inside[k] && inside[(k + 1) % 4]).collect();
    // Two opposite corners inside: one band through the middle, or two corners cut off.
    let joined = leaves.len() == 2 && corners.iter().sum::<f64>() / 4.0 >= least;
    for &k in &leaves {
        let step = if joined { 1 } else { 3 };
        let end = if leaves.len() == 2 { (k + step) % 4 } else { enters[0] };
        next.insert(sides[k], sides[end]);
    }
}

/// A line without the points that lie within `tolerance` of the chord between those that are left.
pub(super) fn simplified(line: &[Point], tolerance: f64) -> Vec<Point> {
    let off = |p: Point, (a, b): (Point, Point)| {
        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let length = dx.hypot(dy);
        let (px, py) = (p.0 - a.0, p.1 - a.1);
        if length > 0.0 { (px * dy - py * dx).abs() / length } else { px.hypot(py) }
    };
    let mut kept: Vec<Point> = line.first().copied().into_iter().collect();
    let mut anchor = 0;
    for end in 2..line.len() {
        let chord = (line[anchor], line[end]);
        if line[anchor + 1..end].iter().any(|&p| off(p, chord) > tolerance) {
            anchor = end - 1;
            kept.push(line[anchor]);
        }
    }
    if line.len() > 1 {
        kept.push(line[line.len() - 1]);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn area(line: &[Point]) -> f64 {
        let pairs = line.iter().zip(line.iter().cycle().skip(1));
        0.5 * pairs.map(|(a, b)| a.0 * b.1 - a.1 * b.0).sum::<f64>()
    }

    #[test]
    fn a_disc_has_its_area_a_ring_has_a_hole_and_all_ends_with_the_mesh() {
        let n = 101;
        let mesh = |value: &dyn Fn(f64) -> f64| Mesh {
            columns: n,
            values: (0..n * n).map(|k| value(((k % n) as f64 - 50.0).hypot((k / n) as f64 - 50.0))).collect(),
        };
        let disc = region(&mesh(&|r| 40.0 - r), 10.0);
        assert_eq!(disc.len(), 1);
        assert!((area(&disc[0]) / (std::f64::consts::PI * 900.0) - 1.0).abs() < 1e-3);
        let ring = region(&mesh(&|r| 10.0 - (r - 30.0).abs()), 0.0);
        assert_eq!(ring.len(), 2);
        let total: f64 = ring.iter().map(|l| area(l)).sum();
        assert!((total / (std::f64::consts::PI * 1200.0) - 1.0).abs() < 1e-3, "holes turn the other way");
        let all = region(&mesh(&|_| 1.0), 0.5);
        assert!(all.len() == 1 && (area(&all[0]) - 1e4).abs() < 1e-9);
        assert!(region(&mesh(&|_| 1.0), 2.0).is_empty());
    }

    proptest! {
        #[test]
        fn every_side_that_the_border_crosses_is_visited_once(
            values in prop::collection::vec(0.0..1.0f64, 48),
        ) {
            let mesh = Mesh { columns: 8, values };
            let loops = region(&mesh, 0.5);
            let inside = |i: i64, j: i64| {
                (0..8).contains(&i) && (0..6).contains(&j) && mesh.values[(8 * j + i) as usize] >= 0.5
            };
            let crossed = |up: bool| (-1..9).flat_map(move |i| (-1..7).map(move |j| (i, j)))
                .filter(|&(i, j)| {
                    let (k, l) = if up { (i, j + 1) } else { (i + 1, j) };
                    inside(i, j) != inside(k, l)
                }).count();
            prop_assert_eq!(loops.iter().map(Vec::len).sum::<usize>(), crossed(true) + crossed(false));
            for p in loops.concat() {
                prop_assert!((0.0..=7.0).contains(&p.0) && (0.0..=5.0).contains(&p.1));
            }
        }

        #[test]
        fn simplified_lines_keep_their_ends_and_their_distance(
            line in prop::collection::vec((0.0..10.0f64, 0.0..10.0f64), 1..30),
        ) {
            let kept = simplified(&line, 0.5);
            prop_assert_eq!((kept[0], kept[kept.len() - 1]), (line[0], line[line.len() - 1]));
            let near = |p: Point, (a, b): (Point, Point)| {
                let (d, q) = ((b.0 - a.0, b.1 - a.1), (p.0 - a.0, p.1 - a.1));
                let length = d.0.hypot(d.1);
                if length > 0.0 { (q.0 * d.1 - q.1 * d.0).abs() / length } else { q.0.hypot(q.1) }
            };
            for p in &line {
                let on = kept.contains(p) || kept.windows(2).any(|c| near(*p, (c[0], c[1])) <= 0.5 + 1e-9);
                prop_assert!(on, "{:?} of {:?}", p, kept);
            }
        }
    }
}
