//! Grey pictures of a study, in a table.

use std::collections::BTreeMap;

use super::chart::{MARGIN, PANEL_TITLE, SMALL};
use super::field::draw_heading;
use super::scene::{Anchor, HALF_HEIGHT, Point, Scene, Shape, Stroke, text_width, wrap};
use super::style::{GUIDE, INK};
use super::{Figure, distinct};
use crate::record::TileRow;

/// Side of a picture, room between two, and a line of a column's name.
const SIDE: f64 = 104.0;
const GAP: f64 = 10.0;
const LINE: f64 = 14.0;
/// Shades that are told apart.
const SHADES: u32 = 33;

/// All pictures, by the labels of their rows and columns, in the order of first appearance.
pub fn pictures(tiles: &[TileRow], title: &str) -> Figure {
    let rows = distinct(tiles.iter().map(|t| t.row.clone()));
    let columns = distinct(tiles.iter().map(|t| t.column.clone()));
    let before = rows.iter().map(|r| text_width(r, PANEL_TITLE)).fold(0.0, f64::max).min(220.0) + 12.0;
    let width = 2.0 * MARGIN + before + columns.len() as f64 * (SIDE + GAP);
    let mut shapes = Vec::new();
    let mut top = draw_heading(&mut shapes, title, "", width);
    let names: Vec<Vec<String>> = columns.iter().map(|c| wrap(c, SMALL, SIDE)).collect();
    let lines = names.iter().map(Vec::len).max().unwrap_or(0);
    top += LINE * lines as f64 + 4.0;
    for (k, name) in names.iter().enumerate() {
        let left = MARGIN + before + k as f64 * (SIDE + GAP);
        for (i, line) in name.iter().rev().enumerate() {
            let at = (left, top - 6.0 - LINE * i as f64);
            shapes.push(Shape::text(at, Anchor::Start, SMALL, INK, line.clone()));
        }
    }
    for (k, row) in rows.iter().enumerate() {
        let y = top + k as f64 * (SIDE + GAP);
        let text = wrap(row, PANEL_TITLE, before - 12.0);
        for (i, line) in text.iter().enumerate() {
            let down = (i as f64 - 0.5 * (text.len() as f64 - 1.0)) * 16.0;
            let at = (MARGIN, y + 0.5 * SIDE + down + HALF_HEIGHT * PANEL_TITLE);
            shapes.push(Shape::text(at, Anchor::Start, PANEL_TITLE, INK, line.clone()));
        }
        for tile in tiles.iter().filter(|t| t.row == *row) {
            let column = columns.iter().position(|c| *c == tile.column).unwrap_or(0);
            draw(&mut shapes, tile, (MARGIN + before + column as f64 * (SIDE + GAP), y));
        }
    }
    let height = top + rows.len() as f64 * (SIDE + GAP) + MARGIN - GAP;
    Figure { scene: Scene { width, height, title: title.into(), shapes } }
}

fn draw(out: &mut Vec<Shape>, tile: &TileRow, (left, top): Point) {
    let pixels = tile.greys();
    let across = tile.width.max(1);
    let down = pixels.len().div_ceil(across).max(1);
    let cell = (SIDE / across.max(down) as f64).floor().max(1.0);
    let shade = |v: u8| (u32::from(v) * (SHADES - 1) + 127) / 255;
    // Runs of one shade in a line are one rectangle, all rectangles of one shade one path.
    let mut areas: BTreeMap<u32, Vec<Vec<Point>>> = BTreeMap::new();
    for (y, line) in pixels.chunks(across).enumerate() {
        let mut x = 0;
        for run in line.chunk_by(|a, b| shade(*a) == shade(*b)) {
            let (x0, x1) = (left + cell * x as f64, left + cell * (x + run.len()) as f64);
            let (y0, y1) = (top + cell * y as f64, top + cell * (y + 1) as f64);
            areas.entry(shade(run[0])).or_default().push(vec![(x0, y0), (x1, y0), (x1, y1), (x0, y1)]);
            x += run.len();
        }
    }
    for (shade, loops) in areas {
        let grey = (shade * 255 / (SHADES - 1)) as u8;
        out.push(Shape::Area { loops, colour: [grey; 3] });
    }
    let (right, bottom) = (left + cell * across as f64, top + cell * down as f64);
    let frame = vec![(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
    out.push(Shape::line(frame, Stroke::solid(GUIDE, 1.0)));
}
