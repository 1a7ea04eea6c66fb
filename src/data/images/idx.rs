//! MNIST and what comes in its format, idx: <http://yann.lecun.com/exdb/mnist/> (LeCun, Cortes & Burges 1998).

use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Collector, Images, MOST_BYTES, Select, Shape, Split, from_byte, whole};
use crate::error::{BadInput, Result};

const FIX: &str =
    "give a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte and the same of t10k, .gz or not";

impl Images {
    /// MNIST: 60,000 (test: 10,000) grey images of 28 x 28 pixels, in files `train-images-idx3-ubyte` and
    /// `train-labels-idx1-ubyte` (test: `t10k-...`), or `.gz` of those, as they are handed out. Fashion-MNIST and KMNIST
    /// have the same names; any size of image will do. Classes are numbers.
    ///
    /// # Errors
    /// A file that is missing, cannot be read, begins with another magic number or has another length than it says;
    /// not as many labels as images; or a bad selection.
    pub fn mnist(dir: &Path, select: &Select) -> Result<Self> {
        let split = select.split();
        let stem = if split == Split::Train { "train" } else { "t10k" };
        let (images, pixels) = open(dir, &format!("{stem}-images"), 3)?;
        let (labels, classes) = open(dir, &format!("{stem}-labels"), 1)?;
        let (sizes, pixels) = Idx { file: &images, bytes: &pixels, sides: 3 }.read()?;
        let (counts, classes) = Idx { file: &labels, bytes: &classes, sides: 1 }.read()?;
        if sizes[0] != counts[0] {
            let why = format!("has {} labels where {} has {} images", counts[0], images.display(), sizes[0]);
            return Err(BadInput::new("path", labels, why, "take both files from one set"));
        }
        let shape = Shape { channels: 1, height: sizes[1], width: sizes[2] };
        if shape.numbers() == 0 {
            return Err(BadInput::new("path", images, "holds images without a pixel", FIX));
        }
        let most = classes.iter().copied().max().unwrap_or(0).max(9);
        let names = (0..=most).map(|c| c.to_string()).collect();
        let mut set = Collector::new(&format!("mnist({split})"), dir.display().to_string(), names, select)?;
        for (image, label) in pixels.chunks_exact(shape.numbers()).zip(classes) {
            let label = Some(u32::from(*label));
            if set.wants(label) {
                set.push(shape, image.iter().copied().map(from_byte), label)?;
            }
        }
        set.finish()
    }
}

/// The first of the names under which the file is found, and its contents, unpacked.
fn open(dir: &Path, stem: &str, sides: u8) -> Result<(PathBuf, Vec<u8>)> {
    // With a dot: as some archives unpack it.
    let names = [format!("{stem}-idx{sides}-ubyte"), format!("{stem}.idx{sides}-ubyte")];
    let found = names.iter().flat_map(|n| [dir.join(n), dir.join(format!("{n}.gz"))]).find(|f| f.is_file());
    let Some(file) = found else {
        return Err(BadInput::new("path", dir.join(&names[0]), "is missing", FIX));
    };
    let bytes = whole(&file, FIX)?;
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok((file, bytes));
    }
    let mut unpacked = Vec::new();
    let mut gz = flate2::read::GzDecoder::new(&bytes[..]).take(MOST_BYTES + 1);
    let why = match gz.read_to_end(&mut unpacked) {
        Ok(n) if n as u64 <= MOST_BYTES => return Ok((file, unpacked)),
        Ok(_) => "unpacks to more than 1 GiB".into(),
        Err(e) => format!("is cut short or damaged: {e}"),
    };
    Err(BadInput::new("path", file, why, "download it again"))
}

/// A file of unsigned bytes: two zeros, the type 8, the number of sides, each side's length (big-endian), the bytes.
struct Idx<'a> {
    file: &'a Path,
    bytes: &'a [u8],
    sides: u8,
}

impl<'a> Idx<'a> {
    /// Lengths of the sides, and the bytes.
    fn read(&self) -> Result<(Vec<usize>, &'a [u8])> {
        let bad = |why: String, fix: &str| Err(BadInput::new("path", self.file, why, fix));
        let magic = [0, 0, 8, self.sides];
        let head = 4 + 4 * usize::from(self.sides);
        if self.bytes.len() < head {
            return bad(format!("is cut short: {} bytes", self.bytes.len()), "download it again");
        }
        if self.bytes[..4] != magic {
            let hex = |b: &[u8]| b.iter().map(|b| format!("{b:02x}")).collect::<String>();
            let (have, want) = (hex(&self.bytes[..4]), hex(&magic));
            return bad(format!("begins with {have}, where idx of {} sides has {want}", self.sides), FIX);
        }
        let side = |b: &[u8]| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize;
        let sides: Vec<usize> = self.bytes[4..head].chunks_exact(4).map(side).collect();
        let want = sides.iter().fold(1usize, |n, side| n.saturating_mul(*side));
        let have = self.bytes.len() - head;
        if have != want {
            return bad(
                format!("has {have} bytes after its head, which announces {want}"),
                "download it again",
            );
        }
        Ok((sides, &self.bytes[head..]))
    }
}
