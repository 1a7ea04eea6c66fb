//! Image sets from TOML: as finite data, as what a Gaussian is matched to, and as what a network sees.

use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

use super::super::names;
use super::super::spectrum::find;
use super::{Named, label, stem};
use crate::config::{self, Plain};
use crate::data::images::{Class, Form, Images, Select, Split};
use crate::data::preset::{check_std, fits};
use crate::data::{self, Data, empirical};
use crate::error::{BadInput, Result};

/// Names of image sets, and the keys that each takes.
const SETS: &[(&str, &[&str])] = &[
    ("digits", &["class", "count", "std"]),
    ("cifar10", &["path", "split", "class", "count", "std"]),
    ("cifar100", &["path", "split", "class", "count", "std"]),
    ("mnist", &["path", "split", "class", "count", "std"]),
    ("images", &["path", "size", "grey", "class", "count", "std"]),
    ("parquet", &["path", "split", "size", "grey", "class", "count", "std"]),
];

/// The images of `{ name = "digits" | "cifar10" | ..., path = ..., ... }`, for networks: the same table that makes a finite
/// data set, but for `std`, which pictures have not.
///
/// # Errors
/// A name that is no image set, a key that it does not take, files that cannot be read.
pub fn read_images(value: Value, folder: &Path) -> Result<Images> {
    if let Some(std) = value.get("std") {
        return Err(BadInput::new("std", Plain(std), "makes a law, where images are asked for", "remove it"));
    }
    match Set::in_table(&value, folder)? {
        Some(set) => Ok(set.images),
        None => {
            let (name, _) = config::split_name(value, &names(data::LIST))?;
            let known: Vec<&str> = SETS.iter().map(|set| set.0).collect();
            let fix = format!("give one of {}", known.join(", "));
            Err(BadInput::new("name", name, "is no image set", fix))
        }
    }
}

/// An image set as it is asked for: the pictures, and the kernel about each.
pub(super) struct Set {
    pub(super) images: Images,
    pub(super) std: f64,
    pub(super) label: String,
}

impl Set {
    /// The set that a table asks for; `None` where it asks for other data.
    pub(super) fn in_table(value: &Value, folder: &Path) -> Result<Option<Set>> {
        let name = value.as_str().or(value.get("name").and_then(Value::as_str));
        let Some((name, keys)) = SETS.iter().find(|set| Some(set.0) == name) else {
            return Ok(None);
        };
        let mut table = value.as_table().cloned().unwrap_or_default();
        table.remove("name");
        let label = super::take_label(&mut table)?;
        let set = Set::read(name, keys, table, folder)?;
        Ok(Some(Set { label: label.unwrap_or(set.label), ..set }))
    }

    /// Every image a mode.
    pub(super) fn mixture(self) -> Result<Named<Data>> {
        let (count, numbers) = (self.images.len(), self.images.shape().numbers());
        if !fits(count, numbers) {
            let most = (1..count).rev().find(|n| fits(*n, numbers)).unwrap_or(0);
            let why =
                format!("is missing or too large: {count} points of {numbers} numbers are too many to hold");
            let fix = format!("give count = {most} or less, or a gaussian of the set");
            return Err(BadInput::about("count", why, fix));
        }
        let law = empirical::kernels(self.images.points(), self.std)?;
        Ok(Named { label: self.label, value: Data::Mixture(law) })
    }

    fn read(name: &str, keys: &[&str], mut table: Table, folder: &Path) -> Result<Set> {
        if let Some((key, value)) = table.iter().find(|(key, _)| !keys.contains(&key.as_str())) {
            let fix = config::suggest(key, keys);
            return Err(BadInput::new(key, Plain(value), "is not a known key", fix));
        }
        let raw: Raw = config::read(Value::Table(table.clone()))?;
        check_std("std", raw.std)?;
        let form = Form { size: raw.size.map(size).transpose()?, grey: raw.grey };
        let select = Select {
            split: raw.split.map(split).transpose()?,
            class: raw.class.map(class).transpose()?,
            count: raw.count,
        };
        let path = || match &raw.path {
            Some(path) => find("path", path, folder),
            None => Err(BadInput::about("path", "is missing", "add path = \"FOLDER\"")),
        };
        let images = match name {
            "digits" => Images::digits(&select),
            "cifar10" => Images::cifar10(&path()?, &select),
            "cifar100" => Images::cifar100(&path()?, &select),
            "mnist" => Images::mnist(&path()?, &select),
            "images" => Images::folder(&path()?, &form, &select),
            _ => Images::parquet(&path()?, &form, &select),
        }?;
        // Where it is, is no matter of what it is called.
        if let Some(path) = &raw.path {
            table.insert("path".into(), stem(path).into());
        }
        Ok(Set { images, std: raw.std, label: label(name, table) })
    }
}

#[derive(Deserialize)]
struct Raw {
    path: Option<String>,
    split: Option<String>,
    class: Option<Value>,
    count: Option<usize>,
    size: Option<Value>,
    #[serde(default)]
    grey: bool,
    #[serde(default)]
    std: f64,
}

fn split(name: String) -> Result<Split> {
    match name.as_str() {
        "train" => Ok(Split::Train),
        "test" => Ok(Split::Test),
        _ => Err(BadInput::new("split", &name, "is not known", config::suggest(&name, &["train", "test"]))),
    }
}

/// A number or a name.
fn class(value: Value) -> Result<Class> {
    match value {
        Value::String(name) => Ok(Class::Name(name)),
        number => {
            let number: usize = config::read(number).map_err(|e| e.within("class"))?;
            Ok(Class::Number(u32::try_from(number).unwrap_or(u32::MAX)))
        }
    }
}

/// `[height, width]`, or one number for both.
fn size(value: Value) -> Result<[usize; 2]> {
    match value {
        Value::Array(both) => config::read(Value::Array(both)),
        one => config::read(one).map(|side| [side, side]),
    }
    .map_err(|e| e.within("size"))
}
