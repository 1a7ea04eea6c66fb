//! CIFAR-10 and CIFAR-100, binary version: <https://www.cs.toronto.edu/~kriz/cifar.html> (A. Krizhevsky 2009).

use std::path::{Path, PathBuf};

use super::{Collector, Images, Select, Shape, Split, from_byte, whole};
use crate::error::{BadInput, Result};

/// What differs between the two.
struct Kind {
    name: &'static str,
    /// The folder in the archive.
    folder: &'static str,
    archive: &'static str,
    train: &'static [&'static str],
    test: &'static [&'static str],
    /// Bytes before the pixels; the last of them is the class.
    labels: usize,
    classes: usize,
    /// A list of the classes' names, one a line, in the same folder.
    names: &'static str,
}

const TEN: Kind = Kind {
    name: "cifar10",
    folder: "cifar-10-batches-bin",
    archive: "cifar-10-binary.tar.gz",
    train: &[
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
    ],
    test: &["test_batch.bin"],
    labels: 1,
    classes: 10,
    names: "batches.meta.txt",
};

const HUNDRED: Kind = Kind {
    name: "cifar100",
    folder: "cifar-100-binary",
    archive: "cifar-100-binary.tar.gz",
    train: &["train.bin"],
    test: &["test.bin"],
    labels: 2,
    classes: 100,
    names: "fine_label_names.txt",
};

const SHAPE: Shape = Shape { channels: 3, height: 32, width: 32 };

impl Images {
    /// CIFAR-10: 50,000 (test: 10,000) images in colour of 32 x 32 pixels in ten classes. `dir` is
    /// `cifar-10-batches-bin`, or the folder that holds it. Files hold records of 3073 bytes: the class, and 1024 values
    /// of red, of green and of blue.
    ///
    /// # Errors
    /// A file that is missing, cannot be read, is cut short or holds a class above 9; or a bad selection.
    pub fn cifar10(dir: &Path, select: &Select) -> Result<Self> {
        TEN.read(dir, select)
    }

    /// CIFAR-100: as many images in a hundred (fine) classes, in `cifar-100-binary`. Records have 3074 bytes: the coarse
    /// class, which is left alone, comes first.
    ///
    /// # Errors
    /// As [`Images::cifar10`].
    pub fn cifar100(dir: &Path, select: &Select) -> Result<Self> {
        HUNDRED.read(dir, select)
    }
}

impl Kind {
    fn read(&self, dir: &Path, select: &Select) -> Result<Images> {
        let inner = dir.join(self.folder);
        let dir = if inner.is_dir() { inner } else { dir.to_path_buf() };
        let split = select.split();
        let files = if split == Split::Train { self.train } else { self.test };
        let name = format!("{}({split})", self.name);
        let mut set = Collector::new(&name, dir.display().to_string(), self.names(&dir), select)?;
        for file in files {
            if !set.full() {
                self.records(&dir.join(file), &mut set)?;
            }
        }
        set.finish()
    }

    /// From the list beside the data; else numbers.
    fn names(&self, dir: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(dir.join(self.names)).unwrap_or_default();
        let names: Vec<String> =
            text.lines().map(|l| l.trim().to_string()).filter(|l| !l.is_empty()).collect();
        if names.len() == self.classes { names } else { (0..self.classes).map(|c| c.to_string()).collect() }
    }

    fn records(&self, file: &Path, set: &mut Collector) -> Result<()> {
        let fix = format!("unpack {} and give its folder {}", self.archive, self.folder);
        if file.with_extension("").is_file() && !file.exists() {
            let why = "is missing; beside it lies the version for Python, a pickle";
            return Err(BadInput::new("path", PathBuf::from(file), why, fix));
        }
        let bytes = whole(file, &fix)?;
        let size = self.labels + SHAPE.numbers();
        if bytes.is_empty() || !bytes.len().is_multiple_of(size) {
            let why = format!("has {} bytes, which make no whole records of {size}", bytes.len());
            return Err(BadInput::new("path", file, why, fix));
        }
        for (i, record) in bytes.chunks_exact(size).enumerate() {
            let (labels, pixels) = record.split_at(self.labels);
            let label = u32::from(labels[self.labels - 1]);
            if label as usize >= self.classes {
                let why = format!("gives record {i} the class {label}, and has {}", self.classes);
                return Err(BadInput::new("path", file, why, fix));
            }
            if set.wants(Some(label)) {
                set.push(SHAPE, pixels.iter().copied().map(from_byte), Some(label))?;
            }
        }
        Ok(())
    }
}
