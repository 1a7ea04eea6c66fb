//! Runs the parts of a study, those that are not finished yet.

use crate::experiment::StudyFile;
use crate::parallel;
use crate::record::{MeasuredRow, Part, TileRow};
use crate::results::Store;

/// What a study found.
#[derive(Clone, Debug)]
pub struct Studied {
    /// Its parts, in order.
    pub parts: Vec<Part>,
    /// How many were measured now, not found finished.
    pub computed: usize,
}

impl Studied {
    /// The rows of `measured.csv`.
    pub fn rows(&self) -> Vec<MeasuredRow> {
        self.parts.iter().flat_map(|p| p.rows.iter().cloned()).collect()
    }

    /// The rows of `pictures.csv`.
    pub fn tiles(&self) -> Vec<TileRow> {
        self.parts.iter().flat_map(|p| p.tiles.iter().cloned()).collect()
    }
}

/// Measures what is not in the store yet, writing every finished part to it; `tick` is called after each.
///
/// # Errors
/// The store's file system errors.
pub fn run_study(
    file: &StudyFile,
    store: Option<&Store<Part>>,
    tick: &(dyn Fn() + Sync),
) -> std::io::Result<Studied> {
    let Some(study) = &file.study else { return Ok(Studied { parts: Vec::new(), computed: 0 }) };
    let parts = file.parts();
    let known = |key: &str| store.and_then(|s| s.get(key)).cloned();
    let one = |(part, key): &(String, String)| -> std::io::Result<(Part, bool)> {
        if let Some(done) = known(key) {
            tick();
            return Ok((done.sealed(&file.name), false));
        }
        let done = Part::new(&file.name, key, &study.measure(part));
        store.map_or(Ok(()), |s| s.add(&done))?;
        tick();
        Ok((done, true))
    };
    let done: Vec<(Part, bool)> = parallel::map(&parts, one).into_iter().collect::<std::io::Result<_>>()?;
    let computed = done.iter().filter(|(_, new)| *new).count();
    Ok(Studied { parts: done.into_iter().map(|(part, _)| part).collect(), computed })
}
