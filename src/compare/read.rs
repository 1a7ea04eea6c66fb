//! From what a user names to tables: a file, a folder of tables, a folder of such folders, or either in a commit.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{BadInput, Result};

use super::table::{Origin, Table};
use super::{Kind, Options, git};

/// One side of a comparison.
#[derive(Clone, Debug)]
pub struct Tables {
    pub(super) shown: String,
    /// Where it is, unless it is in a commit.
    pub(super) path: Option<PathBuf>,
    pub(super) folder: bool,
    pub(super) tables: Vec<Table>,
    pub(super) notes: Vec<String>,
}

/// Folders in folders go no deeper.
const DEEPEST: usize = 8;

impl Tables {
    /// Reads a CSV file, a result folder, a folder of result folders, or `git:REV:PATH`. Tables are known by their headers.
    /// `timing.csv` is read only where `options` ask for it; a training's `loss.csv` is no result.
    ///
    /// # Errors
    /// Names the file, the line and what is wrong: whatever is no whole table, and a run that did not end.
    pub fn read(source: &str, options: &Options) -> Result<Self> {
        let mut it =
            Tables { shown: source.into(), path: None, folder: false, tables: Vec::new(), notes: Vec::new() };
        if let Some(text) = source.strip_prefix("git:") {
            let (rev, path) = git::split(text)?;
            for (name, bytes) in git::files(rev, path)? {
                it.folder |= !name.is_empty();
                let inner = [path, &name].into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("/");
                it.add(origin(&name, path, format!("git:{rev}:{inner}")), bytes, options)?;
            }
        } else {
            let path = Path::new(source);
            it.path = Some(path.into());
            it.folder = fs::metadata(path).map_err(|e| unreadable(path, &e))?.is_dir();
            if it.folder {
                it.read_folder(path, "", options)?;
            } else {
                let bytes = fs::read(path).map_err(|e| unreadable(path, &e))?;
                it.add(origin("", source, source.into()), bytes, options)?;
            }
        }
        if it.tables.is_empty() {
            let names: Vec<&str> = Kind::ALL.iter().map(|k| k.file()).collect();
            let why = format!("holds no result table ({})", names.join(", "));
            return Err(
                BadInput::about("", why, "give a result folder, or a folder of result folders").file(source)
            );
        }
        Ok(it)
    }

    /// Those of some result folders alone, by their names; the rest is as if it were not there.
    #[must_use]
    pub fn only(mut self, names: &[String]) -> Self {
        self.tables.retain(|t| names.iter().any(|name| t.is_of(name)));
        self
    }

    /// Whether there is a table of a result folder of this name.
    pub fn holds(&self, name: &str) -> bool {
        self.tables.iter().any(|t| t.is_of(name))
    }

    /// How many rows there are in all tables.
    pub fn len(&self) -> usize {
        self.tables.iter().map(Table::len).sum()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn read_folder(&mut self, folder: &Path, place: &str, options: &Options) -> Result<()> {
        if place.split('/').count() > DEEPEST {
            return Err(
                BadInput::about("", "holds folders without end", "give the folder of results").file(folder)
            );
        }
        // The tables of a run that was cut off are those of the run before.
        if folder.join(".journal").exists() {
            let fix = "end it with `scorebench run`, then compare";
            return Err(
                BadInput::about("", "is of a run that goes on or was cut off (.journal)", fix).file(folder)
            );
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).map_err(|e| unreadable(folder, &e))? {
            let name = entry.map_err(|e| unreadable(folder, &e))?.file_name();
            names.push(name.to_string_lossy().into_owned());
        }
        names.sort();
        for name in names.iter().filter(|n| !n.starts_with('.')) {
            let path = folder.join(name);
            let is_folder = fs::metadata(&path).map_err(|e| unreadable(&path, &e))?.is_dir();
            if is_folder {
                let inner = if place.is_empty() { name.clone() } else { format!("{place}/{name}") };
                self.read_folder(&path, &inner, options)?;
            } else if name.ends_with(".csv") {
                let bytes = fs::read(&path).map_err(|e| unreadable(&path, &e))?;
                let (place, file) = (place.to_string(), path.display().to_string());
                self.add(Origin { place, name: name.clone(), file }, bytes, options)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, origin: Origin, bytes: Vec<u8>, options: &Options) -> Result<()> {
        let named = Kind::ALL.iter().copied().find(|k| k.file() == origin.name);
        // How a training went is no result, and what pictures show are numbers elsewhere.
        let aside = ["loss.csv", "pictures.csv"].contains(&origin.name.as_str());
        if self.folder && (aside || named == Some(Kind::Timing) && !options.timing) {
            return Ok(());
        }
        // A run without fits writes no header either.
        if let Some(kind) = named.filter(|k| k.may_be_blank() && self.folder && bytes.is_empty()) {
            self.tables.push(Table::blank(kind, origin));
            return Ok(());
        }
        let (file, place) = (origin.file.clone(), origin.place.clone());
        match Table::parse(origin, bytes)? {
            Some(table) if table.kind == Kind::Timing && !options.timing && self.folder => Ok(()),
            Some(table) => {
                if let Some(other) = self.tables.iter().find(|t| t.kind == table.kind && t.place == place) {
                    let why = format!("is a second table of one kind beside {}", other.file);
                    return Err(BadInput::about("", why, "remove one").file(file));
                }
                self.tables.push(table);
                Ok(())
            }
            None if named.is_none() && self.folder => {
                self.notes.push(format!("{file} is not compared: its header is that of no result table"));
                Ok(())
            }
            None => {
                let names: Vec<&str> = Kind::ALL.iter().map(|k| k.file()).collect();
                let why = format!("is the header of no result table ({})", names.join(", "));
                Err(BadInput::about("line 1", why, "give a table that `scorebench run` wrote").file(file))
            }
        }
    }
}

/// A file by its name below a source, or the source itself.
fn origin(name: &str, source: &str, file: String) -> Origin {
    let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_string();
    if name.is_empty() {
        return Origin { place: String::new(), name: last(source), file };
    }
    let place = name.rsplit_once('/').map_or("", |(place, _)| place).to_string();
    Origin { place, name: last(name), file }
}

fn unreadable(path: &Path, e: &std::io::Error) -> BadInput {
    BadInput::about("", format!("cannot be read: {e}"), "give a file, a folder or git:REV:PATH").file(path)
}

/// Tables to compare with each other; one without its like has nothing beside it.
pub(super) type Pair<'a> = (Option<&'a Table>, Option<&'a Table>);

/// Which table is compared with which.
pub(super) fn pairs<'a>(base: &'a Tables, new: &'a Tables) -> Result<Vec<Pair<'a>>> {
    match (base.folder, new.folder) {
        (false, false) => {
            let (a, b) = (&base.tables[0], &new.tables[0]);
            if a.kind != b.kind {
                let why =
                    format!("has the header of {}, and {} that of {}", b.kind.file(), a.file, a.kind.file());
                return Err(BadInput::about("line 1", why, "compare tables of one kind").file(&b.file));
            }
            Ok(vec![(Some(a), Some(b))])
        }
        (false, true) => Ok(vec![(Some(&base.tables[0]), Some(only(new, &base.tables[0])?))]),
        (true, false) => Ok(vec![(Some(only(base, &new.tables[0])?), Some(&new.tables[0]))]),
        (true, true) => {
            same_depth(base, new)?;
            let like = |t: &Table, side: &'a Tables| {
                side.tables.iter().find(|o| o.kind == t.kind && o.place == t.place)
            };
            let mut all: Vec<Pair> = base.tables.iter().map(|t| (Some(t), like(t, new))).collect();
            all.extend(new.tables.iter().filter(|t| like(t, base).is_none()).map(|t| (None, Some(t))));
            Ok(all)
        }
    }
}

/// The one table of a folder that is of the same kind as a file.
fn only<'a>(folder: &'a Tables, file: &Table) -> Result<&'a Table> {
    let found: Vec<&Table> = folder.tables.iter().filter(|t| t.kind == file.kind).collect();
    match found[..] {
        [table] => Ok(table),
        _ => {
            let why =
                format!("has {} tables of the kind of {} ({})", found.len(), file.file, file.kind.file());
            Err(BadInput::about("", why, "name the one to compare with").file(&folder.shown))
        }
    }
}

/// A result folder and a folder of result folders have nothing in common, and all would be missing.
fn same_depth(base: &Tables, new: &Tables) -> Result<()> {
    let alone = |side: &Tables| side.tables.iter().all(|t| t.place.is_empty());
    let none = |side: &Tables| side.tables.iter().all(|t| !t.place.is_empty());
    let (one, many) = match (alone(base) && none(new), alone(new) && none(base)) {
        (true, _) => (base, new),
        (_, true) => (new, base),
        _ => return Ok(()),
    };
    let why = format!("is one result folder, and {} a folder of result folders", many.shown);
    Err(BadInput::about("", why, "compare like with like").file(&one.shown))
}
