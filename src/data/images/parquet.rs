//! Image sets in parquet, as the Hugging Face hub keeps them: an encoded image and a class a row.

use std::fs::File;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::ImageReader;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::Type;

use super::folder::{Form, decode, sorted};
use super::{Collector, Images, Select, Shape};
use crate::error::{BadInput, Result};

/// Names that the column of images goes by.
const IMAGE: &[&str] = &["image", "img"];

/// And that of classes, where there is one.
const LABEL: &[&str] = &["label", "labels", "fine_label"];

impl Images {
    /// A parquet file, or the files of a folder (or of its sub-folder `data`): a column `image` or `img` of PNG or JPEG bytes
    /// (alone, or as `bytes` of a group), and a column of whole numbers `label`, `labels` or `fine_label`, if there is
    /// one. Of a folder, files are taken whose names begin with the part: `train-00000-of-00001.parquet`. Names of
    /// classes are those in the file's own description, else numbers.
    ///
    /// # Errors
    /// No file, files of several parts none of which is `train`, a file that is damaged or lacks the column of images, a
    /// row without image or class, an image that [`Images::folder`] would refuse; or a bad selection.
    pub fn parquet(path: &Path, form: &Form, select: &Select) -> Result<Self> {
        form.check()?;
        let (files, part) = files(path, select)?;
        let name = format!("parquet({part})");
        let first = Opened::file(&files[0])?;
        let mut set = Collector::new(&name, path.display().to_string(), first.classes(), select)?;
        let mut expected = None;
        for file in &files {
            if !set.full() {
                Opened::file(file)?.rows(form, &mut set, &mut expected)?;
            }
        }
        set.finish()
    }
}

/// The files to read, in order, and what part they are.
fn files(path: &Path, select: &Select) -> Result<(Vec<PathBuf>, String)> {
    let bad = |why: String, fix: &str| BadInput::new("path", path, why, fix);
    let stem = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    if !path.is_dir() {
        select.refuse_split("single files")?;
        return Ok((vec![path.into()], stem(path)));
    }
    let inner = path.join("data");
    let dir = if inner.is_dir() { &inner } else { path };
    let mut files = sorted(dir).map_err(|e| bad(format!("cannot be read: {e}"), "give a parquet file"))?;
    files.retain(|file| file.extension().is_some_and(|kind| kind == "parquet") && file.is_file());
    if files.is_empty() {
        return Err(bad("holds no parquet file".into(), "give a folder with some, or a file"));
    }
    let part = |file: &Path| stem(file).split('-').next().unwrap_or_default().to_string();
    let mut parts: Vec<String> = files.iter().map(|file| part(file)).collect();
    parts.dedup();
    let wanted = match select.split {
        None if parts.len() == 1 => parts[0].clone(),
        split => split.unwrap_or(super::Split::Train).to_string(),
    };
    files.retain(|file| part(file) == wanted);
    if files.is_empty() {
        let why = format!("has files of {}, none of {wanted}", parts.join(", "));
        return Err(bad(why, "give another split, or one file"));
    }
    Ok((files, wanted))
}

/// A file and its columns.
struct Opened<'a> {
    file: &'a Path,
    reader: SerializedFileReader<File>,
    image: Arc<Type>,
    label: Option<Arc<Type>>,
}

impl<'a> Opened<'a> {
    fn file(file: &'a Path) -> Result<Self> {
        let bad = |why: String, fix: &str| BadInput::new("path", file, why, fix);
        let opened = File::open(file)
            .map_err(|e| bad(format!("cannot be read: {e}"), "give a parquet file, or a folder with some"))?;
        let reader = shielded(|| SerializedFileReader::new(opened))
            .map_err(|e| bad(format!("is no whole parquet file: {e}"), "download it again"))?;
        let columns = reader.metadata().file_metadata().schema().get_fields();
        let find = |names: &[&str]| names.iter().find_map(|name| columns.iter().find(|c| c.name() == *name));
        let label = find(LABEL).cloned();
        let Some(image) = find(IMAGE).cloned() else {
            let have: Vec<&str> = columns.iter().map(|c| c.name()).collect();
            let why = format!("has no column {} among {}", IMAGE.join(" or "), have.join(", "));
            return Err(bad(why, "give a file with encoded images"));
        };
        Ok(Opened { file, reader, image, label })
    }

    /// Names of the classes, from the description that the hub's library leaves in the file.
    fn classes(&self) -> Vec<String> {
        let about = self.reader.metadata().file_metadata().key_value_metadata();
        let text = about.into_iter().flatten().find(|entry| entry.key == "huggingface");
        let (Some(text), Some(label)) = (text.and_then(|entry| entry.value.as_ref()), &self.label) else {
            return Vec::new();
        };
        let about: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        let names = about["info"]["features"][label.name()]["names"].as_array();
        names.into_iter().flatten().filter_map(|name| Some(name.as_str()?.to_string())).collect()
    }

    fn rows(&self, form: &Form, set: &mut Collector, expected: &mut Option<Shape>) -> Result<()> {
        let bad = |why: String, fix: &str| BadInput::new("path", self.file, why, fix);
        let damaged = |e: ParquetError| {
            bad(format!("cannot be read: {e}"), "download it again, or write it with snappy, zstd or gzip")
        };
        let columns = [Some(self.image.clone()), self.label.clone()].into_iter().flatten().collect();
        let wanted = Type::group_type_builder("schema").with_fields(columns).build().map_err(damaged)?;
        let mut rows = shielded(|| self.reader.get_row_iter(Some(wanted))).map_err(damaged)?;
        let mut i = 0;
        while let Some(row) = shielded(|| rows.next().transpose()).map_err(damaged)?.filter(|_| !set.full()) {
            let mut cells = row.into_columns().into_iter().map(|(_, cell)| cell);
            let (image, label) = (cells.next(), cells.next());
            let label = match label.map(|cell| number(&cell)) {
                Some(None) => {
                    return Err(bad(format!("gives row {i} no class"), "give another file or split"));
                }
                label => label.flatten(),
            };
            if set.wants(label) {
                let Some(bytes) = image.as_ref().and_then(bytes) else {
                    return Err(bad(format!("holds no image in row {i}"), "give a file with encoded images"));
                };
                let (shape, pixels) = decode(ImageReader::new(Cursor::new(bytes)), form)
                    .map_err(|(why, fix)| bad(format!("row {i} {why}"), fix))?;
                let first = *expected.get_or_insert(shape);
                if shape != first {
                    let why = format!("row {i} is {shape} where the first is {first}");
                    return Err(bad(why, "add size = [HEIGHT, WIDTH], or grey = true"));
                }
                set.push(shape, pixels.into_iter(), label)?;
            }
            i += 1;
        }
        Ok(())
    }
}

/// What the library says of a file, its panics included: on damaged files it has some, which are no fault of the caller.
fn shielded<T>(
    read: impl FnOnce() -> std::result::Result<T, ParquetError>,
) -> std::result::Result<T, ParquetError> {
    let lost = |_| Err(ParquetError::General("it contradicts itself".into()));
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(lost)
}

/// Encoded bytes: alone, or in a group beside their path.
fn bytes(cell: &Field) -> Option<&[u8]> {
    match cell {
        Field::Bytes(bytes) => Some(bytes.data()),
        Field::Group(row) => {
            row.get_column_iter().find(|(name, _)| *name == "bytes").and_then(|(_, cell)| bytes_alone(cell))
        }
        _ => None,
    }
}

fn bytes_alone(cell: &Field) -> Option<&[u8]> {
    if let Field::Bytes(bytes) = cell { Some(bytes.data()) } else { None }
}

/// A class.
fn number(cell: &Field) -> Option<u32> {
    match *cell {
        Field::Byte(n) => u32::try_from(n).ok(),
        Field::Short(n) => u32::try_from(n).ok(),
        Field::Int(n) => u32::try_from(n).ok(),
        Field::Long(n) => u32::try_from(n).ok(),
        Field::UByte(n) => Some(n.into()),
        Field::UShort(n) => Some(n.into()),
        Field::UInt(n) => Some(n),
        Field::ULong(n) => u32::try_from(n).ok(),
        _ => None,
    }
}
