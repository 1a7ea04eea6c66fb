//! A comparison that goes on: table by table, row by row.

use std::collections::BTreeMap;

use crate::error::Result;

use super::matching::{self, Rows};
use super::sampled::{self, Judged};
use super::table::Table;
use super::{Chance, Change, Class, Difference, Kind, Options, derived, exact};

/// Two rows of one key: of which pair of tables, and their numbers.
pub(super) type Place = (usize, usize, usize);

/// A comparison that goes on.
pub(super) struct Work<'a> {
    pub options: &'a Options,
    pub pairs: Vec<(&'a Table, &'a Table)>,
    changes: BTreeMap<Place, Vec<Change>>,
    pub judged: Vec<Judged>,
    pub differences: Vec<Difference>,
    pub notes: Vec<String>,
}

impl<'a> Work<'a> {
    pub fn new(options: &'a Options) -> Self {
        let (pairs, judged, differences, notes) = (vec![], vec![], vec![], vec![]);
        Work { options, pairs, changes: BTreeMap::new(), judged, differences, notes }
    }

    /// Compares two tables, or says of all rows of one that they are missing or new.
    pub fn pair(&mut self, pair: (Option<&'a Table>, Option<&'a Table>)) -> Result<usize> {
        let (base, new) = match pair {
            (Some(base), Some(new)) => (base, new),
            (Some(only), None) | (None, Some(only)) => {
                matching::keys(only)?;
                let (side, class) =
                    if pair.0.is_some() { ("NEW", Class::Missing) } else { ("BASELINE", Class::New) };
                if only.len() > 0 {
                    self.notes.push(format!("{} has nothing like it in {side}", only.file));
                }
                (0..only.len()).for_each(|row| self.alone(only, row, class));
                return Ok(only.len());
            }
            (None, None) => return Ok(0),
        };
        let rows = matching::rows(base, new)?;
        self.columns(base, new);
        self.pairs.push((base, new));
        for row in &rows {
            match *row {
                Rows::Baseline(row) => self.alone(base, row, Class::Missing),
                Rows::New(row) => self.alone(new, row, Class::New),
                Rows::Both(..) => {}
            }
        }
        let both: Vec<(usize, usize)> = rows
            .iter()
            .filter_map(|r| if let Rows::Both(a, b) = r { Some((*a, *b)) } else { None })
            .collect();
        match base.kind {
            Kind::Exact => exact::rows(self, &both),
            Kind::Sampled => sampled::rows(self, &both),
            Kind::Orders => derived::orders(self, &both)?,
            Kind::Calls => derived::calls(self, &both),
            Kind::Ranks => derived::ranks(self, &both),
            Kind::Measured => exact::measured(self, &both),
            Kind::Timing => {}
        }
        Ok(rows.len())
    }

    /// The tables that are compared now.
    pub fn tables(&self) -> (&'a Table, &'a Table) {
        *self.pairs.last().expect("rows are compared after their tables were pushed")
    }

    pub fn add(&mut self, rows: (usize, usize), change: Option<Change>) {
        let place = (self.pairs.len() - 1, rows.0, rows.1);
        if let Some(change) = change {
            self.changes.entry(place).or_default().push(change);
        }
    }

    /// Columns that only one side has.
    fn columns(&mut self, base: &Table, new: &Table) {
        if base.len() == 0 || new.len() == 0 {
            return;
        }
        for column in base.header.iter().filter(|c| new.column(c).is_none()) {
            let reason = format!("the baseline has a column {column}, and this table has none");
            self.notes.push(format!("{}: no column {column}, which the baseline has", new.file));
            self.differences.push(Difference {
                class: Class::Missing,
                table: base.kind,
                key: Vec::new(),
                column: column.clone(),
                before: String::new(),
                after: String::new(),
                reason,
                file: new.file.clone(),
                line: 1,
                changes: Vec::new(),
            });
        }
        for column in new.header.iter().filter(|c| base.column(c).is_none()) {
            self.notes
                .push(format!("{}: a column {column}, which the baseline lacks, is not compared", new.file));
        }
    }

    fn alone(&mut self, table: &Table, row: usize, class: Class) {
        let reason =
            if class == Class::Missing { "is in the baseline only" } else { "is not in the baseline" };
        self.differences.push(Difference {
            class,
            table: table.kind,
            key: key(table, row),
            column: String::new(),
            before: String::new(),
            after: String::new(),
            reason: reason.into(),
            file: table.file.clone(),
            line: table.line(row),
            changes: Vec::new(),
        });
    }

    /// Judges sampled numbers, now that it is known how many there are, and makes differences of all changes.
    pub fn settle(&mut self) -> Option<Chance> {
        let (chance, found) = sampled::settle(&self.judged, &self.pairs, self.options);
        for (place, change) in found {
            self.changes.entry(place).or_default().push(change);
        }
        for ((pair, _, row), mut changes) in std::mem::take(&mut self.changes) {
            let (_, new) = self.pairs[pair];
            changes.sort_by(|a, b| a.class.cmp(&b.class).then(b.weight.total_cmp(&a.weight)));
            let worst = changes[0].clone();
            self.differences.push(Difference {
                class: worst.class,
                table: new.kind,
                key: key(new, row),
                column: worst.column,
                before: worst.before,
                after: worst.after,
                reason: worst.reason,
                file: new.file.clone(),
                line: new.line(row),
                changes,
            });
        }
        chance
    }
}

/// What a row is of.
fn key(table: &Table, row: usize) -> Vec<(&'static str, String)> {
    table.kind.keys().iter().map(|name| (*name, table.named(row, name).to_string())).collect()
}
