//! Sets of images in memory, as networks see them: the bundled digits, folders, CIFAR, MNIST, parquet files.
//!
//! | constructor | reads |
//! |---|---|
//! | [`Images::digits`] | the 1797 grey digits of 8 x 8 pixels in the program itself |
//! | [`Images::folder`] | PNG and JPEG files; sub-folders are classes |
//! | [`Images::cifar10`], [`Images::cifar100`] | the binary version |
//! | [`Images::mnist`] | idx files, `.gz` or not; Fashion-MNIST, KMNIST |
//! | [`Images::parquet`] | data sets of the Hugging Face hub (feature `parquet`) |
//!
//! ```
//! use scorebench::data::images::{Class, Images, Select};
//! let threes = Images::digits(&Select { class: Some(Class::Number(3)), ..Select::default() })?;
//! assert_eq!((threes.len(), threes.shape().numbers()), (183, 64));
//! # Ok::<(), scorebench::error::BadInput>(())
//! ```

use std::fmt;
use std::io::Read;
use std::path::Path;

use super::digits;
use crate::error::{BadInput, Result};

mod cifar;
mod folder;
mod idx;
#[cfg(feature = "parquet")]
mod parquet;

pub use folder::Form;
pub(crate) use folder::read as read_folder;

/// Numbers that a set may hold: 1 GB of them. CIFAR-10 has 154 million in its training images.
const MOST_NUMBERS: usize = 250_000_000;

/// Bytes of a file that is read whole.
const MOST_BYTES: u64 = 1 << 30;

/// Images of one shape, their classes where they are known, and where they are from.
#[derive(Clone, Debug, PartialEq)]
pub struct Images {
    name: String,
    source: String,
    shape: Shape,
    pixels: Vec<f32>,
    labels: Option<Vec<u32>>,
    classes: Vec<String>,
}

/// Whether an image, by its number, is kept from whatever is trained on a set: every tenth is.
pub fn held_out(number: usize) -> bool {
    number % 10 == 9
}

/// Of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// 1 of a grey image, 3 (red, green, blue) of one in colour.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// Which images of a set to take: all, by default, of the part that is for training.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Select {
    /// The part, in sets that are split; training where this is `None`.
    pub split: Option<Split>,
    /// Those of one class only.
    pub class: Option<Class>,
    /// The first so many of those.
    pub count: Option<usize>,
}

/// A part of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// To fit models to.
    Train,
    /// To try them on.
    Test,
}

/// A class, by its number or its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    /// From 0.
    Number(u32),
    /// As in [`Images::classes`].
    Name(String),
}

impl Images {
    /// The handwritten digits of [`digits`]: 1 x 8 x 8, labelled; a count of ink `v` is `v/8 - 1`.
    ///
    /// # Errors
    /// A split, a class above 9, or a count of none or of more than there are.
    pub fn digits(select: &Select) -> Result<Self> {
        select.refuse_split("the digits")?;
        let classes = (0..10).map(|c| c.to_string()).collect();
        let mut set = Collector::new("digits", "in the program", classes, select)?;
        for digit in digits::all() {
            let label = Some(u32::from(digit.class));
            if set.wants(label) {
                let pixels = digit.pixels.iter().map(|p| f32::from(*p) / 8.0 - 1.0);
                set.push(Shape { channels: 1, height: 8, width: 8 }, pixels, label)?;
            }
        }
        set.finish()
    }

    /// What it is, with the part taken: `cifar10(train)`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder or file it was read from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Of every image.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Number of images; at least one.
    pub fn len(&self) -> usize {
        self.pixels.len() / self.shape.numbers()
    }

    /// Never.
    pub fn is_empty(&self) -> bool {
        self.pixels.is_empty()
    }

    /// Image `i`: its values from -1 (black) to 1, channel after channel, each row after row.
    ///
    /// # Panics
    /// If there are not as many.
    pub fn image(&self, i: usize) -> &[f32] {
        let n = self.shape.numbers();
        &self.pixels[i * n..(i + 1) * n]
    }

    /// All of them, one after the other: `len x channels x height x width` numbers.
    pub fn pixels(&self) -> &[f32] {
        &self.pixels
    }

    /// The class of every image, below `classes().len()` where classes have names.
    pub fn labels(&self) -> Option<&[u32]> {
        self.labels.as_deref()
    }

    /// Names of the classes, by number; empty where they have none.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Images as points of `channels x height x width` coordinates: what the network sees, number for number.
    pub fn points(&self) -> Vec<Vec<f64>> {
        let point = |image: &[f32]| image.iter().map(|v| f64::from(*v)).collect();
        self.pixels.chunks_exact(self.shape.numbers()).map(point).collect()
    }

    /// A hash of shape, pixels and labels (not of the name or the place), in hexadecimal: the same for the same images.
    pub fn hash(&self) -> String {
        let Shape { channels, height, width } = self.shape;
        let mut hasher = blake3::Hasher::new();
        for n in [channels, height, width, self.len()] {
            hasher.update(&(n as u64).to_le_bytes());
        }
        let mut block = Vec::new();
        for some in self.pixels.chunks(1 << 16) {
            block.clear();
            block.extend(some.iter().flat_map(|v| v.to_le_bytes()));
            hasher.update(&block);
        }
        for label in self.labels.iter().flatten() {
            hasher.update(&label.to_le_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// Image sets in parquet need the feature `parquet`.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(feature = "parquet"))]
    pub fn parquet(path: &Path, _: &Form, _: &Select) -> Result<Self> {
        let fix = "build the program with --features parquet";
        Err(BadInput::new("path", path, "is parquet, which this program was built without", fix))
    }
}

impl Shape {
    /// Numbers that an image has.
    pub fn numbers(self) -> usize {
        self.channels.saturating_mul(self.height).saturating_mul(self.width)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.channels == 1 { "grey" } else { "in colour" };
        write!(f, "{} x {} {kind}", self.width, self.height)
    }
}

impl Select {
    fn refuse_split(&self, what: &str) -> Result<()> {
        let refused = |split| {
            let why = format!("is not to be had: {what} are not split");
            BadInput::new("split", format!("{split}"), why, "remove it")
        };
        self.split.map_or(Ok(()), |split| Err(refused(split)))
    }

    /// The part to read.
    fn split(&self) -> Split {
        self.split.unwrap_or(Split::Train)
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Split::Train { "train" } else { "test" })
    }
}

/// A set in the making: takes what was selected, and refuses what does not fit.
struct Collector {
    images: Images,
    class: Option<u32>,
    count: Option<usize>,
    /// Images of all classes, taken or not.
    seen: usize,
}

impl Collector {
    /// Nothing yet; `classes` are names, where they are known.
    fn new(name: &str, source: impl Into<String>, classes: Vec<String>, select: &Select) -> Result<Self> {
        let class = select.class.as_ref().map(|class| class.number(&classes)).transpose()?;
        if select.count == Some(0) {
            return Err(BadInput::new("count", 0, "takes no image", "give a number of at least 1"));
        }
        let images = Images {
            name: name.into(),
            source: source.into(),
            shape: Shape { channels: 0, height: 0, width: 0 },
            pixels: Vec::new(),
            labels: None,
            classes,
        };
        Ok(Collector { images, class, count: select.count, seen: 0 })
    }

    /// Images taken.
    fn taken(&self) -> usize {
        self.images.pixels.len() / self.images.shape.numbers().max(1)
    }

    /// Whether there are as many as were asked for.
    fn full(&self) -> bool {
        self.count == Some(self.taken())
    }

    /// Whether an image of this class is to be pushed.
    fn wants(&mut self, label: Option<u32>) -> bool {
        self.seen += 1;
        !self.full() && (self.class.is_none() || self.class == label)
    }

    /// Adds an image; the first one sets the shape, and whether there are labels.
    ///
    /// # Errors
    /// More than a set may hold, or labels of some images only.
    fn push(&mut self, shape: Shape, pixels: impl Iterator<Item = f32>, label: Option<u32>) -> Result<()> {
        let numbers = shape.numbers();
        if self.images.pixels.is_empty() {
            self.images.shape = shape;
            self.images.labels = label.map(|_| Vec::new());
        }
        assert_eq!(shape, self.images.shape, "readers refuse other shapes");
        if self.images.pixels.len().saturating_add(numbers) > MOST_NUMBERS {
            let why = format!("has more than the {MOST_NUMBERS} numbers that are held at once");
            let fix = format!("add count = {}, or less", MOST_NUMBERS / numbers);
            return Err(BadInput::new("path", &self.images.source, why, fix));
        }
        self.images.pixels.extend(pixels);
        match (&mut self.images.labels, label) {
            (Some(labels), Some(label)) => labels.push(label),
            (None, None) => {}
            _ => {
                let why = "has images with a class and images without";
                return Err(BadInput::new("path", &self.images.source, why, "take them apart"));
            }
        }
        Ok(())
    }

    /// The set.
    ///
    /// # Errors
    /// No image of the class, or fewer than were asked for.
    fn finish(self) -> Result<Images> {
        let taken = self.taken();
        if let Some(class) = self.class.filter(|_| taken == 0) {
            let why = format!("is the class of none of {} images", self.seen);
            return Err(BadInput::new("class", class, why, "give another class"));
        }
        if let Some(count) = self.count.filter(|count| *count > taken) {
            let fix = format!("give a number from 1 to {taken}");
            return Err(BadInput::new("count", count, "is not to be had", fix));
        }
        if taken == 0 {
            return Err(BadInput::new(
                "path",
                self.images.source,
                "holds no image",
                "give a set that has some",
            ));
        }
        Ok(self.images)
    }
}

impl Class {
    /// Its number among `names`, or as given where there are none.
    fn number(&self, names: &[String]) -> Result<u32> {
        let fix = match (names, names.len()) {
            ([], _) => "give its number".into(),
            ([first, ..], n @ 1..=12) if first != "0" => {
                format!("give a number below {n}, or one of {}", names.join(", "))
            }
            (_, n) => format!("give a number from 0 to {}", n - 1),
        };
        match self {
            Class::Number(n) if names.is_empty() || (*n as usize) < names.len() => Ok(*n),
            Class::Number(n) => Err(BadInput::new("class", n, "is no class of the set", fix)),
            Class::Name(name) => names
                .iter()
                .position(|known| known == name)
                .map(|n| n as u32)
                .ok_or_else(|| BadInput::new("class", name, "is no class of the set", fix)),
        }
    }
}

/// A value of 8 bits from -1 (black, 0) to 1 (255).
fn from_byte(v: u8) -> f32 {
    (f64::from(v) / 255.0 * 2.0 - 1.0) as f32
}

/// A whole file, or why not.
fn whole(file: &Path, fix: &str) -> Result<Vec<u8>> {
    let bad = |why: String| BadInput::new("path", file, why, fix);
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|f| f.take(MOST_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|e| bad(format!("cannot be read: {e}")))?;
    if bytes.len() as u64 > MOST_BYTES { Err(bad("is larger than 1 GiB".into())) } else { Ok(bytes) }
}
