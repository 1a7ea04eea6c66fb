//! Image files, and folders of them.

use std::io::{BufRead, Seek};
use std::path::{Path, PathBuf};

use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageReader};

use super::{Collector, Images, Select, Shape};
use crate::error::{BadInput, Result};

/// Numbers of one image as it lies in its file.
const MOST_NUMBERS: usize = 50_000_000;

/// What images are made into; as they are, by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// Rows and columns. An image is scaled until it fills them, its sides in proportion, and what is beyond is cut off
    /// at both ends alike; the filter is a triangle as wide as the scale (bilinear; antialiased where it shrinks).
    pub size: Option<[usize; 2]>,
    /// One channel: the luma `0.2126 R + 0.7152 G + 0.0722 B` of the values as they are stored (Rec. 709).
    pub grey: bool,
}

impl Images {
    /// The PNG and JPEG files of a folder, by name; other files and names that begin with a dot are left alone. Where images
    /// lie in sub-folders these are the classes, by name, and images come from each in turn, so that the first `n`
    /// hold all classes alike. 16 bits a channel are kept.
    ///
    /// # Errors
    /// A folder without images, or with images both beside and in its sub-folders; an image that cannot be read, is
    /// transparent, or differs in size or kind from the first where `form` does not make them one; it is named.
    /// Or a bad selection.
    pub fn folder(dir: &Path, form: &Form, select: &Select) -> Result<Self> {
        read("path", dir, form, select)
    }
}

/// [`Images::folder`], with the key that its user wrote.
pub(crate) fn read(key: &str, dir: &Path, form: &Form, select: &Select) -> Result<Images> {
    select.refuse_split("folders")?;
    form.check()?;
    let Files { files, classes } = Files::of(key, dir)?;
    let name = format!("images({})", dir.file_name().unwrap_or_default().display());
    let mut set = Collector::new(&name, dir.display().to_string(), classes, select)?;
    let mut first: Option<(Shape, &Path)> = None;
    for (class, file) in &files {
        if !set.wants(*class) {
            continue;
        }
        let wrong = |(why, fix): (String, &str)| BadInput::new(key, file, why, fix);
        let opened =
            ImageReader::open(file).map_err(|e| wrong((format!("cannot be read: {e}"), "remove it")))?;
        let (shape, pixels) = decode(opened, form).map_err(wrong)?;
        let (expected, example) = *first.get_or_insert((shape, file));
        if shape != expected {
            let name = example.strip_prefix(dir).unwrap_or(example).display();
            let why = format!("is {shape} where {name} is {expected}");
            return Err(wrong((
                why,
                "give images of one size and kind, or data = { name = \"images\", size = [H, W] }",
            )));
        }
        set.push(shape, pixels.into_iter(), *class)?;
    }
    set.finish()
}

/// Files in the order in which they are read, each with its class.
struct Files {
    files: Vec<(Option<u32>, PathBuf)>,
    classes: Vec<String>,
}

impl Files {
    fn of(key: &str, dir: &Path) -> Result<Self> {
        let bad = |why: String, fix: &str| BadInput::new(key, dir, why, fix);
        let fix = "give a folder with PNG or JPEG images";
        let list = |dir: &Path| sorted(dir).map_err(|e| bad(format!("cannot be read: {e}"), fix));
        let entries = list(dir)?;
        let plain: Vec<PathBuf> = entries.iter().filter(|path| is_image(path)).cloned().collect();
        let mut classes: Vec<(String, Vec<PathBuf>)> = Vec::new();
        for folder in entries.iter().filter(|path| path.is_dir()) {
            let files: Vec<PathBuf> = list(folder)?.into_iter().filter(|path| is_image(path)).collect();
            if !files.is_empty() {
                classes.push((folder.file_name().unwrap_or_default().to_string_lossy().into_owned(), files));
            }
        }
        match (plain.is_empty(), classes.is_empty()) {
            (true, true) => Err(bad("holds no PNG or JPEG image".into(), "give a folder with some")),
            (false, false) => {
                let why = format!("holds images, and so does its sub-folder {}", classes[0].0);
                Err(bad(why, "keep all of them in one place, or in one sub-folder a class"))
            }
            (false, true) => {
                Ok(Files { files: plain.into_iter().map(|file| (None, file)).collect(), classes: Vec::new() })
            }
            (true, false) => {
                let mut files: Vec<(usize, Option<u32>, PathBuf)> = Vec::new();
                let (names, lists): (Vec<String>, Vec<Vec<PathBuf>>) = classes.into_iter().unzip();
                for (class, list) in lists.into_iter().enumerate() {
                    files.extend(list.into_iter().enumerate().map(|(k, file)| (k, Some(class as u32), file)));
                }
                files.sort_by_key(|(k, class, _)| (*k, *class));
                Ok(Files {
                    files: files.into_iter().map(|(_, class, file)| (class, file)).collect(),
                    classes: names,
                })
            }
        }
    }
}

/// What a folder holds, by name, less what is hidden.
pub(super) fn sorted(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths =
        std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.retain(|path| !path.file_name().unwrap_or_default().as_encoded_bytes().starts_with(b"."));
    paths.sort();
    Ok(paths)
}

fn is_image(path: &Path) -> bool {
    let kind = path.extension().unwrap_or_default().to_ascii_lowercase();
    ["png", "jpg", "jpeg"].iter().any(|known| kind == *known) && !path.is_dir()
}

impl Form {
    pub(super) fn check(&self) -> Result<()> {
        match self.size {
            Some([height, width]) if height.saturating_mul(width).saturating_mul(3) > MOST_NUMBERS => {
                Err(BadInput::new("size", [height, width], "is too large", "give some [32, 32]"))
            }
            Some([height, width]) if height == 0 || width == 0 => {
                Err(BadInput::new("size", [height, width], "has no pixel", "give some [32, 32]"))
            }
            _ => Ok(()),
        }
    }
}

/// An image's shape and values; or what is wrong with it, and the fix.
pub(super) fn decode<R: BufRead + Seek>(
    reader: ImageReader<R>,
    form: &Form,
) -> std::result::Result<(Shape, Vec<f32>), (String, &'static str)> {
    let decoder = reader
        .with_guessed_format()
        .map_err(|e| (format!("cannot be read: {e}"), "remove it"))?
        .into_decoder()
        .map_err(|e| (format!("is no image: {e}"), "remove it"))?;
    let ((width, height), colour) = (decoder.dimensions(), decoder.color_type());
    if colour.has_alpha() {
        return Err(("has a transparency channel".into(), "save it without one"));
    }
    let channels = if colour.has_color() { 3 } else { 1 };
    if (Shape { channels, height: height as usize, width: width as usize }).numbers() > MOST_NUMBERS {
        return Err((format!("has {width} x {height} pixels, too many to hold"), "shrink or remove it"));
    }
    let image = DynamicImage::from_decoder(decoder)
        .map_err(|e| (format!("cannot be decoded: {e}"), "replace or remove it"))?;
    let channels = if form.grey { 1 } else { channels };
    // 16 bits before anything is scaled: an 8-bit value `v` is `257 v`, the same fraction of white.
    let deep = if channels == 1 {
        DynamicImage::ImageLuma16(image.into_luma16())
    } else {
        DynamicImage::ImageRgb16(image.into_rgb16())
    };
    let deep = match form.size {
        Some([h, w]) if (h, w) != (height as usize, width as usize) => {
            deep.resize_to_fill(w as u32, h as u32, FilterType::Triangle)
        }
        _ => deep,
    };
    let shape = Shape { channels, height: deep.height() as usize, width: deep.width() as usize };
    let values = match deep {
        DynamicImage::ImageLuma16(grey) => grey.into_raw(),
        other => other.into_rgb16().into_raw(),
    };
    let scaled = |v: &u16| (f64::from(*v) / 65535.0 * 2.0 - 1.0) as f32;
    let channel = |c: usize| values.iter().skip(c).step_by(channels).map(scaled);
    Ok((shape, (0..channels).flat_map(channel).collect()))
}
